"""Log groups' events: written durably, read in order of time.

A group has one log in the store, in order of arrival; a read goes through it and keeps no more than
it returns. Writes to one group come one after the other, for each also changes what its stream
shows. What callers may write is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from farspan.catalog.resources import Resources
from farspan.clock import Clock, IdSource
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch
from farspan.model.log_group import LogEvent, LogGroup, LogStream
from farspan.store.base import Append, Change, Trim

READ_EVENT_COUNT: Final = 1_000
ID_BYTES: Final = 12

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(LogEvent).decode


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """Where an event stands among a group's: by time, then by arrival."""

    timestamp: int
    position: int


@dataclass(frozen=True, slots=True)
class Kept:
    """An event as the log has it."""

    place: Place
    event: LogEvent
    ingestion_time: int


class LogGone(Exception):
    """The group, or the stream, was deleted meanwhile."""


class LogService:
    """One Region's log events. Raises StoreError where the engine could not do its part."""

    def __init__(self, resources: Resources, clock: Clock, ids: IdSource) -> None:
        self._resources = resources
        self._clock = clock
        self._ids = ids
        self._writing: dict[str, asyncio.Lock] = {}

    def group(self, account: str, name: str) -> LogGroup | None:
        """Return a log group, or None."""
        return self._resources.table(LogGroup).get(f"{account}/{name}")

    def stream(self, group: LogGroup, name: str) -> LogStream | None:
        """Return a stream of a group, or None."""
        return self._resources.table(LogStream).get(f"{group.account}/{group.log_id}/{name}")

    def streams(self, group: LogGroup, prefix: str = "") -> list[LogStream]:
        """Return a group's streams whose names begin with `prefix`, by name."""
        start = f"{group.account}/{group.log_id}/{prefix}"
        return self._resources.table(LogStream).starting_with(start)

    async def add_stream(self, group: LogGroup, name: str) -> LogStream | None:
        """Make a stream; return None where there is one of that name."""
        async with self._lock(group):
            if self.stream(group, name) is not None:
                return None
            stream = self._new_stream(group, name)
            await self._resources.save(stream, now=self._clock.now())
            return stream

    async def write(
        self,
        group: LogGroup,
        stream_name: str,
        batches: Sequence[tuple[CallId, Sequence[LogEvent]]],
    ) -> None:
        """Put events into a stream in one commit, making the stream where there is none.

        Events are (anything, timestamp, message): the stream's mark is set here. A batch whose call
        the group's log has is there already. Raises LogGone where the group is not there any more.
        """
        async with self._lock(group):
            current = self.group(group.account, group.name)
            if current is None or current.log_id != group.log_id:
                raise LogGone
            now = self._clock.now()
            known = self.stream(group, stream_name)
            stream = known or self._new_stream(group, stream_name)
            appends: list[Change] = [
                Append(
                    EventBatch(
                        event_bus=group.log_key,
                        call=call,
                        events=tuple(
                            _encode(LogEvent(stream.stream_id, e.timestamp, e.message))
                            for e in events
                        ),
                        accepted_at=now,
                        origin=group.region,
                    )
                )
                for call, events in batches
            ]
            times = [event.timestamp for _, events in batches for event in events]
            await self._resources.save(
                _grown(stream, times, int(now * 1_000)), now=now, also=tuple(appends)
            )

    def new_call(self) -> CallId:
        """Return the id of a write that is not repeated."""
        return CallId(self._ids.token(CALL_ID_BYTES))

    def new_id(self) -> str:
        """Return an id for a log."""
        return self._ids.token(ID_BYTES).hex()

    async def remove_stream(self, group: LogGroup, stream: LogStream) -> None:
        """Remove a stream; its events are not shown any more and leave with their time."""
        async with self._lock(group):
            await self._resources.remove(stream, now=self._clock.now())

    async def remove_group(self, group: LogGroup) -> None:
        """Remove a group with its streams and events; of many, the rest leaves with retention."""
        async with self._lock(group):
            end = await self._resources.log_end(group.log_key)
            trim = (Trim(group.log_key, end + 1),)
            now = self._clock.now()
            await self._resources.remove(group, *self.streams(group), now=now, also=trim)

    async def read(
        self, group: LogGroup, wanted: Callable[[Kept], bool], limit: int, *, from_end: bool = False
    ) -> list[Kept]:
        """Return the first `limit` wanted events in order of place, or the last ones."""
        found: list[tuple[Place, int, Kept]] = []
        after = 0
        while batches := await self._resources.read_log(group.log_key, after, READ_EVENT_COUNT):
            fitting = [
                (kept.place, index, kept)
                for index, kept in enumerate(_events_of(batches))
                if wanted(kept)
            ]
            pick = heapq.nlargest if from_end else heapq.nsmallest
            found = pick(limit, [*found, *fitting])
            after = batches[-1].position + len(batches[-1].events) - 1
        return sorted((kept for _, _, kept in found), key=lambda kept: kept.place)

    def _new_stream(self, group: LogGroup, name: str) -> LogStream:
        return LogStream(
            account=group.account,
            log_id=group.log_id,
            name=name,
            stream_id=self.new_id(),
            creation_time=self._clock.now(),
        )

    def _lock(self, group: LogGroup) -> asyncio.Lock:
        return self._writing.setdefault(group.key, asyncio.Lock())


def _events_of(batches: Sequence[EventBatch]) -> Iterator[Kept]:
    for batch in batches:
        ingestion_time = int(batch.accepted_at * 1_000)
        for index, body in enumerate(batch.events):
            event = _decode(body)
            yield Kept(Place(event.timestamp, batch.position + index), event, ingestion_time)


def _grown(stream: LogStream, times: Sequence[int], ingestion_time: int) -> LogStream:
    known = [
        t for t in (stream.first_event_timestamp, stream.last_event_timestamp) if t is not None
    ]
    return msgspec.structs.replace(
        stream,
        first_event_timestamp=min([*known, *times]),
        last_event_timestamp=max([*known, *times]),
        last_ingestion_time=ingestion_time,
    )
