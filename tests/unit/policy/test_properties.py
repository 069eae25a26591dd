"""What holds for every policy and every request."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from farspan.errors import AwsError
from farspan.policy import (
    BUS_POLICY_CHARS_MAX,
    Policy,
    Request,
    evaluate,
    parse_bus_policy,
    parse_identity_policy,
    render,
)
from farspan.policy.document import ConditionTest, Effect, Principals, Statement, Values
from farspan.policy.operators import OPERATORS

OWN = "111122223333"
BUS = f"arn:aws:events:us-east-1:{OWN}:event-bus/orders"
KEYS = ("aws:username", "aws:PrincipalTag/x", "events:source", "aws:Sauce", "sauce")
WORDS = (
    "a",
    "*",
    "${aws:username}",
    "${}",
    "${a, 'b'}",
    "5",
    "true",
    "10.0.0.1",
    "2026-01-01",
    BUS,
)
CALLERS = (OWN, f"arn:aws:iam::{OWN}:user/a", "arn:aws:sts::1:assumed-role/r/s", "a.b", "", "arn:")

words = st.sampled_from(WORDS) | st.text(max_size=6)
operator_names = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(("", "ForAnyValue:", "ForAllValues:", "For:")),
        st.sampled_from((*OPERATORS, "Unknown")),
        st.sampled_from(("", "IfExists")),
    ),
)
values = st.builds(Values, st.lists(words, min_size=1, max_size=3).map(tuple))
tests = st.builds(ConditionTest, operator_names, st.sampled_from(KEYS), values)
principals = st.builds(Principals, everyone=st.booleans())


def statements(effect: Effect | None = None) -> st.SearchStrategy[Statement]:
    """Return statements that no parser may have seen: the evaluator has to bear more."""
    return st.builds(
        Statement,
        effect=st.just(effect) if effect else st.sampled_from(Effect),
        sid=st.none() | st.text(max_size=3),
        principal=st.none() | principals,
        action=st.none() | values | st.just(Values.of("*")),
        not_resource=st.none() | values,
        resource=st.none() | values | st.just(Values.of("*")),
        condition=st.lists(tests, max_size=3).map(tuple),
    )


def policies() -> st.SearchStrategy[Policy]:
    """Return policies of a few statements."""
    return st.builds(
        Policy,
        version=st.sampled_from(("2008-10-17", "2012-10-17")),
        statements=st.lists(statements(), max_size=4).map(tuple),
    )


requests = st.builds(
    Request,
    principal=st.sampled_from(CALLERS) | st.text(max_size=6),
    action=st.sampled_from(("events:PutEvents", "*", "")),
    resource=st.sampled_from((BUS, "*", "")),
    context=st.dictionaries(
        st.sampled_from(KEYS) | st.text(max_size=4),
        words | st.lists(words, max_size=3),
        max_size=4,
    ),
)


@given(st.lists(policies(), max_size=2), st.none() | policies(), requests, st.booleans())
def test_every_request_is_decided(
    identity: list[Policy], bus: Policy | None, request: Request, same_account: bool
) -> None:
    """Evaluation never raises, and says why."""
    decision = evaluate(identity, bus, request, same_account=same_account)

    assert decision.allowed is decision.reason.startswith("ALLOWED")


@given(policies(), policies(), statements(Effect.DENY), requests, st.booleans(), st.booleans())
def test_another_deny_never_allows(
    own: Policy,
    bus: Policy,
    denial: Statement,
    request: Request,
    same_account: bool,
    in_bus: bool,
) -> None:
    """What was denied stays denied, whichever policy the Deny is added to."""
    before = evaluate([own], bus, request, same_account=same_account)
    more = Policy(statements=(denial,))
    whole = Policy(version=bus.version, statements=(*bus.statements, denial))
    identity = [own] if in_bus else [own, more]
    after = evaluate(identity, whole if in_bus else bus, request, same_account=same_account)

    assert before.allowed or not after.allowed


@given(policies(), policies(), requests, st.booleans(), st.booleans())
def test_a_deny_of_everything_wins(
    own: Policy, bus: Policy, request: Request, same_account: bool, in_bus: bool
) -> None:
    """Whatever is allowed, an unconditional Deny is the end of it."""
    everything = Values.of("*")
    deny = Policy(
        statements=(Statement(effect=Effect.DENY, action=everything, resource=everything),)
    )
    if in_bus:
        decision = evaluate([own], deny, request, same_account=same_account)
    else:
        decision = evaluate([own, deny], bus, request, same_account=same_account)

    assert not decision.allowed


@given(st.lists(policies(), max_size=2), st.none() | policies(), requests)
def test_another_account_never_gets_more(
    identity: list[Policy], bus: Policy | None, request: Request
) -> None:
    """What both policies allow together, the account's own may do too."""
    foreign = evaluate(identity, bus, request, same_account=False)

    assert not foreign.allowed or evaluate(identity, bus, request, same_account=True).allowed


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | words,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(("AWS", "Service", "StringEquals", "Null", *KEYS)) | words,
            inner,
            max_size=3,
        )
    ),
    max_leaves=8,
)
members = ("Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction", "Resource")
sound = {
    "Sid": "a",
    "Effect": "Allow",
    "Principal": "*",
    "Action": "events:PutEvents",
    "Resource": "*",
}


@given(
    st.dictionaries(st.sampled_from((*members, "NotResource", "Condition")), json_values),
    st.sampled_from(("2012-10-17", "2008-10-17")),
)
def test_a_document_is_read_or_refused(changes: dict[str, Any], version: str) -> None:
    """Nothing but an AWS error comes of any document, and what is read renders and reads again."""
    text = json.dumps({"Version": version, "Statement": [{**sound, **changes}]})
    for kind in (parse_identity_policy, lambda given: parse_bus_policy(given, bus_arn=BUS)):
        try:
            policy = kind(text)
        except AwsError:
            continue

        assert policy == kind(render(policy))


@given(st.text(max_size=200) | json_values.map(json.dumps))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Nothing but an AWS error comes of any text."""
    for kind in (parse_identity_policy, lambda given: parse_bus_policy(given, bus_arn=BUS)):
        with contextlib.suppress(AwsError):
            assert len(render(kind(text))) <= BUS_POLICY_CHARS_MAX * 2
