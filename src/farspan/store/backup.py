"""Backups of a SQLite store: made beside a running Region, and put in the place of a lost store.

A backup is one file: the store as it stood at one moment. It says of itself that it is a copy, and
how far each stream had come, so that the log that grows from it is not taken for the original's:
the two give out the same positions for different events. See DESIGN.md.

Nothing here writes over a file that has anything in it, and a file has its name only once all of
it is synced.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import apsw

from farspan.store.base import COPY_DOCUMENT, StoreError, StoreUnusable, copied_cursor
from farspan.store.opening import check_format, connect_to_read, lock
from farspan.store.schema import Sql

STEP_PAGE_COUNT = 4_096
KEY_MAX = 2**63 - 1


class Refused(StoreError):
    """What is there is not to be overwritten, or is not what it should be. Nothing was changed."""


def back_up(store: Path, backup: Path) -> None:
    """Copy a store, running or not, into a new file.

    Raises Refused where the file exists, StoreUnusable where the store is none, StoreError where
    one of them cannot be read or written.
    """
    if backup.exists():
        raise Refused(f"{backup} exists. A backup overwrites nothing: choose another name.")
    with _reading(store) as source, _writing(backup) as partial:
        copy = apsw.Connection(str(partial))
        with contextlib.closing(copy):
            _copy_pages(source, copy)
            copy.pragma("journal_mode", "delete")  # one file, with nothing beside it
            with copy:
                copy.execute(Sql.MARK_COPY, (COPY_DOCUMENT,))
                copy.execute(Sql.KEEP_STREAM_ENDS, (0, KEY_MAX))
                for stream, origin, end in copy.execute(Sql.STREAM_ENDS).fetchall():
                    name = copied_cursor(str(stream), str(origin))
                    copy.execute(Sql.MOVE_CURSOR, (name, end))


def restore(backup: Path, store: Path) -> None:
    """Put a backup where there is no store yet.

    Raises Refused where there is one or the file is no sound backup, StoreUnusable where another
    process has the place or a newer Farspan wrote the backup, StoreError where one of them cannot
    be read or written.
    """
    with _reading(backup) as source:
        if not source.execute(Sql.IS_MARKED, (COPY_DOCUMENT,)).get:
            raise Refused(
                f"{backup} is a store and no backup: its log may go on elsewhere. "
                "Make a backup of it with `farspan backup`."
            )
        fault = next((row[0] for row in source.execute("PRAGMA quick_check(1)")), "ok")
        if fault != "ok":
            raise Refused(f"{backup} is damaged: {fault}. Restore another backup.")
        lock_file = lock(store)
        try:
            # A write-ahead log without its store would be played into the restored one.
            for path in (store, store.with_name(f"{store.name}-wal")):
                if path.exists() and path.stat().st_size:
                    raise Refused(
                        f"{path} is there. Restoring overwrites nothing: move {store.parent} "
                        "away first, or choose another --data."
                    )
            with _writing(store) as partial, contextlib.closing(apsw.Connection(str(partial))) as c:
                _copy_pages(source, c)
        finally:
            os.close(lock_file)


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[apsw.Connection]:
    """Hold one moment of a store: whatever its writer goes on to commit is not seen."""
    if not path.is_file():
        raise StoreUnusable(f"There is no store at {path}. Name another, or another --data.")
    try:
        with contextlib.closing(connect_to_read(path)) as connection:
            connection.execute("BEGIN")
            if not check_format(connection, path):
                raise StoreUnusable(f"{path} is empty: there is nothing to copy.")
            yield connection
    except (apsw.IOError, apsw.FullError, apsw.BusyError, apsw.CantOpenError) as error:
        raise StoreError(f"{path} could not be copied: {error}. Check the disks.") from error
    except apsw.Error as error:
        raise StoreUnusable(f"{path} cannot be read as a store: {error}.") from error


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[Path]:
    """Give the name of a new file that becomes `path` once it is synced, and never in part."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        for left in ("", "-journal", "-wal", "-shm"):  # by one that was killed
            partial.with_name(f"{partial.name}{left}").unlink(missing_ok=True)
        os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600))
        yield partial
        _sync(partial)
        partial.replace(path)
        _sync(path.parent)
    except OSError as error:
        raise StoreError(f"{path} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)


def _copy_pages(source: apsw.Connection, copy: apsw.Connection) -> None:
    with copy.backup("main", source, "main") as pages:
        while not pages.done:
            pages.step(STEP_PAGE_COUNT)


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
