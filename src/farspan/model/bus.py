"""Event buses, as EventBridge has them."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from farspan.model.arn import event_bus_arn
from farspan.model.event import event_bus_key

DEFAULT_BUS_NAME = "default"


class EventBus(msgspec.Struct, frozen=True, kw_only=True):
    """An event bus. Times are seconds since the epoch. Its key is also that of its log."""

    KIND: ClassVar[str] = "bus"

    region: str
    account: str
    name: str
    description: str | None = None
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
