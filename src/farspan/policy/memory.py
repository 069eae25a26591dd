"""Decisions remembered: a key that puts events asks the same few questions again and again.

A decision follows from the policies and the question alone, and of the question's context only
from the keys that the policies speak of. So nothing has to be forgotten when something changes: a
changed policy is another policy. Nothing here may decide.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from farspan.policy.evaluate import Decision, Request, evaluate
from farspan.policy.template import variables_of

if TYPE_CHECKING:
    from farspan.policy.document import Policy, Statement

DECISIONS_KEPT: Final = 1_024
"""Questions whose answers are kept; beyond it, all are forgotten at once."""

POLICY_SETS_KEPT: Final = 1_024
KEY_CHARACTERS_MAX: Final = 1_024
"""A question with longer values is not kept: a caller could fill the memory with them."""

Policies = tuple["Policy | None", ...]


class Decisions:
    """Answers as `evaluate` does, from memory where it can."""

    def __init__(self) -> None:
        # Policies are told apart by their identity, which stays theirs as long as they are held.
        self._decisions: dict[tuple[object, ...], tuple[Policies, Decision]] = {}
        self._spoken_of: dict[tuple[int, ...], tuple[Policies, frozenset[str]]] = {}

    def evaluate(
        self, identity: Sequence[Policy], resource: Policy | None, request: Request, *, own: bool
    ) -> Decision:
        """Decide as `evaluate` with `same_account=own`."""
        policies: Policies = (*identity, resource)
        ids = tuple(map(id, policies))
        asked = self._asked(ids, policies, request)
        if asked is None:
            return evaluate(identity, resource, request, same_account=own)
        question = (ids, own, request.principal, request.action, request.resource, asked)
        found = self._decisions.get(question)
        if found is None:
            if len(self._decisions) >= DECISIONS_KEPT:
                self._decisions.clear()
            decision = evaluate(identity, resource, request, same_account=own)
            found = self._decisions[question] = policies, decision
        return found[1]

    def _asked(
        self, ids: tuple[int, ...], policies: Policies, request: Request
    ) -> tuple[object, ...] | None:
        """Return what the policies see of the context, None where it is too long to keep."""
        known = self._spoken_of.get(ids)
        if known is None:
            if len(self._spoken_of) >= POLICY_SETS_KEPT:
                self._spoken_of.clear()
            known = self._spoken_of[ids] = policies, _spoken_of(policies)
        spoken_of = known[1]
        asked: list[object] = []
        character_count = len(request.resource)
        for key, value in request.context.items() if spoken_of else ():
            lower = key.lower()
            if lower in spoken_of:
                texts = (value,) if isinstance(value, str) else tuple(value)
                asked.append((lower, texts))
                character_count += sum(len(text or "") for text in texts)
        return tuple(asked) if character_count <= KEY_CHARACTERS_MAX else None


def _spoken_of(policies: Policies) -> frozenset[str]:
    """Return the condition keys, in lower case, that policies test or use as variables."""
    keys: set[str] = set()
    for statement in (each for policy in policies if policy for each in policy.statements):
        keys.update(test.key.lower() for test in statement.condition)
        keys.update(variable.key for text in _texts(statement) for variable in variables_of(text))
    return frozenset(keys)


def _texts(statement: Statement) -> list[str]:
    texts = [text for test in statement.condition for text in test.values.texts]
    for values in (statement.resource, statement.not_resource):
        texts.extend(values.texts if values else ())
    return texts
