"""From PutEvents to the API of another AWS service, at a URL that the configuration names."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from farspan.config import EndpointConfig, TargetsConfig

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually, Hook, Hooked

EAST = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/invoke"
INVOKE_PATH = "/2015-03-31/functions/function/invocations"


@pytest.fixture(scope="module")
def services(hooked: Hooked) -> Iterator[Hook]:
    """Run a server on loopback that stands for all services, and takes every request."""
    with hooked() as services:
        yield services


@pytest.fixture(scope="module")
def joined(deployed: Callable[..., Deployment], services: Hook) -> Deployment:
    """A Region that knows where three services and one function are."""
    return deployed(
        targets=TargetsConfig(
            endpoints={
                "sns": services.url,
                "kinesis": EndpointConfig(url=services.url, access_key_id="AKIAOTHER"),
                "ecs": services.url,
                "appsync": f"{services.url}/{{api}}/graphql",
            },
            functions={"pay": f"{services.url}/emulator"},
        )
    )


@pytest.fixture
def events(joined: Deployment, client_of: ClientFactory, name: str) -> Any:
    """A client of the Region, with a rule on a bus of the test's name."""
    events = client_of(joined.url, "events", EAST, ("test", "test"))
    events.create_event_bus(Name=name)
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source":["shop"]}')
    return events


def deliver(events: Any, name: str, target: dict[str, Any]) -> str:
    """Put a target and an event for it; return the event's id."""
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "t", **target}])
    answer = events.put_events(
        Entries=[
            {
                "Source": "shop",
                "DetailType": "paid",
                "Detail": '{"user":"ann"}',
                "EventBusName": name,
            }
        ]
    )
    return str(answer["Entries"][0]["EventId"])


def test_a_topic(events: Any, services: Hook, name: str, eventually: Eventually) -> None:
    """A topic gets the event as a message, in a request that is signed for SNS."""
    topic = f"arn:aws:sns:{EAST}:{ACCOUNT}:{name}"
    event_id = deliver(events, name, {"Arn": topic})

    def found() -> list[tuple[dict[str, str], dict[str, list[str]]]]:
        sent = [(one.headers, parse_qs(one.body)) for one in services.seen]
        return [one for one in sent if one[1].get("TopicArn") == [topic]]

    ((headers, fields),) = eventually(found)
    assert f"/{EAST}/sns/aws4_request" in headers["authorization"]
    assert ["Publish"] == fields["Action"]
    assert event_id == json.loads(fields["Message"][0])["id"]


def test_a_stream(events: Any, services: Hook, name: str, eventually: Eventually) -> None:
    """A stream gets the event under the partition key that its path finds."""
    stream = {
        "Arn": f"arn:aws:kinesis:{EAST}:{ACCOUNT}:stream/{name}",
        "RoleArn": ROLE,
        "KinesisParameters": {"PartitionKeyPath": "$.detail.user"},
    }
    event_id = deliver(events, name, stream)

    def found() -> list[tuple[dict[str, str], dict[str, str]]]:
        sent = [
            (one.headers, json.loads(one.body))
            for one in services.seen
            if one.headers.get("x-amz-target") == "Kinesis_20131202.PutRecord"
        ]
        return [one for one in sent if one[1]["StreamName"] == name]

    ((headers, record),) = eventually(found)
    assert "Credential=AKIAOTHER/" in headers["authorization"]
    assert "ann" == record["PartitionKey"]
    assert event_id == json.loads(base64.b64decode(record["Data"]))["id"]


def test_a_function(events: Any, services: Hook, name: str, eventually: Eventually) -> None:
    """A function that has a URL of its own is invoked there."""
    event_id = deliver(events, name, {"Arn": f"arn:aws:lambda:{EAST}:{ACCOUNT}:function:pay"})
    invoked = eventually(lambda: services.at(f"/emulator{INVOKE_PATH}"))

    assert [event_id] == [json.loads(one.body)["id"] for one in invoked]


def test_a_graphql_api(events: Any, services: Hook, name: str, eventually: Eventually) -> None:
    """A GraphQL API gets the operation, with the event's values as variables."""
    api = {
        "Arn": f"arn:aws:appsync:{EAST}:{ACCOUNT}:endpoints/graphql-api/abc",
        "RoleArn": ROLE,
        "AppSyncParameters": {"GraphQLOperation": "mutation Paid($user: ID!) { paid(id: $user) }"},
        "InputTransformer": {
            "InputPathsMap": {"user": "$.detail.user"},
            "InputTemplate": '{"user": <user>}',
        },
    }
    deliver(events, name, api)
    (seen,) = eventually(lambda: services.at("/abc/graphql"))

    assert {
        "query": "mutation Paid($user: ID!) { paid(id: $user) }",
        "variables": {"user": "ann"},
    } == json.loads(seen.body)


def test_many_records(events: Any, services: Hook, name: str, eventually: Eventually) -> None:
    """Events that wait for a stream share requests, and a request that failed is sent again."""
    services.answers = [(400, {}, '{"__type":"ProvisionedThroughputExceededException"}')]
    arn = f"arn:aws:kinesis:{EAST}:{ACCOUNT}:stream/{name}"
    target = {"Id": "t", "Arn": arn, "RoleArn": ROLE}
    events.put_targets(Rule=name, EventBusName=name, Targets=[target])
    entry = {"Source": "shop", "DetailType": "paid", "EventBusName": name}
    ids: set[str] = set()
    for start in range(0, 40, 10):
        some = [{**entry, "Detail": f'{{"n":{start + n}}}'} for n in range(10)]
        ids |= {one["EventId"] for one in events.put_events(Entries=some)["Entries"]}

    def arrived() -> set[str]:
        bodies = [json.loads(one.body) for one in services.seen if f'"{name}"' in one.body]
        records = [record for body in bodies[1:] for record in body.get("Records", [body])]
        return {json.loads(base64.b64decode(one["Data"]))["id"] for one in records}

    eventually(lambda: arrived() == ids)
    assert sum(f'"{name}"' in one.body for one in services.seen) < len(ids)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (
            {"Arn": f"arn:aws:kinesis:{EAST}:{ACCOUNT}:stream/s"},
            f"RoleArn is required for target arn:aws:kinesis:{EAST}:{ACCOUNT}:stream/s.",
        ),
        (
            {"Arn": f"arn:aws:ecs:{EAST}:{ACCOUNT}:cluster/c", "RoleArn": ROLE},
            "Parameter(s) EcsParameters must be specified for target: t.",
        ),
        (
            {
                "Arn": f"arn:aws:appsync:{EAST}:{ACCOUNT}:endpoints/graphql-api/abc",
                "RoleArn": ROLE,
            },
            "Parameter(s) AppSyncParameters must be specified for target: t.",
        ),
        (
            {"Arn": f"arn:aws:sns:{EAST}:111111111111:topic"},
            f"Parameter arn:aws:sns:{EAST}:111111111111:topic is not valid. Reason: it must be "
            f"a target of sns of account {ACCOUNT} in Region {EAST}.",
        ),
        (
            {"Arn": f"arn:aws:lambda:{EAST}:{ACCOUNT}:function:other"},
            f"Parameter arn:aws:lambda:{EAST}:{ACCOUNT}:function:other is not valid. Reason: "
            "Farspan has no endpoint for service lambda; set [targets.endpoints] lambda in "
            "farspan.toml.",
        ),
    ],
    ids=["no-role", "no-parameters", "no-operation", "other-account", "other-function"],
)
def test_targets_that_are_refused(
    events: Any, name: str, target: dict[str, Any], message: str
) -> None:
    """PutTargets asks for what the kind of target needs."""
    with pytest.raises(events.exceptions.ClientError) as refused:
        events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "t", **target}])

    assert {"Code": "ValidationException", "Message": message} == refused.value.response["Error"]


def test_a_target_is_shown_as_it_was_put(events: Any, name: str) -> None:
    """ListTargetsByRule returns the parameters of a target's kind."""
    target = {
        "Id": "t",
        "Arn": f"arn:aws:ecs:{EAST}:{ACCOUNT}:cluster/c",
        "RoleArn": ROLE,
        "EcsParameters": {"TaskDefinitionArn": f"arn:aws:ecs:{EAST}:{ACCOUNT}:task-definition/a"},
    }
    events.put_targets(Rule=name, EventBusName=name, Targets=[target])

    assert [target] == events.list_targets_by_rule(Rule=name, EventBusName=name)["Targets"]
