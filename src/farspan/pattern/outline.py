"""What an event has where: the paths, names and scalars from which hints are made.

Unlike `leaves`, which visits only the paths in use, this walks the whole event, once, and only for
an explanation. It keeps a bounded part of a large event: hints may then miss something, verdicts
never come from here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from farspan.pattern.scalars import Scalar, scalar_of_json, scalar_of_number

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Values that the walk visits. An event of a million bytes may hold half as many.
VALUES_MAX: Final = 100_000
#: Scalars kept of one path, and names of one object.
KEPT_MAX: Final = 100
NAMES_MAX: Final = 500

_DECODER: Final = msgspec.json.Decoder(dict, float_hook=scalar_of_number)


class NotAnEvent(ValueError):
    """The text is no JSON object; the message says why."""


class Outline:
    """One event's paths, their steps joined by dots, arrays left out."""

    __slots__ = ("empty_arrays", "names", "scalars")

    def __init__(self, event: bytes) -> None:
        """Walk `event`. Raises `NotAnEvent` where it is no JSON object."""
        self.scalars: dict[str, list[Scalar]] = {}
        self.names: dict[str, dict[str, None]] = {}  # of the objects at a path, in order
        self.empty_arrays: set[str] = set()
        try:
            decoded = _DECODER.decode(event)
        except msgspec.ValidationError:
            raise NotAnEvent("it is JSON, but no object") from None
        except RecursionError:
            raise NotAnEvent("it is nested too deeply") from None
        except ValueError as error:
            raise NotAnEvent(f"it is not JSON: {error}") from None
        self._walk(decoded)

    def _walk(self, event: object) -> None:
        stack: list[Iterator[tuple[str, object]]] = [iter([("", event)])]
        visited = 0
        while stack and visited < VALUES_MAX:
            item = next(stack[-1], None)
            if item is None:
                stack.pop()
                continue
            visited += 1
            path, value = item
            if isinstance(value, dict):
                names = self.names.setdefault(path, {})
                names |= dict.fromkeys(list(value)[: max(NAMES_MAX - len(names), 0)])
                stack.append(_members(path, value))
            elif isinstance(value, list):
                if not value:
                    self.empty_arrays.add(path)
                stack.append(_elements(path, value))
            else:
                kept = self.scalars.setdefault(path, [])
                if len(kept) < KEPT_MAX:
                    kept.append(scalar_of_json(value))


def _members(path: str, value: dict[str, object]) -> Iterator[tuple[str, object]]:
    for name, below in value.items():
        yield f"{path}.{name}" if path else name, below


def _elements(path: str, value: list[object]) -> Iterator[tuple[str, object]]:
    for below in value:
        yield path, below
