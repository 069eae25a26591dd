"""Decide whether the conditions of a statement hold for a request's context.

Keys and operators are joined by "and", the values of one key by "or" (for a negated operator:
neither … nor). Source: IAM user guide, "Condition operators" and "Set operators for multi-valued
context keys". Nothing here may raise on a policy that was parsed, whatever the context.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from farspan.policy.comparisons import Comparison, Segments, parse_truth
from farspan.policy.names import is_condition_key
from farspan.policy.operators import Operator, Quantifier, read_operator
from farspan.policy.template import fill, read_template, segments_of, variables_of
from farspan.policy.verdicts import Verdict, all_of, any_of, negation_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farspan.policy.document import ConditionTest
    from farspan.policy.template import Context


_FIXED_KEPT: Final = 4_096  # a few thousand policies' worth; each is at most a policy long


def normalized_context(context: Mapping[str, str | Sequence[str | None]]) -> Context:
    """Return the context as conditions read it: keys in lower case, no key without a value."""
    normalized: dict[str, tuple[str | None, ...]] = {}
    for key, value in context.items():
        values = (value,) if isinstance(value, str) else tuple(value)
        if values:
            normalized[key.lower()] = values
    return normalized


def conditions_hold(
    tests: Sequence[ConditionTest], context: Context, *, variables: bool
) -> Verdict:
    """Tell whether all tests hold; None where an unknown operator, key or form leaves it open."""
    return all_of(_holds(test, context, variables=variables) for test in tests)


def resolve(text: str, context: Context, *, variables: bool, splits_arns: bool) -> Segments | None:
    """Return a policy's text with its variables filled in, or None where one has no value."""
    fixed = _fixed(text, variables=variables, splits_arns=splits_arns)
    if fixed is not None:
        return fixed
    return _filled(text, context, variables=variables, splits_arns=splits_arns)


@lru_cache(maxsize=_FIXED_KEPT)
def _fixed(text: str, *, variables: bool, splits_arns: bool) -> Segments | None:
    """Return a text without variables as it always is, None for one that has some."""
    if variables and variables_of(text):
        return None
    return _filled(text, {}, variables=variables, splits_arns=splits_arns)


def _filled(text: str, context: Context, *, variables: bool, splits_arns: bool) -> Segments | None:
    pieces = read_template(text, variables=variables)
    segments = segments_of(pieces) if splits_arns else (pieces,)
    filled = [fill(segment, context) for segment in segments]
    whole = tuple(segment for segment in filled if segment is not None)
    return whole if len(whole) == len(segments) else None


def _holds(test: ConditionTest, context: Context, *, variables: bool) -> Verdict:
    operator = read_operator(test.operator)
    key = test.key.lower()
    found = context.get(key, ())
    if operator is None or not (found or is_condition_key(key)):
        return None
    if operator.compare is None:
        return None if None in found else _presence(test, present=bool(found))
    if not found:
        return _without_key(operator)
    wanted = [
        resolve(
            text,
            context,
            variables=variables and operator.takes_variables,
            splits_arns=operator.splits_arns,
        )
        for text in test.values.texts
    ]
    verdicts = (_passes(value, wanted, operator.compare, operator) for value in found)
    if operator.quantifier is Quantifier.FOR_ANY:
        return any_of(verdicts)
    if operator.quantifier is Quantifier.FOR_ALL:
        return all_of(verdicts)
    return next(verdicts) if len(found) == 1 else None


def _presence(test: ConditionTest, *, present: bool) -> Verdict:
    """`Null`: "true" asks that the key be absent, "false" that it be there."""
    wanted = (parse_truth(text) for text in test.values.texts)
    return any_of(None if absent is None else absent is not present for absent in wanted)


def _without_key(operator: Operator) -> Verdict:
    """Decide for a missing key. `ForAnyValue` says no to it and `IfExists` yes: cannot tell."""
    if operator.quantifier is Quantifier.FOR_ANY:
        return None if operator.if_exists else False
    if operator.quantifier is Quantifier.FOR_ALL or operator.if_exists:
        return True
    return operator.negated


def _passes(
    value: str | None, wanted: Sequence[Segments | None], compare: Comparison, operator: Operator
) -> Verdict:
    """Compare one value with all of the policy's; a value that nobody can tell passes unknown.

    A variable without a value makes a text that equals nothing. Where being unequal is what
    passes, that must not let anyone in: there it counts as unknown.
    """
    if value is None:
        return None
    unfilled: Verdict = None if operator.negated else False
    verdict = any_of(unfilled if each is None else compare(value, each) for each in wanted)
    return negation_of(verdict) if operator.negated else verdict
