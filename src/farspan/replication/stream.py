"""What replication says and decides: the request for a stream, the reply, and the commit. Pure.

A stream is one endpoint's events of one origin Region, numbered densely by that Region. The other
Region asks for what follows its cursor and commits the events and the cursor together, so that a
crash anywhere costs neither a gap nor a duplicate. Only events of one's own origin are shipped,
so nothing goes round.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from enum import StrEnum

import msgspec

from farspan.model.endpoint import Endpoint
from farspan.model.event import CallId, EventBatch, with_resource
from farspan.store.base import READ_BYTES_MAX, Append, BatchKey, Change, MoveCursor, StreamBounds


class StreamGap(Exception):
    """The reply does not follow on from the cursor. The message names both sequences."""


class StreamUnknown(Exception):
    """The other Region does not know the endpoint, so it cannot tell what it has of its events."""


class Purpose(StrEnum):
    """What a stream's events are asked for."""

    IN_ORDER = "in order"  # to be copied after all before them: what comes before, the asker has
    AHEAD = "ahead"  # the newest, to be copied ahead of a backlog
    AGAIN = "again"  # those that are missing from the copy


class StreamRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Ask for a stream's events beyond `after`; wait up to `wait_seconds` where there are none.

    `region` is who asks. `log` is the identity of the log in which `after` counts, empty while
    that is not known. Only where it is asked IN_ORDER does `after` say what the asking Region has.
    """

    stream: str
    region: str
    log: str
    after: int
    limit: int
    wait_seconds: float
    purpose: Purpose = Purpose.IN_ORDER


class ShippedBatch(msgspec.Struct, frozen=True, kw_only=True):
    """A batch on its way to the other Region. `accepted_at` is by the origin's clock.

    `event_bus` is the key of the bus that has it: an endpoint's bus may have changed since.
    """

    event_bus: str
    call: bytes
    sequence: int
    accepted_at: float
    events: tuple[bytes, ...]
    trace_headers: tuple[str | None, ...] = ()


class StreamReply(msgspec.Struct, frozen=True, kw_only=True):
    """The batches beyond the cursor, and the sequence at which the stream ends now.

    `log` is the identity of the Region's log: another one than was asked for means that the store
    was replaced, and the sequences begin anew. Then there are no batches, and the cursor of that
    log is to be asked with. `start` is the first sequence that the log still holds, 0 where it
    holds none. `known` is False where the Region does not know the endpoint (yet). `parent` is the
    log of which this one is a restored copy, the same up to the sequence `parent_end`; empty where
    there is none.
    """

    log: str
    end: int
    start: int = 0
    batches: tuple[ShippedBatch, ...] = ()
    known: bool = True
    parent: str = ""
    parent_end: int = 0


def replication_cursor(stream: str, origin: str, log: str) -> str:
    """Return the name of the cursor that says how much of a stream in an origin's log is here."""
    return f"replication/{stream}/{origin}/{log}"


def bounds_told(batches: Sequence[EventBatch], *, after: int, limit: int) -> StreamBounds | None:
    """Return where the stream begins and ends as a read beyond `after` tells by itself.

    None where it does not: it gave nothing, a gap comes first, or it stopped at its `limit`.
    """
    if not batches or batches[0].sequence > after + 1:
        return None
    event_count = sum(len(batch.events) for batch in batches)
    byte_count = sum(len(event) for batch in batches for event in batch.events)
    if event_count >= limit or byte_count >= READ_BYTES_MAX:
        return None
    last = batches[-1]
    return StreamBounds(0, batches[0].sequence, last.sequence + len(last.events) - 1)


def ship(log: str, batches: Sequence[EventBatch], *, start: int, end: int) -> StreamReply:
    """Return the reply that carries the batches as they stand in the origin's log."""
    return StreamReply(
        log=log,
        start=start,
        end=end,
        batches=tuple(
            ShippedBatch(
                event_bus=batch.event_bus,
                call=batch.call,
                sequence=batch.sequence,
                accepted_at=batch.accepted_at,
                events=batch.events,
                trace_headers=batch.trace_headers,
            )
            for batch in batches
        ),
    )


def check_reply(endpoint: Endpoint, origin: str, cursor: int, reply: StreamReply) -> None:
    """Raise where the reply says nothing about the stream that the cursor counts.

    StreamUnknown where the other Region does not know the endpoint; StreamGap where its stream
    ends before the cursor, as after a restore from a backup.
    """
    if not reply.known:
        raise StreamUnknown(f"{origin} does not know endpoint {endpoint.endpoint_id}.")
    if reply.end < cursor:
        raise StreamGap(
            f"Stream {endpoint.endpoint_id} of {origin} ends at {reply.end}, and {cursor} was "
            "copied before: it was set back to an older state."
        )


def first_left(cursor: int, reply: StreamReply) -> int | None:
    """Return the first sequence that can still be had, where events beyond the cursor are gone.

    They left the origin's log by retention before this Region asked for them, as for a secondary
    that came later or lost its disk: going on is right, silence would not be. None where nothing
    is missing.
    """
    if cursor >= reply.end:
        return None
    if reply.start == 0:
        return reply.end + 1
    return reply.start if reply.start > cursor + 1 else None


def plan_replicas(
    endpoint: Endpoint, origin: str, log: str, cursor: int, batches: Sequence[ShippedBatch]
) -> tuple[list[Change], int]:
    """Return the changes that take the batches over, and the cursor after them.

    Raises StreamGap where an event between the cursor and the batches is missing.
    """
    changes, cursor = plan_appends(endpoint, origin, cursor, batches)
    if changes:
        name = replication_cursor(endpoint.endpoint_id, origin, log)
        changes.append(MoveCursor(name, cursor))
    return changes, cursor


def plan_appends(
    endpoint: Endpoint, origin: str, cursor: int, batches: Sequence[ShippedBatch]
) -> tuple[list[Change], int]:
    """Return the appends that take over what of the batches is beyond the cursor, and their end.

    A replica keeps its ids, its time and its Region; the endpoint's ARN is added to its resources.
    Raises as `plan_replicas`.
    """
    changes: list[Change] = []
    for batch in batches:
        last = batch.sequence + len(batch.events) - 1
        if last <= cursor:
            continue  # asked again after a reply that got lost
        if batch.sequence != cursor + 1:
            raise StreamGap(
                f"Stream {endpoint.endpoint_id} of {origin}: after {cursor} came {batch.sequence}."
            )
        changes.append(Append(_replica(endpoint, origin, batch)))
        cursor = last
    return changes, cursor


def plan_repairs(
    endpoint: Endpoint, origin: str, missing: Collection[BatchKey], batches: Sequence[ShippedBatch]
) -> list[Change]:
    """Return the changes that take over those of the batches that are missing; no cursor moves."""
    return [
        Append(_replica(endpoint, origin, batch))
        for batch in batches
        if BatchKey(batch.sequence, len(batch.events), batch.call) in missing
    ]


def _replica(endpoint: Endpoint, origin: str, batch: ShippedBatch) -> EventBatch:
    arn = endpoint.arn
    return EventBatch(
        event_bus=batch.event_bus,
        call=CallId(batch.call),
        events=tuple([with_resource(event, arn) for event in batch.events]),
        accepted_at=batch.accepted_at,
        origin=origin,
        stream=endpoint.endpoint_id,
        sequence=batch.sequence,
        trace_headers=batch.trace_headers,
    )
