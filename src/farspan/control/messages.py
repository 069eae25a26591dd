"""The SQS operations on messages: sending, receiving, deleting, and all of it in batches.

What a caller may ask is decided here, with SQS's defaults, ranges and words; the messages
themselves are `queues.service`'s. Nothing here waits, keeps a message or reads a store directly.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.queues import check_range, find_queue
from farspan.errors import (
    AwsError,
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidAttributeName,
    InvalidBatchEntryId,
    InvalidParameterValueException,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
)
from farspan.model.fifo import with_fifo_members
from farspan.model.queue import Message, MessageAttribute, Queue
from farspan.queues.message import (
    ReceiptHandle,
    check_message,
    digest_attributes,
    digest_body,
    message_bytes,
    read_receipt_handle,
    select_attributes,
)
from farspan.queues.service import Outgoing, Received

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

# SQS API reference and developer guide, "Amazon SQS quotas".
DELAY_SECONDS_MAX: Final = 900
VISIBILITY_TIMEOUT_MAX: Final = 43_200
WAIT_SECONDS_MAX: Final = 20
RECEIVED_COUNT_MAX: Final = 10
BATCH_ENTRIES_MAX: Final = 10
BATCH_BYTES_MAX: Final = 1_048_576

_BATCH_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_TRACE_HEADER: Final = "AWSTraceHeader"

# What ReceiveMessage can be asked for, those of FIFO and dead-letter queues included: they are
# known names that a standard queue's message does not have.
_SYSTEM_ATTRIBUTES: Final = frozenset(
    {
        "All",
        "SenderId",
        "SentTimestamp",
        "ApproximateReceiveCount",
        "ApproximateFirstReceiveTimestamp",
        "SequenceNumber",
        "MessageDeduplicationId",
        "MessageGroupId",
        _TRACE_HEADER,
        "DeadLetterQueueSourceArn",
    }
)


# --- sending ---------------------------------------------------------------------------------


@operation("sqs", "SendMessage")
async def send_message(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put one message into a queue. It is durable on return."""
    queue = find_queue(plane, caller, params["QueueUrl"], "SendMessage")
    outgoing = _outgoing(queue, _message(plane, caller, params), params)
    [sent] = await _send(plane, queue, [outgoing])
    return sent


@operation("sqs", "SendMessageBatch")
async def send_message_batch(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put up to ten messages into a queue in one commit; those that are not valid fail alone."""
    queue = find_queue(plane, caller, params["QueueUrl"], "SendMessage")
    entries: Sequence[Params] = params["Entries"]
    _check_batch(entries, "SendMessageBatchRequestEntry")
    outgoing: dict[str, Outgoing] = {}
    failed: list[Output] = []
    batch_bytes = 0
    for entry in entries:
        try:
            message = _message(plane, caller, entry)
            batch_bytes += message_bytes(message)
            outgoing[entry["Id"]] = _outgoing(queue, message, entry)
        except AwsError as error:
            failed.append(_failed(entry["Id"], error))
    if batch_bytes > BATCH_BYTES_MAX:
        raise BatchRequestTooLong(
            f"Batch requests cannot be longer than {BATCH_BYTES_MAX} bytes. "
            f"You have sent {batch_bytes} bytes."
        )
    sent = await _send(plane, queue, list(outgoing.values())) if outgoing else []
    successful = [{"Id": key} | output for key, output in zip(outgoing, sent, strict=True)]
    return {"Successful": successful or None, "Failed": failed or None}


async def _send(plane: ControlPlane, queue: Queue, outgoing: Sequence[Outgoing]) -> list[Output]:
    if not queue.is_fifo:
        await plane.queues.send(queue, outgoing)
        return [_sent(entry.message) for entry in outgoing]
    accepted = await plane.queues.send_in_order(queue, outgoing)
    return [
        _sent(entry.message)
        | {"MessageId": first.message_id, "SequenceNumber": first.sequence_number}
        for entry, first in zip(outgoing, accepted, strict=True)
    ]


def _message(plane: ControlPlane, caller: Caller, params: Params) -> Message:
    """Return the message that the input describes, not yet checked against SQS's rules."""
    attributes = params.get("MessageAttributes") or {}
    return Message(
        message_id=plane.ids.uuid(),
        body=params["MessageBody"],
        sender_id=caller.account,  # what SQS states where an account's root calls
        sent_at=plane.clock.now(),
        attributes={name: _attribute(name, value) for name, value in attributes.items()},
        system_attributes=_system_attributes(params.get("MessageSystemAttributes") or {}),
    )


def _attribute(name: str, given: Params) -> MessageAttribute:
    if given.get("StringListValues") or given.get("BinaryListValues"):
        raise UnsupportedOperation(
            f"Message attribute list values are not supported by SQS: '{name}'."
        )
    return MessageAttribute(
        data_type=given.get("DataType") or "",
        string_value=given.get("StringValue"),
        binary_value=given.get("BinaryValue"),
    )


def _system_attributes(given: Mapping[str, Params]) -> dict[str, str]:
    for name, attribute in given.items():
        if name != _TRACE_HEADER:
            raise InvalidParameterValueException(
                f"Message system attribute name '{name}' is invalid. Valid is {_TRACE_HEADER}."
            )
        if attribute.get("DataType") != "String" or not attribute.get("StringValue"):
            raise InvalidParameterValueException(
                f"The message system attribute '{name}' must be a non-empty String."
            )
    return {name: attribute["StringValue"] for name, attribute in given.items()}


def _outgoing(queue: Queue, message: Message, params: Params) -> Outgoing:
    check_message(message, queue.maximum_message_size)
    delay = params.get("DelaySeconds")
    group_id = params.get("MessageGroupId")
    deduplication_id = params.get("MessageDeduplicationId")
    if queue.is_fifo:
        message = with_fifo_members(queue, message, group_id, deduplication_id)
        if delay not in (None, queue.delay_seconds):
            raise _not_of_type("DelaySeconds", delay)
    elif deduplication_id is not None:
        raise _not_of_type("MessageDeduplicationId", deduplication_id)
    elif group_id is not None:
        raise UnsupportedOperation(
            "Farspan's queues do not have fair queues yet. Send the message without MessageGroupId."
        )
    if delay is None:
        delay = queue.delay_seconds
    if not 0 <= delay <= DELAY_SECONDS_MAX:
        raise InvalidParameterValueException(
            f"Value {delay} for parameter DelaySeconds is invalid. "
            f"Reason: DelaySeconds must be >= 0 and <= {DELAY_SECONDS_MAX}."
        )
    return Outgoing(message=message, delay_seconds=delay)


def _not_of_type(name: str, value: object) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value {value} for parameter {name} is invalid. "
        "Reason: The request include parameter that is not valid for this queue type."
    )


def _sent(message: Message) -> Output:
    """Return what a sender is told; the digests are what SDKs verify."""
    system_attributes = {
        name: MessageAttribute(data_type="String", string_value=value)
        for name, value in message.system_attributes.items()
    }
    return {
        "MessageId": message.message_id,
        "MD5OfMessageBody": digest_body(message.body),
        "MD5OfMessageAttributes": digest_attributes(message.attributes),
        "MD5OfMessageSystemAttributes": digest_attributes(system_attributes),
    }


# --- receiving -------------------------------------------------------------------------------


@operation("sqs", "ReceiveMessage")
async def receive_message(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return visible messages, waiting for the first as long as the caller or the queue says."""
    queue = find_queue(plane, caller, params["QueueUrl"], "ReceiveMessage")
    limit = params.get("MaxNumberOfMessages")
    visibility = params.get("VisibilityTimeout")
    wait = params.get("WaitTimeSeconds")
    check_range("MaxNumberOfMessages", limit, 1, RECEIVED_COUNT_MAX)
    check_range("VisibilityTimeout", visibility, 0, VISIBILITY_TIMEOUT_MAX)
    check_range("WaitTimeSeconds", wait, 0, WAIT_SECONDS_MAX)
    attempt_id = params.get("ReceiveRequestAttemptId")
    if attempt_id is not None and not queue.is_fifo:
        raise _not_of_type("ReceiveRequestAttemptId", attempt_id)
    system_names = {
        *(params.get("AttributeNames") or ()),
        *(params.get("MessageSystemAttributeNames") or ()),
    }
    unknown = sorted(system_names - _SYSTEM_ATTRIBUTES)
    if unknown:
        raise InvalidAttributeName(f"Unknown Attribute {unknown[0]}.")
    received = await plane.queues.receive(
        queue,
        1 if limit is None else limit,
        queue.visibility_timeout if visibility is None else visibility,
        queue.receive_message_wait_time_seconds if wait is None else wait,
    )
    names = params.get("MessageAttributeNames") or ()
    return {"Messages": [_shown(entry, system_names, names) for entry in received] or None}


def _shown(received: Received, system_names: set[str], names: Sequence[str]) -> Output:
    """Return a message with the attributes asked for; the digest covers those returned."""
    message = received.message
    system_attributes = {
        "SenderId": message.sender_id,
        "SentTimestamp": _milliseconds(message.sent_at),
        "ApproximateReceiveCount": str(received.receive_count),
        "ApproximateFirstReceiveTimestamp": _milliseconds(received.first_received_at),
        "MessageGroupId": message.group_id,
        "MessageDeduplicationId": message.deduplication_id,
        "SequenceNumber": message.sequence_number,
        "DeadLetterQueueSourceArn": message.dead_letter_source_arn,
    } | message.system_attributes
    shown = {
        name: value
        for name, value in system_attributes.items()
        if value is not None and (name in system_names or "All" in system_names)
    }
    attributes = select_attributes(message.attributes, names)
    return {
        "MessageId": message.message_id,
        "ReceiptHandle": received.receipt_handle,
        "MD5OfBody": digest_body(message.body),
        "Body": message.body,
        "Attributes": shown or None,
        "MD5OfMessageAttributes": digest_attributes(attributes),
        "MessageAttributes": {
            name: _shown_attribute(attribute) for name, attribute in attributes.items()
        }
        or None,
    }


def _shown_attribute(attribute: MessageAttribute) -> dict[str, Any]:
    if attribute.binary_value is not None:
        return {"DataType": attribute.data_type, "BinaryValue": attribute.binary_value}
    return {"DataType": attribute.data_type, "StringValue": attribute.string_value}


def _milliseconds(seconds: float) -> str:
    return str(int(seconds * 1000))


@operation("sqs", "DeleteMessage")
async def delete_message(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a received message. Removing it again, or by an earlier receipt, changes nothing."""
    queue = find_queue(plane, caller, params["QueueUrl"], "DeleteMessage")
    await plane.queues.delete(
        queue, [read_receipt_handle(params["ReceiptHandle"], queue.timer_list)]
    )
    return {}


@operation("sqs", "DeleteMessageBatch")
async def delete_message_batch(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove up to ten received messages in one commit; handles that are not valid fail alone."""
    queue = find_queue(plane, caller, params["QueueUrl"], "DeleteMessage")
    entries: Sequence[Params] = params["Entries"]
    _check_batch(entries, "DeleteMessageBatchRequestEntry")
    handles: dict[str, ReceiptHandle] = {}
    failed: list[Output] = []
    for entry in entries:
        try:
            handles[entry["Id"]] = read_receipt_handle(entry["ReceiptHandle"], queue.timer_list)
        except AwsError as error:
            failed.append(_failed(entry["Id"], error))
    await plane.queues.delete(queue, list(handles.values()))
    return {"Successful": [{"Id": key} for key in handles] or None, "Failed": failed or None}


@operation("sqs", "ChangeMessageVisibility")
async def change_message_visibility(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Make a received message visible again so many seconds from now."""
    queue = find_queue(plane, caller, params["QueueUrl"], "ChangeMessageVisibility")
    timeout = _visibility_change(queue, params)
    [in_time] = await plane.queues.change_visibility(queue, [timeout])
    if not in_time:
        raise _stale_receipt(params)
    return {}


@operation("sqs", "ChangeMessageVisibilityBatch")
async def change_message_visibility_batch(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Change up to ten visibilities in one commit; entries that are not valid fail alone."""
    queue = find_queue(plane, caller, params["QueueUrl"], "ChangeMessageVisibility")
    entries: Sequence[Params] = params["Entries"]
    _check_batch(entries, "ChangeMessageVisibilityBatchRequestEntry")
    timeouts: list[tuple[ReceiptHandle, int]] = []
    asked: list[Params] = []
    failed: list[Output] = []
    for entry in entries:
        try:
            timeouts.append(_visibility_change(queue, entry))
            asked.append(entry)
        except AwsError as error:
            failed.append(_failed(entry["Id"], error))
    results = await plane.queues.change_visibility(queue, timeouts)
    successful: list[Output] = []
    for entry, in_time in zip(asked, results, strict=True):
        if in_time:
            successful.append({"Id": entry["Id"]})
        else:
            failed.append(_failed(entry["Id"], _stale_receipt(entry)))
    return {"Successful": successful or None, "Failed": failed or None}


def _visibility_change(queue: Queue, params: Params) -> tuple[ReceiptHandle, int]:
    timeout = params.get("VisibilityTimeout")
    if timeout is None:
        raise InvalidParameterValueException(
            "The request must contain the parameter VisibilityTimeout."
        )
    check_range("VisibilityTimeout", timeout, 0, VISIBILITY_TIMEOUT_MAX)
    return read_receipt_handle(params["ReceiptHandle"], queue.timer_list), timeout


def _stale_receipt(params: Params) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value {params['ReceiptHandle']} for parameter ReceiptHandle is invalid. "
        "Reason: Message does not exist or is not available for visibility timeout change."
    )


# --- batches ---------------------------------------------------------------------------------


def _check_batch(entries: Sequence[Params], entry_name: str) -> None:
    """Refuse a batch as a whole where its entries cannot be told apart or are too few or many."""
    if not entries:
        raise EmptyBatchRequest(f"There should be at least one {entry_name} in the request.")
    if len(entries) > BATCH_ENTRIES_MAX:
        raise TooManyEntriesInBatchRequest(
            f"Maximum number of entries per request are {BATCH_ENTRIES_MAX}. "
            f"You have sent {len(entries)}."
        )
    seen: set[str] = set()
    for entry in entries:
        entry_id = entry["Id"]
        if not _BATCH_ENTRY_ID.fullmatch(entry_id):
            raise InvalidBatchEntryId(
                "A batch entry id can only contain alphanumeric characters, hyphens and "
                "underscores. It can be at most 80 letters long."
            )
        if entry_id in seen:
            raise BatchEntryIdsNotDistinct(f"Id {entry_id} repeated.")
        seen.add(entry_id)


def _failed(entry_id: str, error: AwsError) -> Output:
    return {
        "Id": entry_id,
        "SenderFault": error.sender_fault,
        "Code": error.code,
        "Message": error.message,
    }
