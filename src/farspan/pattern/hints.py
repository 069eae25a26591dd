"""Why a field that is there does not match: the nearest reason, in words that say what to change.

Rules are tried from the most specific to the least; the first that applies is the hint. A rule
looks at one alternative of the pattern and one scalar of the event. Nothing here may change a
verdict: a hint is about a field that has failed already. Fields that are missing are in `missing`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.pattern.addresses import parse_address
from farspan.pattern.conditions import (
    Condition,
    FoldedEdge,
    FoldedEqual,
    InBlock,
    NumericRange,
    Prefix,
    Suffix,
    Wildcard,
)
from farspan.pattern.scalars import InexactNumber, Literal, Scalar, scalar_of_number
from farspan.pattern.wildcard import Glob, WildcardFault
from farspan.pattern.written import shown_scalar, shown_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farspan.pattern.conditions import Test
    from farspan.pattern.written import Alternative

    Rule = Callable[[str, Alternative, Scalar], "Hint | None"]

#: Alternatives and values of one field that rules are tried on: their product is the work.
TRIED_MAX: Final = 50
#: How alike two texts are where one is probably meant for the other.
LIKENESS_MIN: Final = 0.8
#: Longer strings are not compared for likeness.
_COMPARED_CHARACTERS_MAX: Final = 2_000
_LIKENESS_CHARACTERS_MAX: Final = 100
_PART_CHARACTERS_MIN: Final = 3
_LITERAL_TEXTS: Final = {"true": Literal.TRUE, "false": Literal.FALSE, "null": Literal.NULL}
_TEXT_TESTS: Final = (Prefix, Suffix, Wildcard, FoldedEqual, FoldedEdge, InBlock)


class Hint(msgspec.Struct, frozen=True):
    """What is probably wrong and what to change.

    `code` is stable, for programs; `text` is for people. `suggestion` is the piece of pattern (an
    alternative, or a path) that would do, where there is one.
    """

    code: str
    text: str
    suggestion: str | None = None


def value_hint(
    path: str, alternatives: Sequence[Alternative], values: Sequence[Scalar]
) -> Hint | None:
    """Return why none of `values`, found at `path`, is what the alternatives ask."""
    for rule in _RULES:
        for alternative in alternatives[:TRIED_MAX]:
            for value in values[:TRIED_MAX]:
                if isinstance(value, str) and len(value) > _COMPARED_CHARACTERS_MAX:
                    continue
                hint = rule(path, alternative, value)
                if hint is not None:
                    return hint
    return None


def _quoted(text: str) -> str:
    return msgspec.json.encode(text).decode()


# --- the same text, but for something small ------------------------------------------------------


def _rewritten(condition: Condition, rewrite: Callable[[str], str]) -> Condition:
    """Return what remains of a condition that asks for text, with that text rewritten."""
    tests: list[Test] = []
    for test in condition.tests:
        if isinstance(test, Prefix | Suffix):
            tests.append(replace(test, text=rewrite(test.text)))
        elif isinstance(test, Wildcard):
            literals = tuple(rewrite(literal) for literal in test.glob.literals)
            tests.append(Wildcard(Glob(literals)))
    values = frozenset(rewrite(value) for value in condition.values if isinstance(value, str))
    return Condition(values, tuple(tests))


def _text_of(condition: Condition) -> str | None:
    """Return the text that one alternative asks for, None where it asks for no text."""
    for value in condition.values:
        if isinstance(value, str):
            return value
    for test in condition.tests:
        if isinstance(test, Prefix | Suffix):
            return test.text
    return None


def _white_space(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not isinstance(value, str):
        return None
    bare, condition = value.strip(), alternative.condition
    positive = bool(condition.values) or any(isinstance(t, _TEXT_TESTS) for t in condition.tests)
    if bare != value and positive and condition.admits(bare):
        text = f"the event's value {shown_scalar(value)} has white space at an end"
        return Hint("white-space", f"{text}, and nothing is trimmed; send it without")
    asked = _text_of(condition)
    if asked is None or asked == asked.strip():
        return None
    if _rewritten(condition, str.strip).admits(bare):
        text = "the pattern's value has white space at an end, and nothing is trimmed"
        return Hint("white-space", f"{text}; write it without", _quoted(asked.strip()))
    return None


def _case(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not isinstance(value, str):
        return None
    if not _rewritten(alternative.condition, str.lower).admits(value.lower()):
        return None
    asked = _text_of(alternative.condition)
    if asked is None:
        text = f"{shown_scalar(value)} differs only in case, and wildcard knows no other: write it"
        return Hint("case", f"{text} as the event does")
    folded = f'{{"equals-ignore-case": {_quoted(asked)}}}'
    if alternative.operator in {"prefix", "suffix"}:
        folded = f'{{"{alternative.operator}": {folded}}}'
        return Hint("case", f"value differs only in case: use {folded}", folded)
    return Hint("case", f"value differs only in case: use equals-ignore-case, {folded}", folded)


def _separator(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not isinstance(value, str):
        return None

    def same(text: str) -> str:
        return text.replace("/", ":")

    if not _rewritten(alternative.condition, same).admits(same(value)):
        return None
    text = "value differs only in ':' against '/'"
    if value.startswith("arn:"):
        text += ": in an ARN they are different characters"
    return Hint("colon-or-slash", f"{text}; write it as the event does: {shown_scalar(value)}")


def _star(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    asked = _text_of(alternative.condition)
    if asked is None or "*" not in asked or not isinstance(value, str):
        return None
    wildcard = {"prefix": f"{asked.rstrip('*')}*", "suffix": f"*{asked.lstrip('*')}"}
    form = wildcard.get(alternative.operator, asked)
    try:
        admitted = Glob.parse(form).matches(value)
    except WildcardFault:
        return None
    if not admitted:
        return None
    if alternative.operator in wildcard:
        bare = asked.strip("*")
        if "*" not in bare:
            shorter = f'{{"{alternative.operator}": {_quoted(bare)}}}'
            return Hint(
                "star-is-text",
                f"in {alternative.operator} the * stands for itself: use {shorter}",
                shorter,
            )
    suggestion = f'{{"wildcard": {_quoted(form)}}}'
    return Hint("star-is-text", f"the * stands for itself here: use {suggestion}", suggestion)


# --- another kind of value -----------------------------------------------------------------------


def _number_as_text(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    number = _number_in(value)
    if number is None or not alternative.condition.admits(number):
        return None
    if alternative.operator == "anything-but":
        return None
    if alternative.operator == "numeric":
        text = f"the event's value is the string {shown_scalar(value)}: numeric compares numbers"
        return Hint("numeric-on-string", f"{text} only, so send it without quotes")
    suggestion = shown_scalar(value)
    text = f"the pattern has a number, the event has a string: write {suggestion} with quotes"
    return Hint("number-against-string", text, suggestion)


def _number_in(value: Scalar) -> float | None:
    """Return the number that a string looks like, None where it looks like none."""
    if not isinstance(value, str) or len(value) > _LIKENESS_CHARACTERS_MAX:
        return None
    try:
        float(value)
        number = scalar_of_number(value.strip())
    except (ValueError, ArithmeticError):
        return None
    return number if isinstance(number, float) else None


def _text_as_number(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not isinstance(value, float):
        return None
    for asked in alternative.condition.values:
        if _number_in(asked) == value:
            suggestion = shown_scalar(value)
            text = "the pattern has a string, the event has a number: write"
            return Hint("string-against-number", f"{text} {suggestion} without quotes", suggestion)
    return None


def _literal_as_text(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    asked = alternative.condition.values
    if isinstance(value, Literal):
        name = shown_scalar(value)
        if any(isinstance(text, str) and text.lower() == name for text in asked):
            text = f"the pattern has a string, the event has {name}: write it without quotes"
            return Hint("string-against-literal", text, name)
    elif isinstance(value, str):
        literal = _LITERAL_TEXTS.get(value.lower())
        if literal is not None and literal in asked:
            suggestion = shown_scalar(value)
            text = f"the pattern has {shown_scalar(literal)}, the event has a string: write"
            return Hint("literal-against-string", f"{text} {suggestion} with quotes", suggestion)
    return None


def _operator_of_text(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    tests = alternative.condition.tests
    operator, kind = alternative.operator, _kind_of(value)
    if not isinstance(value, str) and any(isinstance(test, _TEXT_TESTS) for test in tests):
        text = f"{operator} compares strings only, the event has {kind} {shown_scalar(value)}"
        return Hint("text-operator", text)
    if isinstance(value, float | InexactNumber):
        if isinstance(value, InexactNumber) and any(isinstance(t, NumericRange) for t in tests):
            text = f"{shown_scalar(value)} has more digits than a double holds, so numeric never"
            return Hint("inexact-number", f"{text} matches it")
        return None
    if any(isinstance(test, NumericRange) for test in tests):
        text = f"numeric compares numbers only, the event has {kind} {shown_scalar(value)}"
        return Hint("numeric-operator", text)
    return None


def _kind_of(value: Scalar) -> str:
    if isinstance(value, str):
        return "the string"
    return "the literal" if isinstance(value, Literal) else "the number"


def _no_address(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not isinstance(value, str) or parse_address(value) is not None:
        return None
    if not any(isinstance(test, InBlock) for test in alternative.condition.tests):
        return None
    return Hint("no-address", f"{shown_scalar(value)} is no IP address, which cidr asks for")


# --- a part of it, or nearly it ------------------------------------------------------------------


def _source(path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    asked = _text_of(alternative.condition)
    if path != "source" or asked is None or not isinstance(value, str):
        return None
    if not asked.startswith("aws.") or value.startswith("aws."):
        return None
    text = "sources that begin with aws. are those of AWS's own services, and PutEvents refuses"
    text += f" them; this event's source is {shown_scalar(value)}"
    return Hint("aws-source", text, shown_scalar(value))


def _part(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    asked = _text_of(alternative.condition)
    if asked is None or not isinstance(value, str) or len(asked) < _PART_CHARACTERS_MIN:
        return None
    quoted, operator = _quoted(asked), alternative.operator
    if asked not in value or operator not in {"equals", "exactly", "prefix", "suffix"}:
        return None
    if value.startswith(asked):
        suggestion, where = f'{{"prefix": {quoted}}}', "begins with it"
    elif value.endswith(asked):
        suggestion, where = f'{{"suffix": {quoted}}}', "ends with it"
    else:
        star = _quoted(f"*{asked.replace(chr(92), chr(92) * 2).replace('*', chr(92) + '*')}*")
        suggestion, where = f'{{"wildcard": {star}}}', "has it in the middle"
    return Hint("part-of-value", f"the event's value {where}: use {suggestion}", suggestion)


def _likeness(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    asked = _text_of(alternative.condition)
    if asked is None or not isinstance(value, str) or alternative.operator != "equals":
        return None
    if max(len(asked), len(value)) > _LIKENESS_CHARACTERS_MAX:
        return None
    if alike(asked, value) < LIKENESS_MIN:
        return None
    text = f"the event has {shown_scalar(value)}, which is nearly the same: a slip of the pen?"
    return Hint("similar", text, shown_text(_quoted(value)))


def alike(one: str, other: str) -> float:
    """Return how alike two short texts are, from 0 to 1."""
    from difflib import SequenceMatcher  # few explanations come this far, and all would wait

    matcher = SequenceMatcher(None, one, other, autojunk=False)
    return matcher.ratio() if matcher.quick_ratio() >= LIKENESS_MIN else 0.0


# --- excluded ------------------------------------------------------------------------------------


def _must_be_absent(_path: str, alternative: Alternative, value: Scalar) -> Hint | None:
    if not alternative.condition.absent:
        return None
    if value is Literal.NULL:
        text = 'a field that is null exists: to allow both, write [null, {"exists": false}]'
        return Hint("null-exists", text, "null")
    if value == "":
        text = 'a field that is empty exists: to allow both, write ["", {"exists": false}]'
        return Hint("empty-exists", text, '""')
    return None


_RULES: Final[tuple[Rule, ...]] = (
    _white_space,
    _case,
    _separator,
    _star,
    _number_as_text,
    _text_as_number,
    _literal_as_text,
    _no_address,
    _operator_of_text,
    _must_be_absent,
    _source,
    _part,
    _likeness,
)
