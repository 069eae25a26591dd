"""What the writer thread does: groups of commits become transactions of the store's file.

On that thread only, and it decides nothing: what a change means is written in `base`. A group is
one transaction and one sync, with as few statements as its changes allow (see `joined`).
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import apsw

from farspan.model.event import EventBatch
from farspan.store import reading
from farspan.store.base import (
    TRIM_BATCH_COUNT,
    AckInGroup,
    AckTimer,
    Append,
    Appended,
    Change,
    ClaimGroups,
    ClaimTimers,
    Conflict,
    DeleteDocument,
    DropTimers,
    ExpireTimers,
    MoveCursor,
    MoveTimer,
    PutDocument,
    PutInGroup,
    PutTimer,
    Result,
    StoreError,
    Timer,
    Trim,
)
from farspan.store.groups import Groups
from farspan.store.joined import NotAllRows, Row, ack_timers, append_batches, put_timers
from farspan.store.schema import BUS_SHIFT, POSITION_MASK, Sql


@dataclass(slots=True)
class Commit:
    """A commit that waits for the writer, and what became of it."""

    changes: Sequence[Change]
    future: asyncio.Future[list[Result]]
    results: list[Result] | None = None
    error: StoreError | None = None


class Writer:
    """Applies groups of commits to the file, on the writer thread only.

    Ends of logs and streams are remembered between groups; whenever a group fails, they are
    forgotten and read again.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        self._connection = connection
        self._buses: dict[str, int] = {}
        self._log_ends: dict[int, int] = {}
        self._stream_ends: dict[tuple[str, str], int] = {}
        groups = Groups(connection)
        self._apply_by_class: dict[type, Callable[..., Result]] = {
            Append: self._append,
            Trim: self._trim,
            PutDocument: self._put_document,
            DeleteDocument: self._delete_document,
            MoveCursor: self._move_cursor,
            PutTimer: lambda change: put_timers(connection, [change])[0],
            ClaimTimers: self._claim,
            AckTimer: lambda change: ack_timers(connection, [change])[0],
            MoveTimer: self._move_timer,
            DropTimers: self._drop_timers,
            PutInGroup: groups.put,
            ClaimGroups: groups.claim,
            AckInGroup: groups.ack,
            ExpireTimers: groups.expire,
        }
        self._apply_many_by_class: dict[type, Callable[..., Sequence[Result]]] = {
            Append: self._append_many,
            PutTimer: lambda changes: put_timers(connection, changes),
            AckTimer: lambda changes: ack_timers(connection, changes),
        }

    def write(self, group: list[Commit]) -> apsw.Error | None:
        """Apply and sync the group; put results or errors into its commits.

        Returns the error for which the engine has to stop, or None. A commit that fails for a
        reason of its own is found by trying each alone, so that it fails alone. The group is left
        in the order in which it was applied, which is the logs' order.
        """
        group.sort(key=_is_no_append)
        try:
            try:
                self._transact(group, joined=True)
            except NotAllRows:  # something is there already, or gone: rare, but for repeats
                self._roll_back(group)
                self._transact(group, joined=False)
        except (apsw.IOError, apsw.CorruptError, apsw.NotADBError) as error:
            self._roll_back(group)
            return error
        except apsw.FullError:
            self._roll_back(group)
            for commit in group:
                commit.error = StoreError("The disk is full. Free some space; nothing was lost.")
        except Exception as error:  # noqa: BLE001 - whatever it is, only its own commit may fail
            self._roll_back(group)
            if len(group) == 1:
                group[0].error = StoreError(f"The store could not apply the change: {error!r}.")
                return None
            for commit in group:
                failure = self.write([commit])
                if failure is not None:
                    return failure
        return None

    def _transact(self, group: list[Commit], *, joined: bool) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        self._apply_group(group, joined=joined)
        self._connection.execute("COMMIT")

    def _roll_back(self, group: list[Commit]) -> None:
        if self._connection.in_transaction:
            with contextlib.suppress(apsw.Error):
                self._connection.execute("ROLLBACK")
        self._buses.clear()
        self._log_ends.clear()
        self._stream_ends.clear()
        for commit in group:
            commit.results = commit.error = None

    def _apply_group(self, group: list[Commit], *, joined: bool) -> None:
        """Apply commits, which all wait: any order is right that keeps those apart that meet.

        Appends come first, since nothing that is not in their own commit meets them.
        """
        for has_documents, commits in itertools.groupby(group, key=_has_documents):
            if has_documents or not joined:
                for commit in commits:
                    self._apply(commit)
            else:
                self._apply_joined(list(commits))

    def _apply(self, commit: Commit) -> None:
        for change in commit.changes:
            if isinstance(change, PutDocument | DeleteDocument):
                conflict = self._conflict(change)
                if conflict is not None:
                    commit.error = conflict
                    return
        apply = self._apply_by_class
        commit.results = [apply[type(change)](change) for change in commit.changes]

    def _apply_joined(self, commits: list[Commit]) -> None:
        """Apply commits without documents, changes of one kind that follow each other as one."""
        results: list[Result] = []
        changes = itertools.chain.from_iterable(commit.changes for commit in commits)
        for kind, run in itertools.groupby(changes, key=type):
            apply_many = self._apply_many_by_class.get(kind)
            if apply_many is not None:
                results += apply_many(list(run))
            else:
                apply = self._apply_by_class[kind]
                results += [apply(change) for change in run]
        each = iter(results)
        for commit in commits:
            commit.results = list(itertools.islice(each, len(commit.changes)))

    def _conflict(self, change: PutDocument | DeleteDocument) -> Conflict | None:
        if change.expected_version is None:
            return None
        version = self._connection.execute(Sql.DOCUMENT_VERSION, (change.key,)).get or 0
        if version == change.expected_version:
            return None
        return Conflict(
            f"Document {change.key} has version {version}, not {change.expected_version}."
        )

    def _append(self, change: Append) -> Appended:
        appended, row = self._place(change.batch)
        if append_batches(self._connection, [row])[0]:
            self._note_ends(change.batch, appended)
            return appended
        batch = change.batch
        low = self._bus(batch.event_bus) << BUS_SHIFT
        key, origin, last = self._connection.execute(
            Sql.BATCH_OF_CALL, (batch.call, low, low | POSITION_MASK)
        ).get
        return Appended(key & POSITION_MASK, True, origin, last)

    def _append_many(self, changes: Sequence[Append]) -> list[Appended]:
        if len(changes) == 1:
            return [self._append(changes[0])]
        results: list[Appended] = []
        rows: list[Row] = []
        for change in changes:
            appended, row = self._place(change.batch)
            self._note_ends(change.batch, appended)
            results.append(appended)
            rows.append(row)
        if not all(append_batches(self._connection, rows)):
            raise NotAllRows  # a call was there already: those after it stand elsewhere
        return results

    def _place(self, batch: EventBatch) -> tuple[Appended, Row]:
        """Return where the batch comes to stand, and its row of the log."""
        bus = self._bus(batch.event_bus)
        position = self._log_ends[bus] + 1
        sequence = 0
        if batch.stream is not None:
            sequence = batch.sequence or self._end_of_stream(batch.stream, batch.origin) + 1
        row = (
            bus << BUS_SHIFT | position,
            len(batch.events),
            batch.call,
            batch.accepted_at,
            batch.origin,
            batch.stream,
            sequence,
            reading.write_events(batch),
        )
        last = sequence + len(batch.events) - 1 if batch.stream is not None else 0
        return Appended(position, False, batch.origin, last), row

    def _note_ends(self, batch: EventBatch, appended: Appended) -> None:
        bus = self._buses[batch.event_bus]
        self._log_ends[bus] = appended.position + len(batch.events) - 1
        if batch.stream is not None and not batch.sequence:
            # Only the Region's own sequences are given out here.
            self._stream_ends[batch.stream, batch.origin] = appended.last_sequence

    def _bus(self, name: str) -> int:
        bus = self._buses.get(name)
        if bus is None:
            bus = reading.bus_number(self._connection, name)
            if bus is None:
                self._connection.execute(Sql.ADD_BUS, (name,))
                bus = self._connection.last_insert_rowid()
            self._buses[name] = bus
            self._log_ends[bus] = reading.log_end(self._connection, bus)
        return bus

    def _end_of_stream(self, stream: str, origin: str) -> int:
        end = self._stream_ends.get((stream, origin))
        return reading.stream_end(self._connection, stream, origin) if end is None else end

    def _trim(self, change: Trim) -> int:
        bus = self._bus(change.event_bus)
        low, bound = bus << BUS_SHIFT, bus << BUS_SHIFT | change.before_position
        last = self._connection.execute(Sql.TRIM_UP_TO, (low, bound, bound, TRIM_BATCH_COUNT)).get
        if last is None:
            return 0
        # What was trimmed still counts: positions and sequences are never given out twice.
        self._connection.execute(Sql.KEEP_LOG_END, (self._log_ends[bus], bus))
        self._connection.execute(Sql.KEEP_STREAM_ENDS, (low, last))
        self._connection.execute(Sql.TRIM, (low, last))
        return self._connection.changes()

    def _put_document(self, change: PutDocument) -> int:
        return cast(
            "int", self._connection.execute(Sql.PUT_DOCUMENT, (change.key, change.value)).get
        )

    def _delete_document(self, change: DeleteDocument) -> bool:
        self._connection.execute(Sql.DELETE_DOCUMENT, (change.key,))
        return self._connection.changes() > 0

    def _move_cursor(self, change: MoveCursor) -> None:
        self._connection.execute(Sql.MOVE_CURSOR, (change.name, change.position))

    def _claim(self, change: ClaimTimers) -> list[Timer]:
        rows = self._connection.execute(
            Sql.CLAIM, (change.until, change.now, change.timers, change.now, change.limit)
        )
        # RETURNING gives no order: put the rows back into that of the claim.
        claimed = sorted(rows, key=lambda row: (row[6], row[5]))
        return [Timer(*row[:6]) for row in claimed]

    def _move_timer(self, change: MoveTimer) -> bool:
        self._connection.execute(
            Sql.MOVE_TIMER,
            (change.due, change.body, change.timers, change.key, change.claim, change.claim),
        )
        return self._connection.changes() > 0

    def _drop_timers(self, change: DropTimers) -> int:
        self._connection.execute(Sql.FORGET_ALL, (change.timers,))
        self._connection.execute(Sql.DROP_TIMERS, (change.timers,))
        return self._connection.changes()


def _is_no_append(commit: Commit) -> bool:
    return not all(isinstance(change, Append) for change in commit.changes)


def _has_documents(commit: Commit) -> bool:
    return any(isinstance(change, PutDocument | DeleteDocument) for change in commit.changes)
