"""The metrics behind health checks, evaluated as time goes by: which, when, and what is told."""

from __future__ import annotations

import msgspec
import pytest

from farspan.alarm_streams import AlarmStreams
from farspan.catalog.resources import Resources
from farspan.metrics.alarm import evaluation_range
from farspan.model.alarm import AlarmState, ComparisonOperator
from farspan.model.health_check import (
    AlarmConfiguration,
    AlarmIdentifier,
    HealthCheck,
    HealthCheckType,
)
from farspan.model.metric import MetricStream
from farspan.store.base import StoreError
from farspan.store.memory import MemoryStore

COPY = AlarmConfiguration(
    evaluation_periods=2,
    threshold=5.0,
    comparison_operator=ComparisonOperator.GREATER_THAN_THRESHOLD,
    period=60,
    metric_name="m",
    namespace="n",
    statistic="Sum",
)
CHECK = HealthCheck(
    id="c",
    account="1" * 12,
    caller_reference="r",
    type=HealthCheckType.CLOUDWATCH_METRIC,
    alarm_identifier=AlarmIdentifier(region="us-east-1", name="a"),
    alarm_configuration=COPY,
)
OK, ALARM, NONE = AlarmState.OK, AlarmState.ALARM, AlarmState.INSUFFICIENT_DATA


class FakeMetrics:
    """Data points as the test puts them; notes what it was asked for."""

    def __init__(self) -> None:
        self.points: list[float | None] = [None] * 4
        self.asked: list[tuple[MetricStream, int]] = []
        self.failure: StoreError | None = None

    async def datapoints(self, stream: MetricStream, count: int) -> list[float | None]:
        """See `MetricsService.datapoints`."""
        self.asked.append((stream, count))
        if self.failure is not None:
            raise self.failure
        return self.points


@pytest.fixture
def metrics() -> FakeMetrics:
    """Return metrics without data."""
    return FakeMetrics()


@pytest.fixture
async def resources() -> Resources:
    """Return a Region with one check of an alarm, and one of another type."""
    resources = Resources("us-east-1", MemoryStore())
    other = HealthCheck(id="o", account="1" * 12, caller_reference="o", type=HealthCheckType.TCP)
    await resources.save(CHECK, other, now=1.0)
    return resources


@pytest.fixture
def streams(resources: Resources, metrics: FakeMetrics) -> AlarmStreams:
    """Return streams at a time scale of 1: evaluated every ten seconds."""
    return AlarmStreams(resources, metrics, 1.0)


@pytest.mark.parametrize(
    ("points", "state"),
    [
        ([None, None, None, None], NONE),
        ([1.0, 1.0, 1.0, 1.0], OK),
        ([1.0, 1.0, 9.0, 1.0], OK),
        ([1.0, 1.0, 9.0, 9.0], ALARM),
        ([9.0, None, 9.0, None], ALARM),
        ([1.0, None, None, None], OK),
    ],
)
async def test_all_of_the_periods_have_to_breach(
    streams: AlarmStreams, metrics: FakeMetrics, points: list[float | None], state: AlarmState
) -> None:
    """As with an alarm whose DatapointsToAlarm is its EvaluationPeriods, and missing is missing."""
    metrics.points = points
    before = streams.states()
    await streams.advance(100.0, 100.5)

    assert {} == before
    assert {"c": state} == streams.states()
    assert [(COPY.stream("1" * 12), evaluation_range(COPY.condition))] == metrics.asked


async def test_it_is_evaluated_when_its_turn_comes(
    streams: AlarmStreams, metrics: FakeMetrics
) -> None:
    """At once when it is new, and then every ten seconds by the wall clock."""
    for now in (101.0, 101.5, 109.5, 110.0, 110.5):
        await streams.advance(now - 0.5, now)

    assert 2 == len(metrics.asked)


async def test_a_changed_copy_is_evaluated_anew(
    streams: AlarmStreams, metrics: FakeMetrics, resources: Resources
) -> None:
    """Until then nothing is told of it; a change of its tags is no change."""
    metrics.points = [1.0] * 4
    await streams.advance(101.0, 101.5)
    await resources.save(msgspec.structs.replace(CHECK, tags={"k": "v"}), now=2.0)
    tagged = streams.states()
    copy = msgspec.structs.replace(COPY, threshold=0.5)
    await resources.save(msgspec.structs.replace(CHECK, alarm_configuration=copy), now=3.0)
    changed = streams.states()
    await streams.advance(101.5, 102.0)

    assert ({"c": OK}, {}) == (tagged, changed)
    assert {"c": ALARM} == streams.states()


@pytest.mark.parametrize("is_gone", [True, False])
async def test_what_is_gone_or_disabled_is_not_evaluated(
    streams: AlarmStreams, metrics: FakeMetrics, resources: Resources, is_gone: bool
) -> None:
    """And nothing is told of it."""
    await streams.advance(101.0, 101.5)
    if is_gone:
        await resources.remove(CHECK, now=2.0)
    else:
        await resources.save(msgspec.structs.replace(CHECK, disabled=True), now=2.0)
    await streams.advance(109.0, 111.0)

    assert {} == streams.states()
    assert 1 == len(metrics.asked)


async def test_a_store_that_cannot_be_read(streams: AlarmStreams, metrics: FakeMetrics) -> None:
    """What was found last stands."""
    metrics.points = [1.0] * 4
    await streams.advance(101.0, 101.5)
    metrics.failure = StoreError("gone")
    await streams.advance(109.0, 111.0)

    assert {"c": OK} == streams.states()
