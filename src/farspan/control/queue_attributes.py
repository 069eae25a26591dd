"""Queue attributes: which can be set, to what, and how they are returned.

Pure. An attribute that Farspan does not act on must never be accepted in silence: it is refused by
name, unless the value given is the one that holds anyway.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.control.queue_redrive import (
    REDRIVE_ALLOW_POLICY,
    REDRIVE_POLICY,
    with_redrive_allow_policy,
    with_redrive_policy,
)
from farspan.errors import (
    InvalidAttributeName,
    InvalidAttributeValue,
    InvalidParameterValueException,
    ValidationException,
)
from farspan.policy import parse_queue_policy

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farspan.model.queue import Queue
    from farspan.store.base import TimerCounts

POLICY: Final = "Policy"
FIFO_QUEUE: Final = "FifoQueue"
CONTENT_BASED_DEDUPLICATION: Final = "ContentBasedDeduplication"
ALL: Final = "All"

# Member of `Queue`, lowest and highest value (SQS API reference, SetQueueAttributes).
_NUMBERS: Final = {
    "VisibilityTimeout": ("visibility_timeout", 0, 43_200),
    "MessageRetentionPeriod": ("message_retention_period", 60, 1_209_600),
    "DelaySeconds": ("delay_seconds", 0, 900),
    "ReceiveMessageWaitTimeSeconds": ("receive_message_wait_time_seconds", 0, 20),
    "MaximumMessageSize": ("maximum_message_size", 1_024, 1_048_576),
}

# What SQS has and Farspan has not: the values that change nothing, and what to call the rest.
_NOT_THERE_YET: Final[Mapping[str, tuple[frozenset[str], str]]] = {
    "KmsMasterKeyId": (frozenset({""}), "encryption with KMS keys"),
    "KmsDataKeyReusePeriodSeconds": (frozenset(), "encryption with KMS keys"),
    "SqsManagedSseEnabled": (frozenset({"false"}), "server-side encryption"),
}

# Member of `Queue`, and the values (SQS API reference, SetQueueAttributes).
_CHOICES: Final = {
    "DeduplicationScope": ("deduplication_scope", ("messageGroup", "queue")),
    "FifoThroughputLimit": ("fifo_throughput_limit", ("perQueue", "perMessageGroupId")),
}
_OF_FIFO: Final = frozenset({FIFO_QUEUE, CONTENT_BASED_DEDUPLICATION, *_CHOICES})

TAGS_MAX: Final = 50
TAG_KEY_CHARACTERS_MAX: Final = 128
TAG_VALUE_CHARACTERS_MAX: Final = 256
_TAG_TEXT: Final = re.compile(r"[\w\s.:/=+\-@]*")

_COUNTED: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_READ_ONLY: Final = ("QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", *_COUNTED)
_GIVEN: Final = (POLICY, REDRIVE_POLICY, REDRIVE_ALLOW_POLICY)
_KNOWN: Final = frozenset({*_NUMBERS, *_NOT_THERE_YET, *_READ_ONLY, *_OF_FIFO, *_GIVEN, ALL})


def with_attributes(queue: Queue, attributes: Mapping[str, str], *, is_new: bool = False) -> Queue:
    """Return the queue with attributes set. `is_new`: its type may still be chosen.

    Raises InvalidAttributeName for what cannot be set, InvalidAttributeValue for a value out of
    range and for what Farspan does not have yet.
    """
    for name, value in attributes.items():
        if name in _NUMBERS:
            member, low, high = _NUMBERS[name]
            number = _number(name, value, low, high)
            queue = msgspec.structs.replace(queue, **{member: number})
        elif name in _GIVEN:
            queue = _with_given(queue, name, value)
        elif name in _OF_FIFO and queue.is_fifo and (is_new or name != FIFO_QUEUE):
            queue = _with_fifo_attribute(queue, name, value)
        elif name in _NOT_THERE_YET:
            _check_changes_nothing(name, value)
        else:
            # SQS's word also for attributes of FIFO queues on a standard queue, false included.
            raise InvalidAttributeName(f"Unknown Attribute {name}.")
    if queue.fifo_throughput_limit != "perQueue" and queue.deduplication_scope == "queue":
        raise InvalidAttributeValue(
            "Invalid value for the parameter FifoThroughputLimit. Reason: perMessageGroupId is "
            "allowed only when the value for DeduplicationScope is messageGroup."
        )
    return queue


def _with_given(queue: Queue, name: str, value: str) -> Queue:
    if name == REDRIVE_POLICY:
        return with_redrive_policy(queue, value)
    if name == REDRIVE_ALLOW_POLICY:
        return with_redrive_allow_policy(queue, value)
    _check_policy(value)
    given = {kept: text for kept, text in queue.given.items() if kept != POLICY}
    if value:  # an empty policy is how a policy is taken away
        given[POLICY] = value
    return msgspec.structs.replace(queue, given=given)


def _with_fifo_attribute(queue: Queue, name: str, value: str) -> Queue:
    choices = ("true",) if name == FIFO_QUEUE else ("true", "false")
    member = "content_based_deduplication"
    if name in _CHOICES:
        member, choices = _CHOICES[name]
    if value not in choices:
        raise InvalidAttributeValue(
            f"Invalid value for the parameter {name}. Reason: Must be {' or '.join(choices)}."
        )
    if name == FIFO_QUEUE:
        return queue
    chosen = value if name in _CHOICES else value == "true"
    return msgspec.structs.replace(queue, **{member: chosen})


def with_tags(former: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the former tags with the given ones. Raises InvalidParameterValueException."""
    tags = {**former, **given}
    for key, value in given.items():
        if not 1 <= len(key) <= TAG_KEY_CHARACTERS_MAX or len(value) > TAG_VALUE_CHARACTERS_MAX:
            raise InvalidParameterValueException(
                f"Tag keys must be between 1 and {TAG_KEY_CHARACTERS_MAX} characters in length, "
                f"and tag values up to {TAG_VALUE_CHARACTERS_MAX}."
            )
        if not (_TAG_TEXT.fullmatch(key) and _TAG_TEXT.fullmatch(value)):
            raise InvalidParameterValueException(
                "Tag keys and values can only contain letters, digits, white space, and _.:/=+-@."
            )
        if key.lower().startswith("aws:"):
            raise InvalidParameterValueException("Tag keys that begin with aws: are AWS's own.")
    if len(tags) > TAGS_MAX:
        raise InvalidParameterValueException(f"Too many tags: a queue has at most {TAGS_MAX}.")
    return tags


def differing_attribute(queue: Queue, wanted: Queue, names: Iterable[str]) -> str | None:
    """Return the first of the named attributes in which two queues differ, None where none is."""
    present, asked = settable_attributes(queue), settable_attributes(wanted)
    return next((name for name in names if present.get(name) != asked.get(name)), None)


def settable_attributes(queue: Queue) -> dict[str, str]:
    """Return what SetQueueAttributes can set, as it stands."""
    numbers = {name: str(getattr(queue, member)) for name, (member, _, _) in _NUMBERS.items()}
    if queue.is_fifo:
        numbers |= {name: getattr(queue, member) for name, (member, _) in _CHOICES.items()}
        numbers[CONTENT_BASED_DEDUPLICATION] = str(queue.content_based_deduplication).lower()
        numbers[FIFO_QUEUE] = "true"
    return numbers | queue.given


def check_names(names: Iterable[str]) -> None:
    """Raise InvalidAttributeName where a name is none of a queue's."""
    for name in names:
        if name not in _KNOWN:
            raise InvalidAttributeName(f"Unknown Attribute {name}.")


def needs_counts(names: Iterable[str]) -> bool:
    """Tell whether answering needs the queue's messages to be counted."""
    return not {ALL, *_COUNTED}.isdisjoint(names)


def attributes_of(queue: Queue, counts: TimerCounts | None, names: Iterable[str]) -> dict[str, str]:
    """Return the named attributes as GetQueueAttributes does. Known but unset ones are left out."""
    attributes = settable_attributes(queue) | {
        "QueueArn": queue.arn,
        "CreatedTimestamp": str(int(queue.created_timestamp)),
        "LastModifiedTimestamp": str(int(queue.last_modified_timestamp)),
        "SqsManagedSseEnabled": "false",
    }
    if counts is not None:
        figures = (counts.due, counts.claimed, counts.waiting)
        attributes |= dict(zip(_COUNTED, map(str, figures), strict=True))
    wanted = set(names)
    return {n: value for n, value in attributes.items() if ALL in wanted or n in wanted}


def _number(name: str, value: str, low: int, high: int) -> int:
    # Seven digits hold every limit; int() of a megabyte of digits would take its time.
    if value.isascii() and value.isdigit() and len(value) <= len(str(high)):
        number = int(value)
        if low <= number <= high:
            return number
    raise InvalidAttributeValue(
        f"Invalid value for the parameter {name}. Reason: Must be an integer from {low} to {high}."
    )


def _check_policy(value: str) -> None:
    if not value:
        return
    try:
        parse_queue_policy(value)
    except ValidationException as error:
        raise InvalidAttributeValue(
            f"Invalid value for the parameter Policy. Reason: {error.message}"
        ) from error


def _check_changes_nothing(name: str, value: str) -> None:
    harmless, purpose = _NOT_THERE_YET[name]
    if value not in harmless:
        raise InvalidAttributeValue(
            f"Invalid value for the parameter {name}. Reason: Farspan's queues do not have "
            f"{purpose} yet. Leave the attribute out."
        )
