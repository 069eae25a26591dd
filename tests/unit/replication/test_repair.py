"""Copies that are compared with their origin, and mended, as they run."""

from __future__ import annotations

import logging

import pytest
from two_regions import BUS, EAST, ORDERS, WEST, Pair

from farspan.replication.comparison import BUCKET_SEQUENCES
from farspan.replication.service import Settings
from farspan.store.base import Trim


def counts(pair: Pair, region: str = WEST) -> dict[str, int]:
    """Return what a Region's comparisons came to."""
    found = dict(pair.services[region].status(ORDERS)["comparison"])
    del found["at"]
    return found


async def test_g9_a_lost_batch_is_found_and_repaired(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Within a minute both Regions have the same ids again; log and status say what it was."""
    caplog.set_level(logging.ERROR)
    await pair.start()
    for name in "abcdef":
        pair.put(EAST, name, event_count=3)
    await pair.settle(1)
    pair.lose(WEST, "c")
    pair.lose(WEST, "d")
    assert pair.ids(WEST) != pair.ids(EAST)
    await pair.settle(60)

    assert pair.ids(WEST) == pair.ids(EAST)
    assert counts(pair) == {"compared": 18, "missing": 6, "repaired": 6, "surplus": 0}
    assert [r.getMessage().partition(" endpoint")[0] for r in caplog.records] == [
        "replicas differ from their origin"
    ]
    await pair.close()


async def test_a_repaired_event_is_a_replica_like_any_other(pair: Pair) -> None:
    """It keeps its id and its Region, names the endpoint, and has its sequence."""
    await pair.start()
    for name in "abc":
        pair.put(EAST, name)
    await pair.settle(1)
    (before,) = [e for e in await pair.events(WEST) if e["detail-type"] == "b"]
    pair.lose(WEST, "b")
    await pair.settle(60)
    (after,) = [e for e in await pair.events(WEST) if e["detail-type"] == "b"]
    stream = await pair.stores[WEST].read_stream(ORDERS.endpoint_id, EAST, 0, 99)

    assert before == after
    assert [batch.sequence for batch in stream] == [1, 2, 3]
    await pair.close()


async def test_damage_far_back_is_found_in_turn(pair: Pair) -> None:
    """What was compared before is compared again: a row may go at any time."""
    pair.settings = Settings(compare_seconds=1.0)
    pair.services = {region: pair.join(region) for region in (EAST, WEST)}
    await pair.start()
    for number in range(3 * BUCKET_SEQUENCES // 100):
        pair.put(EAST, f"n{number:05}.", event_count=100)
    await pair.settle(10)
    assert counts(pair)["missing"] == 0
    pair.lose(WEST, "n00003.")
    pair.lose(WEST, "n00100.")
    await pair.settle(3)

    assert pair.ids(WEST) == pair.ids(EAST)
    assert counts(pair)["repaired"] == 200
    await pair.close()


async def test_g6_equal_copies_ship_nothing_again(pair: Pair) -> None:
    """Comparing for an hour moves no event."""
    await pair.start()
    for name in "abc":
        pair.put(EAST, name)
        pair.put(WEST, f"w{name}")
    await pair.settle(3_600)

    assert sorted(pair.shipped_calls(EAST)) == sorted(set(pair.shipped_calls(EAST)))
    assert counts(pair, EAST)["missing"] == counts(pair, WEST)["missing"] == 0
    await pair.close()


async def test_g2_a_call_accepted_by_both_is_not_missing(pair: Pair) -> None:
    """The copy has it as its own, with the same ids: nothing is repaired, however often looked."""
    pair.put(EAST, "a")
    pair.put(WEST, "a")
    pair.put(EAST, "b")
    await pair.start()
    await pair.settle(200)

    assert pair.ids(WEST) == pair.ids(EAST)
    assert counts(pair) | {"compared": 0} == {
        "compared": 0,
        "missing": 0,
        "repaired": 0,
        "surplus": 0,
    }
    await pair.close()


@pytest.mark.parametrize("region", [EAST, WEST], ids=["origin", "copy"])
async def test_what_retention_took_is_not_missing(pair: Pair, region: str) -> None:
    """Each Region keeps its log for its own time."""
    await pair.start()
    for name in "abcd":
        pair.put(EAST, name)
    await pair.settle(1)
    pair.stores[region].apply([Trim(BUS, 3)])
    await pair.settle(120)

    assert counts(pair)["missing"] == counts(pair)["surplus"] == 0
    await pair.close()


async def test_what_the_origin_lost_is_told_and_kept(pair: Pair) -> None:
    """Nothing is ever removed from a copy."""
    await pair.start()
    for name in "abc":
        pair.put(EAST, name)
    await pair.settle(1)
    pair.lose(EAST, "b")
    await pair.settle(60)

    assert counts(pair)["surplus"] == 1
    assert await pair.names(WEST) == ["a", "b", "c"]
    await pair.close()


async def test_a_region_that_is_away_is_compared_later(pair: Pair) -> None:
    """A comparison that cannot be had is no finding."""
    await pair.start()
    for name in "abc":
        pair.put(EAST, name)
    await pair.settle(1)
    pair.lose(WEST, "b")
    pair.down = {EAST, WEST}
    await pair.settle(120)
    assert counts(pair)["compared"] == 0
    pair.down = set()
    await pair.settle(61)

    assert counts(pair)["repaired"] == 1
    await pair.close()


async def test_another_log_is_not_compared(pair: Pair, caplog: pytest.LogCaptureFixture) -> None:
    """Digests are of one log: those of another, as after a disk was replaced, are no difference."""
    caplog.set_level(logging.INFO)
    await pair.start()
    pair.put(EAST, "a")
    await pair.settle(1)
    pair.digest_log = "another"
    await pair.settle(60)

    assert counts(pair)["compared"] == 0
    assert any("not compared" in record.getMessage() for record in caplog.records)
    await pair.close()


async def test_a_cursor_that_ran_ahead_is_mended(pair: Pair) -> None:
    """Even where a cursor says that events are here, and they never came, they are fetched."""
    await pair.start()
    for name in "abcde":
        pair.put(EAST, name)
    await pair.settle(1)
    for name in "cde":
        pair.lose(WEST, name)
    await pair.settle(61)

    assert pair.ids(WEST) == pair.ids(EAST)
    await pair.close()


async def test_a_repair_moves_no_cursor(pair: Pair) -> None:
    """What a Region has for certain stays what it was, at either end."""
    await pair.start()
    for name in "abc":
        pair.put(EAST, name)
    await pair.settle(1)
    before = dict(pair.stores[WEST]._cursors), pair.services[EAST].shipped(ORDERS)
    pair.lose(WEST, "a")
    await pair.settle(61)

    assert counts(pair)["repaired"] == 1
    assert (pair.stores[WEST]._cursors, pair.services[EAST].shipped(ORDERS)) == before
    await pair.close()
