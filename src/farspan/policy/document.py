"""What a policy is once it has been read, and how it is written down again.

Facts of the IAM JSON policy grammar. Nothing here may judge a request.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

VERSION_2008: Final = "2008-10-17"
VERSION_2012: Final = "2012-10-17"
ANYONE: Final = "*"


class Effect(StrEnum):
    """What a statement does to a request it matches."""

    ALLOW = "Allow"
    DENY = "Deny"


class PrincipalKind(StrEnum):
    """The kinds of principal that can call Farspan."""

    AWS = "AWS"  # accounts, users, roles, sessions
    SERVICE = "Service"  # events.amazonaws.com and the like


@dataclass(frozen=True, slots=True)
class Values:
    """One text or a list of texts. `listed` remembers which, so that a policy reads as written."""

    texts: tuple[str, ...]
    listed: bool = True

    @classmethod
    def of(cls, text: str) -> Values:
        """Return the single text."""
        return cls((text,), listed=False)

    def written(self) -> str | list[str]:
        """Return the value as JSON has it."""
        return list(self.texts) if self.listed else self.texts[0]


@dataclass(frozen=True, slots=True)
class Principals:
    """Whom a statement names: everyone (`"*"`), or lists by kind."""

    everyone: bool = False
    members: tuple[tuple[PrincipalKind, Values], ...] = ()

    def written(self) -> str | dict[str, str | list[str]]:
        """Return the element as JSON has it."""
        if self.everyone:
            return ANYONE
        return {kind.value: values.written() for kind, values in self.members}


@dataclass(frozen=True, slots=True)
class ConditionTest:
    """One key of one operator: `{"<operator>": {"<key>": <values>}}`."""

    operator: str
    key: str
    values: Values


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement. Of each pair (action or not_action, …) at most one is set."""

    effect: Effect
    sid: str | None = None
    principal: Principals | None = None
    not_principal: Principals | None = None
    action: Values | None = None
    not_action: Values | None = None
    resource: Values | None = None
    not_resource: Values | None = None
    condition: tuple[ConditionTest, ...] = ()

    def written(self) -> dict[str, object]:
        """Return the statement as JSON has it, members in the order in which AWS stores them."""
        members: dict[str, object | None] = {
            "Sid": self.sid,
            "Effect": self.effect.value,
            "Principal": self.principal.written() if self.principal else None,
            "NotPrincipal": self.not_principal.written() if self.not_principal else None,
            "Action": self.action.written() if self.action else None,
            "NotAction": self.not_action.written() if self.not_action else None,
            "Resource": self.resource.written() if self.resource else None,
            "NotResource": self.not_resource.written() if self.not_resource else None,
            "Condition": _written_condition(self.condition) or None,
        }
        return {name: member for name, member in members.items() if member is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A policy document. Policy variables exist in version 2012-10-17 only."""

    version: str = VERSION_2012
    id: str | None = None
    statements: tuple[Statement, ...] = ()

    @property
    def has_variables(self) -> bool:
        """Whether `${…}` stands for something in this policy."""
        return self.version == VERSION_2012


FULL_ACCESS: Final = Policy(
    statements=(
        Statement(effect=Effect.ALLOW, action=Values.of(ANYONE), resource=Values.of(ANYONE)),
    )
)
"""The identity policy of an account's root, which no document has to grant anything."""


def render(policy: Policy) -> str:
    """Return the compact JSON that is stored and that DescribeEventBus returns."""
    document: dict[str, object] = {"Version": policy.version}
    if policy.id is not None:
        document["Id"] = policy.id
    document["Statement"] = [statement.written() for statement in policy.statements]
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False)


def _written_condition(tests: tuple[ConditionTest, ...]) -> dict[str, dict[str, object]]:
    condition: dict[str, dict[str, object]] = {}
    for test in tests:
        condition.setdefault(test.operator, {})[test.key] = test.values.written()
    return condition
