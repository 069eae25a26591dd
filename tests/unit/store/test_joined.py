"""Changes joined into statements of many rows come to what each would by itself."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.model.event import CallId, EventBatch
from farspan.store.base import AckTimer, Append, Change, ClaimTimers, MoveCursor, PutTimer
from farspan.store.joined import ROW_COUNTS, NotAllRows, ack_timers, put_timers
from farspan.store.schema import GROUPS, SCHEMA
from farspan.store.writer import Commit, Writer

LIST = "list"


def connection() -> apsw.Connection:
    """Return an empty store's connection."""
    opened = apsw.Connection(":memory:")
    opened.execute(SCHEMA)
    opened.execute(GROUPS)
    return opened


def put(number: int) -> PutTimer:
    """Return a timer with a key of its own; each third is claimed from birth."""
    until = None if number % 3 else number + 30.0
    return PutTimer(LIST, b"%d" % number, float(number), b"body %d" % number, until)


def append(number: int) -> Append:
    """Return a batch of one call, of one to three events on one of two buses."""
    return Append(
        EventBatch(
            event_bus=f"bus {number % 2}",
            call=CallId(b"%14d" % number),
            events=(b"{}",) * (number % 3 + 1),
            accepted_at=1.0,
            origin="us-east-1",
            stream="endpoint" if number % 5 == 0 else None,
        )
    )


def rows(opened: apsw.Connection, table: str) -> list[tuple[object, ...]]:
    """Return what a table holds."""
    return list(opened.execute(f"SELECT * FROM {table} ORDER BY 1"))


def write(changes: list[list[Change]], *, together: bool) -> tuple[object, ...]:
    """Write commits in one group or one by one; return their results and what is stored."""
    opened = connection()
    writer = Writer(opened)
    loop = asyncio.new_event_loop()
    commits = [Commit(each, loop.create_future()) for each in changes]
    loop.close()
    for group in [list(commits)] if together else [[commit] for commit in commits]:
        assert writer.write(group) is None
    assert [commit.error for commit in commits] == [None] * len(commits)
    tables = [rows(opened, table) for table in ("log", "timer", "cursor")]
    return [commit.results for commit in commits], tables


numbers = st.integers(0, 30)
timer_changes = st.one_of(
    numbers.map(put),
    st.builds(AckTimer, st.just(LIST), numbers.map(b"%d".__mod__), st.sampled_from([None, 1, 2])),
    st.builds(ClaimTimers, st.just(LIST), numbers.map(float), st.just(99.0), st.integers(1, 5)),
    st.builds(MoveCursor, st.sampled_from("ab"), numbers),
)
commits_of_timers = st.lists(timer_changes, max_size=12)
commits_of_appends = st.lists(numbers.map(append), min_size=1, max_size=3)


@given(st.lists(st.one_of(commits_of_timers, commits_of_appends), max_size=20))
def test_a_group_is_one_after_the_other(changes: list[list[Change]]) -> None:
    """Results and rows are the same, also where keys or calls repeat or are not there."""
    assert write(changes, together=True) == write(changes, together=False)


@pytest.mark.parametrize("count", [1, 2, 63, 64, 65, 200])
def test_any_number_of_rows_is_put_and_removed(count: int) -> None:
    """Every count is made of the sizes of statements that there are."""
    opened = connection()
    puts = [put(number) for number in range(count)]
    acks = [AckTimer(LIST, each.key) for each in puts]

    assert put_timers(opened, puts) == [True] * count
    assert len(rows(opened, "timer")) == count
    assert ack_timers(opened, acks) == [True] * count
    assert rows(opened, "timer") == []


def test_a_statement_that_missed_a_row_is_no_result() -> None:
    """Which of its rows were there already, a statement of many does not tell."""
    opened = connection()
    put_timers(opened, [put(1)])

    assert put_timers(opened, [put(1)]) == [False]
    with pytest.raises(NotAllRows):
        put_timers(opened, [put(2), put(1)])
    with pytest.raises(NotAllRows):
        ack_timers(opened, [AckTimer(LIST, b"1"), AckTimer(LIST, b"9")])


def test_sizes_of_statements_double() -> None:
    """Any number of rows takes at most one statement of each size below the largest."""
    assert all(larger == 2 * smaller for larger, smaller in pairwise(ROW_COUNTS))
    assert ROW_COUNTS[-1] == 1
