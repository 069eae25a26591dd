"""Each condition operator, with and without its key, with one value and several."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.policy.conditions import conditions_hold, normalized_context
from farspan.policy.document import ConditionTest, Values
from farspan.policy.operators import OPERATORS, Quantifier, read_operator

KEY = "aws:PrincipalTag/x"
ARN = "arn:aws:events:us-east-1:111122223333:rule/bus/r:1"


def holds(
    operator: str, wanted: Any, *found: str, key: str = KEY, variables: bool = True, **more: Any
) -> bool | None:
    """Hold one test against a context in which the key has the values found."""
    texts = (wanted,) if isinstance(wanted, str) else tuple(wanted)
    context = normalized_context({key: found, **more})
    return conditions_hold(
        (ConditionTest(operator, key, Values(texts)),), context, variables=variables
    )


# operator, the policy's value, the request's value, the verdict
COMPARED = [
    ("StringEquals", "a*", "a*", True),
    ("StringEquals", "a*", "ab", False),
    ("StringEquals", "A", "a", False),
    ("StringEqualsIgnoreCase", "A", "a", True),
    ("StringEqualsIgnoreCase", "A", "b", False),
    ("StringLike", "a*c?", "abbcd", True),
    ("StringLike", "a*c?", "abbc", False),
    ("StringLike", "A*", "abc", False),
    ("StringLike", "*", "", True),
    ("StringLike", "?", "", False),
    ("NumericEquals", "5", "5.0", True),
    ("NumericEquals", "5", "6", False),
    ("NumericEquals", "5", "five", None),
    ("NumericEquals", "five", "5", None),
    ("NumericLessThan", "5", "-4", True),
    ("NumericLessThan", "5", "5", False),
    ("NumericLessThanEquals", "5", "5", True),
    ("NumericLessThanEquals", "5", "5.01", False),
    ("NumericGreaterThan", "5", "10", True),
    ("NumericGreaterThan", "5", "5", False),
    ("NumericGreaterThanEquals", "1e3", "1000", True),
    ("NumericGreaterThanEquals", "5", "4", False),
    ("DateEquals", "2026-01-01", "2026-01-01T00:00:00Z", True),
    ("DateEquals", "2026-01-01T01:00:00+01:00", "2026-01-01T00:00:00.000Z", True),
    ("DateEquals", "2026-01-01T00:00Z", "1767225600", True),
    ("DateEquals", "2026-01-01", "2026-02-30", None),
    ("DateEquals", "2026-01-01", "soon", None),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2025-12-31T23:59:59.999Z", True),
    ("DateLessThan", "2026-01-01T00:00:00Z", "2026-01-01", False),
    ("DateLessThanEquals", "2026-01-01", "2026-01-01", True),
    ("DateGreaterThan", "2026-01-01T00:00:00-05:00", "2026-01-01T05:00:01Z", True),
    ("DateGreaterThanEquals", "2026-01", "2025-12-31", False),
    ("Bool", "true", "TRUE", True),
    ("Bool", "true", "false", False),
    ("Bool", "true", "yes", None),
    ("BinaryEquals", "QUJD", "QUJD", True),
    ("BinaryEquals", "QUJD", "QUJE", False),
    ("BinaryEquals", "QUJD", "!", None),
    ("IpAddress", "10.0.0.0/8", "10.9.9.9", True),
    ("IpAddress", "10.0.0.1", "10.0.0.1", True),
    ("IpAddress", "10.0.0.0/8", "11.0.0.1", False),
    ("IpAddress", "2001:db8::/32", "2001:db8::1", True),
    ("IpAddress", "10.0.0.0/8", "2001:db8::1", False),
    ("IpAddress", "10.0.0.0/8", "here", None),
    ("IpAddress", "10.0.0.0/0.255.255.255", "10.0.0.1", None),
    ("IpAddress", "fe80::/10", "fe80::1%eth0", True),
    ("ArnEquals", "arn:aws:events:*:*:rule/*", ARN, True),
    ("ArnLike", "arn:aws:events:us-east-?:111122223333:rule/bus/r:1", ARN, True),
    ("ArnLike", "arn:aws:events:*:rule/bus/r:1:x", ARN, False),
    ("ArnLike", "arn:aws:EVENTS:*:*:*", ARN, False),
    ("ArnLike", "arn:aws:events:*:*:*", "rule", None),
    ("ArnLike", "*", ARN, None),
]


@pytest.mark.parametrize(("operator", "wanted", "found", "verdict"), COMPARED)
def test_an_operator_compares(operator: str, wanted: str, found: str, verdict: bool | None) -> None:
    """Yes, no, or unknown where a value is not of the operator's kind."""
    assert verdict is holds(operator, wanted, found)


NEGATED = [name for name, operator in OPERATORS.items() if operator.negated]


@pytest.mark.parametrize("name", NEGATED)
def test_a_negated_operator_is_the_opposite(name: str) -> None:
    """Whatever the plain operator says, the negated one says the contrary; unknown stays so."""
    plain = name.replace("Not", "")
    for operator, wanted, found, verdict in COMPARED:
        if operator == plain:
            assert holds(name, wanted, found) is (None if verdict is None else not verdict)


@pytest.mark.parametrize("name", [name for name in OPERATORS if name != "Null"])
def test_a_missing_key_fails_what_asks_and_passes_what_excludes(name: str) -> None:
    """Without the key, only negated operators, IfExists and ForAllValues hold."""
    wanted = "arn:aws:events:*:*:*"

    assert OPERATORS[name].negated is holds(name, wanted)
    assert holds(name + "IfExists", wanted) is True
    assert holds("ForAllValues:" + name, wanted) is True
    assert holds("ForAnyValue:" + name, wanted) is False
    assert holds("ForAnyValue:" + name + "IfExists", wanted) is None


def test_if_exists_compares_what_exists() -> None:
    """The suffix changes nothing for a key that is there."""
    assert holds("StringEqualsIfExists", "a", "a") is True
    assert holds("StringEqualsIfExists", "a", "b") is False


NULLS = [
    ("true", (), True),
    ("true", ("a",), False),
    ("false", (), False),
    ("false", ("a",), True),
    (("true", "false"), (), True),
    ("perhaps", (), None),
]


@pytest.mark.parametrize(("wanted", "found", "verdict"), NULLS)
def test_null_asks_whether_the_key_is_missing(
    wanted: Any, found: tuple[str, ...], verdict: bool | None
) -> None:
    """`true` means that it is missing."""
    assert verdict is holds("Null", wanted, *found)


SEVERAL = [
    ("StringEquals", ("a", "b"), ("b",), True),
    ("StringNotEquals", ("a", "b"), ("b",), False),
    ("StringNotEquals", ("a", "b"), ("c",), True),
    ("StringEquals", "a", ("a", "b"), None),
    ("StringNotEquals", "x", ("a", "b"), None),
    ("ForAnyValue:StringEquals", ("a", "x"), ("b", "a"), True),
    ("ForAnyValue:StringEquals", ("a", "x"), ("b", "c"), False),
    ("ForAnyValue:StringNotEquals", "a", ("a", "b"), True),
    ("ForAnyValue:StringNotEquals", "a", ("a",), False),
    ("ForAllValues:StringEquals", ("a", "b"), ("b", "a"), True),
    ("ForAllValues:StringEquals", ("a", "b"), ("b", "c"), False),
    ("ForAllValues:StringNotLike", "a*", ("b", "c"), True),
    ("ForAllValues:StringNotLike", "a*", ("b", "ab"), False),
    ("ForAnyValue:NumericLessThan", "5", ("x", "4"), True),
    ("ForAnyValue:NumericLessThan", "5", ("x", "6"), None),
    ("ForAllValues:NumericLessThan", "5", ("x", "6"), False),
    ("ForAllValues:NumericLessThan", "5", ("x", "4"), None),
]


@pytest.mark.parametrize(("operator", "wanted", "found", "verdict"), SEVERAL)
def test_several_values(
    operator: str, wanted: Any, found: tuple[str, ...], verdict: bool | None
) -> None:
    """A policy's values are alternatives; a request's need a set operator to be compared."""
    assert verdict is holds(operator, wanted, *found)


UNKNOWN = [
    "StringAlmost",
    "NullIfExists",
    "ForAnyValue:Null",
    "ForSomeValues:StringEquals",
    "ForAnyValue:ForAllValues:StringEquals",
    ":StringEquals",
    "IfExists",
    "",
]


@pytest.mark.parametrize("name", UNKNOWN)
def test_an_unknown_operator_is_unknown(name: str) -> None:
    """It is neither a yes nor a no."""
    assert read_operator(name) is None
    assert holds(name, "a", "a") is None


def test_names_are_read_in_any_case() -> None:
    """Operators and keys are not case-sensitive."""
    operator = read_operator("forallvalues:STRINGLIKEifexists")

    assert operator is not None
    assert (Quantifier.FOR_ALL, True) == (operator.quantifier, operator.if_exists)
    assert holds("stringequals", "a", "a", key="AWS:principaltag/X") is True


@pytest.mark.parametrize("key", ["events:sauce", "aws:Sauce", "sauce", ":", "aws:PrincipalTag/"])
def test_an_unknown_key_is_unknown(key: str) -> None:
    """A key that nobody has, and that the request does not carry either, decides nothing."""
    assert holds("StringNotEquals", "a", key=key) is None
    assert holds("Null", "true", key=key) is None
    assert holds("StringEquals", "a", "a", key=key) is True


def test_another_services_key_is_merely_missing() -> None:
    """Policies of identities speak of all services."""
    assert holds("StringEquals", "a", key="s3:prefix") is False


VARIABLES = [
    ("StringEquals", "${aws:username}", "ann", True),
    ("StringEquals", "${AWS:UserName}", "ann", True),
    ("StringLike", "x-${aws:username}-*", "x-ann-1", True),
    ("StringLike", "${aws:userid}", "a*", True),
    ("StringLike", "${aws:userid}", "ab", False),
    ("StringEquals", "${aws:PrincipalType}", "a", False),
    ("StringNotEquals", "${aws:PrincipalType}", "a", None),
    ("StringEquals", "${aws:PrincipalType, 'none'}", "none", True),
    ("StringEquals", "${aws:PrincipalType, none}", "none", False),
    ("StringEquals", "${aws:TagKeys}", "a", False),
    ("StringEquals", "${*}${?}${$}", "*?$", True),
    ("StringLike", "a${*}", "ab", False),
    ("StringLike", "a${*}", "a*", True),
    ("StringEquals", "${aws:username", "${aws:username", True),
    ("NumericEquals", "${aws:username}", "5", None),
]


@pytest.mark.parametrize(("operator", "wanted", "found", "verdict"), VARIABLES)
def test_variables_stand_for_keys_of_the_request(
    operator: str, wanted: str, found: str, verdict: bool | None
) -> None:
    """What they bring in is literal; without a value they equal nothing."""
    context = {"aws:username": "ann", "aws:userid": "a*", "aws:TagKeys": ["a", "b"]}

    assert verdict is holds(operator, wanted, found, **context)


def test_the_old_version_has_no_variables() -> None:
    """In 2008-10-17 `${…}` is text."""
    assert holds("StringEquals", "${aws:username}", "${aws:username}", variables=False) is True


def test_a_colon_in_a_variable_separates_nothing() -> None:
    """An ARN's segments are those of the policy's text."""
    wanted = "arn:aws:events:us-east-1:111122223333:rule/${aws:username}"
    found = "arn:aws:events:us-east-1:111122223333:rule/a:b"

    assert holds("ArnEquals", wanted, found, **{"aws:username": "a:b"}) is True
    assert (
        holds(
            "ArnEquals", "arn:aws:${aws:username}:x:y", "arn:aws:a:b:x:y", **{"aws:username": "a:b"}
        )
        is None
    )
