"""Expand `$or` into sub-rules: conjunctions of conditions on fields, any of which is enough.

Where a field is named twice, the later clause in the document wins, also between a clause outside
an alternative and one inside it. How many sub-rules there will be is known, and bounded, before any
is built; and sub-rules share their clauses, so that a large expansion stays small.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Final

from farspan.pattern.parse import Clause, FieldClause, OrClause
from farspan.pattern.scan import PatternRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    Draft = list[FieldClause | None]
    """A sub-rule in the making: a slot for each path of the pattern, in the order of the paths."""

#: EventBridge's quota of combinations that `$or` may make of one pattern.
COMBINATIONS_MAX: Final = 1000

Conjunction = tuple[FieldClause, ...]
"""Clauses that must hold together, at most one for each path, in the order of the paths."""


def expand_clauses(clauses: Sequence[Clause]) -> tuple[Conjunction, ...]:
    """Return the sub-rules of a pattern. Raises `PatternRefused` beyond `COMBINATIONS_MAX`."""
    if _combinations(clauses) > COMBINATIONS_MAX:
        raise PatternRefused(f"Rule has over {COMBINATIONS_MAX} rule combinations")
    slots = {path: slot for slot, path in enumerate(sorted(paths_of(clauses)))}
    contested = paths_of(clause for clause in clauses if isinstance(clause, OrClause))
    # What no alternative can replace is written once, before there are a thousand sub-rules.
    common: list[Clause] = []
    disputed: list[Clause] = []
    for clause in clauses:
        apart = isinstance(clause, FieldClause) and clause.path not in contested
        (common if apart else disputed).append(clause)
    drafts = _expand(disputed, _expand(common, [[None] * len(slots)], slots), slots)
    return tuple(tuple(filter(None, draft)) for draft in drafts)


def paths_of(clauses: Iterable[Clause]) -> set[str]:
    """Return the paths that clauses name, those under `$or` included."""
    paths: set[str] = set()
    for clause in clauses:
        if isinstance(clause, FieldClause):
            paths.add(clause.path)
        else:
            paths.update(*map(paths_of, clause.alternatives))
    return paths


def _combinations(clauses: Iterable[Clause]) -> int:
    return prod(
        sum(map(_combinations, clause.alternatives))
        for clause in clauses
        if isinstance(clause, OrClause)
    )


def _expand(clauses: Iterable[Clause], drafts: list[Draft], slots: dict[str, int]) -> list[Draft]:
    """Return what `drafts`, which this call may change, become under `clauses`."""
    for clause in clauses:
        if isinstance(clause, OrClause):
            drafts = [
                branch
                for alternative in clause.alternatives
                for branch in _expand(alternative, [[*draft] for draft in drafts], slots)
            ]
        else:
            for draft in drafts:
                draft[slots[clause.path]] = clause
    return drafts
