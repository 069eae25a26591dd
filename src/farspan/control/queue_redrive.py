"""Redrive: to which queue messages go that were received too often, and who may send them there.

Pure. SQS's words where they are known. A policy is kept as SQS returns it, in compact JSON.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

from farspan.errors import InvalidParameterValueException
from farspan.model.arn import parse_arn

if TYPE_CHECKING:
    from collections.abc import Callable

    from farspan.model.queue import Queue

REDRIVE_POLICY: Final = "RedrivePolicy"
REDRIVE_ALLOW_POLICY: Final = "RedriveAllowPolicy"

MAX_RECEIVE_COUNT_MAX: Final = 1_000
SOURCE_QUEUES_MAX: Final = 10

_TARGET: Final = "deadLetterTargetArn"
_COUNT: Final = "maxReceiveCount"
_PERMISSIONS: Final = ("allowAll", "denyAll", "byQueue")


def with_redrive_policy(queue: Queue, text: str) -> Queue:
    """Return the queue with a redrive policy, or without one where the text is empty."""
    given = {name: value for name, value in queue.given.items() if name != REDRIVE_POLICY}
    if not text:
        return msgspec.structs.replace(
            queue, given=given, dead_letter_arn=None, max_receive_count=0
        )
    policy = _read(REDRIVE_POLICY, text)
    for name in (_TARGET, _COUNT):
        if policy.get(name) in (None, ""):
            raise _invalid(
                REDRIVE_POLICY,
                text,
                f"Redrive policy does not contain mandatory attribute: {name}.",
            )
    for name in policy:
        if name not in (_TARGET, _COUNT):
            raise _invalid(REDRIVE_POLICY, text, f"Unknown attribute: {name}.")
    target, count = policy[_TARGET], _count(policy[_COUNT])
    if count is None:
        raise _invalid(
            REDRIVE_POLICY,
            text,
            f"Invalid value for maxReceiveCount: {policy[_COUNT]}, valid values are from 1 to "
            f"{MAX_RECEIVE_COUNT_MAX} both inclusive.",
        )
    if not isinstance(target, str) or parse_arn(target) is None:
        raise _invalid(REDRIVE_POLICY, text, f"Invalid value for {_TARGET}.")
    given[REDRIVE_POLICY] = msgspec.json.encode({_TARGET: target, _COUNT: count}).decode()
    return msgspec.structs.replace(
        queue, given=given, dead_letter_arn=target, max_receive_count=count
    )


def with_redrive_allow_policy(queue: Queue, text: str) -> Queue:
    """Return the queue with the policy that says whose dead letters it takes; empty: all."""
    given = {name: value for name, value in queue.given.items() if name != REDRIVE_ALLOW_POLICY}
    if text:
        _check_allow_policy(text, _read(REDRIVE_ALLOW_POLICY, text))
        given[REDRIVE_ALLOW_POLICY] = text
    return msgspec.structs.replace(queue, given=given)


def check_dead_letter_queue(find: Callable[[str, str], Queue | None], queue: Queue) -> None:
    """Refuse a redrive policy whose dead-letter queue is not there, or does not take the queue's.

    `find` returns the Region's queue of an account and a name.
    """
    if queue.dead_letter_arn is None:
        return
    text = queue.given[REDRIVE_POLICY]
    arn = parse_arn(queue.dead_letter_arn)
    assert arn is not None, "the policy was read"
    found = find(arn.account, arn.resource)
    if found is None or found.arn != queue.dead_letter_arn or found.account != queue.account:
        raise _invalid(REDRIVE_POLICY, text, "Dead letter target does not exist.")
    if found.key == queue.key:
        raise _invalid(REDRIVE_POLICY, text, "A queue cannot be its own dead-letter queue.")
    if found.is_fifo != queue.is_fifo:
        raise _invalid(
            REDRIVE_POLICY, text, "Dead-letter queue must be same type of queue as the source."
        )
    if not _takes(found, queue.arn):
        raise _invalid(
            REDRIVE_POLICY,
            text,
            f"The RedriveAllowPolicy of {found.arn} does not let {queue.arn} use it.",
        )


def _takes(queue: Queue, source_arn: str) -> bool:
    text = queue.given.get(REDRIVE_ALLOW_POLICY)
    if text is None:
        return True
    policy = msgspec.json.decode(text)
    if policy["redrivePermission"] == "byQueue":
        return source_arn in policy["sourceQueueArns"]
    return bool(policy["redrivePermission"] == "allowAll")


def _check_allow_policy(text: str, policy: dict[str, Any]) -> None:
    permission, sources = policy.get("redrivePermission"), policy.get("sourceQueueArns")
    if not policy.keys() <= {"redrivePermission", "sourceQueueArns"}:
        reason = "Amazon SQS can't create the redrive allow policy. It has unknown members."
    elif permission not in _PERMISSIONS:
        reason = f"redrivePermission must be one of {', '.join(_PERMISSIONS)}."
    elif permission != "byQueue":
        reason = "sourceQueueArns goes with redrivePermission byQueue only." if sources else ""
    elif not _are_queues(sources):
        reason = f"sourceQueueArns must be a list of 1 to {SOURCE_QUEUES_MAX} ARNs of queues."
    else:
        reason = ""
    if reason:
        raise _invalid(REDRIVE_ALLOW_POLICY, text, reason)


def _are_queues(sources: object) -> bool:
    if not isinstance(sources, list) or not 1 <= len(sources) <= SOURCE_QUEUES_MAX:
        return False
    arns = [parse_arn(source) if isinstance(source, str) else None for source in sources]
    return all(arn is not None and arn.service == "sqs" for arn in arns)


def _count(given: object) -> int | None:
    """Return a receive count that SQS takes, as a number or in digits; None for another."""
    text = str(given) if isinstance(given, int | str) and not isinstance(given, bool) else ""
    # Four digits hold the limit; int() of a megabyte of digits would take its time.
    if not (text.isascii() and text.isdigit() and len(text) <= len(str(MAX_RECEIVE_COUNT_MAX))):
        return None
    return int(text) if 1 <= int(text) <= MAX_RECEIVE_COUNT_MAX else None


def _read(name: str, text: str) -> dict[str, Any]:
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeEncodeError):
        what = "Redrive policy" if name == REDRIVE_POLICY else "Redrive allow policy"
        raise _invalid(name, text, f"{what} is not a valid JSON map.") from None


def _invalid(name: str, text: str, reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value {text} for parameter {name} is invalid. Reason: {reason}"
    )
