"""What one projected event has at one path, where an array makes that more than one value.

Most arrays are plain: a list of scalars, or a list of objects with the field in each. For them a
value and the index of its element are all there is to know (`FieldValues.indexes`). Arrays in
arrays are rare, and their leaves have places as `leaves` has them. Nothing here may know what is
asked of a value.
"""

from __future__ import annotations

from operator import attrgetter
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.pattern.leaves import Leaf, Place
from farspan.pattern.projection import ABSENT, attribute_of
from farspan.pattern.scalars import Scalar, scalar_of_json

if TYPE_CHECKING:
    from collections.abc import Callable

SEVERAL: Final = object()
"""What `Field.read` returns where one value is not all there is to say: see `values_at`."""

_DEEP: Final = 3
"""Steps of a path from which an array above the leaf is likelier than not to be met."""

OUTSIDE: Final = -1
"""The index of a value that lies in no element of an array."""


class Field:
    """A path, and what reads it from projected events: from the top, or from some step on."""

    __slots__ = ("_above", "_last", "attributes", "getters", "path")

    def __init__(self, path: str) -> None:
        self.path = path
        self.attributes = tuple([attribute_of(step) for step in path.split(".")])
        self.getters: list[Callable[[object], object]] = [
            attrgetter(".".join(self.attributes[depth:])) for depth in range(len(self.attributes))
        ]
        # Looking for an array first is cheaper than the exception that it would be the cause of.
        self._above: Callable[[object], object] | None = None
        self._last: Callable[[object], object] = self.getters[0]
        if len(self.attributes) >= _DEEP:
            self._above = attrgetter(".".join(self.attributes[:-1]))
            self._last = self.getters[-1]

    def read(self, event: object) -> object:
        """Return the value that a projected event has here, `ABSENT` or `SEVERAL`."""
        try:
            if self._above is None:
                return self._last(event)
            above = self._above(event)
            if isinstance(above, list):
                return SEVERAL
            return self._last(above)
        except AttributeError:
            return SEVERAL


class FieldValues:
    """The values of a field, each with the index of the element of `array` that it lies in.

    `array` is 0 where none does. Where that cannot say it, `leaves` does, and has all the values.
    """

    __slots__ = ("array", "indexes", "leaves", "values")

    def __init__(self) -> None:
        self.array = 0
        self.values: list[Scalar] = []
        self.indexes: list[int] = []
        self.leaves: list[Leaf] | None = None

    def all_leaves(self) -> list[Leaf]:
        """Return the same as leaves with their places."""
        if self.leaves is not None:
            return self.leaves
        return [
            Leaf(value, () if index == OUTSIDE else ((self.array, index),))
            for value, index in zip(self.values, self.indexes, strict=True)
        ]


class _Nested(Exception):
    """There is an array in an array."""


def values_of_leaves(leaves: list[Leaf]) -> FieldValues:
    """Return the values of an event that was decoded whole."""
    found = FieldValues()
    found.leaves = leaves
    found.values = [leaf.value for leaf in leaves]
    return found


def values_at(event: object, field: Field) -> FieldValues:
    """Return what a projected event has at a field."""
    found = FieldValues()
    try:
        _walk(event, field, found)
    except _Nested:
        leaves: list[Leaf] = []
        _collect(event, field.attributes, 0, (), leaves)
        found = values_of_leaves(leaves)
    return found


def _walk(event: object, field: Field, found: FieldValues) -> None:
    """Add the values. Raises _Nested where there is more than one array above a value."""
    value = event
    for depth, attribute in enumerate(field.attributes):
        if isinstance(value, list):
            found.array = id(value)  # alive as long as the event
            _walk_elements(value, field.getters[depth], found)
            return
        value = getattr(value, attribute, ABSENT)
    _add(value, OUTSIDE, found)


def _walk_elements(
    array: list[object], getter: Callable[[object], object], found: FieldValues
) -> None:
    for index, element in enumerate(array):
        if isinstance(element, list):
            raise _Nested
        try:
            value = getter(element)
        except AttributeError:
            # A scalar here has no fields. Where one lies deeper, an array may lie deeper as well.
            if isinstance(element, msgspec.Struct):
                raise _Nested from None
            continue
        _add(value, index, found)


def _add(value: object, index: int, found: FieldValues) -> None:
    if isinstance(value, str):
        found.values.append(value)
        found.indexes.append(index)
    elif isinstance(value, list):
        for one in value:
            if isinstance(one, list):
                raise _Nested
            if not isinstance(one, dict):
                _add(one, index, found)
    elif value is not ABSENT and not isinstance(value, dict) and not _is_object(value):
        found.values.append(scalar_of_json(value))
        found.indexes.append(index)


def _is_object(value: object) -> bool:
    return isinstance(value, msgspec.Struct)


def _collect(
    value: object, attributes: tuple[str, ...], depth: int, place: Place, leaves: list[Leaf]
) -> None:
    """Add the leaves below `value`, `depth` steps down a path; an array is its identity."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            if isinstance(element, (list, dict)) or _is_object(element):
                _collect(element, attributes, depth, (*place, (id(value), index)), leaves)
            elif depth == len(attributes):
                leaves.append(Leaf(scalar_of_json(element), place))
    elif _is_object(value):
        if depth < len(attributes):
            below = getattr(value, attributes[depth], ABSENT)
            _collect(below, attributes, depth + 1, place, leaves)
    elif depth == len(attributes) and value is not ABSENT and not isinstance(value, dict):
        leaves.append(Leaf(scalar_of_json(value), place))
