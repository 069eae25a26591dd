"""Schedule expressions: `rate(5 minutes)` and `cron(0 12 ? * MON-FRI *)`, read and reckoned.

The grammar is EventBridge's (user guide, "Setting a schedule pattern", and recorded answers of
PutRule); all times are UTC, to the minute. Nothing here may read a clock: when a rule fires is
decided in `cadence`.
"""

from __future__ import annotations

import calendar
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

from farspan.errors import ValidationException

YEAR_MIN: Final = 1970
YEAR_MAX: Final = 2199
"""Where `*` ends. A year that is named may be later, as on AWS."""

SECONDS_MAX: Final = 253_402_300_799
"""The end of the year 9999: no schedule fires later."""

MINUTE_SECONDS: Final = 60
WEEK_DAYS: Final = 7
NTH_MAX: Final = 5
FRIDAY, SATURDAY = 4, 5  # as `date.weekday` counts

_RATE: Final = re.compile(r"rate\(([0-9]+) (minute|hour|day)(s?)\)")
_CRON: Final = re.compile(r"cron\(([^ ]+(?: [^ ]+){5})\)")
_STEP: Final = re.compile(r"([0-9A-Za-z*]+)(?:-([0-9A-Za-z]+))?(?:/([0-9]{1,4}))?")
_NUMBER: Final = re.compile(r"[0-9]{1,4}")
_WEEKDAY_OF_MONTH: Final = re.compile(r"([0-9]{1,2})W")
_LAST_OF_KIND: Final = re.compile(r"([0-9]|[A-Za-z]{3})L")
_NTH_OF_KIND: Final = re.compile(r"([0-9]|[A-Za-z]{3})#([0-9])")

UNIT_SECONDS: Final = {"minute": 60, "hour": 3_600, "day": 86_400}
MONTHS: Final = {name: number for number, name in enumerate(calendar.month_abbr) if name}
DAYS: Final = {
    name: n for n, name in enumerate(("Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"), 1)
}


@dataclass(frozen=True, slots=True)
class Rate:
    """Fires every so many seconds, counted from the moment in which the schedule began."""

    seconds: int

    def next_fire(self, after: float, since: float) -> float | None:
        """See `next_fire`."""
        if self.seconds > SECONDS_MAX:
            return None
        count = max(1, math.floor((after - since) / self.seconds) + 1)
        fire = since + count * self.seconds
        if fire <= after:  # the quotient was rounded
            fire = since + (count + 1) * self.seconds
        return fire if fire <= SECONDS_MAX else None


@dataclass(frozen=True, slots=True)
class _Days:
    """The days of a month that a cron expression means. One of the fields is set.

    `month_days` are days of the month and `week_days` days of the week (1 is Sunday); `last` is
    the month's last day, `nearest` the weekday nearest to a day (0: to the last), and `nth` a day
    of the week with which of them it is (0: the last).
    """

    month_days: frozenset[int] = frozenset()
    week_days: frozenset[int] = frozenset()
    last: bool = False
    nearest: int | None = None
    nth: tuple[int, int] | None = None

    def of(self, year: int, month: int) -> list[int]:
        """Return the days in a month, in order."""
        length = calendar.monthrange(year, month)[1]
        if self.last:
            return [length]
        if self.nearest is not None:
            wanted = self.nearest or length
            return [_nearest_weekday(year, month, wanted)] if wanted <= length else []
        days = [
            day
            for day in range(1, length + 1)
            if day in self.month_days or _week_day(year, month, day) in self.week_days
        ]
        if self.nth is None:
            return days
        week_day, which = self.nth
        of_kind = [d for d in range(1, length + 1) if _week_day(year, month, d) == week_day]
        return of_kind[which - 1 : which or None]


@dataclass(frozen=True, slots=True)
class Cron:
    """Fires at minutes that match all its fields."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: _Days
    months: tuple[int, ...]
    years: tuple[int, ...]

    def next_fire(self, after: float) -> float | None:
        """See `next_fire`."""
        first = (math.floor(after / MINUTE_SECONDS) + 1) * MINUTE_SECONDS
        if first > SECONDS_MAX:
            return None
        begin = datetime.fromtimestamp(max(first, 0), UTC)
        for day in self._days_from(begin.date()):
            earliest = (begin.hour, begin.minute) if day == begin.date() else (0, 0)
            for hour in self.hours:
                for minute in self.minutes:
                    if (hour, minute) >= earliest:
                        fire = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                        return fire.timestamp()
        return None

    def _days_from(self, begin: date) -> Iterator[date]:
        for year in self.years:
            for month in self.months:
                if (year, month) < (begin.year, begin.month):
                    continue
                for number in self.days.of(year, month):
                    day = date(year, month, number)
                    if day >= begin:
                        yield day


Schedule = Rate | Cron


@lru_cache(maxsize=1_024)
def parse_schedule(expression: str) -> Schedule:
    """Return the schedule that an expression stands for. Raises ValidationException."""
    schedule = _rate(expression) or _cron(expression)
    if schedule is None:
        raise ValidationException("Parameter ScheduleExpression is not valid.")
    return schedule


def next_fire(expression: str, after: float, *, since: float = 0.0) -> float | None:
    """Return the first time later than `after` at which the schedule fires, None where none is.

    Times are seconds since the epoch. `since` is when the schedule began, from which a rate
    counts: its first time is one period later. Raises ValidationException.
    """
    schedule = parse_schedule(expression)
    if isinstance(schedule, Rate):
        return schedule.next_fire(after, since)
    return schedule.next_fire(after)


def _rate(expression: str) -> Rate | None:
    found = _RATE.fullmatch(expression)
    if found is None:
        return None
    count, is_plural = int(found[1]), bool(found[3])
    if count < 1 or is_plural is (count == 1):
        return None
    return Rate(count * UNIT_SECONDS[found[2]])


def _cron(expression: str) -> Cron | None:
    found = _CRON.fullmatch(expression)
    if found is None:
        return None
    minute, hour, month_day, month, week_day, year = found[1].split(" ")
    minutes, hours = _values(minute, 0, 59), _values(hour, 0, 23)
    months = _values(month, 1, 12, MONTHS)
    years = _years(year)
    days = _days(month_day, week_day)
    if not (minutes and hours and months and years) or days is None:
        return None
    return Cron(_ordered(minutes), _ordered(hours), days, _ordered(months), _ordered(years))


def _ordered(values: frozenset[int]) -> tuple[int, ...]:
    return tuple(sorted(values))


def _days(month_day: str, week_day: str) -> _Days | None:
    """Return the days; exactly one of the two fields has to be `?`."""
    if (month_day == "?") is (week_day == "?"):
        return None
    return _days_of_week(week_day) if month_day == "?" else _days_of_month(month_day)


def _days_of_month(field: str) -> _Days | None:
    if field == "L":
        return _Days(last=True)
    if field == "LW":
        return _Days(nearest=0)
    nearest = _WEEKDAY_OF_MONTH.fullmatch(field)
    if nearest is not None:
        day = _number(nearest[1], 1, 31, {})
        return None if day is None else _Days(nearest=day)
    values = _values(field, 1, 31)
    return _Days(month_days=values) if values else None


def _days_of_week(field: str) -> _Days | None:
    if field == "L":
        return _Days(week_days=frozenset({WEEK_DAYS}))
    special = _LAST_OF_KIND.fullmatch(field) or _NTH_OF_KIND.fullmatch(field)
    if special is not None:
        day = _number(special[1], 1, WEEK_DAYS, DAYS)
        which = 0 if field.endswith("L") else int(special[2])
        if day is None or which > NTH_MAX or (which == 0 and not field.endswith("L")):
            return None
        return _Days(nth=(day, which))
    if "/" in field:
        return None  # the day of the week has no increments
    values = _values(field, 1, WEEK_DAYS, DAYS)
    return _Days(week_days=values) if values else None


def _years(field: str) -> frozenset[int]:
    """Return the years of the field; none that is named ends the expression's validity."""
    values: set[int] = set()
    for item in field.split(","):
        if item.isdecimal():
            year = _number(item, YEAR_MIN, 9_999, {})
            found = frozenset() if year is None else frozenset({year})
        else:
            found = _item(item, YEAR_MIN, YEAR_MAX, {}, wraps=False)
        if not found:
            return frozenset()
        values |= found
    return frozenset(values)


def _values(
    field: str, low: int, high: int, names: Mapping[str, int] | None = None
) -> frozenset[int]:
    """Return the values of a list of items, none where one item is not valid."""
    values: set[int] = set()
    for item in field.split(","):
        found = _item(item, low, high, names or {}, wraps=True)
        if not found:
            return frozenset()
        values |= found
    return frozenset(values)


def _item(
    text: str, low: int, high: int, names: Mapping[str, int], *, wraps: bool
) -> frozenset[int]:
    """Return the values of `7`, `*`, `1-5`, `22-2` or one of these with `/step`."""
    found = _STEP.fullmatch(text)
    if found is None or (found[1] == "*" and found[2] is not None):
        return frozenset()
    first = low if found[1] == "*" else _number(found[1], low, high, names)
    last: int | None = high
    if found[2] is not None:
        last = _number(found[2], low, high, names)
    elif found[1] != "*" and found[3] is None:
        last = first
    if first is None or last is None or (first > last and not wraps):
        return frozenset()
    row = (
        range(first, last + 1)
        if first <= last
        else (*range(first, high + 1), *range(low, last + 1))
    )
    # An increment of zero means the first value alone.
    step = int(found[3]) if found[3] else 1
    return frozenset(row[::step] if step else row[:1])


def _number(text: str, low: int, high: int, names: Mapping[str, int]) -> int | None:
    named = names.get(text.capitalize())
    if named is not None:
        return named
    if not _NUMBER.fullmatch(text) or not low <= int(text) <= high:
        return None
    return int(text)


def _week_day(year: int, month: int, day: int) -> int:
    """Return the day of the week as EventBridge counts: 1 is Sunday."""
    return date(year, month, day).isoweekday() % WEEK_DAYS + 1


def _nearest_weekday(year: int, month: int, day: int) -> int:
    """Return the weekday nearest to a day, in the same month."""
    wanted = date(year, month, day)
    if wanted.weekday() <= FRIDAY:
        return day
    towards = -1 if wanted.weekday() == SATURDAY else 1
    moved = wanted + timedelta(days=towards)
    if moved.month != month:
        moved = wanted - timedelta(days=2 * towards)
    return moved.day
