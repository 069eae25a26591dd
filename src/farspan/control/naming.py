"""How a request names a bus, and what a request may not ask for yet."""

from __future__ import annotations

from farspan.catalog.permissions import check_permission
from farspan.control.condition_keys import call_keys, caller_keys, resource_keys
from farspan.control.plane import Caller, ControlPlane, Params
from farspan.errors import (
    AccessDeniedException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.arn import Arn, event_bus_arn, parse_arn, rule_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus


def event_bus_name(
    plane: ControlPlane, caller: Caller, given: str | None, operation_name: str
) -> str:
    """Return the name of the caller's bus that a request means by a name, an ARN or nothing.

    Raises ValidationException for an ARN of another Region, AccessDeniedException for one of
    another account.
    """
    if given is None:
        return DEFAULT_BUS_NAME
    arn = parse_arn(given)
    if arn is None:
        return given
    refuse_other_region(plane, arn)
    if arn.account != caller.account:
        raise AccessDeniedException(
            f"User: {caller.arn} is not authorized to perform: events:{operation_name} on "
            f"resource: {given} because no resource-based policy allows the "
            f"events:{operation_name} action"
        )
    return arn.resource.removeprefix("event-bus/")


def existing_event_bus(
    plane: ControlPlane, caller: Caller, given: str | None, operation_name: str
) -> EventBus:
    """Return the bus that a request means. Raises ResourceNotFoundException where there is none."""
    name = event_bus_name(plane, caller, given, operation_name)
    bus = plane.resources.event_bus(caller.account, name)
    if bus is None:
        raise ResourceNotFoundException(f"Event bus {name} does not exist.")
    return bus


def permitted_event_bus(
    plane: ControlPlane,
    caller: Caller,
    params: Params,
    operation_name: str,
    *,
    given: str | None = None,
    rule: str | None = None,
) -> EventBus:
    """Return the bus that a request means, where the bus's policy lets the caller do this.

    Another account needs an Allow; the bus's own account is stopped by a Deny alone. `given` names
    the bus where `EventBusName` does not. `rule` is the name of the rule that the request is
    about, which is then the resource that the policy has to speak of.

    Raises as `existing_event_bus`.
    """
    named = given or params.get("EventBusName")
    arn = parse_arn(named) if named else None
    if arn is None or arn.account == caller.account:
        bus = existing_event_bus(plane, caller, named, operation_name)
        if bus.policy is None:
            return bus
        owner, name = bus.account, bus.name
    else:
        refuse_other_region(plane, arn)
        owner, name = arn.account, arn.resource.removeprefix("event-bus/")
    found = plane.resources.event_bus(owner, name)
    check_permission(
        found,
        account=caller.account,
        principal=caller.arn,
        action=f"events:{operation_name}",
        resource=(
            event_bus_arn(plane.region, owner, name)
            if rule is None
            else rule_arn(plane.region, owner, name, rule)
        ),
        context={
            **caller_keys(caller, region=plane.region, now=plane.clock.now()),
            **resource_keys(plane, caller, owner, name, rule),
            **call_keys(operation_name, params),
        },
    )
    assert found is not None, "nobody is let in where there is nothing"
    return found


def refuse_other_region(plane: ControlPlane, arn: Arn) -> None:
    """Raise ValidationException where an ARN is of another Region."""
    if arn.region != plane.region:
        raise ValidationException("Cross-region API call is not allowed.")


def refuse_members(params: Params, *names: str) -> None:
    """Refuse members that Farspan does not have yet: ignoring them would be a false success.

    Raises ValidationException that names the member.
    """
    for name in names:
        if params.get(name):
            raise ValidationException(
                f"Parameter {name} is not valid. Reason: Farspan does not have {name} yet."
            )
