"""Random policies and requests for the differential test: a number gives the same case for ever.

What the two evaluators are known to see differently is left out here and stands, case by case, in
`known_differences`.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

OWN, OTHER = "111122223333", "444455556666"
BUS = f"arn:aws:events:us-east-1:{OWN}:event-bus/orders"
ROLE = "role/publisher"
CALLERS = (
    f"arn:aws:iam::{OWN}:user/ann",
    f"arn:aws:iam::{OTHER}:user/bob",
    f"arn:aws:sts::{OWN}:assumed-role/publisher/s1",
    f"arn:aws:sts::{OTHER}:assumed-role/publisher/s2",
    "events.amazonaws.com",
)
#: What a NotPrincipal has to name to leave out an account's callers (see `known_differences`).
FULL_NAMES = (
    (CALLERS[0], CALLERS[2], f"arn:aws:iam::{OWN}:{ROLE}", OWN),
    (CALLERS[1], CALLERS[3], f"arn:aws:iam::{OTHER}:{ROLE}", f"arn:aws:iam::{OTHER}:root"),
)
ACTIONS = ("events:PutEvents", "events:DescribeEventBus")
ACTION_TEXTS = (
    "*",
    "events:*",
    "events:PutEvents",
    "EVENTS:putevents",
    "events:Put*",
    "events:Put?vents",
    "events:*Event*",
    "events:DescribeEventBus",
    "events:ListRules",
)
RESOURCE_TEXTS = (
    "*",
    BUS,
    BUS[:-1] + "?",
    BUS[:-3] + "*",
    f"arn:aws:events:*:{OWN}:event-bus/*",
    f"arn:aws:events:us-east-?:{OWN}:event-bus/o*d*s",
)
IDENTITY_RESOURCE_TEXTS = (
    *RESOURCE_TEXTS,
    f"arn:aws:events:us-east-1:{OWN}:event-bus/ORDERS",
    f"arn:aws:events:us-east-1:{OWN}:event-bus/${{aws:username}}",
)

# Keys by the kind of their values, as IAM types them; values of requests and of policies.
TEXTS = ("alpha", "Alpha", "beta", "a*a", "al?ha", "orders", "")
EXACT = (*TEXTS[:-1], "*", "al*", "ALPHA", "x", "${aws:username}")
PATTERNS = (*EXACT, "*a", "?????", "${*}", "a${*}a", "al${?}ha", "a*${aws:username}", "${$}")
NUMBERS = ("0", "5", "5.0", "10", "-3", "300")
DATES = ("2026-01-01T00:00:00Z", "2026-06-15T12:30:00Z", "2026-12-31T23:59:59Z", "2025-01-01")
ADDRESSES = ("10.0.0.1", "10.1.2.3", "192.0.2.7")
BLOCKS = ("10.0.0.0/8", "10.0.0.1", "10.0.0.1/32", "192.0.2.0/24")
ARNS = (f"arn:aws:events:us-east-1:{OWN}:rule/orders/one", f"arn:aws:s3:::bucket/a:b/{OTHER}")
ARN_PATTERNS = (
    *ARNS,
    f"arn:aws:events:us-east-1:{OWN}:rule/*",
    "arn:aws:events:*:*:rule/orders/on?",
    "arn:aws:s3:::bucket/*",
    "arn:*:*:*:*:*",
    "arn:aws:events:*:rule/orders/one:x:y",
)
BYTES = ("QUJD", "AAAA")


@dataclass(frozen=True)
class Kind:
    """One kind of condition: its keys, its operators, and values on both sides."""

    keys: tuple[str, ...]
    operators: tuple[str, ...]
    found: tuple[str, ...]
    wanted: tuple[str, ...]


def _orders(kind: str) -> tuple[str, ...]:
    names = ("Equals", "NotEquals", "LessThan", "LessThanEquals", "GreaterThan")
    return tuple(kind + name for name in (*names, "GreaterThanEquals"))


EXACTLY = (
    "StringEquals",
    "StringNotEquals",
    "StringEqualsIgnoreCase",
    "StringNotEqualsIgnoreCase",
)
LIKE = ("StringLike", "StringNotLike")
SINGLE = (
    Kind(("aws:PrincipalTag/team", "aws:UserAgent"), EXACTLY, TEXTS, EXACT),
    Kind(("aws:PrincipalTag/team", "aws:UserAgent"), LIKE, TEXTS, PATTERNS),
    Kind(("aws:MultiFactorAuthAge",), _orders("Numeric"), NUMBERS, NUMBERS),
    Kind(("aws:CurrentTime",), _orders("Date"), DATES, DATES),
    Kind(
        ("aws:SecureTransport", "aws:MultiFactorAuthPresent"),
        ("Bool",),
        ("true", "false"),
        ("true", "false"),
    ),
    Kind(("aws:SourceIp",), ("IpAddress", "NotIpAddress"), ADDRESSES, BLOCKS),
    Kind(
        ("aws:SourceArn",),
        ("ArnEquals", "ArnNotEquals", "ArnLike", "ArnNotLike"),
        ARNS,
        ARN_PATTERNS,
    ),
)
PATHS = "aws:PrincipalOrgPaths"
MANY = (Kind((PATHS,), EXACTLY, TEXTS[:-1], EXACT), Kind((PATHS,), LIKE, TEXTS[:-1], PATTERNS))
VARIABLE_MARK = "${"


def case(number: int) -> dict[str, Any]:
    """Return the case with that number."""
    dice = random.Random(number)
    caller = dice.choice(CALLERS)
    context: dict[str, Any] = {"aws:username": dice.choice(TEXTS[:-1])}
    for kind in SINGLE:
        for key in kind.keys:
            if dice.random() < 0.6:
                context[key] = dice.choice(kind.found)
    if dice.random() < 0.6:
        context[PATHS] = dice.sample(TEXTS[:-1], dice.randint(1, 3))
    is_service = caller.endswith(".com")
    identities = 0 if is_service else dice.randint(0, 2)
    return {
        "principal": caller,
        "action": dice.choice(ACTIONS),
        "resource": BUS,
        "account": OWN,
        "context": context,
        "identity": [_policy(dice, bus=False) for _ in range(identities)],
        "policy": _policy(dice, bus=True) if dice.random() < 0.85 else None,
    }


def _policy(dice: random.Random, *, bus: bool) -> dict[str, Any]:
    count = dice.randint(1, 3)
    statements = [_statement(dice, f"s{index}", bus=bus) for index in range(count)]
    # The oracle fills variables in whatever the version, so the old version goes without.
    new = VARIABLE_MARK in json.dumps(statements) or dice.random() < 0.5
    return {"Version": "2012-10-17" if new else "2008-10-17", "Statement": statements}


def _statement(dice: random.Random, sid: str, *, bus: bool) -> dict[str, Any]:
    effect = "Deny" if dice.random() < 0.25 else "Allow"
    statement: dict[str, Any] = {"Sid": sid, "Effect": effect}
    if bus:
        negated = effect == "Deny" and dice.random() < 0.4
        if negated:
            statement["NotPrincipal"] = _not_principal(dice)
        else:
            statement["Principal"] = _principal(dice)
    name = "NotAction" if dice.random() < 0.15 else "Action"
    statement[name] = _some(dice, ACTION_TEXTS)
    name = "NotResource" if dice.random() < 0.15 else "Resource"
    statement[name] = _some(dice, RESOURCE_TEXTS if bus else IDENTITY_RESOURCE_TEXTS)
    if dice.random() < 0.7:
        statement["Condition"] = _condition(dice)
    return statement


def _principal(dice: random.Random) -> Any:
    if dice.random() < 0.2:
        return "*"
    names: list[str] = []
    for account in (OWN, OTHER):
        names += [account, f"arn:aws:iam::{account}:root", f"arn:aws:iam::{account}:{ROLE}"]
    names += [caller for caller in CALLERS if caller.startswith("arn:")]
    if dice.random() < 0.2:
        return {"Service": _some(dice, ("events.amazonaws.com", "sqs.amazonaws.com"))}
    principal = {"AWS": dice.choice(("*", *names)) if dice.random() < 0.5 else _some(dice, names)}
    if dice.random() < 0.2:
        principal["Service"] = "events.amazonaws.com"
    return principal


def _not_principal(dice: random.Random) -> Any:
    if dice.random() < 0.2:
        return {"Service": "events.amazonaws.com"}
    return {"AWS": list(dice.choice(FULL_NAMES))}


def _condition(dice: random.Random) -> dict[str, Any]:
    condition: dict[str, Any] = {}
    for _ in range(dice.randint(1, 2)):
        operator, key, wanted = _test(dice)
        condition.setdefault(operator, {})[key] = wanted
    return condition


def _test(dice: random.Random) -> tuple[str, str, Any]:
    draw = dice.random()
    if draw < 0.1:
        key = dice.choice([key for kind in (*SINGLE, *MANY) for key in kind.keys])
        return "Null", key, dice.choice(("true", "false"))
    if draw < 0.35:
        kind = dice.choice(MANY)
        quantifier = dice.choice(("ForAnyValue:", "ForAllValues:", "ForAllValues:"))
        suffix = "IfExists" if quantifier == "ForAllValues:" and dice.random() < 0.4 else ""
        operator = quantifier + dice.choice(kind.operators) + suffix
        return operator, PATHS, _some(dice, kind.wanted)
    kind = dice.choice(SINGLE)
    operator = dice.choice(kind.operators) + ("IfExists" if dice.random() < 0.25 else "")
    return operator, dice.choice(kind.keys), _some(dice, kind.wanted)


def _some(dice: random.Random, choices: Any) -> Any:
    if dice.random() < 0.5:
        return dice.choice(choices)
    return dice.sample(choices, dice.randint(1, min(3, len(choices))))
