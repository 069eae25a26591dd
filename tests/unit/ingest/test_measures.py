"""What ingest counts of calls."""

from __future__ import annotations

from farspan.ingest.entries import EntryError
from farspan.ingest.measures import CallMeasures, IngestMeasures
from farspan.metrics.meter import Meter
from farspan.model.endpoint import Endpoint

ACCOUNT = "111122223333"


def taken(meter: Meter) -> dict[str, list[float]]:
    """Return the sums of what was counted, by metric."""
    found: dict[str, list[float]] = {}
    for accumulator in meter.take():
        given = accumulator.take()
        for metric in accumulator.metrics:
            found.setdefault(metric.name, []).append(given.sum)
    return found


def test_an_answered_call_is_a_success_whatever_became_of_its_entries() -> None:
    """Its entries, those refused, its size and its time are counted beside it."""
    meter = Meter()
    refused = EntryError("InvalidArgument", "no")
    CallMeasures(meter, ACCOUNT, "PutEvents").answered(["id", refused, refused], 512, 0.25)

    assert {
        "PutEventsApproximateCallCount": [1],
        "PutEventsApproximateSuccessCount": [1],
        "PutEventsEntriesCount": [3],
        "PutEventsFailedEntriesCount": [2],
        "PutEventsLatency": [250],
        "PutEventsRequestSize": [512],
    } == taken(meter)


def test_a_call_that_ends_in_an_error_has_no_latency() -> None:
    """It is a call, and a failed one."""
    meter = Meter()
    CallMeasures(meter, ACCOUNT, "PutPartnerEvents").failed()

    assert {
        "PutPartnerEventsApproximateCallCount": [1],
        "PutPartnerEventsApproximateFailedCount": [1],
    } == taken(meter)


def test_what_an_endpoint_replicates_is_an_attempt_of_its_managed_rule() -> None:
    """It begins where the event is durable, so that the other Region's absence is no latency."""
    meter = Meter()
    endpoint = Endpoint(
        account=ACCOUNT,
        name="shop",
        endpoint_id="abcde12345.veo",
        event_bus_name="orders",
        primary_region="us-east-1",
        secondary_region="eu-central-1",
        health_check_id="h",
    )
    IngestMeasures(meter, "us-east-1").of_replication(endpoint).offered(2, 99.5, 100.0)
    found = taken(meter)

    assert [2] == found["InvocationAttempts"] == found["MatchedEvents"]
    assert [1_000] * 3 == found["IngestionToInvocationStartLatency"]
