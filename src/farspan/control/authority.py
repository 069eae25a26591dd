"""Whether a caller's own policies let it make a call: action, resource and keys of each.

Actions and resources are those of AWS's service authorization reference. Where a call names no
resource, or the reference has none for it, the resource is `*`. A bus's policy has its say within
the bus's own account; what it says to other accounts is not asked here, and a caller that no
policy bounds never comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from farspan.catalog.permissions import policy_of
from farspan.control.condition_keys import (
    Keys,
    call_keys,
    caller_keys,
    entry_bus_arn,
    in_one_partition,
    resource_keys,
)
from farspan.control.queues import queue_address
from farspan.errors import AccessDeniedException
from farspan.ingest.entries import condition_keys_of
from farspan.model.alarm import alarm_arn
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
from farspan.model.log_group import log_group_arn
from farspan.policy import Policy, Request

if TYPE_CHECKING:
    from farspan.control.plane import Caller, ControlPlane, Params
    from farspan.ingest.entries import Entry
    from farspan.model.endpoint import Endpoint

ANY: Final = "*"
READ_EVENTS: Final = "events:ReadEvents"
EVENTS_PRINCIPAL: Final = "events.amazonaws.com"

OPEN_TO_ALL: Final = frozenset(
    {
        ("route53", "GetCheckerIpRanges"),
        ("sts", "GetCallerIdentity"),
        ("sts", "GetSessionToken"),
        ("sts", "AssumeRole"),
    }
)
"""No permission is needed for these; the last weighs the role's trust besides."""

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
BUS_POLICY_ACTIONS: Final = frozenset(
    {"DescribeEventBus", "ListTagsForResource", "TagResource", "UntagResource"}
)
"""The operations on a bus that its own policy is asked about; those on rules are all asked."""

READS_FROM: Final[Mapping[str, Sequence[tuple[str, str | None]]]] = {
    "CreateApiDestination": (("ConnectionArn", None),),
    "CreateArchive": (("EventSourceArn", None),),
    "StartReplay": (("EventSourceArn", None), ("Destination", "Arn")),
}
"""The members with further resources for which the same action is needed."""

TAGGING: Final = frozenset({"CreateEventBus", "PutRule"})
"""The operations that make something with tags, for which TagResource is needed (API reference)."""

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

STREAM_OPERATIONS: Final = frozenset({"DeleteLogStream", "GetLogEvents", "PutLogEvents"})
"""The operations on a stream of a log group; the others are on the group."""

ALARM_OPERATIONS: Final = frozenset(
    {
        "DeleteAlarms",
        "DescribeAlarmHistory",
        "DescribeAlarms",
        "DisableAlarmActions",
        "EnableAlarmActions",
        "PutMetricAlarm",
        "SetAlarmState",
    }
)
"""The operations on alarms; where none is named, on all of the account's."""

ALARM_LISTS: Final = frozenset({"DeleteAlarms", "DisableAlarmActions", "EnableAlarmActions"})
"""Of these, those on several: each alarm is asked for."""

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

    Whoever hands a role to EventBridge needs iam:PassRole on it besides, and whoever makes
    something with tags events:TagResource.
    """
    if caller.grants is None or (service, operation_name) in OPEN_TO_ALL:
        return
    keys = caller_keys(caller, region=plane.region, now=plane.clock.now())
    action = f"{service}:{BATCH_ACTIONS.get(operation_name, operation_name)}"
    resource = _RESOURCES[service](plane, caller, operation_name, params)
    if service != "events":
        given = {**keys, **call_keys(operation_name, params)}
        named = _alarms_named(plane, caller, operation_name, params) or _controls_in(params)
        for each in named or (resource,):
            _demand(caller, action, each, given)
        return
    own, policy = _of_bus(plane, caller, operation_name, params)
    given = {**keys, **own, **call_keys(operation_name, params)}
    _demand(caller, action, resource, given, policy)
    if operation_name in TAGGING and params.get("Tags"):
        _demand(caller, "events:TagResource", resource, given, policy)
    for member, name in READS_FROM.get(operation_name, ()):
        text = params[member][name] if name else params[member]
        _demand(caller, action, in_one_partition(text), given)
    for arn in _roles_in(params):
        passed = {**keys, "iam:PassedToService": EVENTS_PRINCIPAL}
        _demand(caller, "iam:PassRole", in_one_partition(arn), passed)


def authorize_put(
    plane: ControlPlane, caller: Caller, entries: Sequence[Entry], endpoint: Endpoint | None
) -> None:
    """Return if the caller's policies let it put all of the entries, alone or to an endpoint.

    Entries that a policy cannot tell apart are asked about once. Raises AccessDeniedException.
    """
    keys = caller_keys(caller, region=plane.region, now=plane.clock.now())
    kinds = {(entry.event_bus_name, entry.source, entry.detail_type): entry for entry in entries}
    for entry in kinds.values():
        # Whichever bus of an endpoint an entry names, the Region that serves it has its own.
        named = entry.event_bus_name if endpoint is None else endpoint.event_bus_name
        bus_arn = entry_bus_arn(caller.account, plane.region, named)
        given = {**keys, **condition_keys_of(entry)}
        _demand(caller, "events:PutEvents", bus_arn, given, _own_policy(plane, caller, bus_arn))


def authorize_read_events(plane: ControlPlane, caller: Caller, event_bus: str) -> None:
    """Return if the caller's policies let it read the events of a bus, an ARN.

    AWS has no such call: the action is `events:ReadEvents`, which `events:*` covers and
    `events:Describe*` does not. Raises AccessDeniedException.
    """
    if caller.grants is not None:
        keys = caller_keys(caller, region=plane.region, now=plane.clock.now())
        _demand(caller, READ_EVENTS, event_bus, keys, _own_policy(plane, caller, event_bus))


def authorize_endpoint(caller: Caller, action: str, endpoint: str, *, now: float) -> None:
    """Return if the caller's policies allow an action on an endpoint, an ARN or `*`.

    For the pages about its route, which any node serves. Raises AccessDeniedException.
    """
    if caller.grants is not None:
        arn = parse_arn(endpoint)
        keys = caller_keys(caller, region=arn.region if arn else "", now=now)
        _demand(caller, f"events:{action}", endpoint, keys)


def authorize_own(plane: ControlPlane, caller: Caller, action: str, resource: str) -> None:
    """Return if the caller's policies allow an action of Farspan's own on a resource, an ARN.

    Such actions are `events:` ones, as `events:ReadEvents` is. Raises AccessDeniedException.
    """
    if caller.grants is not None:
        keys = caller_keys(caller, region=plane.region, now=plane.clock.now())
        _demand(caller, action, resource, keys)


def _demand(
    caller: Caller,
    action: str,
    resource: str,
    keys: Mapping[str, str | Sequence[str | None]],
    policy: Policy | None = None,
) -> None:
    """Raise AccessDeniedException where the caller's policies and the resource's do not allow it.

    `policy` is that of a resource of the caller's own account. Another account's is asked by
    whoever looks up the resource, and has to allow as well.
    """
    assert caller.grants is not None, "only a caller with policies is asked"
    arn = parse_arn(resource)
    owner = arn.account if arn is not None and arn.account else caller.account
    request = Request(
        principal=caller.arn,
        action=action,
        resource=resource,
        context={**keys, "aws:ResourceAccount": owner},
    )
    denial = caller.grants.denial(request, policy)
    if denial is not None:
        raise AccessDeniedException(denial)


def _own_policy(plane: ControlPlane, caller: Caller, bus_arn: str) -> Policy | None:
    """Return the policy of a bus of the caller's account and this Region, None where none is."""
    arn = parse_arn(bus_arn)
    assert arn is not None, "the ARN of a bus is one"
    if (arn.region, arn.account) != (plane.region, caller.account):
        return None
    bus = plane.resources.event_bus(arn.account, arn.resource.removeprefix("event-bus/"))
    return None if bus is None else policy_of(bus)


def _of_bus(
    plane: ControlPlane, caller: Caller, operation_name: str, params: Params
) -> tuple[Keys, Policy | None]:
    """Return the keys of the bus or rule that an operation is about, and the bus's policy.

    A bus's policy has no say in its own account's changes of the bus and of that policy, so that
    nobody locks themselves out.
    """
    found = _bus_and_rule(plane, caller, operation_name, params)
    if found is None:
        return {}, None
    bus_arn, rule = found
    arn = parse_arn(bus_arn)
    assert arn is not None, "the ARN of a bus is one"
    name = arn.resource.removeprefix("event-bus/")
    keys = resource_keys(plane, caller, arn.account, name, rule)
    changes_bus = rule is None and operation_name not in BUS_POLICY_ACTIONS
    return keys, None if changes_bus else _own_policy(plane, caller, bus_arn)


def _bus_and_rule(
    plane: ControlPlane, caller: Caller, name: str, params: Params
) -> tuple[str, str | None] | None:
    """Return the ARN of the bus, and the name of the rule on it, that an operation is about."""
    if "ResourceARN" in params:
        arn = parse_arn(params["ResourceARN"])
        kind, _, path = arn.resource.partition("/") if arn else ("", "", "")
        if arn is None or kind not in {"event-bus", "rule"}:
            return None
        bus, _, rule = path.rpartition("/") if kind == "rule" else (path, "", "")
        return event_bus_arn(arn.region, arn.account, bus or DEFAULT_BUS_NAME), rule or None
    if name in RULE_MEMBERS:
        bus_arn = entry_bus_arn(caller.account, plane.region, params.get("EventBusName"))
        return bus_arn, params[RULE_MEMBERS[name]]
    if name in BUS_BY_NAME or name in BUS_BY_MEMBER:
        given = params.get("Name" if name in BUS_BY_NAME else "EventBusName")
        return entry_bus_arn(caller.account, plane.region, given), None
    return None


def _controls_in(params: Params) -> Sequence[str]:
    """Return the routing controls of a call that names several."""
    entries = params.get("UpdateRoutingControlStateEntries") or ()
    return [in_one_partition(entry["RoutingControlArn"]) for entry in entries]


def _roles_in(params: Params) -> Iterator[str]:
    found = [params.get("RoleArn")]
    found += [target.get("RoleArn") for target in params.get("Targets") or () if target]
    yield from dict.fromkeys(arn for arn in found if arn)


# --- what a call names -----------------------------------------------------------------------


def _events_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    found = _bus_and_rule(plane, caller, name, params)
    if found is not None:
        bus_arn, rule = found
        return bus_arn if rule is None else _rule(bus_arn, rule)
    if "ResourceARN" in params:
        return in_one_partition(str(params["ResourceARN"]))
    if name.endswith("EventSource"):
        return event_source_arn(plane.region, params["Name"])
    return _kind_resource(plane, caller, name, params)


def _rule(bus_arn: str, name: str) -> str:
    arn = parse_arn(bus_arn)
    assert arn is not None, "the ARN of a bus is one"
    return rule_arn(arn.region, arn.account, arn.resource.removeprefix("event-bus/"), name)


def _kind_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    for ending, (member, word) in NAMED_KINDS.items():
        if name.endswith(ending) and member in params:
            if word == "endpoint":
                home = params.get("HomeRegion") or plane.region
                return endpoint_arn(home, caller.account, params[member])
            return f"arn:aws:events:{plane.region}:{caller.account}:{word}/{params[member]}"
    return ANY


def _sqs_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    del name
    if params.get("SourceArn"):
        return in_one_partition(str(params["SourceArn"]))
    if params.get("QueueUrl"):
        return queue_arn(plane.region, *queue_address(caller.account, params["QueueUrl"]))
    owner = params.get("QueueOwnerAWSAccountId") or caller.account
    queue = params.get("QueueName")
    return queue_arn(plane.region, owner, queue) if queue else ANY


def _route53_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    del plane, caller, name
    health_check_id = params.get("HealthCheckId")
    if params.get("ResourceType") == "healthcheck":
        health_check_id = params.get("ResourceId")
    return health_check_arn(health_check_id) if health_check_id else ANY


def _routing_control_resource(
    plane: ControlPlane, caller: Caller, name: str, params: Params
) -> str:
    del plane, caller, name
    return in_one_partition(str(params.get("RoutingControlArn") or ANY))


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


def _logs_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    if params.get("resourceArn"):
        return in_one_partition(str(params["resourceArn"]))
    group = params.get("logGroupName") or params.get("logGroupIdentifier") or ""
    if parse_arn(group) is not None:
        arn = in_one_partition(group).removesuffix(":*")
    else:
        arn = log_group_arn(plane.region, caller.account, group)
    if name in STREAM_OPERATIONS or not group:
        return f"{arn}:log-stream:{params.get('logStreamName') or ''}"
    return f"{arn}:*"


def _cloudwatch_resource(plane: ControlPlane, caller: Caller, name: str, params: Params) -> str:
    if params.get("ResourceARN"):
        return in_one_partition(str(params["ResourceARN"]))
    alarm = params.get("AlarmName") or ANY
    if name in ALARM_OPERATIONS:
        return alarm_arn(plane.region, caller.account, str(alarm))
    return ANY


def _alarms_named(plane: ControlPlane, caller: Caller, name: str, params: Params) -> Sequence[str]:
    """Return the ARNs of the alarms that an operation on several changes."""
    if name not in ALARM_LISTS:
        return ()
    return [alarm_arn(plane.region, caller.account, str(each)) for each in params["AlarmNames"]]


_RESOURCES: Final[Mapping[str, Callable[[ControlPlane, Caller, str, Params], str]]] = {
    "cloudwatch": _cloudwatch_resource,
    "events": _events_resource,
    "iam": _iam_resource,
    "logs": _logs_resource,
    "route53": _route53_resource,
    "route53-recovery-cluster": _routing_control_resource,
    "sqs": _sqs_resource,
    "sts": _sts_resource,
}
