"""How a backlog is held back: a share of the time, and never so much that it would not shrink."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.replication.pace import (
    BACKLOG_EVENT_COUNT,
    BACKLOG_STEP_EVENT_COUNT,
    LIVE,
    PAUSE_SECONDS_MAX,
    SHRINK_FACTOR,
    pace,
)


def test_a_copy_that_keeps_up_is_not_held_back() -> None:
    """What a busy moment leaves is no backlog."""
    went = pace(
        left_count=BACKLOG_EVENT_COUNT - 1,
        taken_count=500,
        spent_seconds=0.1,
        grown_per_second=0.0,
        share=0.5,
    )

    assert went is LIVE


def test_nothing_taken_is_no_reason_to_wait() -> None:
    """A reply without events, as for a log that changed, is followed at once."""
    went = pace(left_count=10**6, taken_count=0, spent_seconds=1, grown_per_second=0, share=0.5)

    assert went is LIVE


@pytest.mark.parametrize(
    ("share", "pause"), [(1.0, 0.0), (0.5, 0.02), (0.25, 0.06), (0.001, PAUSE_SECONDS_MAX)]
)
def test_a_backlog_takes_its_share_of_the_time(share: float, pause: float) -> None:
    """At a half, the pause is as long as the step; it grows with whatever slowed the step down."""
    went = pace(
        left_count=BACKLOG_EVENT_COUNT,
        taken_count=500,
        spent_seconds=0.02,
        grown_per_second=0.0,
        share=share,
    )

    assert went.event_count == BACKLOG_STEP_EVENT_COUNT
    assert went.pause_seconds == pytest.approx(pause)


@given(
    left=st.integers(0, 10**7),
    taken=st.integers(0, 1_000),
    spent=st.floats(0, 100),
    grown=st.floats(0, 10**6),
    share=st.floats(0.001, 1.0),
)
def test_a_backlog_shrinks_if_it_can(
    left: int, taken: int, spent: float, grown: float, share: float
) -> None:
    """A pause never takes a copy below three times the rate at which the stream grows."""
    went = pace(
        left_count=left,
        taken_count=taken,
        spent_seconds=spent,
        grown_per_second=grown,
        share=share,
    )

    assert 0.0 <= went.pause_seconds <= PAUSE_SECONDS_MAX
    assert went.event_count >= BACKLOG_STEP_EVENT_COUNT
    if went.pause_seconds > 0:
        rate = taken / (spent + went.pause_seconds)
        assert rate >= SHRINK_FACTOR * grown * (1 - 1e-9)
