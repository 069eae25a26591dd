"""What a check of type CLOUDWATCH_METRIC makes of its metric.

Theory of operation. The Region of the alarm evaluates the check's own copy of the alarm's settings
over the metric's data points, as `metrics/alarm` does for alarms, and tells the other nodes the
state of this stream. OK is healthy and ALARM is not. With too little data the check's
InsufficientDataHealthStatus decides: Healthy, Unhealthy, or what the observer concluded last. One
that never concluded anything has nothing to say then, as after a restart.

A Region that is silent for a period of the alarm has no data points for it either: that is too
little data. Until then what it said last stands.

Pure. It must never see the alarm itself, or its state, which a caller may set as he likes.
"""

from __future__ import annotations

from enum import StrEnum

from farspan.health.check import CheckState, ProbeResult
from farspan.model.alarm import AlarmState
from farspan.model.health_check import InsufficientDataHealthStatus, Status


class Answer(StrEnum):
    """What follows from a stream's state."""

    HEALTHY = "HEALTHY"  # it is healthy now
    UNHEALTHY = "UNHEALTHY"  # it is not
    LAST = "LAST"  # what it was last


ANSWERS: dict[tuple[AlarmState, InsufficientDataHealthStatus], Answer] = {
    (AlarmState.OK, InsufficientDataHealthStatus.HEALTHY): Answer.HEALTHY,
    (AlarmState.OK, InsufficientDataHealthStatus.UNHEALTHY): Answer.HEALTHY,
    (AlarmState.OK, InsufficientDataHealthStatus.LAST_KNOWN_STATUS): Answer.HEALTHY,
    (AlarmState.ALARM, InsufficientDataHealthStatus.HEALTHY): Answer.UNHEALTHY,
    (AlarmState.ALARM, InsufficientDataHealthStatus.UNHEALTHY): Answer.UNHEALTHY,
    (AlarmState.ALARM, InsufficientDataHealthStatus.LAST_KNOWN_STATUS): Answer.UNHEALTHY,
    (AlarmState.INSUFFICIENT_DATA, InsufficientDataHealthStatus.HEALTHY): Answer.HEALTHY,
    (AlarmState.INSUFFICIENT_DATA, InsufficientDataHealthStatus.UNHEALTHY): Answer.UNHEALTHY,
    (AlarmState.INSUFFICIENT_DATA, InsufficientDataHealthStatus.LAST_KNOWN_STATUS): Answer.LAST,
}

WORDS: dict[AlarmState, str] = {
    AlarmState.OK: "The metric is within the alarm's threshold.",
    AlarmState.ALARM: "The metric is beyond the alarm's threshold.",
    AlarmState.INSUFFICIENT_DATA: "The metric has too little data.",
}


def look(
    stream: AlarmState, insufficient: InsufficientDataHealthStatus, state: CheckState
) -> ProbeResult | None:
    """Return what an observer whose check is at `state` sees, None where it cannot tell."""
    answer = ANSWERS[stream, insufficient]
    if answer is Answer.LAST and not state.settled:
        return None
    last = state.status is Status.HEALTHY
    healthy = last if answer is Answer.LAST else answer is Answer.HEALTHY
    return ProbeResult(healthy, f"{'Success' if healthy else 'Failure'}: {WORDS[stream]}")


def stands(silent_seconds: float, period_seconds: float, fresh_seconds: float) -> bool:
    """Tell whether what the alarm's Region said last still stands, so long after it said it."""
    return silent_seconds <= max(period_seconds, fresh_seconds)
