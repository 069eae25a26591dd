"""Decide whether one event meets a conjunction, with array consistency.

Each clause must be met by a leaf (or by absence), and the chosen leaves must not lie in different
elements of one array. Clauses are taken in the order of their paths, which shows in the answer:
absence of a field means absence under the elements chosen so far, as AWS's engine has it.

Theory: a partial choice matters to later clauses only through the elements it has fixed of arrays
that later clauses also meet. So instead of a search with backtracking, keep the set of those
partial choices. Paths with a common beginning are neighbours in the order, hence the set is seldom
larger than the largest array. An event made to defeat this stops at `STEPS_MAX`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from farspan.pattern.conditions import Condition
from farspan.pattern.expand import Conjunction
from farspan.pattern.leaves import Leaf, Leaves, Place
from farspan.pattern.scalars import Scalar

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    Choice = frozenset[tuple[int, int]]

#: Steps that conjunctions may take on one event before the answer is no. A million-byte event
#: cannot hold as many elements; only arrays aliased by dotted keys can multiply to more.
STEPS_MAX: Final = 500_000


class PlaceTree:
    """A set of places, shaped so that those consistent with a choice are found directly."""

    __slots__ = ("below", "place")

    def __init__(self, places: Iterable[Place] = ()) -> None:
        self.place: Place | None = None
        self.below: dict[int, dict[int, PlaceTree]] = {}
        for place in places:
            tree = self
            for array, index in place:
                tree = tree.below.setdefault(array, {}).setdefault(index, PlaceTree())
            tree.place = place

    def consistent(self, choice: Choice) -> Iterator[Place]:
        """Yield the places that contradict no element in `choice`."""
        chosen = dict(choice)
        stack = [self]
        while stack:
            tree = stack.pop()
            if tree.place is not None:
                yield tree.place
            for array, elements in tree.below.items():
                if array not in chosen:
                    stack.extend(elements.values())
                elif chosen[array] in elements:
                    stack.append(elements[chosen[array]])


class Candidates:
    """Where in one event one condition can be met."""

    __slots__ = ("absent", "arrays", "everywhere", "met", "places")

    def __init__(self, condition: Condition, found: Sequence[Leaf]) -> None:
        self.places: set[Place] = set()
        self.everywhere: set[Place] = set()
        verdicts: dict[Scalar, bool] = {}  # arrays repeat values, and a condition may be long
        for leaf in found:
            verdict = verdicts.get(leaf.value)
            if verdict is None:
                verdict = verdicts[leaf.value] = condition.admits(leaf.value)
            if verdict:
                self.places.add(leaf.place)
            if condition.absent:
                self.everywhere.add(leaf.place)
        # A leaf outside every array element is there whatever has been chosen.
        self.absent = condition.absent and () not in self.everywhere
        self.met = bool(self.places)
        self.arrays: set[int] = set()
        for place in self.everywhere or self.places:
            for array, _ in place:
                self.arrays.add(array)


class EventLeaves:
    """One event, as many conjunctions ask about it; a clause they share is judged once."""

    __slots__ = ("_judged", "_leaves", "_steps_left")

    def __init__(self, leaves: Leaves) -> None:
        self._leaves = leaves
        self._steps_left = STEPS_MAX
        self._judged: dict[int, Candidates] = {}

    def meets(self, conjunction: Conjunction) -> bool:
        """Tell whether the event meets every clause, with one consistent choice of elements."""
        candidates: list[Candidates] = []
        for clause in conjunction:
            judged = self._judged.get(id(clause))
            if judged is None:
                found = self._leaves.get(clause.path, [])
                judged = self._judged[id(clause)] = Candidates(clause.condition, found)
            if not judged.met and not judged.absent:
                return False
            if judged.arrays:
                candidates.append(judged)
        if len(candidates) == 1 and candidates[0].met:
            return True
        verdict, steps = choose(candidates, self._steps_left)
        self._steps_left = max(0, self._steps_left - steps)
        return verdict


def choose(candidates: Sequence[Candidates], steps_max: int) -> tuple[bool, int]:
    """Tell whether one choice of elements serves all candidates, which are in the order of paths.

    Returns the verdict and the steps that it took; the verdict is no after `steps_max`.
    """
    choices: set[Choice] = {frozenset()}
    steps = 0
    for position, candidate in enumerate(candidates):
        later: set[int] = set()
        for other in candidates[position + 1 :]:
            later |= other.arrays
        places, everywhere = PlaceTree(candidate.places), PlaceTree(candidate.everywhere)
        extended: set[Choice] = set()
        for choice in choices:
            for place in _extensions(candidate, places, everywhere, choice):
                extended.add(frozenset([pair for pair in choice.union(place) if pair[0] in later]))
                steps += 1
                if steps > steps_max:
                    return False, steps
        choices = extended
        if not choices:
            return False, steps
    return True, steps


def _extensions(
    candidate: Candidates, places: PlaceTree, everywhere: PlaceTree, choice: Choice
) -> Iterator[Place]:
    yield from places.consistent(choice)
    if candidate.absent and next(everywhere.consistent(choice), None) is None:
        yield ()
