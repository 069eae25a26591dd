"""What a message of a FIFO queue has to have: a message group and a deduplication id. Pure."""

from __future__ import annotations

import hashlib
import re
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.errors import InvalidParameterValueException, MissingRequiredParameterException

if TYPE_CHECKING:
    from farspan.model.queue import Message, Queue

_MEMBER: Final = re.compile(r"[!-~]{1,128}")
"""Letters, digits and punctuation of ASCII (SQS API reference, SendMessage)."""


def with_fifo_members(
    queue: Queue, message: Message, group_id: str | None, deduplication_id: str | None
) -> Message:
    """Return a message with the group and the deduplication id that it has in a FIFO queue.

    Raises MissingRequiredParameterException without a group, InvalidParameterValueException for
    a member that is none and where there is nothing to tell duplicates by.
    """
    if group_id is None:
        raise MissingRequiredParameterException(
            "The request must contain the parameter MessageGroupId."
        )
    _check_member("MessageGroupId", group_id)
    if deduplication_id is None:
        if not queue.content_based_deduplication:
            raise InvalidParameterValueException(
                "The queue should either have ContentBasedDeduplication enabled or "
                "MessageDeduplicationId provided explicitly"
            )
        deduplication_id = hashlib.sha256(message.body.encode()).hexdigest()
    _check_member("MessageDeduplicationId", deduplication_id)
    return msgspec.structs.replace(message, group_id=group_id, deduplication_id=deduplication_id)


def _check_member(name: str, value: str) -> None:
    if not _MEMBER.fullmatch(value):
        raise InvalidParameterValueException(
            f"Value {value} for parameter {name} is invalid. Reason: {name} can only include "
            "alphanumeric and punctuation characters. 1 to 128 in length."
        )
