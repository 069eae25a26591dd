"""The rules of one bus as the data plane reads them: compiled, matched all at once. Pure."""

from __future__ import annotations

from farspan.model.rule import Rule, RuleState
from farspan.pattern import Matcher, compile_pattern


class Rulebook:
    """The rules of one bus. Only enabled ones with a pattern and a target take part in matching."""

    def __init__(self) -> None:
        self._matcher: Matcher[str] = Matcher()
        self._rules: dict[str, Rule] = {}
        self._names: set[str] = set()

    @property
    def is_empty(self) -> bool:
        """Whether the bus has no rules at all."""
        return not self._names

    @property
    def is_idle(self) -> bool:
        """Whether no event can match anything as the rules stand."""
        return not self._rules

    def put(self, rule: Rule) -> None:
        """Take a rule over as it stands now. Its pattern was checked when it was put."""
        known = self._rules.get(rule.name)
        self._names.add(rule.name)
        if known is not None and known.event_pattern == rule.event_pattern and _counts(rule):
            self._rules[rule.name] = rule
            return
        self._stop_matching(rule)
        if _counts(rule) and rule.event_pattern is not None:
            self._matcher.add(rule.name, compile_pattern(rule.event_pattern))
            self._rules[rule.name] = rule

    def remove(self, rule: Rule) -> None:
        """Forget a rule; one that is not here is forgotten already."""
        self._names.discard(rule.name)
        self._stop_matching(rule)

    def _stop_matching(self, rule: Rule) -> None:
        if self._rules.pop(rule.name, None) is not None:
            self._matcher.remove(rule.name)

    @property
    def over_budget_count(self) -> int:
        """How many events took more work than the matcher gives one, and are matched in part."""
        return self._matcher.over_budget_count

    def match(self, event: bytes) -> list[Rule]:
        """Return the rules that the event matches."""
        return [self._rules[name] for name in self._matcher.match(event)]


def _counts(rule: Rule) -> bool:
    return rule.state is not RuleState.DISABLED and bool(rule.targets)
