"""When a rule with a schedule fires: a table, and the reckoning around it. Pure.

An occurrence is a time that the rule's expression names. It is *settled* once it fired or is let
go; `Cadence.settled` only grows while the clock can be believed, so no occurrence fires twice.

| the clock says                       | rule ENABLED | rule DISABLED |
|--------------------------------------|--------------|---------------|
| EARLY: before the next occurrence    | WAIT         | WAIT          |
| DUE: at it, or after                 | FIRE         | WAIT          |
| ASTRAY: long before the last settled | RESTART      | WAIT          |

FIRE fires what is no older than the catch-up time and lets older ones go: after an hour's downtime
there is no burst. A clock that goes back a little waits until it is where it was (EARLY). One that
goes back further was wrong before, and the schedule goes on from where it stands now.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

import msgspec

from farspan.model.event import CALL_ID_BYTES, CallId, event_id_of, format_time
from farspan.model.rule import Rule
from farspan.schedules.expression import MINUTE_SECONDS, next_fire

ASTRAY_SECONDS: Final = 900
"""How far the clock may go back before what it said is no longer believed."""


class Moment(StrEnum):
    """Where the clock stands as a rule's schedule sees it."""

    EARLY = "EARLY"  # before the next occurrence
    DUE = "DUE"  # at the next occurrence, or after it
    ASTRAY = "ASTRAY"  # so long before the last settled one that the clock was wrong then


class Action(StrEnum):
    """What follows."""

    WAIT = "WAIT"  # nothing to do yet
    FIRE = "FIRE"  # make the events of the latest occurrences
    RESTART = "RESTART"  # go on from where the clock stands


ACTIONS: Final = {
    (True, Moment.EARLY): Action.WAIT,
    (True, Moment.DUE): Action.FIRE,
    (True, Moment.ASTRAY): Action.RESTART,
    (False, Moment.EARLY): Action.WAIT,
    (False, Moment.DUE): Action.WAIT,
    (False, Moment.ASTRAY): Action.WAIT,
}
"""What follows by whether the rule is enabled, and the moment."""


@dataclass(frozen=True, slots=True)
class Cadence:
    """How far a rule's schedule is. Times are seconds since the epoch.

    `since` is when the schedule began, from which a rate counts. Everything up to `settled` is
    over; `upcoming` is the first occurrence after it, None where there is none.
    """

    expression: str
    since: float
    settled: float
    upcoming: float | None


@dataclass(frozen=True, slots=True)
class Look:
    """What a look at a schedule came to: the occurrences that fire now, and how far it is then."""

    occurrences: tuple[float, ...]
    cadence: Cadence


def cadence_of(expression: str, since: float, settled: float) -> Cadence:
    """Return how far a schedule is that is settled up to a time."""
    return Cadence(expression, since, settled, next_fire(expression, settled, since=since))


def moment_of(cadence: Cadence, now: float) -> Moment:
    """Return where the clock stands."""
    if now < cadence.settled - ASTRAY_SECONDS:
        return Moment.ASTRAY
    if cadence.upcoming is not None and cadence.upcoming <= now:
        return Moment.DUE
    return Moment.EARLY


def step(cadence: Cadence, now: float, *, enabled: bool, catch_up_seconds: float) -> Look:
    """Return what fires at `now`, and how far the schedule is afterwards."""
    action = ACTIONS[enabled, moment_of(cadence, now)]
    if action is Action.FIRE:
        return _fire(cadence, now, catch_up_seconds)
    if action is Action.RESTART:
        return Look((), cadence_of(cadence.expression, cadence.since, now))
    return Look((), cadence)


def _fire(cadence: Cadence, now: float, catch_up_seconds: float) -> Look:
    expression, since = cadence.expression, cadence.since
    settled = max(cadence.settled, now - catch_up_seconds)
    occurrences: list[float] = []
    upcoming = next_fire(expression, settled, since=since)
    while upcoming is not None and upcoming <= now:
        occurrences.append(upcoming)
        settled = upcoming
        upcoming = next_fire(expression, settled, since=since)
    return Look(tuple(occurrences), replace(cadence, settled=settled, upcoming=upcoming))


def schedule_cursor(rule: Rule) -> str:
    """Return the name of the cursor that has the rule's last settled occurrence."""
    return f"schedule/{rule.key}"


def scheduled_event(rule: Rule, occurrence: float) -> bytes:
    """Return the event of an occurrence: AWS's Scheduled Event, with the minute as its time.

    Its id follows from the rule and the occurrence, so that making it again makes the same event.
    """
    name = f"{rule.arn}\0{int(rule.schedule_since)}\0{int(occurrence)}"
    call = CallId(hashlib.sha256(name.encode()).digest()[:CALL_ID_BYTES])
    minute = int(occurrence // MINUTE_SECONDS) * MINUTE_SECONDS
    return msgspec.json.encode(
        {
            "version": "0",
            "id": event_id_of(call, 0),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": rule.account,
            "time": format_time(minute).decode(),
            "region": rule.region,
            "resources": [rule.arn],
            "detail": {},
        }
    )
