"""How a request names a bus, and what a request may not ask for yet."""

from __future__ import annotations

from farspan.control.plane import Caller, ControlPlane, Params
from farspan.errors import (
    AccessDeniedException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.arn import parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus


def event_bus_name(
    plane: ControlPlane, caller: Caller, given: str | None, operation_name: str
) -> str:
    """Return the name of the bus that a request means by a name, an ARN or nothing.

    Raises ValidationException for an ARN of another Region, AccessDeniedException for one of
    another account, whose policies would have to allow the call.
    """
    if given is None:
        return DEFAULT_BUS_NAME
    arn = parse_arn(given)
    if arn is None:
        return given
    if arn.region != plane.region:
        raise ValidationException("Cross-region API call is not allowed.")
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


def refuse_members(params: Params, *names: str) -> None:
    """Refuse members that Farspan does not have yet: ignoring them would be a false success.

    Raises ValidationException that names the member.
    """
    for name in names:
        if params.get(name):
            raise ValidationException(
                f"Parameter {name} is not valid. Reason: Farspan does not have {name} yet."
            )
