"""The alarm machine: the tables of CloudWatch's user guide, and every state with every input."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.metrics.alarm import breaches, evaluate, evaluation_range
from farspan.model.alarm import AlarmCondition, AlarmState, ComparisonOperator, TreatMissingData

OK, ALARM, INSUFFICIENT = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA
KEPT = None
POINTS = {"0": 0.0, "X": 9.0, "-": None}


def condition(
    m: int = 3, n: int = 3, treat: TreatMissingData = TreatMissingData.MISSING
) -> AlarmCondition:
    """Return a condition that values above 5 breach."""
    return AlarmCondition(
        threshold=5.0,
        comparison_operator=ComparisonOperator.GREATER_THAN_THRESHOLD,
        evaluation_periods=n,
        datapoints_to_alarm=m,
        treat_missing_data=treat,
    )


def points(text: str) -> list[float | None]:
    """Return data points as the user guide writes them, the oldest first."""
    return [POINTS[point] for point in text.split()]


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize(
    ("m", "text", "expected"),
    [
        # missing, ignore, breaching, notBreaching
        (3, "0 - X - X", (OK, OK, OK, OK)),
        (3, "0 - - - -", (OK, OK, OK, OK)),
        (3, "- - - - -", (INSUFFICIENT, KEPT, ALARM, OK)),
        (3, "0 X X - X", (ALARM, ALARM, ALARM, ALARM)),
        (3, "- - X - -", (ALARM, KEPT, ALARM, OK)),
        (2, "0 - X - X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 0 X 0 X", (ALARM, ALARM, ALARM, ALARM)),
        (2, "0 - X - -", (OK, OK, ALARM, OK)),
        (2, "- - - - 0", (OK, OK, ALARM, OK)),
        (2, "- - - X -", (ALARM, KEPT, ALARM, OK)),
    ],
)
def test_the_tables_of_the_user_guide(
    m: int, text: str, expected: tuple[AlarmState | None, ...], state: AlarmState
) -> None:
    """Each row leads to the documented state under each treatment, whatever the state was."""
    found = tuple(
        evaluate(condition(m=m, treat=treat), points(text), state).state
        for treat in TreatMissingData
    )

    assert tuple(one or state for one in expected) == found


@pytest.mark.parametrize("text", ["- - - - X", "- - - X -"])
@pytest.mark.parametrize("state", AlarmState)
def test_a_first_breaching_point_does_not_set_it_off(text: str, state: AlarmState) -> None:
    """Where the only data points breach and are newer than M periods, the state stays."""
    assert state == evaluate(condition(), points(text), state).state


@pytest.mark.parametrize("state", AlarmState)
@pytest.mark.parametrize("treat", TreatMissingData)
def test_without_anything_missing_the_newest_count(
    treat: TreatMissingData, state: AlarmState
) -> None:
    """Of a full range the oldest points are left alone, under every treatment."""
    machine = condition(treat=treat)

    assert evaluate(machine, points("X X 0 0 0"), state).state == OK
    assert evaluate(machine, points("0 0 X X X"), state).state == ALARM
    assert evaluate(machine, points("X X X X 0"), state).state == OK


@pytest.mark.parametrize(
    ("operator", "at_threshold", "above", "below"),
    [
        (ComparisonOperator.GREATER_THAN_THRESHOLD, False, True, False),
        (ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD, True, True, False),
        (ComparisonOperator.LESS_THAN_THRESHOLD, False, False, True),
        (ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD, True, False, True),
    ],
)
def test_every_comparison(
    operator: ComparisonOperator, *, at_threshold: bool, above: bool, below: bool
) -> None:
    """Each operator compares the data point with the threshold as its name says."""
    machine = AlarmCondition(
        threshold=5.0, comparison_operator=operator, evaluation_periods=1, datapoints_to_alarm=1
    )

    assert (at_threshold, above, below) == tuple(breaches(machine, v) for v in (5.0, 5.1, 4.9))


def test_every_input_of_a_small_alarm_is_decided() -> None:
    """The machine is total, and never calls a range OK that has M breaching points of N newest."""
    for m, treat, state in itertools.product((1, 2), TreatMissingData, AlarmState):
        machine = condition(m=m, n=2, treat=treat)
        for row in itertools.product("0X-", repeat=evaluation_range(machine)):
            found = evaluate(machine, points(" ".join(row)), state)

            newest = [point for point in row if point != "-"][-2:]
            assert found.state in AlarmState
            assert (newest.count("X") >= m) <= (found.state is ALARM)
            assert found.filled_count == 2 - len(newest)
            assert found.breaching_count == newest.count("X")


@settings(deadline=None)
@given(
    row=st.lists(st.sampled_from("0X-"), min_size=7, max_size=7),
    m=st.integers(1, 5),
    state=st.sampled_from(AlarmState),
)
def test_treatments_are_ordered(row: list[str], m: int, state: AlarmState) -> None:
    """What is in alarm where missing points are no breach is in alarm where they are one."""

    def under(treat: TreatMissingData) -> AlarmState:
        return evaluate(condition(m=m, n=5, treat=treat), points(" ".join(row)), state).state

    if under(TreatMissingData.NOT_BREACHING) is ALARM:
        assert {under(treat) for treat in TreatMissingData} == {ALARM}
    if under(TreatMissingData.BREACHING) is OK:
        assert under(TreatMissingData.NOT_BREACHING) is OK


def test_what_counted_is_told() -> None:
    """The evaluation names the points that counted by their index, the oldest first."""
    found = evaluate(condition(m=2), points("0 - X - X"), OK)

    assert (0, 2, 4) == found.considered
    assert (2, 0) == (found.breaching_count, found.filled_count)
