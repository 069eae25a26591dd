"""Statistic sets, their sketches, and the rows of a track."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.metrics.series import Track
from farspan.metrics.statistics import (
    SKETCH_COUNT_MAX,
    StatisticSet,
    is_statistic,
    merged_by_period,
    set_of,
)

VALUES = st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=60)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("SampleCount", 4), ("Sum", 10), ("Average", 2.5), ("Minimum", 1), ("Maximum", 4)],
)
def test_the_five_statistics(name: str, expected: float) -> None:
    """Each statistic follows from the values."""
    assert expected == set_of([1, 2, 3, 4], [1, 1, 1, 1]).statistic(name)


def test_nothing_has_no_statistic() -> None:
    """A period without values has no statistic at all, not even a count."""
    assert StatisticSet().statistic("SampleCount") is None


@settings(deadline=None)
@given(st.lists(st.floats(1e-3, 1e6), min_size=1, max_size=200), st.integers(0, 100))
def test_percentiles_are_right_to_two_percent(values: list[float], percent: int) -> None:
    """A percentile is within 2 % of the value of that rank."""
    ordered = sorted(values)
    rank = max(0, -(-percent * len(ordered) // 100) - 1)

    found = set_of(values, [1] * len(values)).statistic(f"p{percent}")

    assert found == pytest.approx(ordered[rank], rel=0.02)


def test_percentiles_of_what_is_known_as_a_set_alone() -> None:
    """A set whose values are not known has a percentile only where they are all the same."""
    assert StatisticSet(4, 8, 1, 3).statistic("p50") is None
    assert StatisticSet(4, 8, 2, 2).statistic("p50") == 2

    known = set_of([1, 3], [1, 1])
    known.merge(StatisticSet(4, 8, 1, 3))

    assert known.statistic("p50") is None
    assert known.statistic("Average") == 2


@settings(deadline=None)
@given(VALUES, VALUES)
def test_merging_is_as_good_as_having_seen_both(one: list[float], other: list[float]) -> None:
    """Two sets merged have the statistics of one set of all values."""
    merged = set_of(one, [1] * len(one))
    merged.merge(set_of(other, [1] * len(other)))
    both = set_of([*one, *other], [1] * (len(one) + len(other)))

    for name in ("SampleCount", "Minimum", "Maximum", "p10", "p50", "p99"):
        assert merged.statistic(name) == both.statistic(name)
    assert merged.statistic("Sum") == pytest.approx(both.statistic("Sum"), abs=1e-3)


def test_a_sketch_is_bounded() -> None:
    """Values of every size take a bounded sketch, and the large ones keep their places."""
    values = [1.1**power for power in range(-200, 400)]
    found = set_of(values, [1] * len(values))

    assert found.sketch is not None
    assert len(found.sketch) == SKETCH_COUNT_MAX
    assert found.statistic("p99") == pytest.approx(values[593], rel=0.02)


@pytest.mark.parametrize("name", ["p50", "p99.9", "p100", "p0", "Average"])
def test_names_of_statistics(name: str) -> None:
    """The five statistics and percentiles are statistics."""
    assert is_statistic(name)


@pytest.mark.parametrize("name", ["p101", "average", "tm99", "IQM", "p", "p-1", ""])
def test_what_is_no_statistic(name: str) -> None:
    """Anything else is none."""
    assert not is_statistic(name)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 50), st.floats(0, 100)), max_size=60))
def test_a_track_has_what_was_added_in_order(added: list[tuple[int, float]]) -> None:
    """Whatever the order of adding, a track has one row for each period, in order, and no more."""
    track = Track()
    for start, value in added:
        track.add(start, set_of([value], [1]))

    expected = merged_by_period([(at, set_of([v], [1])) for at, v in added], 1)
    found = dict(track.between(0, 51))

    assert list(expected) == list(found)
    assert len(track) == len(expected)
    for at, one in expected.items():
        for name in ("SampleCount", "Sum", "Minimum", "Maximum", "p50"):
            assert one.statistic(name) == pytest.approx(found[at].statistic(name))


def test_a_track_forgets_what_is_old() -> None:
    """Trimming takes the rows before a time, with their sketches, and leaves the others."""
    track = Track()
    for start in (10, 20, 30):
        track.add(start, set_of([start, start + 1], [1, 1]))

    track.trim(20)

    assert [20, 30] == [at for at, _ in track.between(0, 99)]
    assert track.last_start == 30
    assert next(track.between(30, 31))[1].statistic("p100") == 31
