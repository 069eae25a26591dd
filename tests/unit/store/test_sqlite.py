"""What the embedded engine does beyond the port: files, faults of the disk, killed processes."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import random
import signal
import sys
import tempfile
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.model.event import CallId, EventBatch
from farspan.store.base import (
    Append,
    Appended,
    Conflict,
    MoveCursor,
    PutDocument,
    PutTimer,
    StoreError,
    StoreFailed,
    StoreUnusable,
    Trim,
)
from farspan.store.schema import FORMAT_VERSION, Sql
from farspan.store.sqlite import SqliteStore, open_store

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

BUS = "000000000000/orders"
STREAM = "abcde12345.veo"
HERE = "us-east-1"


def append(number: int, event: bytes = b"{}", bus: str = BUS, stream: str | None = None) -> Append:
    """Return the append of a batch that one call put."""
    return Append(
        EventBatch(
            event_bus=bus,
            call=CallId(number.to_bytes(14, "big")),
            events=(event,),
            accepted_at=float(number),
            origin=HERE,
            stream=stream,
        )
    )


async def numbers(store: SqliteStore) -> list[int]:
    """Return the numbers of the calls in the log."""
    batches = await store.read_log(BUS, 0, 1_000_000)
    return [int.from_bytes(batch.call, "big") for batch in batches]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Return where the store's file is to be."""
    return tmp_path / "node" / "store.sqlite3"


def write_file(path: Path, content: bytes) -> None:
    """Put a file where the store's is to be."""
    path.parent.mkdir()
    path.write_bytes(content)


def write_database(path: Path, statements: str) -> bytes:
    """Change the database at a path, or make one, and return its bytes."""
    path.parent.mkdir(exist_ok=True)
    connection = apsw.Connection(str(path))
    connection.execute(statements)
    connection.close()
    return path.read_bytes()


def content_of(path: Path) -> bytes:
    """Return a file's bytes."""
    return path.read_bytes()


def size_of(path: Path) -> int:
    """Return a file's size."""
    return path.stat().st_size


def reopen(path: Path) -> SqliteStore:
    """Open the store of a path on the running loop."""
    return open_store(path, asyncio.get_running_loop())


# --- opening -----------------------------------------------------------------------------------


async def test_reopening_finds_everything(path: Path) -> None:
    """A store opened again has its log, streams, documents, cursors and timers."""
    store = reopen(path)
    await store.commit(
        [
            append(1, stream=STREAM),
            append(2),
            PutDocument("d", b"1"),
            PutDocument("d", b"2"),
            MoveCursor("c", 5),
            PutTimer("t", b"k", 9.0, b"body"),
        ]
    )
    before = [await store.read_log(BUS, 0, 9), await store.documents(""), await store.next_due("t")]
    await store.close()

    store = reopen(path)
    after = [await store.read_log(BUS, 0, 9), await store.documents(""), await store.next_due("t")]

    assert before == after
    assert await store.cursor("c") == 5
    assert await store.commit([append(2), append(3)]) == [
        Appended(2, repeated=True),
        Appended(3, repeated=False),
    ]
    await store.close()


async def test_numbers_go_on_after_a_trim_and_a_restart(path: Path) -> None:
    """Positions and sequences are never given out twice, though nothing is left that had them."""
    store = reopen(path)
    await store.commit([append(1, stream=STREAM), append(2, stream=STREAM)])
    await store.commit([Trim(BUS, 99)])
    await store.close()

    store = reopen(path)
    result = await store.commit([append(3, stream=STREAM)])
    (batch,) = await store.read_stream(STREAM, HERE, 0, 9)

    assert result == [Appended(3, repeated=False)]
    assert batch.sequence == 3
    await store.close()


async def test_a_trim_looks_at_nothing_beyond_what_it_removes(path: Path) -> None:
    """It goes from the oldest on, so that a long log does not make each trim long."""
    await reopen(path).close()
    connection = apsw.Connection(str(path))
    plan = [
        row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {Sql.TRIM_UP_TO}", (1, 2, 2, 1))
    ]
    connection.close()
    of_log = [step for step in plan if " log " in f"{step} "]

    assert of_log
    assert all(
        step.startswith("SEARCH log USING") and "rowid>? AND rowid<?" in step for step in of_log
    )
    assert not any("TEMP B-TREE" in step for step in plan)


async def test_a_stream_over_two_buses_never_goes_back(path: Path) -> None:
    """Trimming the bus that a stream has left does not forget what the next bus had of it."""
    store = reopen(path)
    await store.commit([append(1, stream=STREAM), append(2, bus="other", stream=STREAM)])
    await store.commit([Trim("other", 99)])
    await store.commit([Trim(BUS, 99)])
    await store.close()

    store = reopen(path)

    assert (await store.stream_bounds(STREAM, HERE)).end == 2
    await store.close()


UNDO_GROUPS = (
    "DROP INDEX timer_group; DROP INDEX timer_group_due; DROP TABLE token; "
    "ALTER TABLE timer DROP COLUMN group_name; "
)
"""Makes a file what it was before format 3."""


async def test_a_newer_format_is_refused_untouched(path: Path) -> None:
    """A file that a newer Farspan wrote stays as it is, and the sentence says what to install."""
    await reopen(path).close()
    before = write_database(path, f"PRAGMA user_version = {FORMAT_VERSION + 1}")

    with pytest.raises(
        StoreUnusable, match=rf"has format {FORMAT_VERSION + 1}; .*Install the newer Farspan"
    ):
        reopen(path)

    assert content_of(path) == before


async def test_a_file_of_the_first_format_goes_on(path: Path) -> None:
    """Its events are there, new ones may have trace headers, and no older Farspan reads them."""
    store = reopen(path)
    await store.commit([append(1)])
    await store.close()
    write_database(path, UNDO_GROUPS + "PRAGMA user_version = 1")
    store = reopen(path)
    traced = msgspec.structs.replace(append(2).batch, trace_headers=("Root=1",))
    await store.commit([Append(traced)])
    batches = await store.read_log(BUS, 0, 10)
    await store.close()

    assert [(), ("Root=1",)] == [batch.trace_headers for batch in batches]
    assert [append(1).batch.events, traced.events] == [batch.events for batch in batches]
    with contextlib.closing(apsw.Connection(str(path))) as connection:
        assert FORMAT_VERSION == connection.pragma("user_version")


@pytest.mark.parametrize(
    "statements",
    [
        pytest.param("CREATE TABLE theirs (a)", id="without a version"),
        pytest.param("CREATE TABLE theirs (a); PRAGMA user_version = 1", id="with a version"),
        pytest.param("PRAGMA application_id = 7; CREATE TABLE theirs (a)", id="with its own id"),
    ],
)
async def test_another_programs_database_is_refused_untouched(path: Path, statements: str) -> None:
    """A database that is not Farspan's gets no table of ours, whatever numbers it carries."""
    before = write_database(path, statements)

    with pytest.raises(StoreUnusable, match="another program's database"):
        reopen(path)

    assert content_of(path) == before


async def test_a_file_that_is_no_database_is_refused_untouched(path: Path) -> None:
    """Any other file is named in a sentence that says what to do with it."""
    write_file(path, b"Dear diary, " * 1_000)

    with pytest.raises(StoreUnusable, match=r"cannot be opened as a store.*Move it away"):
        reopen(path)

    assert content_of(path) == b"Dear diary, " * 1_000


async def test_an_empty_file_becomes_a_store(path: Path) -> None:
    """A file of no bytes, as a crash in the first moment leaves it, is brought to the format."""
    write_file(path, b"")

    store = reopen(path)

    assert await store.commit([append(1)]) == [Appended(1, repeated=False)]
    await store.close()


async def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    """Where the data directory cannot be written, the sentence names it and the way out."""
    write_file(tmp_path / "folder" / "file", b"")

    with pytest.raises(StoreUnusable, match=r"folder/file/node cannot be written: .*--data"):
        reopen(tmp_path / "folder" / "file" / "node" / "store.sqlite3")


async def test_a_path_that_is_a_folder_is_refused(tmp_path: Path) -> None:
    """A folder in the place of the file is named in a sentence."""
    with pytest.raises(StoreUnusable, match="cannot be opened as a store"):
        reopen(tmp_path)


async def test_a_store_in_use_names_its_process(path: Path) -> None:
    """A second opening is refused with the number of the process that has the store."""
    store = reopen(path)

    with pytest.raises(StoreUnusable, match=f"in use by process {os.getpid()}\\."):
        reopen(path)

    assert await store.commit([append(1)]) == [Appended(1, repeated=False)]
    await store.close()


async def test_a_refused_store_is_not_held(path: Path) -> None:
    """A refusal lets the lock go, so that the file can be opened once its flaw is mended."""
    write_file(path, b"x" * 4_096)
    with pytest.raises(StoreUnusable):
        reopen(path)

    os.remove(path)  # noqa: PTH107 - not asynchronous, and quick

    await reopen(path).close()


async def test_an_unreadable_store_raises_the_ports_error(path: Path) -> None:
    """A read that fails inside SQLite is a StoreError with a sentence, as callers expect."""
    store = reopen(path)
    await store.commit([append(1)])
    store._connection.execute("DROP TABLE cursor")

    with pytest.raises(StoreError, match="could not be read"):
        await store.cursor("c")

    await store.close()


# --- faults of the disk ------------------------------------------------------------------------


class Disk(apsw.VFS):
    """SQLite's own file system, until a test makes its syncs or writes fail."""

    def __init__(self) -> None:
        self.fail_sync: Callable[[], BaseException] | None = None
        self.fail_write: Callable[[], BaseException] | None = None
        self.only = ""  # how the names end of the files that fail
        self.hold = threading.Event()  # each sync waits for it
        self.hold.set()
        self.sync_count = 0
        super().__init__("faulty", "unix", makedefault=True)

    def xOpen(  # noqa: N802 - SQLite's name
        self, name: str | apsw.URIFilename | None, flags: list[int]
    ) -> apsw.VFSFile:
        """Open a file that fails when the disk does."""
        return DiskFile(self, name, flags)


class DiskFile(apsw.VFSFile):
    """One file on the disk."""

    def __init__(self, disk: Disk, name: str | apsw.URIFilename | None, flags: list[int]) -> None:
        self._disk = disk
        self._name = name if isinstance(name, str) else name.filename() if name else ""
        super().__init__("unix", name, flags)

    def xSync(self, flags: int) -> None:  # noqa: N802 - SQLite's name
        """Sync, or fail."""
        self._disk.hold.wait(30)
        self._disk.sync_count += 1
        if self._disk.fail_sync is not None and self._name.endswith(self._disk.only):
            raise self._disk.fail_sync()
        super().xSync(flags)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802 - SQLite's name
        """Write, or fail."""
        if self._disk.fail_write is not None and self._name.endswith(self._disk.only):
            raise self._disk.fail_write()
        super().xWrite(data, offset)


@pytest.fixture
def disk() -> Iterator[Disk]:
    """Put a disk under every store that the test opens."""
    disk = Disk()
    yield disk
    disk.unregister()


@pytest.mark.parametrize("fault", ["fail_sync", "fail_write"])
async def test_an_io_error_stops_the_store(disk: Disk, path: Path, fault: str) -> None:
    """After a failed sync or write nothing is acknowledged any more, also once the disk works."""
    store = reopen(path)
    await store.commit([append(1)])

    setattr(disk, fault, lambda: apsw.IOError("the disk is on fire"))
    waiting = [asyncio.create_task(store.commit([append(n)])) for n in range(2, 7)]
    results = await asyncio.gather(*waiting, return_exceptions=True)
    setattr(disk, fault, None)

    assert [type(result) for result in results] == [StoreFailed] * 5
    with pytest.raises(StoreFailed, match=r"stopped after an I/O error.*start the Region again\.$"):
        await store.commit([append(7)])
    await store.close()

    store = reopen(path)
    kept = await numbers(store)
    again = await store.commit([append(2)])

    assert kept[0] == 1
    assert again[0] in (Appended(2, repeated=False), Appended(2, repeated=True))
    await store.close()


async def test_a_failed_sync_says_so_once_and_the_store_is_still_read(
    disk: Disk, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One line in the log has the file and the reason, `failure` has it too, and reads go on."""
    store = reopen(path)
    await store.commit([append(1)])
    assert store.failure is None

    disk.fail_sync = lambda: apsw.IOError("the disk is on fire")
    for number in (2, 3):
        with pytest.raises(StoreFailed):
            await store.commit([append(number)])

    assert await numbers(store) == [1]
    assert store.failure is not None
    assert "start the Region again" in store.failure
    stopped = [r for r in caplog.records if r.levelname == "CRITICAL"]
    assert [f"store stopped path={path} error={store.failure}"] == [r.message for r in stopped]
    disk.fail_sync = None
    await store.close()


@pytest.mark.parametrize("fault", ["fail_sync", "fail_write"])
async def test_an_io_error_in_a_checkpoint_stops_the_store(
    disk: Disk, path: Path, fault: str
) -> None:
    """The file's sync counts like the log's: after it failed, the log may not begin anew.

    What was acknowledged is in the log, and there at the next start.
    """
    store = reopen(path)
    disk.only = "store.sqlite3"
    setattr(disk, fault, lambda: apsw.IOError("the disk is on fire"))
    await store.commit([append(1)])
    await store.commit([append(2, b"x" * 8_000_000)])
    with pytest.raises(StoreFailed):  # the checkpoint came before it
        await store.commit([append(3)])
    setattr(disk, fault, None)

    assert store.failure is not None
    with pytest.raises(StoreFailed):
        await store.commit([append(4)])
    await store.close()
    store = reopen(path)
    assert await numbers(store) == [1, 2]
    await store.close()


async def test_a_full_disk_in_a_checkpoint_stops_nothing(disk: Disk, path: Path) -> None:
    """The log has everything: the pages go into the file once there is space."""
    store = reopen(path)
    disk.only = "store.sqlite3"
    disk.fail_write = lambda: apsw.FullError(os.strerror(errno.ENOSPC))
    for number in range(1, 6):
        await store.commit([append(number, b"x" * 4_200_000)])
    log_bytes = size_of(path.with_name("store.sqlite3-wal"))
    disk.fail_write = None
    for number in range(6, 12):
        await store.commit([append(number, b"x" * 4_200_000)])

    assert store.failure is None
    assert size_of(path.with_name("store.sqlite3-wal")) <= log_bytes + 5_000_000
    await store.close()
    store = reopen(path)
    assert await store.log_end(BUS) == 11
    await store.close()


async def test_a_slow_sync_is_shared_by_all_who_wait(disk: Disk, path: Path) -> None:
    """While one sync hangs, readers go on and commits gather; the next sync is for all of them."""
    store = reopen(path)
    await store.commit([append(1)])
    disk.hold.clear()
    first = asyncio.create_task(store.commit([append(2)]))
    while not store._queue.empty() or first.done():
        await asyncio.to_thread(threading.Event().wait, 0)
    waiting = [asyncio.create_task(store.commit([append(n)])) for n in range(3, 60)]
    assert await numbers(store) == [1]
    assert not first.done()

    before = disk.sync_count
    disk.hold.set()
    await asyncio.gather(first, *waiting)

    assert disk.sync_count - before <= 3
    assert sorted(await numbers(store)) == list(range(1, 60))
    await store.close()


async def test_a_stopped_store_raises_each_caller_an_error_of_its_own(
    disk: Disk, path: Path
) -> None:
    """A shared one would collect every caller's traceback for as long as the node runs."""
    store = reopen(path)
    disk.fail_write = lambda: apsw.IOError("I/O error")
    calls = [*(store.commit([append(n)]) for n in (1, 2)), *(store.commit([]) for _ in range(2))]
    errors = await asyncio.gather(*calls[:2], return_exceptions=True)
    disk.fail_write = None
    errors += await asyncio.gather(*calls[2:], return_exceptions=True)

    assert [type(error) for error in errors] == [StoreFailed] * 4
    assert len({id(error) for error in errors}) == 4
    assert len(set(map(str, errors))) == 1
    await store.close()


async def test_a_full_disk_refuses_and_recovers(disk: Disk, path: Path) -> None:
    """A full disk refuses each commit with a sentence; with space again the store goes on."""
    store = reopen(path)
    await store.commit([append(1)])

    disk.fail_write = lambda: apsw.FullError(os.strerror(errno.ENOSPC))
    results = await asyncio.gather(
        *(store.commit([append(n), PutDocument("d", b"")]) for n in (2, 3)), return_exceptions=True
    )
    disk.fail_write = None

    assert [type(result) for result in results] == [StoreError, StoreError]
    assert "The disk is full" in str(results[0])
    assert await numbers(store) == [1]
    assert await store.documents("") == []
    assert await store.commit([append(3)]) == [Appended(2, repeated=False)]
    await store.close()


async def test_a_commit_that_cannot_be_applied_fails_alone(path: Path) -> None:
    """Of commits that share a sync, the one with a fault of its own fails and the others stand."""
    store = reopen(path)
    lone_surrogate = PutDocument("\ud800", b"")
    groups = [[append(n)] if n % 3 else [append(n), lone_surrogate] for n in range(1, 13)]

    results = await asyncio.gather(
        *(store.commit(group) for group in groups),
        store.commit([append(99), PutDocument("d", b"", 1)]),
        return_exceptions=True,
    )

    failed = [n for n, result in enumerate(results, 1) if isinstance(result, StoreError)]

    assert failed == [3, 6, 9, 12, 13]
    assert type(results[2]) is StoreError
    assert type(results[12]) is Conflict
    assert await numbers(store) == [1, 2, 4, 5, 7, 8, 10, 11]
    assert await store.log_end(BUS) == 8
    await store.close()


# --- a torn tail -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def torn(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes, list[int]]:
    """Return a killed store's file, its write-ahead log, and how long that was at each commit."""
    path = tmp_path_factory.mktemp("torn") / "store.sqlite3"

    async def write() -> tuple[bytes, bytes, list[int]]:
        store = reopen(path)
        log = path.with_name("store.sqlite3-wal")
        lengths = []
        for number in range(1, 41):
            await store.commit([append(number, b"x" * (number * 977 % 20_000))])
            lengths.append(size_of(log))
        killed = content_of(path), content_of(log), lengths
        await store.close()
        return killed

    return asyncio.run(write())


@settings(max_examples=60, deadline=None)
@given(
    at=st.floats(0, 1),
    tail=st.sampled_from(["cut", "zeros", "noise", "repeated"]),
    seed=st.integers(),
)
def test_g1_a_torn_tail_takes_nothing_that_was_synced_before_it(
    torn: tuple[bytes, bytes, list[int]], at: float, tail: str, seed: int
) -> None:
    """Whatever a crash leaves beyond some byte of the log, all commits before it are whole (G1).

    A commit that the damage reaches is not there at all, and positions have no gap.
    """
    file, log, lengths = torn
    offset = int(at * len(log))
    rest = len(log) - offset
    damaged = (
        log[:offset]
        + {
            "cut": b"",
            "zeros": b"\0" * rest,
            "noise": random.Random(seed).randbytes(rest),
            "repeated": log[-rest:] + log[:4_096] if rest else log[-8_192:],
        }[tail]
    )

    async def kept_of(path: Path) -> list[int]:
        path.write_bytes(file)  # noqa: ASYNC240 - quick
        path.with_name("store.sqlite3-wal").write_bytes(damaged)
        store = reopen(path)
        kept = await numbers(store)
        await store.commit([append(99)])
        assert await store.log_end(BUS) == len(kept) + 1
        await store.close()
        return kept

    with tempfile.TemporaryDirectory() as directory:
        kept = asyncio.run(kept_of(Path(directory) / "store.sqlite3"))

    synced = [number for number, length in enumerate(lengths, 1) if length <= offset]
    assert kept[: len(synced)] == synced
    assert kept == list(range(1, len(kept) + 1))


# --- killed processes --------------------------------------------------------------------------

WRITER = """
import asyncio, sys
from pathlib import Path
from farspan.model.event import CallId, EventBatch
from farspan.store.base import Append
from farspan.store.sqlite import open_store

async def write(store, lane):
    for number in range(lane, 1_000_000, 4):
        batch = EventBatch(event_bus="000000000000/orders", call=CallId(number.to_bytes(14, "big")),
                           events=(b"x" * 200,), accepted_at=1.0, origin="here")
        (appended,) = await store.commit([Append(batch)])
        if not appended.repeated:
            print(number, appended.position, flush=True)

async def main():
    store = open_store(Path(sys.argv[1]), asyncio.get_running_loop())
    await asyncio.gather(*(write(store, lane) for lane in range(4)))

asyncio.run(main())
"""


async def acknowledge_and_kill(path: Path, line_count: int) -> dict[int, int]:
    """Let a child commit until it has acknowledged enough, kill it, return what it said."""
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", WRITER, str(path), stdout=asyncio.subprocess.PIPE
    )
    assert child.stdout is not None
    lines = [await child.stdout.readline() for _ in range(line_count)]
    child.send_signal(signal.SIGKILL)
    lines += (await child.stdout.read()).splitlines(keepends=True)
    await child.wait()
    whole = [line.split() for line in lines if line.endswith(b"\n")]
    return {int(number): int(position) for number, position in whole}


async def test_g1_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    """Every commit that a process acknowledged before kill -9 is there, at its position (G1)."""
    acknowledged: dict[int, int] = {}
    for line_count in (50, 333, 700):
        acknowledged |= await acknowledge_and_kill(path, line_count)

        store = reopen(path)
        batches = await store.read_log(BUS, 0, 1_000_000)
        kept = {int.from_bytes(batch.call, "big"): batch.position for batch in batches}
        await store.close()

        assert len(acknowledged) >= line_count
        assert acknowledged.items() <= kept.items()
        assert sorted(kept.values()) == list(range(1, len(kept) + 1))
