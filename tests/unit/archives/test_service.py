"""Archives over the memory engine: what comes in, what is read, what leaves."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import msgspec
import pytest

from farspan.archives.service import BEFORE_ALL, DAY_SECONDS, ArchiveService, Size
from farspan.model.archive import Archive
from farspan.model.delivery import DELIVERED, Delivery, Verdict
from farspan.model.event import CallId, event_id_of
from farspan.retention import remove_timers
from farspan.store.base import LEFT_PREFIX, Change, Result, StoreError
from farspan.store.memory import MemoryStore

ACCOUNT = "000000000000"
NOW = 1_700_000_000.0
ARCHIVE = Archive(
    region="us-east-1", account=ACCOUNT, name="a", uuid="u-1", event_bus_name="orders"
)


class World:
    """A store, a clock and the archive, which a test may take away."""

    def __init__(self) -> None:
        self.store = FullStore()
        self.archive: Archive | None = ARCHIVE
        self.seconds = NOW
        self.archives = self.opened()

    def opened(self) -> ArchiveService:
        """Return the archives as a new process has them."""
        return ArchiveService(
            self.store,
            self,
            lambda account, name: self.archive if (account, name) == (ACCOUNT, "a") else None,
        )

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Nobody sleeps here."""
        raise AssertionError(seconds)

    async def put(self, *numbers: int, time: float = NOW) -> None:
        """Archive events with these numbers."""
        assert [DELIVERED] * len(numbers) == await self.archives.send(
            [delivery(number, time=time) for number in numbers]
        )

    async def numbers(self, after: float = float("-inf"), before: float = 1e12) -> list[int]:
        """Return the numbers of what is archived, in order of time."""
        events = await self.archives.read(ARCHIVE, (after, 0), before, 1_000)
        return [json.loads(event.envelope)["detail"]["n"] for event in events]


class FullStore(MemoryStore):
    """A memory engine whose disk is full while it is told to be."""

    is_full = False

    async def commit(self, changes: list[Change]) -> list[Result]:  # type: ignore[override]
        """Commit, or fail."""
        if self.is_full:
            raise StoreError("The disk is full.")
        return await super().commit(changes)


@pytest.fixture
def world() -> World:
    """Return an archive without events."""
    return World()


def envelope(number: int, time: float = NOW) -> bytes:
    """Return an event."""
    return json.dumps(
        {
            "version": "0",
            "id": event_id_of(CallId(number.to_bytes(14, "big")), 0),
            "detail-type": 't","time":"1999-01-01T00:00:00Z","resources":[',
            "source": "s",
            "account": ACCOUNT,
            "time": datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": "us-east-1",
            "resources": [],
            "detail": {"n": number},
        },
        separators=(",", ":"),
    ).encode()


def delivery(number: int, *, time: float = NOW, arn: str = ARCHIVE.feed_arn) -> Delivery:
    """Return the delivery of an event to the archive."""
    payload = envelope(number, time)
    return Delivery(
        delivery_id=str(number),
        event_id=json.loads(payload)["id"],
        rule_arn="r",
        target_id="t",
        target_arn=arn,
        payload=payload,
        planned_at=NOW,
    )


async def test_events_come_back_as_they_came(world: World) -> None:
    """Byte for byte, with their time."""
    await world.put(1)
    (event,) = await world.archives.read(ARCHIVE, BEFORE_ALL, 1e12, 9)

    assert (envelope(1), NOW) == (event.envelope, event.time)


async def test_events_are_in_order_of_their_time(world: World) -> None:
    """Whatever order they came in; a window takes its start in, and leaves its end out."""
    for number in (3, 1, 2, 5, 4):
        await world.put(number, time=NOW + number)

    assert [1, 2, 3, 4, 5] == await world.numbers()
    assert [2, 3] == await world.numbers(NOW + 2, NOW + 4)


async def test_a_repeated_delivery_is_kept_once(world: World) -> None:
    """In one batch, in another, and after a restart; the size is true."""
    await world.put(1, 1, 2)
    await world.put(2)
    before = await world.archives.size(ARCHIVE)
    await world.put(1, 3)
    counted = await world.archives.size(ARCHIVE)

    assert [1, 2, 3] == await world.numbers()
    assert Size(2, len(envelope(1) + envelope(2))) == before
    assert Size(3, len(envelope(1) + envelope(2) + envelope(3))) == counted
    assert counted == await world.opened().size(ARCHIVE)


@pytest.mark.parametrize(
    "arn",
    ["arn:aws:events:us-east-1:000000000000:archive/a:u-2", "not an arn", ARCHIVE.arn],
    ids=["former", "no-arn", "without-its-id"],
)
async def test_an_archive_that_is_gone(world: World, arn: str) -> None:
    """What was meant for a former archive of that name does not get into its successor."""
    gone, kept = await world.archives.send([delivery(1, arn=arn), delivery(2)])

    assert (Verdict.PERMANENT, Verdict.DELIVERED) == (gone.verdict, kept.verdict)
    assert [2] == await world.numbers()


async def test_a_full_disk_is_tried_again(world: World) -> None:
    """Nothing is counted that was not kept."""
    assert Size(0, 0) == await world.archives.size(ARCHIVE)
    world.store.is_full = True
    (outcome,) = await world.archives.send([delivery(1)])
    world.store.is_full = False

    assert Verdict.RETRYABLE is outcome.verdict
    assert Size(0, 0) == await world.archives.size(ARCHIVE)


async def test_retention(world: World) -> None:
    """Events leave once both their time and their archiving are longer ago than that."""
    archive = msgspec.structs.replace(ARCHIVE, retention_days=7)
    await world.put(1, time=NOW)
    await world.put(2, time=NOW - 100 * DAY_SECONDS)
    world.seconds = NOW + DAY_SECONDS
    await world.put(3, time=world.seconds)
    await world.archives.size(archive)
    await world.archives.trim(archive, NOW + 7 * DAY_SECONDS)
    first = await world.numbers()
    await world.archives.trim(archive, NOW + 7 * DAY_SECONDS + 1)

    assert [2, 1, 3] == first
    assert [3] == await world.numbers()
    assert Size(1, len(envelope(3))) == await world.archives.size(archive)


async def test_a_full_disk_keeps_archives_whole_and_leaves_a_line(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What cannot be trimmed now is trimmed later; the log has a sentence and no stack trace."""
    world.archive = msgspec.structs.replace(ARCHIVE, retention_days=7)
    await world.put(1)
    world.seconds = NOW + 8 * DAY_SECONDS
    world.store.is_full = True
    await world.archives.trim_each([world.archive])
    kept = await world.numbers()
    world.store.is_full = False
    await world.archives.trim_each([world.archive])

    (record,) = caplog.records
    assert record.getMessage() == (
        f"archive was not trimmed archive={ARCHIVE.arn} error=The disk is full."
    )
    assert record.exc_info is None
    assert [1] == kept
    assert [] == await world.numbers()


async def test_no_retention_keeps_for_ever(world: World) -> None:
    """RetentionDays 0."""
    await world.put(1)
    await world.archives.trim(ARCHIVE, NOW * 2)

    assert [1] == await world.numbers()


async def test_an_archive_that_ends_is_freed(world: World) -> None:
    """The commit that removes it leaves its events to be removed in steps."""
    await world.put(1, 2)
    await world.archives.size(ARCHIVE)
    await world.store.commit([*world.archives.ending(ARCHIVE)])
    (left,) = await world.store.documents(LEFT_PREFIX)
    await remove_timers(world.store.commit, left.key.removeprefix(LEFT_PREFIX))

    assert [] == await world.numbers()
    assert Size(0, 0) == await world.archives.size(ARCHIVE)
    assert [] == await world.store.documents(LEFT_PREFIX)
