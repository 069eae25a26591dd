"""From PutEvents to the API of another AWS service, at a URL that the configuration names."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest

from farspan.config import EndpointConfig, TargetsConfig

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually

EAST = "us-east-1"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/invoke"


@dataclass(slots=True)
class Services:
    """A server that takes every request and says yes."""

    url: str = ""
    seen: list[tuple[str, dict[str, str], str]] = field(default_factory=list)


@pytest.fixture(scope="module")
def services() -> Iterator[Services]:
    """A server on loopback that stands for all services."""
    services = Services()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
            headers = {name.lower(): value for name, value in self.headers.items()}
            services.seen.append((self.path, headers, body))
            self.send_response(200)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"{}")

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    services.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield services
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def joined(deployed: Callable[..., Deployment], services: Services) -> Deployment:
    """A Region that knows where three services and one function are."""
    return deployed(
        targets=TargetsConfig(
            endpoints={
                "sns": services.url,
                "kinesis": EndpointConfig(url=services.url, access_key_id="AKIAOTHER"),
                "ecs": services.url,
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


def test_a_topic(events: Any, services: Services, name: str, eventually: Eventually) -> None:
    """A topic gets the event as a message, in a request that is signed for SNS."""
    topic = f"arn:aws:sns:{EAST}:{ACCOUNT}:{name}"
    event_id = deliver(events, name, {"Arn": topic})

    def found() -> list[tuple[dict[str, str], dict[str, list[str]]]]:
        sent = [(headers, parse_qs(body)) for _, headers, body in services.seen]
        return [one for one in sent if one[1].get("TopicArn") == [topic]]

    ((headers, fields),) = eventually(found)
    assert f"/{EAST}/sns/aws4_request" in headers["authorization"]
    assert ["Publish"] == fields["Action"]
    assert event_id == json.loads(fields["Message"][0])["id"]


def test_a_stream(events: Any, services: Services, name: str, eventually: Eventually) -> None:
    """A stream gets the event under the partition key that its path finds."""
    stream = {
        "Arn": f"arn:aws:kinesis:{EAST}:{ACCOUNT}:stream/{name}",
        "RoleArn": ROLE,
        "KinesisParameters": {"PartitionKeyPath": "$.detail.user"},
    }
    event_id = deliver(events, name, stream)

    def found() -> list[tuple[dict[str, str], dict[str, str]]]:
        sent = [
            (headers, json.loads(body))
            for _, headers, body in services.seen
            if headers.get("x-amz-target") == "Kinesis_20131202.PutRecord"
        ]
        return [one for one in sent if one[1]["StreamName"] == name]

    ((headers, record),) = eventually(found)
    assert "Credential=AKIAOTHER/" in headers["authorization"]
    assert "ann" == record["PartitionKey"]
    assert event_id == json.loads(base64.b64decode(record["Data"]))["id"]


def test_a_function(events: Any, services: Services, name: str, eventually: Eventually) -> None:
    """A function that has a URL of its own is invoked there."""
    event_id = deliver(events, name, {"Arn": f"arn:aws:lambda:{EAST}:{ACCOUNT}:function:pay"})
    invoked = eventually(
        lambda: [
            body
            for path, _, body in services.seen
            if path == "/emulator/2015-03-31/functions/function/invocations"
        ]
    )

    assert [event_id] == [json.loads(body)["id"] for body in invoked]


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
    ids=["no-role", "no-parameters", "other-account", "other-function"],
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
