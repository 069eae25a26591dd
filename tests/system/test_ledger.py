"""A ledger of a Region that is killed at random points under load: what was acknowledged arrives.

The producer syncs to a file of its own what it means to put and what was acknowledged; the consumer
syncs what it received before it deletes it. What the three say is compared at the end. How many
kills and from which seed: FARSPAN_KILLS and FARSPAN_SEED. The report goes to standard output.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import threading
import time
import uuid
from pathlib import Path
from typing import Self

import pytest
from deployments import StartUp, Up, eventually, is_alive

KILLS = int(os.environ.get("FARSPAN_KILLS", "3"))
SEED = int(os.environ.get("FARSPAN_SEED", str(time.time_ns() % 1_000_000)))
KILL_SECONDS_MAX = 1.5
CALL_EVENTS = 10
PRODUCER_COUNT = 2


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
    """Producers and a consumer with their books, until the block ends."""

    def __init__(self, up: Up, directory: Path, queue_url: str) -> None:
        self._up, self._queue_url = up, queue_url
        self.intended, self.acknowledged, self.delivered = (
            Book(directory / name) for name in ("intended", "acknowledged", "delivered")
        )
        self._stopping, self._drained = threading.Event(), threading.Event()
        self._producers = [threading.Thread(target=self._produce) for _ in range(PRODUCER_COUNT)]
        self._consumer = threading.Thread(target=self._consume)

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
            try:
                reply = sqs.receive_message(
                    QueueUrl=self._queue_url, MaxNumberOfMessages=10, WaitTimeSeconds=1
                )
                messages = reply.get("Messages", [])
                self.delivered.write([json.loads(m["Body"])["detail"]["name"] for m in messages])
                if messages:
                    sqs.delete_message_batch(
                        QueueUrl=self._queue_url,
                        Entries=[
                            {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                            for number, message in enumerate(messages)
                        ],
                    )
            except Exception:  # noqa: BLE001 - killed: it comes again
                time.sleep(0.05)

    def stop_producing(self) -> None:
        """Let the calls under way end."""
        self._stopping.set()
        for producer in self._producers:
            producer.join()

    def lost(self) -> set[str]:
        """Return what was acknowledged and has not arrived."""
        return set(self.acknowledged.lines) - set(self.delivered.lines)

    def report(self, kills: int) -> str:
        """Return what the books say together."""
        counts = collections.Counter(self.delivered.lines)
        acknowledged, intended = set(self.acknowledged.lines), set(self.intended.lines)
        repeated = sum(counts.values()) - len(counts)
        return (
            f"ledger seed={SEED} kills={kills} intended={len(intended)} "
            f"acknowledged={len(acknowledged)} lost={len(self.lost())} "
            f"unacknowledged_but_delivered={len(set(counts) - acknowledged)} "
            f"duplicates={repeated} phantoms={len(set(counts) - intended)} "
            f"bound_of_losses_per_kill={3 / kills:.3f} (95 %, rule of three)"
        )

    def __enter__(self) -> Self:
        for thread in (*self._producers, self._consumer):
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop_producing()
        self._drained.set()
        self._consumer.join()
        for book in (self.intended, self.acknowledged, self.delivered):
            book.close()


def make_resources(up: Up) -> str:
    """Make a bus, a rule and a queue; return the queue's URL."""
    events, sqs = up.client("events"), up.client("sqs")
    events.create_event_bus(Name="b")
    url: str = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    events.put_rule(Name="r", EventBusName="b", EventPattern='{"source":["s"]}')
    arn = "arn:aws:sqs:us-east-1:000000000000:q"
    events.put_targets(Rule="r", EventBusName="b", Targets=[{"Id": "q", "Arn": arn}])
    return url


@pytest.mark.timeout(120 + 20 * KILLS)
def test_g1_g3_a_region_killed_at_random_points_loses_nothing_that_it_acknowledged(
    start_up: StartUp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every acknowledged event arrives however often the Region is killed, and none from nowhere.

    Duplicates are bounded by what one reader has under way at a kill: two steps of 1,000 events,
    and what the consumer had received but not deleted.
    """
    dice = random.Random(SEED)
    up = start_up("--empty", "--restart")
    with Ledger(up, tmp_path, make_resources(up)) as ledger:
        for _ in range(KILLS):
            time.sleep(dice.uniform(0.2, KILL_SECONDS_MAX))
            pid = up.pid_of("us-east-1")
            os.kill(pid, signal.SIGKILL)
            eventually(lambda pid=pid: not is_alive(pid) and up.pid_of("us-east-1") != pid)
            before = len(ledger.acknowledged.lines)
            eventually(lambda before=before: len(ledger.acknowledged.lines) > before, 30)
        ledger.stop_producing()
        eventually(lambda: not ledger.lost(), 60)
        report = ledger.report(KILLS)
    with capsys.disabled():
        print(f"\n{report}")  # noqa: T201 - the figures are what this test is for

    counts = collections.Counter(ledger.delivered.lines)
    assert set(counts) <= set(ledger.intended.lines), report
    assert sum(counts.values()) - len(counts) <= KILLS * 2_010, report
