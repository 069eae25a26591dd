"""Event buses, as EventBridge has them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from farspan.model.arn import event_bus_arn
from farspan.model.event import event_bus_key

DEFAULT_BUS_NAME = "default"


class EventBus(msgspec.Struct, frozen=True, kw_only=True):
    """An event bus. Times are seconds since the epoch. Its key is also that of its log.

    `policy` is compact JSON as DescribeEventBus returns it; `event_source_name` is set on partner
    buses. The key, the dead-letter queue and the logging are stored and not yet in effect.
    """

    KIND: ClassVar[str] = "bus"

    region: str
    account: str
    name: str
    description: str | None = None
    policy: str | None = None
    event_source_name: str | None = None
    kms_key_identifier: str | None = None
    dead_letter_arn: str | None = None
    log_config: dict[str, str] | None = None
    tags: dict[str, str] = {}
    creation_time: float = 0.0
    last_modified_time: float = 0.0

    @property
    def arn(self) -> str:
        """The bus's ARN."""
        return event_bus_arn(self.region, self.account, self.name)

    @property
    def key(self) -> str:
        """The key among buses, and of the bus's log."""
        return event_bus_key(self.account, self.name)
