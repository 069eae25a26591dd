"""The last events of logs and streams, in memory, for readers that are nearly at the end.

Most reads ask for what was committed a moment ago. From here they get it without a statement, a
decode or a thread. What is kept is bounded in bytes, over all logs; whatever is not here is in the
file. It must never hold a batch that is not durable, and no gap: a log's batches here are its last
ones. A log is a bus's, numbered by position, or a Region's own stream, numbered by sequence.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from farspan.store.base import take_batches

if TYPE_CHECKING:
    from farspan.model.event import EventBatch

K = TypeVar("K", bound=Hashable)

TAIL_BYTES_MAX: Final = 8 * 1024 * 1024
"""Half a second of events at full speed: who is further behind reads the file."""


@dataclass(slots=True)
class _Run:
    """A log's last batches, and for each the number of its first event."""

    numbers: list[int] = field(default_factory=list)
    batches: list[EventBatch] = field(default_factory=list)
    sizes: deque[int] = field(default_factory=deque)


class LogTail(Generic[K]):
    """The last batches of every log, by the log's key."""

    def __init__(self, bytes_max: int = TAIL_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._byte_count = 0
        self._runs: dict[K, _Run] = {}
        self._order: deque[K] = deque()  # the batches' logs, the oldest batch first

    def add(self, log: K, number: int, batch: EventBatch) -> None:
        """Keep a batch, just committed as its log's last, with the number of its first event."""
        run = self._runs.get(log)
        if run is None:
            run = self._runs[log] = _Run()
        size = sum(map(len, batch.events))
        run.numbers.append(number)
        run.batches.append(batch)
        run.sizes.append(size)
        self._order.append(log)
        self._byte_count += size
        if self._byte_count > self._bytes_max:
            self._make_room()

    def _make_room(self) -> None:
        """Let the oldest go, many at once: removing from a list's front moves all the rest."""
        dropped: dict[K, int] = {}
        while self._order and self._byte_count > self._bytes_max * 3 // 4:
            log = self._order.popleft()
            self._byte_count -= self._runs[log].sizes.popleft()
            dropped[log] = dropped.get(log, 0) + 1
        for log, count in dropped.items():
            run = self._runs[log]
            del run.numbers[:count], run.batches[:count]
            if not run.batches:
                del self._runs[log]

    def forget(self, log: K) -> None:
        """Let go of a log's batches, as it was trimmed: the file knows what is left."""
        run = self._runs.pop(log, None)
        if run is not None:
            self._byte_count -= sum(run.sizes)
            self._order = deque(each for each in self._order if each != log)

    def clear(self) -> None:
        """Let go of everything."""
        self._runs.clear()
        self._order.clear()
        self._byte_count = 0

    def end(self, log: K) -> int | None:
        """Return the number of the log's last event, None where only the file knows."""
        run = self._runs.get(log)
        return None if run is None else run.numbers[-1] + len(run.batches[-1].events) - 1

    def read(self, log: K, after: int, limit: int) -> list[EventBatch] | None:
        """Return what a read of the log beyond `after` would, None where only the file knows."""
        run = self._runs.get(log)
        if run is None or after + 1 < run.numbers[0]:
            return None
        start = bisect_right(run.numbers, after + 1) - 1
        if run.numbers[start] + len(run.batches[start].events) <= after + 1:
            start += 1
        return take_batches(islice(run.batches, start, None), limit)
