"""What FIFO queues add to a message: the group, the deduplication id and the sequence number.

Pure. A message of a FIFO queue is a timer of its group; its deduplication id is a token of the
queue's list, and the note of that token tells a repeated sender what became of the first.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.store.base import PutInGroup

if TYPE_CHECKING:
    from farspan.model.queue import Message, Queue

DEDUPLICATION_SECONDS: Final = 300
"""SQS developer guide, "Exactly-once processing": the deduplication interval."""

SEQUENCE_DIGITS: Final = 20


class Accepted(msgspec.Struct, frozen=True, array_like=True):
    """What a sender is told of a message: of a repeated one, what the first sender was told."""

    message_id: str
    sequence_number: str


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Accepted).decode


def read_note(note: bytes) -> Accepted:
    """Return what `put_in_order` noted."""
    return _decode(note)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message goes in its queue: under which key, with which number, and from when on."""

    key: bytes
    sequence: int
    now: float
    due: float


def numbered(message: Message, sequence: int) -> Message:
    """Return a message with its sequence number."""
    return msgspec.structs.replace(message, sequence_number=f"{sequence:0{SEQUENCE_DIGITS}d}")


def put_in_order(queue: Queue, message: Message, body: bytes, place: Place) -> PutInGroup:
    """Return the change that puts a numbered message, of which `body` is the encoded form."""
    return PutInGroup(
        timers=queue.timer_list,
        group=message.group_id or "",
        key=place.key,
        due=place.due,
        body=body,
        note=_encode(Accepted(message.message_id, message.sequence_number or "")),
        token=_token(queue, message),
        now=place.now,
        token_until=place.now + DEDUPLICATION_SECONDS,
    )


def _token(queue: Queue, message: Message) -> bytes:
    """Return what tells duplicates: in the whole queue, or within the group where it says so."""
    parts = [message.deduplication_id or ""]
    if queue.deduplication_scope == "messageGroup":
        parts.append(message.group_id or "")
    return "\n".join(parts).encode()
