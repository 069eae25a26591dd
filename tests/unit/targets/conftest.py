"""Servers on loopback that targets call: well-behaved ones, and rude ones."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from aiohttp import web

from farspan.targets.connector import Connector, tls_context
from farspan.targets.egress import Egress, egress

Reply = Callable[[web.Request], Awaitable[web.StreamResponse]]
Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(slots=True)
class Servers:
    """Starts servers on loopback and stops them when the test is over."""

    certificate: Path
    runners: list[web.AppRunner] = field(default_factory=list)
    rude: list[asyncio.Server] = field(default_factory=list)

    async def serve(self, reply: Reply, *, tls: bool = False) -> str:
        """Serve `reply` for every path and method; return the URL without a path."""
        application = web.Application()
        application.router.add_route("*", "/{path:.*}", reply)
        runner = web.AppRunner(application, shutdown_timeout=0.1)
        await runner.setup()
        self.runners.append(runner)
        context = None
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self.certificate)
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        await site.start()
        port = runner.addresses[0][1]
        return f"{'https' if tls else 'http'}://127.0.0.1:{port}"

    async def speak(self, speak: Speak) -> str:
        """Serve connections with `speak`, which may do anything; return the URL."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                await speak(reader, writer)
                await reader.read()  # until the client hangs up
            writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        self.rude.append(server)
        return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Stop them all."""
        for server in self.rude:
            server.close()
        for runner in self.runners:
            await runner.cleanup()


@pytest.fixture
async def servers(certificate: Path) -> AsyncIterator[Servers]:
    """Return what starts servers."""
    servers = Servers(certificate)
    yield servers
    await servers.close()


@pytest.fixture(scope="session")
def trusted(certificate: Path) -> ssl.SSLContext:
    """Return what trusts the servers' certificate."""
    context = tls_context(str(certificate))
    assert isinstance(context, ssl.SSLContext)
    return context


MakeConnector = Callable[..., Connector]


@pytest.fixture
async def make_connector(trusted: ssl.SSLContext) -> AsyncIterator[MakeConnector]:
    """Make connectors that trust the servers' certificate and may go to loopback, unless told."""
    made: list[Connector] = []

    def make_connector(
        rules: Callable[[str], Egress] | None = None, *, trusts: bool = True
    ) -> Connector:
        open_rules = egress([], allows_private=True)
        connector = Connector(
            rules or (lambda _account: open_rules),
            trusted if trusts else tls_context(None),
        )
        made.append(connector)
        return connector

    yield make_connector
    for connector in made:
        await connector.close()
