"""A clock that the test moves, a store that counts, and a queue service on both."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING

import pytest

from farspan.clock import SeededIds
from farspan.model.queue import Message, Queue
from farspan.queues.service import QueueService
from farspan.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from farspan.store.base import Change, Result, StoreError

START = 1_700_000_000.0


class FakeClock:
    """Time that stands still until the test advances it."""

    def __init__(self) -> None:
        self.elapsed = 0.0
        self.set_by = 0.0  # seconds by which somebody set the wall clock
        self.sleepers: list[tuple[float, asyncio.Future[None]]] = []

    def now(self) -> float:
        """See `Clock.now`."""
        return START + self.elapsed + self.set_by

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.elapsed

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        entry = (self.elapsed + seconds, asyncio.get_running_loop().create_future())
        self.sleepers.append(entry)
        try:
            await entry[1]
        finally:
            self.sleepers.remove(entry)

    async def settle(self) -> None:
        """Let every task run until it waits for something."""
        for _ in range(30):
            await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time

    async def advance(self, seconds: float) -> None:
        """Move time on, waking each sleeper at its own time."""
        await self.settle()
        end = self.elapsed + seconds
        while due := sorted(at for at, _ in self.sleepers if at <= end):
            self.elapsed = max(self.elapsed, due[0])
            for at, future in list(self.sleepers):
                if at <= self.elapsed and not future.done():
                    future.set_result(None)
            await self.settle()
        self.elapsed = end
        await self.settle()


class CountingStore(MemoryStore):
    """A memory engine that counts what it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.commit_count = 0
        self.look_count = 0
        self.error: StoreError | None = None
        self.before_commit: Callable[[], object] = lambda: None

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Count, then commit, after what the test wants to happen meanwhile, or fail."""
        self.commit_count += 1
        self.before_commit()
        await asyncio.sleep(0)  # noqa: TID251 - others get their turn, as with a real engine
        if self.error is not None:
            raise self.error
        return await super().commit(changes)

    async def next_due(self, timers: str, after: float = -math.inf) -> float | None:
        """Count, then look."""
        self.look_count += 1
        return await super().next_due(timers, after)


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock that stands still."""
    return FakeClock()


@pytest.fixture
def store() -> CountingStore:
    """Return an empty store."""
    return CountingStore()


@pytest.fixture
def service(store: CountingStore, clock: FakeClock) -> QueueService:
    """Return a service over the store."""
    return QueueService("us-east-1", store, clock, SeededIds(1))


@pytest.fixture
def queue() -> Queue:
    """Return a queue with SQS's defaults."""
    return Queue(region="us-east-1", account="000000000000", name="orders")


@pytest.fixture
def message(clock: FakeClock) -> Callable[[str], Message]:
    """Return a function that words a message sent now."""

    def make(body: str) -> Message:
        return Message(
            message_id=f"id-{body}", body=body, sender_id="000000000000", sent_at=clock.now()
        )

    return make
