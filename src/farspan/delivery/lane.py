"""A lane: the bounded way to one target, with its own workers.

A slow or dead target fills its own lane and no other. What does not fit, or does not end in time,
is spilled to durable storage by the service, so that the log's cursor can move on.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from farspan.delivery.attempt import TOO_OLD, Decision, is_too_old
from farspan.metrics.rules import RuleMeasures
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.base import INTERNAL_ERROR, INVALID_INPUT, TargetSender

LANE_CAPACITY = 2_000
"""Deliveries that a lane holds in memory, waiting or under way."""

PARKED_COUNT_MAX = 20_000
"""Stored deliveries that a lane knows to be for it. What is beyond comes when its lease ends."""

QUICK_SECONDS = 0.1
"""A batch of attempts that takes less says that its target is not slow (any more)."""

log = logging.getLogger("farspan.delivery")


@dataclass(eq=False, slots=True)
class Item:
    """A delivery in a lane. `stored` is set where a timer keeps it, or is about to.

    `ended` is set once the delivery ended or is durably kept for later.
    """

    delivery: Delivery
    stored: bool = False
    ended: bool = False
    on_end: Callable[[], None] | None = None

    def end(self) -> None:
        """Say, once, that nobody has to wait for this delivery any more."""
        if not self.ended:
            self.ended = True
            if self.on_end is not None:
                self.on_end()


Parked = tuple[bytes, int]
"""A stored delivery by its timer's key and claim: the same claim means that nobody had it since."""

Settle = Callable[[Sequence[tuple[Item, Outcome]]], Awaitable[None]]
"""Does what follows from the outcomes of one batch of attempts."""


@dataclass(eq=False)
class Lane:
    """The way to one target."""

    sender: TargetSender
    settle: Settle
    now: Callable[[], float]
    on_room: Callable[[Lane], None]
    measures: RuleMeasures
    worker_count: int = 2
    is_slow: bool = False
    """Set by who found that its deliveries take long; it is not, once a batch took little."""
    _waiting: deque[Item] = field(default_factory=deque)
    _under_way_count: int = 0
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _parked: deque[Parked] = field(default_factory=lambda: deque(maxlen=PARKED_COUNT_MAX))
    _retired: bool = False

    def offer(self, item: Item) -> bool:
        """Take the delivery, or return False where the lane is full."""
        if self._held_count >= LANE_CAPACITY:
            return False
        self._waiting.append(item)
        self._filled.set()
        if len(self._workers) < self.worker_count:
            self._workers.append(asyncio.create_task(self._work()))
        return True

    @property
    def is_behind(self) -> bool:
        """Whether what can wait should: it is over half full, or stored ones wait for room."""
        return bool(self._parked) or self._held_count > LANE_CAPACITY // 2

    @property
    def _held_count(self) -> int:
        return len(self._waiting) + self._under_way_count

    def park(self, parked: Parked) -> None:
        """Remember a stored delivery that did not fit."""
        self._parked.append(parked)
        self._tell_of_room()

    def unpark(self) -> list[Parked]:
        """Return the parked deliveries that there is room for now, the oldest first."""
        count = min(len(self._parked), max(0, LANE_CAPACITY - self._held_count))
        return [self._parked.popleft() for _ in range(count)]

    def _tell_of_room(self) -> None:
        # At half, so that the store is asked for many at once and the workers never run dry.
        if self._parked and self._held_count <= LANE_CAPACITY // 2:
            self.on_room(self)

    async def _work(self) -> None:
        while True:
            while not self._waiting:
                if self._retired:
                    return
                self._filled.clear()
                await self._filled.wait()
            count = min(self.sender.batch_count_max, len(self._waiting))
            batch = [self._waiting.popleft() for _ in range(count)]
            self._under_way_count += count
            began = self.now()
            try:
                await self.settle(await self._attempt(batch))
            finally:
                self._under_way_count -= count
                self._tell_of_room()
            if self.now() - began < QUICK_SECONDS:
                self.is_slow = False

    async def _attempt(self, batch: Sequence[Item]) -> list[tuple[Item, Outcome]]:
        """Attempt each delivery once, but for what must not be attempted (any more)."""
        now = self.now()
        refused = [
            (item, INVALID_INPUT if item.delivery.is_invalid else TOO_OLD)
            for item in batch
            if item.delivery.is_invalid or is_too_old(item.delivery, now)
        ]
        if refused:
            known = {id(item) for item, _ in refused}
            rest = [item for item in batch if id(item) not in known]
            return [*refused, *(await self._send(rest) if rest else ())]
        return await self._send(batch)

    async def _send(self, batch: Sequence[Item]) -> list[tuple[Item, Outcome]]:
        # A sender's own fault fails the attempts, not the lane.
        deliveries = [item.delivery for item in batch]
        self.measures.started(deliveries, self.now())
        try:
            outcomes = await self.sender.send(deliveries)
            return list(zip(batch, outcomes, strict=True))
        except Exception as error:
            log.exception("attempts failed inside Farspan deliveries=%d", len(batch))
            failed = Outcome(
                verdict=Verdict.RETRYABLE, error_code=INTERNAL_ERROR, error_message=repr(error)
            )
            return [(item, failed) for item in batch]

    def retire(self) -> None:
        """Let the workers end once nothing waits any more. Nothing is offered afterwards."""
        self._retired = True
        self._filled.set()

    async def close(self) -> None:
        """Stop the workers. What is not stored stays before the log's cursor."""
        for worker in self._workers:
            worker.cancel()
        await asyncio.gather(*self._workers, return_exceptions=True)
        self._workers.clear()


def log_attempt(delivery: Delivery, outcome: Outcome, decision: Decision) -> None:
    """Write the line that tells of an attempt which did not deliver."""
    log.warning(
        "attempt failed event=%s rule=%s target=%s attempt=%d code=%s decision=%s message=%s",
        delivery.event_id,
        delivery.rule_arn,
        delivery.target_arn,
        delivery.attempt_count,
        outcome.error_code,
        type(decision).__name__,
        outcome.error_message,
    )
