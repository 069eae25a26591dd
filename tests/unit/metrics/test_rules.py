"""What delivery counts of rules and buses, by the names and dimensions of AWS/Events."""

from __future__ import annotations

import pytest

from farspan.metrics.meter import Meter
from farspan.metrics.rules import BusMeasures, RuleMeasures, Tally
from farspan.metrics.statistics import StatisticSet
from farspan.model.delivery import Delivery
from farspan.model.rule import Rule

ACCOUNT = "111122223333"
ORDERS = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/orders/paid"
DEFAULT = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/paid"


def delivery(ingested_at: float, attempt_count: int = 0) -> Delivery:
    """Return a delivery of an event of a time."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn=ORDERS,
        target_id="t",
        target_arn="a",
        payload=b"{}",
        planned_at=0.0,
        ingested_at=ingested_at,
        attempt_count=attempt_count,
    )


def taken(meter: Meter) -> dict[tuple[str, str], StatisticSet]:
    """Return what was counted by metric and dimensions."""
    found: dict[tuple[str, str], StatisticSet] = {}
    for accumulator in meter.take():
        given = accumulator.take()
        for metric in accumulator.metrics:
            assert metric.account == ACCOUNT
            shown = ",".join(f"{name}={value}" for name, value in metric.dimensions)
            found[metric.name, shown] = given
    return found


@pytest.mark.parametrize(
    ("rule_arn", "dimensions"),
    [(DEFAULT, "RuleName=paid"), (ORDERS, "EventBusName=orders,RuleName=paid")],
)
def test_a_rule_alone_is_one_of_the_default_bus(rule_arn: str, dimensions: str) -> None:
    """Rules of other buses have the bus as a dimension too."""
    meter = Meter()
    RuleMeasures(meter, rule_arn).failed()

    assert {("Invocations", dimensions), ("FailedInvocations", dimensions)} == set(taken(meter))


def test_latencies_count_for_the_rule_its_bus_and_all_buses() -> None:
    """The start latency of first attempts, in milliseconds, comes without dimensions too."""
    meter = Meter()
    RuleMeasures(meter, ORDERS).started([delivery(99.5), delivery(99.5), delivery(99.0)], 100.0)
    found = taken(meter)

    own = "EventBusName=orders,RuleName=paid"
    for dimensions in ("", "EventBusName=orders", own):
        latency = found["IngestionToInvocationStartLatency", dimensions]
        assert (3, 2_000, 500, 1_000) == (
            latency.count,
            latency.sum,
            latency.minimum,
            latency.maximum,
        )
    assert found["InvocationAttempts", own].sum == 3


def test_a_retry_starts_no_latency() -> None:
    """Only a first attempt tells how long an event waited; a later one counts as a retry."""
    meter = Meter()
    RuleMeasures(meter, DEFAULT).started([delivery(1.0, attempt_count=1)], 100.0)

    assert {
        ("InvocationAttempts", "RuleName=paid"): 1,
        ("RetryInvocationAttempts", "RuleName=paid"): 1,
    } == {key: given.sum for key, given in taken(meter).items()}


def test_a_delivery_of_unknown_time_has_no_latency() -> None:
    """What an older version stored is counted all the same."""
    meter = Meter()
    RuleMeasures(meter, DEFAULT).delivered([delivery(0.0)], 100.0)

    assert {"SuccessfulInvocationAttempts", "Invocations"} == {name for name, _ in taken(meter)}


def test_a_clock_that_went_back_gives_no_negative_latency() -> None:
    """An event from the future was delivered at once."""
    meter = Meter()
    RuleMeasures(meter, DEFAULT).delivered([delivery(101.0)], 100.0)

    assert taken(meter)["IngestionToInvocationSuccessLatency", ""].maximum == 0


@pytest.mark.parametrize(
    ("is_sent", "name"),
    [(True, "InvocationsSentToDlq"), (False, "InvocationsFailedToBeSentToDlq")],
)
def test_dead_letters_are_counted_by_what_became_of_them(is_sent: bool, name: str) -> None:
    """Sent, or lost."""
    meter = Meter()
    RuleMeasures(meter, DEFAULT).dead_lettered(is_sent=is_sent)

    assert {(name, "RuleName=paid"): 1} == {key: given.sum for key, given in taken(meter).items()}


def test_matched_events_of_a_bus() -> None:
    """They count for the bus and for all buses; what was cut short is Farspan's own metric."""
    meter = Meter()
    measures = BusMeasures(meter, f"{ACCOUNT}/orders")
    measures.matched_events.add(3)
    measures.cut_short_events.add(1)

    assert {
        ("MatchedEvents", ""): 3,
        ("MatchedEvents", "EventBusName=orders"): 3,
        ("EventsMatchedInPart", "EventBusName=orders"): 1,
    } == {key: given.sum for key, given in taken(meter).items()}


def test_a_tally_counts_events_once_and_rules_each() -> None:
    """An event that two rules match is one matched event, and one match of each."""
    tally = Tally()
    one, other = (
        Rule(region="us-east-1", account=ACCOUNT, event_bus_name="b", name=name) for name in "ab"
    )
    for rules in ([one], [], [one, other]):
        tally.add(rules)

    assert tally.event_count == 2
    assert [one, other] == tally.rules
    assert {"a": 2, "b": 1} == tally.match_counts
