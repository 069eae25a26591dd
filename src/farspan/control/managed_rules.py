"""The managed rules of a bus: what follows from its global endpoints and its archives.

They are derived, never stored. Nothing here may look at who calls.
"""

from __future__ import annotations

from farspan.control.plane import ControlPlane
from farspan.delivery.stored import delivery_cursor
from farspan.model.archive import Archive, archive_rule
from farspan.model.bus import EventBus
from farspan.model.endpoint import managed_rule
from farspan.model.rule import Rule
from farspan.store.base import Change, MoveCursor


def managed_on(plane: ControlPlane, bus: EventBus, name: str | None = None) -> list[Rule]:
    """Return the managed rules of a bus, or the one of that name."""
    rules = [
        managed_rule(endpoint, plane.region)
        for endpoint in plane.world.endpoints()
        if endpoint.replicates
        and endpoint.event_bus_key == bus.key
        and plane.region in endpoint.regions
    ]
    rules += [archive_rule(archive) for archive in archives_of(plane, bus) if archive.rule_stands]
    return [rule for rule in rules if name in (None, rule.name)]


def archives_of(plane: ControlPlane, bus: EventBus) -> list[Archive]:
    """Return the archives that a bus has."""
    archives = plane.resources.table(Archive).starting_with(f"{bus.account}/")
    return [archive for archive in archives if archive.event_bus_name == bus.name]


async def reader_starts(plane: ControlPlane, bus: EventBus) -> tuple[Change, ...]:
    """Return what has to be committed with a rule or an archive that may be the bus's first.

    Events put before the bus had a rule match nothing: its reader begins at the log's end.
    """
    has_archive = any(archive.rule_stands for archive in archives_of(plane, bus))
    if has_archive or plane.resources.rules_of(bus.account, bus.name):
        return ()
    return (MoveCursor(delivery_cursor(bus.key), await plane.resources.log_end(bus.key)),)
