"""Comparing a copy with its origin over the wire, and fetching again what is missing.

What is compared and what counts as missing decides `comparison`; here it is asked and committed.
Nothing is ever removed, and no cursor is moved: a repaired batch is appended behind everything else
with the sequence that it has at its origin.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from farspan.model.endpoint import Endpoint
from farspan.replication.comparison import (
    LEAF_SEQUENCES,
    QUESTION_RANGES_MAX,
    DigestReply,
    DigestRequest,
    Range,
    Sweep,
    differing,
    digest,
    find,
    is_leaf,
    plan_comparison,
    split,
    unknown_calls,
)
from farspan.replication.stream import Purpose, StreamReply, StreamRequest, plan_repairs
from farspan.store.base import Append, BatchKey, Store

FetchStream = Callable[[str, StreamRequest], Awaitable[StreamReply]]
"""Ask a Region for a stream. Raises OSError or TimeoutError where it cannot be had."""

FetchDigests = Callable[[str, DigestRequest], Awaitable[DigestReply]]
"""Ask a Region for digests of its stream. Raises as `FetchStream`."""

Pause = Callable[[], Awaitable[None]]
"""Awaited between two questions, so that live traffic comes between."""


class LogChanged(Exception):
    """The origin has another log than the one that was to be compared."""


@dataclass(frozen=True, slots=True)
class Compared:
    """What one comparison came to, in events."""

    event_count: int = 0
    missing_count: int = 0
    surplus_count: int = 0
    repaired_count: int = 0


@dataclass(slots=True)
class _Tally:
    """What a comparison counts while it goes on."""

    missing: list[BatchKey] = field(default_factory=list)
    surplus: list[BatchKey] = field(default_factory=list)


class Repairer:
    """Compares the streams that one Region copies with what their origins have."""

    def __init__(
        self,
        *,
        region: str,
        store: Store,
        fetch: FetchStream,
        fetch_digests: FetchDigests,
        pause: Pause,
    ) -> None:
        self._region = region
        self._store = store
        self._fetch = fetch
        self._fetch_digests = fetch_digests
        self._pause = pause

    async def compare(
        self, endpoint: Endpoint, log: str, sweep: Sweep, cursor: int
    ) -> tuple[Compared, Sweep]:
        """Compare what came since the last time and some of what is older; mend what is missing.

        `log` is the origin's log, of which `cursor` was copied. Raises LogChanged, and OSError,
        TimeoutError and StoreError as what is asked does.
        """
        there = await self._ask(endpoint, log, [])
        here = await self._store.stream_bounds(endpoint.endpoint_id, self._origin(endpoint))
        start = max(there.trimmed, here.trimmed) + 1
        ranges, following = plan_comparison(sweep, start=start, end=cursor)
        event_count = sum(last - first + 1 for first, last in ranges)
        tally = _Tally()
        left = deque(ranges)
        while left:
            question = [left.popleft() for _ in range(min(QUESTION_RANGES_MAX, len(left)))]
            for differs in await self._differing(endpoint, log, question):
                if is_leaf(differs):
                    await self._look_into(endpoint, log, differs, tally)
                else:
                    left.extend(split(differs))
            await self._pause()
        repaired = await self._repair(endpoint, log, tally.missing)
        counts = (_events_in(tally.missing), _events_in(tally.surplus), repaired)
        return Compared(event_count, *counts), following

    async def _differing(
        self, endpoint: Endpoint, log: str, ranges: Sequence[Range]
    ) -> list[Range]:
        there = await self._ask(endpoint, log, ranges)
        here = await digests_of(self._store, endpoint.endpoint_id, self._origin(endpoint), ranges)
        return differing(ranges, here, there.digests)

    async def _look_into(self, endpoint: Endpoint, log: str, differs: Range, tally: _Tally) -> None:
        """Find out which batches of a small range are missing or surplus."""
        stream, origin = endpoint.endpoint_id, self._origin(endpoint)
        there = await self._ask(endpoint, log, [differs], keys=True)
        here = await self._store.stream_keys(stream, origin, *differs)
        known = await self._store.known_calls(unknown_calls(here, there.keys[0]))
        found = find(here, there.keys[0], known)
        # Asked last: what was trimmed while this was under way is not missing.
        bounds = await self._store.stream_bounds(stream, origin)
        trimmed = max(bounds.trimmed, (await self._ask(endpoint, log, [])).trimmed)
        tally.missing += [key for key in found.missing if key.sequence > trimmed]
        tally.surplus += [key for key in found.surplus if key.sequence > trimmed]

    async def _repair(self, endpoint: Endpoint, log: str, missing: Sequence[BatchKey]) -> int:
        """Fetch and append the missing batches; return how many events came."""
        origin = self._origin(endpoint)
        left = deque(sorted(missing))
        repaired = 0
        while left:
            request = StreamRequest(
                stream=endpoint.endpoint_id,
                region=self._region,
                log=log,
                after=left[0].sequence - 1,
                limit=LEAF_SEQUENCES,
                wait_seconds=0.0,
                purpose=Purpose.AGAIN,
            )
            reply = await self._fetch(origin, request)
            if reply.log != log:
                raise LogChanged(reply.log)
            changes = plan_repairs(endpoint, origin, set(left), reply.batches)
            if changes:
                await self._store.commit(changes)
            repaired += sum(len(c.batch.events) for c in changes if isinstance(c, Append))
            reached = max((b.sequence for b in reply.batches), default=left[0].sequence)
            while left and left[0].sequence <= reached:
                left.popleft()
            await self._pause()
        return repaired

    async def _ask(
        self, endpoint: Endpoint, log: str, ranges: Sequence[Range], *, keys: bool = False
    ) -> DigestReply:
        request = DigestRequest(
            stream=endpoint.endpoint_id,
            region=self._region,
            log=log,
            ranges=tuple(ranges),
            keys=keys,
        )
        reply = await self._fetch_digests(self._origin(endpoint), request)
        if reply.log != log or len(reply.keys if keys else reply.digests) != len(ranges):
            raise LogChanged(reply.log)
        return reply

    def _origin(self, endpoint: Endpoint) -> str:
        return endpoint.other_region(self._region)


async def digests_of(
    store: Store, stream: str, origin: str, ranges: Sequence[Range]
) -> list[bytes]:
    """Return the digest of each range of a stream as a store has it."""
    return [digest(await store.stream_keys(stream, origin, *each)) for each in ranges]


def _events_in(keys: Sequence[BatchKey]) -> int:
    return sum(key.event_count for key in keys)
