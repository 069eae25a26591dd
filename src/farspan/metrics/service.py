"""Metrics as they are recorded and kept: who has the clock, and the store.

What happens is counted in accumulators and costs an addition. Once a second they are emptied into
their series; once a minute what is new of each minute goes to the store, in one commit, one batch
for each account. Memory has 15 minutes by the second and 3 hours by the minute; the store 15 days
by the minute. A process that is killed loses what was counted since the last minute began.

Everything is bounded: the number of series, their rows by the second, and the sketches in them.
It must never make whoever counts wait or fail.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
from collections.abc import AsyncIterator, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

import msgspec

from farspan.clock import Clock, IdSource
from farspan.metrics.meter import Accumulator, Meter
from farspan.metrics.series import Series
from farspan.metrics.statistics import StatisticSet, merged_by_period
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch
from farspan.model.metric import Dimensions, Metric, MetricStream
from farspan.store.base import Append, Change, Store, StoreError

METRICS_PREFIX: Final = "-/metrics/"
"""How the keys of the logs begin in which an account's metrics are kept."""

MINUTE: Final = 60
SECONDS_KEPT: Final = 15 * MINUTE
MINUTES_KEPT: Final = 180 * MINUTE
STORED_SECONDS: Final = 15 * 86_400
LISTED_SECONDS: Final = 14 * 86_400
"""How long a metric is listed after its last data (CloudWatch: two weeks)."""

SERIES_MAX: Final = 10_000
SECONDS_BYTES_MAX: Final = 64 * 1024 * 1024
"""Of all series together by the second: beyond, less than 15 minutes stay."""

MINUTES_BYTES_MAX: Final = 64 * 1024 * 1024
"""Likewise by the minute: beyond, less than 3 hours stay, and the store is read sooner."""

TURN_COUNT: Final = 100
"""Accumulators that are emptied without giving others their turn: a few milliseconds' worth."""

UNSAVED_MAX: Final = STORED_SECONDS // MINUTE
"""Minutes that wait for the store, of one series: as many as it would keep."""

READ_EVENT_COUNT: Final = 10_000
HASH_BYTES: Final = 8

log = logging.getLogger("farspan.metrics")


class TooManySeries(Exception):
    """There are as many metrics as there may be."""


class StoredSet(msgspec.Struct, array_like=True, frozen=True):
    """What a minute added to a metric, as the store has it."""

    namespace: str
    name: str
    dimensions: Dimensions
    unit: str
    minute: int
    count: float
    sum: float
    minimum: float
    maximum: float
    sketch: dict[int, float] | None = None

    @property
    def statistics(self) -> StatisticSet:
        """The statistic set."""
        return StatisticSet(self.count, self.sum, self.minimum, self.maximum, self.sketch)


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(StoredSet).decode


class MetricsService:
    """The metrics of one Region.

    `time_scale` is how many times faster than AWS's alarms look at their metrics.
    """

    def __init__(
        self, region: str, store: Store, clock: Clock, ids: IdSource, time_scale: float
    ) -> None:
        self._region = region
        self._store = store
        self._clock = clock
        self._ids = ids
        self._time_scale = time_scale
        self._series: dict[tuple[Metric, str], Series] = {}
        self._units: dict[Metric, list[str]] = {}
        self.meter = Meter()
        self._turned_at = math.floor(clock.now())
        self._minutes_kept = MINUTES_KEPT
        self._refused_count = 0
        self._task: asyncio.Task[None] | None = None

    # --- recording ------------------------------------------------------------------------

    def put(self, metric: Metric, unit: str, at: float, given: StatisticSet) -> None:
        """Add a set to a metric at a time that may be long ago. Raises TooManySeries."""
        self._add(self._found_series(metric, unit), math.floor(at), given)

    def has_room_for(self, wanted: AbstractSet[tuple[Metric, str]]) -> bool:
        """Tell whether so many more metrics, by their units, can be kept."""
        new_count = sum(key not in self._series for key in wanted)
        return len(self._series) + new_count <= SERIES_MAX

    def _found_series(self, metric: Metric, unit: str) -> Series:
        key = (metric, unit)
        series = self._series.get(key)
        if series is None:
            if len(self._series) >= SERIES_MAX:
                raise TooManySeries
            series = self._series[key] = Series(metric, unit)
            self._units.setdefault(metric, []).append(unit)
        return series

    def _add(self, series: Series, second: int, given: StatisticSet) -> None:
        now = self._turned_at
        minute = second - second % MINUTE
        if second > now - SECONDS_KEPT:
            series.seconds.add(second, given)
        if minute >= self._first_minute(now):
            series.minutes.add(minute, given)
        if minute in series.unsaved or len(series.unsaved) < UNSAVED_MAX:
            series.unsaved.setdefault(minute, StatisticSet()).merge(given)
        series.last_at = max(series.last_at, float(second))

    def turn(self) -> None:
        """Empty the accumulators into the second that began when they were last emptied."""
        self._empty(self.meter.take())
        self._turned_at = math.floor(self._clock.now())

    async def _turn_by_and_by(self) -> None:
        """Turn, with pauses for others: what is not emptied yet is counted on meanwhile."""
        opened = self.meter.take()
        for start in range(0, len(opened), TURN_COUNT):
            self._empty(opened[start : start + TURN_COUNT])
            await self._clock.sleep(0)
        self._turned_at = math.floor(self._clock.now())

    def _empty(self, opened: Sequence[Accumulator]) -> None:
        for accumulator in opened:
            given = accumulator.take()
            for metric in accumulator.metrics:
                try:
                    series = self._found_series(metric, accumulator.unit)
                except TooManySeries:
                    self._refused_count += 1
                else:
                    self._add(series, self._turned_at, given)

    # --- reading --------------------------------------------------------------------------

    def metrics(self, account: str) -> list[tuple[Metric, float]]:
        """Return an account's metrics that had data within two weeks, and when they last had."""
        self.turn()
        found: dict[Metric, float] = {}
        for (metric, _), series in self._series.items():
            if metric.account == account and series.last_at > self._turned_at - LISTED_SECONDS:
                found[metric] = max(found.get(metric, 0.0), series.last_at)
        return sorted(found.items())

    def units(self, metric: Metric) -> Sequence[str]:
        """Return the units that a metric has data in."""
        return self._units.get(metric, ())

    async def datapoints(self, stream: MetricStream, count: int) -> list[float | None]:
        """Return a stream's data points of the last `count` whole periods, the oldest first.

        None stands for a period without one. With a time scale a period is as many times shorter,
        but a second at least, and whole minutes from a minute on. Raises StoreError where it needs
        what the store alone has.
        """
        seconds = scaled_period(stream.period, self._time_scale)
        end = math.floor(self._clock.now() / seconds) * seconds
        start = end - count * seconds
        sets = await self.sets(stream.metric, stream.unit, seconds, start, end)
        return [
            sets[at].statistic(stream.statistic) if at in sets else None
            for at in range(start, end, seconds)
        ]

    async def sets(
        self, metric: Metric, unit: str | None, period: int, start: int, end: int
    ) -> dict[int, StatisticSet]:
        """Return a metric's statistic sets by the start of their period, in order.

        Periods are counted from the epoch; `start` has to be the start of one. Those of no whole
        minutes are there for the last 15 minutes. Without a unit, values of all units are taken
        together. Raises StoreError where the store cannot be read.
        """
        self.turn()
        by_minute = period % MINUTE == 0
        found: list[tuple[int, StatisticSet]] = []
        first = self._first_minute(self._turned_at)
        if by_minute and start < first:
            found += await self._stored(metric, unit, start, min(end, first))
        for one in (unit,) if unit is not None else tuple(self.units(metric)):
            series = self._series.get((metric, one))
            if series is not None:
                track = series.minutes if by_minute else series.seconds
                found += track.between(max(start, first) if by_minute else start, end)
        return merged_by_period(found, period)

    async def _stored(
        self, metric: Metric, unit: str | None, start: int, end: int
    ) -> list[tuple[int, StatisticSet]]:
        """Return what the store has of a metric, and what is about to be stored."""
        found: list[tuple[int, StatisticSet]] = [
            (minute, given)
            for one in self.units(metric)
            for minute, given in self._series[metric, one].unsaved.items()
            if unit in (None, one) and start <= minute < end
        ]
        key = _log_key(metric.account)
        marked = _mark(metric)
        async for batch in self._read(key, start):
            for body in batch.events:
                stored = _understood(body) if body.startswith(marked) else None
                if stored is None or unit not in (None, stored.unit):
                    continue
                if start <= stored.minute < end:
                    found.append((stored.minute, stored.statistics))
        return found

    async def _read(self, key: str, since: float) -> AsyncIterator[EventBatch]:
        after = await self._store.position_at(key, since)
        while batches := await self._store.read_log(key, after, READ_EVENT_COUNT):
            for batch in batches:
                yield batch
            after = batches[-1].position + len(batches[-1].events) - 1

    # --- keeping --------------------------------------------------------------------------

    async def load(self) -> None:
        """Take over what the store has of the last three hours. Raises StoreError."""
        first = self._first_minute(self._clock.now())
        for key in await self._store.event_buses():
            if not key.startswith(METRICS_PREFIX):
                continue
            account = key.removeprefix(METRICS_PREFIX)
            async for batch in self._read(key, first):
                for stored in filter(None, map(_understood, batch.events)):
                    self._take_over(account, stored, first)

    def _take_over(self, account: str, stored: StoredSet, first: int) -> None:
        metric = Metric(account, stored.namespace, stored.name, stored.dimensions)
        try:
            series = self._found_series(metric, stored.unit)
        except TooManySeries:
            return
        series.last_at = max(series.last_at, float(stored.minute))
        if stored.minute >= first:
            series.minutes.add(stored.minute, stored.statistics)

    def start(self) -> None:
        """Begin to turn every second and to store every minute."""
        self._task = asyncio.create_task(self._run())

    async def _run(self) -> None:
        minute = self._turned_at // MINUTE
        while True:
            now = self._clock.now()
            await self._clock.sleep(math.floor(now) + 1 - now)
            try:
                await self._turn_by_and_by()
                if self._turned_at // MINUTE != minute:
                    minute = self._turned_at // MINUTE
                    await self.save(before=minute * MINUTE)
                    self._trim()
            except StoreError as error:
                log.warning("metrics not stored yet error=%s", error)
            except Exception:
                log.exception("metrics could not be stored")

    async def save(self, before: float = math.inf) -> None:
        """Store what is new of the minutes that begin before a time. Raises StoreError."""
        taken: dict[str, list[bytes]] = {}
        saved: list[tuple[Series, dict[int, StatisticSet]]] = []
        for series in self._series.values():
            minutes = {at: one for at, one in series.unsaved.items() if at < before}
            if minutes:
                saved.append((series, minutes))
                series.unsaved = {at: s for at, s in series.unsaved.items() if at >= before}
                taken.setdefault(series.metric.account, []).extend(
                    _stored(series, at, one) for at, one in minutes.items()
                )
        if not taken:
            return
        now = self._clock.now()
        changes: list[Change] = [
            Append(
                EventBatch(
                    event_bus=_log_key(account),
                    call=CallId(self._ids.token(CALL_ID_BYTES)),
                    events=tuple(bodies),
                    accepted_at=now,
                    origin=self._region,
                )
            )
            for account, bodies in taken.items()
        ]
        try:
            await self._store.commit(changes)
        except StoreError:
            for series, minutes in saved:
                for at, one in minutes.items():
                    series.unsaved.setdefault(at, StatisticSet()).merge(one)
            raise

    def _trim(self) -> None:
        """Forget what memory keeps no longer."""
        now = self._turned_at
        second_bytes = sum(series.seconds.byte_count for series in self._series.values())
        minute_bytes = sum(series.minutes.byte_count for series in self._series.values())
        seconds_kept = SECONDS_KEPT * min(1.0, SECONDS_BYTES_MAX / max(1, second_bytes))
        if minute_bytes > MINUTES_BYTES_MAX:
            share = MINUTES_BYTES_MAX / minute_bytes
            self._minutes_kept = max(SECONDS_KEPT, math.floor(self._minutes_kept * share))
        first = self._first_minute(now)
        for key, series in list(self._series.items()):
            series.seconds.trim(now - seconds_kept)
            series.minutes.trim(first)
            if series.last_at <= now - LISTED_SECONDS:
                self._drop(key)
        if self._refused_count:
            log.warning("metrics not kept: there are %d already", SERIES_MAX)
            self._refused_count = 0

    def _drop(self, key: tuple[Metric, str]) -> None:
        del self._series[key]
        metric, unit = key
        self._units[metric].remove(unit)
        if not self._units[metric]:
            del self._units[metric]

    def _first_minute(self, now: float) -> int:
        """Return the first minute that memory has."""
        return math.floor((now - self._minutes_kept) / MINUTE) * MINUTE

    def forget(self, account: str | None) -> None:
        """Forget what memory has of an account's metrics, or of all."""
        self.turn()
        for key in [k for k in self._series if account in (None, k[0].account)]:
            self._drop(key)

    async def close(self) -> None:
        """Stop, and store what was recorded."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self.turn()
        try:
            await self.save()
        except StoreError as error:
            log.warning("metrics of the last minute are lost error=%s", error)


def scaled_period(period: int, time_scale: float) -> int:
    """Return how many seconds a period takes: whole minutes, or whole seconds below a minute."""
    seconds = period / time_scale
    if seconds >= MINUTE:
        return round(seconds / MINUTE) * MINUTE
    return max(1, round(seconds))


def _log_key(account: str) -> str:
    return f"{METRICS_PREFIX}{account}"


def _mark(metric: Metric) -> bytes:
    """Return what the stored sets of a metric begin with, for them to be found undecoded."""
    text = repr((metric.namespace, metric.name, metric.dimensions))
    return hashlib.blake2b(text.encode(), digest_size=HASH_BYTES).digest()


def _understood(body: bytes) -> StoredSet | None:
    """Return a stored set, None where another Farspan wrote it: no metric is worth a start."""
    try:
        return _decode(body[HASH_BYTES:])
    except msgspec.MsgspecError as error:
        log.warning("stored metric not understood error=%s", error)
        return None


def _stored(series: Series, minute: int, given: StatisticSet) -> bytes:
    metric = series.metric
    return _mark(metric) + _encode(
        StoredSet(
            metric.namespace,
            metric.name,
            metric.dimensions,
            series.unit,
            minute,
            given.count,
            given.sum,
            given.minimum,
            given.maximum,
            given.sketch,
        )
    )
