"""AWS services as targets: what each is asked, how it is written, and what its answers mean."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import botocore.session
import pytest
from aiohttp import web
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config as BotoConfig

from farspan.clock import SystemClock
from farspan.config import TARGET_SERVICES
from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.senders import outgoing_operations, sign_outgoing
from farspan.targets.aws_api import AwsApiTarget
from farspan.targets.aws_kinds import KINDS, PayloadRefused, kind_of
from farspan.targets.aws_wire import ServiceUrl, outcome_of, request_of
from farspan.targets.call import Answer
from farspan.wire import spec
from farspan.wire.http import Request
from farspan.wire.sigv4 import parse_authorization, verify

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

ACCOUNT = "000000000000"
EVENT_ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"
TOKEN = hashlib.sha256(b"d").hexdigest()
EVENT = '{"id":"1","detail":{"n":1}}'
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793"


def arn(service: str, resource: str) -> str:
    """Return an ARN of the test's account and Region."""
    return f"arn:aws:{service}:us-east-1:{ACCOUNT}:{resource}"


def delivery(
    target_arn: str,
    payload: str = EVENT,
    *,
    delivery_id: str = "d",
    trace_header: str | None = None,
    **parameters: Any,
) -> Delivery:
    """Return a delivery to a target with parameters of its own."""
    return Delivery(
        delivery_id=delivery_id,
        event_id=EVENT_ID,
        rule_arn="r",
        target_id="t",
        target_arn=target_arn,
        payload=payload.encode(),
        planned_at=0.0,
        parameters=parameters,
        trace_header=trace_header,
    )


TOPIC = arn("sns", "topic")
MACHINE = arn("states", "stateMachine:pay")
FUNCTION = arn("lambda", "function:pay")
CLUSTER = arn("ecs", "cluster/shop")
JOB_QUEUE = arn("batch", "job-queue/shop")
WORKGROUP = arn("redshift-serverless", "workgroup/w")
TEMPLATE = arn("inspector", "target/0-a/template/0-b")

SAMPLES: dict[str, tuple[Delivery, str, str, dict[str, Any]]] = {
    "sns": (delivery(TOPIC), "sns", "Publish", {"TopicArn": TOPIC, "Message": EVENT}),
    "kinesis": (
        delivery(arn("kinesis", "stream/s")),
        "kinesis",
        "PutRecord",
        {"StreamName": "s", "Data": EVENT.encode(), "PartitionKey": EVENT_ID},
    ),
    "firehose": (
        delivery(arn("firehose", "deliverystream/f")),
        "firehose",
        "PutRecord",
        {"DeliveryStreamName": "f", "Record": {"Data": EVENT.encode()}},
    ),
    "stepfunctions": (
        delivery(MACHINE),
        "stepfunctions",
        "StartExecution",
        {"stateMachineArn": MACHINE, "name": f"{EVENT_ID}_{TOKEN[:32]}", "input": EVENT},
    ),
    "lambda": (
        delivery(FUNCTION),
        "lambda",
        "Invoke",
        {"FunctionName": FUNCTION, "InvocationType": "Event", "Payload": EVENT.encode()},
    ),
    "ecs": (
        delivery(
            CLUSTER,
            '{"containerOverrides":[{"name":"a","command":["b"]}],"detail":1}',
            EcsParameters={
                "TaskDefinitionArn": "arn:task",
                "TaskCount": 2,
                "LaunchType": "FARGATE",
                "NetworkConfiguration": {
                    "awsvpcConfiguration": {"Subnets": ["s"], "AssignPublicIp": "ENABLED"}
                },
                "EnableECSManagedTags": True,
                "PlacementStrategy": [{"type": "spread", "field": "host"}],
                "Tags": [{"Key": "k", "Value": "v"}],
            },
        ),
        "ecs",
        "RunTask",
        {
            "cluster": CLUSTER,
            "taskDefinition": "arn:task",
            "count": 2,
            "clientToken": TOKEN[:32],
            "launchType": "FARGATE",
            "networkConfiguration": {
                "awsvpcConfiguration": {"subnets": ["s"], "assignPublicIp": "ENABLED"}
            },
            "enableECSManagedTags": True,
            "placementStrategy": [{"type": "spread", "field": "host"}],
            "tags": [{"key": "k", "value": "v"}],
            "overrides": {"containerOverrides": [{"name": "a", "command": ["b"]}]},
        },
    ),
    "batch": (
        delivery(
            JOB_QUEUE,
            '{"Parameters":{"a":"b"},"detail":1}',
            BatchParameters={
                "JobDefinition": "d",
                "JobName": "j",
                "ArrayProperties": {"Size": 2},
                "RetryStrategy": {"Attempts": 3},
            },
        ),
        "batch",
        "SubmitJob",
        {
            "jobQueue": JOB_QUEUE,
            "jobDefinition": "d",
            "jobName": "j",
            "arrayProperties": {"size": 2},
            "retryStrategy": {"attempts": 3},
            "parameters": {"a": "b"},
        },
    ),
    "codebuild": (
        delivery(
            arn("codebuild", "project/p"),
            '{"environmentVariablesOverride":[{"name":"a","value":"b"}],"x":1}',
        ),
        "codebuild",
        "StartBuild",
        {
            "projectName": "p",
            "idempotencyToken": TOKEN,
            "environmentVariablesOverride": [{"name": "a", "value": "b"}],
        },
    ),
    "codepipeline": (
        delivery(arn("codepipeline", "p")),
        "codepipeline",
        "StartPipelineExecution",
        {"name": "p", "clientRequestToken": TOKEN},
    ),
    "run command": (
        delivery(
            arn("ssm", "document/AWS-RunShellScript"),
            '{"commands":["ls"]}',
            RunCommandParameters={"RunCommandTargets": [{"Key": "InstanceIds", "Values": ["i-1"]}]},
        ),
        "ssm",
        "SendCommand",
        {
            "DocumentName": "AWS-RunShellScript",
            "Targets": [{"Key": "InstanceIds", "Values": ["i-1"]}],
            "Parameters": {"commands": ["ls"]},
        },
    ),
    "automation": (
        delivery(arn("ssm", "automation-definition/Restart:3"), '{"InstanceId":["i-1"]}'),
        "ssm",
        "StartAutomationExecution",
        {
            "DocumentName": "Restart",
            "DocumentVersion": "3",
            "Parameters": {"InstanceId": ["i-1"]},
            "ClientToken": EVENT_ID,
        },
    ),
    "redshift cluster": (
        delivery(
            arn("redshift", "cluster:c"),
            RedshiftDataParameters={
                "Database": "d",
                "SecretManagerArn": "arn:secret",
                "Sql": "select 1",
                "WithEvent": True,
            },
        ),
        "redshift-data",
        "ExecuteStatement",
        {
            "Database": "d",
            "SecretArn": "arn:secret",
            "Sql": "select 1",
            "WithEvent": True,
            "ClusterIdentifier": "c",
            "ClientToken": TOKEN,
        },
    ),
    "redshift workgroup": (
        delivery(WORKGROUP, RedshiftDataParameters={"Database": "d", "Sqls": ["a", "b"]}),
        "redshift-data",
        "BatchExecuteStatement",
        {"Database": "d", "Sqls": ["a", "b"], "WorkgroupName": WORKGROUP, "ClientToken": TOKEN},
    ),
    "sagemaker": (
        delivery(
            arn("sagemaker", "pipeline/p"),
            SageMakerPipelineParameters={"PipelineParameterList": [{"Name": "a", "Value": "b"}]},
        ),
        "sagemaker",
        "StartPipelineExecution",
        {
            "PipelineName": "p",
            "PipelineParameters": [{"Name": "a", "Value": "b"}],
            "ClientRequestToken": TOKEN,
        },
    ),
    "inspector": (
        delivery(TEMPLATE),
        "inspector",
        "StartAssessmentRun",
        {"assessmentTemplateArn": TEMPLATE},
    ),
}


SPEAKS_CBOR = {"codebuild", "codepipeline"}
"""Services for which botocore prefers a protocol that it does not need to: they speak JSON too."""


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_inputs(sample: tuple[Delivery, str, str, dict[str, Any]]) -> None:
    """Each kind of target is chosen by its ARN, and its service gets what the delivery has."""
    given, service, operation, expected = sample
    arn = parse_arn(given.target_arn)
    assert arn is not None
    kind = kind_of(arn)
    assert kind is not None

    assert service == kind.service
    assert (operation, expected) == kind.build(given, arn)
    assert operation in kind.operations


def test_every_kind_has_a_sample() -> None:
    """Each service is in the table, in the configuration's list and among the models."""
    services = {kind.service for kind in KINDS}

    assert services == {sample[1] for sample in SAMPLES.values()}
    assert services | {"appsync", "execute-api"} == TARGET_SERVICES
    assert services == set(spec.TARGET_API_VERSIONS)
    assert len(KINDS) == len({kind.build for kind in KINDS}) + 1  # one for both Redshifts


SESSION = botocore.session.Session()


def botocores_request(service: str, operation: str, given: dict[str, Any]) -> AWSPreparedRequest:
    """Return the request that botocore makes of an input, which it checks first."""
    client = SESSION.create_client(
        service,
        "us-east-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        endpoint_url="http://service.test",
        config=BotoConfig(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
    made: list[AWSPreparedRequest] = []

    def stop(request: AWSPreparedRequest, **_more: object) -> AWSResponse:
        made.append(request)
        return AWSResponse(request.url, 418, {}, None)

    client.meta.events.register("before-send", stop)
    with pytest.raises(Exception):  # noqa: B017, PT011 - whatever a teapot is to botocore
        getattr(client, botocore.xform_name(operation))(**given)
    client.close()
    assert made, "botocore refused the input"
    return made[0]


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_requests_are_botocores(sample: tuple[Delivery, str, str, dict[str, Any]]) -> None:
    """What is sent is what botocore sends of the same input."""
    _, service, name, given = sample
    (operation,) = [one for one in outgoing_operations(service) if one.name == name]
    request, theirs = request_of(operation, given), botocores_request(service, name, given)
    if service in SPEAKS_CBOR:
        assert json.loads(request.body) == given
        return

    assert (theirs.method, urlsplit(theirs.url).path) == (request.method, request.path)
    for header in ("X-Amz-Target", "Content-Type", "X-Amz-Invocation-Type"):
        # REST-JSON's Content-Type is for the service to ignore; botocore leaves it out.
        expected = theirs.headers.get(header)
        if expected is not None:
            text = expected.decode() if isinstance(expected, bytes) else expected
            assert text == request.headers.get(header.lower())
    assert _read(theirs.body) == _read(request.body)


def _read(body: bytes | str) -> object:
    text = body.decode() if isinstance(body, bytes) else body
    return json.loads(text) if text.startswith("{") else parse_qs(text)


Make = Callable[..., AwsApiTarget]


@pytest.fixture
def make_target(make_connector: MakeConnector) -> Make:
    """Return the target for all services at one URL."""

    def make_target(url: str, *services: str) -> AwsApiTarget:
        return AwsApiTarget(
            make_connector(),
            {
                (service, operation.name): operation
                for service in services
                for operation in outgoing_operations(service)
            },
            {
                service: ServiceUrl(url=url, access_key_id="AKIA", secret_access_key="hush")
                for service in services
            },
            lambda unsigned: sign_outgoing(unsigned, SystemClock().now()),
        )

    return make_target


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
async def test_signatures(
    make_target: Make, servers: Servers, sample: tuple[Delivery, str, str, dict[str, Any]]
) -> None:
    """A service can verify who sent the request, as AWS does."""
    given, service, _, _ = sample
    signing_names: list[str] = []

    async def reply(request: web.Request) -> web.Response:
        received = Request(
            method=request.method,
            path=request.raw_path,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        authorization = parse_authorization(received)
        signing_names.append(authorization.service)
        verify(
            received,
            authorization,
            "hush",
            now=SystemClock().now(),
            service=None,
            region="us-east-1",
        )
        return web.Response(text="{}")

    target = make_target(await servers.serve(reply) + "/base/", service)

    assert [DELIVERED] == await target.send([given])
    assert [spec.outgoing(service, ()).signing_name] == signing_names


async def test_a_trace(make_target: Make, servers: Servers) -> None:
    """An event's trace goes along in the header that AWS's services read; without one none does."""
    seen: list[str | None] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(request.headers.get("X-Amzn-Trace-Id"))
        return web.Response(text="{}")

    target = make_target(await servers.serve(reply), "sns")
    await target.send([delivery(TOPIC, trace_header=TRACE)])
    await target.send([delivery(TOPIC)])

    assert [TRACE, None] == seen


def test_the_trace_of_an_execution() -> None:
    """Step Functions has a member of its own for the trace."""
    arn = parse_arn(MACHINE)
    assert arn is not None
    kind = kind_of(arn)
    assert kind is not None

    assert TRACE == kind.build(delivery(MACHINE, trace_header=TRACE), arn)[1]["traceHeader"]


async def test_a_service_without_a_url(make_target: Make) -> None:
    """A target whose service the configuration no longer has fails with what to do."""
    (outcome,) = await make_target("http://127.0.0.1:1").send([delivery(TOPIC)])

    assert (
        Outcome(
            verdict=Verdict.PERMANENT,
            error_code="NO_RESOURCE",
            error_message="Farspan has no endpoint for service sns; set [targets.endpoints] sns in "
            "farspan.toml.",
        )
        == outcome
    )


async def test_a_service_that_is_gone(make_target: Make) -> None:
    """A service that cannot be reached may be later."""
    (outcome,) = await make_target("http://127.0.0.1:1", "sns").send([delivery(TOPIC)])

    assert (Verdict.RETRYABLE, "CONNECTION_FAILURE") == (outcome.verdict, outcome.error_code)


@pytest.mark.parametrize("payload", ["[]", '"text"', "not json"])
def test_parameters_that_are_none(payload: str) -> None:
    """Systems Manager takes its parameters from the payload, which has to be an object."""
    given, _, _, _ = SAMPLES["run command"]
    arn = parse_arn(given.target_arn)
    assert arn is not None
    kind = kind_of(arn)
    assert kind is not None

    with pytest.raises(PayloadRefused):
        kind.build(delivery(given.target_arn, payload), arn)


@pytest.mark.parametrize(
    "text",
    [
        arn("sns", "topic.fifo"),
        arn("kinesis", "stream/s/consumer/c:1"),
        arn("states", "activity:a"),
        arn("lambda", "layer:l"),
        arn("dynamodb", "table/t"),
    ],
)
def test_arns_that_are_no_targets(text: str) -> None:
    """What EventBridge has no target for is none here."""
    arn = parse_arn(text)
    assert arn is not None

    assert kind_of(arn) is None


def error(code: str) -> bytes:
    """Return an error of the JSON protocols."""
    return json.dumps({"__type": f"com.amazonaws#{code}", "message": "why"}).encode()


XML_ERROR = (
    b"<ErrorResponse><Error><Type>Sender</Type><Code>NotFound</Code>"
    b"<Message>Topic does not exist</Message></Error></ErrorResponse>"
)


@pytest.mark.parametrize(
    ("status", "body", "verdict", "code"),
    [
        (400, error("ThrottlingException"), Verdict.RETRYABLE, "THROTTLING"),
        (400, error("ProvisionedThroughputExceededException"), Verdict.RETRYABLE, "THROTTLING"),
        (429, b"", Verdict.RETRYABLE, "THROTTLING"),
        (503, b"", Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (500, error("InternalFailure"), Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (400, error("AccessDeniedException"), Verdict.PERMANENT, "NO_PERMISSIONS"),
        (403, b"", Verdict.PERMANENT, "NO_PERMISSIONS"),
        (403, error("InvalidSignatureException"), Verdict.PERMANENT, "NO_PERMISSIONS"),
        (400, error("ResourceNotFoundException"), Verdict.PERMANENT, "NO_RESOURCE"),
        (400, error("StateMachineDoesNotExist"), Verdict.PERMANENT, "NO_RESOURCE"),
        (404, XML_ERROR, Verdict.PERMANENT, "NO_RESOURCE"),
        (400, error("ValidationException"), Verdict.PERMANENT, "INVALID_PARAMETER"),
        (400, error("SomethingElse"), Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (302, b"<html>", Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (400, b"[" * 9_999, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (400, b"\xff", Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
    ],
)
def test_errors(status: int, body: bytes, verdict: Verdict, code: str) -> None:
    """Throttling and a service's own faults may pass; denied, missing and invalid will not."""
    outcome = outcome_of("sns", Answer(status, {}, body))

    assert (verdict, code) == (outcome.verdict, outcome.error_code)


def test_the_message_of_an_error() -> None:
    """A dead letter says what the service said, in the form that EventBridge has for it."""
    answer = Answer(404, {"x-amzn-requestid": "r"}, XML_ERROR)

    assert (
        "Topic does not exist (Service: sns; Status Code: 404; Error Code: NotFound; "
        "Request ID: r; Proxy: null)"
    ) == outcome_of("sns", answer).error_message
