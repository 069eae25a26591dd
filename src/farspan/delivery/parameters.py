"""A target's own parameters as one event makes them: JSON paths become what the event has. Pure.

A text that is a JSON path as a whole is replaced, wherever it stands in the parameters (the user
guide, "Dynamic path parameters"). Paths read the event itself, not what an input makes of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from farspan.delivery.event_values import Path, Value, find, parse_path, text_of

_STARTS = ("$.", "$[")


def is_path(text: str) -> bool:
    """Tell whether a text is meant as a JSON path."""
    return text == "$" or text.startswith(_STARTS)


def paths_in(given: object) -> Iterator[str]:
    """Return every text in parameters that is meant as a JSON path."""
    if isinstance(given, str):
        if is_path(given):
            yield given
    elif isinstance(given, Mapping):
        for value in given.values():
            yield from paths_in(value)
    elif isinstance(given, list):
        for value in given:
            yield from paths_in(value)


def resolve(parameters: dict[str, Any], event: Value) -> dict[str, Any]:
    """Return parameters with the event's values in place of paths.

    A string is taken as its text, anything else as JSON; where nothing stands the text is empty.
    """
    return {name: _resolved(value, event) for name, value in parameters.items()}


def _resolved(given: Any, event: Value) -> Any:  # noqa: ANN401 - JSON of any shape
    if isinstance(given, str):
        path = parse_path(given) if is_path(given) else None
        return given if path is None else _text_at(path, event)
    if isinstance(given, Mapping):
        return {name: _resolved(value, event) for name, value in given.items()}
    if isinstance(given, list):
        return [_resolved(value, event) for value in given]
    return given


def _text_at(path: Path, event: Value) -> str:
    found = find(event, path) or b""
    text = text_of(found)
    return found.decode(errors="replace") if text is None else text
