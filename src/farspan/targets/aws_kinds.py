"""Which AWS services are targets: the operation that each delivery calls, and its input. Pure.

One entry for each kind of target, chosen by the ARN. An input is made of the target's ARN, its own
parameters as PutTargets has them and the payload; its names are those of the service's own API.
Where a service knows an idempotency token it gets one that the delivery's id makes, so that a
delivery that is repeated is one call.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from farspan.model.arn import Arn
from farspan.model.delivery import Delivery

Input = dict[str, Any]
Build = Callable[[Delivery, Arn], tuple[str, Input]]
"""Return the operation to call, and its input. Raises PayloadRefused."""


class PayloadRefused(Exception):
    """The payload is not what this kind of target takes; the message says why."""


@dataclass(frozen=True, slots=True)
class AwsKind:
    """One kind of target. `service` is botocore's name for the service, and the configuration's.

    `arn_service` and `resource` choose it; `parameters` are the members that a target may have for
    it, `required` those that it has to have.
    """

    service: str
    arn_service: str
    resource: re.Pattern[str]
    build: Build
    operations: tuple[str, ...]
    parameters: frozenset[str] = frozenset()
    required: frozenset[str] = frozenset()
    needs_role: bool = True


def _name(arn: Arn) -> str:
    """Return what stands behind the first slash of a resource."""
    return arn.resource.partition("/")[2]


def _token(delivery: Delivery) -> str:
    return hashlib.sha256(delivery.delivery_id.encode()).hexdigest()


def _text(delivery: Delivery) -> str:
    try:
        return delivery.payload.decode()
    except UnicodeDecodeError as error:
        raise PayloadRefused("The input is no text.") from error


def _object(delivery: Delivery) -> dict[str, Any]:
    """Return the payload, which has to be a JSON object."""
    try:
        return msgspec.json.decode(delivery.payload, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise PayloadRefused("The input of such a target is a JSON object.") from error


def _lower(given: object) -> Any:  # noqa: ANN401 - JSON of any shape
    """Return parameters with the names that ECS and Batch have for EventBridge's."""
    if isinstance(given, Mapping):
        return {name[:1].lower() + name[1:]: _lower(value) for name, value in given.items()}
    if isinstance(given, list | tuple):
        return [_lower(value) for value in given]
    return given


def _chosen(delivery: Delivery, names: frozenset[str]) -> Input:
    """Return what the payload gives of these members; an event gives none."""
    try:
        given = _object(delivery)
    except PayloadRefused:
        return {}
    return {name: value for name, value in _lower_first(given).items() if name in names}


def _lower_first(given: Mapping[str, Any]) -> Input:
    return {name[:1].lower() + name[1:]: value for name, value in given.items()}


# --- inputs ----------------------------------------------------------------------------------


def _sns(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "Publish", {"TopicArn": str(arn), "Message": _text(delivery)}


def _kinesis(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    parameters = delivery.parameters.get("KinesisParameters") or {}
    return "PutRecord", {
        "StreamName": _name(arn),
        "Data": delivery.payload,
        # The path was resolved when the delivery was planned; without a value it is EventBridge's
        # own default (recorded from AWS). Kinesis takes 256 characters.
        "PartitionKey": (parameters.get("PartitionKeyPath") or delivery.event_id)[:256],
    }


def _firehose(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "PutRecord", {
        "DeliveryStreamName": _name(arn),
        "Record": {"Data": delivery.payload},
    }


def _states(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "StartExecution", {
        "stateMachineArn": str(arn),
        "name": f"{delivery.event_id}_{_token(delivery)[:32]}",
        "input": _text(delivery),
        **({} if delivery.trace_header is None else {"traceHeader": delivery.trace_header}),
    }


def _lambda(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "Invoke", {
        "FunctionName": str(arn),
        "InvocationType": "Event",
        "Payload": delivery.payload,
    }


TASK_OVERRIDES: Final = frozenset(
    {
        "containerOverrides",
        "cpu",
        "ephemeralStorage",
        "executionRoleArn",
        "inferenceAcceleratorOverrides",
        "memory",
        "taskRoleArn",
    }
)


def _ecs(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    given = dict(delivery.parameters.get("EcsParameters") or {})
    task = {
        "cluster": str(arn),
        "taskDefinition": given.pop("TaskDefinitionArn", ""),
        "count": given.pop("TaskCount", 1),
        "clientToken": _token(delivery)[:32],
        **_lower(given),
    }
    overrides = _chosen(delivery, TASK_OVERRIDES)
    return "RunTask", {**task, "overrides": overrides} if overrides else task


JOB_OVERRIDES: Final = frozenset({"parameters", "containerOverrides", "timeout"})


def _batch(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    given = delivery.parameters.get("BatchParameters") or {}
    return "SubmitJob", {"jobQueue": str(arn), **_lower(given), **_chosen(delivery, JOB_OVERRIDES)}


BUILD_OVERRIDES: Final = frozenset(
    {
        "artifactsOverride",
        "buildspecOverride",
        "computeTypeOverride",
        "environmentTypeOverride",
        "environmentVariablesOverride",
        "gitCloneDepthOverride",
        "imageOverride",
        "privilegedModeOverride",
        "sourceLocationOverride",
        "sourceTypeOverride",
        "sourceVersion",
        "timeoutInMinutesOverride",
    }
)


def _codebuild(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "StartBuild", {
        "projectName": _name(arn),
        "idempotencyToken": _token(delivery),
        **_chosen(delivery, BUILD_OVERRIDES),
    }


def _codepipeline(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "StartPipelineExecution", {
        "name": arn.resource,
        "clientRequestToken": _token(delivery),
    }


def _run_command(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    given = delivery.parameters.get("RunCommandParameters") or {}
    return "SendCommand", {
        "DocumentName": _name(arn),
        "Targets": given.get("RunCommandTargets", []),
        "Parameters": _object(delivery),
    }


def _automation(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    name, _, version = _name(arn).partition(":")
    return "StartAutomationExecution", {
        "DocumentName": name,
        **({"DocumentVersion": version} if version else {}),
        "Parameters": _object(delivery),
        "ClientToken": delivery.event_id,
    }


def _redshift(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    given = dict(delivery.parameters.get("RedshiftDataParameters") or {})
    if arn.service == "redshift":
        given["ClusterIdentifier"] = arn.resource.partition(":")[2]
    else:
        given["WorkgroupName"] = str(arn)
    if "SecretManagerArn" in given:
        given["SecretArn"] = given.pop("SecretManagerArn")
    given["ClientToken"] = _token(delivery)
    return "BatchExecuteStatement" if given.get("Sqls") else "ExecuteStatement", given


def _sagemaker(delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    given = delivery.parameters.get("SageMakerPipelineParameters") or {}
    return "StartPipelineExecution", {
        "PipelineName": _name(arn),
        "PipelineParameters": given.get("PipelineParameterList", []),
        "ClientRequestToken": _token(delivery),
    }


def _inspector(_delivery: Delivery, arn: Arn) -> tuple[str, Input]:
    return "StartAssessmentRun", {"assessmentTemplateArn": str(arn)}


def _one(name: str) -> frozenset[str]:
    return frozenset({name})


KINDS: Final = (
    AwsKind(
        "sns",
        "sns",
        re.compile(r"[A-Za-z0-9_-]{1,256}"),  # a FIFO topic's name ends in .fifo
        _sns,
        ("Publish",),
        needs_role=False,
    ),
    AwsKind(
        "kinesis",
        "kinesis",
        re.compile(r"stream/[a-zA-Z0-9_.-]+"),
        _kinesis,
        ("PutRecord",),
        parameters=_one("KinesisParameters"),
    ),
    AwsKind(
        "firehose",
        "firehose",
        re.compile(r"deliverystream/[a-zA-Z0-9_.-]+"),
        _firehose,
        ("PutRecord",),
    ),
    AwsKind(
        "stepfunctions",
        "states",
        re.compile(r"stateMachine:.+"),
        _states,
        ("StartExecution",),
    ),
    AwsKind(
        "lambda",
        "lambda",
        re.compile(r"function:[A-Za-z0-9_-]+(:[A-Za-z0-9$_-]+)?"),
        _lambda,
        ("Invoke",),
        needs_role=False,
    ),
    AwsKind(
        "ecs",
        "ecs",
        re.compile(r"cluster/.+"),
        _ecs,
        ("RunTask",),
        parameters=_one("EcsParameters"),
        required=_one("EcsParameters"),
    ),
    AwsKind(
        "batch",
        "batch",
        re.compile(r"job-queue/.+"),
        _batch,
        ("SubmitJob",),
        parameters=_one("BatchParameters"),
        required=_one("BatchParameters"),
    ),
    AwsKind("codebuild", "codebuild", re.compile(r"project/.+"), _codebuild, ("StartBuild",)),
    AwsKind(
        "codepipeline",
        "codepipeline",
        re.compile(r"[A-Za-z0-9.@_-]+"),
        _codepipeline,
        ("StartPipelineExecution",),
    ),
    AwsKind(
        "ssm",
        "ssm",
        re.compile(r"document/.+"),
        _run_command,
        ("SendCommand",),
        parameters=_one("RunCommandParameters"),
        required=_one("RunCommandParameters"),
    ),
    AwsKind(
        "ssm",
        "ssm",
        re.compile(r"automation-definition/.+"),
        _automation,
        ("StartAutomationExecution",),
    ),
    AwsKind(
        "redshift-data",
        "redshift",
        re.compile(r"cluster:.+"),
        _redshift,
        ("ExecuteStatement", "BatchExecuteStatement"),
        parameters=_one("RedshiftDataParameters"),
        required=_one("RedshiftDataParameters"),
    ),
    AwsKind(
        "redshift-data",
        "redshift-serverless",
        re.compile(r"workgroup/.+"),
        _redshift,
        ("ExecuteStatement", "BatchExecuteStatement"),
        parameters=_one("RedshiftDataParameters"),
        required=_one("RedshiftDataParameters"),
    ),
    AwsKind(
        "sagemaker",
        "sagemaker",
        re.compile(r"pipeline/.+"),
        _sagemaker,
        ("StartPipelineExecution",),
        parameters=_one("SageMakerPipelineParameters"),
    ),
    AwsKind(
        "inspector",
        "inspector",
        re.compile(r"target/.+/template/.+"),
        _inspector,
        ("StartAssessmentRun",),
    ),
)
"""Every kind of target that is reached through its own API."""

SERVICES: Final = frozenset(kind.service for kind in KINDS)
MEMBERS: Final = frozenset().union(*(kind.parameters for kind in KINDS))


def kind_of(arn: Arn) -> AwsKind | None:
    """Return the kind of target that an ARN names, None where it is none of these."""
    return next(
        (
            kind
            for kind in KINDS
            if kind.arn_service == arn.service and kind.resource.fullmatch(arn.resource)
        ),
        None,
    )


def no_url(service: str) -> str:
    """Return what to do where a service has no URL."""
    return (
        f"Farspan has no endpoint for service {service}; "
        f"set [targets.endpoints] {service} in farspan.toml."
    )
