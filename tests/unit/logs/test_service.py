"""Log groups' events: durable, once, in order of time."""

from __future__ import annotations

import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.logs.service import LogGone, LogService
from farspan.model.event import CallId
from farspan.model.log_group import LogEvent, LogGroup
from farspan.store.memory import MemoryStore

ACCOUNT = "000000000000"


class StillClock(SystemClock):
    """Time that stands still."""

    def now(self) -> float:
        """See `Clock.now`."""
        return 100.0


class Bench:
    """A service over a memory store, with one group."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.resources = Resources("us-east-1", self.store)
        self.logs = LogService(self.resources, StillClock(), SeededIds(1))
        self.group = LogGroup(region="us-east-1", account=ACCOUNT, name="g", log_id="one")

    async def write(self, call: int, *events: tuple[int, str], stream: str = "s") -> None:
        """Write events under a call."""
        batch = (CallId(bytes([call]) * 14), [LogEvent("", at, text) for at, text in events])
        await self.logs.write(self.group, stream, [batch])

    async def read(self, limit: int = 10, *, from_end: bool = False) -> str:
        """Return the messages of a page."""
        found = await self.logs.read(self.group, lambda _: True, limit, from_end=from_end)
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
