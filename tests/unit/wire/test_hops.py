"""Connections between nodes: kept, used again, given up; and what a broken one is called."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing, suppress

import pytest

from farspan.errors import ValidationException
from farspan.wire import hops
from farspan.wire.forward import Forwarder
from farspan.wire.hops import ConnectionDropped, ConnectionFailed, Hops
from farspan.wire.http import Request

ASK = b"POST / HTTP/1.1\r\ncontent-length: 2\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Node:
    """Answers each request on its connections with the next of some bytes, and counts these."""

    def __init__(self) -> None:
        self.answers = [OK] * 20
        self.connection_count = 0
        self.url = ""
        self.hangs = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        self.connection_count += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError), closing(writer):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                _, found, rest = head.partition(b"content-length:")
                await reader.readexactly(int(rest.partition(b"\r\n")[0]) if found else 0)
                answer = self.answers.pop(0)
                if answer == b"hang":
                    await self.hangs.wait()
                    return
                writer.write(answer)
                if b"connection: close" in answer.lower():
                    return


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    """A node on a free port."""
    made = Node()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield made
    made.hangs.set()
    server.close()
    await server.wait_closed()


@pytest.fixture
async def made() -> AsyncIterator[Hops]:
    """Connections of one node."""
    made = Hops()
    yield made
    made.close()
    await asyncio.sleep(0.01)  # noqa: TID251 - the sockets close


async def test_a_connection_is_used_again(made: Hops, node: Node) -> None:
    """One after the other they need one connection."""
    answers = [await made.send(node.url, ASK, b"{}") for _ in range(5)]

    assert [b"hi"] * 5 == [answer.body for answer in answers]
    assert 1 == node.connection_count


async def test_requests_at_once_have_connections_of_their_own(made: Hops, node: Node) -> None:
    """Nobody waits for another's answer; what is kept afterwards serves the next ones."""
    await asyncio.gather(*(made.send(node.url, ASK, b"{}") for _ in range(5)))
    await asyncio.gather(*(made.send(node.url, ASK, b"{}") for _ in range(5)))

    assert 5 == node.connection_count


async def test_a_connection_that_the_node_closes_is_not_used_again(made: Hops, node: Node) -> None:
    """Whether it says so, or just goes."""
    node.answers[0] = b"HTTP/1.1 200 OK\r\nConnection: close\r\ncontent-length: 0\r\n\r\n"
    await made.send(node.url, ASK, b"{}")
    await made.send(node.url, ASK, b"{}")

    assert 2 == node.connection_count


async def test_an_old_connection_is_not_used_again(
    made: Hops, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node may be about to close it, and then nobody would know what became of a request."""
    await made.send(node.url, ASK, b"{}")
    monkeypatch.setattr(hops, "IDLE_SECONDS_MAX", -1.0)
    await made.send(node.url, ASK, b"{}")

    assert 2 == node.connection_count


async def test_idle_connections_are_bounded(
    made: Hops, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a burst most are closed."""
    monkeypatch.setattr(hops, "IDLE_COUNT_MAX", 2)
    await asyncio.gather(*(made.send(node.url, ASK, b"{}") for _ in range(5)))

    assert 2 == len(made._idle[node.url])


async def test_a_request_that_is_given_up_takes_its_connection_with_it(
    made: Hops, node: Node
) -> None:
    """An answer that comes late is not another request's."""
    node.answers[0] = b"hang"
    task = asyncio.create_task(made.send(node.url, ASK, b"{}"))
    await asyncio.sleep(0.05)  # noqa: TID251 - it is sent
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    answer = await made.send(node.url, ASK, b"{}")

    assert (b"hi", 2) == (answer.body, node.connection_count)


async def test_an_answer_in_pieces_is_one(made: Hops, node: Node) -> None:
    """Chunks are joined, and the connection goes on."""
    node.answers[0] = (
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n"
    )
    first, second = [await made.send(node.url, ASK, b"{}") for _ in range(2)]

    assert (b"hello", b"hi", 1) == (first.body, second.body, node.connection_count)


async def test_an_answer_without_end_is_cut(
    made: Hops, node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What one answer may take of memory has a limit."""
    monkeypatch.setattr(hops, "ANSWER_BYTES_MAX", 1)

    with pytest.raises(ConnectionDropped, match="too much"):
        await made.send(node.url, ASK, b"{}")


async def test_a_node_that_is_not_there_has_not_seen_the_request(made: Hops, node: Node) -> None:
    """That it could not be connected to is told apart from a connection that broke."""
    node.answers[0] = b"nonsense\r\n\r\n"

    with pytest.raises(ConnectionFailed):
        await made.send("http://127.0.0.1:9", ASK, b"{}")
    with pytest.raises(ConnectionDropped):
        await made.send(node.url, ASK, b"{}")


async def test_the_answer_to_head_has_no_body(node: Node) -> None:
    """Its length is that of a body which does not come."""
    node.answers[0] = b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n"
    forwarder = Forwarder("edge", "s")
    try:
        request = Request(method="HEAD", path="/", headers={"host": "h"})
        answer = await asyncio.wait_for(forwarder.forward(node.url, request), 5)
    finally:
        await forwarder.close()

    assert (200, b"") == (answer.status, answer.body)


async def test_a_header_that_is_two_lines_is_refused(node: Node) -> None:
    """Nothing that a client sends becomes a header of its own behind the edge."""
    forwarder = Forwarder("edge", "s")
    request = Request(method="POST", path="/", headers={"x-a": "1\r\nx-farspan-admin: 1"})

    with pytest.raises(ValidationException):
        await forwarder.forward(node.url, request)
    await forwarder.close()
    assert 0 == node.connection_count
