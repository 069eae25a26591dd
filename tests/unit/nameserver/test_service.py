"""The name server on real sockets: datagrams, streams, and clients that do not behave."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable

import dns.asyncquery
import dns.message
import dns.rcode
import pytest

from farspan.clock import SystemClock
from farspan.nameserver import service as module
from farspan.nameserver.answers import Responder
from farspan.nameserver.rate import RateLimit, Verdict
from farspan.nameserver.service import NameService

ENDPOINT = "abcdefghij.veo.endpoint.events.amazonaws.com"
Start = Callable[[], Awaitable[int]]


@pytest.fixture
async def port(responder: Responder) -> AsyncIterator[int]:
    """Run a name server on one loopback port, UDP and TCP."""
    stream = socket.create_server(("127.0.0.1", 0))
    number: int = stream.getsockname()[1]
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind(("127.0.0.1", number))
    service = NameService(responder, RateLimit(100.0), SystemClock())
    await service.start(datagrams, stream)
    yield number
    await service.close()


QUERY = dns.message.make_query(ENDPOINT, "A")


async def test_it_answers_datagrams(port: int) -> None:
    """UDP, as every resolver asks first."""
    reply = await dns.asyncquery.udp(QUERY, "127.0.0.1", port=port, timeout=5)

    assert reply.answer[0][0].to_text() == "10.0.1.1"


async def test_it_answers_several_questions_on_one_connection(port: int) -> None:
    """TCP, for what does not fit and for who is sent there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    wire = QUERY.to_wire()
    writer.write((len(wire).to_bytes(2, "big") + wire) * 2)
    for _ in range(2):
        length = int.from_bytes(await reader.readexactly(2), "big")
        reply = dns.message.from_wire(await reader.readexactly(length))
        assert reply.answer[0][0].to_text() == "10.0.1.1"
    writer.close()


async def test_a_message_that_is_too_long_ends_the_connection(port: int) -> None:
    """It is called malformed, and no more of it is read."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write((65_535).to_bytes(2, "big") + QUERY.to_wire() + bytes(2_000))
    length = int.from_bytes(await reader.readexactly(2), "big")
    reply = dns.message.from_wire(await reader.readexactly(length))

    assert reply.rcode() == dns.rcode.FORMERR
    with pytest.raises((asyncio.IncompleteReadError, ConnectionResetError)):
        await reader.readexactly(1)
    writer.close()


async def test_a_silent_client_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a message holds a connection for some seconds at most."""
    monkeypatch.setattr(module, "IDLE_SECONDS_MAX", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"\x00")

    assert await reader.read() == b""
    writer.close()


async def test_there_is_a_limit_of_connections(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """One too many is closed at once, and the others go on."""
    monkeypatch.setattr(module, "CONNECTIONS_MAX", 0)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)

    assert await reader.read() == b""
    writer.close()
    reply = await dns.asyncquery.udp(QUERY, "127.0.0.1", port=port, timeout=5)
    assert reply.answer


async def test_a_network_has_a_limit_of_its_own(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """It cannot keep the others out."""
    monkeypatch.setattr(module, "network_of", lambda _: "192.0.2.0/24")
    monkeypatch.setattr(module, "NETWORK_CONNECTIONS_MAX", 1)
    first = await asyncio.open_connection("127.0.0.1", port)
    wire = QUERY.to_wire()
    first[1].write(len(wire).to_bytes(2, "big") + wire)
    await first[0].readexactly(2)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    assert await reader.read() == b""

    monkeypatch.setattr(module, "network_of", lambda _: "198.51.100.0/24")
    reply = await dns.asyncquery.tcp(QUERY, "127.0.0.1", port=port, timeout=5)
    assert reply.answer
    for each in (first[1], writer):
        each.close()


def test_a_flood_is_answered_within_its_limit(responder: Responder) -> None:
    """What is beyond the limit is sent to TCP or gets nothing."""
    service = NameService(responder, RateLimit(1.0), SystemClock())
    answers = [service.take(QUERY.to_wire(), "192.0.2.1") for _ in range(10)]
    decoded = [dns.message.from_wire(answer) for answer in answers if answer is not None]

    assert sum(bool(reply.answer) for reply in decoded) <= 3
    assert None in answers
    assert any(reply.flags & dns.flags.TC for reply in decoded)


def test_a_fault_of_its_own_costs_one_answer(
    responder: Responder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is logged, and the server goes on."""

    def fail(*_: object) -> Verdict:
        raise RuntimeError

    service = NameService(responder, RateLimit(1.0), SystemClock())
    monkeypatch.setattr(RateLimit, "judge", fail)

    assert service.take(QUERY.to_wire(), "192.0.2.1") is None
    assert "datagram could not be answered" in caplog.text
