"""Two copies of a stream: what is looked at, what differs, and what counts as missing."""

from __future__ import annotations

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.replication.comparison import (
    BUCKET_SEQUENCES,
    LEAF_SEQUENCES,
    OLD_BUCKETS_EACH,
    Range,
    Sweep,
    differing,
    digest,
    find,
    is_leaf,
    plan_comparison,
    split,
    unknown_calls,
)
from farspan.store.base import BatchKey


def key(sequence: int, count: int = 1) -> BatchKey:
    """Return a batch's key."""
    return BatchKey(sequence, count, sequence.to_bytes(14, "big"))


def covered(ranges: list[Range]) -> list[int]:
    """Return every sequence in the ranges."""
    return [n for first, last in ranges for n in range(first, last + 1)]


# --- what is looked at ------------------------------------------------------------------------


def test_what_came_since_the_last_time_is_looked_at_whole() -> None:
    """New sequences are cut at the buckets' bounds, so that both Regions cut alike."""
    ranges, sweep = plan_comparison(Sweep(checked=100, old=101), start=1, end=9_000)

    assert ranges[-3:] == [
        Range(101, BUCKET_SEQUENCES - 1),
        Range(BUCKET_SEQUENCES, 2 * BUCKET_SEQUENCES - 1),
        Range(2 * BUCKET_SEQUENCES, 9_000),
    ]
    assert sweep.checked == 9_000


def test_what_is_older_comes_in_turn() -> None:
    """Every comparison goes on where the last one ended, and begins anew after the end."""
    size = BUCKET_SEQUENCES * OLD_BUCKETS_EACH * 2
    sweep = Sweep(checked=size)
    looked: list[list[int]] = []
    for _ in range(4):
        ranges, sweep = plan_comparison(sweep, start=1, end=size)
        looked.append(covered(ranges))

    assert looked[0][0] == 1
    assert looked[1][0] == looked[0][-1] + 1
    assert sorted({n for seen in looked for n in seen}) == list(range(1, size + 1))
    assert all(len(seen) <= BUCKET_SEQUENCES * OLD_BUCKETS_EACH for seen in looked)


def test_what_either_region_trimmed_is_not_looked_at() -> None:
    """Retention differs between Regions: that is no damage."""
    ranges, _ = plan_comparison(Sweep(checked=500), start=400, end=600)

    assert covered(ranges) == list(range(400, 601))


@pytest.mark.parametrize(("start", "end"), [(1, 0), (5, 4), (100, 4)])
def test_nothing_copied_is_nothing_to_compare(start: int, end: int) -> None:
    """An empty stream, or one that was trimmed whole, has no ranges."""
    ranges, sweep = plan_comparison(Sweep(), start=start, end=end)

    assert ranges == []
    assert sweep.checked == end


def test_a_stream_that_begins_anew_is_looked_at_anew() -> None:
    """A cursor that was set back takes the sweep with it."""
    ranges, sweep = plan_comparison(Sweep(checked=9_000, old=8_000), start=1, end=10)

    assert covered(ranges) == list(range(1, 11))
    assert sweep.checked == 10


@given(
    checked=st.integers(0, 50_000),
    old=st.integers(0, 60_000),
    start=st.integers(1, 60_000),
    end=st.integers(0, 60_000),
)
def test_no_sequence_is_looked_at_twice_or_beyond_the_bounds(
    checked: int, old: int, start: int, end: int
) -> None:
    """Whatever the sweep, a comparison is within what both have, and each bucket comes once."""
    ranges, _ = plan_comparison(Sweep(checked, old), start=start, end=end)
    seen = covered(ranges)

    assert len(seen) == len(set(seen))
    assert all(start <= n <= end for n in seen)
    assert all(last // BUCKET_SEQUENCES == first // BUCKET_SEQUENCES for first, last in ranges)
    assert set(range(max(checked + 1, start), end + 1)) <= set(seen)


@given(st.integers(1, 10_000), st.integers(1, BUCKET_SEQUENCES))
def test_the_parts_of_a_range_are_the_range(first: int, size: int) -> None:
    """Cutting loses no sequence, and comes to leaves in a few steps."""
    whole = Range(first, first + size - 1)
    parts = split(whole)

    assert covered(parts) == covered([whole])
    assert all(is_leaf(part) for part in parts) or size > 16 * LEAF_SEQUENCES


# --- what differs -----------------------------------------------------------------------------


def test_equal_batches_have_equal_digests() -> None:
    """A digest is over sequence, count and call."""
    assert digest([key(1), key(2)]) == digest(iter([key(1), key(2)]))


@pytest.mark.parametrize(
    "other",
    [[], [key(1)], [key(1), key(3)], [key(1), key(2, 2)], [key(1), BatchKey(2, 1, b"x" * 14)]],
    ids=["nothing", "one-less", "another-sequence", "another-count", "another-call"],
)
def test_unequal_batches_have_unequal_digests(other: list[BatchKey]) -> None:
    """A batch that is gone or is another shows."""
    assert digest([key(1), key(2)]) != digest(other)


def test_ranges_differ_by_their_digests() -> None:
    """Only those are looked into."""
    ranges = [Range(1, 5), Range(6, 9)]

    assert differing(ranges, [b"a", b"b"], [b"a", b"c"]) == [Range(6, 9)]


def test_missing_is_what_no_log_of_the_region_has() -> None:
    """A call that both Regions accepted is there under its own origin: it is not missing."""
    here, there = [key(1), key(9)], [key(1), key(2), key(3)]
    assert unknown_calls(here, there) == [key(2).call, key(3).call]
    found = find(here, there, {key(3).call})

    assert found.missing == (key(2),)
    assert found.surplus == (key(9),)


@given(st.sets(st.integers(1, 20_000), max_size=300), st.data())
def test_every_planted_difference_is_found(present: set[int], data: st.DataObject) -> None:
    """Whatever is gone from a copy, digests and leaves lead to exactly that."""
    origin = sorted(present)
    gone = set(data.draw(st.lists(st.sampled_from(origin), max_size=5))) if origin else set()
    copy = [n for n in origin if n not in gone]

    def keys(held: list[int], within: Range) -> list[BatchKey]:
        return [key(n) for n in held if within.first <= n <= within.last]

    ranges, _ = plan_comparison(Sweep(), start=1, end=20_000)
    left, missing = deque(ranges), set()
    while left:
        each = left.popleft()
        here, there = keys(copy, each), keys(origin, each)
        for differs in differing([each], [digest(here)], [digest(there)]):
            if is_leaf(differs):
                missing |= {k.sequence for k in find(here, there, set()).missing}
            else:
                left.extend(split(differs))

    assert missing == gone
