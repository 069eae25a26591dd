"""What an edge keeps of the events that it carried: nothing, whatever became of them.

A real edge on loopback with Regions of a few lines behind it. The garbage collector is off, so that
what only a cycle holds counts as kept.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import socket
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from contextlib import closing

import pytest

from farspan.app import Node, open_node
from farspan.catalog.federation import OwnedCatalog
from farspan.config import Config, NodeConfig
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.route import Route
from farspan.serving import http_server

EAST, WEST = "us-east-1", "us-west-2"
EVENT_BYTES = 500_000
CALL_COUNT = 6
BLOCK_BYTES_MIN = 16 * 1024
KEPT_BYTES_MAX = EVENT_BYTES // 2
"""Of all calls together: less than a half of any one of them."""

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
ACCEPTED = b'{"FailedEntryCount":0,"Entries":[{"EventId":"e"}]}'


class Region:
    """Takes requests as a Region's node does, hangs, or is not there."""

    def __init__(self) -> None:
        self.bound = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.bound.getsockname()[1]}"
        self.is_hung = False
        self.taken = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Read whole requests, and answer them."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                left = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
                while left:
                    left -= len(await reader.read(min(left, 65_536)))
                if self.is_hung:
                    await reader.read()  # until the edge gives up
                    return
                self.taken += 1
                length = f"content-length: {len(ACCEPTED)}".encode()
                writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n\r\n" + ACCEPTED)


@pytest.fixture
async def regions() -> AsyncIterator[dict[str, Region]]:
    """Two Regions that take what they are sent."""
    made = {EAST: Region(), WEST: Region()}
    servers = [
        await asyncio.start_server(region.serve, sock=region.bound, limit=2**20)
        for region in made.values()
    ]
    yield made
    for server in servers:
        server.close()
        await server.wait_closed()


@pytest.fixture
async def edge(regions: dict[str, Region]) -> AsyncIterator[Node]:
    """An edge before them that knows one endpoint."""
    bound = socket.create_server(("127.0.0.1", 0))
    own = NodeConfig(name="edge", url=f"http://127.0.0.1:{bound.getsockname()[1]}")
    nodes = [NodeConfig(name=name, url=each.url, region=name) for name, each in regions.items()]
    config = Config(nodes=(own, *nodes), cluster_secret="s", auth=False)
    node = await open_node(config, own, None)
    node.catalog._catalogs[EAST] = OwnedCatalog(region=EAST, version=1, endpoints=(ENDPOINT,))
    node.catalog.refresh()
    server = http_server(node)
    task = asyncio.create_task(server.serve(sockets=[bound]))
    yield node
    server.should_exit = True
    await task
    await node.close()


@pytest.fixture
def _no_collector() -> Iterator[None]:
    """Trace memory while nothing but reference counts frees it."""
    gc.collect()
    gc.disable()
    tracemalloc.start()
    yield
    tracemalloc.stop()
    gc.enable()


async def call(edge: Node, endpoint_id: str = ENDPOINT.endpoint_id) -> tuple[int, bytes]:
    """Put one large event through the edge; return the answer's status and body."""
    entry = {"Source": "s", "DetailType": "t", "Detail": json.dumps({"text": "x" * EVENT_BYTES})}
    body = json.dumps({"Entries": [entry], "EndpointId": endpoint_id}).encode()
    port = int(edge.node.url.rpartition(":")[2])
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        b"POST / HTTP/1.1\r\nhost: h\r\nx-amz-target: AWSEvents.PutEvents\r\n"
        + f"content-length: {len(body)}\r\n\r\n".encode()
        + body
    )
    head = (await reader.readuntil(b"\r\n\r\n")).lower()
    length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
    answer = await reader.readexactly(length)
    writer.close()
    return int(head.split()[1]), answer


def held() -> int:
    """Return the bytes in large blocks: parts of events, not odds and ends."""
    traces = tracemalloc.take_snapshot().traces
    return sum(trace.size for trace in traces if trace.size >= BLOCK_BYTES_MIN)


async def kept_after(edge: Node, endpoint_id: str = ENDPOINT.endpoint_id) -> tuple[int, set[int]]:
    """Return the bytes that some calls left behind, after a first one, and their statuses."""
    await call(edge, endpoint_id)
    await asyncio.sleep(0.2)  # noqa: TID251 - the sockets close
    before = held()
    statuses = {(await call(edge, endpoint_id))[0] for _ in range(CALL_COUNT)}
    for _ in range(100):  # until they have closed, however busy the machine is
        await asyncio.sleep(0.05)  # noqa: TID251 - as above
        if held() - before < KEPT_BYTES_MAX:
            break
    return held() - before, statuses


@pytest.mark.usefixtures("_no_collector")
async def test_of_accepted_events_nothing_is_kept(edge: Node, regions: dict[str, Region]) -> None:
    """After the reply their bytes are in the Region alone."""
    kept, statuses = await kept_after(edge)

    assert ({200}, CALL_COUNT + 1) == (statuses, regions[EAST].taken)
    assert kept < KEPT_BYTES_MAX


@pytest.mark.usefixtures("_no_collector")
async def test_of_events_that_failed_over_in_band_nothing_is_kept(
    edge: Node, regions: dict[str, Region]
) -> None:
    """A refused connection's error must not hold the request."""
    node = edge.config.node_of(EAST)
    assert node is not None
    edge.forwarder._hops._places[node.url] = ("127.0.0.1", 9)
    kept, statuses = await kept_after(edge)

    assert ({200}, CALL_COUNT + 1) == (statuses, regions[WEST].taken)
    assert kept < KEPT_BYTES_MAX


@pytest.mark.usefixtures("_no_collector")
async def test_of_events_that_nobody_took_nothing_is_kept(edge: Node) -> None:
    """The answer is a 503 with the reasons, and the SDK has the events."""
    for region in (EAST, WEST):
        node = edge.config.node_of(region)
        assert node is not None
        edge.forwarder._hops._places[node.url] = ("127.0.0.1", 9)
    kept, statuses = await kept_after(edge)

    assert {503} == statuses
    assert kept < KEPT_BYTES_MAX


@pytest.mark.usefixtures("_no_collector")
async def test_of_parked_events_nothing_is_kept(edge: Node, regions: dict[str, Region]) -> None:
    """Sent to a Region that hangs, and again when the route moves."""
    regions[EAST].is_hung = True

    async def move() -> None:
        for _ in range(CALL_COUNT + 1):
            while not edge.routing.parked_count(ENDPOINT):  # noqa: ASYNC110 - it is on its way
                await asyncio.sleep(0.001)  # noqa: TID251
            await asyncio.sleep(0.02)  # noqa: TID251 - and hangs
            force(edge, Route.SECONDARY)
            while edge.routing.parked_count(ENDPOINT):  # noqa: ASYNC110 - it is answered
                await asyncio.sleep(0.001)  # noqa: TID251
            force(edge, Route.PRIMARY)

    moving = asyncio.create_task(move())
    kept, statuses = await kept_after(edge)
    await moving

    assert ({200}, CALL_COUNT + 1) == (statuses, regions[WEST].taken)
    assert kept < KEPT_BYTES_MAX


def force(edge: Node, route: Route) -> None:
    """Order a route."""
    edge.routing.order(ENDPOINT, by="root", route=route, paused=False, seconds=None, reason="")


@pytest.mark.usefixtures("_no_collector")
async def test_of_refused_events_nothing_is_kept(edge: Node) -> None:
    """An endpoint that does not exist is found out by looking at the body."""
    kept, statuses = await kept_after(edge, "nobody.veo")

    assert {400} == statuses
    assert kept < KEPT_BYTES_MAX
