"""Changes of one kind as statements of many rows.

A statement gives up the interpreter and has to get it back, which while others are busy takes
longer than its work: twenty timers put one by one took 3.4 times as long as in one statement beside
a busy thread, and twice as long beside an idle one. On the writer thread only, inside the
transaction that its caller began.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from farspan.store.base import AckTimer, PutTimer
from farspan.store.schema import Sql

if TYPE_CHECKING:
    import apsw

ROW_COUNTS: Final = (64, 32, 16, 8, 4, 2, 1)
"""Rows of one statement. Few sizes, so that each of them stays prepared."""

Row = tuple[object, ...]


class NotAllRows(Exception):
    """A statement did not change each of its rows, and nobody knows which it did change.

    The transaction has to be rolled back, and each change tried by itself.
    """


def put_timers(connection: apsw.Connection, puts: Sequence[PutTimer]) -> list[bool]:
    """Put timers in order and return for each whether it was added. Raises NotAllRows."""
    return execute_rows(connection, _put_statement, [_put_row(put) for put in puts])


def ack_timers(connection: apsw.Connection, acks: Sequence[AckTimer]) -> list[bool]:
    """Remove timers and return for each whether it was there. Raises NotAllRows."""
    rows: list[Row] = [(ack.timers, ack.key, ack.claim) for ack in acks]
    return execute_rows(connection, _ack_statement, rows)


def append_batches(connection: apsw.Connection, rows: Sequence[Row]) -> list[bool]:
    """Append rows of the log, as `Sql.APPEND` has them; return for each whether it was added.

    Raises NotAllRows.
    """
    return execute_rows(connection, _append_statement, rows)


def execute_rows(
    connection: apsw.Connection, statement: Callable[[int], str], rows: Sequence[Row]
) -> list[bool]:
    """Execute statements for all rows, and return for each row whether it changed anything.

    A row by itself may change nothing; among others it must, or NotAllRows is raised.
    """
    changed: list[bool] = []
    start = 0
    for count in ROW_COUNTS:
        while len(rows) - start >= count:
            values = [value for row in rows[start : start + count] for value in row]
            connection.execute(statement(count), values)
            change_count = connection.changes()
            if count > 1 and change_count != count:
                raise NotAllRows
            changed += [change_count > 0] * count
            start += count
    return changed


def _put_row(put: PutTimer) -> Row:
    if put.claimed_until is None:
        return put.timers, put.key, put.due, put.body, 0.0, 0, 0.0
    return put.timers, put.key, put.claimed_until, put.body, put.due, 1, put.due


@lru_cache
def _put_statement(count: int) -> str:
    return _repeated(Sql.PUT_TIMER, "(?, ?, ?, ?, ?, ?, ?)", count)


@lru_cache
def _append_statement(count: int) -> str:
    return _repeated(Sql.APPEND, "(?, ?, ?, ?, ?, ?, ?, ?)", count)


@lru_cache
def _ack_statement(count: int) -> str:
    return _repeated(Sql.ACK_TIMERS, "(?, ?, ?)", count)


def _repeated(statement: str, row: str, count: int) -> str:
    head, found, tail = statement.partition(row)
    assert found, "the statement has one row of values"
    return head + ", ".join([row] * count) + tail
