"""The books of a run under faults: what was meant, acknowledged and received, each line synced.

Beside them stands what a Region had under way when it died, read from its file: nothing else may
come twice.
"""

from __future__ import annotations

import collections
import json
import os
import threading
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import msgspec
from deployments import Up

from farspan.delivery.stored import RETRY_TIMERS, delivery_cursor
from farspan.delivery.under_way import READ_EVENT_COUNT
from farspan.model.delivery import Delivery
from farspan.store import reading
from farspan.store.opening import connect_to_read
from farspan.store.schema import BUS_SHIFT, POSITION_MASK, Sql

CALL_EVENTS = 10
PRODUCER_COUNT = 2
CONSUMER_COUNT = 3
"""More than the producers, so that what a kill repeats finds its first message deleted."""

DRAIN_SECONDS = 90
"""Longer than whatever hides an event for a while: a message's visibility, a delivery's lease."""

READER_EVENT_COUNT = 2 * READ_EVENT_COUNT
"""What a reader has before its cursor at the most: the step under way and the one before it."""

_decode = msgspec.msgpack.Decoder(Delivery).decode


class Book:
    """Lines of one kind, each synced before the next thing happens."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a")
        self._lock = threading.Lock()
        self.lines: list[str] = []

    def write(self, lines: list[str]) -> None:
        """Write lines down for good."""
        with self._lock:
            self._file.write("".join(f"{line}\n" for line in lines))
            self._file.flush()
            os.fsync(self._file.fileno())
            self.lines += lines

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class Ledger:
    """Producers and consumers with their books, until the block ends."""

    def __init__(self, up: Up, directory: Path, queue_url: str) -> None:
        self._up, self._queue_url = up, queue_url
        self.intended, self.acknowledged, self.delivered = (
            Book(directory / name) for name in ("intended", "acknowledged", "delivered")
        )
        self.may_repeat: collections.Counter[str] = collections.Counter()
        self._lock = threading.Lock()
        self._stopping, self._drained = threading.Event(), threading.Event()
        self._producers = [threading.Thread(target=self._produce) for _ in range(PRODUCER_COUNT)]
        self._consumers = [threading.Thread(target=self._consume) for _ in range(CONSUMER_COUNT)]

    def _produce(self) -> None:
        events = self._up.client("events")
        while not self._stopping.is_set():
            names = [str(uuid.uuid4()) for _ in range(CALL_EVENTS)]
            self.intended.write(names)
            entries = [
                {
                    "Source": "s",
                    "DetailType": "t",
                    "Detail": json.dumps({"name": name}),
                    "EventBusName": "b",
                }
                for name in names
            ]
            try:
                reply = events.put_events(Entries=entries)
            except Exception:  # noqa: BLE001 - a call that failed is not acknowledged
                time.sleep(0.02)
                continue
            assert not reply["FailedEntryCount"]
            self.acknowledged.write(names)

    def _consume(self) -> None:
        sqs = self._up.client("sqs")
        while not self._drained.is_set():
            names: list[str] = []
            try:
                reply = sqs.receive_message(
                    QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                messages = reply.get("Messages", [])
                names = [json.loads(message["Body"])["detail"]["name"] for message in messages]
                self.delivered.write(names)
                if messages:
                    sqs.delete_message_batch(
                        QueueUrl=self._queue_url,
                        Entries=[
                            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                            for number, message in enumerate(messages)
                        ],
                    )
            except Exception:  # noqa: BLE001 - killed: what was not deleted comes again
                self.may_come_again(names)
                time.sleep(0.05)

    def may_come_again(self, names: Iterable[str]) -> None:
        """Take note of events that may arrive once more."""
        with self._lock:
            self.may_repeat.update(names)

    def stop_producing(self) -> None:
        """Let the calls under way end."""
        self._stopping.set()
        for producer in self._producers:
            producer.join()

    def wait_until_drained(self) -> None:
        """Return when everything arrived, or when nothing has arrived for a while."""
        count, since = 0, time.monotonic()
        while self.lost() and time.monotonic() < since + DRAIN_SECONDS:
            if len(self.delivered.lines) > count:
                count, since = len(self.delivered.lines), time.monotonic()
            time.sleep(0.2)

    def lost(self) -> set[str]:
        """Return what was acknowledged and has not arrived."""
        return set(self.acknowledged.lines) - set(self.delivered.lines)

    def repeated(self) -> collections.Counter[str]:
        """Return what arrived more than once, and how often too often."""
        counts = collections.Counter(self.delivered.lines)
        return counts - collections.Counter(counts.keys())

    def phantoms(self) -> set[str]:
        """Return what arrived and was never meant."""
        return set(self.delivered.lines) - set(self.intended.lines)

    def summary(self, kills: int) -> dict[str, Any]:
        """Return what the books say together."""
        acknowledged, delivered = set(self.acknowledged.lines), set(self.delivered.lines)
        return {
            "kills": kills,
            "intended": len(self.intended.lines),
            "acknowledged": len(acknowledged),
            "lost": len(self.lost()),
            "bound_of_losses_per_kill_95_percent": round(3 / kills, 4),
            "unacknowledged_but_delivered": len(delivered - acknowledged),
            "phantoms": len(self.phantoms()),
            "duplicates": self.repeated().total(),
            "under_way_at_the_kills": self.may_repeat.total(),
            "duplicates_not_under_way": (self.repeated() - self.may_repeat).total(),
        }

    def __enter__(self) -> Self:
        for thread in (*self._producers, *self._consumers):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_producing()
        self._drained.set()
        for consumer in self._consumers:
            consumer.join()
        for book in (self.intended, self.acknowledged, self.delivered):
            book.close()


def names_under_way(store: Path, event_bus: str) -> list[str]:
    """Return the names of the events that a dead Region's delivery had not done with.

    These are what its log has beyond the cursor, as far as a reader gets, and what it had stored to
    be tried again, claimed or not.
    """
    connection = connect_to_read(store)
    try:
        with connection:  # one moment for all
            cursor = connection.execute(Sql.CURSOR, (delivery_cursor(event_bus),)).get or 0
            events = _beyond(connection, event_bus, cursor)
            ever = (RETRY_TIMERS, float("-inf"), 0, float("inf"))
            events += [_decode(row[4]).payload for row in connection.execute(Sql.READ_TIMERS, ever)]
    finally:
        connection.close()
    return [json.loads(event)["detail"]["name"] for event in events]


def _beyond(connection: Any, event_bus: str, cursor: int) -> list[bytes]:
    bus = reading.bus_number(connection, event_bus)
    if bus is None:
        return []
    low, high = bus << BUS_SHIFT, (bus << BUS_SHIFT) | POSITION_MASK
    first = connection.execute(Sql.LOG_KEY_AT, (low, low | cursor + 1)).get or low
    batches = reading.take(
        connection.execute(Sql.READ_LOG, (first, high)),
        event_bus,
        READER_EVENT_COUNT,
        lambda batch: reading.last_position(batch) > cursor,
    )
    return [
        event
        for batch in batches
        for position, event in enumerate(batch.events, start=batch.position)
        if position > cursor
    ]


def distribution(values: Iterable[float]) -> dict[str, float]:
    """Return count, median and largest of some seconds."""
    ordered = sorted(values)
    if not ordered:
        return {"count": 0}
    return {
        "count": len(ordered),
        "p50": round(ordered[len(ordered) // 2], 2),
        "max": round(ordered[-1], 2),
    }
