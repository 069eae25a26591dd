"""Match events against compiled patterns: one at a time, or against many rules at once.

The seam: `compile_pattern` makes sub-rules of text; everything behind `CompiledPattern.matches` and
`Matcher` may be exchanged without touching the language. A matcher decodes of an event only what
its rules read (`projection`), and lets the values lead it to the rules that they may concern
(`tree`, `lookups`, `visit`). Nothing here may do I/O or keep anything of an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Generic, TypeVar, cast

from farspan.errors import InvalidEventPatternException
from farspan.pattern.consistency import EventLeaves
from farspan.pattern.expand import Conjunction, expand_clauses, paths_of
from farspan.pattern.leaves import Leaves, PathSet
from farspan.pattern.lookups import Branch
from farspan.pattern.parse import FieldClause, parse_pattern
from farspan.pattern.projection import NOT_AN_OBJECT, NOT_PROJECTED, Projection
from farspan.pattern.scan import PatternRefused
from farspan.pattern.tree import Criterion, Entry, SubRule, criterion_of, planted, pruned
from farspan.pattern.visit import WORK_MAX, OverBudget, Visit

if TYPE_CHECKING:
    from collections.abc import Hashable

K = TypeVar("K", bound="Hashable")


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """A valid event pattern. Two are equal if their texts are."""

    text: str  # as the caller wrote it
    conjunctions: tuple[Conjunction, ...] = field(repr=False, compare=False)
    paths: tuple[str, ...] = field(repr=False, compare=False)  # that the conjunctions name

    def matches(self, event: bytes) -> bool:
        """Tell whether `event`, JSON in UTF-8, matches; anything but a JSON object does not."""
        leaves = _path_set(self.paths).leaves_of(event)
        if leaves is None:
            return False
        met = EventLeaves(leaves)
        return any(met.meets(conjunction) for conjunction in self.conjunctions)


def compile_pattern(text: str) -> CompiledPattern:
    """Compile event pattern `text`.

    Raises `InvalidEventPatternException` with AWS's wording: the reason and, for most reasons, the
    place in the text. The work is bounded for any text of the length that the API lets through.
    """
    try:
        clauses = parse_pattern(text)
        conjunctions = expand_clauses(clauses)
    except PatternRefused as refused:
        message = f"Event pattern is not valid. Reason: {refused.reason}"
        raise InvalidEventPatternException(message) from refused
    paths = sorted(paths_of(clauses))
    return CompiledPattern(text, conjunctions, tuple(paths))


@lru_cache(maxsize=256)
def _path_set(paths: tuple[str, ...]) -> PathSet:
    return PathSet(paths)


class _Rule:
    """What one key has put in the tree, so that it can be taken out again."""

    __slots__ = ("clauses", "paths", "sub_rules")

    def __init__(self, paths: tuple[str, ...]) -> None:
        self.paths = paths
        self.clauses: list[FieldClause] = []
        self.sub_rules: list[SubRule] = []


class Matcher(Generic[K]):
    """Many patterns under their callers' keys; adding or removing one touches few others.

    For one thread, such as an event loop's: nothing here waits or locks. A change costs
    microseconds; the first event after a change of the set of paths in use also pays for a new
    decoder, up to some milliseconds where there are hundreds of paths.
    """

    __slots__ = (
        "_criteria",
        "_projection",
        "_root",
        "_rules",
        "_sequence",
        "_work_max",
        "over_budget_count",
    )

    def __init__(self, *, work_max: int = WORK_MAX) -> None:
        """Take the steps that one event may cost: sub-rules tried, leaves and choices looked at."""
        self._work_max = work_max
        self._rules: dict[K, _Rule] = {}
        self._projection = Projection()
        self._sequence = 0
        self._root: Branch | None = None
        # Criteria that are the same in many rules are one object, counted.
        self._criteria: dict[FieldClause, tuple[Criterion, int]] = {}
        self.over_budget_count = 0  # events on which the work was cut short

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, key: K, pattern: CompiledPattern) -> None:
        """Put `pattern` under `key`, in place of what was there; it then counts as the newest."""
        former = self._rules.get(key)
        self._sequence += 1
        rule = self._rules[key] = _Rule(pattern.paths)
        for path in rule.paths:
            self._projection.add(path)
        # Sub-rules share their clauses: each is looked up once.
        known: dict[int, Criterion] = {}
        for conjunction in pattern.conjunctions:
            for clause in conjunction:
                if id(clause) not in known:
                    known[id(clause)] = self._criterion(clause)
                    rule.clauses.append(clause)
            criteria = tuple([known[id(clause)] for clause in conjunction])
            sub_rule = SubRule(key, self._sequence, criteria)
            rule.sub_rules.append(sub_rule)
            self._root = planted(self._root, Entry(sub_rule, criteria, 1))
        if former is not None:
            self._drop(former)

    def remove(self, key: K) -> None:
        """Take the pattern under `key` out; a key that is not there is no error."""
        rule = self._rules.pop(key, None)
        if rule is not None:
            self._drop(rule)

    def match(self, event: bytes) -> list[K]:
        """Return the keys whose patterns `event`, JSON in UTF-8, matches, oldest first.

        Anything but a JSON object matches nothing. What would take more than `work_max` steps to
        find out is left out, and `over_budget_count` counts such events.
        """
        visit = self._visit(event)
        if visit is None:
            return []
        found = visit.found
        if len(found) <= 1:
            return [cast("K", sub_rule.key) for sub_rule in found]
        keys = {sub_rule.sequence: cast("K", sub_rule.key) for sub_rule in found}
        return [keys[sequence] for sequence in sorted(keys)]

    def _visit(self, event: bytes) -> Visit | None:
        if self._root is None:
            return None
        projected = self._projection.decode(event)
        leaves: Leaves | None = None
        if projected is NOT_AN_OBJECT:
            return None
        if projected is NOT_PROJECTED:
            projected, leaves = None, self._projection.leaves(event)
            if leaves is None:
                return None
        visit = Visit(projected, leaves, self._work_max)
        try:
            visit.follow(self._root)
        except OverBudget:
            self.over_budget_count += 1
        return visit

    def _criterion(self, clause: FieldClause) -> Criterion:
        known = self._criteria.get(clause)
        if known is None:
            criterion, count = criterion_of(clause.path, clause.condition), 0
        else:
            criterion, count = known
        self._criteria[clause] = (criterion, count + 1)
        return criterion

    def _drop(self, rule: _Rule) -> None:
        for sub_rule in rule.sub_rules:
            assert self._root is not None
            self._root = pruned(self._root, Entry(sub_rule, sub_rule.criteria, 1))
        for clause in rule.clauses:
            criterion, count = self._criteria[clause]
            if count > 1:
                self._criteria[clause] = (criterion, count - 1)
            else:
                del self._criteria[clause]
        for path in rule.paths:
            self._projection.remove(path)
