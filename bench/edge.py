"""Measures what an edge adds to a call: the same PutEvents straight to the Region and through it.

Calls go to and fro between the two, one at a time at a moderate rate, so that whatever else the
machine does falls on both alike: the difference of the medians is the figure. Run it as
`make bench-edge`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import uvloop

from farspan.cli.clients import client
from farspan.cli.deployment import Deployment, prepare
from farspan.cli.ports import free_port
from farspan.cli.resources import create_resources

sys.path.insert(0, str(Path(__file__).parent))
from run import (
    BODY_COUNT,
    TARGET,
    Connection,
    Latencies,
    Peer,
    Signed,
    entries,
    peer_of,
    signed_v4,
    signed_v4a,
    write_results,
)


def put_requests(config: Any, peer: Peer, bus: str, endpoint_id: str | None) -> list[Signed]:
    """Return signed calls for one URL, of one entry of 1 KB each."""
    requests = []
    for _ in range(BODY_COUNT):
        content: dict[str, Any] = {"Entries": entries(1, 1_000, bus)}
        if endpoint_id is None:
            requests.append(signed_v4(peer, "events", TARGET, json.dumps(content).encode()))
        else:
            body = json.dumps({**content, "EndpointId": endpoint_id}).encode()
            requests.append(signed_v4a(peer.url, body, config))
    return requests


async def compare(
    peers: dict[str, Peer], requests: dict[str, list[Signed]], seconds: float, rate: float
) -> dict[str, Any]:
    """Send in turn at a rate for each; return latencies, the difference, and processor time."""
    connections = {name: Connection(peer.url) for name, peer in peers.items()}
    latencies = {name: Latencies() for name in peers}
    count, pause = int(seconds * rate), 1 / rate / len(peers)
    cpu = {name: peer.cpu_seconds() for name, peer in peers.items()}
    due = time.perf_counter()
    for number in range(-20, count):
        for name, connection in connections.items():
            due = max(due + pause, time.perf_counter() - pause)
            await asyncio.sleep(due - time.perf_counter())
            request = requests[name][number % BODY_COUNT]
            began = time.perf_counter()
            status, reply = await connection.send(request.unique_head(), request.body)
            took = time.perf_counter() - began
            if status != 200 or b'"FailedEntryCount":0' not in reply:
                raise SystemExit(f"a call failed: {reply[:300]!r}")
            if number >= 0:
                latencies[name].seconds.append(took)
    for connection in connections.values():
        connection.close()
    figures: dict[str, Any] = {name: each.summary() for name, each in latencies.items()}
    for name, peer in peers.items():
        spent = peer.cpu_seconds() - cpu[name]
        figures[name]["node_cpu_ms_per_second"] = round(spent / seconds * 1e3, 1)
    figures["edge_adds_p50_ms"] = round(figures["edge"]["p50_ms"] - figures["region"]["p50_ms"], 2)
    figures["edge_adds_p90_ms"] = round(figures["edge"]["p90_ms"] - figures["region"]["p90_ms"], 2)
    return figures


async def measure(
    config: Any, peers: dict[str, Peer], endpoint_id: str, bus: str, options: argparse.Namespace
) -> dict[str, Any]:
    """Compare calls without and with an EndpointId."""
    results = {}
    for name, used in (("put_events", None), ("put_events_endpoint", endpoint_id)):
        requests = {which: put_requests(config, peer, bus, used) for which, peer in peers.items()}
        results[name] = await compare(peers, requests, options.seconds, options.rate)
        print(name, json.dumps(results[name], indent=2), flush=True)
    return results


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each comparison")
    parser.add_argument("--rate", type=float, default=100.0, help="calls a second on either way")
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        config = prepare(Path(directory), ("us-east-1", "us-west-2"), free_port(), auth=True)
        with Deployment(config, Path(directory)) as deployment:
            deployment.start_all()
            made = create_resources(
                config, lambda service, region: client(service, region, config), "bench"
            )
            region = peer_of(config, deployment)
            edge = Peer(
                config.nodes[0].url,
                region.region,
                region.access_key_id,
                region.secret_access_key,
                deployment.processes["edge"].pid,
            )
            peers = {"region": region, "edge": edge}
            results = uvloop.run(measure(config, peers, made.endpoint_id, made.name, options))
    write_results(
        results,
        options.out,
        "-edge",
        seconds_each=options.seconds,
        calls_per_second=options.rate,
        load_average=[round(load, 1) for load in os.getloadavg()],
    )


if __name__ == "__main__":
    main()
