"""`farspan explain`: why an event matches a pattern or does not, with nothing running.

Exit codes: 0 it matches; 1 it does not; 2 the pattern, the event or the words are off.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import click
import msgspec

from farspan.cli.tree import plain, print_lines, tree_lines
from farspan.errors import InvalidEventPatternException
from farspan.pattern import Explanation, explain

MATCH, NO_MATCH, USAGE = 0, 1, 2
STDIN = "-"
CARET_CHARACTERS_BEFORE = 60
"""How much of the pattern's line is shown in front of the fault."""

LOCATION = re.compile(r"; line: (\d+), column: (\d+)\]\Z")
TIPS = (
    ("must be an object or an array", 'values stand in an array, also a single one: ["value"]'),
    ("Unrecognized match type", "the operators are in docs/patterns.md; they are in lower case"),
    ("Filter is not an object", 'a pattern is an object such as {"source": ["shop.orders"]}'),
    ("Rule is too complex", "split the rule, or replace wildcards by prefix or suffix"),
)
"""What to do about AWS's commonest refusals: a part of the reason, and the advice."""


def run_explain(pattern: str, event: str, *, as_json: bool) -> int:
    """Explain and print. Returns the exit code."""
    if pattern == event == STDIN:
        raise click.UsageError("Only one of --pattern and --event can come from standard input.")
    pattern_text, event_text = text_of("--pattern", pattern), text_of("--event", event)
    try:
        explanation = explain(pattern_text, event_text)
    except InvalidEventPatternException as error:
        print_refusal(pattern_text, error)
        return USAGE
    if explanation.event_fault is not None:
        click.echo(
            f"farspan: the event is no JSON object: {plain(explanation.event_fault)}.", err=True
        )
        return USAGE
    if as_json:
        click.echo(json_text(explanation.as_dict()))
    else:
        print_lines(tree_lines(explanation), colour=wants_colour())
    return exit_code(explanation)


def exit_code(explanation: Explanation) -> int:
    """Return what a verdict is to a shell."""
    return MATCH if explanation.matched else NO_MATCH


def text_of(option: str, given: str) -> str:
    """Return the text that an option gives: JSON itself, a file's, or standard input's.

    Raises BadParameter where there is none to read.
    """
    if given.lstrip().startswith("{"):
        return given
    try:
        data = sys.stdin.buffer.read() if given == STDIN else Path(given).read_bytes()
        return data.decode("utf-8-sig")
    except OSError as error:
        raise click.BadParameter(
            f"`{given}` cannot be read: {error.strerror}. Give a file, - or JSON that begins "
            "with {.",
            param_hint=option,
        ) from error
    except UnicodeDecodeError as error:
        raise click.BadParameter(f"`{given}` is not UTF-8.", param_hint=option) from error


def json_text(value: object) -> str:
    """Return indented JSON."""
    return msgspec.json.format(msgspec.json.encode(value), indent=2).decode()


def wants_colour() -> bool:
    """Tell whether colours are welcome: on a terminal, unless NO_COLOR is set."""
    return sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def print_refusal(pattern: str, error: InvalidEventPatternException) -> None:
    """Print AWS's words, the place in the pattern, and what to do about it, if that is known."""
    for text in f"farspan: {error.message}".split("\n"):
        click.echo(plain(text.replace("\t", " ")), err=True)
    location = LOCATION.search(error.message)
    if location is not None:
        click.echo(caret(pattern, line=int(location[1]), column=int(location[2])), err=True)
    for reason, tip in TIPS:
        if reason in error.message.partition("\n")[0]:
            click.echo(f"  tip: {tip}", err=True)


def caret(pattern: str, *, line: int, column: int) -> str:
    """Return the pattern's line, cut to a terminal, with a caret under the fault.

    The column counts from 1 and stands behind what had been read when the fault was seen.
    """
    lines = pattern.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    text = lines[line - 1] if line <= len(lines) else ""
    place = max(column - 2, 0)
    start = max(place - CARET_CHARACTERS_BEFORE, 0)
    shown = text[start : start + CARET_CHARACTERS_BEFORE + 16].replace("\t", " ")
    # An escaped character would move what stands behind it, so that a mark takes its place.
    shown = "".join(character if character.isprintable() else "�" for character in shown)
    return f"  {shown}\n  {' ' * (place - start)}^"
