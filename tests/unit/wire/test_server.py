"""The door where a client cannot look: faults inside, loops, and a Region that answers 503."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace as replace_struct

from farspan.catalog.federation import PeerReport
from farspan.clock import SeededIds, SystemClock
from farspan.config import Config, Credential, NodeConfig
from farspan.endpoints.failover import Evidence, Hold
from farspan.endpoints.service import Outlook, RegionUnreachable, RoutingService
from farspan.ingest.service import IngestService
from farspan.model.bus import EventBus
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.store.base import Change, Result, StoreError
from farspan.store.memory import MemoryStore
from farspan.wire.access import Access
from farspan.wire.forward import FORWARDED_HEADER, INVOCATION_HEADER, forwarded_mark
from farspan.wire.http import Request, Response
from farspan.wire.server import Server
from farspan.wire.services import NodeServices, RegionServices

EAST, WEST = "us-east-1", "us-west-2"
EDGE = NodeConfig(name="edge", url="http://edge")
CONFIG = Config(
    nodes=(
        EDGE,
        NodeConfig(name="east", url="http://east", region=EAST),
        NodeConfig(name="west", url="http://west", region=WEST),
    ),
    cluster_secret="s",
)
ENDPOINT = Endpoint(
    account="000000000000",
    name="orders",
    endpoint_id="abcde.veo",
    event_bus_name="orders",
    primary_region=EAST,
    secondary_region=WEST,
    health_check_id="h",
    state=EndpointState.ACTIVE,
)
ACCEPTED = Response(body=b'{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}')
UNAVAILABLE = Response(status=503, body=b"cannot store")
HANGS = "hangs"
Reply = Response | Exception | Server | str


class Network:
    """The other nodes, as the test puts them: one reply for each URL. See `Forwarder`."""

    def __init__(self, replies: Mapping[str, Reply]) -> None:
        self.replies = dict(replies)
        self.sent: list[tuple[str, Mapping[str, str]]] = []

    async def forward(self, url: str, request: Request) -> Response:
        """Keep what is sent, and reply."""
        self.sent.append((url, request.headers))
        reply = self.replies[url]
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Server):
            headers = {**request.headers, FORWARDED_HEADER: forwarded_mark("edge", "s")}
            return await reply.answer(msgspec.structs.replace(request, headers=headers))
        if isinstance(reply, str):
            await asyncio.Event().wait()
        assert isinstance(reply, Response)
        return reply


class Catalog:
    """The endpoint as a node knows it, if it does. See `CatalogService`."""

    def __init__(self, known: Endpoint | None) -> None:
        self.known = known

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """See `CatalogService.endpoint`."""
        return self.known if self.known and endpoint_id == self.known.endpoint_id else None

    def owner_of_health_check(self, health_check_id: str) -> str | None:
        """See `CatalogService.owner_of_health_check`."""
        return WEST if health_check_id == "west-check" else None

    def report_of(self, region: str) -> PeerReport | None:
        """See `CatalogService.report_of`."""
        return None


class ForgetfulStore(MemoryStore):
    """A memory engine that may fail after a commit, as where the disk is full by then."""

    def __init__(self, *, fails: bool) -> None:
        super().__init__()
        self.fails = fails

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit, and say that it failed where it is to."""
        results = await super().commit(changes)
        if self.fails:
            raise StoreError("The disk is full.")
        return results


def edge(
    replies: Mapping[str, Reply],
    *,
    report: Callable[[], Any] | None = None,
    own: RegionServices | None = None,
    known: Endpoint | None = ENDPOINT,
) -> tuple[Server, Network]:
    """Return an edge's door, and the network behind it. Authentication is off."""
    clock, network, catalog = SystemClock(), Network(replies), Catalog(known)
    outlook = Outlook(
        endpoints=lambda: [ENDPOINT],
        evidence=lambda _: Evidence.UNKNOWN,
        caught_up=lambda _: True,
    )
    services = NodeServices(
        node=CONFIG.node_of(own.region) or EDGE if own else EDGE,
        config=CONFIG,
        ids=SeededIds(1),
        access=Access(credentials=(Credential(),), cluster_secret="s", auth=False, clock=clock),
        catalog=catalog,  # type: ignore[arg-type]
        routing=RoutingService(
            node="edge",
            clock=clock,
            outlook=outlook,
            hold=Hold(seconds=60, seconds_max=900),
            copy_directory=None,
        ),
        forwarder=network,  # type: ignore[arg-type]
        report=report or (lambda: None),  # type: ignore[arg-type, return-value]
        status=report or dict,
        tell_override=lambda _node, _override: asyncio.sleep(0),  # noqa: TID251 - tells nobody
        own=own,
    )
    return Server(services), network


def region(
    name: str,
    replies: Mapping[str, Reply],
    *,
    fails: bool = False,
    known: Endpoint | None = ENDPOINT,
) -> tuple[Server, ForgetfulStore]:
    """Return a Region's door, and its store."""
    store = ForgetfulStore(fails=fails)
    own = RegionServices(
        region=name,
        plane=None,  # type: ignore[arg-type]
        ingest=IngestService(
            name,
            store,
            SystemClock(),
            SeededIds(2),
            lambda account, bus: EventBus(region=name, account=account, name=bus),
        ),
        replication=None,  # type: ignore[arg-type]
    )
    return edge(replies, own=own, known=known)[0], store


async def ids_in(store: MemoryStore) -> list[str]:
    """Return the ids of the events on the endpoint's bus."""
    batches = await store.read_log(ENDPOINT.event_bus_key, 0, 100)
    return [json.loads(event)["id"] for batch in batches for event in batch.events]


def put(endpoint_id: str | None = ENDPOINT.endpoint_id, **headers: str) -> Request:
    """Return a PutEvents request."""
    body = {"Entries": [{"Source": "s", "DetailType": "t", "Detail": "{}"}]}
    if endpoint_id is not None:
        body["EndpointId"] = endpoint_id  # type: ignore[assignment]
    return Request(
        method="POST",
        path="/",
        headers={"x-amz-target": "AWSEvents.PutEvents", **headers},
        body=json.dumps(body).encode(),
    )


async def test_the_primary_is_asked_first() -> None:
    """And only the primary, while it answers."""
    server, network = edge({"http://east": ACCEPTED, "http://west": ACCEPTED})

    assert ACCEPTED == await server.answer(put())
    assert ["http://east"] == [url for url, _ in network.sent]


@pytest.mark.parametrize(
    "fault", [UNAVAILABLE, RegionUnreachable("no route")], ids=["503", "unreachable"]
)
async def test_a_region_that_cannot_take_it_makes_the_edge_use_the_other(fault: Reply) -> None:
    """The same request with the same invocation id goes to the secondary at once."""
    server, network = edge({"http://east": fault, "http://west": ACCEPTED})

    assert ACCEPTED == await server.answer(put())
    assert ["http://east", "http://west"] == [url for url, _ in network.sent]
    first, second = (headers[INVOCATION_HEADER] for _, headers in network.sent)
    assert first == second


async def test_the_sdks_own_invocation_id_is_kept() -> None:
    """It is what a later retry of the client will carry."""
    server, network = edge({"http://east": ACCEPTED})
    await server.answer(put(**{INVOCATION_HEADER: "from-the-sdk"}))

    assert ["from-the-sdk"] == [headers[INVOCATION_HEADER] for _, headers in network.sent]


@pytest.mark.parametrize("status", [400, 403, 500])
async def test_any_other_answer_is_the_answer(status: int) -> None:
    """What a Region refuses or breaks at, the other is not asked."""
    answer = Response(status=status, body=b"{}")
    server, network = edge({"http://east": answer})

    assert answer == await server.answer(put())
    assert 1 == len(network.sent)


async def test_neither_region_can_take_it() -> None:
    """503 names both Regions with their reasons, so that SDKs try again."""
    server, _ = edge({"http://east": UNAVAILABLE, "http://west": RegionUnreachable("no route")})
    answer = await server.answer(put())
    error = json.loads(answer.body)

    assert (503, "ServiceUnavailableException") == (answer.status, error["__type"])
    assert "us-east-1: http://east answered that it cannot store events now" in error["message"]
    assert "us-west-2: no route" in error["message"]


async def test_why_a_region_does_not_take_it_is_passed_on() -> None:
    """Whoever asks an edge reads what the Region's own node says, such as why it is degraded."""
    body = json.dumps({"__type": "ServiceUnavailableException", "message": "west is away"})
    said = Response(status=503, body=body.encode())
    server, _ = edge({"http://east": said, "http://west": RegionUnreachable("no route")})
    answer = await server.answer(put())

    assert "cannot store events now: west is away;" in json.loads(answer.body)["message"]


async def test_without_an_endpoint_there_is_no_other_region() -> None:
    """A request for one Region is that Region's alone."""
    server, network = edge({"http://east": RegionUnreachable("no route"), "http://west": ACCEPTED})
    answer = await server.answer(put(None))

    assert 503 == answer.status
    assert ["http://east"] == [url for url, _ in network.sent]
    assert (
        "Region us-east-1 cannot be reached from node edge: no route. "
        "Start it with `farspan serve --region us-east-1`, or try again."
    ) == json.loads(answer.body)["message"]


async def test_a_region_whose_store_fails_uses_the_other() -> None:
    """A Region's own node carries a request on as an edge does."""
    east, _ = region(EAST, {"http://west": ACCEPTED}, fails=True)

    assert ACCEPTED == await east.answer(put())


async def test_a_call_without_an_invocation_id_is_one_call_in_both_regions() -> None:
    """Sent to its own store first and then to the other Region, it has the same ids in both."""
    west, west_store = region(WEST, {})
    east, east_store = region(EAST, {"http://west": west}, fails=True)
    answer = await east.answer(put())
    (entry,) = json.loads(answer.body)["Entries"]

    assert [entry["EventId"]] == await ids_in(west_store) == await ids_in(east_store)


async def test_two_calls_without_an_invocation_id_are_two_calls() -> None:
    """What one caller sends twice on purpose is two events."""
    east, store = region(EAST, {})
    for _ in range(2):
        await east.answer(put())

    assert 2 == len(set(await ids_in(store)))


async def test_a_region_that_does_not_know_the_endpoint_yet_is_passed_over() -> None:
    """The one who sends it knows more: the other Region is asked."""
    west, west_store = region(WEST, {})
    east, east_store = region(EAST, {}, known=None)
    refusal = await east.answer(put(**{FORWARDED_HEADER: forwarded_mark("edge", "s")}))
    server, _ = edge({"http://east": east, "http://west": west})
    answer = await server.answer(put())

    assert 503 == refusal.status
    assert f"does not know endpoint {ENDPOINT.endpoint_id} (yet)" in refusal.body.decode()
    assert 200 == answer.status
    assert (0, 1) == (len(await ids_in(east_store)), len(await ids_in(west_store)))


async def test_the_endpoints_home_knows_best() -> None:
    """Where the primary Region says that it is not in use, no other Region takes the event."""
    failed = replace_struct(ENDPOINT, state=EndpointState.CREATE_FAILED)
    west, west_store = region(WEST, {})
    east, _ = region(EAST, {}, known=failed)
    server, _ = edge({"http://east": east, "http://west": west})
    answer = await server.answer(put())

    assert (400, "ResourceNotFoundException") == (answer.status, json.loads(answer.body)["__type"])
    assert [] == await ids_in(west_store)


async def test_a_region_that_hangs_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A call for one Region is answered 503 with the reason once the time is up."""
    monkeypatch.setattr("farspan.wire.server.PASS_ON_SECONDS_MAX", 0.01)
    server, _ = edge({"http://east": HANGS})
    target = {"x-amz-target": "AWSEvents.ListEventBuses"}
    answer = await server.answer(Request(method="POST", path="/", headers=target, body=b"{}"))

    assert (503, "ServiceUnavailableException") == (
        answer.status,
        json.loads(answer.body)["__type"],
    )
    assert "cannot be reached from node edge: no answer within" in answer.body.decode()


async def test_a_loop_is_refused() -> None:
    """A node that is passed what it does not serve says so, and passes nothing on."""
    server, network = edge({"http://east": ACCEPTED})
    answer = await server.answer(put(None, **{FORWARDED_HEADER: forwarded_mark("west", "s")}))

    assert 503 == answer.status
    assert [] == network.sent
    assert "Give all nodes the same configuration." in json.loads(answer.body)["message"]


async def test_a_health_check_is_changed_where_it_belongs() -> None:
    """Updates and deletions go to the owning Region, reads to any."""
    server, network = edge({"http://east": ACCEPTED, "http://west": ACCEPTED})
    for method, health_check in (("DELETE", "west-check"), ("POST", "west-check"), ("GET", "x")):
        path = f"/2013-04-01/healthcheck/{health_check}"
        await server.answer(Request(method=method, path=path, headers={}))

    assert ["http://west", "http://west", "http://east"] == [url for url, _ in network.sent]


class TestAFaultInside:
    """What is nobody's fault but ours."""

    @pytest.fixture
    def broken(self) -> Server:
        """A node whose insides raise, with a secret in the message."""

        def fail(*_: object) -> None:
            raise RuntimeError("secret insides")

        return edge({"http://east": ValueError("secret insides")}, report=fail)[0]

    @pytest.mark.parametrize(
        ("request_", "code"),
        [
            (put(None), "InternalException"),
            (put(), "InternalException"),
            (Request(method="GET", path="/_farspan/status", headers={}), "InternalException"),
            (
                Request(method="POST", path="/", headers={"x-amz-target": "AmazonSQS.ListQueues"}),
                "InternalException",
            ),
            (Request(method="GET", path="/2013-04-01/healthcheck", headers={}), "InternalFailure"),
        ],
        ids=["PutEvents", "PutEvents-endpoint", "status", "sqs", "route53"],
    )
    async def test_has_a_request_id_and_no_stack_trace(
        self, broken: Server, caplog: pytest.LogCaptureFixture, request_: Request, code: str
    ) -> None:
        """The caller gets an id, the log gets the trace under the same id."""
        with caplog.at_level(logging.ERROR, "farspan.wire"):
            answer = await broken.answer(request_)
        request_id = dict(answer.headers)["x-amzn-RequestId"]

        assert 500 == answer.status
        assert code.encode() in answer.body
        assert request_id.encode() in answer.body
        assert b"secret insides" not in answer.body
        assert b"Traceback" not in answer.body
        assert f"request_id={request_id}" in caplog.text
        assert "secret insides" in caplog.text
