"""Message move tasks by boto3: dead letters go back where they came from, or elsewhere."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually, MakeQueue, QueueOf

Refusal = Callable[..., tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Redriven:
    """A queue, and the one for its dead letters."""

    main: QueueOf
    dead: QueueOf

    def give_up(self, *bodies: str) -> None:
        """Send messages and receive them so often that they are dead letters."""
        sqs = self.main.sqs
        for body in bodies:
            sqs.send_message(QueueUrl=self.main.url, MessageBody=body)
        for _ in range(2):
            sqs.receive_message(QueueUrl=self.main.url, MaxNumberOfMessages=10, VisibilityTimeout=0)
        assert self.main.is_empty()

    def tasks(self, count: int = 10) -> list[dict[str, Any]]:
        """Return the tasks of the dead-letter queue."""
        answer = self.main.sqs.list_message_move_tasks(SourceArn=self.dead.arn, MaxResults=count)
        return answer.get("Results", [])


@pytest.fixture
def redriven(make_queue: MakeQueue, name: str) -> Iterator[Redriven]:
    """A queue whose messages are dead letters after one receive."""
    main, dead = make_queue(f"{name}-main"), make_queue(f"{name}-dead")
    policy = {"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1}
    main.sqs.set_queue_attributes(
        QueueUrl=main.url, Attributes={"RedrivePolicy": json.dumps(policy)}
    )
    yield Redriven(main, dead)
    for queue in (main, dead):
        queue.sqs.delete_queue(QueueUrl=queue.url)


def test_dead_letters_go_back(redriven: Redriven, eventually: Eventually) -> None:
    """Each to its queue, as new messages; the task says how many."""
    redriven.give_up("a", "b", "c")
    redriven.main.sqs.start_message_move_task(SourceArn=redriven.dead.arn)
    eventually(lambda: redriven.tasks()[0]["Status"] == "COMPLETED")
    [task] = redriven.tasks()
    came = redriven.main.receive(3)

    assert ["a", "b", "c"] == sorted(message["Body"] for message in came)
    assert redriven.dead.is_empty()
    assert (3, 3) == (
        task["ApproximateNumberOfMessagesMoved"],
        task["ApproximateNumberOfMessagesToMove"],
    )
    assert "TaskHandle" not in task


def test_dead_letters_go_elsewhere(
    redriven: Redriven, queue: QueueOf, eventually: Eventually
) -> None:
    """To the queue that the task names."""
    redriven.give_up("a")
    redriven.main.sqs.start_message_move_task(
        SourceArn=redriven.dead.arn, DestinationArn=queue.arn, MaxNumberOfMessagesPerSecond=500
    )

    assert ["a"] == [message["Body"] for message in queue.receive(1)]
    eventually(lambda: redriven.tasks()[0]["Status"] == "COMPLETED")
    assert queue.arn == redriven.tasks()[0]["DestinationArn"]


def test_a_task_is_cancelled(redriven: Redriven, refusal: Refusal) -> None:
    """A slow one is listed with its handle, is the only one, and ends when it is told to."""
    redriven.give_up(*"abcdefgh")
    sqs, source = redriven.main.sqs, {"SourceArn": redriven.dead.arn}
    handle = sqs.start_message_move_task(**source, MaxNumberOfMessagesPerSecond=1)["TaskHandle"]
    [running] = redriven.tasks()
    second = refusal(sqs.start_message_move_task, **source)
    moved = sqs.cancel_message_move_task(TaskHandle=handle)["ApproximateNumberOfMessagesMoved"]
    again = refusal(sqs.cancel_message_move_task, TaskHandle=handle)

    assert handle == running["TaskHandle"]
    assert "There is already a task running." in second[1]
    assert moved < 8
    assert "CANCELLED" == redriven.tasks()[0]["Status"]
    assert "AWS.SimpleQueueService.UnsupportedOperation" == again[0]


@pytest.mark.parametrize(
    ("source", "params", "code"),
    [
        ("dead-not", {}, "ResourceNotFoundException"),
        ("main", {}, "InvalidParameterValue"),
        ("dead", {"DestinationArn": "no"}, "ResourceNotFoundException"),
        ("dead", {"DestinationArn": "dead"}, "InvalidParameterValue"),
        ("dead", {"MaxNumberOfMessagesPerSecond": 501}, "InvalidParameterValue"),
        ("dead", {"MaxNumberOfMessagesPerSecond": 0}, "InvalidParameterValue"),
    ],
)
def test_a_task_that_is_refused(
    redriven: Redriven, refusal: Refusal, source: str, params: dict[str, Any], code: str
) -> None:
    """Queues have to exist, the source to be a dead-letter queue, the destination another."""
    arns = {
        "dead": redriven.dead.arn,
        "main": redriven.main.arn,
        "dead-not": f"{redriven.dead.arn}-not",
    }
    if "DestinationArn" in params:
        params = {"DestinationArn": arns.get(params["DestinationArn"], "no")}
    found, _ = refusal(redriven.main.sqs.start_message_move_task, SourceArn=arns[source], **params)

    assert found.endswith(code)
    assert [] == redriven.tasks()


def test_a_handle_that_is_none(sqs: Any, refusal: Refusal) -> None:
    """It is refused, whatever it is."""
    assert "InvalidParameterValue" == refusal(sqs.cancel_message_move_task, TaskHandle="?")[0]
    assert refusal(sqs.cancel_message_move_task, TaskHandle="YQ==")[0].endswith(
        "ResourceNotFoundException"
    )
