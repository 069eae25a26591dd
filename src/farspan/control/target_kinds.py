"""Which kinds of targets there are, and what PutTargets asks of each.

Whether a target exists is not asked, as on AWS: a delivery to what is not there fails by name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from farspan.control.condition_keys import in_one_partition
from farspan.control.functions import has_url
from farspan.control.plane import Caller, ControlPlane
from farspan.delivery.event_values import parse_path
from farspan.delivery.parameters import paths_in
from farspan.errors import AccessDeniedException, ValidationException
from farspan.model.arn import Arn, parse_arn
from farspan.model.forwarding import ForwardRequest
from farspan.model.log_group import log_group_name_in
from farspan.model.queue import FIFO_SUFFIX
from farspan.targets.aws_kinds import MEMBERS, AwsKind, kind_of, no_url

API_DESTINATION = re.compile(r"api-destination/[.\-_A-Za-z0-9]{1,64}/[\-A-Za-z0-9]+")

EVENT_BUS = re.compile(r"event-bus/[/.\-_A-Za-z0-9]{1,256}")

WHOLE_EVENT_REFUSES = ("Input", "InputPath", "InputTransformer", "RetryPolicy")
"""What a target that is a bus cannot have."""

REST_API = re.compile(r"[A-Za-z0-9]+/[^/]+/(\*|GET|HEAD|OPTIONS|PUT|POST|PATCH|DELETE)(/.*)?")
"""An API of API Gateway: its id, a stage, a method and a path."""

GRAPHQL_API = re.compile(r"endpoints/graphql-api/[A-Za-z0-9]+")
"""An API of AppSync."""

KIND_MEMBERS = MEMBERS | {"AppSyncParameters", "HttpParameters", "SqsParameters"}
"""Members that some kinds of targets have."""


def target_parameters(
    plane: ControlPlane, caller: Caller, own: Mapping[str, Any], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Return what a target has for its kind alone, checked.

    `own` are the members of `given` that not every kind has. Raises ValidationException.
    """
    target_id, text = given["Id"], given["Arn"]
    arn = _parsed(text)
    kind = kind_of(arn)
    if kind is not None:
        _check_aws(plane, caller, arn, kind, given)
        allowed = kind.parameters
    elif arn.service == "events" and API_DESTINATION.fullmatch(arn.resource):
        _check_owner(plane, caller, arn, text, "an API destination")
        _check_role(given)
        allowed = frozenset({"HttpParameters"})
    elif arn.service == "logs" and log_group_name_in(arn.resource) is not None:
        _check_owner(plane, caller, arn, text, "a log group")
        allowed = frozenset()
    elif is_event_bus(arn):
        _check_role(given)
        allowed = frozenset()
    elif arn.service == "execute-api" and REST_API.fullmatch(arn.resource):
        _check_owner(plane, caller, arn, text, "an API")
        _check_url(plane, "execute-api", text)
        allowed = frozenset({"HttpParameters"})
    elif arn.service == "appsync" and GRAPHQL_API.fullmatch(arn.resource):
        _check_owner(plane, caller, arn, text, "a GraphQL API")
        _check_url(plane, "appsync", text)
        _check_role(given)
        if not (given.get("AppSyncParameters") or {}).get("GraphQLOperation"):
            raise _missing(given, ["AppSyncParameters"])
        allowed = frozenset({"AppSyncParameters"})
    else:
        check_queue(plane, text, f"target {target_id}", fifo=True)
        _check_message_group(arn, given)
        allowed = frozenset({"SqsParameters"})
    for member in own:
        if member not in allowed:
            where = f"for targets of {arn.service}" if member in KIND_MEMBERS else "yet"
            raise ValidationException(
                f"Parameter {member} is not valid for target {target_id}. "
                f"Reason: Farspan does not have {member} {where}."
            )
        _check_paths(member, own[member], target_id)
    return dict(own)


def is_event_bus(arn: Arn) -> bool:
    """Return whether an ARN is an event bus's."""
    return arn.service == "events" and EVENT_BUS.fullmatch(arn.resource) is not None


def check_bus_target(
    plane: ControlPlane, caller: Caller, given: Mapping[str, Any], own_bus: str
) -> None:
    """Refuse a bus that cannot be the target of a rule on `own_bus`, an ARN; other kinds pass.

    An event is forwarded whole, and by EventBridge's own retry policy (recorded from AWS; the texts
    are ours, but for the role's).
    """
    target_id, text = given["Id"], given["Arn"]
    arn = _parsed(text)
    if not is_event_bus(arn):
        return
    role = parse_arn(given["RoleArn"])
    if role is None or role.service != "iam":
        raise ValidationException(f"RoleArn of target {target_id} is no role's ARN.")
    if role.account != caller.account:
        raise AccessDeniedException("Cross-account pass role is not allowed.")
    if arn.region not in plane.regions:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Region {arn.region} is none of this "
            f"deployment ({', '.join(plane.regions)})."
        )
    if in_one_partition(text) == own_bus:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: an event bus cannot be a target of its own "
            "rules."
        )
    for member in WHOLE_EVENT_REFUSES:
        if given.get(member) is not None:
            raise ValidationException(
                f"Parameter {member} is not valid for target {target_id}. Reason: an event bus "
                f"takes no {member}."
            )


async def check_bus_lets_in(plane: ControlPlane, caller: Caller, given: Mapping[str, Any]) -> None:
    """Refuse a bus whose policy lets no event of the target's role in; other kinds pass.

    A Region that cannot be asked now is asked again with every event. Raises AccessDeniedException.
    """
    arn = _parsed(given["Arn"])
    if plane.forward is None or not is_event_bus(arn):
        return
    question = ForwardRequest(
        event_bus_arn=str(arn),
        from_region=plane.region,
        account=caller.account,
        role_arn=given["RoleArn"],
        events=(),
    )
    try:
        reply = await plane.forward(arn.region, question)
    except (OSError, msgspec.MsgspecError):
        return
    if reply.denial is not None:
        raise AccessDeniedException(reply.denial)


def _check_aws(
    plane: ControlPlane, caller: Caller, arn: Arn, kind: AwsKind, given: Mapping[str, Any]
) -> None:
    """Accept a target of another AWS service of the caller's, whose URL is known."""
    text = given["Arn"]
    if not (kind.service == "lambda" and has_url(plane, caller, arn.resource.split(":")[1])):
        _check_url(plane, kind.service, text)
    _check_owner(plane, caller, arn, text, f"a target of {arn.service}")
    if kind.needs_role:
        _check_role(given)
    missing = sorted(kind.required - given.keys())
    if missing:
        raise _missing(given, missing)


def _missing(given: Mapping[str, Any], members: Sequence[str]) -> ValidationException:
    return ValidationException(
        f"Parameter(s) {', '.join(members)} must be specified for target: {given['Id']}."
    )


def _check_url(plane: ControlPlane, service: str, text: str) -> None:
    """Refuse a target of a service whose URL the configuration does not have."""
    if service not in plane.targets.endpoints:
        raise ValidationException(f"Parameter {text} is not valid. Reason: {no_url(service)}")


def _check_role(given: Mapping[str, Any]) -> None:
    if not given.get("RoleArn"):
        raise ValidationException(f"RoleArn is required for target {given['Arn']}.")


def check_queue(plane: ControlPlane, text: str, role: str, *, fifo: bool = False) -> None:
    """Accept the ARN of a queue in this Region, of any account: its policy is asked by deliveries.

    `fifo` tells whether it may be a FIFO queue: a dead-letter queue may not, as on AWS.
    """
    arn = _parsed(text)
    if arn.service != "sqs":
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Farspan does not have targets of "
            f"{arn.service} yet; {role} can be an SQS queue."
        )
    if arn.resource.endswith(FIFO_SUFFIX) and not fifo:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: {role} must be a standard queue."
        )
    if arn.region != plane.region:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: {role} must be a queue in Region "
            f"{plane.region}. Only event buses can be targets in another Region."
        )


def _check_message_group(arn: Arn, given: Mapping[str, Any]) -> None:
    """Refuse a FIFO queue without a message group, and a message group for a standard queue."""
    group = (given.get("SqsParameters") or {}).get("MessageGroupId")
    if arn.resource.endswith(FIFO_SUFFIX):
        if not group:
            raise _missing(given, ["SqsParameters"])
    elif "SqsParameters" in given:
        raise ValidationException(
            f"Parameter SqsParameters is not valid for target {given['Id']}. "
            "Reason: only FIFO queues have message groups."
        )


def _parsed(text: str) -> Arn:
    arn = parse_arn(text)
    if arn is None:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        )
    return arn


def _check_owner(plane: ControlPlane, caller: Caller, arn: Arn, text: str, kind: str) -> None:
    if (arn.region, arn.account) != (plane.region, caller.account):
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: it must be {kind} of account "
            f"{caller.account} in Region {plane.region}."
        )


def _check_paths(member: str, given: object, target_id: str) -> None:
    """Refuse what is meant as a JSON path and is none that EventBridge has. The text is ours."""
    for path in paths_in(given):
        if parse_path(path) is None:
            raise ValidationException(
                f"Parameter {member} is not valid for target {target_id}. "
                f"Reason: `{path}` is not a supported JSON path."
            )
