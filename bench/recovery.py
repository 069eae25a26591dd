"""Measures how long a Region takes to serve after a start, by what its store holds, and its memory.

From the start of the process until it answers a signed request. A store with a million events:
all delivered (`delivered`), with deliveries to be tried again (`retries`), or none of them read yet
(`unread`: what a Region that was down for long finds). Beside each start an `empty` store is
started, which tells what a start costs in itself on a machine that others use as well; processor
time tells it better than the clock. Run it as `make bench-recovery`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import apsw
import msgspec
from botocore.exceptions import BotoCoreError, ClientError

from farspan.catalog.resources import Resources
from farspan.cli.clients import client
from farspan.cli.deployment import Deployment, prepare
from farspan.cli.ports import free_port
from farspan.delivery.plan import plan_deliveries
from farspan.delivery.stored import RETRY_TIMERS, delivery_cursor
from farspan.ingest.entries import Entry, Placement, accept_entries
from farspan.model.bus import EventBus
from farspan.model.event import CallId, EventBatch
from farspan.model.queue import Queue
from farspan.model.rule import Rule, Target
from farspan.store.base import STORE_FILE_NAME, Append, Change, MoveCursor, PutTimer, Store
from farspan.store.sqlite import open_store

sys.path.insert(0, str(Path(__file__).parent))
from control import resident_bytes
from run import write_results

ACCOUNT, REGION = "000000000000", "us-east-1"
BUS = f"{ACCOUNT}/b"
BATCH_EVENTS = 10
GROUP_BATCHES = 400
DETAIL = json.dumps({"amount": 42, "text": "x" * 300})
RETRY_SPREAD_SECONDS = 900
SETTLE_SECONDS = 10.0

QUEUE = Queue(region=REGION, account=ACCOUNT, name="q")
RULE = Rule(
    region=REGION,
    account=ACCOUNT,
    event_bus_name="b",
    name="r",
    event_pattern='{"source":["s"]}',
    targets={"q": Target(id="q", arn=QUEUE.arn, given={"Id": "q", "Arn": QUEUE.arn})},
)


def batch(number: int) -> EventBatch:
    """Return a call's events."""
    call = CallId(number.to_bytes(14, "big"))
    now = time.time()
    accepted = accept_entries(
        [Entry(source="s", detail_type="t", detail=DETAIL)] * BATCH_EVENTS,
        call=call,
        account=ACCOUNT,
        region=REGION,
        now=now,
        place=lambda _: Placement(event_bus=BUS),
    )
    events = tuple(accepted.envelopes[BUS])
    return EventBatch(event_bus=BUS, call=call, events=events, accepted_at=now, origin=REGION)


async def fill(store: Store, event_count: int) -> None:
    """Write a bus, a rule, a queue, and events that were all delivered."""
    resources = Resources(REGION, store)
    await resources.load(time.time())
    bus = EventBus(region=REGION, account=ACCOUNT, name="b")
    await resources.save(bus, RULE, QUEUE, now=time.time())
    for start in range(0, event_count // BATCH_EVENTS, GROUP_BATCHES):
        numbers = range(start + 1, min(start + GROUP_BATCHES, event_count // BATCH_EVENTS) + 1)
        await store.commit([Append(batch(number)) for number in numbers])
    await store.commit([MoveCursor(delivery_cursor(BUS), await store.log_end(BUS))])


async def add_retries(store: Store, count: int) -> None:
    """Store deliveries that failed once and are due in the next quarter of an hour."""
    encode = msgspec.msgpack.Encoder().encode
    now = time.time()
    changes: list[Change] = []
    for start in range(0, count, BATCH_EVENTS):
        for envelope in batch(10**9 + start).events:
            due = now + len(changes) % RETRY_SPREAD_SECONDS
            (planned,) = plan_deliveries(envelope, [RULE], now, now)
            delivery = msgspec.structs.replace(planned, attempt_count=1, next_attempt_at=due)
            key = delivery.delivery_id.encode()
            changes.append(PutTimer(RETRY_TIMERS, key, due, encode(delivery)))
    for first in range(0, count, 4_000):
        await store.commit(changes[first : first + 4_000])


async def forget_cursor(store: Store) -> None:
    """Make all events unread."""
    await store.commit([MoveCursor(delivery_cursor(BUS), 0)])


def change(data: Path, work: Any, *arguments: int) -> None:
    """Change the Region's store while no process has it."""

    async def changed() -> None:
        store = open_store(data / REGION / STORE_FILE_NAME, asyncio.get_running_loop())
        await work(store, *arguments)
        await store.close()

    asyncio.run(changed())


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process took so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def start(data: Path) -> dict[str, float]:
    """Start the Region; return the seconds until it answers a call, and its memory."""
    config = prepare(data, (REGION,), free_port(), auth=True)
    # The client signs for the Region's own URL: no edge is started.
    config = msgspec.structs.replace(config, nodes=config.nodes[1:])
    events = client("events", REGION, config, retries={"max_attempts": 0})
    with Deployment(config, data) as deployment:
        began = time.monotonic()
        process = deployment.start(REGION)
        while True:
            try:
                events.list_event_buses(Limit=1)
                break
            except (BotoCoreError, ClientError):
                time.sleep(0.005)
        took, cpu = time.monotonic() - began, cpu_seconds(process.pid)
        at_answer = resident_bytes(process.pid)
        time.sleep(SETTLE_SECONDS)
        return {
            "seconds_to_first_answer": round(took, 3),
            "cpu_seconds_to_first_answer": round(cpu, 3),
            "resident_mb_at_first_answer": round(at_answer / 2**20, 1),
            "resident_mb_later": round(resident_bytes(process.pid) / 2**20, 1),
        }


def starts(data: Path, empty: Path, count: int) -> dict[str, dict[str, float]]:
    """Start several times, by turns with an empty store; return the medians of both."""
    found: dict[str, list[dict[str, float]]] = {"own": [], "empty": []}
    for _ in range(count):
        found["empty"].append(start(empty))
        found["own"].append(start(data))
    return {
        kind: {name: round(statistics.median(o[name] for o in some), 3) for name in some[0]}
        for kind, some in found.items()
    }


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--retries", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        data, empty = Path(directory) / "data", Path(directory) / "empty"
        change(data, fill, options.events)
        file = data / REGION / STORE_FILE_NAME
        results["store_mb"] = round(file.stat().st_size / 2**20)
        with apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READONLY) as connection:
            results["events"] = connection.execute("SELECT sum(event_count) FROM log").get
        results["delivered"] = starts(data, empty, options.rounds)
        change(data, add_retries, options.retries)
        results["retries"] = starts(data, empty, options.rounds)
        change(data, forget_cursor)
        results["unread"] = starts(data, empty, 1)
    print(json.dumps(results, indent=2))
    write_results(
        results,
        options.out,
        "-recovery",
        stored_retries=options.retries,
        rounds=options.rounds,
    )


if __name__ == "__main__":
    main()
