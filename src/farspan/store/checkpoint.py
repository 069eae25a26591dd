"""Checkpoints of a SQLite store: the write-ahead log's pages go into the file.

The writer makes them between commits, small and often. SQLite's automatic ones are off: they say
nothing of an I/O error, so that the next one would trust a file whose sync had failed.
"""

from __future__ import annotations

import contextlib

import apsw

STEP_PAGE_COUNT = 500
"""Pages of the write-ahead log between two checkpoints, 4 MB: see DESIGN.md for the figures."""


class Pace:
    """Tells from the log's growth when a checkpoint is due: from `first` on, once for each step.

    A log that a reader keeps from beginning anew goes on to grow, and is not gone through again
    for each commit.
    """

    def __init__(self, first: int, step: int) -> None:
        self._first = first
        self._step = step
        self._next = first
        self._latest = 0

    def is_due(self, page_count: int) -> bool:
        """Return whether to make a checkpoint now that the log has so many pages."""
        if page_count < self._latest:
            self._next = self._first
        self._latest = page_count
        if page_count < self._next:
            return False
        self._next = page_count + self._step
        return True


class Checkpointer:
    """Makes the checkpoints of the store that a connection writes, on the writer's thread only."""

    def __init__(self, writer: apsw.Connection) -> None:
        self._writer = writer
        self._pace = Pace(STEP_PAGE_COUNT, STEP_PAGE_COUNT)
        self._is_due = False
        writer.set_wal_hook(self._note_growth)

    def _note_growth(self, _connection: apsw.Connection, _name: str, page_count: int) -> int:
        """Take note of a commit (SQLite's WAL hook)."""
        self._is_due = self._pace.is_due(page_count) or self._is_due
        return apsw.SQLITE_OK

    def after_commit(self) -> apsw.Error | None:
        """Make a checkpoint where one is due; return the error for which the store has to stop.

        On a full disk it is tried again later: until then everything is in the log.
        """
        if not self._is_due:
            return None
        self._is_due = False
        try:
            with contextlib.suppress(apsw.BusyError, apsw.FullError):
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            return error
        return None


def leave_log(connection: apsw.Connection) -> None:
    """Let a connection close without a checkpoint."""
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
