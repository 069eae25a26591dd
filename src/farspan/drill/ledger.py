"""The ledger of a drill: every call that was made, and every message that came out of a queue.

Entries are only ever added, each by one `list.append`, so that several threads may write and one
may read without a lock. Times are seconds since the drill began to publish, by one clock that never
goes back. Nothing here judges; see `findings`.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One PutEvents as its caller saw it, with all of the SDK's own retries inside.

    `region` is the one that acknowledged, None where the call raised. `event_ids` are what was
    acknowledged, `expected_ids` those of them that the canary's rule matches.
    """

    began_at: float
    ended_at: float
    region: str | None = None
    event_ids: tuple[str, ...] = ()
    expected_ids: tuple[str, ...] = ()
    retry_count: int = 0
    entry_errors: tuple[str, ...] = ()
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Receipt:
    """One message that a Region's queue gave. The same message may be given twice."""

    region: str
    event_id: str
    message_id: str
    at: float


@dataclass(slots=True)
class Ledger:
    """What was put and what came back."""

    intended: list[int] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    receipts: list[Receipt] = field(default_factory=list)

    def intend(self, event_count: int) -> None:
        """Enter that a call with so many events is about to be made."""
        self.intended.append(event_count)

    def enter(self, call: Call) -> None:
        """Enter a call that returned or raised."""
        self.calls.append(call)

    def receive(self, receipt: Receipt) -> None:
        """Enter a message that a queue gave."""
        self.receipts.append(receipt)


@dataclass(slots=True)
class Tally:
    """Running totals of a ledger, for a live table: each entry is counted once."""

    ledger: Ledger
    acknowledged: int = 0
    failed: int = 0
    seen: dict[str, set[str]] = field(default_factory=dict)
    lags: dict[str, float] = field(default_factory=dict)
    _calls: int = 0
    _receipts: int = 0
    _acknowledged_at: dict[str, tuple[float, str | None]] = field(default_factory=dict)

    def update(self) -> None:
        """Count what was entered since the last time."""
        for call in self.ledger.calls[self._calls :]:
            self._calls += 1
            self.acknowledged += len(call.event_ids)
            self.failed += len(call.entry_errors) + (call.error is not None)
            for event_id in call.expected_ids:
                self._acknowledged_at[event_id] = (call.ended_at, call.region)
        for receipt in self.ledger.receipts[self._receipts :]:
            self._receipts += 1
            self.seen.setdefault(receipt.region, set()).add(receipt.event_id)
            at, region = self._acknowledged_at.get(receipt.event_id, (0.0, receipt.region))
            if region != receipt.region:
                self.lags[receipt.region] = max(0.0, receipt.at - at)

    def take_lags(self) -> dict[str, float]:
        """Return the latest replication lag by the Region that received, of what is new since."""
        lags, self.lags = self.lags, {}
        return lags

    def is_complete(self, regions: tuple[str, ...]) -> bool:
        """Return whether each of the Regions gave every event that is expected of it."""
        return all(self._acknowledged_at.keys() <= self.seen.get(r, set()) for r in regions)

    def is_complete_anywhere(self) -> bool:
        """Return whether each expected event came out of one of the queues."""
        return self._acknowledged_at.keys() <= set().union(*self.seen.values())

    def received(self, region: str) -> int:
        """Return how many different events a Region's queue gave."""
        return len(self.seen.get(region, ()))
