"""Schedules, archives and replays of a Region that is killed again and again.

How many kills and from which seed: FARSPAN_KILLS and FARSPAN_SEED, as for the ledger.
"""

from __future__ import annotations

import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config as BotoConfig
from deployments import FARSPAN, eventually, free_base_port

from farspan.cli.deployment import answers, prepare
from farspan.config import CONFIG_FILE_NAME

KILLS = int(os.environ.get("FARSPAN_KILLS", "3"))
SEED = int(os.environ.get("FARSPAN_SEED", str(time.time_ns() % 1_000_000)))
ACCOUNT, EAST = "000000000000", "us-east-1"
QUEUE_ARN = f"arn:aws:sqs:{EAST}:{ACCOUNT}:q"
LONG = {"VisibilityTimeout": "43200"}
"""A queue's messages are looked at once, and nothing is deleted: what was put twice is seen."""

FAST_SERVE = Path(__file__).parent / "fast_serve.py"
SPEED = 120.0
"""A minute takes half a second."""


@dataclass
class Mortal:
    """A Region's process that dies and starts, on one directory."""

    command: list[str]
    url: str
    log: Path
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    popen: subprocess.Popen[bytes] | None = None
    began: float = field(default_factory=time.time)

    def start(self) -> None:
        """Start the process; `wait` until it answers."""
        with self.log.open("ab") as sink:
            self.popen = subprocess.Popen(self.command, stdout=sink, stderr=sink)

    def wait(self) -> None:
        """Return when the process answers."""
        eventually(lambda: answers(self.url), 60)

    def kill_after(self, seconds: float) -> None:
        """Kill the process at a random point within some seconds, and start it again."""
        assert self.popen is not None
        time.sleep(self.dice.uniform(0, seconds))
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait(10)
        self.start()

    def client(self, service: str) -> Any:
        """Return a client that tries again while the Region is down."""
        return boto3.client(
            service,
            region_name=EAST,
            endpoint_url=self.url,
            aws_access_key_id="test",
            aws_secret_access_key="test",
            config=BotoConfig(retries={"max_attempts": 12, "mode": "standard"}),
        )

    def bodies(self) -> list[dict[str, Any]]:
        """Return what the queue holds, once each."""
        sqs = self.client("sqs")
        url = sqs.get_queue_url(QueueName="q")["QueueUrl"]
        bodies: list[dict[str, Any]] = []
        while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            bodies += [json.loads(message["Body"]) for message in messages]
        return bodies


MakeMortal = Callable[..., Mortal]


@pytest.fixture
def mortal(tmp_path: Path) -> Iterator[MakeMortal]:
    """Return a function that makes a Region of a configuration; it is gone when the test ends."""
    made: list[Mortal] = []

    def make(configuration: str, *, speed: float | None = None) -> Mortal:
        data = tmp_path / "data"
        data.mkdir()
        (data / CONFIG_FILE_NAME).write_text(f"cluster_secret = 's'\n{configuration}\n")
        config = prepare(data, (EAST,), free_base_port(), auth=False)
        node = config.node_of(EAST)
        assert node is not None
        words = ["serve", "--region", EAST, "--data", str(data)]
        program, began = FARSPAN, time.time()
        if speed is not None:
            program = [sys.executable, str(FAST_SERVE), str(speed), str(began)]
        one = Mortal([*program, *words], node.url, tmp_path / "log", began=began)
        made.append(one)
        one.start()
        one.wait()
        return one

    yield make
    for one in made:
        if one.popen is not None:
            one.popen.kill()
            one.popen.wait(10)


@pytest.mark.timeout(180 + 30 * KILLS)
def test_g11_schedules_of_a_killed_region_fire_once_for_each_occurrence(mortal: MakeMortal) -> None:
    """Every minute between the first and the last fired, once, for each rule; none is lost."""
    region = mortal("[schedules]\ncatch_up_seconds = 3600", speed=SPEED)
    events, names = region.client("events"), ["r1", "r2", "r3"]
    region.client("sqs").create_queue(QueueName="q", Attributes=LONG)
    for name in names:
        events.put_rule(Name=name, ScheduleExpression="rate(1 minute)")
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": QUEUE_ARN}])
    time.sleep(1)
    for _ in range(KILLS):
        region.kill_after(3)
    region.wait()
    last = (region.began + (time.time() - region.began) * SPEED) // 60
    fired: collections.Counter[tuple[str, int]] = collections.Counter()

    def missing() -> set[tuple[str, int]]:
        """Return what has not arrived of the minutes since each rule's first, by its number."""
        for body in region.bodies():
            minute = int(datetime.fromisoformat(body["time"]).timestamp() // 60)
            fired[body["resources"][0].rpartition("/")[2], minute] += 1
        oldest = int(last) - 1
        first = {n: min((m for r, m in fired if r == n), default=oldest) for n in names}
        return {(name, m) for name in names for m in range(first[name], int(last))} - set(fired)

    eventually(lambda: not missing(), 60)

    assert {name for name, _ in fired} == set(names)
    assert set(fired.values()) == {1}


@pytest.mark.timeout(240 + 30 * KILLS)
def test_g11_archives_and_replays_of_a_killed_region_are_whole(mortal: MakeMortal) -> None:
    """An archive counts each event once; a replay puts each on its way once and is COMPLETED."""
    region = mortal("[replays]\nevents_per_second = 100")
    events = region.client("events")
    region.client("sqs").create_queue(QueueName="q", Attributes=LONG)
    arn = events.create_event_bus(Name="b")["EventBusArn"]
    archive = events.create_archive(ArchiveName="a", EventSourceArn=arn)["ArchiveArn"]
    pattern = '{"replay-name":[{"exists":true}]}'
    events.put_rule(Name="r", EventBusName="b", EventPattern=pattern)
    events.put_targets(Rule="r", EventBusName="b", Targets=[{"Id": "q", "Arn": QUEUE_ARN}])
    count = 200 * KILLS
    for start in range(0, count, 10):
        entry = {"Source": "s", "DetailType": "t", "EventBusName": "b"}
        entries = [{**entry, "Detail": json.dumps({"n": start + n})} for n in range(10)]
        assert events.put_events(Entries=entries)["FailedEntryCount"] == 0
        if start % 1_000 == 500:
            region.kill_after(0.05)
    eventually(lambda: events.describe_archive(ArchiveName="a")["EventCount"] >= count, 60)
    region.kill_after(0.1)
    region.wait()
    archived = events.describe_archive(ArchiveName="a")["EventCount"]
    now = datetime.now(UTC)
    events.start_replay(
        ReplayName="p",
        EventSourceArn=archive,
        EventStartTime=now - timedelta(hours=1),
        EventEndTime=now + timedelta(hours=1),
        Destination={"Arn": arn},
    )
    for _ in range(KILLS):
        region.kill_after(2)
        region.wait()
    eventually(lambda: events.describe_replay(ReplayName="p")["State"] == "COMPLETED", 60)
    replayed: collections.Counter[int] = collections.Counter()
    eventually(
        lambda: (
            replayed.update(body["detail"]["n"] for body in region.bodies())
            or len(replayed) >= count
        ),
        60,
    )

    assert archived == count
    assert replayed == collections.Counter(range(count))
