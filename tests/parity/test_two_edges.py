"""Two edges at once: the same routes, the same events, and either does without the other."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
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
EDGES = ["edge", "edge-2"]
Clients = Callable[..., Any]


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two Regions behind two edges."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(farspan.serving, "GRACE_SECONDS", 0)
        running = deploy((EAST, WEST), edge=2, auth=True, data=tmp_path_factory.mktemp("edges"))
        yield running
        running.stop()


def url_of(own: Deployment, node: str) -> str:
    """Return a node's URL."""
    found = own.config.node_named(node)
    assert found is not None
    return found.url


@pytest.fixture(scope="module")
def clients(own: Deployment, client_of: ClientFactory) -> Clients:
    """Clients of either edge."""

    def clients(edge: str = "edge", service: str = "events", region: str = EAST) -> Any:
        return client_of(url_of(own, edge), service, region, ("test", "test"))

    return clients


@pytest.fixture(scope="module")
def endpoint_id(clients: Clients, eventually: Eventually) -> str:
    """An ACTIVE endpoint over a bus in both Regions, with a queue in each that has its events."""
    for region in (EAST, WEST):
        clients(region=region).create_event_bus(Name="orders")
        queue = clients(service="sqs", region=region)
        queue.create_queue(QueueName="orders")
        arn = f"arn:aws:sqs:{region}:000000000000:orders"
        rule = {"EventBusName": "orders"}
        clients(region=region).put_rule(Name="r", EventPattern='{"source":["s"]}', **rule)
        clients(region=region).put_targets(Rule="r", Targets=[{"Id": "q", "Arn": arn}], **rule)
    config = {"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9, "Disabled": True}
    route53 = clients(service="route53")
    check = route53.create_health_check(CallerReference="r", HealthCheckConfig=config)
    clients().create_endpoint(**endpoint_settings("orders", check["HealthCheck"]["Id"]))
    eventually(lambda: clients().describe_endpoint(Name="orders")["State"] == "ACTIVE")
    found: str = clients().describe_endpoint(Name="orders")["EndpointId"]
    return found


def put(clients: Clients, edge: str, endpoint_id: str, number: int = 0) -> tuple[str, str]:
    """Put one event through an edge; return its id and the Region that took it."""
    entry = {"Source": "s", "DetailType": "t", "Detail": json.dumps({"number": number})}
    answer = clients(edge).put_events(EndpointId=endpoint_id, Entries=[entry])
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    return answer["Entries"][0]["EventId"], headers["x-farspan-region"]


def received(clients: Clients, region: str, wanted: set[str], eventually: Eventually) -> list[str]:
    """Return the ids of the events in a Region's queue once all that are wanted came."""
    sqs, found = clients(service="sqs", region=region), list[str]()
    url = sqs.get_queue_url(QueueName="orders")["QueueUrl"]

    def came() -> bool:
        answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        for message in answer.get("Messages", ()):
            found.append(json.loads(message["Body"])["id"])
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return wanted <= set(found)

    eventually(came, 20)
    return found


def test_events_through_both_edges_at_once_are_in_both_regions_once(
    clients: Clients, endpoint_id: str, eventually: Eventually
) -> None:
    """Neither knows of the other's requests, and need not."""
    ids: dict[str, set[str]] = {edge: set() for edge in EDGES}

    def publish(edge: str) -> None:
        for number in range(30):
            ids[edge].add(put(clients, edge, endpoint_id, number)[0])

    publishers = [threading.Thread(target=publish, args=(edge,)) for edge in EDGES]
    for each in publishers:
        each.start()
    for each in publishers:
        each.join()
    wanted = ids["edge"] | ids["edge-2"]

    assert 60 == len(wanted)
    for region in (EAST, WEST):
        assert sorted(wanted) == sorted(received(clients, region, wanted, eventually))


def test_an_order_taken_by_one_edge_is_the_others_too(
    own: Deployment,
    clients: Clients,
    endpoint_id: str,
    send: Send,
    signed_headers: SignedHeaders,
) -> None:
    """When one answers, both send to the Region that was ordered; generations are the same."""

    def ask(method: str, path: str, edge: str, order: object = None) -> Reply:
        url, body = url_of(own, edge), b"" if order is None else json.dumps(order).encode()
        headers = signed_headers(url, method, path, body=body)
        return send(url, method, path, headers=headers, body=body)

    path = f"/-/endpoints/{endpoint_id}/override"
    seen = []
    for edge, route in (("edge", "SECONDARY"), ("edge-2", "PRIMARY"), ("edge-2", None)):
        assert 200 == ask("PUT", path, edge, {"route": route}).status
        seen.append([put(clients, each, endpoint_id)[1] for each in EDGES])
    generations = [
        json.loads(ask("GET", "/-/endpoints", edge).body)["endpoints"][0]["generation"]
        for edge in EDGES
    ]

    assert [[WEST, WEST], [EAST, EAST], [EAST, EAST]] == seen
    assert [3, 3] == generations


def test_one_edge_does_without_the_other(
    own: Deployment, clients: Clients, endpoint_id: str, eventually: Eventually
) -> None:
    """A client of the edge that is left notices nothing; the other comes back with the routes."""
    own.stop_node("edge-2")
    try:
        assert EAST == put(clients, "edge", endpoint_id)[1]
    finally:
        own.start_node("edge-2")
    assert EAST == put(clients, "edge-2", endpoint_id)[1]
