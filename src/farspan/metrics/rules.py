"""What is counted of rules and buses: EventBridge's metrics (CloudWatch's AWS/Events).

Everything is counted by the batch: an attempt's deliveries, or the events that are matched
together. A rule of the default bus has the dimension RuleName alone, another one EventBusName as
well, as in EventBridge. Latencies also count for the bus, and for all buses together.
Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from farspan.metrics.meter import Distribution, Meter
from farspan.model.arn import parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.model.delivery import Delivery
from farspan.model.metric import EVENTS_NAMESPACE, OWN_NAMESPACE, Dimensions, Metric
from farspan.model.rule import Rule


class BusMeasures:
    """What is counted of a bus's events."""

    def __init__(self, meter: Meter, event_bus: str) -> None:
        account, _, name = event_bus.partition("/")
        of_bus: Dimensions = (("EventBusName", name),)
        self.matched_events = meter.counter(
            Metric(account, EVENTS_NAMESPACE, "MatchedEvents"),
            Metric(account, EVENTS_NAMESPACE, "MatchedEvents", of_bus),
        )
        self.cut_short_events = meter.counter(
            Metric(account, OWN_NAMESPACE, "EventsMatchedInPart", of_bus)
        )


class RuleMeasures:
    """What is counted of a rule's deliveries."""

    def __init__(self, meter: Meter, rule_arn: str) -> None:
        arn = parse_arn(rule_arn)
        assert arn is not None, "a rule has an ARN"
        bus, _, rule = arn.resource.removeprefix("rule/").rpartition("/")
        own: Dimensions = (("RuleName", rule),)
        if bus:
            own = (("EventBusName", bus), *own)
        of_bus: Dimensions = (("EventBusName", bus or DEFAULT_BUS_NAME),)

        def metric(name: str, dimensions: Dimensions = own) -> Metric:
            return Metric(arn.account, EVENTS_NAMESPACE, name, dimensions)

        def latency(*names: str) -> Distribution:
            levels: tuple[Dimensions, ...] = (own, of_bus, ())
            metrics = [metric(name, level) for name in names for level in levels]
            return meter.distribution("Milliseconds", *metrics)

        self.matched_events = meter.counter(metric("MatchedEvents"), metric("TriggeredRules"))
        self.created = meter.counter(metric("InvocationsCreated"))
        self.throttled = meter.counter(metric("ThrottledRules"))
        self.attempts = meter.counter(metric("InvocationAttempts"))
        self.retries = meter.counter(metric("RetryInvocationAttempts"))
        self.successes = meter.counter(metric("SuccessfulInvocationAttempts"))
        self.invocations = meter.counter(metric("Invocations"))
        self.failures = meter.counter(metric("FailedInvocations"))
        self.dead_letters = meter.counter(metric("InvocationsSentToDlq"))
        self.lost_dead_letters = meter.counter(metric("InvocationsFailedToBeSentToDlq"))
        self._start_latency = latency("IngestionToInvocationStartLatency")
        self._complete_latency = latency(
            "IngestionToInvocationCompleteLatency", "IngestionToInvocationSuccessLatency"
        )
        self._late_success_latency = latency("IngestionToInvocationSuccessLatency")

    def started(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Count an attempt of deliveries that begins at `now`, seconds since the epoch."""
        self.attempts.add(len(deliveries))
        first = [d.ingested_at for d in deliveries if not d.attempt_count]
        if len(first) < len(deliveries):
            self.retries.add(len(deliveries) - len(first))
        _add_latencies(self._start_latency, first, now)

    def delivered(self, deliveries: Sequence[Delivery], now: float) -> None:
        """Count deliveries that their target took at `now`."""
        self.successes.add(len(deliveries))
        self.invocations.add(len(deliveries))
        first = [d.ingested_at for d in deliveries if not d.attempt_count]
        _add_latencies(self._complete_latency, first, now)
        if len(first) < len(deliveries):
            late = [d.ingested_at for d in deliveries if d.attempt_count]
            _add_latencies(self._late_success_latency, late, now)

    def offered(self, count: int, ingested_at: float, now: float) -> None:
        """Count events that matched and that the target may fetch from `now` on."""
        for counter in (self.matched_events, self.created, self.attempts):
            counter.add(count)
        _add_latencies(self._start_latency, (ingested_at,) * count, now)

    def fetched(self, times: Sequence[float], now: float) -> None:
        """Count events, by when they were ingested, that the target fetched at `now`."""
        self.successes.add(len(times))
        self.invocations.add(len(times))
        _add_latencies(self._complete_latency, times, now)

    def failed(self) -> None:
        """Count a delivery that ended undelivered."""
        self.invocations.add()
        self.failures.add()

    def dead_lettered(self, *, is_sent: bool) -> None:
        """Count a dead letter that its queue took, or did not."""
        (self.dead_letters if is_sent else self.lost_dead_letters).add()


class Tally:
    """Counts the matches of events that are matched together."""

    def __init__(self) -> None:
        self.event_count = 0
        self.rules: list[Rule] = []
        self.match_counts: dict[str, int] = {}

    def add(self, rules: Sequence[Rule]) -> None:
        """Count an event that matched these rules."""
        counts = self.match_counts
        for rule in rules:
            name = rule.name
            if name in counts:
                counts[name] += 1
            else:
                counts[name] = 1
                self.rules.append(rule)
        if rules:
            self.event_count += 1


class Measures:
    """The measures of buses and rules, made as they are asked for."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._rules: dict[str, RuleMeasures] = {}
        self._buses: dict[str, BusMeasures] = {}

    def of_rule(self, rule_arn: str) -> RuleMeasures:
        """Return a rule's."""
        measures = self._rules.get(rule_arn)
        if measures is None:
            measures = self._rules[rule_arn] = RuleMeasures(self._meter, rule_arn)
        return measures

    def of_bus(self, event_bus: str) -> BusMeasures:
        """Return a bus's, by its key."""
        measures = self._buses.get(event_bus)
        if measures is None:
            measures = self._buses[event_bus] = BusMeasures(self._meter, event_bus)
        return measures

    def forget(self, rule_arn: str) -> None:
        """Forget a rule's; what they counted stays counted."""
        self._rules.pop(rule_arn, None)

    def matched(self, event_bus: str, tally: Tally) -> None:
        """Count the matches of events of a bus."""
        if tally.event_count:
            self.of_bus(event_bus).matched_events.add(tally.event_count)
        for rule in tally.rules:
            count, measures = tally.match_counts[rule.name], self.of_rule(rule.arn)
            measures.matched_events.add(count)
            measures.created.add(count * len(rule.targets))


def _add_latencies(latency: Distribution, times: Sequence[float], now: float) -> None:
    """Add the time since each of `times`, which come in runs: a call's events have one."""
    if not times:
        return
    if times[0] == times[-1]:  # they are in the log's order: all in between are the same
        if times[0]:  # a delivery that an older Farspan stored does not know its time
            latency.add(max(0.0, now - times[0]) * 1_000, len(times))
        return
    for time in times:
        if time:
            latency.add(max(0.0, now - time) * 1_000)
