"""Whether a SQLite store's file is what the engine would have written: its pages, its logs.

Each function reads one connection and gives the faults that it finds as sentences, the first of
each kind of trouble and not its every consequence. Nothing here repairs anything.
"""

from __future__ import annotations

from collections.abc import Iterator

import apsw
import msgspec

from farspan.store import reading
from farspan.store.schema import BUS_SHIFT, POSITION_MASK, Sql

FAULT_COUNT_MAX = 20


def page_faults(connection: apsw.Connection) -> Iterator[str]:
    """Give what SQLite itself finds wrong with pages, tables and indexes."""
    for (line,) in connection.execute(f"PRAGMA integrity_check({FAULT_COUNT_MAX})"):
        if line != "ok":
            yield f"SQLite: {line}"


def log_faults(connection: apsw.Connection) -> Iterator[str]:
    """Give where a bus's positions are not dense, or a batch is not what its row says."""
    names = dict(connection.execute(Sql.BUSES))
    bus, end = -1, 0
    for key, event_count, body in connection.execute(Sql.EVERY_BATCH):
        position = key & POSITION_MASK
        if key >> BUS_SHIFT != bus:
            bus, end = key >> BUS_SHIFT, position - 1
            if bus not in names:
                yield f"The log has events of a bus number {bus} that has no name."
        name = names.get(bus, f"number {bus}")
        if position != end + 1:
            yield f"Bus {name}: after position {end} comes {position}."
        try:
            decoded_count = len(reading.read_events(body)[0])
        except (msgspec.MsgspecError, ValueError) as error:
            yield f"Bus {name}: the batch at position {position} cannot be read: {error}."
        else:
            if decoded_count != event_count:
                yield (
                    f"Bus {name}: the batch at position {position} has {decoded_count} events "
                    f"and should have {event_count}."
                )
        end = position + event_count - 1


def stream_faults(connection: apsw.Connection, origin: str) -> Iterator[str]:
    """Give where a stream of the Region's own has one sequence twice.

    A gap is none: a stream may be in two buses, of which retention trimmed one.
    """
    former, end = "", 0
    for stream, sequence, event_count in connection.execute(Sql.EVERY_SEQUENCE, (origin,)):
        if stream == former and sequence <= end:
            yield f"Stream {stream}: sequence {sequence} is there twice."
        former, end = stream, sequence + event_count - 1


def cursors(connection: apsw.Connection) -> dict[str, int]:
    """Return every cursor by name."""
    return dict(connection.execute(Sql.EVERY_CURSOR))


def log_ends(connection: apsw.Connection) -> dict[str, int]:
    """Return by bus the position of its last event, trimmed or not."""
    names: dict[int, str] = dict(connection.execute(Sql.BUSES))
    return {name: reading.log_end(connection, number) for number, name in names.items()}


def documents(connection: apsw.Connection) -> dict[str, bytes]:
    """Return every document by key."""
    return {key: value for key, _, value in connection.execute(Sql.DOCUMENTS_FROM, ("",))}


def timers(connection: apsw.Connection) -> Iterator[tuple[str, bytes, bytes]]:
    """Give the list, key and body of every timer."""
    yield from connection.execute(Sql.EVERY_TIMER)


def counts(connection: apsw.Connection) -> tuple[int, int, int]:
    """Return how many events, buses and timers there are."""
    counted: tuple[int, int, int] = connection.execute(Sql.COUNTS).get
    return counted
