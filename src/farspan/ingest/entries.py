"""PutEvents entries become events: validation, envelope and size, decided without I/O.

The hot path of the bus. Each entry is looked at once: its `Detail` is checked to be a JSON object
and spliced into the envelope as the bytes that the caller sent, never decoded and encoded again.
Texts are EventBridge's (recorded answers of PutEvents).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import accumulate

import msgspec

from farspan.errors import ValidationException
from farspan.model.event import CallId, event_ids_of, format_time

ENTRIES_BYTES_LIMIT = 1_048_576
"""A request's entries must stay below this in total (EventBridge: PutEvents entry size)."""

TIME_BYTES = 14
"""What an entry's Time counts towards the size (EventBridge: PutEvents entry size)."""

TRACE_HEADER_LENGTH_MAX = 500
"""As long as an entry's may be (EventBridge's model); a request's own is held to the same."""

DETAIL_DEPTH_MAX = 500
"""How deep a Detail may nest. What decodes an event counts its own calls towards Python's limit of
1,000, so twice this could be accepted here and yet be too deep where rules are matched."""

INTEGER_DIGITS_MAX = 4_299
"""Digits of an integer in a Detail: with a sign, as many as Python reads (its limit is 4,300
characters). A longer one could be stored, but no rule would ever match its event."""


class Entry(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """One entry of PutEvents as sent.

    `time` is seconds since the epoch, within the years 1 to 9999: others are no timestamps to the
    wire.
    """

    time: float | None = None
    source: str | None = None
    resources: list[str] | None = None
    detail_type: str | None = None
    detail: str | None = None
    event_bus_name: str | None = None
    trace_header: str | None = None


def condition_keys_of(entry: Entry) -> dict[str, str]:
    """Return the condition keys that policies may ask of an entry; what it lacks is not there."""
    keys = {"events:eventBusInvocation": "false"}  # it was put, not forwarded by a rule
    if entry.source:
        keys["events:source"] = entry.source
    if entry.detail_type:
        keys["events:detail-type"] = entry.detail_type
    return keys


class PutEventsRequest(msgspec.Struct, frozen=True, rename="pascal", forbid_unknown_fields=True):
    """The input of PutEvents.

    A member that the model does not know is left to the wire's general decode: this one would skip
    over it without looking whether it is JSON.
    """

    entries: list[Entry]
    endpoint_id: str | None = None


@dataclass(frozen=True, slots=True)
class EntryError:
    """Why one entry was not accepted, in EventBridge's words."""

    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Placement:
    """Where an entry goes: the key of a bus's log, nowhere (None), or why not."""

    event_bus: str | None = None
    error: EntryError | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """What a request's entries came to: the envelopes for each bus, and a result for each entry.

    `results` has, in the order of the entries, the event's id or the entry's error. An entry for
    a bus that does not exist has an id and no envelope: EventBridge accepts and drops it.
    `trace_headers` has those of the envelopes that have one, for each bus by their index.
    """

    envelopes: dict[str, list[bytes]]
    results: list[str | EntryError]
    trace_headers: dict[str, dict[int, str]] = field(default_factory=dict)

    def trace_headers_of(self, event_bus: str) -> tuple[str | None, ...]:
        """Return the headers of a bus's envelopes in order, nothing where none has one."""
        found = self.trace_headers.get(event_bus)
        if not found:
            return ()
        return tuple(found.get(index) for index in range(len(self.envelopes[event_bus])))


REQUIRED = {
    name: EntryError(
        "InvalidArgument", f"Parameter {name} is not valid. Reason: {name} is a required argument."
    )
    for name in ("Source", "DetailType", "Detail")
}
MALFORMED_DETAIL = EntryError("MalformedDetail", "Detail is malformed.")
RESERVED_SOURCE = EntryError("NotAuthorizedForSourceException", "Not authorized for the source.")

_STEP_OF_BRACKET = {ord("{"): 1, ord("["): 1, ord("}"): -1, ord("]"): -1}
_NO_BRACKETS = bytes(set(range(256)) - _STEP_OF_BRACKET.keys())
_NUMBER = re.compile(r"-?([0-9.eE+-]+)")
_TRACE_ROOT = re.compile(r"(?:^|;)\s*Root=1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24}\s*(?:;|$)")
_SAMPLE_STEP = 400
_SAMPLED_DIGITS = re.compile(rf"[0-9]{{{INTEGER_DIGITS_MAX // _SAMPLE_STEP}}}")

TEXT_LENGTH_KEPT = 256
"""Longer than any source or detail-type that EventBridge's documentation allows."""

_decode_raw = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode
_encode_often = lru_cache(maxsize=4_096)(msgspec.json.Encoder().encode)


def _encode_text(text: str | None) -> bytes:
    """Return a text as JSON. Short ones come again and again, and are remembered.

    Long ones are not: what callers send must not decide how much memory is kept.
    """
    if text is not None and len(text) <= TEXT_LENGTH_KEPT:
        return _encode_often(text)
    return _encode(text)


def is_free_source(source: str) -> bool:
    """Return whether customers may use a source: what begins with `aws.` is AWS's and partners'."""
    return not source.startswith("aws.")


def entries_of(given: Sequence[Mapping[str, object]]) -> list[Entry]:
    """Return entries from a request's members, which were checked against the model.

    Raises ValidationException.
    """
    try:
        return msgspec.convert(given, list[Entry], strict=False)
    except msgspec.ValidationError as error:
        raise ValidationException(f"Parameter Entries is not valid. Reason: {error}.") from error


def trace_header_in(text: str | None) -> str | None:
    """Return an X-Ray header that names a trace; what does not is dropped, as on AWS."""
    if text is None or len(text) > TRACE_HEADER_LENGTH_MAX:
        return None
    return text if _TRACE_ROOT.search(text) else None


def accept_entries(
    entries: Sequence[Entry],
    *,
    call: CallId,
    account: str,
    region: str,
    now: float,
    place: Callable[[str | None], Placement],
    may_send: Callable[[str], bool] = is_free_source,
    trace_header: str | None = None,
) -> Acceptance:
    """Decide on every entry and build the envelopes of the accepted ones.

    `now` is seconds since the epoch, the time of entries that carry none. `may_send` tells whether
    the caller may use a source. `trace_header` is the request's own, for entries without one.
    Raises ValidationException where the entries are too large together.
    """
    check_size(entries)
    envelopes: dict[str, list[bytes]] = {}
    results: list[str | EntryError] = []
    trace_headers: dict[str, dict[int, str]] = {}
    tail = f'","account":"{account}","time":"'.encode()
    default_time = format_time(int(now))
    event_id_at = event_ids_of(call)
    region_member = f'","region":"{region}","resources":['.encode()
    for index, entry in enumerate(entries):
        error = _flaw(entry, may_send)
        placement = place(entry.event_bus_name) if error is None else None
        if placement is not None:
            error = placement.error
        if error is not None or placement is None:
            results.append(error or MALFORMED_DETAIL)
            continue
        event_id = event_id_at(index)
        results.append(event_id)
        if placement.event_bus is None:
            continue
        accepted = envelopes.setdefault(placement.event_bus, [])
        trace = trace_header
        if entry.trace_header is not None:
            trace = trace_header_in(entry.trace_header)
        if trace is not None:
            trace_headers.setdefault(placement.event_bus, {})[len(accepted)] = trace
        accepted.append(
            b"".join(
                (
                    b'{"version":"0","id":"',
                    event_id.encode(),
                    b'","detail-type":',
                    _encode_text(entry.detail_type),
                    b',"source":',
                    _encode_text(entry.source)[:-1],
                    tail,
                    default_time if entry.time is None else format_time(int(entry.time)),
                    region_member,
                    _encode(entry.resources)[1:-1] if entry.resources else b"",
                    b'],"detail":',
                    (entry.detail or "").encode(),
                    b"}",
                )
            )
        )
    return Acceptance(envelopes, results, trace_headers)


def check_size(entries: Sequence[Entry]) -> None:
    """Raise ValidationException where the entries are too large together.

    Counted as AWS documents it: Source, DetailType, Detail and Resources in UTF-8, 14 bytes for a
    Time; not the bus's name, not the trace header.
    """
    # A character is at least one byte and at most four: most requests are decided by this bound.
    character_count = sum(_character_count(entry) for entry in entries)
    if character_count * 4 < ENTRIES_BYTES_LIMIT:
        return
    if sum(_byte_count(entry) for entry in entries) >= ENTRIES_BYTES_LIMIT:
        raise ValidationException("Total size of the entries in the request is over the limit.")


def _texts(entry: Entry) -> tuple[str, ...]:
    return (
        entry.source or "",
        entry.detail_type or "",
        entry.detail or "",
        *(entry.resources or ()),
    )


def _character_count(entry: Entry) -> int:
    return TIME_BYTES + sum(map(len, _texts(entry)))


def _byte_count(entry: Entry) -> int:
    time_bytes = 0 if entry.time is None else TIME_BYTES
    return time_bytes + sum(len(text.encode()) for text in _texts(entry))


def _flaw(entry: Entry, may_send: Callable[[str], bool]) -> EntryError | None:
    """Return what is wrong with an entry in itself, or None."""
    if not entry.source:
        return REQUIRED["Source"]
    if not entry.detail_type:
        return REQUIRED["DetailType"]
    if not entry.detail:
        return REQUIRED["Detail"]
    if not may_send(entry.source):
        return RESERVED_SOURCE
    if not is_json_object(entry.detail):
        return MALFORMED_DETAIL
    return None


def is_json_object(text: str) -> bool:
    """Return whether `text` is one JSON object that can be read again where rules are matched."""
    try:
        _decode_raw(text)
    except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
        return False
    if not text.lstrip(" \t\r\n").startswith("{"):
        return False
    # Nearly every text is decided by its length and its count of brackets.
    if len(text) > 2 * DETAIL_DEPTH_MAX and _may_be_too_deep(text) and _is_too_deep(text):
        return False
    return len(text) <= INTEGER_DIGITS_MAX or not _has_endless_integer(text)


def _may_be_too_deep(text: str) -> bool:
    return text.count("{") + text.count("[") > DETAIL_DEPTH_MAX


def _is_too_deep(text: str) -> bool:
    """Return whether valid JSON nests deeper than `DETAIL_DEPTH_MAX`."""
    brackets = _outside_strings(text).encode().translate(None, delete=_NO_BRACKETS)
    return max(accumulate(map(_STEP_OF_BRACKET.__getitem__, brackets))) > DETAIL_DEPTH_MAX


def _has_endless_integer(text: str) -> bool:
    """Return whether valid JSON has an integer of more than `INTEGER_DIGITS_MAX` digits."""
    # A run of so many digits shows in every 400th character: the whole is read only then.
    if not _SAMPLED_DIGITS.search(text[::_SAMPLE_STEP]):
        return False
    numbers = _NUMBER.findall(_outside_strings(text))
    return any(len(number) > INTEGER_DIGITS_MAX and number.isdecimal() for number in numbers)


def _outside_strings(text: str) -> str:
    """Return what valid JSON has outside its strings."""
    if "\\" in text:
        text = text.replace("\\\\", "").replace('\\"', "")
    return "".join(text.split('"')[::2])
