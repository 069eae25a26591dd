"""What is kept of the values of a period, and the statistics that it gives.

A statistic set has the count, sum, minimum and maximum, and how many values were near which: the
sketch. Neighbouring boundaries of the sketch are 2 % apart, so that a percentile is right to 1 %.
It is bounded; where values are too different for it, the smallest are counted together.
Pure.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from typing import Final

STATISTICS: Final = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")
PERCENTILE: Final = re.compile(r"p(100|\d{1,2}(\.\d{1,10})?)")

SKETCH_COUNT_MAX: Final = 256
_GROWTH: Final = 1.02
_PLACES: Final = 1 / math.log(_GROWTH)
_SMALLEST: Final = 1e-9  # below it, a value counts as 0
_OFFSET: Final = 1_100  # above -log(_SMALLEST) * _PLACES: positive values have positive places

Sketch = dict[int, float]
"""How many values are near which, by place: places are in the order of the values."""


class StatisticSet:
    """What is kept of a period's values.

    `sketch` is None where all values are the same, and where some of them are not known.
    """

    __slots__ = ("count", "maximum", "minimum", "sketch", "sum")

    def __init__(
        self,
        count: float = 0.0,
        total: float = 0.0,
        minimum: float = math.inf,
        maximum: float = -math.inf,
        sketch: Sketch | None = None,
    ) -> None:
        self.count = count
        self.sum = total
        self.minimum = minimum
        self.maximum = maximum
        self.sketch = sketch

    def add(self, value: float, count: float = 1.0) -> None:
        """Add a value that was seen `count` times, but for the sketch."""
        self.count += count
        self.sum += value * count
        self.minimum = min(self.minimum, value)
        self.maximum = max(self.maximum, value)

    def merge(self, other: StatisticSet) -> None:
        """Add everything of another set. What its sketch lacks, this one's lacks too."""
        mine, others = self.known_sketch(), other.known_sketch()
        self.count += other.count
        self.sum += other.sum
        self.minimum = min(self.minimum, other.minimum)
        self.maximum = max(self.maximum, other.maximum)
        if mine is None or others is None or self.minimum == self.maximum:
            self.sketch = None
        else:
            self.sketch = merged(mine, others)

    def known_sketch(self) -> Sketch | None:
        """Return the sketch, which needs not be kept where all values are the same."""
        if self.sketch is not None:
            return self.sketch
        if not self.count:
            return {}
        return {place_of(self.minimum): self.count} if self.minimum == self.maximum else None

    def statistic(self, name: str) -> float | None:
        """Return a statistic by CloudWatch's name, None where it cannot be known."""
        if not self.count:
            return None
        if name in STATISTICS:
            return {
                "SampleCount": self.count,
                "Sum": self.sum,
                "Average": self.sum / self.count,
                "Minimum": self.minimum,
                "Maximum": self.maximum,
            }[name]
        return self._percentile(float(name[1:]) / 100)

    def _percentile(self, fraction: float) -> float | None:
        if self.minimum == self.maximum:
            return self.minimum
        if self.sketch is None:
            return None
        wanted = fraction * self.count
        if fraction >= 1:
            return self.maximum
        seen = 0.0
        for place in sorted(self.sketch):
            seen += self.sketch[place]
            if seen >= wanted:
                return min(max(_value_at(place), self.minimum), self.maximum)
        return self.maximum


def is_statistic(name: str) -> bool:
    """Tell whether there is a statistic of the name: one of the five, or a percentile."""
    return name in STATISTICS or PERCENTILE.fullmatch(name) is not None


def set_of(values: Sequence[float], counts: Sequence[float]) -> StatisticSet:
    """Return the set of values that were seen so many times each."""
    made = StatisticSet()
    sketch: Sketch = {}
    for value, count in zip(values, counts, strict=True):
        made.add(value, count)
        place = place_of(value)
        sketch[place] = sketch.get(place, 0.0) + count
    if made.minimum != made.maximum:
        made.sketch = merged(sketch, {})
    return made


def place_of(value: float) -> int:
    """Return a value's place in a sketch."""
    if value >= _SMALLEST:
        return int(math.log(value) * _PLACES + _OFFSET)
    return -int(math.log(-value) * _PLACES + _OFFSET) if value <= -_SMALLEST else 0


def _value_at(place: int) -> float:
    if place == 0:
        return 0.0
    size = _GROWTH ** (abs(place) - _OFFSET) * (1 + _GROWTH) / 2
    return size if place > 0 else -size


def merged(sketch: Sketch, other: Sketch) -> Sketch:
    """Return two sketches as one, within the bound."""
    both = dict(sketch)
    for place, count in other.items():
        both[place] = both.get(place, 0.0) + count
    if len(both) > SKETCH_COUNT_MAX:
        places = sorted(both)
        lowest_kept = places[-SKETCH_COUNT_MAX]
        for place in places[:-SKETCH_COUNT_MAX]:
            both[lowest_kept] += both.pop(place)
    return both


def merged_by_period(
    sets: Iterable[tuple[int, StatisticSet]], period: int
) -> dict[int, StatisticSet]:
    """Return the sets of times as sets of periods, counted from the epoch, in order."""
    by_period: dict[int, StatisticSet] = {}
    for at, given in sets:
        by_period.setdefault(at - at % period, StatisticSet()).merge(given)
    return dict(sorted(by_period.items()))
