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

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from farspan.pattern.expand import Conjunction
    from farspan.pattern.leaves import Leaves, Place
    from farspan.pattern.parse import FieldClause

    Choice = frozenset[tuple[int, int]]

#: Steps one conjunction may take on one event before the answer is no. A million-byte event cannot
#: hold as many elements; only arrays aliased by dotted keys can multiply to more.
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
    """Where in one event one clause can be met."""

    __slots__ = ("absent", "all_places", "arrays", "met", "places")

    def __init__(self, clause: FieldClause, leaves: Leaves) -> None:
        condition = clause.condition
        found = leaves.get(clause.path, ())
        places = {leaf.place for leaf in found if condition.admits(leaf.value)}
        everywhere = {leaf.place for leaf in found} if condition.absent else set()
        # A leaf outside every array element is there whatever has been chosen.
        self.absent = condition.absent and () not in everywhere
        self.met = bool(places)
        self.arrays = {array for place in places | everywhere for array, _ in place}
        self.places = PlaceTree(places)
        self.all_places = PlaceTree(everywhere)


class EventLeaves:
    """One event, as many conjunctions ask about it; a clause they share is judged once."""

    __slots__ = ("_judged", "leaves")

    def __init__(self, leaves: Leaves) -> None:
        self.leaves = leaves
        self._judged: dict[int, Candidates] = {}

    def meets(self, conjunction: Conjunction) -> bool:
        """Tell whether the event meets every clause, with one consistent choice of elements."""
        candidates: list[Candidates] = []
        for clause in conjunction:
            judged = self._judged.get(id(clause))
            if judged is None:
                judged = self._judged[id(clause)] = Candidates(clause, self.leaves)
            if not judged.met and not judged.absent:
                return False
            if judged.arrays:
                candidates.append(judged)
        if len(candidates) == 1 and candidates[0].met:
            return True
        return _choose(candidates)


def _choose(candidates: Sequence[Candidates]) -> bool:
    choices: set[Choice] = {frozenset()}
    steps = 0
    for position, candidate in enumerate(candidates):
        later: set[int] = set().union(*(other.arrays for other in candidates[position + 1 :]))
        extended: set[Choice] = set()
        for choice in choices:
            for place in _extensions(candidate, choice):
                extended.add(frozenset(pair for pair in choice.union(place) if pair[0] in later))
                steps += 1
                if steps > STEPS_MAX:
                    return False
        choices = extended
        if not choices:
            return False
    return True


def _extensions(candidate: Candidates, choice: Choice) -> Iterator[Place]:
    yield from candidate.places.consistent(choice)
    if candidate.absent and next(candidate.all_places.consistent(choice), None) is None:
        yield ()
