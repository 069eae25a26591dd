"""What ingest counts of an account's calls: EventBridge's metrics PutEvents* and PutPartnerEvents*.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from farspan.ingest.entries import EntryError
from farspan.metrics.meter import Meter
from farspan.metrics.rules import RuleMeasures
from farspan.model.endpoint import Endpoint, managed_rule
from farspan.model.metric import EVENTS_NAMESPACE, Metric


class IngestMeasures:
    """What is counted of one Region's calls, and of what global endpoints replicate."""

    def __init__(self, meter: Meter, region: str) -> None:
        self._meter = meter
        self._region = region
        self._calls: dict[tuple[str, str], CallMeasures] = {}
        self._replications: dict[str, RuleMeasures] = {}

    def of_calls(self, account: str, operation: str) -> CallMeasures:
        """Return what is counted of an account's calls of one operation."""
        measures = self._calls.get((account, operation))
        if measures is None:
            measures = CallMeasures(self._meter, account, operation)
            self._calls[account, operation] = measures
        return measures

    def of_replication(self, endpoint: Endpoint) -> RuleMeasures:
        """Return what is counted of the managed rule that stands for an endpoint's replication."""
        measures = self._replications.get(endpoint.arn)
        if measures is None:
            arn = managed_rule(endpoint, self._region).arn
            measures = self._replications[endpoint.arn] = RuleMeasures(self._meter, arn)
        return measures


class CallMeasures:
    """What is counted of an account's calls of one operation, `PutEvents` or `PutPartnerEvents`.

    A call that is answered is a success, whatever became of its entries.
    """

    def __init__(self, meter: Meter, account: str, operation: str) -> None:
        def metric(name: str) -> Metric:
            return Metric(account, EVENTS_NAMESPACE, f"{operation}{name}")

        self._successes = meter.counter(
            metric("ApproximateCallCount"), metric("ApproximateSuccessCount")
        )
        self._failures = meter.counter(
            metric("ApproximateCallCount"), metric("ApproximateFailedCount")
        )
        self._entries = meter.distribution("Count", metric("EntriesCount"))
        self._failed_entries = meter.distribution("Count", metric("FailedEntriesCount"))
        self._latency = meter.distribution("Milliseconds", metric("Latency"))
        self._size = meter.distribution("Bytes", metric("RequestSize"))

    def failed(self) -> None:
        """Count a call that ended in an error."""
        self._failures.add()

    def answered(
        self, results: Sequence[str | EntryError], byte_count: int, seconds: float
    ) -> None:
        """Count a call that was answered after `seconds`; `results` are its entries'."""
        self._successes.add()
        self._entries.add(len(results))
        self._latency.add(seconds * 1_000)
        if byte_count:
            self._size.add(byte_count)
        failed_count = sum(isinstance(result, EntryError) for result in results)
        if failed_count:
            self._failed_entries.add(failed_count)
