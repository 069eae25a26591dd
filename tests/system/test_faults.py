"""Real faults on real processes: a Region killed, hung, and killed again, under load."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from pathlib import Path
from typing import Any, Self

import pytest
from deployments import (
    DEMO_ENTRY,
    FARSPAN,
    StartUp,
    Up,
    eventually,
    is_alive,
    processes_naming,
    serving,
)

pytestmark = pytest.mark.timeout(300)  # real processes, on a machine that may be busy


class Stream:
    """Puts one event after the other through the demo endpoint, in a thread."""

    def __init__(self, up: Up) -> None:
        self._events = up.client("events")
        self._endpoint_id = self._events.describe_endpoint(Name="demo")["EndpointId"]
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work)
        self.acknowledged: list[str] = []
        self.moments: list[float] = [time.monotonic()]
        self.failures: list[Exception] = []
        self.regions: list[str] = []

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                reply = self._events.put_events(
                    EndpointId=self._endpoint_id, Entries=[DEMO_ENTRY] * 3
                )
            except Exception as error:  # noqa: BLE001 - whatever boto3 raises is a failure
                self.failures.append(error)
                continue
            self.moments.append(time.monotonic())
            self.acknowledged += [entry["EventId"] for entry in reply["Entries"]]
            self.regions.append(reply["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"])

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def count(self) -> int:
        """Return how many calls were acknowledged."""
        return len(self.regions)


def drained(up: Up, region: str) -> list[str]:
    """Return the event ids in a Region's demo queue."""
    sqs = up.client("sqs", region)
    url = sqs.get_queue_url(QueueName="demo")["QueueUrl"]
    ids: list[str] = []
    while True:
        reply: dict[str, Any] = sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1
        )
        messages = reply.get("Messages", [])
        if not messages:
            return ids
        ids += [json.loads(message["Body"])["id"] for message in messages]
        handles = [message["ReceiptHandle"] for message in messages]
        batch = [{"Id": str(n), "ReceiptHandle": handle} for n, handle in enumerate(handles)]
        assert not sqs.delete_message_batch(QueueUrl=url, Entries=batch).get("Failed")


def test_g1_a_killed_primary_loses_nothing_and_fails_no_call(start_up: StartUp) -> None:
    """Kill -9 of the primary under load: every acknowledged event is in both Regions, once."""
    up = start_up()
    with Stream(up) as stream:
        eventually(lambda: stream.count() > 30)
        os.kill(up.pid_of("us-east-1"), signal.SIGKILL)
        killed_after = stream.count()
        eventually(lambda: stream.count() > killed_after + 50)
        with serving("us-east-1", up.data):
            eventually(lambda: stream.regions[-1] == "us-east-1", 30)
            stream.__exit__()
            assert not stream.failures
            expected = set(stream.acknowledged)
            west = drained(up, "us-west-2")
            east: list[str] = []
            eventually(lambda: east.extend(drained(up, "us-east-1")) or set(east) == expected)
            assert set(west) == expected
            assert len(west) == len(expected)
            assert "us-west-2" in stream.regions


def test_a_hung_primary_parks_calls_until_the_votes_move_them(start_up: StartUp) -> None:
    """SIGSTOP of the primary: calls wait, none fails, and the secondary takes them."""
    up = start_up()
    pid = up.pid_of("us-east-1")
    with Stream(up) as stream:
        eventually(lambda: stream.count() > 20)
        os.kill(pid, signal.SIGSTOP)
        try:
            stopped_after = stream.count()
            eventually(lambda: stream.count() > stopped_after + 20, 15)
            assert stream.regions[-1] == "us-west-2"
        finally:
            os.kill(pid, signal.SIGCONT)
        eventually(lambda: stream.regions[-1] == "us-east-1", 30)

    assert not stream.failures
    expected = set(stream.acknowledged)
    ids = drained(up, "us-west-2")
    eventually(lambda: ids.extend(drained(up, "us-west-2")) or set(ids) >= expected)


def test_acknowledged_events_survive_repeated_kills(start_up: StartUp) -> None:
    """A Region that is killed again and again still has every event that it acknowledged."""
    up = start_up("--empty", "--restart")
    events = up.client("events")
    events.create_event_bus(Name="b")
    sqs = up.client("sqs")
    url = sqs.create_queue(QueueName="demo")["QueueUrl"]
    events.put_rule(Name="r", EventBusName="b", EventPattern='{"source":["s"]}')
    events.put_targets(
        Rule="r",
        EventBusName="b",
        Targets=[{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:demo"}],
    )
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": "b"}
    acknowledged: list[str] = []
    for _ in range(4):
        pid = up.pid_of("us-east-1")
        timer = threading.Timer(0.15, os.kill, (pid, signal.SIGKILL))
        timer.start()
        while is_alive(pid):
            try:
                reply = events.put_events(Entries=[entry] * 5)
            except Exception:  # noqa: BLE001 - a call that failed is not acknowledged
                break
            acknowledged += [result["EventId"] for result in reply["Entries"]]
        timer.join()
        eventually(lambda pid=pid: up.pid_of("us-east-1") != pid)
        eventually(up.answers)

    assert len(acknowledged) > 20
    got: set[str] = set()
    eventually(lambda: got.update(drained(up, "us-east-1")) or got >= set(acknowledged), 30)
    assert url


def test_the_demo_passes_and_leaves_nothing_behind(tmp_path: Path) -> None:
    """`farspan demo` exits 0 with a report in which nothing is lost, and its processes are gone."""
    report_file = tmp_path / "report.json"
    done = subprocess.run(
        [*FARSPAN, "demo", "--seconds", "8", "--rate", "100", "--json", str(report_file)],
        capture_output=True,
        text=True,
        timeout=58,
        check=False,
        env={**os.environ, "TMPDIR": str(tmp_path), "FARSPAN_TIME_SCALE": "100"},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(report_file.read_text())
    assert report["lost"] == 0
    assert report["failed_calls"] == 0
    assert report["same_ids"] is True
    assert report["failback_seconds"] is not None
    assert not list(processes_naming(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["report.json"]


def test_ctrl_c_in_the_demo_leaves_nothing_behind(tmp_path: Path) -> None:
    """Interrupted in mid-stream, the demo stops its processes and exits with 130."""
    popen = subprocess.Popen(
        [*FARSPAN, "demo", "--rate", "50"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, "TMPDIR": str(tmp_path), "PYTHONUNBUFFERED": "1"},
    )
    assert popen.stdout is not None
    for line in popen.stdout:
        if "Publishing" in line:
            break
    time.sleep(1.5)
    popen.send_signal(signal.SIGINT)
    popen.stdout.read()
    popen.stdout.close()

    assert popen.wait(20) == 130
    assert not list(processes_naming(tmp_path))
    assert not list(tmp_path.iterdir())
