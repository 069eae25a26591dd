"""Why an alarm is in its state, in CloudWatch's words."""

from __future__ import annotations

import json

import pytest

from farspan.metrics.alarm import evaluate
from farspan.metrics.state_reason import (
    Point,
    state_change_event,
    state_reason,
    state_reason_data,
)
from farspan.model.alarm import AlarmState, ComparisonOperator, MetricAlarm, TreatMissingData

MINUTE = 1_700_000_040


def alarm(m: int = 2, n: int = 3, treat: TreatMissingData | None = None) -> MetricAlarm:
    """Return an alarm on values above 5."""
    return MetricAlarm(
        region="us-east-1",
        account="111122223333",
        name="a",
        namespace="n",
        metric_name="m",
        dimensions=(("d", "1"),),
        statistic="Sum",
        period=60,
        evaluation_periods=n,
        datapoints_to_alarm=m,
        threshold=5.0,
        comparison_operator=ComparisonOperator.GREATER_THAN_THRESHOLD,
        treat_missing_data=treat,
    )


def reason(subject: MetricAlarm, *values: float | None) -> str:
    """Return the reason after data points of as many minutes."""
    evaluation = evaluate(subject.condition, values, AlarmState.INSUFFICIENT_DATA)
    points: list[Point] = [
        (MINUTE + 60 * index, value)
        for index in evaluation.considered
        if (value := values[index]) is not None
    ]
    return state_reason(subject, evaluation, points)


@pytest.mark.parametrize(
    ("subject", "values", "expected"),
    [
        (
            alarm(),
            (1.0, 9.0, 8.0),
            "Threshold Crossed: 2 out of the last 3 datapoints [8.0 (14/11/23 22:16:00), 9.0 "
            "(14/11/23 22:15:00)] were greater than the threshold (5.0) (minimum 2 datapoints for "
            "OK -> ALARM transition).",
        ),
        (
            alarm(n=1, m=1),
            (1.0,),
            "Threshold Crossed: 1 out of the last 1 datapoints [1.0 (14/11/23 22:14:00)] was not "
            "greater than the threshold (5.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        (alarm(), (None,) * 5, "Insufficient Data: 3 datapoints were unknown."),
        (
            alarm(treat=TreatMissingData.BREACHING),
            (None,) * 5,
            "Threshold Crossed: no datapoints were received for 3 periods and 3 missing datapoints "
            "were treated as [Breaching].",
        ),
    ],
    ids=["alarm", "ok", "unknown", "missing"],
)
def test_reasons(subject: MetricAlarm, values: tuple[float | None, ...], expected: str) -> None:
    """What counted, how it compares, and how many are needed; or that nothing came."""
    assert expected == reason(subject, *values)


def test_what_was_looked_at_is_json() -> None:
    """With times as CloudWatch writes them, the newest data point first."""
    told = json.loads(state_reason_data(alarm(), [(MINUTE, 9.0), (MINUTE + 60, 8.0)], MINUTE + 121))

    assert told["queryDate"] == "2023-11-14T22:16:01.000+0000"
    assert told["startDate"] == "2023-11-14T22:14:00.000+0000"
    assert (told["statistic"], told["period"], told["threshold"]) == ("Sum", 60, 5.0)
    assert [9.0, 8.0] == told["recentDatapoints"]
    assert told["evaluatedDatapoints"][0] == {
        "timestamp": "2023-11-14T22:15:00.000+0000",
        "value": 8.0,
    }


def test_the_same_change_makes_the_same_event() -> None:
    """Its id follows from alarm, state and time, so that a log has it once."""
    before = alarm()
    one = state_change_event(before, before)
    other = state_change_event(before, before)
    envelope = json.loads(one[1])

    assert one == other
    assert ["arn:aws:cloudwatch:us-east-1:111122223333:alarm:a"] == envelope["resources"]
    (metric,) = envelope["detail"]["configuration"]["metrics"]
    assert metric["metricStat"]["metric"]["dimensions"] == {"d": "1"}
