"""Permissions on buses: PutPermission, RemovePermission. What they allow is decided elsewhere."""

from __future__ import annotations

import msgspec

from farspan.catalog.permissions import policy_of
from farspan.control.naming import existing_event_bus
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import ValidationException
from farspan.model.bus import EventBus
from farspan.policy import (
    Policy,
    ShortCondition,
    add_statement,
    parse_bus_policy,
    remove_statement,
    render,
)

SHORT_MEMBERS = ("Action", "Principal", "StatementId", "Condition")
"""What makes one statement; `Policy` makes all of them."""


@operation("events", "PutPermission", changes_resources=True)
async def put_permission(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add a statement to a bus's policy, or replace the whole policy."""
    if "Policy" in params and any(member in params for member in SHORT_MEMBERS):
        raise ValidationException(
            "Action, Principal, StatementId and Condition could not be combined with Policy "
            "parameter."
        )
    bus = existing_event_bus(plane, caller, params.get("EventBusName"), "PutPermission")
    if "Policy" in params:
        policy = parse_bus_policy(params["Policy"], bus_arn=bus.arn)
    else:
        policy = add_statement(
            policy_of(bus),
            action=params.get("Action"),
            principal=params.get("Principal"),
            statement_id=params.get("StatementId"),
            condition=_condition(params),
            bus_arn=bus.arn,
        )
    await _save(plane, bus, policy)
    return {}


@operation("events", "RemovePermission", changes_resources=True)
async def remove_permission(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove one statement of a bus's policy, or all."""
    statement_id, every = params.get("StatementId"), bool(params.get("RemoveAllPermissions"))
    if statement_id is not None and every:
        raise ValidationException("StatementId could not be combined with All parameter.")
    if statement_id is None and not every:
        raise ValidationException("Parameter(s) StatementId must be specified.")
    bus = existing_event_bus(plane, caller, params.get("EventBusName"), "RemovePermission")
    policy = None if statement_id is None else remove_statement(policy_of(bus), statement_id)
    await _save(plane, bus, policy)
    return {}


def _condition(params: Params) -> ShortCondition | None:
    given = params.get("Condition")
    if given is None:
        return None
    return ShortCondition(type=given["Type"], key=given["Key"], value=given["Value"])


async def _save(plane: ControlPlane, bus: EventBus, policy: Policy | None) -> None:
    text = None if policy is None else render(policy)
    if text == bus.policy:
        return
    now = plane.clock.now()
    changed = msgspec.structs.replace(bus, policy=text, last_modified_time=now)
    await plane.resources.save(changed, now=now)
