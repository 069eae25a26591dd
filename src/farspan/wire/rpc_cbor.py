"""Smithy's RPC v2 CBOR, as far as saying no in it.

No service that Farspan has speaks it. Clients of those that do would read any other answer as a
broken one, and try again; an error that they can read names what is not there. It must never carry
a success.
"""

from __future__ import annotations

from typing import Final

from farspan.errors import AwsError
from farspan.wire.http import Response

_MAP_OF_TWO: Final = b"\xa2"  # RFC 8949, 3.1: major type 5, two pairs
_TEXT: Final = 0x60  # major type 3
_TEXT_BYTES_MAX: Final = 0xFFFF


def encode_error(error: AwsError, request_id: str) -> Response:
    """Return the error response: a map of `__type` and `message`."""
    members = ("__type", error.code, "message", error.message)
    return Response(
        status=error.status,
        headers=(
            ("x-amzn-RequestId", request_id),
            ("Content-Type", "application/cbor"),
            ("smithy-protocol", "rpc-v2-cbor"),
        ),
        body=_MAP_OF_TWO + b"".join(map(_text, members)),
    )


def _text(text: str) -> bytes:
    raw = text.encode()[:_TEXT_BYTES_MAX].decode(errors="ignore").encode()
    size = len(raw)
    if size < 24:  # noqa: PLR2004 - RFC 8949, 3: the length itself, or how many bytes hold it
        head = bytes([_TEXT | size])
    elif size <= 0xFF:  # noqa: PLR2004
        head = bytes([_TEXT | 24, size])
    else:
        head = bytes([_TEXT | 25]) + size.to_bytes(2, "big")
    return head + raw
