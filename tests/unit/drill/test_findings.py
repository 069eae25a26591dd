"""What is concluded from a ledger: each figure by its definition, and properties of all of them."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.drill.findings import Course, figures_of, longest_gap, loss_bound, quantile
from farspan.drill.ledger import Call, Ledger, Receipt, Tally
from farspan.drill.metrics import METRICS

EAST, WEST = "us-east-1", "us-west-2"
COURSE = Course(region=EAST, other=WEST, fault_at=10.0, made_at=10.0, heal_at=20.0)


def call(at: float, region: str | None, *event_ids: str, began_at: float | None = None) -> Call:
    """Return a call that returned at a time, or failed where it has no Region."""
    return Call(
        began_at=at if began_at is None else began_at,
        ended_at=at,
        region=region,
        event_ids=event_ids,
        expected_ids=event_ids,
        error=None if region else "it failed",
    )


def ledger_of(*calls: Call, east: dict[str, float], west: dict[str, float]) -> Ledger:
    """Return a ledger of calls, and of what each queue gave when."""
    receipts = [Receipt(EAST, i, f"e-{i}", at) for i, at in east.items()]
    receipts += [Receipt(WEST, i, f"w-{i}", at) for i, at in west.items()]
    return Ledger(calls=list(calls), receipts=receipts)


STORY = ledger_of(
    call(8.0, EAST, "a"),
    call(9.5, EAST, "b"),
    call(12.0, WEST, "c", began_at=9.9),
    call(15.0, WEST, "d"),
    call(23.0, EAST, "e"),
    east={"a": 8.0, "b": 9.5, "c": 21.0, "d": 22.0, "e": 23.0},
    west={"a": 8.3, "b": 20.5, "c": 12.1, "d": 15.1, "e": 23.4},
)
"""East fails at 10 with `b` not yet in West, West takes over at 12, East is back at 20."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("rto", 8.0),  # from 15 to 23: the gap went on beyond the heal
        ("failover", 2.0),
        ("rpo", 0.5),
        ("rpo_events", 1),
        ("in_flight", 1),
        ("lost", 0),
        ("missing", 0),
        ("duplicates", 0),
        ("redelivered", 0),
        ("unacknowledged", 0),
        ("failback", 3.0),
        ("failback_gap", 3.0),
        ("catch_up", 2.0),
        ("events", 5),
        ("failed_calls", 0),
        ("slowest_call", 2.1),
        ("lag_p50", 0.3),
    ],
)
def test_each_figure_of_a_failover(name: str, expected: float) -> None:
    """One story, told by hand, and what each metric says of it."""
    assert figures_of(STORY, COURSE)[name] == pytest.approx(expected)


def test_every_metric_has_a_figure() -> None:
    """The table of metrics and the figures are of the same names."""
    assert METRICS.keys() == figures_of(STORY, COURSE).keys()


def test_lost_is_in_no_region_and_missing_in_one() -> None:
    """An event that one queue gave is missing in the other, not lost."""
    ledger = ledger_of(call(1.0, EAST, "a", "b", "c"), east={"a": 1.0, "b": 1.0}, west={"a": 1.1})
    figures = figures_of(ledger, COURSE)

    assert (1, 1) == (figures["lost"], figures["missing"])


def test_without_replication_nothing_is_missing_or_caught_up() -> None:
    """A Region that is not to have the other's events is not asked for them."""
    course = Course(
        region=EAST, other=WEST, fault_at=10.0, made_at=10.0, heal_at=20.0, replicates=False
    )
    figures = figures_of(STORY, course)

    assert (None, None) == (figures["missing"], figures["catch_up"])


def test_a_message_given_twice_is_no_duplicate_and_two_messages_are() -> None:
    """The same message again is the queue's redelivery; another with the id is a duplicate."""
    ledger = Ledger(
        calls=[call(1.0, EAST, "a")],
        receipts=[
            Receipt(EAST, "a", "m1", 1.0),
            Receipt(EAST, "a", "m1", 6.0),
            Receipt(EAST, "a", "m2", 2.0),
            Receipt(WEST, "a", "m3", 2.0),
        ],
    )
    figures = figures_of(ledger, COURSE)

    assert (1, 1) == (figures["duplicates"], figures["redelivered"])


def test_what_came_out_and_was_never_acknowledged_is_told() -> None:
    """A call that failed may have been accepted."""
    ledger = ledger_of(call(1.0, EAST, "a"), east={"a": 1.0, "x": 1.0}, west={"a": 1.0, "x": 1.0})

    assert 1 == figures_of(ledger, COURSE)["unacknowledged"]


def test_a_region_that_was_not_in_use_has_no_failover() -> None:
    """The secondary goes and comes: nothing moves, so nothing has to come back."""
    ledger = ledger_of(call(9.0, WEST, "a"), call(11.0, WEST, "b"), east={}, west={})
    figures = figures_of(ledger, COURSE)

    assert (None, None) == (figures["failover"], figures["failback"])


def test_a_failover_that_never_comes_back_has_no_failback() -> None:
    """The other Region took over and kept it."""
    ledger = ledger_of(call(9.0, EAST, "a"), call(11.0, WEST, "b"), east={}, west={})
    figures = figures_of(ledger, COURSE)

    assert (1.0, None) == (figures["failover"], figures["failback"])


def test_an_acknowledgement_on_its_way_counts_to_the_recovery_point() -> None:
    """Between the beginning of the fault and its being in force the Region may still answer."""
    course = Course(region=EAST, other=WEST, fault_at=10.0, made_at=10.2, heal_at=20.0)
    ledger = ledger_of(call(10.1, EAST, "a"), east={"a": 10.1}, west={"a": 21.0})
    figures = figures_of(ledger, course)

    assert 1 == figures["rpo_events"]
    assert figures["rpo"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("moments", "expected"),
    [
        ([], 10.0),
        ([9.0, 11.0, 12.0, 20.0], 8.0),
        ([9.0, 11.0, 12.0], 8.0),
        ([10.5, 11.0, 25.0], 14.0),
        ([15.0, 30.0], 15.0),
    ],
    ids=["none", "within", "to-the-end", "beyond-the-end", "from-the-start"],
)
def test_gaps_count_from_the_start_and_on_beyond_the_end(
    moments: list[float], expected: float
) -> None:
    """A gap that is open at the end lasts until the next moment."""
    assert expected == longest_gap(moments, 10.0, 20.0)


def test_none_lost_of_n_bounds_the_rate_at_three_nths() -> None:
    """The rule of three; nothing is claimed where something was lost or nothing put."""
    assert (0.001, None, None) == (loss_bound(3_000, 0), loss_bound(3_000, 1), loss_bound(0, 0))


times = st.floats(0.0, 40.0)
regions = st.sampled_from([EAST, WEST])


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """Return any ledger: calls that return or fail, and receipts in whatever order."""
    ledger = Ledger()
    ids = [f"id-{n}" for n in range(draw(st.integers(0, 12)))]
    for event_id in ids:
        at, region = draw(times), draw(st.none() | regions)
        ledger.enter(call(at, region, *([event_id] if region else [])))
    for event_id in draw(st.lists(st.sampled_from([*ids, "strange"]), max_size=30)):
        message = draw(st.sampled_from(["m", "n"]))
        ledger.receive(Receipt(draw(regions), event_id, message, draw(times)))
    return ledger


@settings(max_examples=40)
@given(ledgers())
def test_every_acknowledged_event_is_lost_missing_or_in_both(ledger: Ledger) -> None:
    """The three are all there is, and none is counted twice."""
    figures = figures_of(ledger, COURSE)
    acknowledged = {i for c in ledger.calls for i in c.expected_ids}
    both = {r.event_id for r in ledger.receipts if r.region == EAST}
    both &= {r.event_id for r in ledger.receipts if r.region == WEST}

    assert figures["lost"] is not None
    assert figures["missing"] is not None
    assert len(acknowledged) == figures["lost"] + figures["missing"] + len(acknowledged & both)


@settings(max_examples=40)
@given(ledgers())
def test_every_message_is_a_first_one_a_duplicate_or_redelivered(ledger: Ledger) -> None:
    """No message is left out, and none is counted twice."""
    figures = figures_of(ledger, COURSE)
    first = {(r.region, r.event_id) for r in ledger.receipts}

    assert figures["duplicates"] is not None
    assert figures["redelivered"] is not None
    assert len(ledger.receipts) == len(first) + figures["duplicates"] + figures["redelivered"]


@settings(max_examples=40)
@given(ledgers())
def test_no_figure_is_negative(ledger: Ledger) -> None:
    """Durations and counts: clocks of queues may differ from ours, and nothing is below 0."""
    assert [v for v in figures_of(ledger, COURSE).values() if v is not None and v < 0] == []


@settings(max_examples=40)
@given(ledgers(), st.randoms())
def test_the_order_of_entries_does_not_matter(ledger: Ledger, rolls: object) -> None:
    """Several threads write: the figures follow from the times alone."""
    shuffled = Ledger(calls=list(ledger.calls), receipts=list(ledger.receipts))
    rolls.shuffle(shuffled.receipts)  # type: ignore[attr-defined]  # a random.Random

    assert figures_of(ledger, COURSE) == figures_of(shuffled, COURSE)


@settings(max_examples=40)
@given(ledgers())
def test_a_running_tally_ends_where_the_ledger_does(ledger: Ledger) -> None:
    """Counted piece by piece or at once: the same totals."""
    grown = Ledger()
    tally = Tally(grown)
    for entered in ledger.calls:
        grown.enter(entered)
        tally.update()
    for receipt in ledger.receipts:
        grown.receive(receipt)
        tally.update()
    figures = figures_of(ledger, COURSE)

    assert figures["events"] == tally.acknowledged
    assert figures["failed_calls"] == tally.failed
    assert tally.is_complete_anywhere() is (figures["lost"] == 0)
    assert tally.is_complete((EAST, WEST)) is (figures["lost"] == figures["missing"] == 0)


@given(st.lists(times, min_size=1), st.floats(0.0, 1.0))
def test_a_quantile_is_one_of_the_values(values: list[float], share: float) -> None:
    """Nothing is interpolated: the figure was seen."""
    assert quantile(sorted(values), share) in values
