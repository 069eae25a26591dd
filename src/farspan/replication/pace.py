"""How fast a backlog is copied, so that live traffic comes first. Pure.

A Region that has much to catch up with would otherwise spend all of its time on that: its clients'
commits wait behind the copies', and their events are late. So while a backlog is left, each step is
smaller and is followed by a pause as long as the step took (at a share of a half): whatever the
machine can do, half of it stays free, and where live traffic slows the steps down, the pauses grow
with them. The pause never makes the copy so slow that the backlog would not shrink. And where much
is left, the stream's own newest events are copied ahead of it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

STEP_EVENT_COUNT: Final = 1_000
"""Events that one question asks for while the copy keeps up."""

BACKLOG_STEP_EVENT_COUNT: Final = 500
"""The same while a backlog is left: commits that others wait behind stay short."""

BACKLOG_EVENT_COUNT: Final = 2_000
"""What has to be left after a step to be a backlog: more than a busy moment brings."""

SHRINK_FACTOR: Final = 3
"""The backlog is copied at three times the rate at which it grows, at least, if it can be."""

PAUSE_SECONDS_MAX: Final = 0.5


@dataclass(frozen=True, slots=True)
class Pace:
    """How many events to ask for next, and how long to wait before."""

    event_count: int
    pause_seconds: float


LIVE: Final = Pace(STEP_EVENT_COUNT, 0.0)
"""While the copy keeps up: everything at once."""


AHEAD_EVENT_COUNT: Final = 10_000
"""What has to be left for the newest events to be copied ahead of it: more than a second's work."""


def copies_ahead(left_count: int) -> bool:
    """Return whether the newest events should not wait until what is left was copied."""
    return left_count >= AHEAD_EVENT_COUNT


def pace(
    *,
    left_count: int,
    taken_count: int,
    spent_seconds: float,
    grown_per_second: float,
    share: float,
) -> Pace:
    """Return how to go on after a step that took `taken_count` events in `spent_seconds`.

    `left_count` is what the origin still has, and `grown_per_second` how fast it accepts more.
    `share` is the part of the time that a backlog may take, above 0 and up to 1.
    """
    if left_count < BACKLOG_EVENT_COUNT or not taken_count:
        return LIVE
    pause = min(spent_seconds * (1 - share) / share, PAUSE_SECONDS_MAX)
    if grown_per_second > 0:
        pause = min(pause, taken_count / (SHRINK_FACTOR * grown_per_second) - spent_seconds)
    return Pace(BACKLOG_STEP_EVENT_COUNT, max(0.0, pause))
