"""The report of a drill: one value from which the JSON, the HTML and the JUnit file are made. Pure.

Its field names are the stable ones of `--json`; durations are in seconds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import StrEnum
from statistics import median

import msgspec

from farspan.drill.assertions import Assertion, judge
from farspan.drill.findings import Course, figures_of, loss_bound
from farspan.drill.ledger import Ledger
from farspan.drill.metrics import METRICS, Unit, value_text

REPORT_FORMAT = 1
BIN_COUNT_MAX = 240
BIN_SECONDS = (0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
FAILURES_SHOWN_MAX = 10
UNREADABLE = dict.fromkeys(
    [*range(9), 11, 12, *range(14, 32), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}"
)
"""Characters that XML has no way to write, and what stands for them."""


class MarkKind(StrEnum):
    """What a mark on the time axis is about."""

    FAULT = "fault"  # the fault was made
    HEAL = "heal"  # it was taken back
    ROUTE = "route"  # an endpoint's routing changed its state
    NOTE = "note"  # something else that the drill saw


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """Something that happened, `at` seconds after the first call."""

    at: float
    kind: MarkKind
    text: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A figure with its definition; `text` is the value as people read it."""

    name: str
    title: str
    value: float | None
    unit: Unit
    text: str
    definition: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """An assertion and what came of it."""

    assertion: str
    passed: bool
    found: str


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """What happened in each interval of `bin_seconds`, from the first call on.

    `slowest_call` is by when a call returned; `lag` is the median time from an acknowledgement to
    the other Region's queue, by when that queue gave the event.
    """

    bin_seconds: float
    acknowledged: dict[str, list[int]]
    failed: list[int]
    slowest_call: list[float | None]
    lag: dict[str, list[float | None]]


class DrillReport(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that one drill found. `means` says what was really done to make the fault.

    `loss_bound` is the rate of loss that `lost=0` among so many events excludes with 95 %.
    """

    format: int = REPORT_FORMAT
    scenario: str
    region: str
    other: str
    means: str
    started_at: str
    seconds: float
    fault_at: float
    heal_at: float
    rate: float
    replicates: bool
    findings: dict[str, Finding]
    loss_bound: float | None
    acknowledged_by_region: dict[str, int]
    expected: int
    received_by_region: dict[str, int]
    assertions: list[Judged]
    failures: list[str]
    notes: list[str]
    marks: list[Mark]
    environment: dict[str, str]
    series: Series

    @property
    def passed(self) -> bool:
        """Whether every assertion holds, and there was something to hold it about."""
        return self.expected > 0 and all(judged.passed for judged in self.assertions)


class Setting(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a drill besides its ledger and its course."""

    scenario: str
    means: str
    started_at: str
    rate: float
    environment: dict[str, str]
    notes: list[str]


def report_of(
    ledger: Ledger,
    course: Course,
    setting: Setting,
    *,
    marks: Sequence[Mark],
    assertions: Sequence[Assertion],
) -> DrillReport:
    """Return the report."""
    figures = figures_of(ledger, course)
    regions = (course.region, course.other)
    seen = {
        region: {r.event_id for r in ledger.receipts if r.region == region} for region in regions
    }
    by_region = dict.fromkeys(regions, 0)
    expected: set[str] = set()
    for call in ledger.calls:
        expected.update(call.expected_ids)
        if call.region is not None:
            by_region[call.region] = by_region.get(call.region, 0) + len(call.event_ids)
    failures = [call.error for call in ledger.calls if call.error is not None]
    failures += [error for call in ledger.calls for error in call.entry_errors]
    return DrillReport(
        scenario=setting.scenario,
        region=course.region,
        other=course.other,
        means=clean(setting.means),
        started_at=setting.started_at,
        seconds=round(_last_moment(ledger, course), 3),
        fault_at=round(course.fault_at, 3),
        heal_at=round(course.heal_at, 3),
        rate=setting.rate,
        replicates=course.replicates,
        findings={
            name: Finding(
                name=name,
                title=metric.title,
                value=_rounded(figures[name]),
                unit=metric.unit,
                text=value_text(metric.unit, figures[name]),
                definition=metric.definition,
            )
            for name, metric in METRICS.items()
        },
        loss_bound=loss_bound(len(expected), int(figures["lost"] or 0)),
        acknowledged_by_region=by_region,
        expected=len(expected),
        received_by_region={region: len(ids) for region, ids in seen.items()},
        assertions=[
            Judged(assertion=verdict.text, passed=verdict.passed, found=verdict.found)
            for verdict in (judge(assertion, figures) for assertion in assertions)
        ],
        failures=[clean(failure) for failure in failures[:FAILURES_SHOWN_MAX]],
        notes=[clean(note) for note in setting.notes],
        marks=[
            msgspec.structs.replace(mark, text=clean(mark.text))
            for mark in sorted(marks, key=lambda mark: mark.at)
        ],
        environment={clean(name): clean(value) for name, value in setting.environment.items()},
        series=_series(ledger, course),
    )


def clean(text: str) -> str:
    """Return a text from elsewhere without what JSON and XML cannot hold."""
    return text.encode("utf-8", "replace").decode().translate(UNREADABLE)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)


def _last_moment(ledger: Ledger, course: Course) -> float:
    moments = [call.ended_at for call in ledger.calls]
    moments += [receipt.at for receipt in ledger.receipts]
    return max([course.heal_at, *moments])


def _series(ledger: Ledger, course: Course) -> Series:
    seconds = _last_moment(ledger, course)
    width = next((w for w in BIN_SECONDS if seconds / w <= BIN_COUNT_MAX), BIN_SECONDS[-1])
    count = math.floor(seconds / width) + 1
    regions = (course.region, course.other)
    acknowledged = {region: [0] * count for region in regions}
    failed = [0] * count
    slowest: list[float | None] = [None] * count
    acknowledged_at: dict[str, tuple[float, str | None]] = {}
    for call in ledger.calls:
        bin_ = int(call.ended_at / width)
        if call.region is not None:
            acknowledged.setdefault(call.region, [0] * count)[bin_] += len(call.event_ids)
        failed[bin_] += len(call.entry_errors) + (call.error is not None)
        slowest[bin_] = max(slowest[bin_] or 0.0, round(call.ended_at - call.began_at, 4))
        for event_id in call.expected_ids:
            acknowledged_at[event_id] = (call.ended_at, call.region)
    lags: dict[str, list[list[float]]] = {r: [[] for _ in range(count)] for r in regions}
    for receipt in ledger.receipts:
        at, region = acknowledged_at.get(receipt.event_id, (0.0, receipt.region))
        if region != receipt.region and receipt.region in lags:
            lags[receipt.region][int(receipt.at / width)].append(max(0.0, receipt.at - at))
    return Series(
        bin_seconds=width,
        acknowledged=acknowledged,
        failed=failed,
        slowest_call=slowest,
        lag={
            region: [round(median(values), 4) if values else None for values in bins]
            for region, bins in lags.items()
        },
    )
