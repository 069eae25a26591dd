"""Every operation with the names and ARNs of the first account, called by the second.

Generated from the service models: an operation that is added is swept from that day on. Whatever
the answer, it must tell nothing of the first account, and leave all of it as it was.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from botocore import xform_name
from botocore.client import BaseClient
from botocore.exceptions import ClientError
from botocore.model import Shape

from farspan.clock import SystemClock
from farspan.control.registry import OPERATIONS

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Eventually, Send, SignedHeaders

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
NAME = "sweep"
SECRET = "confidential"
"""Stands in every text that the first account stores, and in nothing that the second one sends."""

SOURCE = f"aws.partner/example.com/{NAME}"
BUS_ARN = f"arn:aws:events:{EAST}:{OWN}:event-bus/{NAME}"
RULE_ARN = f"arn:aws:events:{EAST}:{OWN}:rule/{NAME}/{NAME}"
LOG_GROUP_ARN = f"arn:aws:logs:{EAST}:{OWN}:log-group:{NAME}"
QUEUE_ARN = f"arn:aws:sqs:{EAST}:{OWN}:{NAME}"
ARCHIVE_ARN = f"arn:aws:events:{EAST}:{OWN}:archive/{NAME}"
PATTERN = '{"source":[{"prefix":""}]}'
Clients = Callable[..., BaseClient]

TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": {
            "Effect": "Allow",
            "Principal": {"AWS": OTHER},
            "Action": "sts:AssumeRole",
            "Condition": {"StringEquals": {"sts:ExternalId": SECRET}},
        },
    }
)
"""Lets the second account in with a word that it does not have."""

NO_GRANT = '{"Statement":{"Effect":"Deny","Action":"*","Resource":"*"}}'
SWEPT = [("events", "PutEvents"), *sorted(OPERATIONS)]
OPEN = {("events", "TestEventPattern"), ("events", "ListPartnerEventSources")}
"""Operations that name nothing of an account."""


@dataclass(frozen=True, slots=True)
class FirstAccount:
    """What the first account has, and how to look at it."""

    events: BaseClient
    sqs: BaseClient
    iam: BaseClient
    route53: BaseClient
    logs: BaseClient
    queue_url: str
    receipt_handle: str
    endpoint_id: str
    connection_arn: str
    api_destination_arn: str
    health_check_id: str

    def everything(self) -> dict[str, Any]:
        """Return all that can be read of it."""
        events, bus = self.events, {"EventBusName": NAME}
        stream = {"logGroupName": NAME, "logStreamName": NAME}
        sources = events.list_event_sources(NamePrefix=SOURCE)["EventSources"]
        found = {
            "buses": events.list_event_buses()["EventBuses"],
            "bus": events.describe_event_bus(Name=NAME),
            "rules": [events.list_rules(**where)["Rules"] for where in ({}, bus)],
            "targets": [
                events.list_targets_by_rule(Rule=NAME, **where)["Targets"] for where in ({}, bus)
            ],
            "tags": [
                events.list_tags_for_resource(ResourceARN=arn)["Tags"]
                for arn in (BUS_ARN, RULE_ARN)
            ],
            "archive": events.describe_archive(ArchiveName=NAME),
            "archives": events.list_archives()["Archives"],
            "replay": events.describe_replay(ReplayName=NAME),
            "connection": events.describe_connection(Name=NAME),
            "api destination": events.describe_api_destination(Name=NAME),
            "endpoint": events.describe_endpoint(Name=NAME),
            "source": [source for source in sources if source["Name"] == SOURCE],
            "roles": [role for role in self.iam.list_roles()["Roles"] if role["RoleName"] == NAME],
            "role": self.iam.get_role(RoleName=NAME),
            "role policy": self.iam.get_role_policy(RoleName=NAME, PolicyName=NAME),
            "role policies": self.iam.list_attached_role_policies(RoleName=NAME)[
                "AttachedPolicies"
            ],
            "health checks": self.route53.list_health_checks()["HealthChecks"],
            "log groups": self.logs.describe_log_groups()["logGroups"],
            "log streams": self.logs.describe_log_streams(logGroupName=NAME)["logStreams"],
            "log tags": self.logs.list_tags_for_resource(resourceArn=LOG_GROUP_ARN)["tags"],
            "log events": self.logs.get_log_events(**stream, startFromHead=True)["events"],
            "queues": self.sqs.list_queues()["QueueUrls"],
            "queue": self.sqs.get_queue_attributes(QueueUrl=self.queue_url, AttributeNames=["All"])[
                "Attributes"
            ],
        }
        for answer in found.values():
            if isinstance(answer, dict):
                answer.pop("ResponseMetadata", None)
        return found


@pytest.fixture(scope="module")
def sweep(deployed: Callable[..., Deployment]) -> Deployment:
    """Two Regions of which only these tests know."""
    return deployed(EAST, WEST)


@pytest.fixture(scope="module")
def first(
    sweep: Deployment,
    client_of: Clients,
    settings_of: Callable[..., Any],
    eventually: Eventually,
) -> FirstAccount:
    """The first account with one of each kind, all of the same name."""
    events, west, sqs, route53, iam, logs = (
        client_of(sweep.url, service, region, ("test", "test"))
        for service, region in (
            ("events", EAST),
            ("events", WEST),
            ("sqs", EAST),
            ("route53", EAST),
            ("iam", EAST),
            ("logs", EAST),
        )
    )
    partner = client_of(sweep.url, "events", EAST, ("crowded", "crowded-secret"))
    url = sqs.create_queue(QueueName=NAME)["QueueUrl"]
    tags = [{"Key": "k", "Value": SECRET}]
    for regional in (events, west):
        regional.create_event_bus(Name=NAME, Description=SECRET, Tags=tags)
    for where in ({}, {"EventBusName": NAME}):
        events.put_rule(
            Name=NAME,
            EventPattern=PATTERN,
            Description=SECRET,
            Tags=tags,
            State="DISABLED",
            **where,
        )
        events.put_targets(
            Rule=NAME, Targets=[{"Id": NAME, "Arn": QUEUE_ARN, "Input": f'"{SECRET}"'}], **where
        )
    events.create_archive(ArchiveName=NAME, EventSourceArn=BUS_ARN, Description=SECRET)
    events.start_replay(
        ReplayName=NAME,
        Description=SECRET,
        EventSourceArn=ARCHIVE_ARN,
        EventStartTime=1_700_000_000,
        EventEndTime=1_700_000_001,
        Destination={"Arn": BUS_ARN},
    )
    eventually(lambda: events.describe_replay(ReplayName=NAME)["State"] in {"COMPLETED", "FAILED"})
    connection = events.create_connection(
        Name=NAME,
        Description=SECRET,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": SECRET}},
    )["ConnectionArn"]
    destination = events.create_api_destination(
        Name=NAME,
        Description=SECRET,
        ConnectionArn=connection,
        InvocationEndpoint="https://example.com/",
        HttpMethod="POST",
    )["ApiDestinationArn"]
    partner.create_partner_event_source(Name=SOURCE, Account=OWN)
    check = route53.create_health_check(
        CallerReference=NAME,
        HealthCheckConfig={"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9, "Disabled": True},
    )["HealthCheck"]["Id"]
    iam.create_role(RoleName=NAME, AssumeRolePolicyDocument=TRUST, Description=SECRET)
    iam.put_role_policy(RoleName=NAME, PolicyName=NAME, PolicyDocument=NO_GRANT)
    events.create_endpoint(**settings_of(NAME, check), Description=SECRET)
    eventually(lambda: events.describe_endpoint(Name=NAME)["State"] == "ACTIVE")
    stream = {"logGroupName": NAME, "logStreamName": NAME}
    logs.create_log_group(logGroupName=NAME, tags={"k": SECRET})
    logs.create_log_stream(**stream)
    event = {"timestamp": int(SystemClock().now() * 1_000), "message": SECRET}
    logs.put_log_events(**stream, logEvents=[event])
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    handle = sqs.receive_message(QueueUrl=url, VisibilityTimeout=3600)["Messages"][0]
    sqs.send_message(QueueUrl=url, MessageBody=SECRET)
    return FirstAccount(
        events=events,
        sqs=sqs,
        iam=iam,
        route53=route53,
        logs=logs,
        queue_url=url,
        receipt_handle=handle["ReceiptHandle"],
        endpoint_id=events.describe_endpoint(Name=NAME)["EndpointId"],
        connection_arn=connection,
        api_destination_arn=destination,
        health_check_id=check,
    )


def references(first: FirstAccount, *, by_arn: bool) -> dict[str, Any]:
    """Return what the second account gives for a member of that name."""
    bus = BUS_ARN if by_arn else NAME
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": bus}
    return {
        "Account": OWN,
        "Arn": QUEUE_ARN,
        "AssumeRolePolicyDocument": NO_GRANT.replace('"Resource":"*"', '"Principal":"*"').replace(
            '"Action":"*"', '"Action":"sts:*"'
        ),
        "ConnectionArn": first.connection_arn,
        "Destination": {"Arn": BUS_ARN},
        "EndpointId": first.endpoint_id if by_arn else None,
        "Entries": [entry],
        "Event": "{}",
        "EventBusName": bus,
        "EventPattern": PATTERN,
        "EventSourceArn": BUS_ARN,
        "EventSourceName": None,
        "HealthCheckConfig": {"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9},
        "HealthCheckId": first.health_check_id,
        "HomeRegion": EAST if by_arn else None,
        "InvocationEndpoint": "https://example.com/",
        "NamePrefix": None,
        "PolicyArn": "arn:aws:iam::aws:policy/IAMReadOnlyAccess",
        "PolicyDocument": NO_GRANT,
        "Principal": OTHER,
        "QueueOwnerAWSAccountId": OWN if by_arn else None,
        "QueueUrl": first.queue_url,
        "logGroupIdentifier": LOG_GROUP_ARN if by_arn else None,
        "resourceArn": LOG_GROUP_ARN,
        "ReceiptHandle": first.receipt_handle,
        "ResourceARN": RULE_ARN if by_arn else BUS_ARN,
        "Action": "events:PutEvents",
        "StatementId": "sid",
        "TargetArn": QUEUE_ARN,
        "Force": by_arn or None,
    }


def parameters(
    shape: Shape | None, operation: str, known: Mapping[str, Any], *, by_arn: bool
) -> dict[str, Any]:
    """Return an operation's parameters, the first account's things wherever they fit."""
    if shape is None:
        return {}
    found: dict[str, Any] = {}
    for name, member in shape.members.items():
        if name == "logGroupName" and by_arn and "logGroupIdentifier" in shape.members:
            continue  # it takes one of the two
        if name in known:
            if known[name] is not None:
                found[name] = known[name]
        elif name == "Name" and operation.endswith("EventSource"):
            found[name] = SOURCE
        elif name == "Name" and operation.endswith("EventBus") and by_arn:
            found[name] = BUS_ARN
        elif name in shape.required_members:
            found[name] = example(member, operation, known, by_arn=by_arn)
        elif name == "logGroupName":
            found[name] = NAME
    return found | special(operation, known)


def special(operation: str, known: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a member means in one operation and not in the others."""
    message = {"Id": "1", "ReceiptHandle": known["ReceiptHandle"]}
    return {
        "StartReplay": {"EventSourceArn": ARCHIVE_ARN},
        "PutPartnerEvents": {"Entries": [{"Source": SOURCE, "DetailType": "t", "Detail": "{}"}]},
        "AssumeRole": {"RoleArn": f"arn:aws:iam::{OWN}:role/{NAME}"},
        "UpdateAssumeRolePolicy": {"PolicyDocument": known["AssumeRolePolicyDocument"]},
        "GetQueueAttributes": {"AttributeNames": ["All"]},
        "SendMessageBatch": {"Entries": [{"Id": "1", "MessageBody": "b"}]},
        "DeleteMessageBatch": {"Entries": [message]},
        "ChangeMessageVisibilityBatch": {"Entries": [{**message, "VisibilityTimeout": 0}]},
    }.get(operation, {})


def example(shape: Shape, operation: str, known: Mapping[str, Any], *, by_arn: bool) -> Any:
    """Return a value that the shape takes: texts are the name that all has."""
    match shape.type_name:
        case "structure":
            return parameters(shape, operation, known, by_arn=by_arn)
        case "list":
            return [example(shape.member, operation, known, by_arn=by_arn)]
        case "map":
            return {}
        case "string":
            return shape.enum[0] if shape.enum else NAME
        case "timestamp":
            return 1_700_000_000
        case _:
            return shape.metadata.get("min", 1)


@pytest.mark.parametrize("by_arn", [False, True], ids=["names", "arns"])
@pytest.mark.parametrize(("service", "operation"), SWEPT, ids=str)
def test_the_second_account_reaches_nothing(
    sweep: Deployment,
    client_of: Clients,
    first: FirstAccount,
    service: str,
    operation: str,
    by_arn: bool,
) -> None:
    """Neither the answer nor the first account shows that the call was made."""
    client = client_of(
        sweep.url, service, EAST, ("other", "other-secret"), parameter_validation=False
    )
    model = client.meta.service_model.operation_model(operation)
    params = parameters(
        model.input_shape, operation, references(first, by_arn=by_arn), by_arn=by_arn
    )
    before = first.everything()
    try:
        answer, failed = getattr(client, xform_name(operation))(**params), False
    except ClientError as error:
        answer, failed = error.response, True
    shown = json.dumps(answer, default=str)

    assert before == first.everything()
    assert SECRET not in shown
    if not failed and (service, operation) not in OPEN:
        assert OWN not in shown.replace(json.dumps(params, default=str), "")


def test_the_sweep_reaches_what_it_is_after(
    sweep: Deployment, client_of: Clients, first: FirstAccount
) -> None:
    """The same calls, made by the first account, are answered: the parameters are good ones."""
    answered = set()
    for service, operation in SWEPT:
        if not operation.startswith(("Describe", "Filter", "List", "Get")):
            continue
        client = client_of(sweep.url, service, EAST, ("test", "test"), parameter_validation=False)
        model = client.meta.service_model.operation_model(operation)
        params = parameters(
            model.input_shape, operation, references(first, by_arn=True), by_arn=True
        )
        try:
            shown = json.dumps(getattr(client, xform_name(operation))(**params), default=str)
        except ClientError:
            continue
        if SECRET in shown or NAME in shown:
            answered.add(operation)

    assert answered >= {
        "DescribeApiDestination",
        "DescribeArchive",
        "DescribeConnection",
        "DescribeEndpoint",
        "DescribeEventBus",
        "DescribeReplay",
        "DescribeLogGroups",
        "DescribeLogStreams",
        "DescribeRule",
        "FilterLogEvents",
        "GetLogEvents",
        "GetQueueAttributes",
        "GetQueueUrl",
        "ListTagsForResource",
        "ListTargetsByRule",
    }


def test_the_status_shows_ones_own(
    sweep: Deployment, send: Send, signed_headers: SignedHeaders, first: FirstAccount
) -> None:
    """A node's status tells each account of its own endpoints and health checks alone."""

    def status(*key: str) -> dict[str, Any]:
        path = "/_farspan/status"
        headers = signed_headers(sweep.url, "GET", path, key=key)
        found: dict[str, Any] = json.loads(send(sweep.url, "GET", path, headers=headers).body)
        return found

    own, other = status("test", "test"), status("other", "other-secret")

    assert [first.endpoint_id] == [endpoint["endpoint_id"] for endpoint in own["endpoints"]]
    assert first.health_check_id in own["health_checks"]
    assert not other["endpoints"]
    assert first.health_check_id not in other["health_checks"]


def test_an_outsider_cannot_say_that_a_node_passed_it_on(
    sweep: Deployment, first: FirstAccount, send: Send
) -> None:
    """The nodes' header is refused from anyone else, before anything else is looked at."""
    reply = send(
        sweep.url, "POST", "/", headers={"X-Farspan-Forwarded-By": "us-west-2"}, body=b"{}"
    )

    assert "AccessDeniedException" == reply.error["__type"]
    assert first.endpoint_id not in reply.error["message"]
