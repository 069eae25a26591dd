"""Events: their ids, their envelope and the batch in which the log keeps them.

The envelope's fields and their order are AWS's (EventBridge event structure): version, id,
detail-type, source, account, time, region, resources, detail; compact JSON.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import NewType

import msgspec

CallId = NewType("CallId", bytes)
"""What one PutEvents call is known by: 14 bytes, the first part of all of its event ids."""

CALL_ID_BYTES = 14

RESOURCES_MEMBER = b',"resources":['
"""Where an envelope's resources begin. Inside a JSON string the quote would be escaped, so the
first occurrence is the member itself: no earlier field can hold these bytes."""


END_OF_ARRAY = ord("]")

TIME_MEMBER = b'","time":"'
TIME_LENGTH = len("2026-11-23T12:00:00Z")

ID_START = len(b'{"version":"0","id":"')
ID_END = ID_START + 36
"""Where an envelope's id stands."""


def call_id_of(access_key_id: str, invocation_id: str, body_sha256: bytes) -> CallId:
    """Return the id of a call that an SDK may repeat.

    An SDK sends the same `amz-sdk-invocation-id` and the same body on every retry of one call, so
    a retry gives the same id, in whichever Region it arrives. Another caller's key gives another.
    """
    scope = b"\0".join((access_key_id.encode(), invocation_id.encode(), body_sha256))
    return CallId(hashlib.sha256(scope).digest()[:CALL_ID_BYTES])


def event_ids_of(call: CallId) -> Callable[[int], str]:
    """Return what gives the id of the event that entry `entry_index` (from 0) of `call` becomes.

    UUID-shaped lower-case hex, as EventBridge's are; like those it is no RFC 9562 version 4.
    """
    text = call.hex()
    common = f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"
    return lambda entry_index: f"{common}{entry_index:04x}"


def event_id_of(call: CallId, entry_index: int) -> str:
    """Return the id of the event that one entry of `call` becomes. See `event_ids_of`."""
    return event_ids_of(call)(entry_index)


class EventBatch(msgspec.Struct, frozen=True, kw_only=True):
    """The events that one call put on one bus: the unit of the log.

    `event_bus` is the log's key, `<account>/<name>`. `events` are whole envelopes as JSON.
    `trace_headers` are theirs in order, None for an event without one; nothing at all where no
    event of the batch has one. A trace is for targets, and never part of an event.
    `accepted_at` is seconds since the epoch. A batch sent through a global endpoint belongs to a
    `stream` (the EndpointId); `origin` is the Region that accepted it from a client. `sequence`
    numbers the events of one origin in one stream densely from 1: the number of the batch's first
    event, 0 outside a stream or while the store has not assigned it. `position` numbers the
    events of one bus likewise, 0 while not assigned. `is_forwarded` is set on what a rule of
    another bus of a Region sent: that may not go through a further one.
    """

    event_bus: str
    call: CallId
    events: tuple[bytes, ...]
    accepted_at: float
    origin: str
    stream: str | None = None
    sequence: int = 0
    position: int = 0
    trace_headers: tuple[str | None, ...] = ()
    is_forwarded: bool = False


def with_resource(envelope: bytes, resource: str) -> bytes:
    """Return the envelope with `resource` added in front of its resources.

    How a replica is marked: on AWS the endpoint's ARN stands in its resources. The bytes of every
    other field stay as they were.
    """
    at = envelope.find(RESOURCES_MEMBER) + len(RESOURCES_MEMBER)
    assert at >= len(RESOURCES_MEMBER), "an envelope always has resources"
    added = f'"{resource}"' if envelope[at] == END_OF_ARRAY else f'"{resource}",'
    return b"".join((envelope[:at], added.encode(), envelope[at:]))


def event_time_in(envelope: bytes) -> float | None:
    """Return the event's time in seconds since the epoch, None where it has none that can be read.

    In an envelope only the Region stands between the time and the resources.
    """
    head, _, _ = envelope.partition(RESOURCES_MEMBER)
    _, member, rest = head.rpartition(TIME_MEMBER)
    try:
        return datetime.fromisoformat(rest[:TIME_LENGTH].decode()).timestamp() if member else None
    except ValueError:
        return None


def replayed(envelope: bytes, event_id: str, replay_name: str) -> bytes:
    """Return an event as a replay sends it: another id, and the replay's name before the resources.

    The bytes of every other field stay as they were.
    """
    head, member, tail = envelope.partition(RESOURCES_MEMBER)
    assert member, "an envelope always has resources"
    return b"".join(
        (
            head[:ID_START],
            event_id.encode(),
            head[ID_END:],
            b',"replay-name":"',
            replay_name.encode(),
            b'"',
            member,
            tail,
        )
    )


def event_id_in(envelope: bytes) -> str:
    """Return the event's id, which stands at a fixed place in every envelope."""
    return envelope[ID_START:ID_END].decode()


@lru_cache(maxsize=1_024)
def format_time(seconds: int) -> bytes:
    """Return seconds since the epoch as the envelope has them: `2026-11-23T12:00:00Z`."""
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z").encode()


def event_bus_key(account: str, name: str) -> str:
    """Return the key of a bus's log."""
    return f"{account}/{name}"
