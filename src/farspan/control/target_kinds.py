"""Which kinds of targets there are, and what PutTargets asks of each.

Whether a target exists is not asked, as on AWS: a delivery to what is not there fails by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from farspan.control.plane import Caller, ControlPlane
from farspan.errors import ValidationException
from farspan.model.arn import Arn, parse_arn

API_DESTINATION = re.compile(r"api-destination/[.\-_A-Za-z0-9]{1,64}/[\-A-Za-z0-9]+")

KIND_MEMBERS = frozenset({"HttpParameters"})
"""Members that some kinds of targets have."""


def target_parameters(
    plane: ControlPlane, caller: Caller, own: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a target has for its kind alone, checked.

    `own` are the members of `given` that not every kind has. Raises ValidationException.
    """
    target_id, text = given["Id"], given["Arn"]
    arn = _parsed(text)
    if arn.service == "events" and API_DESTINATION.fullmatch(arn.resource):
        allowed = {"HttpParameters"}
        _check_owner(plane, caller, arn, text, "an API destination")
        if not given.get("RoleArn"):
            raise ValidationException(f"RoleArn is required for target {text}.")
    else:
        allowed = set()
        check_queue(plane, caller, text, f"target {target_id}")
    for member in own:
        if member not in allowed:
            where = f"for targets of {arn.service}" if member in KIND_MEMBERS else "yet"
            raise ValidationException(
                f"Parameter {member} is not valid for target {target_id}. "
                f"Reason: Farspan does not have {member} {where}."
            )
        _refuse_paths(member, own[member], target_id)
    return dict(own)


def check_queue(plane: ControlPlane, caller: Caller, text: str, role: str) -> None:
    """Accept the ARN of a standard queue of the caller's in this Region."""
    arn = _parsed(text)
    if arn.service != "sqs" or arn.resource.endswith(".fifo"):
        kind = "FIFO queues" if arn.service == "sqs" else f"targets of {arn.service}"
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Farspan does not have {kind} yet; "
            f"{role} can be a standard SQS queue."
        )
    _check_owner(plane, caller, arn, text, "a queue", role)


def _parsed(text: str) -> Arn:
    arn = parse_arn(text)
    if arn is None:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        )
    return arn


def _check_owner(
    plane: ControlPlane, caller: Caller, arn: Arn, text: str, kind: str, role: str = "it"
) -> None:
    if (arn.region, arn.account) != (plane.region, caller.account):
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: {role} must be {kind} of account "
            f"{caller.account} in Region {plane.region}."
        )


def _refuse_paths(member: str, given: object, target_id: str) -> None:
    """Refuse a JSON path, which EventBridge would replace by what the event has there."""
    if isinstance(given, str) and given.startswith("$."):
        raise ValidationException(
            f"Parameter {member} is not valid for target {target_id}. "
            f"Reason: Farspan does not have JSON paths in {member} yet."
        )
    if isinstance(given, Mapping):
        for value in given.values():
            _refuse_paths(member, value, target_id)
    elif isinstance(given, list):
        for value in given:
            _refuse_paths(member, value, target_id)
