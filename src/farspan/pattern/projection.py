"""Decode from an event only what rules ask for; the rest is skipped, though its syntax is checked.

The paths in use make a tree of msgspec types: each step above a leaf is a type of its own, with one
attribute for each step below it. What an event has at a path is then one `operator.attrgetter` in C
(`fields`), which works for every projection, so that nothing else changes when the types do.

An event that the types do not fit is decoded whole instead (`leaves`): one that spells nested keys
with dots, or that holds a number which no double is where an object is expected. Keys that msgspec
cannot name send every event that way. Nothing here may know what is asked of a value.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec

from farspan.pattern.leaves import PathSet
from farspan.pattern.scalars import scalar_of_number

if TYPE_CHECKING:
    from collections.abc import Callable

    from farspan.pattern.leaves import Leaves

ABSENT: Final = msgspec.UNSET
"""What reading a path returns where an event has nothing at a path."""

NOT_AN_OBJECT: Final = object()
"""What `decode` returns for anything but a JSON object."""

NOT_PROJECTED: Final = object()
"""What `decode` returns for an event that has to be decoded whole."""

#: The type of a key that spells several steps with dots. No value has it: an event with such a key
#: fails to decode, at no cost to all others.
_DOTTED: Final = Annotated[int, msgspec.Meta(gt=1, lt=0)]

_DEPTH_MAX: Final = 24
"""Steps above a leaf; deeper paths are read from events decoded whole."""


_ARRAYS_MAX: Final = 3
"""Arrays directly in arrays on the way to a leaf; an event with more is decoded whole."""


def attribute_of(step: str) -> str:
    """Return the attribute that stands for a step: the same in every projection."""
    if step.isascii() and step.isidentifier():
        return "f_" + step
    return "x_" + step.encode("utf-8", "surrogatepass").hex()


class _Step:
    """A step of a path in use, and the steps in use below it."""

    __slots__ = ("below", "is_leaf")

    def __init__(self) -> None:
        self.below: dict[str, _Step] = {}
        self.is_leaf = False


class Projection:
    """The paths in use, counted, and the decoder that reads them.

    The decoder is made anew by the first event after the set of paths has changed.
    """

    __slots__ = ("_counts", "_decode", "_whole")

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}
        self._decode: Callable[[bytes], object] | None = None
        self._whole: PathSet | None = None

    @property
    def paths(self) -> frozenset[str]:
        """The paths in use."""
        return frozenset(self._counts)

    def add(self, path: str) -> None:
        """Count one more use of `path`."""
        count = self._counts.get(path, 0)
        self._counts[path] = count + 1
        if not count:
            self._decode = self._whole = None

    def remove(self, path: str) -> None:
        """Count one use of `path` less. The path must have been added."""
        self._counts[path] -= 1
        if not self._counts[path]:
            del self._counts[path]
            self._decode = self._whole = None

    def decode(self, event: bytes) -> object:
        """Return the projected event, `NOT_AN_OBJECT` or `NOT_PROJECTED`."""
        decode = self._decode
        if decode is None:
            decode = self._decode = _decoder_of(self._counts)
        try:
            return decode(event)
        except msgspec.ValidationError:
            return NOT_PROJECTED
        except (ValueError, RecursionError):
            return NOT_AN_OBJECT

    def leaves(self, event: bytes) -> Leaves | None:
        """Return the leaves at the paths in use of an event decoded whole; None for no object."""
        whole = self._whole
        if whole is None:
            whole = self._whole = PathSet(self._counts)
        return whole.leaves_of(event)


def _decoder_of(paths: dict[str, int]) -> Callable[[bytes], object]:
    root = _Step()
    for path in paths:
        step = root
        names = path.split(".")
        if len(names) > _DEPTH_MAX:
            return _decode_nothing
        for name in names:
            step = step.below.setdefault(name, _Step())
        step.is_leaf = True
    try:
        kind = _type_of(root)
    except ValueError:
        return _decode_nothing
    return msgspec.json.Decoder(kind, float_hook=scalar_of_number).decode


def _decode_nothing(event: bytes) -> object:  # noqa: ARG001 - stands for a decoder
    return NOT_PROJECTED


def _type_of(step: _Step) -> type[msgspec.Struct]:
    """Return the type of an object at `step`. Raises ValueError for keys that cannot be named."""
    fields: list[tuple[str, Any, Any]] = []
    names: dict[str, str] = {}
    for name, below in step.below.items():
        attribute = attribute_of(name)
        names[attribute] = name
        if below.below:
            kind = _type_of(below)
            # A frozen type's instance may be the default of many: what is not there has no leaves.
            fields.append((attribute, _values_of(kind, with_floats=not below.is_leaf), kind()))
        else:
            fields.append((attribute, Any, ABSENT))
    for number, dotted in enumerate(_dotted_keys(step)):
        names[f"d_{number}"] = dotted
        fields.append((f"d_{number}", _DOTTED, ABSENT))
    return msgspec.defstruct("Projected", fields, rename=names, frozen=True, gc=False)


def _values_of(kind: type[msgspec.Struct], *, with_floats: bool) -> Any:  # noqa: ANN401 - a type
    """Return the type of what may stand where rules ask for fields of an object.

    Where they ask for the value itself too, a float has to go through `scalar_of_number`, which
    msgspec calls for untyped values only: such an event is decoded whole.
    """
    scalars: Any = str | int | bool | None
    if with_floats:
        scalars |= float
    values: Any = scalars | kind
    for _ in range(_ARRAYS_MAX):
        values = scalars | kind | list[values]
    return values


def _dotted_keys(step: _Step) -> list[str]:
    """Return the keys that spell two or more steps below `step` at once."""
    keys = []
    stack = [(name, below) for name, below in step.below.items()]
    while stack:
        name, above = stack.pop()
        for last, below in above.below.items():
            dotted = f"{name}.{last}"
            keys.append(dotted)
            stack.append((dotted, below))
    return keys
