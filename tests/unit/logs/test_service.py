"""Log groups' events: durable, once, in order of time."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.logs import service as module
from farspan.logs.service import LogGone, LogService
from farspan.model.event import CallId, EventBatch
from farspan.model.log_group import LogEvent, LogGroup
from farspan.store.base import Trim
from farspan.store.memory import MemoryStore

ACCOUNT = "000000000000"


class StillClock(SystemClock):
    """Time that stands still until it is set."""

    time = 100.0

    def now(self) -> float:
        """See `Clock.now`."""
        return self.time


class CountingStore(MemoryStore):
    """Counts the batches that are read."""

    read_count = 0

    async def read_log(self, event_bus: str, after: int, limit: int) -> list[EventBatch]:
        """See `base.Store.read_log`."""
        batches = await super().read_log(event_bus, after, limit)
        self.read_count += len(batches)
        return batches


class Bench:
    """A service over a memory store, with one group."""

    def __init__(self) -> None:
        self.store = CountingStore()
        self.clock = StillClock()
        self.resources = Resources("us-east-1", self.store)
        self.logs = LogService(self.resources, self.clock, SeededIds(1))
        self.group = LogGroup(region="us-east-1", account=ACCOUNT, name="g", log_id="one")

    async def write(self, call: int, *events: tuple[int, str], stream: str = "s") -> None:
        """Write events under a call."""
        batch = (CallId(call.to_bytes(14, "big")), [LogEvent("", at, text) for at, text in events])
        await self.logs.write(self.group, stream, [batch])

    async def read(
        self,
        limit: int = 10,
        *,
        start: int = 0,
        end: int = 2**63,
        stream: str = "",
        from_end: bool = False,
    ) -> str:
        """Return the messages of a page, of all streams whose names begin so."""
        streams = self.logs.streams(self.group, stream)
        ids = {one.stream_id for one in streams}
        found = await self.logs.read(
            self.group,
            streams,
            (start, end),
            lambda kept: kept.event.stream_id in ids and start <= kept.place.timestamp < end,
            limit,
            from_end=from_end,
        )
        return "".join(kept.event.message for kept in found)


@pytest.fixture
async def bench() -> Bench:
    """Return a service whose group is there."""
    made = Bench()
    await made.resources.load(0.0)
    await made.resources.save(made.group, now=0.0)
    return made


async def test_reads_are_in_order_of_time(bench: Bench) -> None:
    """Events of one time stay in order of arrival; a page is taken from either end."""
    await bench.write(1, (5, "c"), (9, "e"))
    await bench.write(2, (1, "a"), (5, "d"))
    await bench.write(3, (1, "b"))

    assert ("abcde", "ab", "de") == (
        await bench.read(),
        await bench.read(2),
        await bench.read(2, from_end=True),
    )


async def test_a_repeated_call_is_one(bench: Bench) -> None:
    """What was written and is written again is there once."""
    for _ in range(2):
        await bench.write(1, (1, "a"))

    assert "a" == await bench.read()


async def test_a_write_is_one_commit_with_its_stream(bench: Bench) -> None:
    """A stream that is made on the way tells of its events at once, after a restart as well."""
    await bench.write(1, (5, "a"), (9, "b"))
    await bench.write(2, (7, "c"))
    again = Resources("us-east-1", bench.store)
    await again.load(0.0)
    (stream,) = LogService(again, StillClock(), SeededIds(2)).streams(bench.group)

    assert (5, 9, 100_000) == (
        stream.first_event_timestamp,
        stream.last_event_timestamp,
        stream.last_ingestion_time,
    )


async def test_a_deleted_group_takes_nothing(bench: Bench) -> None:
    """Its log is empty, and neither it nor a new one of the name gets late writes."""
    await bench.write(1, (1, "a"))
    await bench.logs.remove_group(bench.group)
    with pytest.raises(LogGone):
        await bench.write(2, (1, "b"))
    successor = LogGroup(region="us-east-1", account=ACCOUNT, name="g", log_id="two")
    await bench.resources.save(successor, now=0.0)
    with pytest.raises(LogGone):
        await bench.write(3, (1, "c"))

    assert "" == await bench.read()
    assert [] == bench.logs.streams(bench.group)


WRITE = st.tuples(
    st.integers(-3, 20),  # seconds that the clock moves before it
    st.lists(st.integers(-40, 15), min_size=1, max_size=4),  # seconds from now, of its events
    st.sampled_from("st"),
)


@settings(deadline=None)
@given(
    st.lists(WRITE, max_size=30),
    st.integers(0, 300),
    st.integers(0, 300),
    st.integers(1, 12),
    st.sampled_from(["", "s"]),
    st.booleans(),
)
async def test_what_is_not_read_is_not_missing(
    writes: list[tuple[int, list[int], str]],
    start: int,
    width: int,
    limit: int,
    stream: str,
    from_end: bool,
) -> None:
    """A read finds what reading the whole group would, however late or early its events came."""
    patch = pytest.MonkeyPatch()
    patch.setattr(module, "READ_EVENT_COUNT", 3)
    bench, every = Bench(), []
    await bench.resources.load(0.0)
    await bench.resources.save(bench.group, now=0.0)
    order = 0
    for call, (moved, offsets, name) in enumerate(writes):
        bench.clock.time = max(0.0, bench.clock.time + moved)
        events = []
        for offset in offsets:
            at = int(bench.clock.time * 1_000) + offset * 1_000
            events.append((at, f"{order} "))
            every.append((at, order, name))
            order += 1
        await bench.write(call, *events, stream=name)
    start, end = start * 1_000, (start + width) * 1_000
    wanted = sorted(
        one for one in every if start <= one[0] < end and (not stream or one[2] == stream)
    )
    page = wanted[-limit:] if from_end else wanted[:limit]
    found = await bench.read(limit, start=start, end=end, stream=stream, from_end=from_end)
    patch.undo()

    assert [number for _, number, _ in page] == list(map(int, found.split()))


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ({"start": 1_000_000, "limit": 3}, "900 901 902 "),
        ({"from_end": True, "limit": 3}, "997 998 999 "),
        ({"start": 500_000, "end": 503_000, "limit": 10}, "400 401 402 "),
        ({"end": 103_000, "limit": 10}, "0 1 2 "),
        ({"end": 103_000, "limit": 2, "from_end": True}, "1 2 "),
    ],
)
async def test_a_read_is_short(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, page: dict[str, Any], texts: str
) -> None:
    """Of a long log only that part is read in which the events can be."""
    monkeypatch.setattr(module, "READ_EVENT_COUNT", 10)
    for number in range(1_000):
        bench.clock.time = 100.0 + number
        await bench.write(number, (100_000 + number * 1_000, f"{number} "))
    bench.store.read_count = 0

    assert texts == await bench.read(**page)
    assert 60 > bench.store.read_count


async def test_a_trimmed_log_is_read_to_where_it_begins(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What retention took is not looked for, from either end."""
    monkeypatch.setattr(module, "READ_EVENT_COUNT", 4)
    for number in range(30):
        bench.clock.time = 100.0 + number
        await bench.write(number, (100_000 + number * 1_000, f"{number} "))
    await bench.store.commit([Trim(bench.group.log_key, 26)])

    assert "25 26 27 28 29 " == await bench.read(from_end=True)
    assert "25 26 27 28 29 " == await bench.read()
