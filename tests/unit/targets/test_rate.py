"""The token bucket of a target's rate."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farspan.targets.rate import TokenBucket


def test_one_seconds_worth_at_once() -> None:
    """A second's invocations may be made at once, the next waits for its turn."""
    bucket = TokenBucket(4)

    assert [0.0, 0.0, 0.0, 0.0, 0.25, 0.5] == [bucket.take(100.0) for _ in range(6)]


def test_no_more_than_a_second_is_saved_up() -> None:
    """After a long rest there is one second's worth, not the rest's."""
    bucket = TokenBucket(2)
    bucket.take(100.0)

    assert [0.0, 0.0, 0.5] == [bucket.take(1_000.0) for _ in range(3)]


@given(
    st.integers(1, 300),
    st.lists(st.floats(0, 2, allow_nan=False), min_size=1, max_size=200),
)
def test_never_more_than_the_rate(per_second: int, pauses: list[float]) -> None:
    """Any second has at most twice the rate: what was saved up, and what came since."""
    bucket, now, turns = TokenBucket(per_second), 0.0, []
    for pause in pauses:
        now += pause
        turns.append(now + bucket.take(now))
    in_window = max(sum(start <= turn < start + 1 for turn in turns) for start in turns)

    assert in_window <= 2 * per_second + 1
    assert turns == sorted(turns)
