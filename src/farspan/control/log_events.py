"""Streams of log groups and their events: PutLogEvents, GetLogEvents, FilterLogEvents.

Limits and most texts are CloudWatch Logs'. Tokens are places among a group's events, so that a
reader that goes forward sees what comes later too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from farspan.control.log_groups import existing_group, log_page, refuse_log_members
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
)
from farspan.logs.filter_pattern import InvalidFilterPattern, Matches, compile_filter
from farspan.logs.service import Kept, LogGone, Place
from farspan.model.log_group import LogEvent, LogGroup, LogStream, log_group_arn

EVENT_OVERHEAD_BYTES: Final = 26
"""What every event counts beside its message (PutLogEvents)."""

BATCH_BYTES_MAX: Final = 1_048_576
REPLY_BYTES_MAX: Final = 1_048_576
REPLY_EVENTS_MAX: Final = 10_000
SPAN_MS: Final = 24 * 3_600_000
FUTURE_MS: Final = 2 * 3_600_000
PAST_MS: Final = 14 * 24 * 3_600_000
DAY_MS: Final = 24 * 3_600_000

NO_STREAM: Final = "The specified log stream does not exist."
SEQUENCE_TOKEN: Final = "0" * 56
"""PutLogEvents ignores tokens and still returns one (API reference)."""

_TOKEN: Final = re.compile(r"([fb])/(\d{20})(\d{36})/s")


@operation("logs", "CreateLogStream", changes_resources=True)
async def create_log_stream(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Make a stream in a group."""
    group = existing_group(plane, caller, params)
    if await plane.logs.add_stream(group, params["logStreamName"]) is None:
        raise ResourceAlreadyExistsException("The specified log stream already exists")
    return {}


@operation("logs", "DeleteLogStream", changes_resources=True)
async def delete_log_stream(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a stream with its events."""
    group = existing_group(plane, caller, params)
    await plane.logs.remove_stream(group, _existing_stream(plane, group, params["logStreamName"]))
    return {}


@operation("logs", "DescribeLogStreams")
async def describe_log_streams(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a group's streams, by name or by the time of their last event."""
    group = existing_group(plane, caller, params)
    prefix = params.get("logStreamNamePrefix") or ""
    by_time = params.get("orderBy") == "LastEventTime"
    if by_time and prefix:
        raise InvalidParameterException("Cannot order by LastEventTime with a logStreamNamePrefix.")
    streams = sorted(
        plane.logs.streams(group, prefix),
        key=lambda s: (s.last_event_timestamp or 0 if by_time else 0, s.name),
        reverse=bool(params.get("descending")),
    )
    order = {stream.name: f"{place:09}" for place, stream in enumerate(streams)}
    shown, token = log_page(
        streams,
        lambda stream: order[stream.name],
        f"DescribeLogStreams/{group.log_key}/{prefix}/{by_time}/{params.get('descending')}",
        params,
    )
    return {"logStreams": [_shown(group, stream) for stream in shown], "nextToken": token}


@operation("logs", "PutLogEvents")
async def put_log_events(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add events to a stream; those that are too old or too far ahead are left out and named."""
    refuse_log_members(params, "entity")
    group = existing_group(plane, caller, params)
    stream = _existing_stream(plane, group, params["logStreamName"])
    given = [LogEvent("", each["timestamp"], each["message"]) for each in params["logEvents"]]
    _check_batch(given)
    now = int(plane.clock.now() * 1_000)
    oldest = now - PAST_MS
    expired = now - (group.retention_in_days or 0) * DAY_MS if group.retention_in_days else 0
    taken = [e for e in given if max(oldest, expired) <= e.timestamp <= now + FUTURE_MS]
    if taken:
        try:
            await plane.logs.write(group, stream.name, [(plane.logs.new_call(), taken)])
        except LogGone as error:
            raise ResourceNotFoundException(NO_STREAM) from error
    too_new = [i for i, e in enumerate(given) if e.timestamp > now + FUTURE_MS]
    rejected = {
        "tooNewLogEventStartIndex": too_new[0] if too_new else None,
        "tooOldLogEventEndIndex": sum(e.timestamp < oldest for e in given) or None,
        "expiredLogEventEndIndex": sum(e.timestamp < expired for e in given) or None,
    }
    return {
        "nextSequenceToken": SEQUENCE_TOKEN,
        "rejectedLogEventsInfo": rejected
        if any(v is not None for v in rejected.values())
        else None,
    }


@operation("logs", "GetLogEvents")
async def get_log_events(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a page of a stream's events in order of time, the latest page unless told."""
    group = existing_group(plane, caller, params)
    stream = _existing_stream(plane, group, params["logStreamName"])
    token = _read_token(params.get("nextToken"))
    from_end = token.goes_back if token else not params.get("startFromHead")
    window = _window(group, params, end_included=False, now=plane.clock.now())

    def wanted(kept: Kept) -> bool:
        if kept.event.stream_id != stream.stream_id or not window.holds(kept):
            return False
        return token is None or token.admits(kept.place)

    limit = params.get("limit") or REPLY_EVENTS_MAX
    times = _reach(window, token)
    found = await plane.logs.read(group, [stream], times, wanted, limit, from_end=from_end)
    shown = _within_reply(reversed(found) if from_end else found)
    if from_end:
        shown.reverse()
    first, last = (shown[0].place, shown[-1].place) if shown else _edges(token)
    return {
        "events": [_event(kept) for kept in shown],
        "nextForwardToken": f"f/{first_key(last)}/s",
        "nextBackwardToken": f"b/{first_key(first)}/s",
    }


@operation("logs", "FilterLogEvents")
async def filter_log_events(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a page of a group's events that match a pattern, in order of time."""
    group = existing_group(plane, caller, params)
    if params.get("startFromHead") is False:
        raise InvalidParameterException(
            "Parameter startFromHead is not valid. Reason: Farspan reads from the head only."
        )
    matches = _matches(params.get("filterPattern") or "")
    token = _read_token(params.get("nextToken"))
    streams = {stream.stream_id: stream for stream in _searched(plane, group, params)}
    window = _window(group, params, end_included=True, now=plane.clock.now())

    def wanted(kept: Kept) -> bool:
        if kept.event.stream_id not in streams or not window.holds(kept):
            return False
        return (token is None or token.admits(kept.place)) and matches(kept.event.message)

    limit = params.get("limit") or REPLY_EVENTS_MAX
    searched = list(streams.values())
    found = await plane.logs.read(group, searched, _reach(window, token), wanted, limit + 1)
    shown = _within_reply(found[:limit])
    more = len(shown) < len(found)
    return {
        "events": [
            {
                **_event(kept),
                "logStreamName": streams[kept.event.stream_id].name,
                "eventId": first_key(kept.place),
            }
            for kept in shown
        ],
        "searchedLogStreams": [],
        "nextToken": f"f/{first_key(shown[-1].place)}/s" if more else None,
    }


# --- what is asked for -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Window:
    """Times of events, milliseconds, the first included and the last not."""

    start: int
    end: int

    def holds(self, kept: Kept) -> bool:
        """Return whether an event's time is within."""
        return self.start <= kept.place.timestamp < self.end


@dataclass(frozen=True, slots=True)
class _Token:
    """What a reader has seen, and which way it goes."""

    place: Place
    goes_back: bool

    def admits(self, place: Place) -> bool:
        """Return whether an event is beyond what was seen."""
        return place < self.place if self.goes_back else place > self.place


def _reach(window: _Window, token: _Token | None) -> tuple[int, int]:
    """Return the times of what a page can have, milliseconds, the last not included."""
    if token is None:
        return window.start, window.end
    if token.goes_back:
        return window.start, min(window.end, token.place.timestamp + 1)
    return max(window.start, token.place.timestamp), window.end


def first_key(place: Place) -> str:
    """Return a place as the 56 digits that ids of events and tokens have."""
    return f"{place.timestamp:020}{place.position:036}"


def _read_token(text: str | None) -> _Token | None:
    if text is None:
        return None
    found = _TOKEN.fullmatch(text)
    if found is None:
        raise InvalidParameterException("The specified nextToken is invalid.")
    return _Token(Place(int(found[2]), int(found[3])), goes_back=found[1] == "b")


def _edges(token: _Token | None) -> tuple[Place, Place]:
    """Return the places of a reply without events: those of the token that led there."""
    place = token.place if token else Place(0, 0)
    return place, place


def _window(group: LogGroup, params: Params, *, end_included: bool, now: float) -> _Window:
    start, end = params.get("startTime") or 0, params.get("endTime")
    if group.retention_in_days:
        start = max(start, int(now * 1_000) - group.retention_in_days * DAY_MS)
    return _Window(start, 2**63 if end is None else end + end_included)


def _matches(text: str) -> Matches:
    try:
        return compile_filter(text)
    except InvalidFilterPattern as error:
        raise InvalidParameterException(str(error)) from error


def _searched(plane: ControlPlane, group: LogGroup, params: Params) -> list[LogStream]:
    names, prefix = params.get("logStreamNames"), params.get("logStreamNamePrefix")
    if names and prefix:
        raise InvalidParameterException(
            "logStreamNames and logStreamNamePrefix are mutually exclusive parameters."
        )
    if names:
        return [_existing_stream(plane, group, name) for name in names]
    return plane.logs.streams(group, prefix or "")


def _existing_stream(plane: ControlPlane, group: LogGroup, name: str) -> LogStream:
    stream = plane.logs.stream(group, name)
    if stream is None:
        raise ResourceNotFoundException(NO_STREAM)
    return stream


def _check_batch(events: Sequence[LogEvent]) -> None:
    times = [event.timestamp for event in events]
    if times != sorted(times):
        raise InvalidParameterException(
            "Log events in a single PutLogEvents request must be in chronological order."
        )
    if times[-1] - times[0] > SPAN_MS:
        raise InvalidParameterException(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 "
            "hours."
        )
    byte_count = sum(map(_size, events))
    if byte_count > BATCH_BYTES_MAX:
        raise InvalidParameterException(
            f"Upload too large: {byte_count} bytes exceeds limit of {BATCH_BYTES_MAX}"
        )


def _size(event: LogEvent) -> int:
    return len(event.message.encode(errors="replace")) + EVENT_OVERHEAD_BYTES


def _within_reply(found: Iterable[Kept]) -> list[Kept]:
    """Return as many events as a reply carries, at least one where there is one."""
    shown: list[Kept] = []
    byte_count = 0
    for kept in found:
        byte_count += _size(kept.event)
        if shown and byte_count > REPLY_BYTES_MAX:
            break
        shown.append(kept)
    return shown


def _event(kept: Kept) -> dict[str, Any]:
    return {
        "timestamp": kept.event.timestamp,
        "message": kept.event.message,
        "ingestionTime": kept.ingestion_time,
    }


def _shown(group: LogGroup, stream: LogStream) -> Output:
    return {
        "logStreamName": stream.name,
        "creationTime": int(stream.creation_time * 1_000),
        "firstEventTimestamp": stream.first_event_timestamp,
        "lastEventTimestamp": stream.last_event_timestamp,
        "lastIngestionTime": stream.last_ingestion_time,
        "arn": f"{log_group_arn(group.region, group.account, group.name)}:log-stream:{stream.name}",
        "storedBytes": 0,  # what AWS says since 2019
    }
