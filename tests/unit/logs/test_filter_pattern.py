"""Filter patterns: which messages each matches, and what is none."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.logs.filter_pattern import InvalidFilterPattern, compile_filter

TERMS = [
    ("", "anything", True),
    ("  ", "", True),
    ("ERROR", "[ERROR 400] BAD", True),
    ("ERROR", "error", False),
    ("ERROR BAD", "BAD is an ERROR", True),
    ("ERROR BAD", "ERROR", False),
    ('"not found"', "it was not found", True),
    ('"not found"', "found not", False),
    (r'"say \"hi\""', 'they say "hi" to it', True),
    ("?ERROR ?WARN", "a WARN", True),
    ("?ERROR ?WARN", "INFO", False),
    ("?ERROR INFO", "INFO", True),
    ("ERROR -Exiting", "ERROR: Exiting", False),
    ("-Exiting", "ERROR", True),
]

MESSAGE = '{"a":{"b":["x",{"c":"orders/7"}]},"n":3,"f":1.5,"t":true,"z":null,"k y":"v"}'
CONDITIONS = [
    ('$.a.b[0] = "x"', True),
    ("$.a.b[0] = x", True),
    ('$.a.b[0] = "y"', False),
    ('$.a.b[1].c = "orders/*"', True),
    ('$.a.b[1].c = "*/8"', False),
    ('$.a.b[1].c = "orders/?"', False),
    ('$.a.b[9] = "x"', False),
    ('$.a != "x"', True),
    ('$.missing != "x"', False),
    ("$.n = 3", True),
    ("$.n = 3.0", True),
    ("$.n != 3", False),
    ("$.n > 2", True),
    ("$.n >= 4", False),
    ("$.f < 1.6e0", True),
    ("$.f <= -1", False),
    ("$.t > 0", False),
    ('$.n = "3"', False),
    ("$.t IS TRUE", True),
    ("$.t IS FALSE", False),
    ("$.z IS NULL", True),
    ("$.missing IS NULL", False),
    ("$.missing NOT EXISTS", True),
    ("$.n NOT EXISTS", False),
    ('$["k y"] = "v"', True),
    ('$.n = 3 && $.a.b[0] = "y"', False),
    ('$.n = 4 || $.a.b[0] = "x"', True),
    ("$.n = 3 || $.n = 4 && $.n = 5", True),
    ("($.n = 3 || $.n = 4) && $.n = 5", False),
]


@pytest.mark.parametrize(("pattern", "message", "expected"), TERMS)
def test_terms(pattern: str, message: str, expected: bool) -> None:
    """Terms and phrases are parts of the message; `?` is one of several, `-` must not be there."""
    assert expected is compile_filter(pattern)(message)


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_conditions(condition: str, expected: bool) -> None:
    """Values are found by path and compared as what they are; `&&` binds closer than `||`."""
    matches = compile_filter(f"{{ {condition} }}")

    assert expected is matches(MESSAGE)
    assert not matches("no json")


@pytest.mark.parametrize(
    "pattern",
    [
        "a.b",
        '"open',
        "{ $.a",
        "{}",
        "{ $.a }",
        "{ $ = 1 }",
        "{ a = 1 }",
        "{ $.a = }",
        "{ $.a == 1 }",
        "{ $.a = 1 & $.b = 1 }",
        "{ ($.a = 1 }",
        "{ $.a = 1) }",
        "{ $.a > x }",
        "{ $.a IS MAYBE }",
        "{ $.a NOT THERE }",
        "{ $.a..b = 1 }",
        "{ $.a[x] = 1 }",
        "{ $.a = $.b }",
        "{ " + "(" * 60 + "$.a = 1" + ")" * 60 + " }",
    ],
)
def test_what_is_no_pattern(pattern: str) -> None:
    """Is refused, and never understood in part."""
    with pytest.raises(InvalidFilterPattern, match="Invalid filter pattern"):
        compile_filter(pattern)


@pytest.mark.parametrize(
    ("pattern", "named"),
    [
        ("%40[0-9]%", "regular expressions"),
        ("{ $.a = %x% }", "regular expressions"),
        ("[ip, user]", "space-delimited fields"),
        ("{ $.a[*] = 1 }", "wildcards in paths"),
    ],
)
def test_what_is_not_there_is_named(pattern: str, named: str) -> None:
    """Forms of AWS's that Farspan does not have."""
    with pytest.raises(InvalidFilterPattern, match=f"Farspan does not have .*{named}"):
        compile_filter(pattern)


@given(st.text(max_size=60), st.text(max_size=60))
def test_any_text_is_a_pattern_or_refused(pattern: str, message: str) -> None:
    """Nothing else can come of it."""
    for text in (pattern, f"{{{pattern}}}", f"{{ $.{pattern} }}"):
        try:
            matches = compile_filter(text)
        except InvalidFilterPattern:
            continue
        assert matches(message) in {True, False}
