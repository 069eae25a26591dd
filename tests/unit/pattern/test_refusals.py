"""The texts and places with which invalid patterns are refused, as recorded from AWS."""

from __future__ import annotations

import json
import re

import pytest

from farspan.errors import InvalidEventPatternException
from farspan.pattern import compile_pattern
from farspan.pattern.scan import NESTING_LEVELS_MAX

EMPTY_ARRAY = "Empty arrays are not allowed"
EMPTY_OBJECT = "Empty objects are not allowed"
ANYTHING_BUT = "Value of anything-but must be an array or single string/number value."
ANYTHING_BUT_LIST = "Inside anything but list, start|null|boolean is not supported."
ANYTHING_BUT_MIXED = (
    "Inside anything but list, either all values are number or string, mixed type is not supported"
)
ANYTHING_BUT_FOLDED = (
    "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
)
UNSUPPORTED = "Unsupported anything-but pattern"
EDGE = "prefix/suffix match pattern must be a string"
NULL_EDGE = "Null prefix/suffix not allowed"
FOLDED = "equals-ignore-case match pattern must be a string"
PREFIX = "prefix match pattern must be a string"
SUFFIX = "suffix match pattern must be a string"
WILDCARD = "wildcard match pattern must be a string"
ONE_KEY = "Only one key allowed in match expression"
TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character "
    "sequences after a wildcard character"
)
TOKENS = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
TWO_STARS = "arn:aws:events:us-east-1:**:event-bus/*"

#: Appendix E of the semantics notes: reason, pattern, column, how often the place is given.
RECORDED = [
    ('"int" must be an object or an array', '{"int": 42}', 11, 1),
    ('"string" must be an object or an array', '{"string": "my-value"}', 13, 1),
    (
        "Bad numeric range operator: >",
        '{"detail": {"c-count": [{"numeric": [">", 0, ">", 0]}]}}',
        49,
        1,
    ),
    (
        "Consecutive wildcard characters at pos 26",
        '{"EventBusArn": [{"wildcard": "' + TWO_STARS + '"}]}',
        72,
        1,
    ),
    (EMPTY_ARRAY, '{"resources": []}', 17, 1),
    (ANYTHING_BUT_LIST, '{"detail": {"state": [{"anything-but": ["stopped", null]}]}}', 56, 2),
    (
        ANYTHING_BUT_FOLDED,
        '{"detail": {"state": [{"anything-but": {"equals-ignore-case": 123}}]}}',
        66,
        1,
    ),
    (
        ANYTHING_BUT_FOLDED,
        '{"detail": {"state": [{"anything-but": {"equals-ignore-case": [123, 456]}}]}}',
        67,
        2,
    ),
    (NULL_EDGE, '{"detail": {"FileName": [{"anything-but": {"prefix": ""}}]}}', 56, 1),
    (NULL_EDGE, '{"detail": {"FileName": [{"anything-but": {"suffix": ""}}]}}', 56, 1),
    ("Unrecognized match type EXISTS", '{"my_key": [{"EXISTS": true}]}', 28, 1),
    (
        "Unrecognized match type NUMERIC",
        '{"detail": {"equal": [{"NUMERIC": ["=", 5]}]}}',
        36,
        1,
    ),
    (
        "Value of < must be numeric",
        '{"detail": {"c-count": [{"numeric": [">", 0, "<"]}]}}',
        50,
        1,
    ),
    (
        ANYTHING_BUT,
        '{"detail": {"FileName": [{"anything-but": {"prefix": {"equals-ignore-case": "file"}}}]}}',
        55,
        1,
    ),
    (
        ANYTHING_BUT,
        '{"detail": {"FileName": [{"anything-but": {"suffix": {"equals-ignore-case": ".png"}}}]}}',
        55,
        1,
    ),
    (ANYTHING_BUT, '{"detail": {"state": [{"anything-but": null}]}}', 44, 1),
    ("Value of numeric must be an array.", '{"detail": {"c-count": [{"numeric": 10}]}}', 39, 1),
    (
        FOLDED,
        '{"detail-type": [{"equals-ignore-case": ["ec2 instance state-change notification"]}]}',
        42,
        1,
    ),
    (FOLDED, '{"detail-type": [{"equals-ignore-case": {"prefix": "ec2"}}]}', 42, 1),
    (PREFIX, '{"detail": {"sourceIPAddress": [{"cidr": ["bad-type"]}]}}', 43, 1),
    (PREFIX, '{"time": [{"prefix": 123}]}', 25, 1),
    (PREFIX, '{"time": [{"prefix": ["2022-07-13"]}]}', 23, 1),
    (EDGE, '{"detail": {"FileName": [{"anything-but": {"suffix": 123}}]}}', 57, 1),
    (EDGE, '{"detail": {"FileName": [{"anything-but": {"suffix": [123, ".txt"]}}]}}', 58, 2),
    (EDGE, '{"detail": {"FileName": [{"anything-but": {"suffix": [null, ".txt"]}}]}}', 59, 2),
    (EDGE, '{"detail": {"state": [{"anything-but": {"prefix": 123}}]}}', 54, 1),
    (EDGE, '{"detail": {"state": [{"anything-but": {"prefix": [123, "test"]}}]}}', 55, 2),
    (SUFFIX, '{"FileName": [{"suffix": 123}]}', 29, 1),
    (SUFFIX, '{"FileName": [{"suffix": [".png"]}]}', 27, 1),
    (WILDCARD, '{"EventBusArn": [{"wildcard": 123}]}', 34, 1),
    (WILDCARD, '{"EventBusArn": [{"wildcard": ["' + TWO_STARS + '"]}]}', 32, 1),
    (WILDCARD, '{"detail": {"FilePath": [{"anything-but": {"wildcard": 123}}]}}', 59, 1),
    (
        WILDCARD,
        '{"detail": {"state": [{"anything-but": {"wildcard": [123, "*/dir/*"]}}]}}',
        57,
        2,
    ),
]

#: Refusals that AWS answers without a place.
PLACELESS = [
    ("Malformed CIDR, mask bits must be an integer", '{"a": [{"cidr": "10.0.0.0/xx"}]}'),
    ("Malformed CIDR, mask bits must not be negative", '{"a": [{"cidr": "10.0.0.0/-1"}]}'),
    ("Malformed CIDR, one '/' required", '{"a": [{"cidr": "10.0.0.0"}]}'),
    ("Malformed CIDR, one '/' required", '{"a": [{"cidr": "10.0.0.0/8/8"}]}'),
    ("Nonstandard IP address: xx.11.xx", '{"a": [{"cidr": "xx.11.xx/8"}]}'),
    (
        "Nonstandard IP address: xxxx:db8:1234:1a00::",
        '{"a": [{"cidr": "xxxx:db8:1234:1a00::/32"}]}',
    ),
    ("Nonstandard IP address: ::ffff:10.0.0.1", '{"a": [{"cidr": "::ffff:10.0.0.1/96"}]}'),
    ("Invalid IP address: 10.0.0.256", '{"a": [{"cidr": "10.0.0.256/8"}]}'),
    ("Invalid IP address: 1::2::3", '{"a": [{"cidr": "1::2::3/8"}]}'),
    ("IPv4 mask bits must be < 32", '{"a": [{"cidr": "10.0.0.1/32"}]}'),
    ("IPv6 mask bits must be < 128", '{"a": [{"cidr": "::1/128"}]}'),
    ("IPv4 mask bits must be < 32", '{"a": [{"cidr": "10.0.0.1/33"}]}'),
    ("Malformed CIDR, mask bits must be an integer", '{"a": [{"cidr": "10.0.0.1/"}]}'),
    ("Malformed CIDR, mask bits must be an integer", '{"a": [{"cidr": "::/99999999999"}]}'),
    ("Nonstandard IP address: ", '{"a": [{"cidr": "/8"}]}'),
    (TOO_COMPLEX, '{"a": [{"wildcard": "*:*:*:*:*:event-bus/*"}]}'),
    (TOO_COMPLEX, '{"a": [{"anything-but": {"wildcard": "*:*:*:*:*:event-bus/*"}}]}'),
]

#: Reasons measured on AWS's engine; the columns follow from the rule that fits Appendix E.
MEASURED = [
    ("Filter is not an object", "[]", 2, 1),
    ("Filter is not an object", "", 1, 1),
    ("Filter is not an object", '"x"', 2, 1),
    (EMPTY_OBJECT, "{}", 3, 1),
    (EMPTY_OBJECT, '{"a": {}}', 9, 1),
    ("Match value must be String, number, true, false, or null", '{"a": [[1]]}', 9, 1),
    ("Match expression name not found", '{"a": [{}]}', 10, 1),
    (ONE_KEY, '{"a": [{"prefix": "x", "suffix": "y"}]}', 35, 1),
    (ONE_KEY, '{"a": [{"prefix": {"equals-ignore-case": "x", "b": 1}}]}', 53, 1),
    (ONE_KEY, '{"a": [{"anything-but": {"prefix": "x", "b": 1}}]}', 47, 1),
    ("Match expression name not found", '{"a": [{"prefix": {}}]}', 21, 1),
    ("Unsupported prefix pattern: wildcard", '{"a": [{"prefix": {"wildcard": "x"}}]}', 33, 1),
    (FOLDED, '{"a": [{"suffix": {"equals-ignore-case": 1}}]}', 43, 1),
    ("exact match pattern must be a string", '{"a": [{"exactly": 1}]}', 21, 1),
    ("exists match pattern must be either true or false.", '{"a": [{"exists": 1}]}', 20, 1),
    ("Invalid member in numeric match: 5", '{"a": [{"numeric": [5]}]}', 22, 1),
    ("Invalid member in numeric match: ]", '{"a": [{"numeric": []}]}', 22, 1),
    ("Unrecognized numeric range operator: !=", '{"a": [{"numeric": ["!=", 5]}]}', 25, 1),
    ("Value of equals must be numeric", '{"a": [{"numeric": ["=", "5"]}]}', 27, 1),
    ("Too many elements in numeric expression", '{"a": [{"numeric": ["=", 5, 6]}]}', 30, 1),
    ("Bad value in numeric range: 6", '{"a": [{"numeric": [">", 5, 6]}]}', 30, 1),
    (
        "Too many terms in numeric range expression",
        '{"a": [{"numeric": ["<", 5, ">", 1]}]}',
        30,
        1,
    ),
    (
        "Too many terms in numeric range expression",
        '{"a": [{"numeric": [">", 1, "<", 5, 6]}]}',
        38,
        1,
    ),
    ("Bottom must be less than top", '{"a": [{"numeric": [">", 5, "<", 5]}]}', 36, 1),
    ("Cannot compare number : 1e400", '{"a": [{"numeric": ["<", 1e400]}]}', 31, 1),
    (ANYTHING_BUT, '{"a": [{"anything-but": true}]}', 29, 1),
    (ANYTHING_BUT_MIXED, '{"a": [{"anything-but": ["x", 1]}]}', 33, 1),
    (ANYTHING_BUT_MIXED, '{"a": [{"anything-but": []}]}', 27, 1),
    (
        "Unsupported anything-but pattern: numeric",
        '{"a": [{"anything-but": {"numeric": 5}}]}',
        38,
        1,
    ),
    ("Match expression name not found", '{"a": [{"anything-but": {}}]}', 27, 1),
    (EMPTY_ARRAY, '{"a": [{"anything-but": {"prefix": []}}]}', 38, 1),
    (NULL_EDGE, '{"a": [{"anything-but": {"prefix": ["x", ""]}}]}', 44, 2),
    ("Consecutive wildcard characters at pos 3", '{"a": [{"wildcard": "é**"}]}', 26, 1),
    (r"Invalid escape character at pos 2", r'{"a": [{"wildcard": "a\\b"}]}', 27, 1),
    ("It must be an Array followed with $or.", '{"$or": {"a": [1]}, "b": 1}', 10, 1),
    ("There must have at least 2 Objects in $or relationship.", '{"$or": [{"a": [1]}]}', 21, 1),
    (
        "Only JSON object is allowed in array of $or relationship.",
        '{"$or": [1, {"a": [1]}]}',
        11,
        1,
    ),
    (
        "suffix is Ruler reserved fieldName which cannot be used inside $or.",
        '{"$or": [{"prefix-of": ["a"]}, {"suffix": ["b"]}]}',
        44,
        1,
    ),
    ("Filter is not an object", '[{"a": [1]}]', 2, 1),
    ("Filter is not an object", "  ", 3, 1),
    ("Filter is not an object", "null", 5, 1),
    ('"a" must be an object or an array', '{"a": null}', 11, 1),
    ('"b" must be an object or an array', '{"a": {"b": true}}', 17, 1),
    ('"b" must be an object or an array', '{"a.b": {"b": 1}}', 16, 1),
    (EMPTY_ARRAY, '{"a": {"b": [1], "c": []}}', 25, 1),
    (EMPTY_OBJECT, '{"$or": [{"a": [1]}, {}]}', 24, 1),
    ("Unrecognized match type x", '{"a": [1, {"x": 1}]}', 18, 1),
    ("Unrecognized match type x", '{"a": [{"x": "y"}]}', 15, 1),
    (ONE_KEY, '{"a": [{"exists": true, "prefix": "x"}]}', 36, 1),
    (PREFIX, '{"a": [{"prefix": null}]}', 23, 1),
    (PREFIX, '{"a": [{"cidr": 1}]}', 18, 1),
    ("Unsupported suffix pattern: prefix", '{"a": [{"suffix": {"prefix": "x"}}]}', 31, 1),
    (WILDCARD, '{"a": [{"wildcard": {}}]}', 22, 1),
    (FOLDED, '{"a": [{"equals-ignore-case": null}]}', 35, 1),
    ("exists match pattern must be either true or false.", '{"a": [{"exists": null}]}', 23, 1),
    ("exists match pattern must be either true or false.", '{"a": [{"exists": "true"}]}', 20, 1),
    ("Value of numeric must be an array.", '{"a": [{"numeric": {"=": 1}}]}', 21, 1),
    ("Invalid member in numeric match: null", '{"a": [{"numeric": [null]}]}', 25, 1),
    ("Value of equals must be numeric", '{"a": [{"numeric": ["="]}]}', 25, 1),
    ("Value of > must be numeric", '{"a": [{"numeric": [">", null]}]}', 30, 1),
    ("Value of >= must be numeric", '{"a": [{"numeric": [">=", "1"]}]}', 28, 1),
    ("Value of <= must be numeric", '{"a": [{"numeric": ["<=", []]}]}', 28, 1),
    ("Bad value in numeric range: {", '{"a": [{"numeric": [">", 1, {}]}]}', 30, 1),
    ("Bad numeric range operator: =", '{"a": [{"numeric": [">=", 1, "=", 1]}]}', 33, 1),
    ("Bottom must be less than top", '{"a": [{"numeric": [">=", 1, "<=", 1]}]}', 38, 1),
    (
        "Cannot compare number : 9007199254740993",
        '{"a": [{"numeric": ["=", 9007199254740993]}]}',
        42,
        1,
    ),
    (ANYTHING_BUT_LIST, '{"a": [{"anything-but": [["x"]]}]}', 27, 2),
    (ANYTHING_BUT_LIST, '{"a": [{"anything-but": [{"prefix": "x"}]}]}', 27, 2),
    (ANYTHING_BUT_LIST, '{"a": [{"anything-but": [1, true]}]}', 33, 2),
    (ANYTHING_BUT_FOLDED, '{"a": [{"anything-but": {"equals-ignore-case": null}}]}', 52, 1),
    (ANYTHING_BUT_FOLDED, '{"a": [{"anything-but": {"equals-ignore-case": {}}}]}', 49, 1),
    (ANYTHING_BUT, '{"a": [{"anything-but": {"wildcard": null}}]}', 42, 1),
    (
        "Unsupported anything-but pattern: exists",
        '{"a": [{"anything-but": {"exists": true}}]}',
        40,
        1,
    ),
    (
        "Unsupported anything-but pattern: cidr",
        '{"a": [{"anything-but": {"cidr": "::/0"}}]}',
        35,
        1,
    ),
    (
        "Consecutive wildcard characters at pos 1",
        '{"a": [{"anything-but": {"wildcard": ["**"]}}]}',
        43,
        2,
    ),
    ("It must be an Array followed with $or.", '{"$or": "x"}', 10, 1),
    ("There must have at least 2 Objects in $or relationship.", '{"$or": []}', 11, 1),
    (
        "Only JSON object is allowed in array of $or relationship.",
        '{"$or": [{"a": [1]}, []]}',
        23,
        1,
    ),
    *(
        (
            f"{name} is Ruler reserved fieldName which cannot be used inside $or.",
            f'{{"$or": [{{"a": [1]}}, {{"{name}": [1]}}]}}',
            28 + len(name),
            1,
        )
        for name in (
            *("exactly", "prefix", "suffix", "equals-ignore-case", "wildcard", "cidr", "exists"),
            *("numeric", "anything-but", "=", "<", "<=", ">", ">=", "regex", "date-after"),
        )
    ),
    # Escapes in a name are undone in the message, and the place stays that of the text.
    ('"ab" must be an object or an array', r'{"a\u0062": 1}', 14, 1),
    ('"a"b" must be an object or an array', r'{"a\"b": 1}', 11, 1),
    ('"" must be an object or an array', '{"": 1}', 7, 1),
]

#: Text that is not JSON, in Jackson's words. `@n` stands for a place in column n.
MALFORMED = [
    (f"Unrecognized token 'this': was expecting {TOKENS}@5", "this is not json"),
    (f"Unrecognized token 'tru': was expecting {TOKENS}@12", '{"a":  [tru]}'),
    (f"Unrecognized token 'nullx': was expecting {TOKENS}@13", '{"a": [nullx]}'),
    (
        "Unexpected character (''' (code 39)): was expecting double-quote to start field name@3",
        "{'a",
    ),
    (
        "Unexpected character ('}' (code 125)): was expecting double-quote to start field name@12",
        '{"a": [1],}',
    ),
    ("Unexpected end-of-input: expected close marker for Object (start marker at #1)@2", "{"),
    ("Unexpected end-of-input: expected close marker for Array (start marker at #7)@9", '{"a": [1'),
    ("Unexpected end-of-input within/between Object entries@5", '{"a"'),
    ("Unexpected end-of-input within/between Object entries@6", '{"a":'),
    ("Unexpected end-of-input within/between Array entries@10", '{"a": [1,'),
    ("Unexpected end-of-input in field name@4", '{"a'),
    (
        "Unexpected end-of-input: was expecting closing quote for a string value@10",
        '{"a": ["x',
    ),
    (
        (
            "Unexpected character ('1' (code 49)): "
            "was expecting a colon to separate field name and value@7"
        ),
        '{"a" 1',
    ),
    (
        "Unexpected character ('2' (code 50)): was expecting comma to separate Array entries@11",
        '{"a": [1 2]}',
    ),
    (f"Unexpected character (']' (code 93)): expected a valid value {TOKENS}@11", '{"a": [1,]}'),
    (
        f"Unexpected character ('’' (code 8217 / 0x2019)): expected a valid value {TOKENS}@9",  # noqa: RUF001 - the very character
        '{"a": [’x',  # noqa: RUF001 - the very character
    ),
    ("Unexpected close marker '}': expected ']' (for Array starting at #7)@10", '{"a": [1}'),
    (
        (
            r"Illegal unquoted character ((CTRL-CHAR, code 9)): has to be escaped "
            r"using backslash to be included in string value@10"
        ),
        '{"a": ["\t"]}',
    ),
    (
        (
            r"Illegal character ((CTRL-CHAR, code 11)): only regular white space (\r, \n, \t) "
            r"is allowed between tokens@3"
        ),
        '{\v"a": [1]}',
    ),
    ("Unexpected close marker ']': expected '}' (for root starting at #0)@2", "]"),
    ("Unexpected close marker '}': expected ']' (for root starting at #0)@3", " }"),
    ("Unexpected end-of-input in numeric value@10", '{"a": [1e'),
    ("Unrecognized character escape 'x' (code 120)@11", r'{"a": ["\x"]}'),
    (
        (
            "Unexpected character ('g' (code 103)): "
            "expected a hex-digit for character escape sequence@12"
        ),
        r'{"a": ["\ug"]}',
    ),
    ("Unexpected end-of-input in character escape sequence@10", '{"a": ["\\'),
    ("Unexpected end-of-input in character escape sequence@12", r'{"a": ["\u0'),
    ("Invalid numeric value: Leading zeroes not allowed@9", '{"a": [01]}'),
    (
        (
            "Unexpected character (']' (code 93)) in numeric value: "
            "Decimal point not followed by a digit@11"
        ),
        '{"a": [1.]}',
    ),
    (
        (
            "Unexpected character (']' (code 93)) in numeric value: "
            "Exponent indicator not followed by a digit@12"
        ),
        '{"a": [1e+]}',
    ),
    (
        (
            "Unexpected character (']' (code 93)) in numeric value: "
            "expected digit (0-9) to follow minus sign, for valid numeric value@10"
        ),
        '{"a": [-]}',
    ),
    ("Unexpected end-of-input in numeric value@9", '{"a": [-'),
    (
        f"Unexpected character ('\ufeff' (code 65279 / 0xfeff)): expected a valid value {TOKENS}@2",
        '\ufeff{"a": [1]}',
    ),
    (f"Unrecognized token 'NaN': was expecting {TOKENS}@11", '{"a": [NaN]}'),
    (f"Unrecognized token 'Infinity': was expecting {TOKENS}@16", '{"a": [Infinity]}'),
    (f"Unrecognized token 'True': was expecting {TOKENS}@12", '{"a": [True]}'),
    (
        (
            "Unexpected character ('I' (code 73)) in numeric value: "
            "expected digit (0-9) to follow minus sign, for valid numeric value@10"
        ),
        '{"a": [-Infinity]}',
    ),
    (f"Unexpected character ('+' (code 43)): expected a valid value {TOKENS}@9", '{"a": [+1]}'),
    (f"Unexpected character ('.' (code 46)): expected a valid value {TOKENS}@9", '{"a": [.5]}'),
    ("Invalid numeric value: Leading zeroes not allowed@10", '{"a": [-01]}'),
    (
        "Unexpected character ('/' (code 47)): was expecting double-quote to start field name@3",
        '{// a\n"a": [1]}',
    ),
    (
        "Unexpected character ('a' (code 97)): was expecting double-quote to start field name@3",
        "{a: [1]}",
    ),
    (f"Unexpected character (',' (code 44)): expected a valid value {TOKENS}@9", '{"a": [,1]}'),
    (
        f"Unexpected character ('\xa0' (code 160)): expected a valid value {TOKENS}@9",
        '{"a": [\xa01]}',
    ),
    (
        (
            r"Illegal character ((CTRL-CHAR, code 0)): only regular white space (\r, \n, \t) "
            r"is allowed between tokens@2"
        ),
        "\x00",
    ),
    (
        (
            r"Illegal unquoted character ((CTRL-CHAR, code 1)): has to be escaped "
            r"using backslash to be included in name@5"
        ),
        '{"a\x01": [1]}',
    ),
    ("Unexpected close marker ']': expected '}' (for Object starting at #1)@13", '{"a": ["x"]]'),
]


def refusal_of(text: str) -> str:
    """Return the message with which `text` is refused."""
    with pytest.raises(InvalidEventPatternException) as caught:
        compile_pattern(text)
    return caught.value.message


def place(text: str, column: int, line: int = 1) -> str:
    """Return a place as it appears within a message."""
    return f'[Source: (String)"{text}"; line: {line}, column: {column}]'


@pytest.mark.parametrize(("reason", "text", "column", "times"), RECORDED + MEASURED)
def test_a_refusal_gives_the_reason_and_the_place(
    reason: str, text: str, column: int, times: int
) -> None:
    """The message is AWS's, and its column is where AWS's parser stood."""
    located = f"\n at {place(text, column)}" * times

    assert f"Event pattern is not valid. Reason: {reason}{located}" == refusal_of(text)


@pytest.mark.parametrize(("reason", "text"), PLACELESS)
def test_some_refusals_have_no_place(reason: str, text: str) -> None:
    """CIDR and complexity are checked apart from the parser, so no place is given."""
    assert f"Event pattern is not valid. Reason: {reason}" == refusal_of(text)


@pytest.mark.parametrize(("expected", "text"), MALFORMED)
def test_malformed_json_gets_the_parsers_words(expected: str, text: str) -> None:
    """Text that is not JSON is refused in the words of AWS's JSON parser."""
    reason, column = expected.rsplit("@", 1)
    reason = re.sub(r"#(\d+)", lambda start: place(text, int(start[1])), reason)
    located = f"\n at {place(text, int(column))}"

    assert f"Event pattern is not valid. Reason: {reason}{located}" == refusal_of(text)


@pytest.mark.parametrize("newline", ["\n", "\r", "\r\n"], ids=["lf", "cr", "crlf"])
def test_lines_count_from_one(newline: str) -> None:
    """A place names the line, and the column within it."""
    text = "{" + newline + '  "a": 42}'

    assert refusal_of(text).endswith(place(text, 10, line=2))


def test_columns_count_utf16_units() -> None:
    """A character beyond the basic plane counts as two columns, as in Java."""
    text = '{"😀": 42}'

    assert refusal_of(text).endswith(place(text, 10))


def test_a_long_source_is_truncated() -> None:
    """No more than 500 characters of the pattern are quoted."""
    text = '{"a": ["' + "x" * 600 + '"], "b": 1}'
    message = refusal_of(text)

    assert f'"{text[:500]}"[truncated {len(text) - 500} chars]; line: 1' in message


@pytest.mark.parametrize(
    "text",
    [
        '{"a":' * 2000,
        "[" * 4000,
        '{"a":[' * 1000,
        '{"$or":[' * 500,
        '{"' + "." * 4000 + '": [1]}',
    ],
    ids=["objects", "arrays", "values", "or", "dots"],
)
def test_deep_nesting_is_refused(text: str) -> None:
    """Nesting is bounded: refused with a reason, never with a RecursionError."""
    assert "Reason: " in refusal_of(text)


def test_nesting_up_to_the_limit_is_accepted() -> None:
    """The deepest pattern allowed compiles, and one level more is refused by name."""
    deepest = NESTING_LEVELS_MAX - 1
    compile_pattern('{"a":' * deepest + "[1]" + "}" * deepest)
    message = refusal_of('{"a":' * (deepest + 1) + "[1]" + "}" * (deepest + 1))

    assert f"nested more than {NESTING_LEVELS_MAX} levels deep" in message


def test_too_many_combinations_are_refused() -> None:
    """`$or` may expand to a thousand sub-rules and no further."""
    ten = json.dumps([{f"f{number}": [1]} for number in range(10)])
    thousand = ", ".join(f'"{name}": {{"$or": {ten}}}' for name in "xyz")
    compile_pattern(f"{{{thousand}}}")
    message = refusal_of(f'{{{thousand}, "w": {{"$or": [{{"a": [1]}}, {{"b": [1]}}]}}}}')

    assert message == "Event pattern is not valid. Reason: Rule has over 1000 rule combinations"


@pytest.mark.parametrize(
    "text",
    [
        '{"a": [1]}}',
        '{"a": [1]}]',
        '{"a": [1]} {"b": 2}',
        '{"a": [1]}\x00',
        '\n\t {"a": [1]}\r\n',
        '{"a": [1], "a": [2]}',
        '{"a": {"b": [1]}, "a": {"c": [2]}}',
        '{"": [1]}',
        '{"a": ["\x7f\u2028\ufeff"]}',
        r'{"a": ["\ud800"], "\udc00": [{"prefix": "\ud800"}]}',
        '{"a": [1e400, -1e400, 1e-400, 123456789012345678901234567890]}',
        '{"a": [{"wildcard": ""}, {"prefix": ""}, {"suffix": ""}, {"equals-ignore-case": ""}]}',
        '{"$or": [{"a": [1]}, {"b": {"prefix": [1]}}]}',
    ],
    ids=[
        *(
            "brace",
            "bracket",
            "another",
            "control",
            "white-space",
            "duplicate",
            "halves",
            "no-name",
        ),
        *("odd-characters", "surrogates", "numbers", "empty-texts", "reserved-deeper"),
    ],
)
def test_what_looks_wrong_and_is_not(text: str) -> None:
    """Text after the pattern, duplicate and empty names, and numbers of any size are valid."""
    assert text == compile_pattern(text).text


def test_the_first_fault_is_the_one_reported() -> None:
    """A pattern is read once from the left; what is wrong further on is not mentioned."""
    text = '{"a": [], "b": 1, "c": [{"EXISTS": true}]}'

    assert refusal_of(text).endswith(f"Reason: {EMPTY_ARRAY}\n at {place(text, 9)}")
