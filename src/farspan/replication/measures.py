"""What replication counts: EventBridge's metrics of the managed rule, and Farspan's own.

Replication ships the log instead of invoking a target; in the metrics it is what EventBridge shows
of it, a rule GlobalEndpointManagedRule-* that forwards events. The attempt begins where the event
is durable, which ingest counts: that the other Region is down is no fault of this one. What the
other Region asks for again is counted once. Pure but for the time that it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from farspan.metrics.meter import Distribution, Meter
from farspan.metrics.rules import RuleMeasures
from farspan.model.endpoint import Endpoint, managed_rule
from farspan.model.metric import OWN_NAMESPACE, Metric
from farspan.replication.stream import ShippedBatch

UNITS: Final = {"ReplicationLag": "Milliseconds"}
"""Of Farspan's metrics of endpoints; the others count."""


class ReplicationMeasures:
    """What is counted of one Region's endpoints."""

    def __init__(self, meter: Meter, region: str, now: Callable[[], float]) -> None:
        self._meter = meter
        self._region = region
        self._now = now
        self._rules: dict[str, RuleMeasures] = {}
        self._own: dict[tuple[str, str], Distribution] = {}
        self._counted: dict[tuple[str, str], int] = {}

    def measure(self, name: str, endpoint: Endpoint, value: float) -> None:
        """Take a value of one of Farspan's metrics of an endpoint."""
        key = (name, endpoint.endpoint_id)
        taken = self._own.get(key)
        if taken is None:
            dimensions = (("EndpointId", endpoint.endpoint_id),)
            metric = Metric(endpoint.account, OWN_NAMESPACE, name, dimensions)
            taken = self._meter.distribution(UNITS.get(name, "Count"), metric)
            self._own[key] = taken
        taken.add(value)

    def shipped(self, endpoint: Endpoint, way: str, batches: Sequence[ShippedBatch]) -> None:
        """Count batches that the other Region is handed, in order of sequence on each `way`."""
        key = (endpoint.endpoint_id, way)
        known = self._counted.get(key, 0)
        times = [
            batch.accepted_at for batch in batches if batch.sequence > known for _ in batch.events
        ]
        if not times:
            return
        self._counted[key] = batches[-1].sequence
        arn = managed_rule(endpoint, self._region).arn
        measures = self._rules.get(arn)
        if measures is None:
            measures = self._rules[arn] = RuleMeasures(self._meter, arn)
        measures.fetched(times, self._now())
