"""Which part of a group's log can hold what is looked for: arrival told from events' times. Pure.

A log is in order of arrival, a read in order of the events' own times. A stream knows how late and
how early its events came at most, so that events of a time arrived within known bounds of it, and
a read need not go through what came before or after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from farspan.model.log_group import LogStream

LATE_MS_MAX: Final = 14 * 24 * 3_600_000
EARLY_MS_MAX: Final = 2 * 3_600_000
"""What PutLogEvents takes, for streams that do not know better."""


@dataclass(frozen=True, slots=True)
class Span:
    """Where to look: `first` to `last` are times of arrival, milliseconds, both included.

    An event came `late` milliseconds after its own time at most, and `early` before it.
    """

    first: int
    last: int
    late: int
    early: int

    def ends_before(self, ingestion_time: int) -> bool:
        """Tell whether nothing that is looked for came at a time or later."""
        return ingestion_time > self.last

    def is_settled_forward(self, worst: int, ingestion_time: int) -> bool:
        """Tell whether no event that comes at a time or later is earlier than `worst`."""
        return ingestion_time - self.late >= worst

    def is_settled_backward(self, worst: int, ingestion_time: int) -> bool:
        """Tell whether no event that came at a time or before is later than `worst`."""
        return ingestion_time + self.early <= worst


def span_of(streams: Sequence[LogStream], start: int, end: int) -> Span | None:
    """Return where events of the streams from `start` up to `end` are; None where none can be."""
    written = [one for one in streams if one.last_ingestion_time is not None]
    if not written:
        return None
    late = max(LATE_MS_MAX if one.late_ms is None else one.late_ms for one in written)
    early = max(EARLY_MS_MAX if one.early_ms is None else one.early_ms for one in written)
    earliest = min(one.first_event_timestamp or 0 for one in written)
    latest = max(one.last_event_timestamp or 0 for one in written)
    start, end = max(start, earliest), min(end - 1, latest)
    last_arrival = max(one.last_ingestion_time or 0 for one in written)
    return None if start > end else Span(start - early, min(end + late, last_arrival), late, early)
