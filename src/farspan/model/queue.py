"""Queues and their messages, as SQS has them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from farspan.model.arn import queue_arn


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A standard queue. Times are seconds; `maximum_message_size` is bytes. Defaults are SQS's."""

    KIND: ClassVar[str] = "queue"

    region: str
    account: str
    name: str
    visibility_timeout: int = 30
    message_retention_period: int = 345_600
    delay_seconds: int = 0
    receive_message_wait_time_seconds: int = 0
    maximum_message_size: int = 1_048_576
    given: dict[str, str] = {}
    created_timestamp: float = 0.0
    last_modified_timestamp: float = 0.0
    generation: int = 1

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return queue_arn(self.region, self.account, self.name)

    @property
    def key(self) -> str:
        """The key among queues."""
        return f"{self.account}/{self.name}"

    @property
    def timer_list(self) -> str:
        """The list of timers that the queue's messages are; a queue made anew starts empty."""
        return f"queue/{self.account}/{self.name}/{self.generation}"


class MessageAttribute(msgspec.Struct, frozen=True, kw_only=True):
    """A message attribute: a type name such as `String`, and its value in one of two forms."""

    data_type: str
    string_value: str | None = None
    binary_value: bytes | None = None


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A message as it is kept. `sent_at` is seconds since the epoch."""

    message_id: str
    body: str
    sender_id: str
    sent_at: float
    attributes: dict[str, MessageAttribute] = {}
    system_attributes: dict[str, str] = {}
