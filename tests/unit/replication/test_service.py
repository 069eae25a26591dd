"""Two Regions that copy each other's events, as they run."""

from __future__ import annotations

import asyncio
from collections import Counter

import msgspec
import pytest
from two_regions import BILLS, BUS, EAST, EU, ORDERS, WEST, Pair, SlowStore

from farspan.model.endpoint import Endpoint, EndpointState, ReplicationState
from farspan.model.event import call_id_of
from farspan.replication.pace import STEP_EVENT_COUNT
from farspan.replication.service import (
    LATE_SECONDS,
    RETRY_SECONDS,
    WAIT_SECONDS,
    Settings,
)
from farspan.replication.stream import StreamReply, StreamRequest, replication_cursor
from farspan.store.base import (
    READ_BYTES_MAX,
    MoveCursor,
    Trim,
    copied_cursor,
)

# --- both ways ------------------------------------------------------------------------------


async def test_events_cross_both_ways(pair: Pair) -> None:
    """What either accepts, both have."""
    await pair.start()
    pair.put(EAST, "a")
    pair.put(WEST, "b", event_count=3)
    await pair.settle()

    assert await pair.names(EAST) == ["a", "b", "b", "b"]
    assert await pair.names(WEST) == ["a", "b", "b", "b"]
    await pair.close()


async def test_a_replica_keeps_its_region_and_names_the_endpoint(pair: Pair) -> None:
    """Consumers see where an event came from, and by which endpoint."""
    await pair.start()
    pair.put(EAST, "a")
    await pair.settle()
    (original,) = await pair.events(EAST)
    (replica,) = await pair.events(WEST)

    assert replica == {**original, "resources": [ORDERS.arn]}
    assert replica["region"] == EAST
    await pair.close()


async def test_g6_no_event_goes_round(pair: Pair) -> None:
    """A Region ships its own events once, and never those that it copied."""
    await pair.start()
    for number in range(20):
        pair.put((EAST, WEST)[number % 2], f"{number}")
        await pair.settle()
    await pair.settle(60)
    shipped = Counter(pair.shipped_calls(EAST) + pair.shipped_calls(WEST))

    assert shipped == {call_id_of("key", f"{number}", b""): 1 for number in range(20)}
    await pair.close()


async def test_g2_a_call_accepted_in_both_regions_is_one_event_in_each(pair: Pair) -> None:
    """The same call has the same ids in both, so either log keeps what it had first."""
    await pair.start()
    pair.down = {EAST, WEST}
    pair.put(EAST, "a", event_count=2)
    pair.put(WEST, "a", event_count=2)
    pair.put(WEST, "b")
    pair.down = set()
    await pair.settle(1)
    ids = {region: [event["id"] for event in await pair.events(region)] for region in (EAST, WEST)}

    assert sorted(ids[EAST]) == sorted(ids[WEST])
    assert len(set(ids[EAST])) == len(ids[EAST]) == 3
    await pair.close()


async def test_g2_a_retry_after_the_replica_is_no_second_event(pair: Pair) -> None:
    """A client's retry in the other Region finds the replica there already."""
    await pair.start()
    pair.put(EAST, "a")
    await pair.settle()
    pair.put(WEST, "a")
    await pair.settle(10)

    assert await pair.names(EAST) == ["a"]
    assert await pair.names(WEST) == ["a"]
    await pair.close()


async def test_events_without_an_endpoint_stay(pair: Pair) -> None:
    """Only what was sent with the EndpointId is replicated."""
    await pair.start()
    pair.put(EAST, "a", endpoint=None)
    pair.put(EAST, "b")
    await pair.settle()

    assert await pair.names(WEST) == ["b"]
    await pair.close()


async def test_g9_a_long_backlog_crosses_whole(pair: Pair) -> None:
    """More than one reply's worth arrives, in the order of its origin."""
    for number in range(2 * STEP_EVENT_COUNT // 10 + 7):
        pair.put(EAST, f"{number:04}", event_count=10)
    await pair.start()
    await pair.settle(1)

    assert await pair.names(WEST) == await pair.names(EAST)
    assert len(pair.shipped_calls(EAST)) == 2 * STEP_EVENT_COUNT // 10 + 7
    assert [e["id"] for e in await pair.events(WEST)] == [e["id"] for e in await pair.events(EAST)]
    await pair.close()


async def test_large_events_cross_in_several_replies(pair: Pair) -> None:
    """A reply stays within what a connection carries, and the next one goes on from there."""
    detail = msgspec.json.encode({"x": "y" * (READ_BYTES_MAX // 5)}).decode()
    for number in range(12):
        pair.put(EAST, f"{number:02}", detail=detail)
    await pair.start()
    await pair.settle(1)
    counts = [len(r.batches) for region, r in pair.replies if region == EAST and r.batches]

    assert counts == [5, 5, 2]
    assert await pair.names(WEST) == [f"{number:02}" for number in range(12)]
    await pair.close()


async def test_replicas_land_on_the_bus_of_their_time(pair: Pair) -> None:
    """What waits while the endpoint gets another bus crosses to the bus that it was sent to."""
    pair.down = {EAST}
    await pair.start()
    pair.put(EAST, "a")
    for region in (EAST, WEST):
        pair.endpoints[region] = [msgspec.structs.replace(ORDERS, event_bus_name="new")]
        pair.services[region].refresh()
    pair.down = set()
    await pair.settle(1)

    assert await pair.names(WEST) == ["a"]
    assert await pair.stores[WEST].event_buses() == [BUS]
    await pair.close()


# --- restarts and faults --------------------------------------------------------------------


async def test_a_restart_goes_on_at_the_stored_cursor(pair: Pair) -> None:
    """What was copied before is not even asked for."""
    await pair.start()
    pair.put(EAST, "a", event_count=5)
    await pair.settle()
    pair.put(EAST, "b")
    pair.asked.clear()
    await pair.restart(WEST)
    await pair.settle()
    after = [request.after for region, request in pair.asked if region == EAST]

    assert (
        await pair.stores[WEST].cursor(
            replication_cursor(ORDERS.endpoint_id, EAST, f"log of {EAST}")
        )
        == 6
    )
    assert after[1] >= 5  # the first only asks which log it is
    assert await pair.names(WEST) == ["a"] * 5 + ["b"]
    await pair.close()


async def test_g9_a_peer_that_was_down_is_caught_up_with(pair: Pair) -> None:
    """What either took meanwhile crosses within a moment of the other's return."""
    await pair.start()
    pair.down = {EAST, WEST}
    pair.put(EAST, "a")
    pair.put(WEST, "b")
    await pair.settle(60)
    assert await pair.names(EAST) == ["a"]

    pair.down = set()
    await pair.settle(2 * RETRY_SECONDS)
    assert await pair.names(EAST) == ["a", "b"]
    assert await pair.names(WEST) == ["a", "b"]
    await pair.close()


async def test_g9_ten_minutes_apart_and_both_hold_the_same_ids(pair: Pair) -> None:
    """Both take events while they cannot hear each other; afterwards each has each event once."""
    await pair.start()
    pair.put(EAST, "before")
    await pair.settle(1)
    pair.down = {EAST, WEST}
    for second in range(600):
        for region in (EAST, WEST):
            pair.put(region, f"{region} {second:03}", event_count=5)
        pair.put((EAST, WEST)[second % 2], "retried")  # by an SDK, in whichever Region it reaches
        await pair.settle(1)
    apart = {region: len(await pair.events(region)) for region in (EAST, WEST)}
    pair.down = set()
    await pair.settle(5)
    ids = {region: [event["id"] for event in await pair.events(region)] for region in (EAST, WEST)}

    assert apart == {EAST: 3_002, WEST: 3_002}
    assert len(ids[EAST]) == len(set(ids[EAST])) == 6_002
    assert sorted(ids[EAST]) == sorted(ids[WEST])
    await pair.settle(600)
    assert [len(await pair.events(region)) for region in (EAST, WEST)] == [6_002, 6_002]
    assert pair.services[WEST].status(ORDERS)["comparison"]["missing"] == 0
    await pair.close()


async def test_a_peer_that_is_down_is_asked_now_and_then(pair: Pair) -> None:
    """The wait between two questions is kept, so that a dead peer costs nothing."""
    pair.down = {EAST}
    await pair.start()
    pair.asked.clear()
    await pair.settle(10)

    assert sum(region == EAST for region, _ in pair.asked) <= 10 / RETRY_SECONDS + 1
    await pair.close()


async def test_g5_a_lost_reply_costs_nothing(pair: Pair) -> None:
    """Whether or not a reply arrived, the cursor decides what is asked for next."""
    await pair.start()
    pair.down = {EAST}  # the question under way gets no answer
    pair.put(EAST, "a")
    await pair.settle()
    pair.put(EAST, "b")
    pair.down = set()
    await pair.settle(1)

    assert await pair.names(WEST) == ["a", "b"]
    await pair.close()


async def test_a_full_disk_holds_replication_up_and_loses_nothing(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """What could not be committed is asked for again."""
    await pair.start()
    pair.stores[WEST].fails = True
    pair.put(EAST, "a")
    await pair.settle(10)
    assert "The disk is full." in caplog.text
    assert pair.services[WEST].lags() == {}

    pair.stores[WEST].fails = False
    await pair.settle(2)
    assert await pair.names(WEST) == ["a"]
    await pair.close()


async def test_a_fault_of_the_program_does_not_end_replication(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """A puller that met what nobody thought of says so, and goes on."""
    serve = pair.services[EAST].serve

    async def broken(request: StreamRequest) -> StreamReply:
        pair.services[EAST].serve = serve  # type: ignore[method-assign]
        raise ZeroDivisionError(request)

    pair.services[EAST].serve = broken  # type: ignore[method-assign]
    pair.put(EAST, "a")
    await pair.start()
    await pair.settle(2)

    assert "ZeroDivisionError" in caplog.text
    assert await pair.names(WEST) == ["a"]
    await pair.close()


def losses(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return from where to where events are missing, as the log says."""
    lines = [record.getMessage() for record in caplog.records if record.levelname == "ERROR"]
    return [line.partition("stream=orders.veo ")[2] for line in lines if "missing" in line]


async def test_events_that_left_the_origin_are_missed_once_and_aloud(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """A secondary that was rebuilt takes what is left, and says what it cannot have."""
    for name in ("a", "b", "c"):
        pair.put(EAST, name, event_count=2)
    pair.stores[EAST].apply([Trim(BUS, 5)])
    await pair.start()
    await pair.settle(60)
    pair.put(EAST, "d")
    await pair.restart(WEST)
    await pair.settle(60)

    assert losses(caplog) == ["from=1 to=4"]
    assert await pair.names(WEST) == ["c", "c", "d"]
    await pair.close()


async def test_a_stream_that_left_the_origin_whole_is_missed_once_and_aloud(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """Where nothing is left there is nothing to copy, and the next event is copied at once."""
    pair.put(EAST, "a", event_count=3)
    pair.stores[EAST].apply([Trim(BUS, 99)])
    await pair.start()
    await pair.settle(60)
    lags = pair.services[WEST].lags()
    pair.put(EAST, "b")
    await pair.settle()

    assert losses(caplog) == ["from=1 to=3"]
    assert lags == {ORDERS.endpoint_id: 0.0}
    assert await pair.names(WEST) == ["b"]
    await pair.close()


async def test_a_store_that_was_set_back_is_noticed(
    pair: Pair, caplog: pytest.LogCaptureFixture
) -> None:
    """An origin whose log ends before the cursor lost what was copied: no lag is 0."""
    await pair.start()
    pair.put(EAST, "a", event_count=5)
    await pair.settle()
    pair.stores[EAST] = SlowStore()
    await pair.restart(EAST)
    pair.down = {EAST}  # so that what is under way ends
    await pair.settle(WAIT_SECONDS)
    pair.down = set()
    pair.put(EAST, "b")
    await pair.settle(2 * WAIT_SECONDS)

    assert "set back to an older state" in caplog.text
    assert pair.services[WEST].lags() == {}
    await pair.close()


async def test_a_replaced_log_is_copied_from_its_beginning(pair: Pair) -> None:
    """A Region whose disk was replaced has another log, which begins anew: nothing is missed."""
    await pair.start()
    pair.put(EAST, "a", event_count=5)
    await pair.settle()
    pair.stores[EAST] = SlowStore()
    pair.log_ids[EAST] = "another log"
    await pair.restart(EAST)
    pair.put(EAST, "b")
    await pair.settle(2 * WAIT_SECONDS)

    assert await pair.names(WEST) == ["a"] * 5 + ["b"]
    assert pair.services[WEST].lags() == {ORDERS.endpoint_id: 0.0}
    await pair.close()


async def test_a_restored_log_goes_on_where_it_is_the_same(pair: Pair) -> None:
    """Of a log restored from a backup, only what its copy did not have before the backup crosses.

    The events that it lost have the sequences of those that it takes next, and these do cross.
    """
    await pair.start()
    pair.put(EAST, "a", event_count=5)
    await pair.settle()
    backup = pair.stores[EAST].state_copy()
    pair.put(EAST, "lost there", event_count=3)
    await pair.settle()
    pair.stores[EAST] = backup
    pair.stores[EAST].apply([MoveCursor(copied_cursor(ORDERS.endpoint_id, EAST), 5)])
    pair.log_ids[EAST], pair.parent_log_ids[EAST] = "restored", pair.log_ids[EAST]
    pair.replies.clear()
    await pair.restart(EAST)
    pair.put(EAST, "b", event_count=2)
    await pair.settle(2 * WAIT_SECONDS)
    await pair.restart(WEST)
    pair.put(EAST, "c")
    await pair.settle(2 * WAIT_SECONDS)

    assert await pair.names(WEST) == ["a"] * 5 + ["b"] * 2 + ["c"] + ["lost there"] * 3
    assert len(pair.shipped_calls(EAST)) == 2
    await pair.close()


# --- long polls -----------------------------------------------------------------------------


def request_for(endpoint: Endpoint, after: int = 0, wait_seconds: float = 5.0) -> StreamRequest:
    """Return what the other Region asks."""
    return StreamRequest(
        stream=endpoint.endpoint_id,
        region=WEST,
        log=f"log of {EAST}",
        after=after,
        limit=10,
        wait_seconds=wait_seconds,
    )


async def test_an_append_wakes_a_long_poll(pair: Pair) -> None:
    """An event crosses as soon as it is durable, not when a poll is due."""
    asked = asyncio.create_task(pair.services[EAST].serve(request_for(ORDERS)))
    await pair.settle(3)
    assert not asked.done()

    appended_at = pair.clock.monotonic()
    pair.put(EAST, "a", event_count=2)
    reply = await asked
    assert (reply.end, len(reply.batches)) == (2, 1)
    assert pair.clock.monotonic() == appended_at


@pytest.mark.parametrize(
    ("wait_seconds", "seconds"), [(0, 0), (2, 2), (5, 5), (3_600, WAIT_SECONDS), (-1, 0)]
)
async def test_a_long_poll_ends(pair: Pair, wait_seconds: float, seconds: float) -> None:
    """With nothing to tell, a reply comes when asked for, and never later than the limit."""
    began_at = pair.clock.monotonic()
    reply = await pair.services[EAST].serve(request_for(ORDERS, wait_seconds=wait_seconds))

    assert reply == StreamReply(log=f"log of {EAST}", end=0)
    assert pair.clock.monotonic() - began_at == pytest.approx(seconds)


async def test_an_append_of_another_stream_does_not_answer(pair: Pair) -> None:
    """Who is woken for nothing goes on waiting."""
    pair.endpoints[EAST] = [ORDERS, BILLS]
    asked = asyncio.create_task(pair.services[EAST].serve(request_for(ORDERS)))
    await pair.settle(1)
    pair.put(EAST, "a", endpoint=BILLS)
    await pair.settle(1)
    assert not asked.done()

    pair.put(EAST, "b")
    await pair.settle(0)
    assert (await asked).end == 1


async def test_two_polls_of_one_bus_do_not_steal_each_others_wake_up(pair: Pair) -> None:
    """An append between one poll's look and its wait wakes it, whatever other polls there are."""
    pair.endpoints[EAST] = [ORDERS, BILLS]
    pair.stores[EAST].read_seconds = 0.2
    began_at = pair.clock.monotonic()
    orders = asyncio.create_task(pair.services[EAST].serve(request_for(ORDERS)))
    await pair.settle(0.1)  # that poll has looked at the log, and has not heard back yet
    pair.put(EAST, "a")
    bills = asyncio.create_task(pair.services[EAST].serve(request_for(BILLS)))
    reply = await orders

    assert len(reply.batches) == 1
    assert pair.clock.monotonic() - began_at < 1
    await bills


async def test_an_unknown_stream_says_so(pair: Pair) -> None:
    """A Region that does not know the endpoint does not pretend that its stream is empty."""
    assert await pair.services[EAST].serve(request_for(BILLS)) == StreamReply(
        log=f"log of {EAST}", end=0, known=False
    )


async def test_an_unknown_stream_is_asked_for_now_and_then(pair: Pair) -> None:
    """Until the other Region knows the endpoint there is no lag to tell, and no busy loop."""
    pair.endpoints[EAST] = []
    await pair.start()
    pair.asked.clear()
    await pair.settle(10)
    assert sum(region == EAST for region, _ in pair.asked) <= 10 / RETRY_SECONDS + 1
    assert pair.services[WEST].lags() == {}

    pair.endpoints[EAST] = [ORDERS]
    pair.put(EAST, "a")
    await pair.settle(1)
    assert await pair.names(WEST) == ["a"]
    await pair.close()


async def test_asking_beyond_the_end_is_answered_at_once(pair: Pair) -> None:
    """Who copied another log than this is told; nothing of this one counts as arrived."""
    pair.put(EAST, "a")
    began_at = pair.clock.monotonic()

    assert await pair.services[EAST].serve(request_for(ORDERS, after=5)) == StreamReply(
        log=f"log of {EAST}", end=1
    )
    assert pair.clock.monotonic() == began_at
    assert pair.services[EAST].shipped(ORDERS) == 0


async def test_what_is_asked_beyond_is_known_to_have_arrived(pair: Pair) -> None:
    """Only what the other Region has may leave the log; after a start nothing is known."""
    assert pair.services[EAST].shipped(ORDERS) == 0
    await pair.start()
    pair.put(EAST, "a", event_count=3)
    await pair.settle()

    assert pair.services[EAST].shipped(ORDERS) == 3
    await pair.close()


async def test_what_one_region_has_another_may_not(pair: Pair) -> None:
    """After the secondary moved, what the former one copied does not count for the new one."""
    moved = msgspec.structs.replace(ORDERS, secondary_region=EU)
    pair.put(EAST, "a", event_count=3)
    await pair.services[EAST].serve(request_for(ORDERS, after=3, wait_seconds=0))

    assert pair.services[EAST].shipped(ORDERS) == 3
    assert pair.services[EAST].shipped(moved) == 0


# --- lags and endpoints ---------------------------------------------------------------------


async def test_a_new_puller_does_not_wait_for_events(pair: Pair) -> None:
    """Failback may wait for the lag: the first reply tells it, and only then polls are long."""
    await pair.start()
    waits = [request.wait_seconds for region, request in pair.asked if region == EAST]

    assert waits == [0.0, 0.0, WAIT_SECONDS]  # the first only asks which log it is
    assert pair.services[WEST].lags() == {ORDERS.endpoint_id: 0.0}
    await pair.close()


async def test_a_late_answer_makes_the_lag_unknown(pair: Pair) -> None:
    """A Region that hangs in mid-poll may have accepted anything since."""
    await pair.start()

    async def hang(_: StreamRequest) -> StreamReply:
        await asyncio.Event().wait()
        raise AssertionError

    pair.services[EAST].serve = hang  # type: ignore[method-assign]
    await pair.settle(WAIT_SECONDS)  # the poll under way ends, and the next one hangs
    lags = []
    for seconds in (WAIT_SECONDS + LATE_SECONDS - 0.1, 0.2):
        await pair.settle(seconds)
        lags.append(pair.services[WEST].lags())

    assert lags == [{ORDERS.endpoint_id: 0.0}, {}]
    await pair.close()


async def test_a_new_secondary_changes_the_source(pair: Pair) -> None:
    """When an endpoint gets another secondary Region, the primary pulls from that one."""
    await pair.start()
    pair.down = {EU}
    pair.endpoints[EAST] = [msgspec.structs.replace(ORDERS, secondary_region=EU)]
    pair.services[EAST].refresh()
    pair.asked.clear()
    await pair.settle(3 * WAIT_SECONDS)

    assert {region for region, request in pair.asked if request.region == EAST} == {EU}
    assert pair.services[EAST].lags() == {}
    await pair.close()


async def test_a_lag_is_known_once_a_reply_came(pair: Pair) -> None:
    """Nothing heard is not the same as nothing behind."""
    pair.down = {EAST}
    await pair.start()
    assert pair.services[WEST].lags() == {}

    pair.down = set()
    pair.put(EAST, "a")
    await pair.settle(1)
    assert pair.services[WEST].lags() == {ORDERS.endpoint_id: 0.0}

    pair.down = {EAST}
    await pair.settle(2 * WAIT_SECONDS)
    assert pair.services[WEST].lags() == {}
    await pair.close()


async def test_a_backlog_shows_as_lag(pair: Pair) -> None:
    """While a copy is behind, its lag is the age of what it has reached."""
    for number in range(29 * STEP_EVENT_COUNT // 100):
        pair.put(EAST, f"{number:04}", event_count=10)
    await pair.settle(30)
    pair.stores[EAST].read_seconds = 1.0
    await pair.start()
    lags = []
    for _ in range(4):
        lags.append(pair.services[WEST].lags().get(ORDERS.endpoint_id))
        await pair.settle(1)

    assert lags == [None, pytest.approx(31, abs=0.1), pytest.approx(32, abs=0.1), 0.0]
    await pair.close()


async def test_samples_are_the_ages_at_arrival(pair: Pair) -> None:
    """The newest is the last; an endpoint that is not copied has none."""
    await pair.start()
    pair.down = {EAST}
    pair.put(EAST, "a")
    await pair.settle(10)
    pair.down = set()
    await pair.settle(1)
    pair.put(EAST, "b")
    await pair.settle(1)
    samples = pair.services[WEST].samples(ORDERS.endpoint_id)

    assert samples == [pytest.approx(10, abs=2 * RETRY_SECONDS), pytest.approx(0, abs=0.01)]
    assert pair.services[WEST].samples("nowhere.veo") == []
    await pair.close()


@pytest.mark.parametrize(
    "changes",
    [
        {"state": EndpointState.DELETING},
        {"state": EndpointState.CREATE_FAILED},
        {"replication": ReplicationState.DISABLED},
        {"primary_region": "eu-west-1", "secondary_region": "eu-central-1"},
    ],
    ids=["deleting", "never-created", "replication-off", "of-other-regions"],
)
async def test_pulling_follows_the_endpoint(pair: Pair, changes: dict[str, object]) -> None:
    """An endpoint that is not replicated (here) is no longer pulled, and is again when it is."""
    await pair.start()
    pair.endpoints[WEST] = [msgspec.structs.replace(ORDERS, **changes)]
    pair.services[WEST].refresh()
    pair.put(EAST, "a")
    await pair.settle(2 * WAIT_SECONDS)
    assert await pair.names(WEST) == []
    assert pair.services[WEST].lags() == {}

    pair.endpoints[WEST] = [ORDERS]
    pair.services[WEST].refresh()
    await pair.settle()
    assert await pair.names(WEST) == ["a"]
    await pair.close()


async def test_a_backlog_leaves_half_of_the_time_to_others(pair: Pair) -> None:
    """A copy that is far behind waits after each step for as long as the step took."""
    for number in range(500):
        pair.put(EAST, f"{number:04}", event_count=10)
    pair.stores[EAST].read_seconds = 0.1
    await pair.start()
    await pair.settle(0.65)
    assert len(await pair.events(WEST)) == 2_000  # 1,000 in the first step, then two of 500
    assert pair.services[WEST].status(ORDERS)["backlog_count"] == 3_000
    await pair.settle(60)
    limits = [request.limit for region, request in pair.asked if region == EAST]

    assert limits[:9] == [1_000, 1_000, 500, 500, 500, 500, 500, 1_000, 1_000]
    assert len(await pair.events(WEST)) == 5_000
    await pair.close()


def put_backlog(pair: Pair) -> None:
    """Let east accept what takes seconds to copy at a tenth of a second a step."""
    for number in range(200):
        pair.put(EAST, f"old {number:03}", event_count=100)
    pair.stores[EAST].read_seconds = 0.1


async def test_the_newest_events_do_not_wait_for_a_backlog(pair: Pair) -> None:
    """What is accepted while a long backlog is copied crosses at once, and each event once."""
    put_backlog(pair)
    await pair.start()
    await pair.settle(1)
    for number in range(4):
        pair.put(EAST, f"new {number}")
        await pair.settle(0.25)
        assert pair.holds(WEST, f"new {number}")
    status = pair.services[WEST].status(ORDERS)
    assert status["backlog_count"] > 10_000
    assert status["ahead_count"] == 4
    await pair.settle(60)
    shipped = Counter(pair.shipped_calls(EAST))

    assert pair.calls(WEST) == pair.calls(EAST)
    assert set(shipped.values()) == {1}
    assert pair.services[WEST].status(ORDERS)["backlog_count"] == 0
    await pair.close()


async def test_what_is_copied_ahead_is_counted_once(pair: Pair) -> None:
    """The managed rule forwards each event once, whichever way it went."""
    forwarded: Counter[bytes] = Counter()
    pair.settings = Settings(shipped=lambda *told: forwarded.update(b.call for b in told[2]))
    pair.services = {region: pair.join(region) for region in (EAST, WEST)}
    put_backlog(pair)
    await pair.start()
    await pair.settle(1)
    pair.put(EAST, "new")
    await pair.settle(60)

    assert forwarded == Counter(pair.calls(EAST))
    await pair.close()


async def test_g5_what_was_copied_ahead_does_not_count_before_its_turn(pair: Pair) -> None:
    """Until the backlog is copied, the cursor says what is here without a gap: at both ends."""
    put_backlog(pair)
    await pair.start()
    await pair.settle(1)
    pair.put(EAST, "new")
    await pair.settle(0.5)
    cursor = await pair.stores[WEST].cursor(
        replication_cursor(ORDERS.endpoint_id, EAST, pair.log_ids[EAST])
    )

    assert pair.holds(WEST, "new")
    assert cursor == pair.services[WEST]._pullers[ORDERS.endpoint_id].cursor < 10_000
    assert pair.services[EAST].shipped(ORDERS) <= cursor
    await pair.close()


@pytest.mark.parametrize("fault", ["restart", "cut"])
async def test_g9_copying_ahead_may_end_at_any_time(pair: Pair, fault: str) -> None:
    """Afterwards the backlog is copied on in order, and what came ahead is there already."""
    put_backlog(pair)
    await pair.start()
    await pair.settle(1)
    pair.put(EAST, "new 1")
    await pair.settle(0.5)
    if fault == "restart":
        await pair.restart(WEST)
    else:
        pair.down = {EAST, WEST}
        await pair.settle(10)
        pair.down = set()
    pair.put(EAST, "new 2")
    await pair.settle(60)

    assert pair.calls(WEST) == pair.calls(EAST)
    await pair.close()


async def test_two_endpoints_of_one_bus_are_two_streams(pair: Pair) -> None:
    """Each is numbered by itself, and both reach the same bus."""
    for region in (EAST, WEST):
        pair.endpoints[region] = [ORDERS, BILLS]
    await pair.start()
    for number in range(6):
        pair.put(EAST, f"{number}", endpoint=(ORDERS, BILLS)[number % 2])
        await pair.settle()

    assert await pair.names(WEST) == [f"{number}" for number in range(6)]
    for endpoint in (ORDERS, BILLS):
        assert (
            pair.stores[WEST].cursor_now(
                replication_cursor(endpoint.endpoint_id, EAST, f"log of {EAST}")
            )
            == 3
        )
    await pair.close()
