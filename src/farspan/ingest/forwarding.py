"""What becomes of an event that a rule forwards to a bus, decided without I/O.

In its own Region an event arrives as it is. From another Region it has another id and another time
(recorded from AWS). Either way a bus knows it again by the id that it was sent with, so that a
second sending is not a second event.
"""

from __future__ import annotations

import hashlib

import msgspec

from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch, event_id_of, format_time
from farspan.model.forwarding import ForwardedEvent, ForwardRequest

_ID_START = len(b'{"version":"0","id":"')
_ID_END = _ID_START + 36
_TIME_MEMBER = b',"time":"'
"""Inside a JSON string the quote would be escaped, and no earlier member can hold these bytes."""


class _Named(msgspec.Struct, rename="kebab"):
    source: str
    detail_type: str


_decode = msgspec.json.Decoder(_Named).decode


def arrival(
    forwarded: ForwardedEvent, request: ForwardRequest, *, event_bus: str, region: str, now: float
) -> EventBatch:
    """Return the batch in which a Region's bus keeps the event. `now` is in epoch seconds."""
    event, crosses = forwarded.event, request.from_region != region
    sent_id = event[_ID_START:_ID_END]
    call = CallId(hashlib.sha256(b"forwarded\0" + sent_id).digest()[:CALL_ID_BYTES])
    return EventBatch(
        event_bus=event_bus,
        call=call,
        events=(_renewed(event, event_id_of(call, 0), now) if crosses else event,),
        accepted_at=now,
        origin=forwarded.origin or request.from_region,
        is_forwarded=forwarded.is_forwarded or not crosses,
        trace_headers=() if forwarded.trace_header is None else (forwarded.trace_header,),
    )


def condition_keys_of(forwarded: ForwardedEvent | None) -> dict[str, str]:
    """Return the condition keys that the receiving bus's policy may ask of an event, or of any."""
    if forwarded is None:
        return {"events:eventBusInvocation": "true"}
    named = _decode(forwarded.event)
    return {
        "events:eventBusInvocation": "true",
        "events:source": named.source,
        "events:detail-type": named.detail_type,
    }


def _renewed(event: bytes, event_id: str, now: float) -> bytes:
    head, member, tail = event.partition(_TIME_MEMBER)
    return b"".join(
        (
            head[:_ID_START],
            event_id.encode(),
            head[_ID_END:],
            member,
            format_time(int(now)),
            tail[tail.index(b'"') :],
        )
    )
