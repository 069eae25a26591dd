"""The data points of one metric and unit: one track by the second, one by the minute.

A track keeps its rows flat in one array, 40 bytes each, in order of time, and only rows that have
data; sketches are packed. That is what lets thousands of metrics be kept at one second for 15
minutes.
Pure: it knows no clock.
"""

from __future__ import annotations

import bisect
from array import array
from collections.abc import Iterator
from typing import Final

import msgspec

from farspan.metrics.statistics import Sketch, StatisticSet
from farspan.model.metric import Metric

_WIDTH: Final = 4  # count, sum, minimum, maximum
_ROW_BYTES: Final = 8 * (_WIDTH + 1)
_ENTRY_BYTES: Final = 140  # of a sketch: its bytes object, and its place in a dict

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder(Sketch).decode


class Track:
    """Statistic sets by the start of their period, in whole seconds since the epoch."""

    __slots__ = ("_rows", "_sketch_bytes", "_sketches", "_starts")

    def __init__(self) -> None:
        self._starts = array("q")
        self._rows = array("d")
        self._sketches: dict[int, bytes] = {}
        self._sketch_bytes = 0

    def __len__(self) -> int:
        return len(self._starts)

    @property
    def byte_count(self) -> int:
        """About how much memory the track takes."""
        return len(self._starts) * _ROW_BYTES + self._sketch_bytes

    @property
    def last_start(self) -> int | None:
        """When the newest row begins, None where there is none."""
        return self._starts[-1] if self._starts else None

    def add(self, start: int, given: StatisticSet) -> None:
        """Add a set to what the period has."""
        starts = self._starts
        index = len(starts)
        width = 0
        if starts and starts[-1] >= start:
            index = bisect.bisect_left(starts, start)
            if starts[index] == start:
                width = _WIDTH
                former = self._at(index)
                former.merge(given)
                given = former
        if not width:
            starts.insert(index, start)
        at = index * _WIDTH
        row = array("d", (given.count, given.sum, given.minimum, given.maximum))
        self._rows[at : at + width] = row
        self._drop_sketch(start)
        if given.sketch is not None:
            packed = self._sketches[start] = _pack(given.sketch)
            self._sketch_bytes += len(packed) + _ENTRY_BYTES

    def _drop_sketch(self, start: int) -> None:
        packed = self._sketches.pop(start, None)
        if packed is not None:
            self._sketch_bytes -= len(packed) + _ENTRY_BYTES

    def between(self, start: float, end: float) -> Iterator[tuple[int, StatisticSet]]:
        """Give the sets of periods that begin at `start` or later and before `end`, in order."""
        first = bisect.bisect_left(self._starts, start)
        for index in range(first, bisect.bisect_left(self._starts, end)):
            yield self._starts[index], self._at(index)

    def trim(self, before: float) -> None:
        """Forget the periods that begin before a time."""
        count = bisect.bisect_left(self._starts, before)
        for start in self._starts[:count]:
            self._drop_sketch(start)
        del self._starts[:count]
        del self._rows[: count * _WIDTH]

    def _at(self, index: int) -> StatisticSet:
        at, start = index * _WIDTH, self._starts[index]
        count, total, minimum, maximum = self._rows[at : at + _WIDTH]
        packed = self._sketches.get(start)
        sketch = None if packed is None else _unpack(packed)
        return StatisticSet(count, total, minimum, maximum, sketch)


class Series:
    """A metric's data points of one unit.

    `unsaved` is what has yet to be stored, by minute. `last_at` is when it last had data.
    """

    __slots__ = ("last_at", "metric", "minutes", "seconds", "unit", "unsaved")

    def __init__(self, metric: Metric, unit: str) -> None:
        self.metric = metric
        self.unit = unit
        self.seconds = Track()
        self.minutes = Track()
        self.unsaved: dict[int, StatisticSet] = {}
        self.last_at = 0.0
