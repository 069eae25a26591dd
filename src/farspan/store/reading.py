"""What the SQLite engine reads, as functions of a connection, the writer's or a reader's."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import cast

import apsw
import msgspec

from farspan.model.event import CallId, EventBatch
from farspan.store.base import StreamBounds, take_batches
from farspan.store.schema import BUS_SHIFT, POSITION_MASK, Sql

_encode = msgspec.msgpack.Encoder().encode
_decode_events = msgspec.msgpack.Decoder(tuple[bytes, ...]).decode
_decode_traced_events = msgspec.msgpack.Decoder(tuple[tuple[bytes, str | None], ...]).decode
_decode_forwarded = msgspec.msgpack.Decoder(
    tuple[bool, tuple[bytes, ...], tuple[str | None, ...]]
).decode


def bus_number(connection: apsw.Connection, name: str) -> int | None:
    """Return the number of a bus, None where it never had an event."""
    return cast("int | None", connection.execute(Sql.BUS_NUMBER, (name,)).get)


def log_end(connection: apsw.Connection, bus: int) -> int:
    """Return the position of the bus's last event, trimmed or not."""
    low, high = bus << BUS_SHIFT, (bus << BUS_SHIFT) | POSITION_MASK
    kept = connection.execute(Sql.KEPT_LOG_END, (bus,)).get or 0
    row = connection.execute(Sql.LAST_BATCH, (low, high)).get
    return kept if row is None else max(kept, (row[0] & POSITION_MASK) + row[1] - 1)


def stream_end(connection: apsw.Connection, stream: str, origin: str) -> int:
    """Return the sequence of the stream's last event of an origin, trimmed or not."""
    kept = connection.execute(Sql.KEPT_STREAM_END, (stream, origin)).get or 0
    row = connection.execute(Sql.LAST_OF_STREAM, (stream, origin)).get
    return kept if row is None else max(kept, row[0] + row[1] - 1)


def stream_bounds(connection: apsw.Connection, stream: str, origin: str) -> StreamBounds:
    """Return where a stream of an origin begins and ends."""
    with connection:  # the statements see one moment
        trimmed = connection.execute(Sql.KEPT_STREAM_END, (stream, origin)).get or 0
        start = connection.execute(Sql.STREAM_START, (stream, origin)).get or 0
        end = stream_end(connection, stream, origin)
    return StreamBounds(trimmed, start, end)


def last_position(batch: EventBatch) -> int:
    """Return the position of the batch's last event."""
    return batch.position + len(batch.events) - 1


def last_sequence(batch: EventBatch) -> int:
    """Return the sequence of the batch's last event."""
    return batch.sequence + len(batch.events) - 1


def write_events(batch: EventBatch) -> bytes:
    """Return a batch's events as the log has them: with their trace headers where one has one.

    What was forwarded has a form of its own, so that the rest needs no mark.
    """
    if batch.is_forwarded:
        return _encode((True, batch.events, batch.trace_headers))
    if not batch.trace_headers:
        return _encode(batch.events)
    return _encode(tuple(zip(batch.events, batch.trace_headers, strict=True)))


def read_events(body: bytes) -> tuple[tuple[bytes, ...], tuple[str | None, ...], bool]:
    """Return a batch's events, their trace headers and its mark, as `EventBatch` has them."""
    try:
        return _decode_events(body), (), False
    except msgspec.ValidationError:
        pass
    try:
        is_forwarded, events, trace_headers = _decode_forwarded(body)
    except msgspec.ValidationError:
        events, trace_headers = zip(*_decode_traced_events(body), strict=True)
        return events, trace_headers, False
    return events, trace_headers, is_forwarded


def take(
    rows: Iterable[tuple[object, ...]],
    event_bus: str | dict[int, str],
    limit: int,
    wanted: Callable[[EventBatch], bool],
) -> list[EventBatch]:
    """Return the first wanted batches that hold `limit` events or enough bytes together."""
    return take_batches(filter(wanted, _batches(rows, event_bus)), limit)


def _batches(
    rows: Iterable[tuple[object, ...]], event_bus: str | dict[int, str]
) -> Iterator[EventBatch]:
    for key, call, accepted_at, origin, stream, sequence, body in rows:
        key = cast("int", key)
        events, trace_headers, is_forwarded = read_events(cast("bytes", body))
        yield EventBatch(
            event_bus=event_bus if isinstance(event_bus, str) else event_bus[key >> BUS_SHIFT],
            call=CallId(cast("bytes", call)),
            events=events,
            accepted_at=cast("float", accepted_at),
            origin=cast("str", origin),
            stream=cast("str | None", stream),
            sequence=cast("int", sequence),
            position=key & POSITION_MASK,
            trace_headers=trace_headers,
            is_forwarded=is_forwarded,
        )
