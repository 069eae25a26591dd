"""The time axis of a drill as inline SVG: acknowledgements, calls and replication lag. Pure.

Three panels share the axis, the fault is shaded across them, and what happened stands above.
Colours are CSS variables of the page around it. Nothing is fetched and nothing runs.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from html import escape

from farspan.drill.metrics import Unit, value_text
from farspan.drill.report import DrillReport, Mark, MarkKind

WIDTH, LEFT, RIGHT = 960.0, 64.0, 12.0
LANE, TOP, GAP, BOTTOM = 15.0, 8.0, 34.0, 30.0
PANELS = (
    ("acknowledged events and failed calls per second", 170.0),
    ("slowest call", 84.0),
    ("replication lag", 84.0),
)
CHARACTER = 6.1
"""The width of a character of a label, about."""

TICK_SECONDS = (1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1_200, 3_600)
TICK_COUNT_MAX = 12
LANES_MAX = 4


class _Axis:
    """Where a report's seconds and its panels lie."""

    def __init__(self, report: DrillReport, lane_count: int) -> None:
        series = report.series
        self.seconds = series.bin_seconds * max(1, len(series.failed))
        self.scale = (WIDTH - LEFT - RIGHT) / self.seconds
        self.tops: list[float] = []
        y = TOP + LANE * lane_count + 20
        self.first = y
        for _, height in PANELS:
            self.tops.append(y)
            y += height + GAP
        self.last = y - GAP
        self.height = self.last + BOTTOM

    def x(self, seconds: float) -> float:
        """Return where a moment lies."""
        return LEFT + min(max(seconds, 0.0), self.seconds) * self.scale


def plot_of(report: DrillReport) -> str:
    """Return the SVG element."""
    lanes = _lanes(report)
    axis = _Axis(report, 1 + max(lane for _, lane, _ in lanes) if lanes else 0)
    parts = [
        *_fault(report, axis),
        *_time_ticks(axis),
        *_acknowledged(report, axis),
        *_logarithmic(report, axis, 1, {"call": report.series.slowest_call}),
        *_logarithmic(report, axis, 2, _lag_lines(report)),
        *_marks(lanes, axis),
        *_hover(report, axis),
    ]
    label = f"{report.scenario} {report.region}: acknowledgements, calls and lag over time"
    return (
        f'<svg class="plot" viewBox="0 0 {WIDTH:g} {axis.height:g}" role="img" '
        f'aria-label="{escape(label)}">\n' + "\n".join(parts) + "\n</svg>"
    )


def _lag_lines(report: DrillReport) -> dict[str, Sequence[float | None]]:
    names = {report.region: "region", report.other: "other"}
    return {names[r]: values for r, values in report.series.lag.items() if r in names}


# --- what stands above ------------------------------------------------------------------------


def _lanes(report: DrillReport) -> list[tuple[Mark, int, bool]]:
    """Return each mark with a lane in which its label overlaps no other, and whether it is shown.

    A label whose mark is near the end stands to the left of it.
    """
    ends = [-1.0] * LANES_MAX
    seconds = report.series.bin_seconds * max(1, len(report.series.failed))
    scale = (WIDTH - LEFT - RIGHT) / seconds
    placed = []
    for mark in report.marks:
        if mark.kind is MarkKind.NOTE or mark.at < 0:
            continue
        width = CHARACTER * len(_label(mark)) + 10
        start = LEFT + mark.at * scale
        leftwards = start + width > WIDTH
        begin = start - width if leftwards else start
        lane = next((n for n, end in enumerate(ends) if end <= begin), None)
        if lane is not None:
            ends[lane] = begin + width
        placed.append((mark, lane or 0, lane is not None))
    return placed


def _label(mark: Mark) -> str:
    return mark.text.partition(":")[0]


def _marks(lanes: list[tuple[Mark, int, bool]], axis: _Axis) -> Iterator[str]:
    for mark, lane, shown in lanes:
        x = axis.x(mark.at)
        y = TOP + LANE * (lane + 1) - 4
        title = f"<title>{escape(f'{mark.at:.1f} s  {mark.text}')}</title>"
        yield f'<g class="mark {mark.kind.value}">{title}'
        yield f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{y - 9:.1f}" y2="{axis.last:.1f}"/>'
        if shown:
            leftwards = x + CHARACTER * len(_label(mark)) + 10 > WIDTH
            anchor = ' text-anchor="end"' if leftwards else ""
            yield f'<text x="{x + (-4 if leftwards else 4):.1f}" y="{y:.1f}"{anchor}>'
            yield f"{escape(_label(mark))}</text>"
        yield "</g>"


def _fault(report: DrillReport, axis: _Axis) -> Iterator[str]:
    x, end = axis.x(report.fault_at), axis.x(report.heal_at)
    for top, (_, height) in zip(axis.tops, PANELS, strict=True):
        yield (
            f'<rect class="shade" x="{x:.1f}" y="{top:g}" width="{max(1.0, end - x):.1f}" '
            f'height="{height:g}"/>'
        )


# --- axes -------------------------------------------------------------------------------------


def _time_ticks(axis: _Axis) -> Iterator[str]:
    step = next((s for s in TICK_SECONDS if axis.seconds / s <= TICK_COUNT_MAX), TICK_SECONDS[-1])
    for number in range(int(axis.seconds // step) + 1):
        x = axis.x(number * step)
        yield f'<text class="tick" x="{x:.1f}" y="{axis.last + 16:.1f}" text-anchor="middle">'
        yield f"{number * step} s</text>"


def _panel(axis: _Axis, number: int) -> tuple[float, float, str]:
    title, height = PANELS[number]
    top = axis.tops[number]
    head = f'<text class="head" x="{LEFT:g}" y="{top - 7:g}">{title}</text>'
    return top, height, head


def _grid(y: float, text: str) -> str:
    return (
        f'<line class="grid" x1="{LEFT:g}" x2="{WIDTH - RIGHT:g}" y1="{y:.1f}" y2="{y:.1f}"/>'
        f'<text class="tick" x="{LEFT - 7:g}" y="{y + 4:.1f}" text-anchor="end">{text}</text>'
    )


def nice_step(largest: float, count: int = 4) -> float:
    """Return a round step of which about `count` reach the largest value."""
    raw = max(largest, 1e-9) / count
    power = 10.0 ** math.floor(math.log10(raw))
    return next(power * m for m in (1.0, 2.0, 2.5, 5.0, 10.0) if raw <= power * m * 1.0000001)


# --- the panels -------------------------------------------------------------------------------


def _acknowledged(report: DrillReport, axis: _Axis) -> Iterator[str]:
    top, height, head = _panel(axis, 0)
    yield head
    series = report.series
    width = series.bin_seconds
    names = {report.region: "region", report.other: "other"}
    stacks = [(names[r], v) for r, v in series.acknowledged.items() if r in names]
    stacks.append(("failed", series.failed))
    totals = [sum(values[n] for _, values in stacks) / width for n in range(len(series.failed))]
    step = nice_step(max([*totals, 1.0]))
    limit = step * math.ceil(max([*totals, 1.0]) / step - 1e-9)
    for number in range(round(limit / step) + 1):
        yield _grid(top + height - height * number * step / limit, f"{number * step:g}")
    wide = max(0.6, width * axis.scale - 0.8)
    below = [0.0] * len(series.failed)
    for name, values in stacks:
        shapes = []
        for number, value in enumerate(values):
            if value:
                high = height * value / width / limit
                below[number] += high
                y = top + height - below[number]
                x = axis.x(number * width)
                shapes.append(f"M{x:.1f} {y:.1f}h{wide:.1f}v{high:.1f}h-{wide:.1f}z")
        if shapes:
            yield f'<path class="fill {name}" d="{"".join(shapes)}"/>'


def _logarithmic(
    report: DrillReport, axis: _Axis, number: int, lines: dict[str, Sequence[float | None]]
) -> Iterator[str]:
    """Draw durations, whose range is too wide for a linear axis: a dot for each interval."""
    top, height, head = _panel(axis, number)
    yield head
    values = [v for line in lines.values() for v in line if v is not None and v > 0]
    low = math.floor(math.log10(max(0.001, min(values, default=0.001))))
    high = max(low + 1, math.ceil(math.log10(max(values, default=0.01))))

    def y(value: float) -> float:
        share = (math.log10(max(value, 10.0**low)) - low) / (high - low)
        return top + height - height * share

    for power in range(low, high + 1):
        yield _grid(y(10.0**power), _power_text(power))
    width = report.series.bin_seconds
    for name, line in lines.items():
        dots = [
            f"M{axis.x((n + 0.5) * width):.1f} {y(value):.1f}h0"
            for n, value in enumerate(line)
            if value is not None
        ]
        if dots:
            yield f'<path class="dots {name}" d="{"".join(dots)}"/>'


def _power_text(power: int) -> str:
    return f"{10**power} s" if power >= 0 else f"{10 ** (power + 3)} ms"


def _hover(report: DrillReport, axis: _Axis) -> Iterator[str]:
    """Yield an unseen column for each interval, whose title has its figures."""
    series = report.series
    width = series.bin_seconds
    for number, failed in enumerate(series.failed):
        lines = [f"{number * width:g} to {(number + 1) * width:g} s"]
        lines += [f"{values[number]} by {region}" for region, values in series.acknowledged.items()]
        lines.append(f"{failed} failed")
        lines.append(f"slowest call {value_text(Unit.SECONDS, series.slowest_call[number])}")
        lines += [
            f"lag in {region} {value_text(Unit.SECONDS, values[number])}"
            for region, values in series.lag.items()
        ]
        yield (
            f'<rect class="hover" x="{axis.x(number * width):.1f}" y="{axis.first:g}" '
            f'width="{width * axis.scale:.1f}" height="{axis.last - axis.first:g}">'
            f"<title>{escape(chr(10).join(lines))}</title></rect>"
        )
