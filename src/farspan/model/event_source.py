"""Partner event sources: what a partner offers to one account, which takes it with a bus."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from farspan.model.arn import event_source_arn

PENDING_SECONDS_MAX = 14 * 86_400.0
"""How long a source waits for its bus before it is deleted (EventBridge: two weeks)."""


class EventSourceState(StrEnum):
    """Where an event source is in its life (AWS: EventSourceState)."""

    PENDING = "PENDING"  # waits for its bus, or was deactivated
    ACTIVE = "ACTIVE"  # its events reach its bus
    DELETED = "DELETED"  # the partner deleted it; its bus is still there


class EventSource(msgspec.Struct, frozen=True, kw_only=True):
    """A partner event source as the account has it to which it is offered.

    `partner_account` made it. Times are seconds since the epoch; `expiration_time` is set while
    the source is PENDING.
    """

    KIND: ClassVar[str] = "event-source"

    region: str
    account: str
    name: str
    partner_account: str
    state: EventSourceState = EventSourceState.PENDING
    creation_time: float = 0.0
    expiration_time: float | None = None

    @property
    def arn(self) -> str:
        """The source's ARN, the same for every account that has it."""
        return event_source_arn(self.region, self.name)

    @property
    def key(self) -> str:
        """The key among event sources."""
        return f"{self.account}/{self.name}"

    @property
    def partner_name(self) -> str:
        """The partner, who stands second in the name: `aws.partner/<partner>/…`."""
        return self.name.split("/")[1]

    def exists_at(self, now: float) -> bool:
        """Whether the source has not waited for its bus for too long."""
        return self.expiration_time is None or now < self.expiration_time


def pending(source: EventSource, now: float) -> EventSource:
    """Return the source as it waits from now on."""
    return msgspec.structs.replace(
        source,
        state=EventSourceState.PENDING,
        expiration_time=now + PENDING_SECONDS_MAX,
    )


def active(source: EventSource) -> EventSource:
    """Return the source as its events reach its bus."""
    return msgspec.structs.replace(source, state=EventSourceState.ACTIVE, expiration_time=None)


def deleted(source: EventSource) -> EventSource:
    """Return the source as its account sees it after the partner deleted it."""
    return msgspec.structs.replace(source, state=EventSourceState.DELETED, expiration_time=None)
