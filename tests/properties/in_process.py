"""A Region's node without sockets, in virtual time: requests go in at its door, answers come out.

What the requests are made of is botocore's: its models and its serializers, without its validation.
"""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass
from functools import cache
from typing import Any
from urllib.parse import urlencode

import botocore.session
from botocore.model import OperationModel, ServiceModel
from botocore.serialize import create_serializer
from botocore.utils import percent_encode_sequence
from lxml import etree

from farspan.app import Node, open_node
from farspan.clock import SeededIds
from farspan.config import Config, NodeConfig
from farspan.control.registry import OPERATIONS
from farspan.store.memory import MemoryStore
from farspan.wire.http import Request, Response

REGION, ACCOUNT, NAME = "us-east-1", "000000000000", "sweep"
BUS_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{NAME}"
RULE_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{NAME}/{NAME}"
ARCHIVE_ARN = f"arn:aws:events:{REGION}:{ACCOUNT}:archive/{NAME}"
QUEUE_ARN = f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"
SOURCE = f"aws.partner/example.com/{NAME}"
PATTERN = '{"source":[{"prefix":""}]}'
ALARM = {
    "AlarmName": NAME,
    "Namespace": NAME,
    "MetricName": NAME,
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 1.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": ACCOUNT},
                "Action": "sts:AssumeRole",
            }
        ],
    }
)
NODE = NodeConfig(name="east", url="http://127.0.0.1:4566", region=REGION)
SERVED = sorted({*OPERATIONS, ("events", "PutEvents")})
"""Every operation that is there, by service and name."""


class MovingClock:
    """Time that moves on when somebody sleeps, at once."""

    def __init__(self) -> None:
        self.seconds = 1_790_000_000.0

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.seconds += seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: a status, and the error's code and message, empty for a success."""

    status: int
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Api:
    """The node and the loop that it runs on."""

    node: Node
    runner: asyncio.Runner

    def send(self, request: Request) -> Answer:
        """Send a request as it is."""
        return answer_of(self.runner.run(self.node.server.answer(request)))

    def call(self, service: str, name: str, params: Any) -> Answer:
        """Call an operation; its parameters are sent whatever they are."""
        return self.send(request_of(operation(service, name), params))

    def post(self, service: str, name: str, body: bytes) -> Answer:
        """Call a JSON operation with a body that somebody wrote."""
        return self.send(json_request(operation(service, name), body))

    def make_resources(self) -> None:
        """Make one of each kind, all of one name, as far as that goes."""
        entity = {"ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": "v"}}
        calls: list[tuple[str, str, dict[str, Any]]] = [
            ("events", "CreateEventBus", {"Name": NAME}),
            ("events", "PutRule", {"Name": NAME, "EventPattern": PATTERN}),
            ("events", "PutRule", {"Name": NAME, "EventBusName": NAME, "EventPattern": PATTERN}),
            ("events", "CreateArchive", {"ArchiveName": NAME, "EventSourceArn": BUS_ARN}),
            (
                "events",
                "CreateConnection",
                {"Name": NAME, "AuthorizationType": "API_KEY", "AuthParameters": entity},
            ),
            ("events", "CreatePartnerEventSource", {"Name": SOURCE, "Account": ACCOUNT}),
            ("sqs", "CreateQueue", {"QueueName": NAME}),
            ("logs", "CreateLogGroup", {"logGroupName": NAME}),
            ("logs", "CreateLogStream", {"logGroupName": NAME, "logStreamName": NAME}),
            ("cloudwatch", "PutMetricAlarm", ALARM),
            ("iam", "CreateRole", {"RoleName": NAME, "AssumeRolePolicyDocument": TRUST}),
        ]
        for service, name, params in calls:
            answer = self.call(service, name, params)
            assert answer.status == 200, answer


async def opened(runner: asyncio.Runner) -> Api:
    """Return a node that is open and not started: nothing in it moves by itself."""
    config = Config(nodes=(NODE,), auth=False)
    node = await open_node(
        config, NODE, None, store=MemoryStore(), clock=MovingClock(), ids=SeededIds(1)
    )
    return Api(node, runner)


@cache
def service_model(service: str) -> ServiceModel:
    """Return botocore's model of a service."""
    return botocore.session.Session().get_service_model(service)


@cache
def operation(service: str, name: str) -> OperationModel:
    """Return botocore's model of an operation."""
    return service_model(service).operation_model(name)


def request_of(model: OperationModel, params: Any) -> Request:
    """Return the request for an operation; JSON bodies are the parameters as they are."""
    metadata = model.service_model.metadata
    protocol = metadata["protocol"]
    if "json" in (protocol, *metadata.get("protocols", ())):
        return json_request(model, json.dumps(params).encode("utf-8", "surrogatepass"))
    serializer = create_serializer(protocol, include_validation=False)
    made = serializer.serialize_to_request(params, model)
    body = made["body"]
    if isinstance(body, dict):
        body = urlencode(body).encode()
    return Request(
        method=made["method"],
        path=made["url_path"],
        query=percent_encode_sequence(made["query_string"]) if made["query_string"] else "",
        headers={"host": "h"} | {name.lower(): value for name, value in made["headers"].items()},
        body=body.encode() if isinstance(body, str) else body,
    )


def json_request(model: OperationModel, body: bytes) -> Request:
    """Return the request for a JSON operation with a body that somebody wrote."""
    metadata = model.service_model.metadata
    return Request(
        method="POST",
        path="/",
        headers={
            "host": "h",
            "content-type": f"application/x-amz-json-{metadata['jsonVersion']}",
            "x-amz-target": f"{metadata['targetPrefix']}.{model.name}",
        },
        body=body,
    )


def answer_of(response: Response) -> Answer:
    """Return what a response says, whichever protocol it is in."""
    if response.status < 300:
        return Answer(response.status, "", "")
    if response.body.startswith(b"{"):
        error = json.loads(response.body)
        namespace, _, code = error["__type"].rpartition("#")
        if namespace == "com.amazonaws.cloudwatch":  # models its errors by their query codes
            code = dict(response.headers)["x-amzn-query-error"].partition(";")[0]
        return Answer(response.status, code, error["message"])
    root = etree.fromstring(response.body)
    code, message = (root.findtext(f".//{{*}}{name}") for name in ("Code", "Message"))
    return Answer(response.status, code or "", message or "")
