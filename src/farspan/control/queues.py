"""The SQS operations on queues: making, finding, listing, changing, emptying, removing.

What may be set is `queue_attributes`'; messages are `messages`'. Nothing here may keep a message.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final
from urllib.parse import urlsplit

import msgspec

from farspan.catalog.permissions import lets_in
from farspan.control.condition_keys import caller_keys
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.queue_attributes import (
    FIFO_QUEUE,
    attributes_of,
    check_names,
    differing_attribute,
    needs_counts,
    with_attributes,
    with_tags,
)
from farspan.control.queue_redrive import REDRIVE_POLICY, check_dead_letter_queue
from farspan.errors import (
    InvalidParameterValueException,
    QueueDoesNotExist,
    QueueNameExists,
)
from farspan.model.queue import FIFO_SUFFIX, Queue

# SQS API reference, ListQueues.
LISTED_COUNT_MAX: Final = 1_000

_QUEUE_NAME: Final = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_NAME_CHARACTERS_MAX: Final = 80


# --- queues ----------------------------------------------------------------------------------


@operation("sqs", "CreateQueue", changes_resources=True)
async def create_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a queue, or return the one that has this name and these attributes already."""
    name = params["QueueName"]
    attributes = params.get("Attributes") or {}
    _check_queue_name(name, is_fifo=FIFO_QUEUE in attributes)
    now = plane.clock.now()
    wanted = with_attributes(
        Queue(
            region=plane.region,
            account=caller.account,
            name=name,
            created_timestamp=now,
            last_modified_timestamp=now,
            tags=with_tags({}, params.get("tags") or {}),
        ),
        attributes,
        is_new=True,
    )
    present = plane.resources.queue(caller.account, name)
    if present is not None:
        differing = differing_attribute(present, wanted, attributes)
        if differing is not None:
            raise QueueNameExists(
                "A queue already exists with the same name and a different value for attribute "
                f"{differing}"
            )
        return {"QueueUrl": queue_url(plane, caller, present)}
    check_dead_letter_queue(plane.resources.queue, wanted)
    generation = await plane.queues.next_generation(caller.account, name)
    queue = msgspec.structs.replace(wanted, generation=generation)
    await plane.resources.save(queue, now=now)
    return {"QueueUrl": queue_url(plane, caller, queue)}


@operation("sqs", "GetQueueUrl")
async def get_queue_url(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the URL of a queue of the caller's own, or of one that lets the caller in."""
    owner = params.get("QueueOwnerAWSAccountId") or caller.account
    found = plane.resources.queue(owner, params["QueueName"])
    queue = _permitted(plane, caller, found, "GetQueueUrl")
    return {"QueueUrl": queue_url(plane, caller, queue)}


@operation("sqs", "ListQueues")
async def list_queues(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the URLs of the caller's queues by name, a page at a time where MaxResults says so."""
    prefix = f"{caller.account}/{params.get('QueueNamePrefix') or ''}"
    page_size = params.get("MaxResults")
    check_range("MaxResults", page_size, 1, LISTED_COUNT_MAX)
    after = _read_token(params.get("NextToken"))
    queues = [queue for queue in plane.resources.queues.starting_with(prefix) if queue.name > after]
    page = queues[: page_size or LISTED_COUNT_MAX]
    # SQS gives a token only to those who set MaxResults; the rest get the first 1,000.
    more = page_size is not None and len(queues) > len(page)
    return {
        "QueueUrls": [queue_url(plane, caller, queue) for queue in page] or None,
        "NextToken": _write_token(page[-1].name) if more else None,
    }


@operation("sqs", "GetQueueAttributes")
async def get_queue_attributes(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the attributes of a queue that the caller names; none named is none returned."""
    queue = find_queue(plane, caller, params["QueueUrl"], "GetQueueAttributes")
    names = params.get("AttributeNames") or []
    check_names(names)
    counts = await plane.queues.counts(queue) if needs_counts(names) else None
    return {"Attributes": attributes_of(queue, counts, names) or None}


@operation("sqs", "SetQueueAttributes", changes_resources=True)
async def set_queue_attributes(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Set attributes of a queue: all of those given, or none."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    now = plane.clock.now()
    changed = with_attributes(queue, params["Attributes"])
    if REDRIVE_POLICY in params["Attributes"]:
        check_dead_letter_queue(plane.resources.queue, changed)
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
    await plane.queues.purge(find_queue(plane, caller, params["QueueUrl"], "PurgeQueue"))
    return {}


@operation("sqs", "DeleteQueue", changes_resources=True)
async def delete_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a queue and its messages in one commit. The name is free at once."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    await plane.resources.remove(queue, now=plane.clock.now(), also=plane.queues.ending(queue))
    return {}


# --- what belongs to a queue -----------------------------------------------------------------


@operation("sqs", "ListDeadLetterSourceQueues")
async def list_dead_letter_source_queues(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Return the URLs of the queues whose dead letters come to a queue, a page at a time."""
    queue = find_queue(plane, caller, params["QueueUrl"], "ListDeadLetterSourceQueues")
    page_size = params.get("MaxResults")
    check_range("MaxResults", page_size, 1, LISTED_COUNT_MAX)
    after = _read_token(params.get("NextToken"))
    sources = [
        source
        for source in plane.resources.queues.starting_with(f"{queue.account}/")
        if source.dead_letter_arn == queue.arn and source.name > after
    ]
    page = sources[: page_size or LISTED_COUNT_MAX]
    more = page_size is not None and len(sources) > len(page)
    return {
        "queueUrls": [queue_url(plane, caller, source) for source in page],
        "NextToken": _write_token(page[-1].name) if more else None,
    }


@operation("sqs", "TagQueue", changes_resources=True)
async def tag_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add tags to a queue; one with a known key is overwritten."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    tags = with_tags(queue.tags, params["Tags"])
    await plane.resources.save(msgspec.structs.replace(queue, tags=tags), now=plane.clock.now())
    return {}


@operation("sqs", "UntagQueue", changes_resources=True)
async def untag_queue(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags from a queue. Keys that it does not have are removed already."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    tags = {key: value for key, value in queue.tags.items() if key not in params["TagKeys"]}
    await plane.resources.save(msgspec.structs.replace(queue, tags=tags), now=plane.clock.now())
    return {}


@operation("sqs", "ListQueueTags")
async def list_queue_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a queue's tags."""
    return {"Tags": find_queue(plane, caller, params["QueueUrl"]).tags or None}


# --- names -----------------------------------------------------------------------------------


def _check_queue_name(name: str, *, is_fifo: bool) -> None:
    stem = name.removesuffix(FIFO_SUFFIX) if is_fifo else name
    is_valid = _QUEUE_NAME.fullmatch(stem) and len(name) <= _NAME_CHARACTERS_MAX
    if is_fifo and (not is_valid or stem == name):
        raise InvalidParameterValueException(
            "The name of a FIFO queue can only include alphanumeric characters, hyphens, or "
            "underscores, must end with .fifo suffix and be 1 to 80 in length"
        )
    if not is_valid:
        raise InvalidParameterValueException(
            "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
        )


def queue_url(plane: ControlPlane, caller: Caller, queue: Queue) -> str:
    """Return the URL that a client is told: some SDKs call the queue there."""
    return f"{caller.url or plane.url}/{queue.account}/{queue.name}"


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


def find_queue(plane: ControlPlane, caller: Caller, url: str, action: str | None = None) -> Queue:
    """Return the queue that a URL names, whatever the host: clients reach a node by many.

    `action` is what another account may be let do by the queue's policy, None where nothing.
    Raises QueueDoesNotExist, also where it is another account's that lets nobody in.
    """
    account, name = queue_address(caller.account, url)
    return _permitted(plane, caller, plane.resources.queue(account, name), action)


def _permitted(
    plane: ControlPlane, caller: Caller, queue: Queue | None, action: str | None
) -> Queue:
    if queue is not None and queue.account == caller.account:
        return queue
    if (
        queue is None
        or action is None
        or not lets_in(
            queue,
            account=caller.account,
            principal=caller.arn,
            action=f"sqs:{action}",
            context=caller_keys(caller, region=plane.region, now=plane.clock.now()),
        )
    ):
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


def check_range(name: str, value: int | None, low: int, high: int) -> None:
    """Raise InvalidParameterValueException where a value is given and out of its range."""
    if value is not None and not low <= value <= high:
        raise InvalidParameterValueException(
            f"Value {value} for parameter {name} is invalid. "
            f"Reason: Must be between {low} and {high}, if provided."
        )
