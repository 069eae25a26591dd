"""What a bus's reader has read of the log and the cursor has not moved past.

Reads end in any order; the cursor moves over them in the log's order, several at a time. It must
never let the cursor pass a read whose deliveries have neither ended nor been stored.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from farspan.delivery.lane import Item, Lane
from farspan.model.delivery import Delivery

READ_EVENT_COUNT = 1_000
"""Events of one bus that are under way at the most: half of what a lane holds."""


@dataclass(frozen=True, slots=True)
class Unended:
    """What may have to be stored of a read: what its lanes `held`, and what found them `full`."""

    held: Sequence[tuple[Item, Lane]] = ()
    full: Sequence[Delivery] = ()


@dataclass(frozen=True, slots=True)
class Read:
    """What was read of a bus's log in one go: up to where, how many events, and their end."""

    position: int
    event_count: int
    delivering: asyncio.Task[Unended]


class UnderWay:
    """A bus's reads that the cursor has not moved past, in the log's order.

    `event_count` counts the events of those whose deliveries have not all ended: `roomy` is set
    while they are few enough to read more. `is_lost` is set where the cursor has to be read again.
    """

    def __init__(self) -> None:
        self._reads: deque[Read] = deque()
        self._is_moving = False
        self._changed = asyncio.Event()
        self.event_count = 0
        self.roomy = asyncio.Event()
        self.roomy.set()
        self.is_lost = False

    def add(self, read: Read) -> None:
        """Take over what was read next."""
        self._reads.append(read)
        self._count(read.event_count)
        read.delivering.add_done_callback(lambda _task: self._count(-read.event_count))
        self._changed.set()

    def _count(self, event_count: int) -> None:
        self.event_count += event_count
        if self.event_count <= READ_EVENT_COUNT // 2:
            self.roomy.set()
        else:
            self.roomy.clear()

    @property
    def has_ended(self) -> bool:
        """Whether the oldest read has ended."""
        return bool(self._reads) and self._reads[0].delivering.done()

    async def first_ended(self) -> None:
        """Return when the oldest read has ended."""
        while not self._reads:
            self._changed.clear()
            await self._changed.wait()
        await asyncio.wait([self._reads[0].delivering])

    def take_ended(self) -> tuple[int, list[Unended]]:
        """Return how far the reads ended without a gap, and what to store of them.

        Raises what a delivery raised.
        """
        unended: list[Unended] = []
        position = 0
        while self.has_ended:
            unended.append(self._reads[0].delivering.result())
            position = self._reads.popleft().position
        self._is_moving = True
        return position, unended

    def note_moved(self) -> None:
        """Note that the cursor stands where `take_ended` said."""
        self._is_moving = False
        self._changed.set()

    async def emptied(self) -> None:
        """Return when the cursor in the store is the right one to go on from."""
        while self._reads or self._is_moving:
            self._changed.clear()
            await self._changed.wait()
        self.is_lost = False

    def lose(self) -> None:
        """Give up every read: it is read again from the cursor in the store, once that is moved."""
        for read in self._reads:
            read.delivering.cancel()
        self._reads.clear()
        self.is_lost = self._is_moving = True
