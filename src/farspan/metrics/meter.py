"""What the parts count with: an addition where something happens, and nothing else.

An accumulator gathers what happens within a second, for one metric or for several that see the
same: a rule's latency is its bus's and the Region's as well. The service empties those that have
anything. Pure: no clock, no store, and nobody who counts can fail or wait.
"""

from __future__ import annotations

import math

from farspan.metrics.statistics import Sketch, StatisticSet, merged, place_of
from farspan.model.metric import Metric


class Counter:
    """Counts what happens within a second: each is a value of 1."""

    __slots__ = ("_opened", "count", "metrics", "unit")

    def __init__(self, metrics: tuple[Metric, ...], opened: list[Accumulator]) -> None:
        self.metrics = metrics
        self.unit = "Count"
        self.count = 0
        self._opened = opened

    def add(self, count: int = 1) -> None:
        """Count `count` more."""
        if not self.count:
            self._opened.append(self)
        self.count += count

    def take(self) -> StatisticSet:
        """Return what was counted, and begin anew."""
        count, self.count = float(self.count), 0
        return StatisticSet(count, count, 1.0, 1.0)


class Distribution:
    """Takes the values of what happens within a second: latencies, sizes."""

    __slots__ = ("_count", "_maximum", "_minimum", "_opened", "_places", "_sum", "metrics", "unit")

    def __init__(self, metrics: tuple[Metric, ...], unit: str, opened: list[Accumulator]) -> None:
        self.metrics = metrics
        self.unit = unit
        self._opened = opened
        self._clear()

    def _clear(self) -> None:
        self._count = 0
        self._sum = 0.0
        self._minimum = math.inf
        self._maximum = -math.inf
        self._places: Sketch = {}

    def add(self, value: float, count: int = 1) -> None:
        """Take a value that was seen `count` times."""
        if not self._count:
            self._opened.append(self)
        self._count += count
        self._sum += value * count
        if value < self._minimum:  # noqa: PLR1730 - min() takes twice as long
            self._minimum = value
        if value > self._maximum:  # noqa: PLR1730
            self._maximum = value
        place = place_of(value)
        self._places[place] = self._places.get(place, 0.0) + count

    def take(self) -> StatisticSet:
        """Return what was seen, and begin anew."""
        taken = StatisticSet(float(self._count), self._sum, self._minimum, self._maximum)
        if taken.minimum != taken.maximum:
            taken.sketch = merged(self._places, {})
        self._clear()
        return taken


Accumulator = Counter | Distribution


class Meter:
    """Gives out accumulators, and knows those that have anything."""

    def __init__(self) -> None:
        self._opened: list[Accumulator] = []

    def counter(self, *metrics: Metric) -> Counter:
        """Return what counts occurrences, for its caller to keep."""
        return Counter(metrics, self._opened)

    def distribution(self, unit: str, *metrics: Metric) -> Distribution:
        """Return what takes values of a unit, for its caller to keep."""
        return Distribution(metrics, unit, self._opened)

    def take(self) -> list[Accumulator]:
        """Return the accumulators that have anything; each is to be emptied now."""
        opened = self._opened[:]
        self._opened.clear()
        return opened
