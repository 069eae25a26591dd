"""A calculated check's verdict: a table, and what holds for any children."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.health.calculated import measured
from farspan.health.votes import Verdict

H, U, Q = Verdict.HEALTHY, Verdict.UNHEALTHY, Verdict.UNKNOWN
LETTERS = {"h": H, "u": U, "?": Q}

children = st.lists(st.sampled_from(Verdict), max_size=6)
thresholds = st.integers(0, 8)


@pytest.mark.parametrize(
    ("threshold", "of", "expected"),
    [
        (0, "", H),
        (0, "uuu", H),
        (0, "???", H),
        (1, "", U),
        (1, "h", H),
        (1, "u", U),
        (1, "?", Q),
        (2, "hu", U),
        (2, "h?", Q),
        (2, "hh?", H),
        (2, "hhu", H),
        (2, "huu", U),
        (2, "hu?", Q),
        (2, "uu?", U),
        (3, "hh?", Q),
        (4, "hhh", U),
        (4, "???", U),
    ],
)
def test_the_table(threshold: int, of: str, expected: Verdict) -> None:
    """Enough healthy ones make it healthy, too few with every doubt in favour unhealthy."""
    assert expected is measured(threshold, [LETTERS[letter] for letter in of])


@given(thresholds, children)
def test_the_order_does_not_matter(threshold: int, verdicts: list[Verdict]) -> None:
    """Only how many children say what counts."""
    assert measured(threshold, verdicts) is measured(threshold, sorted(verdicts))


@given(thresholds, children)
def test_it_is_known_once_no_doubt_can_change_it(threshold: int, verdicts: list[Verdict]) -> None:
    """UNKNOWN is the answer just where the doubtful ones could tip it either way."""
    best = measured(threshold, [H if one is Q else one for one in verdicts])
    worst = measured(threshold, [U if one is Q else one for one in verdicts])

    assert measured(threshold, verdicts) is (best if best is worst else Q)
