"""Queues and their messages, as SQS has them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from farspan.model.arn import queue_arn

FIFO_SUFFIX = ".fifo"


class Queue(msgspec.Struct, frozen=True, kw_only=True):
    """A queue, FIFO where its name says so. Times are seconds; `maximum_message_size` is bytes.

    Defaults are SQS's. `given` has the attributes that are kept as they were given, as text. A
    message received `max_receive_count` times goes to the queue `dead_letter_arn`.
    """

    KIND: ClassVar[str] = "queue"

    region: str
    account: str
    name: str
    visibility_timeout: int = 30
    message_retention_period: int = 345_600
    delay_seconds: int = 0
    receive_message_wait_time_seconds: int = 0
    maximum_message_size: int = 1_048_576
    content_based_deduplication: bool = False
    deduplication_scope: str = "queue"
    fifo_throughput_limit: str = "perQueue"
    dead_letter_arn: str | None = None
    max_receive_count: int = 0
    given: dict[str, str] = {}
    tags: dict[str, str] = {}
    created_timestamp: float = 0.0
    last_modified_timestamp: float = 0.0
    generation: int = 1

    @property
    def arn(self) -> str:
        """The queue's ARN."""
        return queue_arn(self.region, self.account, self.name)

    @property
    def is_fifo(self) -> bool:
        """Whether it is a FIFO queue."""
        return self.name.endswith(FIFO_SUFFIX)

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


class Message(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A message as it is kept. `sent_at` is seconds since the epoch.

    Those of FIFO queues have a group, a deduplication id and a sequence number; a dead letter has
    the ARN of the queue that gave it up.
    """

    message_id: str
    body: str
    sender_id: str
    sent_at: float
    attributes: dict[str, MessageAttribute] = {}
    system_attributes: dict[str, str] = {}
    group_id: str | None = None
    deduplication_id: str | None = None
    sequence_number: str | None = None
    dead_letter_source_arn: str | None = None
