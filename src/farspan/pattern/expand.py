"""Expand `$or` into sub-rules: conjunctions of conditions on fields, any of which is enough.

Where a field is named twice, the later clause in the document wins, also between a clause outside
an alternative and one inside it. The number of sub-rules is bounded before they are built, and
sub-rules share their clauses, so that a large expansion stays small.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from farspan.pattern.parse import Clause, FieldClause, OrClause
from farspan.pattern.scan import PatternRefused

if TYPE_CHECKING:
    from collections.abc import Iterable

    Draft = dict[str, FieldClause]

#: EventBridge's quota of combinations that `$or` may make of one pattern.
COMBINATIONS_MAX: Final = 1000

Conjunction = tuple[FieldClause, ...]
"""Clauses that must hold together, at most one for each path, in the order of the paths."""


def expand_clauses(clauses: Iterable[Clause]) -> tuple[Conjunction, ...]:
    """Return the sub-rules of a pattern. Raises `PatternRefused` beyond `COMBINATIONS_MAX`."""
    return tuple(tuple(draft[path] for path in sorted(draft)) for draft in _expand(clauses, [{}]))


def _expand(clauses: Iterable[Clause], drafts: list[Draft]) -> list[Draft]:
    """Return what `drafts`, which this call may change, become under `clauses`."""
    for clause in clauses:
        if isinstance(clause, OrClause):
            drafts = _branch(clause, drafts)
        else:
            for draft in drafts:
                draft[clause.path] = clause
    return drafts


def _branch(clause: OrClause, drafts: list[Draft]) -> list[Draft]:
    branches: list[Draft] = []
    for alternative in clause.alternatives:
        branches += _expand(alternative, [dict(draft) for draft in drafts])
        if len(branches) > COMBINATIONS_MAX:
            raise PatternRefused(f"Rule has over {COMBINATIONS_MAX} rule combinations")
    return branches
