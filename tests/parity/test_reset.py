"""Reset, and the paths by which test suites of other local AWS tools find it."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from farspan.clock import SystemClock
from farspan.config import Credential

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Reply, Send, SignedHeaders

EAST = "us-east-1"
OWN = "000000000000"
ALL = '{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}'
FIRST, SECOND = "555555555555", "666666666666"


@pytest.fixture
def open_client(open_deployment: Deployment, client_of: ClientFactory) -> Callable[..., Any]:
    """Return clients of the open deployment by account."""

    def open_client(service: str, account: str) -> Any:
        return client_of(open_deployment.url, service, EAST, (account, "any"))

    return open_client


def fill(open_client: Callable[..., Any], account: str) -> None:
    """Make a bus, a rule, a queue with a message and a health check."""
    events, sqs = open_client("events", account), open_client("sqs", account)
    events.create_event_bus(Name="orders")
    events.put_rule(Name="r", EventBusName="orders", EventPattern='{"source":["shop"]}')
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="left over")
    logs, stream = open_client("logs", account), {"logGroupName": "g", "logStreamName": "s"}
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(**stream)
    now = int(SystemClock().now() * 1_000)
    logs.put_log_events(**stream, logEvents=[{"timestamp": now, "message": "left over"}])
    open_client("route53", account).create_health_check(
        CallerReference="once",
        HealthCheckConfig={"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9},
    )


def is_empty(open_client: Callable[..., Any], account: str) -> bool:
    """Return whether the account has nothing but its default bus."""
    buses = open_client("events", account).list_event_buses()["EventBuses"]
    queues = open_client("sqs", account).list_queues().get("QueueUrls", [])
    checks = open_client("route53", account).list_health_checks()["HealthChecks"]
    groups = open_client("logs", account).describe_log_groups()["logGroups"]
    found = [*queues, *checks, *groups]
    return [bus["Name"] for bus in buses] == ["default"] and not found


@pytest.mark.parametrize("path", ["/-/reset", "/moto-api/reset"])
def test_reset_removes_everything(
    open_deployment: Deployment, open_client: Callable[..., Any], send: Send, path: str
) -> None:
    """Every account starts anew, and what was made before can be made again."""
    fill(open_client, FIRST)
    fill(open_client, SECOND)
    reply = send(open_deployment.url, "POST", path)

    assert reply.status == 200
    assert json.loads(reply.body)["resources_removed"][EAST] >= 8
    assert is_empty(open_client, FIRST)
    assert is_empty(open_client, SECOND)
    fill(open_client, FIRST)
    url = open_client("sqs", FIRST).get_queue_url(QueueName="q")["QueueUrl"]
    messages = open_client("sqs", FIRST).receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    assert len(messages["Messages"]) == 1
    send(open_deployment.url, "POST", path)


def test_reset_of_one_account_leaves_the_others(
    open_deployment: Deployment, open_client: Callable[..., Any], send: Send
) -> None:
    """`?account=` names whose things go."""
    fill(open_client, FIRST)
    fill(open_client, SECOND)
    send(open_deployment.url, "POST", f"/-/reset?account={FIRST}")

    assert is_empty(open_client, FIRST)
    assert not is_empty(open_client, SECOND)
    send(open_deployment.url, "POST", "/-/reset")


@pytest.mark.parametrize(
    ("method", "path", "headers", "said"),
    [
        ("GET", "/-/reset", {}, "takes POST"),
        ("POST", "/-/reset?account=me", {}, "12 digits"),
        ("POST", "/-/reset", {"origin": "http://evil.example"}, "web pages"),
    ],
    ids=["get", "no-account", "from-a-web-page"],
)
def test_reset_refuses_what_is_no_request_for_it(
    open_deployment: Deployment,
    open_client: Callable[..., Any],
    send: Send,
    method: str,
    path: str,
    headers: dict[str, str],
    said: str,
) -> None:
    """A wrong request is told why, and nothing is removed."""
    fill(open_client, FIRST)
    reply = send(open_deployment.url, method, path, headers=headers)

    assert reply.status == 400
    assert said in reply.error["message"]
    assert not is_empty(open_client, FIRST)
    send(open_deployment.url, "POST", "/-/reset")


def test_reset_is_off_where_signatures_are_verified(deployment: Deployment, send: Send) -> None:
    """With authentication on it takes a word in the configuration."""
    reply = send(deployment.url, "POST", "/-/reset")

    assert reply.error["__type"] == "AccessDeniedException"
    assert "allow_reset" in reply.error["message"]


def test_reset_stays_within_the_account(
    deployed: Callable[..., Deployment],
    client_of: ClientFactory,
    send: Send,
    signed_headers: SignedHeaders,
) -> None:
    """Where signatures are verified, an account resets itself; a user of it nothing."""
    keys = (
        Credential(),
        Credential(access_key_id="b", secret_access_key="s", account_id=SECOND),
        Credential(access_key_id="u", secret_access_key="s", user_name="u", policy=ALL),
    )
    url = deployed(credentials=keys, allow_reset=True).url
    ours, theirs = (client_of(url, "events", EAST, key) for key in (("test", "test"), ("b", "s")))
    for events in (ours, theirs):
        events.create_event_bus(Name="kept")

    def reset(key: tuple[str, str], path: str = "/-/reset") -> Reply:
        return send(url, "POST", path, headers=signed_headers(url, "POST", path, key=key))

    for key, path in (
        (("b", "s"), f"/-/reset?account={OWN}"),
        (("u", "s"), "/-/reset"),
        (("u", "s"), f"/-/reset?account={OWN}"),
    ):
        assert "AccessDeniedException" == reset(key, path).error["__type"]
    assert 200 == reset(("b", "s")).status
    assert ["default", "kept"] == [bus["Name"] for bus in ours.list_event_buses()["EventBuses"]]
    assert ["default"] == [bus["Name"] for bus in theirs.list_event_buses()["EventBuses"]]


def test_other_tools_health_paths_answer(open_deployment: Deployment, send: Send) -> None:
    """What waits for another local AWS tool to be ready finds Farspan ready."""
    health = json.loads(send(open_deployment.url, "GET", "/_localstack/health").body)
    init = json.loads(send(open_deployment.url, "GET", "/_localstack/init").body)

    assert health["services"]["events"] == "running"
    assert init["completed"]["READY"] is True
