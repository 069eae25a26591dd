"""Paths into an event, and what they find."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.delivery.event_values import EVERY, Value, compact, find, parse_path

EVENT = (
    b'{"source":"shop","detail":{"n":1.0,"big":123456789012345678901234567890,"exp":1E+2,'
    b'"neg":-0,"none":null,"yes":true,"no": false, "text" : "a \\"b\\" \\u00fc\\/ \xc3\xa9",'
    b'"list":[ 1, "two" , {"x": [3 , 4]}, {"x":5}, []],"empty":{},"a/b":1,"a-b":2,"a_b":3,'
    b'"dot.ted":4,"0":"zero","twice":1,"twice":2,"orders":[{"lines":[{"sku":"a"},{"sku":"b"}]},'
    b'{"lines":[{"sku":"c"},{}]},{}]}}'
)


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("$", ()),
        ("$.detail", ("detail",)),
        ("$.detail-type", ("detail-type",)),
        ("$.a_b.c/d.E9", ("a_b", "c/d", "E9")),
        ("$.a[0][12].b", ("a", 0, 12, "b")),
        ("$.a[*].b", ("a", EVERY, "b")),
        ("$[0]", (0,)),
        ("$.0", ("0",)),
    ],
)
def test_a_path(text: str, path: tuple[str | int, ...]) -> None:
    """A path is names behind dots, indexes and `[*]`."""
    assert path == parse_path(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "detail",
        ".detail",
        "$detail",
        "$.",
        "$..detail",
        "$.detail.",
        "$.*",
        "$.detail.*",
        "$['detail']",
        '$["detail"]',
        "$.a[-1]",
        "$.a[0:2]",
        "$.a[0,1]",
        "$.a[]",
        "$.a[?(@.b)]",
        "$.a b",
        "$.ü",
        "$.a ",
        "$.a\n",
        "$.a[9999999999]",
        "$.a[\u0661]",
        "$$",
        "@.a",
    ],
)
def test_what_is_no_path(text: str) -> None:
    """Quotes, slices, filters, negative indexes and the rest of JSONPath are no path."""
    assert parse_path(text) is None


@pytest.mark.parametrize(
    ("path", "found"),
    [
        pytest.param("$.source", b'"shop"', id="string"),
        pytest.param("$.detail.n", b"1.0", id="a number keeps its zero"),
        pytest.param("$.detail.big", b"123456789012345678901234567890", id="a long integer"),
        pytest.param("$.detail.exp", b"1E+2", id="an exponent"),
        pytest.param("$.detail.neg", b"-0", id="minus zero"),
        pytest.param("$.detail.none", b"null", id="null is a value"),
        pytest.param("$.detail.yes", b"true", id="true"),
        pytest.param("$.detail.no", b"false", id="false after a blank"),
        pytest.param("$.detail.text", '"a \\"b\\" ü/ é"'.encode(), id="needless escapes go"),
        pytest.param("$.detail.list", b'[1,"two",{"x":[3,4]},{"x":5},[]]', id="compact"),
        pytest.param("$.detail.list[1]", b'"two"', id="index"),
        pytest.param("$.detail.list[2].x[1]", b"4", id="index inside"),
        pytest.param("$.detail.list[5]", None, id="index beyond the end"),
        pytest.param("$.detail.list[*]", b'[1,"two",{"x":[3,4]},{"x":5},[]]', id="every"),
        pytest.param("$.detail.list[*].x", b"[[3,4],5]", id="a member of those that have it"),
        pytest.param("$.detail.list[*].y", b"[]", id="a member that none has"),
        pytest.param(
            "$.detail.orders[*].lines[*].sku", b'["a","b","c"]', id="two levels, one list"
        ),
        pytest.param("$.detail.orders[*].lines[0].sku", b'["a","c"]', id="an index in each"),
        pytest.param("$.detail.list[4][*]", b"[]", id="every of nothing"),
        pytest.param("$.detail.empty", b"{}", id="empty object"),
        pytest.param("$.detail.a/b", b"1", id="slash"),
        pytest.param("$.detail.a-b", b"2", id="dash"),
        pytest.param("$.detail.a_b", b"3", id="underscore"),
        pytest.param("$.detail.0", b'"zero"', id="a name of digits"),
        pytest.param("$.detail.twice", b"2", id="of two members of a name the last"),
        pytest.param("$.detail.dot.ted", None, id="a name with a dot cannot be said"),
        pytest.param("$.detail.missing", None, id="missing"),
        pytest.param("$.detail.n.deeper", None, id="a member of a number"),
        pytest.param("$.detail.text.deeper", None, id="a member of a string"),
        pytest.param("$.detail.list.x", None, id="a member of an array"),
        pytest.param("$.detail[0]", None, id="an index of an object"),
        pytest.param("$.detail[*]", None, id="every of an object"),
        pytest.param("$.detail.missing[*].x", None, id="every of what is missing"),
    ],
)
def test_what_a_path_finds(path: str, found: bytes | None) -> None:
    """What stands there, as compact JSON with its numbers as they were sent."""
    steps = parse_path(path)

    assert steps is not None
    assert found == find(Value(EVENT), steps)


@pytest.mark.parametrize("raw", [b"", b"nonsense", b'{"a":', b"[1,", b"[" * 5_000, b'{"\xff":1}'])
def test_what_is_no_json_holds_nothing(raw: bytes) -> None:
    """Bytes that cannot be read are walked like an empty value."""
    value = Value(raw)

    assert (value.step("a"), value.step(0)) == (None, None)


@pytest.mark.parametrize(
    ("raw", "tight"),
    [
        (b'[ "\\ud800" , 1 ]', b'["\\ud800",1]'),
        (b'[ "a\\/b" , " " ]', b'["a/b"," "]'),
        (b'"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
        (b'" a "', b'" a "'),
    ],
)
def test_compact_json(raw: bytes, tight: bytes) -> None:
    """Blanks inside strings stay, and so does the half of a surrogate pair, which has no form."""
    assert tight == compact(raw)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, st.sampled_from([None, 2]), st.booleans())
def test_compact_json_means_the_same(value: object, indent: int | None, ascii_only: bool) -> None:
    """Blanks and escapes go; the value stays."""
    raw = json.dumps(value, indent=indent, ensure_ascii=ascii_only).encode()
    tight = compact(raw)

    assert value == json.loads(tight)
    assert len(tight) <= len(raw)
