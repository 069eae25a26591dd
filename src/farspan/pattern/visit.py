"""One event's way through the tree of rules, with array consistency.

A value is read where it is asked for, straight from the projected event. Only where an event has
an array of objects (or of arrays) on the way to a field are the field's leaves collected, each with
the elements it lies in; and only a sub-rule that asks for two or more such fields needs a
consistent choice of elements, which `consistency` looks for.

The work on one event is bounded (`WORK_MAX`): what is beyond is not matched, and counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from farspan.pattern.consistency import Candidates, choose
from farspan.pattern.leaves import Leaf as FieldLeaf
from farspan.pattern.lookups import Branch
from farspan.pattern.projection import ABSENT, attribute_of
from farspan.pattern.scalars import Scalar, scalar_of_json
from farspan.pattern.tree import Criterion, Entry, Leaf, Node, SubRule

if TYPE_CHECKING:
    from farspan.pattern.leaves import Leaves, Place

WORK_MAX: Final = 2_000_000
"""Steps (sub-rules tried, leaves looked at, choices of elements) for one event: a second or so."""


class OverBudget(Exception):
    """An event would take more than `WORK_MAX` steps."""


class Visit:
    """One event, and the sub-rules that it has been found to meet.

    `event` is projected, or None where the event was decoded whole: then `leaves` has all.
    """

    __slots__ = (
        "_event",
        "_has_places",
        "_judged",
        "_leaves",
        "_whole",
        "_work_max",
        "found",
        "work",
    )

    def __init__(self, event: object, leaves: Leaves | None, work_max: int) -> None:
        self._event = event
        self._whole = event is None
        self._has_places = event is None  # whether a leaf may lie in an element of an array
        self._leaves: Leaves = {} if leaves is None else leaves
        self._judged: dict[int, Candidates] = {}
        self.found: list[SubRule] = []
        self.work = 0
        self._work_max = work_max

    def follow(self, branch: Branch | None) -> None:
        """Try everything in a branch that the event leads to. Raises `OverBudget`."""
        while branch is not None:
            if isinstance(branch, Node):
                self._follow_node(branch)
                branch = branch.rest
            elif isinstance(branch, Leaf):
                for entry in branch.entries:
                    if self._meets(entry):
                        self.found.append(entry.sub_rule)
                return
            else:
                assert isinstance(branch, Entry)
                if self._meets(branch):
                    self.found.append(branch.sub_rule)
                return

    def _follow_node(self, node: Node) -> None:
        try:
            value = node.getter(self._event)
        except AttributeError:
            self._follow_each(node, [leaf.value for leaf in self._leaves_at(node.path)])
            return
        if isinstance(value, str):
            branch = node.exact.table.get(value)
            if branch is not None:
                self.follow(branch)
            if node.others:
                self._follow_others(node, value)
        elif value is ABSENT:
            return
        elif isinstance(value, list):
            self._follow_each(node, [leaf.value for leaf in self._leaves_at(node.path)])
        elif not isinstance(value, dict | msgspec.Struct):
            scalar = scalar_of_json(value)
            branch = node.exact.table.get(scalar)
            if branch is not None:
                self.follow(branch)
            if node.others:
                self._follow_others(node, scalar)

    def _follow_others(self, node: Node, value: Scalar) -> None:
        branches: list[Branch] = []
        for lookup in node.others:
            lookup.find(value, branches)
        for branch in branches:
            self.follow(branch)

    def _follow_each(self, node: Node, values: list[Scalar]) -> None:
        """Follow each of several values; a branch to which several lead is followed once."""
        branches: list[Branch] = []
        for value in dict.fromkeys(values):
            branch = node.exact.table.get(value)
            if branch is not None:
                branches.append(branch)
            for lookup in node.others:
                lookup.find(value, branches)
        for branch in dict.fromkeys(branches):
            self.follow(branch)

    def _meets(self, entry: Entry) -> bool:
        """Tell whether the event meets what is left to check of a sub-rule."""
        self.work += 1
        if self.work > self._work_max:
            raise OverBudget
        for criterion in entry.left:
            if not self._admits(criterion):
                return False
        return not self._has_places or self._is_consistent(entry.sub_rule)

    def _admits(self, criterion: Criterion) -> bool:
        try:
            value = criterion.getter(self._event)
        except AttributeError:
            return self._judge(criterion)
        if isinstance(value, str):
            return criterion.condition.admits(value)
        if value is ABSENT:
            return criterion.condition.absent
        if isinstance(value, list | dict | msgspec.Struct):
            return self._judge(criterion)
        return criterion.condition.admits(scalar_of_json(value))

    # --- where values are in arrays -----------------------------------------------------------

    def _judge(self, criterion: Criterion) -> bool:
        judged = self._judged.get(id(criterion.condition))
        if judged is None:
            found = self._leaves_at(criterion.path)
            self.work += len(found)
            judged = Candidates(criterion.condition, found)
            self._judged[id(criterion.condition)] = judged
        return judged.met or judged.absent

    def _is_consistent(self, sub_rule: SubRule) -> bool:
        """Tell whether one choice of elements serves all fields of a sub-rule that need one."""
        candidates: list[Candidates] = []
        for criterion in sub_rule.criteria:
            if criterion.path in self._leaves:
                self._judge(criterion)
                judged = self._judged[id(criterion.condition)]
                if judged.arrays:
                    candidates.append(judged)
        if not candidates or (len(candidates) == 1 and candidates[0].met):
            return True
        verdict, steps = choose(candidates, self._work_max - self.work)
        self.work += steps
        if self.work >= self._work_max:
            raise OverBudget
        return verdict

    def _leaves_at(self, path: str) -> list[FieldLeaf]:
        """Return the leaves of a field, collected once."""
        leaves = self._leaves.get(path)
        if leaves is None:
            if self._whole:
                return []
            leaves = self._leaves[path] = []
            _collect(self._event, [attribute_of(step) for step in path.split(".")], 0, (), leaves)
            for leaf in leaves:
                if leaf.place:
                    self._has_places = True
                    break
        return leaves


def _collect(
    value: object, attributes: list[str], depth: int, place: Place, leaves: list[FieldLeaf]
) -> None:
    """Add the leaves below `value`, `depth` steps down a path; an array is its identity."""
    if isinstance(value, list):
        for index, element in enumerate(value):
            if isinstance(element, list | dict | msgspec.Struct):
                _collect(element, attributes, depth, (*place, (id(value), index)), leaves)
            elif depth == len(attributes):
                leaves.append(FieldLeaf(scalar_of_json(element), place))
    elif isinstance(value, msgspec.Struct):
        if depth < len(attributes):
            _collect(
                getattr(value, attributes[depth], ABSENT), attributes, depth + 1, place, leaves
            )
    elif depth == len(attributes) and value is not ABSENT and not isinstance(value, dict):
        leaves.append(FieldLeaf(scalar_of_json(value), place))
