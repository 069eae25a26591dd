"""The machine of one observer's check: every state, every input."""

from __future__ import annotations

import itertools

import pytest

from farspan.health.check import (
    MOVES,
    OPPOSITE,
    CheckState,
    Move,
    ProbeResult,
    final_status,
    renewed,
    step,
)
from farspan.model.health_check import HealthCheck, HealthCheckType, Status

OK = ProbeResult(healthy=True, report="Success: fine")
FAIL = ProbeResult(healthy=False, report="Failure: not fine")

H, U = Status.HEALTHY, Status.UNHEALTHY


def check(**settings: bool) -> HealthCheck:
    """Return a check with the settings that matter here."""
    return HealthCheck(
        id="c", account="1" * 12, caller_reference="r", type=HealthCheckType.HTTP, **settings
    )


def test_every_state_and_input_has_a_move() -> None:
    """The table is total: no (status, seen, threshold reached) is left to chance."""
    assert set(itertools.product(Status, Status, (False, True))) == set(MOVES)
    assert set(Move) == set(MOVES.values())
    assert set(Status) == set(OPPOSITE)


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize(
    ("status", "contrary", "result", "after"),
    [
        (H, 0, OK, (H, 0, True)),
        (H, 1, OK, (H, 0, True)),
        (H, 2, OK, (H, 0, True)),
        (H, 0, FAIL, (H, 1, None)),
        (H, 1, FAIL, (H, 2, None)),
        (H, 2, FAIL, (U, 0, True)),
        (U, 0, OK, (U, 1, None)),
        (U, 1, OK, (U, 2, None)),
        (U, 2, OK, (H, 0, True)),
        (U, 0, FAIL, (U, 0, True)),
        (U, 1, FAIL, (U, 0, True)),
        (U, 2, FAIL, (U, 0, True)),
    ],
)
def test_every_step_at_threshold_three(
    status: Status,
    contrary: int,
    result: ProbeResult,
    after: tuple[Status, int, bool | None],
    settled: bool,
) -> None:
    """Each state takes each result to one other state; merely counting settles nothing."""
    state = CheckState(status=status, contrary=contrary, settled=settled)
    expected_status, expected_contrary, settles = after
    expected = CheckState(
        status=expected_status,
        contrary=expected_contrary,
        settled=settled if settles is None else settles,
    )

    assert expected == step(state, result, 3)


def test_a_threshold_of_one_flips_at_once() -> None:
    """With FailureThreshold 1 every contrary result flips the status, in both directions."""
    down = step(CheckState(), FAIL, 1)
    up = step(down, OK, 1)

    assert [down.status, up.status] == [U, H]


def test_a_lowered_threshold_counts_what_is_there() -> None:
    """Where more results contradict than a lowered threshold asks for, the next one flips."""
    assert U is step(CheckState(contrary=5), FAIL, 2).status


def test_a_new_check_counts_as_healthy_but_has_no_evidence() -> None:
    """Route 53 counts a new check healthy until data; an observer does not vote on that alone."""
    assert CheckState(status=H, contrary=0, settled=False) == CheckState()


def test_no_step_without_a_threshold() -> None:
    """A threshold below 1 is a fault of the program."""
    with pytest.raises(AssertionError, match="flips on nothing"):
        step(CheckState(), OK, 0)


def test_changed_settings_keep_the_status_and_drop_the_count() -> None:
    """Probes of the former target do not count against the present one."""
    state = CheckState(status=U, contrary=2, settled=True)

    assert CheckState(status=U, contrary=0, settled=True) == renewed(state)


@pytest.mark.parametrize(
    ("disabled", "inverted", "measured", "final"),
    [
        (False, False, H, H),
        (False, False, U, U),
        (False, True, H, U),
        (False, True, U, H),
        (True, False, H, H),
        (True, False, U, H),
        (True, True, H, U),
        (True, True, U, U),
    ],
)
def test_final_status(disabled: bool, inverted: bool, measured: Status, final: Status) -> None:
    """Disabled overrides the measurement with Healthy, and inversion comes last."""
    assert final is final_status(check(disabled=disabled, inverted=inverted), measured)
