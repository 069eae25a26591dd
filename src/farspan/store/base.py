"""The storage port: what an engine promises, written once.

An engine keeps four things for one Region: an append-only **log** per event bus, **documents**
with versions, lists of durable **timers**, and **cursors**. Every change goes through `commit`,
and every commit is atomic and durable when it returns: that is the only write there is, so that
"acknowledged means durable" and "the cursor moves with the events" hold for every caller alike.

Nothing here does I/O. `tests/conformance` runs one suite over all engines.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, TypeGuard

import msgspec

from farspan.model.event import EventBatch


class StoreError(Exception):
    """The engine cannot do what was asked. Nothing of the commit was applied."""


class Conflict(StoreError):
    """A document's version was not the expected one. Nothing of the commit was applied."""


class StoreFailed(StoreError):
    """The engine met an I/O error and stopped. It must be opened anew; the node leaves service.

    After a failed sync the kernel may have dropped the data and report success the next time, so
    going on could lose what was acknowledged (fsyncgate).
    """


class StoreUnusable(StoreError):
    """The store cannot be opened; the message says why and what to do."""


class Append(msgspec.Struct, frozen=True):
    """Append a batch to its bus's log.

    The store assigns `position`, and `sequence` where the batch is in a stream and has none.
    A call that the bus's log already holds is left out: its result says so. A batch from another
    origin carries its sequence, which is kept.
    """

    batch: EventBatch


@dataclass(frozen=True, slots=True)
class Appended:
    """The result of an `Append`: the batch as kept, or the one that was there already.

    `origin` is that batch's, and `last_sequence` of its last event, 0 outside a stream.
    """

    position: int
    repeated: bool
    origin: str = field(default="", compare=False)
    last_sequence: int = field(default=0, compare=False)


STORE_FILE_NAME = "store.sqlite3"
"""An embedded engine's file in its node's directory."""

COPY_DOCUMENT = "copy"
"""A document that a backup has and a running store has not: who opens it has another log now.

What the original went on to accept has the same positions and sequences as what the copy will.
"""


def copied_cursor(stream: str, origin: str) -> str:
    """Return the name of the cursor that says where a stream ended when the copy was made."""
    return f"copied/{stream}/{origin}"


LEFT_PREFIX = "left/"
"""How the keys of documents begin that name lists of timers which nobody has any more."""


def leave_timers(timers: str) -> PutDocument:
    """Return what marks a list as one that nobody has any more; `retention` removes it in steps.

    Dropping a list of millions would hold up everybody's commits. Its name must not be used again.
    """
    return PutDocument(f"{LEFT_PREFIX}{timers}", b"")


READ_BYTES_MAX = 4 * 1024 * 1024
"""Events that one read returns, in bytes: what a reader works on in one go, or a reply carries."""

TRIM_BATCH_COUNT = 100
"""Batches that one `Trim` removes: a commit that others wait for must not take long."""


class Trim(msgspec.Struct, frozen=True):
    """Remove from one bus's log batches that end before `before_position`, the oldest first.

    Removes `TRIM_BATCH_COUNT` at the most; the result is how many there were, so that a caller who
    gets that many asks again.
    """

    event_bus: str
    before_position: int


class StreamBounds(NamedTuple):
    """Sequences of a stream: the last that a `Trim` took, the first that is there, the last ever.

    0 where there is none.
    """

    trimmed: int
    start: int
    end: int


class BatchKey(NamedTuple):
    """Which batch stands where in a stream, without its events."""

    sequence: int
    event_count: int
    call: bytes


class PutDocument(msgspec.Struct, frozen=True):
    """Write a document.

    `expected_version` is 0 for "must not exist", None for "whatever is there"; it is compared with
    what stood before the commit. A document's version starts at 1 and grows by one with each
    write; the result is the new version.
    """

    key: str
    value: bytes
    expected_version: int | None = None


class DeleteDocument(msgspec.Struct, frozen=True):
    """Remove a document. Removing what is not there succeeds, unless a version was expected."""

    key: str
    expected_version: int | None = None


class MoveCursor(msgspec.Struct, frozen=True):
    """Set a named position. It may move back: what a position means is the reader's affair."""

    name: str
    position: int


class PutTimer(msgspec.Struct, frozen=True):
    """Add a timer to a list, due at `due` seconds since the epoch.

    A key that the list already holds is left as it is, so putting twice is putting once.
    With `claimed_until` it is claimed from birth, at `due`, as `ClaimTimers` would: it is due again
    at that time, has had one claim, and no listener hears of it. The result is whether it was
    added.
    """

    timers: str
    key: bytes
    due: float
    body: bytes
    claimed_until: float | None = None


class ClaimTimers(msgspec.Struct, frozen=True):
    """Take up to `limit` timers due at `now`, the earliest due first, then the first put.

    Each becomes due again at `until`, with one claim more: a claimer that dies loses nothing.
    The result is the claimed timers as they now stand.
    """

    timers: str
    now: float
    until: float
    limit: int


class AckTimer(msgspec.Struct, frozen=True):
    """Remove a timer for good. With `claim`, only if that is still its latest claim.

    The result is whether it was removed.
    """

    timers: str
    key: bytes
    claim: int | None = None


class MoveTimer(msgspec.Struct, frozen=True):
    """Make a timer due at `due`, and give it another body where one is named.

    With `claim`, only if that is still its latest claim. The result is whether it was there.
    """

    timers: str
    key: bytes
    due: float
    claim: int | None = None
    body: bytes | None = None


class DropTimers(msgspec.Struct, frozen=True):
    """Remove every timer of a list, and its tokens. The result is how many timers there were."""

    timers: str


class PutInGroup(msgspec.Struct, frozen=True):
    """Add a timer to a group of a list, whose timers come one after the other.

    With a `token` that was put into the list and holds at `now`, nothing is added; otherwise it
    holds until `token_until`, whatever becomes of the timer. The result is the note of whoever put
    the token: `note`, where the timer was added. A key that the list already holds is left as it
    is. A list has groups or none.
    """

    timers: str
    group: str
    key: bytes
    due: float
    body: bytes
    note: bytes
    token: bytes | None = None
    now: float = 0.0
    token_until: float = 0.0


class ClaimGroups(msgspec.Struct, frozen=True):
    """Take up to `limit` timers due at `now` from a list with groups, as `ClaimTimers` does.

    Of a group come its first timers in the order of putting, up to the first that is not due, and
    none while one is claimed and not due again. The group whose first timer was due earliest comes
    first, and each as a whole.
    """

    timers: str
    now: float
    until: float
    limit: int


class AckInGroup(msgspec.Struct, frozen=True):
    """Remove a timer of a list with groups for good, as `AckTimer` does; its group goes on."""

    timers: str
    key: bytes
    claim: int | None = None


class ExpireTimers(msgspec.Struct, frozen=True):
    """Remove up to `limit` timers of a list that are due at `before` or earlier; groups go on.

    The result is how many there were, so that a caller who gets `limit` asks again.
    """

    timers: str
    before: float
    limit: int


Change = (
    Append
    | Trim
    | PutDocument
    | DeleteDocument
    | MoveCursor
    | PutTimer
    | ClaimTimers
    | AckTimer
    | MoveTimer
    | DropTimers
    | PutInGroup
    | ClaimGroups
    | AckInGroup
    | ExpireTimers
)


def grows(change: Change) -> TypeGuard[PutTimer | MoveTimer | PutInGroup | AckInGroup]:
    """Tell whether listeners hear that a change's list may have something due sooner."""
    if isinstance(change, PutTimer):
        return change.claimed_until is None
    return isinstance(change, MoveTimer | PutInGroup | AckInGroup)


@dataclass(frozen=True, slots=True)
class Document:
    """A document as it stands."""

    key: str
    version: int
    value: bytes


@dataclass(frozen=True, slots=True)
class Timer:
    """A timer as it stands. `claim_count` is also the number of its latest claim.

    `put_order` grows in the order of putting. `first_claimed_at` is 0.0 while it was never claimed.
    """

    key: bytes
    due: float
    claim_count: int
    first_claimed_at: float
    body: bytes
    put_order: int = field(default=0, compare=False)


@dataclass(frozen=True, slots=True)
class TimerCounts:
    """How many timers of a list are due, claimed and not due, and waiting for their first time."""

    due: int
    claimed: int
    waiting: int


def take_batches(batches: Iterable[EventBatch], limit: int) -> list[EventBatch]:
    """Return the first batches that hold `limit` events or `READ_BYTES_MAX`, at least one."""
    taken: list[EventBatch] = []
    event_count = byte_count = 0
    for batch in batches:
        taken.append(batch)
        event_count += len(batch.events)
        byte_count += sum(map(len, batch.events))
        if event_count >= limit or byte_count >= READ_BYTES_MAX:
            break
    return taken


def take_timers(timers: Iterable[Timer], limit: int) -> list[Timer]:
    """Return the first timers until there are `limit` or `READ_BYTES_MAX` of them, at least one."""
    taken: list[Timer] = []
    byte_count = 0
    for timer in timers:
        taken.append(timer)
        byte_count += len(timer.body)
        if len(taken) >= limit or byte_count >= READ_BYTES_MAX:
            break
    return taken


Result = Appended | int | bool | bytes | list[Timer] | None
"""What one change came to, in the words of its class."""

AppendListener = Callable[[frozenset[str], frozenset[str]], None]
"""Called on the event loop after a commit, with the buses and the timer lists that grew, or whose
timers may be due at another time."""


class Store(Protocol):
    """One Region's store. Every method may be called from the event loop at any time."""

    @property
    def failure(self) -> str | None:
        """Why the engine has stopped, None while it works. A stopped engine is still read."""

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Apply all changes or none, in order; return one result each.

        Durable on return: neither a killed process nor a power cut takes it back.
        Raises Conflict where an expected version was not there, StoreFailed where the engine has
        stopped, StoreError where it could not write (a full disk, say).
        """

    async def read_log(self, event_bus: str, after: int, limit: int) -> list[EventBatch]:
        """Return the bus's batches that hold an event with a position above `after`, in order.

        Stops once `limit` events or `READ_BYTES_MAX` are gathered, but returns at least one batch
        where there is one.
        """

    async def read_stream(
        self, stream: str, origin: str, after: int, limit: int
    ) -> list[EventBatch]:
        """Return the stream's batches of one origin with a sequence above `after`, in order.

        Stops as `read_log` does.
        """

    async def stream_bounds(self, stream: str, origin: str) -> StreamBounds:
        """Return where the stream of one origin begins and ends, as of one moment."""

    async def stream_keys(self, stream: str, origin: str, first: int, last: int) -> list[BatchKey]:
        """Return the stream's batches that begin with a sequence in `first` to `last`, in order."""

    async def known_calls(self, calls: Sequence[bytes]) -> set[bytes]:
        """Return which of the calls any bus's log holds."""

    async def log_end(self, event_bus: str) -> int:
        """Return the position of the bus's last event, 0 where it never had one."""

    async def position_at(self, event_bus: str, accepted_before: float) -> int:
        """Return the last position before the first batch that was accepted at a time or later.

        Everything up to it is older, even where a replica brought an older time than its
        predecessors; 0 where nothing is.
        """

    async def event_buses(self) -> list[str]:
        """Return every bus that ever had an event, in order of name."""

    async def documents(self, prefix: str) -> list[Document]:
        """Return the documents whose key starts with `prefix`, in order of key."""

    async def cursor(self, name: str) -> int:
        """Return a named position, 0 where it was never moved."""

    async def next_due(self, timers: str, after: float = -math.inf) -> float | None:
        """Return when the list's earliest timer that is due later than `after` is due.

        None where there is no such timer. A timer that waits for others of its group is not due.
        """

    async def count_timers(self, timers: str, now: float) -> TimerCounts:
        """Return how many timers the list holds, by what they wait for."""

    async def read_timers(
        self, timers: str, after: tuple[float, int], before: float, limit: int
    ) -> list[Timer]:
        """Return the list's next timers due before `before`, in order, without claiming them.

        `after` is the due time and `put_order` of the last timer that was read; `(time, 0)` begins
        at a time. Stops once `limit` timers or `READ_BYTES_MAX` are gathered, but returns at least
        one where there is one.
        """

    async def measure_timers(self, timers: str) -> tuple[int, int]:
        """Return how many timers the list holds, and the bytes of their bodies."""

    def subscribe(self, listener: AppendListener) -> None:
        """Call `listener` after each commit that appended events or put timers."""

    async def close(self) -> None:
        """Finish what was asked, then release everything. Closing twice is closing once."""
