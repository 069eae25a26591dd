"""When a checkpoint is due: from a size on, once for each step, and anew with each log."""

from __future__ import annotations

from farspan.store.checkpoint import Pace


def due(pace: Pace, page_counts: list[int]) -> list[int]:
    """Return the counts at which a checkpoint is due."""
    return [count for count in page_counts if pace.is_due(count)]


def test_a_checkpoint_is_due_from_a_size_on() -> None:
    """A short log is left alone."""
    assert due(Pace(100, 100), [1, 50, 99, 100]) == [100]


def test_a_log_that_a_reader_holds_is_not_gone_through_for_each_commit() -> None:
    """One that goes on to grow has a checkpoint a step."""
    assert due(Pace(100, 50), list(range(0, 400, 10))) == [100, 150, 200, 250, 300, 350]


def test_a_log_that_began_anew_is_short_again() -> None:
    """After a shorter log was seen, the first size counts again."""
    assert due(Pace(100, 50), [120, 130, 10, 90, 100, 110]) == [120, 100]
