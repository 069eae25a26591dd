"""HTTP/1.1 from node to node over kept connections: one request, one answer, nothing else.

An edge does little besides, so that what this costs is what an edge costs: a general client takes
several times as long. It keeps nothing of a request or an answer once it is over. It must never
send a request again: who calls knows whether that is right.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from typing import cast
from urllib.parse import urlsplit

import httptools

from farspan.wire.http import Response

CONNECT_SECONDS_MAX = 1.0
IDLE_SECONDS_MAX = 30.0
"""Shorter than a node keeps an idle connection, so that none is closed as it is used again."""

IDLE_COUNT_MAX = 256
"""Connections kept to one node. More may be in use."""

ANSWER_BYTES_MAX = 256 * 1024 * 1024
JOIN_BYTES_MAX = 64 * 1024
"""Smaller bodies go out in one piece with the head."""


class ConnectionFailed(OSError):
    """The node could not be connected to: it has not seen the request. The message says why."""


class ConnectionDropped(OSError):
    """The connection broke, or what came was no answer: the request may have been taken."""


class _Connection(asyncio.Protocol):
    """One connection. Its parser calls the `on_` methods."""

    def __init__(self, idle: deque[_Connection]) -> None:
        self._idle = idle
        self._loop = asyncio.get_running_loop()
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._waiting: asyncio.Future[Response] | None = None
        self._headers: list[tuple[str, str]] = []
        self._chunks: list[bytes] = []
        self._byte_count = 0
        self.idle_since = 0.0

    @property
    def is_open(self) -> bool:
        """Whether a request can be sent."""
        return self._transport is not None and not self._transport.is_closing()

    async def exchange(self, head: bytes, body: bytes) -> Response:
        """Send a request and return the answer. Raises ConnectionDropped."""
        assert self._transport is not None, "a connection is made before it is used"
        self._waiting = self._loop.create_future()
        if len(body) <= JOIN_BYTES_MAX:
            self._transport.write(head + body)
        else:
            self._transport.write(head)
            self._transport.write(body)
        try:
            return await self._waiting
        except BaseException:
            self.abort()  # an answer that comes later would be taken for another request's
            raise
        finally:
            self._waiting = None

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    # --- asyncio.Protocol ---------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See `asyncio.BaseProtocol`."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none by name

    def data_received(self, data: bytes) -> None:
        """See `asyncio.Protocol`."""
        if self._waiting is None:
            self.abort()  # nothing was asked
            return
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(ConnectionDropped(f"{type(error).__name__}"))

    def connection_lost(self, exc: Exception | None) -> None:
        """See `asyncio.BaseProtocol`."""
        self._fail(ConnectionDropped(type(exc).__name__ if exc else "closed before the answer"))
        self._transport = None
        with contextlib.suppress(ValueError):
            self._idle.remove(self)

    def _fail(self, error: ConnectionDropped) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(error)
        self._forget()

    def _forget(self) -> None:
        self._headers, self._chunks, self._byte_count = [], [], 0

    # --- httptools' callbacks -----------------------------------------------------------------

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header."""
        self._headers.append((name.decode("latin-1"), value.decode("latin-1")))

    def on_body(self, chunk: bytes) -> None:
        """Keep a piece of the body."""
        self._byte_count += len(chunk)
        if self._byte_count > ANSWER_BYTES_MAX:
            self._fail(ConnectionDropped("answered with too much"))
            self.abort()
            return
        self._chunks.append(chunk)

    def on_message_complete(self) -> None:
        """Hand the answer over."""
        body = self._chunks[0] if len(self._chunks) == 1 else b"".join(self._chunks)
        answer = Response(status=self._parser.get_status_code(), headers=self._headers, body=body)
        if not self._parser.should_keep_alive() and self._transport is not None:
            self._transport.close()
        self._forget()
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(answer)


class Hops:
    """Connections to other nodes, by host and port."""

    def __init__(self) -> None:
        self._idle: dict[str, deque[_Connection]] = {}
        self._places: dict[str, tuple[str, int]] = {}

    async def send(self, url: str, head: bytes, body: bytes) -> Response:
        """Send a request to the node at `url` and return its answer.

        Raises ConnectionFailed where it cannot be connected to, ConnectionDropped after that.
        """
        idle = self._idle.setdefault(url, deque())
        connection = self._kept(idle) or await self._connect(url, idle)
        answer = await connection.exchange(head, body)
        if connection.is_open:
            if len(idle) < IDLE_COUNT_MAX:
                connection.idle_since = asyncio.get_running_loop().time()
                idle.append(connection)
            else:
                connection.abort()
        return answer

    def _kept(self, idle: deque[_Connection]) -> _Connection | None:
        """Return a connection that is open, the one that was used last; drop those too old."""
        oldest = asyncio.get_running_loop().time() - IDLE_SECONDS_MAX
        while idle and idle[0].idle_since < oldest:
            idle.popleft().abort()
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None

    async def _connect(self, url: str, idle: deque[_Connection]) -> _Connection:
        place = self._places.get(url)
        if place is None:
            parts = urlsplit(url)
            place = self._places[url] = (parts.hostname or "", parts.port or 80)
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(CONNECT_SECONDS_MAX):
                _, connection = await loop.create_connection(lambda: _Connection(idle), *place)
        except TimeoutError:
            raise ConnectionFailed(f"no answer within {CONNECT_SECONDS_MAX:.0f} s") from None
        except OSError as error:
            raise ConnectionFailed(error.errno, error.strerror or str(error)) from None
        return connection

    def close(self) -> None:
        """Close every connection that is not in use."""
        for idle in self._idle.values():
            while idle:
                idle.pop().abort()
