"""How a request names a bus, and what a request may not ask for yet."""

from __future__ import annotations

from collections.abc import Sequence

from farspan.catalog.permissions import check_permission
from farspan.control.plane import Caller, ControlPlane, Params
from farspan.errors import (
    AccessDeniedException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.arn import Arn, parse_arn, rule_arn
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
    given: str | None,
    operation_name: str,
    *,
    rule: str | None = None,
    targets: Sequence[str] = (),
) -> EventBus:
    """Return the bus that a request means; another account's where its policy allows the call.

    `rule` is the name of the rule that the request is about, which is then the resource that the
    policy has to speak of; `targets` are the ARNs that are put. A rule that is yet to be made
    counts as the caller's.

    Raises as `existing_event_bus`.
    """
    arn = parse_arn(given) if given is not None else None
    if arn is None or arn.account == caller.account:
        return existing_event_bus(plane, caller, given, operation_name)
    refuse_other_region(plane, arn)
    name = arn.resource.removeprefix("event-bus/")
    bus = plane.resources.event_bus(arn.account, name)
    context: dict[str, str | Sequence[str]] = {}
    if rule is not None:
        former = plane.resources.rule(arn.account, name, rule)
        context["events:creatorAccount"] = former.creator_account if former else caller.account
    if targets:
        context["events:TargetArn"] = targets
    check_permission(
        bus,
        account=caller.account,
        principal=caller.arn,
        action=f"events:{operation_name}",
        resource=str(arn) if rule is None else rule_arn(arn.region, arn.account, name, rule),
        context=context,
    )
    assert bus is not None, "nobody is let in where there is nothing"
    return bus


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
