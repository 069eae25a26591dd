"""`farspan drill` on a deployment whose processes are not to be had, and what it leaves."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from farspan.cli import main

if TYPE_CHECKING:
    from conftest import ClientFactory, Deployment, GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
Run = Callable[..., Result]


@pytest.fixture(scope="module")
def drilled(make_endpoint: Callable[[str], GlobalEndpoint]) -> GlobalEndpoint:
    """A user's endpoint, with a rule that gets everything."""
    return make_endpoint("drilled")


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Run `farspan drill ...` against the deployment, for a short time."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        where = ["--endpoint-url", deployment.url, "--data", str(tmp_path)]
        short = ["--for", "1s", "--before", "1s", "--rate", "20"]
        return CliRunner().invoke(main, ["drill", *short, *where, *words])

    return run


@pytest.fixture
def left(client: ClientFactory) -> Callable[[], list[str]]:
    """Return the names of everything of a drill's that is in either Region."""

    def left() -> list[str]:
        names = []
        for region in (EAST, WEST):
            events, sqs = client("events", region), client("sqs", region)
            names += [bus["Name"] for bus in events.list_event_buses()["EventBuses"]]
            names += [e["Name"] for e in events.list_endpoints()["Endpoints"]]
            names += [r["Name"] for r in events.list_rules(EventBusName="drilled")["Rules"]]
            names += sqs.list_queues(QueueNamePrefix="farspan-drill-").get("QueueUrls", [])
        return [name for name in names if "farspan-drill-" in name]

    return left


def test_a_route_is_overridden_where_no_process_can_be_killed(
    run: Run, drilled: GlobalEndpoint, left: Callable[[], list[str]], tmp_path: Path
) -> None:
    """The report says so; a failback that did not come in time is none; nothing is left."""
    report_file = tmp_path / "report.json"
    words = ("--wait", "0.5s", "--assert", "failover<=1s", "--assert", "failback<=1m")
    done = run("region-down", EAST, *words, "--json", str(report_file))

    assert 1 == done.exit_code, done.output
    report = json.loads(report_file.read_text())
    assert "override" in report["means"]
    assert {"failover<=1s": True, "failback<=1m": False} == {
        judged["assertion"]: judged["passed"] for judged in report["assertions"]
    }
    assert 0 == report["findings"]["lost"]["value"]
    assert "none" == report["findings"]["failback"]["text"]
    assert any("FORCED_SECONDARY" in mark["text"] for mark in report["marks"])
    assert [] == left()


def test_an_inverted_health_check_moves_an_endpoint_there_and_back(
    run: Run,
    drilled: GlobalEndpoint,
    left: Callable[[], list[str]],
    client: ClientFactory,
    tmp_path: Path,
) -> None:
    """A user's own endpoint: its rule that gets the probes too is named, its check is as before."""
    report_file = tmp_path / "report.json"
    words = ("--endpoint", "drilled", "--json", str(report_file))
    done = run("health-invert", *words, "--assert", "failback<=1m", "--assert", "missing=0")
    found = client("route53").get_health_check(HealthCheckId=drilled.health_check_id)

    assert 0 == done.exit_code, done.output
    report = json.loads(report_file.read_text())
    assert 2 == len([note for note in report["notes"] if "get the probes as well" in note])
    assert all(report["acknowledged_by_region"].values())
    assert found["HealthCheck"]["HealthCheckConfig"]["Inverted"] is False
    assert [] == left()


def test_an_endpoint_that_is_not_there_is_refused_before_anything_is_made(
    run: Run, drilled: GlobalEndpoint, left: Callable[[], list[str]]
) -> None:
    """With the names of those that are; and the signals of the process are as they were."""
    former = signal.getsignal(signal.SIGINT)
    done = run("region-down", "--endpoint", "nobody")

    assert 2 == done.exit_code
    assert "There is no active endpoint nobody; there are: " in done.stderr
    assert "drilled" in done.stderr
    assert [] == left()
    assert former is signal.getsignal(signal.SIGINT)


def test_where_nothing_answers_nothing_is_drilled(run: Run) -> None:
    """One sentence, with what to do."""
    done = run("region-down", "--endpoint-url", "http://127.0.0.1:9")

    assert 2 == done.exit_code
    assert "No Farspan answers at http://127.0.0.1:9" in done.stderr
