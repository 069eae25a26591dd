"""Deliveries: a rule, a target and an event, which is the unit that is retried."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from farspan.model.rule import RetryPolicy


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way to one target of one rule.

    `payload` is what the target receives, after its input was made; where that came out as nothing
    that a target may get, `is_invalid` is set and the payload is what the dead letter shows.
    `attempt_count` counts the attempts made; `next_attempt_at` is when the next one was to be made
    after the last, 0 before there was one. `planned_at` is seconds since the epoch: the event's
    age counts from it. The retry policy and the dead-letter queue are copied, so that a change of
    the rule leaves what is under way alone; `parameters` too, the target's own members such as
    HttpParameters. `trace_header` goes to the target, or with the dead letter, beside the payload.
    `ingested_at` is when this Region had the event, 0 where that is not known: latencies count from
    it. `origin` and `is_forwarded` are those of the event's batch (`model.event`).
    """

    delivery_id: str
    event_id: str
    rule_arn: str
    target_id: str
    target_arn: str
    payload: bytes
    is_invalid: bool = False
    planned_at: float
    attempt_count: int = 0
    next_attempt_at: float = 0.0
    retry_policy: RetryPolicy = RetryPolicy()
    dead_letter_arn: str | None = None
    trace_header: str | None = None
    parameters: dict[str, Any] = {}
    role_arn: str | None = None
    ingested_at: float = 0.0
    origin: str = ""
    is_forwarded: bool = False


class Verdict(StrEnum):
    """What an attempt came to."""

    DELIVERED = "delivered"  # the target has it
    RETRYABLE = "retryable"  # it may work later
    PERMANENT = "permanent"  # it will never work
    TOO_OLD = "too old"  # no attempt was made: the event is older than its policy allows


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """The result of one attempt, with EventBridge's error code and message where it failed.

    `retry_after_seconds` is how long the target asks to be left alone.
    """

    verdict: Verdict
    error_code: str | None = None
    error_message: str | None = None
    retry_after_seconds: float = 0.0


DELIVERED = Outcome(verdict=Verdict.DELIVERED)
