"""Replication as it runs: one puller for each endpoint of this Region, and the other's requests.

The puller long-polls the other Region, so that an event crosses as soon as it is durable. Where the
other Region is down, the puller asks again every moment; what the other Region has accepted waits
in its log. Beside it, once a minute, what was copied is compared with its origin. See DESIGN.md.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from farspan.clock import Clock
from farspan.config import ReplicationConfig
from farspan.model.endpoint import Endpoint
from farspan.replication.comparison import (
    QUESTION_RANGES_MAX,
    DigestReply,
    DigestRequest,
    Sweep,
)
from farspan.replication.confirmations import Confirmations, Measure, measure_nothing
from farspan.replication.link import Mode
from farspan.replication.measures import ReplicationMeasures
from farspan.replication.pace import LIVE, STEP_EVENT_COUNT, Pace, copies_ahead, pace
from farspan.replication.repair import (
    FetchDigests,
    FetchStream,
    LogChanged,
    Repairer,
    digests_of,
)
from farspan.replication.stream import (
    Purpose,
    ShippedBatch,
    StreamGap,
    StreamReply,
    StreamRequest,
    StreamUnknown,
    bounds_told,
    check_reply,
    first_left,
    plan_appends,
    plan_replicas,
    replication_cursor,
    ship,
)
from farspan.store.base import Appended, Change, MoveCursor, Store, StoreError, copied_cursor

WAIT_SECONDS = 5.0
LATE_SECONDS = 1.0
"""How much longer than asked for an answer may take before the lag counts as not known."""

RETRY_SECONDS = 0.2
LAG_SAMPLE_COUNT = 10_000

COMPARE_PAUSE_SECONDS = 0.01

log = logging.getLogger("farspan.replication")


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How to replicate: the configuration's words, and where metrics go."""

    mode_of: Callable[[Endpoint], Mode] = lambda _: Mode.ASYNC
    backlog_share: float = 0.5
    compare_seconds: float = 60.0
    measure: Measure = measure_nothing
    shipped: Callable[[Endpoint, str, Sequence[ShippedBatch]], None] = lambda *_: None


def settings_of(config: ReplicationConfig, measures: ReplicationMeasures) -> Settings:
    """Return how to replicate, as the configuration says, and what is counted of it."""
    return Settings(
        mode_of=lambda endpoint: Mode(config.mode_of(endpoint.name, endpoint.arn)),
        backlog_share=config.backlog_share,
        compare_seconds=config.compare_seconds,
        measure=measures.measure,
        shipped=measures.shipped,
    )


@dataclass(slots=True)
class _Comparisons:
    """What comparing a stream with its origin came to since the start, in events."""

    sweep: Sweep | None = None
    compared_at: float | None = None
    event_count: int = 0
    missing_count: int = 0
    repaired_count: int = 0
    surplus_count: int = 0


@dataclass(slots=True)
class _Ahead:
    """The newest events of a stream, copied ahead of its backlog: those after `start`.

    It is in memory only. After a restart, or where it ended, the backlog is copied on in order, and
    what was copied ahead is there already: the log leaves it out by its call.
    """

    log: str
    start: int
    reached: int
    task: asyncio.Task[None] | None = None


@dataclass(slots=True)
class _Puller:
    """The state of one stream's pulling. `lag_seconds` is None until the first reply."""

    endpoint: Endpoint
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    log: str = ""
    asked_at: float = 0.0
    cursor: int = 0
    end: int = 0
    end_at: float = 0.0
    pace: Pace = LIVE
    ahead: _Ahead | None = None
    lag_seconds: float | None = None
    lag_samples: deque[float] = field(default_factory=lambda: deque(maxlen=LAG_SAMPLE_COUNT))
    replica_count: int = 0
    repeated_count: int = 0
    comparisons: _Comparisons = field(default_factory=_Comparisons)

    def cancel(self) -> None:
        """Stop pulling and comparing."""
        for task in self.all_tasks():
            task.cancel()

    def all_tasks(self) -> list[asyncio.Task[None]]:
        """Return everything that runs for the stream."""
        ahead = self.ahead.task if self.ahead is not None else None
        return self.tasks if ahead is None else [*self.tasks, ahead]

    def step_event_count(self) -> int:
        """Return how many events to ask for: none that were copied ahead."""
        if self.ahead is None:
            return self.pace.event_count
        return max(1, min(self.pace.event_count, self.ahead.start - self.cursor))


class ReplicationService:
    """Copies the other Regions' events into one Region's store."""

    def __init__(
        self,
        *,
        region: str,
        log_id: str,
        parent_log_id: str = "",
        store: Store,
        clock: Clock,
        endpoints: Callable[[], Iterable[Endpoint]],
        fetch: FetchStream,
        fetch_digests: FetchDigests,
        settings: Settings | None = None,
    ) -> None:
        self._region = region
        self._log_id = log_id
        self._parent_log_id = parent_log_id
        self._store = store
        self._clock = clock
        self._endpoints = endpoints
        self._fetch = fetch
        self._pullers: dict[str, _Puller] = {}
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._ends: dict[str, int] = {}
        self._settings = settings or Settings()
        self.confirmations = Confirmations(
            region, clock.monotonic, self._settings.mode_of, self._settings.measure
        )
        self._repairer = Repairer(
            region=region,
            store=store,
            fetch=fetch,
            fetch_digests=fetch_digests,
            pause=lambda: clock.sleep(COMPARE_PAUSE_SECONDS),
        )
        store.subscribe(self._on_append)

    def refresh(self) -> None:
        """Follow the endpoints as they stand now: begin, go on, or stop pulling."""
        wanted = {
            endpoint.endpoint_id: endpoint
            for endpoint in self._endpoints()
            if endpoint.replicates and self._region in endpoint.regions
        }
        for endpoint_id in set(self._pullers) - set(wanted):
            self._pullers.pop(endpoint_id).cancel()
        for endpoint_id, endpoint in wanted.items():
            puller = self._pullers.get(endpoint_id)
            if puller is not None and self._source(puller.endpoint) != self._source(endpoint):
                puller.cancel()
                puller = None
            if puller is None:
                puller = self._pullers[endpoint_id] = _Puller(endpoint)
                puller.tasks = [
                    asyncio.create_task(self._pull(puller)),
                    asyncio.create_task(self._compare(puller)),
                ]
            puller.endpoint = endpoint

    def _source(self, endpoint: Endpoint) -> str:
        """Return the Region from which the endpoint's events come here."""
        return endpoint.other_region(self._region)

    async def _pull(self, puller: _Puller) -> None:
        stream = puller.endpoint.endpoint_id
        origin = puller.endpoint.other_region(self._region)
        while True:
            try:
                await self._go_to_cursor(puller, origin)
                while True:
                    request = StreamRequest(
                        stream=stream,
                        region=self._region,
                        log=puller.log,
                        after=puller.cursor,
                        limit=puller.step_event_count(),
                        # The first reply tells the lag, for which failback may be waiting.
                        wait_seconds=0.0 if puller.lag_seconds is None else WAIT_SECONDS,
                    )
                    puller.asked_at = self._clock.monotonic()
                    reply = await self._fetch(origin, request)
                    await self._take(puller, origin, reply)
                    puller.pace = self._paced(puller, reply)
                    await self._mind_ahead(puller, origin)
                    if puller.pace.pause_seconds:
                        await self._clock.sleep(puller.pace.pause_seconds)
            except (OSError, TimeoutError, StreamUnknown):
                puller.lag_seconds = None
                await self._clock.sleep(RETRY_SECONDS)
            except (StoreError, StreamGap, msgspec.MsgspecError) as error:
                log.warning("replication stopped for a moment stream=%s error=%s", stream, error)
                puller.lag_seconds = None
                await self._clock.sleep(RETRY_SECONDS * 5)
            except Exception:
                log.exception("replication stopped for a moment stream=%s", stream)
                puller.lag_seconds = None
                await self._clock.sleep(RETRY_SECONDS * 5)

    async def _go_to_cursor(self, puller: _Puller, origin: str) -> None:
        """Set the puller to how far the origin's log, as far as it is known, was copied."""
        name = replication_cursor(puller.endpoint.endpoint_id, origin, puller.log)
        puller.cursor = await self._store.cursor(name) if puller.log else 0

    async def _go_on_from_parent(self, puller: _Puller, origin: str, reply: StreamReply) -> None:
        """Count what was copied of the log that the origin's was restored from as copied."""
        stream = puller.endpoint.endpoint_id
        copied = await self._store.cursor(replication_cursor(stream, origin, reply.parent))
        cursor = min(copied, reply.parent_end)
        if cursor:
            await self._store.commit(
                [MoveCursor(replication_cursor(stream, origin, reply.log), cursor)]
            )
            puller.cursor = cursor

    async def _take(self, puller: _Puller, origin: str, reply: StreamReply) -> None:
        if reply.known and reply.log != puller.log:
            puller.log = reply.log
            await self._go_to_cursor(puller, origin)
            if not puller.cursor and reply.parent:
                await self._go_on_from_parent(puller, origin, reply)
            return
        check_reply(puller.endpoint, origin, puller.cursor, reply)
        left = first_left(puller.cursor, reply)
        if left is not None:
            log.error(
                "events are missing from the copy: they left the log of %s before they were asked "
                "for stream=%s from=%d to=%d",
                origin,
                puller.endpoint.endpoint_id,
                puller.cursor + 1,
                left - 1,
            )
            name = replication_cursor(puller.endpoint.endpoint_id, origin, puller.log)
            await self._store.commit([MoveCursor(name, left - 1)])
            puller.cursor = left - 1
        changes, cursor = plan_replicas(
            puller.endpoint, origin, puller.log, puller.cursor, reply.batches
        )
        if changes:
            await self._copy(puller, changes, reply)
            puller.cursor = cursor
        behind = puller.cursor < reply.end and reply.batches
        puller.lag_seconds = (
            max(0.0, self._clock.now() - reply.batches[-1].accepted_at) if behind else 0.0
        )

    async def _copy(self, puller: _Puller, changes: list[Change], reply: StreamReply) -> None:
        """Commit what of a reply is new, and count it."""
        results = await self._store.commit(changes)
        now = self._clock.now()
        ages = [max(0.0, now - batch.accepted_at) for batch in reply.batches]
        puller.lag_samples.extend(ages)
        self._settings.measure("ReplicationLag", puller.endpoint, max(ages) * 1_000)
        puller.replica_count += sum(len(batch.events) for batch in reply.batches)
        puller.repeated_count += sum(isinstance(r, Appended) and r.repeated for r in results)

    async def _mind_ahead(self, puller: _Puller, origin: str) -> None:
        """Begin to copy the newest events ahead of a backlog, or go on from them after it."""
        ahead = puller.ahead
        if ahead is None:
            if copies_ahead(puller.end - puller.cursor):
                ahead = puller.ahead = _Ahead(puller.log, puller.end, puller.end)
                ahead.task = asyncio.create_task(self._copy_ahead(puller, ahead, origin))
        elif puller.cursor >= ahead.start or puller.log != ahead.log:
            puller.ahead = None
            if ahead.task is not None:
                ahead.task.cancel()
            if ahead.log == puller.log and ahead.reached > puller.cursor:
                # Up to there everything is here: in the order of sequence nothing is left out.
                name = replication_cursor(puller.endpoint.endpoint_id, origin, puller.log)
                await self._store.commit([MoveCursor(name, ahead.reached)])
                puller.cursor = ahead.reached

    async def _copy_ahead(self, puller: _Puller, ahead: _Ahead, origin: str) -> None:
        stream = puller.endpoint.endpoint_id
        try:
            while True:
                request = StreamRequest(
                    stream=stream,
                    region=self._region,
                    log=ahead.log,
                    after=ahead.reached,
                    limit=STEP_EVENT_COUNT,
                    wait_seconds=WAIT_SECONDS,
                    purpose=Purpose.AHEAD,
                )
                reply = await self._fetch(origin, request)
                if reply.log != ahead.log:
                    break
                endpoint, batches = puller.endpoint, reply.batches
                changes, reached = plan_appends(endpoint, origin, ahead.reached, batches)
                if changes:
                    await self._copy(puller, changes, reply)
                    ahead.reached = reached
        except (OSError, TimeoutError, StoreError, StreamGap, msgspec.MsgspecError) as error:
            log.info("the newest events wait for the backlog stream=%s reason=%r", stream, error)
        except Exception:
            log.exception("the newest events wait for the backlog stream=%s", stream)
        if puller.ahead is ahead:
            puller.ahead = None

    def _paced(self, puller: _Puller, reply: StreamReply) -> Pace:
        """Return how to go on after a reply was taken."""
        now = self._clock.monotonic()
        spent, since = now - puller.asked_at, now - puller.end_at
        grown = (reply.end - puller.end) / since if 0 < puller.end <= reply.end and since else 0.0
        puller.end, puller.end_at = reply.end, now
        return pace(
            left_count=reply.end - puller.cursor,
            taken_count=sum(len(batch.events) for batch in reply.batches),
            spent_seconds=spent,
            grown_per_second=grown,
            share=self._settings.backlog_share,
        )

    # --- comparing -------------------------------------------------------------------------

    async def _compare(self, puller: _Puller) -> None:
        while True:
            await self._clock.sleep(self._settings.compare_seconds)
            if puller.lag_seconds is None or not puller.log:
                continue  # the other Region is away, or was not heard yet
            stream = puller.endpoint.endpoint_id
            try:
                await self._compare_once(puller)
            except (OSError, TimeoutError, LogChanged) as error:
                log.info("replicas were not compared stream=%s reason=%r", stream, error)
            except (StoreError, msgspec.MsgspecError) as error:
                log.warning("replicas were not compared stream=%s error=%s", stream, error)
            except Exception:
                log.exception("replicas were not compared stream=%s", stream)

    async def _compare_once(self, puller: _Puller) -> None:
        endpoint, cursor, found = puller.endpoint, puller.cursor, puller.comparisons
        # What was copied before this start is older: it is looked at in turn.
        sweep = found.sweep or Sweep(checked=cursor)
        compared, found.sweep = await self._repairer.compare(endpoint, puller.log, sweep, cursor)
        found.compared_at = self._clock.now()
        found.event_count += compared.event_count
        found.missing_count += compared.missing_count
        found.repaired_count += compared.repaired_count
        found.surplus_count = compared.surplus_count
        self._settings.measure(
            "ReplicationRepairedEvents", endpoint, float(compared.repaired_count)
        )
        if compared.missing_count or compared.surplus_count:
            log.error(
                "replicas differ from their origin endpoint=%s region=%s origin=%s compared=%d "
                "missing=%d repaired=%d surplus=%d",
                endpoint.arn,
                self._region,
                self._source(endpoint),
                compared.event_count,
                compared.missing_count,
                compared.repaired_count,
                compared.surplus_count,
            )

    async def serve_digests(self, request: DigestRequest) -> DigestReply:
        """Answer the other Region what this Region's own log has in some ranges of a stream."""
        asked = (self._store, request.stream, self._region)
        ranges = request.ranges[:QUESTION_RANGES_MAX]
        if request.log != self._log_id:
            return DigestReply(log=self._log_id, trimmed=0)
        digests: list[bytes] = []
        keys = []
        if request.keys:
            keys = [
                tuple(await self._store.stream_keys(request.stream, self._region, *each))
                for each in ranges
            ]
        else:
            digests = await digests_of(*asked, ranges)
        # Read last: what was trimmed meanwhile is told as trimmed.
        bounds = await self._store.stream_bounds(request.stream, self._region)
        return DigestReply(
            log=self._log_id, trimmed=bounds.trimmed, digests=tuple(digests), keys=tuple(keys)
        )

    # --- serving ---------------------------------------------------------------------------

    def _on_append(self, event_buses: frozenset[str], _timers: frozenset[str]) -> None:
        for event_bus in event_buses:
            for grown in self._waiting.get(event_bus, ()):
                grown.set()

    async def serve(self, request: StreamRequest) -> StreamReply:
        """Answer the other Region: its events beyond the cursor, at once or as they come."""
        endpoint = next((e for e in self._endpoints() if e.endpoint_id == request.stream), None)
        if endpoint is None:
            return StreamReply(log=self._log_id, end=0, known=False)
        # What was shipped before need not be looked up: each look takes a turn of another thread.
        end = self._ends.get(request.stream, 0)
        if request.after > end or not self.confirmations.is_following(endpoint, request.region):
            end = (await self._store.stream_bounds(request.stream, self._region)).end
        if request.log != self._log_id or request.after > end:
            # It has to be told before it goes on.
            copied = copied_cursor(request.stream, self._region)
            return StreamReply(
                log=self._log_id,
                end=end,
                parent=self._parent_log_id,
                parent_end=await self._store.cursor(copied) if self._parent_log_id else 0,
            )
        # What the other Region asks beyond, it has: only that may leave the log.
        if request.purpose is Purpose.IN_ORDER:
            self.confirmations.asked(endpoint, request.region, after=request.after, end=end)
        # Each request has an event of its own: a shared one, cleared by one request between
        # another's look at the log and its wait, would leave that other asleep.
        grown = asyncio.Event()
        waiting = self._waiting.setdefault(endpoint.event_bus_key, set())
        waiting.add(grown)
        try:
            reply = await self._answer(request, grown)
            self._ends[request.stream] = reply.end
            if reply.batches and request.purpose is not Purpose.AGAIN:
                # What is copied ahead is counted by itself: it is not copied in order as well.
                way = f"{reply.log} {request.purpose}"
                self._settings.shipped(endpoint, way, reply.batches)
            return reply
        finally:
            waiting.discard(grown)

    async def _answer(self, request: StreamRequest, grown: asyncio.Event) -> StreamReply:
        limit = max(1, min(request.limit, STEP_EVENT_COUNT))
        deadline = self._clock.monotonic() + min(request.wait_seconds, WAIT_SECONDS)
        while True:
            grown.clear()
            batches = await self._store.read_stream(
                request.stream, self._region, request.after, limit
            )
            left = deadline - self._clock.monotonic()
            if batches or left <= 0:
                bounds = bounds_told(batches, after=request.after, limit=limit)
                if bounds is None:
                    bounds = await self._store.stream_bounds(request.stream, self._region)
                return ship(self._log_id, batches, start=bounds.start, end=bounds.end)
            try:
                async with asyncio.timeout(left):
                    await grown.wait()
            except TimeoutError:
                continue

    def shipped(self, endpoint: Endpoint) -> int:
        """Return the last sequence of the endpoint's stream that its other Region has.

        0 after a start until it asks: then nothing of the stream may be trimmed.
        """
        return self.confirmations.confirmed(endpoint)

    def lags(self) -> dict[str, float]:
        """Return by EndpointId how many seconds behind this Region's copy is, where it is known.

        It is not known any more where the other Region is late with its answer.
        """
        late = self._clock.monotonic() - WAIT_SECONDS - LATE_SECONDS
        return {
            endpoint_id: puller.lag_seconds
            for endpoint_id, puller in self._pullers.items()
            if puller.lag_seconds is not None and puller.asked_at >= late
        }

    def samples(self, endpoint_id: str) -> list[float]:
        """Return the age at arrival of the latest replicas, seconds, the newest last."""
        puller = self._pullers.get(endpoint_id)
        return list(puller.lag_samples) if puller else []

    def status(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what people and drills read of an endpoint's replication in this Region."""
        puller = self._pullers.get(endpoint.endpoint_id)
        status: dict[str, Any] = {
            **self.confirmations.status(endpoint),
            "lag_seconds": self.lags().get(endpoint.endpoint_id),
            "latest_replica_ages_ms": [
                round(age * 1_000, 1) for age in self.samples(endpoint.endpoint_id)[-500:]
            ],
        }
        if puller is not None:
            found = puller.comparisons
            status["backlog_count"] = max(0, puller.end - puller.cursor)
            status["ahead_count"] = puller.ahead.reached - puller.ahead.start if puller.ahead else 0
            status["comparison"] = {
                "at": found.compared_at,
                "compared": found.event_count,
                "missing": found.missing_count,
                "repaired": found.repaired_count,
                "surplus": found.surplus_count,
            }
        return status

    async def close(self) -> None:
        """Stop pulling."""
        tasks = [task for puller in self._pullers.values() for task in puller.all_tasks()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
