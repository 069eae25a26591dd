"""What replication counts: the managed rule's metrics, and Farspan's own."""

from __future__ import annotations

from farspan.metrics.meter import Meter
from farspan.model.endpoint import Endpoint
from farspan.replication.measures import ReplicationMeasures
from farspan.replication.stream import ShippedBatch

ENDPOINT = Endpoint(
    account="111122223333",
    name="shop",
    endpoint_id="abcde12345.veo",
    event_bus_name="orders",
    primary_region="us-east-1",
    secondary_region="eu-central-1",
    health_check_id="h",
)


def shipped(sequence: int, count: int, accepted_at: float = 99.0) -> ShippedBatch:
    """Return a batch of so many events."""
    return ShippedBatch(
        event_bus="111122223333/orders",
        call=b"c",
        sequence=sequence,
        accepted_at=accepted_at,
        events=(b"{}",) * count,
    )


def sums(meter: Meter) -> dict[str, float]:
    """Return the sums of what was counted, by metric with all of its dimensions."""
    found: dict[str, float] = {}
    for accumulator in meter.take():
        given = accumulator.take()
        for metric in accumulator.metrics:
            shown = "/".join(value for _, value in metric.dimensions)
            found[f"{metric.namespace} {metric.name} {shown}"] = given.sum
    return found


def test_what_is_shipped_is_what_the_managed_rule_forwards() -> None:
    """Its invocations, and their latency, without dimensions too."""
    meter = Meter()
    measures = ReplicationMeasures(meter, "us-east-1", lambda: 100.0)
    measures.shipped(ENDPOINT, "log", [shipped(1, 2), shipped(3, 1)])
    found = sums(meter)

    (invocations,) = [name for name in found if name.startswith("AWS/Events Invocations ")]
    assert "orders/GlobalEndpointManagedRule-" in invocations
    assert found[invocations] == 3
    assert found["AWS/Events IngestionToInvocationCompleteLatency "] == 3_000


def test_what_is_asked_for_again_is_counted_once() -> None:
    """A lost answer is no second invocation; another log's sequences begin anew."""
    meter = Meter()
    measures = ReplicationMeasures(meter, "us-east-1", lambda: 100.0)
    measures.shipped(ENDPOINT, "log", [shipped(1, 2)])
    measures.shipped(ENDPOINT, "log", [shipped(1, 2), shipped(3, 1)])
    measures.shipped(ENDPOINT, "other", [shipped(1, 1)])

    assert sums(meter)["AWS/Events IngestionToInvocationCompleteLatency "] == 4_000


def test_farspans_own_metrics_are_of_an_endpoint() -> None:
    """In Farspan's namespace."""
    meter = Meter()
    measures = ReplicationMeasures(meter, "us-east-1", lambda: 100.0)
    measures.measure("ReplicationLag", ENDPOINT, 5.0)
    measures.measure("ReplicationLag", ENDPOINT, 7.0)

    assert {"Farspan ReplicationLag abcde12345.veo": 12.0} == sums(meter)
