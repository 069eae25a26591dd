"""Random histories of two Regions as they run: cut, restarted, slow, damaged, with retries.

Thresholds are set so low that backlogs, copying ahead and repairs all happen within seconds.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter

import pytest
from two_regions import BILLS, BUS, EAST, ORDERS, WEST, Pair
from virtual_time import LoopClock

from farspan.model.endpoint import Endpoint
from farspan.replication import pace, service
from farspan.replication.link import Mode
from farspan.replication.service import Settings
from farspan.replication.stream import Purpose

SEED_COUNT = 10
STEP_COUNT = 60
REGIONS = (EAST, WEST)
ENDPOINTS = (ORDERS, BILLS)


@pytest.fixture(autouse=True)
def _low_thresholds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pace, "AHEAD_EVENT_COUNT", 40)
    monkeypatch.setattr(pace, "BACKLOG_EVENT_COUNT", 20)
    monkeypatch.setattr(pace, "BACKLOG_STEP_EVENT_COUNT", 7)
    monkeypatch.setattr(pace, "LIVE", pace.Pace(15, 0.0))
    monkeypatch.setattr(service, "LIVE", pace.Pace(15, 0.0))
    monkeypatch.setattr(service, "STEP_EVENT_COUNT", 15)


def entry_count(name: str) -> int:
    """Return how many entries a call has: the same however often it is sent."""
    return 1 + sum(name.encode()) % 3


class History:
    """One seed's history, and what is checked of it."""

    def __init__(self, pair: Pair, seed: int) -> None:
        self.pair, self.random = pair, random.Random(seed)
        modes = {ORDERS.name: Mode.SYNC, BILLS.name: Mode.SYNC_OR_ASYNC}
        pair.settings = Settings(mode_of=lambda e: modes[e.name], compare_seconds=2.0)
        pair.endpoints = {region: list(ENDPOINTS) for region in REGIONS}
        pair.services = {region: pair.join(region) for region in REGIONS}
        self.names: list[tuple[str, Endpoint]] = []
        self.waiting: list[asyncio.Task[None]] = []
        self.lost_count = 0

    async def put(self) -> None:
        """Let a Region accept a new call, or again one that a Region accepted before."""
        region = self.random.choice(REGIONS)
        if self.names and self.random.random() < 0.2:
            name, endpoint = self.random.choice(self.names)
        else:
            name, endpoint = f"call {len(self.names)}.", self.random.choice(ENDPOINTS)
            self.names.append((name, endpoint))
        confirmations = self.pair.services[region].confirmations
        if confirmations.refusal(endpoint) is not None:
            return
        count = entry_count(name)
        appended = self.pair.put(region, name, event_count=count, endpoint=endpoint)
        if endpoint is ORDERS and appended.origin == region:
            last = appended.last_sequence
            self.waiting.append(asyncio.create_task(self._wait(region, endpoint, name, last)))

    async def _wait(self, region: str, endpoint: Endpoint, name: str, sequence: int) -> None:
        refused = await self.pair.services[region].confirmations.arrived(endpoint, sequence)
        if refused is None and not self.lost_count:
            assert all(self.pair.holds(each, name) for each in REGIONS)

    async def burst(self) -> None:
        """Let a Region accept what makes a backlog."""
        region = self.random.choice(REGIONS)
        for _ in range(60):
            self.names.append((f"call {len(self.names)}.", BILLS))
            name = self.names[-1][0]
            self.pair.put(region, name, event_count=entry_count(name), endpoint=BILLS)

    async def lose(self) -> None:
        """Take a replica out of a copy."""
        region = self.random.choice(REGIONS)
        log = self.pair.stores[region]._logs.get(BUS)
        replicas = [b.call for b in log.batches if b.origin != region] if log else []
        known = {self.pair.call_of(name): name for name, _ in self.names}
        if replicas:
            self.pair.lose(region, known[self.random.choice(replicas)])
            self.lost_count += 1

    async def cut(self) -> None:
        """Let one Region or both not be reached."""
        self.pair.down = set(self.random.choice([(EAST,), (WEST,), REGIONS]))

    async def mend(self) -> None:
        """Let both be reached."""
        self.pair.down = set()

    async def slow(self) -> None:
        """Change how long a read takes in a Region."""
        self.pair.stores[self.random.choice(REGIONS)].read_seconds = self.random.choice((0.0, 0.3))

    async def restart(self) -> None:
        """End a Region's process and start another."""
        await self.pair.restart(self.random.choice(REGIONS))

    async def live(self) -> None:
        """Take the steps, then mend everything and let it come to rest."""
        acts = [self.put] * 6 + [self.cut, self.mend, self.mend, self.slow, self.burst]
        acts += [self.restart, self.lose]
        await self.pair.start()
        for _ in range(STEP_COUNT):
            await self.random.choice(acts)()
            await self.pair.settle(self.random.choice((0.0, 0.05, 0.5, 2.0)))
        await self.mend()
        for store in self.pair.stores.values():
            store.read_seconds = 0.0
        await self.pair.settle(60)
        await asyncio.gather(*self.waiting)
        await self.pair.close()


@pytest.mark.parametrize("seed", range(SEED_COUNT))
async def test_g9_whatever_happens_both_hold_the_same_ids(pair: Pair, seed: int) -> None:
    """Each event is in each Region once, and what `sync` acknowledged was in both at that time."""
    history = History(pair, seed)
    await history.live()

    assert pair.ids(EAST) == pair.ids(WEST)
    assert len(set(pair.ids(EAST))) == len(pair.ids(EAST))
    assert pair.ids(EAST)


async def test_histories_are_worth_checking(clock: LoopClock) -> None:
    """The seeds reach what is checked: copying ahead, lost replicas, repairs."""
    histories = [History(Pair(clock), seed) for seed in range(6)]
    for history in histories:
        await history.live()
    repaired = sum(
        puller.comparisons.repaired_count
        for history in histories
        for each in history.pair.services.values()
        for puller in each._pullers.values()
    )

    asked = Counter(request.purpose for each in histories for _, request in each.pair.asked)

    assert asked[Purpose.AHEAD] > 10
    assert sum(history.lost_count for history in histories) > 10
    assert repaired > 10
