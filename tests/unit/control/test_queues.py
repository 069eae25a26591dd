"""The SQS operations, performed over the memory engine."""

from __future__ import annotations

import asyncio
import importlib
import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds
from farspan.control.plane import OPERATIONS, Caller, ControlPlane, World, perform
from farspan.errors import AwsError
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

importlib.import_module("farspan.control.registry")  # registers the operations

ACCOUNT = "000000000000"
URL = f"http://localhost:4566/{ACCOUNT}/orders"
OWN = Caller(account=ACCOUNT, access_key_id="AKIAIOSFODNN7EXAMPLE")
OTHER = Caller(account="111111111111", access_key_id="AKIAI44QH8DHBEXAMPLE")

Params = dict[str, Any]


class SteppingClock:
    """Time that the test sets; nobody sleeps here."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.25

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on by as much as was to be slept."""
        self.seconds += seconds


class Api:
    """A Region's SQS, called by operation name."""

    def __init__(self) -> None:
        self.clock = SteppingClock()
        self.store = MemoryStore()
        ids = SeededIds(1)
        self.plane = ControlPlane(
            region="us-east-1",
            regions=("us-east-1",),
            resources=Resources("us-east-1", self.store),
            queues=QueueService("us-east-1", self.store, self.clock, ids),
            world=cast("World", None),
            clock=self.clock,
            ids=ids,
            url="http://localhost:4566",
            sealer=Sealer([bytes(32)], ids.token),
            ingest=None,
            archives=None,
            delivery=None,
            logs=None,
            metrics=None,
        )

    async def __call__(self, name: str, caller: Caller = OWN, **params: object) -> Params:
        """Perform an operation and return its output without what is left out on the wire."""
        output = await perform(self.plane, caller, "sqs", name, params)
        return {member: value for member, value in output.items() if value is not None}

    async def refusal(self, name: str, caller: Caller = OWN, **params: object) -> AwsError:
        """Perform an operation that is refused, and return how."""
        with pytest.raises(AwsError) as refusal:
            await perform(self.plane, caller, "sqs", name, params)
        return refusal.value

    async def receive_one(self) -> Params:
        """Receive the one message that is visible."""
        [message] = (await self("ReceiveMessage", QueueUrl=URL))["Messages"]
        return cast("Params", message)


@pytest.fixture
async def api() -> Api:
    """Return an SQS without queues."""
    return Api()


@pytest.fixture
async def orders(api: Api) -> Api:
    """Return an SQS with the queue `orders`."""
    await api("CreateQueue", QueueName="orders")
    return api


# --- queues ----------------------------------------------------------------------------------


async def test_a_queue_is_created_once(api: Api) -> None:
    """Creating a queue again, with the same attributes or none, returns the same URL."""
    attributes = {"VisibilityTimeout": "5"}
    first = await api("CreateQueue", QueueName="orders", Attributes=attributes)

    assert first == {"QueueUrl": URL}
    assert first == await api("CreateQueue", QueueName="orders", Attributes=attributes)
    assert first == await api("CreateQueue", QueueName="orders")


async def test_a_name_with_other_attributes_is_taken(orders: Api) -> None:
    """Creating a queue that exists with other attributes is refused and changes nothing."""
    refusal = await orders.refusal(
        "CreateQueue", QueueName="orders", Attributes={"VisibilityTimeout": "5"}
    )
    queue = orders.plane.resources.queue(ACCOUNT, "orders")

    assert refusal.code == "QueueNameExists"
    assert queue is not None
    assert queue.visibility_timeout == 30


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("", "InvalidParameterValue"),
        ("a" * 81, "InvalidParameterValue"),
        ("a/b", "InvalidParameterValue"),
        ("a.b", "InvalidParameterValue"),
        ("ö", "InvalidParameterValue"),
        ("orders.fifo", "InvalidParameterValue"),
    ],
)
async def test_an_invalid_queue_name_is_refused(api: Api, name: str, code: str) -> None:
    """A queue's name has 1 to 80 letters, digits, hyphens and underscores."""
    assert code == (await api.refusal("CreateQueue", QueueName=name)).code


async def test_tags_are_kept_changed_and_removed(api: Api) -> None:
    """CreateQueue and TagQueue add tags, UntagQueue removes them."""
    await api("CreateQueue", QueueName="orders", tags={"a": "1", "b": "2"})
    await api("TagQueue", QueueUrl=URL, Tags={"b": "3", "c": ""})
    await api("UntagQueue", QueueUrl=URL, TagKeys=["a", "z"])

    assert await api("ListQueueTags", QueueUrl=URL) == {"Tags": {"b": "3", "c": ""}}


@pytest.mark.parametrize(
    "tags",
    [
        {"": "v"},
        {"k" * 129: "v"},
        {"k": "v" * 257},
        {"aws:k": "v"},
        {"k?": "v"},
        {"k": "\ud800"},
        {f"k{n}": "" for n in range(51)},
    ],
    ids=["no-key", "long-key", "long-value", "reserved", "character", "surrogate", "too-many"],
)
async def test_tags_that_cannot_be_are_refused(orders: Api, tags: dict[str, str]) -> None:
    """Nothing of them is kept."""
    refusal = await orders.refusal("TagQueue", QueueUrl=URL, Tags=tags)

    assert refusal.code == "InvalidParameterValue"
    assert await orders("ListQueueTags", QueueUrl=URL) == {}


NUMBER_LIMITS = {
    "VisibilityTimeout": (0, 43_200),
    "MessageRetentionPeriod": (60, 1_209_600),
    "DelaySeconds": (0, 900),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "MaximumMessageSize": (1_024, 1_048_576),
}


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, str(value)) for name, limits in NUMBER_LIMITS.items() for value in limits],
)
async def test_an_attribute_takes_its_limits(orders: Api, name: str, value: str) -> None:
    """Both ends of an attribute's range can be set and are returned."""
    await orders("SetQueueAttributes", QueueUrl=URL, Attributes={name: value})

    assert {"Attributes": {name: value}} == await orders(
        "GetQueueAttributes", QueueUrl=URL, AttributeNames=[name]
    )


@pytest.mark.parametrize(
    ("name", "value", "code"),
    [
        *((n, str(low - 1), "InvalidAttributeValue") for n, (low, _) in NUMBER_LIMITS.items()),
        *((n, str(high + 1), "InvalidAttributeValue") for n, (_, high) in NUMBER_LIMITS.items()),
        ("DelaySeconds", "", "InvalidAttributeValue"),
        ("DelaySeconds", "five", "InvalidAttributeValue"),
        ("DelaySeconds", "1.5", "InvalidAttributeValue"),
        ("DelaySeconds", "\u0663", "InvalidAttributeValue"),
        ("DelaySeconds", "9" * 5_000, "InvalidAttributeValue"),
        ("Policy", "not JSON", "InvalidAttributeValue"),
        ("Policy", "[]", "InvalidAttributeValue"),
        ("Policy", '{"Version":"2012-10-17","Statement":[]}', "InvalidAttributeValue"),
        ("RedrivePolicy", '{"maxReceiveCount":3}', "InvalidParameterValue"),
        ("RedriveAllowPolicy", "{}", "InvalidParameterValue"),
        ("KmsMasterKeyId", "alias/aws/sqs", "InvalidAttributeValue"),
        ("KmsDataKeyReusePeriodSeconds", "300", "InvalidAttributeValue"),
        ("SqsManagedSseEnabled", "true", "InvalidAttributeValue"),
        ("ContentBasedDeduplication", "true", "InvalidAttributeName"),
        ("DeduplicationScope", "queue", "InvalidAttributeName"),
        ("FifoThroughputLimit", "perQueue", "InvalidAttributeName"),
        ("QueueArn", "x", "InvalidAttributeName"),
        ("Color", "blue", "InvalidAttributeName"),
        ("All", "x", "InvalidAttributeName"),
    ],
)
async def test_an_attribute_that_cannot_be_is_refused(
    orders: Api, name: str, value: str, code: str
) -> None:
    """CreateQueue and SetQueueAttributes refuse it and name it."""
    created = await orders.refusal("CreateQueue", QueueName="new", Attributes={name: value})
    changed = await orders.refusal("SetQueueAttributes", QueueUrl=URL, Attributes={name: value})

    assert (created.code, changed.code) == (code, code)
    assert name in created.message
    assert orders.plane.resources.queue(ACCOUNT, "new") is None


async def test_attributes_that_hold_anyway_are_taken(api: Api) -> None:
    """Values that say that a missing feature is off are the truth, and tools send them."""
    attributes = {"RedrivePolicy": "", "KmsMasterKeyId": "", "SqsManagedSseEnabled": "false"}

    assert await api("CreateQueue", QueueName="orders", Attributes=attributes) == {"QueueUrl": URL}


async def test_a_policy_is_kept_and_taken_away(orders: Api) -> None:
    """A policy is returned as it was given; an empty one removes it."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]}, indent=2)
    await orders("SetQueueAttributes", QueueUrl=URL, Attributes={"Policy": policy})
    kept = await orders("GetQueueAttributes", QueueUrl=URL, AttributeNames=["Policy"])
    await orders("SetQueueAttributes", QueueUrl=URL, Attributes={"Policy": ""})
    gone = await orders("GetQueueAttributes", QueueUrl=URL, AttributeNames=["Policy"])

    assert (kept, gone) == ({"Attributes": {"Policy": policy}}, {})


async def test_all_attributes_are_returned(orders: Api) -> None:
    """`All` returns the settings, the times in whole seconds, the ARN and the counts."""
    for delay in (0, 0, 60):
        await orders("SendMessage", QueueUrl=URL, MessageBody="x", DelaySeconds=delay)
    await orders("ReceiveMessage", QueueUrl=URL)
    orders.clock.seconds += 5
    await orders("SetQueueAttributes", QueueUrl=URL, Attributes={"VisibilityTimeout": "7"})
    answer = await orders("GetQueueAttributes", QueueUrl=URL, AttributeNames=["All"])

    assert answer["Attributes"] == {
        "VisibilityTimeout": "7",
        "MessageRetentionPeriod": "345600",
        "DelaySeconds": "0",
        "ReceiveMessageWaitTimeSeconds": "0",
        "MaximumMessageSize": "1048576",
        "QueueArn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:orders",
        "CreatedTimestamp": "1700000000",
        "LastModifiedTimestamp": "1700000005",
        "SqsManagedSseEnabled": "false",
        "ApproximateNumberOfMessages": "1",
        "ApproximateNumberOfMessagesNotVisible": "1",
        "ApproximateNumberOfMessagesDelayed": "1",
    }


@pytest.mark.parametrize(
    ("names", "answer"),
    [([], {}), (["RedrivePolicy"], {}), (["DelaySeconds"], {"Attributes": {"DelaySeconds": "0"}})],
)
async def test_only_what_is_asked_for_is_returned(
    orders: Api, names: list[str], answer: Params
) -> None:
    """No names return nothing, and neither does a name that the queue has no value for."""
    assert answer == await orders("GetQueueAttributes", QueueUrl=URL, AttributeNames=names)


async def test_an_unknown_attribute_cannot_be_asked_for(orders: Api) -> None:
    """A name that is no attribute's is refused."""
    refusal = await orders.refusal("GetQueueAttributes", QueueUrl=URL, AttributeNames=["Color"])

    assert (refusal.code, refusal.message) == ("InvalidAttributeName", "Unknown Attribute Color.")


@pytest.mark.parametrize(
    "url",
    [
        URL,
        f"https://sqs.us-east-1.amazonaws.com/{ACCOUNT}/orders",
        f"http://localhost/some/prefix/{ACCOUNT}/orders/",
        f"/{ACCOUNT}/orders",
        "orders",
    ],
)
async def test_a_queue_is_found_by_the_end_of_its_url(orders: Api, url: str) -> None:
    """Any URL that ends with account and name names the queue, and so does the bare name."""
    sent = await orders("SendMessage", QueueUrl=url, MessageBody="x")

    assert sent["MessageId"] == (await orders.receive_one())["MessageId"]


@pytest.mark.parametrize(
    "url",
    [
        "",
        "http://[",
        "http://localhost:4566/",
        f"http://localhost:4566/{ACCOUNT}/missing",
        "http://localhost:4566/111111111111/orders",
        "missing",
    ],
)
@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("GetQueueAttributes", {}),
        ("SetQueueAttributes", {"Attributes": {}}),
        ("SendMessage", {"MessageBody": "x"}),
        ("SendMessageBatch", {"Entries": []}),
        ("ReceiveMessage", {}),
        ("DeleteMessage", {"ReceiptHandle": "x"}),
        ("DeleteMessageBatch", {"Entries": []}),
        ("ChangeMessageVisibility", {"ReceiptHandle": "x", "VisibilityTimeout": 1}),
        ("ChangeMessageVisibilityBatch", {"Entries": []}),
        ("PurgeQueue", {}),
        ("DeleteQueue", {}),
    ],
)
async def test_a_missing_queue_is_named_as_such(
    orders: Api, name: str, params: Params, url: str
) -> None:
    """Every operation on a queue that is not the caller's answers in SQS's words."""
    refusal = await orders.refusal(name, QueueUrl=url, **params)

    assert refusal.code == "QueueDoesNotExist"
    assert refusal.message == "The specified queue does not exist."


async def test_another_account_does_not_see_the_queue(orders: Api) -> None:
    """A queue's URL is of no use to another account, and listing shows it its own."""
    refusal = await orders.refusal("ReceiveMessage", OTHER, QueueUrl=URL)

    assert refusal.code == "QueueDoesNotExist"
    assert await orders("ListQueues", OTHER) == {}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({"QueueName": "orders"}, True),
        ({"QueueName": "orders", "QueueOwnerAWSAccountId": ACCOUNT}, True),
        ({"QueueName": "orders", "QueueOwnerAWSAccountId": "111111111111"}, False),
        ({"QueueName": "missing"}, False),
    ],
)
async def test_a_url_is_returned_for_a_name(orders: Api, params: Params, found: bool) -> None:
    """GetQueueUrl finds the caller's own queues and no others."""
    if found:
        assert await orders("GetQueueUrl", **params) == {"QueueUrl": URL}
    else:
        assert (await orders.refusal("GetQueueUrl", **params)).code == "QueueDoesNotExist"


async def test_queues_are_listed_by_prefix_and_page(api: Api) -> None:
    """Pages of MaxResults follow each other by token, in order of name, without gap or repeat."""
    for name in ("b2", "a1", "b3", "b1"):
        await api("CreateQueue", QueueName=name)
    first = await api("ListQueues", QueueNamePrefix="b", MaxResults=2)
    second = await api(
        "ListQueues", QueueNamePrefix="b", MaxResults=2, NextToken=first["NextToken"]
    )
    whole = await api("ListQueues")

    assert [url[-2:] for url in first["QueueUrls"]] == ["b1", "b2"]
    assert [url[-2:] for url in second.pop("QueueUrls")] == ["b3"]
    assert second == {}
    assert [url[-2:] for url in whole["QueueUrls"]] == ["a1", "b1", "b2", "b3"]


@pytest.mark.parametrize("params", [{"MaxResults": 0}, {"MaxResults": 1_001}, {"NextToken": "ö"}])
async def test_an_invalid_page_is_refused(api: Api, params: Params) -> None:
    """A page size out of range and a token of another making are refused."""
    assert (await api.refusal("ListQueues", **params)).code == "InvalidParameterValue"


async def test_a_deleted_queue_does_not_haunt_its_successor(orders: Api) -> None:
    """A queue made anew is empty, and receipts of its predecessor are not valid in it."""
    for _ in range(2):
        await orders("SendMessage", QueueUrl=URL, MessageBody="old")
    received = await orders.receive_one()
    await orders("DeleteQueue", QueueUrl=URL)
    await orders("CreateQueue", QueueName="orders")
    orders.clock.seconds += 60
    refusal = await orders.refusal(
        "DeleteMessage", QueueUrl=URL, ReceiptHandle=received["ReceiptHandle"]
    )

    assert await orders("ReceiveMessage", QueueUrl=URL) == {}
    assert refusal.code == "ReceiptHandleIsInvalid"


async def test_generations_go_on_growing(orders: Api) -> None:
    """Every queue made anew has a generation of its own, also after a restart."""
    generations = []
    for _ in range(3):
        resources = Resources("us-east-1", orders.store)
        await resources.load(orders.clock.now())
        orders.plane.resources = resources
        queue = resources.queue(ACCOUNT, "orders")
        assert queue is not None
        generations.append(queue.generation)
        await orders("DeleteQueue", QueueUrl=URL)
        await orders("CreateQueue", QueueName="orders")

    assert generations == [1, 2, 3]


async def test_a_purge_leaves_the_queue(orders: Api) -> None:
    """A purge removes the messages at once, and can be repeated."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    for _ in range(2):
        assert await orders("PurgeQueue", QueueUrl=URL) == {}

    assert await orders("ReceiveMessage", QueueUrl=URL) == {}


# --- messages --------------------------------------------------------------------------------


async def test_a_message_comes_as_it_was_sent(orders: Api) -> None:
    """Body, attributes and digests of a received message are those of the sent one."""
    attributes = {
        "text": {"DataType": "String.custom", "StringValue": "grüß"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
    }
    sent = await orders(
        "SendMessage", QueueUrl=URL, MessageBody="hello", MessageAttributes=attributes
    )
    [received] = (await orders("ReceiveMessage", QueueUrl=URL, MessageAttributeNames=["All"]))[
        "Messages"
    ]

    assert received["MessageAttributes"] == attributes
    assert received["Body"] == "hello"
    assert received["MD5OfBody"] == sent["MD5OfMessageBody"] == "5d41402abc4b2a76b9719d911017c592"
    assert received["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert received["MessageId"] == sent["MessageId"]


async def test_attributes_not_asked_for_are_not_returned(orders: Api) -> None:
    """Without names, neither attributes nor their digest come with a message."""
    attributes = {"a": {"DataType": "String", "StringValue": "x"}}
    await orders("SendMessage", QueueUrl=URL, MessageBody="x", MessageAttributes=attributes)
    received = {name for name, value in (await orders.receive_one()).items() if value is not None}

    assert received == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


TRACE = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-2-3"}}


@pytest.mark.parametrize("member", ["AttributeNames", "MessageSystemAttributeNames"])
@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (
            ["All"],
            {
                "SenderId": ACCOUNT,
                "SentTimestamp": "1700000000250",
                "ApproximateReceiveCount": "1",
                "ApproximateFirstReceiveTimestamp": "1700000002250",
                "AWSTraceHeader": "Root=1-2-3",
            },
        ),
        (
            ["SenderId", "ApproximateReceiveCount"],
            {"SenderId": ACCOUNT, "ApproximateReceiveCount": "1"},
        ),
        (["SequenceNumber"], None),
    ],
)
async def test_system_attributes_come_as_asked(
    orders: Api, member: str, names: list[str], expected: Params | None
) -> None:
    """System attributes are returned by name, under the old member's name and the new one's."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x", MessageSystemAttributes=TRACE)
    orders.clock.seconds += 2
    [received] = (await orders("ReceiveMessage", QueueUrl=URL, **{member: names}))["Messages"]

    assert expected == received["Attributes"]


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"MessageBody": ""}, "InvalidParameterValue"),
        ({"MessageBody": "\x00"}, "InvalidMessageContents"),
        ({"MessageBody": "x" * 1_048_577}, "InvalidParameterValue"),
        ({"DelaySeconds": -1}, "InvalidParameterValue"),
        ({"DelaySeconds": 901}, "InvalidParameterValue"),
        ({"MessageAttributes": {"a": {"DataType": "Text"}}}, "InvalidParameterValue"),
        (
            {"MessageAttributes": {"a": {"DataType": "String", "StringListValues": ["x"]}}},
            "UnsupportedOperation",
        ),
        ({"MessageSystemAttributes": {"SenderId": {}}}, "InvalidParameterValue"),
        (
            {"MessageSystemAttributes": {"AWSTraceHeader": {"DataType": "Number"}}},
            "InvalidParameterValue",
        ),
        ({"MessageDeduplicationId": "x"}, "InvalidParameterValue"),
        ({"MessageGroupId": "x"}, "UnsupportedOperation"),
    ],
)
async def test_an_invalid_message_is_refused_alone(orders: Api, params: Params, code: str) -> None:
    """SendMessage refuses it; in a batch it fails, while its neighbour is sent."""
    entry = {"MessageBody": "x"} | params
    refusal = await orders.refusal("SendMessage", QueueUrl=URL, **entry)

    assert refusal.code == code
    if len(entry["MessageBody"]) > 1_048_576:
        return  # too much for a whole batch: another test's affair
    batch = [{"Id": "bad"} | entry, {"Id": "good", "MessageBody": "good"}]
    answer = await orders("SendMessageBatch", QueueUrl=URL, Entries=batch)

    assert [(f["Id"], f["Code"], f["SenderFault"]) for f in answer["Failed"]] == [
        ("bad", code, True)
    ]
    assert [s["Id"] for s in answer["Successful"]] == ["good"]
    assert (await orders.receive_one())["Body"] == "good"


async def test_the_queue_sets_delay_and_size(api: Api) -> None:
    """A queue's own delay holds where the message has none, and its own size limit always."""
    attributes = {"DelaySeconds": "10", "MaximumMessageSize": "1024"}
    await api("CreateQueue", QueueName="orders", Attributes=attributes)
    await api("SendMessage", QueueUrl=URL, MessageBody="late")
    await api("SendMessage", QueueUrl=URL, MessageBody="now", DelaySeconds=0)
    refusal = await api.refusal("SendMessage", QueueUrl=URL, MessageBody="x" * 1_025)

    assert (await api.receive_one())["Body"] == "now"
    assert refusal.message.endswith("Message must be shorter than 1024 bytes.")
    api.clock.seconds += 10
    assert (await api.receive_one())["Body"] == "late"


async def test_a_batch_too_long_sends_nothing(orders: Api) -> None:
    """A batch's messages are limited together; exactly the limit passes."""
    half = "x" * 524_288
    fitting = [{"Id": str(n), "MessageBody": half} for n in range(2)]
    refusal = await orders.refusal(
        "SendMessageBatch", QueueUrl=URL, Entries=[*fitting, {"Id": "2", "MessageBody": "x"}]
    )

    assert refusal.code == "BatchRequestTooLong"
    assert await orders("ReceiveMessage", QueueUrl=URL) == {}
    assert "Failed" not in await orders("SendMessageBatch", QueueUrl=URL, Entries=fitting)


@pytest.mark.parametrize(
    ("ids", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([str(n) for n in range(11)], "TooManyEntriesInBatchRequest"),
        (["a", "b", "a"], "BatchEntryIdsNotDistinct"),
        (["a.b"], "InvalidBatchEntryId"),
        ([""], "InvalidBatchEntryId"),
        (["a" * 81], "InvalidBatchEntryId"),
    ],
)
@pytest.mark.parametrize(
    "name", ["SendMessageBatch", "DeleteMessageBatch", "ChangeMessageVisibilityBatch"]
)
async def test_a_batch_that_cannot_be_told_apart_is_refused(
    orders: Api, name: str, ids: list[str], code: str
) -> None:
    """A batch has one to ten entries with valid ids, each once."""
    entries = [
        {"Id": entry_id, "MessageBody": "x", "ReceiptHandle": "x", "VisibilityTimeout": 1}
        for entry_id in ids
    ]

    assert code == (await orders.refusal(name, QueueUrl=URL, Entries=entries)).code


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"MaxNumberOfMessages": 0}, "between 1 and 10"),
        ({"MaxNumberOfMessages": 11}, "between 1 and 10"),
        ({"WaitTimeSeconds": -1}, "between 0 and 20"),
        ({"WaitTimeSeconds": 21}, "between 0 and 20"),
        ({"VisibilityTimeout": -1}, "between 0 and 43200"),
        ({"VisibilityTimeout": 43_201}, "between 0 and 43200"),
        ({"ReceiveRequestAttemptId": "x"}, "not valid for this queue type"),
        ({"AttributeNames": ["Color"]}, "Unknown Attribute Color"),
    ],
)
async def test_an_invalid_receive_is_refused(orders: Api, params: Params, words: str) -> None:
    """What ReceiveMessage does not take, it refuses with the range that it takes."""
    assert words in (await orders.refusal("ReceiveMessage", QueueUrl=URL, **params)).message


async def test_one_message_is_received_unless_more_are_asked_for(orders: Api) -> None:
    """ReceiveMessage returns one message by default and up to ten on demand."""
    entries = [{"Id": str(n), "MessageBody": str(n)} for n in range(10)]
    await orders("SendMessageBatch", QueueUrl=URL, Entries=entries)
    first = await orders("ReceiveMessage", QueueUrl=URL)
    rest = await orders("ReceiveMessage", QueueUrl=URL, MaxNumberOfMessages=10)

    assert [m["Body"] for m in first["Messages"]] == ["0"]
    assert [m["Body"] for m in rest["Messages"]] == [str(n) for n in range(1, 10)]


@pytest.mark.parametrize(
    ("of_queue", "of_call", "seconds"), [("7", {}, 7), ("7", {"VisibilityTimeout": 3}, 3)]
)
async def test_visibility_is_the_calls_or_the_queues(
    api: Api, of_queue: str, of_call: Params, seconds: int
) -> None:
    """A received message is invisible for as long as the call says, else as the queue says."""
    await api("CreateQueue", QueueName="orders", Attributes={"VisibilityTimeout": of_queue})
    await api("SendMessage", QueueUrl=URL, MessageBody="x")
    await api("ReceiveMessage", QueueUrl=URL, **of_call)
    api.clock.seconds += seconds - 0.5
    before = await api("ReceiveMessage", QueueUrl=URL)
    api.clock.seconds += 0.5

    assert before == {}
    assert (await api.receive_one())["Body"] == "x"


@pytest.mark.parametrize(
    ("of_call", "seconds"), [({}, 5), ({"WaitTimeSeconds": 2}, 2), ({"WaitTimeSeconds": 0}, 0)]
)
async def test_waiting_is_the_calls_or_the_queues(api: Api, of_call: Params, seconds: int) -> None:
    """An empty queue is waited for as long as the call says, else as the queue says."""
    attributes = {"ReceiveMessageWaitTimeSeconds": "5"}
    await api("CreateQueue", QueueName="orders", Attributes=attributes)
    before = api.clock.seconds
    answer = await api("ReceiveMessage", QueueUrl=URL, **of_call)

    assert (answer, api.clock.seconds - before) == ({}, seconds)


async def test_a_deleted_message_is_gone(orders: Api) -> None:
    """A message that was deleted never comes back."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    handle = (await orders.receive_one())["ReceiptHandle"]
    for _ in range(2):
        assert await orders("DeleteMessage", QueueUrl=URL, ReceiptHandle=handle) == {}
    orders.clock.seconds += 60

    assert await orders("ReceiveMessage", QueueUrl=URL) == {}


async def test_a_batch_of_deletions_fails_by_entry(orders: Api) -> None:
    """Handles that are not valid fail, the others delete."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    handle = (await orders.receive_one())["ReceiptHandle"]
    answer = await orders(
        "DeleteMessageBatch",
        QueueUrl=URL,
        Entries=[{"Id": "a", "ReceiptHandle": handle}, {"Id": "b", "ReceiptHandle": "x"}],
    )
    orders.clock.seconds += 60

    assert answer["Successful"] == [{"Id": "a"}]
    assert [(f["Id"], f["Code"]) for f in answer["Failed"]] == [("b", "ReceiptHandleIsInvalid")]
    assert await orders("ReceiveMessage", QueueUrl=URL) == {}


async def test_visibility_can_be_changed(orders: Api) -> None:
    """A timeout of 0 gives a message back at once; its receipt is then of no more use."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    change = {"QueueUrl": URL, "ReceiptHandle": (await orders.receive_one())["ReceiptHandle"]}
    await orders("ChangeMessageVisibility", **change, VisibilityTimeout=0)
    await orders.receive_one()
    refusal = await orders.refusal("ChangeMessageVisibility", **change, VisibilityTimeout=5)

    assert refusal.code == "InvalidParameterValue"
    assert "not available for visibility timeout change" in refusal.message


@pytest.mark.parametrize("seconds", [None, -1, 43_201])
async def test_an_invalid_visibility_is_refused(orders: Api, seconds: int | None) -> None:
    """A visibility timeout is given, and lies between 0 and 12 hours."""
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    handle = (await orders.receive_one())["ReceiptHandle"]
    refusal = await orders.refusal(
        "ChangeMessageVisibility", QueueUrl=URL, ReceiptHandle=handle, VisibilityTimeout=seconds
    )

    assert refusal.code == "InvalidParameterValue"


async def test_a_batch_of_visibilities_fails_by_entry(orders: Api) -> None:
    """Entries with a bad handle, a bad timeout or an earlier receipt fail alone."""
    for _ in range(2):
        await orders("SendMessage", QueueUrl=URL, MessageBody="x")
    kept = (await orders.receive_one())["ReceiptHandle"]
    gone = (await orders.receive_one())["ReceiptHandle"]
    await orders("DeleteMessage", QueueUrl=URL, ReceiptHandle=gone)
    entries = [
        {"Id": "a", "ReceiptHandle": kept, "VisibilityTimeout": 0},
        {"Id": "b", "ReceiptHandle": "x", "VisibilityTimeout": 0},
        {"Id": "c", "ReceiptHandle": kept, "VisibilityTimeout": -1},
        {"Id": "d", "ReceiptHandle": gone, "VisibilityTimeout": 0},
    ]
    answer = await orders("ChangeMessageVisibilityBatch", QueueUrl=URL, Entries=entries)

    assert answer["Successful"] == [{"Id": "a"}]
    assert {f["Id"]: f["Code"] for f in answer["Failed"]} == {
        "b": "ReceiptHandleIsInvalid",
        "c": "InvalidParameterValue",
        "d": "InvalidParameterValue",
    }


async def test_a_waiting_receiver_does_not_stop_changes(orders: Api) -> None:
    """A receiver waits outside the lock of those who change resources."""
    receiver: Callable[..., Awaitable[Params]] = orders
    waiting = asyncio.ensure_future(receiver("ReceiveMessage", QueueUrl=URL, WaitTimeSeconds=20))
    await orders("CreateQueue", QueueName="another")
    await orders("SendMessage", QueueUrl=URL, MessageBody="x")

    assert [m["Body"] for m in (await waiting)["Messages"]] == ["x"]


def test_only_changes_of_queues_run_one_at_a_time() -> None:
    """Sending and receiving never wait for a change of resources."""
    changing = {
        name
        for (service, name), o in OPERATIONS.items()
        if service == "sqs" and o.changes_resources
    }

    assert changing == {
        "AddPermission",
        "CancelMessageMoveTask",
        "CreateQueue",
        "DeleteQueue",
        "RemovePermission",
        "SetQueueAttributes",
        "StartMessageMoveTask",
        "TagQueue",
        "UntagQueue",
    }
