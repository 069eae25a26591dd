"""A simulated Region's delivery: the real decisions, joined as `farspan.delivery.service` does it.

A step of the log is planned and attempted; what fails is stored with the time of its next attempt;
the cursor moves past the step once all of it ended or is stored. A kill loses what is held in
memory, and the step is planned again.
"""

from __future__ import annotations

import bisect
from typing import TYPE_CHECKING

import msgspec

from farspan.delivery.attempt import TOO_OLD, Delivered, RetryAt
from farspan.delivery.plan import plan_deliveries
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.store.base import AckTimer, Change, ClaimTimers, MoveCursor, MoveTimer, PutTimer
from simulator.words import BUS, RULES, Attempted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farspan.model.event import EventBatch
    from farspan.store.memory import Timer
    from simulator.node import Node

CURSOR, RETRIES = "delivery", "retries"
STEP_BATCH_COUNT = 8
CLAIM_COUNT = 20
LEASE_SECONDS = 60.0
FULL_PAUSE_SECONDS = 0.25


class Courier:
    """One process's deliveries. Its time is the wall clock's at the start, and does not jump."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._wall_offset = node.wall() - node.monotonic()
        self._held: set[str] = set()
        self._step: set[str] = set()
        self._step_end = 0
        self._take_back()

    def now(self) -> float:
        """Return seconds since the epoch, as far as this process knows."""
        return self._node.monotonic() + self._wall_offset

    def stored(self) -> list[Timer]:
        """Return what waits on disk for its next attempt."""
        timers = self._node.store._timers.get(RETRIES)
        return [timer for _, timer in timers.timers.values()] if timers else []

    def _take_back(self) -> None:
        """Make due what the former process had claimed."""
        for timer in self.stored():
            if _decode(timer).next_attempt_at < timer.due:
                self._apply(MoveTimer(RETRIES, timer.key, self.now()))

    def look(self) -> None:
        """Take what is due, and the next step of the log where the last one is over."""
        if self._node.disk_is_full:
            return
        now = self.now()
        if any(timer.due <= now for timer in self.stored()):
            claim = ClaimTimers(RETRIES, now, now + LEASE_SECONDS, CLAIM_COUNT)
            (timers,) = self._node.store.apply([claim])
            assert isinstance(timers, list)
            self._attempt(_decode(timer) for timer in timers)
        if not self._step:
            self._read()

    def _read(self) -> None:
        log = self._node.store._logs.get(BUS)
        cursor = self._node.store.cursor_now(CURSOR)
        if log is None or log.next_position == cursor + 1:
            return
        start = bisect.bisect_right(log.batches, cursor, key=_last_position)
        batches = log.batches[start : start + STEP_BATCH_COUNT]
        rules = [RULES[self._node.name]]
        planned = [
            delivery
            for batch in batches
            for event in batch.events
            for delivery in plan_deliveries(
                event, rules, self.now(), batch.accepted_at, origin=batch.origin
            )
        ]
        self._step = {delivery.delivery_id for delivery in planned}
        self._step_end = _last_position(batches[-1])
        self._attempt(planned)

    def _attempt(self, deliveries: Iterable[Delivery]) -> None:
        machines = self._node.world.machines
        for delivery in deliveries:
            if delivery.delivery_id in self._held:
                self._step.discard(delivery.delivery_id)
                continue
            self._held.add(delivery.delivery_id)
            if machines.is_too_old(delivery, self.now()):
                self.settle(Attempted(delivery, TOO_OLD))
            else:
                self._node.world.attempt(self._node, delivery)

    def settle(self, attempted: Attempted) -> None:
        """Do what follows from an attempt; a store that cannot write now is asked again."""
        if self._node.disk_is_full:
            self._node.world.set_timer(self._node, FULL_PAUSE_SECONDS, attempted)
            return
        delivery, outcome = _counted(attempted.delivery, attempted.outcome), attempted.outcome
        world = self._node.world
        decision = world.machines.decide(delivery, outcome, self.now(), world.random.random())
        key = delivery.delivery_id.encode()
        if isinstance(decision, RetryAt):
            delivery = msgspec.structs.replace(delivery, next_attempt_at=decision.due)
            body = msgspec.msgpack.encode(delivery)
            self._apply(PutTimer(RETRIES, key, decision.due, body))
            self._apply(MoveTimer(RETRIES, key, decision.due, body=body))
        else:
            self._apply(AckTimer(RETRIES, key))
            if not isinstance(decision, Delivered):
                why = decision.exhausted or decision.error_code
                what = f"{type(decision).__name__} of {delivery.event_id}"
                world.say(self._node.name, f"{what} for {delivery.target_id}: {why}")
            world.checker.ended(self._node, delivery, decision)
        self._held.discard(delivery.delivery_id)
        if delivery.delivery_id in self._step:
            self._step.discard(delivery.delivery_id)
            if not self._step:
                self._apply(MoveCursor(CURSOR, self._step_end))

    def _apply(self, change: Change) -> None:
        self._node.store.apply([change])


def _counted(delivery: Delivery, outcome: Outcome) -> Delivery:
    if outcome.verdict is Verdict.TOO_OLD:
        return delivery
    return msgspec.structs.replace(delivery, attempt_count=delivery.attempt_count + 1)


def _decode(timer: Timer) -> Delivery:
    return msgspec.msgpack.decode(timer.body, type=Delivery)


def _last_position(batch: EventBatch) -> int:
    return batch.position + len(batch.events) - 1
