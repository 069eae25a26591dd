"""Changes of routes as events: each once on a Region's default bus, late ones too, old ones not."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, cast

import pytest

from farspan.announcements import DOCUMENT_PREFIX, STALE_SECONDS, Announcements
from farspan.catalog.federation import OwnedCatalog
from farspan.catalog.service import CatalogService
from farspan.clock import SystemClock
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.event import format_time
from farspan.model.route import Route, RouteChange
from farspan.store.base import Change, Result, StoreError
from farspan.store.memory import MemoryStore

EAST, WEST = "us-east-1", "us-west-2"
BUS = "111111111111/default"
NOW = SystemClock().now()
ENDPOINT = Endpoint(
    account="1" * 12,
    name="orders",
    endpoint_id="orders.veo",
    event_bus_name="orders",
    primary_region=EAST,
    secondary_region=WEST,
    health_check_id="c",
    state=EndpointState.ACTIVE,
)


def change(generation: int, *, at: float = NOW, node: str = "edge") -> RouteChange:
    """Return a change of the endpoint's route: even ones lead to the secondary."""
    there = generation % 2 == 0
    return RouteChange(
        endpoint_id=ENDPOINT.endpoint_id,
        generation=generation,
        at=at,
        route=Route.SECONDARY if there else Route.PRIMARY,
        from_region=EAST if there else WEST,
        to_region=WEST if there else EAST,
        reason="why",
        votes={"edge": "Unhealthy"},
        node=node,
    )


class World:
    """A catalog, a history, and a store that can be full. See `CatalogService`."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.known = [ENDPOINT]
        self.heard = {EAST, WEST}
        self.history: list[RouteChange] = []

    def endpoints(self) -> list[Endpoint]:
        """See `CatalogService.endpoints`."""
        return self.known

    def catalogs(self) -> tuple[OwnedCatalog, ...]:
        """See `CatalogService.catalogs`."""
        return tuple(OwnedCatalog(region=region, version=1) for region in self.heard)

    def start(self, region: str = EAST) -> Announcements:
        """Return the announcements of a Region's node that starts now."""
        return Announcements(
            region=region,
            store=self.store,
            clock=SystemClock(),
            catalog=cast("CatalogService", self),
            regions=(EAST, WEST),
            history=lambda _: self.history,
        )

    async def events(self) -> list[dict[str, Any]]:
        """Return what is on the default bus."""
        batches = await self.store.read_log(BUS, 0, 1_000)
        return [json.loads(event) for batch in batches for event in batch.events]

    async def generations(self) -> list[int]:
        """Return the changes that are on the default bus."""
        return [event["detail"]["generation"] for event in await self.events()]


@pytest.fixture
def world() -> World:
    """Return a world with one endpoint and no change yet."""
    return World()


async def test_a_change_is_an_event_of_eventbridges_own(world: World) -> None:
    """Source, type, resources and detail; its time is that of the change."""
    world.history = [change(2, at=NOW - 100)]
    await world.start(WEST).put()
    (event,) = await world.events()

    assert event.pop("id")
    assert event.pop("time") == format_time(int(NOW - 100)).decode()
    assert event == {
        "version": "0",
        "detail-type": "Endpoint State Change",
        "source": "aws.events",
        "account": "1" * 12,
        "region": WEST,
        "resources": [ENDPOINT.arn],
        "detail": {
            "endpointId": "orders.veo",
            "endpointName": "orders",
            "eventBusName": "orders",
            "route": "SECONDARY",
            "region": WEST,
            "previousRegion": EAST,
            "generation": 2,
            "reason": "why",
            "votes": {"edge": "Unhealthy"},
            "node": "edge",
        },
    }


async def test_g12_a_change_is_put_once(world: World) -> None:
    """However often it is looked at, told by others, and whenever the node restarts."""
    world.history = [change(2)]
    announcements = world.start()
    await announcements.put()
    await announcements.put()
    await world.start().put()
    world.history = [change(2, node="west"), change(3)]
    await world.start().put()

    assert [2, 3] == await world.generations()


async def test_g12_what_a_region_missed_is_put_when_it_is_back(world: World) -> None:
    """In order, all of it."""
    world.history = [change(2)]
    await world.start().put()
    world.history = [change(generation) for generation in (2, 3, 4, 5)]
    await world.start().put()

    assert [2, 3, 4, 5] == await world.generations()


async def test_old_changes_are_no_news(world: World) -> None:
    """A Region with an empty disk does not tell the events of another day."""
    world.history = [change(2, at=NOW - STALE_SECONDS - 1), change(3)]
    await world.start().put()

    assert [3] == await world.generations()


async def test_a_region_that_the_endpoint_has_not_is_told_nothing(world: World) -> None:
    """Only the endpoint's own two Regions have the event."""
    world.history = [change(2)]
    await world.start("eu-west-1").put()

    assert [] == await world.events()


async def test_both_regions_give_a_change_the_same_id(world: World) -> None:
    """So that who reads both can tell that it is one."""
    other = World()
    world.history, other.history = [change(2)], [change(2, node="west")]
    await world.start(EAST).put()
    await other.start(WEST).put()

    assert [e["id"] for e in await world.events()] == [e["id"] for e in await other.events()]


async def test_a_store_that_is_full_only_delays(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be put is put at the next look."""

    async def fails(_: MemoryStore, changes: Sequence[Change]) -> list[Result]:
        raise StoreError("The disk is full.")

    world.history = [change(2)]
    announcements = world.start()
    with monkeypatch.context() as patch:
        patch.setattr(MemoryStore, "commit", fails)
        with pytest.raises(StoreError):
            await announcements.put()
    await announcements.put()

    assert [2] == await world.generations()


async def test_endpoints_that_are_gone_are_forgotten(world: World) -> None:
    """Once every Region's catalog is known: an endpoint that is not known yet is not gone."""
    world.history = [change(2)]
    announcements = world.start()
    await announcements.put()
    world.known, world.heard = [], {EAST}
    await announcements._forget()
    kept = await world.store.documents(DOCUMENT_PREFIX)
    world.heard = {EAST, WEST}
    await announcements._forget()

    assert 1 == len(kept)
    assert [] == await world.store.documents(DOCUMENT_PREFIX)
