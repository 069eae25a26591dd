"""One event's way through the tree of rules, with array consistency.

A value is read where it is asked for, straight from the projected event. Only where an event has
an array on the way to a field are its values collected, each with the element that it lies in; and
only a sub-rule that asks for two or more fields in one array needs a consistent choice of elements.
In a plain array that is a choice of one index (`_choose_index`); for arrays in arrays see
`consistency`.

The work on one event is bounded (`WORK_MAX`): what is beyond is not matched, and counted.
"""

from __future__ import annotations

from typing import Final

from farspan.pattern.conditions import Condition
from farspan.pattern.consistency import Candidates, choose
from farspan.pattern.fields import OUTSIDE, Field, FieldValues, values_at, values_of_leaves
from farspan.pattern.leaves import Leaves
from farspan.pattern.lookups import Branch
from farspan.pattern.projection import ABSENT
from farspan.pattern.scalars import Scalar, scalar_of_json
from farspan.pattern.tree import Criterion, Entry, Leaf, Node, SubRule

WORK_MAX: Final = 2_000_000
"""Steps (sub-rules tried, values looked at, choices of elements) for one event: a second or so."""


_NONE: Final[set[int]] = set()
"""No elements. Never added to."""

_FEW: Final = 16
"""Values that are judged one by one."""


class OverBudget(Exception):
    """An event would take more than `WORK_MAX` steps."""


class Judged:
    """Where in one event one condition is met: by elements of a plain array, or by places."""

    __slots__ = ("absent", "array", "candidates", "condition", "elements", "everywhere", "met")

    def __init__(self, condition: Condition, found: FieldValues) -> None:
        self.condition = condition
        self.array = found.array
        self.elements = _NONE  # that meet it
        self.everywhere = _NONE  # that have the field, where absence may meet it
        self.candidates: Candidates | None = None
        if found.leaves is not None:
            self.candidates = Candidates(condition, found.leaves)
            self.met, self.absent = self.candidates.met, self.candidates.absent
            return
        elements: set[int] = set()
        if len(found.values) <= _FEW:
            for position, value in enumerate(found.values):
                if condition.admits(value):
                    elements.add(found.indexes[position])
        else:
            verdicts: dict[Scalar, bool] = {}  # arrays repeat values, and a condition may be long
            for position, value in enumerate(found.values):
                verdict = verdicts.get(value)
                if verdict is None:
                    verdict = verdicts[value] = condition.admits(value)
                if verdict:
                    elements.add(found.indexes[position])
        self.elements = elements
        self.met = bool(elements)
        self.absent = False
        if condition.absent:
            self.everywhere = set(found.indexes)
            # A value outside every array element is there whatever has been chosen.
            self.absent = OUTSIDE not in self.everywhere


class Visit:
    """One event, and the sub-rules that it has been found to meet.

    `event` is projected, or None where the event was decoded whole: then `leaves` has all.
    """

    __slots__ = (
        "_event",
        "_fields",
        "_has_elements",
        "_judged",
        "_leaves",
        "_work_max",
        "found",
        "work",
    )

    def __init__(self, event: object, leaves: Leaves | None, work_max: int) -> None:
        self._event = event
        self._leaves = leaves
        self._has_elements = False  # whether a value was met that lies in an element of an array
        self._fields: dict[str, FieldValues] = {}
        self._judged: dict[int, Judged] = {}
        self._work_max = work_max
        self.found: list[SubRule] = []
        self.work = 0

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
        value = node.field.read(self._event)
        if isinstance(value, str):
            branch = node.exact.table.get(value)
            if branch is not None:
                self.follow(branch)
            if node.others:
                self._follow_others(node, value)
        elif value is ABSENT:
            return
        elif isinstance(value, (int, float)) or value is None:
            scalar = scalar_of_json(value)
            branch = node.exact.table.get(scalar)
            if branch is not None:
                self.follow(branch)
            if node.others:
                self._follow_others(node, scalar)
        else:
            self._follow_each(node)

    def _follow_others(self, node: Node, value: Scalar) -> None:
        branches: list[Branch] = []
        for lookup in node.others:
            lookup.find(value, branches)
        for branch in branches:
            self.follow(branch)

    def _follow_each(self, node: Node) -> None:
        """Follow each of several values; a branch to which several lead is followed once."""
        branches: list[Branch] = []
        for value in dict.fromkeys(self._values_at(node.field).values):
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
        return not self._has_elements or self._is_consistent(entry.sub_rule)

    def _admits(self, criterion: Criterion) -> bool:
        value = criterion.field.read(self._event)
        if isinstance(value, str):
            return criterion.condition.admits(value)
        if value is ABSENT:
            return criterion.condition.absent
        if isinstance(value, (int, float)) or value is None:
            return criterion.condition.admits(scalar_of_json(value))
        judged = self._judge(criterion)
        return judged.met or judged.absent

    # --- where values are in arrays -----------------------------------------------------------

    def _values_at(self, field: Field) -> FieldValues:
        """Return the values of a field, collected once."""
        found = self._fields.get(field.path)
        if found is None:
            if self._leaves is None:
                found = values_at(self._event, field)
            else:
                found = values_of_leaves(self._leaves.get(field.path, []))
            self._fields[field.path] = found
            self.work += len(found.values)
            if found.array or found.leaves is not None:
                self._has_elements = True
        return found

    def _judge(self, criterion: Criterion) -> Judged:
        judged = self._judged.get(id(criterion.condition))
        if judged is None:
            found = self._values_at(criterion.field)
            self.work += len(found.values) * (1 + len(criterion.condition.tests))
            if self.work > self._work_max:
                raise OverBudget
            judged = self._judged[id(criterion.condition)] = Judged(criterion.condition, found)
        return judged

    def _is_consistent(self, sub_rule: SubRule) -> bool:
        """Tell whether one choice of elements serves all fields of a sub-rule that need one."""
        judged: list[Judged] = []
        is_nested = False
        for criterion in sub_rule.criteria:
            found = self._fields.get(criterion.field.path)
            if found is not None and (found.array or found.leaves is not None):
                judged.append(self._judge(criterion))
                is_nested = is_nested or found.leaves is not None
        if len(judged) == 1 and judged[0].met:
            return True
        if is_nested:
            return self._choose_places(sub_rule, judged)
        arrays = {one.array for one in judged}
        if len(arrays) == 1:
            self.work += sum([len(one.elements) for one in judged])
            return _choose_index(judged)
        return all(_choose_index([one for one in judged if one.array == array]) for array in arrays)

    def _choose_places(self, sub_rule: SubRule, judged: list[Judged]) -> bool:
        candidates: list[Candidates] = []
        for criterion in sub_rule.criteria:
            for one in judged:
                if one.condition is criterion.condition:
                    known = one.candidates
                    if known is None:
                        leaves = self._values_at(criterion.field).all_leaves()
                        known = one.candidates = Candidates(one.condition, leaves)
                    if known.arrays:
                        candidates.append(known)
        if len(candidates) == 1 and candidates[0].met:
            return True
        verdict, steps = choose(candidates, self._work_max - self.work)
        self.work += steps
        if self.work >= self._work_max:
            raise OverBudget
        return verdict


def _choose_index(judged: list[Judged]) -> bool:
    """Tell whether one element serves all, which are in the order of their paths.

    A choice is an index, or none yet. Absence of a field means absence from the element chosen by
    fields with earlier paths, as AWS's engine has it.
    """
    if all(not one.condition.absent and OUTSIDE not in one.elements for one in judged):
        common = judged[0].elements
        for one in judged:
            common = common & one.elements
        return bool(common)
    choices = {OUTSIDE}
    for one in judged:
        extended: set[int] = set()
        for choice in choices:
            if choice == OUTSIDE:
                extended |= one.elements
                if one.condition.absent and not one.everywhere:
                    extended.add(OUTSIDE)
            elif (
                choice in one.elements
                or OUTSIDE in one.elements
                or (one.absent and choice not in one.everywhere)
            ):
                extended.add(choice)
        choices = extended
        if not choices:
            return False
    return True
