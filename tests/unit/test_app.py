"""What a node joins: what its parts tell each other where no part can know it alone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from farspan.app import Node, open_node
from farspan.catalog.federation import PeerReport
from farspan.config import Config, NodeConfig
from farspan.evidence import CAUGHT_UP_SECONDS
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.store.base import StoreError
from farspan.store.memory import MemoryStore
from farspan.wire.peers import PeerClient

EAST, WEST = "us-east-1", "us-west-2"
CONFIG = Config(
    nodes=(
        NodeConfig(name="edge", url="http://edge"),
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

Lags = dict[str, float] | None
Open = Callable[[str, dict[str, Lags]], Awaitable[Node]]


@pytest.fixture
async def opened(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Return a function that opens a node which has heard of some peers, with their lags."""
    nodes: list[Node] = []

    async def opened(name: str, lags: dict[str, Lags]) -> Node:
        async def report(_: PeerClient, node: NodeConfig) -> PeerReport:
            known = lags.get(node.name)
            if known is None:
                raise OSError("no such node")
            return PeerReport(node=node.name, region=node.region, replication_lags=known)

        monkeypatch.setattr(PeerClient, "report", report)
        own = next(node for node in CONFIG.nodes if node.name == name)
        node = await open_node(CONFIG, own, None, store=MemoryStore() if own.region else None)
        nodes.append(node)
        node.catalog.start()
        for _ in range(20):
            await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time
        return node

    yield opened
    for node in nodes:
        await node.close()


LATE, IN_TIME = CAUGHT_UP_SECONDS + 0.1, CAUGHT_UP_SECONDS


@pytest.mark.parametrize(
    ("name", "lags", "caught_up"),
    [
        ("edge", {"east": {ENDPOINT.endpoint_id: IN_TIME}, "west": {}}, True),
        ("edge", {"east": {ENDPOINT.endpoint_id: LATE}, "west": {}}, False),
        ("edge", {"east": {ENDPOINT.endpoint_id: LATE}}, False),
        ("edge", {"east": {}, "west": {}}, False),
        ("edge", {"west": {}}, False),
        ("edge", {"east": {}}, True),
        ("east", {"west": {}}, False),
        ("east", {"edge": {}}, True),
        ("west", {"east": {}}, False),
        ("west", {"east": {ENDPOINT.endpoint_id: IN_TIME}}, True),
    ],
    ids=[
        "in-time",
        "late",
        "late-and-the-secondary-gone",
        "lag-unknown",
        "the-primary-gone",
        "the-secondary-gone",
        "primary-hears-the-secondary",
        "primary-hears-it-no-more",
        "secondary-hears-no-lag",
        "secondary-in-time",
    ],
)
async def test_the_way_back_waits_for_a_secondary_that_can_be_heard(
    opened: Open, name: str, lags: dict[str, Lags], caught_up: bool
) -> None:
    """Failback goes ahead when the secondary is gone: the primary is what is left."""
    node = await opened(name, lags)

    assert caught_up is node.evidence.caught_up(ENDPOINT)


async def test_a_store_that_cannot_write_leaves_a_line_and_no_stack_trace(
    opened: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """What runs by itself says once a second that it waits, and why."""

    async def refuse(_: object) -> None:
        raise StoreError("The disk is full.")

    monkeypatch.setattr("farspan.app.advance_endpoints", refuse)
    node = await opened("east", {})
    node.start()
    for _ in range(20):
        await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time

    (record,) = [record for record in caplog.records if record.name == "farspan.app"]
    assert record.getMessage() == (
        "endpoints, replays and message moves wait error=The disk is full."
    )
    assert record.exc_info is None
