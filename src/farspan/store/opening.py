"""The SQLite engine's file: who may open it, and whether it is one of ours and of our format.

Nothing here changes a file that it refuses.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

import apsw

from farspan.store.base import StoreUnusable
from farspan.store.schema import APPLICATION_ID, FORMAT_VERSION, GROUPS, SCHEMA, Sql

PAGE_BYTES = 8_192
BUSY_MILLISECONDS = 5_000


def lock(path: Path) -> int:
    """Keep every other process away from a store; return the descriptor that holds the lock.

    Two writers would each trust their own idea of the log's end. Makes the store's folder where it
    is not there. Raises StoreUnusable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock_file = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    except OSError as error:
        raise StoreUnusable(
            f"The data directory {path.parent} cannot be written: {error.strerror}. "
            "Choose another with --data, or change its permissions."
        ) from error
    try:
        fcntl.flock(lock_file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        owner = os.pread(lock_file, 20, 0).decode(errors="replace").strip() or "unknown"
        os.close(lock_file)
        raise StoreUnusable(
            f"The store {path} is in use by process {owner}. "
            "Stop that one first, or choose another --data."
        ) from error
    with contextlib.suppress(OSError):  # a full disk: the lock holds without the name in it
        os.ftruncate(lock_file, 0)
        os.pwrite(lock_file, str(os.getpid()).encode(), 0)
    return lock_file


def connect(path: Path) -> apsw.Connection:
    """Open the writing connection and bring an empty or older file to the present format."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    try:
        version = check_format(connection, path)
    except StoreUnusable:
        connection.close()
        raise
    if not version:
        connection.pragma("page_size", PAGE_BYTES)
    connection.pragma("journal_mode", "wal")
    connection.pragma("synchronous", "FULL")
    connection.pragma("wal_autocheckpoint", 0)  # see `checkpoint`
    connection.pragma("cache_size", -16_384)
    with connection:
        if not version:
            connection.execute(SCHEMA)
            connection.pragma("application_id", APPLICATION_ID)
        if version < FORMAT_VERSION:
            connection.execute(GROUPS)
        if version != FORMAT_VERSION:
            connection.pragma("user_version", FORMAT_VERSION)
    return connection


def connect_to_read(path: Path) -> apsw.Connection:
    """Open a connection that changes nothing, also beside the process that has the store.

    Raises apsw.Error.
    """
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    connection.set_busy_timeout(BUSY_MILLISECONDS)
    return connection


def check_format(connection: apsw.Connection, path: Path) -> int:
    """Return the format's version, 0 for an empty file. Raises StoreUnusable for what is not ours.

    A file that says it is older is ours to bring up to date; nothing reads one that is newer.
    """
    version: int = connection.pragma("user_version")
    # Most programs leave both numbers at 0, so a file that has tables already is one of theirs.
    is_empty = not version and not connection.execute(Sql.TABLE_COUNT).get
    if connection.pragma("application_id") != APPLICATION_ID and not is_empty:
        raise StoreUnusable(f"{path} is another program's database. Choose another --data.")
    if version > FORMAT_VERSION:
        raise StoreUnusable(
            f"The store {path} has format {version}; this Farspan reads up to {FORMAT_VERSION}. "
            "Nothing was changed. Install the newer Farspan that wrote it."
        )
    return version
