"""Delivery as it runs: one reader for each bus with rules, one lane for each target, one retrier.

A reader takes what the log has beyond the bus's cursor, matches and plans it, hands it to the
lanes, and moves the cursor once every delivery ended or is stored. The retrier gives stored
deliveries back to their lanes when they are due. What follows from an attempt is decided in
`attempt`; DESIGN.md says what a crash at each step costs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Sequence
from itertools import repeat

import msgspec

from farspan.clock import Clock, IdSource, SteadyTime
from farspan.delivery.attempt import DeadLetter, RetryAt, decide
from farspan.delivery.lane import Item, Lane, log_attempt
from farspan.delivery.plan import plan_deliveries
from farspan.delivery.rulebook import Rulebook
from farspan.delivery.stored import (
    RETRY_TIMERS,
    decode_delivery,
    delivery_cursor,
    retried,
    stored,
)
from farspan.delivery.under_way import READ_EVENT_COUNT, Read, UnderWay, Unended
from farspan.metrics.meter import Meter
from farspan.metrics.rules import Measures, RuleMeasures, Tally
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.model.event import EventBatch
from farspan.model.rule import Rule
from farspan.store.base import (
    AckTimer,
    Change,
    ClaimTimers,
    MoveCursor,
    MoveTimer,
    Store,
    StoreError,
    Timer,
)
from farspan.targets import base

SLICE_BYTES = 256 * 1024
"""Events that are matched without giving others their turn: a few milliseconds' worth."""

OVERLAP_SECONDS = 0.05
"""How long a reader waits for its deliveries to end before it reads on. Fast targets get fewer and
larger batches by it (at full speed a sixth less processor time for each event than with 0.01),
and a slow one does not hold its neighbours."""

CURSOR_PAUSE_SECONDS = 0.05
"""How long a cursor stays after a move: a move is a commit, and what ended meanwhile shares it."""

SPILL_SECONDS = 0.25
"""How long deliveries may be in their lanes before the cursor moves past them all the same."""

LEASE_SECONDS = 60.0
"""How long a stored delivery belongs to its lane before the retrier may give it out again."""

RETRY_READ_COUNT = 200
STORE_PAUSE_SECONDS = 1.0

log = logging.getLogger("farspan.delivery")

SenderOf = Callable[[str], base.TargetSender | None]
"""Return what sends to a target, by its ARN; None where Farspan has no such kind of target."""


class DeliveryService:
    """Delivers what the logs of one Region hold."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        ids: IdSource,
        sender_of: SenderOf,
        dead_letters: base.DeadLetterSender,
        meter: Meter | None = None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._ids = ids
        self._sender_of = sender_of
        self._dead_letters = dead_letters
        self._measures = Measures(meter or Meter())
        self._rulebooks: dict[str, Rulebook] = {}
        self._readers: dict[str, asyncio.Task[None]] = {}
        self._grown: dict[str, asyncio.Event] = {}
        self._under_way: dict[str, UnderWay] = {}
        self._movers: dict[str, asyncio.Task[None]] = {}
        self._closing = asyncio.Event()
        self._lanes: dict[tuple[str, str, str], Lane] = {}
        self._held: dict[str, Item] = {}  # the deliveries in the lanes, by id
        self._roomy: set[Lane] = set()  # lanes with room again for what was stored meanwhile
        self._retries_changed = asyncio.Event()
        # Ages and due times: a clock that is set neither hides retries nor brings them all at once.
        self._now = SteadyTime(clock).now
        self._started_at = self._now()
        self._retrier: asyncio.Task[None] | None = None
        store.subscribe(self._on_append)

    def start(self) -> None:
        """Begin to retry stored deliveries."""
        self._retrier = asyncio.create_task(self._retry())

    def rule_changed(self, rule: Rule, *, exists: bool) -> None:
        """Take a rule over as it stands now, or forget it; the bus's reader follows."""
        event_bus = rule.event_bus_key
        rulebook = self._rulebooks.setdefault(event_bus, Rulebook())
        if exists:
            rulebook.put(rule)
        else:
            rulebook.remove(rule)
            self._measures.forget(rule.arn)
        self._drop_lanes(rule, exists=exists)
        reader = self._readers.get(event_bus)
        if rulebook.is_empty:
            if reader is not None:
                reader.cancel()
                del self._readers[event_bus]
        elif reader is None:
            self._grown[event_bus] = asyncio.Event()
            self._readers[event_bus] = asyncio.create_task(self._read(event_bus, rulebook))

    def matching(self, event_bus: str, event: bytes) -> list[Rule]:
        """Return the rules of a bus that an event matches which is not in its log."""
        rulebook = self._rulebooks.get(event_bus)
        return [] if rulebook is None else rulebook.match(event)

    def is_behind(self, rules: Iterable[Rule]) -> bool:
        """Tell whether a target of one of the rules is slower than what there is for it."""
        keys = ((rule.arn, t.id, t.arn) for rule in rules for t in rule.targets.values())
        lanes = map(self._lanes.get, keys)
        return any(lane is not None and lane.is_behind for lane in lanes)

    def planned(self, event: bytes, rules: Sequence[Rule]) -> list[Change]:
        """Return what stores an event's deliveries to the targets of rules.

        For events that are in no log: once that is committed, they are delivered as any other.
        """
        now = self._now()
        planned = plan_deliveries(event, rules, now, self._clock.now())
        return [stored(delivery, now) for delivery in planned]

    def _drop_lanes(self, rule: Rule, *, exists: bool) -> None:
        """Let go of the lanes to targets that the rule has no longer; they end what they hold."""
        targets = {(t.id, t.arn) for t in rule.targets.values()} if exists else set()
        for key in [k for k in self._lanes if k[0] == rule.arn and k[1:] not in targets]:
            self._lanes.pop(key).retire()

    def _on_append(self, event_buses: frozenset[str], timers: frozenset[str]) -> None:
        for event_bus in event_buses:
            grown = self._grown.get(event_bus)
            if grown is not None:
                grown.set()
        if RETRY_TIMERS in timers:
            self._retries_changed.set()

    # --- from the log to the lanes --------------------------------------------------------

    async def _read(self, event_bus: str, rulebook: Rulebook) -> None:
        """Read on, while deliveries of earlier reads are under way, within bounds."""
        cursor: int | None = None  # not known, or not sure after something failed
        grown = self._grown[event_bus]
        under_way = self._under_way.setdefault(event_bus, UnderWay())
        if event_bus not in self._movers:
            self._movers[event_bus] = asyncio.create_task(self._follow(event_bus, under_way))
        while True:
            grown.clear()
            try:
                if cursor is None or under_way.is_lost:
                    await under_way.emptied()
                    cursor = await self._store.cursor(delivery_cursor(event_bus))
                await under_way.roomy.wait()
                limit = READ_EVENT_COUNT - under_way.event_count
                moved, deliveries = await self._read_on(event_bus, cursor, rulebook, limit)
                if moved == cursor:
                    await grown.wait()
                else:
                    delivering = asyncio.create_task(self._deliver(deliveries))
                    under_way.add(Read(moved, moved - cursor, delivering))
                    cursor = moved
                    await asyncio.wait([delivering], timeout=OVERLAP_SECONDS)
            except StoreError as error:
                log.warning("reader paused event_bus=%s error=%s", event_bus, error)
                cursor = None
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            except Exception:
                log.exception("reader stopped for a moment event_bus=%s", event_bus)
                cursor = None
                await self._clock.sleep(STORE_PAUSE_SECONDS)

    async def _follow(self, event_bus: str, under_way: UnderWay) -> None:
        """Move a bus's cursor past reads whose deliveries ended, and store those that did not.

        Reads that end soon after each other share a move: each is a commit.
        """
        cursor = delivery_cursor(event_bus)
        while True:
            await under_way.first_ended()
            try:
                position, unended = under_way.take_ended()
            except Exception:
                log.exception("reader stopped for a moment event_bus=%s", event_bus)
                under_way.lose()
                await self._clock.sleep(STORE_PAUSE_SECONDS)
                under_way.note_moved()
                self._grown[event_bus].set()
                continue
            await self._store_and_move(unended, MoveCursor(cursor, position))
            under_way.note_moved()
            # By the loop's own clock, as a reader's waits: nothing is decided by it.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CURSOR_PAUSE_SECONDS):
                    await self._closing.wait()

    async def _read_on(
        self, event_bus: str, cursor: int, rulebook: Rulebook, limit: int
    ) -> tuple[int, list[Delivery]]:
        """Return how far the log was read, up to about `limit` events, and what to deliver."""
        if rulebook.is_idle:
            # Events put before a rule has a target are none of its events. Where a target comes
            # while the log is asked, the end may lie beyond events that are.
            end = await self._store.log_end(event_bus)
            return (end if rulebook.is_idle else cursor), []
        batches = await self._store.read_log(event_bus, cursor, limit)
        deliveries, cursor = await self._plan(batches, cursor, rulebook)
        return cursor, deliveries

    async def _plan(
        self, batches: Sequence[EventBatch], cursor: int, rulebook: Rulebook
    ) -> tuple[list[Delivery], int]:
        """Return what to deliver of the batches beyond the cursor, and the cursor after them.

        Others get their turn in between: matching megabytes of events takes a while.
        """
        now = self._now()
        deliveries: list[Delivery] = []
        byte_count = 0
        cut_short = rulebook.over_budget_count
        tally = Tally()
        for batch in batches:
            byte_count += sum(map(len, batch.events))
            if byte_count > SLICE_BYTES:
                byte_count = 0
                await self._clock.sleep(0)
            first = max(0, cursor + 1 - batch.position)
            traces = batch.trace_headers[first:] or repeat(None)
            for event, trace in zip(batch.events[first:], traces, strict=False):
                rules = rulebook.match(event)
                tally.add(rules)
                deliveries += plan_deliveries(
                    event,
                    rules,
                    now,
                    batch.accepted_at,
                    trace,
                    origin=batch.origin,
                    is_forwarded=batch.is_forwarded,
                )
            cursor = batch.position + len(batch.events) - 1
        if batches:
            self._measures.matched(batches[-1].event_bus, tally)
        if rulebook.over_budget_count > cut_short:
            count = rulebook.over_budget_count - cut_short
            self._measures.of_bus(batches[-1].event_bus).cut_short_events.add(count)
            log.error(
                "events matched in part: they take more work than one event may "
                "event_bus=%s up_to_position=%d events=%d since_start=%d",
                batches[-1].event_bus,
                cursor,
                count,
                rulebook.over_budget_count,
            )
        return deliveries, cursor

    async def _deliver(self, deliveries: Sequence[Delivery]) -> Unended:
        """Hand the deliveries to their lanes; return what to store of those that did not end."""
        if not deliveries:
            return Unended()
        left = 0
        all_ended = asyncio.Event()

        def on_end() -> None:
            nonlocal left
            left -= 1
            if not left:
                all_ended.set()

        held: list[tuple[Item, Lane]] = []
        full: list[Delivery] = []
        for delivery in deliveries:
            item, lane = Item(delivery), self._lane(delivery)
            if not self._offer(item, lane):
                self._measures.of_rule(delivery.rule_arn).throttled.add()
                full.append(delivery)
                continue
            held.append((item, lane))
            if not lane.is_slow:  # what is in a slow one is stored without a wait
                left += 1
                item.on_end = on_end
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SPILL_SECONDS):
                while left:
                    await all_ended.wait()
        return Unended(held, full)

    def _left(self, unended: Sequence[Unended]) -> list[Change]:
        """Return what stores the deliveries of some reads that have not ended.

        It is committed in the same turn, so that whoever ends one later removes it by a later
        commit; and asked for anew where the commit failed.
        """
        due = self._now() + LEASE_SECONDS
        changes: list[Change] = [stored(d, due) for each in unended for d in each.full]
        for item, lane in [held for each in unended for held in each.held]:
            if not item.ended:
                item.stored = lane.is_slow = True
                changes.append(stored(item.delivery, due))
        return changes

    async def _store_and_move(self, unended: Sequence[Unended], move: MoveCursor) -> None:
        """Store what has not ended of some reads, and move the cursor past them."""
        while True:
            try:
                await self._store.commit([*self._left(unended), move])
                break
            except StoreError as error:
                log.warning("cursor not moved yet name=%s error=%s", move.name, error)
                await self._clock.sleep(STORE_PAUSE_SECONDS)
        for delivery in [delivery for each in unended for delivery in each.full]:
            self._park(delivery, 0)

    def _offer(self, item: Item, lane: Lane) -> bool:
        """Put the delivery into its lane, or return False where that is full."""
        if not lane.offer(item):
            return False
        self._held[item.delivery.delivery_id] = item
        return True

    def _lane(self, delivery: Delivery) -> Lane:
        key = (delivery.rule_arn, delivery.target_id, delivery.target_arn)
        lane = self._lanes.get(key)
        if lane is None:
            sender = self._sender_of(delivery.target_arn) or base.NoSuchTarget()
            measures = self._measures.of_rule(delivery.rule_arn)
            lane = Lane(sender, self._settle, self._now, self._on_room, measures)
            self._lanes[key] = lane
        return lane

    def _park(self, delivery: Delivery, claim: int) -> None:
        """Tell its lane that a stored delivery waits for room."""
        self._lane(delivery).park((delivery.delivery_id.encode(), claim))

    def _on_room(self, lane: Lane) -> None:
        self._roomy.add(lane)
        self._retries_changed.set()

    # --- what follows from an attempt -----------------------------------------------------

    async def _settle(self, attempts: Sequence[tuple[Item, Outcome]]) -> None:
        """Do what follows from the outcomes; store it before anyone is told that it ended."""
        now = self._now()
        changes: list[Change] = []
        # Those that are over. The reader may store one while this waits, so all of them are looked
        # at until nobody stored any since: only then is it told that they ended.
        over = [item for item, outcome in attempts if outcome.verdict is Verdict.DELIVERED]
        measures = self._measures.of_rule(attempts[0][0].delivery.rule_arn)
        if over:
            measures.delivered([item.delivery for item in over], now)
        for item, outcome in attempts:
            if outcome.verdict is Verdict.DELIVERED:
                continue
            retry = await self._failed(item, outcome, measures, now)
            if retry is None:
                over.append(item)
            else:
                changes += retried(item.delivery, retry)
        acknowledged: set[int] = set()
        while True:
            stored = [item for item in over if item.stored and id(item) not in acknowledged]
            changes += [
                AckTimer(RETRY_TIMERS, item.delivery.delivery_id.encode()) for item in stored
            ]
            if not changes:
                break
            await self._commit_until_stored(changes)
            acknowledged.update(map(id, stored))
            changes = []
        for item, _ in attempts:
            if self._held.get(item.delivery.delivery_id) is item:
                del self._held[item.delivery.delivery_id]
            item.end()

    async def _failed(
        self, item: Item, outcome: Outcome, measures: RuleMeasures, now: float
    ) -> RetryAt | None:
        """Return when a delivery is tried again, None where it ended, with its dead letter sent."""
        if outcome.verdict is not Verdict.TOO_OLD:
            item.delivery = msgspec.structs.replace(
                item.delivery, attempt_count=item.delivery.attempt_count + 1
            )
        decision = decide(item.delivery, outcome, now, self._ids.fraction())
        log_attempt(item.delivery, outcome, decision)
        if isinstance(decision, RetryAt):
            item.delivery = msgspec.structs.replace(item.delivery, next_attempt_at=decision.due)
            return decision
        measures.failed()
        if isinstance(decision, DeadLetter):
            is_sent = await self._send_dead_letter(item.delivery, decision)
            measures.dead_lettered(is_sent=is_sent)
        return None

    async def _commit_until_stored(self, changes: Sequence[Change]) -> None:
        """Commit what the attempts came to; a store that cannot write now is asked again."""
        while True:
            try:
                await self._store.commit(changes)
            except StoreError as error:
                log.warning("outcomes not stored yet error=%s", error)
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            else:
                return

    async def _send_dead_letter(self, delivery: Delivery, letter: DeadLetter) -> bool:
        """Send the dead letter, again and again where its queue cannot take it now.

        Returns whether the queue took it.
        The target is not tried again: the delivery has used up what its policy allows.
        """
        dead_letter = base.DeadLetter(
            delivery=delivery,
            error_code=letter.error_code,
            error_message=letter.error_message,
            exhausted_retry_condition=letter.exhausted,
            retry_attempts=letter.retry_attempts if letter.exhausted else None,
        )
        while True:
            (outcome,) = await self._dead_letters.send([dead_letter])
            if outcome.verdict is not Verdict.RETRYABLE:
                break
            log.error("dead letter not sent yet queue=%s", letter.arn)
            await self._clock.sleep(STORE_PAUSE_SECONDS)
        if outcome.verdict is not Verdict.DELIVERED:
            log.error(
                "dead letter lost delivery=%s queue=%s error=%s",
                delivery.delivery_id,
                letter.arn,
                outcome.error_message,
            )
        return outcome.verdict is Verdict.DELIVERED

    # --- retries --------------------------------------------------------------------------

    async def _retry(self) -> None:
        """Give stored deliveries back to their lanes when they are due."""
        taken_back = False
        while True:
            self._retries_changed.clear()
            try:
                if not taken_back:
                    await self._take_back()
                    taken_back = True
                await self._fetch_parked()
                if not await self._give_out():
                    await self._wait_for_due()
            except StoreError as error:
                log.warning("retrier paused error=%s", error)
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            except Exception:
                log.exception("retrier stopped for a moment")
                await self._clock.sleep(STORE_PAUSE_SECONDS)

    async def _take_back(self) -> None:
        """Make due what this Region's former process had claimed.

        Nobody else can have it: one process serves a Region. A delivery that waits for its next
        attempt is due when its body says so, and one with a lane later than that.
        """
        count, place = 0, (self._started_at, 0)
        until = self._started_at + 2 * LEASE_SECONDS  # the clock may have been put back a little
        while timers := await self._store.read_timers(RETRY_TIMERS, place, until, RETRY_READ_COUNT):
            place = (timers[-1].due, timers[-1].put_order)
            taken = [
                MoveTimer(RETRY_TIMERS, timer.key, self._started_at, timer.claim_count)
                for timer in timers
                if self._was_claimed_before(timer)
            ]
            if taken:
                await self._store.commit(taken)
                count += len(taken)
        if count:
            log.info("deliveries taken back from the former process count=%d", count)

    def _was_claimed_before(self, timer: Timer) -> bool:
        try:
            delivery = decode_delivery(timer.body)
        except msgspec.MsgspecError:
            return False  # said when it is claimed
        return delivery.planned_at < self._started_at and delivery.next_attempt_at < timer.due

    async def _fetch_parked(self) -> None:
        """Make stored deliveries due at once whose lanes have room again."""
        roomy, self._roomy = self._roomy, set()
        now = self._now()
        parked = [parked for lane in roomy for parked in lane.unpark()]
        if parked:
            await self._store.commit(
                [MoveTimer(RETRY_TIMERS, key, now, claim) for key, claim in parked]
            )

    async def _give_out(self) -> bool:
        """Claim what is due and hand it to the lanes; return whether there was anything."""
        now = self._now()
        claim = ClaimTimers(RETRY_TIMERS, now, now + LEASE_SECONDS, RETRY_READ_COUNT)
        (timers,) = await self._store.commit([claim])
        assert isinstance(timers, list)
        for timer in timers:
            held = self._held.get(timer.key.decode(errors="replace"))
            if held is not None:
                # Its lane is slower than the lease: it waits there already, under the new claim.
                held.stored = True
                continue
            try:
                delivery = decode_delivery(timer.body)
            except msgspec.MsgspecError as error:
                # Kept, for the Farspan that wrote it may return; its neighbours do not wait for it.
                log.warning("stored delivery not understood key=%r error=%s", timer.key, error)
                continue
            if not self._offer(Item(delivery, stored=True), self._lane(delivery)):
                # It stays stored, due when its lease ends or its lane has room.
                self._park(delivery, timer.claim_count)
        return bool(timers)

    async def _wait_for_due(self) -> None:
        due = await self._store.next_due(RETRY_TIMERS)
        pause = LEASE_SECONDS if due is None else min(LEASE_SECONDS, due - self._now())
        waits = [
            asyncio.create_task(self._retries_changed.wait()),
            asyncio.create_task(self._clock.sleep(max(0.0, pause))),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    async def close(self) -> None:
        """Stop reading, retrying and sending."""
        self._closing.set()
        tasks = [
            *self._readers.values(),
            *self._movers.values(),
            *([self._retrier] if self._retrier else []),
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for event_bus, under_way in self._under_way.items():
            with contextlib.suppress(Exception):  # then it is delivered again, as after a crash
                await self._move_at_last(delivery_cursor(event_bus), under_way)
        for lane in self._lanes.values():
            await lane.close()

    async def _move_at_last(self, cursor: str, under_way: UnderWay) -> None:
        """Move a cursor over what ended since it moved last."""
        if under_way.has_ended:
            position, unended = under_way.take_ended()
            await self._store.commit([*self._left(unended), MoveCursor(cursor, position)])
        under_way.lose()
