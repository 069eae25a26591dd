"""The measure of wildcard complexity, and that hostile input costs no more than its length."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

import farspan.pattern.parse
from farspan.pattern import Matcher, compile_pattern
from farspan.pattern.consistency import EventLeaves
from farspan.pattern.expand import expand_clauses
from farspan.pattern.leaves import PathSet
from farspan.pattern.parse import parse_pattern
from farspan.pattern.scan import PatternRefused
from farspan.pattern.wildcard import COMPLEXITY_MAX, Glob, complexity

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
    (["a*xy", "ab*xy", "b*xyz"], 4),
    (["a*x", "b*xxxx", "a*y"], 5),
]
PACKAGE = str(Path(farspan.pattern.__file__).parent)
CHARACTERS_MAX = 4_096
"""The longest text that the API lets through."""
LINES_PER_CHARACTER_MAX = 60
"""Executed lines of Python: the measure of work that does not depend on the machine."""


@pytest.mark.parametrize(("texts", "expected"), MEASURED)
def test_complexity_counts_simultaneous_prefixes(texts: list[str], expected: int) -> None:
    """Complexity is how many prefixes one value can be inside at once."""
    assert expected == complexity([Glob.parse(text) for text in texts])


def test_a_hostile_wildcard_is_linear() -> None:
    """A value made to provoke backtracking is answered at once."""
    glob = Glob.parse("*a*a*a*a*b")

    assert not glob.matches("a" * 200_000)


@pytest.mark.parametrize("alternative", ['"10.0.0.1"', '{"cidr": "::/0"}'], ids=["address", "cidr"])
def test_a_hostile_address_is_no_address(alternative: str) -> None:
    """A long value that nearly spells an address is answered at once."""
    compiled = compile_pattern(f'{{"a": [{alternative}]}}')

    assert not compiled.matches(b'{"a": "' + b":" * 500_000 + b'x"}')


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


def filled(opening: str, member: Callable[[int], str], closing: str) -> str:
    """Return the longest pattern with as many members as find room."""
    text = opening
    for number in range(CHARACTERS_MAX):
        longer = text + ("," if number else "") + member(number)
        if len(longer) + len(closing) > CHARACTERS_MAX:
            break
        text = longer
    return text + closing


def letter(number: int) -> str:
    """Return a different letter for each number."""
    return chr(0x4E00 + number)


TEN = "[" + ",".join(f'{{"f{number}":[1]}}' for number in range(10)) + "]"
THOUSAND = ",".join(f'"{name}":{{"$or":{TEN}}}' for name in "xyz")
WILDCARDS = '{"a":[{"anything-but":{"wildcard":['
UNIQUE = "".join(chr(0x7000 + number) for number in range(1_500))
NEST = '{"$or":[' * 45 + '{"q":[1]}' + ',{"b":[1]}]}' * 45
HOSTILE = {
    "values": filled('{"a":[', lambda _: "1", "]}"),
    "fields": filled("{", lambda n: f'"{letter(n)}":[1]', "}"),
    "operators": filled('{"a":[', lambda n: f'{{"prefix":"{letter(n)}"}}', "]}"),
    "anything-but": filled('{"a":[{"anything-but":[', str, "]}]}"),
    "folded": filled('{"a":[{"anything-but":{"equals-ignore-case":[', lambda _: '"ß"', "]}}]}"),
    "folding": f'{{"a":[{{"equals-ignore-case":"{"ﬃ" * 4_060}"}}]}}',
    "wildcards": filled('{"a":[', lambda n: f'{{"wildcard":"{letter(n)}*"}}', "]}"),
    "stars": f'{{"a":[{{"wildcard":"{"a*" * 2_030}"}}]}}',
    "star-and-text": f'{{"a":[{{"wildcard":"*{"a" * 4_060}"}}]}}',
    "texts-after-stars": f'{{"a":[{{"wildcard":"{("*" + "a" * 400) * 9}"}}]}}',
    "heads": filled(WILDCARDS, lambda n: f'"{letter(n)}*"', "]}}]}"),
    "heads-within-heads": filled(WILDCARDS, lambda n: f'"{"a" * n}*"', "]}}]}"),
    "heads-that-share": filled(f'{WILDCARDS}"*{UNIQUE}",', lambda n: f'"{letter(n)}*"', "]}}]}"),
    "heads-that-share-in-new-company": filled(
        f'{WILDCARDS}"*{UNIQUE}",', lambda n: f'"{letter(n)}*{letter(n)}"', "]}}]}"
    ),
    "alternatives": filled('{"$or":[', lambda _: '{"a":[1]}', "]}"),
    "alternatives-of-fields": filled(f"{{{THOUSAND},", lambda n: f'"{letter(n)}":[1]', "}"),
    "many-or": filled("{", lambda _: '"$or":[{"a":[1]},{"b":[1]}]', "}"),
    "or-in-or": filled(f'{{{THOUSAND},"w":{NEST},', lambda n: f'"{letter(n)}":[1]', "}"),
    "unfinished": filled("", lambda _: '{"$or":[', ""),
    "dots": filled("{", lambda n: '"' + ".".join([letter(n)] * 99) + '":[1]', "}"),
    "long-number": f'{{"a":[{"9" * 4_080}]}}',
    "long-fraction": f'{{"a":[{{"numeric":["<",0.{"9" * 4_060}]}}]}}',
    "exponents": filled('{"a":[', lambda n: f"1e-{n}99999", "]}"),
    "addresses": filled('{"a":[', lambda n: f'"::{n:x}"', "]}"),
    "colons": f'{{"a":["{":" * 4_080}"]}}',
    "colons-and-more": f'{{"a":[{{"cidr":"{":" * 4_060}x/8"}}]}}',
    "blocks": filled('{"a":[', lambda n: f'{{"cidr":"::/{n % 100}"}}', "]}"),
    "escapes": '{"a":["' + r"\ud83d" * 680 + '"]}',
    "lines": "{" + "\r\n" * 2_040 + '"a":1}',
}


def executed_lines(call: Callable[[], object]) -> int:
    """Count the lines of the pattern package that `call` executes."""
    lines = 0

    def within(frame: FrameType, event: str, argument: Any) -> Callable[..., Any]:
        nonlocal lines
        lines += event == "line"
        return within

    def trace(frame: FrameType, event: str, argument: Any) -> Callable[..., Any] | None:
        return within if frame.f_code.co_filename.startswith(PACKAGE) else None

    former = sys.gettrace()
    sys.settrace(trace)
    try:
        call()
    except PatternRefused:
        pass
    finally:
        sys.settrace(former)
    return lines


@pytest.mark.skipif(
    not str(farspan.pattern.parse.__file__).endswith(".py"), reason="compiled code has no lines"
)
@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_reading_a_hostile_pattern_is_linear(text: str) -> None:
    """Any pattern that the API lets through is read, or refused, in bounded work."""
    lines = executed_lines(lambda: expand_clauses(parse_pattern(text)))

    assert len(text) <= CHARACTERS_MAX
    assert 0 < lines <= LINES_PER_CHARACTER_MAX * CHARACTERS_MAX


def test_measuring_complexity_ends_when_it_takes_too_long() -> None:
    """Wildcards whose measure would take long are refused as if the measure were too high."""
    unlike = [
        Glob.parse(f"*{UNIQUE}"),
        *(Glob.parse(f"{letter(n)}*y{letter(n)}") for n in range(9)),
    ]

    assert complexity(unlike[:3]) == 3
    assert complexity(unlike) == COMPLEXITY_MAX + 1
