"""Operations that Farspan does not have answer by name, and never with a success."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

Refusal = Callable[..., tuple[str, str]]
EAST = "us-east-1"
UNKNOWN = {
    "events": "UnknownOperationException",
    "sqs": "UnknownOperationException",
    "route53": "InvalidAction",
    "sts": "InvalidAction",
}


@pytest.mark.parametrize(
    ("service", "operation", "method", "params"),
    [
        (
            "events",
            "PutPermission",
            "put_permission",
            {"Action": "events:PutEvents", "Principal": "111111111111", "StatementId": "s"},
        ),
        ("events", "UpdateEventBus", "update_event_bus", {"Name": "default"}),
        ("events", "EnableRule", "enable_rule", {"Name": "r"}),
        ("events", "DisableRule", "disable_rule", {"Name": "r"}),
        ("events", "ListRuleNamesByTarget", "list_rule_names_by_target", {"TargetArn": "a"}),
        ("events", "TagResource", "tag_resource", {"ResourceARN": "a", "Tags": []}),
        ("events", "ListArchives", "list_archives", {}),
        ("events", "ListReplays", "list_replays", {}),
        ("events", "ListConnections", "list_connections", {}),
        ("events", "ListApiDestinations", "list_api_destinations", {}),
        (
            "sqs",
            "StartMessageMoveTask",
            "start_message_move_task",
            {"SourceArn": f"arn:aws:sqs:{EAST}:000000000000:q"},
        ),
        ("sqs", "ListQueueTags", "list_queue_tags", {"QueueUrl": "http://localhost/q"}),
        ("sqs", "TagQueue", "tag_queue", {"QueueUrl": "http://localhost/q", "Tags": {"a": "b"}}),
        (
            "sqs",
            "ListDeadLetterSourceQueues",
            "list_dead_letter_source_queues",
            {"QueueUrl": "http://localhost/q"},
        ),
        ("route53", "ListHostedZones", "list_hosted_zones", {}),
        ("route53", "GetHealthCheckCount", "get_health_check_count", {}),
        ("route53", "GetCheckerIpRanges", "get_checker_ip_ranges", {}),
        (
            "route53",
            "GetHealthCheckLastFailureReason",
            "get_health_check_last_failure_reason",
            {"HealthCheckId": "h"},
        ),
        (
            "route53",
            "ListTagsForResource",
            "list_tags_for_resource",
            {"ResourceType": "healthcheck", "ResourceId": "h"},
        ),
        (
            "sts",
            "AssumeRole",
            "assume_role",
            {"RoleArn": "arn:aws:iam::000000000000:role/r", "RoleSessionName": "s2"},
        ),
        ("sts", "GetSessionToken", "get_session_token", {}),
    ],
    ids=lambda value: value if isinstance(value, str) and value[0].isupper() else "",
)
def test_an_operation_that_is_not_there_yet(
    client: Callable[..., BaseClient],
    refusal: Refusal,
    service: str,
    operation: str,
    method: str,
    params: dict[str, Any],
) -> None:
    """The error names service and operation; in XML, AWS's code for it is InvalidAction."""
    assert (
        UNKNOWN[service],
        f"Farspan does not have the operation {service}:{operation} yet.",
    ) == refusal(getattr(client(service), method), **params)


@pytest.mark.parametrize(
    ("service", "method", "code", "named"),
    [
        (
            "cloudwatch",
            "list_metrics",
            "UnknownOperationException",
            " 'GraniteServiceVersion20100801.ListMetrics'",
        ),
        ("dynamodb", "list_tables", "UnknownOperationException", " 'DynamoDB_20120810.ListTables'"),
        ("sns", "list_topics", "InvalidAction", " 'ListTopics'"),
        ("iam", "list_roles", "InvalidAction", " 'ListRoles'"),
        ("eventbridgev2", "list_event_buses", "UnknownOperationException", " 'ListEventBuses'"),
    ],
    ids=["cloudwatch", "dynamodb", "sns", "iam", "eventbridgev2"],
)
def test_a_service_that_is_not_there(
    client: Callable[..., BaseClient],
    refusal: Refusal,
    service: str,
    method: str,
    code: str,
    named: str,
) -> None:
    """Another service through the same URL is refused in its own protocol, and by name."""
    assert (
        code,
        f"No service of this endpoint knows the requested operation{named}.",
    ) == refusal(getattr(client(service), method))


@pytest.mark.parametrize(
    ("service", "method", "params"),
    [
        ("lambda", "list_functions", {}),
        ("s3", "list_buckets", {}),
        ("kinesis", "list_streams", {}),
        ("route53", "list_hosted_zones_by_name", {}),
    ],
    ids=["lambda", "s3", "kinesis", "route53-by-name"],
)
def test_nothing_unknown_succeeds(
    client: Callable[..., BaseClient],
    service: str,
    method: str,
    params: dict[str, Any],
    refusal: Refusal,
) -> None:
    """Whatever protocol a service speaks, its client sees an error."""
    assert refusal(getattr(client(service), method), **params)[0]
