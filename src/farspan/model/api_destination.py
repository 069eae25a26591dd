"""API destinations: HTTP endpoints that rules can have as targets."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

INVOCATION_RATE_LIMIT_DEFAULT = 300
"""Invocations per second where the request names no rate (EventBridge user guide)."""


class ApiDestinationState(StrEnum):
    """Whether an API destination can be invoked (AWS: ApiDestinationState)."""

    ACTIVE = "ACTIVE"  # its connection is authorised
    INACTIVE = "INACTIVE"  # its connection is not, or is gone


class ApiDestination(msgspec.Struct, frozen=True, kw_only=True):
    """An API destination. Its state is its connection's, so it is not kept here.

    A `*` in the path of `invocation_endpoint` stands for a value that the target gives. Times are
    seconds since the epoch.
    """

    KIND: ClassVar[str] = "api-destination"

    region: str
    account: str
    name: str
    uuid: str
    connection_arn: str
    invocation_endpoint: str
    http_method: str
    description: str | None = None
    invocation_rate_limit_per_second: int = INVOCATION_RATE_LIMIT_DEFAULT
    creation_time: float = 0.0
    last_modified_time: float = 0.0

    @property
    def arn(self) -> str:
        """The API destination's ARN."""
        return (
            f"arn:aws:events:{self.region}:{self.account}:api-destination/{self.name}/{self.uuid}"
        )

    @property
    def key(self) -> str:
        """The key among API destinations."""
        return f"{self.account}/{self.name}"
