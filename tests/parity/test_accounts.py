"""Two accounts in one deployment: neither sees nor reaches what is the other's."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from tests.parity.conftest import QueueOf

if TYPE_CHECKING:
    from tests.parity.conftest import GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
Refusal = Callable[..., tuple[str, str]]
Clients = Callable[..., BaseClient]


def test_buses_are_not_shared(
    events: BaseClient, other: Clients, bus: str, refusal: Refusal
) -> None:
    """The other account lists its default bus alone, and can take the same name."""
    foreign = other("events")

    assert ["default"] == [found["Name"] for found in foreign.list_event_buses()["EventBuses"]]
    assert (
        "ResourceNotFoundException",
        f"Event bus {bus} does not exist.",
    ) == refusal(foreign.describe_event_bus, Name=bus)
    made = foreign.create_event_bus(Name=bus)
    foreign.delete_event_bus(Name=bus)
    assert f"arn:aws:events:{EAST}:{OTHER}:event-bus/{bus}" == made["EventBusArn"]
    assert bus == events.describe_event_bus(Name=bus)["Name"]


def test_default_buses_are_two(events: BaseClient, other: Clients, name: str) -> None:
    """Each account has a default bus of its own, with its own rules."""
    events.put_rule(Name=name, EventPattern='{"source":["a"]}')
    rules = other("events").list_rules(NamePrefix=name)["Rules"]
    events.delete_rule(Name=name)

    assert [] == rules


def test_an_arn_of_the_first_account_is_denied(other: Clients, bus: str, refusal: Refusal) -> None:
    """Naming another account's bus by ARN asks for a policy that no bus has."""
    arn = f"arn:aws:events:{EAST}:{OWN}:event-bus/{bus}"
    code, message = refusal(other("events").describe_event_bus, Name=arn)

    assert "AccessDeniedException" == code
    assert message == (
        f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: events:DescribeEventBus "
        f"on resource: {arn} because no resource-based policy allows the "
        "events:DescribeEventBus action"
    )


def test_events_do_not_cross(
    events: BaseClient,
    other: Clients,
    bus: str,
    queue: QueueOf,
    subscribe: Callable[..., None],
) -> None:
    """The same bus name in another account is another bus; here it does not even exist."""
    subscribe(bus, queue, '{"source":[{"prefix":""}]}')
    answer = other("events").put_events(
        Entries=[{**ENTRY, "EventBusName": bus, "Detail": '{"of":"other"}'}]
    )
    events.put_events(Entries=[{**ENTRY, "EventBusName": bus, "Detail": '{"of":"own"}'}])

    assert 0 == answer["FailedEntryCount"]
    assert [{"of": "own"}] == [event["detail"] for event in queue.receive_events(1)]
    assert queue.is_empty()


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("send_message", {"MessageBody": "b"}),
        ("receive_message", {}),
        ("purge_queue", {}),
        ("delete_queue", {}),
        ("get_queue_attributes", {"AttributeNames": ["All"]}),
        ("set_queue_attributes", {"Attributes": {"VisibilityTimeout": "1"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_queues_are_not_shared(
    other: Clients, queue: QueueOf, refusal: Refusal, method: str, params: dict[str, Any]
) -> None:
    """A queue's URL alone opens nothing."""
    code, message = refusal(getattr(other("sqs"), method), QueueUrl=queue.url, **params)

    assert code in {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}
    assert "The specified queue does not exist." == message


def test_queue_names_are_not_shared(other: Clients, queue: QueueOf, refusal: Refusal) -> None:
    """Neither listed nor found by name."""
    name = queue.url.rpartition("/")[2]

    assert "QueueUrls" not in other("sqs").list_queues(QueueNamePrefix=name)
    for more in ({}, {"QueueOwnerAWSAccountId": OWN}):
        code, _ = refusal(other("sqs").get_queue_url, QueueName=name, **more)
        assert code in {"QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue"}


def open_to_rules(queue: QueueOf, rule_arn: str) -> None:
    """Let EventBridge put into a queue what one rule sends."""
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "events.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue.arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": rule_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": policy})


def test_a_target_in_another_account(
    other: Clients, queue: QueueOf, name: str, make_queue: Callable[[str], QueueOf]
) -> None:
    """A rule reaches the queue of another account where that queue's policy lets it."""
    events, closed = other("events"), make_queue(f"{name}-closed")
    url = other("sqs").create_queue(QueueName=name)["QueueUrl"]
    dead = QueueOf(other("sqs"), url, f"arn:aws:sqs:{EAST}:{OTHER}:{name}")
    rule_arn = events.put_rule(Name=name, EventPattern=json.dumps({"source": [name]}))["RuleArn"]
    open_to_rules(queue, rule_arn)
    events.put_targets(
        Rule=name,
        Targets=[
            {"Id": "open", "Arn": queue.arn},
            {"Id": "closed", "Arn": closed.arn, "DeadLetterConfig": {"Arn": dead.arn}},
        ],
    )
    events.put_events(Entries=[{**ENTRY, "Source": name, "Detail": '{"of":"other"}'}])
    came, [letter] = queue.receive_events(1), dead.receive(1)

    assert [{"of": "other"}] == [event["detail"] for event in came]
    assert "NO_PERMISSIONS" == letter["MessageAttributes"]["ERROR_CODE"]["StringValue"]
    assert closed.is_empty()


def test_a_queue_lets_an_account_in(
    other: Clients, queue: QueueOf, refusal: Refusal, name: str
) -> None:
    """AddPermission opens what it names to an account, until RemovePermission."""
    permission = {"QueueUrl": queue.url, "Label": "in"}
    queue.sqs.add_permission(
        **permission, AWSAccountIds=[OTHER], Actions=["SendMessage", "GetQueueUrl"]
    )
    sqs = other("sqs")
    url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=OWN)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="hello")
    code, _ = refusal(sqs.receive_message, QueueUrl=url)
    queue.sqs.remove_permission(**permission)

    assert ["hello"] == [message["Body"] for message in queue.receive(1)]
    assert "AWS.SimpleQueueService.NonExistentQueue" == code
    assert code == refusal(sqs.send_message, QueueUrl=url, MessageBody="no")[0]
    assert {} == queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["Policy"]).get(
        "Attributes", {}
    )


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Actions": ["CreateQueue"]}, "InvalidParameterValue"),
        ({"AWSAccountIds": ["me"]}, "InvalidParameterValue"),
        ({"AWSAccountIds": []}, "InvalidParameterValue"),
        ({"Label": "two words"}, "InvalidParameterValue"),
        ({"Label": "taken"}, "InvalidParameterValue"),
        ({"Actions": ["SendMessage"] * 8}, "OverLimit"),
    ],
)
def test_a_permission_that_cannot_be(
    queue: QueueOf, refusal: Refusal, params: dict[str, Any], code: str
) -> None:
    """It is refused, and so is removing what is not there."""
    given = {"QueueUrl": queue.url, "AWSAccountIds": [OTHER], "Actions": ["SendMessage"]}
    queue.sqs.add_permission(**given, Label="taken")

    assert refusal(queue.sqs.add_permission, **{**given, "Label": "new", **params})[0] in {
        code,
        f"AWS.SimpleQueueService.{code}",
    }
    assert (
        "InvalidParameterValue"
        == refusal(queue.sqs.remove_permission, QueueUrl=queue.url, Label="new")[0]
    )


def test_endpoints_are_not_shared(
    other: Clients, endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """Not listed, not described, and not to be put to: as if it did not exist."""
    events = other("events")

    assert [] == events.list_endpoints()["Endpoints"]
    assert [] == other("events", WEST).list_endpoints(HomeRegion=EAST)["Endpoints"]
    missing = ("ResourceNotFoundException", f"Endpoint {endpoint.name} does not exist.")
    assert missing == refusal(events.describe_endpoint, Name=endpoint.name)
    assert missing == refusal(events.delete_endpoint, Name=endpoint.name)
    assert (
        "ResourceNotFoundException",
        f"Endpoint {endpoint.endpoint_id} does not exist.",
    ) == refusal(events.put_events, EndpointId=endpoint.endpoint_id, Entries=[ENTRY])


def test_an_endpoint_cannot_span_accounts(
    other: Clients, endpoint: GlobalEndpoint, settings_of: Callable[..., Any], refusal: Refusal
) -> None:
    """Buses of the first account are refused."""
    settings = settings_of(endpoint.name, endpoint.health_check_id)

    assert (
        "ValidationException",
        f"Parameter EventBuses is not valid. Reason: both event buses must be in account {OTHER}.",
    ) == refusal(other("events").create_endpoint, **settings)


@pytest.mark.parametrize(
    "method",
    ["get_health_check", "get_health_check_status", "update_health_check", "delete_health_check"],
)
def test_health_checks_are_not_shared(
    other: Clients, endpoint: GlobalEndpoint, refusal: Refusal, method: str
) -> None:
    """A health check of the first account does not exist for the other."""
    check = endpoint.health_check_id

    assert [] == other("route53").list_health_checks()["HealthChecks"]
    assert (
        "NoSuchHealthCheck",
        f"No health check exists with the specified ID {check}",
    ) == refusal(getattr(other("route53"), method), HealthCheckId=check)
