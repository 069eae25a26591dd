"""An application as one writes it for AWS: boto3, and no URL anywhere.

Publishes through a global endpoint for some seconds, then waits until every event that was
acknowledged has come to the secondary Region's queue. Where its host names lead is the resolver's
affair.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import boto3

PAUSE_SECONDS = 0.1
ARRIVE_SECONDS_MAX = 40.0


def publish(endpoint_id: str, seconds: float) -> set[str]:
    """Put events through the endpoint; return the ids that were acknowledged."""
    events = boto3.client("events", "us-east-1")
    acknowledged: set[str] = set()
    served_by, gap = "", 0.0
    last = time.monotonic()
    deadline = last + seconds
    while last < deadline:
        reply = events.put_events(
            EndpointId=endpoint_id,
            Entries=[
                {
                    "Source": "shop.orders",
                    "DetailType": "OrderPaid",
                    "EventBusName": "demo",
                    "Detail": json.dumps({"amount": 42}),
                }
            ],
        )
        acknowledged.add(reply["Entries"][0]["EventId"])
        gap, last = max(gap, time.monotonic() - last), time.monotonic()
        region = reply["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"]
        if region != served_by:
            served_by = region
            print(f"event {len(acknowledged)} was taken by {region}", flush=True)
        time.sleep(PAUSE_SECONDS)
    print(f"longest time between two acknowledgements: {gap:.2f} s", flush=True)
    return acknowledged


def receive(region: str, wanted: set[str]) -> set[str]:
    """Take messages from a Region's queue until all wanted events came; return those missing."""
    sqs = boto3.client("sqs", region)
    url = sqs.get_queue_url(QueueName="demo")["QueueUrl"]
    print(f"receiving from {url}", flush=True)
    missing = set(wanted)
    deadline = time.monotonic() + ARRIVE_SECONDS_MAX
    while missing and time.monotonic() < deadline:
        reply = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=2)
        for message in reply.get("Messages", []):
            missing.discard(json.loads(message["Body"])["id"])
    return missing


def main() -> int:
    """Publish and receive. Returns 0 only if nothing is missing."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("endpoint_id")
    parser.add_argument("--seconds", type=float, default=8.0)
    given = parser.parse_args()
    acknowledged = publish(given.endpoint_id, given.seconds)
    missing = receive("us-west-2", acknowledged)
    print(f"acknowledged {len(acknowledged)}, failed 0, missing in us-west-2 {len(missing)}")
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
