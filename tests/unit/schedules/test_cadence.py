"""When a schedule fires: the table, clocks that jump, and what is let go."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.model.rule import Rule
from farspan.schedules.cadence import (
    ACTIONS,
    ASTRAY_SECONDS,
    Action,
    Cadence,
    Moment,
    cadence_of,
    moment_of,
    scheduled_event,
    step,
)

START = 1_700_000_040.0  # a whole minute
EVERY_MINUTE = "cron(* * * * ? *)"
RULE = Rule(
    region="us-east-1",
    account="000000000000",
    event_bus_name="default",
    name="nightly",
    schedule_expression="rate(5 minutes)",
    schedule_since=START + 7,
)


def run(
    cadence: Cadence, *times: float, catch_up_seconds: float = 60.0
) -> tuple[list[float], Cadence]:
    """Look at the times, as seconds from the start; return what fired, counted likewise."""
    fired: list[float] = []
    for time in times:
        look = step(cadence, START + time, enabled=True, catch_up_seconds=catch_up_seconds)
        fired += [occurrence - START for occurrence in look.occurrences]
        cadence = look.cadence
    return fired, cadence


def test_every_moment_has_an_action() -> None:
    """The table is total, and a disabled rule only waits."""
    assert set(itertools.product((True, False), Moment)) == set(ACTIONS)
    assert {Action.WAIT} == {action for (on, _), action in ACTIONS.items() if not on}


@pytest.mark.parametrize(
    ("now", "moment"),
    [
        (59.9, Moment.EARLY),
        (60.0, Moment.DUE),
        (1e6, Moment.DUE),
        (-ASTRAY_SECONDS, Moment.EARLY),
        (-ASTRAY_SECONDS - 0.1, Moment.ASTRAY),
    ],
    ids=str,
)
def test_where_the_clock_stands(now: float, moment: Moment) -> None:
    """The next occurrence is at 60; the last was at 0."""
    assert moment is moment_of(cadence_of(EVERY_MINUTE, START, START), START + now)


def test_a_schedule_without_a_next_occurrence_waits() -> None:
    """A year that is over never comes."""
    assert Moment.EARLY is moment_of(cadence_of("cron(* * * * ? 1999)", 0, START), START + 1e9)


def test_each_occurrence_fires_once() -> None:
    """However often the clock is looked at, and within the minute."""
    assert [60.0, 120.0, 180.0] == run(
        cadence_of(EVERY_MINUTE, START, START), 1, 59.9, 60.2, 60.4, 119, 121.5, 122, 180
    )[0]


def test_a_rate_counts_from_its_beginning() -> None:
    """The first time is one period after the rule was put, to the second."""
    assert [307.0, 607.0] == run(
        cadence_of("rate(5 minutes)", START + 7, START + 7), 300, 306.9, 307, 500, 608
    )[0]


def test_a_disabled_rule_lets_its_occurrences_go() -> None:
    """Nothing fires, whatever the clock says."""
    cadence = cadence_of(EVERY_MINUTE, START, START)

    for now in (START + 60, START + 600, START - 10_000):
        look = step(cadence, now, enabled=False, catch_up_seconds=60.0)
        assert ((), cadence) == (look.occurrences, look.cadence)


def test_no_burst_after_downtime() -> None:
    """After an hour only the occurrence of the last minute fires, and then the next ones."""
    assert [3_600.0, 3_660.0] == run(cadence_of(EVERY_MINUTE, START, START), 3_630, 3_661)[0]


def test_what_is_too_old_is_let_go() -> None:
    """An hourly occurrence that is missed by more than the catch-up time never fires."""
    assert [] == run(cadence_of("cron(0 * * * ? *)", START, START), 59_000)[0]


def test_catching_up_is_a_setting() -> None:
    """With ten minutes of it, the occurrences of ten minutes fire, each once."""
    fired, _ = run(cadence_of(EVERY_MINUTE, START, START), 3_630, 3_631, catch_up_seconds=600)

    assert [3_060.0 + 60 * n for n in range(10)] == fired


def test_a_clock_that_goes_back_ten_minutes_doubles_nothing() -> None:
    """What fired does not fire again; it goes on once the clock is where it was."""
    back = [time - 600 for time in (130, 190, 250, 700, 730)]

    assert [60.0, 120.0, 180.0] == run(cadence_of(EVERY_MINUTE, START, START), 60, 121, *back, 180)[
        0
    ]


def test_a_clock_that_goes_forward_ten_minutes_skips_what_it_skipped() -> None:
    """The minutes that never were do not fire, but for the last."""
    assert [60.0, 660.0, 720.0] == run(cadence_of(EVERY_MINUTE, START, START), 60, 661, 720)[0]


def test_a_clock_that_was_wrong_by_far() -> None:
    """It is set right: the schedule goes on from there and does not wait for years."""
    year = 365 * 86_400

    assert [year * 1.0, 120.0, 180.0] == run(
        cadence_of(EVERY_MINUTE, START, START), year, 70, 120, 181
    )[0]


@given(st.lists(st.floats(min_value=-600, max_value=600), max_size=60))
def test_no_occurrence_fires_twice(steps: list[float]) -> None:
    """However the clock jumps by up to ten minutes, within the time in which it is believed."""
    times = list(itertools.accumulate(steps))
    high = itertools.accumulate(times, max)
    believed = [t for t, top in zip(times, high, strict=True) if t >= top - ASTRAY_SECONDS + 60]
    fired, _ = run(cadence_of(EVERY_MINUTE, START, START), *believed)

    assert sorted(set(fired)) == fired


def test_the_event() -> None:
    """AWS's Scheduled Event: the rule in its resources, the minute as its time, no detail."""
    event = json.loads(scheduled_event(RULE, START + 307))

    assert len(event.pop("id")) == 36
    assert {
        "version": "0",
        "detail-type": "Scheduled Event",
        "source": "aws.events",
        "account": "000000000000",
        "time": datetime.fromtimestamp(START + 300, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:000000000000:rule/nightly"],
        "detail": {},
    } == event


def test_the_events_id_follows_from_the_occurrence() -> None:
    """The same occurrence is the same event, the next is another."""
    first, again, following = (scheduled_event(RULE, START + n) for n in (60, 60, 120))

    assert first == again
    assert first[:60] != following[:60]
