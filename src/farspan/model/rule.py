"""Rules and their targets, as EventBridge has them."""

from __future__ import annotations

from enum import StrEnum
from typing import Any, ClassVar

import msgspec

from farspan.model.arn import rule_arn
from farspan.model.event import event_bus_key

MANAGED_RULE_PREFIX = "GlobalEndpointManagedRule-"
"""How the rules that replicate a global endpoint's events are named (AWS: its role policy)."""

MANAGED_BY = "endpoints.events.amazonaws.com"
"""What `ManagedBy` says on them. AWS's own value is not documented; this is our choice."""


class RuleState(StrEnum):
    """Whether a rule matches events."""

    ENABLED = "ENABLED"  # matches
    DISABLED = "DISABLED"  # matches nothing
    ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS = (
        "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"  # matches, read-only CloudTrail calls too
    )


class RetryPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """How long a delivery is tried. The defaults are AWS's: 185 retries, 24 hours."""

    maximum_retry_attempts: int = 185
    maximum_event_age_in_seconds: int = 86_400


class InputTransformer(msgspec.Struct, frozen=True, kw_only=True, cache_hash=True):
    """A template, and the paths of its variables by name, in order; None where no map was given.

    Pairs rather than a dict, so that it can be the key of what was made of it.
    """

    input_template: str
    input_paths: tuple[tuple[str, str], ...] | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """Where a rule sends what it matches.

    At most one of `input`, `input_path` and `input_transformer` says what to send instead of the
    event. `parameters` are the members that its kind of target has for itself: HttpParameters and
    others. `given` is the target as PutTargets received it, for ListTargetsByRule to return.
    """

    id: str
    arn: str
    input: str | None = None
    input_path: str | None = None
    input_transformer: InputTransformer | None = None
    dead_letter_arn: str | None = None
    retry_policy: RetryPolicy = RetryPolicy()
    parameters: dict[str, Any] = {}
    role_arn: str | None = None
    given: dict[str, object] = {}

    @property
    def has_input(self) -> bool:
        """Whether the target receives something else than the event as it is."""
        return (
            self.input is not None
            or self.input_path is not None
            or self.input_transformer is not None
        )


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """A rule of a bus, with its targets by id.

    `account` is the bus's; `created_by` is the account that put the rule where that is another.
    `schedule_since` is when its schedule began, in seconds since the epoch: a rate counts from it.
    """

    KIND: ClassVar[str] = "rule"

    region: str
    account: str
    event_bus_name: str
    name: str
    event_pattern: str | None = None
    schedule_expression: str | None = None
    schedule_since: float = 0.0
    state: RuleState = RuleState.ENABLED
    description: str | None = None
    role_arn: str | None = None
    managed_by: str | None = None
    created_by: str | None = None
    targets: dict[str, Target] = {}
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The rule's ARN."""
        return rule_arn(self.region, self.account, self.event_bus_name, self.name)

    @property
    def creator_account(self) -> str:
        """The account that put the rule."""
        return self.created_by or self.account

    @property
    def key(self) -> str:
        """The key among rules."""
        return f"{self.account}/{self.event_bus_name}/{self.name}"

    @property
    def event_bus_key(self) -> str:
        """The key of the log that the rule reads."""
        return event_bus_key(self.account, self.event_bus_name)
