"""Whether a text stands within the first bytes of an HTTP response's body.

Route 53 looks at 5,120 bytes, of what a compressed body unpacks to, and the whole text has to stand
within them (developer guide, "How Route 53 determines whether a health check is healthy"). Nothing
beyond is unpacked, however small its packed form. Pure.
"""

from __future__ import annotations

import zlib
from enum import StrEnum
from typing import Final

SEARCHED_BYTES: Final = 5_120
_GZIP_WINDOW: Final = zlib.MAX_WBITS | 16
_RAW_WINDOW: Final = -zlib.MAX_WBITS


class Search(StrEnum):
    """How a search stands."""

    FOUND = "FOUND"  # the text is there
    OPEN = "OPEN"  # it is not there yet, and more bytes may bring it
    MISSING = "MISSING"  # it is not there, whatever follows


class Body:
    """The start of a body as it comes in, searched for a text.

    `encoding` is the response's Content-Encoding. One that is not known is searched as it is.
    """

    def __init__(self, text: str, encoding: str = "") -> None:
        self._sought = text.encode()
        self._seen = bytearray()
        self._encoding = encoding.strip().lower()
        self._unpacking: zlib._Decompress | None = None
        self._is_broken = False

    def feed(self, piece: bytes) -> Search:
        """Take the next piece and return how the search stands."""
        room = SEARCHED_BYTES - len(self._seen)
        if piece and room > 0 and not self._is_broken:
            self._seen += self._unpacked(piece, room)
        if self._sought in self._seen:
            return Search.FOUND
        is_over = self._is_broken or len(self._seen) >= SEARCHED_BYTES
        return Search.MISSING if is_over else Search.OPEN

    def _unpacked(self, piece: bytes, room: int) -> bytes:
        """Return what a piece unpacks to, as far as there is room for it."""
        window = _window(self._encoding, piece)
        if window is None:
            return piece[:room]
        if self._unpacking is None:
            self._unpacking = zlib.decompressobj(window)
        try:
            return self._unpacking.decompress(piece, room)
        except zlib.error:
            self._is_broken = True
            return b""


def _window(encoding: str, start: bytes) -> int | None:
    """Return zlib's word for an encoding, None for one that it does not unpack."""
    match encoding:
        case "gzip" | "x-gzip":
            return _GZIP_WINDOW
        case "deflate":
            # Some servers leave out zlib's frame, whose first byte names the method (RFC 1950).
            return zlib.MAX_WBITS if start[0] & 0x0F == zlib.DEFLATED else _RAW_WINDOW
        case _:
            return None
