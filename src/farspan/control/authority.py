"""Whether a caller's own policies let it make a call: action, resource and context of each.

Actions and resources are those of AWS's service authorization reference. Where a call names no
resource, or the reference has none for it, the resource is `*`. What a resource's own policy says
is not asked here, and a caller that no policy bounds never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from farspan.control.queues import queue_address
from farspan.errors import AccessDeniedException
from farspan.model.arn import (
    endpoint_arn,
    event_bus_arn,
    event_source_arn,
    health_check_arn,
    parse_arn,
    queue_arn,
    role_arn,
    rule_arn,
)
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.policy import Request

if TYPE_CHECKING:
    from farspan.control.plane import Caller, ControlPlane, Params
    from farspan.ingest.entries import Entry
    from farspan.model.endpoint import Endpoint

ANY: Final = "*"
READ_EVENTS: Final = "events:ReadEvents"
EVENTS_PRINCIPAL: Final = "events.amazonaws.com"

OPEN_TO_ALL: Final = frozenset(
    {("sts", "GetCallerIdentity"), ("sts", "GetSessionToken"), ("sts", "AssumeRole")}
)
"""No permission is needed for the first two; the third weighs the role's trust as well."""

BATCH_ACTIONS: Final = {
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
    "DeleteMessageBatch": "DeleteMessage",
    "SendMessageBatch": "SendMessage",
}
"""SQS's batches have no actions of their own."""

BUS_BY_NAME: Final = frozenset(
    {"CreateEventBus", "DeleteEventBus", "DescribeEventBus", "UpdateEventBus"}
)
BUS_BY_MEMBER: Final = frozenset({"PutPermission", "RemovePermission"})
RULE_MEMBERS: Final = {
    "DeleteRule": "Name",
    "DescribeRule": "Name",
    "DisableRule": "Name",
    "EnableRule": "Name",
    "PutRule": "Name",
    "ListTargetsByRule": "Rule",
    "PutTargets": "Rule",
    "RemoveTargets": "Rule",
}
"""The operations on a rule, and the member that names it."""

NAMED_KINDS: Final = {
    "ApiDestination": ("Name", "api-destination"),
    "Archive": ("ArchiveName", "archive"),
    "Connection": ("Name", "connection"),
    "Endpoint": ("Name", "endpoint"),
    "Replay": ("ReplayName", "replay"),
}
"""Kinds by how their operations' names end: the member that names one, and its word in the ARN."""


def authorize(
    plane: ControlPlane, caller: Caller, service: str, operation_name: str, params: Params
) -> None:
    """Return if the caller's policies allow the call. Raises AccessDeniedException.

    Whoever hands a role to EventBridge needs iam:PassRole on it besides.
    """
    if caller.grants is None or (service, operation_name) in OPEN_TO_ALL:
        return
    context = context_of(caller, region=plane.region, now=plane.clock.now())
    action = f"{service}:{BATCH_ACTIONS.get(operation_name, operation_name)}"
    resource = _RESOURCES[service](plane, caller, operation_name, params)
    _demand(caller, action, resource, {**context, **_tag_context(params)})
    if service == "events":
        passed = {**context, "iam:PassedToService": EVENTS_PRINCIPAL}
        for arn in _roles_in(params):
            _demand(caller, "iam:PassRole", arn, passed)


def authorize_put(
    plane: ControlPlane, caller: Caller, entries: Sequence[Entry], endpoint: Endpoint | None
) -> None:
    """Return if the caller's policies let it put all of the entries, alone or to an endpoint.

    Entries that a policy cannot tell apart are asked about once. Raises AccessDeniedException.
    """
    context = context_of(caller, region=plane.region, now=plane.clock.now())
    kinds = dict.fromkeys((e.event_bus_name, e.source, e.detail_type) for e in entries)
    for name, source, detail_type in kinds:
        # Whichever bus of an endpoint an entry names, the Region that serves it has its own.
        named = name if endpoint is None else endpoint.event_bus_name
        bus_arn = entry_bus_arn(caller.account, plane.region, named)
        members = {"events:source": source, "events:detail-type": detail_type}
        given = {key: text for key, text in members.items() if text is not None}
        invoked = {"events:eventBusInvocation": "false"}
        _demand(caller, "events:PutEvents", bus_arn, {**context, **invoked, **given})


def authorize_read_events(plane: ControlPlane, caller: Caller, event_bus: str) -> None:
    """Return if the caller's policies let it read the events of a bus, an ARN.

    AWS has no such call: the action is `events:ReadEvents`, which `events:*` covers and
    `events:Describe*` does not. Raises AccessDeniedException.
    """
    if caller.grants is not None:
        context = context_of(caller, region=plane.region, now=plane.clock.now())
        _demand(caller, READ_EVENTS, event_bus, context)


def entry_bus_arn(account: str, region: str, given: str | None) -> str:
    """Return the ARN of the bus that an entry means by a name, an ARN or nothing."""
    arn = parse_arn(given) if given else None
    if arn is None:
        return event_bus_arn(region, account, given or DEFAULT_BUS_NAME)
    return event_bus_arn(arn.region, arn.account, arn.resource.removeprefix("event-bus/"))


def context_of(caller: Caller, *, region: str, now: float) -> dict[str, str]:
    """Return the condition keys that every request of a caller has.

    The node itself speaks plain HTTP, so that no request is known to have come securely.
    """
    moment = datetime.fromtimestamp(int(now), UTC)
    context = {
        "aws:CurrentTime": moment.isoformat().replace("+00:00", "Z"),
        "aws:EpochTime": str(int(now)),
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.role_arn or caller.arn,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "AssumedRole" if caller.role_arn else "User",
        "aws:RequestedRegion": region,
        "aws:SecureTransport": "false",
        "aws:ViaAWSService": "false",
        "aws:userid": caller.user_id or caller.account,
    }
    if caller.principal is None:
        context["aws:PrincipalType"] = "Account"
    elif caller.role_arn is None:
        context["aws:username"] = caller.principal.rpartition("/")[2]
    return context


def _demand(caller: Caller, action: str, resource: str, context: Mapping[str, Any]) -> None:
    assert caller.grants is not None, "only a caller with policies is asked"
    arn = parse_arn(resource)
    owner = arn.account if arn is not None and arn.account else caller.account
    request = Request(
        principal=caller.arn,
        action=action,
        resource=resource,
        context={**context, "aws:ResourceAccount": owner},
    )
    denial = caller.grants.denial(request)
    if denial is not None:
        raise AccessDeniedException(denial)


def _tag_context(params: Params) -> dict[str, Any]:
    """Return the condition keys of the tags that a request carries."""
    tags = params.get("Tags") or ()
    pairs = (
        tags.items()
        if isinstance(tags, Mapping)
        else [(tag.get("Key"), tag.get("Value")) for tag in tags if tag]
    )
    given = {str(key): str(value or "") for key, value in pairs if key}
    keys = [*given, *(params.get("TagKeys") or ())]
    context: dict[str, Any] = {f"aws:RequestTag/{key}": value for key, value in given.items()}
    return {**context, "aws:TagKeys": keys} if keys else context


def _roles_in(params: Params) -> Iterator[str]:
    found = [params.get("RoleArn")]
    found += [target.get("RoleArn") for target in params.get("Targets") or () if target]
    yield from dict.fromkeys(arn for arn in found if arn)


# --- what a call names -----------------------------------------------------------------------


def _in_one_partition(text: str) -> str:
    """Return an ARN as policies write it: whoever reads it below does not look at the partition."""
    arn = parse_arn(text)
    return text if arn is None else str(replace(arn, partition="aws"))


def _events_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    if "ResourceARN" in params:
        return _in_one_partition(str(params["ResourceARN"]))
    if name in RULE_MEMBERS:
        return _rule(plane, caller, params[RULE_MEMBERS[name]], params.get("EventBusName"))
    if name in BUS_BY_NAME or name in BUS_BY_MEMBER:
        given = params.get("Name" if name in BUS_BY_NAME else "EventBusName")
        return entry_bus_arn(caller.account, plane.region, given)
    if name.endswith("EventSource"):
        return event_source_arn(plane.region, params["Name"])
    return _kind_resource(plane, caller, name, params)


def _kind_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    for ending, (member, word) in NAMED_KINDS.items():
        if name.endswith(ending) and member in params:
            if word == "endpoint":
                home = params.get("HomeRegion") or plane.region
                return endpoint_arn(home, caller.account, params[member])
            return f"arn:aws:events:{plane.region}:{caller.account}:{word}/{params[member]}"
    return ANY


def _rule(plane: ControlPlane, caller: Caller, name: str, bus: str | None) -> str:
    arn = parse_arn(bus) if bus else None
    if arn is None:
        return rule_arn(plane.region, caller.account, bus or DEFAULT_BUS_NAME, name)
    return rule_arn(arn.region, arn.account, arn.resource.removeprefix("event-bus/"), name)


def _sqs_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    del name
    if params.get("SourceArn"):
        return _in_one_partition(str(params["SourceArn"]))
    if params.get("QueueUrl"):
        return queue_arn(plane.region, *queue_address(caller.account, params["QueueUrl"]))
    owner = params.get("QueueOwnerAWSAccountId") or caller.account
    queue = params.get("QueueName")
    return queue_arn(plane.region, owner, queue) if queue else ANY


def _route53_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    del plane, caller, name
    health_check_id = params.get("HealthCheckId")
    return health_check_arn(health_check_id) if health_check_id else ANY


def _iam_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    role_name = params.get("RoleName")
    if role_name is None:
        return role_arn(caller.account, "/", "") if name == "ListRoles" else ANY
    role = plane.world.role(caller.account, role_name)
    path = params.get("Path") or "/"
    return role.arn if role is not None else role_arn(caller.account, path, role_name)


def _sts_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    del plane, caller, name
    return str(params.get("RoleArn") or ANY)


_RESOURCES: Final[Mapping[str, Callable[[ControlPlane, Caller, str, Params], str]]] = {
    "events": _events_resource,
    "iam": _iam_resource,
    "route53": _route53_resource,
    "sqs": _sqs_resource,
    "sts": _sts_resource,
}
