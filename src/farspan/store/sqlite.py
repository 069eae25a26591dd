"""The embedded engine: one SQLite file for a Region, with group commit.

One writer thread owns the only writing connection. It takes every commit that is waiting, applies
them in one SQLite transaction and syncs once, so that the cost of durability is shared by all who
wait for it. Readers have their own connections and never block the writer. The writer also makes
the checkpoints. See DESIGN.md beside this file for what happens when a process dies at each step.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import math
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar, cast

import apsw
import msgspec

from farspan.model.event import EventBatch
from farspan.store import reading
from farspan.store.base import (
    Append,
    Appended,
    AppendListener,
    BatchKey,
    Change,
    Document,
    Result,
    StoreError,
    StoreFailed,
    StoreUnusable,
    StreamBounds,
    Timer,
    TimerCounts,
    Trim,
    grows,
    take_timers,
)
from farspan.store.checkpoint import Checkpointer, leave_log
from farspan.store.opening import connect, lock
from farspan.store.schema import BUS_SHIFT, POSITION_MASK, Sql
from farspan.store.tail import LogTail
from farspan.store.writer import Commit, Writer

T = TypeVar("T")

GROUP_CHANGE_COUNT_MAX = 4_000
"""Changes in one group commit: enough to share the sync widely, few enough that the first of them
does not wait for the last (measured: about 10 microseconds a change)."""

READER_COUNT = 2

log = logging.getLogger("farspan.store")


class SqliteStore:
    """See `base.Store`. Make one with `open_store`."""

    def __init__(self, path: Path, lock_file: int, loop: asyncio.AbstractEventLoop) -> None:
        self._path = path
        self._lock_file = lock_file
        self._loop = loop
        self._queue: queue.SimpleQueue[list[Commit] | None] = queue.SimpleQueue()
        self._pending: list[Commit] = []
        self._listeners: list[AppendListener] = []
        self._tail = LogTail[str]()
        self._stream_tail = LogTail[tuple[str, str]]()
        self._failure: StoreFailed | None = None
        self._closed = False
        self._connection = connect(path)
        self._checkpointer = Checkpointer(self._connection)
        self._writer = Writer(self._connection)
        self._thread = threading.Thread(target=self._write, name="farspan-writer", daemon=True)
        self._local = threading.local()
        self._read_connections: list[apsw.Connection] = []
        self._readers = ThreadPoolExecutor(READER_COUNT, thread_name_prefix="farspan-reader")
        self._thread.start()

    # --- writing --------------------------------------------------------------------------

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """See `base.Store.commit`."""
        if self._failure is not None:
            raise StoreFailed(str(self._failure))
        if self._closed:
            raise StoreFailed("The store is closed.")
        future: asyncio.Future[list[Result]] = self._loop.create_future()
        # What is committed in one turn of the loop goes to the writer at once: handed over one by
        # one, the first would have a transaction and a sync of its own.
        if not self._pending:
            self._loop.call_soon(self._hand_over)
        self._pending.append(Commit(changes, future))
        return await future

    def _hand_over(self) -> None:
        if self._pending:
            pending, self._pending = self._pending, []
            self._queue.put(pending)

    def _write(self) -> None:
        """Run on the writer thread until the store closes."""
        while (first := self._queue.get()) is not None:
            group = first
            change_count = sum(len(commit.changes) for commit in group)
            last = False
            while change_count < GROUP_CHANGE_COUNT_MAX:
                try:
                    waiting = self._queue.get_nowait()
                except queue.Empty:
                    break
                if waiting is None:
                    last = True
                    break
                group += waiting
                change_count += sum(len(commit.changes) for commit in waiting)
            self._write_group(group)
            if last:
                break

    def _write_group(self, group: list[Commit]) -> None:
        if self._failure is None:
            error = self._writer.write(group)
            if error is not None:
                self._stop(error)
        for commit in group:
            if commit.results is None and commit.error is None:
                commit.error = StoreFailed(str(self._failure))
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._finish, group)
        if self._failure is None:
            error = self._checkpointer.after_commit()
            if error is not None:
                self._stop(error)

    def _stop(self, error: apsw.Error) -> None:
        """Acknowledge nothing more: what the file holds beyond the last sync is not known."""
        if self._failure is not None:
            return
        self._failure = StoreFailed(
            f"The store stopped after an I/O error ({error}). It acknowledges nothing more. "
            "Check the disk, then start the Region again."
        )
        log.critical("store stopped path=%s error=%s", self._path, self._failure)

    @property
    def failure(self) -> str | None:
        """See `base.Store.failure`."""
        return None if self._failure is None else str(self._failure)

    def _finish(self, group: list[Commit]) -> None:
        """Tell those who wait, on the event loop."""
        for commit in group:
            if not commit.future.done():
                if commit.error is not None:
                    commit.future.set_exception(commit.error)
                else:
                    commit.future.set_result(commit.results or [])
        buses: set[str] = set()
        lists: set[str] = set()
        for change, result in _applied(group):  # in the order of the logs
            if isinstance(change, Append):
                buses.add(change.batch.event_bus)
                self._remember(change.batch, cast("Appended", result))
            elif isinstance(change, Trim) and result:  # of what is left the file knows
                self._tail.forget(change.event_bus)
                self._stream_tail.clear()
            elif grows(change):
                lists.add(change.timers)
        if buses or lists:
            for listener in self._listeners:
                listener(frozenset(buses), frozenset(lists))

    def _remember(self, batch: EventBatch, appended: Appended) -> None:
        if appended.repeated:
            return
        last = appended.last_sequence
        sequence = last and last - len(batch.events) + 1
        kept = msgspec.structs.replace(batch, position=appended.position, sequence=sequence)
        self._tail.add(batch.event_bus, appended.position, kept)
        if batch.stream is not None and not batch.sequence:  # numbered here, so without a gap
            self._stream_tail.add((batch.stream, batch.origin), sequence, kept)

    def subscribe(self, listener: AppendListener) -> None:
        """See `base.Store.subscribe`."""
        self._listeners.append(listener)

    # --- reading --------------------------------------------------------------------------

    async def read_log(self, event_bus: str, after: int, limit: int) -> list[EventBatch]:
        """See `base.Store.read_log`."""
        at_hand = self._tail.read(event_bus, after, limit)
        if at_hand is not None and not self._closed:
            return at_hand

        def read(connection: apsw.Connection) -> list[EventBatch]:
            bus = reading.bus_number(connection, event_bus)
            if bus is None:
                return []
            low, high = bus << BUS_SHIFT, (bus << BUS_SHIFT) | POSITION_MASK
            # The batch that holds `after` + 1 may begin before it.
            key = connection.execute(Sql.LOG_KEY_AT, (low, low | after + 1)).get
            rows = connection.execute(Sql.READ_LOG, (key or low, high))
            return reading.take(rows, event_bus, limit, lambda b: reading.last_position(b) > after)

        return await self._read(read)

    async def read_stream(
        self, stream: str, origin: str, after: int, limit: int
    ) -> list[EventBatch]:
        """See `base.Store.read_stream`."""
        at_hand = self._stream_tail.read((stream, origin), after, limit)
        if at_hand is not None and not self._closed:
            return at_hand

        def read(connection: apsw.Connection) -> list[EventBatch]:
            first = connection.execute(Sql.STREAM_AT, (stream, origin, after + 1)).get
            rows = connection.execute(Sql.READ_STREAM, (stream, origin, first or 0))
            names = dict(connection.execute(Sql.BUSES))
            return reading.take(rows, names, limit, lambda b: reading.last_sequence(b) > after)

        return await self._read(read)

    async def stream_bounds(self, stream: str, origin: str) -> StreamBounds:
        """See `base.Store.stream_bounds`."""
        return await self._read(lambda c: reading.stream_bounds(c, stream, origin))

    async def stream_keys(self, stream: str, origin: str, first: int, last: int) -> list[BatchKey]:
        """See `base.Store.stream_keys`."""
        row = (stream, origin, first, last)
        return await self._read(lambda c: [BatchKey(*r) for r in c.execute(Sql.STREAM_KEYS, row)])

    async def known_calls(self, calls: Sequence[bytes]) -> set[bytes]:
        """See `base.Store.known_calls`."""
        return await self._read(
            lambda c: {call for call in calls if c.execute(Sql.IS_CALL_KNOWN, (call,)).get}
        )

    async def log_end(self, event_bus: str) -> int:
        """See `base.Store.log_end`."""
        at_hand = self._tail.end(event_bus)
        if at_hand is not None and not self._closed:
            return at_hand

        def read(connection: apsw.Connection) -> int:
            bus = reading.bus_number(connection, event_bus)
            return 0 if bus is None else reading.log_end(connection, bus)

        return await self._read(read)

    async def position_at(self, event_bus: str, accepted_before: float) -> int:
        """See `base.Store.position_at`."""

        def read(connection: apsw.Connection) -> int:
            bus = reading.bus_number(connection, event_bus)
            if bus is None:
                return 0
            low, high = bus << BUS_SHIFT, (bus << BUS_SHIFT) | POSITION_MASK
            key = connection.execute(Sql.FIRST_ACCEPTED_FROM, (low, high, accepted_before)).get
            return reading.log_end(connection, bus) if key is None else (key & POSITION_MASK) - 1

        return await self._read(read)

    async def event_buses(self) -> list[str]:
        """See `base.Store.event_buses`."""
        bounds = (BUS_SHIFT, BUS_SHIFT, POSITION_MASK)
        return await self._read(
            lambda connection: [
                name for (name,) in connection.execute(Sql.BUSES_WITH_EVENTS, bounds)
            ]
        )

    async def documents(self, prefix: str) -> list[Document]:
        """See `base.Store.documents`."""

        def read(connection: apsw.Connection) -> list[Document]:
            rows = connection.execute(Sql.DOCUMENTS_FROM, (prefix,))
            return [
                Document(*row)
                for row in itertools.takewhile(lambda row: row[0].startswith(prefix), rows)
            ]

        return await self._read(read)

    async def cursor(self, name: str) -> int:
        """See `base.Store.cursor`."""
        return await self._read(lambda connection: connection.execute(Sql.CURSOR, (name,)).get or 0)

    async def next_due(self, timers: str, after: float = -math.inf) -> float | None:
        """See `base.Store.next_due`."""
        return await self._read(
            lambda c: cast("float | None", c.execute(Sql.NEXT_DUE, (timers, after)).get)
        )

    async def count_timers(self, timers: str, now: float) -> TimerCounts:
        """See `base.Store.count_timers`."""

        def read(connection: apsw.Connection) -> TimerCounts:
            with connection:  # both statements see one moment
                total = connection.execute(Sql.COUNT_TIMERS, (timers,)).get
                row = connection.execute(Sql.COUNT_NOT_DUE, (timers, now)).get
            claimed, waiting = (count or 0 for count in row)
            return TimerCounts(total - claimed - waiting, claimed, waiting)

        return await self._read(read)

    async def read_timers(
        self, timers: str, after: tuple[float, int], before: float, limit: int
    ) -> list[Timer]:
        """See `base.Store.read_timers`."""

        def read(connection: apsw.Connection) -> list[Timer]:
            rows = connection.execute(Sql.READ_TIMERS, (timers, *after, before))
            return take_timers((Timer(*row) for row in rows), limit)

        return await self._read(read)

    async def measure_timers(self, timers: str) -> tuple[int, int]:
        """See `base.Store.measure_timers`."""

        def read(connection: apsw.Connection) -> tuple[int, int]:
            event_count, byte_count = connection.execute(Sql.MEASURE_TIMERS, (timers,)).get
            return event_count, byte_count

        return await self._read(read)

    async def _read(self, read: Callable[[apsw.Connection], T]) -> T:
        if self._closed:
            raise StoreFailed("The store is closed.")
        return await self._loop.run_in_executor(self._readers, self._on_reader, read)

    def _on_reader(self, read: Callable[[apsw.Connection], T]) -> T:
        try:
            connection: apsw.Connection | None = getattr(self._local, "connection", None)
            if connection is None:
                connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READONLY)
                connection.set_busy_timeout(5_000)
                self._local.connection = connection
                self._read_connections.append(connection)
            return read(connection)
        except apsw.Error as error:
            raise StoreError(f"The store could not be read: {error}. Check the disk.") from error

    async def close(self) -> None:
        """See `base.Store.close`."""
        if self._closed:
            return
        self._closed = True
        self._hand_over()
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self._readers.shutdown(wait=True)
        for connection in self._read_connections:
            connection.close()
        if self._failure is not None:
            leave_log(self._connection)  # the next opening reads what really is on the disk
        self._connection.close()
        os.close(self._lock_file)


def _applied(group: list[Commit]) -> Iterator[tuple[Change, Result]]:
    for commit in group:
        if commit.error is None:
            yield from zip(commit.changes, commit.results or (), strict=True)


def open_store(path: Path, loop: asyncio.AbstractEventLoop) -> SqliteStore:
    """Open the store in the file `path`, making it and its folder where they do not exist.

    Raises StoreUnusable, with a sentence that says what to do, where the folder cannot be written,
    another process has the store open, the file is no store, or a newer Farspan wrote it.
    """
    lock_file = lock(path)
    try:
        return SqliteStore(path, lock_file, loop)
    except apsw.Error as error:
        os.close(lock_file)
        raise StoreUnusable(
            f"{path} cannot be opened as a store: {error}. Move it away or choose another --data."
        ) from error
    except StoreUnusable:
        os.close(lock_file)
        raise
