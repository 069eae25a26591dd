"""Partner event sources as their account sees them: Describe, List, Activate, Deactivate."""

from __future__ import annotations

from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import InvalidStateException, ResourceNotFoundException
from farspan.model.event_source import EventSource, EventSourceState, active, pending


@operation("events", "DescribeEventSource")
async def describe_event_source(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one event source."""
    return _shown(existing_source(plane, caller.account, params["Name"]))


@operation("events", "ListEventSources")
async def list_event_sources(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the event sources that partners offer to the caller, by name."""
    prefix, now = params.get("NamePrefix") or "", plane.clock.now()
    sources = plane.resources.table(EventSource).starting_with(f"{caller.account}/{prefix}")
    shown, token = page(
        [source for source in sources if source.exists_at(now)],
        lambda source: source.name,
        filter_text=f"ListEventSources/{prefix}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"EventSources": [_shown(source) for source in shown], "NextToken": token}


@operation("events", "ActivateEventSource", changes_resources=True)
async def activate_event_source(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Let a source's events reach its bus again. It needs the bus."""
    source = existing_source(plane, caller.account, params["Name"])
    has_bus = plane.resources.event_bus(caller.account, source.name) is not None
    if source.state is EventSourceState.DELETED or not has_bus:
        reason = "it is deleted" if has_bus else "it has no event bus"
        raise _invalid_state(source, f"activated: {reason}")
    if source.state is EventSourceState.PENDING:
        await plane.resources.save(active(source), now=plane.clock.now())
    return {}


@operation("events", "DeactivateEventSource", changes_resources=True)
async def deactivate_event_source(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Let a source's events reach its bus no more. After two weeks like this it is deleted."""
    source = existing_source(plane, caller.account, params["Name"])
    if source.state is EventSourceState.DELETED:
        raise _invalid_state(source, "deactivated: it is deleted")
    if source.state is EventSourceState.ACTIVE:
        now = plane.clock.now()
        await plane.resources.save(pending(source, now), now=now)
    return {}


def existing_source(plane: ControlPlane, account: str, name: str) -> EventSource:
    """Return an account's source. Raises ResourceNotFoundException where there is none."""
    source = plane.resources.table(EventSource).get(f"{account}/{name}")
    if source is None or not source.exists_at(plane.clock.now()):
        raise ResourceNotFoundException(f"Event source {name} does not exist.")
    return source


def offered_source(plane: ControlPlane, caller: Caller, name: str) -> EventSource:
    """Return the source for which a bus is to be made.

    Raises ResourceNotFoundException, and InvalidStateException where it is not PENDING.
    """
    source = existing_source(plane, caller.account, name)
    if source.state is not EventSourceState.PENDING:
        raise _invalid_state(source, "matched with an event bus")
    return source


def _invalid_state(source: EventSource, wish: str) -> InvalidStateException:
    """Return the refusal of a change of state. The text is our choice."""
    return InvalidStateException(
        f"Event source {source.name} is {source.state} and cannot be {wish}."
    )


def _shown(source: EventSource) -> Output:
    return {
        "Arn": source.arn,
        "CreatedBy": source.partner_name,
        "CreationTime": int(source.creation_time),
        "ExpirationTime": None if source.expiration_time is None else int(source.expiration_time),
        "Name": source.name,
        "State": str(source.state),
    }
