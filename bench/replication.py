"""Measures replication: its rate, its lag, what synchronous modes cost, and catching up.

What it takes of the processor by itself comes first (`replication_stages`). Then two Regions as
real processes, SigV4A-signed PutEvents with an EndpointId straight to the primary Region, 10
entries of 1 KB a call, durable in both. The load comes from this process, so on two cores three
share the machine; `cpu_us_per_event` says what each Region's process spent, whoever else used the
machine. Run it as `make bench-replication`; `--only` chooses.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import apsw
import uvloop

from farspan.cli.clients import client
from farspan.cli.deployment import Deployment, prepare
from farspan.cli.observer import endpoint_in, status_of
from farspan.cli.ports import free_port
from farspan.cli.resources import create_resources
from farspan.config import CONFIG_FILE_NAME, Config
from farspan.store.base import STORE_FILE_NAME

sys.path.insert(0, str(Path(__file__).parent))
from replication_stages import measure_stages
from run import Connection, Latencies, Signed, entries, load, signed_v4a, write_results

MODES: Final = ("async", "sync", "sync_or_async")
BODY_COUNT: Final = 32
BACKLOG_EVENT_COUNT: Final = 80_000
LIVE_RATE: Final = 500
POLL_SECONDS: Final = 0.5


@dataclass(frozen=True)
class Bench:
    """The deployment, and an endpoint for each mode and one for live traffic, by name."""

    config: Config
    deployment: Deployment
    endpoint_ids: dict[str, str]

    @property
    def primary_url(self) -> str:
        """Where the primary Region's node listens."""
        node = self.config.node_of(self.config.regions[0])
        assert node is not None
        return node.url

    def requests(self, name: str, entry_count: int = 10) -> list[Signed]:
        """Return signed calls through an endpoint."""
        found = []
        for _ in range(BODY_COUNT):
            body = {
                "Entries": entries(entry_count, 1_000, name),
                "EndpointId": self.endpoint_ids[name],
            }
            found.append(signed_v4a(self.primary_url, json.dumps(body).encode(), self.config))
        return found

    def pid(self, number: int) -> int:
        """Return the process id of a Region."""
        return self.deployment.processes[self.config.regions[number]].pid

    def cpu_seconds(self) -> list[float]:
        """Return the processor time of each Region's process so far."""
        found = []
        for number in (0, 1):
            fields = Path(f"/proc/{self.pid(number)}/stat").read_text().rpartition(")")[2].split()
            found.append((int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK"))
        return found

    def replication(self, name: str, number: int = 1) -> dict[str, Any]:
        """Return what a Region's status says of an endpoint's replication."""
        node = self.config.node_of(self.config.regions[number])
        assert node is not None
        endpoint = endpoint_in(status_of(self.config, node), self.endpoint_ids[name])
        return endpoint["replication"] if endpoint else {}

    def has_call(self, event_id: str) -> bool:
        """Return whether the secondary Region's store has the call of an event."""
        call = bytes.fromhex(event_id.replace("-", ""))[:14]
        path = self.deployment.data / self.config.regions[1] / STORE_FILE_NAME
        with contextlib.closing(apsw.Connection(str(path), apsw.SQLITE_OPEN_READONLY)) as store:
            return bool(store.execute("SELECT 1 FROM log WHERE call = ?", (call,)).get)

    async def caught_up(self, name: str, event_count: int) -> None:
        """Wait until the secondary Region has confirmed so many events."""
        while self.replication(name, 0).get("confirmed", 0) < event_count:  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def confirmed(self, name: str) -> int:
        """Return how many of an endpoint's events the secondary Region has."""
        return int(self.replication(name, 0).get("confirmed", 0))


async def ages(bench: Bench, name: str, stop: asyncio.Event) -> Latencies:
    """Gather the ages at arrival of an endpoint's replicas until told to stop."""
    found: list[float] = []
    while not stop.is_set():
        await asyncio.sleep(POLL_SECONDS)
        status = await asyncio.to_thread(bench.replication, name)
        found += status.get("latest_replica_ages_ms", [])[-int(LIVE_RATE * POLL_SECONDS) :]
    return Latencies([age / 1e3 for age in found])


async def bench_rate(bench: Bench, seconds: float, rate: float | None) -> dict[str, Any]:
    """PutEvents at a rate or as fast as it goes; until the secondary has the last event."""
    name, before = "async", bench.confirmed("async")
    requests = bench.requests(name)
    await load(bench.primary_url, requests, connections=16, seconds=1, calls_per_second=100)
    stop = asyncio.Event()
    gathering = asyncio.create_task(ages(bench, name, stop))
    cpu = bench.cpu_seconds()
    began = time.perf_counter()
    before = max(before, bench.confirmed(name))
    calls, took, latencies = await load(
        bench.primary_url,
        requests,
        connections=16,
        seconds=seconds,
        calls_per_second=rate / 10 if rate else None,
    )
    stop.set()
    at_the_end = bench.confirmed(name) - before
    await bench.caught_up(name, before + calls * 10)
    both_took = time.perf_counter() - began
    spent = [after - earlier for earlier, after in zip(cpu, bench.cpu_seconds(), strict=True)]
    return {
        "put_per_second": round(calls * 10 / took),
        "in_both_per_second": round(calls * 10 / both_took),
        "copied_when_the_load_ended": round(at_the_end / (calls * 10), 3),
        "cpu_us_per_event": [round(each / (calls * 10) * 1e6, 1) for each in spent],
        "put_latency": latencies.summary(),
        "replica_age": (await gathering).summary(),
    }


async def bench_modes(bench: Bench, seconds: float) -> dict[str, Any]:
    """One call after the other through an endpoint of each mode, in turn."""
    taken: dict[str, Latencies] = {name: Latencies() for name in MODES}
    requests = {name: bench.requests(name, 1) for name in MODES}
    for _ in range(4):
        for name in MODES:
            _, _, latencies = await load(
                bench.primary_url,
                requests[name],
                connections=16,
                seconds=seconds / 4,
                calls_per_second=100,
            )
            taken[name].seconds += latencies.seconds
    busy = {}
    for name in MODES:
        calls, took, latencies = await load(
            bench.primary_url,
            bench.requests(name),
            connections=32,
            seconds=seconds,
            calls_per_second=None,
        )
        busy[name] = {"events_per_second": round(calls * 10 / took), **latencies.summary()}
    return {
        "100_calls_per_second": {name: found.summary() for name, found in taken.items()},
        "32_connections": busy,
    }


async def crossings(bench: Bench, name: str, seconds: float) -> Latencies:
    """From before single calls through an endpoint until the secondary's store has them."""
    requests = bench.requests(name, 1)
    connection, found = Connection(bench.primary_url), []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        request, began = random.choice(requests), time.perf_counter()
        _, reply = await connection.send(request.unique_head(), request.body)
        wanted = json.loads(reply)["Entries"][0]["EventId"]
        while not bench.has_call(wanted):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        found.append(time.perf_counter() - began)
        await asyncio.sleep(0.2)
    connection.close()
    return Latencies(found)


async def bench_catch_up(bench: Bench, _seconds: float) -> dict[str, Any]:
    """Live traffic of another endpoint, and of the same, while the secondary Region catches up.

    `newest_event_crosses` is what single events of the endpoint with the backlog take to be in the
    secondary's store, looked for every 10 ms.
    """
    live = bench.requests("live", 1)

    async def live_for(seconds: float) -> tuple[Latencies, Latencies]:
        stop = asyncio.Event()
        gathering = asyncio.create_task(ages(bench, "live", stop))
        _, _, latencies = await load(
            bench.primary_url,
            live,
            connections=8,
            seconds=seconds,
            calls_per_second=LIVE_RATE / 5,
        )
        stop.set()
        return latencies, await gathering

    alone, newest_alone = await live_for(4), await crossings(bench, "async", 4)
    before = bench.confirmed("async")
    os.kill(bench.pid(1), signal.SIGSTOP)
    requests, put = bench.requests("async"), 0
    while put < BACKLOG_EVENT_COUNT:
        calls, _, _ = await load(
            bench.primary_url, requests, connections=16, seconds=1, calls_per_second=None
        )
        put += calls * 10
    os.kill(bench.pid(1), signal.SIGCONT)
    began = time.perf_counter()
    loading = asyncio.create_task(live_for(4))
    await asyncio.sleep(1)  # what came before the copying began belongs to the backlog
    crossing = asyncio.create_task(crossings(bench, "async", 4))
    await bench.caught_up("async", before + put)
    took = time.perf_counter() - began
    during, newest = await loading, await crossing
    return {
        "backlog": put,
        "caught_up_per_second": round(put / took),
        "caught_up_seconds": round(took, 2),
        "newest_event_crosses": {"alone": newest_alone.summary(), "meanwhile": newest.summary()},
        "live_put_latency": {"alone": alone[0].summary(), "meanwhile": during[0].summary()},
        "live_replica_age": {"alone": alone[1].summary(), "meanwhile": during[1].summary()},
    }


def benchmarks_of(bench: Bench, seconds: float) -> dict[str, Callable[[], Awaitable[Any]]]:
    """Return what can be measured, by name."""
    return {
        "rate_1000": lambda: bench_rate(bench, seconds, 1_000),
        "rate_3000": lambda: bench_rate(bench, seconds, 3_000),
        "rate_unbounded": lambda: bench_rate(bench, seconds, None),
        "modes": lambda: bench_modes(bench, seconds),
        "catch_up": lambda: bench_catch_up(bench, seconds),
    }


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Measure two Regions and an edge that are started for it."""
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        data = Path(directory)
        config = prepare(data, ("us-east-1", "us-west-2"), free_port(), auth=True)
        modes = "".join(f'"{mode}" = "{mode}"\n' for mode in MODES)
        with (data / CONFIG_FILE_NAME).open("a") as file:
            file.write(f"\n[replication]\nbacklog_share = {options.backlog_share}\n")
            file.write(f"\n[replication.endpoints]\n{modes}")
        with Deployment(config, data) as deployment:
            deployment.start_all()
            made = {
                name: create_resources(config, lambda s, r: client(s, r, config), name)
                for name in (*MODES, "live")
            }
            ids = {name: resources.endpoint_id for name, resources in made.items()}
            bench = Bench(config, deployment, ids)
            results: dict[str, Any] = {}
            if options.only in "stages":
                results["stages_us_per_event"] = measure_stages()
                print(json.dumps(results, indent=2), flush=True)
            for name, run in benchmarks_of(bench, options.seconds).items():
                if options.only in name:
                    results[name] = uvloop.run(run())
                    print(name, json.dumps(results[name], indent=2), flush=True)
            return results


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0, help="for each benchmark")
    parser.add_argument("--out", type=Path, default=None)
    parser.add_argument("--only", default="", help="benchmarks whose names hold this text")
    parser.add_argument("--backlog-share", type=float, default=0.5, help="as in farspan.toml")
    options = parser.parse_args()
    results = measure(options)
    write_results(
        results,
        options.out,
        "-replication",
        load_average=os.getloadavg()[0],
        seconds_each=options.seconds,
    )


if __name__ == "__main__":
    main()
