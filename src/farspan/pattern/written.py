"""What a pattern asks and what an event holds, as short JSON text that people read.

Values may be as large as an event, so that everything shown is cut. Nothing here may decide whether
something matches.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.pattern.operators import read_value
from farspan.pattern.scalars import InexactNumber, Literal, Scalar
from farspan.pattern.scan import Scanner, Token

if TYPE_CHECKING:
    from farspan.pattern.conditions import Condition
    from farspan.pattern.parse import FieldClause

#: Characters of one value that are shown: a line of a terminal holds a path beside them.
SHOWN_CHARACTERS_MAX: Final = 80
#: What a value that is written without an operator is compared by.
EQUALS: Final = "equals"

_LITERALS: Final = {Literal.TRUE: "true", Literal.FALSE: "false", Literal.NULL: "null"}
_LINE_BREAK: Final = re.compile(r"[ \t]*[\r\n]\s*")
_MARK: Final = "…"


@dataclass(frozen=True, slots=True)
class Alternative:
    """One member of a field's array: its text, the operator's name, and what it asks."""

    text: str
    operator: str
    condition: Condition


def alternatives_of(pattern: str, clause: FieldClause) -> tuple[Alternative, ...]:
    """Return the members of a clause's array as they stand in the text of its pattern."""
    start, end = clause.span
    text = pattern[start:end]
    scanner = Scanner(text)
    scanner.next_token()
    alternatives: list[Alternative] = []
    while (token := scanner.next_token()) is not Token.ARRAY_END:
        # A string's text is not read yet, only its quote; anything else is consumed as far as shown
        width = 1 if token is Token.STRING else len(scanner.text_of_token())
        start = scanner.position - width
        condition = read_value(scanner, token)
        # JSON has line breaks between tokens only, so that joining lines changes no string.
        written = _LINE_BREAK.sub(" ", text[start : scanner.position])
        operator = _operator_of(written) if token is Token.OBJECT_START else EQUALS
        alternatives.append(Alternative(written, operator, condition))
    return tuple(alternatives)


def _operator_of(written: str) -> str:
    scanner = Scanner(written)
    scanner.next_token()
    scanner.next_token()
    return scanner.text_of_token()


def shown_scalar(value: Scalar) -> str:
    """Return a scalar as JSON, cut where it is long."""
    if isinstance(value, str):
        return shown_text(msgspec.json.encode(value[: SHOWN_CHARACTERS_MAX * 2]).decode())
    if isinstance(value, InexactNumber):
        return shown_text(value.text)
    if isinstance(value, Literal):
        return _LITERALS[value]
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)  # noqa: PLR2004 - digits that a double writes without an exponent


def shown_text(text: str) -> str:
    """Return a text, cut where it is long."""
    if len(text) <= SHOWN_CHARACTERS_MAX:
        return text
    return text[: SHOWN_CHARACTERS_MAX - 1] + _MARK
