"""The policy that says who may assume a role: what is refused, and whom it lets in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farspan.errors import ValidationException
from farspan.policy import FULL_ACCESS, Request, evaluate
from farspan.policy.trust import parse_trust_policy

OWN, OTHER = "000000000000", "111111111111"
ROLE = f"arn:aws:iam::{OWN}:role/r"
USER, SESSION = f"arn:aws:iam::{OTHER}:user/u", f"arn:aws:sts::{OTHER}:assumed-role/r/me"


def trust(*, without: str = "", **changes: Any) -> str:
    """Return a trust policy of one statement, with changes."""
    statement = {"Effect": "Allow", "Principal": {"AWS": OTHER}, "Action": "sts:AssumeRole"}
    members = {key: value for key, value in (statement | changes).items() if key != without}
    return json.dumps({"Version": "2012-10-17", "Statement": [members]})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "invalid Json"),
        ("[]", "not to be a policy"),
        (trust(without="Principal"), "Missing required field Principal"),
        (trust(without="Action"), "Missing required field Action"),
        (trust(without="Effect"), "Missing required field Effect"),
        (trust(Resource="*"), "Has prohibited field Resource"),
        (trust(NotResource="*", without="Resource"), "Has prohibited field Resource"),
        (trust(Action="events:PutEvents"), "may only specify STS AssumeRole actions"),
        (trust(Action=["sts:AssumeRole", "iam:*"]), "may only specify STS AssumeRole actions"),
        (trust(Principal={"AWS": "me"}), 'Invalid principal in policy: "AWS":"me"'),
        (trust(Principal={"Service": "not a service"}), "Invalid principal in policy"),
        (trust(Principal={"Federated": "cognito"}), "invalid principal"),
        (trust(Condition={"StringEquls": {"aws:userid": "x"}}), "Unknown condition operator"),
        (trust(Condition={"StringEquals": {"aws:usrid": "x"}}), "Unknown condition key"),
    ],
)
def test_what_is_refused(text: str, message: str) -> None:
    """Nothing half-understood passes."""
    with pytest.raises(ValidationException, match=message):
        parse_trust_policy(text)


@pytest.mark.parametrize(
    ("text", "principal", "allowed"),
    [
        (trust(), USER, True),
        (trust(), SESSION, True),
        (trust(), f"arn:aws:iam::{OWN}:user/u", False),
        (trust(Principal={"AWS": USER}), USER, True),
        (trust(Principal={"AWS": USER}), SESSION, False),
        (trust(Principal={"AWS": f"arn:aws:iam::{OTHER}:role/path/r"}), SESSION, True),
        (trust(Principal="*"), USER, True),
        (trust(Action="sts:*"), USER, True),
        (trust(Action="sts:TagSession"), USER, False),
        (trust(Effect="Deny"), USER, False),
        (trust(Condition={"StringEquals": {"sts:ExternalId": "x"}}), USER, False),
        (trust(Principal={"Service": "events.amazonaws.com"}), "events.amazonaws.com", True),
        (trust(Principal={"Service": "events.amazonaws.com"}), USER, False),
        (trust(), "events.amazonaws.com", False),
    ],
)
def test_whom_it_lets_in(text: str, principal: str, allowed: bool) -> None:
    """The role is the resource, whatever it is called."""
    request = Request(principal=principal, action="sts:AssumeRole", resource=ROLE)
    decision = evaluate([FULL_ACCESS], parse_trust_policy(text), request, same_account=False)

    assert allowed is decision.allowed
