"""The hot path's decode: it takes what the general one takes, and words errors as that does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from farspan.errors import AwsError, SerializationException, ValidationException
from farspan.ingest.entries import Entry, PutEventsRequest
from farspan.wire import put_events, spec
from farspan.wire.json_codec import decode_input
from farspan.wire.put_events import decode_put_events, endpoint_id_in
from farspan.wire.validate import check

ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}


def body(*entries: dict[str, Any], **members: object) -> bytes:
    """Return a request's body."""
    return json.dumps({"Entries": list(entries), **members}).encode()


def test_every_member_is_taken() -> None:
    """By the model's names; unknown ones are left out."""
    given = ENTRY | {
        "Time": 1.5,
        "Resources": ["r"],
        "EventBusName": "b",
        "TraceHeader": "h",
        "New": [1],
    }
    wanted = Entry(
        time=1.5,
        source="s",
        resources=["r"],
        detail_type="t",
        detail="{}",
        event_bus_name="b",
        trace_header="h",
    )

    assert PutEventsRequest(entries=[wanted], endpoint_id="a.b") == decode_put_events(
        body(given, EndpointId="a.b", Newer=1)
    )


def test_a_null_is_nothing() -> None:
    """As if the member had not been sent."""
    given = dict.fromkeys(("Time", "Resources", "EventBusName", "TraceHeader"))

    assert PutEventsRequest(entries=[Entry(source="s")]) == decode_put_events(
        body({"Source": "s", **given}, EndpointId=None)
    )


def outcome(decode: Callable[[bytes], int], sent: bytes) -> object:
    """Return how many entries there are, or the error's code and message."""
    try:
        return decode(sent)
    except AwsError as error:
        return error.code, error.message


VARIANTS = {
    "valid": body(ENTRY),
    "ten": body(*[ENTRY] * 10),
    "eleven": body(*[ENTRY] * 11),
    "none": body(),
    "missing": b"{}",
    "empty": b"",
    "cut-off": body(ENTRY)[:-1],
    "list": b"[]",
    "null-entry": b'{"Entries":[null]}',
    "null-resource": body(ENTRY | {"Resources": [None]}),
    "number-as-source": body(ENTRY | {"Source": 1}),
    "bus-empty": body(ENTRY | {"EventBusName": ""}),
    "bus-with-space": body(ENTRY | {"EventBusName": "a b"}),
    "bus-with-newline": body(ENTRY | {"EventBusName": "a\n"}),
    "bus-256": body(ENTRY | {"EventBusName": "b" * 256}),
    "bus-257": body(ENTRY | {"EventBusName": "b" * 257}),
    "bus-1600": body(ENTRY | {"EventBusName": "b" * 1_600}),
    "bus-1601": body(ENTRY | {"EventBusName": "b" * 1_601}),
    "bus-arn": body(ENTRY | {"EventBusName": "arn:aws:events:us-east-1:000000000000:event-bus/b"}),
    "bus-arn-of-a-rule": body(
        ENTRY | {"EventBusName": "arn:aws:events:us-east-1:000000000000:rule/b"}
    ),
    "trace-empty": body(ENTRY | {"TraceHeader": ""}),
    "trace-500": body(ENTRY | {"TraceHeader": "t" * 500}),
    "trace-501": body(ENTRY | {"TraceHeader": "t" * 501}),
    "resource-2048": body(ENTRY | {"Resources": ["r" * 2_048]}),
    "resource-2049": body(ENTRY | {"Resources": ["r" * 2_049]}),
    "time-a-text": body(ENTRY | {"Time": "2026-11-23T12:00:00Z"}),
    "endpoint": body(ENTRY, EndpointId="abcde.veo"),
    "endpoint-empty": body(ENTRY, EndpointId=""),
    "endpoint-no-dot": body(ENTRY, EndpointId="abcde"),
    "endpoint-two-dots": body(ENTRY, EndpointId="a.b.c"),
    "endpoint-50": body(ENTRY, EndpointId="a" * 46 + ".veo"),
    "endpoint-51": body(ENTRY, EndpointId="a" * 47 + ".veo"),
    "endpoint-97": body(ENTRY, EndpointId="a" * 48 + "." + "b" * 48),
    "endpoint-49-and-1": body(ENTRY, EndpointId="a" * 48 + ".b"),
}


@pytest.mark.parametrize("sent", VARIANTS.values(), ids=VARIANTS)
def test_it_agrees_with_the_general_decode(sent: bytes) -> None:
    """What the model's walk accepts is accepted, what it refuses is refused in the same words."""

    def plainly(sent: bytes) -> int:
        operation = spec.service("events").operations["PutEvents"]
        params = decode_input(operation, sent)
        check(operation, params)
        return len(params["Entries"])

    expected = outcome(plainly, sent)
    found = outcome(lambda sent: len(decode_put_events(sent).entries), sent)
    assert expected == found


def test_deep_nesting_is_no_crash() -> None:
    """A body nested without end is refused like any other."""
    with pytest.raises((SerializationException, ValidationException)):
        decode_put_events(b'{"Entries":' + b"[" * 100_000)


@pytest.mark.parametrize(
    ("sent", "endpoint_id"),
    [
        (b'{"EndpointId":"a.b","Entries":[]}', "a.b"),
        (b'{"Entries":[],"EndpointId":"a.b"}', "a.b"),
        (b'{"Entries":[],"EndpointId":null}', None),
        (b'{"Entries":[],"EndpointId":1}', None),
        (b'{"Entries":[{"EndpointId":"a.b"}]}', None),
        (b'{"Entries":["\\"EndpointId\\":\\"a.b\\""]}', None),
        (b'{"EndpointId":"a.b"', None),
        (b'"EndpointId"', None),
        (b'{"EndpointId":' + b"[" * 100_000, None),
        (b"", None),
    ],
    ids=[
        "first",
        "last",
        "null",
        "number",
        "inside-an-entry",
        "inside-a-text",
        "cut-off",
        "text",
        "deep",
        "empty",
    ],
)
def test_where_a_request_is_to_go(sent: bytes, endpoint_id: str | None) -> None:
    """The id is read at the top level alone, and never raises."""
    assert endpoint_id == endpoint_id_in(sent)


def test_the_fast_path_knows_the_models_figures() -> None:
    """The limits that it repeats are the model's."""
    request = spec.service("events").operations["PutEvents"].input_shape
    assert request is not None
    entries = request.members["Entries"].shape
    entry = entries.item.shape.members

    assert (1, put_events.ENTRY_COUNT_MAX) == (entries.minimum, entries.maximum)
    assert put_events.TEXT_LENGTH_MAX == entry["TraceHeader"].shape.maximum
    assert put_events.RESOURCE_LENGTH_MAX == entry["Resources"].shape.item.shape.maximum


def test_long_names_are_not_kept() -> None:
    """A name that no bus or endpoint can have is refused as before, and takes no memory."""
    checks = (put_events._is_event_bus_name, put_events._is_endpoint_id)
    kept = [check.cache_info().currsize for check in checks]
    for sent in (body(ENTRY | {"EventBusName": "x" * 5_000}), body(ENTRY, EndpointId="x" * 5_000)):
        with pytest.raises(ValidationException):
            decode_put_events(sent)

    assert kept == [check.cache_info().currsize for check in checks]
