"""The hot path's decode: it takes what the general one takes, and words errors as that does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.errors import AwsError, SerializationException, ValidationException
from farspan.ingest.entries import Entry, PutEventsRequest, entries_of
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


def outcome(decode: Callable[[bytes], object], sent: bytes) -> object:
    """Return what the decode returns, or the error's code and message."""
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
    "time-a-number-in-a-text": body(ENTRY | {"Time": "1.5"}),
    "time-true": body(ENTRY | {"Time": True}),
    "time-negative": body(ENTRY | {"Time": -1.5}),
    "time-year-0": body(ENTRY | {"Time": -62_135_596_801}),
    "time-year-10000": body(ENTRY | {"Time": 253_402_300_800}),
    "time-1e300": body(ENTRY | {"Time": 1e300}),
    "time-1e400": b'{"Entries":[{"Time":1e400}]}',
    "time-nan": body(ENTRY | {"Time": float("nan")}),
    "time-infinity": body(ENTRY | {"Time": float("-inf")}),
    "time-30-digits": body(ENTRY | {"Time": 10**30}),
    "source-twice": b'{"Entries":[{"Source":1,"Source":"s"}]}',
    "entries-twice": b'{"Entries":1,"Entries":[{"Source":"s"}]}',
    "unknown-with-a-lone-surrogate": b'{"Entries":[{"New":"\\ud800"}]}',
    "unknown-with-no-utf-8": b'{"Entries":[{"New":"\xff"}]}',
    "unknown-with-an-endless-number": b'{"Entries":[{}],"New":1e999}',
    "unknown-and-deep": b'{"Entries":[{}],"New":' + b"[" * 2_000 + b"]" * 2_000 + b"}",
    "no-utf-8": b'{"Entries":[{"Source":"\xff"}]}',
    "byte-order-mark": b"\xef\xbb\xbf" + body(ENTRY),
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


# --- whatever the body ---------------------------------------------------------------------------


def spelled(text: str) -> st.SearchStrategy[str]:
    """Return a JSON string of the text, some of its letters as escapes."""
    return st.lists(st.booleans(), min_size=len(text), max_size=len(text)).map(
        lambda escaped: (
            '"'
            + "".join(
                f"\\u{ord(letter):04x}" if escapes else letter
                for letter, escapes in zip(text, escaped, strict=True)
            )
            + '"'
        )
    )


LITERALS = st.one_of(
    st.sampled_from(["null", "true", "1", "-1.5", "1e300", "1e999", "NaN", "[]", "{}", "[[1]]"]),
    st.sampled_from(['"a.b"', '"ab"', '""', '"\\ud800"', '"2026-11-23T12:00:00Z"', '"{}"']),
    st.integers(-(10**30), 10**30).map(str),
    st.floats(allow_nan=False, allow_infinity=False).map(repr),
    st.text(max_size=8).map(json.dumps),
    st.sampled_from([500, 501, 2_048, 2_049]).map(lambda count: json.dumps("x" * count)),
)


def objects(names: list[str], values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Return JSON objects whose members may be unknown, or come twice."""
    name = st.sampled_from([*names, "New"]).flatmap(spelled)
    member = st.builds("{}:{}".format, name, values)
    return st.lists(member, max_size=5).map(lambda members: f"{{{','.join(members)}}}")


def arrays(items: st.SearchStrategy[str], size: int) -> st.SearchStrategy[str]:
    """Return JSON arrays."""
    return st.lists(items, max_size=size).map(lambda found: f"[{','.join(found)}]")


ENTRIES = objects(
    ["Source", "DetailType", "Detail", "Time", "Resources", "EventBusName", "TraceHeader"],
    st.one_of(LITERALS, arrays(LITERALS, 3)),
)
BODIES = objects(["EndpointId", "Entries"], st.one_of(LITERALS, arrays(ENTRIES, 11))).map(
    lambda text: text.encode("utf-8", "surrogatepass")
)


@given(st.one_of(BODIES, st.tuples(BODIES, st.binary(max_size=3)).map(b"".join)))
def test_the_two_decodes_never_differ(sent: bytes) -> None:
    """One verdict, in the same words, on any body; and it goes where the decode says."""

    def generally(sent: bytes) -> tuple[list[Entry], str | None]:
        operation = spec.service("events").operations["PutEvents"]
        params = decode_input(operation, sent)
        check(operation, params)
        return entries_of(params["Entries"]), params.get("EndpointId")

    def fast(sent: bytes) -> tuple[list[Entry], str | None]:
        request = decode_put_events(sent)
        return request.entries, request.endpoint_id

    expected, found = outcome(generally, sent), outcome(fast, sent)
    assert expected == found
    if isinstance(found, tuple) and isinstance(found[0], list):
        assert found[1] == endpoint_id_in(sent)


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
        (b'{"Entries":[],"\\u0045ndpoint\\u0049d":"a.b"}', "a.b"),
        (b'{"EndpointId":"a.b","Entries":[],"\\u0045ndpointId":"c.d"}', "c.d"),
        (b'{"EndpointId":"a.b","EndpointId":null,"Entries":[]}', None),
        (b'{"EndpointId":1,"EndpointId":"a.b","Entries":[]}', "a.b"),
        (b'{"Entries":[{"Detail":"\\u0000"}]}', None),
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
        "in-escapes",
        "twice",
        "taken-back",
        "twice-the-first-a-number",
        "an-escape-elsewhere",
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


@pytest.mark.parametrize("depth", range(900, 1_100, 10))
@pytest.mark.parametrize("first", ["", '"EndpointId":1,'], ids=["once", "twice"])
def test_the_address_of_a_deep_body(depth: int, first: str) -> None:
    """It is found where the body can be read at all."""
    nested = "[" * depth + "]" * depth
    sent = f'{{{first}"New":{nested},"EndpointId":"a.b","Entries":[{{}}]}}'.encode()
    found = outcome(lambda sent: decode_put_events(sent).endpoint_id, sent)

    assert found == endpoint_id_in(sent) or isinstance(found, tuple)


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
