"""What an explanation says, as values: fields, alternatives, the nearest miss, and plain data.

The names in `as_dict` are a stable form for programs. Nothing here may decide anything.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farspan.pattern.hints import Hint


class FieldExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """What the pattern asks of one field, and what the event has there.

    `expected` are the alternatives as the pattern writes them, `operators` their names. `found` are
    the first of the `found_count` scalars that the event has at `path`, as JSON text, cut where
    they are long. `replaced` tells that a later clause for the same field takes this one's place,
    in which case it does not count.
    """

    path: str
    operators: tuple[str, ...]
    expected: tuple[str, ...]
    found: tuple[str, ...]
    found_count: int
    matched: bool
    replaced: bool = False
    hint: Hint | None = None

    def as_dict(self) -> dict[str, Any]:
        """Return the field as plain data."""
        return {
            "path": self.path,
            "operators": list(self.operators),
            "expected": list(self.expected),
            "found": list(self.found),
            "found_count": self.found_count,
            "matched": self.matched,
            "replaced": self.replaced,
            "hint": _hint_as_dict(self.hint),
        }


class AlternativeExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """One alternative of `$or`. `nearest` tells that the nearest miss is in it."""

    nodes: tuple[Node, ...]
    matched: bool
    nearest: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the alternative as plain data."""
        return {
            "matched": self.matched,
            "nearest": self.nearest,
            "nodes": [node.as_dict() for node in self.nodes],
        }


class OrExplanation(msgspec.Struct, frozen=True, kw_only=True):
    """`$or`: one of the alternatives has to match."""

    alternatives: tuple[AlternativeExplanation, ...]
    matched: bool

    def as_dict(self) -> dict[str, Any]:
        """Return the alternatives as plain data."""
        alternatives = [alternative.as_dict() for alternative in self.alternatives]
        return {"$or": alternatives, "matched": self.matched}


Node = FieldExplanation | OrExplanation


class NearestMiss(msgspec.Struct, frozen=True, kw_only=True):
    """The way to match that lacks the least: the fields that fail there, or what is wrong with all.

    Where every field matches by itself and the event does not, `failing` is empty, and `hint` says
    which fields match in different elements of one array only.
    """

    failing: tuple[FieldExplanation, ...]
    field_count: int
    hint: Hint | None = None

    @property
    def text(self) -> str:
        """The nearest miss in one line."""
        if self.hint is not None:
            return self.hint.text
        if not self.failing:
            return "each field matches, but not together"
        first = self.failing[0]
        reason = first.hint.text if first.hint else f"has {_some_of(first)}"
        others = len(self.failing) - 1
        more = f" (and {others} more)" if others else ""
        return f"{first.path}: {reason}{more}"

    def as_dict(self) -> dict[str, Any]:
        """Return the nearest miss as plain data."""
        return {
            "text": self.text,
            "field_count": self.field_count,
            "failing": [field.as_dict() for field in self.failing],
            "hint": _hint_as_dict(self.hint),
        }


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why an event matches a pattern, or why it does not.

    `matched` is what `CompiledPattern.matches` says. The nodes stand in the order of the pattern.
    `event_fault` is set where the event is no JSON object, which matches nothing. `nearest_miss` is
    set wherever the event is one and does not match.
    """

    matched: bool
    nodes: tuple[Node, ...]
    nearest_miss: NearestMiss | None = None
    event_fault: str | None = None

    @property
    def text(self) -> str:
        """The verdict in one line."""
        if self.matched:
            return "match"
        if self.nearest_miss is None:
            return f"no match: the event cannot be read, {self.event_fault}"
        return f"no match: {self.nearest_miss.text}"

    def as_dict(self) -> dict[str, Any]:
        """Return the explanation as plain data that any JSON encoder takes."""
        miss = self.nearest_miss
        return {
            "matched": self.matched,
            "text": self.text,
            "event_fault": self.event_fault,
            "nodes": [node.as_dict() for node in self.nodes],
            "nearest_miss": None if miss is None else miss.as_dict(),
        }


def _some_of(field: FieldExplanation) -> str:
    return ", ".join(field.found) + (", …" if field.found_count > len(field.found) else "")


def _hint_as_dict(hint: Hint | None) -> dict[str, Any] | None:
    if hint is None:
        return None
    return {"code": hint.code, "text": hint.text, "suggestion": hint.suggestion}
