"""Delivery as it runs, on the memory engine, with time that the test moves."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from typing import TYPE_CHECKING

import msgspec
import pytest

from farspan.clock import SeededIds
from farspan.delivery import lane as lane_module
from farspan.delivery import service as service_module
from farspan.delivery.attempt import Exhausted
from farspan.delivery.lane import Item, Lane
from farspan.delivery.service import LEASE_SECONDS, DeliveryService
from farspan.delivery.stored import RETRY_TIMERS, delivery_cursor
from farspan.ingest.entries import Entry, Placement, accept_entries
from farspan.metrics.meter import Meter
from farspan.metrics.rules import RuleMeasures
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.event import CallId, EventBatch
from farspan.model.rule import RetryPolicy, Rule, RuleState, Target
from farspan.store.base import Append, ClaimTimers, MoveCursor, PutTimer, StoreError, StoreFailed
from farspan.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Sequence

    from farspan.store.base import Change, Result
    from farspan.targets.base import DeadLetter, TargetSender

ACCOUNT = "000000000000"
BUS = f"{ACCOUNT}/default"
START = 1_700_000_000.0
DAY = 86_400
RULE_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r"
UNCOUNTED = RuleMeasures(Meter(), RULE_ARN)
QUEUE = f"arn:aws:sqs:us-east-1:{ACCOUNT}:letters"

BUSY = Outcome(verdict=Verdict.RETRYABLE, error_code="THROTTLED", error_message="busy")
GONE = Outcome(verdict=Verdict.PERMANENT, error_code="NO_RESOURCE", error_message="gone")


async def turns(count: int = 40) -> None:
    """Let every task run until it waits for something."""
    for _ in range(count):
        await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time


class FakeClock:
    """Time that stands still until the test advances it."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.set_by = 0.0  # seconds by which somebody set the wall clock
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """See `Clock.now`."""
        return START + self.elapsed + self.set_by

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
        await turns()
        end = self.elapsed + seconds
        while self._sleepers and self._sleepers[0][0] <= end:
            due, _, future = heapq.heappop(self._sleepers)
            if future.done():
                continue  # its sleeper was cancelled
            self.elapsed = max(self.elapsed, due)
            future.set_result(None)
            await turns()
        self.elapsed = end
        await turns()


class FragileStore(MemoryStore):
    """A memory engine that fails while it is told to."""

    def __init__(self) -> None:
        super().__init__()
        self.error: StoreError | None = None
        self.before_commit: Callable[[], Awaitable[object]] | None = None
        self.before_log_end: Callable[[], Awaitable[object]] | None = None

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit, after what the test wants to wait for, or fail."""
        if self.before_commit is not None:
            hook, self.before_commit = self.before_commit, None
            await hook()
        if self.error is not None:
            raise self.error
        return await super().commit(changes)

    async def cursor(self, name: str) -> int:
        """Read, or fail."""
        if self.error is not None:
            raise self.error
        return await super().cursor(name)

    async def log_end(self, event_bus: str) -> int:
        """Read, after what the test wants to happen while a reader waits for the answer."""
        if self.before_log_end is not None:
            hook, self.before_log_end = self.before_log_end, None
            await hook()
        return await super().log_end(event_bus)


class RecordingTarget:
    """A target that does what it is told, and remembers what it got."""

    def __init__(self, *outcomes: Outcome, batch_count_max: int = 10) -> None:
        self.batch_count_max = batch_count_max
        self.script = list(outcomes)
        self.always = DELIVERED
        self.attempts: list[Delivery] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.fault: Exception | None = None

    @property
    def payloads(self) -> list[str]:
        """Return the detail's number of everything attempted, in order."""
        return [str(msgspec.json.decode(d.payload)["detail"]["n"]) for d in self.attempts]

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `TargetSender.send`."""
        await self.gate.wait()
        self.attempts += deliveries
        if self.fault is not None:
            raise self.fault
        return [self.script.pop(0) if self.script else self.always for _ in deliveries]


class RecordingLetters:
    """A dead-letter queue that does what it is told, and remembers what it got."""

    def __init__(self) -> None:
        self.letters: list[DeadLetter] = []
        self.script: list[Outcome] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, dead_letters: Sequence[DeadLetter]) -> list[Outcome]:
        """See `DeadLetterSender.send`."""
        await self.gate.wait()
        self.letters += dead_letters
        return [self.script.pop(0) if self.script else DELIVERED for _ in dead_letters]


def target(name: str, policy: RetryPolicy | None = None, queue: str | None = QUEUE) -> Target:
    """Return a target of the world below."""
    return Target(
        id=name,
        arn=f"arn:{name}",
        dead_letter_arn=queue,
        retry_policy=policy or RetryPolicy(),
    )


def rule(*targets: Target, name: str = "r", state: RuleState = RuleState.ENABLED) -> Rule:
    """Return a rule for every event of the shop."""
    return Rule(
        region="us-east-1",
        account=ACCOUNT,
        event_bus_name="default",
        name=name,
        event_pattern='{"source":["shop"]}',
        state=state,
        targets={one.id: one for one in targets},
    )


class World:
    """A store, a clock, targets by name, and a delivery service that can be restarted."""

    def __init__(self) -> None:
        self.store = FragileStore()
        self.clock = FakeClock()
        self.targets: dict[str, RecordingTarget] = {}
        self.letters = RecordingLetters()
        self.calls = itertools.count(1)
        self.service = self.new_service()

    def new_service(self) -> DeliveryService:
        """Return a service on the store as it is."""
        return DeliveryService(self.store, self.clock, SeededIds(7), self.sender_of, self.letters)

    def sender_of(self, arn: str) -> TargetSender | None:
        """Return the target of an ARN."""
        return self.targets.get(arn.removeprefix("arn:"))

    def add(self, name: str, *outcomes: Outcome, batch_count_max: int = 10) -> RecordingTarget:
        """Add a target."""
        self.targets[name] = RecordingTarget(*outcomes, batch_count_max=batch_count_max)
        return self.targets[name]

    async def put(self, *numbers: int, trace_headers: tuple[str | None, ...] = ()) -> None:
        """Put an event for each number in one call."""
        details = [f'{{"n":{n}}}' for n in numbers]
        await self.put_details(*details, trace_headers=trace_headers)

    async def put_details(self, *details: str, trace_headers: tuple[str | None, ...] = ()) -> None:
        """Put an event for each detail in one call."""
        call = CallId(next(self.calls).to_bytes(14, "big"))
        acceptance = accept_entries(
            [Entry(source="shop", detail_type="x", detail=detail) for detail in details],
            call=call,
            account=ACCOUNT,
            region="us-east-1",
            now=self.clock.now(),
            place=lambda _: Placement(event_bus=BUS),
        )
        events = tuple(acceptance.envelopes[BUS])
        await self.store.commit(
            [
                Append(
                    EventBatch(
                        event_bus=BUS,
                        call=call,
                        events=events,
                        accepted_at=self.clock.now(),
                        origin="us-east-1",
                        trace_headers=trace_headers,
                    )
                )
            ]
        )

    async def start(self, *rules: Rule) -> None:
        """Start delivering for the rules."""
        self.service.start()
        for one in rules:
            self.service.rule_changed(one, exists=True)
        await turns()

    async def restart(self, *rules: Rule) -> None:
        """Stop as a crash would, and start anew on the same store."""
        await self.service.close()
        self.service = self.new_service()
        await self.start(*rules)

    async def cursor(self) -> int:
        """Return the bus's cursor."""
        return await self.store.cursor(delivery_cursor(BUS))

    async def stored_count(self) -> int:
        """Return how many deliveries are kept for later."""
        counts = await self.store.count_timers(RETRY_TIMERS, self.clock.now())
        return counts.due + counts.claimed + counts.waiting


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Return a world in which readers wait for slow lanes no time at all."""
    for name in ("SPILL_SECONDS", "OVERLAP_SECONDS", "CURSOR_PAUSE_SECONDS"):
        monkeypatch.setattr(service_module, name, 0.0)
    world = World()
    yield world
    await world.service.close()


async def spill() -> None:
    """Let the loop's own timers run: a reader's wait for slow lanes is over."""
    await turns()
    await asyncio.sleep(0.002)  # noqa: TID251 - the reader's wait is by the loop's clock
    await turns()


# --- the straight way --------------------------------------------------------------------------


async def test_events_are_delivered_to_every_target(world: World) -> None:
    """Each event reaches each target of each rule, without a write but the cursor's."""
    one, two = world.add("one"), world.add("two")
    await world.start(rule(target("one")), rule(target("one"), target("two"), name="s"))

    await world.put(1, 2)
    await world.put(3)
    await spill()

    assert sorted(one.payloads) == ["1", "1", "2", "2", "3", "3"]
    assert sorted(two.payloads) == ["1", "2", "3"]
    assert (await world.cursor(), await world.stored_count()) == (3, 0)


async def test_g3_an_invalid_input_goes_to_the_dead_letters_at_once(world: World) -> None:
    """It is never attempted nor tried again; what is valid beside it is delivered (G3)."""
    one = world.add("one")
    path = msgspec.structs.replace(target("one"), input_path="$.detail.list[0]")
    await world.start(rule(path))
    for detail in ('{"list":[7]}', '{"list":[]}', '{"list":[8]}'):
        await world.put_details(detail)
    await spill()
    (letter,) = world.letters.letters

    assert [b"7", b"8"] == sorted(delivery.payload for delivery in one.attempts)
    assert ("INVALID_JSON", "Invalid input for target.", None, None) == (
        letter.error_code,
        letter.error_message,
        letter.exhausted_retry_condition,
        letter.retry_attempts,
    )
    assert {"list": []} == msgspec.json.decode(letter.delivery.payload)["detail"]
    assert (3, 0) == (await world.cursor(), await world.stored_count())


async def test_what_is_there_at_the_start_is_delivered(world: World) -> None:
    """A reader that starts takes what the log holds beyond its cursor."""
    one = world.add("one")
    await world.put(1, 2)
    await world.put(3)
    await world.store.commit([MoveCursor(delivery_cursor(BUS), 1)])

    await world.start(rule(target("one")))
    await spill()

    assert one.payloads == ["2", "3"]


async def test_events_before_a_target_are_none_of_its_events(world: World) -> None:
    """What is put while no rule has a target is passed over, and never delivered later."""
    one = world.add("one")
    await world.start(rule())
    await world.put(1)
    await spill()

    world.service.rule_changed(rule(target("one")), exists=True)
    await world.put(2)
    await spill()

    assert one.payloads == ["2"]
    assert await world.cursor() == 2


async def test_g3_an_event_after_a_target_is_never_passed_over(world: World) -> None:
    """A target and its first event may come while the reader asks for the end of the log (G3)."""
    one = world.add("one")
    await world.start(rule())

    async def meanwhile() -> None:
        world.service.rule_changed(rule(target("one")), exists=True)
        await world.put(2)

    world.store.before_log_end = meanwhile
    await world.put(1)
    await spill()

    assert "2" in one.payloads


async def test_a_disabled_rule_delivers_nothing(world: World) -> None:
    """While a rule is disabled events pass it by; enabled again it has the next ones."""
    one = world.add("one")
    await world.start(rule(target("one"), state=RuleState.DISABLED))
    await world.put(1)
    await spill()
    world.service.rule_changed(rule(target("one")), exists=True)
    await world.put(2)
    await spill()

    assert one.payloads == ["2"]


async def test_a_removed_rule_stops_its_reader(world: World) -> None:
    """A bus without rules is not read; one that gets a rule again goes on from its cursor."""
    one = world.add("one")
    await world.start(rule(target("one")))
    world.service.rule_changed(rule(target("one")), exists=False)
    await world.put(1)
    await spill()
    before = await world.cursor()

    await world.store.commit([MoveCursor(delivery_cursor(BUS), 1)])  # as PutRule does
    world.service.rule_changed(rule(target("one")), exists=True)
    await world.put(2)
    await spill()

    assert (before, one.payloads) == (0, ["2"])


async def test_a_target_that_moved_is_reached_at_its_new_place(world: World) -> None:
    """A target whose Arn was replaced under the same id has a lane to the new one."""
    old, new = world.add("old"), world.add("new")
    await world.start(rule(target("old")))
    await world.put(1)
    await spill()
    moved = msgspec.structs.replace(target("new"), id="old")
    world.service.rule_changed(rule(moved), exists=True)
    await world.put(2)
    await spill()

    assert (old.payloads, new.payloads) == (["1"], ["2"])


@pytest.mark.parametrize("removed", ["target", "rule"])
async def test_a_removed_targets_lane_ends_what_it_holds_and_goes(
    world: World, removed: str
) -> None:
    """What was matched before is delivered; then nothing is left that waits for the target."""
    slow = world.add("slow", batch_count_max=1)
    await world.start(rule(target("other")))
    task_count = len(asyncio.all_tasks())
    world.service.rule_changed(rule(target("slow"), name="s"), exists=True)
    slow.gate.clear()
    await world.put(1, 2, 3)
    await spill()
    world.service.rule_changed(rule(name="s"), exists=removed == "target")
    slow.gate.set()
    await spill()
    await world.clock.advance(LEASE_SECONDS)

    assert sorted(slow.payloads) == ["1", "2", "3"]
    assert [key for key in world.service._lanes if "slow" in key] == []
    assert len(asyncio.all_tasks()) <= task_count + 2  # the other target's lane has two workers


# --- failures ----------------------------------------------------------------------------------


async def test_a_failure_is_retried_at_its_time(world: World) -> None:
    """A retryable failure is stored, the cursor moves on, and the retry comes when it is due."""
    one = world.add("one", BUSY, BUSY)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()

    due = await world.store.next_due(RETRY_TIMERS)
    assert due is not None
    assert (await world.cursor(), len(one.attempts)) == (1, 1)

    await world.clock.advance(due - world.clock.now() - 0.001)
    before = len(one.attempts)
    await world.clock.advance(0.002)
    after = len(one.attempts)
    await world.clock.advance(LEASE_SECONDS * 2)

    assert (before, after) == (1, 2)
    assert [d.attempt_count for d in one.attempts] == [0, 1, 2]
    assert await world.stored_count() == 0
    assert world.letters.letters == []


async def test_a_permanent_failure_is_a_dead_letter(world: World) -> None:
    """It goes to the queue at once, with the error and without retry attributes."""
    world.add("one", GONE)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()

    (letter,) = world.letters.letters

    assert (letter.error_code, letter.error_message) == ("NO_RESOURCE", "gone")
    assert (letter.exhausted_retry_condition, letter.retry_attempts) == (None, None)
    assert letter.delivery.dead_letter_arn == QUEUE
    assert (await world.cursor(), await world.stored_count()) == (1, 0)


async def test_used_up_retries_are_a_dead_letter(world: World) -> None:
    """It says what ran out and how many retries were made."""
    one = world.add("one", BUSY, BUSY, BUSY, BUSY)
    await world.start(rule(target("one", RetryPolicy(maximum_retry_attempts=2))))
    await world.put(1)
    await spill()
    await world.clock.advance(100)

    (letter,) = world.letters.letters

    assert len(one.attempts) == 3
    assert (letter.exhausted_retry_condition, letter.retry_attempts) == (Exhausted.ATTEMPTS, 2)
    assert await world.stored_count() == 0


async def test_without_a_queue_it_is_dropped_with_a_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What ends undelivered and has no dead-letter queue leaves a line with its reason (G3)."""
    world.add("one", GONE)
    await world.start(rule(target("one", queue=None)))
    await world.put(1)
    await spill()

    assert "code=NO_RESOURCE decision=Drop message=gone" in caplog.text
    assert (world.letters.letters, await world.stored_count()) == ([], 0)


async def test_a_kind_of_target_that_is_not_there_fails_by_name(world: World) -> None:
    """A target that Farspan cannot reach ends as a dead letter that says so."""
    await world.start(rule(target("nowhere")))
    await world.put(1)
    await spill()

    (letter,) = world.letters.letters

    assert letter.error_code == "INVALID_PARAMETER"
    assert "arn:nowhere" in letter.error_message


async def test_g4_a_refused_dead_letter_is_sent_again_not_the_event(world: World) -> None:
    """A queue that cannot take it now is asked again; the target gets no attempt more (G4)."""
    one = world.add("one", GONE)
    world.letters.script = [BUSY, BUSY]
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    await world.clock.advance(5)

    assert (len(one.attempts), len(world.letters.letters)) == (1, 3)
    assert await world.stored_count() == 0


async def test_what_is_stored_while_its_dead_letter_is_sent_is_not_sent_again(
    world: World,
) -> None:
    """The reader does not wait for a slow dead-letter queue; what it stores meanwhile has ended."""
    one = world.add("one", DELIVERED, GONE, DELIVERED)
    world.letters.gate.clear()
    await world.start(rule(target("one")))
    await world.put(1, 2, 3)
    await spill()
    stored = (await world.cursor(), await world.stored_count())
    world.letters.gate.set()
    await spill()
    left = await world.stored_count()
    await world.clock.advance(LEASE_SECONDS * 3)

    assert (stored, left) == ((3, 3), 0)
    assert (one.payloads, len(world.letters.letters)) == (["1", "2", "3"], 1)


async def test_what_is_stored_while_its_neighbours_outcome_is_stored_is_not_sent_again(
    world: World,
) -> None:
    """The reader does not wait for a slow store either."""
    one = world.add("one", BUSY, DELIVERED)
    await world.start(rule(target("one")))
    goes_on = asyncio.Event()
    await world.put(1, 2)
    world.store.before_commit = goes_on.wait
    await spill()
    stored = (await world.cursor(), await world.stored_count())
    goes_on.set()
    await spill()
    left = await world.stored_count()
    await world.clock.advance(LEASE_SECONDS * 3)

    assert (stored, left) == ((2, 2), 1)
    assert one.payloads == ["1", "2", "1"]


async def test_a_dead_letter_that_no_queue_takes_leaves_a_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the dead-letter queue does not exist the delivery ends all the same, with a line."""
    world.add("one", GONE)
    world.letters.script = [GONE]
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()

    assert "dead letter lost" in caplog.text
    assert await world.stored_count() == 0


async def test_g4_a_day_of_failures_stays_within_the_policy(world: World) -> None:
    """With the default policy a dead target gets at most 186 attempts in 24 hours (G4)."""
    one = world.add("one")
    one.always = BUSY
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    times: list[float] = []
    while not world.letters.letters and world.clock.elapsed < 2 * DAY:
        known = len(one.attempts)
        await world.clock.advance(30)
        times += [world.clock.elapsed] * (len(one.attempts) - known)

    (letter,) = world.letters.letters

    assert 100 < len(one.attempts) <= 186
    assert times[-1] <= DAY + 30
    assert letter.exhausted_retry_condition in set(Exhausted)
    assert letter.retry_attempts == len(one.attempts) - 1
    assert await world.stored_count() == 0


async def test_g4_a_dead_target_gets_all_its_retries_within_a_day(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With jitter in the middle of its range, 185 retries take just less than 24 hours (G4)."""
    monkeypatch.setattr(world.service._ids, "fraction", lambda: 0.5)
    one = world.add("one")
    one.always = BUSY
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    await world.clock.advance(0.9 * DAY)
    early = len(one.attempts)
    await world.clock.advance(0.1 * DAY)
    (letter,) = world.letters.letters

    assert early < len(one.attempts) == 186
    assert (letter.exhausted_retry_condition, letter.retry_attempts) == (Exhausted.ATTEMPTS, 185)


async def test_a_fault_of_the_sender_is_a_failure_of_the_attempt(world: World) -> None:
    """A sender that raises against its contract fails the attempt and leaves the lane working."""
    one = world.add("one")
    one.fault = RuntimeError("bug")
    await world.start(rule(target("one", RetryPolicy(maximum_retry_attempts=1))))
    await world.put(1)
    await spill()
    await world.clock.advance(100)
    one.fault = None
    await world.put(2)
    await spill()

    assert [letter.error_code for letter in world.letters.letters] == ["INTERNAL_ERROR"]
    assert one.payloads == ["1", "1", "2"]


async def test_g4_what_comes_to_its_turn_too_late_is_not_attempted(world: World) -> None:
    """A delivery whose age ran out during an outage goes to the dead letters unattempted (G4)."""
    one = world.add("one", BUSY)
    policy = RetryPolicy(maximum_event_age_in_seconds=120)
    await world.start(rule(target("one", policy)))
    await world.put(1)
    await spill()
    await world.service.close()
    await world.clock.advance(600)

    await world.restart(rule(target("one", policy)))
    await world.clock.advance(1)
    (letter,) = world.letters.letters

    assert one.payloads == ["1"]
    assert (letter.exhausted_retry_condition, letter.retry_attempts) == (Exhausted.AGE, 0)
    assert await world.stored_count() == 0


@pytest.mark.parametrize("set_by", [600.0, -600.0], ids=["ahead", "back"])
async def test_g4_a_clock_that_is_set_neither_hides_retries_nor_brings_them_at_once(
    world: World, set_by: float
) -> None:
    """Retries keep their pauses, and the event its age, whatever becomes of the wall clock (G4)."""

    async def attempt_times(world: World, jump: float) -> list[float]:
        one = world.add("one")
        one.always = BUSY
        policy = RetryPolicy(maximum_event_age_in_seconds=3_600)
        await world.start(rule(target("one", policy)))
        await world.put(1)
        await spill()
        times: list[float] = []
        while not world.letters.letters and world.clock.elapsed < DAY:
            if len(times) == 6:
                world.clock.set_by = jump
            known = len(one.attempts)
            await world.clock.advance(1)
            times += [world.clock.elapsed] * (len(one.attempts) - known)
        return times

    undisturbed = World()
    expected = await attempt_times(undisturbed, 0.0)
    await undisturbed.service.close()

    assert len(expected) > 6
    assert await attempt_times(world, set_by) == expected


@pytest.mark.parametrize("set_by", [600.0, -600.0], ids=["ahead", "back"])
async def test_a_clock_that_is_set_delays_no_planned_event(world: World, set_by: float) -> None:
    """An event of a schedule or a replay is attempted at once, and no older than it is."""
    one = world.add("one", DELIVERED)
    policy = RetryPolicy(maximum_event_age_in_seconds=60)
    shop = rule(target("one", policy))
    await world.start(shop)
    world.clock.set_by = set_by
    event = b'{"id":"00000000-0000-0000-0000-000000010000","source":"shop","detail":{"n":1}}'
    await world.store.commit(world.service.planned(event, [shop]))
    await world.clock.advance(1)

    assert one.payloads == ["1"]
    assert await world.stored_count() == 0


# --- slow targets ------------------------------------------------------------------------------


async def test_g10_a_reader_does_not_wait_for_a_slow_target(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is put while a target has not answered reaches its neighbour at once."""
    monkeypatch.setattr(service_module, "SPILL_SECONDS", 30.0)
    monkeypatch.setattr(service_module, "OVERLAP_SECONDS", 0.0)
    slow, quick = world.add("slow"), world.add("quick")
    slow.gate.clear()
    await world.start(rule(target("slow"), target("quick")))
    for number in range(1, 6):
        await world.put(number)
        await turns()
    seen = (list(quick.payloads), await world.cursor())
    slow.gate.set()
    await spill()

    assert seen == (["1", "2", "3", "4", "5"], 0)
    assert (sorted(slow.payloads), await world.cursor()) == (quick.payloads, 5)


async def test_g10_a_target_known_to_be_slow_does_not_fill_what_is_under_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once its deliveries took long, they are stored at once, until it is quick again."""
    slow = world.add("slow", batch_count_max=1)
    slow.gate.clear()
    await world.start(rule(target("slow")))
    await world.put(1)
    await spill()
    monkeypatch.setattr(service_module, "SPILL_SECONDS", 30.0)
    await world.put(2, 3)
    await spill()
    while_slow = (await world.cursor(), await world.stored_count())
    slow.gate.set()
    await spill()
    slow.gate.clear()
    await world.put(4)
    await spill()
    afterwards = (await world.cursor(), await world.stored_count())
    slow.gate.set()
    await spill()

    assert while_slow == (3, 3)
    assert afterwards == (3, 0)
    assert sorted(slow.payloads) == ["1", "2", "3", "4"]
    assert await world.cursor() == 4


@pytest.mark.parametrize("when", ["store-cannot-write", "cursor-rests"])
async def test_what_ends_before_it_is_stored_is_not_stored_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch, when: str
) -> None:
    """A delivery that ends after its time in the lane and before the commit comes once."""
    monkeypatch.setattr(service_module, "CURSOR_PAUSE_SECONDS", 0.05)
    one = world.add("one", batch_count_max=1)
    await world.start(rule(target("one")))
    await world.put(0)
    await spill()  # the cursor moved, and rests
    one.gate.clear()
    await world.put(1)
    if when == "store-cannot-write":
        world.store.error = StoreError("The disk is full.")
    await spill()
    one.gate.set()
    await spill()
    world.store.error = None
    await asyncio.sleep(0.06)  # noqa: TID251 - the cursor rests by the loop's clock
    await world.clock.advance(service_module.STORE_PAUSE_SECONDS * 3)
    left = (await world.cursor(), await world.stored_count())
    await world.clock.advance(LEASE_SECONDS * 3)

    assert left == (2, 0)
    assert one.payloads == ["0", "1"]


async def test_g10_a_slow_target_does_not_delay_another(world: World) -> None:
    """What a slow target has not taken is stored, the cursor moves, and its neighbour goes on."""
    slow, quick = world.add("slow"), world.add("quick")
    slow.gate.clear()
    await world.start(rule(target("slow"), target("quick")))

    for number in range(1, 6):
        await world.put(number)
        await spill()

    assert quick.payloads == ["1", "2", "3", "4", "5"]
    assert slow.attempts == []
    assert (await world.cursor(), await world.stored_count()) == (5, 5)

    slow.gate.set()
    await spill()

    assert sorted(slow.payloads) == ["1", "2", "3", "4", "5"]
    assert await world.stored_count() == 0


async def test_g10_others_get_events_at_once_beside_a_dead_target_with_a_full_lane(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No time passes between an event and its other targets, however much waits for one (G10)."""
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 3)
    dead = world.add("dead", batch_count_max=1)
    dead.gate.clear()
    names = ["a", "b", "c"]
    others = [world.add(name) for name in names]
    await world.start(rule(target("dead"), target("a")), rule(target("b"), target("c"), name="s"))

    for number in range(20):
        await world.put(number)
        await spill()

        assert [len(other.attempts) for other in others] == [number + 1] * 3
    assert (world.clock.elapsed, dead.attempts) == (0.0, [])
    assert (await world.cursor(), await world.stored_count()) == (20, 20)


async def test_a_lane_with_room_again_takes_what_was_stored_meanwhile_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full lane's stored deliveries wait for no timer once the target takes deliveries again."""
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 4)
    slow = world.add("slow", batch_count_max=2)
    slow.gate.clear()
    await world.start(rule(target("slow")))
    await world.put(*range(10))
    await spill()
    await world.put(*range(10, 20))
    await spill()
    slow.gate.set()
    await spill()

    assert sorted(map(int, slow.payloads)) == list(range(20))
    assert (world.clock.elapsed, await world.stored_count()) == (0.0, 0)


async def test_a_slow_target_is_told(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """What can wait is told of a rule whose target is behind, and of no other."""
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 4)
    slow = world.add("slow", batch_count_max=2)
    slow.gate.clear()
    rules = [rule(target("slow"))]
    await world.start(*rules)
    before = world.service.is_behind(rules)
    await world.put(*range(10))
    await spill()
    behind = world.service.is_behind(rules)
    slow.gate.set()
    await spill()
    await spill()

    assert (False, True, False) == (before, behind, world.service.is_behind(rules))
    assert not world.service.is_behind([])


async def test_a_parked_delivery_that_is_tried_meanwhile_keeps_its_pause(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Room in a lane brings forward what waits for room, never what waits for its next attempt."""
    lane = Lane(
        RecordingTarget(), world.service._settle, world.clock.now, lambda _: None, UNCOUNTED
    )
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 8)
    due = world.clock.now() + 300
    await world.store.commit([PutTimer(RETRY_TIMERS, b"d", due, b"")])
    await world.store.commit([ClaimTimers(RETRY_TIMERS, due, due, 1)])
    lane.park((b"d", 0))
    world.service._on_room(lane)
    await world.service._fetch_parked()

    assert await world.store.next_due(RETRY_TIMERS) == due


async def test_what_is_stored_while_others_are_acknowledged_is_acknowledged_too(
    world: World,
) -> None:
    """However often a reader stores a delivery in the meantime, none that ended stays stored."""
    items = [item(number) for number in range(3)]
    items[0].stored = True

    async def store(number: int) -> None:
        items[number].stored = True
        key = items[number].delivery.delivery_id.encode()
        await MemoryStore.commit(world.store, [PutTimer(RETRY_TIMERS, key, START, b"")])
        if number + 1 < len(items):
            world.store.before_commit = lambda: store(number + 1)

    world.store.before_commit = lambda: store(1)
    await world.service._settle([(one, DELIVERED) for one in items])

    assert [one.ended for one in items] == [True] * 3
    assert await world.stored_count() == 0


async def test_a_lane_slower_than_the_lease_gets_nothing_twice(world: World) -> None:
    """A delivery that waits in its lane beyond its lease is not put there again."""
    slow = world.add("slow", batch_count_max=1)
    slow.gate.clear()
    await world.start(rule(target("slow")))
    await world.put(1, 2, 3)
    await world.put(4)
    await spill()
    for _ in range(5):
        await world.clock.advance(LEASE_SECONDS)
    slow.gate.set()
    await spill()
    await world.clock.advance(LEASE_SECONDS * 3)

    assert sorted(slow.payloads) == ["1", "2", "3", "4"]
    assert await world.stored_count() == 0


async def test_what_a_process_had_claimed_is_due_at_once_after_its_death(world: World) -> None:
    """A spilled delivery and a claimed retry go on with the start, not when their lease ends."""
    one = world.add("one", BUSY, batch_count_max=1)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    one.gate.clear()
    await world.clock.advance(2)  # the retry is claimed, and hangs
    await world.put(2, 3)
    await spill()
    await world.clock.advance(1)
    counts = await world.store.count_timers(RETRY_TIMERS, world.clock.now())
    await world.restart(rule(target("one")))
    one.gate.set()
    await turns(100)

    assert (counts.due, counts.claimed + counts.waiting) == (0, 3)
    assert sorted(one.payloads) == ["1", "1", "2", "3"]
    assert await world.stored_count() == 0


async def test_a_retry_that_waits_for_its_time_waits_across_a_restart(world: World) -> None:
    """Only what was claimed is taken back: a target's back-off is not cut short."""
    asked = msgspec.structs.replace(BUSY, retry_after_seconds=30.0)
    one = world.add("one", asked, asked)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    await world.clock.advance(31)  # claimed once, and told to wait again
    waiting = len(one.attempts)
    await world.restart(rule(target("one")))
    await world.clock.advance(28)
    still = len(one.attempts)
    await world.clock.advance(3)

    assert (waiting, still, len(one.attempts)) == (2, 2, 3)


async def test_what_this_process_has_in_its_lanes_is_not_taken_back(world: World) -> None:
    """A store that answers late after the start brings nothing twice."""
    one = world.add("one", batch_count_max=1)
    one.gate.clear()
    world.store.error = StoreError("later")
    await world.start(rule(target("one")))
    world.store.error = None
    await world.put(1, 2, 3)
    await world.clock.advance(0.9)
    await world.clock.advance(5)
    one.gate.set()
    await spill()
    await world.clock.advance(LEASE_SECONDS * 2)

    assert sorted(one.payloads) == ["1", "2", "3"]
    assert await world.stored_count() == 0


async def test_a_failure_after_the_lease_is_retried_once(world: World) -> None:
    """The retry of a delivery that was claimed meanwhile carries its count of attempts on."""
    slow = world.add("slow", BUSY)
    slow.gate.clear()
    await world.start(rule(target("slow")))
    await world.put(1)
    await spill()
    await world.clock.advance(LEASE_SECONDS * 2.5)
    slow.gate.set()
    await spill()
    await world.clock.advance(LEASE_SECONDS * 3)

    assert [d.attempt_count for d in slow.attempts] == [0, 1]
    assert await world.stored_count() == 0


async def test_what_does_not_fit_a_lane_is_stored(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full lane's deliveries wait in the store, and reach the target when there is room."""
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 2)
    slow = world.add("slow", batch_count_max=1)
    slow.gate.clear()
    await world.start(rule(target("slow")))
    await world.put(1, 2, 3, 4, 5)
    await spill()
    before = (await world.cursor(), await world.stored_count())
    await world.clock.advance(5)
    slow.gate.set()
    await spill()
    await world.clock.advance(10)

    assert before == (5, 5)
    assert sorted(slow.payloads) == ["1", "2", "3", "4", "5"]
    assert await world.stored_count() == 0


# --- restarts and stores that fail ----------------------------------------------------------------


async def test_a_restart_goes_on_from_the_cursor(world: World) -> None:
    """What was delivered before is not delivered again, and what came meanwhile is."""
    one = world.add("one")
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    await world.service.close()
    await world.put(2)

    await world.restart(rule(target("one")))
    await spill()

    assert one.payloads == ["1", "2"]


async def test_a_restart_goes_on_with_stored_deliveries(world: World) -> None:
    """A delivery that was stored, under way or waiting, is delivered after a crash."""
    slow, failing = world.add("slow"), world.add("failing", BUSY)
    slow.gate.clear()
    await world.start(rule(target("slow"), target("failing")))
    await world.put(1)
    await spill()

    await world.restart(rule(target("slow"), target("failing")))
    slow.gate.set()
    await world.clock.advance(LEASE_SECONDS + 1)

    assert slow.payloads == ["1"]
    assert failing.payloads == ["1", "1"]
    assert await world.stored_count() == 0


async def test_a_new_timer_wakes_the_retrier(world: World) -> None:
    """A delivery stored while the retrier waits for a later one is not overlooked."""
    one = world.add("one", BUSY)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    body = msgspec.msgpack.encode(msgspec.structs.replace(one.attempts[0], delivery_id="early"))
    await world.store.commit([PutTimer(RETRY_TIMERS, b"early", world.clock.now() + 0.01, body)])
    await world.clock.advance(0.02)

    assert "early" in [d.delivery_id for d in one.attempts]


@pytest.mark.parametrize("failure", [StoreError("full"), StoreFailed("broken")], ids=repr)
async def test_g3_a_store_that_comes_back_costs_nothing(world: World, failure: StoreError) -> None:
    """While the store fails nothing is lost; when it works again every event is delivered (G3)."""
    one = world.add("one", BUSY)
    await world.put(1)
    world.store.error = failure
    await world.start(rule(target("one")))
    await world.clock.advance(10)
    world.store.error = None
    await world.clock.advance(LEASE_SECONDS)
    await world.put(2)
    await spill()

    assert sorted(set(one.payloads)) == ["1", "2"]
    assert (await world.cursor(), await world.stored_count()) == (2, 0)


async def test_an_outcome_that_cannot_be_stored_is_stored_later(world: World) -> None:
    """A failure whose retry cannot be written yet keeps its lane waiting, and is not lost."""
    one = world.add("one", BUSY)
    one.gate.clear()
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    world.store.error = StoreError("full")
    one.gate.set()
    await world.clock.advance(3)
    world.store.error = None
    await world.clock.advance(LEASE_SECONDS)

    assert one.payloads == ["1", "1"]
    assert await world.stored_count() == 0


async def test_a_stored_delivery_that_cannot_be_read_is_kept(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A timer of another format stays with a line, and its neighbours are delivered."""
    one = world.add("one")
    await world.put(1)
    await world.start(rule(target("one")))
    await spill()
    body = msgspec.msgpack.encode(msgspec.structs.replace(one.attempts[0], delivery_id="good"))
    due = world.clock.now()
    await world.store.commit(
        [
            PutTimer(RETRY_TIMERS, b"\xff", due, b"\xc1"),
            PutTimer(RETRY_TIMERS, b"bad", due, b"\x80"),
            PutTimer(RETRY_TIMERS, b"good", due, body),
        ]
    )
    await spill()

    assert one.attempts[-1].delivery_id == "good"
    assert await world.stored_count() == 2
    assert "stored delivery not understood key=b'bad'" in caplog.text


async def test_a_fault_of_our_own_is_tried_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A reader or retrier that meets a bug leaves a line and goes on, not a silent bus."""
    one = world.add("one", BUSY)
    await world.start(rule(target("one")))
    await world.put(1)
    await spill()
    world.targets.clear()
    sender_of = world.service._sender_of

    def fail(arn: str) -> TargetSender:
        raise RuntimeError(arn)

    world.service._lanes.clear()
    world.service._sender_of = fail
    await world.put(2)
    await world.clock.advance(5)
    world.service._sender_of = sender_of
    world.targets["one"] = one
    await world.clock.advance(LEASE_SECONDS * 2)

    assert "reader stopped for a moment" in caplog.text
    assert "retrier stopped for a moment" in caplog.text
    assert sorted(set(one.payloads)) == ["1", "2"]
    assert (await world.cursor(), await world.stored_count()) == (2, 0)


# --- lanes -------------------------------------------------------------------------------------


def item(number: int) -> Item:
    """Return a delivery on its way into a lane."""
    return Item(
        Delivery(
            delivery_id=str(number),
            event_id="e",
            rule_arn=RULE_ARN,
            target_id="t",
            target_arn="a",
            payload=b"{}",
            planned_at=0.0,
        )
    )


async def test_a_lane_sends_in_batches_of_its_targets_size() -> None:
    """Deliveries go out in the order of offering, as many at once as the target takes."""
    sizes: list[int] = []

    class Sizes(RecordingTarget):
        async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
            sizes.append(len(deliveries))
            return await super().send(deliveries)

    sender = Sizes(batch_count_max=3)
    settled: list[str] = []

    async def settle(attempts: Sequence[tuple[Item, Outcome]]) -> None:
        settled.extend(item.delivery.delivery_id for item, _ in attempts)

    lane = Lane(sender, settle, lambda: 0.0, lambda _: None, UNCOUNTED, worker_count=1)
    for number in range(7):
        assert lane.offer(item(number))
    await turns()
    await lane.close()

    assert sizes == [3, 3, 1]
    assert settled == list("0123456")


async def test_a_lane_has_room_for_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lane takes no more than its capacity, what is under way included."""
    monkeypatch.setattr(lane_module, "LANE_CAPACITY", 3)
    sender = RecordingTarget(batch_count_max=1)
    sender.gate.clear()

    async def settle(_: Sequence[tuple[Item, Outcome]]) -> None:
        """Do nothing."""

    lane = Lane(sender, settle, lambda: 0.0, lambda _: None, UNCOUNTED)
    first = [lane.offer(item(number)) for number in range(3)]
    await turns()
    full = lane.offer(item(3))
    sender.gate.set()
    await turns()
    again = lane.offer(item(4))
    await lane.close()

    assert (first, full, again) == ([True] * 3, False, True)


def test_an_item_ends_once() -> None:
    """Whoever waits for a delivery is told one time only."""
    told: list[int] = []
    one = item(1)
    one.on_end = lambda: told.append(1)

    one.end()
    one.end()

    assert (told, one.ended) == ([1], True)


# --- traces ------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_before", [0, 1, 2])
async def test_each_delivery_has_its_events_trace(world: World, read_before: int) -> None:
    """Also where the reader begins in the middle of a batch."""
    received = world.add("t")
    await world.put(1, 2, 3, trace_headers=("Root=1", None, "Root=3"))
    await world.store.commit([MoveCursor(delivery_cursor(BUS), read_before)])
    await world.start(rule(target("t")))
    await spill()

    assert ["Root=1", None, "Root=3"][read_before:] == [d.trace_header for d in received.attempts]
