"""Explanations: the verdict of the matcher, field by field, in the pattern's own order."""

from __future__ import annotations

import json
import subprocess
import sys
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.errors import InvalidEventPatternException
from farspan.pattern import Explanation, FieldExplanation, OrExplanation, compile_pattern, explain
from farspan.pattern.written import SHOWN_CHARACTERS_MAX

NAMES = ["a", "b", "c", "a.b"]
TEXTS = ["", "x", "X", "x ", "xy", "5", "true", "a/b", "a:b", "*", "x*"]
SCALARS = [*TEXTS, 0, 5, 2.5, 9007199254740993, True, False, None]
OPERATORS = ["prefix", "suffix", "wildcard", "exists", "numeric", "anything-but", "cidr"]
SEEDS = st.integers(0, 2**32)
"""What is made of a seed is made faster than Hypothesis would, and a seed says all to repeat it."""


def some_event(dice: Random, depth: int = 2) -> Any:
    """Return a JSON object with few names and values, so that much coincides."""
    return {name: some_value(dice, depth) for name in dice.sample(NAMES, dice.randint(2, 4))}


def some_value(dice: Random, depth: int) -> Any:
    """Return what may stand in an event."""
    kind = dice.choice(["scalar", "scalar", "list", "objects", "object"]) if depth else "scalar"
    if kind == "list":
        return [some_value(dice, depth - 1) for _ in range(dice.randint(0, 3))]
    if kind == "objects":
        return [some_event(dice, depth - 1) for _ in range(3)]
    return some_event(dice, depth - 1) if kind == "object" else dice.choice(SCALARS)


def some_alternative(dice: Random) -> Any:
    """Return one member of a field's array."""
    text, operator = dice.choice(TEXTS), dice.choice([*OPERATORS, *([None] * 9)])
    operands: dict[Any, Any] = {
        "suffix": {"equals-ignore-case": text},
        "exists": dice.choice([True, False]),
        "numeric": dice.choice([["=", 5], [">", 0, "<=", 5]]),
        "anything-but": dice.choice([text, [text, "y"], {"prefix": "x"}]),
        "cidr": "10.0.0.0/8",
    }
    return dice.choice(SCALARS) if operator is None else {operator: operands.get(operator, text)}


def some_pattern(dice: Random, depth: int = 1) -> Any:
    """Return a valid pattern, with a `$or` now and then."""
    pattern: dict[str, Any] = {}
    for name in dice.sample(NAMES, 2 - depth):
        if depth and dice.random() < 0.6:
            pattern[name] = some_pattern(dice, depth - 1)
        else:
            pattern[name] = [some_alternative(dice) for _ in range(dice.choice([1, 2, 6]))]
    if depth and dice.random() < 0.3:
        pattern["$or"] = [some_pattern(dice, depth - 1) for _ in range(dice.randint(2, 3))]
    return pattern


def explained(pattern: Any, event: Any) -> Explanation:
    """Explain a pattern given as an object."""
    return explain(json.dumps(pattern), event)


def _counted(explanation: Explanation) -> list[Any]:
    """Return the topmost nodes that count."""
    return [n for n in explanation.nodes if isinstance(n, OrExplanation) or not n.replaced]


def fields_of(nodes: Any) -> list[FieldExplanation]:
    """Return every field of a tree, in order."""
    found: list[FieldExplanation] = []
    for node in nodes:
        if isinstance(node, OrExplanation):
            for alternative in node.alternatives:
                found += fields_of(alternative.nodes)
        else:
            found.append(node)
    return found


@settings(deadline=None)
@given(SEEDS)
def test_the_verdict_is_the_matchers(seed: int) -> None:
    """Whatever pattern and event, explaining and matching agree, and a miss names a reason."""
    dice = Random(seed)
    for _ in range(5):
        text, event = json.dumps(some_pattern(dice)), json.dumps(some_event(dice)).encode()
        explanation = explain(text, event)
        miss = explanation.nearest_miss

        assert compile_pattern(text).matches(event) is explanation.matched
        assert (miss is None) is explanation.matched
        assert not explanation.matched or all(n.matched for n in _counted(explanation))
        if miss is not None:
            assert miss.text
            assert miss.failing or miss.hint
            assert not any(field.matched for field in miss.failing)


@settings(deadline=None)
@given(SEEDS)
def test_the_tree_shows_every_field_once(seed: int) -> None:
    """Each field of the pattern stands in the tree with its alternatives, whatever the event."""
    dice = Random(seed)
    pattern = some_pattern(dice)
    explanation = explained(pattern, some_event(dice))

    assert _arrays(pattern) == [len(field.expected) for field in fields_of(explanation.nodes)]
    assert explanation.as_dict() == json.loads(json.dumps(explanation.as_dict()))


def _arrays(pattern: Any) -> list[int]:
    sizes: list[int] = []
    for name, below in pattern.items():
        if name == "$or":
            sizes += [size for alternative in below for size in _arrays(alternative)]
        elif isinstance(below, dict):
            sizes += _arrays(below)
        else:
            sizes.append(len(below))
    return sizes


@settings(deadline=None)
@given(SEEDS, st.text(max_size=20) | st.binary(max_size=20))
def test_any_event_is_explained(seed: int, event: str | bytes) -> None:
    """What is no JSON object matches nothing, and the reason is given."""
    explanation = explained(some_pattern(Random(seed)), event)

    if explanation.event_fault is not None:
        assert not explanation.matched
        assert explanation.nearest_miss is None
        assert explanation.event_fault in explanation.text


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        ("[]", "it is JSON, but no object"),
        ("", "it is not JSON"),
        ('{"a":', "it is not JSON"),
        (b'{"a":"\xff"}', "it is not JSON"),
        ('{"a":' * 5000, "it is nested too deeply"),
        ("\ud800", "it is not JSON"),
    ],
    ids=["array", "empty", "broken-off", "not-utf-8", "deep", "lone-surrogate"],
)
def test_what_is_no_event(event: str | bytes, fault: str) -> None:
    """The fault of an event says what it is instead."""
    assert fault in str(explain('{"a":["b"]}', event).event_fault)


def test_a_refused_pattern() -> None:
    """A pattern that EventBridge refuses is refused with its words."""
    with pytest.raises(InvalidEventPatternException, match="must be an object or an array"):
        explain('{"a":"b"}', {})


def test_a_field_says_what_was_expected_and_found() -> None:
    """Operators and alternatives stand as they are written, values as JSON."""
    pattern = '{"detail":{"n":[{"numeric":[">",5]}, "x",\n  null]}}'
    (field,) = explain(pattern, {"detail": {"n": [1, 2.5, "é"]}}).as_dict()["nodes"]

    assert "detail.n" == field["path"]
    assert ["numeric", "equals", "equals"] == field["operators"]
    assert ['{"numeric":[">",5]}', '"x"', "null"] == field["expected"]
    assert ["1", "2.5", '"é"'] == field["found"]
    assert 3 == field["found_count"]


def test_a_number_without_a_double_is_shown_as_it_is_written() -> None:
    """Digits beyond a double's are neither rounded nor lost."""
    (field,) = explain('{"n":[1]}', '{"n":9007199254740993}').as_dict()["nodes"]

    assert ["9007199254740993"] == field["found"]


def test_the_nearest_alternative() -> None:
    """Of the alternatives of $or, the nearest miss is in the one with the fewest failing fields."""
    pattern = {"$or": [{"a": [1], "b": [1]}, {"a": [2], "c": [1]}]}
    explanation = explained(pattern, {"a": 2, "c": 3})
    (either,) = explanation.nodes
    miss = explanation.nearest_miss

    assert isinstance(either, OrExplanation)
    assert [False, True] == [alternative.nearest for alternative in either.alternatives]
    assert miss is not None
    assert (["c"], 2) == ([field.path for field in miss.failing], miss.field_count)


def test_the_nearest_alternative_below_another() -> None:
    """An alternative is the nearest also where the nearest miss is in a `$or` inside it."""
    pattern = {"$or": [{"x": {"$or": [{"a": [1]}, {"b": [1]}]}}, {"c": [1], "d": [1]}]}
    (outer,) = explained(pattern, {"x": {"a": 2}}).nodes
    assert isinstance(outer, OrExplanation)
    (inner,) = outer.alternatives[0].nodes
    assert isinstance(inner, OrExplanation)

    assert [True, False] == [alternative.nearest for alternative in outer.alternatives]
    assert [True, False] == [alternative.nearest for alternative in inner.alternatives]


def test_a_wrong_value_is_nearer_than_a_missing_field() -> None:
    """Among as many failing fields, those that are there count as nearer."""
    pattern = {"$or": [{"gone": [1]}, {"a": [1]}]}
    miss = explained(pattern, {"a": 2}).nearest_miss

    assert miss is not None
    assert ["a"] == [field.path for field in miss.failing]


def test_a_replaced_clause_does_not_count() -> None:
    """Where a field is named twice the later clause counts, and the earlier one says so."""
    explanation = explain('{"a":[1],"a":[2]}', {"a": 2})

    assert explanation.matched
    assert [True, False] == [field.replaced for field in fields_of(explanation.nodes)]


def test_a_clause_that_is_replaced_inside_or() -> None:
    """An alternative's clause replaces the one outside it, and the verdict follows."""
    explanation = explain('{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}', {"a": 2})
    outer, either = explanation.nodes

    assert isinstance(outer, FieldExplanation)
    assert explanation.matched
    assert (True, True) == (outer.replaced, either.matched)
    assert not explain('{"a":[1],"$or":[{"a":[2]},{"b":[3]}]}', {"a": 1, "b": 3}).nodes[0].replaced


@pytest.mark.parametrize(
    ("event", "met"),
    [
        ({"v": [{"a": 1}, {"a": 2, "b": 1}], "z": 5}, [True, True, True]),
        ({"v": [{"a": 1}, {"a": 2, "b": 1}], "z": 6}, [True, True, False]),
        ({"v": [{"a": 2}, {"a": 1, "b": 1}], "z": 5}, [True, False, True]),
        ({"v": [{"b": 1}], "z": 5}, [False, False, True]),
    ],
    ids=["absent-beside", "another-fails", "there-beside", "there"],
)
def test_absence_is_absence_from_the_element(event: Any, met: list[bool]) -> None:
    """A field has to be absent only from the element in which the others match."""
    explanation = explained({"v": {"a": [1], "b": [{"exists": False}]}, "z": [5]}, event)

    assert all(met) is explanation.matched
    assert met == [field.matched for field in fields_of(explanation.nodes)]


def test_or_as_the_name_of_a_field() -> None:
    """A $or of another shape is a field, as EventBridge has it."""
    (field,) = explain('{"$or":["x"]}', {"$or": "x"}).nodes

    assert isinstance(field, FieldExplanation)
    assert ("$or", True) == (field.path, field.matched)


def test_dotted_names_are_paths() -> None:
    """A dotted key in the event is found under the nested path, and the other way round."""
    assert explain('{"a":{"b":[1]}}', {"a.b": 1}).matched
    assert explain('{"a.b":[1]}', {"a": {"b": 1}}).matched


def test_large_events_stay_short() -> None:
    """An event of a megabyte is explained in a few lines, each value cut."""
    event = {"v": ["x" * 500_000, *range(100_000)], "w": {"k" * 200: 1}}
    explanation = explained({"v": ["y"], "u": ["z"], "w": ["q"]}, event)
    (field, *_) = fields_of(explanation.nodes)

    assert len(json.dumps(explanation.as_dict())) < 5_000
    assert 100_001 == field.found_count
    assert max(map(len, field.found)) <= SHOWN_CHARACTERS_MAX


def test_the_value_that_matched_is_shown() -> None:
    """Among many values, the one that meets the condition is shown."""
    (field,) = fields_of(explained({"v": [77]}, {"v": list(range(100))}).nodes)

    assert "77" in field.found


def test_a_mapping_is_taken_as_json() -> None:
    """An event may be JSON text, its bytes, or the mapping that it stands for."""
    event = {"source": "shop", "detail": {"n": 1}}
    text = json.dumps(event)
    pattern = '{"detail":{"n":[1]}}'

    assert explain(pattern, event) == explain(pattern, text) == explain(pattern, text.encode())


def test_the_package_stands_alone() -> None:
    """Importing farspan.pattern loads nothing of a server, a store or an SDK."""
    script = (
        "import sys; from farspan.pattern import compile_pattern, explain; "
        "explain('{\"a\":[\"b\"]}', {'a': 'c'}); "
        "print([m for m in sys.modules if m.startswith('farspan.') "
        "and not m.startswith(('farspan.pattern', 'farspan.errors'))]); "
        "print([m for m in ('asyncio', 'aiohttp', 'botocore', 'socket', 'ssl', 'sqlite3', 'apsw',"
        " 'click', 'rich') if m in sys.modules])"
    )
    said = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True
    )

    assert ["[]", "[]"] == said.stdout.split("\n")[:2]
