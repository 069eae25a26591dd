"""Who may do what: explicit Deny, Allow, default deny, within and across accounts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from farspan.errors import ValidationException
from farspan.policy import (
    FULL_ACCESS,
    Decision,
    Policy,
    Reason,
    Request,
    denial_text,
    evaluate,
    parse_bus_policy,
    parse_identity_policy,
)

OWN, OTHER = "111122223333", "444455556666"
BUS = f"arn:aws:events:us-east-1:{OWN}:event-bus/orders"
ANN = f"arn:aws:iam::{OWN}:user/ann"
BOB = f"arn:aws:iam::{OTHER}:user/bob"
ROLE = f"arn:aws:iam::{OTHER}:role/path/publisher"
SESSION = f"arn:aws:sts::{OTHER}:assumed-role/publisher/s"
SERVICE = "events.amazonaws.com"
WIDE = ("Principal", "Action", "Resource")


def bus_policy(*statements: dict[str, Any], version: str = "2012-10-17") -> Policy:
    """Return a policy of the bus; what a statement leaves out is as wide as possible."""
    filled = [
        {
            "Sid": f"s{index}",
            "Effect": "Allow",
            **{name: "*" for name in WIDE if f"Not{name}" not in statement},
            **statement,
        }
        for index, statement in enumerate(statements)
    ]
    return parse_bus_policy(json.dumps({"Version": version, "Statement": filled}), bus_arn=BUS)


def identity_policy(**changes: Any) -> Policy:
    """Return a policy of a role or user."""
    statement = {"Sid": "i", "Effect": "Allow", **changes}
    for name in ("Action", "Resource"):
        if f"Not{name}" not in statement:
            statement.setdefault(name, "*")
    return parse_identity_policy(json.dumps({"Version": "2012-10-17", "Statement": statement}))


def decide(
    principal: str,
    *,
    bus: Policy | None = None,
    identity: Policy | None = None,
    **context: str | list[str],
) -> Decision:
    """Ask for PutEvents on the bus."""
    request = Request(principal=principal, action="events:PutEvents", resource=BUS, context=context)
    same_account = OWN in principal
    return evaluate([identity] if identity else [], bus, request, same_account=same_account)


WHO = [
    ("nobody allows", ANN, None, None, Reason.NO_IDENTITY_ALLOW),
    ("identity", ANN, None, FULL_ACCESS, Reason.ALLOWED_BY_IDENTITY),
    ("bus names the user", ANN, {"AWS": ANN}, None, Reason.ALLOWED_BY_RESOURCE),
    ("bus names everyone", ANN, "*", None, Reason.ALLOWED_BY_RESOURCE),
    ("bus names every account", ANN, {"AWS": "*"}, None, Reason.ALLOWED_BY_RESOURCE),
    ("bus names only the account", ANN, {"AWS": OWN}, None, Reason.NO_IDENTITY_ALLOW),
    ("account and identity", ANN, {"AWS": OWN}, FULL_ACCESS, Reason.ALLOWED_BY_IDENTITY),
    ("the account itself", OWN, {"AWS": OWN}, None, Reason.ALLOWED_BY_RESOURCE),
    ("its root", f"arn:aws:iam::{OWN}:root", {"AWS": OWN}, None, Reason.ALLOWED_BY_RESOURCE),
    ("another user", ANN, {"AWS": BOB}, None, Reason.NO_IDENTITY_ALLOW),
    ("foreign, bus alone", BOB, {"AWS": BOB}, None, Reason.NO_IDENTITY_ALLOW),
    ("foreign, identity alone", BOB, None, FULL_ACCESS, Reason.NO_RESOURCE_ALLOW),
    ("foreign, wrong account", BOB, {"AWS": OWN}, FULL_ACCESS, Reason.NO_RESOURCE_ALLOW),
    ("foreign, both", BOB, {"AWS": OTHER}, FULL_ACCESS, Reason.ALLOWED_BY_BOTH),
    ("foreign account", OTHER, {"AWS": OTHER}, FULL_ACCESS, Reason.ALLOWED_BY_BOTH),
    ("session by its ARN", SESSION, {"AWS": SESSION}, FULL_ACCESS, Reason.ALLOWED_BY_BOTH),
    ("session by its role", SESSION, {"AWS": ROLE}, FULL_ACCESS, Reason.ALLOWED_BY_BOTH),
    ("session, other role", SESSION, {"AWS": ROLE + "2"}, FULL_ACCESS, Reason.NO_RESOURCE_ALLOW),
    ("service", SERVICE, {"Service": SERVICE}, None, Reason.ALLOWED_BY_RESOURCE),
    ("service by everyone", SERVICE, "*", None, Reason.ALLOWED_BY_RESOURCE),
    ("other service", "s3.amazonaws.com", {"Service": SERVICE}, None, Reason.NO_RESOURCE_ALLOW),
    ("service without policy", SERVICE, None, FULL_ACCESS, Reason.NO_RESOURCE_ALLOW),
    ("user is no service", ANN, {"Service": SERVICE}, None, Reason.NO_IDENTITY_ALLOW),
]


@pytest.mark.parametrize(
    ("caller", "named", "identity", "reason"), [row[1:] for row in WHO], ids=[row[0] for row in WHO]
)
def test_who_has_to_allow(caller: str, named: Any, identity: Policy | None, reason: Reason) -> None:
    """Within the account either policy, across accounts both, for services the bus's."""
    bus = bus_policy({"Principal": named}) if named else None
    decision = decide(caller, bus=bus, identity=identity)

    assert (reason.startswith("ALLOWED"), reason) == (decision.allowed, decision.reason)


def test_an_explicit_deny_wins_over_every_allow() -> None:
    """Whichever policy it stands in, and whatever stands before it."""
    bus = bus_policy({}, {"Sid": "no", "Effect": "Deny", "Principal": {"AWS": OWN}})
    denied = decide(ANN, bus=bus, identity=FULL_ACCESS)

    assert Decision(allowed=False, reason=Reason.DENIED_BY_RESOURCE, sid="no") == denied

    identity = identity_policy(Sid="never", Effect="Deny")
    denied = decide(ANN, bus=bus_policy({}), identity=identity)

    assert Decision(allowed=False, reason=Reason.DENIED_BY_IDENTITY, sid="never") == denied


def test_the_decision_names_the_statement_that_decided() -> None:
    """The Sid is that of the first statement that applies."""
    bus = bus_policy({"Action": "events:PutRule"}, {"Sid": "yes"}, {"Sid": "also"})

    assert decide(ANN, bus=bus).sid == "yes"
    assert decide(BOB, bus=bus, identity=identity_policy()).sid == "yes"
    assert decide(ANN, identity=identity_policy()).sid == "i"
    assert decide(ANN).sid is None


STATEMENTS = [
    ({"Action": "events:PutEvents"}, True),
    ({"Action": "EVENTS:pUT*"}, True),
    ({"Action": "events:Put?vents"}, True),
    ({"Action": ["events:PutRule", "events:DescribeRule"]}, False),
    ({"NotAction": "events:Describe*"}, True),
    ({"NotAction": ["events:Put*", "events:DescribeRule"]}, False),
    ({"Resource": BUS}, True),
    ({"Resource": f"arn:aws:events:*:{OWN}:event-bus/*"}, True),
    ({"NotResource": BUS}, False),
    ({"Condition": {"StringEquals": {"events:source": ["a", "app"]}}}, True),
    ({"Condition": {"StringEquals": {"events:source": "App"}}}, False),
    ({"Condition": {"StringEquals": {"events:source": "app", "events:detail-type": "t"}}}, False),
    (
        {
            "Condition": {
                "StringEquals": {"events:source": "app"},
                "Null": {"events:source": "true"},
            }
        },
        False,
    ),
]


@pytest.mark.parametrize(("statement", "allowed"), STATEMENTS, ids=json.dumps)
def test_every_element_has_to_match(statement: dict[str, Any], *, allowed: bool) -> None:
    """Action, resource and condition all have to speak of the request."""
    assert decide(ANN, bus=bus_policy(statement), **{"events:source": "app"}).allowed is allowed


def test_actions_ignore_case_and_resources_do_not() -> None:
    """`events:putevents` is PutEvents, `Orders` is not `orders`."""
    identity = identity_policy(Action="events:putevents", Resource=BUS.replace("orders", "Orders"))

    assert not decide(ANN, identity=identity).allowed
    assert decide(ANN, identity=identity_policy(Action="events:putevents", Resource=BUS)).allowed


NOT_PRINCIPALS = [
    (ANN, [ANN, OWN], True),
    (ANN, [ANN], False),
    (ANN, [OWN], False),
    (ANN, [BOB, OTHER], False),
    (ANN, ["*"], True),
    (OWN, [OWN], True),
    (SESSION, [SESSION, ROLE, OTHER], True),
    (SESSION, [SESSION, OTHER], False),
    (SESSION, [ROLE, OTHER], False),
    (SERVICE, [ANN, OWN], False),
]


@pytest.mark.parametrize(("caller", "named", "exempt"), NOT_PRINCIPALS)
def test_not_principal_needs_every_name_of_the_caller(
    caller: str, named: list[str], *, exempt: bool
) -> None:
    """Itself, for a session its role, and the account."""
    deny = {"Sid": "no", "Effect": "Deny", "NotPrincipal": {"AWS": named}}
    decision = decide(caller, bus=bus_policy({}, deny), identity=FULL_ACCESS)

    assert decision.allowed is exempt


def test_not_principal_leaves_out_services_and_everyone() -> None:
    """A service is left out by its name; `*` leaves out all."""
    for named in ({"Service": SERVICE}, "*"):
        deny = {"Sid": "no", "Effect": "Deny", "NotPrincipal": named}

        assert decide(SERVICE, bus=bus_policy({}, deny)).allowed
        assert decide(ANN, bus=bus_policy({}, deny)).allowed is (named == "*")


UNDECIDED = [
    {"NumericEquals": {"events:source": "5"}},
    {"StringEquals": {"aws:PrincipalOrgPaths": "a"}},
    {"StringNotEquals": {"events:source": "${aws:username}"}},
]


@pytest.mark.parametrize("condition", UNDECIDED, ids=json.dumps)
def test_what_cannot_be_told_never_lets_in(condition: dict[str, Any]) -> None:
    """An Allow does not match, a Deny does."""
    context: dict[str, Any] = {"events:source": "app", "aws:PrincipalOrgPaths": ["a", "b"]}
    allow = bus_policy({"Condition": condition})
    deny = bus_policy({}, {"Sid": "no", "Effect": "Deny", "Condition": condition})

    assert decide(ANN, bus=allow, **context).reason is Reason.NO_IDENTITY_ALLOW
    assert decide(ANN, bus=deny, **context).sid == "no"


def test_a_variable_without_a_value_names_no_resource() -> None:
    """Resource does not match it; NotResource lets nobody in by it."""
    resource = f"arn:aws:events:us-east-1:{OWN}:event-bus/${{aws:username}}"
    named, excluded = identity_policy(Resource=resource), identity_policy(NotResource=resource)

    assert decide(ANN, identity=named, **{"aws:username": "orders"}).allowed
    assert not decide(ANN, identity=named).allowed
    assert decide(ANN, identity=excluded, **{"aws:username": "ann"}).allowed
    assert not decide(ANN, identity=excluded).allowed


def test_a_variable_with_an_endless_value_has_none() -> None:
    """A request cannot make a policy's text as long as it likes."""
    bus = bus_policy({"Condition": {"StringLike": {"events:source": "*${aws:username}"}}})
    short, endless = "x" * 10_000, "x" * 20_000

    assert decide(ANN, bus=bus, **{"aws:username": short, "events:source": short}).allowed
    assert not decide(ANN, bus=bus, **{"aws:username": endless, "events:source": endless}).allowed


def test_a_foreign_name_is_only_itself() -> None:
    """A principal that is neither ARN, account nor service is met by everyone's policy alone."""
    assert decide("", bus=bus_policy({"Principal": {"AWS": OWN}})).allowed is False
    assert decide("", bus=bus_policy({})).allowed is True


DENIALS = [
    (Reason.DENIED_BY_IDENTITY, "with an explicit deny in an identity-based policy"),
    (Reason.DENIED_BY_RESOURCE, "with an explicit deny in a resource-based policy"),
    (
        Reason.NO_IDENTITY_ALLOW,
        "because no identity-based policy allows the events:PutEvents action",
    ),
    (
        Reason.NO_RESOURCE_ALLOW,
        "because no resource-based policy allows the events:PutEvents action",
    ),
]


@pytest.mark.parametrize(("reason", "ending"), DENIALS)
def test_a_denial_is_worded_as_aws_words_it(reason: Reason, ending: str) -> None:
    """Who, what, on what, and which policy is to blame."""
    decision = Decision(allowed=False, reason=reason)
    text = denial_text(ANN, "events:PutEvents", BUS, decision)

    assert (
        f"User: {ANN} is not authorized to perform: events:PutEvents on resource: {BUS} {ending}"
        == text
    )


IDENTITY_REFUSED = [
    ({"Principal": "*"}, "The policy of an identity does not name principals."),
    ({"Action": None}, "Missing required field Action"),
    ({"Resource": None}, "Missing required field Resource"),
    ({"Action": "*:PutEvents"}, 'The following action names are invalid: "*:PutEvents"'),
    ({"Condition": {"Like": {"aws:userid": "x"}}}, 'Unknown condition operator "Like"'),
    ({"Condition": {"StringLike": {"aws:id": "x"}}}, 'Unknown condition key "aws:id"'),
]


@pytest.mark.parametrize(("changes", "reason"), IDENTITY_REFUSED)
def test_an_identity_policy_is_refused_with_its_place(changes: dict[str, Any], reason: str) -> None:
    """Its rules are the language's own."""
    statement = {"Effect": "Allow", "Action": "s3:*", "Resource": "*", **changes}
    members = {name: value for name, value in statement.items() if value is not None}
    text = json.dumps({"Version": "2012-10-17", "Statement": [members]}, separators=(",", ":"))

    with pytest.raises(ValidationException) as refused:
        parse_identity_policy(text)

    assert f"Invalid statement at line 1 column 38: {reason}" == refused.value.message


def test_an_identity_policys_statement_has_an_effect() -> None:
    """Without one it says nothing."""
    with pytest.raises(ValidationException, match=r"^Missing required field Effect$"):
        parse_identity_policy('{"Statement":{"Action":"*","Resource":"*"}}')


def test_an_identity_policy_speaks_of_any_service() -> None:
    """Neither Sid nor Version is needed, and keys of other services are theirs."""
    text = '{"Statement":{"Effect":"Allow","Action":["s3:Get*","events:*"],"Resource":"*"}}'

    assert parse_identity_policy(text).version == "2008-10-17"
    assert decide(ANN, identity=parse_identity_policy(text)).allowed


@pytest.mark.parametrize("text", [" " * 70_000, '{"Id":"' + "x" * 10_240 + '"}'])
def test_an_identity_policy_has_a_limit(text: str) -> None:
    """White space is not counted, up to a bound."""
    with pytest.raises(ValidationException, match="longer than 10240 characters"):
        parse_identity_policy(text)


def test_blanks_of_an_identity_policy_do_not_count() -> None:
    """An indented policy may be as long as the same policy without its blanks."""
    text = '{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}' + " " * 20_000 + "}"

    assert len(parse_identity_policy(text).statements) == 1
