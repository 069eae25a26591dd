"""The condition keys of a call: of who calls, of what it gives, and of what it is about."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.control.condition_keys import (
    PATTERN_KEYS,
    call_keys,
    caller_keys,
    entry_bus_arn,
    in_one_partition,
    pattern_keys,
)
from farspan.control.plane import Caller
from farspan.errors import InvalidEventPatternException

OWN, REGION, NOW = "000000000000", "us-east-1", 1_700_000_000.9
ROOT = Caller(OWN, "k")
USER = Caller(OWN, "k", principal=f"arn:aws:iam::{OWN}:user/path/u", user_id="AIDA")
SESSION = Caller(
    OWN,
    "k",
    principal=f"arn:aws:sts::{OWN}:assumed-role/r/me",
    user_id="AROA:me",
    role_arn=f"arn:aws:iam::{OWN}:role/path/r",
    is_session=True,
    issued_at=1_600_000_000.0,
)


@pytest.mark.parametrize(
    ("caller", "expected"),
    [
        (ROOT, {"aws:PrincipalType": "Account", "aws:PrincipalArn": f"arn:aws:iam::{OWN}:root"}),
        (USER, {"aws:PrincipalType": "User", "aws:username": "u", "aws:userid": "AIDA"}),
        (
            SESSION,
            {
                "aws:PrincipalType": "AssumedRole",
                "aws:PrincipalArn": SESSION.role_arn,
                "aws:userid": "AROA:me",
                "aws:TokenIssueTime": "2020-09-13T12:26:40Z",
                "aws:MultiFactorAuthPresent": "false",
            },
        ),
    ],
    ids=["root", "user", "session"],
)
def test_who_calls(caller: Caller, expected: dict[str, str]) -> None:
    """A role's session has its role as its principal's ARN, and says since when it is."""
    found = caller_keys(caller, region=REGION, now=NOW)

    assert expected.items() <= found.items()
    assert ("2023-11-14T22:13:20Z", "1700000000") == (
        found["aws:CurrentTime"],
        found["aws:EpochTime"],
    )


@pytest.mark.parametrize(("is_secure", "expected"), [(False, "false"), (True, "true")])
def test_whether_it_came_over_tls(is_secure: bool, expected: str) -> None:
    """Policies that deny what came in the clear are common."""
    caller = replace(USER, is_secure=is_secure)

    assert expected == caller_keys(caller, region=REGION, now=NOW)["aws:SecureTransport"]


@pytest.mark.parametrize(
    ("caller", "absent"),
    [
        (ROOT, {"aws:username", "aws:TokenIssueTime", "aws:MultiFactorAuthPresent"}),
        (USER, {"aws:TokenIssueTime", "aws:MultiFactorAuthPresent"}),
        (SESSION, {"aws:username"}),
    ],
    ids=["root", "user", "session"],
)
def test_keys_that_are_not_there(caller: Caller, absent: set[str]) -> None:
    """As on AWS: only a user has a name, only a session a token."""
    assert not absent & caller_keys(caller, region=REGION, now=NOW).keys()


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({"region": ["x"]}, {}),
        ({"source": ["a"]}, {"events:source": ["a"]}),
        ({"source": ["b", "a"]}, {"events:source": ["a", "b"]}),
        ({"source": ["a", {"prefix": "b"}]}, {"events:source": ["a", None]}),
        ({"source": [{"exists": True}]}, {"events:source": [None]}),
        ({"source": [{"exists": False}]}, {"events:source": [None]}),
        ({"source": [{"anything-but": ["a"]}]}, {"events:source": [None]}),
        ({"source": [1, None, "a"]}, {"events:source": ["a", None]}),
        ({"source": {"x": ["a"]}}, {}),
        ({"detail": {"source": ["a"]}}, {}),
        ({"detail": {"service": ["A"]}}, {"events:detail.service": ["A"]}),
        ({"detail.service": ["A"]}, {"events:detail.service": ["A"]}),
        (
            {"$or": [{"source": ["a"]}, {"source": ["b"]}]},
            {"events:source": ["a", "b"]},
        ),
        (
            {"$or": [{"source": ["a"]}, {"detail-type": ["t"]}]},
            {"events:source": ["a", None], "events:detail-type": [None, "t"]},
        ),
        (
            {"source": ["a"], "$or": [{"detail-type": ["t"]}, {"region": ["x"]}]},
            {"events:source": ["a"], "events:detail-type": ["t", None]},
        ),
    ],
)
def test_a_pattern(pattern: dict[str, Any], expected: dict[str, list[str | None]]) -> None:
    """Literals are values; None is what a matcher or a branch lets through besides."""
    assert expected == pattern_keys(json.dumps(pattern))


LEAF = st.lists(
    st.one_of(st.sampled_from(["a", "b"]), st.builds(dict, prefix=st.just("a"))), min_size=1
)
FLAT = st.dictionaries(st.sampled_from(["source", "detail-type"]), LEAF, min_size=1)


@given(FLAT, FLAT)
def test_or_tells_no_more_than_its_branches(
    one: dict[str, list[Any]], other: dict[str, list[Any]]
) -> None:
    """A branch's value is a value of the whole; a key that one branch lacks has one untold."""
    whole = pattern_keys(json.dumps({"$or": [one, other]}))
    branches = [pattern_keys(json.dumps(each)) for each in (one, other)]

    for key in PATTERN_KEYS.values():
        values = {value for branch in branches for value in branch.get(key, [None])}
        assert (values if values != {None} or key in whole else set()) == set(whole.get(key, ()))


def test_a_pattern_that_is_none() -> None:
    """It has AWS's words."""
    with pytest.raises(InvalidEventPatternException):
        call_keys("PutRule", {"EventPattern": "{"})


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("PutRule", {}, {}),
        ("TestEventPattern", {"EventPattern": '{"source":["a"]}'}, {}),
        (
            "PutTargets",
            {"Targets": [{"Arn": "arn:aws:sqs:r:1:a"}, {"Arn": "arn:aws-x:sqs:r:1:b"}]},
            {"events:TargetArn": ["arn:aws:sqs:r:1:a", "arn:aws:sqs:r:1:b"]},
        ),
        (
            "CreateEndpoint",
            {"EventBuses": [{"EventBusArn": "arn:aws:events:r:1:event-bus/b"}]},
            {"events:EventBusArn": ["arn:aws:events:r:1:event-bus/b"]},
        ),
        (
            "TagResource",
            {"Tags": [{"Key": "k", "Value": "v"}]},
            {"aws:RequestTag/k": "v", "aws:TagKeys": ["k"]},
        ),
        ("PutMetricData", {"Namespace": "n"}, {"cloudwatch:namespace": ["n"]}),
        ("PutMetricAlarm", {"AlarmActions": ["a"]}, {"cloudwatch:AlarmActions": ["a"]}),
        ("UntagResource", {"TagKeys": ["k"]}, {"aws:TagKeys": ["k"]}),
        ("CreateQueue", {"Tags": {"k": "v"}}, {"aws:RequestTag/k": "v", "aws:TagKeys": ["k"]}),
    ],
)
def test_what_a_call_gives(
    operation: str, params: dict[str, Any], expected: dict[str, Any]
) -> None:
    """Each key belongs to its operations alone."""
    assert expected == call_keys(operation, params)


@pytest.mark.parametrize(
    ("given", "arn"),
    [
        (None, f"arn:aws:events:{REGION}:{OWN}:event-bus/default"),
        ("b", f"arn:aws:events:{REGION}:{OWN}:event-bus/b"),
        ("arn:aws:events:r:1:event-bus/b", "arn:aws:events:r:1:event-bus/b"),
        ("arn:aws-x:events:r:1:event-bus/b", "arn:aws:events:r:1:event-bus/b"),
        ("arn:aws:events:r:1:b", "arn:aws:events:r:1:event-bus/b"),
    ],
)
def test_one_bus_has_one_arn(given: str | None, arn: str) -> None:
    """However it is named."""
    assert arn == entry_bus_arn(OWN, REGION, given)


def test_what_is_no_arn_stays() -> None:
    """Only ARNs have a partition."""
    assert "nonsense" == in_one_partition("nonsense")
