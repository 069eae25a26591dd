"""The engine that keeps everything in memory: for tests, simulation and the in-process bus.

It promises what `base` promises except surviving its process. `apply` is the whole engine as one
synchronous function, so that the simulator can drive it step by step.
"""

from __future__ import annotations

import bisect
import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from farspan.model.event import EventBatch
from farspan.store.base import (
    TRIM_BATCH_COUNT,
    AckInGroup,
    AckTimer,
    Append,
    Appended,
    AppendListener,
    BatchKey,
    Change,
    ClaimGroups,
    ClaimTimers,
    Conflict,
    DeleteDocument,
    Document,
    DropTimers,
    ExpireTimers,
    MoveCursor,
    MoveTimer,
    PutDocument,
    PutInGroup,
    PutTimer,
    Result,
    StoreFailed,
    StreamBounds,
    Timer,
    TimerCounts,
    Trim,
    grows,
    take_batches,
    take_timers,
)


@dataclass
class _Log:
    """One bus's batches in order of position, and where each call stands."""

    batches: list[EventBatch] = field(default_factory=list)
    calls: dict[bytes, EventBatch] = field(default_factory=dict)
    next_position: int = 1


@dataclass
class _TimerList:
    """One list's timers by key, with the order in which they were put.

    `groups` has a group's keys in that order, and `tokens` until when each is held, and its note.
    """

    timers: dict[bytes, tuple[int, Timer]] = field(default_factory=dict)
    next_order: int = 1
    groups: dict[str, list[bytes]] = field(default_factory=dict)
    tokens: dict[bytes, tuple[float, bytes]] = field(default_factory=dict)

    def in_order(self) -> list[tuple[float, int, Timer]]:
        """Return the timers, the earliest due first, then the first put."""
        entries = [(timer.due, order, timer) for order, timer in self.timers.values()]
        return sorted(entries, key=lambda entry: entry[:2])

    def parked(self) -> set[bytes]:
        """Return the timers that wait for others of their group: they were never claimed."""
        return {
            key
            for keys in self.groups.values()
            for key in keys[1:]
            if not self.timers[key][1].claim_count
        }

    def claim_groups(self, change: ClaimGroups) -> list[Timer]:
        """See `base.ClaimGroups`."""
        firsts = [
            (self.timers[keys[0]][1].due, self.timers[keys[0]][0], keys)
            for keys in self.groups.values()
            if keys
        ]
        claimed: list[Timer] = []
        for _due, _order, keys in sorted(firsts, key=lambda entry: entry[:2]):
            timers = [self.timers[key][1] for key in keys]
            if any(timer.claim_count and timer.due > change.now for timer in timers):
                continue
            for timer in timers:
                if timer.due > change.now or len(claimed) == change.limit:
                    break
                claimed.append(self.claim(timer.key, change.now, change.until))
        return claimed

    def claim(self, key: bytes, now: float, until: float) -> Timer:
        """Claim one timer, and return it as it then stands."""
        order, timer = self.timers[key]
        taken = replace(
            timer,
            due=until,
            claim_count=timer.claim_count + 1,
            first_claimed_at=timer.first_claimed_at or now,
        )
        self.timers[key] = (order, taken)
        return taken


class MemoryStore:
    """See `base.Store`."""

    def __init__(self) -> None:
        self._logs: dict[str, _Log] = {}
        self._streams: dict[tuple[str, str], list[EventBatch]] = {}
        self._stream_ends: dict[tuple[str, str], int] = {}
        self._trimmed: dict[tuple[str, str], int] = {}
        self._documents: dict[str, Document] = {}
        self._cursors: dict[str, int] = {}
        self._timers: dict[str, _TimerList] = {}
        self._listeners: list[AppendListener] = []
        self._closed = False

    @property
    def failure(self) -> str | None:
        """See `base.Store.failure`: memory does not fail."""
        return None

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """See `base.Store.commit`."""
        return self.apply(changes)

    def apply(self, changes: Sequence[Change]) -> list[Result]:
        """Do what `commit` does, at once."""
        if self._closed:
            raise StoreFailed("The store is closed.")
        self._check_versions(changes)
        results = [self._apply_one(change) for change in changes]
        buses = frozenset(c.batch.event_bus for c in changes if isinstance(c, Append))
        lists = frozenset(c.timers for c in changes if grows(c))
        if buses or lists:
            for listener in self._listeners:
                listener(buses, lists)
        return results

    def _check_versions(self, changes: Sequence[Change]) -> None:
        for change in changes:
            if not isinstance(change, PutDocument | DeleteDocument):
                continue
            if change.expected_version is None:
                continue
            document = self._documents.get(change.key)
            version = document.version if document else 0
            if version != change.expected_version:
                raise Conflict(
                    f"Document {change.key} has version {version}, not {change.expected_version}."
                )

    def _apply_one(self, change: Change) -> Result:  # noqa: C901, PLR0911, PLR0912 - one case each
        match change:
            case Append(batch):
                return self._append(batch)
            case Trim():
                return self._trim(change)
            case PutDocument():
                return self._put_document(change)
            case DeleteDocument(key):
                return self._documents.pop(key, None) is not None
            case MoveCursor(name, position):
                self._cursors[name] = position
                return None
            case PutTimer():
                return self._put_timer(change)
            case ClaimTimers():
                return self._claim(change)
            case AckTimer() | AckInGroup():
                return self._ack(change)
            case MoveTimer():
                return self._move(change)
            case PutInGroup():
                return self._put_in_group(change)
            case ClaimGroups():
                return self._timers.get(change.timers, _TimerList()).claim_groups(change)
            case ExpireTimers():
                return self._expire(change)
            case DropTimers(timers):
                return len(self._timers.pop(timers, _TimerList()).timers)

    def _append(self, batch: EventBatch) -> Appended:
        log = self._logs.setdefault(batch.event_bus, _Log())
        known = log.calls.get(batch.call)
        if known is not None:
            return Appended(known.position, True, known.origin, _end_in_stream(known))
        kept = msgspec.structs.replace(batch, position=log.next_position)
        if batch.stream is not None:
            stream = (batch.stream, batch.origin)
            first = batch.sequence or self._stream_ends.get(stream, 0) + 1
            kept = msgspec.structs.replace(kept, sequence=first)
            self._stream_ends[stream] = max(
                self._stream_ends.get(stream, 0), first + len(batch.events) - 1
            )
            bisect.insort(self._streams.setdefault(stream, []), kept, key=_first_sequence)
        log.batches.append(kept)
        log.calls[kept.call] = kept
        log.next_position += len(kept.events)
        return Appended(kept.position, False, kept.origin, _end_in_stream(kept))

    def _trim(self, change: Trim) -> int:
        log = self._logs.get(change.event_bus, _Log())
        gone = [b for b in log.batches if _last_position(b) < change.before_position]
        gone = gone[:TRIM_BATCH_COUNT]
        for batch in gone:
            del log.calls[batch.call]
            if batch.stream is not None:
                stream = (batch.stream, batch.origin)
                self._streams[stream].remove(batch)
                self._trimmed[stream] = max(self._trimmed.get(stream, 0), _last_sequence(batch))
        log.batches = log.batches[len(gone) :]
        return len(gone)

    def _put_document(self, change: PutDocument) -> int:
        former = self._documents.get(change.key)
        version = former.version + 1 if former else 1
        self._documents[change.key] = Document(change.key, version, change.value)
        return version

    def _put_timer(self, change: PutTimer) -> bool:
        timers = self._timers.setdefault(change.timers, _TimerList())
        if change.key in timers.timers:
            return False
        timer = Timer(change.key, change.due, 0, 0.0, change.body, timers.next_order)
        if change.claimed_until is not None:
            timer = replace(
                timer, due=change.claimed_until, claim_count=1, first_claimed_at=change.due
            )
        timers.timers[change.key] = (timers.next_order, timer)
        timers.next_order += 1
        return True

    def _claim(self, change: ClaimTimers) -> list[Timer]:
        timers = self._timers.get(change.timers, _TimerList())
        claimed: list[Timer] = []
        for due, _order, timer in timers.in_order():
            if due > change.now or len(claimed) == change.limit:
                break
            claimed.append(timers.claim(timer.key, change.now, change.until))
        return claimed

    def _put_in_group(self, change: PutInGroup) -> bytes:
        timers = self._timers.setdefault(change.timers, _TimerList())
        if change.token is not None:
            held_until, note = timers.tokens.get(change.token, (0.0, b""))
            if held_until > change.now:
                return note
            timers.tokens[change.token] = (change.token_until, change.note)
        if self._put_timer(PutTimer(change.timers, change.key, change.due, change.body)):
            timers.groups.setdefault(change.group, []).append(change.key)
        return change.note

    def _expire(self, change: ExpireTimers) -> int:
        removed = 0
        while removed < change.limit:
            timers = self._timers.get(change.timers, _TimerList())
            parked = timers.parked()
            due = [
                timer.key
                for due, _order, timer in timers.in_order()
                if due <= change.before and timer.key not in parked
            ][: change.limit - removed]
            if not due:
                break
            for key in due:
                self._ack(AckTimer(change.timers, key))
            removed += len(due)
        return removed

    def _ack(self, change: AckTimer | AckInGroup) -> bool:
        timers = self._timers.get(change.timers, _TimerList())
        if not _claim_holds(timers, change.key, change.claim):
            return False
        del timers.timers[change.key]
        for keys in timers.groups.values():
            if change.key in keys:
                keys.remove(change.key)
        return True

    def _move(self, change: MoveTimer) -> bool:
        timers = self._timers.get(change.timers, _TimerList())
        if not _claim_holds(timers, change.key, change.claim):
            return False
        order, timer = timers.timers[change.key]
        body = timer.body if change.body is None else change.body
        timers.timers[change.key] = (order, replace(timer, due=change.due, body=body))
        return True

    async def read_log(self, event_bus: str, after: int, limit: int) -> list[EventBatch]:
        """See `base.Store.read_log`."""
        log = self._logs.get(event_bus, _Log())
        start = bisect.bisect_right(log.batches, after, key=_last_position)
        return take_batches(log.batches[start : start + max(limit, 1)], limit)

    async def read_stream(
        self, stream: str, origin: str, after: int, limit: int
    ) -> list[EventBatch]:
        """See `base.Store.read_stream`."""
        return self.stream_now(stream, origin, after, limit)

    def stream_now(self, stream: str, origin: str, after: int, limit: int) -> list[EventBatch]:
        """Do what `read_stream` does, at once."""
        batches = self._streams.get((stream, origin), [])
        start = bisect.bisect_right(batches, after, key=_last_sequence)
        return take_batches(batches[start : start + max(limit, 1)], limit)

    async def stream_bounds(self, stream: str, origin: str) -> StreamBounds:
        """See `base.Store.stream_bounds`."""
        key = (stream, origin)
        start = next((batch.sequence for batch in self._streams.get(key, [])), 0)
        return StreamBounds(self._trimmed.get(key, 0), start, self._stream_ends.get(key, 0))

    async def stream_keys(self, stream: str, origin: str, first: int, last: int) -> list[BatchKey]:
        """See `base.Store.stream_keys`."""
        return [
            BatchKey(batch.sequence, len(batch.events), batch.call)
            for batch in self._streams.get((stream, origin), [])
            if first <= batch.sequence <= last
        ]

    async def known_calls(self, calls: Sequence[bytes]) -> set[bytes]:
        """See `base.Store.known_calls`."""
        return {call for call in calls if any(call in log.calls for log in self._logs.values())}

    async def log_end(self, event_bus: str) -> int:
        """See `base.Store.log_end`."""
        return self._logs.get(event_bus, _Log()).next_position - 1

    async def position_at(self, event_bus: str, accepted_before: float) -> int:
        """See `base.Store.position_at`."""
        log = self._logs.get(event_bus, _Log())
        younger = (b.position for b in log.batches if b.accepted_at >= accepted_before)
        return next(younger, log.next_position) - 1

    async def event_buses(self) -> list[str]:
        """See `base.Store.event_buses`."""
        return sorted(name for name, log in self._logs.items() if log.next_position > 1)

    async def documents(self, prefix: str) -> list[Document]:
        """See `base.Store.documents`."""
        return [self._documents[key] for key in sorted(self._documents) if key.startswith(prefix)]

    async def cursor(self, name: str) -> int:
        """See `base.Store.cursor`."""
        return self.cursor_now(name)

    def cursor_now(self, name: str) -> int:
        """Do what `cursor` does, at once."""
        return self._cursors.get(name, 0)

    async def next_due(self, timers: str, after: float = -math.inf) -> float | None:
        """See `base.Store.next_due`."""
        found = self._timers.get(timers, _TimerList())
        parked = found.parked()
        dues = (timer.due for key, (_, timer) in found.timers.items() if key not in parked)
        return min((due for due in dues if due > after), default=None)

    async def count_timers(self, timers: str, now: float) -> TimerCounts:
        """See `base.Store.count_timers`."""
        entries = [timer for _, timer in self._timers.get(timers, _TimerList()).timers.values()]
        due = sum(timer.due <= now for timer in entries)
        claimed = sum(timer.due > now and timer.claim_count > 0 for timer in entries)
        return TimerCounts(due, claimed, len(entries) - due - claimed)

    async def read_timers(
        self, timers: str, after: tuple[float, int], before: float, limit: int
    ) -> list[Timer]:
        """See `base.Store.read_timers`."""
        in_order = self._timers.get(timers, _TimerList()).in_order()
        wanted = [t for due, order, t in in_order if (due, order) > after and due < before]
        return take_timers(wanted, limit)

    async def measure_timers(self, timers: str) -> tuple[int, int]:
        """See `base.Store.measure_timers`."""
        entries = self._timers.get(timers, _TimerList()).timers.values()
        return len(entries), sum(len(timer.body) for _, timer in entries)

    def subscribe(self, listener: AppendListener) -> None:
        """See `base.Store.subscribe`."""
        self._listeners.append(listener)

    async def close(self) -> None:
        """See `base.Store.close`."""
        self._closed = True


def _claim_holds(timers: _TimerList, key: bytes, claim: int | None) -> bool:
    entry = timers.timers.get(key)
    return entry is not None and claim in (None, entry[1].claim_count)


def _first_sequence(batch: EventBatch) -> int:
    return batch.sequence


def _end_in_stream(batch: EventBatch) -> int:
    return _last_sequence(batch) if batch.stream is not None else 0


def _last_position(batch: EventBatch) -> int:
    return batch.position + len(batch.events) - 1


def _last_sequence(batch: EventBatch) -> int:
    return batch.sequence + len(batch.events) - 1
