"""Message move tasks: dead letters on their way back, or to another queue."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from farspan.model.arn import queue_arn


class MoveStatus(StrEnum):
    """Where a task stands. SQS's CANCELLING is over here before anyone can see it."""

    RUNNING = "RUNNING"  # the next step moves messages
    COMPLETED = "COMPLETED"  # as many were moved as there were at the start, or none is left
    CANCELLED = "CANCELLED"  # by CancelMessageMoveTask; what was moved stays moved
    FAILED = "FAILED"  # `failure_reason` says why


class MessageMove(msgspec.Struct, frozen=True, kw_only=True):
    """A task that moves the messages of `source`, a queue's name.

    They go to `destination_arn`, or, where that is None, each to the queue that gave it up.
    """

    KIND: ClassVar[str] = "message-move"

    region: str
    account: str
    source: str
    number: int
    destination_arn: str | None
    messages_per_second: int | None
    to_move: int
    started_at: float
    moved: int = 0
    status: MoveStatus = MoveStatus.RUNNING
    failure_reason: str | None = None

    @property
    def key(self) -> str:
        """The key among tasks; those of a queue are in order of their start."""
        return f"{self.account}/{self.source}/{self.number:010d}"

    @property
    def source_arn(self) -> str:
        """The ARN of the queue whose messages move."""
        return queue_arn(self.region, self.account, self.source)
