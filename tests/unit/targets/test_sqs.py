"""Queues as targets and as the place for dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from farspan.model.delivery import DELIVERED, Delivery, Verdict
from farspan.model.queue import Message, MessageAttribute, Queue
from farspan.store.base import StoreError
from farspan.targets.base import DeadLetter
from farspan.targets.sqs import DeadLetterTarget, QueueAccess, QueueTarget

if TYPE_CHECKING:
    from collections.abc import Sequence

ACCOUNT = "000000000000"
ORDERS = Queue(region="us-east-1", account=ACCOUNT, name="orders", maximum_message_size=1_024)
OTHERS = Queue(region="us-east-1", account=ACCOUNT, name="others")
CLOSED = Queue(region="us-east-1", account=ACCOUNT, name="closed")
SERIAL = Queue(
    region="us-east-1", account=ACCOUNT, name="serial.fifo", content_based_deduplication=True
)
EXPLICIT = Queue(region="us-east-1", account=ACCOUNT, name="explicit.fifo")
QUEUES = {
    (queue.account, queue.name): queue for queue in (ORDERS, OTHERS, CLOSED, SERIAL, EXPLICIT)
}
ACCESS = QueueAccess(
    lambda account, name: QUEUES.get((account, name)), lambda queue, _rule_arn: queue is not CLOSED
)
RULE_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r"


class RecordingQueues:
    """Queues that hold a message for each key, and count the commits."""

    def __init__(self) -> None:
        self.messages: dict[tuple[str, bytes], Message] = {}
        self.commit_count = 0
        self.broken: set[str] = set()

    async def put(self, queue: Queue, messages: Sequence[tuple[bytes, Message]]) -> None:
        """See `QueueWriter.put`."""
        if queue.name in self.broken:
            raise StoreError("The disk is full.")
        self.commit_count += 1
        for key, message in messages:
            self.messages.setdefault((queue.name, key), message)

    def bodies(self) -> list[tuple[str, str]]:
        """Return queue and body of each message, in order of putting."""
        return [(name, message.body) for (name, _), message in self.messages.items()]


@pytest.fixture
def queues() -> RecordingQueues:
    """Return empty queues."""
    return RecordingQueues()


@pytest.fixture
def target(queues: RecordingQueues) -> QueueTarget:
    """Return the target over the recording queues."""
    return QueueTarget(queues, ACCESS, lambda: 5.0)


@pytest.fixture
def dead_letters(queues: RecordingQueues) -> DeadLetterTarget:
    """Return the dead-letter sender over the recording queues."""
    return DeadLetterTarget(queues, ACCESS, lambda: 5.0)


def delivery(
    delivery_id: str = "d1",
    payload: bytes = b'{"a":1}',
    target_arn: str = ORDERS.arn,
    dead_letter_arn: str | None = None,
    group: str | None = None,
) -> Delivery:
    """Return a delivery to a queue."""
    return Delivery(
        delivery_id=delivery_id,
        event_id="e1",
        rule_arn=RULE_ARN,
        target_id="t1",
        target_arn=target_arn,
        payload=payload,
        planned_at=1.0,
        dead_letter_arn=dead_letter_arn,
        parameters={} if group is None else {"SqsParameters": {"MessageGroupId": group}},
    )


def dead_letter(arn: str | None, **more: int | str) -> DeadLetter:
    """Return a dead letter for a queue."""
    return DeadLetter(
        delivery=delivery(dead_letter_arn=arn),
        error_code="NO_RESOURCE",
        error_message="Not there.",
        exhausted_retry_condition=str(more["condition"]) if "condition" in more else None,
        retry_attempts=int(more["attempts"]) if "attempts" in more else None,
    )


async def test_the_payload_is_the_body(target: QueueTarget, queues: RecordingQueues) -> None:
    """A queue receives the payload as the body of a message without attributes."""
    outcomes = await target.send([delivery(payload='{"a":"ü"}'.encode())])
    [message] = queues.messages.values()

    assert outcomes == [DELIVERED]
    assert (message.body, message.attributes, message.sent_at) == ('{"a":"ü"}', {}, 5.0)


async def test_a_trace_goes_beside_the_body(
    target: QueueTarget, dead_letters: DeadLetterTarget, queues: RecordingQueues
) -> None:
    """As the system attribute AWSTraceHeader, with a dead letter as well."""
    traced = msgspec.structs.replace(delivery(dead_letter_arn=OTHERS.arn), trace_header="Root=1")
    letter = DeadLetter(delivery=traced, error_code="NO_RESOURCE", error_message="Not there.")
    await target.send([traced])
    await dead_letters.send([letter])

    assert [{"AWSTraceHeader": "Root=1"}] * 2 == [
        message.system_attributes for message in queues.messages.values()
    ]


async def test_a_repeated_delivery_puts_one_message(
    target: QueueTarget, queues: RecordingQueues
) -> None:
    """A delivery sent again is delivered and is there once; another one is another message."""
    outcomes = [await target.send([delivery("d1")]) for _ in range(2)]
    await target.send([delivery("d2")])

    assert outcomes == [[DELIVERED], [DELIVERED]]
    assert len(queues.messages) == 2
    assert {len(key) for _, key in queues.messages} == {16}


async def test_a_batch_is_one_commit_for_each_queue(
    target: QueueTarget, queues: RecordingQueues
) -> None:
    """Deliveries to one queue share a commit, in their order."""
    arns = [ORDERS.arn, OTHERS.arn, ORDERS.arn]
    outcomes = await target.send(
        [delivery(f"d{n}", str(n).encode(), arn) for n, arn in enumerate(arns)]
    )

    assert outcomes == [DELIVERED] * 3
    assert queues.commit_count == 2
    assert queues.bodies() == [("orders", "0"), ("orders", "2"), ("others", "1")]


@pytest.mark.parametrize(
    "arn",
    [
        f"arn:aws:sqs:us-east-1:{ACCOUNT}:missing",
        "arn:aws:sqs:us-east-1:111111111111:orders",
        f"arn:aws:sqs:eu-central-1:{ACCOUNT}:orders",
        f"arn:aws:sns:us-east-1:{ACCOUNT}:orders",
        "orders",
        "",
    ],
)
async def test_a_missing_queue_is_permanent(target: QueueTarget, arn: str) -> None:
    """A queue that is not there, or not here, ends the delivery in AWS's words."""
    [outcome] = await target.send([delivery(target_arn=arn)])

    assert (outcome.verdict, outcome.error_code) == (Verdict.PERMANENT, "NO_RESOURCE")
    assert str(outcome.error_message).startswith(
        "The specified queue does not exist or you do not have access to it. (Service: AmazonSQS; "
        "Status Code: 400; Error Code: AWS.SimpleQueueService.NonExistentQueue; Request ID: "
    )


@pytest.mark.parametrize(
    ("payload", "code"),
    [(b"x" * 1_025, "INVALID_PARAMETER"), (b"\xff", "INVALID_JSON")],
    ids=["too large", "not text"],
)
async def test_a_payload_that_a_queue_never_takes_is_permanent(
    target: QueueTarget, queues: RecordingQueues, payload: bytes, code: str
) -> None:
    """Such a delivery ends alone: its neighbours in the batch are delivered, in their places."""
    outcomes = await target.send(
        [delivery("d1"), delivery("d2", payload), delivery("d3", b"x" * 1_024)]
    )

    assert [o.verdict for o in outcomes] == [
        Verdict.DELIVERED,
        Verdict.PERMANENT,
        Verdict.DELIVERED,
    ]
    assert outcomes[1].error_code == code
    assert len(queues.messages) == 2


async def test_a_store_that_fails_is_retryable(
    target: QueueTarget, queues: RecordingQueues
) -> None:
    """What the store could not take is tried again; another queue's deliveries are not held up."""
    queues.broken = {"orders"}
    bad, good = await target.send([delivery("d1"), delivery("d2", target_arn=OTHERS.arn)])

    assert (bad.verdict, bad.error_code) == (Verdict.RETRYABLE, "INTERNAL_ERROR")
    assert bad.error_message == "The disk is full."
    assert good == DELIVERED


@pytest.mark.parametrize(
    ("more", "added"),
    [
        ({}, {}),
        (
            {"condition": "MaximumRetryAttempts", "attempts": 185},
            {"EXHAUSTED_RETRY_CONDITION": "MaximumRetryAttempts", "RETRY_ATTEMPTS": "185"},
        ),
        (
            {"condition": "MaximumEventAgeInSeconds", "attempts": 0},
            {"EXHAUSTED_RETRY_CONDITION": "MaximumEventAgeInSeconds", "RETRY_ATTEMPTS": "0"},
        ),
    ],
)
async def test_a_dead_letter_says_why(
    dead_letters: DeadLetterTarget,
    queues: RecordingQueues,
    more: dict[str, int | str],
    added: dict[str, str],
) -> None:
    """A dead letter is the payload, with its reason in attributes of type String."""
    outcomes = await dead_letters.send([dead_letter(OTHERS.arn, **more)])
    [message] = queues.messages.values()
    texts = {
        "RULE_ARN": RULE_ARN,
        "TARGET_ARN": ORDERS.arn,
        "ERROR_CODE": "NO_RESOURCE",
        "ERROR_MESSAGE": "Not there.",
    } | added

    assert outcomes == [DELIVERED]
    assert message.body == '{"a":1}'
    assert message.attributes == {
        name: MessageAttribute(data_type="String", string_value=text)
        for name, text in texts.items()
    }


async def test_a_dead_letter_is_put_once_beside_its_delivery(
    target: QueueTarget, dead_letters: DeadLetterTarget, queues: RecordingQueues
) -> None:
    """A repeated dead letter is one message, also where its queue is the delivery's target."""
    await target.send([delivery()])
    for _ in range(2):
        await dead_letters.send([dead_letter(ORDERS.arn)])

    assert len(queues.messages) == 2


@pytest.mark.parametrize("arn", [None, f"arn:aws:sqs:us-east-1:{ACCOUNT}:missing"])
async def test_a_dead_letter_without_a_queue_is_permanent(
    dead_letters: DeadLetterTarget, arn: str | None
) -> None:
    """A dead letter whose queue is missing cannot be sent, and says so."""
    [outcome] = await dead_letters.send([dead_letter(arn)])

    assert (outcome.verdict, outcome.error_code) == (Verdict.PERMANENT, "NO_RESOURCE")


async def test_a_queue_that_lets_nobody_in(target: QueueTarget, queues: RecordingQueues) -> None:
    """It is a final failure in the words of EventBridge, and nothing is put."""
    [outcome] = await target.send([delivery(target_arn=CLOSED.arn)])

    assert (outcome.verdict, outcome.error_code) == (Verdict.PERMANENT, "NO_PERMISSIONS")
    assert "sqs:sendmessage on resource: arn:aws:sqs:us-east-1:" in (outcome.error_message or "")
    assert queues.messages == {}


async def test_a_fifo_queue_gets_the_targets_group(
    target: QueueTarget, queues: RecordingQueues
) -> None:
    """A message has the target's group, and its duplicates are told by the body alone."""
    outcomes = await target.send(
        [delivery(f"d{n}", target_arn=SERIAL.arn, group="g") for n in range(2)]
    )
    first, second = queues.messages.values()

    assert outcomes == [DELIVERED, DELIVERED]
    assert (first.group_id, second.group_id) == ("g", "g")
    assert first.deduplication_id == second.deduplication_id
    assert first.message_id != second.message_id


@pytest.mark.parametrize(
    ("arn", "group", "words"),
    [
        (EXPLICIT.arn, "g", "ContentBasedDeduplication"),
        (SERIAL.arn, "", "MessageGroupId"),
        (SERIAL.arn, "two words", "MessageGroupId"),
        (SERIAL.arn, None, "MessageGroupId"),
    ],
)
async def test_what_a_fifo_queue_does_not_take(
    target: QueueTarget, queues: RecordingQueues, arn: str, group: str | None, words: str
) -> None:
    """Without deduplication by content, or without a group, it will never take it."""
    [outcome] = await target.send([delivery(target_arn=arn, group=group)])

    assert (outcome.verdict, outcome.error_code) == (Verdict.PERMANENT, "INVALID_PARAMETER")
    assert words in (outcome.error_message or "")
    assert queues.messages == {}
