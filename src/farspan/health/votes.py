"""What the observers of a health check say together.

A verdict needs a strict majority of all observers that are configured, not of those that were
heard: a node that is cut off hears few, and must not move a route on their word alone. Short of
it the verdict is UNKNOWN, and who asked stays where it is.

Freshness never compares two machines' clocks. An observer numbers its votes; a reader notes by
its own monotonic clock when the number last moved.

Pure: no I/O, no clock.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from farspan.health.check import final_status
from farspan.model.health_check import HealthCheck, Status, Vote

if TYPE_CHECKING:
    from collections.abc import Iterable

FRESH_INTERVALS = 3
"""A vote outlives two probes that were lost or skipped; the third makes it stale."""

FRESH_SECONDS_MIN = 2.0
"""Nodes tell each other once a second, so that shorter probe intervals do not make news faster."""


class Verdict(StrEnum):
    """What the observers agree on."""

    HEALTHY = "HEALTHY"  # a strict majority says Healthy
    UNHEALTHY = "UNHEALTHY"  # a strict majority says Unhealthy
    UNKNOWN = "UNKNOWN"  # neither; nothing follows from it


VERDICT_OF: dict[Status, Verdict] = {
    Status.HEALTHY: Verdict.HEALTHY,
    Status.UNHEALTHY: Verdict.UNHEALTHY,
}
STATUS_OF: dict[Verdict, Status] = {verdict: status for status, verdict in VERDICT_OF.items()}


def fresh_seconds(interval: float) -> float:
    """Return how long a vote counts, where the observer probes every `interval` seconds."""
    return max(FRESH_INTERVALS * interval, FRESH_SECONDS_MIN)


def is_fresh(heard_at: float, now: float, interval: float) -> bool:
    """Return whether a vote still counts whose number last moved at `heard_at`.

    `heard_at` and `now` are by the reader's own monotonic clock; `interval` is the seconds
    between two probes.
    """
    return now - heard_at <= fresh_seconds(interval)


def supersedes(offered: Vote, known: Vote | None, known_is_fresh: bool) -> bool:
    """Return whether a vote just heard replaces what was known of its observer.

    A higher sequence does. An observer that restarted begins again at a low one: its later
    `checked_time` gives it away, a time compared only with the same observer's. Should its clock
    have been set back too, it is believed once its former vote is stale.
    """
    if known is None:
        return True
    if offered.sequence > known.sequence or offered.checked_time > known.checked_time:
        return True
    return not known_is_fresh and offered.sequence != known.sequence


def tally(votes: Iterable[Status], observer_count: int) -> Verdict:
    """Return what a strict majority of `observer_count` observers says, UNKNOWN where none does.

    `votes` are the fresh ones, at most one of each observer.
    """
    counts = dict.fromkeys(Status, 0)
    for status in votes:
        counts[status] += 1
    assert sum(counts.values()) <= observer_count, "there are more votes than observers"
    for status, count in counts.items():
        if 2 * count > observer_count:
            return VERDICT_OF[status]
    return Verdict.UNKNOWN


def judge(check: HealthCheck | None, votes: Iterable[Status], observer_count: int) -> Verdict:
    """Return the verdict on a check: the tally, with what the check's settings make of it.

    A disabled check needs no votes. A check that is not known has no verdict but UNKNOWN.
    """
    if check is None:
        return Verdict.UNKNOWN
    return conclude(check, tally(votes, observer_count))


def conclude(check: HealthCheck, measured: Verdict) -> Verdict:
    """Return what a check says where its observers, or its children, came to `measured`."""
    if check.disabled:
        return VERDICT_OF[final_status(check, Status.HEALTHY)]
    status = STATUS_OF.get(measured)
    return measured if status is None else VERDICT_OF[final_status(check, status)]
