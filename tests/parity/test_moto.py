"""AWS services as targets against a server that others wrote: moto's, where `make moto` put it.

Each kind of target is made there through its own API, reached by a rule here, and looked for there.
Systems Manager's automations, batches of statements, AppSync and Inspector cannot be asked there;
`tests/unit/targets` compares their requests with botocore's.
"""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from farspan.config import TargetsConfig

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually

EAST, ACCOUNT = "us-east-1", "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/service-role/invoke"
SERVER = Path(
    os.environ.get("FARSPAN_MOTO")
    or Path(__file__).parents[2] / ".venv-moto" / "bin" / "moto_server"
)
SERVICES = (
    "batch",
    "codebuild",
    "codepipeline",
    "ecs",
    "firehose",
    "kinesis",
    "lambda",
    "redshift-data",
    "sagemaker",
    "sns",
    "ssm",
    "stepfunctions",
)

pytestmark = [
    pytest.mark.skipif(not SERVER.exists(), reason="no moto server: `make moto` installs one"),
    pytest.mark.timeout(120),
]

Client = Callable[[str], Any]
Found = Callable[[], Any]


def arn(service: str, resource: str) -> str:
    """Return an ARN of the test's account and Region."""
    return f"arn:aws:{service}:{EAST}:{ACCOUNT}:{resource}"


@pytest.fixture(scope="module")
def moto(eventually: Eventually) -> Iterator[str]:
    """Run the server and return its URL. Functions and jobs run nothing there."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [SERVER, "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "MOTO_ACCOUNT_ID": ACCOUNT},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    settings = json.dumps({name: {"use_docker": False} for name in ("lambda", "batch")})
    asked = urllib.request.Request(
        f"{url}/moto-api/config",
        data=settings.encode(),
        headers={"Content-Type": "application/json"},
        method="POST",
    )

    def is_up() -> bool:
        try:
            with urllib.request.urlopen(asked, timeout=10):
                return True
        except (urllib.error.URLError, ConnectionError):
            return False

    try:
        eventually(is_up, 60.0)
        yield url
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture(scope="module")
def there(moto: str) -> Client:
    """Return clients of the server, with a role that its services accept."""

    def there(service: str) -> Any:
        return boto3.client(
            service,
            EAST,
            endpoint_url=moto,
            aws_access_key_id="test",
            aws_secret_access_key="test",
        )

    allowed = {"Effect": "Allow", "Action": "sts:AssumeRole"}
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {**allowed, "Principal": {"Service": f"{service}.amazonaws.com"}}
            for service in ("codepipeline", "lambda")
        ],
    }
    there("iam").create_role(
        RoleName="invoke", Path="/service-role/", AssumeRolePolicyDocument=json.dumps(trust)
    )
    return there


@pytest.fixture(scope="module")
def joined(deployed: Callable[..., Deployment], moto: str) -> Deployment:
    """Run a Region whose targets' services are all at the server."""
    return deployed(targets=TargetsConfig(endpoints=dict.fromkeys(SERVICES, moto)))


def topic(there: Client) -> tuple[dict[str, Any], Found]:
    """Make a topic; what it sends on is in a queue there."""
    made = there("sns").create_topic(Name="topic")["TopicArn"]
    url = there("sqs").create_queue(QueueName="heard")["QueueUrl"]
    there("sns").subscribe(TopicArn=made, Protocol="sqs", Endpoint=arn("sqs", "heard"))
    heard: list[str] = []

    def found() -> list[str]:
        asked = there("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
        heard.extend(json.loads(m["Body"])["Message"] for m in asked.get("Messages", []))
        return heard

    return {"Arn": made}, found


def stream(there: Client) -> tuple[dict[str, Any], Found]:
    """Make a stream with one shard."""
    kinesis = there("kinesis")
    kinesis.create_stream(StreamName="stream", ShardCount=1)

    def found() -> list[str]:
        shard = kinesis.list_shards(StreamName="stream")["Shards"][0]["ShardId"]
        iterator = kinesis.get_shard_iterator(
            StreamName="stream", ShardId=shard, ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        records = kinesis.get_records(ShardIterator=iterator)["Records"]
        return [record["Data"].decode() for record in records]

    return {"Arn": arn("kinesis", "stream/stream"), "RoleArn": ROLE}, found


def delivery_stream(there: Client) -> tuple[dict[str, Any], Found]:
    """Make a delivery stream into a bucket."""
    s3 = there("s3")
    s3.create_bucket(Bucket="bucket")
    bucket = {"RoleARN": ROLE, "BucketARN": "arn:aws:s3:::bucket"}
    there("firehose").create_delivery_stream(
        DeliveryStreamName="hose", ExtendedS3DestinationConfiguration=bucket
    )

    def found() -> list[str]:
        keys = [one["Key"] for one in s3.list_objects_v2(Bucket="bucket").get("Contents", [])]
        texts = [s3.get_object(Bucket="bucket", Key=key)["Body"].read().decode() for key in keys]
        # The hose joins its records without anything between them.
        return [one for text in texts for one in text.replace("}{", "}\n{").splitlines()]

    return {"Arn": arn("firehose", "deliverystream/hose"), "RoleArn": ROLE}, found


def state_machine(there: Client) -> tuple[dict[str, Any], Found]:
    """Make a state machine that passes its input on."""
    states = there("stepfunctions")
    definition = {"StartAt": "a", "States": {"a": {"Type": "Pass", "End": True}}}
    made = states.create_state_machine(
        name="machine", definition=json.dumps(definition), roleArn=ROLE
    )["stateMachineArn"]

    def found() -> list[str]:
        runs = states.list_executions(stateMachineArn=made)["executions"]
        return [
            states.describe_execution(executionArn=run["executionArn"])["input"] for run in runs
        ]

    return {"Arn": made, "RoleArn": ROLE}, found


TEXTS = {
    "sns": topic,
    "kinesis": stream,
    "firehose": delivery_stream,
    "stepfunctions": state_machine,
}
"""Services that show what they were given."""


def function(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a function; what was invoked cannot be seen."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("m.py", "def run(event, context):\n    return event\n")
    there("lambda").create_function(
        FunctionName="function",
        Runtime="python3.11",
        Role=ROLE,
        Handler="m.run",
        Code={"ZipFile": packed.getvalue()},
    )
    return {"Arn": arn("lambda", "function:function")}, None


def cluster(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a cluster and a task definition."""
    ecs, ec2 = there("ecs"), there("ec2")
    ecs.create_cluster(clusterName="cluster")
    task = ecs.register_task_definition(
        family="task",
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        containerDefinitions=[{"name": "a", "image": "i", "cpu": 1, "memory": 1}],
    )["taskDefinition"]["taskDefinitionArn"]
    network = {
        "Subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "SecurityGroups": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    target = {
        "Arn": arn("ecs", "cluster/cluster"),
        "RoleArn": ROLE,
        "EcsParameters": {
            "TaskDefinitionArn": task,
            "LaunchType": "FARGATE",
            "NetworkConfiguration": {"awsvpcConfiguration": network},
        },
    }
    return target, lambda: ecs.list_tasks(cluster="cluster")["taskArns"]


def job_queue(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a job queue and a job definition."""
    batch = there("batch")
    environment = batch.create_compute_environment(
        computeEnvironmentName="environment", type="UNMANAGED", serviceRole=ROLE
    )["computeEnvironmentArn"]
    queue = batch.create_job_queue(
        jobQueueName="jobs",
        state="ENABLED",
        priority=1,
        computeEnvironmentOrder=[{"order": 1, "computeEnvironment": environment}],
    )["jobQueueArn"]
    definition = batch.register_job_definition(
        jobDefinitionName="definition",
        type="container",
        containerProperties={"image": "i", "vcpus": 1, "memory": 128, "command": ["ls"]},
    )["jobDefinitionArn"]
    target = {
        "Arn": queue,
        "RoleArn": ROLE,
        "BatchParameters": {"JobDefinition": definition, "JobName": "paid"},
    }
    return target, lambda: [
        job
        for status in ("SUBMITTED", "PENDING", "RUNNABLE", "STARTING", "RUNNING", "SUCCEEDED")
        for job in batch.list_jobs(jobQueue=queue, jobStatus=status)["jobSummaryList"]
        if job["jobName"] == "paid"
    ]


def project(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a build project."""
    codebuild = there("codebuild")
    codebuild.create_project(
        name="project",
        source={"type": "S3", "location": "bucket/key"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={
            "type": "LINUX_CONTAINER",
            "image": "i",
            "computeType": "BUILD_GENERAL1_SMALL",
        },
        serviceRole=ROLE,
    )
    target = {"Arn": arn("codebuild", "project/project"), "RoleArn": ROLE}
    return target, lambda: codebuild.list_builds_for_project(projectName="project")["ids"]


def release(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a pipeline of CodePipeline's with a source and a stage."""
    codepipeline = there("codepipeline")

    def stage(name: str, category: str, provider: str) -> dict[str, Any]:
        kind = {"category": category, "owner": "AWS", "provider": provider, "version": "1"}
        return {"name": name, "actions": [{"name": name, "actionTypeId": kind}]}

    codepipeline.create_pipeline(
        pipeline={
            "name": "release",
            "roleArn": ROLE,
            "artifactStore": {"type": "S3", "location": "bucket"},
            "stages": [stage("source", "Source", "S3"), stage("ask", "Approval", "Manual")],
        }
    )
    target = {"Arn": arn("codepipeline", "release"), "RoleArn": ROLE}
    return target, lambda: codepipeline.list_pipeline_executions(pipelineName="release")[
        "pipelineExecutionSummaries"
    ]


def document(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Name a command of Systems Manager's own; its parameters are the input."""
    ssm = there("ssm")
    target = {
        "Arn": arn("ssm", "document/AWS-RunShellScript"),
        "RoleArn": ROLE,
        "Input": '{"commands":["ls"]}',
        "RunCommandParameters": {"RunCommandTargets": [{"Key": "InstanceIds", "Values": ["i-1"]}]},
    }
    return target, lambda: [
        one for one in ssm.list_commands()["Commands"] if one["Parameters"] == {"commands": ["ls"]}
    ]


def database(_there: Client) -> tuple[dict[str, Any], Found | None]:
    """Name a cluster; statements that ran cannot be listed."""
    target = {
        "Arn": arn("redshift", "cluster:cluster"),
        "RoleArn": ROLE,
        "RedshiftDataParameters": {"Database": "d", "Sql": "select 1"},
    }
    return target, None


def pipeline(there: Client) -> tuple[dict[str, Any], Found | None]:
    """Make a pipeline of SageMaker's."""
    sagemaker = there("sagemaker")
    made = sagemaker.create_pipeline(
        PipelineName="pipeline",
        PipelineDefinition=json.dumps({"Version": "2020-12-01", "Steps": []}),
        ClientRequestToken="a" * 32,
        RoleArn=ROLE,
    )["PipelineArn"]
    target = {"Arn": made, "RoleArn": ROLE}
    return target, lambda: sagemaker.list_pipeline_executions(PipelineName="pipeline")[
        "PipelineExecutionSummaries"
    ]


RUNS = {
    "lambda": function,
    "ecs": cluster,
    "batch": job_queue,
    "codebuild": project,
    "codepipeline": release,
    "ssm": document,
    "redshift-data": database,
    "sagemaker": pipeline,
}
"""Services that show at most that something runs."""


class Shop:
    """A bus whose rule has one target, and a dead-letter queue."""

    def __init__(self, joined: Deployment, client_of: ClientFactory, name: str) -> None:
        self._events = client_of(joined.url, "events", EAST, ("test", "test"))
        self._sqs = client_of(joined.url, "sqs", EAST, ("test", "test"))
        self._name = name
        self._queue = self._sqs.create_queue(QueueName=name)["QueueUrl"]
        self._events.create_event_bus(Name=name)
        self._events.put_rule(Name=name, EventBusName=name, EventPattern='{"source":["shop"]}')

    def aim(self, target: dict[str, Any]) -> None:
        """Make this the rule's target."""
        dead_letters = {"DeadLetterConfig": {"Arn": arn("sqs", self._name)}}
        self._events.put_targets(
            Rule=self._name,
            EventBusName=self._name,
            Targets=[{"Id": "t", **dead_letters, **target}],
        )

    def put(self, count: int) -> set[str]:
        """Put events that the rule matches; return their ids."""
        entry = {"Source": "shop", "DetailType": "paid", "EventBusName": self._name}
        entries = [{**entry, "Detail": f'{{"n":{n}}}'} for n in range(count)]
        ids: set[str] = set()
        for start in range(0, count, 10):
            answer = self._events.put_events(Entries=entries[start : start + 10])
            ids |= {one["EventId"] for one in answer["Entries"]}
        return ids

    def dead_letters(self, wait_seconds: int = 0) -> list[dict[str, str]]:
        """Return the attributes of the dead letters that are there."""
        asked = self._sqs.receive_message(
            QueueUrl=self._queue,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=wait_seconds,
            MessageAttributeNames=["All"],
        )
        return [
            {name: one["StringValue"] for name, one in message["MessageAttributes"].items()}
            for message in asked.get("Messages", [])
        ]


@pytest.fixture
def shop(joined: Deployment, client_of: ClientFactory, name: str) -> Shop:
    """Return a shop of the test's own."""
    return Shop(joined, client_of, name)


@pytest.mark.parametrize("make", TEXTS.values(), ids=TEXTS)
def test_every_event_arrives(
    shop: Shop, there: Client, eventually: Eventually, make: Callable[..., Any]
) -> None:
    """Each of many events is there once, whichever requests carried them."""
    target, found = make(there)
    shop.aim(target)
    ids = shop.put(60)
    eventually(lambda: {json.loads(text)["id"] for text in found()} == ids, 60.0)

    assert len(ids) == len(found())
    assert [] == shop.dead_letters()


@pytest.mark.parametrize("make", RUNS.values(), ids=RUNS)
def test_something_runs(
    shop: Shop, there: Client, eventually: Eventually, make: Callable[..., Any]
) -> None:
    """An event makes a service run what the target names, and no dead letter."""
    target, found = make(there)
    shop.aim(target)
    shop.put(1)
    if found is not None:
        eventually(found, 30.0)

    assert [] == shop.dead_letters(wait_seconds=1 if found is None else 0)


def test_a_stream_that_is_not_there(shop: Shop, there: Client) -> None:
    """What the service does not have is a dead letter with the service's own words."""
    assert [] == [n for n in there("kinesis").list_streams()["StreamNames"] if n == "nowhere"]
    shop.aim({"Arn": arn("kinesis", "stream/nowhere"), "RoleArn": ROLE})
    shop.put(20)
    letters = shop.dead_letters(wait_seconds=10)

    assert {"NO_RESOURCE"} == {letter["ERROR_CODE"] for letter in letters}
    assert all("Stream nowhere" in letter["ERROR_MESSAGE"] for letter in letters)
