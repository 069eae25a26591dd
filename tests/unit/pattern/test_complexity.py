"""The measure of wildcard complexity, and that hostile input costs no more than its length."""

from __future__ import annotations

import json

import pytest

from farspan.pattern import Matcher, compile_pattern
from farspan.pattern.consistency import EventLeaves
from farspan.pattern.leaves import PathSet
from farspan.pattern.wildcard import Glob, complexity

MEASURED = [
    (["/Users/*/dir/dir/dir/dir/dir/doc.txt"], 7),
    (["arn:aws:events:us-east-1:*:event-bus/*"], 3),
    (["*:*:*:*:*:event-bus/*"], 11),
    (["*:stack/A/*", "*:stack/B/*", "*:stack/C/*"], 9),
    (["*:stack/A/*", "*:stack/B/*", "*:stack/C/*", "*:stack/D/*"], 12),
    (["a*", "b*"], 1),
    (["a*", "ab*"], 2),
    (["abc"], 0),
    (["*aab", "*b"], 4),
    (["*ababc", "*abac"], 6),
]


@pytest.mark.parametrize(("texts", "expected"), MEASURED)
def test_complexity_counts_simultaneous_prefixes(texts: list[str], expected: int) -> None:
    """Complexity is how many prefixes one value can be inside at once."""
    assert expected == complexity([Glob.parse(text) for text in texts])


def test_a_hostile_wildcard_is_linear() -> None:
    """A value made to provoke backtracking is answered at once."""
    glob = Glob.parse("*a*a*a*a*b")

    assert not glob.matches("a" * 200_000)


def test_elements_of_a_large_array_are_joined_not_multiplied() -> None:
    """Two fields over twenty thousand elements take one pass, whether or not they agree."""
    rows = [{"x": 1, "y": 2, "z": number} for number in range(20_000)]
    event = json.dumps({"a": rows}).encode()

    assert compile_pattern('{"a": {"x": [1], "y": [2], "z": [19999]}}').matches(event)
    assert not compile_pattern('{"a": {"x": [1], "y": [2], "z": [-1, {"exists": false}]}}').matches(
        event
    )


def test_an_event_made_to_multiply_is_given_up() -> None:
    """Aliased arrays could multiply to any number of choices; beyond the bound the answer is no."""
    names = ["a.b.c", "a.b", "a"]
    wraps = [lambda rows: rows, lambda rows: {"c": rows}, lambda rows: {"b": {"c": rows}}]
    event = {
        name: wrap([{field: 1} for field in ("u", "v", "w") for _ in range(100)])
        for name, wrap in zip(names, wraps, strict=True)
    }
    pattern = '{"a": {"b": {"c": {"u": [1], "v": [1], "w": [1], "x": [{"exists": false}]}}}}'
    compiled = compile_pattern(pattern)
    leaves = PathSet(compiled.paths).leaves_of(json.dumps(event).encode())

    assert leaves is not None
    assert not EventLeaves(leaves).meets(compiled.conjunctions[0])


def test_many_combinations_with_many_fields_stay_small() -> None:
    """A thousand sub-rules share their clauses, so that even the largest pattern is usable."""
    ten = [{f"f{number}": [1]} for number in range(10)]
    pattern = {name: {"$or": ten} for name in "xyz"} | {f"k{number}": [1] for number in range(200)}
    matcher: Matcher[str] = Matcher()
    matcher.add("rule", compile_pattern(json.dumps(pattern)))
    event = {name: {"f9": 1} for name in "xyz"} | {f"k{number}": 1 for number in range(200)}

    assert matcher.match(json.dumps(event).encode()) == ["rule"]
