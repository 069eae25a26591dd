"""The queues' messages: sending, receiving with long polling, deleting.

A queue's messages are the timers of its list in the store: a send puts one, a receive claims, a
delete acknowledges. A FIFO queue's are timers in groups, so that their order is the store's affair.
This module owns the waiting and nothing else; it must never keep a message in memory, decide what a
caller may send, or read time except through its clock.

**Long polling.** Every receiver first claims at once, so that a busy queue's receivers share the
store's group commits. Those who find nothing stand in line, one line for each queue. Only the first
in line watches the store: it waits until the list grows, its earliest timer is due, or its own time
is up. When it leaves, for whatever reason, the next in line becomes the first and looks for itself.
So a message wakes one receiver, not all of them, and none sleeps while messages wait.

What is sent into a standard queue while somebody rests in its line is put as claimed by that
receiver, who gets it as soon as it is durable: one commit instead of two, and no look at the store.

**Dead letters.** Whoever claims a message that was received too often moves it, in one commit, and
claims again. Until that commit it is an ordinary message in flight, so a crash loses nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final, cast

import msgspec

from farspan.clock import SteadyTime
from farspan.model.arn import parse_arn
from farspan.queues.fifo import Accepted, Place, numbered, put_in_order, read_note
from farspan.queues.message import ReceiptHandle, decode_message, encode_message
from farspan.store.base import (
    AckInGroup,
    AckTimer,
    Change,
    ClaimGroups,
    ClaimTimers,
    DropTimers,
    ExpireTimers,
    MoveCursor,
    MoveTimer,
    PutTimer,
    Timer,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farspan.clock import Clock, IdSource
    from farspan.model.queue import Message, Queue
    from farspan.store.base import Store, TimerCounts

KEY_BYTES: Final = 16
MOVE_SECONDS_MAX: Final = 30
"""A message whose move was cut off is visible again after so long."""

SWEEP_QUEUE_COUNT: Final = 20
SWEEP_LIMIT: Final = 100
"""Queues, and messages of each, that one commit sweeps: others' commits wait for it."""

SEQUENCES_PER_SECOND: Final = 1_000_000

# A timer due in less is waited for this long, so that rounding never becomes a busy loop.
PAUSE_SECONDS_MIN: Final = 0.001


class Outgoing(msgspec.Struct, frozen=True, kw_only=True):
    """A message to be sent. Two with the same key are one message; None makes a key of its own."""

    message: Message
    key: bytes | None = None
    delay_seconds: int = 0


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """A message as a receiver has it. `first_received_at` is seconds since the epoch."""

    message: Message
    receipt_handle: str
    receive_count: int
    first_received_at: float


@dataclass(slots=True, eq=False)
class _Receiver:
    """One who waits for a list's messages. `wake` is set when it has a reason to look.

    While it `rests`, a send may promise it messages; it then waits for these and nothing else.
    """

    limit: int
    visibility_timeout: int
    wake: asyncio.Event = field(default_factory=asyncio.Event)
    rests: bool = False
    is_promised: bool = False
    is_gone: bool = False
    received: list[Received] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class _Line:
    """Who waits for one list's messages, in order. Only the first watches the store.

    `due` is when the list's next timer is due, None for never, while `is_known`.
    """

    receivers: deque[_Receiver] = field(default_factory=deque)
    due: float | None = None
    is_known: bool = False

    def is_empty_at(self, now: float) -> bool:
        """Tell whether it is known that nothing in the list is due."""
        return self.is_known and (self.due is None or self.due > now)

    def note(self, due: float | None) -> None:
        """Note that a timer is due then."""
        if due is not None:
            self.due = due if self.due is None else min(self.due, due)


_Look = Callable[[], Awaitable[tuple[list[Received], float | None]]]
"""Returns what the first in line claimed, and when it is to look again, by the wall clock."""


class QueueService:
    """One Region's queues as the data plane sees them.

    Every method raises StoreError where the engine could not do its part.
    """

    def __init__(
        self,
        region: str,
        store: Store,
        clock: Clock,
        ids: IdSource,
        find: Callable[[str, str], Queue | None] = lambda _account, _name: None,
    ) -> None:
        """`find` returns the Region's queue of an account and a name, or None."""
        self.region = region
        self._find = find
        self._store = store
        self._clock = clock
        self._now = SteadyTime(clock).now  # for when a message is visible
        self._ids = ids
        self._lines: dict[str, _Line] = {}
        self._sequences: dict[str, int] = {}
        store.subscribe(self._note_growth)

    # --- sending ---------------------------------------------------------------------------

    async def send(self, queue: Queue, outgoing: Sequence[Outgoing]) -> None:
        """Put messages into a queue in one commit: all are durable on return, or none is there.

        A message whose key the queue already holds is left as it is.
        """
        now, timer_list = self._now(), queue.timer_list
        puts = [
            PutTimer(
                timer_list,
                self._ids.token(KEY_BYTES) if entry.key is None else entry.key,
                now + entry.delay_seconds,
                encode_message(entry.message),
            )
            for entry in outgoing
        ]
        promises = self._promise(queue, outgoing)
        if promises:
            # To its end, even where the sender goes away: somebody waits for these messages.
            await asyncio.shield(self._hand_over(queue, outgoing, puts, promises))
        else:
            await self._store.commit(puts)

    def _promise(self, queue: Queue, outgoing: Sequence[Outgoing]) -> dict[int, _Receiver]:
        """Return who in line is to get which messages, by their places in `outgoing`.

        Nothing that could be received is in the queue while its line rests.
        """
        promises: dict[int, _Receiver] = {}
        line = self._lines.get(queue.timer_list)
        if line is None or queue.is_fifo:
            return promises
        places = iter([place for place, each in enumerate(outgoing) if not each.delay_seconds])
        for receiver in line.receivers:
            if receiver.rests and not receiver.is_promised:
                some = list(islice(places, receiver.limit))
                if not some:
                    break
                receiver.is_promised = True
                promises.update(dict.fromkeys(some, receiver))
        return promises

    async def _hand_over(
        self,
        queue: Queue,
        outgoing: Sequence[Outgoing],
        puts: list[PutTimer],
        promises: dict[int, _Receiver],
    ) -> None:
        """Put messages, and give those that are promised to their receivers: claimed from birth."""
        for place, receiver in promises.items():
            until = puts[place].due + receiver.visibility_timeout
            puts[place] = msgspec.structs.replace(puts[place], claimed_until=until)
        unwanted: list[Change] = []
        try:
            results = await self._store.commit(puts)
            line = self._lines.get(queue.timer_list)
            if line is not None:
                line.note(min(puts[place].claimed_until or 0.0 for place in promises))
            for place, receiver in promises.items():
                put = puts[place]
                if not results[place]:
                    continue  # it was there already
                if receiver.is_gone:
                    unwanted.append(MoveTimer(put.timers, put.key, put.due, claim=1))
                    continue
                timer = Timer(put.key, 0.0, 1, put.due, put.body)
                receiver.received.append(_received(queue, timer, outgoing[place].message))
        finally:
            for receiver in promises.values():
                receiver.is_promised = False
                receiver.wake.set()
        if unwanted:
            await self._store.commit(unwanted)

    async def send_in_order(self, queue: Queue, outgoing: Sequence[Outgoing]) -> list[Accepted]:
        """Put messages into a FIFO queue in one commit, after all that were put before.

        Returns one answer for each. What was sent already within the deduplication interval is
        not put again, and answered as the first time.
        """
        cursor = await self._load_sequence(queue)
        now = self._now()
        changes: list[Change] = []
        for entry in outgoing:
            sequence = self._next_sequence(cursor, now)
            message = numbered(entry.message, sequence)
            key = self._ids.token(KEY_BYTES) if entry.key is None else entry.key
            place = Place(key=key, sequence=sequence, now=now, due=now + entry.delay_seconds)
            changes.append(put_in_order(queue, message, encode_message(message), place))
        # No await since the numbers were taken: commits are applied in the order of the numbers.
        results = await self._store.commit([*changes, MoveCursor(cursor, self._sequences[cursor])])
        return [read_note(cast("bytes", note)) for note in results[:-1]]

    async def _load_sequence(self, queue: Queue) -> str:
        """Make sure that the queue's last sequence number is known, and return its cursor.

        It outlives the queue, so that numbers grow whatever the clock does.
        """
        cursor = f"queue-sequence/{queue.account}/{queue.name}"
        if cursor not in self._sequences:
            last = await self._store.cursor(cursor)
            self._sequences[cursor] = max(last, self._sequences.get(cursor, 0))
        return cursor

    def _next_sequence(self, cursor: str, now: float) -> int:
        sequence = max(self._sequences[cursor] + 1, int(now * SEQUENCES_PER_SECOND))
        self._sequences[cursor] = sequence
        return sequence

    async def put(self, queue: Queue, messages: Sequence[tuple[bytes, Message]]) -> None:
        """Send messages under given keys, with the queue's own delay. See `send`."""
        delay = queue.delay_seconds
        outgoing = [
            Outgoing(key=key, message=message, delay_seconds=delay) for key, message in messages
        ]
        if queue.is_fifo:
            await self.send_in_order(queue, outgoing)
        else:
            await self.send(queue, outgoing)

    # --- receiving -------------------------------------------------------------------------

    async def receive(
        self, queue: Queue, limit: int, visibility_timeout: int, wait_seconds: float
    ) -> list[Received]:
        """Return up to `limit` messages, invisible to others for `visibility_timeout` seconds.

        Where there are none, waits up to `wait_seconds` for the first and then returns what is
        there, or nothing. A cancelled receiver leaves no trace but its place to the next.
        """
        deadline = self._clock.monotonic() + wait_seconds
        line = self._lines.get(queue.timer_list)
        if line is None or not line.is_empty_at(self._now()):
            received = await self._claim(queue, limit, visibility_timeout)
            if received or wait_seconds <= 0:
                return received
        elif wait_seconds <= 0:
            return []
        line = self._lines.setdefault(queue.timer_list, _Line())
        receiver = _Receiver(limit, visibility_timeout)
        line.receivers.append(receiver)
        look = self._look_at_groups if queue.is_fifo else self._look
        try:
            return await self._watch(
                line, receiver, deadline, lambda: look(queue, line, limit, visibility_timeout)
            )
        finally:
            self._leave(queue.timer_list, line, receiver)

    async def _watch(
        self, line: _Line, receiver: _Receiver, deadline: float, look: _Look
    ) -> list[Received]:
        """Return what a send brings, or a look as the first in line; nothing at the deadline."""
        while True:
            # Cleared before looking: what is put after the look sets it again, so none is missed.
            receiver.wake.clear()
            wake_at = deadline
            if line.receivers[0] is receiver:
                received, due = await look()
                if received or self._clock.monotonic() >= deadline:
                    return received
                if due is not None:
                    pause = max(due - self._now(), PAUSE_SECONDS_MIN)
                    wake_at = min(deadline, self._clock.monotonic() + pause)
            await self._rest(receiver, wake_at)
            is_over = self._clock.monotonic() >= deadline
            if receiver.received or (is_over and line.receivers[0] is not receiver):
                return receiver.received

    async def _look(
        self, queue: Queue, line: _Line, limit: int, visibility_timeout: int
    ) -> tuple[list[Received], float | None]:
        """Claim what there is to claim. See `_Look`."""
        if line.is_empty_at(self._now()):
            return [], line.due
        # What happens while this asks is noted: a list that grows is not known any more.
        line.is_known, line.due = True, None
        line.note(await self._store.next_due(queue.timer_list))
        if line.is_empty_at(self._now()):
            return [], line.due
        return await self._claim(queue, limit, visibility_timeout), line.due

    async def _look_at_groups(
        self, queue: Queue, _line: _Line, limit: int, visibility_timeout: int
    ) -> tuple[list[Received], float | None]:
        """Do what `_look` does for a FIFO queue, where what is due may wait for its group.

        A group goes on when something of it is put, removed, made visible, or becomes due.
        """
        now = self._now()
        received = await self._claim(queue, limit, visibility_timeout)
        return received, None if received else await self._store.next_due(queue.timer_list, now)

    async def _rest(self, receiver: _Receiver, wake_at: float) -> None:
        """Return when there is a reason to look, what was promised came, or the time is there."""
        receiver.rests = True
        try:
            await self._wait(receiver.wake, wake_at)
            while receiver.is_promised:
                receiver.wake.clear()
                await receiver.wake.wait()
        finally:
            receiver.rests = False

    async def _claim(self, queue: Queue, limit: int, visibility_timeout: int) -> list[Received]:
        """Claim due messages; remove those past their retention, and move those received too often.

        Claims again where none is left.
        """
        of_list = ClaimGroups if queue.is_fifo else ClaimTimers
        dead_letters = self._dead_letter_queue(queue)
        while True:
            now = self._now()
            claim = of_list(queue.timer_list, now, now + visibility_timeout, limit)
            [result] = await self._store.commit([claim])
            received: list[Received] = []
            leaving: list[Change] = []
            for timer in cast("list[Timer]", result):
                message = decode_message(timer.body)
                if self._age(message) > queue.message_retention_period:
                    leaving.append(_removal(queue, timer.key, timer.claim_count))
                elif dead_letters is not None and timer.claim_count > queue.max_receive_count:
                    leaving.append(_removal(queue, timer.key, timer.claim_count))
                    dead = msgspec.structs.replace(message, dead_letter_source_arn=queue.arn)
                    leaving += await self._move(dead_letters, timer.key, dead)
                else:
                    received.append(_received(queue, timer, message))
            if leaving:
                await self._store.commit(leaving)
            if received or not leaving:
                return received

    def _age(self, message: Message) -> float:
        """Return how old a message is at least, whichever way the clock that stamped it was set."""
        return min(self._now(), self._clock.now()) - message.sent_at

    def _dead_letter_queue(self, queue: Queue) -> Queue | None:
        """Return where the dead letters go; None where nowhere, or where that is gone."""
        arn = parse_arn(queue.dead_letter_arn) if queue.dead_letter_arn else None
        return self._find(arn.account, arn.resource) if arn is not None else None

    async def _move(self, queue: Queue, key: bytes, message: Message) -> list[Change]:
        """Return what puts a message of another queue into this one.

        Its age goes on in a standard queue and starts anew in a FIFO queue, as in SQS.
        """
        now = self._now()
        if not queue.is_fifo:
            return [PutTimer(queue.timer_list, key, now, encode_message(message))]
        cursor = await self._load_sequence(queue)
        sequence = self._next_sequence(cursor, now)
        moved = numbered(msgspec.structs.replace(message, sent_at=self._clock.now()), sequence)
        place = Place(key=key, sequence=sequence, now=now, due=now)
        put = put_in_order(queue, moved, encode_message(moved), place)
        # It is no duplicate of itself, however short ago it was sent or moved.
        return [msgspec.structs.replace(put, token=None), MoveCursor(cursor, sequence)]

    async def _wait(self, event: asyncio.Event, deadline: float) -> None:
        """Return when the event is set or the deadline is there."""
        pause = deadline - self._clock.monotonic()
        if event.is_set() or pause <= 0:
            return
        timer = asyncio.ensure_future(self._wake_after(event, pause))
        try:
            await event.wait()
        finally:
            timer.cancel()

    async def _wake_after(self, event: asyncio.Event, seconds: float) -> None:
        await self._clock.sleep(seconds)
        event.set()

    def _leave(self, timer_list: str, line: _Line, receiver: _Receiver) -> None:
        receiver.is_gone = True
        line.receivers.remove(receiver)
        if line.receivers:
            line.receivers[0].wake.set()
        elif self._lines.get(timer_list) is line:
            del self._lines[timer_list]

    def _note_growth(self, _event_buses: frozenset[str], timer_lists: frozenset[str]) -> None:
        # Most lists that grow are not queues, and most queues have nobody waiting.
        for timer_list in timer_lists & self._lines.keys():
            line = self._lines[timer_list]
            line.is_known = False
            line.receivers[0].wake.set()

    # --- what was received -----------------------------------------------------------------

    async def delete(self, queue: Queue, handles: Sequence[ReceiptHandle]) -> None:
        """Remove messages in one commit.

        A handle of an earlier receipt removes nothing, and neither does a second removal: SQS
        answers both as success.
        """
        if handles:
            await self._store.commit(
                [_removal(queue, handle.key, handle.claim) for handle in handles]
            )

    async def change_visibility(
        self, queue: Queue, timeouts: Sequence[tuple[ReceiptHandle, int]]
    ) -> list[bool]:
        """Make messages visible again in so many seconds from now, in one commit.

        Returns for each whether that receipt is still its message's latest.
        """
        if not timeouts:
            return []
        now = self._now()
        results = await self._store.commit(
            [
                MoveTimer(queue.timer_list, handle.key, now + seconds, handle.claim)
                for handle, seconds in timeouts
            ]
        )
        return [bool(result) for result in results]

    async def move_some(
        self, source: Queue, destination_arn: str | None, limit: int
    ) -> tuple[int, str | None]:
        """Move up to `limit` visible messages, to one queue or each to the one that gave it up.

        Returns how many moved, and why the next did not, None where nothing is wrong. As in SQS a
        moved message is a new one: it has another id, and its age starts anew.
        """
        now = self._now()
        of_list = ClaimGroups if source.is_fifo else ClaimTimers
        claim = of_list(source.timer_list, now, now + MOVE_SECONDS_MAX, limit)
        [result] = await self._store.commit([claim])
        changes: list[Change] = []
        moved, refusal = 0, None
        for timer in cast("list[Timer]", result):
            message = decode_message(timer.body)
            arn = parse_arn(destination_arn or message.dead_letter_source_arn or "")
            destination = self._find(arn.account, arn.resource) if arn is not None else None
            if destination is None or destination.is_fifo != source.is_fifo:
                refusal = "AWS.SimpleQueueService.NonExistentQueue"
            if refusal is not None or destination is None:
                changes.append(MoveTimer(source.timer_list, timer.key, now, timer.claim_count))
                continue
            fresh = msgspec.structs.replace(
                message,
                message_id=self._ids.uuid(),
                sent_at=self._clock.now(),
                dead_letter_source_arn=None,
            )
            changes.append(_removal(source, timer.key, timer.claim_count))
            changes += await self._move(destination, timer.key, fresh)
            moved += 1
        if changes:
            await self._store.commit(changes)
        return moved, refusal

    # --- whole queues ----------------------------------------------------------------------

    async def purge(self, queue: Queue) -> None:
        """Remove every message of a queue, also those in flight."""
        await self._store.commit([DropTimers(queue.timer_list)])

    async def sweep(self, queues: Sequence[Queue]) -> int:
        """Remove messages of queues that nobody reads, past their retention; return how many.

        A visible message is at least as old as the time since when it is visible. A receiver is
        more exact: it looks at the message's own age.
        """
        removed = 0
        for start in range(0, len(queues), SWEEP_QUEUE_COUNT):
            some = list(queues[start : start + SWEEP_QUEUE_COUNT])
            while some:
                now = self._now()
                results = await self._store.commit(
                    [
                        ExpireTimers(
                            queue.timer_list, now - queue.message_retention_period, SWEEP_LIMIT
                        )
                        for queue in some
                    ]
                )
                counts = cast("list[int]", results)
                removed += sum(counts)
                found = zip(some, counts, strict=True)
                some = [queue for queue, count in found if count == SWEEP_LIMIT]
        return removed

    async def counts(self, queue: Queue) -> TimerCounts:
        """Return how many messages are visible, in flight and delayed."""
        return await self._store.count_timers(queue.timer_list, self._now())

    def ending(self, queue: Queue) -> tuple[Change, ...]:
        """Return what has to be committed together with the removal of a queue.

        Its messages go, and its generation is kept, so that a queue made anew has a list that was
        never used: a send or a receipt handle from before the removal can never reach it.
        """
        return (
            DropTimers(queue.timer_list),
            MoveCursor(_generation_cursor(queue.account, queue.name), queue.generation),
        )

    async def next_generation(self, account: str, name: str) -> int:
        """Return the generation that a new queue of this name has to have; the first is 1."""
        return await self._store.cursor(_generation_cursor(account, name)) + 1


def _removal(queue: Queue, key: bytes, claim: int) -> Change:
    of_list = AckInGroup if queue.is_fifo else AckTimer
    return of_list(queue.timer_list, key, claim)


def _generation_cursor(account: str, name: str) -> str:
    return f"queue-generation/{account}/{name}"


def _received(queue: Queue, timer: Timer, message: Message) -> Received:
    return Received(
        message=message,
        receipt_handle=str(ReceiptHandle(queue.timer_list, timer.key, timer.claim_count)),
        receive_count=timer.claim_count,
        first_received_at=timer.first_claimed_at,
    )
