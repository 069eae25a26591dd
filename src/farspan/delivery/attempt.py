"""What follows from one attempt of a delivery. Pure: the service does what is decided here.

A delivery ends exactly once: delivered, dead-lettered, or dropped with a reason. Until then every
attempt is followed by a time for the next.

| outcome   | retries and age left | otherwise                               |
|-----------|----------------------|-----------------------------------------|
| delivered | Delivered            | Delivered                               |
| retryable | RetryAt              | DeadLetter or Drop, with what ran out   |
| permanent | DeadLetter or Drop   | DeadLetter or Drop                      |
| too old   | -                    | DeadLetter or Drop: the age ran out     |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from farspan.delivery.backoff import pause_seconds
from farspan.model.delivery import Delivery, Outcome, Verdict


class Exhausted(StrEnum):
    """What a delivery ran out of, in the words of a dead letter's EXHAUSTED_RETRY_CONDITION."""

    ATTEMPTS = "MaximumRetryAttempts"
    AGE = "MaximumEventAgeInSeconds"


@dataclass(frozen=True, slots=True)
class Delivered:
    """The target has it."""


@dataclass(frozen=True, slots=True)
class RetryAt:
    """Try again at `due`, seconds since the epoch."""

    due: float


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Send it to the dead-letter queue, with why."""

    arn: str
    error_code: str
    error_message: str
    exhausted: Exhausted | None
    retry_attempts: int


@dataclass(frozen=True, slots=True)
class Drop:
    """Give it up: there is no dead-letter queue."""

    error_code: str
    error_message: str
    exhausted: Exhausted | None


Decision = Delivered | RetryAt | DeadLetter | Drop


TOO_OLD: Final = Outcome(
    verdict=Verdict.TOO_OLD,
    error_code="UNKNOWN",
    error_message="The event is older than its retry policy allows; no further attempt was made.",
)
"""For a delivery whose turn comes too late: after an outage, or behind a slow target. What its last
attempt met is not stored, and EventBridge has no code of its own for this."""


def is_too_old(delivery: Delivery, now: float) -> bool:
    """Tell whether the event's age forbids any attempt at `now`."""
    return now - delivery.planned_at > delivery.retry_policy.maximum_event_age_in_seconds


def decide(delivery: Delivery, outcome: Outcome, now: float, fraction: float) -> Decision:
    """Return what follows from an attempt.

    `delivery.attempt_count` counts the attempt that just ended; `fraction` in [0, 1) is the jitter.
    """
    if outcome.verdict is Verdict.DELIVERED:
        return Delivered()
    if outcome.verdict is Verdict.PERMANENT:
        return _end(delivery, outcome, None)
    if outcome.verdict is Verdict.TOO_OLD:
        return _end(delivery, outcome, Exhausted.AGE)
    policy = delivery.retry_policy
    if delivery.attempt_count > policy.maximum_retry_attempts:
        return _end(delivery, outcome, Exhausted.ATTEMPTS)
    # The longer of the two, as EventBridge waits after a Retry-After header.
    pause = max(pause_seconds(delivery.attempt_count, fraction), outcome.retry_after_seconds)
    due = now + pause
    if due - delivery.planned_at > policy.maximum_event_age_in_seconds:
        return _end(delivery, outcome, Exhausted.AGE)
    return RetryAt(due)


def _end(delivery: Delivery, outcome: Outcome, exhausted: Exhausted | None) -> DeadLetter | Drop:
    code = outcome.error_code or "UNKNOWN"
    message = outcome.error_message or ""
    if delivery.dead_letter_arn is None:
        return Drop(code, message, exhausted)
    return DeadLetter(
        delivery.dead_letter_arn, code, message, exhausted, max(0, delivery.attempt_count - 1)
    )
