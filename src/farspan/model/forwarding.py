"""What one bus sends another on behalf of a rule: in this Region, or from node to node."""

from __future__ import annotations

import msgspec


class ForwardedEvent(msgspec.Struct, frozen=True, kw_only=True):
    """An event on its way. `origin` and `is_forwarded` are those of the batch it came from."""

    event: bytes
    origin: str
    is_forwarded: bool = False
    trace_header: str | None = None


class ForwardRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Events for one bus. `role_arn` is who in `account` puts them, and what its policy names.

    Without events it asks whether any would be taken.
    """

    event_bus_arn: str
    from_region: str
    account: str
    role_arn: str
    events: tuple[ForwardedEvent, ...]


class ForwardReply(msgspec.Struct, frozen=True, kw_only=True):
    """For each event why the bus does not take it, in AWS's words, or None where it has it.

    What it has is durable. A bus of the sender's own account that does not exist takes what it is
    given and keeps nothing, as on AWS. `denial` says why no event at all is taken, where that was
    asked.
    """

    denials: tuple[str | None, ...]
    denial: str | None = None
