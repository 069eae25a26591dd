"""What a bus's policy says to its own account, and to named users and roles of another one.

Source: IAM user guide, "Policy evaluation logic": within an account an explicit Deny wins and one
Allow of either side is enough; between accounts both sides have to allow.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.config import Credential

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment

EAST = "us-east-1"
OWN, OTHER = "000000000000", "111111111111"
PUT, PATTERN = "events:PutEvents", '{"source":["a"]}'
ROLE = f"arn:aws:iam::{OTHER}:role/app/sender"
SESSION = f"arn:aws:sts::{OTHER}:assumed-role/sender/me"
USER = f"arn:aws:iam::{OTHER}:user/alice"
OTHER_ROOT = f"arn:aws:iam::{OTHER}:root"
Clients = Callable[..., BaseClient]
Refusal = Callable[..., tuple[str, str]]


def document(*statements: dict[str, Any]) -> str:
    """Return a policy of the statements."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def identity(effect: str = "Allow", action: str = "*") -> str:
    """Return the policy of a user or role."""
    return document({"Effect": effect, "Action": action, "Resource": "*"})


def say(effect: str, principal: Any, action: Any = PUT, **more: Any) -> dict[str, Any]:
    """Return a statement of a bus's policy about the bus and all of its rules."""
    whom = principal if principal == "*" else {"AWS": principal}
    given = {"Sid": effect, "Effect": effect, "Principal": whom, "Action": action, "Resource": "*"}
    return {**given, **more}


CREDENTIALS = (
    Credential(),
    Credential(access_key_id="owner", secret_access_key="s", user_name="owner", policy=identity()),
    Credential(
        access_key_id="idle",
        secret_access_key="s",
        user_name="idle",
        policy=identity(action="sqs:*"),
    ),
    Credential(access_key_id="other", secret_access_key="s", account_id=OTHER),
    Credential(
        access_key_id="alice",
        secret_access_key="s",
        account_id=OTHER,
        user_name="alice",
        policy=identity(),
    ),
    Credential(
        access_key_id="mute",
        secret_access_key="s",
        account_id=OTHER,
        user_name="mute",
        policy=identity(action="sqs:*"),
    ),
)


@pytest.fixture(scope="module")
def as_key(deployed: Callable[..., Deployment], client_of: Clients) -> Clients:
    """Return clients of a key, or of the session of the other account's role `sender`."""
    url = deployed(credentials=CREDENTIALS).url

    def client(service: str, key: tuple[str, ...]) -> BaseClient:
        return client_of(url, service, EAST, key)

    trust = {"Effect": "Allow", "Principal": {"AWS": OTHER_ROOT}, "Action": "sts:AssumeRole"}
    iam = client("iam", ("other", "s"))
    iam.create_role(RoleName="sender", Path="/app/", AssumeRolePolicyDocument=document(trust))
    iam.put_role_policy(RoleName="sender", PolicyName="p", PolicyDocument=identity())
    found = client("sts", ("other", "s")).assume_role(RoleArn=ROLE, RoleSessionName="me")
    session = found["Credentials"]
    keys: dict[str, tuple[str, ...]] = {
        "root": ("test", "test"),
        "session": (
            session["AccessKeyId"],
            session["SecretAccessKey"],
            session["SessionToken"],
        ),
    }

    def as_key(key: str, service: str = "events") -> BaseClient:
        return client(service, keys.get(key, (key, "s")))

    return as_key


@pytest.fixture
def shared(as_key: Clients, request: pytest.FixtureRequest) -> Callable[..., str]:
    """Give a new bus of the first account a policy, and return the bus's ARN."""
    root, name = as_key("root"), f"bus-{abs(hash(request.node.nodeid))}"
    root.create_event_bus(Name=name)

    def shared(*statements: dict[str, Any]) -> str:
        root.put_permission(EventBusName=name, Policy=document(*statements))
        return f"arn:aws:events:{EAST}:{OWN}:event-bus/{name}"

    return shared


def entries(bus: str, source: str = "s") -> list[dict[str, str]]:
    """Return an entry for the bus."""
    return [{"Source": source, "DetailType": "t", "Detail": "{}", "EventBusName": bus}]


# --- within the account ----------------------------------------------------------------------


@pytest.mark.parametrize("key", ["root", "owner"])
def test_a_deny_stops_the_own_account(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal, key: str
) -> None:
    """Whoever of the account puts, root or user, by name or by ARN; what it spares goes on."""
    condition = {"StringEquals": {"events:source": "bad"}}
    bus = shared(say("Deny", "*", Condition=condition))
    put, name = as_key(key).put_events, bus.rpartition("/")[2]

    for named in (bus, name):
        assert 0 == put(Entries=entries(named, "good"))["FailedEntryCount"]
        code, message = refusal(put, Entries=entries(named, "good") + entries(named, "bad"))
        assert "AccessDeniedException" == code
        assert f"{PUT} on resource: {bus} with an explicit deny in a resource-based" in message


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("put_rule", {"Name": "r", "EventPattern": PATTERN}),
        ("describe_rule", {"Name": "r"}),
        ("delete_rule", {"Name": "r"}),
        ("enable_rule", {"Name": "r"}),
        ("disable_rule", {"Name": "r"}),
        ("put_targets", {"Rule": "r", "Targets": [{"Id": "1", "Arn": "arn:aws:sqs:x:1:q"}]}),
        ("list_targets_by_rule", {"Rule": "r"}),
        ("remove_targets", {"Rule": "r", "Ids": ["1"]}),
        ("list_rules", {}),
    ],
)
@pytest.mark.parametrize("key", ["root", "owner"])
def test_a_deny_stops_the_own_rules(
    as_key: Clients,
    shared: Callable[..., str],
    refusal: Refusal,
    key: str,
    method: str,
    params: dict[str, Any],
) -> None:
    """A Deny on rules holds for the owner of the bus as well."""
    bus = shared(say("Deny", "*", "events:*"))
    code, message = refusal(getattr(as_key(key), method), EventBusName=bus, **params)

    assert "AccessDeniedException" == code
    assert message.endswith("with an explicit deny in a resource-based policy")


def test_a_deny_sees_the_pattern_and_the_time(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal
) -> None:
    """A bus's policy is given the same keys as a user's."""
    secret = {"ForAnyValue:StringEquals": {"events:source": "secret"}}
    late = {"DateGreaterThan": {"aws:CurrentTime": "2001-01-01T00:00:00Z"}}
    bus = shared(
        say("Deny", "*", "events:PutRule", Condition=secret),
        say("Deny", "*", Sid="late", Condition=late),
    )
    root = as_key("root")
    rule = {"Name": "r", "EventBusName": bus}

    assert root.put_rule(**rule, EventPattern=PATTERN)["RuleArn"]
    for pattern in ('{"source":["a","secret"]}', '{"source":[{"prefix":"s"}]}'):
        assert "AccessDeniedException" == refusal(root.put_rule, **rule, EventPattern=pattern)[0]
    assert "AccessDeniedException" == refusal(root.put_events, Entries=entries(bus))[0]


def test_nobody_is_locked_out(as_key: Clients, shared: Callable[..., str]) -> None:
    """Whatever a bus's policy denies, its account may change that policy and delete the bus."""
    bus, root = shared(say("Deny", "*", "events:*")), as_key("root")
    name = bus.rpartition("/")[2]
    root.remove_permission(EventBusName=name, RemoveAllPermissions=True)
    root.put_events(Entries=entries(bus))
    shared(say("Deny", "*", "events:*"))
    root.put_permission(EventBusName=name, Policy=document(say("Allow", OTHER)))
    shared(say("Deny", "*", "events:*"))
    root.update_event_bus(Name=name, Description="d")
    root.delete_event_bus(Name=name)

    assert not root.list_event_buses(NamePrefix=name)["EventBuses"]


def test_an_allow_of_either_side_is_enough_within(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal
) -> None:
    """A policy that names the user lets it in; one that names the account leaves it to identity."""
    idle = f"arn:aws:iam::{OWN}:user/idle"
    bus = shared(say("Allow", idle, [PUT, "events:PutRule"]))
    put = as_key("idle").put_events

    assert 0 == put(Entries=entries(bus))["FailedEntryCount"]
    assert as_key("idle").put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)["RuleArn"]
    as_key("root").delete_rule(Name="r", EventBusName=bus)
    shared(say("Allow", f"arn:aws:iam::{OWN}:root"))
    assert "AccessDeniedException" == refusal(put, Entries=entries(bus))[0]
    assert 0 == as_key("owner").put_events(Entries=entries(bus))["FailedEntryCount"]


def test_a_deny_within_spares_whom_it_names(as_key: Clients, shared: Callable[..., str]) -> None:
    """NotPrincipal spares who is named, with its account."""
    owner = f"arn:aws:iam::{OWN}:user/owner"
    deny = {"Sid": "d", "Effect": "Deny", "Action": PUT, "Resource": "*"}
    bus = shared({**deny, "NotPrincipal": {"AWS": [owner, f"arn:aws:iam::{OWN}:root"]}})

    assert 0 == as_key("owner").put_events(Entries=entries(bus))["FailedEntryCount"]
    assert 0 == as_key("root").put_events(Entries=entries(bus))["FailedEntryCount"]


# --- named users and roles of another account ------------------------------------------------


@pytest.mark.parametrize(
    ("principal", "let_in"),
    [
        (OTHER, {"other", "alice", "session"}),
        (OTHER_ROOT, {"other", "alice", "session"}),
        (USER, {"alice"}),
        (ROLE, {"session"}),
        (SESSION, {"session"}),
        ([USER, ROLE], {"alice", "session"}),
        (f"arn:aws:iam::{OTHER}:role/another", set()),
        (f"arn:aws:iam::{OWN}:role/app/sender", set()),
        (f"arn:aws:sts::{OTHER}:assumed-role/sender/you", set()),
        ("*", {"other", "alice", "session"}),
    ],
)
def test_who_is_named(
    as_key: Clients,
    shared: Callable[..., str],
    refusal: Refusal,
    principal: Any,
    let_in: set[str],
) -> None:
    """An account, a user, a role or one of its sessions; a user without a policy gets nowhere."""
    bus = shared(say("Allow", principal, [PUT, "events:PutRule", "events:DeleteRule"]))

    for key in ("other", "alice", "session", "mute"):
        events, rule = as_key(key), {"Name": key, "EventBusName": bus}
        if key in let_in:
            assert 0 == events.put_events(Entries=entries(bus))["FailedEntryCount"]
            assert events.put_rule(**rule, EventPattern=PATTERN)["RuleArn"]
            events.delete_rule(**rule)
        else:
            assert "AccessDeniedException" == refusal(events.put_events, Entries=entries(bus))[0]
            code, _ = refusal(events.put_rule, **rule, EventPattern=PATTERN)
            assert "AccessDeniedException" == code


@pytest.mark.parametrize(
    ("spared", "let_in"),
    [
        ([OTHER_ROOT], {"other"}),
        ([OTHER_ROOT, USER], {"other", "alice"}),
        ([OTHER_ROOT, ROLE], {"other"}),
        ([OTHER_ROOT, ROLE, SESSION], {"other", "session"}),
        ([USER], set()),
    ],
)
def test_who_is_spared(
    as_key: Clients,
    shared: Callable[..., str],
    refusal: Refusal,
    spared: list[str],
    let_in: set[str],
) -> None:
    """NotPrincipal has to name a caller under each of its names."""
    deny = {"Sid": "d", "Effect": "Deny", "Action": PUT, "Resource": "*"}
    bus = shared(say("Allow", "*"), {**deny, "NotPrincipal": {"AWS": spared}})

    for key in ("other", "alice", "session"):
        put = as_key(key).put_events
        if key in let_in:
            assert 0 == put(Entries=entries(bus))["FailedEntryCount"]
        else:
            assert "AccessDeniedException" == refusal(put, Entries=entries(bus))[0]


def test_both_sides_have_to_allow(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal
) -> None:
    """Which side refused is told in the message."""
    bus = shared(say("Allow", OTHER))
    _, message = refusal(as_key("mute").put_events, Entries=entries(bus))
    assert message.endswith(f"because no identity-based policy allows the {PUT} action")

    bus = shared(say("Allow", "222222222222"))
    _, message = refusal(as_key("alice").put_events, Entries=entries(bus))
    assert message.endswith(f"because no resource-based policy allows the {PUT} action")


def test_the_principal_arn_of_a_session_is_its_role(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal
) -> None:
    """A condition on aws:PrincipalArn means the role, as on AWS."""
    condition = {
        "ArnEquals": {"aws:PrincipalArn": ROLE},
        "StringEquals": {"aws:PrincipalType": "AssumedRole"},
    }
    bus = shared(say("Allow", OTHER, Condition=condition))

    assert 0 == as_key("session").put_events(Entries=entries(bus))["FailedEntryCount"]
    assert "AccessDeniedException" == refusal(as_key("alice").put_events, Entries=entries(bus))[0]


def test_no_other_way_of_writing_the_bus_leads_round_a_deny(
    as_key: Clients, shared: Callable[..., str], refusal: Refusal
) -> None:
    """A Deny that names the bus's ARN holds for an ARN of another partition or without its kind."""
    bus = shared(say("Allow", "*"))
    deny = say("Deny", "*", Resource=bus)
    shared(say("Allow", "*"), deny)

    for written in (bus, bus.replace("arn:aws:", "arn:aws-x:")):
        for key in ("root", "alice", "session"):
            code, _ = refusal(as_key(key).put_events, Entries=entries(written))
            assert "AccessDeniedException" == code
