"""Queue attributes: which can be set, to what, and how they are returned.

Pure. An attribute that Farspan does not act on must never be accepted in silence: it is refused by
name, unless the value given is the one that holds anyway.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from farspan.errors import InvalidAttributeName, InvalidAttributeValue

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farspan.model.queue import Queue
    from farspan.store.base import TimerCounts

POLICY: Final = "Policy"
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
    "RedrivePolicy": (frozenset({""}), "moving messages to a dead-letter queue after receives"),
    "RedriveAllowPolicy": (frozenset({""}), "redrive permissions"),
    "KmsMasterKeyId": (frozenset({""}), "encryption with KMS keys"),
    "KmsDataKeyReusePeriodSeconds": (frozenset(), "encryption with KMS keys"),
    "SqsManagedSseEnabled": (frozenset({"false"}), "server-side encryption"),
    "FifoQueue": (frozenset(), "FIFO queues"),
    "ContentBasedDeduplication": (frozenset(), "FIFO queues"),
    "DeduplicationScope": (frozenset(), "FIFO queues"),
    "FifoThroughputLimit": (frozenset(), "FIFO queues"),
}

_COUNTED: Final = (
    "ApproximateNumberOfMessages",
    "ApproximateNumberOfMessagesNotVisible",
    "ApproximateNumberOfMessagesDelayed",
)
_READ_ONLY: Final = ("QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", *_COUNTED)
_KNOWN: Final = frozenset({*_NUMBERS, *_NOT_THERE_YET, *_READ_ONLY, POLICY, ALL})


def with_attributes(queue: Queue, attributes: Mapping[str, str]) -> Queue:
    """Return the queue with attributes set.

    Raises InvalidAttributeName for what cannot be set, InvalidAttributeValue for a value out of
    range and for what Farspan does not have yet.
    """
    numbers: dict[str, int] = {}
    given = dict(queue.given)
    for name, value in attributes.items():
        if name in _NUMBERS:
            member, low, high = _NUMBERS[name]
            numbers[member] = _number(name, value, low, high)
        elif name == POLICY:
            _check_policy(value)
            given[POLICY] = value
            if not value:  # an empty policy is how a policy is taken away
                del given[POLICY]
        elif name in _NOT_THERE_YET:
            _check_changes_nothing(name, value)
        else:
            raise InvalidAttributeName(f"Unknown Attribute {name}.")
    return msgspec.structs.replace(queue, given=given, **numbers)


def differing_attribute(queue: Queue, wanted: Queue, names: Iterable[str]) -> str | None:
    """Return the first of the named attributes in which two queues differ, None where none is."""
    present, asked = settable_attributes(queue), settable_attributes(wanted)
    return next((name for name in names if present.get(name) != asked.get(name)), None)


def settable_attributes(queue: Queue) -> dict[str, str]:
    """Return what SetQueueAttributes can set, as it stands."""
    numbers = {name: str(getattr(queue, member)) for name, (member, _, _) in _NUMBERS.items()}
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
        msgspec.json.decode(value, type=dict[str, object])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError) as error:
        raise InvalidAttributeValue(
            f"Invalid value for the parameter Policy. Reason: It is not a JSON object: {error}."
        ) from error


def _check_changes_nothing(name: str, value: str) -> None:
    harmless, purpose = _NOT_THERE_YET[name]
    if value not in harmless:
        raise InvalidAttributeValue(
            f"Invalid value for the parameter {name}. Reason: Farspan's queues do not have "
            f"{purpose} yet. Leave the attribute out."
        )
