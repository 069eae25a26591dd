"""Event buses: CreateEventBus, DescribeEventBus, ListEventBuses, UpdateEventBus, DeleteEventBus."""

from __future__ import annotations

from typing import Any

import msgspec

from farspan.control.event_sources import offered_source
from farspan.control.managed_rules import archives_of
from farspan.control.naming import event_bus_name, existing_event_bus, permitted_event_bus
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.rules import rules_on
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ValidationException,
)
from farspan.model.arn import parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.event_source import EventSource, EventSourceState, active, pending
from farspan.model.tags import with_tags


@operation("events", "CreateEventBus", changes_resources=True)
async def create_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a bus of the caller's own, or the one that a partner event source waits for."""
    name, source_name = params["Name"], params.get("EventSourceName")
    _check_name(name, source_name)
    if plane.resources.event_bus(caller.account, name) is not None:
        raise ResourceAlreadyExistsException(f"Event bus {name} already exists.")
    source = None if source_name is None else offered_source(plane, caller, source_name)
    if len(_custom_buses(plane, caller)) >= plane.quotas.event_buses:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    bus = EventBus(
        region=plane.region,
        account=caller.account,
        name=name,
        event_source_name=source_name,
        tags=with_tags({}, params.get("Tags") or ()),
        creation_time=now,
        last_modified_time=now,
        **_settings(params),
    )
    await plane.resources.save(bus, *([active(source)] if source else []), now=now)
    return {"EventBusArn": bus.arn, **_shown_settings(bus)}


@operation("events", "DescribeEventBus")
async def describe_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one bus."""
    bus = permitted_event_bus(plane, caller, params, "DescribeEventBus", given=params.get("Name"))
    return {**_shown(bus), **_shown_settings(bus)}


@operation("events", "ListEventBuses")
async def list_event_buses(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's buses by name, the default one among them."""
    prefix = params.get("NamePrefix") or ""
    buses = [bus for bus in _custom_buses(plane, caller) if bus.name.startswith(prefix)]
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


@operation("events", "UpdateEventBus", changes_resources=True)
async def update_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change what is given; the rest stays as it is."""
    bus = existing_event_bus(plane, caller, params.get("Name"), "UpdateEventBus")
    now = plane.clock.now()
    changed = msgspec.structs.replace(bus, last_modified_time=now, **_settings(params))
    await plane.resources.save(changed, now=now)
    return {"Arn": changed.arn, "Name": changed.name, **_shown_settings(changed)}


@operation("events", "DeleteEventBus", changes_resources=True)
async def delete_event_bus(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a bus that has no rules. One that does not exist is deleted already.

    The source of a partner bus waits for its bus again, or goes where the partner deleted it.
    """
    name = event_bus_name(plane, caller, params["Name"], "DeleteEventBus")
    if name == DEFAULT_BUS_NAME:
        raise ValidationException("Cannot delete event bus default.")
    bus = plane.resources.event_bus(caller.account, name)
    if bus is None:
        return {}
    if rules_on(plane, bus) or archives_of(plane, bus):
        raise ValidationException("EventBus can't be deleted since it has rules.")
    now = plane.clock.now()
    source = plane.resources.table(EventSource).get(bus.key) if bus.event_source_name else None
    if source is None:
        await plane.resources.remove(bus, now=now)
    elif source.state is EventSourceState.DELETED:
        await plane.resources.remove(bus, source, now=now)
    else:
        await plane.resources.save(pending(source, now), now=now)
        await plane.resources.remove(bus, now=now)
    return {}


def _check_name(name: str, source_name: str | None) -> None:
    if source_name is not None:
        if name != source_name:
            raise ValidationException(
                "Parameter Name is not valid. Reason: a partner event bus has the name of its "
                "event source."
            )
        return
    if name.startswith("aws."):
        raise ValidationException("EventBus name starting with 'aws.' is not valid.")
    if "/" in name:
        raise ValidationException(
            "Parameter Name is not valid. Reason: the name of a custom event bus has no '/'."
        )


def _custom_buses(plane: ControlPlane, caller: Caller) -> list[EventBus]:
    """Return the account's buses but the default one, which is stored once it was changed."""
    buses = plane.resources.event_buses.starting_with(f"{caller.account}/")
    return [bus for bus in buses if bus.name != DEFAULT_BUS_NAME]


def _settings(params: Params) -> dict[str, Any]:
    """Return the settings that a request gives, as fields of the bus; empty ones are none."""
    settings: dict[str, Any] = {}
    if "Description" in params:
        settings["description"] = params["Description"]
    if "KmsKeyIdentifier" in params:
        settings["kms_key_identifier"] = params["KmsKeyIdentifier"] or None
    if "DeadLetterConfig" in params:
        arn = params["DeadLetterConfig"].get("Arn")
        if arn is not None:
            _check_queue_arn(arn)
        settings["dead_letter_arn"] = arn
    if "LogConfig" in params:
        settings["log_config"] = dict(params["LogConfig"]) or None
    return settings


def _check_queue_arn(text: str) -> None:
    """Accept the ARN of a standard queue. Whether it exists is not asked, as for targets."""
    arn = parse_arn(text)
    if arn is None or arn.service != "sqs" or arn.resource.endswith(".fifo"):
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        )


def _shown(bus: EventBus) -> Output:
    """Return what ListEventBuses shows."""
    return {
        "Name": bus.name,
        "Arn": bus.arn,
        "Description": bus.description,
        "Policy": bus.policy,
        "CreationTime": round(bus.creation_time, 3),
        "LastModifiedTime": round(bus.last_modified_time, 3),
    }


def _shown_settings(bus: EventBus) -> Output:
    return {
        "Description": bus.description,
        "KmsKeyIdentifier": bus.kms_key_identifier,
        "DeadLetterConfig": {"Arn": bus.dead_letter_arn} if bus.dead_letter_arn else None,
        "LogConfig": bus.log_config,
    }
