"""Replays: StartReplay, DescribeReplay, ListReplays, CancelReplay.

`advance_replays` runs them: it sends the archive's next events to the rules of the bus, in one
commit with how far the replay is, so that a restart neither loses nor repeats one.
"""

from __future__ import annotations

import logging
import math

import msgspec

from farspan.archives.service import ArchivedEvent
from farspan.control.archives import refuse_two_filters
from farspan.control.naming import existing_event_bus
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.rules import existing_rule
from farspan.errors import (
    IllegalStatusException,
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.archive import (
    ACTIVE_REPLAY_STATES,
    CANCELLABLE_REPLAY_STATES,
    Archive,
    Replay,
    ReplayState,
    Window,
    advance_replay,
    replayed_event,
)
from farspan.model.arn import Arn, parse_arn, rule_arn
from farspan.model.bus import EventBus
from farspan.model.event import event_bus_key
from farspan.model.rule import Rule
from farspan.store.base import Change

HISTORY_SECONDS = 90 * 86_400
"""How long a replay that has ended is shown (EventBridge user guide)."""

log = logging.getLogger("farspan.control")


@operation("events", "StartReplay", changes_resources=True)
async def start_replay(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Start a replay of a window of an archive to the archive's own bus."""
    name = params["ReplayName"]
    archive = _source(plane, caller, params["EventSourceArn"])
    bus = _destination(plane, caller, archive, params["Destination"]["Arn"])
    if params["EventStartTime"] >= params["EventEndTime"]:
        raise _invalid("EventEndTime", "EventStartTime must be before EventEndTime.")
    filter_arns = params["Destination"].get("FilterArns")
    for text in filter_arns or ():
        _check_filter(plane, bus, text)
    if f"{caller.account}/{name}" in plane.resources.table(Replay):
        raise ResourceAlreadyExistsException(f"Replay {name} already exists.")
    replays = plane.resources.table(Replay).starting_with(f"{caller.account}/")
    if sum(replay.state in ACTIVE_REPLAY_STATES for replay in replays) >= plane.quotas.replays:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    replay = Replay(
        region=plane.region,
        account=caller.account,
        name=name,
        archive_name=archive.name,
        archive_uuid=archive.uuid,
        event_bus_name=archive.event_bus_name,
        event_start_time=params["EventStartTime"],
        event_end_time=params["EventEndTime"],
        description=params.get("Description"),
        filter_arns=None if filter_arns is None else tuple(filter_arns),
        replay_start_time=now,
    )
    await plane.resources.save(replay, now=now)
    return {
        "ReplayArn": replay.arn,
        "State": str(replay.state),
        "ReplayStartTime": int(replay.replay_start_time),
    }


@operation("events", "DescribeReplay")
async def describe_replay(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one replay."""
    replay = _existing(plane, caller, params["ReplayName"])
    return {
        "ReplayArn": replay.arn,
        **_listed(replay),
        "Description": replay.description,
        "Destination": {
            "Arn": replay.destination_arn,
            **({} if replay.filter_arns is None else {"FilterArns": list(replay.filter_arns)}),
        },
    }


@operation("events", "ListReplays")
async def list_replays(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's replays by name, filtered by one thing at most."""
    refuse_two_filters(params, "ListReplays")
    prefix, source = params.get("NamePrefix") or "", params.get("EventSourceArn")
    state = params.get("State")
    shown, token = page(
        [
            replay
            for replay in plane.resources.table(Replay).starting_with(f"{caller.account}/{prefix}")
            if source in (None, replay.event_source_arn) and state in (None, replay.state)
        ],
        lambda replay: replay.name,
        filter_text=f"ListReplays/{prefix}/{source}/{state}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"Replays": [_listed(replay) for replay in shown], "NextToken": token}


@operation("events", "CancelReplay", changes_resources=True)
async def cancel_replay(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Tell a replay to stop; it is CANCELLED a moment later."""
    replay = _existing(plane, caller, params["ReplayName"])
    if replay.state not in CANCELLABLE_REPLAY_STATES:
        raise IllegalStatusException(
            f"Replay {replay.name} is not in a valid state for this operation."
        )
    changed = msgspec.structs.replace(replay, state=ReplayState.CANCELLING)
    await plane.resources.save(changed, now=plane.clock.now())
    return {"ReplayArn": changed.arn, "State": str(changed.state)}


def turns_between(before: float, now: float, per_second: int) -> int:
    """Return how many events a replay may send at `now`, after a look at `before`.

    Times are monotonic seconds. After a long pause there is one second's worth.
    """
    return min(per_second, math.floor(now * per_second) - math.floor(before * per_second))


async def advance_replays(plane: ControlPlane, turns: int) -> None:
    """Look once at every replay: run those that are active, forget those that ended long ago.

    Each sends `turns` events at the most, and none while a target that it sends to is behind.
    """
    now = plane.clock.now()
    for replay in list(plane.resources.table(Replay).values()):
        ended = replay.replay_end_time
        if ended is not None and now - ended < HISTORY_SECONDS:
            continue
        async with plane.changing:
            if plane.resources.table(Replay).get(replay.key) is not replay:
                continue
            if ended is not None:
                await plane.resources.remove(replay, now=now)
            else:
                await _advance(plane, replay, turns, now)


async def _advance(plane: ControlPlane, replay: Replay, turns: int, now: float) -> None:
    archive = plane.resources.table(Archive).get(f"{replay.account}/{replay.archive_name}")
    window = Window.MORE
    events: list[ArchivedEvent] = []
    if archive is None or archive.uuid != replay.archive_uuid:
        window = Window.GONE
    elif replay.state is ReplayState.RUNNING:
        if not turns or plane.delivery.is_behind(_rules(plane, replay)):
            return
        after = replay.place or (replay.event_start_time, 0)
        events = await plane.archives.read(archive, after, replay.event_end_time, turns)
        window = Window.MORE if events else Window.DONE
    advanced = advance_replay(replay, window, now)
    if events:
        advanced = msgspec.structs.replace(
            advanced, place=events[-1].place, event_last_replayed_time=events[-1].time
        )
    elif advanced.state is not replay.state:
        log.info("replay %s is %s reason=%r", replay.arn, advanced.state, advanced.state_reason)
    also = [change for event in events for change in _deliveries(plane, replay, event)]
    await plane.resources.save(advanced, now=now, also=tuple(also))


def _rules(plane: ControlPlane, replay: Replay) -> list[Rule]:
    """Return the rules that a replay sends to."""
    rules = plane.resources.rules_of(replay.account, replay.event_bus_name)
    return [rule for rule in rules if not replay.filter_arns or rule.arn in replay.filter_arns]


def _deliveries(plane: ControlPlane, replay: Replay, event: ArchivedEvent) -> list[Change]:
    """Return what sends an archived event to the rules of the bus, or to those that are named."""
    envelope = replayed_event(replay, event.envelope)
    rules = plane.delivery.matching(event_bus_key(replay.account, replay.event_bus_name), envelope)
    if replay.filter_arns:
        rules = [rule for rule in rules if rule.arn in replay.filter_arns]
    return plane.delivery.planned(envelope, rules)


def _source(plane: ControlPlane, caller: Caller, text: str) -> Archive:
    """Return the archive that is to be replayed; another account's does not exist for us."""
    arn = _own_region(plane, text)
    if arn is None or not arn.resource.startswith("archive/"):
        raise _invalid("EventSourceArn", "Must contain an archive ARN.")
    name = arn.resource.removeprefix("archive/")
    archive = plane.resources.table(Archive).get(f"{caller.account}/{name}")
    if archive is None or arn.account != caller.account:
        raise _invalid("EventSourceArn", f"Archive {name} does not exist.")
    return archive


def _destination(plane: ControlPlane, caller: Caller, archive: Archive, text: str) -> EventBus:
    arn = _own_region(plane, text)
    if arn is None or not arn.resource.startswith("event-bus/"):
        raise _invalid("Destination.Arn", "Must contain an event bus ARN.")
    if str(arn) != archive.event_source_arn:
        raise _invalid("Destination.Arn", "Cross event bus replay is not permitted.")
    return existing_event_bus(plane, caller, text, "StartReplay")


def _check_filter(plane: ControlPlane, bus: EventBus, text: str) -> None:
    name = text.rpartition("/")[2]
    if text != rule_arn(plane.region, bus.account, bus.name, name):
        raise _invalid(
            "Destination.FilterArns", f"Must contain ARNs of rules on EventBus {bus.name}."
        )
    existing_rule(plane, bus, name)


def _own_region(plane: ControlPlane, text: str) -> Arn | None:
    arn = parse_arn(text)
    if arn is not None and arn.service == "events" and arn.region not in ("", plane.region):
        raise ValidationException("Cross-region API call is not allowed.")
    return arn


def _invalid(parameter: str, reason: str) -> ValidationException:
    return ValidationException(f"Parameter {parameter} is not valid. Reason: {reason}")


def _existing(plane: ControlPlane, caller: Caller, name: str) -> Replay:
    replay = plane.resources.table(Replay).get(f"{caller.account}/{name}")
    if replay is None:
        raise ResourceNotFoundException(f"Replay {name} does not exist.")
    return replay


def _listed(replay: Replay) -> Output:
    """Return what ListReplays shows: neither ARN nor description nor destination."""
    return {
        "ReplayName": replay.name,
        "EventSourceArn": replay.event_source_arn,
        "State": str(replay.state),
        "StateReason": replay.state_reason,
        "EventStartTime": int(replay.event_start_time),
        "EventEndTime": int(replay.event_end_time),
        "EventLastReplayedTime": _whole(replay.event_last_replayed_time),
        "ReplayStartTime": int(replay.replay_start_time),
        "ReplayEndTime": _whole(replay.replay_end_time),
    }


def _whole(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds)
