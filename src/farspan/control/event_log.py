"""The last events of a bus, for whoever asks why a rule did not match. AWS has no such call.

The caller sees its own buses only. What is returned is bounded in number and in bytes; where not
all that was asked for fits, the newest do.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

import msgspec

from farspan.control.authority import authorize_read_events
from farspan.control.condition_keys import entry_bus_arn
from farspan.control.naming import existing_event_bus
from farspan.control.plane import Caller, ControlPlane, Output
from farspan.errors import ValidationException
from farspan.model.event import EventBatch
from farspan.store.base import READ_BYTES_MAX

LAST_DEFAULT: Final = 10
LAST_MAX: Final = 100


class _Logged(NamedTuple):
    """One event as the log has it."""

    position: int
    batch: EventBatch
    event: bytes


async def last_events(
    plane: ControlPlane, caller: Caller, bus_name: str | None, last: str | None
) -> Output:
    """Return the last events of the caller's bus, the oldest first.

    `bus_name` is a name, an ARN or nothing, `last` how many as the query says it. Raises
    ValidationException for a number that is none, ResourceNotFoundException for a bus that is not
    there, AccessDeniedException for another account's or one that the caller's policies close.
    """
    authorize_read_events(plane, caller, entry_bus_arn(caller.account, plane.region, bus_name))
    bus = existing_event_bus(plane, caller, bus_name, "ReadEvents")
    count = _count_of(last)
    events = await _read(plane, bus.key, count)
    return {"region": plane.region, "event_bus": bus.arn, "events": events}


def _count_of(last: str | None) -> int:
    if last is None:
        return LAST_DEFAULT
    if not re.fullmatch(r"[0-9]{1,3}", last) or not 1 <= int(last) <= LAST_MAX:
        raise ValidationException(f"last must be a number from 1 to {LAST_MAX}.")
    return int(last)


async def _read(plane: ControlPlane, event_bus: str, count: int) -> list[Output]:
    """Return the last events of a log. Positions are dense, so that the end says where to begin."""
    end = await plane.resources.log_end(event_bus)
    after = max(end - count, 0)
    newest: deque[_Logged] = deque()
    byte_count = 0
    while after < end:
        batches = await plane.resources.read_log(event_bus, after, count)
        if not batches:
            break
        for logged in _between(batches, after, end):
            newest.append(logged)
            byte_count += len(logged.event)
            while byte_count > READ_BYTES_MAX and len(newest) > 1:
                byte_count -= len(newest.popleft().event)
        after = batches[-1].position + len(batches[-1].events) - 1
    return [
        {
            "position": logged.position,
            "accepted_at": logged.batch.accepted_at,
            "origin": logged.batch.origin,
            "event": msgspec.Raw(logged.event),
        }
        for logged in newest
    ]


def _between(batches: Sequence[EventBatch], after: int, end: int) -> Iterator[_Logged]:
    for batch in batches:
        for position, event in enumerate(batch.events, start=batch.position):
            if after < position <= end:
                yield _Logged(position, batch, event)
