"""The ASGI application: bytes of a connection become a `Request`, a `Response` becomes bytes.

Bounds what it reads: a body beyond the limit is refused by name, before anything looks at it, and
all bodies at hand together have a limit, beyond which further ones are left in their sockets. A
body is in memory from its first byte until its answer, since it may have to go to a second Region.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from msgspec.structs import replace

from farspan.errors import RequestEntityTooLargeException, ServiceUnavailableException
from farspan.wire import protocols
from farspan.wire.http import Request, Response

BODY_BYTES_MAX = 4 * 1024 * 1024
"""PutEvents takes 1 MB of entries; JSON escapes at most triple them (RFC 8259: six characters for
two or three bytes), and a megabyte is headroom for the rest."""

DRAIN_BYTES_MAX = 32 * 1024 * 1024
"""How much of a body that is too large is read all the same, so that its sender gets to read the
answer instead of a reset connection."""

HELD_BYTES_MAX = 256 * 1024 * 1024
"""What the bodies at hand may take together."""

BODY_SECONDS_MAX = 30.0
"""How long a body may take to arrive, and to wait for room: who is slower holds up others."""

WATCH_AFTER_SECONDS = 0.5
"""After how long an answer is worth asking whether its client is still there."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = Callable[[Request], Awaitable[Response]]


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class _Room:
    """How many bytes of bodies are at hand. Who comes first is let in first."""

    def __init__(self, byte_count_max: int) -> None:
        self._left = byte_count_max
        self._waiting: deque[tuple[int, asyncio.Future[None]]] = deque()

    async def enter(self, byte_count: int) -> None:
        """Return once there is room."""
        if byte_count <= self._left and not self._waiting:
            self._left -= byte_count
            return
        admitted = asyncio.get_running_loop().create_future()
        self._waiting.append((byte_count, admitted))
        try:
            await admitted
        except asyncio.CancelledError:
            if admitted.done() and not admitted.cancelled():
                self.leave(byte_count)
            raise

    def leave(self, byte_count: int) -> None:
        """Give the room to others."""
        self._left += byte_count
        while self._waiting and (
            self._waiting[0][1].cancelled() or self._waiting[0][0] <= self._left
        ):
            wanted, admitted = self._waiting.popleft()
            if not admitted.cancelled():
                self._left -= wanted
                admitted.set_result(None)


class Application:
    """An ASGI 3 application for HTTP."""

    def __init__(self, answer: Answer, held_bytes_max: int = HELD_BYTES_MAX) -> None:
        self._answer = answer
        self._room = _Room(held_bytes_max)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        headers, repeated = _headers(scope["headers"])
        request = Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            repeated_headers=repeated,
            is_secure=scope.get("scheme") == "https",
        )
        byte_count, held = _announced(headers), 0
        try:
            async with asyncio.timeout(BODY_SECONDS_MAX):
                await self._room.enter(byte_count)
                held = byte_count
                body = await _read(receive)
            if body is None:
                response = _too_large(request)
            else:
                response = await self._answer_while_wanted(replace(request, body=body), receive)
        except ClientGone:
            return
        except TimeoutError:
            response = _too_slow(request)
        finally:
            self._room.leave(held)
        await _send_response(response, send)

    async def _answer_while_wanted(self, request: Request, receive: Receive) -> Response:
        """Answer, unless the client goes away: nobody would get the answer.

        A long poll for a client that is gone would even take messages away from the others. Most
        requests are answered before it is worth looking.
        """
        task = asyncio.current_task()
        assert task is not None, "an ASGI server runs the application in a task"
        gone = False

        async def watch() -> None:
            nonlocal gone
            while (await receive())["type"] != "http.disconnect":
                pass
            gone = True
            task.cancel()

        watchers: list[asyncio.Task[None]] = []
        loop = asyncio.get_running_loop()
        later = loop.call_later(
            WATCH_AFTER_SECONDS, lambda: watchers.append(loop.create_task(watch()))
        )
        try:
            return await self._answer(request)
        except asyncio.CancelledError:
            if gone:
                raise ClientGone from None
            raise
        finally:
            later.cancel()
            for watcher in watchers:
                watcher.cancel()


async def _send_response(response: Response, send: Send) -> None:
    sent = [
        (name.lower().encode("latin-1"), value.encode("latin-1"))
        for name, value in response.headers
    ]
    sent.append((b"content-length", str(len(response.body)).encode()))
    await send({"type": "http.response.start", "status": response.status, "headers": sent})
    await send({"type": "http.response.body", "body": response.body})


def _announced(headers: dict[str, str]) -> int:
    """Return how large a body may become: what its head says, and no more than is taken."""
    length = headers.get("content-length", "")
    if length.isdecimal():
        return min(int(length), BODY_BYTES_MAX)
    return BODY_BYTES_MAX if "transfer-encoding" in headers else 0


async def _read(receive: Receive) -> bytes | None:
    """Return the whole body, None where it is too large."""
    chunks: list[bytes] = []
    byte_count = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk = message.get("body", b"")
        byte_count += len(chunk)
        if byte_count <= BODY_BYTES_MAX:
            chunks.append(chunk)
        elif byte_count > DRAIN_BYTES_MAX:
            return None
        if not message.get("more_body", False):
            break
    if byte_count > BODY_BYTES_MAX:
        return None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _headers(raw: list[tuple[bytes, bytes]]) -> tuple[dict[str, str], frozenset[str]]:
    headers: dict[str, str] = {}
    repeated: set[str] = set()
    for raw_name, raw_value in raw:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        if name in headers:
            repeated.add(name)
            value = f"{headers[name]}, {value}"
        headers[name] = value
    return headers, frozenset(repeated)


def _too_large(request: Request) -> Response:
    error = RequestEntityTooLargeException(
        f"The request's body is larger than {BODY_BYTES_MAX} bytes, and nothing of it was taken. "
        "Send fewer or smaller entries."
    )
    return protocols.encode_error(protocols.identify(request), error, "-")


def _too_slow(request: Request) -> Response:
    """Return the answer to a body that did not come: what is left of it is not read."""
    error = ServiceUnavailableException(
        f"The request's body was not here within {BODY_SECONDS_MAX:.0f} s: it came too slowly, or "
        "this node holds too many others. Nothing of it was taken; try again."
    )
    response = protocols.encode_error(protocols.identify(request), error, "-")
    return replace(response, headers=(*response.headers, ("connection", "close")))
