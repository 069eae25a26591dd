"""The rules of a bus in one structure: each value of an event leads on to the rules it may concern.

Theory: a discrimination tree. A few sub-rules are a plain list (`Leaf`), all of which are tried. A
list that grows becomes a `Node`, which asks for one field: what hangs on a key is tried only for
events whose field meets that key, and what asks nothing of the field that could be looked up is in
`rest`, which is a branch again. The field is the one that tells the list's sub-rules apart best, so
rules that begin with a wide condition do no harm as long as they have a narrow one too.

Under a key that decides, the field's criterion need not be checked again: each `Entry` has what is
left to check. The way of a sub-rule through the tree follows from the tree alone; so taking one out
is the same walk as putting it in, and nothing has to be remembered about where it is. Lists and
tables are changed in one step each: a reader sees them before or after.

A choice made among the first few rules may be a poor one for later ones. While a node is small
(`RESPLIT_MAX`), it is looked at again whenever its size has doubled.

Nothing here may look at an event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from farspan.pattern.conditions import Condition
from farspan.pattern.fields import Field
from farspan.pattern.lookups import EXACT, NO_KEYS, Branch, Keys, Lookup, keys_of, lookup_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farspan.pattern.lookups import Key

LEAF_MAX: Final = 6
"""Sub-rules that are tried one by one: about what a look-up costs."""

RESPLIT_MAX: Final = 512
"""Sub-rules of a node that may be arranged anew when one is added: a few milliseconds' work."""

SAMPLE_COUNT: Final = 64
"""Sub-rules that are looked at to choose a field: fewer, down to 8, where they ask for many."""

SAMPLE_CRITERIA: Final = 1_000
"""What those sub-rules ask for together, about."""

SPREAD_MAX: Final = 64
"""Places in the tree that one sub-rule may have, as a product of its lists of alternatives."""

GAIN_MIN: Final = 2.0
"""Sub-rules that a node has to save an event from trying: what asking for the field costs."""


class Criterion:
    """What a sub-rule asks of one field, ready to be looked up and to be checked."""

    __slots__ = ("checked", "condition", "field", "keys", "path")

    def __init__(self, path: str, condition: Condition, keys: Keys) -> None:
        self.path = path
        self.field = Field(path)
        self.condition = condition
        self.keys = keys
        # The same below a key that does not decide: still to be checked, not to be looked up.
        self.checked: Criterion | None = None


def criterion_of(path: str, condition: Condition) -> Criterion:
    """Return the criterion for a condition on a path."""
    keys = keys_of(condition)
    criterion = Criterion(path, condition, keys)
    if keys.keys and not keys.decide:
        criterion.checked = Criterion(path, condition, NO_KEYS)
    return criterion


class SubRule:
    """Criteria that must hold together, in the order of their paths, and the rule they are of."""

    __slots__ = ("criteria", "key", "sequence")

    def __init__(self, key: object, sequence: int, criteria: tuple[Criterion, ...]) -> None:
        self.key = key
        self.sequence = sequence
        self.criteria = criteria


class Entry(Branch):
    """A sub-rule at one place of the tree: what is left to check, and in how many places it is."""

    __slots__ = ("left", "spread", "sub_rule")

    def __init__(self, sub_rule: SubRule, left: tuple[Criterion, ...], spread: int) -> None:
        self.sub_rule = sub_rule
        self.left = left
        self.spread = spread

    def criterion_at(self, path: str) -> Criterion | None:
        """Return the criterion for a path, if keys lead to it and their places are not too many."""
        for criterion in self.left:
            if criterion.path == path:
                count = len(criterion.keys.keys)
                return criterion if count and count * self.spread <= SPREAD_MAX else None
        return None

    def under(self, criterion: Criterion) -> Entry:
        """Return the entry as it is under one of the criterion's keys."""
        if criterion.checked is None:
            left = tuple([one for one in self.left if one is not criterion])
        else:
            left = tuple([criterion.checked if one is criterion else one for one in self.left])
        return Entry(self.sub_rule, left, self.spread * len(criterion.keys.keys))

    def above(self, path: str) -> Entry:
        """Return the entry as it was above the key of its criterion for `path`."""
        (criterion,) = [one for one in self.sub_rule.criteria if one.path == path]
        kept = {one.path for one in self.left} | {path}
        left = tuple(
            [
                criterion if one.path == path else self._left_at(one)
                for one in self.sub_rule.criteria
                if one.path in kept
            ]
        )
        return Entry(self.sub_rule, left, self.spread // len(criterion.keys.keys))

    def _left_at(self, criterion: Criterion) -> Criterion:
        checked = criterion.checked
        return checked if checked is not None and checked in self.left else criterion


class Leaf(Branch):
    """A list of entries, all of which are tried. Appended to, or replaced."""

    __slots__ = ("entries",)

    def __init__(self, entries: list[Entry]) -> None:
        self.entries = entries


class Node(Branch):
    """One field, and the branches of what sub-rules ask of it."""

    __slots__ = ("count", "exact", "field", "lookups", "others", "path", "rest")

    def __init__(self, path: str) -> None:
        self.path = path
        self.field = Field(path)
        self.count = 0
        self.exact = Lookup()
        self.others: tuple[Lookup, ...] = ()
        self.lookups: dict[int, Lookup] = {EXACT: self.exact}
        self.rest: Branch | None = None

    def insert(self, entry: Entry) -> None:
        """Put an entry where its keys lead, or in the rest."""
        self.count += 1
        criterion = entry.criterion_at(self.path)
        if criterion is None:
            self.rest = planted(self.rest, entry)
            return
        under = entry.under(criterion)
        for kind, key in criterion.keys.keys:
            lookup = self.lookups.get(kind)
            if lookup is None:
                lookup = self.lookups[kind] = lookup_of(kind)
                self.others = (*self.others, lookup)
            known = lookup.get(key)
            branch = planted(known, under)
            if branch is not known:
                lookup.put(key, branch)

    def remove(self, entry: Entry) -> None:
        """Take an entry out again."""
        self.count -= 1
        criterion = entry.criterion_at(self.path)
        if criterion is None:
            assert self.rest is not None
            self.rest = pruned(self.rest, entry)
            return
        under = entry.under(criterion)
        for kind, key in criterion.keys.keys:
            lookup = self.lookups[kind]
            known = lookup.get(key)
            assert known is not None
            branch = pruned(known, under)
            if branch is None:
                lookup.drop(key)
            elif branch is not known:
                lookup.put(key, branch)

    def entries(self) -> list[Entry]:
        """Return every entry as it is at this node, once."""
        found: dict[int, Entry] = {}
        for lookup in self.lookups.values():
            for branch in lookup.branches():
                for entry in entries_of(branch):
                    if id(entry.sub_rule) not in found:
                        found[id(entry.sub_rule)] = entry.above(self.path)
        entries = list(found.values())
        return entries if self.rest is None else entries + entries_of(self.rest)


def entries_of(branch: Branch) -> list[Entry]:
    """Return every entry as it is at the top of a branch."""
    if isinstance(branch, Node):
        return branch.entries()
    if isinstance(branch, Leaf):
        return list(branch.entries)
    assert isinstance(branch, Entry)
    return [branch]


def planted(branch: Branch | None, entry: Entry) -> Branch:
    """Put an entry into a branch, and return what the branch is now."""
    if branch is None:
        return entry
    if isinstance(branch, Node):
        branch.insert(entry)
        if _has_doubled(branch.count) and branch.count <= RESPLIT_MAX:
            return _rearranged(branch)
        return branch
    if isinstance(branch, Leaf):
        branch.entries.append(entry)
        count = len(branch.entries)
        if count == LEAF_MAX + 1 or (count > LEAF_MAX and _has_doubled(count)):
            path, gain = best_path(branch.entries)
            if gain >= GAIN_MIN:
                return _split(branch.entries, path)
        return branch
    assert isinstance(branch, Entry)
    return Leaf([branch, entry])


def pruned(branch: Branch, entry: Entry) -> Branch | None:
    """Take an entry out of a branch, and return what is left of it."""
    if isinstance(branch, Node):
        branch.remove(entry)
        return branch if branch.count else None
    if isinstance(branch, Leaf):
        left = [one for one in branch.entries if one.sub_rule is not entry.sub_rule]
        if not left:
            return None
        branch.entries = left
        return branch
    return None


def _has_doubled(count: int) -> bool:
    return count & (count - 1) == 0


def _rearranged(node: Node) -> Branch:
    entries = node.entries()
    path, gain = best_path(entries)
    present = gains_of(_sample(entries)).get(node.path, 0.0)
    # A field that has come to gain nothing is no reason for one that gains nothing either.
    if path == node.path or gain < max(0.0, 1.5 * present) + GAIN_MIN:
        return node
    return _split(entries, path)


def _split(entries: Sequence[Entry], path: str) -> Node:
    node = Node(path)
    for entry in entries:
        node.insert(entry)
    return node


def _sample(entries: Sequence[Entry]) -> Sequence[Entry]:
    count = min(SAMPLE_COUNT, max(8, SAMPLE_CRITERIA // max(1, len(entries[0].left))))
    return entries[:: max(1, len(entries) // count)]


def best_path(entries: Sequence[Entry]) -> tuple[str, float]:
    """Return the path that tells entries apart best, and what asking for it gains."""
    best, best_gain = "", 0.0
    for path, gain in sorted(gains_of(_sample(entries)).items()):
        if gain > best_gain:
            best, best_gain = path, gain
    return best, best_gain


def gains_of(entries: Sequence[Entry]) -> dict[str, float]:
    """Return for each path how many entries an event need not try once its value there is known.

    Supposing the worst value: one that meets the key which most of them share.
    """
    weights: dict[str, float] = {}
    crowds: dict[tuple[str, Key], int] = {}
    largest: dict[str, int] = {}
    for entry in entries:
        for criterion in entry.left:
            keys = criterion.keys
            if not keys.keys or len(keys.keys) * entry.spread > SPREAD_MAX:
                continue
            path = criterion.path
            weights[path] = weights.get(path, 0.0) + keys.weight
            for key in keys.keys:
                crowd = crowds[path, key] = crowds.get((path, key), 0) + 1
                if crowd > largest.get(path, 0):
                    largest[path] = crowd
    return {path: weight - largest[path] for path, weight in weights.items()}
