"""Read the JSON of a policy: bounded, strict, and able to say where a statement stands.

Stricter than JSON where two readers could differ: a member given twice, a lone surrogate and NaN
are refused. Nothing here may know what a policy means.
"""

from __future__ import annotations

import json
from typing import Final, NoReturn

#: Document, Statement, its elements, operator, key, values: six levels. The rest is room.
NESTING_LEVELS_MAX: Final = 16


class JsonRefused(ValueError):
    """The text is not JSON, or is JSON that two readers could read in two ways."""


class Number(str):
    """A JSON number as it was written. A policy compares texts; the text must not change."""

    __slots__ = ()


_DECODER: Final = json.JSONDecoder(parse_int=Number, parse_float=Number)


def read_json(text: str) -> object:
    """Return the value that `text` spells; numbers are `Number`. Raises `JsonRefused`."""
    if _nesting_levels(text) > NESTING_LEVELS_MAX:
        raise JsonRefused("too deep")
    try:
        text.encode()
        value: object = json.loads(
            text,
            parse_int=Number,
            parse_float=Number,
            parse_constant=_refuse_constant,
            object_pairs_hook=_unique,
        )
        json.dumps(value, ensure_ascii=False).encode()  # a lone surrogate may hide in an escape
    except ValueError as fault:
        raise JsonRefused(str(fault)) from fault
    return value


def place_of_statement(text: str, index: int) -> str:
    """Return `line L column C` of the statement with that index, both from 1.

    `text` is a document that `read_json` has accepted and that has such a statement.
    """
    position = _value_of_statement(text)
    if text[position] == "[":
        position = _after_blanks(text, position + 1)
        for _ in range(index):
            _, end = _DECODER.raw_decode(text, position)
            position = _after_blanks(text, _after_blanks(text, end) + 1)
    line = text.count("\n", 0, position) + 1
    column = position - text.rfind("\n", 0, position)
    return f"line {line} column {column}"


def _value_of_statement(text: str) -> int:
    position = _after_blanks(text, 0)
    while True:  # the document has the member, or no statement would be spoken of
        name, end = _DECODER.raw_decode(text, _after_blanks(text, position + 1))
        value = _after_blanks(text, _after_blanks(text, end) + 1)
        if name == "Statement":
            return value
        _, end = _DECODER.raw_decode(text, value)
        position = _after_blanks(text, end)


def _after_blanks(text: str, position: int) -> int:
    while text[position] in " \t\r\n":
        position += 1
    return position


def _nesting_levels(text: str) -> int:
    """Return how deep brackets outside strings nest; on text that is not JSON, some number."""
    deepest = levels = 0
    in_string = escaped = False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = in_string
        elif character == '"':
            in_string = not in_string
        elif in_string:
            continue
        elif character in "[{":
            levels += 1
            deepest = max(deepest, levels)
        elif character in "]}":
            levels -= 1
    return deepest


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonRefused("a member is given twice")
    return members


def _refuse_constant(name: str) -> NoReturn:
    raise JsonRefused(f"{name} is not JSON")
