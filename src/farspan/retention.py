"""What may leave the store: events that are old enough and that every reader has passed.

An event that a bus's reader has not delivered, or that the other Region has not yet copied, stays
however old it is: retention never costs an event that was acknowledged. Lists of timers that nobody
has any more leave as well, in steps.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Iterable, Sequence

from farspan.catalog.resources import Resources
from farspan.delivery.stored import delivery_cursor
from farspan.metrics.service import METRICS_PREFIX, STORED_SECONDS
from farspan.model.alarm import HISTORY_PREFIX, HISTORY_SECONDS
from farspan.model.archive import Archive
from farspan.model.endpoint import Endpoint
from farspan.model.log_group import LOG_PREFIX, LogGroup
from farspan.store.base import (
    LEFT_PREFIX,
    TRIM_BATCH_COUNT,
    Change,
    DeleteDocument,
    DropTimers,
    ExpireTimers,
    Result,
    Store,
    Trim,
)

SECONDS_A_DAY = 86_400
OWN_LOGS = {METRICS_PREFIX: STORED_SECONDS, HISTORY_PREFIX: HISTORY_SECONDS}
"""The logs that are of no bus, and how long they are kept."""

EXPIRE_COUNT = 1_000
"""Timers removed in one commit: a few tens of milliseconds."""

Pause = Callable[[], Awaitable[None]]
Commit = Callable[[Sequence[Change]], Awaitable[list[Result]]]


class Retention:
    """Trims the logs of one Region. `seconds` is how long passed events are kept all the same.

    `pause` is awaited after each commit, so that the commits of others come between.
    """

    def __init__(
        self,
        *,
        store: Store,
        resources: Resources,
        endpoints: Callable[[], Iterable[Endpoint]],
        shipped: Callable[[Endpoint], int],
        seconds: float,
        pause: Pause,
    ) -> None:
        self._store = store
        self._resources = resources
        self._endpoints = endpoints
        self._shipped = shipped
        self._seconds = seconds
        self._pause = pause

    async def trim_logs(self, now: float) -> None:
        """Look once at every bus's log and trim what may go. `now` is seconds since the epoch."""
        archives = self._resources.table(Archive).values()
        with_rules = {rule.event_bus_key for rule in self._resources.rules.values()}
        with_rules |= {archive.event_bus_key for archive in archives if archive.rule_stands}
        # The store's list, not the resources': default buses and deleted ones have logs as well.
        kept = {group.log_key: group for group in self._resources.table(LogGroup).values()}
        for event_bus in await self._store.event_buses():
            if event_bus.startswith(LOG_PREFIX):
                await self._trim_group(event_bus, kept.get(event_bus), now)
                continue
            kept_seconds = next(
                (seconds for prefix, seconds in OWN_LOGS.items() if event_bus.startswith(prefix)),
                None,
            )
            if kept_seconds is not None:
                last = await self._store.position_at(event_bus, now - kept_seconds)
                await self._trim(event_bus, last)
                continue
            last = await self._store.position_at(event_bus, now - self._seconds)
            if event_bus in with_rules:
                last = min(last, await self._store.cursor(delivery_cursor(event_bus)))
            last = min(last, await self._last_shipped(event_bus, last))
            await self._trim(event_bus, last)

    async def _trim(self, event_bus: str, last: int) -> None:
        removed: Result = TRIM_BATCH_COUNT
        while last > 0 and removed == TRIM_BATCH_COUNT:
            (removed,) = await self._store.commit([Trim(event_bus, last + 1)])
            await self._pause()

    async def remove_left(self) -> None:
        """Remove the lists of timers that nobody has any more."""
        for document in await self._store.documents(LEFT_PREFIX):
            timers = document.key.removeprefix(LEFT_PREFIX)
            await remove_timers(self._store.commit, timers, self._pause)

    async def _trim_group(self, log_key: str, group: LogGroup | None, now: float) -> None:
        """Trim what a log group keeps no longer, and all that a deleted one left."""
        last = await self._store.log_end(log_key)
        if group is not None:
            if group.retention_in_days is None:
                return
            seconds = group.retention_in_days * SECONDS_A_DAY
            last = await self._store.position_at(log_key, now - seconds)
        await self._trim(log_key, last)

    async def _last_shipped(self, event_bus: str, last: int) -> int:
        """Return the last position up to `last` before anything that has yet to be shipped."""
        for endpoint in self._endpoints():
            if not endpoint.replicates:
                continue
            shipped = self._shipped(endpoint)
            waiting = await self._store.read_stream(
                endpoint.endpoint_id, self._resources.region, shipped, 1
            )
            if waiting and waiting[0].event_bus == event_bus:
                last = min(last, waiting[0].position - 1)
            elif waiting and event_bus in endpoint.event_bus_keys:
                last = 0  # the endpoint changed its bus: first another one's events go across
        return last


async def remove_timers(commit: Commit, timers: str, pause: Pause | None = None) -> None:
    """Remove a list of timers in steps, so that the commits of others come between."""
    removed: Result = EXPIRE_COUNT
    while removed == EXPIRE_COUNT:
        (removed,) = await commit([ExpireTimers(timers, math.inf, EXPIRE_COUNT)])
        if pause is not None:
            await pause()
    await commit([DropTimers(timers), DeleteDocument(f"{LEFT_PREFIX}{timers}")])
