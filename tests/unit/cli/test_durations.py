"""Durations as they are written on the command line."""

from __future__ import annotations

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.cli.durations import SECONDS_OF, Duration


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("30s", 30.0), ("500ms", 0.5), ("1h30m", 5_400.0), ("1.5m", 90.0), ("2d", 172_800.0)],
)
def test_parts_add_up(text: str, seconds: float) -> None:
    """A number and a unit, and so on."""
    assert seconds == Duration().convert(text, None, None)


@pytest.mark.parametrize(
    "text",
    ["", "30", "soon", "-1s", "1 s", "s", "1e3s", "\N{ARABIC-INDIC DIGIT THREE}s", "0.1s", "2h"],
)
def test_what_is_none_or_beyond_the_limits_is_refused(text: str) -> None:
    """With the text, and an example or the limits."""
    with pytest.raises(click.BadParameter, match=r"such as 90s|0.5 to 3600 seconds") as caught:
        Duration(0.5, 3_600.0).convert(text, None, None)

    assert f"`{text}`" in caught.value.message


@given(st.integers(0, 10**6), st.sampled_from(sorted(SECONDS_OF)))
def test_every_unit_is_taken(number: int, unit: str) -> None:
    """The number times what the unit is."""
    assert number * SECONDS_OF[unit] == Duration().convert(f"{number}{unit}", None, None)
