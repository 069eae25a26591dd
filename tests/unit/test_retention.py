"""Retention: only what is old, delivered and shipped may leave a log."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import msgspec
import pytest

from farspan.catalog.resources import Resources
from farspan.delivery.stored import delivery_cursor
from farspan.model.archive import Archive
from farspan.model.bus import EventBus
from farspan.model.endpoint import Endpoint, ReplicationState
from farspan.model.event import CallId, EventBatch
from farspan.model.log_group import LogGroup
from farspan.model.rule import Rule
from farspan.retention import EXPIRE_COUNT, Retention
from farspan.store.base import (
    LEFT_PREFIX,
    TRIM_BATCH_COUNT,
    Append,
    Change,
    MoveCursor,
    PutTimer,
    Result,
    StoreError,
    leave_timers,
)
from farspan.store.memory import MemoryStore

ACCOUNT = "000000000000"
HERE, THERE = "us-east-1", "eu-central-1"
BUS = f"{ACCOUNT}/orders"
SECONDS = 100.0
NOW = 1_000.0
ENDPOINT = Endpoint(
    account=ACCOUNT,
    name="shop",
    endpoint_id="abcde12345.veo",
    event_bus_name="orders",
    primary_region=HERE,
    secondary_region=THERE,
    health_check_id="h",
)


class World:
    """A Region with a bus, and what the retention asks of the rest."""

    def __init__(self, store: MemoryStore | None = None) -> None:
        self.store = store or MemoryStore()
        self.resources = Resources(HERE, self.store)
        self.endpoints: list[Endpoint] = []
        self.shipped = 0
        self.pause_count = 0
        self.calls = itertools.count(1)
        self.retention = Retention(
            store=self.store,
            resources=self.resources,
            endpoints=lambda: self.endpoints,
            shipped=lambda _: self.shipped,
            seconds=SECONDS,
            pause=self.pause,
        )

    async def pause(self) -> None:
        """Count the pauses."""
        self.pause_count += 1

    async def put(
        self,
        *ages: float,
        bus: str = BUS,
        stream: str | None = None,
        origin: str = HERE,
        events: int = 1,
    ) -> None:
        """Put a batch of each age."""
        for age in ages:
            number = next(self.calls)
            await self.store.commit(
                [
                    Append(
                        EventBatch(
                            event_bus=bus,
                            call=CallId(number.to_bytes(14, "big")),
                            events=(b"{}",) * events,
                            accepted_at=NOW - age,
                            origin=origin,
                            stream=stream,
                        )
                    )
                ]
            )

    async def add_rule(self, delivered: int) -> None:
        """Add a rule whose reader has come so far."""
        await self.resources.save(
            Rule(region=HERE, account=ACCOUNT, event_bus_name="orders", name="r"),
            now=NOW,
            also=(MoveCursor(delivery_cursor(BUS), delivered),),
        )

    async def kept(self, bus: str = BUS) -> list[int]:
        """Trim, and return the positions that stayed."""
        await self.retention.trim_logs(NOW)
        return [batch.position for batch in await self.store.read_log(bus, 0, 100)]


@pytest.fixture
async def world() -> World:
    """Return a Region with a bus and nothing else."""
    world = World()
    await world.resources.load(0.0)
    await world.resources.save(EventBus(region=HERE, account=ACCOUNT, name="orders"), now=0.0)
    return world


@pytest.mark.parametrize(
    ("ages", "kept"),
    [
        ([300, 200, 101], []),
        ([300, 100, 50], [2, 3]),
        ([300, 50, 200], [2, 3]),
        ([50, 300], [1, 2]),
        ([], []),
    ],
    ids=str,
)
async def test_young_events_stay(world: World, ages: list[float], kept: list[int]) -> None:
    """Events leave once they are older than the limit, and none that follows a young one does."""
    await world.put(*ages)

    assert await world.kept() == kept


@pytest.mark.parametrize(
    ("delivered", "kept"), [(0, [1, 2, 3]), (1, [2, 3]), (2, [3]), (3, []), (9, [])]
)
async def test_what_is_not_delivered_stays(world: World, delivered: int, kept: list[int]) -> None:
    """However old, an event that the bus's reader has not passed is kept."""
    await world.put(300, 300, 300)
    await world.add_rule(delivered)

    assert await world.kept() == kept


@pytest.mark.parametrize(("rule_stands", "kept"), [(True, [2]), (False, [])])
async def test_what_is_not_archived_stays(world: World, rule_stands: bool, kept: list[int]) -> None:
    """An archive's managed rule holds events back as any other rule does, while it stands."""
    await world.put(300, 300)
    await world.resources.save(
        Archive(
            region=HERE,
            account=ACCOUNT,
            name="a",
            uuid="u",
            event_bus_name="orders",
            rule_stands=rule_stands,
        ),
        now=NOW,
        also=(MoveCursor(delivery_cursor(BUS), 1),),
    )

    assert await world.kept() == kept


async def test_a_removed_rule_holds_nothing_back(world: World) -> None:
    """Once a bus has no rules nobody reads it, and age alone decides."""
    await world.put(300, 300)
    await world.add_rule(0)
    await world.resources.remove(*world.resources.rules.values(), now=NOW)

    assert await world.kept() == []


@pytest.mark.parametrize(("shipped", "kept"), [(0, [2, 3, 4]), (1, [3, 4]), (2, [4]), (3, [])])
async def test_what_is_not_shipped_stays(world: World, shipped: int, kept: list[int]) -> None:
    """However old, an event that the other Region has not copied is kept, with what follows."""
    await world.put(300)
    await world.put(300, 300, 300, stream=ENDPOINT.endpoint_id)
    world.endpoints = [ENDPOINT]
    world.shipped = shipped

    assert await world.kept() == kept


async def test_a_batch_that_is_half_shipped_stays(world: World) -> None:
    """A batch goes whole or not at all."""
    await world.put(300, stream=ENDPOINT.endpoint_id, events=4)
    world.endpoints = [ENDPOINT]
    world.shipped = 2

    assert await world.kept() == [1]


@pytest.mark.parametrize(
    "endpoint",
    [
        pytest.param(
            msgspec.structs.replace(ENDPOINT, replication=ReplicationState.DISABLED),
            id="not replicated",
        ),
        pytest.param(msgspec.structs.replace(ENDPOINT, endpoint_id="other.veo"), id="unused"),
    ],
)
async def test_other_endpoints_hold_nothing_back(world: World, endpoint: Endpoint) -> None:
    """An endpoint that does not ship this bus's stream leaves its events to their age."""
    await world.put(300, stream=ENDPOINT.endpoint_id)
    world.endpoints = [endpoint]

    assert await world.kept() == []


async def test_a_former_buss_events_wait_to_be_shipped(world: World) -> None:
    """After the endpoint changed its bus, the one that has its unshipped events keeps them."""
    await world.put(300, 300, stream=ENDPOINT.endpoint_id)
    world.endpoints = [msgspec.structs.replace(ENDPOINT, event_bus_name="x")]
    kept = []
    for world.shipped in (0, 1, 2):
        kept.append(await world.kept())

    assert kept == [[1, 2], [2], []]


async def test_a_new_buss_events_wait_for_the_former_ones(world: World) -> None:
    """What follows in the stream on the endpoint's new bus is not shipped either."""
    new = f"{ACCOUNT}/x"
    await world.put(300, 300, stream=ENDPOINT.endpoint_id)
    await world.put(300, bus=new, stream=ENDPOINT.endpoint_id)
    world.endpoints = [msgspec.structs.replace(ENDPOINT, event_bus_name="x")]
    kept = []
    for world.shipped in (1, 2, 3):
        kept.append(await world.kept(new))

    assert kept == [[1], [1], []]


async def test_every_former_buss_events_wait_for_earlier_ones(world: World) -> None:
    """An endpoint that went from bus to bus to bus: the one in the middle keeps its events."""
    middle = f"{ACCOUNT}/y"
    await world.put(300, stream=ENDPOINT.endpoint_id)
    await world.put(300, 300, bus=middle, stream=ENDPOINT.endpoint_id)
    world.endpoints = [
        msgspec.structs.replace(ENDPOINT, event_bus_name="x", former_bus_names=("orders", "y"))
    ]
    kept = []
    for world.shipped in (0, 1, 2, 3):
        kept.append(await world.kept(middle))

    assert kept == [[1, 2], [1, 2], [2], []]


async def test_a_long_log_is_trimmed_in_one_look(world: World) -> None:
    """However many batches may go, they go in commits of a bounded size, and all of them go."""
    await world.put(*[300] * (2 * TRIM_BATCH_COUNT + 1), 50)

    assert await world.kept() == [2 * TRIM_BATCH_COUNT + 2]
    assert world.pause_count == 3  # others commit in between


async def test_replicas_are_not_shipped_again(world: World) -> None:
    """The other Region's own events need not be copied back before they leave (G6)."""
    await world.put(300, stream=ENDPOINT.endpoint_id, origin=THERE)
    world.endpoints = [ENDPOINT]

    assert await world.kept() == []


async def test_the_stricter_of_the_two_decides(world: World) -> None:
    """Delivered but not shipped, or shipped but not delivered: both stay."""
    await world.put(300, 300, 300, stream=ENDPOINT.endpoint_id)
    world.endpoints = [ENDPOINT]
    world.shipped = 2
    await world.add_rule(1)

    first = await world.kept()
    await world.store.commit([MoveCursor(delivery_cursor(BUS), 3)])

    assert (first, await world.kept()) == ([2, 3], [3])


@pytest.mark.parametrize("bus", [f"{ACCOUNT}/default", "111111111111/default", f"{ACCOUNT}/gone"])
async def test_every_log_is_looked_at(world: World, bus: str) -> None:
    """Default buses, which nobody created, and deleted buses have logs that must not only grow."""
    await world.put(300, 50, bus=bus)

    assert await world.kept(bus) == [2]


@pytest.mark.parametrize(
    ("days", "kept"), [(None, [1, 2, 3]), (1, [2, 3]), (3, [1, 2, 3])], ids=str
)
async def test_log_groups_keep_their_events_for_their_own_time(
    world: World, days: int | None, kept: list[int]
) -> None:
    """Days of retention, or for ever; the time of buses is none of theirs."""
    group = LogGroup(region=HERE, account=ACCOUNT, name="g", log_id="i", retention_in_days=days)
    await world.resources.save(group, now=NOW)
    await world.put(2 * 86_400, 3_600, 1, bus=group.log_key)

    assert await world.kept(group.log_key) == kept


async def test_what_a_deleted_log_group_left_goes(world: World) -> None:
    """However young it is."""
    await world.put(1, bus=f"-/logs/{ACCOUNT}/gone")

    assert await world.kept(f"-/logs/{ACCOUNT}/gone") == []


class FailingStore(MemoryStore):
    """Fails once a number of commits is used up."""

    commits_left = 1_000

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit, or fail."""
        self.commits_left -= 1
        if self.commits_left < 0:
            raise StoreError("The disk is full.")
        return await super().commit(changes)


async def test_a_list_that_nobody_has_leaves_in_steps() -> None:
    """A large list is removed in several commits with pauses between; a failure only delays it."""
    world = World(FailingStore())
    store = world.store
    assert isinstance(store, FailingStore)
    count = 2 * EXPIRE_COUNT + 5
    puts = [PutTimer("old", str(n).encode(), float(n), b"x") for n in range(count)]
    await store.commit([*puts, PutTimer("other", b"k", 1.0, b"y"), leave_timers("old")])
    store.commits_left = 1
    with pytest.raises(StoreError):
        await world.retention.remove_left()
    halfway, _ = await store.measure_timers("old")
    store.commits_left = 1_000
    await world.retention.remove_left()

    assert count - EXPIRE_COUNT == halfway
    assert [(0, 0), (1, 1)] == [await store.measure_timers(name) for name in ("old", "other")]
    assert [] == await store.documents(LEFT_PREFIX)
    assert 3 == world.pause_count
