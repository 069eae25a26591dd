"""A drill's publisher: a steady stream of PutEvents through boto3, and each answer in the ledger.

Calls leave on a schedule, not one after the other, so that a slow call does not slow the stream.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from farspan.cli.probes import Probe
from farspan.drill.ledger import Call, Ledger

WORKER_COUNT = 8
STOP_SECONDS_MAX = 90.0
"""How long a call may take to return: boto3 waits a minute for an answer, and tries again."""


class Publisher:
    """Publishes until `stop`. `put` is a boto3 client's `put_events`, `calls` what it is to put."""

    def __init__(
        self,
        put: Callable[..., dict[str, Any]],
        calls: Iterator[list[Probe]],
        *,
        endpoint_id: str,
        rate: float,
        ledger: Ledger,
        clock: Callable[[], float],
    ) -> None:
        self._put = put
        self._calls = calls
        self._endpoint_id = endpoint_id
        self._rate = rate
        self._ledger = ledger
        self._clock = clock
        self._schedule_lock = threading.Lock()
        self._next_at = 0.0
        self._stopping = threading.Event()
        self._threads = [
            threading.Thread(target=self._work, name=f"publisher-{number}", daemon=True)
            for number in range(WORKER_COUNT)
        ]

    def start(self) -> None:
        """Begin to publish."""
        self._next_at = self._clock()
        for thread in self._threads:
            thread.start()

    def stop(self, seconds: float = STOP_SECONDS_MAX) -> None:
        """Stop publishing and wait until every call has returned, for some time at the most."""
        self._stopping.set()
        deadline = self._clock() + seconds
        for thread in self._threads:
            thread.join(max(0.0, deadline - self._clock()))

    def _work(self) -> None:
        while not self._stopping.is_set():
            with self._schedule_lock:
                probes = next(self._calls)
                due, self._next_at = self._next_at, self._next_at + len(probes) / self._rate
            if self._stopping.wait(max(0.0, due - self._clock())):
                return
            self._ledger.intend(len(probes))
            began_at = self._clock()
            try:
                reply = self._put(
                    EndpointId=self._endpoint_id, Entries=[probe.entry for probe in probes]
                )
            except Exception as error:  # noqa: BLE001 - whatever boto3 raises is a failed call
                text = f"{type(error).__name__}: {error}"
                call = Call(began_at=began_at, ended_at=self._clock(), error=text)
            else:
                call = _call_of(probes, reply, began_at, self._clock())
            self._ledger.enter(call)


def _call_of(probes: list[Probe], reply: dict[str, Any], began_at: float, ended_at: float) -> Call:
    """Return what a call that returned goes into the ledger as."""
    metadata = reply["ResponseMetadata"]
    results = list(zip(probes, reply["Entries"], strict=True))
    return Call(
        began_at=began_at,
        ended_at=ended_at,
        region=metadata["HTTPHeaders"].get("x-farspan-region", "?"),
        event_ids=tuple(r["EventId"] for _, r in results if "EventId" in r),
        expected_ids=tuple(r["EventId"] for p, r in results if "EventId" in r and p.matches),
        retry_count=metadata.get("RetryAttempts", 0),
        entry_errors=tuple(
            f"{r['ErrorCode']}: {r['ErrorMessage']}" for _, r in results if "EventId" not in r
        ),
    )
