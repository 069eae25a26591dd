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

from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.base import INTERNAL_ERROR, INVALID_INPUT, TargetSender

LANE_CAPACITY = 2_000
"""Deliveries that a lane holds in memory, waiting or under way."""

log = logging.getLogger("farspan.delivery")


@dataclass(eq=False, slots=True)
class Item:
    """A delivery in a lane. `claim` is its timer's claim where it is stored, None where it is not.

    `ended` is set once the delivery ended or is durably kept for later.
    """

    delivery: Delivery
    claim: int | None = None
    stored: bool = False
    ended: bool = False
    on_end: Callable[[], None] | None = None

    def end(self) -> None:
        """Say, once, that nobody has to wait for this delivery any more."""
        if not self.ended:
            self.ended = True
            if self.on_end is not None:
                self.on_end()


Settle = Callable[[Sequence[tuple[Item, Outcome]]], Awaitable[None]]
"""Does what follows from the outcomes of one batch of attempts."""


@dataclass(eq=False)
class Lane:
    """The way to one target."""

    sender: TargetSender
    settle: Settle
    worker_count: int = 2
    _waiting: deque[Item] = field(default_factory=deque)
    _under_way_count: int = 0
    _filled: asyncio.Event = field(default_factory=asyncio.Event)
    _workers: list[asyncio.Task[None]] = field(default_factory=list)
    _retired: bool = False

    def offer(self, item: Item) -> bool:
        """Take the delivery, or return False where the lane is full."""
        if len(self._waiting) + self._under_way_count >= LANE_CAPACITY:
            return False
        self._waiting.append(item)
        self._filled.set()
        if len(self._workers) < self.worker_count:
            self._workers.append(asyncio.create_task(self._work()))
        return True

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
            try:
                await self.settle(await self._attempt(batch))
            finally:
                self._under_way_count -= count

    async def _attempt(self, batch: Sequence[Item]) -> list[tuple[Item, Outcome]]:
        """Attempt each delivery once; a sender's own fault fails the attempts, not the lane."""
        if any(item.delivery.is_invalid for item in batch):
            valid = [item for item in batch if not item.delivery.is_invalid]
            invalid = [(item, INVALID_INPUT) for item in batch if item.delivery.is_invalid]
            return [*invalid, *(await self._attempt(valid) if valid else ())]
        try:
            outcomes = await self.sender.send([item.delivery for item in batch])
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
