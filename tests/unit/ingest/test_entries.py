"""PutEvents entries: what is accepted, what is refused and how, and the envelope's bytes."""

from __future__ import annotations

import re

import msgspec
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from farspan.errors import ValidationException
from farspan.ingest import entries
from farspan.ingest.entries import (
    DETAIL_DEPTH_MAX,
    ENTRIES_BYTES_LIMIT,
    INTEGER_DIGITS_MAX,
    Acceptance,
    Entry,
    EntryError,
    Placement,
    accept_entries,
    check_size,
    format_time,
    is_json_object,
    trace_header_in,
)
from farspan.model.event import CallId
from farspan.pattern import compile_pattern

CALL = CallId(bytes(range(14)))
NOW = 1_700_000_000.75
BUS = "000000000000/default"


def entry(**fields: object) -> Entry:
    """Return an entry that is accepted, with other fields where they are named."""
    known = {"source": "shop", "detail_type": "order", "detail": "{}"}
    return Entry(**{**known, **fields})  # type: ignore[arg-type]


def accept(*entries: Entry, placement: Placement | None = None) -> Acceptance:
    """Accept entries for one bus."""
    return accept_entries(
        entries,
        call=CALL,
        account="000000000000",
        region="us-east-1",
        now=NOW,
        place=lambda _: placement or Placement(event_bus=BUS),
    )


def envelope(one: Entry) -> bytes:
    """Return the envelope of an entry that is accepted."""
    ((only,),) = accept(one).envelopes.values()
    return only


def is_matched(detail: str) -> bool:
    """Return whether a rule for every event of the source matches the accepted detail's event."""
    return compile_pattern('{"source":["shop"]}').matches(envelope(entry(detail=detail)))


# --- members -----------------------------------------------------------------------------------


@pytest.mark.parametrize("value", [None, ""], ids=["absent", "empty"])
@pytest.mark.parametrize(
    ("field", "name"), [("source", "Source"), ("detail_type", "DetailType"), ("detail", "Detail")]
)
def test_a_required_member_is_asked_for(field: str, name: str, value: str | None) -> None:
    """An entry without a required member fails with EventBridge's words for it."""
    acceptance = accept(entry(**{field: value}))

    assert acceptance == Acceptance(
        {},
        [
            EntryError(
                "InvalidArgument",
                f"Parameter {name} is not valid. Reason: {name} is a required argument.",
            )
        ],
    )


@pytest.mark.parametrize(
    ("source", "code"),
    [
        ("aws.ec2", "NotAuthorizedForSourceException"),
        ("aws.", "NotAuthorizedForSourceException"),
        ("aws", None),
        ("awsome", None),
        ("AWS.ec2", None),
        ("my.aws.ec2", None),
    ],
)
def test_awss_own_sources_are_reserved(source: str, code: str | None) -> None:
    """A source that begins with `aws.` is refused, and no other is."""
    (result,) = accept(entry(source=source)).results

    assert (result.code if isinstance(result, EntryError) else None) == code


MALFORMED = {
    "an array": "[]",
    "an array of objects": "[{}]",
    "a string": '"{}"',
    "a number": "1",
    "true": "true",
    "null": "null",
    "a space": " ",
    "half an object": "{",
    "too much": "{}}",
    "two objects": "{}{}",
    "two objects with a line between": "{}\n{}",
    "a trailing comma": '{"a":1,}',
    "a bare key": "{a:1}",
    "a number as key": "{1:1}",
    "single quotes": "{'a':1}",
    "a comment": '{"a":1/**/}',
    "NaN": '{"a":NaN}',
    "Infinity": '{"a":-Infinity}',
    "a leading zero": '{"a":01}',
    "a plus": '{"a":+1}',
    "a bare point": '{"a":1.}',
    "hexadecimal": '{"a":0x10}',
    "half a literal": '{"a":tru}',
    "an unknown escape": '{"a":"\\x41"}',
    "half an escape": '{"a":"\\u12"}',
    "a raw line break in a string": '{"a":"\n"}',
    "a raw NUL": '{"a":"\x00"}',
    "an escaped lone high surrogate": '{"a":"\\ud800"}',
    "an escaped lone low surrogate": '{"a":"\\udc00"}',
    "an escaped lone surrogate as key": '{"\\ud800x":1}',
    "a bare lone surrogate": '{"a":"\ud800"}',
    "a byte order mark": "\ufeff{}",
    "a no-break space in front": "\xa0{}",
    "a vertical tab in front": "\x0b{}",
}


@pytest.mark.parametrize("detail", MALFORMED.values(), ids=MALFORMED.keys())
def test_a_detail_that_is_no_json_object_is_malformed(detail: str) -> None:
    """Anything but one JSON object fails the entry, and never the request."""
    acceptance = accept(entry(detail=detail))

    assert acceptance == Acceptance({}, [EntryError("MalformedDetail", "Detail is malformed.")])


WELL_FORMED = {
    "empty": "{}",
    "space around": " \t\r\n{ } \n",
    "odd space within": '{\n\t"a" :\r[ 1 ,2 ] }',
    "a big integer": '{"a":123456789012345678901234567890}',
    "a long fraction": '{"a":0.1000000000000000055511151231257827}',
    "a number beyond a double": '{"a":1e400,"b":-1E+999999}',
    "a tiny number": '{"a":1e-99999999999999999999}',
    "minus zero": '{"a":-0,"b":-0.0}',
    "a key twice": '{"a":1,"a":2}',
    "an escaped pair": '{"a":"\\ud83d\\ude00"}',
    "an escaped NUL": '{"a":"\\u0000"}',
    "escaped ASCII": '{"\\u0061":"\\/"}',
    "text beyond ASCII": '{"ä":"日本語😀\u2028"}',
}


@pytest.mark.parametrize("detail", WELL_FORMED.values(), ids=WELL_FORMED.keys())
def test_a_detail_is_kept_as_it_was_sent(detail: str) -> None:
    """An accepted Detail stands in the envelope byte for byte, and rules can read the event."""
    assert envelope(entry(detail=detail)).endswith(b'"detail":' + detail.encode() + b"}")
    assert is_matched(detail)


# --- what rules could not read is not accepted ---------------------------------------------------


def nested(depth: int) -> str:
    """Return an object of the depth, itself counted, of objects and arrays in turn."""
    openers = [('{"a":', "}") if level % 2 == 0 else ("[", "]") for level in range(depth - 1)]
    innermost = "{}" if depth % 2 else "[]"
    closers = "".join(closer for _, closer in reversed(openers))
    return "".join(opener for opener, _ in openers) + innermost + closers


@pytest.mark.parametrize(
    ("depth", "accepted"),
    [
        (1, True),
        (2, True),
        (DETAIL_DEPTH_MAX, True),
        (DETAIL_DEPTH_MAX + 1, False),
        (990, False),
        (100_000, False),
    ],
)
def test_a_detail_nests_as_deep_as_rules_can_read(depth: int, accepted: bool) -> None:
    """The limit has two sides, and what is within it is matched."""
    detail = nested(depth)

    assert is_json_object(detail) is accepted
    assert not accepted or is_matched(detail)


@pytest.mark.parametrize(
    "detail",
    [
        pytest.param('{"a":[' + ",".join(["[{}]"] * 2_000) + "]}", id="wide"),
        pytest.param('{"a":"' + "[" * 5_000 + '"}', id="brackets in a string"),
        pytest.param('{"a":"\\"' + "[{" * 5_000 + '\\\\","b":[]}', id="after an escaped quote"),
    ],
)
def test_brackets_alone_are_not_depth(detail: str) -> None:
    """Many brackets side by side, or inside a string, are no reason to refuse."""
    assert is_json_object(detail)
    assert is_matched(detail)


def test_depth_after_a_string_of_brackets_is_seen() -> None:
    """A string that closes brackets does not hide how deep its neighbours are."""
    detail = '{"a":"' + "]" * 1_000 + '","b":' + nested(DETAIL_DEPTH_MAX) + "}"

    assert not is_json_object(detail)


LONG = "7" * INTEGER_DIGITS_MAX


@pytest.mark.parametrize(
    ("number", "accepted"),
    [
        pytest.param(LONG, True, id="at the limit"),
        pytest.param(f"-{LONG}", True, id="negative at the limit"),
        pytest.param(f"{LONG}7", False, id="above the limit"),
        pytest.param(f"-{LONG}7", False, id="negative above the limit"),
        pytest.param(LONG * 50, False, id="far above the limit"),
        pytest.param(f"{LONG * 2}.5", True, id="a fraction"),
        pytest.param(f"0.{LONG * 2}", True, id="fraction digits"),
        pytest.param(f"{LONG * 2}e1", True, id="an exponent"),
        pytest.param(f"{LONG * 2}E-9", True, id="a negative exponent"),
        pytest.param(f'"{LONG * 2}"', True, id="a string of digits"),
        pytest.param(f'"\\"{LONG * 2}"', True, id="digits after an escaped quote"),
        pytest.param(f"[1,{LONG}7]", False, id="in an array"),
        pytest.param(f'"{LONG * 2}",{LONG * 2}'.replace(",", ',"b":'), False, id="after a string"),
    ],
)
@pytest.mark.parametrize("filling", [0, 37, 99, 5_000], ids="filled with {}".format)
def test_an_integer_is_as_long_as_rules_can_read(number: str, accepted: bool, filling: int) -> None:
    """An integer that no rule could read makes its Detail malformed, wherever it stands."""
    detail = f'{{"f":"{"x" * filling}","a":{number}}}'

    assert is_json_object(detail) is accepted
    assert not accepted or is_matched(detail)


json_texts = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda children: st.lists(children) | st.dictionaries(st.text(), children),
    max_leaves=10,
)


@settings(max_examples=100, deadline=None, derandomize=True)
@given(st.text(alphabet='{}[]":,\\u0d8e1-+.tfn \n', max_size=30), st.integers(0, 40), json_texts)
@example("", 0, {})
def test_whatever_is_accepted_can_be_matched(noise: str, place: int, value: object) -> None:
    """No text is accepted that the matcher could not read, however it is broken."""
    try:
        text = msgspec.json.encode({"d": value}).decode()
    except UnicodeEncodeError:
        text = '{"d":1}'
    text = text[:place] + noise + text[place:]

    assert not is_json_object(text) or is_matched(text)


# --- time --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("time", "text"),
    [
        (None, "2023-11-14T22:13:20Z"),
        (0.0, "1970-01-01T00:00:00Z"),
        (1_700_000_001.999, "2023-11-14T22:13:21Z"),
        (-62_135_596_800.0, "0001-01-01T00:00:00Z"),
        (253_402_300_799.0, "9999-12-31T23:59:59Z"),
    ],
)
def test_time_is_in_whole_seconds(time: float | None, text: str) -> None:
    """An event has the entry's time, or the moment of acceptance, in seconds and UTC."""
    assert f'"time":"{text}"'.encode() in envelope(entry(time=time))


def test_format_time_is_a_date_in_utc() -> None:
    """A leap day is written as one."""
    assert format_time(1_709_164_800) == b"2024-02-29T00:00:00Z"


# --- envelopes and results ---------------------------------------------------------------------


def test_the_envelope_is_exact() -> None:
    """Fields, order and spacing are those of an EventBridge event."""
    one = entry(
        source="my.shop",
        detail_type='say "hi"',
        detail='{"n": 1.0}',
        time=0.0,
        resources=["arn:a", "arn:\u00fc"],
        event_bus_name="default",
        trace_header="Root=1",
    )

    assert (
        envelope(one)
        == (
            '{"version":"0","id":"00010203-0405-0607-0809-0a0b0c0d0000",'
            '"detail-type":"say \\"hi\\"","source":"my.shop","account":"000000000000",'
            '"time":"1970-01-01T00:00:00Z","region":"us-east-1",'
            '"resources":["arn:a","arn:\u00fc"],"detail":{"n": 1.0}}'
        ).encode()
    )


@pytest.mark.parametrize("resources", [None, []], ids=["absent", "empty"])
def test_an_envelope_without_resources_has_an_empty_list(resources: list[str] | None) -> None:
    """The member is there in every event."""
    assert b'"resources":[],"detail"' in envelope(entry(resources=resources))


@given(
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.text(st.characters(exclude_categories=["Cs"]), min_size=1),
    st.lists(st.text(st.characters(exclude_categories=["Cs"]))),
)
@settings(max_examples=50, deadline=None, derandomize=True)
def test_any_text_is_quoted(source: str, detail_type: str, resources: list[str]) -> None:
    """Whatever the texts hold, the envelope is JSON that gives them back."""
    one = entry(source=f"s{source}", detail_type=detail_type, resources=resources)

    event = msgspec.json.decode(envelope(one))

    assert [event["source"], event["detail-type"]] == [one.source, detail_type]
    assert event["resources"] == resources


def test_long_texts_are_not_kept() -> None:
    """What callers send does not decide how much memory the texts that come again take."""
    kept = entries._encode_often.cache_info().currsize
    long = "x" * (entries.TEXT_LENGTH_KEPT + 1)
    sent = envelope(entry(source=long, detail_type=long, resources=[long]))

    assert sent.count(f'"{long}"'.encode()) == 3
    assert entries._encode_often.cache_info().currsize == kept


def test_results_stand_in_the_order_of_the_entries() -> None:
    """Each entry has its result in its place; a bad one takes no id from its neighbours."""
    acceptance = accept(
        entry(detail='{"n":0}'), entry(detail="[]"), entry(detail='{"n":2}'), entry(source=None)
    )

    ids = [result if isinstance(result, str) else result.code for result in acceptance.results]
    envelopes = [msgspec.json.decode(text) for text in acceptance.envelopes[BUS]]

    assert [ids[1], ids[3]] == ["MalformedDetail", "InvalidArgument"]
    assert [ids[0][-4:], ids[2][-4:]] == ["0000", "0002"]
    assert [(e["id"], e["detail"]["n"]) for e in envelopes] == [(ids[0], 0), (ids[2], 2)]


def test_an_unknown_bus_gives_an_id_and_no_event() -> None:
    """EventBridge accepts an entry for a bus that does not exist, and drops it."""
    acceptance = accept(entry(), placement=Placement())

    assert acceptance.envelopes == {}
    assert re.fullmatch(r"[0-9a-f-]{36}", str(acceptance.results[0]))


def test_a_placement_can_refuse() -> None:
    """Why an entry cannot go to its bus becomes its result, after the entry's own flaws."""
    error = EntryError("InvalidArgument", "no such bus")

    assert accept(entry(), placement=Placement(error=error)).results == [error]
    assert accept(entry(detail="x"), placement=Placement(error=error)).results != [error]


def test_entries_go_to_their_own_buses() -> None:
    """The envelopes are gathered by bus, in the order of the entries."""
    acceptance = accept_entries(
        [entry(event_bus_name=name) for name in ("b", "a", "b")],
        call=CALL,
        account="1",
        region="us-east-1",
        now=NOW,
        place=lambda name: Placement(event_bus=f"1/{name}"),
    )

    numbers = {
        bus: [msgspec.json.decode(text)["id"][-1] for text in texts]
        for bus, texts in acceptance.envelopes.items()
    }

    assert numbers == {"1/b": ["0", "2"], "1/a": ["1"]}


# --- size --------------------------------------------------------------------------------------


def sized(byte_count: int, character: str = "x", time: float | None = None) -> list[Entry]:
    """Return two entries that count `byte_count` bytes in all."""
    first = entry(time=time)
    rest = byte_count - (13 if time is not None else 0) - 2 * len("shoporder{}")
    rest -= 1 if time is not None else 0
    width = len(character.encode())
    count, odd = divmod(rest - len('"a":""'), width)
    detail = '{"a":"' + character * count + "x" * odd + '"}'
    return [first, entry(detail=detail)]


@pytest.mark.parametrize("time", [None, 0.0], ids=["without time", "with time"])
@pytest.mark.parametrize("character", ["x", "é", "日", "😀"])
@pytest.mark.parametrize(
    ("byte_count", "fits"),
    [
        (1_000, True),
        (ENTRIES_BYTES_LIMIT - 1, True),
        (ENTRIES_BYTES_LIMIT, False),
        (ENTRIES_BYTES_LIMIT + 1, False),
    ],
)
def test_the_size_limit_counts_bytes(
    byte_count: int, fits: bool, character: str, time: float | None
) -> None:
    """Entries stay below 1,048,576 bytes of UTF-8 together; a Time counts 14."""
    entries = sized(byte_count, character, time)
    if fits:
        check_size(entries)
    else:
        with pytest.raises(ValidationException, match="over the limit"):
            check_size(entries)


def test_size_covers_resources_and_not_the_bus() -> None:
    """Source, DetailType, Detail and Resources count; the bus's name and trace header do not."""
    detail = '{"a":"' + "x" * (ENTRIES_BYTES_LIMIT - 200) + '"}'
    check_size([entry(detail=detail, event_bus_name="b" * 256, trace_header="t" * 500)])

    with pytest.raises(ValidationException):
        check_size([entry(detail=detail, resources=["r" * 100, "r" * 100])])


def test_too_large_a_request_is_refused_whole() -> None:
    """Where the entries are too large together, none is accepted."""
    with pytest.raises(ValidationException):
        accept(*sized(ENTRIES_BYTES_LIMIT))


# --- traces ------------------------------------------------------------------------------------

TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
OWN_TRACE = "Sampled=0;Root=1-5759e988-000000000000000000000000"


def traces(*entries: Entry, request: str | None = None) -> tuple[str | None, ...]:
    """Return the trace headers of a request's envelopes."""
    acceptance = accept_entries(
        entries,
        call=CALL,
        account="000000000000",
        region="us-east-1",
        now=NOW,
        place=lambda _: Placement(event_bus=BUS),
        trace_header=request,
    )
    return acceptance.trace_headers_of(BUS)


def test_an_event_has_its_entrys_trace() -> None:
    """In the order of the envelopes, whatever entries failed; and never in the envelope."""
    given = [entry(), entry(detail=""), entry(trace_header=OWN_TRACE), entry()]

    assert (None, OWN_TRACE, None) == traces(*given)
    assert b"Root=" not in envelope(entry(trace_header=OWN_TRACE))


def test_without_a_trace_there_is_nothing() -> None:
    """Not even a place for it."""
    assert () == traces(entry(), entry())


def test_the_requests_trace_is_for_entries_without_one() -> None:
    """An entry's own comes first."""
    assert (TRACE, OWN_TRACE) == traces(entry(), entry(trace_header=OWN_TRACE), request=TRACE)


@pytest.mark.parametrize("text", ["Root=1", "x", f"{TRACE[:-1]}{'1' * 500}", "Root=1-0-0;Parent=1"])
def test_what_names_no_trace_is_dropped(text: str) -> None:
    """And an entry that brought it does not get the request's instead."""
    assert trace_header_in(text) is None
    assert () == traces(entry(trace_header=text), request=TRACE)


@pytest.mark.parametrize("text", [TRACE, OWN_TRACE, "Self=1-x; Root=1-5759E988-" + "A" * 24])
def test_what_names_a_trace_is_kept(text: str) -> None:
    """As it was sent, whatever stands around the root."""
    assert text == trace_header_in(text)
