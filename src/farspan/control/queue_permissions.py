"""Permissions on queues: AddPermission and RemovePermission, which write the queue's policy.

What a policy allows is decided elsewhere.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.queue_attributes import POLICY, with_attributes
from farspan.control.queues import find_queue
from farspan.errors import InvalidParameterValueException, OverLimit
from farspan.model.queue import Queue

ACTIONS: Final = (
    "*",
    "SendMessage",
    "ReceiveMessage",
    "DeleteMessage",
    "ChangeMessageVisibility",
    "GetQueueAttributes",
    "GetQueueUrl",
)
"""What another account can be let do by AddPermission (SQS API reference)."""

ACTIONS_MAX: Final = 7

_LABEL: Final = re.compile(r"[A-Za-z0-9_\-]{1,80}")
_ACCOUNT: Final = re.compile(r"[0-9]{12}")


@operation("sqs", "AddPermission", changes_resources=True)
async def add_permission(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add a statement to a queue's policy that lets accounts do something with the queue."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    label, accounts, actions = params["Label"], params["AWSAccountIds"], params["Actions"]
    if not _LABEL.fullmatch(label):
        raise _invalid("Label", label, "Can only include letters, digits, hyphens, underscores.")
    for account in accounts:
        if not _ACCOUNT.fullmatch(account):
            raise _invalid("PrincipalId", account, "Unable to verify.")
    for action in actions:
        if action not in ACTIONS:
            raise _invalid("ActionName", action, f"Only {', '.join(ACTIONS[1:])} and * are valid.")
    if not accounts or not actions:
        raise InvalidParameterValueException("Give at least one account and one action.")
    if len(actions) > ACTIONS_MAX:
        raise OverLimit(f"{len(actions)} Actions were found, maximum allowed is {ACTIONS_MAX}.")
    policy = _policy_of(queue)
    if any(statement.get("Sid") == label for statement in policy["Statement"]):
        raise _invalid("Label", label, "Already exists.")
    policy["Statement"].append(
        {
            "Sid": label,
            "Effect": "Allow",
            "Principal": {"AWS": _one_or_many([f"arn:aws:iam::{a}:root" for a in accounts])},
            "Action": _one_or_many([f"SQS:{action}" for action in actions]),
            "Resource": queue.arn,
        }
    )
    await _save(plane, queue, policy)
    return {}


@operation("sqs", "RemovePermission", changes_resources=True)
async def remove_permission(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove the statement of a label from a queue's policy."""
    queue = find_queue(plane, caller, params["QueueUrl"])
    label, policy = params["Label"], _policy_of(queue)
    kept = [statement for statement in policy["Statement"] if statement.get("Sid") != label]
    if len(kept) == len(policy["Statement"]):
        raise _invalid("Label", label, "can't find label on existing policy.")
    await _save(plane, queue, policy | {"Statement": kept})
    return {}


def _policy_of(queue: Queue) -> dict[str, Any]:
    """Return a queue's policy as a document whose statements are a list; an empty one for none."""
    if POLICY not in queue.given:
        return {"Version": "2012-10-17", "Id": f"{queue.arn}/SQSDefaultPolicy", "Statement": []}
    policy: dict[str, Any] = msgspec.json.decode(queue.given[POLICY])
    statements = policy.get("Statement") or []
    return policy | {"Statement": statements if isinstance(statements, list) else [statements]}


async def _save(plane: ControlPlane, queue: Queue, policy: dict[str, Any]) -> None:
    text = msgspec.json.encode(policy).decode() if policy["Statement"] else ""
    now = plane.clock.now()
    changed = with_attributes(queue, {POLICY: text})
    await plane.resources.save(
        msgspec.structs.replace(changed, last_modified_timestamp=now), now=now
    )


def _one_or_many(texts: list[str]) -> str | list[str]:
    return texts[0] if len(texts) == 1 else texts


def _invalid(name: str, value: str, reason: str) -> InvalidParameterValueException:
    return InvalidParameterValueException(
        f"Value {value} for parameter {name} is invalid. Reason: {reason}"
    )
