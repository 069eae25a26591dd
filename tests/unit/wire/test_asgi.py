"""The ASGI application: what it reads, what it bounds, what it writes."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping, Sequence
from typing import Any

import pytest

from farspan.wire import asgi
from farspan.wire.asgi import BODY_BYTES_MAX, DRAIN_BYTES_MAX, Application
from farspan.wire.http import Request, Response

MEBIBYTE = b"x" * 1024 * 1024
DISCONNECT: dict[str, Any] = {"type": "http.disconnect"}


class Connection:
    """A client that sends a body in pieces and keeps what comes back."""

    def __init__(self, messages: Sequence[MutableMapping[str, Any]]) -> None:
        self.left = list(messages)
        self.sent: list[MutableMapping[str, Any]] = []
        self.requests: list[Request] = []

    async def answer(self, request: Request) -> Response:
        """Keep the request and answer it."""
        self.requests.append(request)
        return Response(status=201, headers=(("X-A", "1"), ("x-b", "é")), body=b"done")

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the next piece."""
        return self.left.pop(0)

    async def send(self, message: MutableMapping[str, Any]) -> None:
        """Keep what is sent."""
        self.sent.append(message)

    async def run(self, headers: Sequence[tuple[bytes, bytes]] = (), **scope: Any) -> None:
        """Serve one request."""
        whole = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/%C3%A9%2f",
            "query_string": b"a=%20&a",
            "headers": list(headers),
            **scope,
        }
        await Application(self.answer)(whole, self.receive, self.send)


async def turns() -> None:
    """Let every task run until it waits for something, and the loop's own timers too."""
    for _ in range(10):
        await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time


@pytest.mark.parametrize(("scheme", "is_secure"), [("http", False), ("https", True)])
async def test_the_servers_word_on_tls_is_kept(scheme: str, is_secure: bool) -> None:
    """By the connection, never by a header."""
    connection = Connection(pieces(b"{}"))
    await connection.run(((b"x-forwarded-proto", b"https"),), scheme=scheme)

    assert connection.requests[0].is_secure is is_secure


def pieces(*bodies: bytes) -> list[MutableMapping[str, Any]]:
    """Return the messages in which a body comes."""
    return [
        {"type": "http.request", "body": body, "more_body": index < len(bodies) - 1}
        for index, body in enumerate(bodies)
    ]


async def test_a_request_is_taken_as_it_came() -> None:
    """Path and query stay percent-encoded, pieces are joined."""
    connection = Connection(pieces(b"a", b"", b"b"))
    await connection.run([(b"host", b"h")])

    assert [
        Request(
            method="POST", path="/%C3%A9%2f", query="a=%20&a", headers={"host": "h"}, body=b"ab"
        )
    ] == connection.requests


async def test_repeated_headers_are_joined_and_named() -> None:
    """Whoever checks a signature can see that one came twice."""
    connection = Connection(pieces(b""))
    await connection.run([(b"x-a", b"1"), (b"x-b", b"2"), (b"x-a", b"3")])
    (request,) = connection.requests

    assert {"x-a": "1, 3", "x-b": "2"} == request.headers
    assert {"x-a"} == request.repeated_headers


async def test_a_response_has_its_length() -> None:
    """Status, headers in lower case, and the body's length."""
    connection = Connection(pieces(b""))
    await connection.run()
    start, body = connection.sent

    assert 201 == start["status"]
    assert [(b"x-a", b"1"), (b"x-b", b"\xe9"), (b"content-length", b"4")] == start["headers"]
    assert b"done" == body["body"]


async def test_a_client_that_goes_is_not_answered() -> None:
    """Half a request is none."""
    connection = Connection([*pieces(b"a", b"")[:1], DISCONNECT])
    await connection.run()

    assert ([], []) == (connection.requests, connection.sent)


class Waiting(Connection):
    """A client whose answer takes until the test lets it come, and who may go away before."""

    def __init__(self) -> None:
        super().__init__(pieces(b"{}"))
        self.comes = asyncio.Event()
        self.goes = asyncio.Event()
        self.ended = "not asked"

    async def receive(self) -> MutableMapping[str, Any]:
        """Return the body, and then wait as a server does until the client goes."""
        if self.left:
            return self.left.pop(0)
        await self.goes.wait()
        return DISCONNECT

    async def answer(self, request: Request) -> Response:
        """Answer once it is time."""
        self.ended = "cancelled"
        await self.comes.wait()
        self.ended = "answered"
        return Response(body=b"late")


@pytest.fixture
def _watched_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each client be looked after from the first moment."""
    monkeypatch.setattr(asgi, "WATCH_AFTER_SECONDS", 0.0)


@pytest.mark.usefixtures("_watched_at_once")
async def test_an_answer_ends_when_its_client_goes_away() -> None:
    """A long poll for nobody would take messages away from the others."""
    connection = Waiting()
    running = asyncio.create_task(connection.run())
    await turns()
    connection.goes.set()
    await turns()

    assert running.done()
    assert ("cancelled", []) == (connection.ended, connection.sent)


@pytest.mark.usefixtures("_watched_at_once")
async def test_a_late_answer_reaches_a_client_that_waits() -> None:
    """Looking after the client disturbs nothing, and ends with the answer."""
    connection = Waiting()
    tasks = asyncio.all_tasks()
    running = asyncio.create_task(connection.run())
    await turns()
    connection.comes.set()
    await asyncio.wait_for(running, 5)
    await turns()

    assert b"late" == connection.sent[1]["body"]
    assert tasks == asyncio.all_tasks()


@pytest.mark.usefixtures("_watched_at_once")
async def test_a_server_that_stops_is_not_a_client_that_goes() -> None:
    """Cancelling from outside stays what it is."""
    connection = Waiting()
    running = asyncio.create_task(connection.run())
    await turns()
    running.cancel()

    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_quick_answer_is_not_watched() -> None:
    """Most are there before it is worth looking: nothing more is read."""
    connection = Connection([*pieces(b"a"), DISCONNECT])
    await connection.run()

    assert [DISCONNECT] == connection.left
    assert b"done" == connection.sent[1]["body"]


@pytest.mark.parametrize("kind", ["websocket", "lifespan"])
async def test_only_http_is_served(kind: str) -> None:
    """Nothing else is answered."""
    connection = Connection([])
    await connection.run(type=kind)

    assert [] == connection.sent


async def test_the_largest_body_is_taken() -> None:
    """4 MiB are the limit, and are below it."""
    connection = Connection(pieces(*[MEBIBYTE] * 4))
    await connection.run()

    assert [BODY_BYTES_MAX] == [len(request.body) for request in connection.requests]


async def test_a_body_too_large_is_read_and_refused() -> None:
    """The rest is read, so that the sender gets to the answer; nobody looks at it."""
    connection = Connection(pieces(*[MEBIBYTE] * 4, b"x", b"x"))
    await connection.run([(b"x-amz-target", b"AmazonSQS.SendMessage")])

    assert [] == connection.requests
    assert [] == connection.left
    assert 413 == connection.sent[0]["status"]
    assert b"4194304 bytes" in connection.sent[1]["body"]


async def test_a_body_without_end_is_not_read_for_ever() -> None:
    """Beyond 32 MiB the answer is sent while the client still writes."""
    count = DRAIN_BYTES_MAX // len(MEBIBYTE)
    connection = Connection(pieces(*[MEBIBYTE] * (count + 5)))
    await connection.run()

    assert 4 == len(connection.left)
    assert 413 == connection.sent[0]["status"]


# --- all bodies together ----------------------------------------------------------------------


class Slow(Waiting):
    """A client whose whole body comes at once, after a head that says how long it is."""

    async def run(self, headers: Sequence[tuple[bytes, bytes]] = (), **scope: Any) -> None:
        """Serve one request of 40 bytes."""
        self.left = pieces(b"x" * 40)
        whole = {
            "type": "http",
            "method": "POST",
            "raw_path": b"/",
            "query_string": b"",
            "headers": headers or [(b"content-length", b"40")],
        }
        await scope["application"](whole, self.receive, self.send)


async def begin(
    clients: Sequence[Slow], headers: Sequence[tuple[bytes, bytes]] = ()
) -> list[asyncio.Task[None]]:
    """Let the clients send one after the other to an application that has room for 100 bytes."""
    answering = iter([client.answer for client in clients])

    async def answer(request: Request) -> Response:
        return await next(answering)(request)

    application = Application(answer, held_bytes_max=100)
    tasks = []
    for client in clients:
        tasks.append(asyncio.create_task(client.run(headers, application=application)))
        await turns()
    return tasks


async def test_bodies_beyond_the_room_wait_in_their_sockets() -> None:
    """Nothing of a third body is read while two take the room; it is when one is answered."""
    clients = [Slow(), Slow(), Slow()]
    tasks = await begin(clients)
    before = [len(client.left) for client in clients]
    clients[0].comes.set()
    await tasks[0]
    await turns()
    after = [len(client.left) for client in clients]
    for client in clients:
        client.comes.set()
    await asyncio.gather(*tasks)

    assert ([0, 0, 1], [0, 0, 0]) == (before, after)
    assert ["answered"] * 3 == [client.ended for client in clients]


async def test_a_client_that_gives_up_waiting_leaves_its_place() -> None:
    """Cancelled while it waits for room, it takes none from those behind it."""
    clients = [Slow(), Slow(), Slow(), Slow()]
    tasks = await begin(clients)
    tasks[2].cancel()
    await turns()
    clients[0].comes.set()
    await turns()
    last = len(clients[3].left)
    for client in clients:
        client.comes.set()
    await asyncio.gather(*tasks, return_exceptions=True)

    assert 0 == last
    assert b"late" == clients[3].sent[1]["body"]
    assert [] == clients[2].sent


@pytest.mark.parametrize(
    ("headers", "byte_count"),
    [
        ({}, 0),
        ({"content-length": "40"}, 40),
        ({"content-length": "99999999999"}, BODY_BYTES_MAX),
        ({"content-length": "x"}, 0),
        ({"transfer-encoding": "chunked"}, BODY_BYTES_MAX),
    ],
    ids=["none", "length", "too-long", "nonsense", "chunked"],
)
def test_room_is_taken_for_the_largest_that_a_body_may_become(
    headers: dict[str, str], byte_count: int
) -> None:
    """Taken before the first byte is read, so that no two bodies wait for each other."""
    assert byte_count == asgi._announced(headers)


async def test_a_body_that_does_not_come_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its room goes to others; the client is told to try again, and its connection is closed."""
    monkeypatch.setattr(asgi, "BODY_SECONDS_MAX", 0.01)
    never = Waiting()
    never.left = []
    application = Application(never.answer, held_bytes_max=100)
    whole = {
        "type": "http",
        "method": "POST",
        "raw_path": b"/",
        "query_string": b"",
        "headers": [(b"content-length", b"100"), (b"x-amz-target", b"AWSEvents.PutEvents")],
    }
    await application(whole, never.receive, never.send)

    assert 503 == never.sent[0]["status"]
    assert (b"connection", b"close") in never.sent[0]["headers"]
    assert b"ServiceUnavailable" in never.sent[1]["body"]
    assert 100 == application._room._left
