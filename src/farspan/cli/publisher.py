"""The demo's publisher: a steady stream of PutEvents through boto3, and a ledger of the answers.

Calls leave on a schedule, not one after the other, so that a slow call does not slow the stream.
The ledger says for each call when it was acknowledged and with which event ids.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from farspan.cli.shop import ShopEvent, batch_sizes, shop_events

WORKER_COUNT = 8


@dataclass
class Ledger:
    """What the publisher knows. Times are monotonic seconds. Guarded by `lock`."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    acknowledged: list[str] = field(default_factory=list)
    expected: set[str] = field(default_factory=set)
    acknowledged_at: list[tuple[float, int]] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    retry_count: int = 0
    slowest_seconds: float = 0.0
    served_by: dict[str, int] = field(default_factory=dict)

    def succeed(self, events: list[ShopEvent], reply: dict[str, Any], began_at: float) -> None:
        """Enter a call that returned: its ids, and an entry's error as a failure."""
        now = time.monotonic()
        metadata = reply["ResponseMetadata"]
        region = metadata["HTTPHeaders"].get("x-farspan-region", "?")
        with self.lock:
            for event, result in zip(events, reply["Entries"], strict=True):
                if "EventId" not in result:
                    self.failures.append(f"{result['ErrorCode']}: {result['ErrorMessage']}")
                    continue
                self.acknowledged.append(result["EventId"])
                if event.matches:
                    self.expected.add(result["EventId"])
            self.acknowledged_at.append((now, len(events)))
            self.retry_count += metadata.get("RetryAttempts", 0)
            self.slowest_seconds = max(self.slowest_seconds, now - began_at)
            self.served_by[region] = self.served_by.get(region, 0) + len(events)

    def fail(self, error: Exception) -> None:
        """Enter a call that raised, after all of boto3's own retries."""
        with self.lock:
            self.failures.append(f"{type(error).__name__}: {error}")

    def counts(self) -> tuple[int, int]:
        """Return how many events were acknowledged, and how many calls or entries failed."""
        with self.lock:
            return len(self.acknowledged), len(self.failures)

    def longest_gap(self, after: float, before: float) -> float:
        """Return the longest time without an acknowledgement between two times, in seconds."""
        with self.lock:
            moments = sorted(at for at, _ in self.acknowledged_at)
        inside = [at for at in moments if after <= at <= before]
        edges = [after, *inside, before] if inside else [after, before]
        return max(later - earlier for earlier, later in itertools.pairwise(edges))


class Publisher:
    """Publishes until `stop`. `put` is a boto3 client's `put_events`."""

    def __init__(
        self,
        put: Callable[..., dict[str, Any]],
        *,
        endpoint_id: str,
        event_bus_arn: str,
        rate: float,
        seed: int = 1,
    ) -> None:
        self._put = put
        self._endpoint_id = endpoint_id
        self._rate = rate
        self._events = shop_events(event_bus_arn, seed)
        self._sizes = batch_sizes(seed)
        self._schedule_lock = threading.Lock()
        self._next_at = 0.0
        self._stopping = threading.Event()
        self.ledger = Ledger()
        self._threads = [
            threading.Thread(target=self._work, name=f"publisher-{number}", daemon=True)
            for number in range(WORKER_COUNT)
        ]

    def start(self) -> None:
        """Begin to publish."""
        self._next_at = time.monotonic()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop publishing and wait until every call has returned."""
        self._stopping.set()
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._schedule_lock:
                events = [next(self._events) for _ in range(next(self._sizes))]
                due, self._next_at = self._next_at, self._next_at + len(events) / self._rate
            if self._stopping.wait(max(0.0, due - time.monotonic())):
                return
            began_at = time.monotonic()
            try:
                reply = self._put(
                    EndpointId=self._endpoint_id, Entries=[event.entry for event in events]
                )
            except Exception as error:  # noqa: BLE001 - whatever boto3 raises is a failed call
                self.ledger.fail(error)
            else:
                self.ledger.succeed(events, reply, began_at)
