"""What a bus's policy lets callers do: decided here for events and for rules alike.

An account needs no policy for its own buses, but an explicit Deny in one stops it too. Nothing
here may touch the store.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache

from farspan.errors import AccessDeniedException
from farspan.model.bus import EventBus
from farspan.policy import (
    FULL_ACCESS,
    Decision,
    Decisions,
    Policy,
    Reason,
    Request,
    denial_text,
    parse_bus_policy,
)

POLICIES_KEPT = 1_024
"""Policies kept parsed; each is at most 10,240 characters of text."""

_DECISIONS = Decisions()
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
) -> None:
    """Let a caller act on a bus, or on a rule of it, where the bus's policy lets it.

    Another account needs an Allow, the bus's own only the lack of a Deny. `principal` is the ARN
    of who in `account` asks; what that one's own policies say is not asked here. `bus` is None
    where there is none: who may not see it is not told so. Raises AccessDeniedException in AWS's
    words.
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
        decision = _DECISIONS.evaluate([FULL_ACCESS], policy_of(bus), request, own=own)
    if not decision.allowed:
        raise AccessDeniedException(denial_text(principal, action, resource, decision))


@lru_cache(maxsize=POLICIES_KEPT)
def _parsed(text: str, bus_arn: str) -> Policy:
    return parse_bus_policy(text, bus_arn=bus_arn)
