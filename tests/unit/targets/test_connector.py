"""Calls over HTTP as they go wrong: every way has its name, and no call goes where it must not."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from farspan.targets.call import ANSWER_BYTES_MAX, Answer, Call, CallFailed, Fault
from farspan.targets.connector import Connector
from farspan.targets.egress import egress

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

ACCOUNT = "000000000000"
STRICT = egress([], allows_private=False)


def call(url: str, **changes: object) -> Call:
    """Return a call that waits half a second at most."""
    return Call(**{"account": ACCOUNT, "method": "POST", "url": url, "seconds": 0.5, **changes})


async def fault(connector: Connector, url: str, **changes: object) -> Fault:
    """Return the fault of a call that fails."""
    with pytest.raises(CallFailed) as failed:
        await connector.send(call(url, **changes))
    return failed.value.fault


def answers(status: int, **more: object) -> Callable[[web.Request], Awaitable[web.Response]]:
    """Return a server that always answers the same."""

    async def reply(_request: web.Request) -> web.Response:
        return web.Response(status=status, **more)

    return reply


async def test_an_answer(make_connector: MakeConnector, servers: Servers) -> None:
    """An answer has its status, its headers by lower-case name, and its body."""
    url = await servers.serve(answers(503, text="no", headers={"Retry-After": "7"}))
    answer = await make_connector().send(call(url))

    assert (503, "7", b"no") == (answer.status, answer.headers["retry-after"], answer.body)


async def test_what_is_sent(make_connector: MakeConnector, servers: Servers) -> None:
    """A call sends its own headers and body, and of others only what HTTP needs."""
    seen: list[tuple[dict[str, str], bytes]] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append((dict(request.headers), await request.read()))
        return web.Response()

    url = await servers.serve(reply)
    await make_connector().send(call(url, headers={"X-Own": "1"}, body=b"{}"))
    ((headers, body),) = seen

    assert {"Host", "X-Own", "Content-Length"} == set(headers)
    assert b"{}" == body


async def test_redirects_are_answers(make_connector: MakeConnector, servers: Servers) -> None:
    """A redirect is not followed."""
    url = await servers.serve(answers(302, headers={"Location": "http://169.254.169.254/"}))

    assert 302 == (await make_connector().send(call(url))).status


async def test_a_huge_answer(make_connector: MakeConnector, servers: Servers) -> None:
    """Of an endless body only the beginning is read, and the call ends."""

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(bytes(65_536))

    url = await servers.serve(reply)
    answer = await make_connector().send(call(url, seconds=5))

    assert (200, ANSWER_BYTES_MAX) == (answer.status, len(answer.body))


@pytest.mark.parametrize("tls", [False, True], ids=["plain", "tls"])
async def test_a_huge_answers_connection_is_cut(
    make_connector: MakeConnector, servers: Servers, *, tls: bool
) -> None:
    """What is still to come of an endless body is not taken in: its sender is told at once."""
    cut = asyncio.Event()

    async def reply(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            while True:
                await response.write(bytes(65_536))
        finally:
            cut.set()

    url = await servers.serve(reply, tls=tls)
    await make_connector().send(call(url, seconds=10))
    async with asyncio.timeout(10):
        await cut.wait()

    assert cut.is_set()


async def test_a_slow_answer(make_connector: MakeConnector, servers: Servers) -> None:
    """A body that drips is not waited for beyond the call's time."""

    async def speak(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nslow")
        await writer.drain()

    assert Fault.TIMEOUT is await fault(make_connector(), await servers.speak(speak), seconds=0.2)


async def test_no_answer(make_connector: MakeConnector, servers: Servers) -> None:
    """A server that accepts and says nothing runs into the call's time."""

    async def speak(_reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        return

    assert Fault.TIMEOUT is await fault(make_connector(), await servers.speak(speak), seconds=0.2)


async def test_g10_targets_that_never_answer_take_no_connection_from_others(
    make_connector: MakeConnector, servers: Servers
) -> None:
    """However many calls hang, on the same host too, another is made and answered (G10)."""
    hanging, over = asyncio.Semaphore(0), asyncio.Event()

    async def reply(request: web.Request) -> web.Response:
        if request.path == "/hang":
            hanging.release()
            await over.wait()
        return web.Response()

    url = await servers.serve(reply)
    connector = make_connector()
    calls = [
        asyncio.create_task(connector.send(call(f"{url}/hang", seconds=20.0))) for _ in range(300)
    ]
    for _ in calls:
        await hanging.acquire()
    answer = await connector.send(call(f"{url}/good", seconds=10.0))
    over.set()
    await asyncio.gather(*calls)

    assert 200 == answer.status


@pytest.mark.parametrize("said", [b"", b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 200 OK\r\nX"])
async def test_no_http(make_connector: MakeConnector, servers: Servers, said: bytes) -> None:
    """A server that hangs up, or speaks something else, gives no answer."""

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(said)
        writer.close()

    assert Fault.CONNECTION is await fault(make_connector(), await servers.speak(speak))


async def test_refused(make_connector: MakeConnector) -> None:
    """Where nobody listens the call fails at once."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]

    assert Fault.CONNECTION is await fault(make_connector(), f"http://127.0.0.1:{port}/")


async def test_a_certificate_that_is_not_trusted(
    make_connector: MakeConnector, servers: Servers
) -> None:
    """A server whose certificate nobody vouches for gets nothing."""
    url = await servers.serve(answers(200), tls=True)

    assert Fault.TLS is await fault(make_connector(trusts=False), url)


async def test_a_certificate_of_another_name(
    make_connector: MakeConnector, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A trusted certificate counts for its own names only."""
    url = await servers.serve(answers(200), tls=True)
    resolve_to(monkeypatch, "other.example", "127.0.0.1")

    assert Fault.TLS is await fault(make_connector(), url.replace("127.0.0.1", "other.example"))


async def test_tls(make_connector: MakeConnector, servers: Servers) -> None:
    """A server whose certificate is in the file of the configuration is called."""
    url = await servers.serve(answers(204), tls=True)

    assert 204 == (await make_connector().send(call(url))).status


def resolve_to(monkeypatch: pytest.MonkeyPatch, host: str, *addresses: str) -> list[str]:
    """Make a name lead to one address after the other; return the look-ups to come."""
    looked_up: list[str] = []

    def look_up(name: str, port: int, **_more: object) -> list[tuple[object, ...]]:
        if name != host:
            raise socket.gaierror(socket.EAI_NONAME, "no such name")
        address = addresses[min(len(looked_up), len(addresses) - 1)]
        looked_up.append(address)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return looked_up


async def test_a_name_without_an_address(
    make_connector: MakeConnector, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that is not known has a fault of its own."""
    resolve_to(monkeypatch, "known.example", "127.0.0.1")

    assert Fault.NAME is await fault(make_connector(), "http://unknown.example/")


async def test_a_name_that_leads_inside(
    make_connector: MakeConnector, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name that leads to an inner address is refused, and nothing is sent there."""
    called: list[str] = []

    async def reply(request: web.Request) -> web.Response:
        called.append(request.path)
        return web.Response()

    url = await servers.serve(reply)
    resolve_to(monkeypatch, "hooks.example", "127.0.0.1")
    connector = make_connector(lambda _account: STRICT)

    assert Fault.ADDRESS is await fault(connector, url.replace("127.0.0.1", "hooks.example"))
    assert [] == called


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "localhost",
        "0.0.0.0",
        "169.254.169.254",
    ],
)
async def test_addresses_in_the_url(make_connector: MakeConnector, host: str) -> None:
    """An inner address that is in the URL itself is refused like one that a name leads to."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connector = make_connector(lambda _account: STRICT)

        assert Fault.ADDRESS is await fault(connector, f"http://{host}:{port}/")


@pytest.mark.parametrize("host", ["2130706433", "127.1", "0x7f.0.0.1", "017700000001"])
async def test_odd_ways_to_write_loopback(make_connector: MakeConnector, host: str) -> None:
    """An address in a form that only some resolvers understand leads nowhere."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        connector = make_connector(lambda _account: STRICT)

        assert await fault(connector, f"http://{host}:{port}/") in {
            Fault.ADDRESS,
            Fault.URL,
            Fault.NAME,
        }


async def test_a_listed_host_may_be_inside(
    make_connector: MakeConnector, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A host that the configuration names may be anywhere, and only under that name."""
    url = await servers.serve(answers(200))
    resolve_to(monkeypatch, "hooks.internal", "127.0.0.1")
    rules = egress(["hooks.internal"], allows_private=False)
    connector = make_connector(lambda _account: rules)

    assert 200 == (await connector.send(call(url.replace("127.0.0.1", "hooks.internal")))).status
    assert Fault.ADDRESS is await fault(connector, url)


async def test_accounts_share_no_connection(
    make_connector: MakeConnector, servers: Servers
) -> None:
    """What one account may reach is closed to another, though a connection is open to it."""
    url = await servers.serve(answers(200))
    inner = egress(["127.0.0.0/8"], allows_private=False)
    connector = make_connector(lambda account: inner if account == ACCOUNT else STRICT)
    await connector.send(call(url))

    assert Fault.ADDRESS is await fault(connector, url, account="111111111111")


async def test_connections_are_kept(make_connector: MakeConnector, servers: Servers) -> None:
    """Calls one after the other share a connection."""
    ports: set[object] = set()

    async def reply(request: web.Request) -> web.Response:
        assert request.transport is not None
        ports.add(request.transport.get_extra_info("peername"))
        return web.Response(text="x")

    url, connector = await servers.serve(reply), make_connector()
    for _ in range(3):
        await connector.send(call(url))

    assert 1 == len(ports)


async def test_a_kept_connection_that_was_closed(
    make_connector: MakeConnector, servers: Servers
) -> None:
    """A call on a kept connection that its server closes is made again on a new one."""
    connections = 0

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        if connections == 1:
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    url, connector = await servers.speak(speak), make_connector()
    statuses = [(await connector.send(call(url))).status for _ in range(2)]

    assert [200, 200] == statuses
    assert 2 == connections


async def test_a_proxy_in_the_environment(
    make_connector: MakeConnector, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy in the environment is not asked."""
    url = await servers.serve(answers(200))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")

    assert 200 == (await make_connector().send(call(url))).status


async def test_cookies(make_connector: MakeConnector, servers: Servers) -> None:
    """A cookie is not sent back."""
    seen: list[str | None] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(request.headers.get("Cookie"))
        return web.Response(headers={"Set-Cookie": "a=b; Path=/"})

    url, connector = await servers.serve(reply), make_connector()
    for _ in range(2):
        await connector.send(call(url.replace("127.0.0.1", "localhost")))

    assert [None, None] == seen


@pytest.mark.parametrize("headers", [{"X": "a\r\nY: b"}, {"X\n": "y"}])
async def test_headers_that_would_be_two(
    make_connector: MakeConnector, servers: Servers, headers: dict[str, str]
) -> None:
    """A header that would smuggle another in is not sent."""
    url = await servers.serve(answers(200))

    assert Fault.URL is await fault(make_connector(), url, headers=headers)


@pytest.mark.parametrize("url", ["http://", "http://[", "nonsense", "http://a:99999/"])
async def test_urls_that_are_none(make_connector: MakeConnector, url: str) -> None:
    """What is no URL fails by name."""
    assert Fault.URL is await fault(make_connector(), url)


def test_nothing_secret_is_shown() -> None:
    """Neither a call nor an answer shows its headers or its body."""
    secret = call("http://a/", headers={"Authorization": "hidden"}, body=b"hidden")

    assert "hidden" not in repr(secret)
    assert "hidden" not in repr(Answer(200, {"x": "hidden"}, b"hidden"))
