"""The HTML report of a drill: one file, which needs no network and runs no script. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

from farspan.drill.metrics import Unit, value_text
from farspan.drill.plot import plot_of
from farspan.drill.report import DrillReport

TILES = ("rto", "failover", "lost", "rpo_events", "failed_calls", "failback")

STYLE = """
:root { color-scheme: light dark; --paper: #ffffff; --ink: #1c2330; --soft: #5b6575;
  --line: #e3e7ee; --card: #f6f8fb; --region: #2f6fd0; --other: #d9822b; --bad: #c62828;
  --good: #1f7a4a; --shade: rgba(198, 40, 40, .09); --call: #6b5bb5; }
@media (prefers-color-scheme: dark) { :root { --paper: #12161d; --ink: #e6eaf1; --soft: #9aa5b5;
  --line: #2a313c; --card: #1a2029; --region: #6ea8fe; --other: #f0a860; --bad: #ff7b72;
  --good: #56c48a; --shade: rgba(255, 123, 114, .13); --call: #b0a3f0; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 28px 20px 48px; background: var(--paper);
  color: var(--ink); font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; margin: 0 0 4px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 4px 0; } .soft, .definition { color: var(--soft); }
.verdict { display: inline-block; padding: 2px 12px; border-radius: 14px; font-weight: 600;
  color: var(--paper); background: var(--good); } .verdict.bad { background: var(--bad); }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(140px, 1fr)); gap: 10px;
  margin: 18px 0; }
.tile { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: 10px 14px; } .tile b { display: block; font-size: 24px; line-height: 1.3;
  font-variant-numeric: tabular-nums; } .tile span { color: var(--soft); font-size: 13px; }
.scroll { overflow-x: auto; } .plot { width: 100%; min-width: 640px; height: auto; display: block; }
.plot text { font: 11px system-ui, sans-serif; fill: var(--soft); } .plot .head { fill: var(--ink);
  font-size: 12px; font-weight: 600; } .grid { stroke: var(--line); }
.shade { fill: var(--shade); } .hover { fill: transparent; } .hover:hover { fill: var(--shade); }
.fill.region { fill: var(--region); } .fill.other { fill: var(--other); }
.fill.failed { fill: var(--bad); } .dots { fill: none; stroke-width: 4; stroke-linecap: round; }
.dots.region { stroke: var(--region); } .dots.other { stroke: var(--other); }
.dots.call { stroke: var(--call); } .mark line { stroke: var(--soft); stroke-dasharray: 3 3; }
.mark.fault line, .mark.heal line { stroke: var(--bad); stroke-dasharray: none; }
.mark.fault text, .mark.heal text { fill: var(--bad); font-weight: 600; }
.legend { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; color: var(--soft); }
.legend i { display: inline-block; width: 11px; height: 11px; border-radius: 3px;
  margin-right: 6px; vertical-align: -1px; }
table { border-collapse: collapse; width: 100%; } td, th { text-align: left; vertical-align: top;
  padding: 5px 12px 5px 0; border-top: 1px solid var(--line); } th { font-weight: 600; }
td.value { white-space: nowrap; text-align: right; font-variant-numeric: tabular-nums;
  font-weight: 600; } .definition { font-size: 13px; } .good { color: var(--good); }
.bad { color: var(--bad); } .verdict.bad { color: var(--paper); }
code { font: 13px ui-monospace, monospace; } .wrap { overflow-wrap: anywhere; }
"""


def page_of(report: DrillReport) -> str:
    """Return the page."""
    title = f"Drill: {report.scenario} {report.region}"
    body = [
        f"<h1>{escape(title)}</h1>",
        _verdict(report),
        _tiles(report),
        _plot(report),
        "<h2>Assertions</h2>",
        _assertions(report),
        "<h2>Findings</h2>",
        _findings(report),
        *_optional("Failures", report.failures),
        *_optional("Notes", report.notes),
        "<h2>What happened</h2>",
        _table((f"{mark.at:.2f} s", escape(mark.text)) for mark in report.marks),
        "<h2>Environment</h2>",
        _table((escape(name), escape(value)) for name, value in report.environment.items()),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n"
        + "\n".join(body)
        + "\n</body>\n</html>\n"
    )


def _verdict(report: DrillReport) -> str:
    word = "passed" if report.passed else "failed"
    seen = "" if report.passed else " bad"
    lasted = value_text(Unit.SECONDS, report.heal_at - report.fault_at)
    return (
        f'<p><span class="verdict{seen}">{word}</span> '
        f'<span class="soft">{escape(report.started_at)}, {report.seconds:.0f} s, '
        f"{report.rate:g} events/s; the fault lasted {lasted}</span></p>"
        f"<p>{escape(report.means)}</p>"
    )


def _tiles(report: DrillReport) -> str:
    tiles = [
        f'<div class="tile" title="{escape(finding.definition)}"><b>{escape(finding.text)}</b>'
        f"<span>{escape(finding.title)}</span></div>"
        for finding in (report.findings[name] for name in TILES)
    ]
    return f'<div class="tiles">{"".join(tiles)}</div>'


def _plot(report: DrillReport) -> str:
    legend = [
        ("region", f"{report.region}, which had the fault"),
        ("other", report.other),
        ("bad", "failed"),
    ]
    shown = "".join(
        f'<span><i style="background:var(--{name})"></i>{escape(text)}</span>'
        for name, text in legend
    )
    return (
        f'<div class="legend">{shown}<span>Shaded: the fault. '
        "Lag: by the Region that received.</span></div>"
        f'<div class="scroll">{plot_of(report)}</div>'
    )


def _assertions(report: DrillReport) -> str:
    rows = []
    for judged in report.assertions:
        word, style = ("holds", "good") if judged.passed else ("does not hold", "bad")
        rows.append(
            f"<tr><td><code>{escape(judged.assertion)}</code></td>"
            f'<td class="{style}">{word}</td><td>it is {escape(judged.found)}</td></tr>'
        )
    return f"<table>{''.join(rows)}</table>"


def _findings(report: DrillReport) -> str:
    rows = [
        f"<tr><th>{escape(finding.title)}<br><code class='soft'>{finding.name}</code></th>"
        f'<td class="value">{escape(finding.text)}</td>'
        f'<td class="definition">{escape(finding.definition)}{_detail(report, finding.name)}'
        "</td></tr>"
        for finding in report.findings.values()
    ]
    return f"<table>{''.join(rows)}</table>"


def _detail(report: DrillReport, name: str) -> str:
    """Return what else is to be said of a figure."""
    if name == "lost":
        return f" <b>{escape(loss_text(report))}</b>"
    if name == "events":
        text = ", ".join(f"{n} by {r}" for r, n in report.acknowledged_by_region.items())
    elif name == "missing":
        text = ", ".join(f"{n} in {r}" for r, n in report.received_by_region.items())
    else:
        return ""
    return f" <b>{escape(text)}</b>"


def loss_text(report: DrillReport) -> str:
    """Return among how many events the lost ones are, and what none of them allows to claim."""
    text = f"Of {report.expected} that the rule matches, in one fault."
    if report.loss_bound is not None:
        text += (
            f" None of n lost bounds the rate of loss at 3/n = {report.loss_bound:.2%} (95 %), "
            "were they independent."
        )
    return text


def _optional(title: str, lines: list[str]) -> list[str]:
    if not lines:
        return []
    items = "".join(f"<li>{escape(line)}</li>" for line in lines)
    return [f"<h2>{title}</h2>", f'<ul class="wrap">{items}</ul>']


def _table(rows: Iterable[tuple[str, str]]) -> str:
    cells = "".join(
        f'<tr><td class="soft">{name}</td><td class="wrap">{value}</td></tr>'
        for name, value in rows
    )
    return f"<table>{cells}</table>"
