"""PutEvents as bytes: the hot path's own typed decode.

What is plainly right goes through without a walk over the model. Whatever is not goes the general
way, which words the error as AWS does.
"""

from __future__ import annotations

import re
from functools import lru_cache

import msgspec

from farspan.errors import ValidationException
from farspan.ingest.entries import Entry, PutEventsRequest
from farspan.wire import spec
from farspan.wire.json_codec import (
    TIMESTAMP_SECONDS_MAX,
    TIMESTAMP_SECONDS_MIN,
    decode_input,
)
from farspan.wire.validate import check

TARGET = "AWSEvents.PutEvents"
ENTRY_COUNT_MAX = 10
TEXT_LENGTH_MAX = 500
RESOURCE_LENGTH_MAX = 2_048
EVENT_BUS_NAME = re.compile(
    r"(arn:aws[\w-]*:events:[a-z]+-[a-z]+-[\w-]+:[0-9]{12}:event-bus\/)?[\.\-_A-Za-z0-9]{1,256}"
)
ENDPOINT_ID = re.compile(r"[A-Za-z0-9\-]+\.[A-Za-z0-9\-]+")
ENDPOINT_ID_LENGTH_MAX = 50

UNREADABLE = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What the typed decode raises where the general one has to say what is wrong, if anything is."""

_decode = msgspec.json.Decoder(PutEventsRequest).decode


class _Addressed(msgspec.Struct, frozen=True, rename="pascal"):
    """Only what a node needs that passes the request on."""

    endpoint_id: str | None = None


_decode_address = msgspec.json.Decoder(_Addressed).decode
_decode_members = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_decode_text = msgspec.json.Decoder(str | None).decode


def endpoint_id_in(body: bytes) -> str | None:
    """Return the EndpointId in a request's body, None where there is none to be read.

    It is the one that `decode_put_events` finds in the same body, so that no request is routed by
    one address and checked by another.
    """
    try:
        # No dearer than to search the bytes for the name, which may be spelled with escapes.
        return _decode_address(body).endpoint_id
    except UNREADABLE:
        pass
    try:
        # Of a key that comes twice the last counts, whatever the first one was.
        found = _decode_members(body).get("EndpointId")
        return None if found is None else _decode_text(found)
    except UNREADABLE:
        return None


def decode_put_events(body: bytes) -> PutEventsRequest:
    """Return the input of PutEvents. Raises as the general codec and check do."""
    try:
        request = _decode(body)
    except UNREADABLE:
        request = None
    if request is not None and _is_plainly_right(request):
        return request
    params = decode_input(_operation(), body)
    check(_operation(), params)
    try:
        return msgspec.convert(params, PutEventsRequest, strict=False)
    except msgspec.ValidationError as error:
        raise ValidationException(f"Parameter Entries is not valid. Reason: {error}.") from error


def _operation() -> spec.Operation:
    return spec.service("events").operations["PutEvents"]


def _is_plainly_right(request: PutEventsRequest) -> bool:
    if not 1 <= len(request.entries) <= ENTRY_COUNT_MAX:
        return False
    endpoint_id = request.endpoint_id
    if endpoint_id is not None and (
        len(endpoint_id) > ENDPOINT_ID_LENGTH_MAX or not _is_endpoint_id(endpoint_id)
    ):
        return False
    return all(map(_is_entry_plainly_right, request.entries))


def _is_entry_plainly_right(entry: Entry) -> bool:
    name = entry.event_bus_name
    if name is not None and (len(name) > TEXT_LENGTH_MAX or not _is_event_bus_name(name)):
        return False
    time = entry.time
    if time is not None and not TIMESTAMP_SECONDS_MIN <= time <= TIMESTAMP_SECONDS_MAX:
        return False
    if entry.trace_header is not None and not 1 <= len(entry.trace_header) <= TEXT_LENGTH_MAX:
        return False
    if entry.resources:
        return all(len(resource) <= RESOURCE_LENGTH_MAX for resource in entry.resources)
    return True


@lru_cache(maxsize=4_096)
def _is_event_bus_name(text: str) -> bool:
    return EVENT_BUS_NAME.fullmatch(text) is not None


@lru_cache(maxsize=1_024)
def _is_endpoint_id(text: str) -> bool:
    return ENDPOINT_ID.fullmatch(text) is not None
