"""Archives as they run: events come in as deliveries of the managed rule, and are read by time.

An archive is a list of durable timers in the store, due at the `time` of their events, that nobody
claims: so events are in order of their time, whatever order they came in, a delivery that is made
again is known by its event's id, and deleting the archive drops the list. Nothing here may decide
what is archived (the managed rule's pattern does) or what a replay does with it.
"""

from __future__ import annotations

import asyncio
import logging
import struct
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farspan.clock import Clock
from farspan.model.archive import Archive
from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.event import event_time_in
from farspan.store.base import AckTimer, Change, PutTimer, Result, Store, StoreError, leave_timers
from farspan.targets.base import INTERNAL_ERROR, INVALID_PARAMETER, NO_RESOURCE

DAY_SECONDS = 86_400
TRIM_READ_COUNT = 1_000
BEFORE_ALL = (float("-inf"), 0)
"""A place before every archived event."""

log = logging.getLogger("farspan.archives")
_archived_at = struct.Struct(">d")  # stands before the envelope in what is stored


@dataclass(frozen=True, slots=True)
class Size:
    """How many events an archive holds, and the bytes of their envelopes."""

    event_count: int
    byte_count: int


@dataclass(frozen=True, slots=True)
class ArchivedEvent:
    """An event as an archive has it. `place` orders events by their time, then as they came."""

    envelope: bytes
    time: float
    place: tuple[float, int]


class ArchiveService:
    """One Region's archives. `find` returns an archive by account and name, or None."""

    batch_count_max = 100

    def __init__(
        self, store: Store, clock: Clock, find: Callable[[str, str], Archive | None]
    ) -> None:
        self._store = store
        self._clock = clock
        self._find = find
        # Counted once, then kept up: whoever changes a list has its lock.
        self._sizes: dict[str, Size] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # --- archiving, as the target of the managed rules ------------------------------------

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Archive each delivery's event. See `TargetSender.send`; a repeated one is kept once."""
        outcomes: dict[int, Outcome] = {}
        puts: defaultdict[str, dict[int, PutTimer]] = defaultdict(dict)
        for index, delivery in enumerate(deliveries):
            archive = self._archive_of(delivery.target_arn)
            if archive is None:
                outcomes[index] = _refused(NO_RESOURCE, "The archive does not exist any more.")
                continue
            time = event_time_in(delivery.payload)
            if time is None:
                outcomes[index] = _refused(INVALID_PARAMETER, "What came is no event.")
                continue
            body = _archived_at.pack(self._clock.now()) + delivery.payload
            key = delivery.event_id.encode()
            puts[archive.timer_list][index] = PutTimer(archive.timer_list, key, time, body)
        for timer_list, changes in puts.items():
            outcome = await self._put(timer_list, list(changes.values()))
            outcomes |= dict.fromkeys(changes, outcome)
        return [outcomes[index] for index in range(len(deliveries))]

    def _archive_of(self, target_arn: str) -> Archive | None:
        arn = parse_arn(target_arn)
        if arn is None:
            return None
        archive = self._find(arn.account, arn.resource.removeprefix("archive/").partition(":")[0])
        return archive if archive is not None and archive.feed_arn == target_arn else None

    async def _put(self, timer_list: str, puts: Sequence[PutTimer]) -> Outcome:
        async with self._locks[timer_list]:
            try:
                added = await self._store.commit(puts)
            except StoreError as error:
                return Outcome(
                    verdict=Verdict.RETRYABLE, error_code=INTERNAL_ERROR, error_message=str(error)
                )
            self._count(timer_list, [put.body for put in puts], added, sign=1)
        return DELIVERED

    def _count(
        self, timer_list: str, bodies: Sequence[bytes], results: Sequence[Result], *, sign: int
    ) -> None:
        size = self._sizes.get(timer_list)
        if size is None:
            return
        changed = [body for body, result in zip(bodies, results, strict=True) if result]
        byte_count = sum(map(len, changed)) - _archived_at.size * len(changed)
        self._sizes[timer_list] = Size(
            size.event_count + sign * len(changed), size.byte_count + sign * byte_count
        )

    # --- reading --------------------------------------------------------------------------

    async def size(self, archive: Archive) -> Size:
        """Return what an archive holds now. Raises StoreError."""
        timer_list = archive.timer_list
        size = self._sizes.get(timer_list)
        if size is None:
            async with self._locks[timer_list]:
                event_count, byte_count = await self._store.measure_timers(timer_list)
                size = Size(event_count, byte_count - _archived_at.size * event_count)
                self._sizes[timer_list] = size
        return size

    async def read(
        self, archive: Archive, after: tuple[float, int], before: float, limit: int
    ) -> list[ArchivedEvent]:
        """Return the next events beyond a place whose time is before `before`. Raises StoreError.

        Fewer than `limit` may come although there are more; none come only where there are none.
        """
        timers = await self._store.read_timers(archive.timer_list, after, before, limit)
        return [
            ArchivedEvent(timer.body[_archived_at.size :], timer.due, (timer.due, timer.put_order))
            for timer in timers
        ]

    # --- what leaves ----------------------------------------------------------------------

    async def trim_each(self, archives: Sequence[Archive]) -> None:
        """Trim archives one after the other; what keeps one from it is said in a line."""
        for archive in archives:
            try:
                await self.trim(archive, self._clock.now())
            except StoreError as error:
                log.warning("archive was not trimmed archive=%s error=%s", archive.arn, error)
            except Exception:
                log.exception("archive could not be trimmed archive=%s", archive.arn)

    async def trim(self, archive: Archive, now: float) -> None:
        """Remove what was archived, and is, longer ago than the archive's retention."""
        if not archive.retention_days:
            return
        cutoff = now - archive.retention_days * DAY_SECONDS
        after = BEFORE_ALL
        timer_list = archive.timer_list
        while timers := await self._store.read_timers(timer_list, after, cutoff, TRIM_READ_COUNT):
            after = (timers[-1].due, timers[-1].put_order)
            # An event with a time of long ago that came lately stays for its time all the same.
            old = [timer for timer in timers if _archived_at.unpack_from(timer.body)[0] < cutoff]
            if old:
                acks = [AckTimer(timer_list, timer.key) for timer in old]
                async with self._locks[timer_list]:
                    removed = await self._store.commit(acks)
                    self._count(timer_list, [timer.body for timer in old], removed, sign=-1)

    def ending(self, archive: Archive) -> tuple[Change, ...]:
        """Return what has to be committed together with the removal of an archive."""
        self._sizes.pop(archive.timer_list, None)
        self._locks.pop(archive.timer_list, None)
        return (leave_timers(archive.timer_list),)


def _refused(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.PERMANENT, error_code=code, error_message=message)
