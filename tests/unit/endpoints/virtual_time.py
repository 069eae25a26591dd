"""An event loop in which waiting takes no time, and a clock that follows it.

It must not be used with threads or real sockets: nobody waits for them.
"""

from __future__ import annotations

import asyncio
import selectors

WALL_CLOCK_START = 1_700_000_000.0


class VirtualSelector(selectors.DefaultSelector):
    """Where a real one would wait, moves time on instead."""

    def __init__(self) -> None:
        super().__init__()
        self.seconds = 1_000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """See `selectors.BaseSelector.select`."""
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "every task waits, and for nothing that time will bring"
            self.seconds += max(0.0, timeout)
        return ready


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop with a time of its own."""

    def __init__(self) -> None:
        self._virtual = VirtualSelector()
        super().__init__(self._virtual)

    def time(self) -> float:
        """See `asyncio.AbstractEventLoop.time`."""
        return self._virtual.seconds


class LoopClock:
    """See `farspan.clock.Clock`; its time is the running loop's."""

    def now(self) -> float:
        """Return a wall-clock time that is easy to tell from the monotonic one."""
        return WALL_CLOCK_START + self.monotonic()

    def monotonic(self) -> float:
        """Return the loop's time."""
        return asyncio.get_running_loop().time()

    async def sleep(self, seconds: float) -> None:
        """Wait in the loop's time."""
        await asyncio.sleep(seconds)  # noqa: TID251 - virtual: nobody waits
