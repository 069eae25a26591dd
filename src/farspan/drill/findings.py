"""From the ledger to the figures: RTO, RPO, lost, duplicates, lag, failback. Pure.

The definitions stand in `metrics`; each is one function here.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from farspan.drill.ledger import Call, Ledger
from farspan.drill.metrics import Figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """What a drill did: the Region that had the fault, the other one, and when. In seconds.

    The fault was begun at `fault_at` and in force at `made_at`; between the two an acknowledgement
    may still have been on its way. `replicates` says whether both Regions' buses are to have every
    event.
    """

    region: str
    other: str
    fault_at: float
    made_at: float
    heal_at: float
    replicates: bool = True


@dataclass(frozen=True, slots=True)
class _Acknowledged:
    """When and by which Region an expected event was acknowledged first."""

    at: float
    region: str


def figures_of(ledger: Ledger, course: Course) -> Figures:
    """Return every figure of `metrics.METRICS`."""
    calls = sorted(ledger.calls, key=lambda call: call.ended_at)
    acknowledged = _acknowledged(calls)
    first = _first_receipts(ledger)
    return {
        **_of_calls(calls),
        **_of_routes(calls, course),
        **_of_recovery_point(acknowledged, first, course),
        **_of_losses(ledger, acknowledged, first, course),
        **_of_delays(acknowledged, first, course),
        "catch_up": _catch_up(acknowledged, first, course),
    }


def quantile(ordered: Sequence[float], share: float) -> float | None:
    """Return the value below which `share` of the ordered values lie, None where there are none."""
    if not ordered:
        return None
    return ordered[min(len(ordered) - 1, int(len(ordered) * share))]


def loss_bound(event_count: int, lost: int) -> float | None:
    """Return the rate of loss that none among so many excludes with 95 %: the rule of three.

    None where something was lost, or nothing was put.
    """
    return 3.0 / event_count if event_count and not lost else None


def longest_gap(moments: Iterable[float], start: float, end: float) -> float:
    """Return the longest time without a moment that began or went on between two times.

    Counted from `start`; a gap that is open at `end` counts until the next moment after it.
    """
    ordered = sorted(moment for moment in moments if moment > start)
    inside = [moment for moment in ordered if moment < end]
    after = next((moment for moment in ordered if moment >= end), end)
    return max(b - a for a, b in itertools.pairwise([start, *inside, after]))


def _acknowledged(calls: list[Call]) -> dict[str, _Acknowledged]:
    found: dict[str, _Acknowledged] = {}
    for call in calls:
        for event_id in call.expected_ids:
            found.setdefault(event_id, _Acknowledged(call.ended_at, call.region or "?"))
    return found


def _first_receipts(ledger: Ledger) -> dict[str, dict[str, float]]:
    """Return for each Region when its queue first gave each event."""
    found: dict[str, dict[str, float]] = {}
    for receipt in ledger.receipts:
        of_region = found.setdefault(receipt.region, {})
        of_region[receipt.event_id] = min(receipt.at, of_region.get(receipt.event_id, receipt.at))
    return found


def _of_calls(calls: list[Call]) -> Figures:
    return {
        "events": sum(len(call.event_ids) for call in calls),
        "failed_calls": sum(call.error is not None for call in calls),
        "failed_entries": sum(len(call.entry_errors) for call in calls),
        "sdk_retries": sum(call.retry_count for call in calls),
        "slowest_call": max((call.ended_at - call.began_at for call in calls), default=None),
    }


def _of_routes(calls: list[Call], course: Course) -> Figures:
    """Return how long nobody acknowledged, and when who did so again."""
    successes = [call for call in calls if call.event_ids]
    moments = [call.ended_at for call in successes]
    last = max(moments, default=course.heal_at)
    before = [call.region for call in successes if call.ended_at <= course.fault_at]
    in_use = before[-1] if before else None
    failover = failback = None
    if in_use == course.region:
        failover = _first(successes, course.other, course.fault_at)
    if failover is not None:
        failback = _first(successes, course.region, max(course.heal_at, course.fault_at + failover))
    return {
        "rto": longest_gap(moments, course.fault_at, course.heal_at),
        "failover": failover,
        "failback": None if failback is None else _since_heal(failback, failover, course),
        "failback_gap": longest_gap(moments, course.heal_at, max(last, course.heal_at)),
    }


def _since_heal(seconds: float, failover: float | None, course: Course) -> float:
    """Return the time from the heal, where the other Region took over only after it."""
    began = max(course.heal_at, course.fault_at + (failover or 0.0))
    return seconds + began - course.heal_at


def _first(calls: list[Call], region: str, after: float) -> float | None:
    """Return how long after a time a Region acknowledged first, None where it never did."""
    return next(
        (
            call.ended_at - after
            for call in calls
            if call.region == region and call.ended_at > after
        ),
        None,
    )


def _of_recovery_point(
    acknowledged: dict[str, _Acknowledged], first: dict[str, dict[str, float]], course: Course
) -> Figures:
    arrived = first.get(course.other, {})
    before = {
        event_id: found.at
        for event_id, found in acknowledged.items()
        if found.region == course.region and found.at <= course.made_at
    }
    late = {i: arrived.get(i, float("inf")) for i in before}
    stuck = [before[i] for i, at in late.items() if at > course.heal_at]
    return {
        "rpo": course.made_at - min(stuck) if stuck else 0.0,
        "rpo_events": len(stuck),
        "in_flight": sum(at > course.made_at for at in late.values()),
    }


def _of_losses(
    ledger: Ledger,
    acknowledged: dict[str, _Acknowledged],
    first: dict[str, dict[str, float]],
    course: Course,
) -> Figures:
    both = [set(first.get(region, ())) for region in (course.region, course.other)]
    anywhere = set.union(*both)
    lost = acknowledged.keys() - anywhere
    messages = Counter((r.region, r.event_id, r.message_id) for r in ledger.receipts)
    distinct = Counter((region, event_id) for region, event_id, _ in messages)
    missing = len(acknowledged.keys() - set.intersection(*both) - lost)
    return {
        "lost": len(lost),
        "missing": missing if course.replicates else None,
        "duplicates": sum(count - 1 for count in distinct.values()),
        "redelivered": sum(count - 1 for count in messages.values()),
        "unacknowledged": len(anywhere - acknowledged.keys()),
    }


def _of_delays(
    acknowledged: dict[str, _Acknowledged], first: dict[str, dict[str, float]], course: Course
) -> Figures:
    own: list[float] = []
    other: list[float] = []
    for region, arrived in first.items():
        for event_id, at in arrived.items():
            found = acknowledged.get(event_id)
            if found is not None and at <= course.fault_at:
                (own if region == found.region else other).append(max(0.0, at - found.at))
    own.sort()
    other.sort()
    return {
        "delivery_p50": quantile(own, 0.50),
        "delivery_p99": quantile(own, 0.99),
        "lag_p50": quantile(other, 0.50),
        "lag_p99": quantile(other, 0.99),
    }


def _catch_up(
    acknowledged: dict[str, _Acknowledged], first: dict[str, dict[str, float]], course: Course
) -> float | None:
    if not course.replicates:
        return None
    arrived = first.get(course.region, {})
    moments = [
        arrived.get(event_id)
        for event_id, found in acknowledged.items()
        if found.region == course.other and course.fault_at < found.at <= course.heal_at
    ]
    known = [moment for moment in moments if moment is not None]
    if len(known) < len(moments):
        return None
    return max(0.0, max(known, default=course.heal_at) - course.heal_at)
