"""Timers put many at a time give each what a statement of its own would give."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.store.base import MoveCursor, PutTimer
from farspan.store.schema import SCHEMA
from farspan.store.timer_rows import only_puts, put_rows

if TYPE_CHECKING:
    from collections.abc import Sequence


def connection() -> apsw.Connection:
    """Return an empty store's connection in a transaction."""
    opened = apsw.Connection(":memory:")
    opened.execute(SCHEMA)
    opened.execute("BEGIN")
    return opened


def put(number: int) -> PutTimer:
    """Return a timer with a key of its own; each third is claimed from birth."""
    until = None if number % 3 else number + 30.0
    return PutTimer("list", b"%d" % number, float(number), b"body %d" % number, until)


def rows(opened: apsw.Connection) -> list[tuple[object, ...]]:
    """Return what is stored, in order of putting."""
    return list(opened.execute("SELECT * FROM timer ORDER BY put_order"))


@given(st.lists(st.integers(0, 80), max_size=130), st.sets(st.integers(0, 80), max_size=3))
def test_many_at_a_time_is_one_after_the_other(numbers: list[int], before: set[int]) -> None:
    """Results and rows are the same, also where keys repeat or are there already."""
    puts: Sequence[PutTimer] = [put(number) for number in numbers]
    together, alone = connection(), connection()
    for opened in (together, alone):
        put_rows(opened, [put(number) for number in sorted(before)])
    expected = []
    for one in puts:
        expected += put_rows(alone, [one])

    assert put_rows(together, puts) == expected
    assert rows(together) == rows(alone)


@pytest.mark.parametrize(
    ("changes", "joined"),
    [([put(1), put(2)], True), ([put(1), MoveCursor("c", 1)], False)],
    ids=["timers only", "a cursor among them"],
)
def test_only_timers_are_joined(changes: list[PutTimer | MoveCursor], joined: bool) -> None:
    """A commit with anything else in it is applied by itself."""
    assert only_puts(changes) is joined
