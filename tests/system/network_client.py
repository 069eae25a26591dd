"""An application on a host of its own: puts through the endpoint until told to stop.

Run as `network_client.py DIRECTORY RATE` on that host. A word on its standard input is what it is
to do next: `state` tells the state of the endpoint's route as the edge has it, `stop` ends the
stream, `read` counts what is in both Regions' queues and ends. It answers each with a line of JSON.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from typing import Any

from farspan.cli.clients import client
from farspan.cli.observer import endpoint_in, status_of
from farspan.cli.probes import Probe
from farspan.cli.publisher import Publisher
from farspan.cli.resources import create_resources
from farspan.config import CONFIG_FILE_NAME, load_config
from farspan.drill.ledger import Ledger

READ_SECONDS_MAX = 60.0
BOTO3_SECONDS_MAX = 60
"""How long boto3 waits for an answer unless it is told otherwise; its retries stay the default."""


def entries(bus: str) -> Any:
    """Yield the entries of one call after the other."""
    number = 0
    while True:
        number += 1
        detail = json.dumps({"amount": number})
        entry = {"Source": "shop.n", "DetailType": "T", "Detail": detail, "EventBusName": bus}
        yield [Probe(entry, matches=True)]


def received(sqs: Any, url: str, wanted: set[str]) -> tuple[set[str], int]:
    """Read a queue until it gave all that is wanted; return the ids, and how many came twice."""
    seen: set[str] = set()
    repeated = 0
    deadline = time.monotonic() + READ_SECONDS_MAX
    while not wanted <= seen and time.monotonic() < deadline:
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1)
        messages = reply.get("Messages", [])
        for message in messages:
            event_id = json.loads(message["Body"])["id"]
            repeated += event_id in seen
            seen.add(event_id)
        if messages:
            handles = [
                {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                for number, message in enumerate(messages)
            ]
            sqs.delete_message_batch(QueueUrl=url, Entries=handles)
    return seen, repeated


def say(what: object) -> None:
    """Answer with a line."""
    print(json.dumps(what), flush=True)  # noqa: T201 - its parent reads it


def main() -> None:
    """Make the resources, publish, and report."""
    config = load_config(Path(sys.argv[1]) / CONFIG_FILE_NAME)
    resources = create_resources(config, lambda s, r: client(s, r, config), "demo")
    ledger = Ledger()
    patience = dict.fromkeys(("connect_timeout", "read_timeout"), BOTO3_SECONDS_MAX)
    publisher = Publisher(
        client("events", config.regions[0], config, **patience).put_events,
        entries("demo"),
        endpoint_id=resources.endpoint_id,
        rate=float(sys.argv[2]),
        ledger=ledger,
        clock=time.monotonic,
    )
    publisher.start()
    say("ready")
    for line in sys.stdin:
        if line.strip() == "stop":
            publisher.stop()
            say(
                {
                    "acknowledged_at": [c.ended_at for c in ledger.calls if c.error is None],
                    "failed": [c.error for c in ledger.calls if c.error is not None],
                    "retries": sum(call.retry_count for call in ledger.calls),
                }
            )
        elif line.strip() == "state":
            endpoint = endpoint_in(status_of(config, config.nodes[0]), resources.endpoint_id)
            say(None if endpoint is None else endpoint["routing"])
        elif line.strip() == "read":
            wanted = {each for call in ledger.calls for each in call.expected_ids}
            ids: dict[str, set[str]] = {}
            twice = 0
            for region in config.regions:
                sqs = client("sqs", region, config)
                ids[region], repeated = received(sqs, resources.queue_urls[region], wanted)
                twice += repeated
            say(
                {
                    "acknowledged": len(wanted),
                    "lost": {region: sorted(wanted - found) for region, found in ids.items()},
                    "repeated": twice,
                }
            )
            return


if __name__ == "__main__":
    main()
