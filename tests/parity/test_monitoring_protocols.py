"""CloudWatch in the three protocols that its model names, as SDKs of all ages speak them.

botocore itself serializes and parses; which protocol it would choose is not asked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.parsers import create_parser
from botocore.serialize import create_serializer

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Reply, Send, SignedHeaders

PROTOCOLS = ("json", "query", "smithy-rpc-v2-cbor")
Call = Callable[..., dict[str, Any]]
every_protocol = pytest.mark.parametrize("protocol", PROTOCOLS)


@pytest.fixture(scope="session")
def model() -> Any:
    """CloudWatch's model."""
    return botocore.session.Session().get_service_model("cloudwatch")


@pytest.fixture
def call(
    protocol: str, model: Any, deployment: Deployment, send: Send, signed_headers: SignedHeaders
) -> Call:
    """Call an operation in the protocol; return its output, or the error."""

    def call(operation: str, **params: Any) -> dict[str, Any]:
        made = create_serializer(protocol, include_validation=False).serialize_to_request(
            params, model.operation_model(operation)
        )
        body = made["body"]
        body = urlencode(body).encode() if isinstance(body, dict) else body
        path = made["url_path"]
        headers = signed_headers(
            deployment.url,
            path=path,
            headers={header.lower(): value for header, value in made["headers"].items()},
            body=body,
            service="monitoring",
        )
        reply: Reply = send(deployment.url, path=path, headers=headers, body=body)
        parsed: dict[str, Any] = create_parser(protocol).parse(
            {"status_code": reply.status, "headers": dict(reply.headers), "body": reply.body},
            model.operation_model(operation).output_shape,
        )
        del parsed["ResponseMetadata"]
        return parsed

    return call


@every_protocol
def test_metrics_go_and_come_in_every_protocol(call: Call, name: str) -> None:
    """Numbers, times and lists are the same in all of them."""
    now = SystemClock().now()
    start = int(now - now % 60) - 300
    data = [
        {
            "MetricName": "m",
            "Timestamp": start,
            "Values": [1.5, 4.0],
            "Counts": [2.0, 1.0],
            "Dimensions": [{"Name": "d", "Value": "é"}],
        }
    ]
    assert {} == call("PutMetricData", Namespace=name, MetricData=data)
    (metric,) = call("ListMetrics", Namespace=name)["Metrics"]
    (point,) = call(
        "GetMetricStatistics",
        Namespace=name,
        MetricName="m",
        Dimensions=metric["Dimensions"],
        StartTime=start,
        EndTime=start + 60,
        Period=60,
        Statistics=["Sum", "SampleCount"],
    )["Datapoints"]
    (result,) = call(
        "GetMetricData",
        StartTime=start,
        EndTime=start + 60,
        MetricDataQueries=[
            {"Id": "a", "MetricStat": {"Metric": metric, "Period": 60, "Stat": "Maximum"}}
        ],
    )["MetricDataResults"]

    assert {"Namespace": name, "MetricName": "m"}.items() <= metric.items()
    assert [{"Name": "d", "Value": "é"}] == metric["Dimensions"]
    assert (7.0, 3.0) == (point["Sum"], point["SampleCount"])
    assert start == point["Timestamp"].timestamp() == result["Timestamps"][0].timestamp()
    assert [4.0] == result["Values"]


@every_protocol
def test_alarms_go_and_come_in_every_protocol(call: Call, name: str) -> None:
    """Integers, booleans and texts too."""
    alarm = {
        "AlarmName": name,
        "Namespace": name,
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 3_600,
        "EvaluationPeriods": 1,
        "Threshold": -5.0,
        "ComparisonOperator": "LessThanThreshold",
        "ActionsEnabled": False,
    }
    assert {} == call("PutMetricAlarm", **alarm)
    (found,) = call("DescribeAlarms", AlarmNames=[name])["MetricAlarms"]
    assert {} == call("DeleteAlarms", AlarmNames=[name])

    assert alarm.items() <= found.items()


@every_protocol
@pytest.mark.parametrize(
    ("operation", "params", "code"),
    [
        (
            "SetAlarmState",
            {"AlarmName": "nothing-there", "StateValue": "OK", "StateReason": "r"},
            "ResourceNotFound",
        ),
        ("DescribeAlarms", {"NextToken": "no"}, "InvalidNextToken"),
        ("PutMetricData", {"Namespace": "AWS/EC2", "MetricData": []}, "InvalidParameterValue"),
        ("PutMetricAlarm", {"AlarmName": ""}, "ValidationError"),
        ("PutMetricData", {"Namespace": "n"}, "MissingParameter"),
    ],
    ids=["404", "token", "value", "constraint", "missing"],
)
def test_errors_have_their_old_codes_in_every_protocol(
    call: Call, operation: str, params: dict[str, Any], code: str
) -> None:
    """The codes of the query protocol, which clients have always looked for."""
    error = call(operation, **params)["Error"]

    assert code == error["Code"]
    assert error["Message"]


@every_protocol
def test_what_is_not_there_says_so_in_every_protocol(call: Call) -> None:
    """By name."""
    message = call("ListDashboards")["Error"]["Message"]

    assert message == "Farspan does not have the operation cloudwatch:ListDashboards yet."
