"""Operations that Farspan does not have answer by name, and never with a success."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

from farspan.control.registry import OPERATIONS
from farspan.wire import spec

Refusal = Callable[..., tuple[str, str]]
UNKNOWN = {
    "cloudwatch": "UnknownOperationException",
    "events": "UnknownOperationException",
    "sqs": "UnknownOperationException",
    "route53": "InvalidAction",
    "sts": "InvalidAction",
}


def missing(service: str) -> list[str]:
    """Return the operations of a service's model that are not there; PutEvents has its own path."""
    there = {name for known, name in OPERATIONS if known == service} | {"PutEvents"}
    return [name for name in spec.service(service).operations if name not in there]


UNSIGNED = {"AssumeRoleWithSAML", "AssumeRoleWithWebIdentity"}
"""Operations of sts that SDKs send without a signature, because they are how one gets a key."""


@pytest.mark.parametrize(
    ("service", "operation"),
    [
        (service, operation)
        for service in ("cloudwatch", "events", "sqs", "sts")
        for operation in missing(service)
        if operation not in UNSIGNED
    ],
    ids=lambda value: value,
)
def test_an_operation_that_is_not_there_yet(
    unchecked: Callable[..., BaseClient], refusal: Refusal, service: str, operation: str
) -> None:
    """The error names service and operation; in XML, AWS's code for it is InvalidAction."""
    assert (
        UNKNOWN[service],
        f"Farspan does not have the operation {service}:{operation} yet.",
    ) == refusal(lambda: unchecked(service)._make_api_call(operation, {}))


@pytest.mark.parametrize("operation", sorted(UNSIGNED))
def test_an_operation_without_a_signature(
    unchecked: Callable[..., BaseClient], refusal: Refusal, operation: str
) -> None:
    """Nothing is done for who is not known, and no key is given out."""
    assert ("MissingAuthenticationToken", "Missing Authentication Token") == refusal(
        lambda: unchecked("sts")._make_api_call(operation, {})
    )


ROUTE53 = {
    "ListHostedZones": {},
    "ListHostedZonesByName": {},
    "GetHealthCheckCount": {},
    "GetCheckerIpRanges": {},
    "GetHealthCheckLastFailureReason": {"HealthCheckId": "h"},
    "ListTagsForResource": {"ResourceType": "healthcheck", "ResourceId": "h"},
    "GetHostedZone": {"Id": "z"},
    "ListResourceRecordSets": {"HostedZoneId": "z"},
}


@pytest.mark.parametrize("operation", [name for name in ROUTE53 if name in missing("route53")])
def test_an_operation_of_route53_that_is_not_there_yet(
    client: Callable[..., BaseClient], refusal: Refusal, operation: str
) -> None:
    """Told apart by path and method, and named all the same."""
    assert (
        UNKNOWN["route53"],
        f"Farspan does not have the operation route53:{operation} yet.",
    ) == refusal(lambda: client("route53")._make_api_call(operation, ROUTE53[operation]))


@pytest.mark.parametrize(
    ("service", "method", "code", "named"),
    [
        ("dynamodb", "list_tables", "UnknownOperationException", " 'DynamoDB_20120810.ListTables'"),
        ("sns", "list_topics", "InvalidAction", " 'ListTopics'"),
        (
            "autoscaling",
            "describe_auto_scaling_groups",
            "InvalidAction",
            " 'DescribeAutoScalingGroups'",
        ),
        ("eventbridgev2", "list_event_buses", "UnknownOperationException", " 'ListEventBuses'"),
    ],
    ids=["dynamodb", "sns", "autoscaling", "eventbridgev2"],
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
    ],
    ids=["lambda", "s3", "kinesis"],
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
