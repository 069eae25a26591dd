"""Explain a verdict: which field of a pattern failed, on what value, and what was nearest.

The verdict itself comes from the same conjunctions that rules are matched by, so that the two
cannot differ; what is added is found by looking at each clause alone. Field by field is not the
whole truth in two cases, and each is told: a later clause replaces an earlier one for the same
field, and fields of one match must not come from different elements of one array.

The work is bounded: the pattern by its combinations, the event by `Outline`, values shown by
`written`. Nothing here may do I/O or keep anything of an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import msgspec

from farspan.errors import InvalidEventPatternException
from farspan.pattern.consistency import EventLeaves
from farspan.pattern.expand import expand_clauses
from farspan.pattern.explanation import (
    AlternativeExplanation,
    Explanation,
    FieldExplanation,
    NearestMiss,
    Node,
    OrExplanation,
)
from farspan.pattern.hints import Hint, value_hint
from farspan.pattern.leaves import PathSet
from farspan.pattern.missing import missing_hint
from farspan.pattern.outline import NotAnEvent, Outline
from farspan.pattern.parse import OrClause, parse_pattern
from farspan.pattern.scan import PatternRefused
from farspan.pattern.written import alternatives_of, shown_scalar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from farspan.pattern.expand import Conjunction
    from farspan.pattern.leaves import Leaf
    from farspan.pattern.parse import Clause, FieldClause
    from farspan.pattern.written import Alternative

#: Values of one field that are shown, and elements that are named.
SHOWN_MAX: Final = 5
#: Leaves of one clause that are looked at for the elements they are in.
_PLACES_MAX: Final = 1_000


def explain(pattern: str, event: str | bytes | Mapping[str, Any]) -> Explanation:
    """Explain why `event` matches `pattern` or does not.

    The event is JSON text or a mapping that msgspec can encode. Raises
    `InvalidEventPatternException` as `compile_pattern` does, TypeError or OverflowError for a
    mapping that is no JSON.
    """
    try:
        clauses = parse_pattern(pattern)
        conjunctions = expand_clauses(clauses)
    except PatternRefused as refused:
        message = f"Event pattern is not valid. Reason: {refused.reason}"
        raise InvalidEventPatternException(message) from refused
    return _Explainer(pattern, conjunctions, _json_of(event)).explain(clauses)


def _json_of(event: str | bytes | Mapping[str, Any]) -> bytes:
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode("utf-8", "surrogatepass")
    return msgspec.json.encode(event)


class _Explainer:
    """One pattern's look at one event."""

    def __init__(self, pattern: str, conjunctions: tuple[Conjunction, ...], event: bytes) -> None:
        self._pattern = pattern
        self._conjunctions = conjunctions
        self._event = event
        self._outline: Outline | None = None
        self._counted = {id(clause) for conjunction in conjunctions for clause in conjunction}
        paths = {clause.path for conjunction in conjunctions for clause in conjunction}
        leaves = PathSet(paths).leaves_of(event)
        self._readable = leaves is not None
        self._leaves = leaves or {}
        self._judged = EventLeaves(self._leaves)
        self._missed = False
        self._met: dict[int, bool] = {}
        self._fields: dict[int, FieldExplanation] = {}
        self._deciding: frozenset[int] = frozenset()  # the clauses that match, or are nearest to it

    def explain(self, clauses: tuple[Clause, ...]) -> Explanation:
        if not self._readable:
            fault, nodes = self._fault(), self._nodes(clauses)
            return Explanation(matched=False, nodes=nodes, event_fault=fault)
        met = next(filter(self._judged.meets, self._conjunctions), None)
        deciding = met or min(self._conjunctions, key=self._distance)
        self._deciding = frozenset(map(id, deciding))
        # What stands outside every alternative is in all conjunctions, unless it is replaced there.
        self._counted -= {id(clause) for clause in clauses} - self._deciding
        self._missed = met is None
        miss = self._miss(deciding) if self._missed else None
        return Explanation(matched=bool(met), nodes=self._nodes(clauses), nearest_miss=miss)

    def _fault(self) -> str:
        try:
            Outline(self._event)
        except NotAnEvent as error:
            return str(error)
        return "it is no JSON object"

    # --- the tree ------------------------------------------------------------------------

    def _nodes(self, clauses: Iterable[Clause]) -> tuple[Node, ...]:
        return tuple(
            self._or(clause) if isinstance(clause, OrClause) else self._field(clause)
            for clause in clauses
        )

    def _or(self, clause: OrClause) -> OrExplanation:
        alternatives = tuple(map(self._alternative, clause.alternatives))
        matched = any(alternative.matched for alternative in alternatives)
        return OrExplanation(alternatives=alternatives, matched=matched)

    def _alternative(self, clauses: tuple[Clause, ...]) -> AlternativeExplanation:
        nodes = self._nodes(clauses)
        counted = [n for n in nodes if isinstance(n, OrExplanation) or not n.replaced]
        matched = self._readable and all(node.matched for node in counted)
        nearest = self._missed and self._is_on_the_way(clauses)
        return AlternativeExplanation(nodes=nodes, matched=matched, nearest=nearest)

    def _is_on_the_way(self, clauses: Iterable[Clause]) -> bool:
        """Tell whether the deciding conjunction goes this way: the clauses are then in it."""
        for clause in clauses:
            if isinstance(clause, OrClause):
                if any(map(self._is_on_the_way, clause.alternatives)):
                    return True
            elif id(clause) in self._deciding:
                return True
        return False

    def _is_met(self, clause: FieldClause) -> bool:
        """Tell whether the clause is met when looked at alone.

        Absence is met under elements that other clauses choose, so it is looked at with those of
        its conjunctions that are met.
        """
        met = self._met.get(id(clause))
        if met is None:
            met = self._readable and self._judged.meets((clause,))
            if not met and self._readable and clause.condition.absent:
                met = any(map(partial(self._is_met_beside, clause), self._conjunctions))
            self._met[id(clause)] = met
        return met

    def _is_met_beside(self, clause: FieldClause, conjunction: Conjunction) -> bool:
        if not any(other is clause for other in conjunction):
            return False
        meets = self._judged.meets
        return meets(tuple(c for c in conjunction if c is clause or meets((c,))))

    def _field(self, clause: FieldClause) -> FieldExplanation:
        known = self._fields.get(id(clause))
        if known is not None:
            return known
        alternatives = alternatives_of(self._pattern, clause)
        found = self._leaves.get(clause.path, [])
        met, counted = self._is_met(clause), id(clause) in self._counted
        field = self._fields[id(clause)] = FieldExplanation(
            path=clause.path,
            operators=tuple(alternative.operator for alternative in alternatives),
            expected=tuple(alternative.text for alternative in alternatives),
            found=tuple(shown_scalar(leaf.value) for leaf in self._telling(clause, found)),
            found_count=len(found),
            matched=met,
            replaced=not counted,
            hint=None if met or not counted else self._hint(clause.path, alternatives, found),
        )
        return field

    def _telling(self, clause: FieldClause, found: list[Leaf]) -> list[Leaf]:
        """Return the leaves to show, in the event's order; one that is admitted is among them."""
        backwards = found[::-1]  # the walk through an event takes the last first
        shown = sorted(backwards, key=lambda leaf: leaf.place)[:SHOWN_MAX]
        if len(found) > SHOWN_MAX and self._is_met(clause):
            admitted = next((f for f in found if clause.condition.admits(f.value)), None)
            if admitted is not None and admitted not in shown:
                shown = [admitted, *shown[:-1]]
        return shown

    def _hint(
        self, path: str, alternatives: tuple[Alternative, ...], found: list[Leaf]
    ) -> Hint | None:
        if not self._readable:
            return None
        if found:
            values = list(dict.fromkeys(leaf.value for leaf in found[:_PLACES_MAX]))
            return value_hint(path, alternatives, values)
        if self._outline is None:
            self._outline = Outline(self._event)
        return missing_hint(path, alternatives, self._outline)

    # --- the nearest miss ------------------------------------------------------------------

    def _miss(self, nearest: Conjunction) -> NearestMiss:
        in_order = sorted(nearest, key=lambda clause: clause.span)
        failing = tuple(self._field(clause) for clause in in_order if not self._is_met(clause))
        hint = None if failing else self._split_hint(nearest)
        return NearestMiss(failing=failing, field_count=len(nearest), hint=hint)

    def _distance(self, conjunction: Conjunction) -> tuple[int, int]:
        """Return how much is lacking: the fields that fail, and among those the missing ones."""
        failing = [clause for clause in conjunction if not self._is_met(clause)]
        missing = [clause for clause in failing if clause.path not in self._leaves]
        return len(failing), len(missing)

    def _split_hint(self, conjunction: Conjunction) -> Hint:
        """Return which two fields match in different elements of one array only."""
        meets = self._judged.meets
        end = next(n for n in range(1, len(conjunction) + 1) if not meets(conjunction[:n]))
        culprit = conjunction[end - 1]
        partner = next((c for c in conjunction[:end] if not meets((c, culprit))), None)
        elements = None if partner is None else self._elements(partner, culprit)
        if partner is None or elements is None:
            paths = ", ".join(clause.path for clause in conjunction[:end])
            return Hint("different-elements", f"no one element of an array meets all of {paths}")
        text = (
            f"{partner.path} matches in {elements[0]} and {culprit.path} in {elements[1]} of the "
            "same array: one element has to match both"
        )
        return Hint("different-elements", text)

    def _elements(self, one: FieldClause, other: FieldClause) -> tuple[str, str] | None:
        """Return the elements of one array in which each of two clauses is met, if none is both."""
        if one.condition.absent or other.condition.absent:
            return None
        places, counterparts = self._admitted_places(one), self._admitted_places(other)
        for array in sorted(places.keys() & counterparts.keys()):
            if not places[array].keys() & counterparts[array].keys():
                return _named(places[array]), _named(counterparts[array])
        return None

    def _admitted_places(self, clause: FieldClause) -> dict[int, dict[int, None]]:
        elements: dict[int, dict[int, None]] = {}
        for leaf in self._leaves.get(clause.path, [])[:_PLACES_MAX]:
            if clause.condition.admits(leaf.value):
                for array, index in leaf.place:
                    elements.setdefault(array, {})[index] = None
        return elements


def _named(indices: Iterable[int]) -> str:
    ordered = sorted(indices)
    names = ", ".join(str(index) for index in ordered[:SHOWN_MAX])
    more = ", …" if len(ordered) > SHOWN_MAX else ""
    return f"element {names}{more}" if len(ordered) == 1 else f"elements {names}{more}"
