"""Measures the control plane: calls with many rules on a bus, start-up, and memory per rule.

Beside that, what a policy costs a key that puts events. Real processes and signed requests, as in
`run.py`. Run it as `make bench-control`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from farspan.catalog.resources import Resources
from farspan.cli.clients import client
from farspan.cli.deployment import Deployment, prepare
from farspan.cli.ports import free_port
from farspan.clock import SystemClock
from farspan.config import Config
from farspan.control.authority import authorize_put
from farspan.control.grants import Grants, parsed
from farspan.control.plane import Caller
from farspan.ingest.entries import Entry
from farspan.model.bus import EventBus
from farspan.model.rule import Rule, Target
from farspan.store.memory import MemoryStore
from farspan.store.sqlite import open_store

if TYPE_CHECKING:
    from collections.abc import Callable

    from farspan.control.plane import ControlPlane

sys.path.insert(0, str(Path(__file__).parent))
from run import Latencies, write_results

ACCOUNT = "000000000000"
REGION = "us-east-1"
RULES_PER_BUS = 300


def rules(count: int, per_bus: int) -> tuple[list[EventBus], list[Rule]]:
    """Return rules of a realistic mix, each with a target, on as many buses as they need."""
    buses, made = {}, []
    for number in range(count):
        bus = f"bus-{number // per_bus}"
        buses[bus] = EventBus(region=REGION, account=ACCOUNT, name=bus)
        pattern = {
            "source": [f"app.{number % 40}"],
            "detail-type": [f"Type{number % 7}", {"prefix": "Order"}],
            "detail": {"tenant": [f"t-{number}"], "amount": [{"numeric": [">", number % 100]}]},
        }
        arn = f"arn:aws:sqs:{REGION}:{ACCOUNT}:q-{number % 50}"
        made.append(
            Rule(
                region=REGION,
                account=ACCOUNT,
                event_bus_name=bus,
                name=f"rule-{number:05d}",
                event_pattern=json.dumps(pattern),
                targets={"q": Target(id="q", arn=arn, given={"Id": "q", "Arn": arn})},
            )
        )
    return list(buses.values()), made


async def fill(data: Path, count: int, per_bus: int) -> None:
    """Write the rules into the Region's store."""
    store = open_store(data / REGION / "store.sqlite3", asyncio.get_running_loop())
    resources = Resources(REGION, store)
    await resources.load(time.time())
    buses, made = rules(count, per_bus)
    for start in range(0, len(made), 500):
        await resources.save(*made[start : start + 500], now=time.time())
    await resources.save(*buses, now=time.time())
    await store.close()


def resident_bytes(pid: int) -> int:
    """Return the resident set of a process, as Linux tells it."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024
    return 0


def started(data: Path, config: Config) -> tuple[float, int]:
    """Start the Region; return seconds until it answers, and its resident bytes."""
    with Deployment(config, data) as deployment:
        began = time.monotonic()
        process = deployment.start(REGION)
        deployment.wait_ready(REGION)
        took = time.monotonic() - began
        client("events", REGION, config, retries={"max_attempts": 0})
        time.sleep(1)
        return took, resident_bytes(process.pid)


def calls(data: Path, config: Config) -> dict[str, Any]:
    """Time calls against a bus with 1,000 rules, one at a time, through botocore."""
    with Deployment(config, data) as deployment:
        deployment.start_all()
        events = client("events", REGION, config)
        bus, results = "bus-0", {}
        pattern = '{"source":["a"],"detail":{"x":[1,2,3]}}'
        put = {"EventBusName": bus, "EventPattern": pattern}
        target = {"Id": "q", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:q"}
        timed = {
            "DescribeRule": lambda n: events.describe_rule(
                Name=f"rule-{n % 1000:05d}", EventBusName=bus
            ),
            "PutRule": lambda n: events.put_rule(Name=f"rule-{n % 1000:05d}", **put),
            "PutTargets": lambda n: events.put_targets(
                Rule=f"rule-{n % 1000:05d}", EventBusName=bus, Targets=[target]
            ),
            "ListTargetsByRule": lambda n: events.list_targets_by_rule(
                Rule=f"rule-{n % 1000:05d}", EventBusName=bus
            ),
            "ListRules (a page of 100)": lambda _: events.list_rules(EventBusName=bus),
        }
        for name, call in timed.items():
            latencies = Latencies()
            for number in range(220):
                began = time.perf_counter()
                call(number)
                if number >= 20:
                    latencies.seconds.append(time.perf_counter() - began)
            results[name] = latencies.summary()
        return results


def policy_on_put_events() -> dict[str, float]:
    """Return the microseconds that asking a key's policy adds to a call of PutEvents.

    In this process, by its CPU time: the rest of the call is the same with and without a policy.
    `new` are sources that were never asked about.
    """
    statements = [
        {
            "Effect": "Allow",
            "Action": "events:PutEvents",
            "Resource": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/orders*",
        },
        {
            "Effect": "Deny",
            "Action": "events:PutEvents",
            "Resource": "*",
            "Condition": {"StringEquals": {"events:source": "forged"}},
        },
    ]
    policy = parsed(json.dumps({"Version": "2012-10-17", "Statement": statements}))
    user = f"arn:aws:iam::{ACCOUNT}:user/producer"
    caller = Caller(ACCOUNT, "key", principal=user, grants=Grants(identity=(policy,)))
    store = MemoryStore()
    plane = cast(
        "ControlPlane",
        SimpleNamespace(region=REGION, resources=Resources(REGION, store), clock=SystemClock()),
    )
    calls_count = 5_000

    def microseconds(sources: Callable[[int], list[str]]) -> float:
        calls = [
            [Entry(source=s, detail_type="t", event_bus_name="orders") for s in sources(number)]
            for number in range(calls_count)
        ]
        began = time.process_time()
        for entries in calls:
            authorize_put(plane, caller, entries, None)
        return round((time.process_time() - began) / calls_count * 1e6, 1)

    return {
        "no_policy_us": 0.0,  # nobody is asked
        "1_entry_us": microseconds(lambda _: ["shop"]),
        "10_entries_of_1_source_us": microseconds(lambda _: ["shop"] * 10),
        "10_entries_of_10_sources_us": microseconds(lambda _: [f"shop-{n}" for n in range(10)]),
        "1_entry_of_a_new_source_us": microseconds(lambda number: [f"new-{number}"]),
    }


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    results: dict[str, Any] = {"policy_on_put_events": policy_on_put_events()}
    sizes: dict[int, int] = {}
    for count in (0, 1_000, 10_000):
        with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
            data = Path(directory)
            config = prepare(data, (REGION, "us-west-2"), free_port(), auth=True)
            asyncio.run(fill(data, count, 1_000 if count == 1_000 else RULES_PER_BUS))
            took, sizes[count] = started(data, config)
            results[f"start_with_{count}_rules_seconds"] = round(took, 2)
            if count == 1_000:
                results["calls_with_1000_rules_on_the_bus"] = calls(data, config)
    results["idle_resident_mb"] = round(sizes[0] / 2**20, 1)
    results["bytes_per_rule"] = round((sizes[10_000] - sizes[0]) / 10_000)
    print(json.dumps(results, indent=2))
    write_results(
        results,
        options.out,
        "-control",
    )


if __name__ == "__main__":
    main()
