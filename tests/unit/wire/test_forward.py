"""Requests passed on: what arrives at the other node, what comes back, what it is when it fails."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import msgspec
import pytest

from farspan.endpoints.service import RegionUnreachable
from farspan.errors import AccessDeniedException
from farspan.wire.forward import (
    FORWARDED_HEADER,
    SECURE_HEADER,
    Forwarder,
    check_mark,
    forwarded_mark,
)
from farspan.wire.http import Request

MARK = forwarded_mark("edge", "s")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi"


class Peer:
    """A node's socket that keeps what it is sent and answers with fixed bytes."""

    def __init__(self) -> None:
        self.answer = OK
        self.received: list[bytes] = []
        self.url = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Take one request of a connection."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = 0
        for line in head.lower().split(b"\r\n"):
            if line.startswith(b"content-length:"):
                length = int(line.partition(b":")[2])
        self.received += [head, await reader.readexactly(length)]
        writer.write(self.answer)
        await writer.drain()
        writer.close()


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    """A peer on a free port."""
    made = Peer()
    server = await asyncio.start_server(made.serve, "127.0.0.1", 0)
    made.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        yield made


@pytest.fixture
async def forwarder() -> AsyncIterator[Forwarder]:
    """The node `edge`'s forwarder."""
    made = Forwarder("edge", "s")
    yield made
    await made.close()


def request(body: bytes = b"{}", path: str = "/", query: str = "", **headers: str) -> Request:
    """Return a request as a client sent it to the edge."""
    return Request(
        method="POST",
        path=path,
        query=query,
        headers={"host": "events.example:4566", **headers},
        body=body,
    )


def lines(head: bytes) -> set[str]:
    """Return the header lines of a request."""
    return set(head.decode().lower().split("\r\n")[1:]) - {""}


async def test_signed_headers_arrive_unchanged(forwarder: Forwarder, peer: Peer) -> None:
    """Host and all others as sent; only who passed it on and the length are added."""
    sent = {"authorization": "AWS4 x, y", "x-amz-target": "T", "user-agent": "boto3"}
    await forwarder.forward(peer.url, request(**sent))
    head, body = peer.received

    assert b"{}" == body
    assert {
        "host: events.example:4566",
        "authorization: aws4 x, y",
        "x-amz-target: t",
        "user-agent: boto3",
        f"{FORWARDED_HEADER}: {MARK}",
        "content-length: 2",
    } == lines(head)


async def test_headers_of_one_connection_end_here(forwarder: Forwarder, peer: Peer) -> None:
    """They speak of the client's connection, not of this one."""
    sent = {"connection": "close", "expect": "100-continue", "te": "trailers", "x-a": "1"}
    await forwarder.forward(peer.url, request(**sent))

    assert {"x-a: 1"} == lines(peer.received[0]) - {
        "host: events.example:4566",
        f"{FORWARDED_HEADER}: {MARK}",
        "content-length: 2",
    }


async def test_a_claim_to_be_passed_on_is_replaced(forwarder: Forwarder, peer: Peer) -> None:
    """The header names the node that really did it."""
    await forwarder.forward(peer.url, request(**{FORWARDED_HEADER: "someone"}))

    assert f"{FORWARDED_HEADER}: {MARK}" in lines(peer.received[0])
    assert f"{FORWARDED_HEADER}: someone" not in lines(peer.received[0])


@pytest.mark.parametrize("is_secure", [False, True])
async def test_that_it_came_over_tls_goes_with_it(
    forwarder: Forwarder, peer: Peer, is_secure: bool
) -> None:
    """The node knows; what the client says of it is dropped."""
    claimed = request(**{SECURE_HEADER: "true"})
    await forwarder.forward(peer.url, msgspec.structs.replace(claimed, is_secure=is_secure))
    said = [line for line in lines(peer.received[0]) if line.lower().startswith(SECURE_HEADER)]

    assert said == ([f"{SECURE_HEADER}: true"] if is_secure else [])


async def test_path_and_query_stay_as_they_were_encoded(forwarder: Forwarder, peer: Peer) -> None:
    """They are signed as they stand."""
    await forwarder.forward(peer.url, request(path="/a%2Fb%20c", query="x=%2f&y=a+b"))

    assert peer.received[0].startswith(b"POST /a%2Fb%20c?x=%2f&y=a+b HTTP/1.1\r\n")


@pytest.mark.parametrize("byte_count", [0, 1, 65_536, 65_537, 3 * 1024 * 1024])
async def test_bodies_of_any_size(forwarder: Forwarder, peer: Peer, byte_count: int) -> None:
    """They arrive whole, and aiohttp does not warn of large ones."""
    body = b"x" * byte_count
    await forwarder.forward(peer.url, request(body))

    assert body == peer.received[1]
    assert b"transfer-encoding" not in peer.received[0].lower()


async def test_the_reply_comes_back(forwarder: Forwarder, peer: Peer) -> None:
    """Status, headers and body; not the connection's headers, and no second Date."""
    peer.answer = (
        b"HTTP/1.1 400 Bad Request\r\nX-Amzn-RequestId: r\r\nDate: today\r\n"
        b"Connection: close\r\nContent-Type: text/xml\r\nContent-Length: 3\r\n\r\n<a>"
    )
    reply = await forwarder.forward(peer.url, request())

    assert (400, b"<a>") == (reply.status, reply.body)
    assert [("X-Amzn-RequestId", "r"), ("Content-Type", "text/xml")] == list(reply.headers)


async def test_redirects_are_not_followed(forwarder: Forwarder, peer: Peer) -> None:
    """A signature holds for one host."""
    peer.answer = b"HTTP/1.1 307 Moved\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n"

    assert 307 == (await forwarder.forward(peer.url, request())).status


async def test_nobody_listens(forwarder: Forwarder) -> None:
    """A port that refuses is a Region that cannot be reached."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
    with pytest.raises(RegionUnreachable) as caught:
        await forwarder.forward(url, request())

    assert str(caught.value).startswith(f"{url} cannot be connected to (")


@pytest.mark.parametrize(
    "answer",
    [b"", b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhi", b"no HTTP at all\r\n\r\n"],
    ids=["nothing", "half", "nonsense"],
)
async def test_a_connection_that_breaks(forwarder: Forwarder, peer: Peer, answer: bytes) -> None:
    """Half an answer is none: the Region may have taken the request or not."""
    peer.answer = answer
    with pytest.raises(RegionUnreachable) as caught:
        await forwarder.forward(peer.url, request())

    assert str(caught.value).startswith(f"{peer.url} dropped the connection (")


async def test_closing_what_was_never_opened() -> None:
    """A node that passed nothing on closes all the same."""
    await Forwarder("edge", "s").close()


def test_only_nodes_mark_a_request() -> None:
    """A mark of another secret, of another node's name or of no node is refused."""
    check_mark(MARK, "s")

    for forged in (
        "edge",
        "",
        " ",
        MARK.replace("edge", "west"),
        forwarded_mark("edge", "t"),
        "\xff",
    ):
        with pytest.raises(AccessDeniedException, match="give all nodes the same cluster_secret"):
            check_mark(forged, "s")
