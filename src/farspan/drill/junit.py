"""The JUnit file of a drill: a test case for each assertion, for CI to show which failed. Pure."""

from __future__ import annotations

from xml.sax.saxutils import escape, quoteattr

from farspan.drill.report import DrillReport


def junit_of(report: DrillReport) -> str:
    """Return the report in the form that CI systems read."""
    suite = f"farspan drill {report.scenario} {report.region}"
    failed = sum(not judged.passed for judged in report.assertions)
    cases = []
    for judged in report.assertions:
        name = f"<testcase classname={quoteattr(suite)} name={quoteattr(judged.assertion)}"
        name += f" time={quoteattr(f'{report.seconds:.3f}')}"
        if judged.passed:
            cases.append(f"    {name}/>")
            continue
        message = f"{judged.assertion} does not hold: it is {judged.found}"
        cases += [
            f"    {name}>",
            f"      <failure message={quoteattr(message)}>{escape(_figures(report))}</failure>",
            "    </testcase>",
        ]
    properties = [
        f"      <property name={quoteattr(name)} value={quoteattr(value)}/>"
        for name, value in {"means": report.means, **report.environment}.items()
    ]
    head = (
        f"name={quoteattr(suite)} tests={quoteattr(str(len(report.assertions)))} "
        f"failures={quoteattr(str(failed))} errors={quoteattr('0')} "
        f"time={quoteattr(f'{report.seconds:.3f}')}"
    )
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites {head}>",
        f"  <testsuite {head} timestamp={quoteattr(report.started_at)}>",
        "    <properties>",
        *properties,
        "    </properties>",
        *cases,
        f"    <system-out>{escape(_figures(report))}</system-out>",
        "  </testsuite>",
        "</testsuites>",
    ]
    return "\n".join(lines) + "\n"


def _figures(report: DrillReport) -> str:
    lines = [f"{finding.title}: {finding.text}" for finding in report.findings.values()]
    return "\n".join([*lines, *report.failures])
