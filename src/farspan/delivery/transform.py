"""What a target receives instead of the event: its Input, InputPath or InputTransformer. Pure.

A template is compiled once into literal bytes and slots, and rendered for each event. There are
two ways to fill a slot, and the template's root decides which (recorded from AWS):

| value found       | object template, bare | object template, in quotes | any other template    |
|-------------------|-----------------------|----------------------------|-----------------------|
| string            | JSON string           | its text, escaped          | its text, as it is    |
| number, true, null| as it is              | as it is                   | as it is              |
| object, array     | JSON                  | JSON, quotes and all       | JSON without quotes   |
| nothing           | `""`                  | nothing                    | nothing               |

So a rendered text may be no JSON. It is then not sent but dead-lettered, as EventBridge does.
It must never raise: whatever the template and the event, there is a result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from itertools import groupby
from typing import Final, NamedTuple

import msgspec

from farspan.delivery.event_values import (
    UNREADABLE,
    Path,
    Value,
    compact,
    find,
    parse_path,
    text_of,
)
from farspan.model.rule import InputTransformer, Rule, Target

RENDERED_BYTES_MAX: Final = 2 * 1_048_576
"""Twice the largest event. A template of 8,192 characters could name it two thousand times."""

COMPILED_COUNT_MAX: Final = 2_048
"""Compiled templates that are kept, at most some ten kilobytes each."""

PLACEHOLDER: Final = re.compile(r"<([A-Za-z0-9_.-]+)>")
"""What may name a variable: a key's characters (AWS: InputTransformerPathKey), and the dot that
reserved names have. Every other `<` is an ordinary character."""

_TOKEN: Final = re.compile(
    r'(?P<string>"(?:[^"\\]++|\\.)*+"?)|(?P<blank>[ \t\r\n]+)|' + PLACEHOLDER.pattern, re.DOTALL
)

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
_encode = msgspec.json.Encoder().encode
_path_of = lru_cache(COMPILED_COUNT_MAX)(parse_path)
_check_json = msgspec.json.Decoder(msgspec.Raw).decode


class Reserved(StrEnum):
    """The variables that every template has (AWS: predefined variables)."""

    RULE_ARN = "aws.events.rule-arn"
    RULE_NAME = "aws.events.rule-name"
    INGESTION_TIME = "aws.events.event.ingestion-time"
    EVENT = "aws.events.event"  # the event without its detail, in a spelling of its own
    EVENT_JSON = "aws.events.event.json"  # the whole event


Source = Reserved | Path | None
"""Where a variable's value comes from; None where its path is none, so that it never has one."""

Spell = Callable[[bytes | None], bytes]
"""Writes a found value, as compact JSON, into a template; None where nothing was found."""


@dataclass(frozen=True, slots=True)
class Slot:
    """A place in a template that a variable fills."""

    source: Source
    spell: Spell


Template = tuple[bytes | Slot, ...]
"""A compiled template: literal bytes and slots in turn."""


class Payload(NamedTuple):
    """What to send, or, where `is_invalid`, what to show in the dead letter."""

    body: bytes
    is_invalid: bool = False


class Subject:
    """One event, as its targets' inputs see it. What one of them read, the next finds read."""

    __slots__ = ("accepted_at", "value")

    def __init__(self, envelope: bytes, accepted_at: float) -> None:
        self.accepted_at = accepted_at
        self.value = Value(envelope)

    @property
    def envelope(self) -> bytes:
        """The event's bytes."""
        return self.value.raw


def payload_for(target: Target, rule: Rule, event: Subject) -> Payload:
    """Return what a target with an input of its own receives of an event that the rule matched.

    An empty text is never sent, as an empty Input never is (recorded from AWS). Since a dead letter
    cannot be empty either, it shows the event then.
    """
    if target.input_transformer is not None:
        payload = render(compile_template(target.input_transformer), rule, event)
    elif target.input_path is not None:
        path = _path_of(target.input_path)
        found = None if path is None else find(event.value, path)
        payload = Payload(found or b"")
    else:
        payload = Payload(_literal(target.input or ""))
    return payload if payload.body else Payload(event.envelope, is_invalid=True)


@lru_cache(COMPILED_COUNT_MAX)
def compile_template(transformer: InputTransformer) -> Template:
    """Return a template ready to render. Any text makes one; PutTargets decides what is admitted.

    A name that is no variable stays as it is written. Blanks between the tokens of an object
    template go (AWS: the JSON that is passed to the target is minified).
    """
    text = transformer.input_template
    sources = sources_of(transformer)
    parts: list[bytes | Slot] = []
    place = 0
    if is_object_template(text):
        for token in _TOKEN.finditer(text):
            parts.append(_literal(text[place : token.start()]))
            place = token.end()
            if token["string"]:
                parts += _split(token["string"], sources, _inside_quotes)
            elif not token["blank"]:
                parts += _split(token[0], sources, _as_json)
        parts.append(_literal(text[place:]))
    else:
        parts += _split(text, sources, _as_text)
    return tuple(_joined(parts))


def sources_of(transformer: InputTransformer) -> dict[str, Source]:
    """Return where each variable that the template may name comes from."""
    own = {name: parse_path(path) for name, path in transformer.input_paths or ()}
    return {**own, **{reserved.value: reserved for reserved in Reserved}}


def is_object_template(text: str) -> bool:
    """Return whether a template's root is an object, which decides how slots are filled."""
    return text.lstrip(" \t\r\n").startswith("{")


def _split(text: str, sources: dict[str, Source], spell: Spell) -> list[bytes | Slot]:
    parts: list[bytes | Slot] = []
    place = 0
    for named in PLACEHOLDER.finditer(text):
        if named[1] in sources:
            parts += [_literal(text[place : named.start()]), Slot(sources[named[1]], spell)]
            place = named.end()
    return [*parts, _literal(text[place:])]


def _literal(text: str) -> bytes:
    """Return a text as UTF-8; half a surrogate pair, which has no such form, as `?`."""
    return text.encode(errors="replace")


def _joined(parts: list[bytes | Slot]) -> Iterator[bytes | Slot]:
    """Yield the parts with literals that follow each other made one."""
    for is_literal, run in groupby(parts, lambda part: isinstance(part, bytes)):
        if is_literal:
            yield b"".join(part for part in run if isinstance(part, bytes))
        else:
            yield from run


# --- the three ways to fill a slot ------------------------------------------------------------


def _as_json(found: bytes | None) -> bytes:
    return b'""' if found is None else found


def _inside_quotes(found: bytes | None) -> bytes:
    if found is None:
        return b""
    return found[1:-1] if found[:1] == b'"' else found


def _as_text(found: bytes | None) -> bytes:
    if found is None:
        return b""
    text = text_of(found)
    return found.replace(b'"', b"") if text is None else text.encode(errors="replace")


# --- rendering --------------------------------------------------------------------------------


def render(template: Template, rule: Rule, event: Subject) -> Payload:
    """Return the template with its slots filled; invalid where that is neither JSON nor lines."""
    found: dict[Source, bytes | None] = {}
    pieces: list[bytes] = []
    byte_count = 0
    for part in template:
        if isinstance(part, bytes):
            piece = part
        else:
            if part.source not in found:
                found[part.source] = _look_up(part.source, rule, event)
            piece = part.spell(found[part.source])
        byte_count += len(piece)
        if byte_count > RENDERED_BYTES_MAX:
            return Payload(b"", is_invalid=True)
        pieces.append(piece)
    body = b"".join(pieces)
    return Payload(body, is_invalid=not _is_deliverable(body))


def _is_deliverable(body: bytes) -> bool:
    """Return whether a text is JSON, or JSON strings one a line."""
    if _is_json(body):
        return True
    lines = [line for line in body.split(b"\n") if line.strip()]
    return bool(lines) and all(line.lstrip()[:1] == b'"' and _is_json(line) for line in lines)


def _is_json(text: bytes) -> bool:
    try:
        _check_json(text)
    except UNREADABLE:
        return False
    return True


def _look_up(source: Source, rule: Rule, event: Subject) -> bytes | None:
    if isinstance(source, Reserved):
        return _reserved(source, rule, event)
    return None if source is None else find(event.value, source)


def _reserved(variable: Reserved, rule: Rule, event: Subject) -> bytes:
    match variable:
        case Reserved.RULE_ARN:
            return _encode(rule.arn)
        case Reserved.RULE_NAME:
            return _encode(rule.name)
        case Reserved.INGESTION_TIME:
            return b'"%b"' % _iso_milliseconds(event.accepted_at)
        case Reserved.EVENT:
            return _event_without_detail(event.value)
        case _:
            return compact(event.envelope)


def _iso_milliseconds(seconds: float) -> bytes:
    moment = _EPOCH + timedelta(milliseconds=round(seconds * 1_000))
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1_000:03}Z".encode()


def _event_without_detail(event: Value) -> bytes:
    """Return the event as `<aws.events.event>` has it: `detailType`, and milliseconds for a time.

    Names and forms as recorded from AWS.
    """
    shown: list[bytes] = []
    for name, member in (
        ("id", "id"),
        ("account", "account"),
        ("detailType", "detail-type"),
        ("time", "time"),
        ("source", "source"),
        ("region", "region"),
        ("resources", "resources"),
        ("version", "version"),
    ):
        value = event.step(member)
        if value is not None:
            raw = compact(value.raw)
            shown.append(b'"%b":%b' % (name.encode(), _epoch(raw) if name == "time" else raw))
    return b"{%b}" % b",".join(shown)


def _epoch(raw: bytes) -> bytes:
    """Return a time as milliseconds since the epoch, or as it is where it is none."""
    try:
        moment = datetime.fromisoformat(text_of(raw) or "")
    except ValueError:
        return raw
    if moment.tzinfo is None:
        return raw
    return b"%d" % ((moment - _EPOCH) // _MILLISECOND)
