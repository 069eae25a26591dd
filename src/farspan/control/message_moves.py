"""Message move tasks: StartMessageMoveTask, ListMessageMoveTasks, CancelMessageMoveTask.

A task is a resource, so that it goes on after a start of the node. `advance_message_moves` makes
its steps; how messages move is `queues.service`'s.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

import msgspec

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.queues import check_range
from farspan.errors import (
    InvalidParameterValueException,
    ResourceNotFoundException,
    UnsupportedOperation,
)
from farspan.model.arn import parse_arn
from farspan.model.message_move import MessageMove, MoveStatus
from farspan.model.queue import Queue

MESSAGES_PER_SECOND_MAX: Final = 500
TASKS_LISTED_MAX: Final = 10
"""Tasks of one queue that are listed, and therefore kept."""

STEP_MESSAGE_COUNT_MAX: Final = 100


@operation("sqs", "StartMessageMoveTask", changes_resources=True)
async def start_message_move_task(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Start to move the messages of a dead-letter queue."""
    source = _queue(plane, caller, params, "SourceArn")
    rate = params.get("MaxNumberOfMessagesPerSecond")
    check_range("MaxNumberOfMessagesPerSecond", rate, 1, MESSAGES_PER_SECOND_MAX)
    own = plane.resources.queues.starting_with(f"{caller.account}/")
    if not any(queue.dead_letter_arn == source.arn for queue in own):
        raise InvalidParameterValueException(
            "Source queue must be configured as a Dead Letter Queue."
        )
    destination_arn = params.get("DestinationArn")
    if destination_arn is not None:
        destination = _queue(plane, caller, params, "DestinationArn")
        if destination.is_fifo != source.is_fifo or destination.key == source.key:
            raise InvalidParameterValueException(
                "The destination must be another queue of the source's type."
            )
    tasks = _tasks_of(plane, source)
    if any(task.status is MoveStatus.RUNNING for task in tasks):
        raise InvalidParameterValueException(
            "There is already a task running. Only one active task is allowed for a source queue "
            "arn at a given time."
        )
    now = plane.clock.now()
    task = MessageMove(
        region=plane.region,
        account=source.account,
        source=source.name,
        number=tasks[-1].number + 1 if tasks else 1,
        destination_arn=destination_arn,
        messages_per_second=rate,
        to_move=(await plane.queues.counts(source)).due,
        started_at=now,
    )
    outdated = tasks[: len(tasks) + 1 - TASKS_LISTED_MAX] if len(tasks) >= TASKS_LISTED_MAX else []
    await plane.resources.remove(*outdated, now=now)
    await plane.resources.save(task, now=now)
    return {"TaskHandle": _handle(task)}


@operation("sqs", "ListMessageMoveTasks")
async def list_message_move_tasks(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the latest tasks of a queue, the latest first; one unless more are asked for."""
    source = _queue(plane, caller, params, "SourceArn")
    limit = params.get("MaxResults")
    check_range("MaxResults", limit, 1, TASKS_LISTED_MAX)
    tasks = list(reversed(_tasks_of(plane, source)))[: limit or 1]
    return {"Results": [_shown(task) for task in tasks]}


@operation("sqs", "CancelMessageMoveTask", changes_resources=True)
async def cancel_message_move_task(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Stop a task. What it moved stays where it is."""
    task = plane.resources.table(MessageMove).get(_read_handle(params["TaskHandle"]))
    if task is None or task.account != caller.account:
        raise ResourceNotFoundException("Task does not exist.")
    if task.status is not MoveStatus.RUNNING:
        raise UnsupportedOperation("Only active tasks can be cancelled.")
    cancelled = msgspec.structs.replace(task, status=MoveStatus.CANCELLED)
    await plane.resources.save(cancelled, now=plane.clock.now())
    return {"ApproximateNumberOfMessagesMoved": task.moved}


async def advance_message_moves(plane: ControlPlane) -> None:
    """Move some messages of every running task; forget the tasks of queues that were deleted."""
    tasks = plane.resources.table(MessageMove)
    for task in list(tasks.values()):
        source = _source_of(plane, task)
        if source is not None and task.status is not MoveStatus.RUNNING:
            continue
        async with plane.changing:
            source = _source_of(plane, task)
            if tasks.get(task.key) is not task:
                continue
            if source is None:
                await plane.resources.remove(task, now=plane.clock.now())
            else:
                await _advance(plane, source, task)


def _source_of(plane: ControlPlane, task: MessageMove) -> Queue | None:
    """Return the queue that a task empties; None where it, or one before it, was deleted."""
    queue = plane.resources.queue(task.account, task.source)
    return queue if queue is not None and queue.created_timestamp <= task.started_at else None


async def _advance(plane: ControlPlane, source: Queue, task: MessageMove) -> None:
    now = plane.clock.now()
    left = task.to_move - task.moved
    if task.messages_per_second is not None:
        left = min(left, int((now - task.started_at) * task.messages_per_second) - task.moved)
    moved, refusal = 0, None
    if left > 0:
        limit = min(left, STEP_MESSAGE_COUNT_MAX)
        moved, refusal = await plane.queues.move_some(source, task.destination_arn, limit)
        left = left if moved == limit else 0
    changed = msgspec.structs.replace(task, moved=task.moved + moved)
    if refusal is not None:
        changed = msgspec.structs.replace(changed, status=MoveStatus.FAILED, failure_reason=refusal)
    elif changed.moved >= task.to_move or (moved == 0 and left == 0 and not _is_paused(task, now)):
        changed = msgspec.structs.replace(changed, status=MoveStatus.COMPLETED)
    if changed != task:
        await plane.resources.save(changed, now=now)


def _is_paused(task: MessageMove, now: float) -> bool:
    """Tell whether the task's rate lets nothing move now."""
    rate = task.messages_per_second
    return rate is not None and int((now - task.started_at) * rate) <= task.moved


def _tasks_of(plane: ControlPlane, queue: Queue) -> list[MessageMove]:
    return plane.resources.table(MessageMove).starting_with(f"{queue.key}/")


def _queue(plane: ControlPlane, caller: Caller, params: Params, member: str) -> Queue:
    """Return the caller's queue of an ARN. Raises ResourceNotFoundException."""
    arn = parse_arn(params[member])
    queue = plane.resources.queue(caller.account, arn.resource) if arn is not None else None
    if queue is None or queue.arn != params[member]:
        raise ResourceNotFoundException(
            f"The resource that you specified for the {member} parameter doesn't exist."
        )
    return queue


def _shown(task: MessageMove) -> Output:
    is_running = task.status is MoveStatus.RUNNING
    return {
        "TaskHandle": _handle(task) if is_running else None,
        "Status": task.status,
        "SourceArn": task.source_arn,
        "DestinationArn": task.destination_arn,
        "MaxNumberOfMessagesPerSecond": task.messages_per_second,
        "ApproximateNumberOfMessagesMoved": task.moved,
        "ApproximateNumberOfMessagesToMove": task.to_move,
        "FailureReason": task.failure_reason,
        "StartedTimestamp": int(task.started_at * 1_000),
    }


def _handle(task: MessageMove) -> str:
    return base64.b64encode(task.key.encode()).decode()


def _read_handle(text: str) -> str:
    try:
        return base64.b64decode(text, validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidParameterValueException(
            "Value for parameter TaskHandle is invalid. "
            "Reason: It is none that StartMessageMoveTask returned."
        ) from None
