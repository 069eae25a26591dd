"""Smithy's RPC v2 in CBOR: request bytes to parameters, results and errors to bytes.

Reads what RFC 8949 lets a client write: lengths that are known or not, numbers of every width;
times are tag 1. Writes maps and arrays of known length, and numbers with a fraction as doubles.
Whatever the bytes, decoding gives parameters or an `AwsError`.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, Final

from farspan.errors import AwsError, SerializationException
from farspan.wire import json_codec
from farspan.wire.http import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from farspan.wire.spec import Operation, Service, Shape

DEPTH_MAX: Final = 32  # no operation's input nests deeper than a few levels

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)  # RFC 8949, 3.1
_INDEFINITE: Final = 31
_BREAK: Final = 0xFF
_TEXT_BYTES_MAX: Final = 0xFFFF  # of an error's message
_EPOCH_TIME: Final = 1  # RFC 8949, 3.4.2
_WIDTHS: Final = {24: 1, 25: 2, 26: 4, 27: 8}  # how many bytes hold a length or a number
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_CONSTANTS: Final[Mapping[int, bool | None]] = {20: False, 21: True, 22: None, 23: None}


def decode_input(operation: Operation, body: bytes) -> dict[str, Any]:
    """Return the operation's parameters, as `json_codec.decode_input` does.

    Raises SerializationException for anything that is not one map of the model's types.
    """
    if not body:
        return {}
    reader = _Reader(body)
    try:
        document = reader.item(0)
    except (IndexError, struct.error, UnicodeDecodeError):
        raise SerializationException("The request body ends within a value of CBOR.") from None
    if reader.at != len(body):
        raise SerializationException("The request body goes on after its CBOR.")
    return json_codec.parameters_in(operation, document)


class _Reader:
    """Reads items one after the other."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self.at = 0

    def item(self, depth: int) -> Any:  # noqa: ANN401 (whatever is there)
        if depth > DEPTH_MAX:
            raise SerializationException("The request body is CBOR nested too deeply.")
        first = self._body[self.at]
        self.at += 1
        major, minor = first >> 5, first & 0x1F
        if major == _SIMPLE:
            return self._simple(minor)
        if minor == _INDEFINITE:
            return self._indefinite(major, depth)
        return self._definite(major, self._argument(minor), depth)

    def _definite(self, major: int, size: int, depth: int) -> Any:  # noqa: ANN401
        if major in (_UNSIGNED, _NEGATIVE):
            return size if major == _UNSIGNED else -1 - size
        if major in (_BYTES, _TEXT):
            raw = self._take(size)
            return raw if major == _BYTES else raw.decode()
        if major == _TAG:
            return self._tagged(size, depth)
        count = self._fitting(size)
        if major == _MAP:
            return dict(self._pair(depth) for _ in range(count))
        return [self.item(depth + 1) for _ in range(count)]

    def _pair(self, depth: int) -> tuple[str, Any]:
        key = self.item(depth + 1)
        if not isinstance(key, str):
            raise SerializationException("A key of a map in the request body is not a text.")
        return key, self.item(depth + 1)

    def _tagged(self, tag: int, depth: int) -> Any:  # noqa: ANN401
        value = self.item(depth + 1)
        if tag == _EPOCH_TIME and type(value) not in (int, float):
            raise SerializationException("A time in the request body is not a number of seconds.")
        return value

    def _indefinite(self, major: int, depth: int) -> Any:  # noqa: ANN401
        items: list[Any] = []
        while self._body[self.at] != _BREAK:
            items.append(self._pair(depth) if major == _MAP else self.item(depth + 1))
        self.at += 1
        if major == _MAP:
            return dict(items)
        if major == _ARRAY:
            return items
        kind = {_BYTES: bytes, _TEXT: str}.get(major)
        if kind is None or not all(type(part) is kind for part in items):
            raise SerializationException("The request body is not valid CBOR.")
        return kind().join(items)

    def _simple(self, minor: int) -> Any:  # noqa: ANN401
        if minor in _CONSTANTS:
            return _CONSTANTS[minor]
        if minor in _FLOATS:
            (value,) = struct.unpack(_FLOATS[minor], self._take(_WIDTHS[minor]))
            return value
        raise SerializationException("The request body is not valid CBOR.")

    def _argument(self, minor: int) -> int:
        if minor < min(_WIDTHS):
            return minor
        if minor not in _WIDTHS:
            raise SerializationException("The request body is not valid CBOR.")
        return int.from_bytes(self._take(_WIDTHS[minor]), "big")

    def _fitting(self, count: int) -> int:
        """Return a count of items that there are bytes for."""
        if count > len(self._body) - self.at:
            raise IndexError
        return count

    def _take(self, size: int) -> bytes:
        self._fitting(size)
        self.at += size
        return self._body[self.at - size : self.at]


# --- encoding --------------------------------------------------------------------------------


def encode_response(operation: Operation, result: Mapping[str, Any], request_id: str) -> Response:
    """Return the response to a call that succeeded; without output its body is empty.

    Raises KeyError for members that the model does not have.
    """
    if operation.output_shape is None:
        if result:
            raise KeyError(f"{operation.name} returns nothing, not {sorted(result)}")
        return Response(headers=_headers(request_id)[:2])
    body = bytearray()
    _append(body, operation.output_shape, result)
    return Response(headers=_headers(request_id), body=bytes(body))


def encode_error(service: Service | None, error: AwsError, request_id: str) -> Response:
    """Return the error response: a map of `__type` and `message`."""
    named = (error.code, ()) if service is None else json_codec.error_names(service, error)
    code, query_error = named
    body = bytearray(_head(_MAP, 2))
    for text in ("__type", code, "message", error.message):
        body += _text(text.encode()[:_TEXT_BYTES_MAX].decode(errors="ignore"))
    return Response(
        status=error.status, headers=(*_headers(request_id), *query_error), body=bytes(body)
    )


def _headers(request_id: str) -> tuple[tuple[str, str], ...]:
    return (
        ("x-amzn-RequestId", request_id),
        ("smithy-protocol", "rpc-v2-cbor"),
        ("Content-Type", "application/cbor"),
    )


def _append(body: bytearray, shape: Shape, value: Any) -> None:  # noqa: ANN401
    match shape.type:
        case "structure":
            given = {name: entry for name, entry in value.items() if entry is not None}
            body += _head(_MAP, len(given))
            for name, entry in given.items():
                body += _text(name)
                _append(body, shape.members[name].shape, entry)
        case "map":
            body += _head(_MAP, len(value))
            for key, entry in value.items():
                body += _text(key)
                _append(body, shape.value.shape, entry)
        case "list":
            body += _head(_ARRAY, len(value))
            for entry in value:
                _append(body, shape.item.shape, entry)
        case "timestamp":
            body += _head(_TAG, _EPOCH_TIME) + _double(value)
        case _:
            body += _scalar(shape, value)


def _scalar(shape: Shape, value: Any) -> bytes:  # noqa: ANN401
    match shape.type:
        case "boolean":
            return b"\xf5" if value else b"\xf4"
        case "integer" | "long":
            return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case "float" | "double":
            return _double(value)
        case "blob":
            return _head(_BYTES, len(value)) + bytes(value)
        case _:
            return _text(value)


def _double(value: float) -> bytes:
    return b"\xfb" + struct.pack(">d", value)


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _head(_TEXT, len(raw)) + raw


def _head(major: int, argument: int) -> bytes:
    """Return the first bytes of an item: its type, and its length or value."""
    if argument < min(_WIDTHS):
        return bytes([major << 5 | argument])
    minor, width = next(
        (minor, width) for minor, width in _WIDTHS.items() if argument < 1 << 8 * width
    )
    return bytes([major << 5 | minor]) + argument.to_bytes(width, "big")
