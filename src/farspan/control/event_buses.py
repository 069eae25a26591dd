"""Event buses: CreateEventBus, DescribeEventBus, ListEventBuses, DeleteEventBus."""

from __future__ import annotations

from farspan.control.archives import archives_of
from farspan.control.naming import event_bus_name, existing_event_bus, refuse_members
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.rules import rules_on
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ValidationException,
)
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus

EVENT_BUSES_MAX = 100
"""Buses in one account and Region (EventBridge quota)."""


@operation("events", "CreateEventBus", changes_resources=True)
async def create_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a bus of the caller's own."""
    refuse_members(
        params, "EventSourceName", "KmsKeyIdentifier", "DeadLetterConfig", "LogConfig", "Tags"
    )
    name = params["Name"]
    if name.startswith("aws."):
        raise ValidationException("EventBus name starting with 'aws.' is not valid.")
    if "/" in name:
        raise ValidationException(
            "Parameter Name is not valid. Reason: the name of a custom event bus has no '/'."
        )
    if plane.resources.event_bus(caller.account, name) is not None:
        raise ResourceAlreadyExistsException(f"Event bus {name} already exists.")
    if len(plane.resources.event_buses.starting_with(f"{caller.account}/")) >= EVENT_BUSES_MAX:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    bus = EventBus(
        region=plane.region,
        account=caller.account,
        name=name,
        description=params.get("Description"),
        creation_time=now,
        last_modified_time=now,
    )
    await plane.resources.save(bus, now=now)
    return {"EventBusArn": bus.arn, "Description": bus.description}


@operation("events", "DescribeEventBus")
async def describe_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one bus."""
    return _shown(existing_event_bus(plane, caller, params.get("Name"), "DescribeEventBus"))


@operation("events", "ListEventBuses")
async def list_event_buses(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's buses by name, the default one among them."""
    prefix = params.get("NamePrefix") or ""
    buses = plane.resources.event_buses.starting_with(f"{caller.account}/{prefix}")
    default = plane.resources.event_bus(caller.account, DEFAULT_BUS_NAME)
    if default is not None and DEFAULT_BUS_NAME.startswith(prefix):
        buses.append(default)
    shown, token = page(
        buses,
        lambda bus: bus.name,
        filter_text=f"ListEventBuses/{prefix}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"EventBuses": [_shown(bus) for bus in shown], "NextToken": token}


@operation("events", "DeleteEventBus", changes_resources=True)
async def delete_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a bus that has no rules. One that does not exist is deleted already."""
    name = event_bus_name(plane, caller, params["Name"], "DeleteEventBus")
    if name == DEFAULT_BUS_NAME:
        raise ValidationException("Cannot delete event bus default.")
    bus = plane.resources.event_bus(caller.account, name)
    if bus is None:
        return {}
    if rules_on(plane, bus) or archives_of(plane, bus):
        raise ValidationException("EventBus can't be deleted since it has rules.")
    await plane.resources.remove(bus, now=plane.clock.now())
    return {}


def _shown(bus: EventBus) -> Output:
    return {
        "Name": bus.name,
        "Arn": bus.arn,
        "Description": bus.description,
        "CreationTime": round(bus.creation_time, 3),
        "LastModifiedTime": round(bus.last_modified_time, 3),
    }
