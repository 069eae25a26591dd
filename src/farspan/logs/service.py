"""Log groups' events: written durably, read in order of time.

A group has one log in the store, in order of arrival; a read goes through the part of it in which
its times can be (`span`) and keeps no more than it returns. Writes to one group come one after the
other, for each also changes what its stream shows. What callers may write is decided elsewhere.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from farspan.catalog.resources import Resources
from farspan.clock import Clock, IdSource
from farspan.logs.span import Span, span_of
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


Page = tuple[list[Kept], int]
"""Events in order of arrival, and the time of arrival at which the page ends."""


class LogGone(Exception):
    """The group, or the stream, was deleted meanwhile."""


class LogService:
    """One Region's log events. Raises StoreError where the engine could not do its part."""

    def __init__(self, resources: Resources, clock: Clock, ids: IdSource) -> None:
        self._resources = resources
        self._clock = clock
        self._ids = ids
        self._writing: dict[str, asyncio.Lock] = {}
        self._arrivals: dict[str, float] = {}  # of the last write, by the log's key

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
            now = self._arrival(group)
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

    def _arrival(self, group: LogGroup) -> float:
        """Return when a write comes: now, but never before the write before it.

        A log is read by when its events came, also after a clock was set back.
        """
        last = self._arrivals.get(group.log_key)
        if last is None:
            times = (stream.last_ingestion_time or 0 for stream in self.streams(group))
            last = max(times, default=0) / 1_000
        last = self._arrivals[group.log_key] = max(last, self._clock.now())
        return last

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
            self._arrivals.pop(group.log_key, None)

    async def read(
        self,
        group: LogGroup,
        streams: Sequence[LogStream],
        window: tuple[int, int],
        wanted: Callable[[Kept], bool],
        limit: int,
        *,
        from_end: bool = False,
    ) -> list[Kept]:
        """Return the first `limit` wanted events in order of place, or the last ones.

        `wanted` takes none but events of the streams, with times from the window's start up to its
        end: what cannot hold any is not read.
        """
        span = span_of(streams, *window)
        if span is None:
            return []
        after = await self._before(group, span.first)
        pages = self._backward(group, after, span) if from_end else self._forward(group, after)
        pick = heapq.nlargest if from_end else heapq.nsmallest
        settled = span.is_settled_backward if from_end else span.is_settled_forward
        found: list[tuple[Place, Kept]] = []
        async for kept, edge in pages:
            fitting = [(one.place, one) for one in kept if wanted(one)]
            found = pick(limit, [*found, *fitting], key=_place_of)
            if len(found) == limit and settled(found[-1][0].timestamp, edge):
                break
            if not from_end and span.ends_before(edge):
                break
        return sorted((kept for _, kept in found), key=lambda kept: kept.place)

    async def _forward(self, group: LogGroup, after: int) -> AsyncIterator[Page]:
        """Yield what came after a position, page by page, each with when its last batch came."""
        while batches := await self._resources.read_log(group.log_key, after, READ_EVENT_COUNT):
            yield _events_of(batches), _ingestion_time(batches[-1])
            after = _last_position(batches[-1])

    async def _backward(self, group: LogGroup, after: int, span: Span) -> AsyncIterator[Page]:
        """Yield what came after a position and within a span, the latest page first.

        Each comes with when its first batch came.
        """
        low = high = await self._before(group, span.last + 1, exactly=False)
        while high > after:
            low = max(after, high - READ_EVENT_COUNT)
            batches: list[EventBatch] = []
            place = low
            while place < high:
                more = await self._resources.read_log(group.log_key, place, high - place)
                if not more or more[0].position > high:
                    break
                batches += more
                place = _last_position(more[-1])
            if not batches:
                return  # what came before is trimmed
            kept = _events_of(batches)
            yield (
                [one for one in kept if low < one.place.position <= high],
                _ingestion_time(batches[0]),
            )
            high = low

    async def _before(self, group: LogGroup, arrival: int, *, exactly: bool = True) -> int:
        """Return a position up to which everything came before a time, or after which nothing did.

        The first where it is `exactly` so, else the second. A log is in order of arrival.
        """
        low, high = 0, await self._resources.log_end(group.log_key)
        while high - low > READ_EVENT_COUNT:
            middle = (low + high) // 2
            batches = await self._resources.read_log(group.log_key, middle, 1)
            if batches and _ingestion_time(batches[0]) < arrival:
                low = _last_position(batches[0])
            else:
                high = middle
        return low if exactly else high

    def _new_stream(self, group: LogGroup, name: str) -> LogStream:
        return LogStream(
            account=group.account,
            log_id=group.log_id,
            name=name,
            stream_id=self.new_id(),
            creation_time=self._clock.now(),
            late_ms=0,
            early_ms=0,
        )

    def _lock(self, group: LogGroup) -> asyncio.Lock:
        return self._writing.setdefault(group.key, asyncio.Lock())


def _ingestion_time(batch: EventBatch) -> int:
    return int(batch.accepted_at * 1_000)


def _last_position(batch: EventBatch) -> int:
    return batch.position + len(batch.events) - 1


def _place_of(found: tuple[Place, Kept]) -> Place:
    return found[0]


def _events_of(batches: Sequence[EventBatch]) -> list[Kept]:
    kept: list[Kept] = []
    for batch in batches:
        ingestion_time = _ingestion_time(batch)
        for index, body in enumerate(batch.events):
            event = _decode(body)
            place = Place(event.timestamp, batch.position + index)
            kept.append(Kept(place, event, ingestion_time))
    return kept


def _most(known: int | None, times: Iterable[int]) -> int | None:
    """Return the most of what is known and of what is new; what is not known stays so."""
    return None if known is None else max([known, *times])


def _grown(stream: LogStream, times: Sequence[int], ingestion_time: int) -> LogStream:
    known = [
        t for t in (stream.first_event_timestamp, stream.last_event_timestamp) if t is not None
    ]
    return msgspec.structs.replace(
        stream,
        first_event_timestamp=min([*known, *times]),
        last_event_timestamp=max([*known, *times]),
        last_ingestion_time=ingestion_time,
        late_ms=_most(stream.late_ms, (ingestion_time - time for time in times)),
        early_ms=_most(stream.early_ms, (time - ingestion_time for time in times)),
    )
