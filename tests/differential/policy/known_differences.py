"""Where Farspan and iam-simulate decide differently, and why Farspan decides as it does."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from policy_cases import BUS, CALLERS, OWN, ROLE

ANN, _, SESSION, _, SERVICE = CALLERS
ROOT = f"arn:aws:iam::{OWN}:root"
ALLOWED, DENIED, NO_ALLOW = "Allowed", "ExplicitlyDenied", "ImplicitlyDenied"


@dataclass(frozen=True)
class Difference:
    """One request on one policy, the bus's or the caller's, and both answers."""

    why: str
    ours: str
    theirs: str
    statement: dict[str, Any]
    caller: str = ANN
    context: dict[str, Any] = field(default_factory=dict)
    version: str = "2012-10-17"
    in_identity: bool = False

    def case(self) -> dict[str, Any]:
        """Return the case as the oracle reads it. A Deny stands next to an Allow for all."""
        whole = {"Action": "events:*", "Principal": "*", "Resource": "*"}
        own = {name: text for name, text in whole.items() if f"Not{name}" not in self.statement}
        statements = [{"Sid": "tested", **own, **self.statement}]
        if self.statement["Effect"] == "Deny":
            statements.append({"Sid": "all", "Effect": "Allow", **whole})
        policy = {"Version": self.version, "Statement": statements}
        if self.in_identity:
            for statement in statements:
                del statement["Principal"]
        return {
            "principal": self.caller,
            "action": "events:PutEvents",
            "resource": BUS,
            "account": OWN,
            "context": self.context,
            "identity": [policy] if self.in_identity else [],
            "policy": None if self.in_identity else policy,
        }


def _allow(operator: str, key: str, wanted: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Condition": {operator: {key: wanted}}}


def _deny(operator: str, key: str, wanted: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Condition": {operator: {key: wanted}}}


NOT_PRINCIPAL = "IAM asks NotPrincipal to name the caller, its role and its account; so do we"
UNFILLED = "a variable without a value must not open what NotResource keeps shut"
VERSION = "policy variables do not exist in version 2008-10-17"
ESCAPE = "${*} is a literal star in every string operator, not in StringLike only"
PATHS = "aws:PrincipalOrgPaths"
TAG = "aws:PrincipalTag/team"

KNOWN = (
    Difference(
        "a root is its account: what names the account names it",
        ALLOWED,
        NO_ALLOW,
        {"Effect": "Allow", "Principal": {"AWS": OWN}},
        caller=ROOT,
    ),
    Difference(NOT_PRINCIPAL, DENIED, ALLOWED, {"Effect": "Deny", "NotPrincipal": {"AWS": [ANN]}}),
    Difference(NOT_PRINCIPAL, DENIED, ALLOWED, {"Effect": "Deny", "NotPrincipal": {"AWS": [OWN]}}),
    Difference(
        NOT_PRINCIPAL,
        DENIED,
        ALLOWED,
        {"Effect": "Deny", "NotPrincipal": {"AWS": [f"arn:aws:iam::{OWN}:{ROLE}", OWN]}},
        caller=SESSION,
    ),
    Difference(
        "an IPv6 address is not an IPv4 address",
        DENIED,
        ALLOWED,
        _deny("NotIpAddress", "aws:SourceIp", "10.0.0.1"),
        context={"aws:SourceIp": "2001:db8::1"},
    ),
    Difference(
        "ForAnyValue says no to a missing key and IfExists yes: a Deny holds",
        DENIED,
        ALLOWED,
        _deny("ForAnyValue:StringEqualsIfExists", PATHS, "x"),
    ),
    Difference(
        "several values without a set operator cannot be compared: a Deny holds",
        DENIED,
        ALLOWED,
        _deny("StringEquals", PATHS, "x"),
        context={PATHS: ["y", "z"]},
    ),
    Difference(
        "one value is one value, in a list or not",
        ALLOWED,
        NO_ALLOW,
        _allow("StringEquals", PATHS, "x"),
        context={PATHS: ["x"]},
    ),
    Difference(
        VERSION,
        NO_ALLOW,
        ALLOWED,
        _allow("StringEquals", TAG, "${aws:username}"),
        context={TAG: "x", "aws:username": "x"},
        version="2008-10-17",
    ),
    Difference(
        VERSION,
        ALLOWED,
        NO_ALLOW,
        _allow("StringEquals", TAG, "${aws:username}"),
        context={TAG: "${aws:username}", "aws:username": "x"},
        version="2008-10-17",
    ),
    Difference(
        ESCAPE, ALLOWED, NO_ALLOW, _allow("StringEquals", TAG, "a${*}"), context={TAG: "a*"}
    ),
    Difference(
        ESCAPE,
        DENIED,
        ALLOWED,
        _deny("StringEqualsIgnoreCase", TAG, "a${*}"),
        context={TAG: "A*"},
    ),
    Difference(
        UNFILLED,
        DENIED,
        ALLOWED,
        {
            "Effect": "Deny",
            "NotResource": f"arn:aws:events:us-east-1:{OWN}:event-bus/${{aws:username}}",
        },
        in_identity=True,
    ),
    Difference(
        "the empty text is a value too",
        ALLOWED,
        NO_ALLOW,
        _allow("StringLike", TAG, "a${aws:username}"),
        context={TAG: "a", "aws:username": ""},
    ),
    Difference(
        "a wildcard may stand for the type of a resource",
        ALLOWED,
        NO_ALLOW,
        {"Effect": "Allow", "Resource": f"arn:aws:events:us-east-1:{OWN}:*/orders"},
    ),
    Difference(
        "what does not compare is unknown: a Deny holds",
        DENIED,
        ALLOWED,
        _deny("NumericLessThan", "aws:MultiFactorAuthAge", "5"),
        context={"aws:MultiFactorAuthAge": "much"},
    ),
)
