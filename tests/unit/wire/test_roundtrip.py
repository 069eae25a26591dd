"""Every operation Farspan speaks, with botocore at the other end of the wire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from farspan.wire import protocols, validate

if TYPE_CHECKING:
    from tests.unit.wire.conftest import BotocoreSide

BUS_ARN = "arn:aws:events:us-east-1:000000000000:event-bus/orders"
RULE_ARN = "arn:aws:events:us-east-1:000000000000:rule/orders/r"
QUEUE_ARN = "arn:aws:sqs:us-east-1:000000000000:q"
QUEUE_URL = "http://localhost:8000/000000000000/q"
CHECK_ID = "4ea38d8e-0ee4-4bf3-9e21-f8e7bf6525d9"
MADE_AT = 1790230488.123

ROUTING = {
    "FailoverConfig": {
        "Primary": {"HealthCheck": f"arn:aws:route53:::healthcheck/{CHECK_ID}"},
        "Secondary": {"Route": "us-west-2"},
    }
}
ENDPOINT = {
    "Name": "e",
    "Arn": "arn:aws:events:us-east-1:000000000000:endpoint/e",
    "RoutingConfig": ROUTING,
    "ReplicationConfig": {"State": "ENABLED"},
    "EventBuses": [{"EventBusArn": BUS_ARN}, {"EventBusArn": BUS_ARN}],
    "RoleArn": "arn:aws:iam::000000000000:role/r",
    "State": "ACTIVE",
}
TARGET = {
    "Id": "t1",
    "Arn": QUEUE_ARN,
    "InputTransformer": {"InputPathsMap": {"a": "$.detail.a"}, "InputTemplate": '{"a":<a>}'},
    "SqsParameters": {"MessageGroupId": "g"},
    "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
    "DeadLetterConfig": {"Arn": QUEUE_ARN},
}
CHECK_CONFIG = {
    "IPAddress": "192.0.2.1",
    "Port": 8080,
    "Type": "HTTP_STR_MATCH",
    "ResourcePath": "/healthz?a=<b>&c=\u00e9",
    "FullyQualifiedDomainName": "example.org",
    "SearchString": " ok ",
    "RequestInterval": 10,
    "FailureThreshold": 1,
    "MeasureLatency": False,
    "Inverted": True,
    "Disabled": False,
    "EnableSNI": False,
    "Regions": ["us-east-1", "eu-west-1", "sa-east-1"],
    "InsufficientDataHealthStatus": "LastKnownStatus",
}
CALCULATED_CONFIG = {
    "Type": "CALCULATED",
    "HealthThreshold": 1,
    "ChildHealthChecks": [CHECK_ID, CHECK_ID],
}
ALARM_CONFIG = {
    "Type": "CLOUDWATCH_METRIC",
    "AlarmIdentifier": {"Region": "us-east-1", "Name": "lag"},
}
CHECK = {
    "Id": CHECK_ID,
    "CallerReference": "ref",
    "HealthCheckConfig": CHECK_CONFIG,
    "HealthCheckVersion": 1,
}
OBSERVATIONS = {
    "HealthCheckObservations": [
        {
            "Region": "us-east-1",
            "IPAddress": "192.0.2.9",
            "StatusReport": {
                "Status": "Success: HTTP Status Code: 200. Resolved IP: 192.0.2.1. OK",
                "CheckedTime": MADE_AT,
            },
        }
    ]
}
ATTRIBUTES = {
    "s": {"DataType": "String", "StringValue": "v"},
    "b": {"DataType": "Binary", "BinaryValue": b"\x00\xff"},
}

# service, operation, parameters, result: complete enough that every kind of member occurs.
CALLS: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
    (
        "events",
        "CreateEventBus",
        {"Name": "orders", "Tags": [{"Key": "k", "Value": "v"}]},
        {"EventBusArn": BUS_ARN},
    ),
    (
        "events",
        "DescribeEventBus",
        {"Name": "orders"},
        {"Name": "orders", "Arn": BUS_ARN, "CreationTime": MADE_AT, "LastModifiedTime": MADE_AT},
    ),
    (
        "events",
        "ListEventBuses",
        {"NamePrefix": "o", "Limit": 1, "NextToken": "t"},
        {"EventBuses": [{"Name": "orders", "Arn": BUS_ARN}], "NextToken": "u"},
    ),
    ("events", "DeleteEventBus", {"Name": "orders"}, {}),
    (
        "events",
        "PutRule",
        {"Name": "r", "EventBusName": "orders", "EventPattern": '{"source":["a"]}'},
        {"RuleArn": RULE_ARN},
    ),
    (
        "events",
        "DescribeRule",
        {"Name": "r", "EventBusName": "orders"},
        {"Name": "r", "Arn": RULE_ARN, "EventPattern": "{}", "State": "ENABLED"},
    ),
    ("events", "ListRules", {"Limit": 100}, {"Rules": [{"Name": "r", "State": "DISABLED"}]}),
    ("events", "DeleteRule", {"Name": "r", "Force": True}, {}),
    (
        "events",
        "PutTargets",
        {"Rule": "r", "Targets": [TARGET]},
        {
            "FailedEntryCount": 1,
            "FailedEntries": [{"TargetId": "t1", "ErrorCode": "E", "ErrorMessage": "m"}],
        },
    ),
    ("events", "ListTargetsByRule", {"Rule": "r"}, {"Targets": [TARGET]}),
    (
        "events",
        "RemoveTargets",
        {"Rule": "r", "Ids": ["t1", "t2"]},
        {"FailedEntryCount": 0, "FailedEntries": []},
    ),
    (
        "events",
        "PutEvents",
        {
            "EndpointId": "abcde.veo",
            "Entries": [
                {
                    "Time": 1790230488.0,
                    "Source": "a.b",
                    "Resources": ["x", "\u00e9\U0001f600"],
                    "DetailType": "t",
                    "Detail": '{"a":"\\u0000"}',
                    "EventBusName": "orders",
                }
            ],
        },
        {
            "FailedEntryCount": 1,
            "Entries": [
                {"EventId": CHECK_ID},
                {"ErrorCode": "MalformedDetail", "ErrorMessage": "Detail is malformed."},
            ],
        },
    ),
    ("events", "TestEventPattern", {"EventPattern": "{}", "Event": "{}"}, {"Result": True}),
    (
        "events",
        "CreateEndpoint",
        {
            "Name": "e",
            "RoutingConfig": ROUTING,
            "ReplicationConfig": {"State": "DISABLED"},
            "EventBuses": [{"EventBusArn": BUS_ARN}, {"EventBusArn": BUS_ARN}],
        },
        ENDPOINT | {"State": "CREATING"},
    ),
    (
        "events",
        "DescribeEndpoint",
        {"Name": "e", "HomeRegion": "us-east-1"},
        ENDPOINT
        | {
            "EndpointId": "abcde.veo",
            "EndpointUrl": "https://abcde.veo.endpoint.events.amazonaws.com",
            "CreationTime": MADE_AT,
            "LastModifiedTime": MADE_AT,
        },
    ),
    ("events", "ListEndpoints", {"MaxResults": 10}, {"Endpoints": [ENDPOINT]}),
    ("events", "UpdateEndpoint", {"Name": "e", "RoutingConfig": ROUTING}, ENDPOINT),
    ("events", "DeleteEndpoint", {"Name": "e"}, {}),
    (
        "sqs",
        "CreateQueue",
        {"QueueName": "q.fifo", "Attributes": {"FifoQueue": "true"}, "tags": {"k": "v"}},
        {"QueueUrl": QUEUE_URL},
    ),
    ("sqs", "GetQueueUrl", {"QueueName": "q"}, {"QueueUrl": QUEUE_URL}),
    ("sqs", "ListQueues", {"QueueNamePrefix": "q", "MaxResults": 5}, {"QueueUrls": [QUEUE_URL]}),
    (
        "sqs",
        "GetQueueAttributes",
        {"QueueUrl": QUEUE_URL, "AttributeNames": ["All"]},
        {"Attributes": {"QueueArn": QUEUE_ARN}},
    ),
    (
        "sqs",
        "SetQueueAttributes",
        {"QueueUrl": QUEUE_URL, "Attributes": {"VisibilityTimeout": "30"}},
        {},
    ),
    (
        "sqs",
        "SendMessage",
        {
            "QueueUrl": QUEUE_URL,
            "MessageBody": "hi",
            "DelaySeconds": 1,
            "MessageAttributes": ATTRIBUTES,
        },
        {"MD5OfMessageBody": "49f68a5c8493ec2c0bf489821c21fc3b", "MessageId": CHECK_ID},
    ),
    (
        "sqs",
        "SendMessageBatch",
        {"QueueUrl": QUEUE_URL, "Entries": [{"Id": "1", "MessageBody": "hi"}]},
        {
            "Successful": [{"Id": "1", "MessageId": CHECK_ID, "MD5OfMessageBody": "49f6"}],
            "Failed": [{"Id": "2", "SenderFault": True, "Code": "c", "Message": "m"}],
        },
    ),
    (
        "sqs",
        "ReceiveMessage",
        {
            "QueueUrl": QUEUE_URL,
            "MaxNumberOfMessages": 10,
            "WaitTimeSeconds": 20,
            "MessageSystemAttributeNames": ["All"],
            "MessageAttributeNames": ["All"],
        },
        {
            "Messages": [
                {
                    "MessageId": CHECK_ID,
                    "ReceiptHandle": "h",
                    "Body": "hi",
                    "Attributes": {"ApproximateReceiveCount": "1"},
                    "MessageAttributes": ATTRIBUTES,
                }
            ]
        },
    ),
    ("sqs", "DeleteMessage", {"QueueUrl": QUEUE_URL, "ReceiptHandle": "h"}, {}),
    (
        "sqs",
        "DeleteMessageBatch",
        {"QueueUrl": QUEUE_URL, "Entries": [{"Id": "1", "ReceiptHandle": "h"}]},
        {"Successful": [{"Id": "1"}], "Failed": []},
    ),
    (
        "sqs",
        "ChangeMessageVisibility",
        {"QueueUrl": QUEUE_URL, "ReceiptHandle": "h", "VisibilityTimeout": 0},
        {},
    ),
    ("sqs", "PurgeQueue", {"QueueUrl": QUEUE_URL}, {}),
    ("sqs", "DeleteQueue", {"QueueUrl": QUEUE_URL}, {}),
    (
        "route53",
        "CreateHealthCheck",
        {"CallerReference": "ref", "HealthCheckConfig": CHECK_CONFIG},
        {
            "HealthCheck": CHECK,
            "Location": f"https://route53.amazonaws.com/2013-04-01/healthcheck/{CHECK_ID}",
        },
    ),
    (
        "route53",
        "CreateHealthCheck",
        {"CallerReference": "calculated", "HealthCheckConfig": CALCULATED_CONFIG},
        {"HealthCheck": CHECK | {"HealthCheckConfig": CALCULATED_CONFIG}, "Location": "l"},
    ),
    (
        "route53",
        "GetHealthCheck",
        {"HealthCheckId": CHECK_ID},
        {
            "HealthCheck": CHECK
            | {
                "HealthCheckConfig": ALARM_CONFIG,
                "CloudWatchAlarmConfiguration": {
                    "EvaluationPeriods": 5,
                    "Threshold": 30.5,
                    "ComparisonOperator": "GreaterThanThreshold",
                    "Period": 60,
                    "MetricName": "m",
                    "Namespace": "AWS/Events",
                    "Statistic": "Average",
                    "Dimensions": [{"Name": "n", "Value": "v"}],
                },
            }
        },
    ),
    (
        "route53",
        "ListHealthChecks",
        {"Marker": "a b+c", "MaxItems": "2"},
        {"HealthChecks": [CHECK, CHECK], "Marker": "", "IsTruncated": False, "MaxItems": "2"},
    ),
    (
        "route53",
        "UpdateHealthCheck",
        {
            "HealthCheckId": CHECK_ID,
            "HealthCheckVersion": 1,
            "Disabled": True,
            "ResetElements": ["ResourcePath", "Regions"],
        },
        {"HealthCheck": CHECK},
    ),
    ("route53", "DeleteHealthCheck", {"HealthCheckId": CHECK_ID}, {}),
    ("route53", "GetHealthCheckCount", {}, {"HealthCheckCount": 3}),
    ("route53", "GetHealthCheckStatus", {"HealthCheckId": CHECK_ID}, OBSERVATIONS),
    ("route53", "GetHealthCheckLastFailureReason", {"HealthCheckId": CHECK_ID}, OBSERVATIONS),
    ("route53", "GetCheckerIpRanges", {}, {"CheckerIpRanges": ["192.0.2.0/24"]}),
    (
        "route53",
        "ChangeTagsForResource",
        {
            "ResourceType": "healthcheck",
            "ResourceId": CHECK_ID,
            "AddTags": [{"Key": "k", "Value": "v"}],
            "RemoveTagKeys": ["old"],
        },
        {},
    ),
    (
        "route53",
        "ListTagsForResource",
        {"ResourceType": "healthcheck", "ResourceId": CHECK_ID},
        {
            "ResourceTagSet": {
                "ResourceType": "healthcheck",
                "ResourceId": CHECK_ID,
                "Tags": [{"Key": "k", "Value": "v"}],
            }
        },
    ),
    (
        "sts",
        "GetCallerIdentity",
        {},
        {"UserId": "AKID", "Account": "000000000000", "Arn": "arn:aws:iam::000000000000:root"},
    ),
]
IDS = [f"{service}-{operation}" for service, operation, _, _ in CALLS]


def _as_sdk_params(params: dict[str, Any]) -> dict[str, Any]:
    """Replace the one timestamp in the table by the datetime that an SDK takes."""
    if "Entries" in params and "Time" in params["Entries"][0]:
        entry = params["Entries"][0]
        moment = datetime.fromtimestamp(entry["Time"], UTC)
        return params | {"Entries": [entry | {"Time": moment}]}
    return params


@pytest.mark.parametrize(("service", "operation", "params", "_result"), CALLS, ids=IDS)
def test_what_botocore_sends_is_what_we_decode(
    botocore_side: BotocoreSide,
    service: str,
    operation: str,
    params: dict[str, Any],
    _result: dict[str, Any],
) -> None:
    """A request that botocore serialises decodes to the call's own parameters, and is valid."""
    request = botocore_side.request(service, operation, _as_sdk_params(params))

    call = protocols.identify(request)
    decoded = protocols.decode(call, request)
    validate.check(call.operation, decoded)

    assert (service, operation) == (call.operation.service, call.operation.name)
    assert params == decoded


@pytest.mark.parametrize(("service", "operation", "_params", "result"), CALLS, ids=IDS)
def test_what_we_encode_is_what_botocore_parses(
    botocore_side: BotocoreSide,
    service: str,
    operation: str,
    _params: dict[str, Any],
    result: dict[str, Any],
) -> None:
    """A result that we encode reaches the SDK's caller unchanged, with its request id."""
    request = botocore_side.request(service, operation, _as_sdk_params(_params))

    response = protocols.encode(protocols.identify(request), result, "req-1")
    parsed = botocore_side.parse(service, operation, response)
    metadata = parsed.pop("ResponseMetadata")

    assert result == parsed
    assert metadata["RequestId"] == "req-1"
    assert metadata["HTTPStatusCode"] == (201 if operation == "CreateHealthCheck" else 200)
