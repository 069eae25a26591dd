"""IAM roles: who may assume them, and what their sessions may do."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from farspan.model.arn import role_arn

SESSION_SECONDS_DEFAULT = 3_600
"""How long a role's session lasts unless told (IAM: MaxSessionDuration)."""


class Role(msgspec.Struct, frozen=True, kw_only=True):
    """A role. Policies are JSON texts as they were put; times are seconds since the epoch.

    `region` owns it: changes are made there, and every node knows it through the catalog.
    `attached_policies` are the ARNs of managed policies.
    """

    KIND: ClassVar[str] = "role"

    region: str
    account: str
    name: str
    role_id: str
    trust_policy: str
    path: str = "/"
    description: str | None = None
    session_seconds_max: int = SESSION_SECONDS_DEFAULT
    policies: dict[str, str] = {}
    attached_policies: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    creation_time: float = 0.0

    @property
    def arn(self) -> str:
        """The role's ARN."""
        return role_arn(self.account, self.path, self.name)

    @property
    def key(self) -> str:
        """The key among roles."""
        return role_key(self.account, self.name)


def role_key(account: str, name: str) -> str:
    """Return the key of a role. Names differ by more than their case (IAM: CreateRole)."""
    return f"{account}/{name.lower()}"
