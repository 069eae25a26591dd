"""Replication as it runs: one puller for each endpoint of this Region, and the other's requests.

The puller long-polls the other Region, so that an event crosses as soon as it is durable. Where the
other Region is down, the puller asks again every moment; what the other Region has accepted waits
in its log.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field

import msgspec

from farspan.clock import Clock
from farspan.model.endpoint import Endpoint
from farspan.replication.stream import (
    StreamGap,
    StreamReply,
    StreamRequest,
    StreamUnknown,
    check_reply,
    first_left,
    plan_replicas,
    replication_cursor,
    ship,
)
from farspan.store.base import Appended, MoveCursor, Store, StoreError, copied_cursor

PULL_EVENT_COUNT = 1_000
WAIT_SECONDS = 5.0
LATE_SECONDS = 1.0
"""How much longer than asked for an answer may take before the lag counts as not known."""

RETRY_SECONDS = 0.2
LAG_SAMPLE_COUNT = 10_000

log = logging.getLogger("farspan.replication")

FetchStream = Callable[[str, StreamRequest], Awaitable[StreamReply]]
"""Ask a Region for a stream. Raises OSError or TimeoutError where it cannot be had."""


@dataclass(slots=True)
class _Puller:
    """The state of one stream's pulling. `lag_seconds` is None until the first reply."""

    endpoint: Endpoint
    task: asyncio.Task[None] | None = None
    log: str = ""
    asked_at: float = 0.0
    cursor: int = 0
    lag_seconds: float | None = None
    lag_samples: deque[float] = field(default_factory=lambda: deque(maxlen=LAG_SAMPLE_COUNT))
    replica_count: int = 0
    repeated_count: int = 0


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
        self._shipped: dict[tuple[str, str], int] = {}
        store.subscribe(self._on_append)

    def refresh(self) -> None:
        """Follow the endpoints as they stand now: begin, go on, or stop pulling."""
        wanted = {
            endpoint.endpoint_id: endpoint
            for endpoint in self._endpoints()
            if endpoint.replicates and self._region in endpoint.regions
        }
        for endpoint_id in set(self._pullers) - set(wanted):
            task = self._pullers.pop(endpoint_id).task
            if task is not None:
                task.cancel()
        for endpoint_id, endpoint in wanted.items():
            puller = self._pullers.get(endpoint_id)
            if puller is not None and self._source(puller.endpoint) != self._source(endpoint):
                if puller.task is not None:
                    puller.task.cancel()
                puller = None
            if puller is None:
                puller = self._pullers[endpoint_id] = _Puller(endpoint)
                puller.task = asyncio.create_task(self._pull(puller))
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
                        limit=PULL_EVENT_COUNT,
                        # The first reply tells the lag, for which failback may be waiting.
                        wait_seconds=0.0 if puller.lag_seconds is None else WAIT_SECONDS,
                    )
                    puller.asked_at = self._clock.monotonic()
                    await self._take(puller, origin, await self._fetch(origin, request))
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
            results = await self._store.commit(changes)
            puller.cursor = cursor
            now = self._clock.now()
            for batch in reply.batches:
                puller.lag_samples.append(max(0.0, now - batch.accepted_at))
                puller.replica_count += len(batch.events)
            puller.repeated_count += sum(isinstance(r, Appended) and r.repeated for r in results)
        behind = puller.cursor < reply.end and reply.batches
        puller.lag_seconds = (
            max(0.0, self._clock.now() - reply.batches[-1].accepted_at) if behind else 0.0
        )

    def _on_append(self, event_buses: frozenset[str], _timers: frozenset[str]) -> None:
        for event_bus in event_buses:
            for grown in self._waiting.get(event_bus, ()):
                grown.set()

    async def serve(self, request: StreamRequest) -> StreamReply:
        """Answer the other Region: its events beyond the cursor, at once or as they come."""
        endpoint = next((e for e in self._endpoints() if e.endpoint_id == request.stream), None)
        if endpoint is None:
            return StreamReply(log=self._log_id, end=0, known=False)
        end = await self._store.stream_end(request.stream, self._region)
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
        self._shipped[request.stream, request.region] = request.after
        # Each request has an event of its own: a shared one, cleared by one request between
        # another's look at the log and its wait, would leave that other asleep.
        grown = asyncio.Event()
        waiting = self._waiting.setdefault(endpoint.event_bus_key, set())
        waiting.add(grown)
        try:
            return await self._answer(request, grown)
        finally:
            waiting.discard(grown)

    async def _answer(self, request: StreamRequest, grown: asyncio.Event) -> StreamReply:
        limit = max(1, min(request.limit, PULL_EVENT_COUNT))
        deadline = self._clock.monotonic() + min(request.wait_seconds, WAIT_SECONDS)
        while True:
            grown.clear()
            batches = await self._store.read_stream(
                request.stream, self._region, request.after, limit
            )
            left = deadline - self._clock.monotonic()
            if batches or left <= 0:
                end = await self._store.stream_end(request.stream, self._region)
                start = await self._store.stream_start(request.stream, self._region)
                return ship(self._log_id, batches, start=start, end=end)
            try:
                async with asyncio.timeout(left):
                    await grown.wait()
            except TimeoutError:
                continue

    def shipped(self, endpoint: Endpoint) -> int:
        """Return the last sequence of the endpoint's stream that its other Region has.

        0 after a start until it asks: then nothing of the stream may be trimmed.
        """
        return self._shipped.get((endpoint.endpoint_id, endpoint.other_region(self._region)), 0)

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

    async def close(self) -> None:
        """Stop pulling."""
        tasks = [puller.task for puller in self._pullers.values() if puller.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
