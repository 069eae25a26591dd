"""`farspan drill` as a user runs it: real faults, its three files, its exit codes, nothing left."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from deployments import FARSPAN, StartUp, Up, eventually, processes_naming

QUICK = {"FARSPAN_TIME_SCALE": "100"}
"""Health checks every tenth of a second, and a hold of 0.6 seconds."""

SHORT = ("--for", "2s", "--before", "1s", "--rate", "20")


def drill(*words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a drill to its end."""
    return subprocess.run(
        [*FARSPAN, "drill", *words],
        capture_output=True,
        text=True,
        timeout=58,
        check=False,
        env={**os.environ, **QUICK, **env},
    )


def test_a_region_down_is_proved_in_three_files(tmp_path: Path) -> None:
    """One command, as CI runs it: exit code 0, and the same figures as JSON, page and JUnit."""
    files = {form: tmp_path / f"report.{form}" for form in ("json", "html", "junit")}
    options = [word for form, path in files.items() for word in (f"--{form}", str(path))]
    done = drill(
        *("region-down", "us-west-2", "--up", *SHORT, *options),
        *("--assert", "rto<=5s", "--assert", "lost=0", "--assert", "missing=0"),
        TMPDIR=str(tmp_path),
    )

    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads(files["json"].read_text())
    assert (report["region"], report["other"]) == ("us-west-2", "us-east-1")
    assert [True] * 3 == [judged["passed"] for judged in report["assertions"]]
    assert report["findings"]["failover"]["value"] is not None
    assert report["findings"]["failback"]["value"] is not None
    assert all(report["acknowledged_by_region"].values())
    assert "SIGKILL" in report["means"]
    assert report["findings"]["rto"]["text"] in files["html"].read_text()
    cases = ET.fromstring(files["junit"].read_text()).iter("testcase")
    assert ["rto<=5s", "lost=0", "missing=0"] == [case.get("name") for case in cases]
    assert not list(processes_naming(tmp_path))
    assert {path.name for path in tmp_path.iterdir()} == {path.name for path in files.values()}


def test_an_assertion_that_does_not_hold_fails_the_drill(tmp_path: Path) -> None:
    """Exit code 1, with the reports all the same; what was confirmed in both Regions is in both."""
    report_file = tmp_path / "report.json"
    mode = ("--replication", "sync_or_async")
    words = ("region-cut", "--up", *mode, *SHORT, "--json", str(report_file))
    done = drill(*words, "--assert", "rto<=1ms", "--assert", "rpo_events=0")

    assert done.returncode == 1, done.stdout + done.stderr
    assert "✗ rto<=1ms: it is" in done.stdout
    report = json.loads(report_file.read_text())
    assert [False, True] == [judged["passed"] for judged in report["assertions"]]
    assert report["environment"]["replication mode"] == "sync_or_async"
    assert "Proxies" in report["means"]


def resources(up: Up) -> dict[str, Any]:
    """Return everything that a drill makes or changes, of both Regions."""
    found: dict[str, Any] = {}
    for region in ("us-east-1", "us-west-2"):
        events, sqs = up.client("events", region), up.client("sqs", region)
        checks = up.client("route53", region).list_health_checks()["HealthChecks"]
        found[region] = {
            "buses": [bus["Name"] for bus in events.list_event_buses()["EventBuses"]],
            "rules": [r["Name"] for r in events.list_rules(EventBusName="demo")["Rules"]],
            "endpoints": [e["Name"] for e in events.list_endpoints()["Endpoints"]],
            "queues": sqs.list_queues().get("QueueUrls", []),
            "checks": [(c["Id"], c["HealthCheckConfig"].get("Inverted")) for c in checks],
        }
    return found


def begun(up: Up, *words: str, until: str) -> subprocess.Popen[str]:
    """Start a drill and return when it has said something."""
    popen = subprocess.Popen(
        [*FARSPAN, "drill", *words, "--data", str(up.data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **QUICK, "PYTHONUNBUFFERED": "1"},
    )
    assert popen.stdout is not None
    said = []
    for line in popen.stdout:
        said.append(line)
        if until in line:
            return popen
    raise AssertionError(f"{until!r} never came; it said: {said}")


def ended(popen: subprocess.Popen[str]) -> int:
    """Return the exit code of a drill that is about to end."""
    assert popen.stdout is not None
    popen.stdout.read()
    popen.stdout.close()
    return popen.wait(30)


@pytest.mark.timeout(120)  # on a machine that is busy
def test_a_drill_that_is_interrupted_leaves_nothing_behind(
    start_up: StartUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C and SIGKILL: health check, Region and resources are as they were before."""
    monkeypatch.setenv("FARSPAN_TIME_SCALE", QUICK["FARSPAN_TIME_SCALE"])
    up = start_up()
    before = resources(up)

    inverting = begun(up, "health-invert", "--endpoint", "demo", until="Inverted=true")
    assert resources(up) != before
    inverting.send_signal(signal.SIGINT)
    assert ended(inverting) == 130
    assert resources(up) == before

    hanging = begun(up, "region-hang", "us-east-1", until="-- SIGSTOP to us-east-1")
    hanging.kill()
    assert ended(hanging) == -signal.SIGKILL
    up.read_until("us-east-1 works again: its drill ended")
    eventually(lambda: resources(up) == before)


@pytest.mark.timeout(120)
def test_a_drill_of_a_running_deployment_starts_its_region_again(
    start_up: StartUp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`up --restart` lets the Region be down for as long as the drill says, and then it is back."""
    monkeypatch.setenv("FARSPAN_TIME_SCALE", QUICK["FARSPAN_TIME_SCALE"])
    up = start_up("--restart")
    former = up.pid_of("us-east-1")
    done = drill("region-down", "--endpoint", "demo", *SHORT, "--data", str(up.data))

    assert done.returncode == 0, done.stdout + done.stderr
    assert up.pid_of("us-east-1") != former
    assert up.answers()
    up.read_until("us-east-1 works again: a drill healed it")
    assert not any("is started again" in line for line in up.lines)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["region-down", "--assert", "speed<1"], "The metrics are"),
        (["region-down"], "Or add --up"),
        (["region-down", "mars", "--up"], "There is no Region mars here"),
        (["region-down", "--up", "--json", "/nowhere/report.json"], "cannot be written"),
        (["region-down", "--for", "soon"], "no duration such as 90s"),
        (["region-gone"], "region-down"),
    ],
    ids=["metric", "no-deployment", "region", "file", "time", "scenario"],
)
def test_what_cannot_be_run_is_said_before_anything_is_done(
    tmp_path: Path, words: list[str], said: str
) -> None:
    """Exit code 2 and a sentence."""
    done = drill(*words, "--data", str(tmp_path))

    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
