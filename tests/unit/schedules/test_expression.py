"""Schedule expressions: EventBridge's grammar, and when they fire."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.errors import ValidationException
from farspan.schedules.expression import SECONDS_MAX, next_fire, parse_schedule


def at(text: str) -> float:
    """Return a UTC time as seconds since the epoch."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def fires(expression: str, after: str, count: int = 1) -> list[str]:
    """Return the next times of a schedule, as text."""
    times, moment = [], at(after)
    for _ in range(count):
        fire = next_fire(expression, moment)
        if fire is None:
            break
        moment = fire
        times.append(datetime.fromtimestamp(fire, UTC).strftime("%Y-%m-%d %H:%M"))
    return times


ACCEPTED = [
    "rate(1 minute)",
    "rate(01 minute)",
    "rate(5 minutes)",
    "rate(1 hour)",
    "rate(2 days)",
    "cron(0 12 * * ? *)",
    "cron(5,35 14 * * ? *)",
    "cron(0/5 8-17 ? * MON-FRI *)",
    "cron(15 10 ? * 6L 2019-2022)",
    "cron(0 0 ? * SAT#3 *)",
    "cron(0 0 L * ? *)",
    "cron(0 0 LW * ? *)",
    "cron(0 0 15W * ? *)",
    "cron(0/0 0 * * ? *)",
    "cron(0/60 0 * * ? *)",
    "cron(0 20-2 * * ? *)",
    "cron(50-10/5 * * * ? *)",
    "cron(0 0 1 NOV-FEB ? *)",
    "cron(0 0 1 nov-Feb ? *)",
    "cron(0 0 ? * FRI-MON *)",
    "cron(0 0 28-3 * ? *)",
    "cron(0 0 1 1 ? 2300)",
]
REFUSED = [
    "",
    "rate(0 minutes)",
    "rate(+1 minute)",
    "rate(1.5 minutes)",
    "rate(-1 minutes)",
    "rate(1 minutes)",
    "rate(2 minute)",
    "rate(5 seconds)",
    "rate(1 week)",
    "rate(2 years)",
    "rate(5  minutes)",
    "rate( 5 minutes)",
    " rate(5 minutes)",
    "rate(5 minutes) ",
    "rate(5 minutes)\n",
    "RATE(5 minutes)",
    "rate(5 Minutes)",
    "rate(\u0665 minutes)",
    "CRON(0 12 * * ? *)",
    "cron(0 12 * * ?)",
    "cron(0 12 * * ? * *)",
    "cron(0  12 * * ? *)",
    "cron(0\t12 * * ? *)",
    "cron( 0 12 * * ? *)",
    "cron(0 12 * * * *)",
    "cron(0 12 ? * ? *)",
    "cron(? 12 * * ? *)",
    "cron(0 12 * ? ? *)",
    "cron(60 12 * * ? *)",
    "cron(0 24 * * ? *)",
    "cron(0 12 0 * ? *)",
    "cron(0 12 32 * ? *)",
    "cron(0 12 * 0 ? *)",
    "cron(0 12 * 13 ? *)",
    "cron(0 12 ? * 0 *)",
    "cron(0 12 ? * 8 *)",
    "cron(0 12 ? * NOT *)",
    "cron(0 12 ? * SAT#6 *)",
    "cron(0 12 ? * SAT#0 *)",
    "cron(0 12 32W * ? *)",
    "cron(0 12 * * ? 1969)",
    "cron(0 12 * * ? 2030-2026)",
    "cron(0, 12 * * ? *)",
    "cron(MON 12 * * ? *)",
    "dummy",
]


@pytest.mark.parametrize("expression", ACCEPTED)
def test_what_is_accepted(expression: str) -> None:
    """The grammar as AWS takes it, with what it takes beyond its documentation."""
    parse_schedule(expression)


@pytest.mark.parametrize("expression", REFUSED)
def test_what_is_refused(expression: str) -> None:
    """One sentence for whatever is wrong."""
    with pytest.raises(ValidationException) as refused:
        parse_schedule(expression)

    assert refused.value.message == "Parameter ScheduleExpression is not valid."


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 12 * * ? *)", "2026-11-23 12:00", ["2026-11-24 12:00"]),
        ("cron(0 12 * * ? *)", "2026-11-23 11:59:59.9", ["2026-11-23 12:00"]),
        ("cron(5,35 14 * * ? *)", "2026-11-23 14:00", ["2026-11-23 14:05", "2026-11-23 14:35"]),
        ("cron(0 23-1 * * ? *)", "2026-11-23 00:30", ["2026-11-23 01:00", "2026-11-23 23:00"]),
        (
            "cron(50-10/10 0 * * ? *)",
            "2026-11-23 00:00",
            ["2026-11-23 00:10", "2026-11-23 00:50"],
        ),
        ("cron(0 0 L * ? *)", "2028-02-01", ["2028-02-29 00:00", "2028-03-31 00:00"]),
        ("cron(0 0 LW * ? *)", "2026-05-01", ["2026-05-29 00:00"]),
        ("cron(0 0 1W * ? *)", "2026-07-31", ["2026-08-03 00:00"]),
        ("cron(0 0 31W * ? *)", "2026-04-15", ["2026-05-29 00:00", "2026-07-31 00:00"]),
        ("cron(0 0 15W 11 ? *)", "2026-11-01", ["2026-11-16 00:00"]),
        ("cron(0 0 ? * 6L *)", "2026-11-01", ["2026-11-27 00:00"]),
        ("cron(0 0 ? * L *)", "2026-11-23", ["2026-11-28 00:00"]),
        ("cron(0 0 ? * SAT#3 *)", "2026-11-01", ["2026-11-21 00:00"]),
        ("cron(0 0 ? * MON#5 *)", "2026-12-01", ["2027-03-29 00:00"]),
        (
            "cron(0 0 ? * FRI-MON *)",
            "2026-11-23",
            ["2026-11-27 00:00", "2026-11-28 00:00", "2026-11-29 00:00", "2026-11-30 00:00"],
        ),
        ("cron(0 0 29 2 ? *)", "2026-11-23", ["2028-02-29 00:00"]),
        ("cron(0 0 30 2 ? *)", "2026-11-23", []),
        ("cron(0 0 1 1 ? 2026)", "2026-11-23", []),
        ("cron(30/0 0 * * ? *)", "2026-11-23", ["2026-11-23 00:30", "2026-11-24 00:30"]),
        ("cron(0 0 1 1 ? 2300)", "2026-11-23", ["2300-01-01 00:00"]),
    ],
)
def test_when_a_cron_fires(expression: str, after: str, expected: list[str]) -> None:
    """The next times, strictly after the moment that is given."""
    assert fires(expression, after, max(1, len(expected))) == expected


def test_a_rate_counts_from_its_beginning() -> None:
    """It first fires one period after the schedule began, and keeps that cadence."""
    assert next_fire("rate(5 minutes)", 1_000.0, since=1_000.0) == 1_300.0
    assert next_fire("rate(5 minutes)", 1_300.0, since=1_000.0) == 1_600.0
    assert next_fire("rate(5 minutes)", 1_599.9, since=1_000.0) == 1_600.0
    assert next_fire("rate(5 minutes)", 0.0, since=1_000.0) == 1_300.0
    assert next_fire(f"rate({'9' * 200} days)", 0.0) is None


moments = st.floats(0, SECONDS_MAX, allow_nan=False)
units = st.sampled_from(["minutes", "hours", "days"])
rates = st.builds("rate({} {})".format, st.integers(2, 10_000), units)
minutes = st.one_of(st.just("*"), st.builds("{}-{}/{}".format, *[st.integers(0, 59)] * 3))
hours = st.one_of(st.just("*"), st.builds("{}/{}".format, *[st.integers(0, 23)] * 2))
days = st.one_of(
    st.builds(
        "{} {{}} ?".format, st.one_of(st.integers(1, 31), st.sampled_from(["L", "LW", "15W"]))
    ),
    st.builds("? {{}} {}".format, st.sampled_from(["MON-FRI", "6L", "SAT#3", "L", "7-2"])),
)
months = st.one_of(st.just("*"), st.integers(1, 12), st.just("NOV-FEB"))
crons = st.builds(
    lambda minute, hour, day, month: f"cron({minute} {hour} {day.format(month)} *)",
    minutes,
    hours,
    days,
    months,
)


@settings(derandomize=True, deadline=None)
@given(st.one_of(rates, crons), moments)
def test_the_next_time_is_later(expression: str, after: float) -> None:
    """Strictly later than the moment, at a whole minute; a moment between the two has the same."""
    fire = next_fire(expression, after)
    if fire is None:
        assert expression.startswith("cron") or after > SECONDS_MAX - 10_000 * 86_400
        return

    assert fire > after
    assert fire % 60 == 0
    if fire - after > 1:
        assert next_fire(expression, fire - 1) == fire


@settings(derandomize=True)
@given(st.text(max_size=40), st.sampled_from(["{}", "rate({})", "cron({})", "cron(0 0 {} * ? *)"]))
def test_any_text_is_read_or_refused(text: str, frame: str) -> None:
    """Nothing but a ValidationException comes of a text that is none."""
    with contextlib.suppress(ValidationException):
        parse_schedule(frame.format(text))
