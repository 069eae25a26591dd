"""Backups: a moment of a running store, which knows that it is a copy, and overwrites nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import apsw
import pytest

from farspan.catalog.resources import Resources
from farspan.checkup import check_store
from farspan.model.bus import EventBus
from farspan.model.event import CallId, EventBatch
from farspan.store.backup import Refused, back_up, restore
from farspan.store.base import Append, MoveCursor, StoreUnusable, copied_cursor
from farspan.store.schema import FORMAT_VERSION
from farspan.store.sqlite import SqliteStore, open_store

BUS = "000000000000/orders"
STREAM = "abcde12345.veo"
HERE = "us-east-1"
NOW = 1_700_000_000.0


def append(number: int) -> Append:
    """Return the append of a batch that one call put."""
    return Append(
        EventBatch(
            event_bus=BUS,
            call=CallId(number.to_bytes(14, "big")),
            events=(b"{}", b"{}"),
            accepted_at=float(number),
            origin=HERE,
            stream=STREAM,
        )
    )


def reopen(path: Path) -> SqliteStore:
    """Open the store of a path on the running loop."""
    return open_store(path, asyncio.get_running_loop())


def write(path: Path, content: bytes) -> None:
    """Put a file there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


def content_of(path: Path) -> bytes:
    """Return a file's bytes."""
    return path.read_bytes()


def is_there(path: Path) -> bool:
    """Return whether there is a file."""
    return path.exists()


async def numbers(store: SqliteStore) -> list[int]:
    """Return the numbers of the calls in the log."""
    batches = await store.read_log(BUS, 0, 1_000_000)
    return [int.from_bytes(batch.call, "big") for batch in batches]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store is."""
    return tmp_path / HERE / "store.sqlite3"


@pytest.fixture
def backup(tmp_path: Path) -> Path:
    """Return where the backup is to be."""
    return tmp_path / "backup.sqlite3"


@pytest.fixture
def restored(tmp_path: Path) -> Path:
    """Return where the backup is to be restored."""
    return tmp_path / "new" / HERE / "store.sqlite3"


async def test_a_backup_of_a_running_store_is_one_moment_of_it(
    path: Path, backup: Path, restored: Path
) -> None:
    """Its cursor and its log are of one commit, however the writer goes on; nothing is amiss."""
    store = reopen(path)
    writing = True

    async def write() -> int:
        number = 0
        while writing:
            number += 1
            await store.commit([append(number), MoveCursor("written", number)])
        return number

    writer = asyncio.create_task(write())
    await store.commit([append(1_000_000)])
    await asyncio.to_thread(back_up, path, backup)
    writing = False
    last = await writer
    await store.close()
    await asyncio.to_thread(restore, backup, restored)

    copy = reopen(restored)
    kept = [number for number in await numbers(copy) if number < 1_000_000]

    assert kept == list(range(1, await copy.cursor("written") + 1))
    assert len(kept) <= last
    await copy.close()
    assert check_store(restored).faults == ("The store does not say to which Region it belongs.",)


async def test_a_restored_log_is_not_taken_for_the_one_it_was_copied_from(
    path: Path, backup: Path, restored: Path
) -> None:
    """It has an identity of its own, knows its parent's and how far they are the same, and once."""
    store = reopen(path)
    original = Resources(HERE, store)
    await original.load(NOW, log_id="first")
    await original.save(EventBus(region=HERE, account="0" * 12, name="orders"), now=NOW)
    await store.commit([append(1)])
    back_up(path, backup)
    await store.commit([append(2)])
    await store.close()
    restore(backup, restored)

    copy = reopen(restored)
    identities = []
    for log_id in ("second", "third"):
        resources = Resources(HERE, copy)
        await resources.load(NOW + 60, log_id=log_id)
        identities.append((resources.log_id, resources.parent_log_id, resources.version))

    assert identities == [("second", "first", int(NOW + 60) * 1_000)] * 2
    assert await copy.cursor(copied_cursor(STREAM, HERE)) == 2
    assert list(resources.event_buses) == ["000000000000/orders"]
    await copy.close()
    assert check_store(restored).faults == ()


async def test_a_backup_is_one_file_for_its_owner(path: Path, backup: Path) -> None:
    """Nothing stands beside it, and nobody else may read it."""
    await reopen(path).close()

    back_up(path, backup)

    assert sorted(os.listdir(backup.parent)) == sorted([backup.name, HERE])  # noqa: PTH208 - quick
    assert os.stat(backup).st_mode & 0o777 == 0o600  # noqa: PTH116 - quick


async def test_a_backup_overwrites_nothing(path: Path, backup: Path) -> None:
    """A name that is taken is refused, and what has it stays."""
    await reopen(path).close()
    write(backup, b"precious")

    with pytest.raises(Refused, match="overwrites nothing: choose another name"):
        back_up(path, backup)

    assert content_of(backup) == b"precious"


def test_what_is_not_there_is_not_copied(path: Path, backup: Path) -> None:
    """A store that does not exist is named, and not made."""
    with pytest.raises(StoreUnusable, match="There is no store at"):
        back_up(path, backup)

    assert not is_there(path)
    assert not is_there(backup)


async def test_restoring_overwrites_no_store(path: Path, backup: Path) -> None:
    """A store that is there, running or not, is refused and stays as it is."""
    store = reopen(path)
    await store.commit([append(1)])
    back_up(path, backup)

    with pytest.raises(StoreUnusable, match=f"in use by process {os.getpid()}\\."):
        restore(backup, path)
    await store.close()
    with pytest.raises(Refused, match="overwrites nothing: move"):
        restore(backup, path)

    store = reopen(path)
    assert await numbers(store) == [1]
    await store.close()


async def test_a_left_over_write_ahead_log_is_not_played_into_a_backup(
    path: Path, backup: Path, restored: Path
) -> None:
    """A log without its store beside the place refuses the restoring."""
    await reopen(path).close()
    back_up(path, backup)
    write(restored.with_name("store.sqlite3-wal"), b"frames")

    with pytest.raises(Refused, match=r"store\.sqlite3-wal is there"):
        restore(backup, restored)

    assert not is_there(restored)


async def test_a_store_is_not_restored_as_a_backup(path: Path, restored: Path) -> None:
    """A plain store may go on elsewhere under its identity, so it has to be backed up first."""
    await reopen(path).close()

    with pytest.raises(Refused, match="is a store and no backup"):
        restore(path, restored)

    assert not is_there(restored)


async def test_a_damaged_backup_is_refused(path: Path, backup: Path, restored: Path) -> None:
    """Pages that were overwritten are found before anything is put in place."""
    store = reopen(path)
    await store.commit([append(number) for number in range(2_000)])
    await store.close()
    back_up(path, backup)
    content = content_of(backup)
    middle = len(content) // 2
    write(backup, content[:middle] + b"\xff" * 8_192 + content[middle + 8_192 :])

    with pytest.raises((Refused, StoreUnusable), match=r"damaged|cannot be read"):
        restore(backup, restored)

    assert not is_there(restored)


async def test_a_newer_backup_is_refused(path: Path, backup: Path, restored: Path) -> None:
    """A backup of a newer format is named with what to install, before anything is put in place."""
    await reopen(path).close()
    back_up(path, backup)
    connection = apsw.Connection(str(backup))
    connection.pragma("user_version", FORMAT_VERSION + 1)
    connection.close()

    with pytest.raises(StoreUnusable, match="Install the newer Farspan that wrote it"):
        restore(backup, restored)

    assert not is_there(restored)
