"""SQS queues of this Region as targets, and as the place for dead letters.

A message's key derives from its delivery, so that a delivery that is repeated after a crash puts
one message. Into a FIFO queue goes the target's message group and no deduplication id: that is the
queue's affair, by content. It must never know how queues work: it sees them through `QueueWriter`
alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

from farspan.clock import format_uuid4
from farspan.errors import AwsError, InvalidParameterValueException
from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.fifo import with_fifo_members
from farspan.model.queue import Message, MessageAttribute, Queue
from farspan.store.base import StoreError
from farspan.targets.base import (
    INTERNAL_ERROR,
    INVALID_INPUT,
    INVALID_PARAMETER,
    NO_PERMISSIONS,
    NO_RESOURCE,
    DeadLetter,
)

BATCH_COUNT_MAX: Final = 500
"""One commit holds a batch: half of what a reader reads, for each of a lane's two workers."""

KEY_BYTES: Final = 16
SENDER_ID: Final = "events.amazonaws.com"
TRACE_ATTRIBUTE: Final = "AWSTraceHeader"

QueueLookup = Callable[[str, str], Queue | None]
"""Returns this Region's queue of an account and a name, or None."""


@dataclass(frozen=True, slots=True)
class QueueAccess:
    """Which queues there are, and whether one takes what a rule, by its ARN, sends to it."""

    find: QueueLookup
    takes: Callable[[Queue, str], bool]


class QueueWriter(Protocol):
    """What a target needs of the queues."""

    async def put(self, queue: Queue, messages: Sequence[tuple[bytes, Message]]) -> None:
        """Put messages under their keys in one commit; a key that is there already is left.

        Raises StoreError where nothing was put.
        """


class _Letter(NamedTuple):
    """A message on its way: the queue it is for, its key, its payload and its attributes."""

    queue_arn: str
    rule_arn: str
    key: bytes
    payload: bytes
    trace_header: str | None
    attributes: dict[str, MessageAttribute]
    group_id: str | None = None


class _Mailing:
    """Puts letters into queues, one commit for each queue, and words what came of it."""

    def __init__(self, queues: QueueWriter, access: QueueAccess, now: Callable[[], float]) -> None:
        self._queues = queues
        self._find = access.find
        self._takes = access.takes
        self._now = now

    async def mail(self, letters: Sequence[_Letter]) -> list[Outcome]:
        """Put each letter into its queue and return one outcome for each, in the same order."""
        outcomes: list[Outcome] = [DELIVERED] * len(letters)
        by_queue: dict[str, list[int]] = {}
        for place, letter in enumerate(letters):
            by_queue.setdefault(letter.queue_arn, []).append(place)
        now = self._now()
        for queue_arn, places in by_queue.items():
            queue = self._find_queue(queue_arn)
            messages: list[tuple[bytes, Message]] = []
            sent: list[int] = []
            rules = {letters[place].rule_arn for place in places}  # a lane's letters have one
            denied = {rule for rule in rules if queue is not None and not self._takes(queue, rule)}
            for place in places:
                letter = letters[place]
                checked = _checked(letter, queue, now, is_denied=letter.rule_arn in denied)
                if isinstance(checked, Outcome):
                    outcomes[place] = checked
                else:
                    messages.append((letters[place].key, checked))
                    sent.append(place)
            if queue is not None and messages:
                outcome = await self._put(queue, messages)
                for place in sent:
                    outcomes[place] = outcome
        return outcomes

    def _find_queue(self, queue_arn: str) -> Queue | None:
        arn = parse_arn(queue_arn)
        queue = self._find(arn.account, arn.resource) if arn is not None else None
        # The lookup knows this Region only: another Region's queue of the same name is not it.
        return queue if queue is not None and queue.arn == queue_arn else None

    async def _put(self, queue: Queue, messages: Sequence[tuple[bytes, Message]]) -> Outcome:
        try:
            await self._queues.put(queue, messages)
        except StoreError as error:
            return Outcome(
                verdict=Verdict.RETRYABLE, error_code=INTERNAL_ERROR, error_message=str(error)
            )
        return DELIVERED


class QueueTarget:
    """See `base.TargetSender`. The message's body is the payload."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(self, queues: QueueWriter, access: QueueAccess, now: Callable[[], float]) -> None:
        self._mailing = _Mailing(queues, access, now)

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`."""
        return await self._mailing.mail(
            [
                _Letter(
                    delivery.target_arn,
                    delivery.rule_arn,
                    _key_of(delivery.delivery_id),
                    delivery.payload,
                    delivery.trace_header,
                    {},
                    (delivery.parameters.get("SqsParameters") or {}).get("MessageGroupId"),
                )
                for delivery in deliveries
            ]
        )


class DeadLetterTarget:
    """See `base.DeadLetterSender`. The body is the payload that was attempted (AWS: captured)."""

    def __init__(self, queues: QueueWriter, access: QueueAccess, now: Callable[[], float]) -> None:
        self._mailing = _Mailing(queues, access, now)

    async def send(self, dead_letters: Sequence[DeadLetter]) -> list[Outcome]:
        """See `base.DeadLetterSender.send`. A delivery without a dead-letter queue has none."""
        return await self._mailing.mail(
            [
                _Letter(
                    letter.delivery.dead_letter_arn or "",
                    letter.delivery.rule_arn,
                    # Another key than the delivery's: its target may be the same queue.
                    _key_of(f"dead-letter:{letter.delivery.delivery_id}"),
                    letter.delivery.payload,
                    letter.delivery.trace_header,
                    dead_letter_attributes(letter),
                )
                for letter in dead_letters
            ]
        )


def dead_letter_attributes(letter: DeadLetter) -> dict[str, MessageAttribute]:
    """Return the message attributes that EventBridge gives a dead letter, all of type String."""
    texts = {
        "RULE_ARN": letter.delivery.rule_arn,
        "TARGET_ARN": letter.delivery.target_arn,
        "ERROR_CODE": letter.error_code,
        "ERROR_MESSAGE": letter.error_message,
    }
    if letter.exhausted_retry_condition is not None:
        texts["EXHAUSTED_RETRY_CONDITION"] = letter.exhausted_retry_condition
    if letter.retry_attempts is not None:
        texts["RETRY_ATTEMPTS"] = str(letter.retry_attempts)
    return {
        name: MessageAttribute(data_type="String", string_value=text)
        for name, text in texts.items()
    }


def _checked(
    letter: _Letter, queue: Queue | None, now: float, *, is_denied: bool
) -> Message | Outcome:
    """Return the letter as a message, or why its queue will never take it."""
    if queue is None:
        return _permanent(
            NO_RESOURCE,
            "The specified queue does not exist or you do not have access to it. "
            "(Service: AmazonSQS; Status Code: 400; "
            "Error Code: AWS.SimpleQueueService.NonExistentQueue; "
            f"Request ID: {_uuid_of(letter.key)}; Proxy: null)",
        )
    if is_denied:
        return _permanent(
            NO_PERMISSIONS,
            f"User: {SENDER_ID} is not authorized to perform: sqs:sendmessage on resource: "
            f"{queue.arn} because no resource-based policy allows the sqs:sendmessage action "
            "(Service: AmazonSQS; Status Code: 403; Error Code: AccessDenied; "
            f"Request ID: {_uuid_of(letter.key)}; Proxy: null)",
        )
    try:
        return _message(letter, queue, now)
    except UnicodeDecodeError:
        return INVALID_INPUT
    except AwsError as error:
        return _permanent(INVALID_PARAMETER, error.message)


def _message(letter: _Letter, queue: Queue, now: float) -> Message:
    """Return the letter as a message. Raises UnicodeDecodeError, and AwsError as SQS would."""
    if len(letter.payload) > queue.maximum_message_size:
        raise InvalidParameterValueException(
            "One or more parameters are invalid. Reason: Message must be shorter than "
            f"{queue.maximum_message_size} bytes."
        )
    message = Message(
        message_id=_uuid_of(letter.key),
        body=letter.payload.decode(),
        sender_id=SENDER_ID,
        sent_at=now,
        attributes=letter.attributes,
        system_attributes=(
            {} if letter.trace_header is None else {TRACE_ATTRIBUTE: letter.trace_header}
        ),
    )
    if queue.is_fifo:
        return with_fifo_members(queue, message, letter.group_id, None)
    return message


def _permanent(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.PERMANENT, error_code=code, error_message=message)


def _key_of(delivery_id: str) -> bytes:
    return hashlib.sha256(delivery_id.encode()).digest()[:KEY_BYTES]


def _uuid_of(key: bytes) -> str:
    """Return a key in the form of a UUID, so that a repeated delivery repeats its message's id."""
    return format_uuid4(key)
