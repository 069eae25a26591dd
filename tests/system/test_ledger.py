"""A ledger of a Region that is killed at random points under load: what was acknowledged arrives.

The producers sync to a file of their own what they mean to put and what was acknowledged; the
consumer syncs what it received before it deletes it. What the three say is compared at the end, and
with what the Region had under way at each kill. How many kills and from which seed: FARSPAN_KILLS
and FARSPAN_SEED. The report goes to standard output, and to the file that FARSPAN_LEDGER names.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest
from books import Ledger, distribution, names_under_way
from deployments import StartUp, Up, eventually, is_alive, start_serving

KILLS = int(os.environ.get("FARSPAN_KILLS", "3"))
SEED = int(os.environ.get("FARSPAN_SEED", str(time.time_ns() % 1_000_000)))
KILL_SECONDS_MAX = 1.5
EARLY_SHARE = 0.2
"""Kills that do not wait until the Region has acknowledged something since it started."""

EAST = "us-east-1"
BUS = "000000000000/b"


def make_resources(up: Up) -> str:
    """Make a bus, a rule and a queue; return the queue's URL."""
    events, sqs = up.client("events"), up.client("sqs")
    events.create_event_bus(Name="b")
    url: str = sqs.create_queue(QueueName="q", Attributes={"VisibilityTimeout": "5"})["QueueUrl"]
    events.put_rule(Name="r", EventBusName="b", EventPattern='{"source":["s"]}')
    arn = "arn:aws:sqs:us-east-1:000000000000:q"
    events.put_targets(Rule="r", EventBusName="b", Targets=[{"Id": "q", "Arn": arn}])
    return url


@pytest.mark.timeout(240 + 20 * KILLS)
def test_g1_g3_a_region_killed_at_random_points_loses_nothing_that_it_acknowledged(
    start_up: StartUp, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every acknowledged event arrives however often the Region is killed, and none from nowhere.

    What arrives twice was under way at a kill: beyond the reader's cursor, stored for another
    attempt, or received by the consumer and not yet deleted. Each kill repeats it once at the most.
    """
    dice = random.Random(SEED)
    up = start_up("--empty")
    pid, popen = up.pid_of(EAST), None
    under_way_counts: list[int] = []
    starts: list[float] = []
    try:
        with Ledger(up, tmp_path, make_resources(up)) as ledger:
            for _ in range(KILLS):
                time.sleep(dice.uniform(0, KILL_SECONDS_MAX))
                os.kill(pid, signal.SIGKILL)
                eventually(lambda pid=pid: not is_alive(pid))
                names = names_under_way(up.data / EAST / "store.sqlite3", BUS)
                under_way_counts.append(len(names))
                ledger.may_come_again(set(names))
                if popen is not None:
                    popen.wait(10)
                before, began = len(ledger.acknowledged.lines), time.monotonic()
                popen = start_serving(EAST, up.data)
                pid = popen.pid
                if dice.random() >= EARLY_SHARE:
                    # The start, and the pauses of clients that met nobody.
                    eventually(lambda before=before: len(ledger.acknowledged.lines) > before, 120)
                    starts.append(time.monotonic() - began)
            ledger.stop_producing()
            ledger.wait_until_drained()
            summary = {
                "seed": SEED,
                **ledger.summary(KILLS),
                "under_way_at_one_kill_max": max(under_way_counts),
                "seconds_from_start_to_first_acknowledgement": distribution(starts),
            }
            _report(summary, capsys)
    finally:
        if popen is not None:
            popen.terminate()
            popen.wait(10)

    assert summary["lost"] == 0, summary
    assert summary["phantoms"] == 0, summary
    assert summary["duplicates_not_under_way"] == 0, summary


def _report(summary: dict[str, object], capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print("\nledger", json.dumps(summary, indent=2))  # noqa: T201 - what this test is for
    path = os.environ.get("FARSPAN_LEDGER")
    if path:
        Path(path).write_text(json.dumps(summary, indent=2) + "\n")
