"""Calls that wait for the other Region, as they run: acknowledged, refused, let go."""

from __future__ import annotations

import asyncio
import logging

import pytest
from two_regions import BILLS, EAST, ORDERS, WEST, Pair

from farspan.model.endpoint import Endpoint
from farspan.replication.link import WAIT_SECONDS_MAX, LinkState, Mode
from farspan.replication.service import Settings

MODES = {ORDERS.name: Mode.SYNC, BILLS.name: Mode.SYNC_OR_ASYNC}


class Measures:
    """Values of metrics, as they were taken."""

    def __init__(self) -> None:
        self.taken: list[tuple[str, str, float]] = []

    def take(self, name: str, endpoint: Endpoint, value: float) -> None:
        """See `confirmations.Measure`."""
        self.taken.append((name, endpoint.name, value))

    def named(self, name: str) -> list[tuple[str, float]]:
        """Return the values of one metric, each with its endpoint."""
        return [(endpoint, value) for taken, endpoint, value in self.taken if taken == name]


@pytest.fixture
def measures() -> Measures:
    """Return where the pair's metrics go."""
    return Measures()


@pytest.fixture
def pair(pair: Pair, measures: Measures) -> Pair:
    """Return two Regions with a `sync` and a `sync_or_async` endpoint."""
    pair.settings = Settings(mode_of=lambda e: MODES[e.name], measure=measures.take)
    pair.endpoints = {EAST: [ORDERS, BILLS], WEST: [ORDERS, BILLS]}
    pair.services = {region: pair.join(region) for region in (EAST, WEST)}
    return pair


async def arrived(pair: Pair, name: str, endpoint: Endpoint) -> tuple[str | None, float]:
    """Put a call into east, wait as ingest does, and return the reason and the seconds."""
    began = pair.clock.monotonic()
    appended = pair.put(EAST, name, endpoint=endpoint)
    confirmations = pair.services[EAST].confirmations
    reason = await confirmations.arrived(endpoint, appended.last_sequence)
    return reason, pair.clock.monotonic() - began


def link(pair: Pair, endpoint: Endpoint) -> object:
    """Return the state of an endpoint's link as east shows it."""
    return pair.services[EAST].status(endpoint)["link"]


@pytest.mark.parametrize("endpoint", [ORDERS, BILLS], ids=["sync", "sync_or_async"])
async def test_g1_a_call_is_acknowledged_once_both_have_it(pair: Pair, endpoint: Endpoint) -> None:
    """With both Regions up, the acknowledgement finds the event in the other one."""
    await pair.start()
    reason, seconds = await arrived(pair, "a", endpoint)

    assert reason is None
    assert seconds < 0.1
    assert await pair.names(WEST) == ["a"]
    assert pair.services[EAST].confirmations.durability(endpoint) == "both"
    await pair.close()


async def test_many_calls_wait_together(pair: Pair) -> None:
    """Each is let go by the question that covers it, in whatever order they wait."""
    await pair.start()
    results = await asyncio.gather(*(arrived(pair, f"{n}", ORDERS) for n in range(50)))

    assert {reason for reason, _ in results} == {None}
    assert pair.services[EAST].status(ORDERS)["waiting"] == 0
    await pair.close()


async def test_what_is_confirmed_already_does_not_wait(pair: Pair) -> None:
    """A retry of a call that has crossed is answered at once."""
    await pair.start()
    await arrived(pair, "a", ORDERS)
    pair.down = {WEST, EAST}

    assert await arrived(pair, "a", ORDERS) == (None, 0.0)
    await pair.close()


async def test_sync_refuses_while_the_other_region_is_away(pair: Pair) -> None:
    """The first call waits in vain and is stored; the next are refused before they are stored."""
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)  # the question under way ends
    before = pair.services[EAST].confirmations.refusal(ORDERS)
    reason, seconds = await arrived(pair, "a", ORDERS)
    refusal = pair.services[EAST].confirmations.refusal(ORDERS)

    assert before is None
    assert seconds == pytest.approx(WAIT_SECONDS_MAX[Mode.SYNC])
    assert reason is not None
    assert "no second event" in reason
    assert refusal is not None
    assert "Nothing was stored" in refusal
    await pair.close()


async def test_sync_takes_calls_again_once_the_other_region_follows(pair: Pair) -> None:
    """The call that waited in vain crosses as well: acknowledged or not, nothing is lost."""
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)
    await arrived(pair, "a", ORDERS)
    pair.down = set()
    await pair.settle(1)
    reason, seconds = await arrived(pair, "b", ORDERS)

    assert reason is None
    assert seconds < 0.1
    assert await pair.names(WEST) == ["a", "b"]
    await pair.close()


async def test_sync_or_async_degrades_after_a_second(pair: Pair) -> None:
    """One second without the other Region is all that a call waits; then none does."""
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)
    waits = await asyncio.gather(*(arrived(pair, f"{n}", BILLS) for n in range(3)))
    later = await arrived(pair, "later", BILLS)

    assert [reason for reason, _ in waits] == [None] * 3
    assert max(seconds for _, seconds in waits) == pytest.approx(1.0)
    assert later == (None, 0.0)
    assert pair.services[EAST].confirmations.refusal(BILLS) is None
    assert pair.services[EAST].confirmations.durability(BILLS) == "local"
    await pair.close()


async def test_degrading_and_coming_back_are_visible(
    pair: Pair, measures: Measures, caplog: pytest.LogCaptureFixture
) -> None:
    """The status has a flag, the log one line for each, the metric a value for each."""
    caplog.set_level(logging.WARNING)
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)
    await arrived(pair, "a", BILLS)
    degraded = pair.services[EAST].status(BILLS)
    pair.down = set()
    await pair.settle(1)
    restored = pair.services[EAST].status(BILLS)
    reason, seconds = await arrived(pair, "b", BILLS)
    lines = [r.getMessage().split()[1] for r in caplog.records if "mode=sync_or_async" in r.message]

    assert pair.services[EAST].confirmations.degraded() == ()
    assert (degraded["degraded"], restored["degraded"]) == (True, False)
    assert degraded["mode"] == "sync_or_async"
    assert reason is None
    assert seconds < 0.1
    assert await pair.names(WEST) == ["a", "b"]
    assert lines == ["degraded", "restored"]
    assert measures.named("ReplicationDegraded") == [("bills", 1.0), ("bills", 0.0)]
    await pair.close()


async def test_a_backlog_keeps_an_endpoint_degraded(pair: Pair) -> None:
    """Calls do not wait behind what the other Region has yet to catch up with."""
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)
    await arrived(pair, "a", BILLS)
    for number in range(500):
        pair.put(EAST, f"{number}", event_count=10, endpoint=BILLS)
    pair.stores[EAST].read_seconds = 1.0
    pair.down = set()
    await pair.settle(3)
    assert link(pair, BILLS) is LinkState.AWAY
    assert await arrived(pair, "b", BILLS) == (None, 0.0)
    await pair.settle(30)

    assert link(pair, BILLS) is LinkState.FOLLOWING
    await pair.close()


async def test_endpoints_degrade_each_for_itself(pair: Pair) -> None:
    """What one endpoint's call waited for in vain says nothing of another's."""
    await pair.start()
    pair.down = {EAST, WEST}
    await pair.settle(6)
    await arrived(pair, "a", BILLS)

    assert link(pair, ORDERS) is LinkState.FOLLOWING
    assert pair.services[EAST].confirmations.degraded() == (BILLS.endpoint_id,)
    await pair.close()


async def test_async_never_waits(pair: Pair) -> None:
    """AWS's way is the default: the acknowledgement says nothing of the other Region."""
    pair.settings = Settings()
    pair.services = {region: pair.join(region) for region in (EAST, WEST)}

    assert await arrived(pair, "a", ORDERS) == (None, 0.0)
    assert pair.services[EAST].confirmations.durability(ORDERS) is None
    assert pair.services[EAST].confirmations.refusal(ORDERS) is None


async def test_a_caller_that_goes_leaves_no_trace(pair: Pair) -> None:
    """A cancelled wait is passed over when the confirmation comes."""
    appended = pair.put(EAST, "a")
    confirmations = pair.services[EAST].confirmations
    waiting = asyncio.create_task(confirmations.arrived(ORDERS, appended.last_sequence))
    await pair.settle()
    waiting.cancel()
    await pair.start()

    assert confirmations.status(ORDERS)["confirmed"] == 1
    assert confirmations.status(ORDERS)["waiting"] == 0
    await pair.close()


async def test_lag_is_a_metric(pair: Pair, measures: Measures) -> None:
    """Each reply gives the age of the oldest event in it, in milliseconds."""
    pair.put(EAST, "a")
    await pair.settle(2)
    await pair.start()
    ((endpoint, lag),) = measures.named("ReplicationLag")

    assert endpoint == "orders"
    assert lag == pytest.approx(2_000, abs=50)
    await pair.close()
