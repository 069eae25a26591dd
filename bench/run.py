"""Measures what Farspan does on this machine and writes the figures with machine and commit.

Real processes (as `farspan up --auth on` starts them), signed requests over real sockets, a durable
store. The load comes from this process over connections that it keeps, so on two cores it shares
the machine with what it measures. Run it as `make bench`; `--only` chooses among the benchmarks,
and `--url` measures delivery of whatever else speaks the API there, so that a ratio can be told.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import json
import os
import platform
import random
import re
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import uvloop
from awscrt.auth import (
    AwsCredentialsProvider,
    AwsSignatureType,
    AwsSigningAlgorithm,
    AwsSigningConfig,
    aws_sign_request,
)
from awscrt.http import HttpHeaders, HttpRequest

from farspan.cli.clients import client
from farspan.cli.deployment import Deployment, prepare
from farspan.cli.observer import endpoint_in, status_of
from farspan.cli.ports import free_port
from farspan.cli.resources import DemoResources, create_resources
from farspan.config import Config
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

RESULTS = Path(__file__).parent / "results"
TARGET = "AWSEvents.PutEvents"
KEY_NAME = "SECRET_ACCESS_KEY"
NOTHING_FAILED = re.compile(rb'"FailedEntryCount": ?0\b')
BODY_COUNT = 64
RULE_COUNT = 100


@dataclass
class Latencies:
    """Seconds that something took, one by one."""

    seconds: list[float] = field(default_factory=list)

    def summary(self) -> dict[str, float | int]:
        """Return count and quantiles in milliseconds."""
        ordered = sorted(self.seconds)
        if not ordered:
            return {"count": 0}
        return {
            "count": len(ordered),
            **{
                f"p{share:g}_ms": round(
                    ordered[min(len(ordered) - 1, int(len(ordered) * share / 100))] * 1e3, 2
                )
                for share in (50, 90, 99, 99.9)
            },
            "max_ms": round(ordered[-1] * 1e3, 2),
        }


class Connection:
    """One HTTP/1.1 connection, kept where the server keeps it, as thin as it can be."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def send(self, head: bytes, body: bytes) -> tuple[int, bytes]:
        """Send one request; return status and body."""
        if self._reader is None or self._writer is None:
            self._reader, self._writer = await asyncio.open_connection(
                self._url.hostname, self._url.port, limit=2**20
            )
        self._writer.write(head + body)
        headers = await self._reader.readuntil(b"\r\n\r\n")
        status = int(headers[9:12])
        start = headers.lower().index(b"content-length:") + 15
        length = int(headers[start : headers.index(b"\r\n", start)])
        answer = await self._reader.readexactly(length)
        if b"connection: close" in headers.lower():
            self.close()
        return status, answer

    def close(self) -> None:
        """Close the connection."""
        if self._writer is not None:
            self._writer.close()
            self._reader = self._writer = None


@dataclass(frozen=True)
class Peer:
    """Who is measured, and how to sign for it."""

    url: str
    region: str
    access_key_id: str
    secret_access_key: str
    process: int | None = None

    def cpu_seconds(self) -> float:
        """Return the processor time that its process took so far; 0 where that is unknown."""
        stat = Path(f"/proc/{self.process}/stat")
        if not stat.exists():
            return 0.0
        fields = stat.read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def client(self, service: str) -> Any:
        """Return a boto3 client for it."""
        return boto3.client(
            service,
            region_name=self.region,
            endpoint_url=self.url,
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
        )


def peer_of(config: Config, deployment: Deployment) -> Peer:
    """Return the node of the first Region."""
    node, credential = config.node_of(config.regions[0]), config.credentials[0]
    assert node is not None and node.region is not None
    return Peer(
        node.url,
        node.region,
        credential.access_key_id,
        credential.secret_access_key,
        deployment.processes[node.name].pid,
    )


@dataclass(frozen=True)
class Signed:
    """A signed request but for its invocation id, which no SDK signs."""

    head: bytes
    body: bytes

    def unique_head(self) -> bytes:
        """Return the head with an invocation id of its own: a call, not a retry."""
        return self.head + f"amz-sdk-invocation-id: {uuid.uuid4()}\r\n\r\n".encode()


def entries(count: int, detail_bytes: int, bus: str, source: str = "bench") -> list[dict[str, str]]:
    """Return entries of about `detail_bytes` each."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    text = "".join(random.choices(letters, k=max(1, detail_bytes - 60)))
    detail = json.dumps({"amount": 42, "id": str(uuid.uuid4()), "text": text})
    return [
        {"Source": source, "DetailType": "Bench", "Detail": detail, "EventBusName": bus}
        for _ in range(count)
    ]


def signed_v4(peer: Peer, service: str, target: str, body: bytes) -> Signed:
    """Return a request signed with SigV4."""
    version = "1.1" if service == "events" else "1.0"
    headers = {
        "host": urlsplit(peer.url).netloc,
        "content-type": f"application/x-amz-json-{version}",
        "x-amz-target": target,
    }
    request = Request(method="POST", path="/", headers=headers, body=body)
    headers |= sign(
        request,
        access_key_id=peer.access_key_id,
        secret_access_key=peer.secret_access_key,
        region=peer.region,
        service=service,
        now=time.time(),
    )
    return Signed(_head(headers, body), body)


def signed_v4a(url: str, body: bytes, config: Config) -> Signed:
    """Return PutEvents signed with SigV4A by awscrt, as boto3 signs it with an EndpointId."""
    credential = config.credentials[0]
    headers = {
        "host": urlsplit(url).netloc,
        "content-type": "application/x-amz-json-1.1",
        "x-amz-target": TARGET,
    }
    request = HttpRequest("POST", "/", HttpHeaders(list(headers.items())))
    signing = AwsSigningConfig(
        algorithm=AwsSigningAlgorithm.V4_ASYMMETRIC,
        signature_type=AwsSignatureType.HTTP_REQUEST_HEADERS,
        credentials_provider=AwsCredentialsProvider.new_static(
            credential.access_key_id, credential.secret_access_key
        ),
        region="*",
        service="events",
        signed_body_value=hashlib.sha256(body).hexdigest(),
        use_double_uri_encode=True,
        should_normalize_uri_path=True,
    )
    aws_sign_request(request, signing).result(10)
    return Signed(_head(dict(request.headers), body), body)


def _head(headers: dict[str, str], body: bytes) -> bytes:
    lines = [f"{name}: {value}\r\n" for name, value in headers.items()]
    return f"POST / HTTP/1.1\r\ncontent-length: {len(body)}\r\n{''.join(lines)}".encode()


async def load(
    url: str,
    requests: list[Signed],
    *,
    connections: int,
    seconds: float,
    calls_per_second: float | None,
) -> tuple[int, float, Latencies]:
    """Send for a while, as fast as it goes or at a rate; return calls, seconds, latencies."""
    latencies = Latencies()
    began = time.perf_counter()
    until = began + seconds
    next_at = began
    failed: list[bytes] = []

    async def work() -> None:
        nonlocal next_at
        connection = Connection(url)
        while (now := time.perf_counter()) < until:
            sent_at = now
            if calls_per_second:
                sent_at, next_at = next_at, next_at + 1 / calls_per_second
                if sent_at >= until:
                    break
                if sent_at > now:
                    await asyncio.sleep(sent_at - now)
            request = random.choice(requests)
            status, reply = await connection.send(request.unique_head(), request.body)
            if status != 200 or not NOTHING_FAILED.search(reply):
                failed.append(reply)
                break
            # From when it was due, so that a stall counts for all who waited behind it.
            latencies.seconds.append(time.perf_counter() - sent_at)
        connection.close()

    await asyncio.gather(*(work() for _ in range(connections)))
    if failed:
        raise SystemExit(f"a call failed: {failed[0][:300]!r}")
    return len(latencies.seconds), time.perf_counter() - began, latencies


async def bench_put(peer: Peer, seconds: float) -> dict[str, Any]:
    """PutEvents with 10 entries of 1 KB, signed, durable, straight to one Region."""
    requests = []
    for _ in range(BODY_COUNT):
        body = json.dumps({"Entries": entries(10, 1_000, "bench-idle")}).encode()
        requests.append(signed_v4(peer, "events", TARGET, body))
    await load(peer.url, requests, connections=32, seconds=1, calls_per_second=None)
    calls, took, latencies = await load(
        peer.url, requests, connections=32, seconds=seconds, calls_per_second=None
    )
    rate = calls * 10 / took
    half_calls, half_took, half = await load(
        peer.url, requests, connections=32, seconds=seconds, calls_per_second=rate / 20
    )
    return {
        "events_per_second": round(rate),
        "connections": 32,
        "latency": latencies.summary(),
        "at_half_rate": {
            "events_per_second": round(half_calls * 10 / half_took),
            "latency": half.summary(),
        },
    }


class RoundTrips:
    """Puts single events at a rate, and receives and deletes them from the queue meanwhile.

    What can be signed beforehand is, so that this process takes little of the machine it measures.
    """

    def __init__(self, peer: Peer, event_bus: str, queue_url: str, rate: float) -> None:
        self._peer, self._rate = peer, rate
        self._event_bus, self._queue_url = event_bus, queue_url
        self._next_at = 0.0
        self._stopping = asyncio.Event()
        self._puts: list[tuple[str, Signed]] = []
        self.sent_at: dict[str, float] = {}
        self.received_at: dict[str, float] = {}

    async def run(self, seconds: float) -> None:
        """Put and receive for a while."""
        self._puts = [self._signed_put() for _ in range(int(seconds * self._rate) + 1)]
        receivers = [asyncio.create_task(self._receive()) for _ in range(8)]
        self._next_at = time.perf_counter()
        putters = [asyncio.create_task(self._put()) for _ in range(16)]
        await asyncio.sleep(seconds)
        self._stopping.set()
        await asyncio.gather(*putters, *receivers)

    def _signed(self, service: str, target: str, content: object) -> Signed:
        body = json.dumps(content).encode()
        return signed_v4(self._peer, service, target, body)

    def _signed_put(self) -> tuple[str, Signed]:
        event_id = str(uuid.uuid4())
        entry = {
            "Source": "shop.7",
            "DetailType": "B",
            "Detail": json.dumps({"amount": 1, "id": event_id, "text": "x" * 400}),
            "EventBusName": self._event_bus,
        }
        return event_id, self._signed("events", TARGET, {"Entries": [entry]})

    async def _put(self) -> None:
        connection = Connection(self._peer.url)
        while self._puts and not self._stopping.is_set():
            event_id, request = self._puts.pop()
            due, self._next_at = self._next_at, self._next_at + 1 / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.sent_at[event_id] = time.perf_counter()
            await connection.send(request.unique_head(), request.body)
        connection.close()

    async def _receive(self) -> None:
        connection = Connection(self._peer.url)
        queue = self._queue_url
        ask = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        receive = self._signed("sqs", "AmazonSQS.ReceiveMessage", ask)
        while not self._stopping.is_set():
            _, reply = await connection.send(receive.head + b"\r\n", receive.body)
            now = time.perf_counter()
            messages = json.loads(reply).get("Messages", [])
            for message in messages:
                event = json.loads(message["Body"])
                self.received_at.setdefault(event["detail"]["id"], now)
            if messages:
                batch = [
                    {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                    for number, message in enumerate(messages)
                ]
                drop = {"QueueUrl": queue, "Entries": batch}
                request = self._signed("sqs", "AmazonSQS.DeleteMessageBatch", drop)
                await connection.send(request.head + b"\r\n", request.body)
        connection.close()


async def bench_put_to_queue(peer: Peer, seconds: float, rate: float) -> dict[str, Any]:
    """From before PutEvents (one entry a call) until ReceiveMessage gave the event."""
    name = f"bench-trip-{rate:g}"
    trips = RoundTrips(peer, name, create_rules(peer, name), rate)
    await trips.run(seconds)
    warm = min(trips.sent_at.values()) + 1
    latencies = Latencies(
        [
            trips.received_at[event_id] - at
            for event_id, at in trips.sent_at.items()
            if event_id in trips.received_at and at > warm
        ]
    )
    return {
        "events_per_second": round(len(trips.sent_at) / seconds),
        "received": len(trips.received_at),
        "latency": latencies.summary(),
    }


def create_rules(peer: Peer, name: str) -> str:
    """Make a bus with a hundred rules, of which any event matches one, and return their queue."""
    events, sqs = peer.client("events"), peer.client("sqs")
    events.create_event_bus(Name=name)
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    asked = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
    for number in range(RULE_COUNT):
        pattern = {"source": [f"shop.{number}"], "detail": {"amount": [{"numeric": [">", 0]}]}}
        rule = {"Name": f"r{number}", "EventBusName": name}
        events.put_rule(**rule, EventPattern=json.dumps(pattern))
        target = {"Id": "queue", "Arn": asked["Attributes"]["QueueArn"]}
        events.put_targets(Rule=rule["Name"], EventBusName=name, Targets=[target])
    return url


async def bench_delivery(peer: Peer, seconds: float, rate: float | None) -> dict[str, Any]:
    """PutEvents, 10 x 1 KB, at a rate or as fast as it goes; each event to one queue by one rule.

    `delivered_per_second` counts until the last event is in the queue. `behind` is what had not
    arrived halfway and at the end of the load: a backlog that does not grow is the same twice.
    `cpu_us_per_event` is the node's processor time from wire to queue, all threads; unlike a rate
    it says the same on a machine that others use, too.
    """
    name = f"bench-delivery-{rate or 0:g}"
    queue_url = create_rules(peer, name)
    sqs = peer.client("sqs")
    requests = []
    for number in range(BODY_COUNT):
        batch = entries(10, 1_000, name, f"shop.{number}")
        body = json.dumps({"Entries": batch}).encode()
        requests.append(signed_v4(peer, "events", TARGET, body))

    def arrived() -> int:
        asked = sqs.get_queue_attributes(
            QueueUrl=queue_url, AttributeNames=["ApproximateNumberOfMessages"]
        )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])

    began, cpu_before = time.perf_counter(), peer.cpu_seconds()
    put = 0
    behind: list[int] = []
    calls_per_second = rate / 10 if rate else None
    for _ in range(2):
        calls, _, _ = await load(
            peer.url,
            requests,
            connections=32,
            seconds=seconds / 2,
            calls_per_second=calls_per_second,
        )
        put += calls * 10
        behind.append(put - arrived())
    put_seconds = time.perf_counter() - began
    while (count := arrived()) < put:  # noqa: ASYNC110 - another process is waited for
        await asyncio.sleep(0.25)
    took = time.perf_counter() - began
    return {
        "put_per_second": round(put / put_seconds),
        "delivered_per_second": round(count / took),
        "behind": behind,
        "twice": count - put,
        "cpu_us_per_event": round((peer.cpu_seconds() - cpu_before) / put * 1e6, 1),
    }


async def bench_replication(
    config: Config, resources: DemoResources, seconds: float, rate: float
) -> dict[str, Any]:
    """PutEvents with EndpointId through the edge (SigV4A); the age of each replica as it lands."""
    url = config.nodes[0].url
    requests = []
    for _ in range(BODY_COUNT):
        body = json.dumps(
            {
                "Entries": entries(10, 1_000, resources.name),
                "EndpointId": resources.endpoint_id,
            }
        ).encode()
        requests.append(signed_v4a(url, body, config))
    calls, took, latencies = await load(
        url, requests, connections=16, seconds=seconds, calls_per_second=rate / 10
    )
    secondary = config.node_of(config.regions[1])
    assert secondary is not None
    endpoint = endpoint_in(status_of(config, secondary), resources.endpoint_id)
    assert endpoint is not None
    ages = Latencies([age / 1e3 for age in endpoint["replication"]["latest_replica_ages_ms"]])
    return {
        "events_per_second": round(calls * 10 / took),
        "put_latency": latencies.summary(),
        "replica_age": ages.summary(),
    }


Benchmarks = dict[str, Callable[[], Awaitable[dict[str, Any]]]]


def benchmarks_of(peer: Peer, seconds: float) -> Benchmarks:
    """Return what can be measured of anything that speaks the API, by name."""
    return {
        "put_to_queue_50_per_second": lambda: bench_put_to_queue(peer, seconds, 50),
        "put_to_queue_500_per_second": lambda: bench_put_to_queue(peer, seconds, 500),
        "put_to_queue_1000_per_second": lambda: bench_put_to_queue(peer, seconds, 1_000),
        "delivery_15000_per_second": lambda: bench_delivery(peer, seconds, 15_000),
        "delivery_unbounded": lambda: bench_delivery(peer, seconds, None),
    }


async def measure(benchmarks: Benchmarks, only: str) -> dict[str, Any]:
    """Run the benchmarks whose names hold a text, one after the other."""
    results: dict[str, Any] = {}
    for name, run in benchmarks.items():
        if only in name:
            results[name] = await run()
            print(name, json.dumps(results[name], indent=2), flush=True)
    return results


def measure_deployment(options: argparse.Namespace) -> dict[str, Any]:
    """Measure two Regions and an edge that are started for it."""
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        config = prepare(Path(directory), ("us-east-1", "us-west-2"), free_port(), auth=True)
        with Deployment(config, Path(directory)) as deployment:
            deployment.start_all()

            def new_client(service: str, region: str) -> Any:
                return client(service, region, config)

            resources = create_resources(config, new_client, "bench")
            new_client("events", config.regions[0]).create_event_bus(Name="bench-idle")
            seconds, peer = options.seconds, peer_of(config, deployment)
            benchmarks: Benchmarks = {
                "put_events": lambda: bench_put(peer, seconds),
                **benchmarks_of(peer, seconds),
                "replication_1000_per_second": lambda: bench_replication(
                    config, resources, seconds, 1_000
                ),
            }
            return uvloop.run(measure(benchmarks, options.only))


def machine() -> dict[str, Any]:
    """Return what the figures were measured on."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [line for line in cpuinfo.read_text().splitlines() if line.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
    return {
        "cpu": model,
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.release()}",
    }


def commit() -> str:
    """Return the short commit, with a mark where the tree has changes."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=10"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def write_results(results: Any, out: Path | None, kind: str = "", **measured: Any) -> None:
    """Write results with machine and commit, and how they were measured, into `out` or results/.

    `kind` ends the file's name: which benchmark it was, where it is not this one.
    """
    now = datetime.now(UTC)
    document = {
        "at": now.isoformat(timespec="seconds"),
        "commit": commit(),
        "machine": machine(),
        **measured,
        "results": results,
    }
    out = out or RESULTS / f"{now:%Y-%m-%d}-{commit()}{kind}.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(document, indent=2) + "\n")
    print(f"written to {out}", file=sys.stderr)


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each benchmark")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--only", default="", help="benchmarks whose names hold this text")
    parser.add_argument("--url", help="measure what listens there; keys from AWS's variables")
    parser.add_argument("--region", default="us-east-1", help="the Region behind --url")
    options = parser.parse_args()
    if options.url:
        keys = [
            os.environ.get(f"AWS_{name}", "test") for name in ("ACCESS_KEY_ID", "SECRET_ACCESS_KEY")
        ]
        peer = Peer(options.url, options.region, *keys)
        results = uvloop.run(measure(benchmarks_of(peer, options.seconds), options.only))
    else:
        results = measure_deployment(options)
    write_results(results, options.out, seconds_each=options.seconds, url=options.url)


if __name__ == "__main__":
    main()
