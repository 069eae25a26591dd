"""A clock that stands still until a test moves it."""

from __future__ import annotations

import asyncio
import datetime as dt
import heapq
import itertools
import ssl
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

TURNS_TO_SETTLE = 6  # more than any chain of tasks that one wake-up sets going here


class _Turn:
    """Lets every other ready task run once."""

    def __await__(self) -> Generator[None]:
        yield


class FakeClock:
    """See `farspan.clock.Clock`; time passes in `advance` alone, wake-up by wake-up."""

    def __init__(self) -> None:
        self.seconds = 1000.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = itertools.count()

    def now(self) -> float:
        """Return a wall-clock time that is easy to tell from the monotonic one."""
        return 1_700_000_000 + self.seconds

    def monotonic(self) -> float:
        """Return the time that the test has reached."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Wait until the test has advanced this far."""
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.seconds + seconds, next(self._order), future))
        await future

    async def settle(self) -> None:
        """Let what is ready run."""
        for _ in range(TURNS_TO_SETTLE):
            await _Turn()

    async def advance(self, seconds: float) -> None:
        """Move on, waking each sleeper at its own time."""
        until = self.seconds + seconds
        await self.settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            due, _, future = heapq.heappop(self._sleepers)
            self.seconds = max(self.seconds, due)
            if not future.done():
                future.set_result(None)
            await self.settle()
        self.seconds = until

    def stall(self, seconds: float) -> None:
        """Let time pass while the event loop does nothing."""
        self.seconds += seconds


@pytest.fixture
def clock() -> FakeClock:
    """Return a clock at 1000 s."""
    return FakeClock()


@pytest.fixture(scope="session")
def certificate(make_certificate: Callable[..., Path]) -> Path:
    """Return a file with a key and a certificate that nobody signed, and that expired long ago."""
    began = dt.datetime(2001, 1, 1, tzinfo=dt.UTC)
    return make_certificate("nobody.example", began, began + dt.timedelta(days=1))


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    """Return what a server speaks TLS with."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context
