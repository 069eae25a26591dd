"""An explanation as a tree for the terminal, by hand: it is a few lines, and starts at once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import click

from farspan.pattern import (
    AlternativeExplanation,
    Explanation,
    FieldExplanation,
    OrExplanation,
)

EXPECTED_SHOWN_MAX = 4
"""Alternatives of one field that are shown: a list of fifty says no more than its beginning."""

YES, NO, REPLACED = "✓", "✗", "·"


@dataclass(frozen=True, slots=True)
class Branch:
    """A line of the tree, what is said below it, and what hangs on it."""

    text: str
    notes: tuple[str, ...] = ()
    branches: tuple[Branch, ...] = ()


def tree_lines(explanation: Explanation) -> Iterator[str]:
    """Yield the verdict and the tree, line by line, coloured."""
    yield _verdict(explanation)
    yield from _hang([_branch(node) for node in explanation.nodes], "")


def print_lines(lines: Iterable[str], *, colour: bool) -> None:
    """Print lines, without their colours where the terminal is to have none."""
    for line in lines:
        click.echo(line, color=colour)


def plain(text: str) -> str:
    """Return a text that only prints: what an event or a pattern holds must not steer a terminal.

    Control characters, line breaks among them, and those that turn the direction are escaped.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def mark(*, matched: bool) -> str:
    """Return the sign of a verdict."""
    return click.style(YES, fg="green") if matched else click.style(NO, fg="red")


def _verdict(explanation: Explanation) -> str:
    if explanation.matched:
        return f"{mark(matched=True)} {click.style('match', fg='green', bold=True)}"
    line = f"{mark(matched=False)} {click.style('no match', fg='red', bold=True)}"
    miss = explanation.nearest_miss
    if miss is None:
        return f"{line}: {explanation.event_fault}"
    if not miss.failing:
        return f"{line}: {plain(miss.text)}"
    names = ", ".join(field.path for field in miss.failing)
    count = "1 field fails" if len(miss.failing) == 1 else f"{len(miss.failing)} fields fail"
    return f"{line}: {count} of {miss.field_count}: {plain(names)}"


def _branch(node: FieldExplanation | OrExplanation) -> Branch:
    if isinstance(node, FieldExplanation):
        return _field(node)
    alternatives = tuple(
        _alternative(number, alternative)
        for number, alternative in enumerate(node.alternatives, start=1)
    )
    return Branch(f"{mark(matched=node.matched)} $or", branches=alternatives)


def _alternative(number: int, alternative: AlternativeExplanation) -> Branch:
    nearest = click.style(" (nearest)", fg="yellow") if alternative.nearest else ""
    return Branch(
        f"{mark(matched=alternative.matched)} alternative {number}{nearest}",
        branches=tuple(map(_branch, alternative.nodes)),
    )


def _field(field: FieldExplanation) -> Branch:
    path = click.style(plain(field.path), bold=True)
    if field.replaced:
        text = f"{REPLACED} {path}: replaced by a later clause for the same field"
        return Branch(click.style(text, dim=True))
    expected = " or ".join(field.expected[:EXPECTED_SHOWN_MAX])
    more = len(field.expected) - EXPECTED_SHOWN_MAX
    expected += f" or {more} more" if more > 0 else ""
    text = f"{mark(matched=field.matched)} {path}: {click.style(plain(expected), fg='cyan')}"
    if field.found != field.expected:
        text += f", {plain(_found(field))}"
    hint = () if field.hint is None else (click.style(plain(field.hint.text), fg="yellow"),)
    return Branch(text, notes=hint)


def _found(field: FieldExplanation) -> str:
    if not field.found:
        return "has nothing there"
    found = ", ".join(field.found)
    more = field.found_count - len(field.found)
    return f"has {found}" + (f" and {more} more" if more else "")


def _hang(branches: list[Branch], beginning: str) -> Iterator[str]:
    for branch in branches:
        last = branch is branches[-1]
        below = beginning + ("    " if last else "│   ")
        yield f"{beginning}{'└── ' if last else '├── '}{branch.text}"
        for note in branch.notes:
            yield f"{below}  {note}"
        yield from _hang(list(branch.branches), below)
