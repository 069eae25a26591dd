"""What ingest counts of an account's calls: EventBridge's metrics PutEvents* and PutPartnerEvents*.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from farspan.ingest.entries import EntryError
from farspan.metrics.meter import Meter
from farspan.model.metric import EVENTS_NAMESPACE, Metric


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
