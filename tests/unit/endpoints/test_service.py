"""Routing as it runs: looks, history, the copy on disk, and requests on their way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from virtual_time import WALL_CLOCK_START, LoopClock

from farspan.catalog.federation import PeerReport
from farspan.endpoints import service
from farspan.endpoints.failover import Evidence, Hold, Route, State, hold_seconds
from farspan.endpoints.history import KEPT_COUNT_MAX, TOLD_COUNT_MAX
from farspan.endpoints.service import (
    COPY_FILE_NAME,
    HISTORY_COUNT,
    PARK_SECONDS_MAX,
    Outlook,
    RegionUnreachable,
    RoutingService,
)
from farspan.errors import ServiceUnavailableException
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.route import Override, RouteChange

EAST, WEST = "us-east-1", "us-west-2"
HOLD = Hold(seconds=60, seconds_max=900)


def endpoint_named(name: str) -> Endpoint:
    """Return an endpoint from east to west."""
    return Endpoint(
        account="1" * 12,
        name=name,
        endpoint_id=f"{name}.veo",
        event_bus_name="orders",
        primary_region=EAST,
        secondary_region=WEST,
        health_check_id="c",
        state=EndpointState.ACTIVE,
    )


ORDERS = endpoint_named("orders")
BILLS = endpoint_named("bills")


class World:
    """What the service is told, and the services that are told it."""

    def __init__(self, clock: LoopClock, directory: Path | None) -> None:
        self.clock = clock
        self.directory = directory
        self.endpoints = [ORDERS]
        self.evidence = {ORDERS.name: Evidence.HEALTHY, BILLS.name: Evidence.HEALTHY}
        self.caught_up = True
        self.votes: dict[str, str] = {}

    def start(self) -> RoutingService:
        """Return a service as a node has it that starts now."""
        return RoutingService(
            node="edge",
            clock=self.clock,
            outlook=Outlook(
                endpoints=lambda: self.endpoints,
                evidence=lambda endpoint: self.evidence[endpoint.name],
                caught_up=lambda _: self.caught_up,
                votes=lambda _: self.votes,
            ),
            hold=HOLD,
            copy_directory=self.directory,
        )

    def see(self, routing: RoutingService, *evidence: Evidence, of: Endpoint = ORDERS) -> None:
        """Let the service look once at each."""
        for seen in evidence:
            self.evidence[of.name] = seen
            routing.look()

    async def fail_back(self, routing: RoutingService) -> None:
        """Let the primary be healthy for the hold time."""
        self.see(routing, Evidence.HEALTHY)
        await self.clock.sleep(901)
        self.see(routing, Evidence.HEALTHY)
        assert routing.routing(ORDERS).route is Route.PRIMARY


class Regions:
    """Two Regions that a request is sent to: they answer, refuse, or hang."""

    def __init__(self) -> None:
        self.refuses: set[str] = set()
        self.hangs: set[str] = set()
        self.sent: list[str] = []
        self.cancelled: list[str] = []
        self.answers = asyncio.Event()

    async def send(self, region: str) -> str:
        """Do as the Region does."""
        self.sent.append(region)
        if region in self.refuses:
            raise RegionUnreachable(f"{region} cannot be connected to")
        if region in self.hangs:
            try:
                await self.answers.wait()
            except asyncio.CancelledError:
                self.cancelled.append(region)
                raise
        return f"accepted in {region}"


@pytest.fixture
def world(clock: LoopClock, tmp_path: Path) -> World:
    """Return a world with one endpoint, healthy."""
    return World(clock, tmp_path)


@pytest.fixture
def regions() -> Regions:
    """Return two Regions that answer."""
    return Regions()


def report_of(routing: RoutingService) -> PeerReport:
    """Return what a node with this routing tells the others."""
    told = routing.told()
    return PeerReport(
        node="other",
        overrides=told.overrides,
        generations=told.generations,
        route_changes=told.changes,
    )


async def begin(routing: RoutingService, regions: Regions) -> asyncio.Task[str]:
    """Send a request, and return once it is as far as it gets by itself."""
    task = asyncio.create_task(routing.carry(ORDERS, regions.send))
    await asyncio.sleep(0.001)  # noqa: TID251 - virtual
    return task


# --- looking --------------------------------------------------------------------------------


async def test_a_new_endpoint_starts_at_its_primary(world: World) -> None:
    """Nothing seen yet is no reason to be anywhere else."""
    routing = world.start()

    assert routing.region_in_use(ORDERS) == EAST
    assert routing.routing(ORDERS).generation == 1


async def test_a_look_moves_the_route(world: World) -> None:
    """A majority for unhealthy takes the endpoint to its secondary Region."""
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY)

    assert routing.region_in_use(ORDERS) == WEST
    assert routing.routing(ORDERS).generation == 2


async def test_a_look_at_one_endpoint_leaves_the_others(world: World) -> None:
    """Each endpoint has a machine of its own."""
    world.endpoints = [ORDERS, BILLS]
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY, of=BILLS)

    assert routing.region_in_use(ORDERS) == EAST
    assert routing.region_in_use(BILLS) == WEST


@pytest.mark.parametrize("state", [EndpointState.DELETING, EndpointState.CREATE_FAILED])
async def test_an_endpoint_that_is_not_in_use_is_not_looked_at(
    world: World, state: EndpointState
) -> None:
    """What is on its way out does not fail over."""
    world.endpoints = [msgspec.structs.replace(ORDERS, state=state)]
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY)

    assert routing.region_in_use(ORDERS) == EAST


async def test_failback_waits_for_the_hold_and_the_backlog(world: World) -> None:
    """The service asks its clock and whether the primary has caught up."""
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY, Evidence.HEALTHY)
    world.caught_up = False
    await world.clock.sleep(61)
    routing.look()
    assert routing.region_in_use(ORDERS) == WEST

    world.caught_up = True
    routing.look()
    assert routing.region_in_use(ORDERS) == EAST


async def test_started_it_looks_by_itself(world: World) -> None:
    """A tenth of a second after the votes, the route follows; closed, it no longer does."""
    routing = world.start()
    routing.start()
    await world.clock.sleep(1)
    world.evidence[ORDERS.name] = Evidence.UNHEALTHY
    await world.clock.sleep(0.2)
    assert routing.region_in_use(ORDERS) == WEST

    await routing.close()
    world.evidence[ORDERS.name] = Evidence.HEALTHY
    await world.clock.sleep(1)
    assert routing.routing(ORDERS).state is State.SECONDARY


async def test_a_look_that_fails_is_not_the_last(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever goes wrong in one look, the next one decides."""
    routing = world.start()
    del world.evidence[ORDERS.name]
    routing.start()
    await world.clock.sleep(1)
    assert "could not be looked at" in caplog.text

    world.evidence[ORDERS.name] = Evidence.UNHEALTHY
    await world.clock.sleep(0.2)
    assert routing.region_in_use(ORDERS) == WEST
    await routing.close()


async def test_closing_what_was_not_started(world: World) -> None:
    """Closing needs no start."""
    await world.start().close()


# --- history --------------------------------------------------------------------------------


async def test_the_history_tells_each_change(world: World) -> None:
    """Time by the wall clock, state, route, generation and reason, the newest last."""
    routing = world.start()
    world.see(routing, Evidence.HEALTHY, Evidence.DOUBT, Evidence.UNHEALTHY, Evidence.UNHEALTHY)
    told = [(c.state, c.route, c.generation) for c in routing.states(ORDERS)]

    assert told == [
        (State.SUSPECT, Route.PRIMARY, 1),
        (State.SECONDARY, Route.SECONDARY, 2),
    ]
    assert routing.states(ORDERS)[0].at == WALL_CLOCK_START + world.clock.monotonic()
    assert routing.states(ORDERS)[1].reason == "a majority of observers sees the primary unhealthy"


async def test_a_hold_that_begins_anew_is_no_change(world: World) -> None:
    """While nobody can tell how the primary is, the history does not grow with each look."""
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY, Evidence.HEALTHY)
    before = routing.states(ORDERS)
    await world.clock.sleep(59)
    world.see(routing, *[Evidence.UNKNOWN] * 3, Evidence.HEALTHY)
    await world.clock.sleep(59)
    world.see(routing, Evidence.HEALTHY)
    after, held = routing.states(ORDERS), routing.routing(ORDERS).state
    await world.clock.sleep(1)
    world.see(routing, Evidence.HEALTHY)

    assert (before, State.RECOVERING) == (after, held)
    assert State.PRIMARY is routing.routing(ORDERS).state


async def test_the_history_is_bounded(world: World) -> None:
    """A flapping probe does not fill the memory."""
    routing = world.start()
    world.see(routing, *[Evidence.DOUBT, Evidence.HEALTHY] * HISTORY_COUNT)

    assert len(routing.states(ORDERS)) == HISTORY_COUNT


async def test_nothing_happened_is_an_empty_history(world: World) -> None:
    """An endpoint that never changed has nothing to tell."""
    assert world.start().states(BILLS) == []


# --- the copy on disk -----------------------------------------------------------------------


async def test_a_restart_goes_on_where_it_was(world: World) -> None:
    """A node that restarts during a failover neither goes back nor lowers the generation."""
    world.see(world.start(), Evidence.UNHEALTHY)
    routing = world.start()

    assert routing.region_in_use(ORDERS) == WEST
    assert routing.routing(ORDERS).generation == 2
    assert routing.routing(ORDERS).reason == "as it was when this node stopped"


async def test_g8_a_restart_without_votes_stays(world: World) -> None:
    """After a restart nobody has voted yet; the route waits for them."""
    world.see(world.start(), Evidence.UNHEALTHY)
    routing = world.start()
    world.see(routing, *[Evidence.UNKNOWN] * 3)

    assert routing.region_in_use(ORDERS) == WEST


async def test_a_restart_while_recovering_holds_anew(world: World) -> None:
    """Nobody watched meanwhile, so the hold time begins with the restart."""
    former = world.start()
    world.see(former, Evidence.UNHEALTHY, Evidence.HEALTHY)
    await world.clock.sleep(59)
    routing = world.start()
    routing.look()
    await world.clock.sleep(59)
    routing.look()
    assert routing.routing(ORDERS).state is State.RECOVERING

    await world.clock.sleep(1)
    routing.look()
    assert routing.region_in_use(ORDERS) == EAST
    assert routing.routing(ORDERS).generation == 3


async def test_an_endpoint_not_heard_of_since_the_restart_keeps_its_copy(world: World) -> None:
    """Another endpoint's change must not write an endpoint out of the copy."""
    world.endpoints = [ORDERS, BILLS]
    world.see(world.start(), Evidence.UNHEALTHY)
    world.endpoints = [BILLS]  # the catalog of the other Region is not here yet
    world.see(world.start(), Evidence.UNHEALTHY, of=BILLS)
    routing = world.start()

    assert routing.region_in_use(ORDERS) == WEST
    assert routing.routing(ORDERS).generation == 2


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\x00\xff",
        b'{"orders.veo":{}}',
        b'{"orders.veo":{"state":"ELSEWHERE","generation":2}}',
        b'{"orders.veo":{"state":"SECONDARY","generation":"two"}}',
    ],
)
async def test_a_broken_copy_is_no_copy(
    world: World, content: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """The node starts all the same, says so, and writes a good copy at the next change."""
    assert world.directory is not None
    (world.directory / COPY_FILE_NAME).write_bytes(content)
    routing = world.start()
    assert routing.region_in_use(ORDERS) == EAST
    assert "copy not usable" in caplog.text

    world.see(routing, Evidence.UNHEALTHY)
    assert world.start().region_in_use(ORDERS) == WEST


async def test_a_copy_that_cannot_be_written_stops_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Failover needs no disk."""
    assert world.directory is not None
    world.directory /= "gone"
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY)

    assert routing.region_in_use(ORDERS) == WEST
    assert "copy not written" in caplog.text


async def test_without_a_directory_there_is_no_copy(clock: LoopClock) -> None:
    """A node in memory starts anew."""
    world = World(clock, None)
    world.see(world.start(), Evidence.UNHEALTHY)

    assert world.start().region_in_use(ORDERS) == EAST


# --- what restarts keep ---------------------------------------------------------------------


async def test_a_restart_keeps_the_failovers_of_the_last_hour(world: World) -> None:
    """A primary that flaps is held for longer also by a node that restarts in between."""
    former = world.start()
    world.see(former, Evidence.UNHEALTHY)
    await world.fail_back(former)
    world.see(former, Evidence.UNHEALTHY)
    await world.clock.sleep(10)
    routing = world.start()

    assert hold_seconds(former.routing(ORDERS), HOLD) == 120
    assert routing.routing(ORDERS).failovers == pytest.approx(former.routing(ORDERS).failovers)


async def test_a_restart_keeps_the_history(world: World) -> None:
    """When, why, from where to where, by which node and on which votes."""
    world.votes = {"edge": "Unhealthy", "west": "unknown"}
    former = world.start()
    at = WALL_CLOCK_START + world.clock.monotonic()
    world.see(former, Evidence.UNHEALTHY)
    await world.fail_back(former)
    (first, second) = world.start().history(ORDERS)

    assert first == RouteChange(
        endpoint_id=ORDERS.endpoint_id,
        generation=2,
        at=at,
        route=Route.SECONDARY,
        from_region=EAST,
        to_region=WEST,
        reason="a majority of observers sees the primary unhealthy",
        votes={"edge": "Unhealthy", "west": "unknown"},
        node="edge",
    )
    assert (second.generation, second.route, second.to_region) == (3, Route.PRIMARY, EAST)


async def test_a_change_is_one_wide_log_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Everything that is known of a change of route stands in one line."""
    world.votes = {"edge": "Unhealthy", "west": "Unhealthy"}
    world.see(world.start(), Evidence.UNHEALTHY)
    (line,) = (record.getMessage() for record in caplog.records)

    assert line == (
        "endpoint route endpoint=arn:aws:events:us-east-1:111111111111:endpoint/orders "
        "id=orders.veo from=PRIMARY to=SECONDARY route=SECONDARY region=us-west-2 generation=2 "
        "reason='a majority of observers sees the primary unhealthy' "
        "votes=edge:Unhealthy,west:Unhealthy node=edge"
    )


# --- orders ---------------------------------------------------------------------------------


def force(routing: RoutingService, route: Route | None, seconds: float | None = None) -> Override:
    """Order a route, or with None take the order back."""
    return routing.order(
        ORDERS, by="root", route=route, paused=False, seconds=seconds, reason="drill"
    )


async def test_an_order_is_followed_at_once(world: World) -> None:
    """Against all evidence, with the reason and who gave it."""
    routing = world.start()
    force(routing, Route.SECONDARY)

    assert routing.region_in_use(ORDERS) == WEST
    assert routing.routing(ORDERS).reason == "forced to the secondary: drill (by root)"


@pytest.mark.parametrize(("first", "then"), [(EAST, Route.SECONDARY), (WEST, Route.PRIMARY)])
async def test_an_order_takes_hanging_requests_along(
    world: World, regions: Regions, first: str, then: Route
) -> None:
    """Whichever Region hangs, people can order its requests out of it."""
    routing = world.start()
    if first == WEST:
        force(routing, Route.SECONDARY)
    regions.hangs = {first}
    task = await begin(routing, regions)
    force(routing, then)
    began_at = world.clock.monotonic()
    answer = await task

    assert answer == f"accepted in {ORDERS.other_region(first)}"
    assert world.clock.monotonic() - began_at < 0.1
    assert regions.cancelled == [first]


async def test_an_order_survives_a_restart(world: World) -> None:
    """The node that took it goes on with what is left of it."""
    force(world.start(), Route.SECONDARY, seconds=100)
    await world.clock.sleep(40)
    routing = world.start()
    routing.look()
    standing = routing.override(ORDERS)

    assert routing.routing(ORDERS).state is State.FORCED_SECONDARY
    assert standing is not None
    assert standing.seconds_left == pytest.approx(60)

    await world.clock.sleep(60)
    routing.look()
    assert routing.override(ORDERS) is None
    assert routing.routing(ORDERS).state is State.SECONDARY


async def test_an_order_reaches_who_never_met_the_node_that_took_it(
    clock: LoopClock, tmp_path: Path
) -> None:
    """It travels with the reports of any node, and each keeps it on its own disk."""
    worlds = [World(clock, tmp_path / name) for name in "abc"]
    for each in worlds:
        assert each.directory is not None
        each.directory.mkdir()
    first, second, third = (each.start() for each in worlds)
    force(first, Route.SECONDARY)
    second.hear(report_of(first))  # and then the first one dies
    third.hear(report_of(second))
    again = worlds[2].start()
    again.look()

    assert again.region_in_use(ORDERS) == WEST
    assert [2, 2] == [c.generation for each in (second, third) for c in each.history(ORDERS)]


async def test_an_order_taken_back_anywhere_is_over_everywhere(
    clock: LoopClock, tmp_path: Path
) -> None:
    """The newest order counts, whoever tells of which first."""
    first, second = World(clock, None).start(), World(clock, None).start()
    force(first, Route.SECONDARY)
    second.hear(report_of(first))
    force(second, None)
    first.hear(report_of(second))
    second.hear(report_of(first))

    assert [None, None] == [first.override(ORDERS), second.override(ORDERS)]


async def test_a_node_that_missed_changes_takes_their_history_over(clock: LoopClock) -> None:
    """Cut off while the others went to and fro, it knows afterwards what happened."""
    there, away = World(clock, None), World(clock, None)
    first, second = there.start(), away.start()
    there.see(first, Evidence.UNHEALTHY)
    await there.fail_back(first)
    second.hear(report_of(first))
    away.see(second, Evidence.HEALTHY)

    assert first.history(ORDERS) == second.history(ORDERS)
    assert 3 == second.routing(ORDERS).generation


async def test_what_nodes_tell_each_other_is_bounded(world: World) -> None:
    """However often a route changed, a report has the latest changes only."""
    routing = world.start()
    for _ in range(KEPT_COUNT_MAX):
        force(routing, Route.SECONDARY)
        force(routing, Route.PRIMARY)
    kept = [change.generation for change in routing.history(ORDERS)]

    assert KEPT_COUNT_MAX == len(kept)
    assert kept[-TOLD_COUNT_MAX:] == [c.generation for c in routing.told().changes]


# --- carrying a request ---------------------------------------------------------------------


async def test_a_request_goes_to_the_region_in_use(world: World, regions: Regions) -> None:
    """To the primary; after a failover to the secondary."""
    routing = world.start()
    first = await routing.carry(ORDERS, regions.send)
    world.see(routing, Evidence.UNHEALTHY)
    second = await routing.carry(ORDERS, regions.send)

    assert [first, second] == [f"accepted in {EAST}", f"accepted in {WEST}"]
    assert regions.sent == [EAST, WEST]


@pytest.mark.parametrize(("failed_over", "order"), [(False, [EAST, WEST]), (True, [WEST, EAST])])
async def test_a_refused_request_goes_to_the_other_region_at_once(
    world: World, regions: Regions, failed_over: bool, order: list[str]
) -> None:
    """Who refuses a connection cannot have accepted anything: no vote and no time is needed."""
    routing = world.start()
    if failed_over:
        world.see(routing, Evidence.UNHEALTHY)
    regions.refuses = {order[0]}
    began_at = world.clock.monotonic()
    answer = await routing.carry(ORDERS, regions.send)

    assert answer == f"accepted in {order[1]}"
    assert regions.sent == order
    assert world.clock.monotonic() == began_at
    assert (routing.region_in_use(ORDERS) == WEST) == failed_over


async def test_refused_by_both(world: World, regions: Regions) -> None:
    """The caller learns why, of both Regions, and each was asked once."""
    regions.refuses = {EAST, WEST}
    with pytest.raises(ServiceUnavailableException) as raised:
        await world.start().carry(ORDERS, regions.send)

    assert f"{EAST}: {EAST} cannot be connected to" in raised.value.message
    assert f"{WEST}: {WEST} cannot be connected to" in raised.value.message
    assert ORDERS.endpoint_id in raised.value.message
    assert regions.sent == [EAST, WEST]


async def test_a_hanging_request_waits_for_the_votes(world: World, regions: Regions) -> None:
    """It may have been accepted: it is parked until the route moves, then sent to the other."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.HEALTHY, Evidence.DOUBT, Evidence.UNKNOWN)
    await world.clock.sleep(PARK_SECONDS_MAX - 1)
    assert not task.done()
    assert routing.parked_count(ORDERS) == 1

    world.see(routing, Evidence.UNHEALTHY)
    assert await task == f"accepted in {WEST}"
    assert regions.sent == [EAST, WEST]
    assert regions.cancelled == [EAST]
    assert routing.parked_count(ORDERS) == 0


async def test_a_hundred_hanging_requests_move_together(world: World, regions: Regions) -> None:
    """None is left behind, and none is sent more than once to the new Region."""
    routing = world.start()
    regions.hangs = {EAST}
    tasks = [await begin(routing, regions) for _ in range(100)]
    assert routing.parked_count(ORDERS) == 100
    world.see(routing, Evidence.UNHEALTHY)

    assert set(await asyncio.gather(*tasks)) == {f"accepted in {WEST}"}
    assert regions.sent.count(WEST) == 100


async def test_a_slow_answer_is_an_answer(world: World, regions: Regions) -> None:
    """What comes before the verdict counts, and nothing is sent twice."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    await world.clock.sleep(3)
    regions.answers.set()

    assert await task == f"accepted in {EAST}"
    assert regions.sent == [EAST]


async def test_a_hanging_request_then_refused(world: World, regions: Regions) -> None:
    """Hung in the primary and refused by the secondary, it is sent to the primary once more."""
    routing = world.start()
    regions.hangs, regions.refuses = {EAST}, {WEST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNHEALTHY)
    await world.clock.sleep(1)
    assert regions.sent == [EAST, WEST, EAST]

    regions.answers.set()
    assert await task == f"accepted in {EAST}"


async def test_without_a_verdict_a_hanging_request_goes_to_the_other_region_in_the_end(
    world: World, regions: Regions
) -> None:
    """A node that hears too few observers keeps its route, but no request hangs for ever."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNKNOWN)
    await world.clock.sleep(PARK_SECONDS_MAX + 1)

    assert await task == f"accepted in {WEST}"
    assert regions.sent == [EAST, WEST]
    assert routing.region_in_use(ORDERS) == EAST


async def test_a_request_in_the_secondary_stays_there_on_failback(
    world: World, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing was said against the secondary: a request that it works on is left to it."""
    monkeypatch.setattr(service, "PARK_SECONDS_MAX", 1_000.0)
    routing = world.start()
    world.see(routing, Evidence.UNHEALTHY)
    regions.hangs = {WEST}
    task = await begin(routing, regions)
    await world.fail_back(routing)
    await world.clock.sleep(1)
    assert regions.cancelled == []

    regions.answers.set()
    assert await task == f"accepted in {WEST}"
    assert regions.sent == [WEST]


async def test_an_in_band_failover_outlives_the_votes(world: World, regions: Regions) -> None:
    """Refused by the primary and under way in the secondary, it stays when the route follows."""
    routing = world.start()
    regions.refuses, regions.hangs = {EAST}, {WEST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNHEALTHY)
    await world.clock.sleep(1)
    regions.answers.set()

    assert await task == f"accepted in {WEST}"
    assert regions.sent == [EAST, WEST]


async def test_an_in_band_failover_outlives_the_failback(
    world: World, regions: Regions, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Refused by the primary, a request is not taken from the secondary when the route returns."""
    monkeypatch.setattr(service, "PARK_SECONDS_MAX", 1_000.0)
    routing = world.start()
    regions.refuses, regions.hangs = {EAST}, {WEST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNHEALTHY)
    await world.fail_back(routing)
    await world.clock.sleep(1)
    regions.answers.set()

    assert await task == f"accepted in {WEST}"
    assert regions.sent == [EAST, WEST]


async def test_another_endpoints_failover_moves_nothing(world: World, regions: Regions) -> None:
    """Only requests of the endpoint that moved are taken back."""
    world.endpoints = [ORDERS, BILLS]
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNHEALTHY, of=BILLS)
    await world.clock.sleep(1)
    regions.answers.set()

    assert await task == f"accepted in {EAST}"


async def test_cancelling_is_clean(world: World, regions: Regions) -> None:
    """A client that hangs up leaves nothing behind, and is not sent on."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    world.see(routing, Evidence.UNHEALTHY)

    assert regions.sent == [EAST]
    assert regions.cancelled == [EAST]
    assert routing.parked_count(ORDERS) == 0


async def test_cancelling_wins_over_a_move(world: World, regions: Regions) -> None:
    """Where the client hangs up as the route moves, the request ends."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    world.see(routing, Evidence.UNHEALTHY)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert regions.sent == [EAST]
    assert routing.parked_count(ORDERS) == 0


@pytest.mark.parametrize(
    "error", [TimeoutError("the store"), ValueError("the request"), OSError("the socket")]
)
async def test_an_error_of_the_send_is_the_callers(world: World, error: Exception) -> None:
    """An error of the sending itself, a TimeoutError too, is not mistaken for a moved route."""
    sent: list[str] = []

    async def send(region: str) -> str:
        sent.append(region)
        raise error

    routing = world.start()
    with pytest.raises(type(error)) as raised:
        await routing.carry(ORDERS, send)

    assert raised.value is error
    assert sent == [EAST]
    assert routing.parked_count(ORDERS) == 0


async def test_an_answer_at_the_moment_of_the_move(world: World, regions: Regions) -> None:
    """Whether the answer or the move comes first, the caller has exactly one answer."""
    routing = world.start()
    regions.hangs = {EAST}
    task = await begin(routing, regions)
    regions.answers.set()
    world.see(routing, Evidence.UNHEALTHY)

    assert await task in {f"accepted in {EAST}", f"accepted in {WEST}"}
    assert task.cancelling() == 0


async def test_sending_ends(world: World) -> None:
    """A route that moves with every send does not keep a request for ever."""
    sent: list[str] = []
    hangs: Callable[[], asyncio.Future[str]] = asyncio.get_running_loop().create_future
    routing = world.start()

    async def send(region: str) -> str:
        sent.append(region)
        world.see(routing, Evidence.UNHEALTHY)
        if region == WEST:
            await world.fail_back(routing)
            raise RegionUnreachable("closed the connection")
        return await hangs()

    with pytest.raises(ServiceUnavailableException):
        await routing.carry(ORDERS, send)

    assert sent == [EAST, WEST, EAST]
