"""The ASGI application: bytes of a connection become a `Request`, a `Response` becomes bytes.

Bounds what it reads: a body beyond the limit is refused by name, before anything looks at it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from farspan.errors import RequestEntityTooLargeException
from farspan.wire import protocols
from farspan.wire.http import Request, Response

BODY_BYTES_MAX = 4 * 1024 * 1024
"""PutEvents takes 1 MB of entries; JSON escapes at most triple them (RFC 8259: six characters for
two or three bytes), and a megabyte is headroom for the rest."""

DRAIN_BYTES_MAX = 32 * 1024 * 1024
"""How much of a body that is too large is read all the same, so that its sender gets to read the
answer instead of a reset connection."""

WATCH_AFTER_SECONDS = 0.5
"""After how long an answer is worth asking whether its client is still there."""

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Answer = Callable[[Request], Awaitable[Response]]


class ClientGone(Exception):
    """The client closed the connection before its request was whole."""


class Application:
    """An ASGI 3 application for HTTP."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            return
        try:
            body = await _read(receive)
        except ClientGone:
            return
        headers, repeated = _headers(scope["headers"])
        request = Request(
            method=scope["method"],
            path=scope["raw_path"].decode("latin-1"),
            query=scope["query_string"].decode("latin-1"),
            headers=headers,
            body=body or b"",
            repeated_headers=repeated,
        )
        if body is None:
            response = _too_large(request)
        else:
            try:
                response = await self._answer_while_wanted(request, receive)
            except ClientGone:
                return
        sent = [
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in response.headers
        ]
        sent.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": sent})
        await send({"type": "http.response.body", "body": response.body})

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
