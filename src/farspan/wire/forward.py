"""A request passed on to another node, as it came.

The signature is checked where the request ends, so every signed header and every byte of the body
must arrive unchanged. Adds headers that no SDK signs: which node passed it on, whether it came over
TLS, and an invocation id where the client sent none, so that a second sending is known as such.
"""

from __future__ import annotations

import asyncio
import errno
import hmac
import io

import aiohttp
from yarl import URL

from farspan.endpoints.service import RegionUnreachable
from farspan.errors import (
    AccessDeniedException,
    ServiceUnavailableException,
    ValidationException,
)
from farspan.wire.hops import CONNECT_SECONDS_MAX, ConnectionDropped, ConnectionFailed, Hops
from farspan.wire.http import Request, Response

FORWARDED_HEADER = "x-farspan-forwarded-by"
"""Set on a request that a node passed on. Whoever receives it serves it: no request goes round.

A seal that only nodes can make goes with it; without one the request is refused.
"""

SECURE_HEADER = "x-farspan-came-securely"
"""Set beside it on a request that came over TLS. Without a node's seal it says nothing."""

INVOCATION_HEADER = "amz-sdk-invocation-id"

HOP_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "expect",
        "keep-alive",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Headers about one connection (RFC 9110, section 7.6.1), which end here."""

OWN_HEADERS = HOP_HEADERS | {"date"}
"""Headers of a reply that this node's own server writes: passed on, they would be there twice."""

UNAVAILABLE_STATUS = 503

OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE})
"""Errors that say nothing about the other node: this one has no descriptors left."""

BYTES_AT_ONCE_MAX = 64 * 1024
"""Larger bodies are written piece by piece: in one piece they hold up the event loop, of which
aiohttp warns from a megabyte on."""


def forwarded_mark(node: str, cluster_secret: str) -> str:
    """Return what the header says of a request that `node` passed on."""
    seal = hmac.digest(_bytes(cluster_secret), _bytes(f"farspan forwarded by {node}"), "sha256")
    return f"{node} {seal.hex()}"


def check_mark(mark: str, cluster_secret: str) -> None:
    """Return if a node of this deployment set the header. Raises AccessDeniedException.

    It is refused and not dropped: nodes with different secrets would pass a request round for ever.
    """
    expected = forwarded_mark(mark.rpartition(" ")[0], cluster_secret)
    if not hmac.compare_digest(_bytes(mark), _bytes(expected)):
        raise AccessDeniedException(
            f"The header {FORWARDED_HEADER} is for nodes of this deployment. Leave it out; or, "
            "where a node did set it, give all nodes the same cluster_secret."
        )


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


class Forwarder:
    """Sends requests to other nodes over connections that it keeps."""

    def __init__(self, node: str, cluster_secret: str) -> None:
        self._node = node
        self._mark = forwarded_mark(node, cluster_secret)
        self._hops = Hops()
        self._session: aiohttp.ClientSession | None = None

    def session(self) -> aiohttp.ClientSession:
        """Return the session, opened at first use on the running loop."""
        if self._session is None:
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=30),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS_MAX),
                auto_decompress=False,
                trust_env=False,
                skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
                cookie_jar=aiohttp.DummyCookieJar(),
            )
        return self._session

    async def forward(self, url: str, request: Request) -> Response:
        """Send the request to the node at `url` and return its response.

        Raises RegionUnreachable where the node cannot be connected to or drops the connection.
        """
        target = request.path + (f"?{request.query}" if request.query else "")
        headers = {
            name: value for name, value in request.headers.items() if name not in HOP_HEADERS
        }
        headers[FORWARDED_HEADER] = self._mark
        headers.pop(SECURE_HEADER, None)  # a client may say it, and is not believed
        if request.is_secure:
            headers[SECURE_HEADER] = "true"
        try:
            if url.startswith("http://") and request.method != "HEAD":
                head = _head(request.method, target, headers, len(request.body))
                reply = await self._hops.send(url, head, request.body)
            else:  # HEAD's answers have a length and no body, which only a whole client knows
                reply = await self._forward_otherwise(url + target, request, headers)
        except (aiohttp.ClientError, OSError) as error:
            if getattr(error, "errno", None) in OWN_FAULTS:
                raise ServiceUnavailableException(
                    f"Node {self._node} has too many open connections. Try again in a moment, or "
                    "raise its limit of open files."
                ) from error
            raise RegionUnreachable(f"{url} {_reason(error)}") from None
        kept = [each for each in reply.headers if each[0].lower() not in OWN_HEADERS]
        return Response(status=reply.status, headers=kept, body=reply.body)

    async def _forward_otherwise(
        self, target: str, request: Request, headers: dict[str, str]
    ) -> Response:
        async with self.session().request(
            request.method,
            URL(target, encoded=True),
            headers=headers,
            data=_payload(request.body),
            allow_redirects=False,
        ) as reply:
            body = await reply.read()
            return Response(status=reply.status, headers=list(reply.headers.items()), body=body)

    async def close(self) -> None:
        """Close every connection."""
        self._hops.close()
        if self._session is not None:
            await self._session.close()
            await asyncio.sleep(0)  # noqa: TID251 - lets the transports close, waits for no time


def _payload(body: bytes) -> bytes | io.BytesIO | None:
    if len(body) > BYTES_AT_ONCE_MAX:
        return io.BytesIO(body)
    return body or None


def _head(method: str, target: str, headers: dict[str, str], body_length: int) -> bytes:
    """Return a request up to its body. Raises ValidationException for a line that is two."""
    lines = [f"{method} {target} HTTP/1.1"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    if body_length or method != "GET":
        lines.append(f"content-length: {body_length}")
    text = "\r\n".join(lines)
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise ValidationException("A header of the request has a line break.")
    return f"{text}\r\n\r\n".encode("latin-1")


def _reason(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorError):
        return f"cannot be connected to ({error.os_error.strerror or error.os_error})"
    if isinstance(error, ConnectionFailed):
        return f"cannot be connected to ({error.strerror or error})"
    if isinstance(error, ConnectionDropped):
        return f"dropped the connection ({error})"
    return f"dropped the connection ({type(error).__name__})"
