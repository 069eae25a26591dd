"""What each operator matches, as AWS has it; the tables are the specification's own examples."""

from __future__ import annotations

import pytest

from farspan.pattern import compile_pattern

LONG_INTEGER = "9007199254740993"  # 2**53 + 1, which no double holds

EXACT = [
    ('["x"]', '"x"', True),
    ('["x"]', '"X"', False),
    ('["x"]', '"x "', False),
    ('["x", "y"]', '"y"', True),
    ('["x"]', '["y", "x"]', True),
    ('["x"]', '[["y"], ["x"]]', True),
    ('["x"]', "[]", False),
    ('["x"]', '{"x": 1}', False),
    ('[""]', '""', True),
    ("[null]", "null", True),
    ("[null]", '"null"', False),
    ("[null]", "[]", False),
    ("[true]", "true", True),
    ("[true]", "1", False),
    ("[true]", '"true"', False),
    ("[1]", "true", False),
    ("[0]", "false", False),
    ('[{"exactly": "x"}]', '"x"', True),
    ('[{"exactly": "x"}]', '"xx"', False),
    (r'["\ud83d\ude00\n"]', '"😀\\n"', True),
]
NUMBERS = [
    ("[300]", "300.0", True),
    ("[300]", "3.0e2", True),
    ("[301.8]", "3.018e2", True),
    ("[300]", '"300"', False),
    ('["300"]', "300", False),
    ("[0]", "-0", True),
    ("[0]", "-0.0", True),
    ("[6000000000]", "6e9", True),
    ("[1e301]", "1.0E301", True),
    (f"[{LONG_INTEGER}]", LONG_INTEGER, True),
    (f"[{LONG_INTEGER}]", "9007199254740992", False),
    (f"[{LONG_INTEGER}]", f"{LONG_INTEGER}.0", False),
    ("[9007199254740992]", LONG_INTEGER, False),
    ("[1e400]", "1e400", True),
    ("[1e400]", "1e401", False),
    ("[-122.422003528252475]", "-122.422003528252475", True),
    ("[0.1]", "0.1", True),
    ("[0]", "0e99999999999999999999", True),
    ("[0]", "1e-99999999999999999999", False),
    ("[1e-99999999999999999999]", "1e-99999999999999999999", True),
    ("[0.000000000000000001]", "1e-18", True),
    (f"[{'9' * 400}]", "9" * 400, True),
    (f"[{'9' * 400}]", "9" * 399, False),
    ("[123456789012345680000]", "1.2345678901234568e20", True),
]
NUMERIC = [
    ('[{"numeric": ["=", 5]}]', "5.0", True),
    ('[{"numeric": ["=", 5]}]', '"5"', False),
    ('[{"numeric": ["<", 5]}]', "4.999", True),
    ('[{"numeric": ["<", 5]}]', "5", False),
    ('[{"numeric": ["<=", 5]}]', "5", True),
    ('[{"numeric": [">", 5]}]', "5", False),
    ('[{"numeric": [">=", 5]}]', "5", True),
    ('[{"numeric": [">", 0, "<=", 5]}]', "5", True),
    ('[{"numeric": [">", 0, "<=", 5]}]', "0", False),
    ('[{"numeric": [">", 0, "<=", 5]}]', "[9, 3]", True),
    ('[{"numeric": [">", 0, "<=", 5]}]', "[9, -3]", False),
    ('[{"numeric": [">", 0]}]', "null", False),
    ('[{"numeric": [">=", 0]}]', "true", False),
    ('[{"numeric": [">", 0]}]', LONG_INTEGER, False),
    ('[{"numeric": ["<", 0]}]', "-122.422003528252475", False),
]
EDGES = [
    ('[{"prefix": "ab"}]', '"abc"', True),
    ('[{"prefix": "ab"}]', '"Abc"', False),
    ('[{"prefix": ""}]', '""', True),
    ('[{"prefix": ""}]', "1", False),
    ('[{"prefix": "1"}]', "12", False),
    (r'[{"prefix": "abc\""}]', '"abc"', True),
    (r'[{"prefix": "abc\""}]', '"abcd"', False),
    ('[{"suffix": "bc"}]', '"abc"', True),
    ('[{"suffix": "bc"}]', '"abC"', False),
    ('[{"suffix": ""}]', '"x"', True),
    ('[{"suffix": ""}]', "null", False),
    (r'[{"suffix": "\"abc"}]', '"abc"', True),
    ('[{"prefix": {"equals-ignore-case": "aB"}}]', '"AbC"', True),
    ('[{"prefix": {"equals-ignore-case": "aB"}}]', '"cAb"', False),
    ('[{"suffix": {"equals-ignore-case": ".PnG"}}]', '"a.png"', True),
    ('[{"suffix": {"equals-ignore-case": ".PnG"}}]', '"a.png.gz"', False),
    ('[{"suffix": {"equals-ignore-case": "a"}}]', "1", False),
    ('[{"suffix": {"equals-ignore-case": "aß"}}]', '"xASS"', True),
]
FOLDED = [
    ('[{"equals-ignore-case": "aBc"}]', '"AbC"', True),
    ('[{"equals-ignore-case": "abc"}]', '"abcd"', False),
    ('[{"equals-ignore-case": ""}]', '""', True),
    ('[{"equals-ignore-case": "1"}]', "1", False),
    ('[{"equals-ignore-case": "straße"}]', '"STRASSE"', True),
    ('[{"equals-ignore-case": "straße"}]', '"STRAẞE"', False),
    ('[{"equals-ignore-case": "k"}]', '"\u212a"', False),
    ('[{"equals-ignore-case": "\u212a"}]', '"k"', True),
    ('[{"equals-ignore-case": "\u212a"}]', '"K"', False),
    ('[{"equals-ignore-case": "ς"}]', '"\u03c3"', False),
]
WILDCARD = [
    ('[{"wildcard": "*"}]', '""', True),
    ('[{"wildcard": "*"}]', "1", False),
    ('[{"wildcard": ""}]', '""', True),
    ('[{"wildcard": ""}]', '"x"', False),
    ('[{"wildcard": "a*c"}]', '"ac"', True),
    ('[{"wildcard": "a*c"}]', '"abcbc"', True),
    ('[{"wildcard": "a*c"}]', '"abcd"', False),
    ('[{"wildcard": "ab*ba"}]', '"aba"', False),
    ('[{"wildcard": "*b*"}]', '"abc"', True),
    ('[{"wildcard": "*b*d*"}]', '"adb"', False),
    ('[{"wildcard": "*bc*cd"}]', '"abcd"', False),
    (r'[{"wildcard": "a\\*"}]', '"a*"', True),
    (r'[{"wildcard": "a\\*"}]', '"ab"', False),
    (r'[{"wildcard": "a\\\\*"}]', r'"a\\b"', True),
    ('[{"wildcard": "é*"}]', '"éa"', True),
]
ANYTHING_BUT = [
    ('[{"anything-but": "x"}]', '"y"', True),
    ('[{"anything-but": "x"}]', '"x"', False),
    ('[{"anything-but": "x"}]', "null", True),
    ('[{"anything-but": "x"}]', '["x", "y"]', True),
    ('[{"anything-but": "x"}]', '["x", "x"]', False),
    ('[{"anything-but": "x"}]', "[]", False),
    ('[{"anything-but": "x"}]', "{}", False),
    ('[{"anything-but": 5}]', '"5"', True),
    ('[{"anything-but": 5}]', "5.0", False),
    ('[{"anything-but": 5}]', "true", True),
    (f'[{{"anything-but": {LONG_INTEGER}}}]', LONG_INTEGER, False),
    ('[{"anything-but": ["x", "y"]}]', '"y"', False),
    ('[{"anything-but": [1, 2]}]', "2", False),
    ('[{"anything-but": [1, 2]}]', "3", True),
    ('[{"anything-but": {"prefix": "in"}}]', '"init"', False),
    ('[{"anything-but": {"prefix": "in"}}]', "12", True),
    ('[{"anything-but": {"prefix": ["in", "de"]}}]', '"deny"', False),
    ('[{"anything-but": {"suffix": "it"}}]', '"init"', False),
    ('[{"anything-but": {"suffix": ["x", "y"]}}]', '"z"', True),
    ('[{"anything-but": {"equals-ignore-case": "In"}}]', '"iN"', False),
    ('[{"anything-but": {"equals-ignore-case": ["a", "b"]}}]', '"B"', False),
    ('[{"anything-but": {"equals-ignore-case": ["a", "b"]}}]', '"c"', True),
    ('[{"anything-but": {"wildcard": "a*"}}]', '"ab"', False),
    ('[{"anything-but": {"wildcard": ["a*", "*b"]}}]', '"cb"', False),
    ('[{"anything-but": {"wildcard": ""}}]', '"x"', True),
    ('[{"anything-but": "x"}, "x"]', '"x"', True),
]
EXISTS = [
    ('[{"exists": true}]', '"x"', True),
    ('[{"exists": true}]', "null", True),
    ('[{"exists": true}]', '""', True),
    ('[{"exists": true}]', "{}", False),
    ('[{"exists": true}]', "[]", False),
    ('[{"exists": true}]', "[[]]", False),
    ('[{"exists": true}]', "[{}]", False),
    ('[{"exists": true}]', '{"b": 1}', False),
    ('[{"exists": false}]', "null", False),
    ('[{"exists": false}]', "[]", True),
    ('[{"exists": false}]', '{"b": 1}', True),
    ('[{"exists": false}, "x"]', '"x"', True),
    ('[{"exists": false}, "x"]', '"y"', False),
]
CIDR = [
    ('[{"cidr": "10.0.0.0/8"}]', '"10.1.2.3"', True),
    ('[{"cidr": "10.0.0.0/8"}]', '"11.1.2.3"', False),
    ('[{"cidr": "10.0.0.77/24"}]', '"10.0.0.1"', True),
    ('[{"cidr": "10.0.0.0/31"}]', '"10.0.0.1"', True),
    ('[{"cidr": "10.0.0.0/31"}]', '"10.0.0.2"', False),
    ('[{"cidr": "0.0.0.0/0"}]', '"::1"', False),
    ('[{"cidr": "0.0.0.0/0"}]', '"not an address"', False),
    ('[{"cidr": "0.0.0.0/0"}]', '"10.0.0.256"', False),
    ('[{"cidr": "0.0.0.0/0"}]', "10", False),
    ('[{"cidr": "2001:db8::/32"}]', '"2001:0DB8:1::5"', True),
    ('[{"cidr": "2001:db8::/32"}]', '"2001:db9::"', False),
    ('[{"cidr": "2001:db8::/32"}]', '"1::2::3"', False),
    ('[{"cidr": "::/0"}]', '"10.0.0.5"', True),
    ('["10.0.0.1"]', '"010.0.0.1"', True),
    ('["10.0.0.1"]', '"10.0.0.2"', False),
    ('["2001:db8::1"]', '"2001:0db8:0:0::1"', True),
]

#: Whole patterns against whole events: what is between the fields.
STRUCTURE = [
    ("absent field", '{"a": [1]}', '{"b": 1}', False),
    ("every field", '{"a": [1], "b": [2]}', '{"a": 1, "b": 3}', False),
    ("nested", '{"a": {"b": [1]}}', '{"a": {"b": 1, "c": 2}}', True),
    ("parent is a string", '{"a": {"b": [1]}}', '{"a": "{\\"b\\": 1}"}', False),
    ("parent missing", '{"a": {"b": [{"exists": false}]}}', "{}", True),
    ("no anything-but of nothing", '{"a": [{"anything-but": "x"}]}', "{}", False),
    ("last of duplicates", '{"a": [1], "a": [2]}', '{"a": 2}', True),
    ("not first of duplicates", '{"a": [1], "a": [2]}', '{"a": 1}', False),
    ("dotted pattern", '{"a.b": [1]}', '{"a": {"b": 1}}', True),
    ("dotted event", '{"a": {"b": [1]}}', '{"a.b": 1}', True),
    ("dotted both", '{"a.b": {"c": [1]}}', '{"a": {"b.c": 1}}', True),
    ("dotted and nested", '{"s.t": {"t": [1]}}', '{"s": {"t": 1}}', False),
    ("leaf and parent", '{"a": [1], "a.b": [2]}', '{"a": [1, {"b": 2}]}', True),
    (
        "elements mixed",
        '{"e": {"f": ["Anna"], "l": ["Jones"]}}',
        '{"e": [{"f": "Anna", "l": "Smith"}, {"f": "Peter", "l": "Jones"}]}',
        False,
    ),
    (
        "elements whole",
        '{"e": {"f": ["Anna"], "l": ["Smith"]}}',
        '{"e": [{"f": "Anna", "l": "Smith"}, {"f": "Peter", "l": "Jones"}]}',
        True,
    ),
    (
        "elements of arrays of arrays",
        '{"e": {"f": ["Anna"], "l": ["Jones"]}}',
        '{"e": [[{"f": "Anna", "l": "Smith"}], [{"f": "Peter", "l": "Jones"}]]}',
        False,
    ),
    (
        "inner elements",
        '{"a": {"b": {"x": [1], "y": [2]}}}',
        '{"a": [{"b": [{"x": 1}, {"y": 2}]}]}',
        False,
    ),
    (
        "scalars never conflict",
        '{"t": ["p"], "u": ["s"]}',
        '{"t": ["p", "q"], "u": ["r", "s"]}',
        True,
    ),
    (
        "siblings never conflict",
        '{"t": {"p": [1]}, "u": {"q": [2]}}',
        '{"t": [{"p": 0}, {"p": 1}], "u": [{"q": 2}, {"q": 0}]}',
        True,
    ),
    (
        "siblings under one element",
        '{"a": {"b": {"x": [1]}, "c": {"y": [2]}, "d": [3]}}',
        '{"a": [{"b": [{"x": 1}], "c": [{"y": 0}, {"y": 2}], "d": 3}, {"d": 4}]}',
        True,
    ),
    (
        "absence after a choice",
        '{"a": {"b": [1], "c": [{"exists": false}]}}',
        '{"a": [{"b": 1}, {"b": 2, "c": 3}]}',
        True,
    ),
    (
        "absence before a choice",
        '{"a": {"b": [{"exists": false}], "c": [1]}}',
        '{"a": [{"c": 1}, {"b": 2}]}',
        False,
    ),
    (
        "absence only in some elements",
        '{"a": {"c": [{"exists": false}]}}',
        '{"a": [{"c": 1}, {"d": 2}]}',
        False,
    ),
    (
        "absence beside an alternative",
        '{"a": {"b": [1], "c": [{"exists": false}, 3]}}',
        '{"a": [{"b": 1, "c": 2}, {"b": 1, "c": 3}]}',
        True,
    ),
    ("or left", '{"$or": [{"a": [1]}, {"b": [2]}]}', '{"a": 1}', True),
    ("or right", '{"$or": [{"a": [1]}, {"b": [2]}]}', '{"b": 2}', True),
    ("or neither", '{"$or": [{"a": [1]}, {"b": [2]}]}', '{"a": 2, "b": 1}', False),
    ("or and sibling", '{"c": [3], "$or": [{"a": [1]}, {"b": [2]}]}', '{"a": 1}', False),
    ("or nested", '{"d": {"$or": [{"a": [1]}, {"b": [2]}]}}', '{"d": {"b": 2}}', True),
    ("or in or", '{"$or": [{"$or": [{"a": [1]}, {"b": [2]}]}, {"c": [3]}]}', '{"b": 2}', True),
    ("or overrides", '{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}', '{"a": 2}', True),
    ("or overridden", '{"a": [1], "$or": [{"a": [2]}, {"b": [3]}]}', '{"a": 1}', False),
    ("or then field", '{"$or": [{"a": [2]}, {"b": [3]}], "a": [1]}', '{"a": 1}', True),
    ("or as a field", '{"$or": ["x"]}', '{"$or": "x"}', True),
    (
        "or as an operator's field",
        '{"$or": [{"prefix": "x"}, {"suffix": "y"}]}',
        '{"$or": "ay"}',
        True,
    ),
    ("text after the pattern", '{"a": [1]} and more', '{"a": 1}', True),
]


@pytest.mark.parametrize(
    ("alternatives", "value", "expected"),
    [
        *EXACT,
        *NUMBERS,
        *NUMERIC,
        *EDGES,
        *FOLDED,
        *WILDCARD,
        *ANYTHING_BUT,
        *EXISTS,
        *CIDR,
    ],
)
def test_a_field_is_judged_by_its_alternatives(
    alternatives: str, value: str, expected: bool
) -> None:
    """One field's list of alternatives decides about one value, or about an array's elements."""
    compiled = compile_pattern(f'{{"a": {alternatives}}}')

    assert expected is compiled.matches(f'{{"a": {value}}}'.encode())


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [row[1:] for row in STRUCTURE],
    ids=[row[0] for row in STRUCTURE],
)
def test_fields_are_judged_together(pattern: str, event: str, expected: bool) -> None:
    """Nesting, arrays and `$or` decide how the verdicts on fields combine."""
    assert expected is compile_pattern(pattern).matches(event.encode())


@pytest.mark.parametrize(
    "event",
    [
        b"[]",
        b'"x"',
        b"1",
        b"",
        b"{",
        b'{"a": 1} x',
        b'{"a": "\xff"}',
    ],
    ids=["array", "string", "number", "nothing", "broken", "trailing", "not-utf8"],
)
def test_what_is_no_json_object_matches_nothing(event: bytes) -> None:
    """A pattern that even matches an empty object does not match what is not an object."""
    compiled = compile_pattern('{"x": [{"exists": false}]}')

    assert compiled.matches(b"{}")
    assert not compiled.matches(event)


def test_a_compiled_pattern_keeps_its_text() -> None:
    """The text is the caller's, white space included, and decides equality."""
    text = ' {"a" : [ 1 ]}'

    assert text == compile_pattern(text).text
    assert compile_pattern(text) == compile_pattern(text)
