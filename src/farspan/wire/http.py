"""An HTTP request and response as values, so that codecs and signatures need no server.

Nothing here may do I/O.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came, its body whole.

    `path` and `query` are as sent, still percent-encoded. `headers` holds every header once under
    its lower-case name; a repeated one is joined with ", " and named in `repeated_headers`.
    `is_secure` tells that it came over TLS, to this node or to the one that passed it on.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str]
    body: bytes = b""
    repeated_headers: frozenset[str] = frozenset()
    is_secure: bool = False


class Response(msgspec.Struct, frozen=True, kw_only=True):
    """One response, ready to be sent."""

    status: int = 200
    headers: Sequence[tuple[str, str]] = ()
    body: bytes = b""
