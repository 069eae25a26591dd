"""PutPermission, RemovePermission, and what a bus's policy lets another account do."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import QueueOf

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
PATTERN = '{"source":["shop"]}'
ENTRY = {"Source": "shop", "DetailType": "t", "Detail": "{}"}
SHORT = {"Action": "events:PutEvents", "Principal": OTHER, "StatementId": "s"}
Refusal = Callable[..., tuple[str, str]]
Clients = Callable[..., BaseClient]


def arn_of(bus: str, rule: str | None = None) -> str:
    """Return the ARN of a bus of the first account, or of a rule on it."""
    kind = f"event-bus/{bus}" if rule is None else f"rule/{bus}/{rule}"
    return f"arn:aws:events:{EAST}:{OWN}:{kind}"


def statement(bus: str, **changes: Any) -> dict[str, Any]:
    """Return the statement that SHORT stands for, with changes."""
    return {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{OTHER}:root"},
        "Action": "events:PutEvents",
        "Resource": arn_of(bus),
        **changes,
    }


def policy(*statements: dict[str, Any]) -> str:
    """Return a policy as AWS stores it."""
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    return json.dumps(document, separators=(",", ":"))


def denied(action: str, resource: str, ending: str = "") -> tuple[str, str]:
    """Return the error of a call that the other account may not make."""
    ending = ending or f"because no resource-based policy allows the events:{action} action"
    return (
        "AccessDeniedException",
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: events:{action} "
        f"on resource: {resource} {ending}",
    )


# --- the policy as it is stored --------------------------------------------------------------


def test_the_short_form(events: BaseClient, bus: str) -> None:
    """One statement, in AWS's order of members; Describe and List show the policy."""
    answer = events.put_permission(EventBusName=bus, **SHORT)
    (listed,) = events.list_event_buses(NamePrefix=bus)["EventBuses"]

    assert {"ResponseMetadata"} == set(answer)
    assert policy(statement(bus)) == events.describe_event_bus(Name=bus)["Policy"]
    assert policy(statement(bus)) == listed["Policy"]


def test_the_short_form_upserts(events: BaseClient, bus: str) -> None:
    """The same StatementId is replaced; another one is added."""
    events.put_permission(EventBusName=bus, **SHORT)
    events.put_permission(EventBusName=bus, **{**SHORT, "Principal": "*"})
    events.put_permission(EventBusName=bus, **{**SHORT, "StatementId": "t"})

    assert (
        policy(statement(bus, Principal="*"), statement(bus, Sid="t"))
        == events.describe_event_bus(Name=bus)["Policy"]
    )


def test_the_policy_form_replaces_all(events: BaseClient, bus: str) -> None:
    """A whole document takes the place of every statement."""
    events.put_permission(EventBusName=bus, **SHORT)
    whole = policy(statement(bus, Sid="w", Action="events:*", Resource="*"))
    events.put_permission(EventBusName=bus, Policy=whole)

    assert whole == events.describe_event_bus(Name=bus)["Policy"]


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        ({}, "ValidationException", "Parameter(s) Action must be specified."),
        (
            {"Action": "events:PutEvents"},
            "ValidationException",
            "Parameter(s) Principal must be specified.",
        ),
        (
            {**SHORT, "Policy": "{}"},
            "ValidationException",
            "Action, Principal, StatementId and Condition could not be combined with Policy "
            "parameter.",
        ),
        (
            {**SHORT, "Action": "events:PutRule"},
            "ValidationException",
            "Provided value in parameter 'action' is not supported.",
        ),
        (
            {**SHORT, "Condition": {"Type": "StringEquals", "Key": "aws:SourceIp", "Value": "o"}},
            "ValidationException",
            "Provided value in parameter 'condition.key' is not supported.",
        ),
        ({"Policy": "null"}, "ValidationException", "This text appears not to be a policy"),
        ({"Policy": "{"}, "ValidationException", "This policy contains invalid Json"),
        (
            {"Policy": '{"Statement":[]}'},
            "ValidationException",
            "Missing required field Version",
        ),
        ({**SHORT, "EventBusName": "nowhere"}, "ResourceNotFoundException", None),
        ({"Policy": "x" * 10_241}, "PolicyLengthExceededException", None),
        ({**SHORT, "EventBusName": "aws.partner/a/b"}, "ValidationException", None),
    ],
    ids=[
        "nothing",
        "no-principal",
        "both-forms",
        "action",
        "condition",
        "null",
        "no-json",
        "no-version",
        "bus",
        "too-long",
        "partner-bus",
    ],
)
def test_what_put_permission_refuses(
    events: BaseClient,
    bus: str,
    refusal: Refusal,
    params: dict[str, Any],
    code: str,
    message: str | None,
) -> None:
    """Nothing of the policy changes."""
    found = refusal(events.put_permission, **{"EventBusName": bus, **params})

    assert code == found[0]
    assert message in (None, found[1])
    assert "Policy" not in events.describe_event_bus(Name=bus)


def test_a_statement_is_removed(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """With the last statement the policy is gone."""
    unknown = ("ResourceNotFoundException", "Statement with the provided id does not exist.")
    for sid in ("s", "t"):
        events.put_permission(EventBusName=bus, **{**SHORT, "StatementId": sid})
    events.remove_permission(EventBusName=bus, StatementId="s")

    assert unknown == refusal(events.remove_permission, EventBusName=bus, StatementId="s")
    assert policy(statement(bus, Sid="t")) == events.describe_event_bus(Name=bus)["Policy"]
    events.remove_permission(EventBusName=bus, StatementId="t")
    assert "Policy" not in events.describe_event_bus(Name=bus)
    assert unknown == refusal(events.remove_permission, EventBusName=bus, StatementId="t")


def test_all_statements_are_removed(events: BaseClient, bus: str) -> None:
    """Also where there is none."""
    events.put_permission(EventBusName=bus, **SHORT)
    for _ in range(2):
        events.remove_permission(EventBusName=bus, RemoveAllPermissions=True)

    assert "Policy" not in events.describe_event_bus(Name=bus)


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({}, "Parameter(s) StatementId must be specified."),
        ({"RemoveAllPermissions": False}, "Parameter(s) StatementId must be specified."),
        (
            {"StatementId": "s", "RemoveAllPermissions": True},
            "StatementId could not be combined with All parameter.",
        ),
    ],
    ids=["nothing", "not-all", "both"],
)
def test_what_remove_permission_refuses(
    events: BaseClient, bus: str, refusal: Refusal, params: dict[str, Any], message: str
) -> None:
    """One statement or all, and not both."""
    assert ("ValidationException", message) == refusal(
        events.remove_permission, EventBusName=bus, **params
    )


# --- events from another account -------------------------------------------------------------


def test_an_admitted_account_puts_events(
    events: BaseClient, other: Clients, bus: str, queue: QueueOf, subscribe: Callable[..., None]
) -> None:
    """The event is on the bus that was named, with its sender's account."""
    subscribe(bus, queue, PATTERN)
    events.put_permission(EventBusName=bus, **SHORT)
    answer = other("events").put_events(Entries=[{**ENTRY, "EventBusName": arn_of(bus)}])
    (event,) = queue.receive_events(1)

    assert 0 == answer["FailedEntryCount"]
    assert (OTHER, answer["Entries"][0]["EventId"]) == (event["account"], event["id"])


def test_one_denied_entry_rejects_all(
    events: BaseClient,
    other: Clients,
    bus: str,
    queue: QueueOf,
    subscribe: Callable[..., None],
    refusal: Refusal,
) -> None:
    """Each entry is weighed by its source and detail-type, whatever else is wrong with it."""
    subscribe(bus, queue, '{"source":[{"prefix":""}]}')
    condition = {
        "StringEquals": {"events:source": "shop", "events:eventBusInvocation": "false"},
        "StringLike": {"events:detail-type": "t*"},
    }
    events.put_permission(EventBusName=bus, Policy=policy(statement(bus, Condition=condition)))
    good = {**ENTRY, "EventBusName": arn_of(bus)}
    refused = denied("PutEvents", arn_of(bus))
    put = other("events").put_events

    assert refused == refusal(put, Entries=[good, {**good, "Source": "bank"}])
    assert refused == refusal(put, Entries=[good, {**good, "DetailType": "u"}])
    assert refused == refusal(put, Entries=[good, {"EventBusName": arn_of(bus)}])
    put(Entries=[good])
    assert 1 == len(queue.receive_events(1))
    assert queue.is_empty()


def test_a_deny_beats_an_allow(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """And the message says so."""
    deny = statement(
        bus, Sid="d", Effect="Deny", Condition={"StringEquals": {"events:source": "bank"}}
    )
    events.put_permission(EventBusName=bus, Policy=policy(statement(bus), deny))
    good = {**ENTRY, "EventBusName": arn_of(bus)}
    put = other("events").put_events

    assert 0 == put(Entries=[good])["FailedEntryCount"]
    assert denied(
        "PutEvents", arn_of(bus), "with an explicit deny in a resource-based policy"
    ) == refusal(put, Entries=[{**good, "Source": "bank"}])


@pytest.mark.parametrize("name", ["default", "nowhere"])
def test_a_bus_without_a_policy_admits_nobody(other: Clients, refusal: Refusal, name: str) -> None:
    """Whether the bus exists is not told."""
    assert denied("PutEvents", arn_of(name)) == refusal(
        other("events").put_events, Entries=[{**ENTRY, "EventBusName": arn_of(name)}]
    )


def test_a_removed_permission_is_gone(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """The next call is denied; so it is after the bus was made anew."""
    entries = [{**ENTRY, "EventBusName": arn_of(bus)}]
    events.put_permission(EventBusName=bus, **SHORT)
    other("events").put_events(Entries=entries)
    events.delete_event_bus(Name=bus)
    events.create_event_bus(Name=bus)

    assert denied("PutEvents", arn_of(bus)) == refusal(other("events").put_events, Entries=entries)


def test_own_buses_need_no_policy(events: BaseClient, bus: str) -> None:
    """A policy for others leaves the owner alone."""
    events.put_permission(EventBusName=bus, **SHORT)
    answer = events.put_events(Entries=[{**ENTRY, "EventBusName": arn_of(bus)}])

    assert 0 == answer["FailedEntryCount"]


# --- rules on another account's bus ----------------------------------------------------------

RULE_ACTIONS = [
    "events:PutRule",
    "events:DescribeRule",
    "events:DeleteRule",
    "events:EnableRule",
    "events:DisableRule",
    "events:PutTargets",
    "events:RemoveTargets",
    "events:ListTargetsByRule",
]


def manage(bus: str) -> str:
    """Return the policy with which an account shares a bus: everyone for their own rules."""
    rules = statement(
        bus,
        Action=RULE_ACTIONS,
        Resource=arn_of(bus, "*"),
        Condition={"StringEqualsIfExists": {"events:creatorAccount": "${aws:PrincipalAccount}"}},
    )
    listing = statement(bus, Sid="l", Action="events:ListRules")
    return policy(rules, listing)


def test_rules_on_a_shared_bus(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """They are the owner's resources, made by the other account."""
    events.put_permission(EventBusName=bus, Policy=manage(bus))
    foreign, named = other("events"), {"EventBusName": arn_of(bus)}
    target = {"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:{OTHER}:q"}
    made = foreign.put_rule(Name="r", EventPattern=PATTERN, **named)
    foreign.put_targets(Rule="r", Targets=[target], **named)
    foreign.disable_rule(Name="r", **named)

    assert arn_of(bus, "r") == made["RuleArn"]
    assert OTHER == events.describe_rule(Name="r", EventBusName=bus)["CreatedBy"]
    assert "DISABLED" == foreign.describe_rule(Name="r", **named)["State"]
    assert ["r"] == [rule["Name"] for rule in foreign.list_rules(**named)["Rules"]]
    assert [target] == foreign.list_targets_by_rule(Rule="r", **named)["Targets"]
    assert denied("DescribeEventBus", arn_of(bus)) == refusal(
        foreign.describe_event_bus, Name=arn_of(bus)
    )
    foreign.remove_targets(Rule="r", Ids=["q"], **named)
    foreign.delete_rule(Name="r", **named)
    assert [] == events.list_rules(EventBusName=bus)["Rules"]


def test_rules_of_the_owner_on_a_shared_bus(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """events:creatorAccount keeps the owner's rules from the other account."""
    events.put_permission(EventBusName=bus, Policy=manage(bus))
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)
    foreign, named = other("events"), {"EventBusName": arn_of(bus)}

    for action, call in (
        ("PutRule", lambda: foreign.put_rule(Name="r", EventPattern=PATTERN, **named)),
        ("DeleteRule", lambda: foreign.delete_rule(Name="r", **named)),
        ("DescribeRule", lambda: foreign.describe_rule(Name="r", **named)),
    ):
        assert denied(action, arn_of(bus, "r")) == refusal(call)
    assert OWN == events.describe_rule(Name="r", EventBusName=bus)["CreatedBy"]


def test_tags_on_a_shared_bus(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """A statement on the bus is not one on its rules."""
    allowed = statement(bus, Action="events:TagResource")
    events.put_permission(EventBusName=bus, Policy=policy(allowed))
    arn = events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)["RuleArn"]
    tags = [{"Key": "k", "Value": "v"}]
    other("events").tag_resource(ResourceARN=arn_of(bus), Tags=tags)

    assert tags == events.list_tags_for_resource(ResourceARN=arn_of(bus))["Tags"]
    assert denied("TagResource", arn) == refusal(
        other("events").tag_resource, ResourceARN=arn, Tags=tags
    )


def test_archives_of_a_shared_bus(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """Whatever its policy says, a bus is archived by its own account alone."""
    everything = statement(bus, Action="events:*", Resource="*")
    events.put_permission(EventBusName=bus, Policy=policy(everything))

    assert (
        "AccessDeniedException"
        == refusal(other("events").create_archive, ArchiveName="a", EventSourceArn=arn_of(bus))[0]
    )
