"""Pick from an event the scalars at the paths that patterns use, and remember where they were.

A path has its steps joined by dots, whether an event spells them as nested objects or as one dotted
key. A leaf's place says which elements of which arrays lie above it, because fields of one match
must not come from different elements of one array. Nothing here may know what is asked of a leaf.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from farspan.pattern.scalars import Scalar, scalar_of_json, scalar_of_number

if TYPE_CHECKING:
    from collections.abc import Iterable

Place = tuple[tuple[int, int], ...]
"""(array, index) for each array of objects or arrays above a leaf, outermost first.

Arrays are numbered within one event. A scalar directly in an array is at the array's own place.
"""


class Leaf(NamedTuple):
    """A scalar of an event."""

    value: Scalar
    place: Place


Leaves = dict[str, list[Leaf]]
"""The leaves of one event by path; a path without a leaf is not there."""

_EVENT_DECODER: Final = msgspec.json.Decoder(dict, float_hook=scalar_of_number)


class _Node:
    """A step of a path in use."""

    __slots__ = ("is_leaf", "path", "relatives")

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_leaf = False  # a path in use ends here
        # Every node below, by its steps from here joined by dots: so that one look-up serves an
        # event key whether it is a single step or a dotted run of steps.
        self.relatives: dict[str, _Node] = {}


class PathSet:
    """The paths in use, and the walk through an event that visits nothing else."""

    __slots__ = ("_root",)

    def __init__(self, paths: Iterable[str] = ()) -> None:
        self._root = _Node("")
        for path in paths:
            self._add(path)

    def _add(self, path: str) -> None:
        steps = path.split(".")
        nodes = [self._root]
        for end in range(1, len(steps) + 1):
            prefix = ".".join(steps[:end])
            node = self._root.relatives.get(prefix)
            if node is None:
                node = _Node(prefix)
                for start, above in enumerate(nodes):
                    above.relatives[".".join(steps[start:end])] = node
            nodes.append(node)
        nodes[-1].is_leaf = True

    def leaves_of(self, event: bytes) -> Leaves | None:
        """Return the event's leaves at the paths in use; None unless it is a JSON object.

        Of fields with the same name, the last counts. An event nested so deeply that the decoder
        gives up is treated as one that is not JSON.
        """
        try:
            decoded = _EVENT_DECODER.decode(event)
        except (ValueError, RecursionError):
            return None
        leaves: Leaves = {}
        array_count = 0
        stack: list[tuple[object, _Node, Place]] = [(decoded, self._root, ())]
        while stack:
            value, node, place = stack.pop()
            if isinstance(value, dict):
                relatives = node.relatives
                shared = relatives.keys() & value.keys()
                stack.extend((value[name], relatives[name], place) for name in shared)
            elif isinstance(value, list):
                array_count += 1
                stack.extend(_elements(value, node, place, array_count))
            elif node.is_leaf:
                leaves.setdefault(node.path, []).append(Leaf(scalar_of_json(value), place))
        return leaves


def _elements(
    array: list[object], node: _Node, place: Place, number: int
) -> Iterable[tuple[object, _Node, Place]]:
    for index, element in enumerate(array):
        if isinstance(element, dict | list):
            yield element, node, (*place, (number, index))
        else:
            yield element, node, place
