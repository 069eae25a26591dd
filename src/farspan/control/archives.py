"""Archives: Create, Describe, List, Update, DeleteArchive.

What is archived, the managed rule's pattern decides; `archives` keeps it.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farspan.control.event_patterns import check_event_pattern
from farspan.control.managed_rules import reader_starts
from farspan.control.naming import existing_event_bus, refuse_members
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.archive import ARCHIVE_RULE_PREFIX, RETENTION_DAYS_MAX, Archive
from farspan.model.arn import parse_arn
from farspan.model.bus import EventBus
from farspan.store.base import Change


@operation("events", "CreateArchive", changes_resources=True)
async def create_archive(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create an archive of a bus's events, and with it the managed rule on that bus."""
    refuse_members(params, "KmsKeyIdentifier")
    name = params["ArchiveName"]
    bus = _source_bus(plane, caller, params["EventSourceArn"], "CreateArchive")
    if _archive(plane, caller, name) is not None:
        raise ResourceAlreadyExistsException(f"Archive {name} already exists.")
    if params.get("EventPattern"):
        check_event_pattern(plane, params["EventPattern"])
    archives = plane.resources.table(Archive)
    if len(archives.starting_with(f"{caller.account}/")) >= plane.quotas.archives:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    archive = Archive(
        region=plane.region,
        account=caller.account,
        name=name,
        uuid=plane.ids.uuid(),
        event_bus_name=bus.name,
        description=params.get("Description"),
        event_pattern=params.get("EventPattern") or None,
        retention_days=min(params.get("RetentionDays") or 0, RETENTION_DAYS_MAX),
        creation_time=now,
    )
    _refuse_taken_rule(plane, archive)
    await plane.resources.save(archive, now=now, also=await reader_starts(plane, bus))
    return _outcome(archive)


@operation("events", "DescribeArchive")
async def describe_archive(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one archive."""
    archive = existing_archive(plane, caller, params["ArchiveName"])
    return {
        "ArchiveArn": archive.arn,
        **await _listed(plane, archive),
        "Description": archive.description,
        "EventPattern": archive.event_pattern,
    }


@operation("events", "ListArchives")
async def list_archives(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's archives by name, filtered by one thing at most."""
    refuse_two_filters(params, "ListArchives")
    prefix, source = params.get("NamePrefix") or "", params.get("EventSourceArn")
    state = params.get("State")
    archives = plane.resources.table(Archive).starting_with(f"{caller.account}/{prefix}")
    if source:
        bus = _source_bus(plane, caller, source, "ListArchives")
        archives = [archive for archive in archives if archive.event_bus_name == bus.name]
    if state:
        archives = [archive for archive in archives if archive.state == state]
    shown, token = page(
        archives,
        lambda archive: archive.name,
        filter_text=f"ListArchives/{prefix}/{source}/{state}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"Archives": [await _listed(plane, archive) for archive in shown], "NextToken": token}


@operation("events", "UpdateArchive", changes_resources=True)
async def update_archive(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change what is given; the rest stays as it is. Its managed rule is whole again after it."""
    refuse_members(params, "KmsKeyIdentifier")
    if not any(member in params for member in ("EventPattern", "RetentionDays", "Description")):
        raise ValidationException(
            "At least one of EventPattern, RetentionDays or Description must be provided."
        )
    archive = existing_archive(plane, caller, params["ArchiveName"])
    changes: dict[str, Any] = {"rule_stands": True, "target_stands": True}
    if "EventPattern" in params:
        if params["EventPattern"]:
            check_event_pattern(plane, params["EventPattern"])
        changes["event_pattern"] = params["EventPattern"] or None
    if "RetentionDays" in params:
        changes["retention_days"] = min(params["RetentionDays"], RETENTION_DAYS_MAX)
    if "Description" in params:
        changes["description"] = params["Description"]
    changed = msgspec.structs.replace(archive, **changes)
    _refuse_taken_rule(plane, changed)
    also: tuple[Change, ...] = ()
    if not archive.rule_stands:
        bus = plane.resources.event_bus(archive.account, archive.event_bus_name)
        also = () if bus is None else await reader_starts(plane, bus)
    await plane.resources.save(changed, now=plane.clock.now(), also=also)
    return _outcome(changed)


@operation("events", "DeleteArchive", changes_resources=True)
async def delete_archive(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete an archive with its events, and its managed rule with it."""
    archive = existing_archive(plane, caller, params["ArchiveName"])
    ending = plane.archives.ending(archive)
    await plane.resources.remove(archive, now=plane.clock.now(), also=ending)
    return {}


def existing_archive(plane: ControlPlane, caller: Caller, name: str) -> Archive:
    """Return an archive. Raises ResourceNotFoundException where there is none."""
    archive = _archive(plane, caller, name)
    if archive is None:
        raise ResourceNotFoundException(f"Archive {name} does not exist.")
    return archive


def archive_behind(plane: ControlPlane, bus: EventBus, rule_name: str) -> Archive | None:
    """Return the archive whose managed rule on the bus has that name, or None."""
    if not rule_name.startswith(ARCHIVE_RULE_PREFIX):
        return None
    name = rule_name.removeprefix(ARCHIVE_RULE_PREFIX)
    archive = plane.resources.table(Archive).get(f"{bus.account}/{name}")
    if archive is None or archive.event_bus_name != bus.name or not archive.rule_stands:
        return None
    return archive


def refuse_two_filters(params: Params, operation_name: str) -> None:
    """Raise ValidationException where a request filters by more than one thing.

    That filters exclude each other is AWS's; the text is our choice.
    """
    filters = ("NamePrefix", "EventSourceArn", "State")
    if sum(bool(params.get(member)) for member in filters) > 1:
        raise ValidationException(
            "Only one of NamePrefix, EventSourceArn, or State can be provided for "
            f"{operation_name}."
        )


def _refuse_taken_rule(plane: ControlPlane, archive: Archive) -> None:
    """Raise where a rule of the caller's own has the name of the managed one. Our choice."""
    bus_name = archive.event_bus_name
    if plane.resources.rule(archive.account, bus_name, archive.rule_name) is not None:
        raise ResourceAlreadyExistsException(
            f"Rule {archive.rule_name} already exists on EventBus {bus_name}; the archive needs "
            "that name for its managed rule."
        )


def _source_bus(plane: ControlPlane, caller: Caller, text: str, operation_name: str) -> EventBus:
    arn = parse_arn(text)
    if arn is None or not arn.resource.startswith("event-bus/"):
        raise ValidationException(
            "Parameter EventSourceArn is not valid. Reason: Must contain an event bus ARN."
        )
    return existing_event_bus(plane, caller, text, operation_name)


def _archive(plane: ControlPlane, caller: Caller, name: str) -> Archive | None:
    return plane.resources.table(Archive).get(f"{caller.account}/{name}")


def _outcome(archive: Archive) -> Output:
    return {
        "ArchiveArn": archive.arn,
        "State": str(archive.state),
        "CreationTime": int(archive.creation_time),
    }


async def _listed(plane: ControlPlane, archive: Archive) -> Output:
    """Return what ListArchives shows: neither ARN nor description nor pattern."""
    size = await plane.archives.size(archive)
    return {
        "ArchiveName": archive.name,
        "EventSourceArn": archive.event_source_arn,
        "State": str(archive.state),
        "RetentionDays": archive.retention_days,
        "SizeBytes": size.byte_count,
        "EventCount": size.event_count,
        "CreationTime": int(archive.creation_time),
    }
