"""When alarms are evaluated, and that only changes are written."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.control.conftest import ACCOUNT, Api

from farspan.control.alarm_states import advance_alarms, evaluation_seconds
from farspan.metrics.service import MetricsService
from farspan.metrics.statistics import set_of
from farspan.model.alarm import AlarmState, ComparisonOperator, MetricAlarm, TreatMissingData
from farspan.model.metric import Metric


def alarm(**changes: Any) -> MetricAlarm:
    """Return an alarm on sums above 5."""
    return MetricAlarm(
        **{
            "region": "us-east-1",
            "account": ACCOUNT,
            "name": "a",
            "namespace": "n",
            "metric_name": "m",
            "statistic": "Sum",
            "period": 60,
            "evaluation_periods": 1,
            "threshold": 5.0,
            "comparison_operator": ComparisonOperator.GREATER_THAN_THRESHOLD,
            "treat_missing_data": TreatMissingData.NOT_BREACHING,
            **changes,
        }
    )


@pytest.fixture
async def watched(api: Api) -> Api:
    """A Region with metrics and one alarm."""
    api.plane.metrics = MetricsService("us-east-1", api.store, api.clock, api.plane.ids, 1.0)
    await api.plane.resources.save(alarm(), now=api.clock.now())
    return api


def state(api: Api) -> AlarmState:
    """Return the alarm's state."""
    return api.plane.resources.table(MetricAlarm)[f"{ACCOUNT}/a"].state


async def pass_time(api: Api, seconds: float) -> None:
    """Let time pass in one look."""
    before = api.clock.now()
    api.clock.seconds += seconds
    await advance_alarms(api.plane, before, api.clock.now(), 1.0)


@pytest.mark.parametrize(
    ("period", "count", "expected"),
    [(10, 1, 10), (30, 5, 10), (60, 5, 60), (3_600, 24, 60), (3_600, 25, 3_600)],
)
def test_how_often_an_alarm_is_evaluated(period: int, count: int, expected: int) -> None:
    """Every minute; oftener for short periods, and each hour for more than a day."""
    assert expected == evaluation_seconds(alarm(period=period, evaluation_periods=count))


async def test_an_alarm_is_evaluated_once_a_minute(watched: Api) -> None:
    """As the minute ends, by what whole minutes have."""
    watched.clock.seconds -= watched.clock.seconds % 60
    await pass_time(watched, 59)
    assert state(watched) is AlarmState.INSUFFICIENT_DATA

    metric = Metric(ACCOUNT, "n", "m")
    watched.plane.metrics.put(metric, "None", watched.clock.now(), set_of([9.0], [1.0]))
    await pass_time(watched, 1)

    assert state(watched) is AlarmState.ALARM


async def test_only_a_change_is_written(watched: Api) -> None:
    """An event on the default bus, and an item of the history, for each."""
    for _ in range(5):
        await pass_time(watched, 60)

    assert state(watched) is AlarmState.OK
    assert 1 == await watched.store.log_end(f"{ACCOUNT}/default")
    assert 1 == await watched.store.log_end(f"-/alarms/{ACCOUNT}")


async def test_a_store_that_takes_nothing_keeps_the_state(watched: Api) -> None:
    """The next evaluation tries again."""
    watched.store.is_full = True
    await pass_time(watched, 60)
    assert state(watched) is AlarmState.INSUFFICIENT_DATA

    watched.store.is_full = False
    await pass_time(watched, 60)

    assert state(watched) is AlarmState.OK
