"""The last events of the logs, in memory, for readers that are nearly at the end.

Most reads ask for what was committed a moment ago. From here they get it without a statement, a
decode or a thread. What is kept is bounded in bytes, over all buses; whatever is not here is in the
file. It must never hold a batch that is not durable, and no gap: a bus's batches here are its
log's last ones.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

from farspan.store.base import READ_BYTES_MAX

if TYPE_CHECKING:
    from farspan.model.event import EventBatch

TAIL_BYTES_MAX: Final = 8 * 1024 * 1024
"""Half a second of events at full speed: who is further behind reads the file."""


@dataclass(slots=True)
class _Run:
    """A bus's last batches, and for each the position of its first event."""

    positions: list[int] = field(default_factory=list)
    batches: list[EventBatch] = field(default_factory=list)
    sizes: deque[int] = field(default_factory=deque)


class LogTail:
    """The last batches of every bus's log."""

    def __init__(self, bytes_max: int = TAIL_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._byte_count = 0
        self._runs: dict[str, _Run] = {}
        self._order: deque[str] = deque()  # the batches' buses, the oldest batch first

    def add(self, batch: EventBatch) -> None:
        """Keep a batch, just committed as its log's last, with its position."""
        run = self._runs.get(batch.event_bus)
        if run is None:
            run = self._runs[batch.event_bus] = _Run()
        size = sum(map(len, batch.events))
        run.positions.append(batch.position)
        run.batches.append(batch)
        run.sizes.append(size)
        self._order.append(batch.event_bus)
        self._byte_count += size
        if self._byte_count > self._bytes_max:
            self._make_room()

    def _make_room(self) -> None:
        """Let the oldest go, many at once: removing from a list's front moves all the rest."""
        dropped: dict[str, int] = {}
        while self._order and self._byte_count > self._bytes_max * 3 // 4:
            event_bus = self._order.popleft()
            self._byte_count -= self._runs[event_bus].sizes.popleft()
            dropped[event_bus] = dropped.get(event_bus, 0) + 1
        for event_bus, count in dropped.items():
            run = self._runs[event_bus]
            del run.positions[:count], run.batches[:count]
            if not run.batches:
                del self._runs[event_bus]

    def forget(self, event_bus: str) -> None:
        """Let go of a bus's batches, as its log was trimmed: the file knows what is left."""
        run = self._runs.pop(event_bus, None)
        if run is not None:
            self._byte_count -= sum(run.sizes)
            self._order = deque(each for each in self._order if each != event_bus)

    def end(self, event_bus: str) -> int | None:
        """Return the position of the bus's last event, None where only the file knows."""
        run = self._runs.get(event_bus)
        return None if run is None else run.positions[-1] + len(run.batches[-1].events) - 1

    def read(self, event_bus: str, after: int, limit: int) -> list[EventBatch] | None:
        """Return what `Store.read_log` would, None where only the file knows."""
        run = self._runs.get(event_bus)
        if run is None or after + 1 < run.positions[0]:
            return None
        taken: list[EventBatch] = []
        event_count = byte_count = 0
        start = bisect_right(run.positions, after + 1) - 1
        last = run.batches[start]
        if last.position + len(last.events) <= after + 1:
            start += 1
        for batch in islice(run.batches, start, None):
            taken.append(batch)
            event_count += len(batch.events)
            byte_count += sum(map(len, batch.events))
            if event_count >= limit or byte_count >= READ_BYTES_MAX:
                break
        return taken
