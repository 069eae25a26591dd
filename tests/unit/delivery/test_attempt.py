"""What follows from an attempt: every verdict in every situation, and the pauses between."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.delivery.attempt import (
    TOO_OLD,
    DeadLetter,
    Decision,
    Delivered,
    Drop,
    Exhausted,
    RetryAt,
    decide,
)
from farspan.delivery.backoff import PAUSE_SECONDS_MAX, pause_seconds
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.rule import RetryPolicy

PLANNED_AT = 1_000.0
QUEUE = "arn:aws:sqs:us-east-1:000000000000:letters"
POLICY = RetryPolicy(maximum_retry_attempts=3, maximum_event_age_in_seconds=100)

RETRYABLE = Outcome(verdict=Verdict.RETRYABLE, error_code="THROTTLED", error_message="slow down")
PERMANENT = Outcome(verdict=Verdict.PERMANENT, error_code="NO_RESOURCE", error_message="gone")
OUTCOMES = {
    Verdict.DELIVERED: DELIVERED,
    Verdict.RETRYABLE: RETRYABLE,
    Verdict.PERMANENT: PERMANENT,
    Verdict.TOO_OLD: TOO_OLD,
}

# situation: (attempts made, age at the end of the last one)
SITUATIONS = {
    "both left": (3, 50.0),
    "attempts used up": (4, 50.0),
    "age used up": (3, 99.0),
    "both used up": (4, 99.0),
}
ENDS_WITH = {
    "both left": None,
    "attempts used up": Exhausted.ATTEMPTS,
    "age used up": Exhausted.AGE,
    "both used up": Exhausted.ATTEMPTS,
}
CASES = list(itertools.product(Verdict, SITUATIONS, (QUEUE, None)))


def delivery(attempt_count: int, dead_letter_arn: str | None = QUEUE) -> Delivery:
    """Return a delivery after so many attempts."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn="r",
        target_id="t",
        target_arn="a",
        payload=b"{}",
        planned_at=PLANNED_AT,
        attempt_count=attempt_count,
        retry_policy=POLICY,
        dead_letter_arn=dead_letter_arn,
    )


def expected(verdict: Verdict, situation: str, queue: str | None, now: float) -> Decision:
    """Return what the table beside the theory says."""
    if verdict is Verdict.DELIVERED:
        return Delivered()
    if verdict is Verdict.RETRYABLE and situation == "both left":
        return RetryAt(now + 2.0)
    outcome = OUTCOMES[verdict]
    assert outcome.error_code is not None
    assert outcome.error_message is not None
    exhausted = ENDS_WITH[situation] if verdict is Verdict.RETRYABLE else None
    if verdict is Verdict.TOO_OLD:
        exhausted = Exhausted.AGE
    if queue is None:
        return Drop(outcome.error_code, outcome.error_message, exhausted)
    retries = SITUATIONS[situation][0] - 1
    return DeadLetter(queue, outcome.error_code, outcome.error_message, exhausted, retries)


@pytest.mark.parametrize(("verdict", "situation", "queue"), CASES)
def test_g3_every_verdict_is_decided_in_every_situation(
    verdict: Verdict, situation: str, queue: str | None
) -> None:
    """The table is total: each pair of verdict and situation comes to what it says (G3, G4)."""
    attempt_count, age = SITUATIONS[situation]
    now = PLANNED_AT + age

    decision = decide(delivery(attempt_count, queue), OUTCOMES[verdict], now, 0.5)

    assert decision == expected(verdict, situation, queue, now)


def test_age_has_two_sides() -> None:
    """A retry that falls on the last allowed second is made, and one after it is not."""
    one = delivery(1)

    assert decide(one, RETRYABLE, PLANNED_AT + 99.5, 0.5) == RetryAt(PLANNED_AT + 100.0)
    assert isinstance(decide(one, RETRYABLE, PLANNED_AT + 99.6, 0.5), DeadLetter)


def test_no_retries_means_one_attempt() -> None:
    """A policy without retries ends with the first failure."""
    policy = RetryPolicy(maximum_retry_attempts=0, maximum_event_age_in_seconds=100)
    one = Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn="r",
        target_id="t",
        target_arn="a",
        payload=b"",
        planned_at=PLANNED_AT,
        attempt_count=1,
        retry_policy=policy,
    )

    assert decide(one, RETRYABLE, PLANNED_AT, 0.0) == Drop(
        "THROTTLED", "slow down", Exhausted.ATTEMPTS
    )


def test_a_failure_without_a_name_is_unknown() -> None:
    """An outcome that names no error ends with a code all the same."""
    assert decide(delivery(1, None), Outcome(verdict=Verdict.PERMANENT), 0.0, 0.0) == Drop(
        "UNKNOWN", "", None
    )


@given(st.integers(1, 400), st.floats(0, 1, exclude_max=True))
def test_a_pause_is_bounded(attempt_count: int, fraction: float) -> None:
    """A pause is never negative, never above the cap and never above its doubling."""
    assert 0 <= pause_seconds(attempt_count, fraction) <= PAUSE_SECONDS_MAX
    assert pause_seconds(attempt_count, fraction) <= 2.0 ** (attempt_count - 1)


@given(st.integers(1, 400))
def test_pauses_grow(attempt_count: int) -> None:
    """Without jitter each pause is at least as long as the one before."""
    assert pause_seconds(attempt_count, 0.999) <= pause_seconds(attempt_count + 1, 0.999)


@pytest.mark.parametrize(
    ("attempt_count", "ceiling"), [(1, 1.0), (2, 2.0), (10, 512.0), (11, 934.0), (200, 934.0)]
)
def test_a_pause_doubles_up_to_the_cap(attempt_count: int, ceiling: float) -> None:
    """The ceiling doubles from a second to the cap, and half the jitter is half of it."""
    assert pause_seconds(attempt_count, 0.5) == ceiling / 2


@pytest.mark.parametrize(("asked", "pause"), [(0.0, 2.0), (1.0, 2.0), (30.0, 30.0)])
def test_a_target_that_asks_for_a_pause(asked: float, pause: float) -> None:
    """The longer of the back-off and what the target asks for is waited."""
    outcome = Outcome(verdict=Verdict.RETRYABLE, retry_after_seconds=asked)

    assert RetryAt(1_010.0 + pause) == decide(delivery(3), outcome, 1_010.0, 0.5)


def test_a_target_that_asks_for_too_long_a_pause() -> None:
    """A pause beyond the event's age ends the delivery at once (G4)."""
    outcome = Outcome(verdict=Verdict.RETRYABLE, error_code="C", retry_after_seconds=91.0)

    assert Drop("C", "", Exhausted.AGE) == decide(delivery(1, None), outcome, 1_010.0, 0.5)
