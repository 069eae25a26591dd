"""FIFO queues by boto3: order, duplicates, dead letters, and as targets of rules."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from tests.parity.conftest import QueueOf

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
Refusal = Callable[..., tuple[str, str]]
MakeFifo = Callable[..., QueueOf]


@pytest.fixture
def make_fifo(sqs: BaseClient, name: str) -> Iterator[MakeFifo]:
    """Create FIFO queues, which are removed after the test."""
    made: list[str] = []

    def make_fifo(suffix: str = "", **attributes: str) -> QueueOf:
        queue_name = f"{name}{suffix}.fifo"
        url = sqs.create_queue(
            QueueName=queue_name, Attributes={"FifoQueue": "true", **attributes}
        )["QueueUrl"]
        made.append(url)
        return QueueOf(sqs, url, f"arn:aws:sqs:{EAST}:{ACCOUNT}:{queue_name}")

    yield make_fifo
    for url in made:
        sqs.delete_queue(QueueUrl=url)


def send(queue: QueueOf, body: str, group: str = "g", **params: Any) -> dict[str, Any]:
    """Send one message with a deduplication id of its own."""
    given = {"MessageDeduplicationId": body, "MessageGroupId": group, **params}
    return queue.sqs.send_message(
        QueueUrl=queue.url,
        MessageBody=body,
        **{key: value for key, value in given.items() if value is not None},
    )


def receive(queue: QueueOf, **params: Any) -> list[dict[str, Any]]:
    """Receive up to ten messages."""
    return queue.sqs.receive_message(
        QueueUrl=queue.url, **{"MaxNumberOfMessages": 10, **params}
    ).get("Messages", [])


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    """Return the bodies, in order."""
    return [message["Body"] for message in messages]


def test_attributes_of_a_fifo_queue(make_fifo: MakeFifo) -> None:
    """Those of FIFO queues come with the rest."""
    queue = make_fifo(ContentBasedDeduplication="true")
    found = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=["All"])["Attributes"]

    assert {
        "FifoQueue": "true",
        "ContentBasedDeduplication": "true",
        "DeduplicationScope": "queue",
        "FifoThroughputLimit": "perQueue",
    }.items() <= found.items()


@pytest.mark.parametrize(
    ("queue_name", "attributes", "code", "words"),
    [
        ("q.fifo", {}, "InvalidParameterValue", "Can only include alphanumeric"),
        ("q", {"FifoQueue": "true"}, "InvalidParameterValue", "must end with .fifo suffix"),
        (".fifo", {"FifoQueue": "true"}, "InvalidParameterValue", "must end with .fifo suffix"),
        ("q.fifo", {"FifoQueue": "false"}, "InvalidAttributeValue", "FifoQueue"),
        (
            "q.fifo",
            {"FifoQueue": "true", "FifoThroughputLimit": "perMessageGroupId"},
            "InvalidAttributeValue",
            "messageGroup",
        ),
        (
            "q.fifo",
            {"FifoQueue": "true", "DeduplicationScope": "group"},
            "InvalidAttributeValue",
            "DeduplicationScope",
        ),
        (
            "q",
            {"ContentBasedDeduplication": "true"},
            "InvalidAttributeName",
            "Unknown Attribute ContentBasedDeduplication.",
        ),
    ],
)
def test_a_fifo_queue_that_cannot_be(
    sqs: BaseClient,
    refusal: Refusal,
    queue_name: str,
    attributes: dict[str, str],
    code: str,
    words: str,
) -> None:
    """Name and attribute have to agree, and so have the attributes."""
    found, message = refusal(sqs.create_queue, QueueName=queue_name, Attributes=attributes)

    assert code == found
    assert words in message


def test_a_queue_keeps_its_type(make_fifo: MakeFifo, refusal: Refusal) -> None:
    """FifoQueue cannot be set, and ContentBasedDeduplication can."""
    queue = make_fifo()
    queue.sqs.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"ContentBasedDeduplication": "true"}
    )

    assert ("InvalidAttributeName", "Unknown Attribute FifoQueue.") == refusal(
        queue.sqs.set_queue_attributes, QueueUrl=queue.url, Attributes={"FifoQueue": "true"}
    )
    assert send(queue, "a", MessageDeduplicationId=None)["SequenceNumber"]


def test_order_within_a_group(make_fifo: MakeFifo) -> None:
    """A group with a message in flight waits; others go on."""
    queue = make_fifo()
    numbers = [
        send(queue, body, group)["SequenceNumber"]
        for body, group in (("1", "a"), ("2", "a"), ("3", "b"))
    ]
    [first] = receive(queue, MaxNumberOfMessages=1)
    others = receive(queue)
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"])
    rest = receive(queue)

    assert numbers == sorted(set(numbers))
    assert (bodies([first]), bodies(others), bodies(rest)) == (["1"], ["3"], ["2"])


def test_system_attributes(make_fifo: MakeFifo) -> None:
    """Group, deduplication id and sequence number come where they are asked for."""
    queue = make_fifo()
    number = send(queue, "a", "g", MessageDeduplicationId="d")["SequenceNumber"]
    [message] = receive(queue, MessageSystemAttributeNames=["All"])

    assert {
        "MessageGroupId": "g",
        "MessageDeduplicationId": "d",
        "SequenceNumber": number,
    }.items() <= message["Attributes"].items()
    assert "DeadLetterQueueSourceArn" not in message["Attributes"]


def test_duplicates(make_fifo: MakeFifo) -> None:
    """The same id, or the same body where the queue says so, is one message."""
    queue = make_fifo(ContentBasedDeduplication="true")
    sent = [send(queue, "a", MessageDeduplicationId=None) for _ in range(2)]
    also = queue.sqs.send_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "1", "MessageBody": "a", "MessageGroupId": "g"},
            {"Id": "2", "MessageBody": "b", "MessageGroupId": "g"},
            {"Id": "3", "MessageBody": "c"},
        ],
    )
    ids = {entry["Id"]: entry["MessageId"] for entry in also["Successful"]}

    assert sent[0]["MessageId"] == sent[1]["MessageId"] == ids["1"] != ids["2"]
    assert ["MissingParameter"] == [entry["Code"] for entry in also["Failed"]]
    assert ["a", "b"] == bodies(receive(queue))


@pytest.mark.parametrize(
    ("params", "code", "words"),
    [
        ({"MessageGroupId": None}, "MissingParameter", "MessageGroupId"),
        ({"MessageDeduplicationId": None}, "InvalidParameterValue", "ContentBasedDeduplication"),
        ({"MessageGroupId": "two words"}, "InvalidParameterValue", "MessageGroupId"),
        ({"MessageDeduplicationId": "d" * 129}, "InvalidParameterValue", "1 to 128 in length"),
        ({"DelaySeconds": 5}, "InvalidParameterValue", "not valid for this queue type"),
    ],
)
def test_a_message_that_a_fifo_queue_refuses(
    make_fifo: MakeFifo, refusal: Refusal, params: dict[str, Any], code: str, words: str
) -> None:
    """It is named, and nothing is sent."""
    queue = make_fifo()
    found, message = refusal(send, queue=queue, body="a", **params)

    assert code == found
    assert words in message
    assert [] == receive(queue)


def test_a_receive_attempt_has_an_id(make_fifo: MakeFifo) -> None:
    """FIFO queues take a ReceiveRequestAttemptId."""
    queue = make_fifo()
    send(queue, "a")

    assert ["a"] == bodies(receive(queue, ReceiveRequestAttemptId="r"))


# --- redrive -----------------------------------------------------------------------------------


def redrive(dead: QueueOf, count: int = 1) -> dict[str, str]:
    """Return the attribute that sends dead letters to a queue."""
    policy = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": str(count)}
    return {"RedrivePolicy": json.dumps(policy)}


def test_dead_letters(make_fifo: MakeFifo) -> None:
    """What was received too often is in the dead-letter queue, and says where it came from."""
    dead = make_fifo("-dead")
    queue = make_fifo("-main", **redrive(dead))
    sent = send(queue, "a")
    [_] = receive(queue, VisibilityTimeout=0)
    gone = receive(queue)
    [letter] = receive(dead, MessageSystemAttributeNames=["DeadLetterQueueSourceArn"])
    sources = queue.sqs.list_dead_letter_source_queues(QueueUrl=dead.url)

    assert gone == []
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"] == {"DeadLetterQueueSourceArn": queue.arn}
    assert [queue.url] == sources["queueUrls"]


def test_a_redrive_policy_is_shown_as_sqs_writes_it(make_fifo: MakeFifo) -> None:
    """The count is a number, however it was given; an empty policy takes it away."""
    dead = make_fifo("-dead")
    queue = make_fifo("-main", **redrive(dead, 3))
    names = {"QueueUrl": queue.url, "AttributeNames": ["RedrivePolicy"]}
    shown = queue.sqs.get_queue_attributes(**names)["Attributes"]["RedrivePolicy"]
    queue.sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": ""})

    assert json.loads(shown) == {"deadLetterTargetArn": dead.arn, "maxReceiveCount": 3}
    assert "Attributes" not in queue.sqs.get_queue_attributes(**names)


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("no JSON", "not a valid JSON map"),
        ("[]", "not a valid JSON map"),
        ({"maxReceiveCount": 1}, "mandatory attribute: deadLetterTargetArn"),
        ({"deadLetterTargetArn": "DEAD"}, "mandatory attribute: maxReceiveCount"),
        ({"deadLetterTargetArn": "DEAD", "maxReceiveCount": 0}, "valid values are from 1 to 1000"),
        ({"deadLetterTargetArn": "DEAD", "maxReceiveCount": "1001"}, "from 1 to 1000"),
        ({"deadLetterTargetArn": "DEAD", "maxReceiveCount": True}, "from 1 to 1000"),
        ({"deadLetterTargetArn": "DEAD-not", "maxReceiveCount": 1}, "does not exist"),
        ({"deadLetterTargetArn": "queue", "maxReceiveCount": 1}, "deadLetterTargetArn"),
        ({"deadLetterTargetArn": "STANDARD", "maxReceiveCount": 1}, "same type of queue"),
        ({"deadLetterTargetArn": "CLOSED", "maxReceiveCount": 1}, "RedriveAllowPolicy"),
    ],
)
def test_a_redrive_policy_that_is_refused(
    make_fifo: MakeFifo, queue: QueueOf, refusal: Refusal, policy: Any, words: str
) -> None:
    """In SQS's words, and the queue stays as it was."""
    text = policy if isinstance(policy, str) else json.dumps(policy)
    closed = make_fifo("-closed", RedriveAllowPolicy='{"redrivePermission":"denyAll"}')
    for mark, arn in (("DEAD", make_fifo("-dead").arn), ("STANDARD", queue.arn)):
        text = text.replace(mark, arn)
    source = make_fifo("-main")
    code, message = refusal(
        source.sqs.set_queue_attributes,
        QueueUrl=source.url,
        Attributes={"RedrivePolicy": text.replace("CLOSED", closed.arn)},
    )

    assert code == "InvalidParameterValue"
    assert words in message


def test_a_queue_that_takes_dead_letters_of_some(make_fifo: MakeFifo, refusal: Refusal) -> None:
    """RedriveAllowPolicy names the queues whose dead letters it takes."""
    source = make_fifo("-main")
    allowed = {"redrivePermission": "byQueue", "sourceQueueArns": [source.arn]}
    dead = make_fifo("-dead", RedriveAllowPolicy=json.dumps(allowed))
    other = make_fifo("-other")
    source.sqs.set_queue_attributes(QueueUrl=source.url, Attributes=redrive(dead))

    assert refusal(other.sqs.set_queue_attributes, QueueUrl=other.url, Attributes=redrive(dead))[
        0
    ] == ("InvalidParameterValue")


# --- as targets --------------------------------------------------------------------------------


def test_a_fifo_queue_as_a_target(
    client: Callable[..., BaseClient], make_fifo: MakeFifo, bus: str, eventually: Eventually
) -> None:
    """Events come in the group that the target names, or that their own path names."""
    events = client("events")
    queue = make_fifo(ContentBasedDeduplication="true")
    events.put_rule(Name=bus, EventBusName=bus, EventPattern='{"source":["shop"]}')
    events.put_targets(
        Rule=bus,
        EventBusName=bus,
        Targets=[
            {
                "Id": "q",
                "Arn": queue.arn,
                "InputPath": "$.detail.n",
                "SqsParameters": {"MessageGroupId": "$.detail.customer"},
            }
        ],
    )
    for number, customer in enumerate("aba"):
        detail = json.dumps({"n": number, "customer": customer})
        entry = {"EventBusName": bus, "Source": "shop", "DetailType": "d", "Detail": detail}
        events.put_events(Entries=[entry])
    received: dict[str, str] = {}

    def come() -> bool:
        for message in receive(queue, MessageSystemAttributeNames=["MessageGroupId"]):
            received[message["Body"]] = message["Attributes"]["MessageGroupId"]
            queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=message["ReceiptHandle"])
        return len(received) == 3

    eventually(come)

    assert received == {"0": "a", "1": "b", "2": "a"}


def test_a_fifo_queue_without_deduplication_by_content(
    client: Callable[..., BaseClient], make_fifo: MakeFifo, queue: QueueOf, bus: str
) -> None:
    """EventBridge gives no deduplication id, so that the event is a dead letter."""
    events = client("events")
    target = {
        "Id": "q",
        "Arn": make_fifo().arn,
        "SqsParameters": {"MessageGroupId": "g"},
        "DeadLetterConfig": {"Arn": queue.arn},
    }
    events.put_rule(Name=bus, EventBusName=bus, EventPattern='{"source":["shop"]}')
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[target])
    entry = {"EventBusName": bus, "Source": "shop", "DetailType": "d", "Detail": "{}"}
    events.put_events(Entries=[entry])
    [letter] = queue.receive(1)

    assert letter["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "INVALID_PARAMETER"
