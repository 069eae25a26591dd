"""The service on a clock that a test moves, with probes that answer as told."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

import msgspec
import pytest

from farspan.health.check import CheckState, ProbeResult
from farspan.health.prober import ProberFault, Timeouts
from farspan.health.service import SAFETY_POLL_SECONDS, HealthService
from farspan.health.votes import Verdict
from farspan.model.health_check import HealthCheck, HealthCheckType, Status, Vote

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from conftest import FakeClock

CHECK = HealthCheck(
    id="c-1",
    account="1" * 12,
    caller_reference="r",
    type=HealthCheckType.HTTP,
    ip_address="192.0.2.1",
    request_interval=10,
)
OBSERVERS = ("west", "edge")


class Targets:
    """A probe whose answers the test sets, and that notes when it was asked for what."""

    def __init__(self, clock: FakeClock) -> None:
        self.clock = clock
        self.healthy = True
        self.fault: Exception | None = None
        self.stall_seconds = 0.0
        self.hang_seconds = 0.0
        self.probes: list[tuple[float, HealthCheck]] = []
        self.timeouts: Timeouts | None = None

    async def probe(self, check: HealthCheck, timeouts: Timeouts) -> ProbeResult:
        """See `service.Probe`."""
        self.probes.append((self.clock.seconds - 1000.0, check))
        self.timeouts = timeouts
        if self.fault is not None:
            raise self.fault
        if self.hang_seconds:
            await self.clock.sleep(self.hang_seconds)
        self.clock.stall(self.stall_seconds)
        return ProbeResult(self.healthy, "Success: fine" if self.healthy else "Failure: broken")


@pytest.fixture
def targets(clock: FakeClock) -> Targets:
    """Return targets that are healthy."""
    return Targets(clock)


@pytest.fixture
def checks() -> dict[str, HealthCheck]:
    """Return the checks as the service will find them: one."""
    return {CHECK.id: CHECK}


@pytest.fixture
async def service(
    clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> AsyncIterator[HealthService]:
    """Return the service of the node `west`, which the test starts, and which is closed after."""
    service = HealthService("west", 1.0, clock, lambda: checks, targets.probe)
    yield service
    await service.close()


def vote(status: Status, sequence: int, observer: str = "edge", at: float = 0.0) -> Vote:
    """Return another observer's vote on the check."""
    return Vote(
        health_check_id=CHECK.id,
        observer=observer,
        status=status,
        sequence=sequence,
        checked_time=at,
        report="Success: fine",
    )


# --- probing ---------------------------------------------------------------------------------


async def test_the_first_probe_is_made_at_once(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """A new check has a vote as soon as its first probe is back."""
    service.start()
    await clock.settle()

    assert targets.probes == [(0.0, CHECK)]
    assert (
        Vote(
            health_check_id="c-1",
            observer="west",
            status=Status.HEALTHY,
            sequence=1,
            checked_time=clock.now(),
            report="Success: fine",
            failure_time=clock.now(),
        ),
    ) == service.own_votes()


async def test_probes_keep_their_interval(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """After a second probe that comes early by a fixed share, the pace is the interval."""
    service.start()
    await clock.advance(45)
    times = [at for at, _ in targets.probes]

    assert 5.0 <= times[1] < 10.0
    assert pytest.approx([times[i + 1] - times[i] for i in (1, 2, 3)]) == [10.0, 10.0, 10.0]


async def test_checks_and_nodes_spread_out(clock: FakeClock, targets: Targets) -> None:
    """Checks that begin together do not probe together from the second probe on."""
    checks = {str(i): msgspec.structs.replace(CHECK, id=str(i)) for i in range(20)}
    service = HealthService("west", 1.0, clock, lambda: checks, targets.probe)
    service.start()
    await clock.advance(10)
    await service.close()
    seconds = {at for at, _ in targets.probes if at > 0}

    assert len(seconds) == 20
    assert max(seconds) - min(seconds) > 3


async def test_the_time_scale_divides_intervals_and_timeouts(
    clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> None:
    """At 20, ten seconds of Route 53's time take half a second."""
    service = HealthService("west", 20.0, clock, lambda: checks, targets.probe)
    service.start()
    await clock.advance(5.2)
    await service.close()

    assert 11 <= len(targets.probes) <= 12
    assert Timeouts(connect=0.5, response=0.5, body=0.5, tcp=0.5) == targets.timeouts


async def test_a_probe_longer_than_the_interval_delays_the_next(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """Probes of a check never overlap, and none are made up for."""
    service.start()
    targets.hang_seconds = 25.0
    await clock.advance(99)

    assert [at for at, _ in targets.probes] == [0.0, 25.0, 50.0, 75.0]


# --- status and votes ------------------------------------------------------------------------


async def test_three_failures_in_a_row_flip_the_vote(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """The vote counts FailureThreshold; the report is the last probe's at any time."""
    service.start()
    await clock.settle()
    targets.healthy = False
    seen = []
    for _ in range(3):
        await clock.advance(10)
        (own,) = service.own_votes()
        seen.append((own.status, own.sequence, own.report))

    assert seen == [
        (Status.HEALTHY, 2, "Failure: broken"),
        (Status.HEALTHY, 3, "Failure: broken"),
        (Status.UNHEALTHY, 4, "Failure: broken"),
    ]


async def test_an_observer_that_starts_while_the_target_is_down_waits_for_evidence(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """It does not vote Healthy on the assumption that a new check is healthy."""
    service.start()
    targets.healthy = False
    await clock.advance(11)

    assert service.own_votes() == ()
    assert service.own_status(CHECK.id) is None

    await clock.advance(10)

    assert [own.status for own in service.own_votes()] == [Status.UNHEALTHY]


async def test_a_node_whose_event_loop_lags_casts_no_vote(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """A stall of more than 200 ms discards the probe that it fell into."""
    service.start()
    await clock.settle()
    targets.stall_seconds = 0.3
    await clock.advance(25)

    assert [own.sequence for own in service.own_votes()] == [1]

    await clock.advance(10)

    assert service.own_votes() == ()

    targets.stall_seconds = 0.0
    await clock.advance(10)

    assert [own.sequence for own in service.own_votes()] == [2]


async def test_a_stall_that_is_over_when_the_probe_ends_counts_too(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """A lag is remembered for the probes that were under way during it."""
    service.start()
    targets.hang_seconds = 2.0
    await clock.advance(1)
    clock.stall(0.4)
    await clock.advance(3)

    assert service.own_votes() == ()


@pytest.mark.parametrize("fault", [ProberFault("no sockets"), RuntimeError("a fault of ours")])
async def test_a_probe_that_could_not_be_made_is_no_vote(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    caplog: pytest.LogCaptureFixture,
    fault: Exception,
) -> None:
    """The check is probed on, the trouble is logged, and nobody is called unhealthy."""
    service.start()
    targets.fault = fault
    await clock.advance(11)
    targets.fault = None
    await clock.advance(10)

    assert [(own.status, own.sequence) for own in service.own_votes()] == [(Status.HEALTHY, 1)]
    assert "event=health_probe_failed node=west health_check_id=c-1" in caplog.text


# --- following the checks --------------------------------------------------------------------


async def test_a_check_that_comes_is_probed_once_the_service_is_told(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
) -> None:
    """`refresh` begins at once."""
    service.start()
    await clock.advance(1)
    checks["c-2"] = msgspec.structs.replace(CHECK, id="c-2")
    service.refresh()
    await clock.settle()

    assert [own.health_check_id for own in service.own_votes()] == ["c-1", "c-2"]


async def test_a_missed_call_is_made_good(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
) -> None:
    """The safety poll finds a check that nobody told of."""
    service.start()
    checks["c-2"] = msgspec.structs.replace(CHECK, id="c-2")
    await clock.advance(SAFETY_POLL_SECONDS)

    assert "c-2" in {check.id for _, check in targets.probes}


async def test_the_safety_poll_outlives_a_fault(
    clock: FakeClock, targets: Targets, caplog: pytest.LogCaptureFixture
) -> None:
    """Checks that cannot be read now are read again later."""
    answers = iter(({}, None, {CHECK.id: CHECK}))
    service = HealthService("west", 1.0, clock, lambda: dict(next(answers)), targets.probe)
    service.start()
    await clock.advance(2 * SAFETY_POLL_SECONDS)
    await service.close()

    assert [check for _, check in targets.probes] == [CHECK]
    assert "event=health_refresh_failed" in caplog.text


async def test_a_changed_check_is_probed_anew_and_keeps_its_status(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
) -> None:
    """The new settings count at once, the status waits for as much evidence as ever."""
    service.start()
    targets.healthy = False
    await clock.advance(21)
    changed = msgspec.structs.replace(CHECK, ip_address="192.0.2.2", version=2)
    checks[CHECK.id] = changed
    targets.healthy = True
    service.refresh()
    service.refresh()
    await clock.settle()

    assert changed == targets.probes[-1][1]
    assert sum(check == changed for _, check in targets.probes) == 1
    assert [own.status for own in service.own_votes()] == [Status.UNHEALTHY]

    await clock.advance(21)

    assert [own.status for own in service.own_votes()] == [Status.HEALTHY]


async def test_a_probe_under_way_ends_with_its_check(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
) -> None:
    """What an old probe would have said of a check that is gone is never heard."""
    service.start()
    targets.hang_seconds = 2.0
    await clock.advance(1)
    del checks[CHECK.id]
    service.refresh()
    await clock.advance(30)

    assert len(targets.probes) == 1
    assert service.votes_on(CHECK.id) == []


async def test_a_disabled_check_is_not_probed(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
) -> None:
    """Its own vote is withdrawn, it counts as healthy, and enabling it begins anew."""
    service.start()
    await clock.settle()
    checks[CHECK.id] = msgspec.structs.replace(CHECK, disabled=True)
    service.refresh()
    targets.healthy = False
    await clock.advance(30)

    assert len(targets.probes) == 1
    assert service.own_votes() == ()
    assert Status.HEALTHY is service.own_status(CHECK.id)
    assert Verdict.HEALTHY is service.verdict(CHECK.id, OBSERVERS)

    checks[CHECK.id] = CHECK
    service.refresh()
    await clock.settle()

    assert len(targets.probes) == 2


async def test_nothing_is_probed_before_start_and_after_close(
    clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> None:
    """`refresh` alone sets nothing going."""
    service = HealthService("west", 1.0, clock, lambda: checks, targets.probe)
    service.refresh()
    await clock.settle()
    service.start()
    await service.close()
    service.refresh()
    await service.close()
    await clock.advance(30)

    assert targets.probes == []


# --- hearing others --------------------------------------------------------------------------


async def test_votes_are_heard_and_grow_stale(service: HealthService, clock: FakeClock) -> None:
    """The same number told again does not keep a vote fresh; the next number does."""
    service.start()
    first = vote(Status.UNHEALTHY, 7)
    service.hear("edge", [first])
    await clock.advance(29)
    service.hear("edge", [first])

    assert [heard.observer for heard in service.votes_on(CHECK.id)] == ["edge", "west"]

    await clock.advance(2)

    assert [heard.observer for heard in service.votes_on(CHECK.id)] == ["west"]

    second = vote(Status.UNHEALTHY, 8)
    service.hear("edge", [second])

    assert second == service.votes_on(CHECK.id)[0]


async def test_a_restarted_observer_is_heard(service: HealthService) -> None:
    """It begins again at a low number, but later."""
    service.start()
    service.hear("edge", [vote(Status.UNHEALTHY, 700, at=50.0)])
    restarted = vote(Status.HEALTHY, 1, at=60.0)
    service.hear("edge", [restarted])

    assert [restarted] == service.votes_on(CHECK.id)


async def test_nobody_votes_for_another(service: HealthService) -> None:
    """Votes in a third name, in this node's name, and on unknown checks are passed over."""
    service.start()
    service.hear("edge", [vote(Status.UNHEALTHY, 1, observer="third")])
    service.hear("west", [vote(Status.UNHEALTHY, 1, observer="west")])
    unknown = msgspec.structs.replace(vote(Status.UNHEALTHY, 1), health_check_id="c-9")
    service.hear("edge", [unknown])

    assert service.votes_on(CHECK.id) == []
    assert service.votes_on("c-9") == []


# --- verdicts --------------------------------------------------------------------------------


async def test_a_verdict_takes_a_majority_of_the_observers(
    service: HealthService, clock: FakeClock, targets: Targets
) -> None:
    """This node's vote counts as one; votes of others than the named observers do not."""
    service.start()
    targets.healthy = False
    await clock.advance(21)
    service.hear("east", [vote(Status.UNHEALTHY, 1, observer="east")])

    assert Verdict.UNKNOWN is service.verdict(CHECK.id, OBSERVERS)
    assert Verdict.UNHEALTHY is service.verdict(CHECK.id, ["west"])

    service.hear("edge", [vote(Status.UNHEALTHY, 1)])

    assert Verdict.UNHEALTHY is service.verdict(CHECK.id, OBSERVERS)
    assert Status.UNHEALTHY is service.own_status(CHECK.id)


async def test_a_cut_off_node_has_no_verdict(service: HealthService, clock: FakeClock) -> None:
    """Once the others fall silent, one of two is no majority."""
    service.start()
    service.hear("edge", [vote(Status.HEALTHY, 1)])
    await clock.settle()

    assert Verdict.HEALTHY is service.verdict(CHECK.id, OBSERVERS)

    await clock.advance(31)

    assert Verdict.UNKNOWN is service.verdict(CHECK.id, OBSERVERS)


async def test_inversion_applies_to_verdicts_not_to_votes(
    service: HealthService, clock: FakeClock, checks: dict[str, HealthCheck]
) -> None:
    """Votes say what was seen."""
    service.start()
    checks[CHECK.id] = msgspec.structs.replace(CHECK, inverted=True)
    service.refresh()
    await clock.settle()

    assert Verdict.UNHEALTHY is service.verdict(CHECK.id, ["west"])
    assert Status.UNHEALTHY is service.own_status(CHECK.id)
    assert [own.status for own in service.own_votes()] == [Status.HEALTHY]


async def test_a_check_that_is_not_known_has_no_verdict(service: HealthService) -> None:
    """UNKNOWN moves nothing."""
    service.start()
    assert Verdict.UNKNOWN is service.verdict("c-9", ["west"])
    assert service.own_status("c-9") is None


async def test_changes_are_logged_once(
    service: HealthService,
    clock: FakeClock,
    targets: Targets,
    checks: dict[str, HealthCheck],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """One wide line for a status, one for a verdict, none while they stay."""
    service.start()
    caplog.set_level(logging.INFO, "farspan.health")
    await clock.settle()
    targets.healthy = False
    for _ in range(40):
        service.verdict(CHECK.id, ["west"])
        await clock.advance(1)
    del checks[CHECK.id]
    service.refresh()

    assert caplog.messages == [
        (
            "event=health_verdict node=west health_check_id=c-1 former=UNKNOWN verdict=HEALTHY "
            "observers=west votes=west:Healthy inverted=False disabled=False"
        ),
        (
            "event=health_status node=west health_check_id=c-1 former=Healthy status=Unhealthy "
            'threshold=3 report="Failure: broken"'
        ),
        (
            "event=health_verdict node=west health_check_id=c-1 former=HEALTHY verdict=UNHEALTHY "
            "observers=west votes=west:Unhealthy inverted=False disabled=False"
        ),
    ]


# --- other types -----------------------------------------------------------------------------


def calculated(threshold: int, *children: str, **settings: bool) -> HealthCheck:
    """Return a check that is calculated from others."""
    return HealthCheck(
        id="sum",
        account=CHECK.account,
        caller_reference="sum",
        type=HealthCheckType.CALCULATED,
        health_threshold=threshold,
        child_health_checks=children,
        **settings,
    )


async def test_a_calculated_check_follows_its_children(
    service: HealthService, clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> None:
    """Its verdict comes of theirs, by whatever observers; nobody looks at it itself."""
    checks["c-2"] = msgspec.structs.replace(CHECK, id="c-2", inverted=True)
    checks["sum"] = calculated(1, "c-1", "c-2")
    checks["both"] = msgspec.structs.replace(calculated(2, "c-1", "c-2"), id="both")
    service.start()
    await clock.settle()

    assert {"c-1", "c-2"} == {vote.health_check_id for vote in service.own_votes()}
    assert Verdict.HEALTHY is service.verdict("sum", ["west"])
    assert Verdict.UNHEALTHY is service.verdict("both", ["west"])
    assert Verdict.UNKNOWN is service.verdict("sum", OBSERVERS)
    assert (Status.HEALTHY, Status.UNHEALTHY) == (
        service.own_status("sum"),
        service.own_status("both"),
    )
    assert [CHECK.id, "c-2"] == [check.id for _, check in targets.probes]


async def test_a_disabled_child_needs_no_votes_and_an_unknown_one_leaves_it_open(
    service: HealthService, checks: dict[str, HealthCheck]
) -> None:
    """Disabled counts as healthy; what is not known yet may be either."""
    checks["off"] = msgspec.structs.replace(CHECK, id="off", disabled=True)
    checks["sum"] = calculated(1, "off")
    checks["open"] = msgspec.structs.replace(calculated(1, "never"), id="open")
    checks["upside-down"] = calculated(1, "off", inverted=True)
    service.refresh()

    assert Verdict.HEALTHY is service.verdict("sum", OBSERVERS)
    assert Verdict.UNKNOWN is service.verdict("open", OBSERVERS)
    assert Verdict.UNHEALTHY is service.verdict("upside-down", OBSERVERS)
    assert (Status.HEALTHY, None) == (service.own_status("sum"), service.own_status("open"))


async def test_what_the_node_knows_is_looked_at_often(clock: FakeClock, targets: Targets) -> None:
    """A routing control's check votes at once, flips at once, and asks no network."""
    check = HealthCheck(
        id="control",
        account=CHECK.account,
        caller_reference="control",
        type=HealthCheckType.RECOVERY_CONTROL,
        routing_control_arn="arn",
    )
    healthy = [True]

    def look(_check: HealthCheck, _state: CheckState) -> ProbeResult | None:
        return ProbeResult(healthy[0], "known") if healthy else None

    service = HealthService(
        "west", 1.0, clock, lambda: {check.id: check}, targets.probe, evaluate=look
    )
    service.start()
    await clock.settle()
    before = service.verdict("control", ["west"])
    healthy[0] = False
    await clock.advance(0.6)
    after = service.verdict("control", ["west"])
    healthy.clear()
    await clock.advance(5)
    at_last = service.verdict("control", ["west"])
    await service.close()

    assert [Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNKNOWN] == [before, after, at_last]
    assert [] == targets.probes


async def test_a_vote_tells_the_last_failure(
    service: HealthService, clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> None:
    """Its time and words stay while all is well again, and while the check's settings change."""
    service.start()
    targets.healthy = False
    await clock.settle()
    failed_at = clock.now()
    targets.healthy = True
    await clock.advance(20)
    checks[CHECK.id] = msgspec.structs.replace(CHECK, port=81)
    service.refresh()
    await clock.advance(1)
    (own,) = service.own_votes()

    assert ("Failure: broken", failed_at) == (own.failure_report, own.failure_time)
    assert "Success: fine" == own.report


async def test_tags_are_no_settings(
    service: HealthService, clock: FakeClock, targets: Targets, checks: dict[str, HealthCheck]
) -> None:
    """A check that is tagged is not probed anew."""
    service.start()
    await clock.settle()
    checks[CHECK.id] = msgspec.structs.replace(CHECK, tags={"Name": "primary"})
    service.refresh()
    await clock.settle()

    assert 1 == len(targets.probes)


async def test_without_a_probe_of_its_own_it_asks_the_network(clock: FakeClock) -> None:
    """The default probe is the real one: here, of a server on the loopback interface."""
    accepted = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        accepted.set()

    listening = await asyncio.start_server(accept, "127.0.0.1", 0)
    check = msgspec.structs.replace(
        CHECK,
        type=HealthCheckType.TCP,
        ip_address="127.0.0.1",
        port=listening.sockets[0].getsockname()[1],
    )
    service = HealthService("west", 1.0, clock, lambda: {check.id: check})
    service.start()
    await accepted.wait()
    await service.close()
    listening.close()
    await listening.wait_closed()

    assert accepted.is_set()
