"""What becomes of an event that a rule forwards to a bus."""

from __future__ import annotations

import json

from farspan.ingest.forwarding import arrival, condition_keys_of
from farspan.model.forwarding import ForwardedEvent, ForwardRequest

EAST, WEST = "us-east-1", "us-west-2"
EVENT = (
    b'{"version":"0","id":"01234567-89ab-cdef-0123-456789abcdef","detail-type":"a,\\"time\\":\\"b",'
    b'"source":"s","account":"000000000000","time":"2020-01-01T00:00:00Z","region":"us-east-1",'
    b'"resources":[],"detail":{"time":"t"}}'
)


def forwarded(**changes: object) -> ForwardedEvent:
    """Return the event on its way."""
    return ForwardedEvent(**{"event": EVENT, "origin": EAST, **changes})  # type: ignore[arg-type]


def request(one: ForwardedEvent, from_region: str = EAST) -> ForwardRequest:
    """Return a request with the event."""
    return ForwardRequest(
        event_bus_arn="b", from_region=from_region, account="a", role_arn="r", events=(one,)
    )


def test_within_a_region_nothing_changes() -> None:
    """The bytes are the event's own; the mark says that it came from another bus."""
    one = forwarded(trace_header="Root=1")
    batch = arrival(one, request(one), event_bus="a/b", region=EAST, now=9.0)

    assert (EVENT,) == batch.events
    assert (True, EAST, ("Root=1",), 9.0) == (
        batch.is_forwarded,
        batch.origin,
        batch.trace_headers,
        batch.accepted_at,
    )


def test_across_regions_id_and_time_are_new() -> None:
    """Whatever the other members hold, they stay as they are; the origin stays known."""
    one = forwarded()
    batch = arrival(one, request(one), event_bus="a/b", region=WEST, now=1_700_000_000.5)
    before, after = json.loads(EVENT), json.loads(batch.events[0])

    assert {"id", "time"} == {key for key in before if before[key] != after[key]}
    assert "2023-11-14T22:13:20Z" == after["time"]
    assert (False, EAST) == (batch.is_forwarded, batch.origin)


def test_a_second_sending_is_the_same_call() -> None:
    """The bus knows the event again by the id that it was sent with, at any time."""
    one = forwarded()
    first, again = (
        arrival(one, request(one), event_bus="a/b", region=WEST, now=now) for now in (1.0, 2.0)
    )
    other = forwarded(event=EVENT.replace(b"01234567-", b"11234567-"))
    another = arrival(other, request(other), event_bus="a/b", region=WEST, now=1.0)

    assert first.call == again.call
    assert json.loads(first.events[0])["id"] == json.loads(again.events[0])["id"]
    assert first.call != another.call


def test_what_the_policy_may_ask() -> None:
    """The event's source and type, and that a bus invokes."""
    assert {
        "events:eventBusInvocation": "true",
        "events:source": "s",
        "events:detail-type": 'a,"time":"b',
    } == condition_keys_of(forwarded())
