"""Timers put many at a time: one statement for many rows, which costs half of one for each.

On the writer thread only, inside the transaction that the caller began. It must give each timer
the result that a statement of its own would have given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Final

from farspan.store.base import Change, PutTimer, Result
from farspan.store.schema import Sql

if TYPE_CHECKING:
    import apsw

ROW_COUNTS: Final = (50, 10, 1)
"""Rows of one statement (measured: more than fifty gain nothing). Few sizes, so that each of them
stays prepared."""


def only_puts(changes: Sequence[Change]) -> bool:
    """Tell whether the changes are timers to put and nothing else, which `put_rows` may join."""
    return all(isinstance(change, PutTimer) for change in changes)


def put_together(
    connection: apsw.Connection, commits: Sequence[Sequence[Change]]
) -> list[list[Result]]:
    """Put the timers of commits that only put timers; return the results of each commit."""
    puts = [change for changes in commits for change in changes if isinstance(change, PutTimer)]
    results: Iterator[Result] = iter(put_rows(connection, puts))
    return [list(islice(results, len(changes))) for changes in commits]


def put_rows(connection: apsw.Connection, puts: Sequence[PutTimer]) -> list[bool]:
    """Put timers in order and return for each whether it was added."""
    results: list[bool] = []
    start = 0
    for count in ROW_COUNTS:
        while len(puts) - start >= count:
            results += _put(connection, puts[start : start + count])
            start += count
    return results


def _put(connection: apsw.Connection, puts: Sequence[PutTimer]) -> list[bool]:
    if len(puts) == 1:
        (put,) = puts
        connection.execute(Sql.PUT_TIMER, _row(put))
        return [connection.changes() > 0]
    values: list[object] = []
    for put in puts:
        values += _row(put)
    connection.execute("SAVEPOINT put_rows")
    connection.execute(_statement(len(puts)), values)
    if connection.changes() == len(puts):
        connection.execute("RELEASE put_rows")
        return [True] * len(puts)
    # Some were there already: which ones, each by itself tells.
    connection.execute("ROLLBACK TO put_rows")
    connection.execute("RELEASE put_rows")
    return [added for put in puts for added in _put(connection, [put])]


def _row(put: PutTimer) -> tuple[object, ...]:
    if put.claimed_until is None:
        return put.timers, put.key, put.due, put.body, 0.0, 0, 0.0
    return put.timers, put.key, put.claimed_until, put.body, put.due, 1, put.due


@lru_cache
def _statement(count: int) -> str:
    head, row, tail = Sql.PUT_TIMER.partition("(?, ?, ?, ?, ?, ?, ?)")
    assert row, "the statement has one row of values"
    return head + ", ".join([row] * count) + tail
