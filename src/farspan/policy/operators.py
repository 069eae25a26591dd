"""The condition operators: what each name compares, and how it treats several values and none.

A name is `[ForAnyValue:|ForAllValues:]<operator>[IfExists]`; names are not case-sensitive. A name
that does not read so is unknown, which nothing here may take for a no.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from typing import Final

from farspan.policy import comparisons
from farspan.policy.comparisons import Comparison
from farspan.policy.template import ARN_SEGMENTS


class Quantifier(StrEnum):
    """How a key with several values is compared."""

    FOR_ANY = "ForAnyValue"  # one value has to pass
    FOR_ALL = "ForAllValues"  # each value has to pass; a missing key has none that fails


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """An operator as a policy uses it. Without a comparison it is `Null`: it asks for presence."""

    compare: Comparison | None
    is_value: Callable[[str], bool]
    negated: bool = False
    takes_variables: bool = False
    splits_arns: bool = False
    if_exists: bool = False
    quantifier: Quantifier | None = None


def _any_text(_text: str) -> bool:
    return True


def _parsed(parse: Callable[[str], object | None]) -> Callable[[str], bool]:
    return lambda text: parse(text) is not None


def _is_arn_pattern(text: str) -> bool:
    return text.count(":") >= ARN_SEGMENTS - 1


def _both(
    name: str, negated_name: str, compare: Comparison, is_value: Callable[[str], bool]
) -> dict[str, Operator]:
    texts = name.startswith(("String", "Arn"))
    plain = Operator(
        compare=compare,
        is_value=is_value,
        takes_variables=texts,
        splits_arns=name.startswith("Arn"),
    )
    return {name: plain, negated_name: replace(plain, negated=True)}


def _ordered(
    kind: str,
    comparison_of: Callable[[comparisons.Order], Comparison],
    is_value: Callable[[str], bool],
) -> dict[str, Operator]:
    operators = {
        kind + name: Operator(compare=comparison_of(order), is_value=is_value)
        for name, order in comparisons.Orders.items()
    }
    operators[kind + "NotEquals"] = replace(operators[kind + "Equals"], negated=True)
    return operators


_IS_TRUTH: Final = _parsed(comparisons.parse_truth)

OPERATORS: Final[dict[str, Operator]] = {
    **_both("StringEquals", "StringNotEquals", comparisons.equals, _any_text),
    **_both(
        "StringEqualsIgnoreCase",
        "StringNotEqualsIgnoreCase",
        comparisons.equals_ignoring_case,
        _any_text,
    ),
    **_both("StringLike", "StringNotLike", comparisons.is_like, _any_text),
    **_ordered("Numeric", comparisons.number_comparison, _parsed(comparisons.parse_number)),
    **_ordered("Date", comparisons.date_comparison, _parsed(comparisons.parse_date)),
    "Bool": Operator(compare=comparisons.is_same_truth, is_value=_IS_TRUTH),
    "BinaryEquals": Operator(
        compare=comparisons.is_same_binary, is_value=_parsed(comparisons.parse_binary)
    ),
    **_both("IpAddress", "NotIpAddress", comparisons.is_in_block, _parsed(comparisons.parse_block)),
    **_both("ArnEquals", "ArnNotEquals", comparisons.is_arn_like, _is_arn_pattern),
    **_both("ArnLike", "ArnNotLike", comparisons.is_arn_like, _is_arn_pattern),
    "Null": Operator(compare=None, is_value=_IS_TRUTH),
}
"""Every operator without quantifier and suffix."""

_BY_LOWER_NAME: Final = {name.lower(): operator for name, operator in OPERATORS.items()}
_QUANTIFIERS: Final = {quantifier.value.lower(): quantifier for quantifier in Quantifier}
_IF_EXISTS: Final = "ifexists"
_CACHED_NAMES_MAX: Final = 1_024  # there are 162; the rest is room for misspellings


@lru_cache(maxsize=_CACHED_NAMES_MAX)
def read_operator(name: str) -> Operator | None:
    """Return the operator of that name, or None: it is unknown.

    `Null` takes neither quantifier nor suffix: it is itself the question whether the key exists.
    """
    head, colon, tail = name.lower().rpartition(":")
    if colon and head not in _QUANTIFIERS:
        return None
    plain = _BY_LOWER_NAME.get(tail.removesuffix(_IF_EXISTS))
    if plain is None:
        return None
    if_exists = tail.endswith(_IF_EXISTS)
    if plain.compare is None and (colon or if_exists):
        return None
    return replace(plain, if_exists=if_exists, quantifier=_QUANTIFIERS.get(head))
