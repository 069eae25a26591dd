"""Probes of real servers on the loopback interface, the faulty kinds above all."""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing

import pytest

from farspan.health.check import ProbeResult
from farspan.health.prober import (
    NO_CONNECTION,
    Prober,
    ProberFault,
    Timeouts,
    host_header,
    server_name,
)
from farspan.health.prober import timeouts_at as scaled
from farspan.model.health_check import HealthCheck, HealthCheckType

Serve = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]

PATIENT = Timeouts(connect=5.0, response=5.0, body=5.0, tcp=5.0)
HASTY = Timeouts(connect=5.0, response=0.05, body=5.0, tcp=5.0)
UNCONNECTED = Timeouts(connect=0.03, response=5.0, body=5.0, tcp=0.03)
NETWORK_TYPES = (HealthCheckType.HTTP, HealthCheckType.HTTPS, HealthCheckType.TCP)


def check(**settings: object) -> HealthCheck:
    """Return an HTTP check of the loopback address, but for `settings`."""
    fields: dict[str, object] = {"type": HealthCheckType.HTTP, "ip_address": "127.0.0.1"}
    fields |= settings
    return HealthCheck(id="c", account="1" * 12, caller_reference="r", **fields)


@asynccontextmanager
async def server(
    serve: Serve, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """Serve each connection once its request's head is there; give the port."""
    writers: list[asyncio.StreamWriter] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        try:
            await serve(await reader.readuntil(b"\r\n\r\n"), writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    listening = await asyncio.start_server(accept, host, 0, ssl=tls)
    try:
        yield listening.sockets[0].getsockname()[1]
    finally:
        for writer in writers:
            writer.close()
        listening.close()
        await listening.wait_closed()


def answering(answer: bytes, heads: list[bytes] | None = None) -> Serve:
    """Return a server's part that answers every request alike and notes the heads."""

    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        if heads is not None:
            heads.append(head)
        writer.write(answer)
        await writer.drain()
        writer.close()

    return serve


async def silence(head: bytes, writer: asyncio.StreamWriter) -> None:
    """Accept, and never answer."""


async def dripping(head: bytes, writer: asyncio.StreamWriter) -> None:
    """Answer so slowly that no single wait is long."""
    drop = asyncio.Event()
    for byte in b"HTTP/1.1 200 OK\r\nX-Slow: yes\r\n":
        writer.write(bytes([byte]))
        asyncio.get_running_loop().call_later(0.01, drop.set)
        await drop.wait()
        drop.clear()


@pytest.fixture
async def prober() -> AsyncIterator[Prober]:
    """Return a prober that is closed after the test."""
    prober = Prober()
    yield prober
    await prober.close()


@pytest.mark.parametrize(
    ("line", "healthy", "report"),
    [
        ("200 Fine", True, "Success: HTTP Status Code: 200. Resolved IP: 127.0.0.1. OK"),
        ("204 X", True, "Success: HTTP Status Code: 204. Resolved IP: 127.0.0.1. No Content"),
        ("302 X", True, "Success: HTTP Status Code: 302. Resolved IP: 127.0.0.1. Found"),
        ("399 X", True, "Success: HTTP Status Code: 399. Resolved IP: 127.0.0.1. Unknown status"),
        ("400 X", False, "Failure: HTTP Status Code: 400. Resolved IP: 127.0.0.1. Bad Request"),
        (
            "503 X",
            False,
            "Failure: HTTP Status Code: 503. Resolved IP: 127.0.0.1. Service Unavailable",
        ),
    ],
)
async def test_the_status_code_decides(
    prober: Prober, line: str, healthy: bool, report: str
) -> None:
    """2xx and 3xx are healthy, anything else is not; the target's own words are not repeated."""
    head = f"HTTP/1.1 {line}\r\nContent-Length: 0\r\nLocation: http://127.0.0.1:1/\r\n\r\n"
    async with server(answering(head.encode())) as port:
        result = await prober.probe(check(port=port), PATIENT)

    assert ProbeResult(healthy=healthy, report=report) == result


async def test_the_body_is_not_waited_for(prober: Prober) -> None:
    """A status line and headers are enough, whatever is announced to follow."""

    async def serve(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")

    async with server(serve) as port:
        result = await prober.probe(check(port=port), PATIENT)

    assert result.healthy


async def test_the_request_is_what_route_53_sends(prober: Prober) -> None:
    """It is a GET of the path with its query; Host is the name with a port that is not HTTP's."""
    heads: list[bytes] = []
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", heads)) as port:
        named = check(
            port=port, resource_path="/live?a=1", fully_qualified_domain_name="a.example.com"
        )
        await prober.probe(named, PATIENT)
        await prober.probe(check(port=port), PATIENT)

    assert heads[0].startswith(b"GET /live?a=1 HTTP/1.1\r\n")
    assert f"Host: a.example.com:{port}\r\n".encode() in heads[0]
    assert b"Connection: close\r\n" in heads[0]
    assert heads[1].startswith(b"GET / HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{port}\r\n".encode() in heads[1]


@pytest.mark.parametrize(
    ("settings", "address", "host"),
    [
        ({}, "192.0.2.1", "192.0.2.1"),
        ({"port": 80}, "192.0.2.1", "192.0.2.1"),
        ({"port": 8080}, "2001:db8::1", "[2001:db8::1]:8080"),
        ({"fully_qualified_domain_name": "a.example"}, "192.0.2.1", "a.example"),
        ({"fully_qualified_domain_name": "a.example", "port": 443}, "192.0.2.1", "a.example:443"),
        ({"type": HealthCheckType.HTTPS}, "192.0.2.1", "192.0.2.1"),
        ({"type": HealthCheckType.HTTPS_STR_MATCH, "port": 443}, "192.0.2.1", "192.0.2.1"),
        ({"type": HealthCheckType.HTTPS, "port": 80}, "2001:db8::1", "[2001:db8::1]:80"),
    ],
)
def test_host_header(settings: dict[str, object], address: str, host: str) -> None:
    """The port is left out where it is the type's own (FullyQualifiedDomainName)."""
    assert host == host_header(check(**settings), address)


async def test_a_name_is_resolved_when_there_is_no_address(prober: Prober) -> None:
    """Without IPAddress the name is looked up, IPv4 only."""
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n")) as port:
        named = check(ip_address=None, port=port, fully_qualified_domain_name="localhost")
        result = await prober.probe(named, PATIENT)

    assert result.report == "Success: HTTP Status Code: 200. Resolved IP: 127.0.0.1. OK"


@pytest.mark.parametrize("name", ["nowhere.invalid", "a..b", "x" * 70 + ".invalid"])
async def test_a_name_that_does_not_resolve(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """That the name leads nowhere is the target's fault, also where it is no name at all."""
    if name == "nowhere.invalid":  # without asking a real name server

        def not_found(*args: object, **named: object) -> None:
            raise socket.gaierror(socket.EAI_NONAME, "not known")

        monkeypatch.setattr(socket, "getaddrinfo", not_found)
    result = await prober.probe(check(ip_address=None, fully_qualified_domain_name=name), PATIENT)

    assert not result.healthy
    assert result.report.startswith("Failure: DNS resolution failed.")


async def test_a_name_server_that_does_not_answer(
    prober: Prober, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A look-up may take as long as a connection, and no longer."""
    answered = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **named: answered.wait(5))
    named = check(ip_address=None, fully_qualified_domain_name="slow.example")
    result = await prober.probe(named, UNCONNECTED)
    answered.set()

    assert result.report == "Failure: DNS resolution failed. Name: slow.example"


@pytest.mark.parametrize("check_type", NETWORK_TYPES)
async def test_a_refused_connection(prober: Prober, check_type: HealthCheckType) -> None:
    """Nobody listening is a failure that says so."""
    with closing(socket.socket()) as bound:  # bound, but not listening
        bound.bind(("127.0.0.1", 0))
        port = bound.getsockname()[1]
        result = await prober.probe(check(type=check_type, port=port), PATIENT)

    assert ProbeResult(False, "Failure: Resolved IP: 127.0.0.1. Connection refused") == result


@pytest.mark.parametrize("check_type", NETWORK_TYPES)
async def test_a_connection_that_is_never_made(prober: Prober, check_type: HealthCheckType) -> None:
    """A target whose backlog is full leaves the connection hanging; the time to connect ends it."""
    with closing(socket.socket()) as full, closing(socket.socket()) as first:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        first.connect(full.getsockname())  # Linux queues one more than the backlog says
        target = check(type=check_type, port=full.getsockname()[1])
        result = await prober.probe(target, UNCONNECTED)

    assert ProbeResult(False, NO_CONNECTION) == result


@pytest.mark.parametrize("serve", [silence, dripping])
async def test_an_answer_that_takes_too_long(prober: Prober, serve: Serve) -> None:
    """The status line is due a fixed time after connecting, however it trickles in."""
    async with server(serve) as port:
        result = await prober.probe(check(port=port), HASTY)

    assert not result.healthy
    assert result.report.endswith("no HTTP status code within the timeout limit.")


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(b"\x00\xffgarbage\r\n\r\n", id="garbage"),
        pytest.param(b"HTTP/1.1 banana\r\n\r\n", id="no status code"),
        pytest.param(b"HTTP/1.1 200 OK\r\nbad header\x00: \x01\r\n\r\n", id="bad header"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000, id="endless header"),
        pytest.param(b"", id="nothing"),
    ],
)
async def test_an_answer_that_is_not_http(prober: Prober, answer: bytes) -> None:
    """Whatever the target sends, the result is a failure and never an exception."""
    async with server(answering(answer)) as port:
        result = await prober.probe(check(port=port), PATIENT)

    assert not result.healthy
    assert result.report.startswith("Failure: Resolved IP: 127.0.0.1. ")


async def test_a_reset_connection(prober: Prober) -> None:
    """A target that hangs up rudely failed."""

    async def reset(head: bytes, writer: asyncio.StreamWriter) -> None:
        linger = b"\x01\x00\x00\x00\x00\x00\x00\x00"
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        writer.transport.abort()

    async with server(reset) as port:
        result = await prober.probe(check(port=port), PATIENT)

    assert ProbeResult(False, "Failure: Resolved IP: 127.0.0.1. Connection reset") == result


# --- TLS -------------------------------------------------------------------------------------


def https(**settings: object) -> HealthCheck:
    """Return an HTTPS check of the loopback address, with SNI as by default, but for `settings`."""
    return check(**{"type": HealthCheckType.HTTPS, "enable_sni": True} | settings)


async def test_certificates_are_not_verified(prober: Prober, tls: ssl.SSLContext) -> None:
    """One that is expired, self-signed and another's is as good as any, as in Route 53."""
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        named = https(port=port, fully_qualified_domain_name="a.example")
        result = await prober.probe(named, PATIENT)

    assert ProbeResult(True, "Success: HTTP Status Code: 200. Resolved IP: 127.0.0.1. OK") == result


@pytest.mark.parametrize(
    ("settings", "sent"),
    [
        ({"fully_qualified_domain_name": "a.example"}, "a.example"),
        ({"fully_qualified_domain_name": "a.example."}, "a.example"),
        ({"fully_qualified_domain_name": "a.example", "enable_sni": False}, None),
        ({"fully_qualified_domain_name": "a..example"}, None),
        ({}, None),
    ],
    ids=["name", "rooted", "off", "no-name-of-tls", "address-alone"],
)
async def test_sni(
    prober: Prober, tls: ssl.SSLContext, settings: dict[str, object], sent: str | None
) -> None:
    """The name goes into the handshake where SNI is on; an address never does."""
    names: list[str | None] = []

    def note(_socket: object, name: str | None, _context: object) -> None:
        names.append(name)

    tls.sni_callback = note
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), tls=tls) as port:
        result = await prober.probe(https(port=port, **settings), PATIENT)

    assert result.healthy
    assert [sent] == names
    assert sent == server_name(https(**settings))


@asynccontextmanager
async def refusing_handshake(answer: bytes) -> AsyncIterator[int]:
    """Answer the first bytes of a handshake as told, and hang up; give the port."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4_096)
        writer.write(answer)
        writer.close()

    listening = await asyncio.start_server(refuse, "127.0.0.1", 0)
    yield listening.sockets[0].getsockname()[1]
    listening.close()
    await listening.wait_closed()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"\x15\x03\x03\x00\x02\x02\x28", "SSL alert handshake_failure"),
        (b"\x15\x03\x03\x00\x02\x02\x70", "SSL alert unrecognized_name"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "The TLS handshake failed: wrong version number"),
        (b"\xff" * 100, "The TLS handshake failed: wrong version number"),
        (b"", "Connection reset"),
    ],
    ids=["no-name", "wrong-name", "no-tls", "garbage", "nothing"],
)
async def test_a_handshake_that_fails(prober: Prober, answer: bytes, reason: str) -> None:
    """An alert is told in the words of Route 53, anything else in OpenSSL's."""
    async with refusing_handshake(answer) as port:
        result = await prober.probe(https(port=port), PATIENT)

    assert ProbeResult(False, f"Failure: Resolved IP: 127.0.0.1. {reason}") == result


async def test_a_handshake_that_is_never_answered(prober: Prober) -> None:
    """It is part of connecting, and ends with the time for that."""
    async with server(silence) as port:
        result = await prober.probe(https(port=port), UNCONNECTED)

    assert ProbeResult(False, NO_CONNECTION) == result


# --- string match ----------------------------------------------------------------------------


def matching(port: int, text: str = "all is well") -> HealthCheck:
    """Return a check that looks for a text."""
    return check(type=HealthCheckType.HTTP_STR_MATCH, port=port, search_string=text)


@pytest.mark.parametrize(
    ("answer", "healthy"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall is well", True),
        (b"HTTP/1.1 302 Found\r\nLocation: /\r\n\r\nso: all is well", True),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nall i\r\n6\r\ns well", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nall is well, and more", True),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\nall is", False),
        (b"HTTP/1.1 200 OK\r\n\r\nAll is well", False),
        (b"HTTP/1.1 200 OK\r\n\r\n" + b"-" * 5_110 + b"all is well", False),
        (b"HTTP/1.1 500 No\r\n\r\nall is well", False),
        (b"HTTP/1.1 204 No Content\r\n\r\n", False),
    ],
    ids=[
        "whole",
        "redirect",
        "chunks",
        "more-announced",
        "cut-off",
        "case",
        "too-far",
        "status",
        "empty",
    ],
)
async def test_the_text_has_to_be_there(prober: Prober, answer: bytes, healthy: bool) -> None:
    """A healthy status and the text near the start of the body make it healthy together."""
    async with server(answering(answer)) as port:
        result = await prober.probe(matching(port), PATIENT)

    assert healthy is result.healthy
    assert result.report.startswith("Success: " if healthy else "Failure: HTTP Status Code: ")


async def test_a_text_over_tls(prober: Prober, tls: ssl.SSLContext) -> None:
    """HTTPS_STR_MATCH is both."""
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\nall is well"), tls=tls) as port:
        sought = https(type=HealthCheckType.HTTPS_STR_MATCH, port=port, search_string="is well")
        result = await prober.probe(sought, PATIENT)

    assert result.healthy


async def test_the_body_is_due_in_time(prober: Prober) -> None:
    """A body that never comes is waited for as long as the status was, and then has no text."""

    async def promising(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nall")

    async with server(promising) as port:
        hasty = Timeouts(connect=5.0, response=5.0, body=0.05, tcp=5.0)
        result = await prober.probe(matching(port), hasty)

    assert not result.healthy
    assert result.report.startswith("Failure: HTTP Status Code: 200. Resolved IP: 127.0.0.1. The ")


async def test_an_endless_body_is_left(prober: Prober) -> None:
    """Once the bytes that count are there, the rest is not waited for."""
    left = asyncio.Event()

    async def endless(head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                writer.write(b"-" * 65_536)
                await writer.drain()
        except ConnectionError:
            left.set()

    async with server(endless) as port:
        result = await prober.probe(matching(port), PATIENT)
        await left.wait()

    assert not result.healthy


# --- where a probe may look ------------------------------------------------------------------


@pytest.mark.parametrize("check_type", NETWORK_TYPES)
async def test_an_address_that_is_not_allowed(
    monkeypatch: pytest.MonkeyPatch, check_type: HealthCheckType
) -> None:
    """A name that leads to a metadata service is not followed there, whatever it said before."""

    def look_up(*args: object, **named: object) -> list[object]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("169.254.169.254", 0))]

    prober = Prober()
    with monkeypatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up)
        named = check(
            type=check_type, ip_address=None, port=80, fully_qualified_domain_name="a.example"
        )
        result = await prober.probe(named, PATIENT)
    await prober.close()

    expected = "Failure: Resolved IP: 169.254.169.254. Health checks may not look at this address."
    assert ProbeResult(False, expected) == result


async def test_the_rules_decide() -> None:
    """Where looking is not allowed nothing is sent, not even to loopback."""
    prober = Prober(lambda check, address: False)
    heads: list[bytes] = []
    async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n", heads)) as port:
        result = await prober.probe(check(port=port), PATIENT)
    await prober.close()

    assert not result.healthy
    assert [] == heads


# --- TCP -------------------------------------------------------------------------------------


async def test_tcp_needs_a_connection_only(prober: Prober) -> None:
    """An accepted connection is healthy, though nothing is ever said on it."""
    async with server(silence) as port:
        result = await prober.probe(check(type=HealthCheckType.TCP, port=port), PATIENT)

    assert (
        ProbeResult(True, "Success: TCP connection established. Resolved IP: 127.0.0.1. OK")
        == result
    )


async def test_an_ipv6_target(prober: Prober) -> None:
    """IPAddress may be IPv6, in brackets where a URL needs them."""
    try:
        async with server(answering(b"HTTP/1.1 200 OK\r\n\r\n"), "::1") as port:
            result = await prober.probe(check(ip_address="::1", port=port), PATIENT)
    except OSError:
        pytest.skip("this machine has no IPv6")

    assert result.report == "Success: HTTP Status Code: 200. Resolved IP: ::1. OK"


@pytest.mark.parametrize("check_type", NETWORK_TYPES)
async def test_own_trouble_is_not_the_targets(
    prober: Prober, monkeypatch: pytest.MonkeyPatch, check_type: HealthCheckType
) -> None:
    """A node without file descriptors does not call its targets unhealthy."""

    def exhausted(*args: object, **named: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    async with server(silence) as port:
        with monkeypatch.context() as patch:
            patch.setattr(socket, "socket", exhausted)
            with pytest.raises(ProberFault, match="EMFILE"):
                await prober.probe(check(type=check_type, port=port), PATIENT)


async def test_closing_twice_is_closing_once() -> None:
    """A prober that was never used, or is closed already, closes quietly."""
    prober = Prober()
    await prober.close()
    await prober.close()


@pytest.mark.parametrize(
    ("time_scale", "connect", "response", "tcp"),
    [
        (0.1, 4.0, 2.0, 10.0),
        (1.0, 4.0, 2.0, 10.0),
        (2.0, 2.0, 1.0, 5.0),
        (4.0, 1.0, 0.5, 2.5),
        (20.0, 0.5, 0.5, 0.5),
    ],
)
def test_timeouts_follow_the_time_scale(
    time_scale: float, connect: float, response: float, tcp: float
) -> None:
    """They shrink with the scale from Route 53's values down to half a second."""
    expected = Timeouts(connect=connect, response=response, body=response, tcp=tcp)

    assert expected == scaled(time_scale)
