"""SQS by boto3, which checks every MD5 itself: queues, messages, batches, waiting."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Eventually, QueueOf

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
Refusal = Callable[..., tuple[str, str]]
MISSING = ("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")


def send(queue: QueueOf, body: str = "b", **params: Any) -> dict[str, Any]:
    """Send one message."""
    return queue.sqs.send_message(QueueUrl=queue.url, MessageBody=body, **params)


def receive(queue: QueueOf, **params: Any) -> list[dict[str, Any]]:
    """Receive once."""
    return queue.sqs.receive_message(QueueUrl=queue.url, **params).get("Messages", [])


def attributes(queue: QueueOf, *names: str) -> dict[str, str]:
    """Return attributes of a queue."""
    answer = queue.sqs.get_queue_attributes(QueueUrl=queue.url, AttributeNames=list(names))
    return answer.get("Attributes", {})


# --- queues ----------------------------------------------------------------------------------


def test_the_url_is_the_edges(deployment: Deployment, queue: QueueOf, name: str) -> None:
    """A queue's URL is the deployment's one URL, the account and the name."""
    assert f"{deployment.url}/{ACCOUNT}/{name}" == queue.url


def test_create_again_returns_the_same(sqs: BaseClient, queue: QueueOf, name: str) -> None:
    """The same name with the same attributes, or none, is the same queue."""
    again = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "30"})

    assert queue.url == again["QueueUrl"] == sqs.create_queue(QueueName=name)["QueueUrl"]


def test_create_again_with_another_attribute(
    sqs: BaseClient, queue: QueueOf, name: str, refusal: Refusal
) -> None:
    """The attribute that differs is named."""
    assert (
        "QueueAlreadyExists",
        "A queue already exists with the same name and a different value for attribute "
        "VisibilityTimeout",
    ) == refusal(sqs.create_queue, QueueName=name, Attributes={"VisibilityTimeout": "31"})


def test_get_queue_url(sqs: BaseClient, queue: QueueOf, name: str) -> None:
    """A queue is found by its name, and by name and account."""
    by_owner = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=ACCOUNT)

    assert queue.url == sqs.get_queue_url(QueueName=name)["QueueUrl"] == by_owner["QueueUrl"]


def test_a_queue_is_of_one_region(
    client: Callable[..., BaseClient], queue: QueueOf, name: str, refusal: Refusal
) -> None:
    """The same URL in another Region is another queue, which does not exist."""
    west = client("sqs", WEST)

    assert MISSING == refusal(west.get_queue_url, QueueName=name)
    assert MISSING == refusal(west.receive_message, QueueUrl=queue.url)


def test_list_queues_pages(sqs: BaseClient, name: str) -> None:
    """In order of names, a page at a time where MaxResults asks for it."""
    urls = [sqs.create_queue(QueueName=f"{name}-{letter}")["QueueUrl"] for letter in "abc"]
    pages = list(
        sqs.get_paginator("list_queues").paginate(
            QueueNamePrefix=name, PaginationConfig={"PageSize": 2}
        )
    )

    assert [urls[:2], urls[2:]] == [page["QueueUrls"] for page in pages]
    assert urls == sqs.list_queues(QueueNamePrefix=name)["QueueUrls"]


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("send_message", {"MessageBody": "b"}),
        ("send_message_batch", {"Entries": [{"Id": "1", "MessageBody": "b"}]}),
        ("receive_message", {}),
        ("delete_message", {"ReceiptHandle": "h"}),
        ("delete_message_batch", {"Entries": [{"Id": "1", "ReceiptHandle": "h"}]}),
        ("change_message_visibility", {"ReceiptHandle": "h", "VisibilityTimeout": 1}),
        ("get_queue_attributes", {"AttributeNames": ["All"]}),
        ("set_queue_attributes", {"Attributes": {"DelaySeconds": "0"}}),
        ("purge_queue", {}),
        ("delete_queue", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unknown_queue(
    sqs: BaseClient, deployment: Deployment, method: str, params: dict[str, Any]
) -> None:
    """boto3's typed exception, with the code that clients of the query protocol know."""
    url = f"{deployment.url}/{ACCOUNT}/nowhere"
    with pytest.raises(sqs.exceptions.QueueDoesNotExist) as caught:
        getattr(sqs, method)(QueueUrl=url, **params)

    error = caught.value.response["Error"]
    assert MISSING == (error["Code"], error["Message"])


def test_delete_takes_the_messages_along(sqs: BaseClient, name: str) -> None:
    """A queue made anew under the same name is empty, and old receipts mean nothing."""
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="old")
    sqs.delete_queue(QueueUrl=url)
    sqs.create_queue(QueueName=name)

    assert "Messages" not in sqs.receive_message(QueueUrl=url)


@pytest.mark.parametrize(
    ("bad", "code", "words"),
    [
        ("two words", "InvalidParameterValue", "Can only include alphanumeric characters"),
        ("n" * 81, "InvalidParameterValue", "1 to 80 in length"),
        ("orders.fifo", "InvalidParameterValue", "Can only include alphanumeric characters"),
    ],
    ids=["space", "too-long", "fifo"],
)
def test_a_bad_name(sqs: BaseClient, refusal: Refusal, bad: str, code: str, words: str) -> None:
    """What cannot be a queue's name is refused with the reason."""
    found, message = refusal(sqs.create_queue, QueueName=bad)

    assert code == found
    assert words in message


# --- attributes ------------------------------------------------------------------------------


def test_attributes_of_a_new_queue(queue: QueueOf) -> None:
    """SQS's defaults, the ARN, and the counts."""
    found = attributes(queue, "All")
    created = int(found.pop("CreatedTimestamp"))

    assert created == int(found.pop("LastModifiedTimestamp"))
    assert 0 <= SystemClock().now() - created < 60
    assert {
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "QueueArn": queue.arn,
        "ReceiveMessageWaitTimeSeconds": "0",
        "SqsManagedSseEnabled": "false",
        "VisibilityTimeout": "30",
    } == found


def test_set_attributes(queue: QueueOf) -> None:
    """What is set is returned; what is not named is left."""
    queue.sqs.set_queue_attributes(
        QueueUrl=queue.url, Attributes={"VisibilityTimeout": "7", "DelaySeconds": "0"}
    )

    assert {"VisibilityTimeout": "7", "MessageRetentionPeriod": "345600"} == attributes(
        queue, "VisibilityTimeout", "MessageRetentionPeriod"
    )


@pytest.mark.parametrize(
    ("given", "code"),
    [
        ({"VisibilityTimeout": "43201"}, "InvalidAttributeValue"),
        ({"VisibilityTimeout": "-1"}, "InvalidAttributeValue"),
        ({"DelaySeconds": "soon"}, "InvalidAttributeValue"),
        ({"MaximumMessageSize": "1023"}, "InvalidAttributeValue"),
        ({"Colour": "red"}, "ValidationException"),
        ({"QueueArn": "arn"}, "InvalidAttributeName"),
        (
            {"RedrivePolicy": json.dumps({"deadLetterTargetArn": "a", "maxReceiveCount": 1})},
            "InvalidParameterValue",
        ),
        ({"FifoQueue": "true"}, "InvalidAttributeName"),
        ({"KmsMasterKeyId": "alias/aws/sqs"}, "InvalidAttributeValue"),
    ],
    ids=[
        "too-high",
        "negative",
        "no-number",
        "too-low",
        "unknown",
        "read-only",
        "redrive",
        "fifo",
        "kms",
    ],
)
def test_an_attribute_that_is_refused(
    queue: QueueOf, refusal: Refusal, given: dict[str, str], code: str
) -> None:
    """Out of range, unknown, or not there yet: refused by name, and nothing is set."""
    before = attributes(queue, "All")
    found, message = refusal(queue.sqs.set_queue_attributes, QueueUrl=queue.url, Attributes=given)

    assert code == found
    assert next(iter(given)) in message
    assert before == attributes(queue, "All")


def test_counts(queue: QueueOf) -> None:
    """Waiting, in flight and delayed messages are told apart."""
    for _ in range(3):
        send(queue)
    send(queue, DelaySeconds=900)
    receive(queue)

    assert {
        "ApproximateNumberOfMessages": "2",
        "ApproximateNumberOfMessagesNotVisible": "1",
        "ApproximateNumberOfMessagesDelayed": "1",
    } == attributes(
        queue,
        "ApproximateNumberOfMessages",
        "ApproximateNumberOfMessagesNotVisible",
        "ApproximateNumberOfMessagesDelayed",
    )


# --- messages --------------------------------------------------------------------------------


def test_send_receive_delete(queue: QueueOf) -> None:
    """What is sent is received, and what is deleted is gone."""
    body = 'grüß "gott" \u2028 \U0001f600\n\t<&>'
    sent = send(queue, body)
    (received,) = receive(queue, AttributeNames=["All"])
    queue.sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=received["ReceiptHandle"])

    assert body == received["Body"]
    assert sent["MessageId"] == received["MessageId"]
    digest = hashlib.md5(body.encode()).hexdigest()
    assert digest == sent["MD5OfMessageBody"] == received["MD5OfBody"]
    assert {
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
    } == set(received["Attributes"])
    assert queue.is_empty()


def test_message_attributes(queue: QueueOf) -> None:
    """Strings, numbers and bytes come back with the digest that boto3 checks."""
    given = {
        "text": {"DataType": "String", "StringValue": "grün"},
        "number.n": {"DataType": "Number.int", "StringValue": "-1.5e3"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = send(queue, MessageAttributes=given)
    (received,) = receive(queue, MessageAttributeNames=["All"])

    assert given == received["MessageAttributes"]
    assert sent["MD5OfMessageAttributes"] == received["MD5OfMessageAttributes"]


def test_message_attributes_by_name(queue: QueueOf) -> None:
    """Only those asked for come back, by name or by prefix."""
    one = {"DataType": "String", "StringValue": "1"}
    send(queue, MessageAttributes={"a": one, "shop.b": one, "shop.c": one})
    (received,) = receive(queue, MessageAttributeNames=["shop.*"], VisibilityTimeout=0)
    (none,) = receive(queue)

    assert {"shop.b": one, "shop.c": one} == received["MessageAttributes"]
    assert "MessageAttributes" not in none


def test_long_polling_is_woken(queue: QueueOf) -> None:
    """A receiver that waits gets a message that is sent later, long before its time is up."""
    clock, waiting = SystemClock(), threading.Event()
    started = clock.monotonic()

    def wait() -> list[dict[str, Any]]:
        waiting.set()
        return receive(queue, WaitTimeSeconds=20)

    with ThreadPoolExecutor(1) as pool:
        received = pool.submit(wait)
        waiting.wait(5)
        send(queue, "late")
        assert ["late"] == [message["Body"] for message in received.result(15)]
    assert clock.monotonic() - started < 10


def test_short_polling_answers_at_once(queue: QueueOf) -> None:
    """An empty queue answers without Messages."""
    assert "Messages" not in queue.sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=0)


def test_a_received_message_is_not_visible(queue: QueueOf) -> None:
    """Until its visibility is given back."""
    send(queue)
    (first,) = receive(queue)
    meanwhile = receive(queue)
    queue.sqs.change_message_visibility(
        QueueUrl=queue.url, ReceiptHandle=first["ReceiptHandle"], VisibilityTimeout=0
    )
    (again,) = receive(queue, AttributeNames=["ApproximateReceiveCount"])

    assert [] == meanwhile
    assert first["MessageId"] == again["MessageId"]
    assert first["ReceiptHandle"] != again["ReceiptHandle"]
    assert {"ApproximateReceiveCount": "2"} == again["Attributes"]


def test_visibility_ends_by_itself(queue: QueueOf, eventually: Eventually) -> None:
    """After VisibilityTimeout the message is there again."""
    send(queue)
    (first,) = receive(queue, VisibilityTimeout=1)
    (again,) = eventually(lambda: receive(queue))

    assert first["MessageId"] == again["MessageId"]


def test_a_delayed_message_comes_later(queue: QueueOf, eventually: Eventually) -> None:
    """DelaySeconds holds a message back."""
    send(queue, DelaySeconds=1)

    assert [] == receive(queue)
    assert eventually(lambda: receive(queue))


def test_purge(queue: QueueOf) -> None:
    """Every message goes, those in flight too."""
    for _ in range(3):
        send(queue)
    receive(queue)
    queue.sqs.purge_queue(QueueUrl=queue.url)

    assert queue.is_empty()


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("receive_message", {"MaxNumberOfMessages": 11}, "InvalidParameterValue"),
        ("receive_message", {"MaxNumberOfMessages": 0}, "InvalidParameterValue"),
        ("receive_message", {"WaitTimeSeconds": 21}, "InvalidParameterValue"),
        ("receive_message", {"VisibilityTimeout": 43_201}, "InvalidParameterValue"),
        ("receive_message", {"AttributeNames": ["Colour"]}, "InvalidAttributeName"),
        ("send_message", {"MessageBody": "b", "DelaySeconds": 901}, "InvalidParameterValue"),
        ("send_message", {"MessageBody": "\x00"}, "InvalidMessageContents"),
        ("send_message", {"MessageBody": "x" * 1_048_577}, "InvalidParameterValue"),
        ("delete_message", {"ReceiptHandle": "nonsense"}, "ReceiptHandleIsInvalid"),
        (
            "change_message_visibility",
            {"ReceiptHandle": "nonsense", "VisibilityTimeout": 1},
            "ReceiptHandleIsInvalid",
        ),
    ],
    ids=[
        "eleven",
        "zero",
        "waits-too-long",
        "hidden-too-long",
        "unknown-attribute",
        "delayed-too-long",
        "control-character",
        "too-large",
        "receipt",
        "receipt-visibility",
    ],
)
def test_refusals(
    queue: QueueOf, refusal: Refusal, method: str, params: dict[str, Any], code: str
) -> None:
    """Out of range, or nonsense."""
    assert code == refusal(getattr(queue.sqs, method), QueueUrl=queue.url, **params)[0]


# --- batches ---------------------------------------------------------------------------------


def test_batches(queue: QueueOf) -> None:
    """Ten at once: sent, received, given back, deleted."""
    ids = [str(number) for number in range(10)]
    sent = queue.sqs.send_message_batch(
        QueueUrl=queue.url, Entries=[{"Id": each, "MessageBody": each} for each in ids]
    )
    received = receive(queue, MaxNumberOfMessages=10)
    handles = [
        {"Id": message["Body"], "ReceiptHandle": message["ReceiptHandle"]} for message in received
    ]
    changed = queue.sqs.change_message_visibility_batch(
        QueueUrl=queue.url, Entries=[{**handle, "VisibilityTimeout": 60} for handle in handles]
    )
    deleted = queue.sqs.delete_message_batch(QueueUrl=queue.url, Entries=handles)

    for answer in (sent, changed, deleted):
        assert ids == sorted(entry["Id"] for entry in answer["Successful"])
        assert "Failed" not in answer
    assert queue.is_empty()


def test_one_bad_entry_of_a_batch_fails_alone(queue: QueueOf) -> None:
    """The others are sent."""
    answer = queue.sqs.send_message_batch(
        QueueUrl=queue.url,
        Entries=[
            {"Id": "good", "MessageBody": "b"},
            {"Id": "bad", "MessageBody": "b", "DelaySeconds": 901},
        ],
    )
    (failed,) = answer["Failed"]

    assert ["good"] == [entry["Id"] for entry in answer["Successful"]]
    assert ("bad", "InvalidParameterValue", True) == (
        failed["Id"],
        failed["Code"],
        failed["SenderFault"],
    )


@pytest.mark.parametrize(
    ("entries", "exception"),
    [
        ([], "EmptyBatchRequest"),
        ([("a", "b")] * 2, "BatchEntryIdsNotDistinct"),
        ([(str(number), "b") for number in range(11)], "TooManyEntriesInBatchRequest"),
        ([("two words", "b")], "InvalidBatchEntryId"),
        ([(str(number), "x" * 600_000) for number in range(2)], "BatchRequestTooLong"),
    ],
    ids=["empty", "same-id", "eleven", "bad-id", "too-long"],
)
def test_a_batch_that_fails_whole(
    queue: QueueOf, entries: list[tuple[str, str]], exception: str
) -> None:
    """Nothing is sent, and boto3 raises the typed exception."""
    with pytest.raises(getattr(queue.sqs.exceptions, exception)):
        queue.sqs.send_message_batch(
            QueueUrl=queue.url,
            Entries=[{"Id": each, "MessageBody": body} for each, body in entries],
        )

    assert queue.is_empty()
