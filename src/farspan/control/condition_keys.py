"""The condition keys that a call carries, the same for identity policies and for buses' policies.

Which key belongs to which action is from AWS's service authorization reference for EventBridge.
What a rule's pattern lets through is told by its literals alone: where a pattern says more than
those, the key has a value that nobody can tell, which no Allow passes and every Deny stops.
Nothing here may decide.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from farspan.control.managed_rules import managed_on
from farspan.control.plane import Caller, ControlPlane, Params
from farspan.model.arn import event_bus_arn, parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.pattern import compile_pattern
from farspan.pattern.parse import FieldClause

Keys = dict[str, str | Sequence[str | None]]
"""Condition keys and their values."""

PATTERN_KEYS: Final = {
    path: f"events:{path}"
    for path in (
        "source",
        "detail-type",
        "detail.eventTypeCode",
        "detail.service",
        "detail.userIdentity.principalId",
    )
}
"""The fields of a pattern that PutRule's policies can speak of."""


def caller_keys(caller: Caller, *, region: str, now: float) -> dict[str, str]:
    """Return the condition keys that every request of a caller has.

    Whether something before the node spoke TLS is not known here: only what a node did counts.
    """
    keys = {
        "aws:CurrentTime": _date(now),
        "aws:EpochTime": str(int(now)),
        "aws:PrincipalAccount": caller.account,
        "aws:PrincipalArn": caller.role_arn or caller.arn,
        "aws:PrincipalIsAWSService": "false",
        "aws:PrincipalType": "AssumedRole" if caller.role_arn else "User",
        "aws:RequestedRegion": region,
        "aws:SecureTransport": str(caller.is_secure).lower(),
        "aws:ViaAWSService": "false",
        "aws:userid": caller.user_id or caller.account,
    }
    if caller.issued_at is not None:
        keys["aws:TokenIssueTime"] = _date(caller.issued_at)
        keys["aws:MultiFactorAuthPresent"] = "false"  # AWS: the key is there for sessions only
    if caller.principal is None:
        keys["aws:PrincipalType"] = "Account"
    elif caller.role_arn is None:
        keys["aws:username"] = caller.principal.rpartition("/")[2]
    return keys


def _date(moment: float) -> str:
    return datetime.fromtimestamp(int(moment), UTC).isoformat().replace("+00:00", "Z")


def call_keys(operation_name: str, params: Params) -> Keys:
    """Return the keys that follow from what an operation is given.

    Raises InvalidEventPatternException where PutRule is given a pattern that is none.
    """
    keys: Keys = _tag_keys(params)
    if operation_name == "PutRule" and params.get("EventPattern"):
        keys |= pattern_keys(params["EventPattern"])
    if operation_name == "PutTargets":
        keys["events:TargetArn"] = [in_one_partition(each["Arn"]) for each in params["Targets"]]
    if operation_name in {"CreateEndpoint", "UpdateEndpoint"} and params.get("EventBuses"):
        keys["events:EventBusArn"] = [
            in_one_partition(bus["EventBusArn"]) for bus in params["EventBuses"]
        ]
    if operation_name == "PutMetricData":
        keys["cloudwatch:namespace"] = [params["Namespace"]]
    if operation_name == "PutMetricAlarm" and params.get("AlarmActions"):
        keys["cloudwatch:AlarmActions"] = list(params["AlarmActions"])
    return keys


def pattern_keys(text: str) -> Keys:
    """Return the keys of an event pattern. Raises InvalidEventPatternException.

    `$or` is several rules in one, so that a field which one of them leaves out cannot be told.
    """
    keys: Keys = {}
    conjunctions = compile_pattern(text).conjunctions
    for path, key in PATTERN_KEYS.items():
        found: dict[str | None, None] = {}
        for conjunction in conjunctions:
            clauses = [clause for clause in conjunction if clause.path == path]
            found |= dict.fromkeys(_literals(clauses[0]) if clauses else [None])
        if set(found) != {None} or _is_named(path, conjunctions):
            keys[key] = list(found)
    return keys


def _is_named(path: str, conjunctions: Sequence[Sequence[FieldClause]]) -> bool:
    return any(clause.path == path for conjunction in conjunctions for clause in conjunction)


def _literals(clause: FieldClause) -> list[str | None]:
    """Return the strings that a field may be; None stands for all that is no mere string."""
    condition = clause.condition
    texts = sorted(value for value in condition.values if isinstance(value, str))
    is_more = len(texts) < len(condition.values) or condition.tests or condition.absent
    return [*texts, *([None] if is_more else [])]


def resource_keys(
    plane: ControlPlane, caller: Caller, account: str, bus_name: str, rule_name: str | None
) -> Keys:
    """Return the keys of a bus, or of a rule on it: tags, who made the rule, and what manages it.

    A rule that is yet to be made counts as the caller's.
    """
    bus = plane.resources.event_bus(account, bus_name)
    tags = bus.tags if bus else {}
    keys: Keys = {}
    if rule_name is not None:
        managed = managed_on(plane, bus, rule_name) if bus else []
        rule = managed[0] if managed else plane.resources.rule(account, bus_name, rule_name)
        tags = rule.tags if rule else {}
        keys["events:creatorAccount"] = rule.creator_account if rule else caller.account
        if rule is not None and rule.managed_by:
            keys["events:ManagedBy"] = rule.managed_by
    return keys | {f"aws:ResourceTag/{key}": value for key, value in tags.items()}


def in_one_partition(text: str) -> str:
    """Return an ARN as policies write it: whoever reads it below does not look at the partition."""
    arn = parse_arn(text)
    return text if arn is None else str(replace(arn, partition="aws"))


def entry_bus_arn(account: str, region: str, given: str | None) -> str:
    """Return the ARN of the bus that an entry means by a name, an ARN or nothing."""
    arn = parse_arn(given) if given else None
    if arn is None:
        return event_bus_arn(region, account, given or DEFAULT_BUS_NAME)
    return event_bus_arn(arn.region, arn.account, arn.resource.removeprefix("event-bus/"))


def _tag_keys(params: Params) -> Keys:
    """Return the keys of the tags that a request carries."""
    tags = params.get("Tags") or ()
    pairs = (
        tags.items()
        if isinstance(tags, Mapping)
        else [(tag.get("Key"), tag.get("Value")) for tag in tags if tag]
    )
    given = {str(key): str(value or "") for key, value in pairs if key}
    names = [*given, *(params.get("TagKeys") or ())]
    keys: Keys = {f"aws:RequestTag/{key}": value for key, value in given.items()}
    return {**keys, "aws:TagKeys": names} if names else keys
