"""Match events against compiled patterns: one at a time, or against many rules at once.

The seam: `compile_pattern` makes sub-rules of text; everything behind `CompiledPattern.matches` and
`Matcher` may be exchanged without touching the language. The engine here decodes an event once,
visits only the paths that rules use, and finds most rules by one look-up each: a sub-rule waits
under the values of its most selective exact field, and only sub-rules without one are all tried.
Nothing here may do I/O or keep anything of an event.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Generic, TypeVar

from farspan.errors import InvalidEventPatternException
from farspan.pattern.consistency import EventLeaves
from farspan.pattern.expand import expand_clauses
from farspan.pattern.leaves import PathSet
from farspan.pattern.parse import parse_pattern
from farspan.pattern.scan import PatternRefused

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator

    from farspan.pattern.expand import Conjunction
    from farspan.pattern.parse import FieldClause
    from farspan.pattern.scalars import Scalar

K = TypeVar("K", bound="Hashable")


@dataclass(frozen=True, slots=True)
class CompiledPattern:
    """A valid event pattern. Two are equal if their texts are."""

    text: str  # as the caller wrote it
    conjunctions: tuple[Conjunction, ...] = field(repr=False, compare=False)
    paths: tuple[str, ...] = field(repr=False, compare=False)  # that the conjunctions name
    _path_set: PathSet = field(repr=False, compare=False)

    def matches(self, event: bytes) -> bool:
        """Tell whether `event`, JSON in UTF-8, matches; anything but a JSON object does not."""
        leaves = self._path_set.leaves_of(event)
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
        conjunctions = expand_clauses(parse_pattern(text))
    except PatternRefused as refused:
        message = f"Event pattern is not valid. Reason: {refused.reason}"
        raise InvalidEventPatternException(message) from refused
    paths = sorted({clause.path for conjunction in conjunctions for clause in conjunction})
    return CompiledPattern(text, conjunctions, tuple(paths), PathSet(paths))


@dataclass(frozen=True, slots=True, eq=False)
class _SubRule(Generic[K]):
    """One conjunction of one rule, and the clause under whose values it waits."""

    key: K
    sequence: int
    conjunction: Conjunction
    anchor: FieldClause | None


@dataclass(frozen=True, slots=True)
class _Rule(Generic[K]):
    """What one key has put in the engine, so that it can be taken out again."""

    paths: tuple[str, ...]
    sub_rules: list[_SubRule[K]]


class Matcher(Generic[K]):
    """Many patterns under their callers' keys; adding or removing one touches no other."""

    __slots__ = ("_index", "_paths", "_residue", "_rules", "_sequence")

    def __init__(self) -> None:
        self._rules: dict[K, _Rule[K]] = {}
        self._paths = PathSet()
        self._sequence = 0
        # Dicts serve as ordered sets: what waits under a value, and what waits for every event.
        self._index: dict[str, dict[Scalar, dict[_SubRule[K], None]]] = {}
        self._residue: dict[_SubRule[K], None] = {}

    def __len__(self) -> int:
        return len(self._rules)

    def add(self, key: K, pattern: CompiledPattern) -> None:
        """Put `pattern` under `key`, in place of what was there; it then counts as the newest."""
        self.remove(key)
        self._sequence += 1
        rule = self._rules[key] = _Rule(pattern.paths, [])
        for path in rule.paths:
            self._paths.add(path)
        for conjunction in pattern.conjunctions:
            anchor = self._select_anchor(conjunction)
            sub_rule = _SubRule(key, self._sequence, conjunction, anchor)
            rule.sub_rules.append(sub_rule)
            self._insert(sub_rule)

    def remove(self, key: K) -> None:
        """Take the pattern under `key` out; a key that is not there is no error."""
        rule = self._rules.pop(key, None)
        if rule is None:
            return
        for path in rule.paths:
            self._paths.remove(path)
        for sub_rule in rule.sub_rules:
            self._delete(sub_rule)

    def match(self, event: bytes) -> list[K]:
        """Return the keys whose patterns `event`, JSON in UTF-8, matches, oldest first.

        Anything but a JSON object matches nothing.
        """
        leaves = self._paths.leaves_of(event)
        if leaves is None:
            return []
        met = EventLeaves(leaves)
        found: dict[int, K] = {}
        for sub_rule in self._eligible(met):
            if sub_rule.sequence not in found and met.meets(sub_rule.conjunction):
                found[sub_rule.sequence] = sub_rule.key
        return [found[sequence] for sequence in sorted(found)]

    def _eligible(self, met: EventLeaves) -> Iterator[_SubRule[K]]:
        for path in self._index.keys() & met.leaves.keys():
            waiting = self._index[path]
            for value in {leaf.value for leaf in met.leaves[path]}:
                yield from waiting.get(value, ())
        yield from self._residue

    def _select_anchor(self, conjunction: Conjunction) -> FieldClause | None:
        """Return the exact clause whose values the fewest sub-rules share, or None.

        Among equals, a path already in the index wins: each indexed path costs every event a look.
        """
        exact = [clause for clause in conjunction if clause.condition.exact]
        return min(exact, key=self._crowding, default=None)

    def _crowding(self, clause: FieldClause) -> tuple[int, bool, str]:
        waiting = self._index.get(clause.path, {})
        crowd = max(len(waiting.get(value, ())) for value in clause.condition.values)
        return crowd, not waiting, clause.path

    def _insert(self, sub_rule: _SubRule[K]) -> None:
        if sub_rule.anchor is None:
            self._residue[sub_rule] = None
            return
        waiting = self._index.setdefault(sub_rule.anchor.path, {})
        for value in sub_rule.anchor.condition.values:
            waiting.setdefault(value, {})[sub_rule] = None

    def _delete(self, sub_rule: _SubRule[K]) -> None:
        if sub_rule.anchor is None:
            del self._residue[sub_rule]
            return
        waiting = self._index[sub_rule.anchor.path]
        for value in sub_rule.anchor.condition.values:
            del waiting[value][sub_rule]
            if not waiting[value]:
                del waiting[value]
        if not waiting:
            del self._index[sub_rule.anchor.path]
