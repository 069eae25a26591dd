"""Parse pattern text into clauses: which fields it names and what it asks of each.

The structure of a pattern and AWS's refusals of it are here; operators are in `operators`. The
result keeps the order of the document, which decides between two clauses for one field. Nothing
here may look at an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from farspan.pattern.conditions import Condition, wildcards_of
from farspan.pattern.operators import RESERVED_BEGINNING, RESERVED_NAMES, read_value
from farspan.pattern.scan import NESTING_LEVELS_MAX, TOO_DEEP, PatternRefused, Scanner, Token
from farspan.pattern.wildcard import COMPLEXITY_MAX, complexity

if TYPE_CHECKING:
    from collections.abc import Callable

_ALTERNATIVES_MIN: Final = 2
_TOO_COMPLEX: Final = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character "
    "sequences after a wildcard character"
)


@dataclass(frozen=True, slots=True)
class FieldClause:
    """What a pattern asks of the field at `path`, its steps joined by dots.

    `span` is where in the pattern's text the array stands that says so.
    """

    path: str
    condition: Condition
    span: tuple[int, int] = field(default=(0, 0), repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class OrClause:
    """`$or`: one of the alternatives must hold."""

    alternatives: tuple[tuple[Clause, ...], ...]


Clause = FieldClause | OrClause


def parse_pattern(text: str) -> tuple[Clause, ...]:
    """Parse `text`; all clauses must hold. Raises `PatternRefused`.

    A `$or` that is not of the documented shape is tried again as a field of that name; if that
    fails too, the first refusal says more and is the one raised. Text after the pattern's closing
    brace is ignored, as AWS does.
    """
    parser = _Parser(text, or_allowed=True)
    try:
        return parser.parse()
    except PatternRefused:
        if not parser.or_seen:
            raise
        try:
            return _Parser(text, or_allowed=False).parse()
        except PatternRefused:
            pass
        raise


class _Parser:
    """One pass over one pattern."""

    def __init__(self, text: str, *, or_allowed: bool) -> None:
        self._scanner = Scanner(text)
        self._or_allowed = or_allowed
        self.or_seen = False

    def parse(self) -> tuple[Clause, ...]:
        if self._scanner.next_token() is not Token.OBJECT_START:
            raise self._scanner.refusal("Filter is not an object")
        return self._read_object(())

    def _read_object(
        self, steps: tuple[str, ...], check_name: Callable[[str], None] | None = None
    ) -> tuple[Clause, ...]:
        clauses: list[Clause] = []
        while self._scanner.next_token() is Token.NAME:
            name = self._scanner.text_of_token()
            if check_name:
                check_name(name)
            token = self._scanner.next_token()
            if name == "$or" and self._or_allowed:
                clauses.append(self._read_or(steps, token))
            else:
                clauses.extend(self._read_field((*steps, name), token))
        if not clauses:
            raise self._scanner.refusal("Empty objects are not allowed")
        return tuple(clauses)

    def _read_field(self, steps: tuple[str, ...], token: Token) -> tuple[Clause, ...]:
        if token is Token.OBJECT_START:
            return self._read_object(steps)
        if token is Token.ARRAY_START:
            path = ".".join(steps)
            if path.count(".") >= NESTING_LEVELS_MAX:
                raise self._scanner.refusal(TOO_DEEP)
            start = self._scanner.position - 1
            condition = self._read_condition()
            return (FieldClause(path, condition, (start, self._scanner.position)),)
        raise self._scanner.refusal(f'"{steps[-1]}" must be an object or an array')

    def _read_condition(self) -> Condition:
        values: list[Condition] = []
        while (token := self._scanner.next_token()) is not Token.ARRAY_END:
            values.append(read_value(self._scanner, token))
        if not values:
            raise self._scanner.refusal("Empty arrays are not allowed")
        condition = Condition.any_of(values)
        if complexity(wildcards_of(condition)) > COMPLEXITY_MAX:
            raise PatternRefused(_TOO_COMPLEX)
        return condition

    def _read_or(self, steps: tuple[str, ...], token: Token) -> OrClause:
        self.or_seen = True
        if token is not Token.ARRAY_START:
            raise self._scanner.refusal("It must be an Array followed with $or.")
        alternatives: list[tuple[Clause, ...]] = []
        while (token := self._scanner.next_token()) is not Token.ARRAY_END:
            if token is not Token.OBJECT_START:
                raise self._scanner.refusal(
                    "Only JSON object is allowed in array of $or relationship."
                )
            alternatives.append(self._read_object(steps, self._refuse_reserved))
        if len(alternatives) < _ALTERNATIVES_MIN:
            raise self._scanner.refusal("There must have at least 2 Objects in $or relationship.")
        return OrClause(tuple(alternatives))

    def _refuse_reserved(self, name: str) -> None:
        if name in RESERVED_NAMES or name.startswith(RESERVED_BEGINNING):
            raise self._scanner.refusal(
                f"{name} is Ruler reserved fieldName which cannot be used inside $or."
            )
