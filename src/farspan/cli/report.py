"""The demo's report: what was acknowledged against what arrived."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from rich import box
from rich.console import Console
from rich.table import Table


class DemoReport(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of one run; the names are the stable ones of `--json`.

    `lost` counts acknowledged events that a rule matches and that the secondary Region's queue did
    not give. `rto_seconds` is the longest time without an acknowledgement around the kill.
    `failback_seconds` counts from the primary's start, None where it did not come.
    `unexpected` counts ids that were received and never acknowledged.
    """

    regions: tuple[str, ...]
    rate: float
    acknowledged: int
    acknowledged_matching: int
    acknowledged_by_region: dict[str, int]
    failed_calls: int
    failures: tuple[str, ...]
    sdk_retries: int
    slowest_call_seconds: float
    lost: int
    received: dict[str, int]
    unexpected: int
    same_ids: bool
    duplicates: dict[str, int]
    rto_seconds: float
    failback_seconds: float | None
    caught_up: bool
    replication_lag_ms_p50: float | None
    replication_lag_ms_p99: float | None

    @property
    def passed(self) -> bool:
        """Whether nothing was lost, no call failed, and both Regions hold the same events."""
        return (
            self.acknowledged > 0
            and self.lost == 0
            and self.failed_calls == 0
            and self.same_ids
            and self.failback_seconds is not None
        )


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which `share` of the ordered values lie, None where there are none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def print_report(console: Console, report: DemoReport) -> None:
    """Print the report as a table, and the verdict in one line."""
    primary, secondary = report.regions
    table = Table(title="Report", title_justify="left", show_header=False, box=box.SIMPLE)
    table.add_column()
    table.add_column(justify="right")
    table.add_column(style="dim")
    by_region = ", ".join(f"{n} by {r}" for r, n in sorted(report.acknowledged_by_region.items()))
    lag = [report.replication_lag_ms_p50, report.replication_lag_ms_p99]
    lag_text = " / ".join("?" if value is None else f"{value:.0f} ms" for value in lag)
    failback = report.failback_seconds
    rows = (
        ("acknowledged events", f"{report.acknowledged}", by_region),
        ("failed calls", f"{report.failed_calls}", f"{report.sdk_retries} retries by the SDK"),
        ("lost", f"{report.lost}", f"of {report.acknowledged_matching} that the rule matches"),
        ("received", f"{report.received[primary]}", primary),
        ("", f"{report.received[secondary]}", secondary),
        ("same ids in both Regions", "yes" if report.same_ids else "NO", ""),
        ("duplicates", f"{sum(report.duplicates.values())}", ""),
        (
            "RTO",
            f"{report.rto_seconds:.2f} s",
            "longest gap between acks at the kill",
        ),
        (
            "failback",
            "none" if failback is None else f"{failback:.1f} s",
            "after the primary was started",
        ),
        ("replication lag p50 / p99", lag_text, ""),
    )
    for row in rows:
        table.add_row(*row)
    console.print(table)
    for failure in report.failures:
        console.print(f"failed: {failure}", style="red")
    if report.passed:
        console.print("PASSED: nothing lost, no call failed, equal events in both Regions.")
    else:
        console.print("FAILED: see the figures above.", style="bold red")
