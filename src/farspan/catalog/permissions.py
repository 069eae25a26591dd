"""What the policies of buses and queues let callers do: decided here for all who ask.

An account needs no policy for its own buses, but an explicit Deny in one stops it too. Nothing
here may touch the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from farspan.errors import AccessDeniedException, ValidationException
from farspan.model.arn import parse_arn
from farspan.model.bus import EventBus
from farspan.model.queue import Queue
from farspan.policy import (
    FULL_ACCESS,
    Decision,
    Decisions,
    Effect,
    Policy,
    Reason,
    Request,
    Statement,
    denial_text,
    parse_bus_policy,
    parse_queue_policy,
)

POLICIES_KEPT = 1_024
"""Policies kept parsed; each is at most 10,240 characters of text."""

_DECISIONS = Decisions()
EVENTS = "events.amazonaws.com"
NOBODY_ASKED = Decision(allowed=False, reason=Reason.NO_RESOURCE_ALLOW)


def policy_of(bus: EventBus) -> Policy | None:
    """Return a bus's policy, None where it has none."""
    return None if bus.policy is None else _parsed(bus.policy, bus.arn)


def check_permission(
    bus: EventBus | None,
    *,
    account: str,
    principal: str,
    action: str,
    resource: str,
    context: Mapping[str, str | Sequence[str | None]] | None = None,
    before_event: bool = False,
) -> None:
    """Let a caller act on a bus, or on a rule of it, where the bus's policy lets it.

    Another account needs an Allow, the bus's own only the lack of a Deny. `principal` is the ARN
    of who in `account` asks; what that one's own policies say is not asked here. `bus` is None
    where there is none: who may not see it is not told so. `before_event` asks whether some event
    may come in: what a policy says of events' members waits for the event. Raises
    AccessDeniedException in AWS's words.
    """
    decision = NOBODY_ASKED
    if bus is not None and bus.policy is not None:
        known = {
            "aws:PrincipalAccount": account,
            "aws:PrincipalArn": principal,
            "aws:PrincipalIsAWSService": "false",
            "aws:RequestedRegion": bus.region,
            "aws:ResourceAccount": bus.account,
        }
        request = Request(
            principal=principal,
            action=action,
            resource=resource,
            context={**known, **(context or {})},
        )
        own = bus.account == account
        policy = _for_some_event(bus.policy, bus.arn) if before_event else policy_of(bus)
        decision = _DECISIONS.evaluate([FULL_ACCESS], policy, request, own=own)
    if not decision.allowed:
        raise AccessDeniedException(denial_text(principal, action, resource, decision))


def lets_in(
    queue: Queue,
    *,
    account: str,
    principal: str,
    action: str,
    context: Mapping[str, str | Sequence[str | None]],
) -> bool:
    """Tell whether a queue's policy lets another account's caller act on it.

    What that one's own policies say is not asked here.
    """
    request = Request(
        principal=principal,
        action=action,
        resource=queue.arn,
        context={"aws:PrincipalAccount": account, "aws:ResourceAccount": queue.account, **context},
    )
    policy = _queue_policy(queue.given.get("Policy", ""))
    return (
        policy is not None
        and _DECISIONS.evaluate(
            [FULL_ACCESS], policy, request, own=queue.account == account
        ).allowed
    )


def takes_from_rule(queue: Queue, rule_arn: str, maker: str | None) -> bool:
    """Tell whether EventBridge may put a rule's events, or its dead letters, into a queue.

    The queue's account needs no policy for it where the rule is its own, or it is the rule's maker
    on another's bus, but a Deny stops it. Another account's rule needs an Allow.
    """
    policy = _queue_policy(queue.given.get("Policy", ""))
    arn = parse_arn(rule_arn)
    is_own = arn is not None and queue.account in (arn.account, maker)
    if policy is None or arn is None:
        return is_own
    request = Request(
        principal=EVENTS,
        action="sqs:SendMessage",
        resource=queue.arn,
        context={
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": EVENTS,
            "aws:SourceAccount": arn.account,
            "aws:SourceArn": rule_arn,
            "aws:ResourceAccount": queue.account,
        },
    )
    decision = _DECISIONS.evaluate([], policy, request, own=is_own)
    return decision.allowed or (is_own and decision.reason is not Reason.DENIED_BY_RESOURCE)


@lru_cache(maxsize=POLICIES_KEPT)
def _queue_policy(text: str) -> Policy | None:
    """Return a queue's policy; None where it has none, or one from before policies were read."""
    try:
        return parse_queue_policy(text) if text else None
    except ValidationException:
        return None


@lru_cache(maxsize=POLICIES_KEPT)
def _parsed(text: str, bus_arn: str) -> Policy:
    return parse_bus_policy(text, bus_arn=bus_arn)


@lru_cache(maxsize=POLICIES_KEPT)
def _for_some_event(text: str, bus_arn: str) -> Policy:
    """Return a policy without what it says of events: its Allows are wider, its Denies fewer."""
    statements: list[Statement] = []
    policy = _parsed(text, bus_arn)
    for statement in policy.statements:
        rest = tuple(test for test in statement.condition if not _is_of_event(test.key))
        if rest == statement.condition or statement.effect is Effect.ALLOW:
            statements.append(replace(statement, condition=rest))
    return replace(policy, statements=tuple(statements))


def _is_of_event(key: str) -> bool:
    lower = key.lower()
    return lower.startswith("events:") and lower != "events:eventbusinvocation"
