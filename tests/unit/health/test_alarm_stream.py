"""A metric's state as a check makes a result of it: every state, every setting."""

from __future__ import annotations

import itertools

import pytest

from farspan.health.alarm_stream import ANSWERS, WORDS, Answer, look, stands
from farspan.health.check import CheckState
from farspan.model.alarm import AlarmState
from farspan.model.health_check import InsufficientDataHealthStatus, Status

UP = CheckState(status=Status.HEALTHY, settled=True)
DOWN = CheckState(status=Status.UNHEALTHY, settled=True)
NEW = CheckState()


def test_every_state_and_setting_has_an_answer() -> None:
    """The table is total, and so are the words."""
    assert set(itertools.product(AlarmState, InsufficientDataHealthStatus)) == set(ANSWERS)
    assert set(AlarmState) == set(WORDS)
    assert set(Answer) == set(ANSWERS.values())


@pytest.mark.parametrize("state", [UP, DOWN, NEW], ids=["up", "down", "new"])
@pytest.mark.parametrize("setting", InsufficientDataHealthStatus)
@pytest.mark.parametrize("stream", [AlarmState.OK, AlarmState.ALARM])
def test_with_data_the_threshold_decides(
    stream: AlarmState, setting: InsufficientDataHealthStatus, state: CheckState
) -> None:
    """Whatever the setting, and whatever was before."""
    result = look(stream, setting, state)

    assert result is not None
    assert (stream is AlarmState.OK) is result.healthy
    assert result.report.endswith(WORDS[stream])


@pytest.mark.parametrize(
    ("setting", "state", "healthy"),
    [
        ("Healthy", UP, True),
        ("Healthy", DOWN, True),
        ("Healthy", NEW, True),
        ("Unhealthy", UP, False),
        ("Unhealthy", DOWN, False),
        ("Unhealthy", NEW, False),
        ("LastKnownStatus", UP, True),
        ("LastKnownStatus", DOWN, False),
        ("LastKnownStatus", NEW, None),
    ],
)
def test_without_data_the_setting_decides(
    setting: str, state: CheckState, healthy: bool | None
) -> None:
    """Who never knew a status has nothing to say of the last one."""
    result = look(AlarmState.INSUFFICIENT_DATA, InsufficientDataHealthStatus(setting), state)

    assert healthy == (None if result is None else result.healthy)


@pytest.mark.parametrize(
    ("silent", "period", "expected"),
    [(0.0, 60, True), (60.0, 60, True), (60.1, 60, False), (2.9, 1, True), (3.1, 1, False)],
)
def test_a_silent_region_has_no_data_after_a_period(
    silent: float, period: int, expected: bool
) -> None:
    """But never before its silence is more than a missed report or two."""
    assert expected is stands(silent, period, 3.0)
