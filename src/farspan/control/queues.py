"""The SQS operations: queues, and the messages in them.

What a caller may ask is decided here, with SQS's defaults, ranges and words; the messages
themselves are `queues.service`'s. Nothing here waits, keeps a message or reads a store directly.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import msgspec

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.queue_attributes import (
    attributes_of,
    check_names,
    differing_attribute,
    needs_counts,
    with_attributes,
)
from farspan.errors import (
    AwsError,
    BatchEntryIdsNotDistinct,
    BatchRequestTooLong,
    EmptyBatchRequest,
    InvalidAttributeName,
    InvalidBatchEntryId,
    InvalidParameterValueException,
    QueueDoesNotExist,
    QueueNameExists,
    TooManyEntriesInBatchRequest,
    UnsupportedOperation,
)
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
LISTED_COUNT_MAX: Final = 1_000

_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_BATCH_ENTRY_ID: Final = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_FIFO_SUFFIX: Final = ".fifo"
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


# --- queues ----------------------------------------------------------------------------------


@operation("sqs", "CreateQueue", changes_resources=True)
async def create_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a queue, or return the one that has this name and these attributes already."""
    name = params["QueueName"]
    attributes = params.get("Attributes") or {}
    _check_queue_name(name)
    if params.get("tags"):
        raise UnsupportedOperation(
            "Farspan's queues do not have tags yet. Create the queue without tags."
        )
    now = plane.clock.now()
    wanted = with_attributes(
        Queue(
            region=plane.region,
            account=caller.account,
            name=name,
            created_timestamp=now,
            last_modified_timestamp=now,
        ),
        attributes,
    )
    present = plane.resources.queue(caller.account, name)
    if present is not None:
        differing = differing_attribute(present, wanted, attributes)
        if differing is not None:
            raise QueueNameExists(
                "A queue already exists with the same name and a different value for attribute "
                f"{differing}"
            )
        return {"QueueUrl": _queue_url(plane, present)}
    generation = await plane.queues.next_generation(caller.account, name)
    queue = msgspec.structs.replace(wanted, generation=generation)
    await plane.resources.save(queue, now=now)
    return {"QueueUrl": _queue_url(plane, queue)}


@operation("sqs", "GetQueueUrl")
async def get_queue_url(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the URL of a queue of the caller's own."""
    owner = params.get("QueueOwnerAWSAccountId") or caller.account
    queue = plane.resources.queue(caller.account, params["QueueName"])
    if queue is None or owner != caller.account:
        raise _no_queue()
    return {"QueueUrl": _queue_url(plane, queue)}


@operation("sqs", "ListQueues")
async def list_queues(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the URLs of the caller's queues by name, a page at a time where MaxResults says so."""
    prefix = f"{caller.account}/{params.get('QueueNamePrefix') or ''}"
    page_size = params.get("MaxResults")
    _check_range("MaxResults", page_size, 1, LISTED_COUNT_MAX)
    after = _read_token(params.get("NextToken"))
    queues = [queue for queue in plane.resources.queues.starting_with(prefix) if queue.name > after]
    page = queues[: page_size or LISTED_COUNT_MAX]
    # SQS gives a token only to those who set MaxResults; the rest get the first 1,000.
    more = page_size is not None and len(queues) > len(page)
    return {
        "QueueUrls": [_queue_url(plane, queue) for queue in page] or None,
        "NextToken": _write_token(page[-1].name) if more else None,
    }


@operation("sqs", "GetQueueAttributes")
async def get_queue_attributes(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the attributes of a queue that the caller names; none named is none returned."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
    names = params.get("AttributeNames") or []
    check_names(names)
    counts = await plane.queues.counts(queue) if needs_counts(names) else None
    return {"Attributes": attributes_of(queue, counts, names) or None}


@operation("sqs", "SetQueueAttributes", changes_resources=True)
async def set_queue_attributes(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Set attributes of a queue: all of those given, or none."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
    now = plane.clock.now()
    changed = with_attributes(queue, params["Attributes"])
    await plane.resources.save(
        msgspec.structs.replace(changed, last_modified_timestamp=now), now=now
    )
    return {}


@operation("sqs", "PurgeQueue")
async def purge_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove every message of a queue.

    SQS needs up to 60 seconds for it, and refuses a second purge meanwhile. Here it is done on
    return, so there is nothing to refuse.
    """
    await plane.queues.purge(_find_queue(plane, caller, params["QueueUrl"]))
    return {}


@operation("sqs", "DeleteQueue", changes_resources=True)
async def delete_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a queue and its messages in one commit. The name is free at once."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
    await plane.resources.remove(queue, now=plane.clock.now(), also=plane.queues.ending(queue))
    return {}


def _check_queue_name(name: str) -> None:
    if name.endswith(_FIFO_SUFFIX):
        raise UnsupportedOperation(
            "Farspan does not have FIFO queues yet. Choose a name that does not end with .fifo."
        )
    if not _QUEUE_NAME.fullmatch(name):
        raise InvalidParameterValueException(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def _queue_url(plane: ControlPlane, queue: Queue) -> str:
    return f"{plane.url}/{queue.account}/{queue.name}"


def queue_address(account: str, url: str) -> tuple[str, str]:
    """Return account and name of the queue that a URL names, whatever the host and the path before.

    A URL without an account means the caller's, `account`. Raises QueueDoesNotExist for no URL.
    """
    try:
        path = urlsplit(url).path
    except ValueError:
        raise _no_queue() from None
    parts = [part for part in path.split("/") if part]
    if len(parts) > 1:
        return parts[-2], parts[-1]
    return account, "".join(parts)


def _find_queue(plane: ControlPlane, caller: Caller, url: str) -> Queue:
    """Return the queue that a URL names, whatever the host: clients reach a node by many.

    Raises QueueDoesNotExist, also where it is another account's.
    """
    account, name = queue_address(caller.account, url)
    queue = plane.resources.queue(account, name) if account == caller.account else None
    if queue is None:
        raise _no_queue()
    return queue


def _no_queue() -> QueueDoesNotExist:
    return QueueDoesNotExist("The specified queue does not exist.")


def _write_token(name: str) -> str:
    return base64.urlsafe_b64encode(name.encode()).decode()


def _read_token(token: str | None) -> str:
    try:
        return base64.b64decode(token or "", altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise InvalidParameterValueException(
            "Value for parameter NextToken is invalid. Reason: It is none that ListQueues returned."
        ) from None


def _check_range(name: str, value: int | None, low: int, high: int) -> None:
    if value is not None and not low <= value <= high:
        raise InvalidParameterValueException(
            f"Value {value} for parameter {name} is invalid. "
            f"Reason: Must be between {low} and {high}, if provided."
        )


# --- sending ---------------------------------------------------------------------------------


@operation("sqs", "SendMessage")
async def send_message(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put one message into a queue. It is durable on return."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
    outgoing = _outgoing(queue, _message(plane, caller, params), params)
    await plane.queues.send(queue, [outgoing])
    return _sent(outgoing.message)


@operation("sqs", "SendMessageBatch")
async def send_message_batch(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put up to ten messages into a queue in one commit; those that are not valid fail alone."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
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
    if outgoing:
        await plane.queues.send(queue, list(outgoing.values()))
    successful = [{"Id": entry_id} | _sent(sent.message) for entry_id, sent in outgoing.items()]
    return {"Successful": successful or None, "Failed": failed or None}


def _message(plane: ControlPlane, caller: Caller, params: Params) -> Message:
    """Return the message that the input describes, not yet checked against SQS's rules."""
    if params.get("MessageDeduplicationId") is not None:
        raise InvalidParameterValueException(
            f"Value {params['MessageDeduplicationId']} for parameter MessageDeduplicationId is "
            "invalid. Reason: The request include parameter that is not valid for this queue type."
        )
    if params.get("MessageGroupId") is not None:
        raise UnsupportedOperation(
            "Farspan's queues do not have fair queues yet. Send the message without MessageGroupId."
        )
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
    if delay is None:
        delay = queue.delay_seconds
    if not 0 <= delay <= DELAY_SECONDS_MAX:
        raise InvalidParameterValueException(
            f"Value {delay} for parameter DelaySeconds is invalid. "
            f"Reason: DelaySeconds must be >= 0 and <= {DELAY_SECONDS_MAX}."
        )
    return Outgoing(message=message, delay_seconds=delay)


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
    queue = _find_queue(plane, caller, params["QueueUrl"])
    limit = params.get("MaxNumberOfMessages")
    visibility = params.get("VisibilityTimeout")
    wait = params.get("WaitTimeSeconds")
    _check_range("MaxNumberOfMessages", limit, 1, RECEIVED_COUNT_MAX)
    _check_range("VisibilityTimeout", visibility, 0, VISIBILITY_TIMEOUT_MAX)
    _check_range("WaitTimeSeconds", wait, 0, WAIT_SECONDS_MAX)
    if params.get("ReceiveRequestAttemptId") is not None:
        raise InvalidParameterValueException(
            "Value for parameter ReceiveRequestAttemptId is invalid. "
            "Reason: The request include parameter that is not valid for this queue type."
        )
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
    } | message.system_attributes
    shown = {
        name: value
        for name, value in system_attributes.items()
        if name in system_names or "All" in system_names
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
    queue = _find_queue(plane, caller, params["QueueUrl"])
    await plane.queues.delete(
        queue, [read_receipt_handle(params["ReceiptHandle"], queue.timer_list)]
    )
    return {}


@operation("sqs", "DeleteMessageBatch")
async def delete_message_batch(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove up to ten received messages in one commit; handles that are not valid fail alone."""
    queue = _find_queue(plane, caller, params["QueueUrl"])
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
    queue = _find_queue(plane, caller, params["QueueUrl"])
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
    queue = _find_queue(plane, caller, params["QueueUrl"])
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
    _check_range("VisibilityTimeout", timeout, 0, VISIBILITY_TIMEOUT_MAX)
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
