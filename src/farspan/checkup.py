"""What `farspan check` looks at: one store's file, beside its running Region or without one.

SQLite's own look at pages and indexes, then what the engine promises (dense positions, sequences
given out once), then what the parts keep in it: cursors within their logs, timers and resources
that can be read. Nothing here changes or repairs anything.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import apsw
import msgspec

from farspan.catalog.resources import document_faults, region_of
from farspan.delivery.stored import RETRY_TIMERS, delivery_cursor
from farspan.model.delivery import Delivery
from farspan.queues.message import decode_message
from farspan.store import soundness
from farspan.store.base import StoreUnusable
from farspan.store.opening import check_format, connect_to_read

FAULT_COUNT_MAX = 100
"""Faults that are told: what is broken all over is not better known by its thousandth line."""

TIMER_DECODERS: Mapping[str, Callable[[bytes], object]] = {
    RETRY_TIMERS: msgspec.msgpack.Decoder(Delivery).decode,
    "queue": decode_message,
}
"""What a timer's body has to be, by the first part of its list's name."""


@dataclass(frozen=True, slots=True)
class Checkup:
    """What was found. A sound store has no faults."""

    region: str | None
    format_version: int
    event_count: int
    event_bus_count: int
    timer_count: int
    document_count: int
    faults: tuple[str, ...]


def check_store(path: Path) -> Checkup:
    """Look at a store or a backup as it stands at one moment.

    Raises StoreUnusable where there is none, another program's, or a newer format.
    """
    if not path.is_file():
        raise StoreUnusable(f"There is no store at {path}. Name another, or another --data.")
    try:
        with contextlib.closing(connect_to_read(path)) as connection:
            connection.execute("BEGIN")
            version = check_format(connection, path)
            if not version:
                raise StoreUnusable(f"{path} is empty: there is nothing to check.")
            return _check(connection, version)
    except (apsw.NotADBError, apsw.CorruptError) as error:
        raise StoreUnusable(
            f"{path} is damaged so that it cannot be read on: {error}. Move its "
            "directory away and restore a backup."
        ) from error
    except apsw.Error as error:
        raise StoreUnusable(f"{path} cannot be read: {error}. Check the disk.") from error


def _check(connection: apsw.Connection, version: int) -> Checkup:
    documents = soundness.documents(connection)
    region = region_of(documents)
    faults = list(islice(_faults(connection, documents, region), FAULT_COUNT_MAX))
    counts = soundness.counts(connection)
    return Checkup(region, version, *counts, len(documents), tuple(faults))


def _faults(
    connection: apsw.Connection, documents: Mapping[str, bytes], region: str | None
) -> Iterator[str]:
    yield from soundness.page_faults(connection)
    yield from soundness.log_faults(connection)
    if region is not None:
        yield from soundness.stream_faults(connection, region)
    yield from document_faults(documents)
    yield from _cursor_faults(soundness.cursors(connection), soundness.log_ends(connection))
    yield from _timer_faults(soundness.timers(connection))


def _cursor_faults(cursors: Mapping[str, int], log_ends: Mapping[str, int]) -> Iterator[str]:
    """Give the cursors that no reader can have: below nothing, or beyond the end of their log."""
    yield from (f"Cursor {name} is {at}." for name, at in cursors.items() if at < 0)
    for event_bus, end in log_ends.items():
        at = cursors.get(delivery_cursor(event_bus), 0)
        if at > end:
            yield f"Bus {event_bus} is delivered up to {at}, and its log ends at {end}."


def _timer_faults(timers: Iterator[tuple[str, bytes, bytes]]) -> Iterator[str]:
    for timer_list, key, body in timers:
        decode = TIMER_DECODERS.get(timer_list.partition("/")[0])
        if decode is None:
            continue  # a list of another part, which knows its own
        try:
            decode(body)
        except (msgspec.MsgspecError, ValueError) as error:
            yield f"Timer {key.hex()} of {timer_list} cannot be read: {error}."
