"""A deployment with authentication off: one Region alone, for tests on one's own machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore import UNSIGNED
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Send

EAST = "us-east-1"


@pytest.fixture
def open_client(open_deployment: Deployment, client_of: ClientFactory) -> Callable[..., BaseClient]:
    """Return clients of the open deployment by access key."""

    def open_client(service: str, key: str, **settings: object) -> BaseClient:
        return client_of(open_deployment.url, service, EAST, (key, "any"), **settings)

    return open_client


@pytest.mark.parametrize(
    ("key", "account"),
    [
        ("test", "000000000000"),
        ("other", "111111111111"),
        ("333333333333", "333333333333"),
        ("AKIAIOSFODNN7EXAMPLE", "000000000000"),
        ("12345", "000000000000"),
    ],
    ids=["configured", "second", "twelve-digits", "unknown", "five-digits"],
)
def test_the_key_is_the_account(
    open_client: Callable[..., BaseClient], key: str, account: str
) -> None:
    """Twelve digits are an account, a known key is its own, any other is the first's."""
    assert account == open_client("sts", key).get_caller_identity()["Account"]


def test_accounts_are_apart_all_the_same(open_client: Callable[..., BaseClient]) -> None:
    """What one twelve-digit key makes, another does not see."""
    open_client("sqs", "333333333333").create_queue(QueueName="mine")

    assert "QueueUrls" not in open_client("sqs", "444444444444").list_queues()


def test_a_whole_round_without_credentials(open_client: Callable[..., BaseClient]) -> None:
    """Bus, rule, queue and event, by clients that do not sign."""
    events = open_client("events", "test", signature_version=UNSIGNED)
    sqs = open_client("sqs", "test", signature_version=UNSIGNED)
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    events.create_event_bus(Name="orders")
    events.put_rule(Name="r", EventBusName="orders", EventPattern='{"source":["shop"]}')
    arn = f"arn:aws:sqs:{EAST}:000000000000:q"
    events.put_targets(Rule="r", EventBusName="orders", Targets=[{"Id": "q", "Arn": arn}])
    entry = {"Source": "shop", "DetailType": "t", "Detail": "{}", "EventBusName": "orders"}
    event_id = events.put_events(Entries=[entry])["Entries"][0]["EventId"]
    (message,) = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=10)["Messages"]

    assert event_id == json.loads(message["Body"])["id"]


@pytest.mark.parametrize(
    "authorization", [None, "nonsense", "AWS4-HMAC-SHA256 Credential=x"], ids=["none", "bad", "cut"]
)
def test_raw_requests_need_no_signature(
    open_deployment: Deployment, send: Send, authorization: str | None
) -> None:
    """Curl is enough; what stands in the header is not asked."""
    headers = {"x-amz-target": "AWSEvents.ListEventBuses"}
    if authorization is not None:
        headers["authorization"] = authorization
    reply = send(open_deployment.url, headers=headers, body=b"{}")

    assert 200 == reply.status
    assert ["default"] == [
        bus["Name"] for bus in json.loads(reply.body)["EventBuses"] if bus["Name"] == "default"
    ]


def test_the_status_page_is_open(open_deployment: Deployment, send: Send) -> None:
    """The node's status needs no signature either."""
    reply = send(open_deployment.url, "GET", "/_farspan/status")

    assert (200, EAST) == (reply.status, json.loads(reply.body)["region"])


def test_peers_still_sign(open_deployment: Deployment, send: Send) -> None:
    """What nodes say to each other is signed whatever callers may do."""
    reply = send(open_deployment.url, "POST", "/_farspan/peer/report")

    assert (403, "MissingAuthenticationTokenException") == (reply.status, reply.error["__type"])
