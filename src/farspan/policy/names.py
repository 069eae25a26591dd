"""The names that a policy of an event bus may use: actions and condition keys.

A name that is not here is refused when the policy is stored, so that a misspelt condition never
lies in wait. Nothing here may look at a policy.

Sources: the EventBridge API (operations), the service authorization reference (permission-only
actions), "Using IAM policy conditions in Amazon EventBridge" and "AWS global condition context
keys" (condition keys).
"""

from __future__ import annotations

from typing import Final

EVENTS: Final = "events"

EVENTS_ACTIONS: Final = frozenset(
    {
        "ActivateEventSource",
        "CancelReplay",
        "CreateApiDestination",
        "CreateArchive",
        "CreateConnection",
        "CreateEndpoint",
        "CreateEventBus",
        "CreatePartnerEventSource",
        "DeactivateEventSource",
        "DeauthorizeConnection",
        "DeleteApiDestination",
        "DeleteArchive",
        "DeleteConnection",
        "DeleteEndpoint",
        "DeleteEventBus",
        "DeletePartnerEventSource",
        "DeleteRule",
        "DescribeApiDestination",
        "DescribeArchive",
        "DescribeConnection",
        "DescribeEndpoint",
        "DescribeEventBus",
        "DescribeEventSource",
        "DescribePartnerEventSource",
        "DescribeReplay",
        "DescribeRule",
        "DisableRule",
        "EnableRule",
        "InvokeApiDestination",
        "ListApiDestinations",
        "ListArchives",
        "ListConnections",
        "ListEndpoints",
        "ListEventBuses",
        "ListEventSources",
        "ListPartnerEventSourceAccounts",
        "ListPartnerEventSources",
        "ListReplays",
        "ListRuleNamesByTarget",
        "ListRules",
        "ListTagsForResource",
        "ListTargetsByRule",
        "PutEvents",
        "PutPartnerEvents",
        "PutPermission",
        "PutRule",
        "PutTargets",
        "RemovePermission",
        "RemoveTargets",
        "RetrieveConnectionCredentials",
        "StartReplay",
        "TagResource",
        "TestEventPattern",
        "UntagResource",
        "UpdateApiDestination",
        "UpdateArchive",
        "UpdateConnection",
        "UpdateEndpoint",
        "UpdateEventBus",
    }
)
"""What may follow `events:` in an action."""

EVENTS_CONDITION_KEYS: Final = frozenset(
    {
        "events:creatorAccount",
        "events:detail-type",
        "events:detail.eventTypeCode",
        "events:detail.service",
        "events:detail.userIdentity.principalId",
        "events:EventBusArn",
        "events:eventBusInvocation",
        "events:ManagedBy",
        "events:source",
        "events:TargetArn",
    }
)
"""EventBridge's own condition keys."""

GLOBAL_CONDITION_KEYS: Final = frozenset(
    {
        "aws:AssumedRoot",
        "aws:CalledVia",
        "aws:CalledViaFirst",
        "aws:CalledViaLast",
        "aws:ChatbotSourceArn",
        "aws:CurrentTime",
        "aws:Ec2InstanceSourcePrivateIPv4",
        "aws:Ec2InstanceSourceVpc",
        "aws:EpochTime",
        "aws:FederatedProvider",
        "aws:MultiFactorAuthAge",
        "aws:MultiFactorAuthPresent",
        "aws:PrincipalAccount",
        "aws:PrincipalArn",
        "aws:PrincipalIsAWSService",
        "aws:PrincipalOrgID",
        "aws:PrincipalOrgPaths",
        "aws:PrincipalServiceName",
        "aws:PrincipalServiceNamesList",
        "aws:PrincipalType",
        "aws:referer",
        "aws:RequestedRegion",
        "aws:ResourceAccount",
        "aws:ResourceOrgID",
        "aws:ResourceOrgPaths",
        "aws:SecureTransport",
        "aws:SourceAccount",
        "aws:SourceArn",
        "aws:SourceIdentity",
        "aws:SourceIp",
        "aws:SourceOrgID",
        "aws:SourceOrgPaths",
        "aws:SourceVpc",
        "aws:SourceVpcArn",
        "aws:SourceVpce",
        "aws:TagKeys",
        "aws:TokenIssueTime",
        "aws:UserAgent",
        "aws:userid",
        "aws:username",
        "aws:ViaAWSService",
        "aws:VpceAccount",
        "aws:VpceOrgID",
        "aws:VpceOrgPaths",
        "aws:VpcSourceIp",
    }
)
"""AWS's condition keys for all services."""

TAG_CONDITION_KEYS: Final = ("aws:PrincipalTag/", "aws:RequestTag/", "aws:ResourceTag/")
"""Condition keys that go on with the key of a tag."""

_LOWER_ACTIONS: Final = frozenset(action.lower() for action in EVENTS_ACTIONS)
_LOWER_KEYS: Final = frozenset(key.lower() for key in EVENTS_CONDITION_KEYS | GLOBAL_CONDITION_KEYS)
_LOWER_TAG_KEYS: Final = tuple(key.lower() for key in TAG_CONDITION_KEYS)
_OWN_VENDORS: Final = frozenset({"aws", EVENTS})


def events_action_names() -> frozenset[str]:
    """Return the actions of `events` in lower case, in which actions are compared."""
    return _LOWER_ACTIONS


def is_bus_condition_key(key: str) -> bool:
    """Tell whether a bus policy may use this condition key; keys are not case-sensitive."""
    lower = key.lower()
    if lower in _LOWER_KEYS:
        return True
    return any(lower.startswith(head) and lower != head for head in _LOWER_TAG_KEYS)


def is_condition_key(key: str) -> bool:
    """Tell whether the key could mean something in the policy of some service.

    The lists of `aws:` and `events:` are complete here. Another service's key is taken to be one
    of its own, and is missing from a request that does not carry it.
    """
    vendor, colon, name = key.lower().partition(":")
    if vendor in _OWN_VENDORS:
        return is_bus_condition_key(key)
    return bool(vendor and colon and name)
