"""From bus to bus: in a Region, across accounts, across Regions, and where the way ends."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from farspan.config import IamConfig

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.parity.conftest import ClientFactory, Deployment, MakeQueue, QueueOf

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
ROLE = f"arn:aws:iam::{OWN}:role/forward"
EVERYTHING = '{"source":[{"prefix":""}]}'
REPLACED = {"id", "time"}
Subscribe = Callable[..., None]
Refusal = Callable[..., tuple[str, str]]


def bus_arn(name: str, region: str = EAST, account: str = OWN) -> str:
    """Return the ARN of a bus."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def forward(events: BaseClient, bus: str, arn: str, **target: Any) -> None:
    """Have a rule of a bus send everything to another bus."""
    events.put_rule(Name="forward", EventBusName=bus, EventPattern=EVERYTHING)
    given = {"Id": "b", "Arn": arn, "RoleArn": ROLE, **target}
    events.put_targets(Rule="forward", EventBusName=bus, Targets=[given])


def put(events: BaseClient, bus: str, count: int = 1) -> list[str]:
    """Put events and return their ids."""
    entry = {
        "Source": "shop",
        "DetailType": "paid",
        "Detail": '{"n": 1, "time": "x"}',
        "Resources": ["r"],
        "Time": 1_700_000_000,
        "EventBusName": bus,
    }
    return [each["EventId"] for each in events.put_events(Entries=[entry] * count)["Entries"]]


@pytest.fixture
def second(events: BaseClient, name: str) -> Iterator[str]:
    """A second bus in us-east-1."""
    bus = f"{name}-second"
    events.create_event_bus(Name=bus)
    yield bus
    for rule in events.list_rules(EventBusName=bus)["Rules"]:
        where = {"Rule": rule["Name"], "EventBusName": bus}
        targets = events.list_targets_by_rule(**where)["Targets"]
        events.remove_targets(**where, Ids=[target["Id"] for target in targets])
        events.delete_rule(Name=rule["Name"], EventBusName=bus)
    events.delete_event_bus(Name=bus)


def dead_letter(queue: QueueOf) -> tuple[str, str]:
    """Return the code and the message of the one dead letter in a queue."""
    (message,) = queue.receive(1)
    attributes = message["MessageAttributes"]
    return (
        attributes["ERROR_CODE"]["StringValue"],
        attributes["ERROR_MESSAGE"]["StringValue"],
    )


def test_a_bus_of_the_region_gets_the_event_as_it_is(
    events: BaseClient, bus: str, second: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """Id, time, account and resources are those of the event that was put."""
    subscribe(second, queue, EVERYTHING)
    forward(events, bus, bus_arn(second))
    ids = put(events, bus, 10)
    arrived = queue.receive_events(10)

    assert sorted(ids) == sorted(event["id"] for event in arrived)
    assert {"2023-11-14T22:13:20Z"} == {event["time"] for event in arrived}
    assert [(OWN, EAST, ["r"], {"n": 1, "time": "x"})] * 10 == [
        (event["account"], event["region"], event["resources"], event["detail"])
        for event in arrived
    ]


def test_a_bus_of_another_region_gets_a_new_id_and_time(
    events: BaseClient, bus: str, make_queue: MakeQueue, subscribe: Subscribe, name: str
) -> None:
    """Everything else is kept, the Region that took the event too."""
    there = make_queue(name, WEST)
    subscribe(bus, there, EVERYTHING, region=WEST)
    forward(events, bus, bus_arn(bus, WEST))
    (event_id,) = put(events, bus)
    (arrived,) = there.receive_events(1)

    assert event_id != arrived["id"]
    assert arrived["time"] > "2024"
    assert {
        "version": "0",
        "detail-type": "paid",
        "source": "shop",
        "account": OWN,
        "region": EAST,
        "resources": ["r"],
        "detail": {"n": 1, "time": "x"},
    } == {key: value for key, value in arrived.items() if key not in REPLACED}


def test_a_second_bus_of_a_region_is_one_too_many(
    events: BaseClient, bus: str, second: str, queue: QueueOf
) -> None:
    """Two buses that feed each other come to an end at once, in a dead letter."""
    forward(events, bus, bus_arn(second))
    forward(events, second, bus_arn(bus), DeadLetterConfig={"Arn": queue.arn})
    put(events, bus)

    assert (
        "THIRD_ACCOUNT_HOP_DETECTED",
        "Events received from another event bus cannot be forwarded to this event bus.",
    ) == dead_letter(queue)


def test_a_second_region_is_one_too_many(
    events: BaseClient, client: ClientFactory, bus: str, make_queue: MakeQueue, name: str
) -> None:
    """Even where the event would only come back."""
    there = make_queue(name, WEST)
    forward(events, bus, bus_arn(bus, WEST))
    forward(client("events", WEST), bus, bus_arn(bus), DeadLetterConfig={"Arn": there.arn})
    put(events, bus)

    assert "THIRD_REGION_HOP_DETECTED" == dead_letter(there)[0]


@pytest.mark.parametrize("region", [EAST, WEST])
def test_another_accounts_bus_needs_its_policy(
    client: ClientFactory,
    other: ClientFactory,
    events: BaseClient,
    bus: str,
    queue: QueueOf,
    subscribe: Subscribe,
    make_queue: MakeQueue,
    region: str,
) -> None:
    """It has to allow events that a bus invokes with, when it is put and for each event."""
    theirs = other("events", region)
    theirs.create_event_bus(Name=bus)
    target = bus_arn(bus, region, OTHER)
    message = (
        f"User: {ROLE} is not authorized to perform: events:PutEvents on resource: {target} "
        "because no resource-based policy allows the events:PutEvents action"
    )
    with pytest.raises(events.exceptions.ClientError) as refused:
        forward(events, bus, target)

    assert {"Code": "AccessDeniedException", "Message": message} == refused.value.response["Error"]

    statement = {
        "Sid": "s",
        "Effect": "Allow",
        "Principal": {"AWS": OWN},
        "Action": "events:PutEvents",
        "Resource": target,
        "Condition": {
            "StringEquals": {"events:source": "other"},
            "Bool": {"events:eventBusInvocation": "true"},
        },
    }

    def let_in(source: str) -> None:
        statement["Condition"]["StringEquals"]["events:source"] = source
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        theirs.put_permission(EventBusName=bus, Policy=policy)

    let_in("other")
    forward(events, bus, target, DeadLetterConfig={"Arn": queue.arn})
    put(events, bus)

    assert ("NO_PERMISSIONS", message) == dead_letter(queue)

    let_in("shop")
    their_queue = other("sqs", region).create_queue(QueueName=bus)["QueueUrl"]
    theirs.put_rule(Name="all", EventBusName=bus, EventPattern=EVERYTHING)
    arn = f"arn:aws:sqs:{region}:{OTHER}:{bus}"
    theirs.put_targets(Rule="all", EventBusName=bus, Targets=[{"Id": "q", "Arn": arn}])
    put(events, bus)
    answer = other("sqs", region).receive_message(QueueUrl=their_queue, WaitTimeSeconds=10)

    assert OWN == json.loads(answer["Messages"][0]["Body"])["account"]
    assert queue.is_empty()


def test_a_bus_that_is_not_there_takes_and_forgets(
    events: BaseClient, bus: str, queue: QueueOf, second: str, subscribe: Subscribe
) -> None:
    """A missing bus of the own account is no failure: nothing comes to the dead-letter queue."""
    subscribe(bus, queue, EVERYTHING)
    forward(events, bus, bus_arn(f"no-{second}"), DeadLetterConfig={"Arn": queue.arn})
    (event_id,) = put(events, bus)
    (arrived,) = queue.receive_events(1)

    assert event_id == arrived["id"]
    assert queue.is_empty()


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"RoleArn": None}, ("ValidationException", "RoleArn is required for target {arn}.")),
        (
            {"RoleArn": f"arn:aws:iam::{OTHER}:role/theirs"},
            ("AccessDeniedException", "Cross-account pass role is not allowed."),
        ),
        (
            {"RoleArn": f"arn:aws:sqs:{EAST}:{OWN}:role"},
            ("ValidationException", "RoleArn of target b is no role's ARN."),
        ),
        (
            {"Arn": bus_arn("b", "eu-west-1")},
            (
                "ValidationException",
                "Parameter {arn} is not valid. Reason: Region eu-west-1 is none of this "
                "deployment (us-east-1, us-west-2).",
            ),
        ),
        (
            {"Arn": "own"},
            (
                "ValidationException",
                "Parameter {arn} is not valid. Reason: an event bus cannot be a target of its own "
                "rules.",
            ),
        ),
        *(
            (
                {member: value},
                (
                    "ValidationException",
                    f"Parameter {member} is not valid for target b. Reason: an event bus takes no "
                    f"{member}.",
                ),
            )
            for member, value in (
                ("Input", "{}"),
                ("InputPath", "$.detail"),
                ("InputTransformer", {"InputTemplate": '"x"'}),
                ("RetryPolicy", {"MaximumRetryAttempts": 1}),
            )
        ),
    ],
    ids=[
        "no-role",
        "role-of-another",
        "no-role-arn",
        "region",
        "itself",
        "input",
        "input-path",
        "transformer",
        "retries",
    ],
)
def test_refusals(
    events: BaseClient,
    bus: str,
    refusal: Refusal,
    changes: dict[str, Any],
    expected: tuple[str, str],
) -> None:
    """A bus needs a role of the caller's, and takes events whole."""
    if changes.get("Arn") == "own":
        changes = {"Arn": bus_arn(bus)}
    target = {"Id": "b", "Arn": bus_arn("b"), "RoleArn": ROLE, **changes}
    target = {key: value for key, value in target.items() if value is not None}
    events.put_rule(Name="r", EventBusName=bus, EventPattern=EVERYTHING)

    assert (expected[0], expected[1].format(arn=target["Arn"])) == refusal(
        events.put_targets, Rule="r", EventBusName=bus, Targets=[target]
    )


def test_a_role_has_to_allow_it_where_roles_count(
    deployed: Callable[..., Deployment], client_of: ClientFactory, name: str
) -> None:
    """With `[iam] enforce` the role's own policies are asked about the bus, event by event."""
    url = deployed(iam=IamConfig(enforce=True)).url
    events, sqs, iam = (client_of(url, each, EAST, ("test", "test")) for each in SERVICES)
    trust = {"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": SERVICE}}
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    queue = sqs.create_queue(QueueName="dead")["QueueUrl"]
    for bus in ("a", "b"):
        events.create_event_bus(Name=bus)
    dead = {"Arn": f"arn:aws:sqs:{EAST}:{OWN}:dead"}
    forward(events, "a", bus_arn("b"), RoleArn=role, DeadLetterConfig=dead)
    put(events, "a")
    answer = sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=10, MessageAttributeNames=["All"])
    attributes = answer["Messages"][0]["MessageAttributes"]

    assert "NO_PERMISSIONS" == attributes["ERROR_CODE"]["StringValue"]
    assert (
        f"User: {role} is not authorized to perform: events:PutEvents on resource: "
        f"{bus_arn('b')} because no identity-based policy allows the events:PutEvents action"
    ) == attributes["ERROR_MESSAGE"]["StringValue"]


SERVICES = ("events", "sqs", "iam")
SERVICE = {"Service": "events.amazonaws.com"}
