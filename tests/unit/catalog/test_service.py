"""The exchange of catalogs as it runs: a fake peer, and time that the test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest

from farspan.catalog.federation import OwnedCatalog, PeerReport
from farspan.catalog.service import COPY_FILE_NAME, FRESH_SECONDS, PULL_SECONDS, CatalogService
from farspan.config import NodeConfig
from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck, HealthCheckType
from farspan.model.role import Role

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

HERE, THERE = "us-east-1", "eu-central-1"
PEER = NodeConfig(name="there", url="http://there", region=THERE)
EDGE = NodeConfig(name="edge", url="http://edge")


def endpoint(name: str, primary: str = THERE, secondary: str = HERE) -> Endpoint:
    """Return an endpoint whose id follows from its name."""
    return Endpoint(
        account="000000000000",
        name=name,
        endpoint_id=f"{name}.veo",
        event_bus_name="orders",
        primary_region=primary,
        secondary_region=secondary,
        health_check_id=f"h-{name}",
    )


def catalog(version: int, *names: str, region: str = THERE) -> OwnedCatalog:
    """Return a Region's catalog with an endpoint and a health check for each name."""
    other = HERE if region == THERE else THERE
    return OwnedCatalog(
        region=region,
        version=version,
        endpoints=tuple(endpoint(name, region, other) for name in names),
        health_checks=tuple(
            HealthCheck(
                id=f"h-{name}", account="0", caller_reference=name, type=HealthCheckType.TCP
            )
            for name in names
        ),
    )


class FakeClock:
    """Time that stands still until the test advances it."""

    def __init__(self) -> None:
        self.elapsed = 50.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """See `Clock.now`."""
        return 1_700_000_000.0 + self.elapsed

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.elapsed + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on, waking each sleeper at its own time."""
        await self._settle()
        end = self.elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            self.elapsed = max(self.elapsed, due)
            if not future.done():
                future.set_result(None)
            await self._settle()
        self.elapsed = end

    async def _settle(self) -> None:
        for _ in range(10):
            await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time


class World:
    """Peers that say what the test wants, and the service that asks them."""

    def __init__(self, copy_directory: Path) -> None:
        self.copy_directory = copy_directory
        self.clock = FakeClock()
        self.answers: dict[str, PeerReport | Exception] = {}
        self.own = catalog(1, "own", region=HERE)
        self.asked: list[str] = []
        self.services: list[CatalogService] = []

    async def fetch(self, node: NodeConfig) -> PeerReport:
        """Return what the peer is to say."""
        self.asked.append(node.name)
        answer = self.answers.get(node.name, OSError("refused"))
        if isinstance(answer, Exception):
            raise answer
        return answer

    def say(self, *catalogs: OwnedCatalog, node: NodeConfig = PEER) -> None:
        """Make a peer report these catalogs."""
        self.answers[node.name] = PeerReport(node=node.name, region=node.region, catalogs=catalogs)

    def service(self, region: str | None = HERE) -> CatalogService:
        """Return a service of this node, as after a start."""
        service = CatalogService(
            region=region,
            peers=[PEER, EDGE],
            clock=self.clock,
            fetch=self.fetch,
            own_catalog=(lambda: self.own) if region else None,
            copy_directory=self.copy_directory,
        )
        self.services.append(service)
        return service


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    """Return a world that is stopped afterwards."""
    world = World(tmp_path)
    yield world
    for service in world.services:
        await service.close()


def known(service: CatalogService) -> set[str]:
    """Return the names of the endpoints that the node knows."""
    return {endpoint.name for endpoint in service.endpoints()}


async def test_peers_are_followed(world: World) -> None:
    """What a peer owns is known after one pull, and changes or goes with the next ones."""
    service = world.service()
    changes: list[set[str]] = []
    service.on_change(lambda: changes.append(known(service)))
    service.start()
    for said in (catalog(1, "a"), catalog(2, "a", "b"), catalog(3, "b")):
        world.say(said)
        await world.clock.advance(PULL_SECONDS)

    assert changes == [{"own", "a"}, {"own", "a", "b"}, {"own", "b"}]
    assert service.endpoint("b.veo") == endpoint("b")
    assert service.endpoint("a.veo") is None
    assert service.owner_of_health_check("h-b") == THERE
    assert service.owner_of_health_check("h-own") == HERE
    assert service.owner_of_health_check("h-a") is None
    assert set(service.health_checks()) == {"h-own", "h-b"}


async def test_every_peer_is_asked_all_the_time(world: World) -> None:
    """The work is the same whether peers answer, change or are down."""
    world.service().start()
    await world.clock.advance(PULL_SECONDS * 9.5)

    assert world.asked.count("there") == world.asked.count("edge") == 10


async def test_what_is_unchanged_is_not_announced(world: World) -> None:
    """A report that brings nothing new is heard by those who want reports, and changes nothing."""
    service = world.service()
    changes: list[int] = []
    reports: list[PeerReport] = []
    service.on_change(lambda: changes.append(1))
    service.on_report(reports.append)
    world.say(catalog(1, "a"))
    service.start()
    await world.clock.advance(PULL_SECONDS * 4)

    assert len(changes) == 1
    assert len(reports) >= 4


async def test_an_older_catalog_is_refused_with_one_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A peer that falls back is not believed, and the log says so once, not each half second."""
    service = world.service()
    service.start()
    world.say(catalog(5, "a"))
    await world.clock.advance(PULL_SECONDS)
    world.say(catalog(4, "b"))
    await world.clock.advance(PULL_SECONDS * 10)

    assert known(service) == {"own", "a"}
    assert caplog.text.count("catalog refused peer=there") == 1


async def test_news_travels_past_a_broken_link(world: World) -> None:
    """A Region that cannot be asked is known through another node that can ask it."""
    service = world.service()
    service.start()
    world.say(catalog(1, "a"), catalog(1, "own", region=HERE), node=EDGE)
    await world.clock.advance(PULL_SECONDS)

    assert known(service) == {"own", "a"}
    assert service.report_of(THERE) is None


async def test_ones_own_catalog_comes_from_oneself(world: World) -> None:
    """What peers say of the own Region is passed over; a change of it shows with refresh."""
    service = world.service()
    service.start()
    world.say(catalog(99, "fake", region=HERE))
    await world.clock.advance(PULL_SECONDS)
    before = known(service)
    world.own = catalog(2, "own", "new", region=HERE)
    service.refresh()

    assert (before, known(service)) == ({"own"}, {"own", "new"})


async def test_a_report_is_fresh_for_a_while(world: World) -> None:
    """A peer that falls silent counts as heard until the limit, and its catalog stays (G8)."""
    service = world.service()
    world.say(catalog(1, "a"))
    service.start()
    before = service.peers_heard()
    await world.clock.advance(PULL_SECONDS)
    at_first = service.peers_heard()
    world.answers.clear()
    await world.clock.advance(FRESH_SECONDS)
    at_limit = service.report_of(THERE)
    await world.clock.advance(0.01)

    assert before == {"there": False, "edge": False}
    assert at_first == {"there": True, "edge": False}
    assert at_limit is not None
    assert service.report_of(THERE) is None
    assert service.report_of("ap-south-1") is None
    assert known(service) == {"own", "a"}


@pytest.mark.parametrize(
    "fault",
    [
        pytest.param(ConnectionRefusedError(), id="refused"),
        pytest.param(TimeoutError(), id="too slow"),
        pytest.param(msgspec.ValidationError("nonsense"), id="nonsense"),
        pytest.param(RuntimeError("bug"), id="a fault of our own"),
    ],
)
async def test_a_peer_that_fails_is_asked_again(world: World, fault: Exception) -> None:
    """Whatever goes wrong with one report, the next one counts."""
    service = world.service()
    world.answers["there"] = fault
    service.start()
    await world.clock.advance(PULL_SECONDS * 2)
    world.say(catalog(1, "a"))
    await world.clock.advance(PULL_SECONDS)

    assert known(service) == {"own", "a"}


async def test_a_peer_that_refuses_is_named_once_for_each_reason(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Each reason leaves one line, and again after the peer was heard in between."""
    service = world.service()
    service.start()
    world.say(node=EDGE)
    refusals = [OSError("403 other secret"), TimeoutError(), OSError("403 other secret")]
    for answer in [*refusals, catalog(1, "a"), refusals[0]]:
        if isinstance(answer, Exception):
            world.answers["there"] = answer
        else:
            world.say(answer)
        await world.clock.advance(PULL_SECONDS * 5)
    lines = [r.getMessage() for r in caplog.records if "not heard" in r.getMessage()]

    assert lines == [
        "peer not heard peer=there reason=403 other secret",
        "peer not heard peer=there reason=no answer in time",
        "peer not heard peer=there reason=403 other secret",
        "peer not heard peer=there reason=403 other secret",
    ]


async def test_a_listener_that_fails_does_not_end_the_exchange(world: World) -> None:
    """A fault in what is done with a report leaves the next report to be taken."""
    service = world.service()

    def fail(_: PeerReport) -> None:
        raise RuntimeError

    service.on_report(fail)
    service.start()
    for said in (catalog(1, "a"), catalog(2, "b")):
        world.say(said)
        await world.clock.advance(PULL_SECONDS)

    assert known(service) == {"own", "b"}


async def test_a_peer_that_hangs_is_given_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer that does not come in time is not waited for, and no other peer waits either."""
    monkeypatch.setattr("farspan.catalog.service.REPORT_SECONDS_MAX", 0.001)
    service = world.service()
    hanging = asyncio.Event()
    fetch = world.fetch

    async def hang(node: NodeConfig) -> PeerReport:
        if node is PEER and not hanging.is_set():
            hanging.set()
            await asyncio.Event().wait()
        return await fetch(node)

    service._fetch = hang
    world.say(catalog(1, "a"))
    service.start()
    await hanging.wait()
    await asyncio.sleep(0.005)  # noqa: TID251 - the limit is by the loop's clock
    await world.clock.advance(PULL_SECONDS)

    assert known(service) == {"own", "a"}


# --- the copy on disk --------------------------------------------------------------------------


async def test_the_copy_survives_a_restart(world: World) -> None:
    """A node that starts while its peers are down knows what they said last (static stability)."""
    service = world.service()
    world.say(catalog(7, "a"))
    service.start()
    await world.clock.advance(PULL_SECONDS)
    await service.close()
    world.answers.clear()

    again = world.service()

    assert known(again) == {"own", "a"}
    assert {c.region: c.version for c in again.catalogs()} == {HERE: 1, THERE: 7}
    assert again.peers_heard() == {"there": False, "edge": False}


async def test_the_copy_is_not_believed_about_oneself(world: World, tmp_path: Path) -> None:
    """A copy that names the own Region, from a former life, is passed over for it."""
    write_copy(tmp_path, msgspec.json.encode([catalog(99, "ghost", region=HERE), catalog(1, "a")]))

    assert known(world.service()) == {"own", "a"}


def write_copy(directory: Path, content: bytes) -> None:
    """Put a copy where the node looks for one."""
    (directory / COPY_FILE_NAME).write_bytes(content)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'[{"region":"eu-central-1"}]',
        b'[{"region":"eu-central-1","version":1,"endpoints":[{}]}]',
        b"null",
    ],
    ids=repr,
)
async def test_a_broken_copy_is_passed_over(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes
) -> None:
    """A copy that cannot be read costs a line, not the start; the next report replaces it."""
    write_copy(tmp_path, content)
    service = world.service()
    world.say(catalog(1, "a"))
    service.start()
    await world.clock.advance(PULL_SECONDS)

    assert "catalog copy not usable" in caplog.text
    assert known(service) == {"own", "a"}
    assert known(world.service()) == {"own", "a"}


async def test_a_copy_that_cannot_be_written_costs_a_line(
    world: World, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A node whose disk takes nothing goes on with what it knows."""
    world.copy_directory = tmp_path / "none"
    service = world.service()
    world.say(catalog(1, "a"))
    service.start()
    await world.clock.advance(PULL_SECONDS)

    assert "catalog copy not written" in caplog.text
    assert known(service) == {"own", "a"}


# --- roles -----------------------------------------------------------------------------------


def role(name: str, role_id: str, region: str = THERE, made: float = 1.0) -> Role:
    """Return a role of the first account."""
    return Role(
        region=region,
        account="000000000000",
        name=name,
        role_id=role_id,
        trust_policy="{}",
        creation_time=made,
    )


def with_roles(version: int, *roles: Role, region: str = THERE) -> OwnedCatalog:
    """Return a Region's catalog with nothing but roles."""
    return OwnedCatalog(region=region, version=version, roles=roles)


async def test_a_role_of_another_region_is_known_while_it_stands(world: World) -> None:
    """It comes, changes and goes with the catalog of the Region that owns it."""
    service = world.service()
    service.start()
    found = []
    for said in (
        with_roles(1, role("r", "A")),
        with_roles(2, role("r", "B")),
        with_roles(3),
    ):
        world.say(said)
        await world.clock.advance(PULL_SECONDS)
        found.append(service.role("000000000000", "r"))

    assert [role("r", "A"), role("r", "B"), None] == found


async def test_of_two_roles_of_one_name_the_first_stands(world: World) -> None:
    """All nodes agree on which: by time, then by id; the other shows once that one is deleted."""
    world.own = with_roles(1, role("r", "B", HERE, made=2.0), role("s", "B", HERE), region=HERE)
    service = world.service()
    service.start()
    world.say(with_roles(1, role("r", "A", made=1.0), role("s", "A")))
    await world.clock.advance(PULL_SECONDS)
    first = [service.role("000000000000", name) for name in "rs"]
    world.say(with_roles(2))
    await world.clock.advance(PULL_SECONDS)

    assert ["A", "A"] == [each.role_id for each in first if each]
    assert role("r", "B", HERE, made=2.0) == service.role("000000000000", "r")


@pytest.mark.parametrize(
    ("account", "name"),
    [("111111111111", "r"), ("000000000000", "R"), ("000000000000", "x"), ("000000000000/r", "")],
)
async def test_a_role_is_its_accounts(world: World, account: str, name: str) -> None:
    """Another account's, another spelling and another name are no role of this one."""
    world.own = with_roles(1, role("r", "A", HERE), region=HERE)

    assert world.service().role(account, name) is None


async def test_a_role_that_claims_another_region_is_refused(world: World) -> None:
    """A Region speaks for its own roles alone: its whole catalog is passed over."""
    service = world.service()
    service.start()
    world.say(with_roles(1, role("r", "A", HERE)))
    await world.clock.advance(PULL_SECONDS)

    assert service.role("000000000000", "r") is None
