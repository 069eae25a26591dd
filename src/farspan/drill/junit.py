"""The JUnit file of a drill: a test case for each assertion, for CI to show which failed. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from farspan.drill.report import DrillReport

XML_FORBIDDEN = dict.fromkeys([*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF])


def junit_of(report: DrillReport) -> str:
    """Return the report in the form that CI systems read."""
    suite = f"farspan drill {report.scenario} {report.region}"
    failed = sum(not judged.passed for judged in report.assertions)
    cases = []
    for judged in report.assertions:
        name = f"<testcase classname={_attribute(suite)} name={_attribute(judged.assertion)}"
        name += f" time={_attribute(f'{report.seconds:.3f}')}"
        if judged.passed:
            cases.append(f"    {name}/>")
            continue
        message = f"{judged.assertion} does not hold: it is {judged.found}"
        cases += [
            f"    {name}>",
            f"      <failure message={_attribute(message)}>{_text(_figures(report))}</failure>",
            "    </testcase>",
        ]
    properties = [
        f"      <property name={_attribute(name)} value={_attribute(value)}/>"
        for name, value in {"means": report.means, **report.environment}.items()
    ]
    head = (
        f"name={_attribute(suite)} tests={_attribute(str(len(report.assertions)))} "
        f"failures={_attribute(str(failed))} errors={_attribute('0')} "
        f"time={_attribute(f'{report.seconds:.3f}')}"
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {head}>",
        f"  <testsuite {head} timestamp={_attribute(report.started_at)}>",
        "    <properties>",
        *properties,
        "    </properties>",
        *cases,
        f"    <system-out>{_text(_figures(report))}</system-out>",
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _figures(report: DrillReport) -> str:
    lines = [f"{finding.title}: {finding.text}" for finding in report.findings.values()]
    return "\n".join([*lines, *report.failures])


def _attribute(text: str) -> str:
    return quoteattr(text.translate(XML_FORBIDDEN))


def _text(text: str) -> str:
    return escape(text.translate(XML_FORBIDDEN))
