"""The metrics of a Region: counted, read by the second and the minute, kept over a restart."""

from __future__ import annotations

import pytest

from farspan.clock import SeededIds
from farspan.metrics.service import (
    METRICS_PREFIX,
    MINUTES_KEPT,
    MetricsService,
    TooManySeries,
    scaled_period,
)
from farspan.metrics.statistics import set_of
from farspan.model.event import CallId, EventBatch
from farspan.model.metric import Metric, MetricStream
from farspan.store.base import Append
from farspan.store.memory import MemoryStore

ACCOUNT = "111122223333"
METRIC = Metric(ACCOUNT, "AWS/Events", "Invocations", (("RuleName", "r"),))
START = 1_700_000_040.0  # a whole minute


class StillClock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.time = START

    def now(self) -> float:
        """Return the time that the test set."""
        return self.time

    def monotonic(self) -> float:
        """Return the same."""
        return self.time

    async def sleep(self, seconds: float) -> None:
        """Move on at once."""
        self.time += seconds


@pytest.fixture
def clock() -> StillClock:
    """Return a clock at a whole minute."""
    return StillClock()


@pytest.fixture
def store() -> MemoryStore:
    """Return an empty store."""
    return MemoryStore()


def service(store: MemoryStore, clock: StillClock, time_scale: float = 1.0) -> MetricsService:
    """Return a service that is not started."""
    return MetricsService("us-east-1", store, clock, SeededIds(1), time_scale)


async def counted(metrics: MetricsService, clock: StillClock, *counts: int) -> None:
    """Count so much in each of the next seconds."""
    counter = metrics.meter.counter(METRIC)
    for count in counts:
        if count:
            counter.add(count)
        clock.time += 1
        metrics.turn()


async def test_what_is_counted_is_read_by_the_second_and_the_minute(
    store: MemoryStore, clock: StillClock
) -> None:
    """A counter's sums are those of each second, and of the minute that has them."""
    metrics = service(store, clock)
    await counted(metrics, clock, 3, 0, 4)
    start = int(START)

    seconds = await metrics.sets(METRIC, None, 1, start, start + 60)
    minutes = await metrics.sets(METRIC, "Count", 60, start, start + 60)

    assert {start: 3, start + 2: 4} == {at: s.sum for at, s in seconds.items()}
    assert {start: (7, 7, 1, 1)} == {
        at: (s.sum, s.count, s.minimum, s.maximum) for at, s in minutes.items()
    }


async def test_a_distribution_has_percentiles(store: MemoryStore, clock: StillClock) -> None:
    """Latencies keep enough of their values for percentiles."""
    metrics = service(store, clock)
    latency = metrics.meter.distribution("Milliseconds", METRIC)
    latency.add(10.0, 99)
    latency.add(500.0)

    (found,) = (await metrics.sets(METRIC, None, 60, int(START), int(START) + 60)).values()

    assert found.statistic("p50") == pytest.approx(10.0, rel=0.02)
    assert found.statistic("p100") == 500.0
    assert found.statistic("SampleCount") == 100


async def test_datapoints_are_of_whole_periods(store: MemoryStore, clock: StillClock) -> None:
    """The period that goes on is not among the data points; one without data is None."""
    metrics = service(store, clock)
    await counted(metrics, clock, 5)
    clock.time = START + 130

    found = await metrics.datapoints(MetricStream(METRIC, "Sum", 60), 4)

    assert [None, None, 5, None] == found


async def test_periods_follow_the_time_scale(store: MemoryStore, clock: StillClock) -> None:
    """Twenty times faster, a period of a minute is three seconds."""
    metrics = service(store, clock, time_scale=20.0)
    await counted(metrics, clock, 1, 1, 1, 2, 2, 0, 0, 0, 0)

    assert [None, 3, 4, None] == await metrics.datapoints(MetricStream(METRIC, "Sum", 60), 4)


@pytest.mark.parametrize(
    ("period", "time_scale", "expected"),
    [(60, 1, 60), (60, 20, 3), (60, 200, 1), (10, 1, 10), (360, 2, 180), (3600, 20, 180)],
)
def test_a_period_is_whole_seconds_or_whole_minutes(
    period: int, time_scale: float, expected: int
) -> None:
    """A scaled period is never less than a second, and of whole minutes from a minute on."""
    assert expected == scaled_period(period, time_scale)


async def test_minutes_outlive_the_process(store: MemoryStore, clock: StillClock) -> None:
    """What was closed in order is there again, by the minute, with its units and times."""
    metrics = service(store, clock)
    await counted(metrics, clock, 5)
    metrics.put(METRIC, "None", START - 600, set_of([1, 2], [1, 1]))
    await metrics.close()

    again = service(store, clock)
    await again.load()
    start = int(START)

    assert {start: 5} == {
        at: s.sum for at, s in (await again.sets(METRIC, "Count", 60, start, start + 60)).items()
    }
    (old,) = (await again.sets(METRIC, "None", 60, start - 600, start)).values()
    assert old.statistic("p100") == 2
    assert [METRIC] == [metric for metric, _ in again.metrics(ACCOUNT)]


async def test_what_memory_has_forgotten_is_read_from_the_store(
    store: MemoryStore, clock: StillClock
) -> None:
    """A range that begins before what memory keeps has each minute once."""
    metrics = service(store, clock)
    await counted(metrics, clock, 5)
    metrics.put(METRIC, "Count", START - 86_400, set_of([1], [2]))
    await metrics.save()
    clock.time += MINUTES_KEPT + 120
    metrics.turn()
    await counted(metrics, clock, 7)
    metrics._trim()

    found = await metrics.sets(METRIC, None, 60, int(START) - 86_400, int(clock.time))

    assert [2, 5, 7] == [one.sum for one in found.values()]


async def test_what_a_store_does_not_take_is_stored_later(
    store: MemoryStore, clock: StillClock
) -> None:
    """Only whole minutes are stored while it runs, one batch for an account."""
    metrics = service(store, clock)
    await counted(metrics, clock, 5)

    await metrics.save(before=START)
    assert 0 == await store.log_end(f"{METRICS_PREFIX}{ACCOUNT}")
    await metrics.save(before=START + 60)
    assert 1 == await store.log_end(f"{METRICS_PREFIX}{ACCOUNT}")
    await metrics.save()
    assert 1 == await store.log_end(f"{METRICS_PREFIX}{ACCOUNT}")


async def test_metrics_are_bounded(
    store: MemoryStore, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond the bound a caller is told, and a part that counts is not disturbed."""
    monkeypatch.setattr("farspan.metrics.service.SERIES_MAX", 1)
    metrics = service(store, clock)
    metrics.put(METRIC, "None", START, set_of([1], [1]))
    other = METRIC._replace(name="other")

    with pytest.raises(TooManySeries):
        metrics.put(other, "None", START, set_of([1], [1]))
    metrics.meter.counter(other).add(1)
    metrics.turn()

    assert [METRIC] == [metric for metric, _ in metrics.metrics(ACCOUNT)]


async def test_metrics_without_data_for_two_weeks_are_no_longer_listed(
    store: MemoryStore, clock: StillClock
) -> None:
    """A metric goes with its last data, and comes back with new data."""
    metrics = service(store, clock)
    counter = metrics.meter.counter(METRIC)
    counter.add(1)
    metrics.turn()
    clock.time += 15 * 86_400
    metrics.turn()
    metrics._trim()
    assert [] == metrics.metrics(ACCOUNT)

    counter.add(1)

    assert [METRIC] == [metric for metric, _ in metrics.metrics(ACCOUNT)]


async def test_memory_is_bounded_and_the_store_is_read_sooner(
    store: MemoryStore, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What memory lets go early is still there, each minute once."""
    monkeypatch.setattr("farspan.metrics.service.MINUTES_BYTES_MAX", 40 * 60)
    metrics = service(store, clock)
    counter = metrics.meter.counter(METRIC)
    for _ in range(120):
        counter.add(1)
        clock.time += 60
        metrics.turn()
        await metrics.save(before=clock.time)
        metrics._trim()
    (series,) = metrics._series.values()

    found = await metrics.sets(METRIC, None, 60, int(START) - 600, int(clock.time) + 60)

    assert len(series.minutes) < 70
    assert 120 == len(found) == sum(one.sum for one in found.values())


async def test_seconds_leave_early_where_there_are_too_many(
    store: MemoryStore, clock: StillClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All series share one bound; the newest seconds stay."""
    monkeypatch.setattr("farspan.metrics.service.SECONDS_BYTES_MAX", 40 * 50)
    metrics = service(store, clock)
    await counted(metrics, clock, *[1] * 100)
    metrics._trim()
    now = int(clock.time)

    found = await metrics.sets(METRIC, None, 1, now - 900, now)

    assert 0 < len(found) <= 450
    assert now - 1 in found


async def test_what_another_version_stored_is_left_alone(
    store: MemoryStore, clock: StillClock
) -> None:
    """A Region starts all the same, and reads what it understands."""
    metrics = service(store, clock)
    await counted(metrics, clock, 5)
    await metrics.close()
    strange = EventBatch(
        event_bus=f"{METRICS_PREFIX}{ACCOUNT}",
        call=CallId(b"c"),
        events=(b"12345678\xc1",),
        accepted_at=clock.time,
        origin="us-east-1",
    )
    await store.commit([Append(strange)])

    again = service(store, clock)
    await again.load()

    assert [METRIC] == [metric for metric, _ in again.metrics(ACCOUNT)]
