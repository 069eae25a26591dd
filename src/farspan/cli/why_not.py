"""`farspan why-not`: a rule of a running deployment against an event, or its bus's last events.

What keeps a rule silent whatever the event is said first: it is disabled, it has no targets, or it
has a schedule and no pattern. Exit codes: 0 it matches one of the events and would send it; 1 it
does not; 2 the words are off; 3 nothing answers; 4 the deployment refused.
"""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import click
import msgspec

from farspan.cli.explain import json_text, text_of, wants_colour
from farspan.cli.remote import Refused, Remote, Unreachable
from farspan.cli.tree import mark, plain, print_lines, tree_lines
from farspan.pattern import Explanation, explain

MATCH, NO_MATCH, USAGE, UNREACHABLE, REFUSED = 0, 1, 2, 3, 4
LAST_DEFAULT = 10
EVENTS_PATH = "/-/events"
CELL_CHARACTERS_MAX = 40
"""What is shown of a source or detail-type."""

DATE_CHARACTERS = len("2026-11-25")

ID_CHARACTERS = 12
"""The end of an event's id: events of one call have the same beginning."""

LINE_BREAK = re.compile(r"[ \t]*[\r\n]\s*")
SHOWN = ("time", "id", "source", "detail-type")


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: a rule, its bus, and one event or the last ones."""

    rule: str
    bus: str
    event: str | None
    last: int | None


class _Logged(msgspec.Struct, frozen=True):
    """An event of the page, byte for byte: decoding it would round its numbers."""

    event: msgspec.Raw


class _Page(msgspec.Struct, frozen=True):
    """The last events of a bus."""

    events: list[_Logged]


@dataclass(frozen=True, slots=True)
class Explained:
    """An event and what became of it."""

    fields: dict[str, Any]
    explanation: Explanation

    @property
    def miss(self) -> tuple[int, int]:
        """How near it came: the smaller, the nearer."""
        nearest = self.explanation.nearest_miss
        failing = nearest.failing if nearest else ()
        return len(failing), sum(not field.found for field in failing)


@dataclass(slots=True)
class Answer:
    """A rule, what keeps it silent, and its events explained."""

    rule: dict[str, Any]
    problems: list[str]
    events: list[Explained] = field(default_factory=list)

    @property
    def matched(self) -> bool:
        """Whether the rule would have sent one of the events on."""
        return not self.problems and any(e.explanation.matched for e in self.events)


def run_why_not(remote: Remote, question: Question, *, as_json: bool) -> int:
    """Ask, explain and print. Returns the exit code."""
    if question.event is not None and question.last is not None:
        raise click.UsageError("Give --event or --last, not both.")
    event = None if question.event is None else text_of("--event", question.event)
    try:
        answer = _ask(remote, question, event)
    except Unreachable as error:
        click.echo(f"farspan: {plain(str(error))} Is it up? Start it with `farspan up`.", err=True)
        return UNREACHABLE
    except Refused as error:
        click.echo(f"farspan: {plain(str(error))}", err=True)
        place = _other_bus(remote, question) if error.code == "ResourceNotFoundException" else None
        if place is not None:
            click.echo(f"  The rule is on event bus {place}: add --bus {place}", err=True)
        return REFUSED
    fault = next((e.explanation.event_fault for e in answer.events), None)
    if fault is not None:
        click.echo(f"farspan: the event is no JSON object: {plain(fault)}.", err=True)
        return USAGE
    if as_json:
        click.echo(json_text(_as_dict(answer)))
    else:
        _print(answer, question)
    return MATCH if answer.matched else NO_MATCH


# --- asking ----------------------------------------------------------------------------------


def _ask(remote: Remote, question: Question, event: str | None) -> Answer:
    rule = remote.call("DescribeRule", Name=question.rule, EventBusName=question.bus)
    targets = remote.call("ListTargetsByRule", Rule=question.rule, EventBusName=question.bus)
    answer = Answer(rule, _problems(rule, targets["Targets"]))
    pattern = rule.get("EventPattern")
    if pattern is None:
        return answer
    events = [event] if event is not None else _last_events(remote, question)
    answer.events = [Explained(_fields_of(text), explain(pattern, text)) for text in events]
    return answer


def _problems(rule: dict[str, Any], targets: Sequence[object]) -> list[str]:
    """Return what keeps the rule silent whatever the event."""
    name, problems = rule["Name"], []
    if not rule.get("State", "ENABLED").startswith("ENABLED"):
        problems.append(f"Rule {name} is {rule['State']}: it matches nothing until EnableRule.")
    if not targets:
        problems.append(f"Rule {name} has no targets: what it matches goes nowhere.")
    if "EventPattern" not in rule:
        schedule = rule.get("ScheduleExpression", "nothing")
        problems.append(f"Rule {name} has no event pattern: it goes by {schedule}.")
    return problems


def _last_events(remote: Remote, question: Question) -> list[bytes]:
    last = question.last or LAST_DEFAULT
    body = remote.page(EVENTS_PATH, bus=question.bus, last=last)
    try:
        page = msgspec.json.decode(body, type=_Page)
    except msgspec.MsgspecError as error:
        raise Unreachable(f"What answers at {remote.url} is not Farspan.") from error
    return [bytes(logged.event) for logged in page.events]


def _fields_of(event: str | bytes) -> dict[str, Any]:
    try:
        decoded = msgspec.json.decode(event)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return {}
    if not isinstance(decoded, dict):
        return {}
    return {name: decoded[name] for name in SHOWN if isinstance(decoded.get(name), str)}


def _other_bus(remote: Remote, question: Question) -> str | None:
    """Return another bus that has a rule of this name, None where none is found."""
    try:
        for bus in remote.call("ListEventBuses")["EventBuses"]:
            found = remote.call("ListRules", EventBusName=bus["Name"], NamePrefix=question.rule)
            if any(rule["Name"] == question.rule for rule in found["Rules"]):
                return str(bus["Name"])
    except (Refused, Unreachable):
        pass
    return None


# --- telling ---------------------------------------------------------------------------------


def _as_dict(answer: Answer) -> dict[str, Any]:
    names = ("Name", "Arn", "EventBusName", "State", "EventPattern", "ScheduleExpression")
    return {
        "rule": {name: answer.rule[name] for name in names if name in answer.rule},
        "problems": answer.problems,
        "matched": answer.matched,
        "events": [
            {**explained.fields, "explanation": explained.explanation.as_dict()}
            for explained in answer.events
        ],
    }


def _print(answer: Answer, question: Question) -> None:
    colour = wants_colour()
    for problem in answer.problems:
        click.echo(click.style(plain(problem), fg="yellow"), color=colour)
    if "EventPattern" not in answer.rule:
        return
    pattern = LINE_BREAK.sub(" ", answer.rule["EventPattern"])
    click.echo(f"Pattern: {plain(pattern)}")
    if question.event is not None:
        print_lines(tree_lines(answer.events[0].explanation), colour=colour)
        return
    if not answer.events:
        click.echo(f"Event bus {question.bus} has no events yet.")
        return
    _print_table(answer.events, colour=colour)
    matched = [explained for explained in answer.events if explained.explanation.matched]
    count = len(answer.events)
    if len(matched) == count:
        click.echo(
            f"All {count} match. If nothing arrives, look at the targets and their dead letters."
        )
        return
    click.echo(f"{len(matched)} of {count} match.")
    missed = [explained for explained in answer.events if not explained.explanation.matched]
    nearest = min(reversed(missed), key=lambda explained: explained.miss)
    click.echo(f"\nThe nearest of the others, event {plain(nearest.fields.get('id', '?'))}:")
    print_lines(tree_lines(nearest.explanation), colour=colour)


def _print_table(events: Sequence[Explained], *, colour: bool) -> None:
    """Print one line for each event, cut where the terminal ends; a pipe gets all of it."""
    days = {explained.fields.get("time", "")[:DATE_CHARACTERS] for explained in events}
    rows = [_row(explained, dated=len(days) > 1) for explained in events]
    rows.insert(0, (*SHOWN, "nearest miss"))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    marks = [" ", *(mark(matched=explained.explanation.matched) for explained in events)]
    for sign, row in zip(marks, rows, strict=True):
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        text = "  ".join(cells).rstrip()
        if room is not None and len(text) + 2 > room:
            text = f"{text[: max(room - 3, 0)]}…"
        click.echo(f"{sign} {text}", color=colour)


def _row(explained: Explained, *, dated: bool) -> tuple[str, ...]:
    fields, miss = explained.fields, explained.explanation.nearest_miss
    time = fields.get("time", "")
    cells = (
        time if dated else time[DATE_CHARACTERS + 1 :],
        "…" + fields.get("id", "")[-ID_CHARACTERS:],
        fields.get("source", ""),
        fields.get("detail-type", ""),
    )
    return (
        *(plain(cell[:CELL_CHARACTERS_MAX]) for cell in cells),
        plain(miss.text if miss else ""),
    )
