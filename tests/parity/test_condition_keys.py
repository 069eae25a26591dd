"""The condition keys of EventBridge in keys' own policies, as AWS's user guide tables them.

Source: EventBridge user guide, "Using IAM policy conditions", whose examples the policies are, and
the service authorization reference, for which key belongs to which action.
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

EAST, OWN = "us-east-1", "000000000000"
QUEUE = f"arn:aws:sqs:{EAST}:{OWN}:orders"
Clients = Callable[..., BaseClient]
Refusal = Callable[..., tuple[str, str]]


def allow(action: str, **condition: Any) -> dict[str, Any]:
    """Return a statement that allows the action under the condition."""
    return {
        "Effect": "Allow",
        "Action": action,
        "Resource": "*",
        "Condition": {operator.replace("__", ":"): keys for operator, keys in condition.items()},
    }


def unless(action: str, **condition: Any) -> list[dict[str, Any]]:
    """Return statements that allow everything but the action under the condition."""
    return [allow("*"), {**allow(action, **condition), "Effect": "Deny"}]


PUT_RULE, PUT_TARGETS = "events:PutRule", "events:PutTargets"
SOURCES = {"events:source": ["aws.ec2", "aws.s3"]}
GIVEN = {"events:source": "false"}
PRINCIPAL_ID = "events:detail.userIdentity.principalId"
POLICIES: dict[str, list[dict[str, Any]]] = {
    "one_source": [allow(PUT_RULE, StringEquals={"events:source": "aws.ec2"})],
    "either_source": [allow(PUT_RULE, StringEquals=SOURCES)],
    "source_and_type": [
        allow(PUT_RULE, StringEquals={"events:source": "aws.ec2", "events:detail-type": "State"})
    ],
    "any_source": [allow(PUT_RULE, Null=GIVEN)],
    "all_sources": [allow(PUT_RULE, ForAllValues__StringEquals=SOURCES, Null=GIVEN)],
    "some_source": [allow(PUT_RULE, ForAnyValue__StringEquals=SOURCES)],
    "service": [allow(PUT_RULE, StringEquals={"events:detail.service": "ABUSE"})],
    "type_code": [allow(PUT_RULE, StringEquals={"events:detail.eventTypeCode": "DOS"})],
    "principal_id": [allow(PUT_RULE, StringEquals={PRINCIPAL_ID: "AIDA"})],
    "no_secret": unless(PUT_RULE, ForAnyValue__StringEquals={"events:source": "secret"}),
    "no_missing": unless(PUT_RULE, Null={"events:source": "true"}),
    "queues": [allow(PUT_TARGETS, ForAllValues__ArnLike={"events:TargetArn": QUEUE})],
    "one_queue": [allow(PUT_TARGETS, ArnLike={"events:TargetArn": QUEUE})],
    "no_queue": unless(PUT_TARGETS, ForAnyValue__ArnEquals={"events:TargetArn": QUEUE}),
    "creator": [
        allow("events:*", StringEqualsIfExists={"events:creatorAccount": "${aws:PrincipalAccount}"})
    ],
    "no_creator": unless("events:*", StringEquals={"events:creatorAccount": OWN}),
    "unmanaged": unless("events:*", Null={"events:ManagedBy": "false"}),
    "archive_rules": unless(
        "events:*", StringEquals={"events:ManagedBy": "prod.vhs.events.aws.internal"}
    ),
    "untagged": unless("events:*", StringEquals={"aws:ResourceTag/stage": "prod"}),
    "no_tagging": [allow("*"), {**allow("events:TagResource"), "Effect": "Deny"}],
    "put": unless("events:PutEvents", StringEquals={"events:eventBusInvocation": "false"}),
}


@pytest.fixture(scope="module")
def as_user(deployed: Callable[..., Deployment], client_of: Clients) -> Clients:
    """Return EventBridge of a user, each named like its policy, or of the account's root."""
    users = [
        Credential(
            access_key_id=name,
            secret_access_key=f"{name}-secret",
            user_name=name,
            policy=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        for name, statements in POLICIES.items()
    ]
    url = deployed(credentials=(Credential(), *users)).url

    def as_user(user: str | None = None) -> BaseClient:
        return client_of(
            url, "events", EAST, (user, f"{user}-secret") if user else ("test", "test")
        )

    root = as_user()
    root.put_rule(Name="there", EventPattern='{"source":["a"]}')
    root.put_rule(
        Name="tagged", EventPattern='{"source":["a"]}', Tags=[{"Key": "stage", "Value": "prod"}]
    )
    root.create_archive(
        ArchiveName="kept", EventSourceArn=f"arn:aws:events:{EAST}:{OWN}:event-bus/default"
    )
    return as_user


EC2, S3, ECS = ({"source": [source]} for source in ("aws.ec2", "aws.s3", "aws.ecs"))
STATE = {"detail-type": ["State"]}
PREFIX = {"source": [{"prefix": "aws."}]}
EITHER = {"$or": [EC2, S3]}
LEAKY = {"$or": [EC2, STATE]}


@pytest.mark.parametrize(
    ("user", "allowed", "denied"),
    [
        (
            "one_source",
            [EC2, {**EC2, **STATE}],
            [S3, {"source": ["aws.ec2", "aws.s3"]}, STATE, PREFIX, EITHER, LEAKY],
        ),
        ("either_source", [EC2, S3], [ECS, {"source": ["aws.ec2", "aws.s3"]}, STATE]),
        ("source_and_type", [{**EC2, **STATE}], [EC2, STATE, {**EC2, "detail-type": ["Health"]}]),
        ("any_source", [EC2, {"source": ["aws.ecs", "aws.ec2"]}, EITHER], [STATE, PREFIX, LEAKY]),
        (
            "all_sources",
            [EC2, {"source": ["aws.ec2", "aws.s3"]}, EITHER],
            [
                {"source": ["aws.ec2", "aws.ecs"]},
                STATE,
                LEAKY,
                {"source": ["aws.ec2", {"suffix": "3"}]},
            ],
        ),
        ("some_source", [EC2, {"source": ["aws.ec2", "aws.ecs"]}], [ECS, STATE, PREFIX]),
        (
            "service",
            [{"detail": {"service": ["ABUSE"]}}],
            [{"detail": {"service": ["EC2"]}}, {"service": ["ABUSE"]}, EC2],
        ),
        (
            "type_code",
            [{"detail": {"eventTypeCode": ["DOS"]}}],
            [{"detail": {"eventTypeCode": [{"exists": False}]}}, EC2],
        ),
        (
            "principal_id",
            [
                {"detail": {"userIdentity": {"principalId": ["AIDA"]}}},
                {"detail.userIdentity.principalId": ["AIDA"]},
            ],
            [{"detail": {"userIdentity": {"principalId": ["AROA"]}}}, STATE],
        ),
        (
            "no_secret",
            [EC2, STATE, EITHER],
            [
                {"source": ["aws.ec2", "secret"]},
                {"source": [{"prefix": "sec"}]},
                {"source": [{"anything-but": "x"}]},
                {"source": [{"exists": True}]},
                {"$or": [EC2, {"source": ["secret"]}]},
                LEAKY,
            ],
        ),
        ("no_missing", [EC2, EITHER], [STATE, LEAKY]),
    ],
)
def test_put_rule_by_its_pattern(
    as_user: Clients,
    refusal: Refusal,
    user: str,
    allowed: list[dict[str, Any]],
    denied: list[dict[str, Any]],
) -> None:
    """A pattern's literals are the values; what is no literal, or in one branch, cannot be told."""
    put = as_user(user).put_rule

    for pattern in allowed:
        assert put(Name=user, EventPattern=json.dumps(pattern))["RuleArn"]
    for pattern in denied:
        code, _ = refusal(put, Name=user, EventPattern=json.dumps(pattern))
        assert "AccessDeniedException" == code, pattern


def test_a_pattern_that_is_none(as_user: Clients, refusal: Refusal) -> None:
    """It is refused as a pattern, also where a policy would have to look into it."""
    code, _ = refusal(as_user("one_source").put_rule, Name="r", EventPattern="{")

    assert "InvalidEventPatternException" == code


@pytest.mark.parametrize(
    ("user", "arns", "is_allowed"),
    [
        ("queues", [QUEUE], True),
        ("queues", [QUEUE, f"{QUEUE}-2"], False),
        ("one_queue", [QUEUE], True),
        ("one_queue", [f"{QUEUE}-2"], False),
        ("no_queue", [f"{QUEUE}-2"], True),
        ("no_queue", [f"{QUEUE}-2", QUEUE], False),
        ("no_queue", [QUEUE.replace("arn:aws:", "arn:aws-x:")], False),
    ],
)
def test_put_targets_by_their_arns(
    as_user: Clients, refusal: Refusal, user: str, arns: list[str], is_allowed: bool
) -> None:
    """Each of the targets is a value."""
    put = as_user(user).put_targets
    params = {"Rule": "there", "Targets": [{"Id": str(n), "Arn": a} for n, a in enumerate(arns)]}

    if is_allowed:
        assert 0 == put(**params)["FailedEntryCount"]
    else:
        assert "AccessDeniedException" == refusal(put, **params)[0]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("put_rule", {"Name": "there", "EventPattern": '{"source":["a"]}'}),
        ("put_rule", {"Name": "new", "EventPattern": '{"source":["a"]}'}),
        ("describe_rule", {"Name": "there"}),
        ("disable_rule", {"Name": "there"}),
        ("enable_rule", {"Name": "there"}),
        ("list_targets_by_rule", {"Rule": "there"}),
        ("remove_targets", {"Rule": "there", "Ids": ["x"]}),
        ("list_tags_for_resource", {"ResourceARN": f"arn:aws:events:{EAST}:{OWN}:rule/there"}),
        ("delete_rule", {"Name": "new"}),
    ],
)
def test_every_operation_on_a_rule_knows_its_maker(
    as_user: Clients, refusal: Refusal, method: str, params: dict[str, Any]
) -> None:
    """A rule that is yet to be made counts as the caller's."""
    assert getattr(as_user("creator"), method)(**params)
    assert "AccessDeniedException" == refusal(getattr(as_user("no_creator"), method), **params)[0]


def test_what_is_no_rule_has_no_maker(as_user: Clients) -> None:
    """The key is not there, so that a Deny on it leaves other calls alone."""
    assert as_user("no_creator").describe_event_bus()["Name"]


@pytest.mark.parametrize("user", ["unmanaged", "archive_rules"])
def test_who_manages_a_rule(as_user: Clients, refusal: Refusal, user: str) -> None:
    """A rule that follows from an archive says so, any other has no such key."""
    events = as_user(user)
    rule = {"Name": "Events-Archive-kept"}

    assert events.describe_rule(Name="there")["Name"]
    assert "AccessDeniedException" == refusal(events.describe_rule, **rule)[0]
    assert "AccessDeniedException" == refusal(events.delete_rule, **rule, Force=True)[0]


def test_the_tags_of_a_rule(as_user: Clients, refusal: Refusal) -> None:
    """`aws:ResourceTag/…` has what the rule's tags say."""
    events = as_user("untagged")

    assert events.describe_rule(Name="there")["Name"]
    assert "AccessDeniedException" == refusal(events.describe_rule, Name="tagged")[0]


def test_making_something_with_tags_is_tagging(as_user: Clients, refusal: Refusal) -> None:
    """PutRule and CreateEventBus with Tags need events:TagResource too, as AWS documents."""
    events, tags = as_user("no_tagging"), [{"Key": "k", "Value": "v"}]
    rule = {"Name": "untagged", "EventPattern": '{"source":["a"]}'}
    _, message = refusal(events.put_rule, **rule, Tags=tags)

    assert "is not authorized to perform: events:TagResource on" in message
    assert "AccessDeniedException" == refusal(events.create_event_bus, Name="t", Tags=tags)[0]
    assert events.put_rule(**rule)["RuleArn"]


def test_put_events_is_no_invocation(as_user: Clients, refusal: Refusal) -> None:
    """`events:eventBusInvocation` is false for what is put."""
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}

    assert "AccessDeniedException" == refusal(as_user("put").put_events, Entries=[entry])[0]
