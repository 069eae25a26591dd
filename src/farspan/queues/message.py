"""What a message may be, and how SQS writes it down: rules, digests and receipt handles.

Everything here is a function of its arguments. It must never touch a store, a clock or a queue's
configuration: the one limit that a queue sets is passed in.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from farspan.errors import (
    InvalidMessageContents,
    InvalidParameterValueException,
    ReceiptHandleIsInvalid,
)
from farspan.model.queue import Message

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farspan.model.queue import MessageAttribute

# SQS developer guide, "Message quotas" and "Message attributes".
ATTRIBUTE_COUNT_MAX: Final = 10
ATTRIBUTE_NAME_CHARACTERS_MAX: Final = 256
NUMBER_DIGITS_MAX: Final = 38
NUMBER_EXPONENT_MIN: Final = -128
NUMBER_EXPONENT_MAX: Final = 126

_FORBIDDEN_CHARACTER: Final = re.compile(
    "[^\\t\\n\\r\\u0020-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]"
)
_ATTRIBUTE_NAME: Final = re.compile(r"[A-Za-z0-9_\-]+(\.[A-Za-z0-9_\-]+)*")
_DATA_TYPE: Final = re.compile(r"(String|Number|Binary)(\..+)?", re.DOTALL)
_NUMBER: Final = re.compile(
    r"[+-]?(?P<digits>[0-9]+(\.[0-9]*)?|\.[0-9]+)([eE](?P<exponent>[+-]?[0-9]{1,4}))?"
)
_RESERVED_PREFIXES: Final = ("aws.", "amazon.")

# The two transport types of the attribute digest (SQS developer guide, "Calculating the MD5
# message digest for message attributes").
_TRANSPORT_STRING: Final = b"\x01"
_TRANSPORT_BINARY: Final = b"\x02"

_CHECK_BYTES: Final = 8

_encode_message = msgspec.msgpack.Encoder().encode
_decode_message = msgspec.msgpack.Decoder(Message).decode


def encode_message(message: Message) -> bytes:
    """Return the message as a timer's body."""
    return _encode_message(message)


def decode_message(body: bytes) -> Message:
    """Return the message that `encode_message` wrote."""
    return _decode_message(body)


# --- receipt handles -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ReceiptHandle:
    """One receipt of one message: the queue's timer list, the message's key, the claim's number."""

    timer_list: str
    key: bytes
    claim: int

    def __str__(self) -> str:
        content = msgspec.msgpack.encode((self.timer_list, self.key, self.claim))
        return base64.b64encode(_check_of(content) + content).decode()


def read_receipt_handle(text: str, timer_list: str) -> ReceiptHandle:
    """Return the receipt handle that `text` is.

    Raises ReceiptHandleIsInvalid where ReceiveMessage never gave it out, or gave it out for
    another queue or for a former queue of the same name.
    """
    handle = _decode_receipt_handle(text)
    if handle is None or handle.timer_list != timer_list:
        raise ReceiptHandleIsInvalid(f'The input receipt handle "{text}" is not valid.')
    return handle


CLAIM_LIMIT = 2**31
"""More often than this no message was ever received."""


def _decode_receipt_handle(text: str) -> ReceiptHandle | None:
    try:
        raw = base64.b64decode(text, validate=True)
        check, content = raw[:_CHECK_BYTES], raw[_CHECK_BYTES:]
        if check != _check_of(content):
            return None
        parts = msgspec.msgpack.decode(content, type=tuple[str, bytes, int])
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        return None
    handle = ReceiptHandle(*parts)
    # A claim that no store ever gave would only fail there, and its neighbours' commit with it.
    return handle if 1 <= handle.claim < CLAIM_LIMIT else None


def _check_of(content: bytes) -> bytes:
    """Return what tells a handle from a garbled one.

    It is no secret: what keeps accounts apart is that a handle must match the caller's queue.
    """
    return hashlib.blake2b(content, digest_size=_CHECK_BYTES).digest()


# --- digests ---------------------------------------------------------------------------------


def digest_body(body: str) -> str:
    """Return the MD5 of a body, as `MD5OfMessageBody` states it."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def digest_attributes(attributes: Mapping[str, MessageAttribute]) -> str | None:
    """Return the MD5 of message attributes, as `MD5OfMessageAttributes` states it.

    None where there are none: SQS leaves the member out.
    """
    if not attributes:
        return None
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        attribute = attributes[name]
        digest.update(_with_length(name.encode()))
        digest.update(_with_length(attribute.data_type.encode()))
        if attribute.binary_value is not None:
            digest.update(_TRANSPORT_BINARY + _with_length(attribute.binary_value))
        else:
            digest.update(_TRANSPORT_STRING + _with_length((attribute.string_value or "").encode()))
    return digest.hexdigest()


def _with_length(content: bytes) -> bytes:
    return len(content).to_bytes(4, "big") + content


# --- rules -----------------------------------------------------------------------------------


def message_bytes(message: Message) -> int:
    """Return a message's size in bytes as SQS counts it: body, and attributes with name and type.

    System attributes do not count (SQS API reference, SendMessage). Works on unchecked messages.
    """
    size = _utf8_bytes(message.body)
    for name, attribute in message.attributes.items():
        size += _utf8_bytes(name) + _utf8_bytes(attribute.data_type)
        size += _utf8_bytes(attribute.string_value or "") + len(attribute.binary_value or b"")
    return size


def _utf8_bytes(text: str) -> int:
    # A lone surrogate, which the rules refuse later, must not stop the counting.
    return len(text.encode(errors="surrogatepass"))


def check_message(message: Message, size_bytes_max: int) -> None:
    """Refuse a message that SQS would not take.

    Raises InvalidMessageContents for characters that SQS does not carry, and
    InvalidParameterValueException for everything else.
    """
    if not message.body:
        raise InvalidParameterValueException("The request must contain the parameter MessageBody.")
    _check_characters(message.body)
    if len(message.attributes) > ATTRIBUTE_COUNT_MAX:
        raise InvalidParameterValueException(
            f"Number of message attributes [{len(message.attributes)}] exceeds the allowed maximum "
            f"[{ATTRIBUTE_COUNT_MAX}]."
        )
    for name, attribute in message.attributes.items():
        _check_attribute_name(name)
        _check_attribute(name, attribute)
    if message_bytes(message) > size_bytes_max:
        raise InvalidParameterValueException(
            "One or more parameters are invalid. "
            f"Reason: Message must be shorter than {size_bytes_max} bytes."
        )


def _check_characters(text: str) -> None:
    if _FORBIDDEN_CHARACTER.search(text):
        raise InvalidMessageContents(
            "Invalid characters found. Valid unicode characters are "
            "#x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF"
        )


def _check_attribute_name(name: str) -> None:
    if len(name) > ATTRIBUTE_NAME_CHARACTERS_MAX:
        raise InvalidParameterValueException(
            "Length of message attribute name must be less than "
            f"{ATTRIBUTE_NAME_CHARACTERS_MAX} bytes."
        )
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise InvalidParameterValueException(
            f"Invalid message attribute name '{name}': letters, digits, '_', '-' and '.' are "
            "allowed, and it must not start or end with a period or have two in succession."
        )
    if name.lower().startswith(_RESERVED_PREFIXES):
        raise InvalidParameterValueException(
            f"You can't use message attribute names beginning with 'AWS.' or 'Amazon.': '{name}'."
        )


def _check_attribute(name: str, attribute: MessageAttribute) -> None:
    matched = _DATA_TYPE.fullmatch(attribute.data_type)
    if matched is None or len(attribute.data_type) > ATTRIBUTE_NAME_CHARACTERS_MAX:
        raise InvalidParameterValueException(
            f"The type of message (user) attribute '{name}' is invalid. You must use only the "
            "following supported type prefixes: Binary, Number, String."
        )
    _check_characters(attribute.data_type)
    kind = matched[1]
    value, other = attribute.string_value, attribute.binary_value
    if kind == "Binary":
        _check_value(name, kind, other, other=value)
        return
    _check_value(name, kind, value, other=other)
    _check_characters(value or "")
    if kind == "Number" and not _is_number(value or ""):
        raise InvalidParameterValueException(
            f"Can't cast the value of message (user) attribute '{name}' to a number."
        )


def _check_value(
    name: str, kind: str, value: str | bytes | None, *, other: str | bytes | None
) -> None:
    if not value:
        raise InvalidParameterValueException(
            f"The message (user) attribute '{name}' must contain a non-empty value of type "
            f"'{kind}'."
        )
    if other is not None:
        raise InvalidParameterValueException(
            f"The message (user) attribute '{name}' has more than one value. "
            f"Give only the one of its type '{kind}'."
        )


def _is_number(text: str) -> bool:
    """Tell whether SQS takes the text as a number: up to 38 digits, from 10^-128 to 10^126."""
    matched = _NUMBER.fullmatch(text)
    if matched is None:
        return False
    digits = matched["digits"]
    whole, _, fraction = digits.partition(".")
    significant = (whole + fraction).strip("0")
    if len(significant) > NUMBER_DIGITS_MAX:
        return False
    # The power of ten of the first significant digit: the number is d.ddd times ten to it.
    zeros = len(whole + fraction) - len((whole + fraction).lstrip("0"))
    magnitude = len(whole) - 1 - zeros + int(matched["exponent"] or 0)
    return not significant or NUMBER_EXPONENT_MIN <= magnitude <= NUMBER_EXPONENT_MAX


def select_attributes(
    attributes: Mapping[str, MessageAttribute], wanted: Iterable[str]
) -> dict[str, MessageAttribute]:
    """Return the attributes that ReceiveMessage asked for: names, `All`, `.*` or `prefix.*`."""
    names: set[str] = set()
    prefixes: list[str] = []
    for entry in wanted:
        if entry in ("All", ".*"):
            return dict(attributes)
        if entry.endswith(".*"):
            # `bar.*` means every name that starts with `bar`, as SQS's reference words it.
            prefixes.append(entry.removesuffix(".*"))
        else:
            names.add(entry)
    starts = tuple(prefixes)
    return {
        name: attribute
        for name, attribute in attributes.items()
        if name in names or (starts and name.startswith(starts))
    }
