"""Each hint: a pattern, an event that nearly matches it, and what is said to be wrong."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from farspan.pattern import compile_pattern, explain

SOURCE = Path(__file__).parents[3] / "src" / "farspan" / "pattern"
ORDER = {
    "source": "shop.orders",
    "detail-type": "OrderPaid",
    "detail": {"order": {"id": 7, "state": "Paid"}, "tags": [], "note": None, "code": ""},
}

# code, what the pattern asks of `detail.v`, the event's `detail.v`, the suggestion
VALUES: list[tuple[str, Any, Any, str | None]] = [
    ("case", "Paid", "paid", '{"equals-ignore-case": "Paid"}'),
    ("case", {"prefix": "Ab"}, "ABC", '{"prefix": {"equals-ignore-case": "Ab"}}'),
    ("case", {"suffix": "BC"}, "abc", '{"suffix": {"equals-ignore-case": "BC"}}'),
    ("case", {"wildcard": "A*"}, "abc", None),
    ("white-space", "paid", "paid ", None),
    ("white-space", "paid ", "paid", '"paid"'),
    ("white-space", {"suffix": "id"}, "paid\n", None),
    ("white-space", {"equals-ignore-case": "PAID"}, " paid", None),
    (
        "colon-or-slash",
        "arn:aws:events:us-east-1:1:rule:r",
        "arn:aws:events:us-east-1:1:rule/r",
        None,
    ),
    ("colon-or-slash", {"prefix": "a/b"}, "a:bc", None),
    ("colon-or-slash", {"wildcard": "a/*"}, "a:b", None),
    ("star-is-text", "order-*", "order-7", '{"wildcard": "order-*"}'),
    ("star-is-text", {"prefix": "order-*"}, "order-7", '{"prefix": "order-"}'),
    ("star-is-text", {"suffix": "*.png"}, "a.png", '{"suffix": ".png"}'),
    ("star-is-text", {"prefix": "a*b*"}, "a-b-c", '{"wildcard": "a*b*"}'),
    ("number-against-string", 5, "5", '"5"'),
    ("number-against-string", 5, "5.0", '"5.0"'),
    ("numeric-on-string", {"numeric": [">", 4]}, "5", None),
    ("string-against-number", "5", 5, "5"),
    ("string-against-number", "2.5", [1, 2.5], "2.5"),
    ("string-against-literal", "true", True, "true"),
    ("string-against-literal", "null", None, "null"),
    ("literal-against-string", False, "false", '"false"'),
    ("literal-against-string", None, "null", '"null"'),
    ("text-operator", {"prefix": "4"}, 42, None),
    ("text-operator", {"cidr": "10.0.0.0/8"}, None, None),
    ("numeric-operator", {"numeric": ["<", 4]}, "few", None),
    ("numeric-operator", {"numeric": ["<", 4]}, True, None),
    ("inexact-number", {"numeric": [">", 4]}, 9007199254740993, None),
    ("no-address", {"cidr": "10.0.0.0/8"}, "localhost", None),
    ("null-exists", {"exists": False}, None, "null"),
    ("empty-exists", {"exists": False}, "", '""'),
    ("part-of-value", "shop.", "shop.orders", '{"prefix": "shop."}'),
    ("part-of-value", ".png", "a.png", '{"suffix": ".png"}'),
    ("part-of-value", {"prefix": "pink"}, "a pink b", '{"wildcard": "*pink*"}'),
    ("similar", "cancelled", "canceled", '"canceled"'),
]
# code, pattern, the suggestion; the event is ORDER
MISSING: list[tuple[str, Any, str | None]] = [
    ("spelled-differently", {"detail": {"Order": {"id": [7]}}}, "detail.order.id"),
    ("did-you-mean", {"detail": {"order": {"states": ["Paid"]}}}, "detail.order.state"),
    ("under-detail", {"order": {"id": [7]}}, "detail.order.id"),
    ("not-under-detail", {"detail": {"source": ["shop.orders"]}}, "source"),
    ("found-elsewhere", {"detail": {"state": ["Paid"]}}, "detail.order.state"),
    ("object-instead-of-value", {"detail": {"order": ["x"]}}, "detail.order.id"),
    ("object-instead-of-value", {"detail": [{"exists": True}]}, "detail.order"),
    ("empty-array", {"detail": {"tags": [{"exists": True}]}}, None),
    ("empty-array", {"detail": {"tags": {"name": ["x"]}}}, None),
    ("value-instead-of-object", {"detail": {"order": {"id": {"n": [7]}}}}, None),
    (
        "anything-but-needs-field",
        {"detail": {"gone": [{"anything-but": "x"}]}},
        '{"exists": false}',
    ),
    ("missing", {"detail": {"zzz": ["x"]}}, None),
]


def hint_of(pattern: Any, event: Any) -> dict[str, Any]:
    """Return the hint of the one field that fails."""
    miss = explain(json.dumps(pattern), event).as_dict()["nearest_miss"]
    (failing,) = miss["failing"]
    hint: dict[str, Any] = failing["hint"]
    return hint


@pytest.mark.parametrize(("code", "asked", "value", "suggestion"), VALUES)
def test_the_hint_for_a_value(code: str, asked: Any, value: Any, suggestion: str | None) -> None:
    """The hint for a value names the most specific thing that is wrong."""
    hint = hint_of({"detail": {"v": [asked]}}, {"detail": {"v": value}})

    assert (code, suggestion) == (hint["code"], hint["suggestion"])


@pytest.mark.parametrize(
    ("suggestion", "value"), [(given, value) for _, _, value, given in VALUES if given is not None]
)
def test_what_is_suggested_matches(suggestion: str, value: Any) -> None:
    """A pattern with the suggestion in place of what failed matches the event."""
    pattern = f'{{"detail":{{"v":[{suggestion}]}}}}'

    assert compile_pattern(pattern).matches(json.dumps({"detail": {"v": value}}).encode())


@pytest.mark.parametrize(("code", "pattern", "suggestion"), MISSING)
def test_the_hint_for_a_missing_field(code: str, pattern: Any, suggestion: str | None) -> None:
    """The hint for a missing field names where it is, or what is in its place."""
    hint = hint_of(pattern, ORDER)

    assert (code, suggestion) == (hint["code"], hint["suggestion"])


@pytest.mark.parametrize("name", ["detailType", "DetailType", "detail_type"])
def test_detail_type_has_a_hyphen(name: str) -> None:
    """A pattern that spells detail-type as code does is told the name in the event."""
    hint = hint_of({name: ["OrderPaid"]}, ORDER)

    assert ("spelled-differently", "detail-type") == (hint["code"], hint["suggestion"])


def test_an_entry_is_no_event() -> None:
    """Whoever gives an entry of PutEvents in place of the event is told so."""
    event = {"Source": "shop", "DetailType": "t", "Detail": "{}"}
    hint = hint_of({"source": ["shop"]}, event)

    assert "no-event" == hint["code"]
    assert "PutEvents" in hint["text"]


@pytest.mark.parametrize("value", ["com.shop", "shop.aws.ec2"])
def test_sources_of_aws(value: str) -> None:
    """A pattern for one of AWS's sources is told that nobody else may use them."""
    assert "aws-source" == hint_of({"source": ["aws.ec2"]}, {"source": value})["code"]


def test_detail_as_text() -> None:
    """Detail that was encoded twice is a string, and is named as that."""
    hint = hint_of({"detail": {"id": [7]}}, {"detail": '{"id": 7}'})

    assert "json-in-a-string" == hint["code"]


def test_an_object_in_an_array_is_an_object() -> None:
    """An array of objects where a value is expected is no value either."""
    hint = hint_of({"detail": {"items": ["a"]}}, {"detail": {"items": [{"sku": "a"}]}})

    assert ("object-instead-of-value", "detail.items.sku") == (hint["code"], hint["suggestion"])


@pytest.mark.parametrize(
    ("event", "elements"),
    [
        ({"items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]}, ("element 1", "element 0")),
        (
            {"items": [{"sku": "a"}, {"sku": "a"}, {"n": 2}]},
            ("element 2", "elements 0, 1"),
        ),
    ],
    ids=["one-each", "several"],
)
def test_fields_that_match_in_different_elements(event: Any, elements: tuple[str, str]) -> None:
    """Where each field matches in an element and none in all, the elements are named."""
    pattern = {"items": {"sku": ["a"], "n": [2]}}
    miss = explain(json.dumps(pattern), event).as_dict()["nearest_miss"]

    assert [] == miss["failing"]
    assert "different-elements" == miss["hint"]["code"]
    assert all(element in miss["text"] for element in elements)


def test_elements_that_no_pair_of_fields_tells() -> None:
    """Where no two fields are the reason but three are, all are named."""
    pattern = {"v": {"a": [1], "b": [1], "c": [1]}}
    event = {"v": [{"a": 1, "b": 1}, {"b": 1, "c": 1}, {"a": 1, "c": 1}]}
    miss = explain(json.dumps(pattern), event).as_dict()["nearest_miss"]

    assert "different-elements" == miss["hint"]["code"]
    assert "no one element of an array meets all of v.a, v.b" in miss["text"]


@pytest.mark.parametrize(
    ("asked", "value"),
    [
        ("a", "b"),
        ({"numeric": [">", 4]}, 3),
        ({"anything-but": "a"}, "a"),
        ({"anything-but": "5"}, "5"),
        ({"exists": False}, 1),
        ("paid", "Paid" + "!" * 10_000),
        ("a**b", "acb"),
        ("x" * 200, "x" * 199 + "y"),
    ],
    ids=["text", "range", "excluded", "excluded-number", "there", "long", "stars", "likeness"],
)
def test_a_plain_difference_needs_no_hint(asked: Any, value: Any) -> None:
    """Where expected and found say it all, nothing is added."""
    assert hint_of({"v": [asked]}, {"v": value}) is None


@pytest.mark.parametrize(
    ("name", "code"), [("n" * 100, "missing"), ("id", "missing")], ids=["long", "on-every-event"]
)
def test_names_that_say_too_little(name: str, code: str) -> None:
    """Neither a long name nor one that every event has at its top is taken for another."""
    event = {"id": "7", "detail": {"n" * 99: 1}}

    assert code == hint_of({"detail": {name: ["x"]}}, event)["code"]


def test_an_empty_event() -> None:
    """An event without fields is told as that."""
    assert "the event is empty" == hint_of({"a": ["x"]}, {})["text"]


def test_the_first_rule_wins_over_the_first_alternative() -> None:
    """Among several alternatives and values the most specific hint is given."""
    hint = hint_of({"v": ["zzz", 5, "Paid"]}, {"v": ["unpaid", "5", "paid"]})

    assert "case" == hint["code"]


def test_every_hint_has_a_test() -> None:
    """Each code in the source stands in this file."""
    text = "\n".join(path.read_text() for path in SOURCE.glob("*.py"))
    codes = set(re.findall(r'Hint\(\s*"([a-z-]+)"', text))
    here = Path(__file__).read_text()

    assert len(codes) > 20
    assert {code for code in codes if f'"{code}"' not in here} == set()
