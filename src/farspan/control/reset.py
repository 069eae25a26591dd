"""Everything of an account, or of all accounts, gone at once: what test suites do between tests.

Resources, queued messages, events, archived events and metrics of this Region. It is no AWS
operation; the server offers it under a path of its own, and not where signatures are verified,
unless the configuration allows it.
"""

from __future__ import annotations

from farspan.catalog.resources import Resource
from farspan.control.plane import ControlPlane
from farspan.delivery.stored import RETRY_TIMERS
from farspan.metrics.service import METRICS_PREFIX
from farspan.model.alarm import HISTORY_PREFIX
from farspan.model.archive import Archive
from farspan.model.log_group import LOG_PREFIX
from farspan.model.queue import Queue
from farspan.retention import remove_timers
from farspan.store.base import TRIM_BATCH_COUNT, Change, Trim

COMMIT_RESOURCE_COUNT = 500
"""Resources removed in one commit: others' commits wait for it."""


async def reset(plane: ControlPlane, account: str | None) -> int:
    """Remove what the account has in this Region, or what all have; return how many resources.

    Raises StoreError where the store cannot write; what was removed by then is removed.
    """
    async with plane.changing:
        now = plane.clock.now()
        found = [r for r in plane.resources.all() if account in (None, r.account)]
        for start in range(0, len(found), COMMIT_RESOURCE_COUNT):
            some = found[start : start + COMMIT_RESOURCE_COUNT]
            also: list[Change] = [
                change for resource in some for change in _ending(plane, resource)
            ]
            await plane.resources.remove(*some, now=now, also=tuple(also))
        for timers in await plane.resources.left_timers():
            await remove_timers(plane.resources.commit, timers)
        await plane.resources.forget(account)
        plane.metrics.forget(account)
        await _empty_logs(plane, account)
        if account is None:
            await remove_timers(plane.resources.commit, RETRY_TIMERS)
        return len(found)


def _ending(plane: ControlPlane, resource: Resource) -> tuple[Change, ...]:
    if isinstance(resource, Queue):
        return plane.queues.ending(resource)
    return plane.archives.ending(resource) if isinstance(resource, Archive) else ()


async def _empty_logs(plane: ControlPlane, account: str | None) -> None:
    """Remove the events of the account's buses. Positions go on: no id is given out twice."""
    for event_bus in await plane.resources.logs():
        own = (f"{account}/", f"{LOG_PREFIX}{account}/")
        is_own = event_bus in (f"{METRICS_PREFIX}{account}", f"{HISTORY_PREFIX}{account}")
        if account is None or event_bus.startswith(own) or is_own:
            end = await plane.resources.log_end(event_bus)
            removed: object = TRIM_BATCH_COUNT
            while removed == TRIM_BATCH_COUNT:
                (removed,) = await plane.resources.commit([Trim(event_bus, end + 1)])
