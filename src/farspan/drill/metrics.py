"""Every figure that a drill reports: its name, its unit and its definition, in one table.

Assertions take these names, and every report prints these definitions. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Unit(StrEnum):
    """What a figure counts."""

    SECONDS = "s"  # a duration, in seconds
    COUNT = "count"  # events, calls or messages


@dataclass(frozen=True, slots=True)
class Metric:
    """A figure's name, unit and meaning."""

    name: str
    title: str
    unit: Unit
    definition: str


S, N = Unit.SECONDS, Unit.COUNT

METRICS: Final = {
    metric.name: metric
    for metric in (
        Metric(
            "rto",
            "RTO",
            S,
            "The longest time without an acknowledgement, by either Region, that began or went on "
            "between the fault and the heal; counted from the fault.",
        ),
        Metric(
            "failover",
            "failover",
            S,
            "From the fault to the first acknowledgement by the other Region. None where the "
            "Region was not in use, or the other one never took over.",
        ),
        Metric(
            "rpo",
            "RPO",
            S,
            "How long before the fault the oldest of the events out of reach was acknowledged.",
        ),
        Metric(
            "rpo_events",
            "out of reach",
            N,
            "Events that the Region acknowledged before the fault and that the other Region's "
            "queue did not give until the heal. With the Region's disk gone for ever they are "
            "lost; when it comes back they are late.",
        ),
        Metric(
            "in_flight",
            "in flight at the fault",
            N,
            "Events that the Region had acknowledged and the other Region's queue had not yet "
            "given at the fault. Most were on their way through the queue.",
        ),
        Metric(
            "lost",
            "lost",
            N,
            "Acknowledged events that the rule matches and that neither Region's queue gave.",
        ),
        Metric(
            "missing",
            "missing in one Region",
            N,
            "Acknowledged events that the rule matches and that came out of one Region's queue "
            "only. Without replication that is every event, so there it is not counted.",
        ),
        Metric(
            "duplicates",
            "duplicates",
            N,
            "Messages beyond the first with the same event id in the same Region's queue.",
        ),
        Metric(
            "redelivered",
            "redelivered",
            N,
            "Messages that a queue gave again because their deletion did not reach it in time. "
            "They are the same messages, not duplicates of events.",
        ),
        Metric(
            "unacknowledged",
            "unacknowledged",
            N,
            "Events that came out of a queue and that no call had acknowledged: a call that "
            "failed may have been accepted.",
        ),
        Metric(
            "failback",
            "failback",
            S,
            "From the heal to the first acknowledgement by the Region that was in use before the "
            "fault. None where there was no failover, or it did not come back in time.",
        ),
        Metric(
            "failback_gap",
            "gap at failback",
            S,
            "The longest time without an acknowledgement from the heal on.",
        ),
        Metric(
            "catch_up",
            "catch-up",
            S,
            "From the heal until the Region's queue had given every event that the other Region "
            "acknowledged between fault and heal. None where some did not come.",
        ),
        Metric(
            "events",
            "acknowledged events",
            N,
            "Events that a call returned an id for.",
        ),
        Metric(
            "failed_calls",
            "failed calls",
            N,
            "Calls that raised after all of the SDK's own retries.",
        ),
        Metric(
            "failed_entries",
            "failed entries",
            N,
            "Entries of calls that returned which have an ErrorCode instead of an id.",
        ),
        Metric("sdk_retries", "SDK retries", N, "Retries that the SDK made by itself."),
        Metric("slowest_call", "slowest call", S, "The longest call, its retries included."),
        Metric(
            "lag_p50",
            "replication lag p50",
            S,
            "From the acknowledgement to the other Region's queue giving the event, in the half "
            "that were quicker, of what came before the fault. Delivery and polling are in it.",
        ),
        Metric("lag_p99", "replication lag p99", S, "The same for 99 of 100."),
        Metric(
            "delivery_p50",
            "delivery p50",
            S,
            "From the acknowledgement to the same Region's queue giving the event, as above.",
        ),
        Metric("delivery_p99", "delivery p99", S, "The same for 99 of 100."),
    )
}

Figures = dict[str, float | None]
"""A value for each metric; None where it has none, which its definition explains."""


def value_text(unit: Unit, value: float | None) -> str:
    """Return a value as people read it."""
    if value is None:
        return "none"
    if unit is Unit.COUNT:
        return f"{value:.0f}"
    if value == 0.0:
        return "0 s"
    if value < 1.0:
        return f"{value * 1_000:.0f} ms"
    return f"{value:.2f} s" if value < 10.0 else f"{value:.1f} s"  # noqa: PLR2004 - three digits
