"""The one way out for targets that are reached over HTTP.

A call goes to the address that `egress` allows, or nowhere: each connection attempt is checked
when its socket is made, so that a name which changes its address between two look-ups gains
nothing. A call follows no redirect, obeys no proxy in the environment, keeps no cookie and reads a
bounded part of the answer. Nothing here may log a header or a body, for they hold secrets.

Accounts do not share connections: what one account's rules allow is not open to another's.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import socket
import ssl
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import SimpleNamespace
from typing import Literal

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from farspan.targets.call import Answer, Call, CallFailed, Fault
from farspan.targets.egress import Egress

CONNECTIONS_MAX = 0
"""No limit: a lane has no more under way than its workers' batches, and of a limit that targets
share, those that never answer would hold all."""

CONNECT_SECONDS = 3.0
KEEP_ALIVE_SECONDS = 4.0
"""Below the 5 seconds after which common servers close an idle connection (Node.js)."""

DNS_CACHE_SECONDS = 5
RESOLVER_THREADS_MAX = 16
"""Names are looked up in threads of their own: slow names must not hold up the store's threads."""

OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of a connection attempt that say nothing about the target."""

log = logging.getLogger("farspan.targets")


class _AddressRefused(OSError):
    """Raised in place of a socket. The text is the same for all, so that it comes out whole."""

    def __init__(self) -> None:
        super().__init__(errno.EACCES, "no target may be at this address")


class Connector:
    """Makes calls. Use it in one event loop, and close it."""

    def __init__(
        self, egress_of: Callable[[str], Egress], tls: ssl.SSLContext | Literal[True]
    ) -> None:
        self._egress_of = egress_of
        self._tls = tls
        self._sessions: dict[tuple[str, bool], aiohttp.ClientSession] = {}
        self._threads = ThreadPoolExecutor(RESOLVER_THREADS_MAX, "farspan-target-dns")

    async def send(self, call: Call) -> Answer:
        """Make one call and return the answer, whatever its status. Raises CallFailed."""
        try:
            url = URL(call.url, encoded=True)
            host = url.host
        except ValueError as error:
            raise CallFailed(Fault.URL, "The URL is not valid.") from error
        if not host:
            raise CallFailed(Fault.URL, "The URL names no host.")
        try:
            async with asyncio.timeout(call.seconds):
                return await self._send(call, url, host)
        except TimeoutError as error:
            raise CallFailed(
                Fault.TIMEOUT, f"{host} did not answer within {call.seconds:g} seconds."
            ) from error
        except (aiohttp.ClientError, OSError, ValueError) as error:
            raise _failed(error, host) from error

    async def _send(self, call: Call, url: URL, host: str) -> Answer:
        session = self._session(call, host)
        attempt = SimpleNamespace(reused=False)
        try:
            return await _exchange(session, call, url, attempt)
        except (aiohttp.ServerDisconnectedError, ConnectionResetError):
            # An idle connection that its server closed just then says nothing about the target.
            if not attempt.reused:
                raise
        return await _exchange(session, call, url, SimpleNamespace(reused=False))

    def _session(self, call: Call, host: str) -> aiohttp.ClientSession:
        rules = None if call.is_trusted else self._egress_of(call.account)
        guarded = rules is not None and not rules.names(host)
        session = self._sessions.get((call.account, guarded))
        if session is None:
            session = self._open_session(rules if guarded else None)
            self._sessions[call.account, guarded] = session
        return session

    def _open_session(self, rules: Egress | None) -> aiohttp.ClientSession:
        trace = aiohttp.TraceConfig()
        trace.on_connection_reuseconn.append(_note_reuse)
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX,
                keepalive_timeout=KEEP_ALIVE_SECONDS,
                ttl_dns_cache=DNS_CACHE_SECONDS,
                resolver=_Resolver(self._threads),
                socket_factory=partial(_checked_socket, rules),
                ssl=self._tls,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=("User-Agent", "Content-Type", "Accept", "Accept-Encoding"),
            auto_decompress=False,
            trust_env=False,
            trace_configs=[trace],
        )

    async def close(self) -> None:
        """Close every connection. Closing twice is closing once."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for session in self._sessions.values():
            await session.close()
        self._sessions.clear()


def tls_context(ca_file: str | None) -> ssl.SSLContext | Literal[True]:
    """Return what TLS trusts: the system's certificates, and those of a file where there is one.

    True stands for the system's alone: aiohttp has read them already, which takes a while.
    """
    if ca_file is None:
        return True
    context = ssl.create_default_context()
    context.load_verify_locations(ca_file)
    return context


async def _exchange(
    session: aiohttp.ClientSession, call: Call, url: URL, attempt: SimpleNamespace
) -> Answer:
    async with session.request(
        call.method,
        url,
        headers=dict(call.headers),
        data=call.body or None,
        allow_redirects=False,
        trace_request_ctx=attempt,
    ) as response:
        body = bytearray()
        async for chunk in response.content.iter_any():
            body += chunk[: call.answer_bytes_max - len(body)]
            if len(body) >= call.answer_bytes_max:
                response.close()
                break
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Answer(response.status, headers, bytes(body))


async def _note_reuse(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionReuseconnParams,
) -> None:
    context.trace_request_ctx.reused = True


def _checked_socket(rules: Egress | None, found: aiohttp.AddrInfoType) -> socket.socket:
    """Return a socket for the address that is about to be connected to. Raises _AddressRefused."""
    family, kind, protocol, _, address = found
    if rules is not None and not rules.allows(str(address[0])):
        log.warning("call refused address=%s", address[0])
        raise _AddressRefused
    return socket.socket(family, kind, protocol)


class _Resolver(AbstractResolver):
    """Looks names up as the system does, in threads of its own."""

    def __init__(self, threads: ThreadPoolExecutor) -> None:
        self._threads = threads

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a name. Raises OSError where it has none."""
        look_up = partial(
            socket.getaddrinfo,
            host,
            port,
            family=family,
            type=socket.SOCK_STREAM,
            flags=socket.AI_ADDRCONFIG,
        )
        found = await asyncio.get_running_loop().run_in_executor(self._threads, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Do nothing: the threads are the connector's."""


def _failed(error: Exception, host: str) -> CallFailed:
    """Return what a client's exception says about the call."""
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    number = getattr(cause, "errno", None) or 0
    if isinstance(cause, _AddressRefused):
        return CallFailed(
            Fault.ADDRESS,
            f"{host} is at an address that targets may not reach; [targets] allow_private in "
            "farspan.toml lists those that they may.",
        )
    if number in OWN_FAULTS:
        return CallFailed(Fault.OWN, f"No call to {host} was possible: {errno.errorcode[number]}.")
    if isinstance(error, aiohttp.InvalidURL | ValueError) and not isinstance(error, ssl.SSLError):
        return CallFailed(Fault.URL, f"The request to {host} cannot be sent as it is.")
    return _unreachable(error, cause, number, host)


def _unreachable(error: Exception, cause: Exception, number: int, host: str) -> CallFailed:
    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return CallFailed(Fault.NAME, f"The name {host} has no address.")
    if isinstance(error, aiohttp.ClientSSLError):
        reason = getattr(error, "certificate_error", None) or cause
        text = getattr(reason, "verify_message", None) or getattr(reason, "reason", None)
        return CallFailed(Fault.TLS, f"TLS with {host} failed: {text or 'no common protocol'}.")
    if isinstance(error, aiohttp.ClientResponseError):
        return CallFailed(Fault.CONNECTION, f"The answer of {host} is not valid HTTP.")
    if isinstance(error, aiohttp.ClientConnectorError):
        name = errno.errorcode.get(number, "no connection")
        return CallFailed(Fault.CONNECTION, f"{host} cannot be reached: {name}.")
    return CallFailed(Fault.CONNECTION, f"{host} closed the connection before it answered.")
