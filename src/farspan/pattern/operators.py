"""Read the operators of the pattern language: `{"prefix": "x"}` and its kin.

Each reader is called with the scanner on the first token of the operand and leaves it on the
operand's last token. It returns the condition, or raises `PatternRefused` with AWS's text, at the
place where AWS's streaming parser notices. What an operator means is in `conditions`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from farspan.pattern.addresses import AddressFault, Block, parse_address
from farspan.pattern.conditions import (
    Condition,
    FoldedEdge,
    FoldedEqual,
    InBlock,
    NoneOf,
    NumericRange,
    Prefix,
    Present,
    SameAddress,
    Suffix,
    Test,
    Wildcard,
)
from farspan.pattern.folding import FoldedText
from farspan.pattern.scalars import InexactNumber, Literal, Scalar, scalar_of_number
from farspan.pattern.scan import PatternRefused, Scanner, Token
from farspan.pattern.wildcard import Glob, WildcardFault

if TYPE_CHECKING:
    from collections.abc import Callable

    Reader = Callable[[Scanner, Token], Condition]

_LITERALS: Final = {
    Token.TRUE: Literal.TRUE,
    Token.FALSE: Literal.FALSE,
    Token.NULL: Literal.NULL,
}
_ANYTHING_BUT_OPERAND: Final = (
    "Value of anything-but must be an array or single string/number value."
)
_ANYTHING_BUT_MEMBER: Final = "Inside anything but list, start|null|boolean is not supported."
_ANYTHING_BUT_MIXED: Final = (
    "Inside anything but list, either all values are number or string, mixed type is not supported"
)
_ANYTHING_BUT_FOLDED: Final = (
    "Inside anything-but/equals-ignore-case list, number|start|null|boolean is not supported."
)


def read_value(scanner: Scanner, token: Token) -> Condition:
    """Read one member of a field's array: a scalar or an operator object."""
    if token is Token.OBJECT_START:
        return _read_operator(scanner)
    if token is Token.STRING:
        return _exactly(scanner.text_of_token())
    if token is Token.NUMBER:
        return Condition(frozenset({scalar_of_number(scanner.text_of_token())}))
    if token in _LITERALS:
        return Condition(frozenset({_LITERALS[token]}))
    raise scanner.refusal("Match value must be String, number, true, false, or null")


def _read_operator(scanner: Scanner) -> Condition:
    if scanner.next_token() is not Token.NAME:
        raise scanner.refusal("Match expression name not found")
    name = scanner.text_of_token()
    token = scanner.next_token()
    reader = _OPERATORS.get(name)
    if reader is None:
        raise scanner.refusal(f"Unrecognized match type {name}")
    condition = reader(scanner, token)
    _close_operator(scanner)
    return condition


def _close_operator(scanner: Scanner) -> None:
    if scanner.next_token() is not Token.OBJECT_END:
        raise scanner.refusal("Only one key allowed in match expression")


def _exactly(text: str) -> Condition:
    address = parse_address(text)
    if address is not None:
        return Condition(tests=(SameAddress(address),))
    return Condition(frozenset({text}))


def _one(test: Test) -> Condition:
    return Condition(tests=(test,))


def _text_operand(scanner: Scanner, token: Token, operator: str) -> str:
    if token is not Token.STRING:
        raise scanner.refusal(f"{operator} match pattern must be a string")
    return scanner.text_of_token()


# --- one string ------------------------------------------------------------------------------


def _read_exactly(scanner: Scanner, token: Token) -> Condition:
    return _exactly(_text_operand(scanner, token, "exact"))


def _read_prefix(scanner: Scanner, token: Token) -> Condition:
    if token is Token.OBJECT_START:
        return _one(FoldedEdge(FoldedText.of(_folded_operand(scanner, "prefix"))))
    return _one(Prefix(_text_operand(scanner, token, "prefix")))


def _read_suffix(scanner: Scanner, token: Token) -> Condition:
    if token is Token.OBJECT_START:
        return _one(FoldedEdge(FoldedText.of(_folded_operand(scanner, "suffix"), reverse=True)))
    return _one(Suffix(_text_operand(scanner, token, "suffix")))


def _folded_operand(scanner: Scanner, operator: str) -> str:
    """Read `{"equals-ignore-case": text}`, the only object that prefix and suffix take."""
    if scanner.next_token() is not Token.NAME:
        raise scanner.refusal("Match expression name not found")
    name = scanner.text_of_token()
    if name != "equals-ignore-case":
        raise scanner.refusal(f"Unsupported {operator} pattern: {name}")
    text = _text_operand(scanner, scanner.next_token(), "equals-ignore-case")
    _close_operator(scanner)
    return text


def _read_folded(scanner: Scanner, token: Token) -> Condition:
    text = _text_operand(scanner, token, "equals-ignore-case")
    return _one(FoldedEqual(FoldedText.of(text)))


def _read_wildcard(scanner: Scanner, token: Token) -> Condition:
    return _one(_wildcard(scanner, _text_operand(scanner, token, "wildcard")))


def _wildcard(scanner: Scanner, text: str) -> Wildcard:
    try:
        return Wildcard(Glob.parse(text))
    except WildcardFault as fault:
        raise scanner.refusal(str(fault)) from fault


def _read_cidr(scanner: Scanner, token: Token) -> Condition:
    # AWS's text for a wrong operand says prefix here, too.
    text = _text_operand(scanner, token, "prefix")
    try:
        return _one(InBlock(Block.parse(text)))
    except AddressFault as fault:
        raise PatternRefused(str(fault)) from fault


def _read_exists(scanner: Scanner, token: Token) -> Condition:
    if token is Token.TRUE:
        return _one(Present())
    if token is Token.FALSE:
        return Condition(absent=True)
    raise scanner.refusal("exists match pattern must be either true or false.")


# --- numeric ---------------------------------------------------------------------------------


def _read_numeric(scanner: Scanner, token: Token) -> Condition:
    if token is not Token.ARRAY_START:
        raise scanner.refusal("Value of numeric must be an array.")
    if scanner.next_token() is not Token.STRING:
        raise scanner.refusal(f"Invalid member in numeric match: {scanner.text_of_token()}")
    operator = scanner.text_of_token()
    if operator == "=":
        value = _bound(scanner, "equals")
        _close_numeric(scanner, "Too many elements in numeric expression")
        return Condition(frozenset({value}))
    if operator not in {"<", "<=", ">", ">="}:
        raise scanner.refusal(f"Unrecognized numeric range operator: {operator}")
    bound = _bound(scanner, operator)
    if operator.startswith("<"):
        _close_numeric(scanner, "Too many terms in numeric range expression")
        return _one(NumericRange(-math.inf, False, bound, operator == "<"))
    return _one(_read_from(scanner, bound, bottom_open=operator == ">"))


def _read_from(scanner: Scanner, bottom: float, *, bottom_open: bool) -> NumericRange:
    """Read what may follow a lower bound: nothing, or an upper bound."""
    token = scanner.next_token()
    if token is Token.ARRAY_END:
        return NumericRange(bottom, bottom_open, math.inf, False)
    if token is not Token.STRING:
        raise scanner.refusal(f"Bad value in numeric range: {scanner.text_of_token()}")
    operator = scanner.text_of_token()
    if operator not in {"<", "<="}:
        raise scanner.refusal(f"Bad numeric range operator: {operator}")
    top = _bound(scanner, operator)
    _close_numeric(scanner, "Too many terms in numeric range expression")
    if bottom >= top:
        raise scanner.refusal("Bottom must be less than top")
    return NumericRange(bottom, bottom_open, top, operator == "<")


def _bound(scanner: Scanner, operator: str) -> float:
    if scanner.next_token() is not Token.NUMBER:
        raise scanner.refusal(f"Value of {operator} must be numeric")
    number = scalar_of_number(scanner.text_of_token())
    if isinstance(number, InexactNumber):
        raise scanner.refusal(f"Cannot compare number : {number.text}")
    return number


def _close_numeric(scanner: Scanner, reason: str) -> None:
    if scanner.next_token() is not Token.ARRAY_END:
        raise scanner.refusal(reason)


# --- anything-but ----------------------------------------------------------------------------


def _read_anything_but(scanner: Scanner, token: Token) -> Condition:
    if token is Token.ARRAY_START:
        return _one(NoneOf(_excluded_list(scanner)))
    if token is Token.OBJECT_START:
        return _one(NoneOf(_excluded_operator(scanner)))
    if token is Token.STRING:
        return _one(NoneOf(Condition(frozenset({scanner.text_of_token()}))))
    if token is Token.NUMBER:
        number = scalar_of_number(scanner.text_of_token())
        return _one(NoneOf(Condition(frozenset({number}))))
    raise scanner.refusal(_ANYTHING_BUT_OPERAND)


def _excluded_list(scanner: Scanner) -> Condition:
    strings: set[Scalar] = set()
    numbers: set[Scalar] = set()
    try:
        while (token := scanner.next_token()) is not Token.ARRAY_END:
            if token is Token.STRING:
                strings.add(scanner.text_of_token())
            elif token is Token.NUMBER:
                numbers.add(scalar_of_number(scanner.text_of_token()))
            else:
                raise scanner.refusal(_ANYTHING_BUT_MEMBER)
    except PatternRefused as refused:
        raise _twice_placed(scanner, refused) from refused
    if bool(strings) is bool(numbers):
        raise scanner.refusal(_ANYTHING_BUT_MIXED)
    return Condition(frozenset(strings | numbers))


def _excluded_operator(scanner: Scanner) -> Condition:
    if scanner.next_token() is not Token.NAME:
        raise scanner.refusal("Match expression name not found")
    name = scanner.text_of_token()
    token = scanner.next_token()
    if name not in _EXCLUDED_MEMBERS:
        raise scanner.refusal(f"Unsupported anything-but pattern: {name}")
    member = _EXCLUDED_MEMBERS[name]
    if token is Token.ARRAY_START:
        excluded = _excluded_members(scanner, member)
    elif token in {Token.STRING, Token.NUMBER} or name == "equals-ignore-case":
        excluded = member(scanner, token)
    else:
        raise scanner.refusal(_ANYTHING_BUT_OPERAND)
    _close_operator(scanner)
    return excluded


def _excluded_members(scanner: Scanner, member: Reader) -> Condition:
    excluded: list[Condition] = []
    try:
        while (token := scanner.next_token()) is not Token.ARRAY_END:
            excluded.append(member(scanner, token))
    except PatternRefused as refused:
        raise _twice_placed(scanner, refused) from refused
    if not excluded:
        # Nothing to exclude: event-ruler itself breaks on this, so no text of AWS's is known.
        raise scanner.refusal("Empty arrays are not allowed")
    return Condition.any_of(excluded)


def _twice_placed(scanner: Scanner, refused: PatternRefused) -> PatternRefused:
    """AWS reports a fault inside an anything-but list with its place repeated."""
    return PatternRefused(refused.reason + scanner.location())


def _excluded_edge(scanner: Scanner, token: Token) -> str:
    text = _text_operand(scanner, token, "prefix/suffix")
    if not text:
        raise scanner.refusal("Null prefix/suffix not allowed")
    return text


def _excluded_prefix(scanner: Scanner, token: Token) -> Condition:
    return _one(Prefix(_excluded_edge(scanner, token)))


def _excluded_suffix(scanner: Scanner, token: Token) -> Condition:
    return _one(Suffix(_excluded_edge(scanner, token)))


def _excluded_folded(scanner: Scanner, token: Token) -> Condition:
    if token is not Token.STRING:
        raise scanner.refusal(_ANYTHING_BUT_FOLDED)
    return _one(FoldedEqual(FoldedText.of(scanner.text_of_token())))


_EXCLUDED_MEMBERS: Final[dict[str, Reader]] = {
    "prefix": _excluded_prefix,
    "suffix": _excluded_suffix,
    "equals-ignore-case": _excluded_folded,
    "wildcard": _read_wildcard,
}
_OPERATORS: Final[dict[str, Reader]] = {
    "exactly": _read_exactly,
    "prefix": _read_prefix,
    "suffix": _read_suffix,
    "equals-ignore-case": _read_folded,
    "wildcard": _read_wildcard,
    "cidr": _read_cidr,
    "exists": _read_exists,
    "numeric": _read_numeric,
    "anything-but": _read_anything_but,
}
#: Names that cannot be fields of an alternative of `$or`, which would otherwise look like one.
RESERVED_NAMES: Final = frozenset(_OPERATORS) | {"=", "<", "<=", ">", ">=", "regex"}
#: Names that begin so are reserved too.
RESERVED_BEGINNING: Final = "date-"
