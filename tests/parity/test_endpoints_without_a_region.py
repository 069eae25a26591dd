"""Global endpoints while one of their Regions is down, is back, or has lost its disk."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from tests.parity.conftest import deploy, endpoint_settings

import farspan.serving

if TYPE_CHECKING:
    from tests.parity.conftest import (
        ClientFactory,
        Deployment,
        Eventually,
        Reply,
        Send,
        SignedHeaders,
    )

EAST, WEST = "us-east-1", "us-west-2"
Clients = Callable[..., Any]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two Regions and an edge that only this file stops, without grace, and starts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farspan.serving, "GRACE_SECONDS", 0)
        running = deploy((EAST, WEST), edge=True, auth=True, data=tmp_path_factory.mktemp("own"))
        yield running
        running.stop()


@pytest.fixture(scope="module")
def clients(own: Deployment, client_of: ClientFactory) -> Clients:
    """Clients of the edge, or of a Region's own node."""

    def clients(service: str = "events", region: str = EAST, node: str | None = None) -> Any:
        return client_of(own.url_of(node), service, region, ("test", "test"))

    return clients


@pytest.fixture(scope="module")
def made(clients: Clients, eventually: Eventually) -> dict[str, Any]:
    """An ACTIVE endpoint over a bus in both Regions."""
    for region in (EAST, WEST):
        clients(region=region).create_event_bus(Name="orders")
    config = {"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9, "Disabled": True}
    check = clients("route53").create_health_check(CallerReference="r", HealthCheckConfig=config)
    settings = endpoint_settings("orders", check["HealthCheck"]["Id"])
    clients().create_endpoint(**settings)

    def known_there() -> bool:
        listed = clients(region=WEST).list_endpoints(HomeRegion=EAST)["Endpoints"]
        return [found["State"] for found in listed] == ["ACTIVE"]

    eventually(known_there)
    return described(clients, EAST)


Ask = Callable[..., "Reply"]


@pytest.fixture
def ask(own: Deployment, send: Send, signed_headers: SignedHeaders) -> Ask:
    """Ask a node for one of its own pages; the signature is for a Region."""

    def ask(
        method: str, path: str, node: str | None, value: object = None, *, region: str = EAST
    ) -> Reply:
        url, body = own.url_of(node), b"" if value is None else json.dumps(value).encode()
        headers = signed_headers(url, method, path, body=body, region=region)
        reply = send(url, method, path, headers=headers, body=body)
        assert reply.status == 200, reply.body
        return reply

    return ask


def described(clients: Clients, region: str, **more: str) -> dict[str, Any]:
    """Return what DescribeEndpoint says in a Region, without what belongs to the reply."""
    found: dict[str, Any] = clients(region=region).describe_endpoint(Name="orders", **more)
    del found["ResponseMetadata"]
    return found


def test_without_its_primary_an_endpoint_is_seen_in_the_secondary(
    own: Deployment, clients: Clients, made: dict[str, Any]
) -> None:
    """HomeRegion finds it there, the managed rule stands, and its events are taken."""
    own.stop_node(EAST)
    try:
        seen = described(clients, WEST, HomeRegion=EAST)
        listed = clients(region=WEST).list_endpoints(HomeRegion=EAST)["Endpoints"]
        rules = clients(region=WEST).list_rules(EventBusName="orders")["Rules"]
        entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
        put = clients().put_events(EndpointId=made["EndpointId"], Entries=[entry])
    finally:
        own.start_node(EAST)

    assert made == seen
    assert [made] == listed
    assert ["endpoints.events.amazonaws.com"] == [rule["ManagedBy"] for rule in rules]
    assert WEST == put["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"]


def test_without_its_secondary_an_endpoint_is_changed_and_comes_into_use_later(
    own: Deployment, clients: Clients, made: dict[str, Any], eventually: Eventually
) -> None:
    """The primary takes the update at once; it is ACTIVE when the secondary knows it."""
    own.stop_node(WEST)
    try:
        answer = clients().update_endpoint(Name="orders", Description="while alone")
        states = {described(clients, EAST)["State"] for _ in range(3)}
    finally:
        own.start_node(WEST)

    assert "UPDATING" == answer["State"]
    assert {"UPDATING"} == states
    eventually(lambda: described(clients, EAST)["State"] == "ACTIVE")
    assert "while alone" == described(clients, WEST, HomeRegion=EAST)["Description"]


def test_an_endpoint_that_was_deleted_while_its_secondary_was_down_is_gone_there_too(
    own: Deployment, clients: Clients, made: dict[str, Any], eventually: Eventually
) -> None:
    """What the secondary has on disk does not bring it back."""
    buses = [
        {"EventBusArn": f"arn:aws:events:{region}:000000000000:event-bus/default"}
        for region in (EAST, WEST)
    ]
    clients().create_endpoint(
        Name="short",
        RoutingConfig=made["RoutingConfig"],
        EventBuses=buses,
        ReplicationConfig={"State": "DISABLED"},
    )
    eventually(lambda: clients().describe_endpoint(Name="short")["State"] == "ACTIVE")
    own.stop_node(WEST)
    try:
        clients().delete_endpoint(Name="short")
        eventually(lambda: not clients().list_endpoints(NamePrefix="short")["Endpoints"])
    finally:
        own.start_node(WEST)

    west = clients(region=WEST)
    eventually(lambda: not west.list_endpoints(NamePrefix="short", HomeRegion=EAST)["Endpoints"])


def changes_on(ask: Ask, region: str) -> list[dict[str, Any]]:
    """Return the details of the changes of routes on a Region's default bus."""
    page = json.loads(ask("GET", "/-/events?bus=default&last=100", region, region=region).body)
    events = [logged["event"] for logged in page["events"]]
    return [e["detail"] for e in events if e["detail-type"] == "Endpoint State Change"]


def test_an_order_outlives_the_region_that_took_it(
    own: Deployment, ask: Ask, made: dict[str, Any], eventually: Eventually
) -> None:
    """The others go by it while that Region is down, and so does that Region when it is back."""
    path = f"/-/endpoints/{made['EndpointId']}/override"
    ask("PUT", path, EAST, {"route": "SECONDARY", "reason": "before the end"})
    own.stop_node(EAST)
    try:
        seen = [json.loads(ask("GET", "/-/endpoints", node).body) for node in (None, WEST)]
    finally:
        own.start_node(EAST)
    again = json.loads(ask("GET", "/-/endpoints", EAST).body)
    ask("PUT", path, None, {"route": "PRIMARY"})
    ask("PUT", path, None, {})

    for answer in (*seen, again):
        assert "before the end" == answer["endpoints"][0]["override"]["reason"]
        assert WEST == answer["endpoints"][0]["region"]


def test_a_region_that_was_down_has_the_changes_of_routes_later(
    own: Deployment, ask: Ask, made: dict[str, Any], eventually: Eventually
) -> None:
    """Each once on its default bus, as the Region that was up has them."""
    path = f"/-/endpoints/{made['EndpointId']}/override"
    own.stop_node(EAST)
    try:
        ask("PUT", path, None, {"route": "SECONDARY", "reason": "while it is down"})
        ask("PUT", path, None, {"route": "PRIMARY", "reason": "while it is down"})
        told = json.loads(ask("PUT", path, None, {}).body)["told"]
    finally:
        own.start_node(EAST)

    def missed(region: str) -> list[int]:
        found = [d for d in changes_on(ask, region) if "while it is down" in d["reason"]]
        return [detail["generation"] for detail in found]

    there = eventually(lambda: len(missed(WEST)) == 2 and missed(WEST))
    eventually(lambda: missed(EAST) == there)
    own.stop_node(EAST)
    own.start_node(EAST)
    eventually(lambda: json.loads(ask("GET", "/-/endpoints", EAST).body)["endpoints"])

    assert "ok" == told[WEST] != told[EAST]
    assert there == missed(EAST)


def test_settings_change_while_events_flow(
    clients: Clients, made: dict[str, Any], eventually: Eventually
) -> None:
    """Updates of replication and routing, one after the other: no call fails, no event is lost."""
    queue = clients("sqs").create_queue(QueueName="flow")
    arn = "arn:aws:sqs:us-east-1:000000000000:flow"
    clients().put_rule(Name="flow", EventBusName="orders", EventPattern='{"source":["flow"]}')
    clients().put_targets(Rule="flow", EventBusName="orders", Targets=[{"Id": "q", "Arn": arn}])
    stop, put, failures = threading.Event(), set[str](), list[Exception]()

    def publish() -> None:
        number = 0
        while not stop.wait(0.01):
            number += 1
            entry = {"Source": "flow", "DetailType": "t", "Detail": f'{{"number":{number}}}'}
            try:
                answer = clients().put_events(EndpointId=made["EndpointId"], Entries=[entry])
                put.add(answer["Entries"][0]["EventId"])
            except Exception as error:  # noqa: BLE001 - every failure counts
                failures.append(error)

    publisher = threading.Thread(target=publish)
    publisher.start()
    try:
        for change in (
            {"ReplicationConfig": {"State": "DISABLED"}},
            {"RoutingConfig": made["RoutingConfig"], "EventBuses": made["EventBuses"]},
            {"ReplicationConfig": {"State": "ENABLED"}},
        ):
            clients().update_endpoint(Name="orders", **change)
            eventually(lambda: described(clients, EAST)["State"] == "ACTIVE")
    finally:
        stop.set()
        publisher.join()
    received = set[str]()

    def everything_came() -> bool:
        answer = clients("sqs").receive_message(QueueUrl=queue["QueueUrl"], MaxNumberOfMessages=10)
        for message in answer.get("Messages", ()):
            received.update(event_id for event_id in put if event_id in message["Body"])
            clients("sqs").delete_message(
                QueueUrl=queue["QueueUrl"], ReceiptHandle=message["ReceiptHandle"]
            )
        return received == put

    eventually(everything_came, 20)
    assert [] == failures
    assert len(put) > 10


def test_a_primary_that_lost_its_disk_has_its_endpoint_again(
    own: Deployment, clients: Clients, made: dict[str, Any], eventually: Eventually
) -> None:
    """The other nodes remember it, with the id that clients use; its bus has to be made anew."""
    before = described(clients, EAST)
    own.stop_node(EAST)
    assert own.data is not None
    shutil.rmtree(Path(own.data) / EAST)
    own.start_node(EAST)
    eventually(lambda: clients(node=EAST).list_endpoints()["Endpoints"])

    assert before == described(clients, EAST)
    assert "orders" not in [bus["Name"] for bus in clients().list_event_buses()["EventBuses"]]
    clients().create_event_bus(Name="orders")
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}

    def primary_takes_it() -> bool:
        put = clients().put_events(EndpointId=made["EndpointId"], Entries=[entry])
        served: str = put["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"]
        return served == EAST

    eventually(primary_takes_it)
