"""A drill's report on the terminal, and in files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from farspan.drill.junit import junit_of
from farspan.drill.metrics import METRICS, Unit
from farspan.drill.page import loss_text, page_of
from farspan.drill.report import DrillReport

HIDDEN_WHERE_ZERO = frozenset(
    {"failed_entries", "redelivered", "unacknowledged", "in_flight", "rpo"}
)
"""Figures that the terminal leaves out where there is nothing to tell; the files have all."""

RENDERERS = {
    "json": lambda report: (
        msgspec.json.format(msgspec.json.encode(report), indent=2).decode() + "\n"
    ),
    "html": page_of,
    "junit": junit_of,
}


def print_report(console: Console, report: DrillReport) -> None:
    """Print the figures, the assertions, and the verdict in one line."""
    table = Table(title="Report", title_justify="left", show_header=False, box=box.SIMPLE)
    table.add_column(no_wrap=True)
    table.add_column(justify="right", no_wrap=True)
    table.add_column(style="dim")
    for name in METRICS:
        finding = report.findings[name]
        if finding.value or name not in HIDDEN_WHERE_ZERO:
            table.add_row(finding.title, finding.text, _remark(report, name))
    console.print(table)
    console.print(report.means, style="dim", markup=False, highlight=False)
    for line in (*report.notes, *(f"failed: {failure}" for failure in report.failures)):
        console.print(line, style="yellow", markup=False, highlight=False)
    for judged in report.assertions:
        sign, style = ("✓", "green") if judged.passed else ("✗", "bold red")
        found = f"it is {judged.found}"
        console.print(f"[{style}]{sign}[/] {escape(judged.assertion)}: {found}", highlight=False)
    if report.passed:
        console.print("PASSED: every assertion holds.", style="bold green")
    else:
        what = "nothing was acknowledged" if not report.expected else "see the assertions above"
        console.print(f"FAILED: {what}.", style="bold red")


def _remark(report: DrillReport, name: str) -> str:
    if name == "events":
        return ", ".join(f"{n} by {r}" for r, n in report.acknowledged_by_region.items())
    if name == "lost":
        return loss_text(report)
    if name == "missing":
        counts = ", ".join(f"{n} in {r}" for r, n in report.received_by_region.items())
        return f"received: {counts}" if report.replicates else "without replication"
    if name == "rto":
        return "longest time without an acknowledgement"
    if METRICS[name].unit is Unit.SECONDS and report.findings[name].value is None:
        return "did not come, or there was nothing to come"
    return ""


def write_files(console: Console, report: DrillReport, files: Mapping[str, Path]) -> None:
    """Write the report in each form that was asked for."""
    for form, path in files.items():
        path.write_text(RENDERERS[form](report), encoding="utf-8", errors="replace")
        console.print(f"Report written to {path}", markup=False, highlight=False)
