"""What `store/base.py` promises, for every engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from farspan.model.event import CallId, EventBatch
from farspan.store.base import (
    READ_BYTES_MAX,
    TRIM_BATCH_COUNT,
    AckTimer,
    Append,
    Appended,
    BatchKey,
    ClaimTimers,
    Conflict,
    DeleteDocument,
    Document,
    DropTimers,
    MoveCursor,
    MoveTimer,
    PutDocument,
    PutTimer,
    StoreFailed,
    StreamBounds,
    Timer,
    TimerCounts,
    Trim,
)

if TYPE_CHECKING:
    from farspan.store.base import Change, Store

BUS = "000000000000/orders"
OTHER_BUS = "000000000000/billing"
HERE = "us-east-1"
THERE = "eu-central-1"
STREAM = "abcde12345.veo"
LIST = "delivery"


def call(number: int) -> CallId:
    """Return the id of a call."""
    return CallId(number.to_bytes(14, "big"))


def batch(number: int, count: int = 1, **fields: object) -> EventBatch:
    """Return a batch of `count` events that call `number` put."""
    known = {
        "event_bus": BUS,
        "call": call(number),
        "events": tuple(b'{"n":%d,"i":%d}' % (number, index) for index in range(count)),
        "accepted_at": float(number),
        "origin": HERE,
    }
    return EventBatch(**{**known, **fields})  # type: ignore[arg-type]


def append(number: int, count: int = 1, **fields: object) -> Append:
    """Return the append of such a batch."""
    return Append(batch(number, count, **fields))


def timer(name: str, due: float = 10.0, timers: str = LIST) -> PutTimer:
    """Return the putting of a timer whose key and body are its name."""
    return PutTimer(timers, name.encode(), due, f"body {name}".encode())


def claim(now: float, limit: int = 100, until: float | None = None) -> ClaimTimers:
    """Return a claim of what is due, for a minute."""
    return ClaimTimers(LIST, now, now + 60 if until is None else until, limit)


def names(timers: object) -> list[str]:
    """Return the keys of claimed timers."""
    assert isinstance(timers, list)
    return [timer.key.decode() for timer in timers]


async def only(store: Store, change: Change) -> object:
    """Commit one change and return its result."""
    (result,) = await store.commit([change])
    return result


async def numbers(store: Store, bus: str = BUS, after: int = 0, limit: int = 1_000) -> list[int]:
    """Return the numbers of the calls whose batches a read of the log gives."""
    batches = await store.read_log(bus, after, limit)
    return [int.from_bytes(batch.call, "big") for batch in batches]


# --- the log -----------------------------------------------------------------------------------


async def test_positions_are_dense_in_each_bus(store: Store) -> None:
    """Events are numbered from 1 without a gap, in every bus for itself, across commits too."""
    results = await store.commit(
        [append(1, 3), append(2, event_bus=OTHER_BUS), append(3, 2), append(4, event_bus=OTHER_BUS)]
    )
    last = await only(store, append(5))

    assert [r.position for r in results if isinstance(r, Appended)] == [1, 1, 4, 2]
    assert last == Appended(6, repeated=False)
    assert [await store.log_end(BUS), await store.log_end(OTHER_BUS)] == [6, 2]


async def test_commits_of_one_moment_are_read_in_the_order_of_their_positions(
    store: Store,
) -> None:
    """A replica with its cursor beside a put: whoever reads on from the end misses neither."""
    await store.commit([append(1)])
    replica = [append(2, stream=STREAM, origin=THERE, sequence=1), MoveCursor("replica", 1)]
    put, other_put = [append(3, stream=STREAM)], [append(4)]
    await asyncio.gather(*(store.commit(changes) for changes in (replica, put, other_put)))
    read = await store.read_log(BUS, 1, 10)

    assert [2, 3, 4] == [found.position for found in read]
    assert {call(2), call(3), call(4)} == {found.call for found in read}
    assert 4 == await store.log_end(BUS)


async def test_trace_headers_stay_with_their_events(store: Store) -> None:
    """Each event has its own or None; a batch without any has none at all."""
    headers = ("Root=1", None, "Root=2")
    await store.commit([append(1, 3, stream=STREAM, trace_headers=headers), append(2, 2)])
    first, second = await store.read_log(BUS, 0, 10)
    (streamed,) = await store.read_stream(STREAM, HERE, 0, 10)

    assert (headers, ()) == (first.trace_headers, second.trace_headers)
    assert (batch(1, 3).events, batch(2, 2).events) == (first.events, second.events)
    assert first == streamed


@pytest.mark.parametrize("headers", [(), ("Root=1",)], ids=["plain", "traced"])
async def test_what_was_forwarded_stays_marked(
    store: Store, headers: tuple[str | None, ...]
) -> None:
    """With trace headers or without, and its neighbours stay unmarked."""
    await store.commit([append(1, is_forwarded=True, trace_headers=headers), append(2)])
    marked, plain = await store.read_log(BUS, 0, 10)

    assert (True, False) == (marked.is_forwarded, plain.is_forwarded)
    assert (headers, batch(1).events) == (marked.trace_headers, marked.events)


async def test_sequences_are_dense_in_each_stream_and_origin(store: Store) -> None:
    """A stream's events of one origin are numbered from 1, whatever else the bus receives."""
    await store.commit(
        [
            append(1, 2, stream=STREAM),
            append(2),
            append(3, stream="other.veo"),
            append(4, stream=STREAM),
        ]
    )
    await store.commit([append(5, stream=STREAM, origin=THERE, sequence=1)])
    await store.commit([append(6, stream=STREAM)])

    own = await store.read_stream(STREAM, HERE, 0, 100)

    assert [(b.sequence, len(b.events)) for b in own] == [(1, 2), (3, 1), (4, 1)]
    assert (await store.stream_bounds(STREAM, HERE)).end == 4
    assert (await store.stream_bounds(STREAM, THERE)).end == 1
    assert (await store.stream_bounds("other.veo", HERE)).end == 1


async def test_what_was_never_there_ends_at_zero(store: Store) -> None:
    """A bus, a stream, a cursor and a list that nobody used are empty, not errors."""
    await store.commit([append(1)])

    assert await store.log_end("none") == 0
    assert await store.position_at("none", 1e12) == 0
    assert (await store.stream_bounds("none", HERE)).end == 0
    assert await store.read_log("none", 0, 10) == []
    assert await store.read_stream("none", HERE, 0, 10) == []
    assert await store.cursor("none") == 0
    assert await store.next_due("none") is None
    assert await store.count_timers("none", 0.0) == TimerCounts(0, 0, 0)
    assert await store.documents("none") == []


async def test_a_batch_reads_back_whole(store: Store) -> None:
    """Every field of a batch comes back as it was, with its position and sequence."""
    put = batch(7, 3, stream=STREAM, accepted_at=1_700_000_000.125)
    await store.commit([append(1), Append(put)])

    kept = msgspec.structs.replace(put, position=2, sequence=1)

    assert await store.read_log(BUS, 1, 1) == [kept]
    assert await store.read_stream(STREAM, HERE, 0, 1) == [kept]


@pytest.mark.parametrize("together", [True, False], ids=["in one commit", "in two commits"])
async def test_a_repeated_call_is_kept_once(store: Store, together: bool) -> None:
    """A call that the bus holds is left out, and its result names the first one's position."""
    first, second = append(1), append(2, 3, stream=STREAM)
    again = append(2, 3, stream=STREAM, accepted_at=99.0)
    if together:
        results = await store.commit([first, second, again, append(3, stream=STREAM)])
    else:
        results = await store.commit([first, second])
        results += await store.commit([again, append(3, stream=STREAM)])

    assert results == [
        Appended(1, repeated=False),
        Appended(2, repeated=False),
        Appended(2, repeated=True),
        Appended(5, repeated=False),
    ]
    assert await numbers(store) == [1, 2, 3]
    assert (await store.stream_bounds(STREAM, HERE)).end == 4


async def test_one_call_on_two_buses_is_two_batches(store: Store) -> None:
    """A call may put events on several buses: it is known again in each of them only."""
    results = await store.commit([append(1), append(1, event_bus=OTHER_BUS)])
    again = await only(store, append(1, event_bus=OTHER_BUS))

    assert results == [Appended(1, repeated=False), Appended(1, repeated=False)]
    assert again == Appended(1, repeated=True)
    assert (await store.read_log(OTHER_BUS, 0, 9))[0].event_bus == OTHER_BUS


async def test_a_replica_keeps_its_origin_and_sequence(store: Store) -> None:
    """A batch from another Region keeps the numbers that its origin gave it."""
    await store.commit([append(1, stream=STREAM)])
    await store.commit([append(2, 4, stream=STREAM, origin=THERE, sequence=1)])
    await store.commit([append(3, 2, stream=STREAM, origin=THERE, sequence=5)])

    replicas = await store.read_stream(STREAM, THERE, 0, 100)

    assert [(b.origin, b.sequence, b.position) for b in replicas] == [(THERE, 1, 2), (THERE, 5, 6)]
    assert (await store.stream_bounds(STREAM, THERE)).end == 6
    assert (await store.stream_bounds(STREAM, HERE)).end == 1


@pytest.mark.parametrize(
    ("after", "expected"),
    [(0, [1, 2, 3]), (1, [1, 2, 3]), (2, [1, 2, 3]), (3, [2, 3]), (4, [3]), (5, [3]), (6, [])],
)
async def test_a_log_is_read_from_any_position(
    store: Store, after: int, expected: list[int]
) -> None:
    """A read gives every batch that holds an event beyond `after`, also one that begins before."""
    await store.commit([append(1, 3), append(2, 1), append(3, 2)])

    assert await numbers(store, after=after) == expected


@pytest.mark.parametrize(
    ("after", "expected"), [(0, [1, 4]), (2, [1, 4]), (3, [4]), (4, [4]), (5, [])]
)
async def test_a_stream_is_read_from_any_sequence(
    store: Store, after: int, expected: list[int]
) -> None:
    """A read of a stream gives every batch that holds an event beyond `after`."""
    await store.commit([append(1, 3, stream=STREAM), append(2), append(3, 2, stream=STREAM)])

    batches = await store.read_stream(STREAM, HERE, after, 100)

    assert [b.sequence for b in batches] == expected


@pytest.mark.parametrize(
    ("limit", "count"), [(0, 1), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (9, 3)]
)
async def test_a_read_stops_once_it_has_enough(store: Store, limit: int, count: int) -> None:
    """A read ends with the batch that reaches the limit, and always has one if there is one."""
    await store.commit([append(n, 2, stream=STREAM) for n in (1, 2, 3)])

    assert len(await store.read_log(BUS, 0, limit)) == count
    assert len(await store.read_stream(STREAM, HERE, 0, limit)) == count


async def test_a_read_stops_once_it_has_enough_bytes(store: Store) -> None:
    """A read ends with the batch that reaches the limit in bytes, whatever the limit in events."""
    quarter = b"x" * (READ_BYTES_MAX // 4)
    await store.commit(
        [append(n, events=(quarter, quarter[1:]), stream=STREAM) for n in range(1, 6)]
    )
    counts = []
    for after in (0, 6, 8):
        log = await store.read_log(BUS, after, 1_000)
        stream = await store.read_stream(STREAM, HERE, after, 1_000)
        counts.append((len(log), len(stream)))

    assert counts == [(3, 3), (2, 2), (1, 1)]


async def test_a_read_gives_a_batch_however_large(store: Store) -> None:
    """A batch beyond the limit in bytes is read alone: nothing is too large to be got past."""
    huge = b"x" * (READ_BYTES_MAX + 1)
    await store.commit([append(1, events=(huge,)), append(2)])

    assert await numbers(store) == [1]
    assert await numbers(store, after=1) == [2]


async def test_buses_are_read_apart(store: Store) -> None:
    """A read of one bus never gives a batch of another."""
    await store.commit([append(n, event_bus=(BUS, OTHER_BUS)[n % 2]) for n in range(1, 7)])

    assert await numbers(store) == [2, 4, 6]
    assert await numbers(store, OTHER_BUS) == [1, 3, 5]


async def test_position_at_ends_before_the_first_younger_batch(store: Store) -> None:
    """What is older than a time is the log's beginning: a late replica takes nothing along."""
    await store.commit([append(1, 2, accepted_at=10.0), append(2, accepted_at=20.0)])
    await store.commit([append(3, accepted_at=12.0, origin=THERE), append(4, accepted_at=30.0)])

    positions = [await store.position_at(BUS, moment) for moment in (10.0, 10.1, 20.0, 20.1, 31.0)]

    assert positions == [0, 2, 2, 4, 5]


async def test_the_buses_with_events_are_listed(store: Store) -> None:
    """Every bus that ever had an event is listed by name, also after a trim of all of it."""
    await store.commit([append(1), append(2, event_bus=OTHER_BUS), Trim("000000000000/none", 9)])
    await store.commit([Trim(BUS, 2)])

    assert await store.event_buses() == [OTHER_BUS, BUS]


# --- trimming ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("before", "kept"), [(0, [1, 2, 3]), (3, [1, 2, 3]), (4, [2, 3]), (6, [3]), (7, []), (99, [])]
)
async def test_a_trim_takes_whole_batches(store: Store, before: int, kept: list[int]) -> None:
    """A trim removes the batches that end before a position, of one bus only."""
    await store.commit([append(1, 3), append(2, 2), append(3), append(9, event_bus=OTHER_BUS)])

    await store.commit([Trim(BUS, before)])

    assert await numbers(store) == kept
    assert await numbers(store, OTHER_BUS) == [9]


async def test_a_trim_removes_so_many_batches_at_a_time(store: Store) -> None:
    """The oldest go first, and the result tells whether there may be more."""
    await store.commit([append(n) for n in range(1, TRIM_BATCH_COUNT + 8)])
    trim = Trim(BUS, TRIM_BATCH_COUNT + 6)

    first, left = await only(store, trim), await numbers(store, limit=1)
    rest = [await only(store, trim) for _ in range(2)]

    assert (first, left) == (TRIM_BATCH_COUNT, [TRIM_BATCH_COUNT + 1])
    assert rest == [5, 0]
    assert await numbers(store) == [TRIM_BATCH_COUNT + 6, TRIM_BATCH_COUNT + 7]


@pytest.mark.parametrize(("before", "start"), [(0, 1), (3, 1), (4, 4), (5, 4), (99, 0)])
async def test_a_stream_starts_with_what_it_still_holds(
    store: Store, before: int, start: int
) -> None:
    """A trim takes a stream's first events away; one that holds nothing starts at 0."""
    await store.commit([append(1, 3, stream=STREAM), append(2), append(3, 2, stream=STREAM)])
    await store.commit([Trim(BUS, before)])

    assert (await store.stream_bounds(STREAM, HERE)).start == start
    assert (await store.stream_bounds(STREAM, THERE)).start == 0


async def test_a_stream_says_what_was_trimmed(store: Store) -> None:
    """Who compares two copies of a stream can tell what retention took from what is missing."""
    await store.commit(
        [append(n, 2, stream=STREAM, origin=THERE, sequence=2 * n - 1) for n in (1, 2, 3)]
    )
    untouched = await store.stream_bounds(STREAM, THERE)
    await store.commit([Trim(BUS, 5)])

    assert untouched == StreamBounds(trimmed=0, start=1, end=6)
    assert await store.stream_bounds(STREAM, THERE) == StreamBounds(trimmed=4, start=5, end=6)
    assert await store.stream_bounds(STREAM, HERE) == StreamBounds(0, 0, 0)


async def test_a_streams_keys_are_its_batches_without_their_events(store: Store) -> None:
    """A range gives the batches that begin in it, in order of sequence, of one origin only."""
    await store.commit([append(1, 3, stream=STREAM), append(2), append(3, 2, stream=STREAM)])
    await store.commit([append(4, stream=STREAM, origin=THERE, sequence=1)])
    first, second = BatchKey(1, 3, call(1)), BatchKey(4, 2, call(3))

    assert await store.stream_keys(STREAM, HERE, 1, 99) == [first, second]
    assert await store.stream_keys(STREAM, HERE, 2, 4) == [second]
    assert await store.stream_keys(STREAM, HERE, 2, 3) == []
    assert await store.stream_keys(STREAM, THERE, 1, 1) == [BatchKey(1, 1, call(4))]
    assert await store.stream_keys("none", HERE, 1, 99) == []


async def test_a_batch_that_comes_late_takes_its_place_in_the_stream(store: Store) -> None:
    """A repaired replica is read in order of sequence, and sets the stream's end back nowhere."""
    late = append(1, 2, stream=STREAM, origin=THERE, sequence=1)
    await store.commit([append(2, 2, stream=STREAM, origin=THERE, sequence=3)])
    await store.commit([late])
    calls = [b.call for b in await store.read_stream(STREAM, THERE, 0, 99)]

    assert calls == [call(1), call(2)]
    assert await store.stream_bounds(STREAM, THERE) == StreamBounds(trimmed=0, start=1, end=4)


async def test_known_calls_are_those_in_any_log(store: Store) -> None:
    """A call is known on whatever bus it is, and not any more once it is trimmed."""
    await store.commit([append(1), append(2, event_bus=OTHER_BUS), append(3)])
    await store.commit([Trim(BUS, 2)])

    assert await store.known_calls([call(n) for n in (1, 2, 3, 4)]) == {call(2), call(3)}
    assert await store.known_calls([]) == set()


async def test_an_append_says_whose_batch_the_log_has(store: Store) -> None:
    """Origin and last sequence are those of the batch that is there, a repeated one's too."""
    replica = append(1, 3, stream=STREAM, origin=THERE, sequence=1)
    results = await store.commit([replica, append(2, 2, stream=STREAM), append(3)])
    results += await store.commit([append(1, 3, stream=STREAM), append(2, 2, stream=STREAM)])
    told = [(r.origin, r.last_sequence) for r in results if isinstance(r, Appended)]

    assert told == [(THERE, 3), (HERE, 2), (HERE, 0), (THERE, 3), (HERE, 2)]


async def test_numbers_are_never_given_out_twice(store: Store) -> None:
    """Positions and sequences go on after everything was trimmed."""
    await store.commit(
        [append(1, 3, stream=STREAM), append(2, 2, stream=STREAM, origin=THERE, sequence=1)]
    )
    await store.commit([Trim(BUS, 99)])
    assert await store.log_end(BUS) == 5
    assert (await store.stream_bounds(STREAM, HERE)).end == 3
    assert (await store.stream_bounds(STREAM, THERE)).end == 2

    result = await only(store, append(3, stream=STREAM))

    assert result == Appended(6, repeated=False)
    assert [b.sequence for b in await store.read_stream(STREAM, HERE, 0, 9)] == [4]


async def test_a_trimmed_call_is_new_again(store: Store) -> None:
    """A call is known as long as the log holds it, and no longer."""
    await store.commit([append(1)])
    await store.commit([Trim(BUS, 2)])

    assert await only(store, append(1)) == Appended(2, repeated=False)


async def test_a_trim_and_an_append_in_one_commit(store: Store) -> None:
    """A commit's changes take effect in order: what is appended before a trim can go with it."""
    await store.commit([append(1), Trim(BUS, 2), append(2), append(3), Trim(BUS, 3)])

    assert await numbers(store) == [3]
    assert await store.log_end(BUS) == 3


# --- documents and cursors ---------------------------------------------------------------------


async def test_a_document_is_versioned(store: Store) -> None:
    """A document's version starts at 1 and grows by one; its value is the last one."""
    results = await store.commit([PutDocument("a", b"1"), PutDocument("a", b"2")])
    results += await store.commit([PutDocument("a", b"3", expected_version=2)])

    assert results == [1, 2, 3]
    assert await store.documents("") == [Document("a", 3, b"3")]


async def test_a_deleted_document_is_gone(store: Store) -> None:
    """Deleting removes a document, and deleting again succeeds; a new one begins at version 1."""
    await store.commit([PutDocument("a", b"1"), PutDocument("a", b"2")])
    results = await store.commit(
        [DeleteDocument("a", 2), DeleteDocument("a"), DeleteDocument("b", 0)]
    )

    assert results == [True, False, False]
    assert await store.documents("") == []
    assert await only(store, PutDocument("a", b"3", expected_version=0)) == 1


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(PutDocument("a", b"x", 0), id="put where it must not exist"),
        pytest.param(PutDocument("a", b"x", 2), id="put with a later version"),
        pytest.param(PutDocument("none", b"x", 1), id="put where it must exist"),
        pytest.param(DeleteDocument("a", 0), id="delete with an earlier version"),
        pytest.param(DeleteDocument("none", 1), id="delete what does not exist"),
    ],
)
async def test_a_conflict_leaves_nothing_of_the_commit(store: Store, change: Change) -> None:
    """Where a version is not the expected one, nothing else of the commit happened either."""
    await store.commit([PutDocument("a", b"1"), timer("t"), append(1), MoveCursor("c", 1)])

    with pytest.raises(Conflict, match="version"):
        await store.commit(
            [
                append(2),
                PutDocument("new", b"1"),
                timer("u"),
                claim(99.0),
                MoveCursor("c", 2),
                change,
                DropTimers(LIST),
                Trim(BUS, 99),
            ]
        )

    assert await store.documents("") == [Document("a", 1, b"1")]
    assert await numbers(store) == [1]
    assert await store.cursor("c") == 1
    assert await store.count_timers(LIST, 9.0) == TimerCounts(0, 0, 1)
    assert await only(store, append(3)) == Appended(2, repeated=False)


async def test_versions_are_compared_with_what_stood_before(store: Store) -> None:
    """An expected version speaks of the store before the commit, not of its earlier changes."""
    results = await store.commit([PutDocument("a", b"1", 0), PutDocument("a", b"2", 0)])

    assert results == [1, 2]


ODD_KEYS = [
    "",
    "a",
    "a%",
    "a*",
    "a/",
    "a/b",
    "a/\x00",
    "a/\x00z",
    "a/é",
    "a/\uffff",
    "a/\U0001f600",
    "a/\U0010ffff",
    "a/\U0010ffffz",
    "a0",
    "a_",
    "b",
    "A/b",
    "'; --",
]


@pytest.mark.parametrize("prefix", ODD_KEYS, ids=ascii)
async def test_documents_are_listed_by_prefix(store: Store, prefix: str) -> None:
    """A listing has exactly the keys that start with the prefix, in order of code points."""
    await store.commit([PutDocument(key, key.encode()) for key in reversed(ODD_KEYS)])

    listed = [document.key for document in await store.documents(prefix)]

    assert listed == sorted(key for key in ODD_KEYS if key.startswith(prefix))


async def test_a_cursor_moves_both_ways(store: Store) -> None:
    """A cursor is where it was last put, whichever direction that was."""
    await store.commit([MoveCursor("a", 7), MoveCursor("b", 1)])
    await store.commit([MoveCursor("a", 3)])

    assert [await store.cursor("a"), await store.cursor("b")] == [3, 1]


# --- timers ------------------------------------------------------------------------------------


async def test_a_timer_put_twice_is_put_once(store: Store) -> None:
    """A key that the list holds is left as it is; another list may hold it as well."""
    results = await store.commit([timer("a"), timer("a", 1.0), timer("a", 1.0, timers="other")])
    results += await store.commit([timer("a", 2.0)])

    assert results == [True, False, True, False]
    assert await store.next_due(LIST) == 10.0


async def test_claims_take_the_earliest_due_first_then_the_first_put(store: Store) -> None:
    """Due timers are claimed by due time, and by the order of putting where that is the same."""
    await store.commit([timer("c", 5), timer("b", 3), timer("z", 3), timer("a", 3), timer("d", 1)])
    await store.commit([timer("later", 20)])

    assert names(await only(store, claim(5.0))) == ["d", "b", "z", "a", "c"]


async def test_a_claim_takes_no_more_than_its_limit(store: Store) -> None:
    """What is beyond the limit stays due for the next claim."""
    await store.commit([timer(name, 1) for name in "abcde"])

    claimed = [names(await only(store, claim(1.0, limit=2))) for _ in range(4)]

    assert claimed == [["a", "b"], ["c", "d"], ["e"], []]


async def test_a_claimed_timer_is_shown_as_it_now_stands(store: Store) -> None:
    """A claim counts, names the moment of the first one, and makes the timer due again later."""
    await store.commit([timer("a", 5)])

    first = await only(store, claim(7.0, until=30.0))
    nothing = await only(store, claim(29.9))
    second = await only(store, claim(30.0, until=90.0))

    assert first == [Timer(b"a", 30.0, 1, 7.0, b"body a")]
    assert nothing == []
    assert second == [Timer(b"a", 90.0, 2, 7.0, b"body a")]


async def test_a_claim_sees_what_its_own_commit_put(store: Store) -> None:
    """A commit's changes take effect in order for timers too."""
    results = await store.commit([timer("a", 1), claim(1.0), timer("b", 1), claim(1.0)])

    assert [names(results[1]), names(results[3])] == [["a"], ["b"]]


@pytest.mark.parametrize(
    ("stated", "removed"), [(None, True), (2, True), (1, False), (3, False)], ids=str
)
async def test_an_ack_needs_the_latest_claim(
    store: Store, stated: int | None, removed: bool
) -> None:
    """An ack with an earlier claim removes nothing; one without a claim always removes."""
    await store.commit([timer("a", 1), claim(1.0), claim(61.0)])

    assert await only(store, AckTimer(LIST, b"a", stated)) is removed
    assert await only(store, AckTimer(LIST, b"a")) is not removed


async def test_an_unclaimed_timer_has_claim_zero(store: Store) -> None:
    """A timer that was never claimed is acknowledged with claim 0."""
    await store.commit([timer("a")])

    assert await store.commit([AckTimer(LIST, b"a", 1), AckTimer(LIST, b"a", 0)]) == [False, True]


@pytest.mark.parametrize(
    ("stated", "moved"), [(None, True), (1, True), (0, False), (2, False)], ids=str
)
async def test_a_move_needs_the_latest_claim(store: Store, stated: int | None, moved: bool) -> None:
    """A move with an earlier claim changes neither due time nor body."""
    await store.commit([timer("a", 1), claim(1.0)])

    assert await only(store, MoveTimer(LIST, b"a", 2.0, stated, b"new")) is moved

    claimed = await only(store, claim(99.0, until=100.0))

    assert claimed == [Timer(b"a", 100.0, 2, 1.0, b"new" if moved else b"body a")]


async def test_a_move_without_a_body_keeps_it(store: Store) -> None:
    """A move changes the body only where it names one, an empty one included."""
    await store.commit([timer("a", 1), MoveTimer(LIST, b"a", 2.0), MoveTimer(LIST, b"none", 2.0)])
    kept = await only(store, claim(2.0, until=3.0))
    await store.commit([MoveTimer(LIST, b"a", 4.0, body=b"")])
    emptied = await only(store, claim(4.0, until=5.0))

    assert kept == [Timer(b"a", 3.0, 1, 2.0, b"body a")]
    assert emptied == [Timer(b"a", 5.0, 2, 2.0, b"")]


async def test_a_move_of_what_is_not_there_says_so(store: Store) -> None:
    """Moving or acknowledging a timer that is not in the list changes nothing."""
    await store.commit([timer("a", timers="other")])

    assert await store.commit([MoveTimer(LIST, b"a", 1.0), AckTimer(LIST, b"a")]) == [False, False]
    assert await store.next_due(LIST) is None


async def test_a_timer_can_be_claimed_from_birth(store: Store) -> None:
    """It stands as if it had been claimed when it was due, and a claim takes it at its end."""
    heard: list[frozenset[str]] = []
    store.subscribe(lambda _buses, lists: heard.append(lists))
    born = PutTimer(LIST, b"a", 10.0, b"body", claimed_until=40.0)
    results = [await only(store, born) for _ in range(2)]
    counts = await store.count_timers(LIST, 20.0)
    too_early = await only(store, claim(now=39.0))
    [taken] = cast("list[Timer]", await only(store, claim(now=40.0, until=70.0)))

    assert results == [True, False]
    assert (counts.due, counts.claimed, counts.waiting) == (0, 1, 0)
    assert too_early == []
    assert taken == Timer(b"a", 70.0, 2, 10.0, b"body")
    assert heard == []


async def test_a_dropped_list_is_empty(store: Store) -> None:
    """Dropping says how many timers went, and touches no other list."""
    await store.commit([timer("a"), timer("b"), timer("c", timers="other")])

    assert await store.commit([DropTimers(LIST), DropTimers(LIST)]) == [2, 0]
    assert await store.next_due("other") == 10.0
    assert await only(store, timer("a")) is True


async def test_next_due_is_the_earliest(store: Store) -> None:
    """The list's earliest timer counts, claimed or not; time 0 is a time."""
    await store.commit([timer("a", 7), timer("b", 3)])
    earliest = await store.next_due(LIST)
    await store.commit([claim(3.0, until=50.0)])
    after_claim = await store.next_due(LIST)
    await store.commit([timer("c", 0.0)])

    assert [earliest, after_claim, await store.next_due(LIST)] == [3.0, 7.0, 0.0]


async def test_timers_are_counted_by_what_they_wait_for(store: Store) -> None:
    """Counts tell due timers, claimed ones and those that wait for their first time."""
    await store.commit([timer("a", 1), timer("b", 2), timer("c", 3), timer("d", 4), timer("e", 9)])
    await store.commit([claim(2.0, until=20.0)])

    assert await store.count_timers(LIST, 3.0) == TimerCounts(due=1, claimed=2, waiting=2)
    assert await store.count_timers(LIST, 20.0) == TimerCounts(due=5, claimed=0, waiting=0)


async def read_on(store: Store, after: float, before: float, limit: int) -> list[bytes]:
    """Return the keys of a list's timers, read in pages of `limit`."""
    keys: list[bytes] = []
    place = (after, 0)
    while timers := await store.read_timers(LIST, place, before, limit):
        assert len(timers) <= limit
        keys += [timer.key for timer in timers]
        place = (timers[-1].due, timers[-1].put_order)
    return keys


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_timers_are_read_in_order_of_time(store: Store, limit: int) -> None:
    """From a time, that included, up to another, not included; in pages that miss nothing."""
    await store.commit([timer(*entry) for entry in (("d", 4), ("b", 2), ("a", 1), ("e", 5))])
    await store.commit([timer("c", 2), timer("x", 3, timers="other")])

    assert [b"a", b"b", b"c", b"d", b"e"] == await read_on(store, float("-inf"), 9.0, limit)
    assert [b"b", b"c", b"d"] == await read_on(store, 2.0, 5.0, limit)
    assert [] == await read_on(store, 2.1, 4.0, limit)


async def test_reading_timers_claims_none(store: Store) -> None:
    """What is read is what was put, and is still to be claimed."""
    await store.commit([timer("a", 1)])
    read = await store.read_timers(LIST, (0.0, 0), 9.0, 9)

    assert read == [Timer(b"a", 1.0, 0, 0.0, b"body a")]
    assert (await store.count_timers(LIST, 0.0)).waiting == 1


async def test_a_read_of_timers_stops_at_its_bytes(store: Store) -> None:
    """However large a timer's body, one is returned."""
    body = bytes(READ_BYTES_MAX)
    await store.commit([PutTimer(LIST, b"%d" % n, float(n), body) for n in range(2)])

    assert [b"0", b"1"] == await read_on(store, 0.0, 9.0, 9)
    assert 1 == len(await store.read_timers(LIST, (0.0, 0), 9.0, 9))


async def test_timers_are_measured(store: Store) -> None:
    """How many, and the bytes of their bodies."""
    await store.commit([timer("a"), timer("bc"), timer("d", timers="other")])

    assert (2, len(b"body a" + b"body bc")) == await store.measure_timers(LIST)
    assert (0, 0) == await store.measure_timers("none")


# --- listeners, closing, many at once ----------------------------------------------------------


async def test_listeners_hear_what_grew(store: Store) -> None:
    """A listener is told the buses and lists of a commit, and nothing of commits without any."""
    heard: list[tuple[frozenset[str], frozenset[str]]] = []
    store.subscribe(lambda buses, lists: heard.append((buses, lists)))

    await store.commit([append(1), timer("a"), append(2, event_bus=OTHER_BUS)])
    await store.commit(
        [PutDocument("a", b""), MoveCursor("c", 1), claim(99.0), AckTimer(LIST, b"a")]
    )
    await store.commit([MoveTimer("other", b"a", 1.0)])

    assert heard == [
        (frozenset({BUS, OTHER_BUS}), frozenset({LIST})),
        (frozenset(), frozenset({"other"})),
    ]


async def test_listeners_hear_nothing_of_a_conflict(store: Store) -> None:
    """A commit that was not applied is not announced."""
    heard: list[object] = []
    store.subscribe(lambda buses, lists: heard.append((buses, lists)))

    with pytest.raises(Conflict):
        await store.commit([append(1), PutDocument("a", b"", expected_version=1)])

    assert heard == []


async def test_an_empty_commit_does_nothing(store: Store) -> None:
    """A commit without changes succeeds."""
    assert await store.commit([]) == []


async def test_a_closed_store_takes_nothing(store: Store) -> None:
    """A commit after close fails with a sentence, and closing twice is closing once."""
    await store.commit([append(1)])
    await store.close()
    await store.close()

    with pytest.raises(StoreFailed, match=r"closed\.$"):
        await store.commit([append(2)])


async def test_closing_finishes_what_was_asked(store: Store) -> None:
    """Commits that were asked for before close are done, not dropped."""
    commits = [asyncio.create_task(store.commit([append(n)])) for n in range(1, 51)]
    await asyncio.gather(*commits[:1])
    await store.close()

    results = await asyncio.gather(*commits)

    assert [r[0].position for r in results if isinstance(r[0], Appended)] == list(range(1, 51))


async def test_many_commits_at_once_are_all_kept(store: Store) -> None:
    """Commits of many tasks share the writer: positions stay dense, conflicts stay their own."""

    async def put(number: int) -> int:
        if number % 10 == 0:
            with pytest.raises(Conflict):
                await store.commit([append(number, 2), PutDocument("none", b"", 7)])
            return 0
        appended, version = await store.commit([append(number, 2), PutDocument("count", b"")])
        assert isinstance(appended, Appended)
        assert isinstance(version, int)
        return appended.position

    positions = await asyncio.gather(*(put(number) for number in range(1, 301)))

    assert sorted(p for p in positions if p) == list(range(1, 541, 2))
    assert await store.log_end(BUS) == 540
    assert [d.version for d in await store.documents("count")] == [270]


async def test_logs_are_read_in_order_whatever_was_committed_at_once(store: Store) -> None:
    """Appends alone, and with cursors or documents, of several streams and buses, share a sync."""
    with_others = ([], [MoveCursor("c", 1)], [PutDocument("d", b"")])
    commits: list[list[Change]] = []
    for number in range(1, 61):
        bus = BUS if number % 5 else OTHER_BUS
        batch = append(number, number % 3 + 1, event_bus=bus, stream="s" if number % 2 else None)
        commits.append([batch, *with_others[number % 3]])
    appended = await asyncio.gather(*(store.commit(each) for each in commits))
    repeated = await store.commit([append(1, 2, stream="s"), append(61, stream="s")])

    assert [each[0].repeated for each in appended] == [False] * 60
    assert [each.repeated for each in repeated] == [True, False]
    for event_bus in (BUS, OTHER_BUS):
        end = await store.log_end(event_bus)
        for after in range(end + 1):
            batches = await store.read_log(event_bus, after, 1_000)
            read = [b.position + n for b in batches for n in range(len(b.events))]
            assert [position for position in read if position > after] == [
                *range(after + 1, end + 1)
            ]
    end = (await store.stream_bounds("s", append(1).batch.origin)).end
    for after in range(end + 1):
        batches = await store.read_stream("s", append(1).batch.origin, after, 1_000)
        read = [b.sequence + n for b in batches for n in range(len(b.events))]
        assert [sequence for sequence in read if sequence > after] == [*range(after + 1, end + 1)]


async def test_a_cancelled_caller_leaves_the_others_alone(store: Store) -> None:
    """A commit whose caller has gone does not disturb those that share its sync."""
    commits = [asyncio.create_task(store.commit([append(n)])) for n in range(1, 11)]
    await asyncio.gather(commits[0])
    commits[4].cancel()

    results = await asyncio.gather(*commits, return_exceptions=True)

    assert sum(isinstance(result, list) for result in results) >= 9
    assert await only(store, append(99)) == Appended(await store.log_end(BUS), repeated=False)
