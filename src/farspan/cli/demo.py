"""`farspan demo`: a Region dies in mid-stream, and every event is counted.

Starts a deployment of its own, with authentication on, in a directory of its own; publishes through
an unmodified boto3; kills the primary Region with SIGKILL; starts it again; waits for failback;
drains both queues; and compares what was acknowledged with what arrived.
"""

from __future__ import annotations

import importlib.util
import signal
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import click
import msgspec
from rich.console import Console

from farspan.cli.deployment import Deployment, DeploymentError, prepare
from farspan.cli.observer import endpoint_in, status_of
from farspan.cli.ports import PortBusy, free_port
from farspan.cli.publisher import Publisher
from farspan.cli.report import DemoReport, print_report, quantile
from farspan.cli.resources import DemoResources, NotActive, create_resources
from farspan.cli.timeline import Line, Timeline
from farspan.config import Config, ConfigError

DEMO_NAME = "shop"
KILL_SHARE = 0.25
RESTART_SHARE = 0.55
FAILBACK_SECONDS_MAX = 20.0
CATCH_UP_SECONDS_MAX = 15.0
TAIL_SECONDS = 2.0
RECEIVER_COUNT = 4
EMPTY_RECEIVES = 2
RATE_MAX = 5_000.0


class _Interrupted(Exception):
    """SIGINT or SIGTERM came."""


def run_demo(*, regions: Sequence[str], rate: float, seconds: float, json_file: Path | None) -> int:
    """Run the demo. Returns 0 only if nothing was lost and no call failed."""
    missing = [name for name in ("boto3", "awscrt") if importlib.util.find_spec(name) is None]
    if missing:
        click.echo(
            f"farspan: the demo calls PutEvents with boto3, which signs for global endpoints with "
            f"awscrt; {' and '.join(missing)} is not installed. Run: pip install 'farspan[demo]'",
            err=True,
        )
        return 1
    if not 1.0 <= rate <= RATE_MAX or not 4.0 <= seconds <= 600.0:  # noqa: PLR2004 - in the text
        click.echo("farspan: --rate takes 1 to 5000, --seconds takes 4 to 600.", err=True)
        return 2
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    console = Console()
    try:
        with tempfile.TemporaryDirectory(prefix="farspan-demo-") as directory:
            config = prepare(Path(directory), regions, free_port(), auth=True)
            with Deployment(config, Path(directory)) as deployment:
                report = _Demo(deployment, console, rate, seconds).run()
    except _Interrupted:
        console.print("Interrupted; every process is stopped.")
        return 130
    except (ConfigError, DeploymentError, NotActive, PortBusy, OSError) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    print_report(console, report)
    if json_file is not None:
        json_file.write_bytes(msgspec.json.format(msgspec.json.encode(report), indent=2) + b"\n")
        console.print(f"Report written to {json_file}")
    return 0 if report.passed else 1


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # stopping is under way
    raise _Interrupted


@dataclass
class _Received:
    """What one Region's queue gave: how often each event id came, and their regions of origin."""

    counts: dict[str, int] = field(default_factory=dict)

    @property
    def duplicate_count(self) -> int:
        """How many messages were one too many."""
        return sum(count - 1 for count in self.counts.values())


class _Demo:
    """One run."""

    def __init__(
        self, deployment: Deployment, console: Console, rate: float, seconds: float
    ) -> None:
        self._deployment = deployment
        self._config: Config = deployment.config
        self._console = console
        self._rate = rate
        self._seconds = seconds
        self._primary, self._secondary = self._config.regions
        self._lags_ms: list[float] = []
        self._clients: dict[tuple[str, str], Any] = {}

    def run(self) -> DemoReport:
        """Do everything that the module's docstring says; return the report."""
        console = self._console
        began = time.monotonic()
        self._deployment.start_all()
        console.print(
            f"Two Regions and an edge run, each a process: {self._primary} is the primary, "
            f"{self._secondary} the secondary.\nOne URL serves all: "
            f"{self._config.nodes[0].url}. Signatures are verified."
        )
        resources = create_resources(self._config, self._client, DEMO_NAME)
        console.print(
            f"Endpoint {resources.endpoint_id} is ACTIVE with replication after "
            f"{time.monotonic() - began:.1f} s. Publishing {self._rate:g} events/s with boto3."
        )
        publisher = Publisher(
            self._client("events", self._primary).put_events,
            endpoint_id=resources.endpoint_id,
            event_bus_arn=resources.event_bus_arns[0],
            rate=self._rate,
        )
        return self._publish_through_a_death(resources, publisher)

    def _publish_through_a_death(
        self, resources: DemoResources, publisher: Publisher
    ) -> DemoReport:
        timeline = Timeline(self._console, lambda: self._look(resources, publisher))
        publisher.start()
        started = time.monotonic()
        with timeline:
            timeline.wait(self._seconds * KILL_SHARE)
            self._note_lags(resources, self._secondary)
            killed = time.monotonic()
            self._deployment.kill(self._primary)
            timeline.say(f"SIGKILL to {self._primary}, the primary Region")
            timeline.wait(self._seconds * (RESTART_SHARE - KILL_SHARE))
            restarted = time.monotonic()
            self._deployment.start(self._primary)
            self._deployment.wait_ready(self._primary)
            timeline.say(f"{self._primary} is started again")
            failback = self._wait_for_failback(timeline, resources, restarted)
            timeline.wait(max(TAIL_SECONDS, started + self._seconds - time.monotonic()))
            publisher.stop()
            published_until = time.monotonic()
            caught_up = self._wait_until_caught_up(timeline, resources)
        self._note_lags(resources, self._secondary)
        received = self._drain(resources)
        return self._report(
            publisher,
            received,
            gap=publisher.ledger.longest_gap(killed - 1.0, min(restarted, published_until)),
            failback=failback,
            caught_up=caught_up,
        )

    # --- looking --------------------------------------------------------------------------

    def _client(self, service: str, region: str) -> Any:  # noqa: ANN401 - boto3 has no types
        import boto3

        key = (service, region)
        if key not in self._clients:
            credential = self._config.credentials[0]
            self._clients[key] = boto3.client(
                service,
                region_name=region,
                endpoint_url=self._config.nodes[0].url,
                aws_access_key_id=credential.access_key_id,
                aws_secret_access_key=credential.secret_access_key,
            )
        return self._clients[key]

    def _look(self, resources: DemoResources, publisher: Publisher) -> Line:
        acknowledged, failed = publisher.ledger.counts()
        edge = endpoint_in(status_of(self._config, self._config.nodes[0]), resources.endpoint_id)
        return Line(
            acknowledged=acknowledged,
            failed=failed,
            route=edge["route"] if edge else "?",
            routing=edge["routing"] if edge else "?",
            lags={region: self._lag(resources, region) for region in self._config.regions},
            received={
                region: self._queue_depth(resources, region) for region in resources.queue_urls
            },
        )

    def _endpoint(self, resources: DemoResources, region: str) -> dict[str, Any] | None:
        node = self._config.node_of(region)
        assert node is not None, "the demo's Regions have nodes"
        return endpoint_in(status_of(self._config, node), resources.endpoint_id)

    def _lag(self, resources: DemoResources, region: str) -> float | None:
        endpoint = self._endpoint(resources, region)
        lag: float | None = endpoint["replication"]["lag_seconds"] if endpoint else None
        return lag

    def _note_lags(self, resources: DemoResources, region: str) -> None:
        endpoint = self._endpoint(resources, region)
        if endpoint:
            self._lags_ms += endpoint["replication"]["latest_replica_ages_ms"]

    def _queue_depth(self, resources: DemoResources, region: str) -> int | None:
        from botocore.exceptions import BotoCoreError, ClientError

        if self._endpoint(resources, region) is None:
            return None  # the Region is down; asking would only wait for retries
        with suppress(BotoCoreError, ClientError):
            attributes = self._client("sqs", region).get_queue_attributes(
                QueueUrl=resources.queue_urls[region],
                AttributeNames=["ApproximateNumberOfMessages"],
            )
            return int(attributes["Attributes"]["ApproximateNumberOfMessages"])
        return None

    def _wait_for_failback(
        self, timeline: Timeline, resources: DemoResources, restarted: float
    ) -> float | None:
        """Wait until the edge uses the primary again; return how long that took from the start."""
        node = self._config.nodes[0]
        while time.monotonic() - restarted < FAILBACK_SECONDS_MAX:
            endpoint = endpoint_in(status_of(self._config, node), resources.endpoint_id)
            if endpoint and endpoint["route"] == self._primary:
                timeline.say(f"failback: {endpoint['reason']}")
                return time.monotonic() - restarted
            timeline.wait(0.1)
        return None

    def _wait_until_caught_up(self, timeline: Timeline, resources: DemoResources) -> bool:
        """Wait until both Regions have each other's events and their queues no longer grow."""
        deadline = time.monotonic() + CATCH_UP_SECONDS_MAX
        former: dict[str, int | None] = {}
        while time.monotonic() < deadline:
            timeline.wait(0.5)
            depths = {r: self._queue_depth(resources, r) for r in self._config.regions}
            lags = [self._lag(resources, region) for region in self._config.regions]
            if all(lag == 0.0 for lag in lags) and depths == former:
                return True
            former = depths
        return False

    # --- draining and counting ------------------------------------------------------------

    def _drain(self, resources: DemoResources) -> dict[str, _Received]:
        self._console.print("Draining both queues with boto3.")
        received = {region: _Received() for region in self._config.regions}
        threads = [
            threading.Thread(target=self._drain_one, args=(resources, region, received[region]))
            for region in self._config.regions
            for _ in range(RECEIVER_COUNT)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return received

    def _drain_one(self, resources: DemoResources, region: str, received: _Received) -> None:
        sqs, url = self._client("sqs", region), resources.queue_urls[region]
        empty_count = 0
        while empty_count < EMPTY_RECEIVES:
            reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
            messages = reply.get("Messages", [])
            empty_count = 0 if messages else empty_count + 1
            for message in messages:
                event_id = msgspec.json.decode(message["Body"])["id"]
                received.counts[event_id] = received.counts.get(event_id, 0) + 1
            if messages:
                sqs.delete_message_batch(
                    QueueUrl=url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(messages)
                    ],
                )

    def _report(
        self,
        publisher: Publisher,
        received: dict[str, _Received],
        *,
        gap: float,
        failback: float | None,
        caught_up: bool,
    ) -> DemoReport:
        ledger = publisher.ledger
        ids = {region: set(found.counts) for region, found in received.items()}
        lags = sorted(self._lags_ms)
        return DemoReport(
            regions=self._config.regions,
            rate=self._rate,
            acknowledged=len(ledger.acknowledged),
            acknowledged_matching=len(ledger.expected),
            acknowledged_by_region=ledger.served_by,
            failed_calls=len(ledger.failures),
            failures=tuple(ledger.failures[:5]),
            sdk_retries=ledger.retry_count,
            slowest_call_seconds=round(ledger.slowest_seconds, 3),
            lost=len(ledger.expected - ids[self._secondary]),
            received={region: len(found) for region, found in ids.items()},
            unexpected=len(set.union(*ids.values()) - ledger.expected),
            same_ids=len(set(map(frozenset, ids.values()))) == 1,
            duplicates={region: found.duplicate_count for region, found in received.items()},
            rto_seconds=round(gap, 3),
            failback_seconds=None if failback is None else round(failback, 2),
            caught_up=caught_up,
            replication_lag_ms_p50=quantile(lags, 0.50),
            replication_lag_ms_p99=quantile(lags, 0.99),
        )
