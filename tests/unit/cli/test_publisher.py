"""What a drill puts, and how each answer gets into the ledger."""

from __future__ import annotations

import itertools
import json
import threading
import time
from typing import Any

from farspan.cli.probes import Probe, pattern_of, probes
from farspan.cli.publisher import Publisher
from farspan.drill.ledger import Ledger
from farspan.pattern import compile_pattern

CALLS = 12
ARN = "arn:aws:events:us-east-1:000000000000:event-bus/b"


class Bus:
    """Answers as boto3's `put_events`: every third call raises, in the others one entry fails."""

    def __init__(self) -> None:
        self._numbers = itertools.count(1)
        self.enough = threading.Event()

    def put_events(self, **params: Any) -> dict[str, Any]:
        """Answer a call of two entries."""
        number = next(self._numbers)
        if number >= CALLS:
            self.enough.set()
        if number % 3 == 0:
            raise ConnectionError("gone")
        refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "no"}
        assert [len(params["Entries"]), params["EndpointId"]] == [2, "abcde.veo"]
        return {
            "Entries": [{"EventId": f"id-{number}"}, refused],
            "ResponseMetadata": {
                "RetryAttempts": 1,
                "HTTPHeaders": {"x-farspan-region": "us-west-2"},
            },
        }


def test_every_answer_is_in_the_ledger() -> None:
    """Ids by Region, entries that failed, calls that raised, and the SDK's own retries."""
    bus, ledger = Bus(), Ledger()
    entries = [Probe({"Detail": "{}"}, matches=False), Probe({"Detail": "{}"}, matches=True)]
    publisher = Publisher(
        bus.put_events,
        itertools.repeat(entries),
        endpoint_id="abcde.veo",
        rate=10_000.0,
        ledger=ledger,
        clock=time.perf_counter,
    )
    publisher.start()
    assert bus.enough.wait(30)
    publisher.stop()
    failed = [call for call in ledger.calls if call.error is not None]
    returned = [call for call in ledger.calls if call.error is None]

    assert 2 * len(ledger.calls) == sum(ledger.intended)
    assert len(failed) == len(ledger.calls) // 3
    assert {"ConnectionError: gone"} == {call.error for call in failed}
    assert {("us-west-2", 1, ("InternalFailure: no",))} == {
        (call.region, call.retry_count, call.entry_errors) for call in returned
    }
    assert all(len(call.event_ids) == 1 for call in returned)
    assert all(call.expected_ids == () for call in returned)  # the one that matches failed
    assert all(call.began_at <= call.ended_at for call in ledger.calls)


def test_a_drills_pattern_matches_its_own_probes_alone() -> None:
    """Two drills at once do not count each other's events."""
    probe = next(probes(ARN, "drill-1"))[0].entry
    event = json.dumps({"source": probe["Source"], "detail": json.loads(probe["Detail"])})

    assert compile_pattern(pattern_of("drill-1")).matches(event.encode())
    assert not compile_pattern(pattern_of("drill-2")).matches(event.encode())


def test_each_probe_is_a_call_with_a_number_of_its_own() -> None:
    """RTO is told as fine as calls follow each other."""
    calls = list(itertools.islice(probes(ARN, "d"), 3))

    assert [1, 1, 1] == [len(call) for call in calls]
    assert [1, 2, 3] == [json.loads(call[0].entry["Detail"])["number"] for call in calls]
    assert {ARN} == {call[0].entry["EventBusName"] for call in calls}
