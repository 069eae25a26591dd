"""One look at a health check's target over the network.

A target's fault is a result, never an exception: refusing, hanging, sending garbage and not being
found are all `Failure`. Only the prober's own trouble raises (`ProberFault`), because a node that
is out of file descriptors must not call others unhealthy.

It must never follow a redirect, read a response body, keep a connection or a cookie, or obey a
proxy in the environment: a probe sees the target itself, each time anew (the AWS API Reference,
"HealthCheckConfig"; the Route 53 Developer Guide, "How Route 53 determines whether a health check
is healthy").
"""

from __future__ import annotations

import asyncio
import errno
import socket
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

from farspan.health.check import ProbeResult
from farspan.model.health_check import HealthCheck, HealthCheckType

HTTP_PORT_DEFAULT = 80
HEALTHY_STATUSES = range(200, 400)
RESOLVER_THREADS_MAX = 16
"""Names are looked up in threads of their own: slow names must not hold up the store's threads."""

OWN_FAULTS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOBUFS})
"""Errors of a connection attempt that say nothing about the target."""

CONNECTION_ERRORS: dict[int, str] = {
    errno.ECONNREFUSED: "Connection refused",
    errno.ECONNRESET: "Connection reset",
    errno.EPIPE: "Connection reset",
    errno.EHOSTUNREACH: "No route to the host",
    errno.ENETUNREACH: "No route to the network",
}

NO_CONNECTION = (
    "Failure: The health checker could not establish a connection within the timeout limit."
)
DNS_FAILED = "Failure: DNS resolution failed. Name: {name}"


class ProberFault(Exception):
    """The probe could not be made, for a reason that is not the target's."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """How long a probe waits, in seconds: until connected, and from then until the status line."""

    connect: float
    response: float


def timeouts_at(time_scale: float) -> Timeouts:
    """Return Route 53's 4 s to connect and 2 s to respond, scaled, but never below 0.5 s.

    A scale below 1 does not lengthen them.
    """
    return Timeouts(
        connect=min(4.0, max(0.5, 4 / time_scale)), response=min(2.0, max(0.5, 2 / time_scale))
    )


class Prober:
    """Makes probes. Use it in one event loop, and close it."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._resolver = ThreadPoolExecutor(RESOLVER_THREADS_MAX, "farspan-health-dns")

    async def probe(self, check: HealthCheck, timeouts: Timeouts) -> ProbeResult:
        """Look once. Raises ProberFault only where this node could not look at all."""
        address = check.ip_address
        if address is None:
            address = await self._resolve(check, timeouts)
        if address is None:
            name = check.fully_qualified_domain_name
            return ProbeResult(False, DNS_FAILED.format(name=name))
        try:
            if check.type is HealthCheckType.TCP:
                return await _probe_tcp(check, address, timeouts)
            return await self._probe_http(check, address, timeouts)
        except OSError as error:  # aiohttp's own connection errors are such, with their errno
            return _unreachable(error, address)
        except (aiohttp.ClientError, ValueError):
            return ProbeResult(
                False, f"Failure: Resolved IP: {address}. The response is not valid HTTP."
            )

    async def close(self) -> None:
        """Release the session and its threads. Closing twice is closing once."""
        self._resolver.shutdown(wait=False, cancel_futures=True)
        if self._session is not None:
            await self._session.close()

    async def _resolve(self, check: HealthCheck, timeouts: Timeouts) -> str | None:
        """Return the first IPv4 address of the check's name, as Route 53 does at every interval."""
        look_up = partial(
            socket.getaddrinfo,
            check.fully_qualified_domain_name,
            None,
            family=socket.AF_INET,
            type=socket.SOCK_STREAM,
        )
        looking_up = asyncio.get_running_loop().run_in_executor(self._resolver, look_up)
        try:
            found = await asyncio.wait_for(looking_up, timeouts.connect)
        except (OSError, UnicodeError):  # TimeoutError is an OSError
            return None
        return str(found[0][4][0])

    async def _probe_http(
        self, check: HealthCheck, address: str, timeouts: Timeouts
    ) -> ProbeResult:
        port = check.port or HTTP_PORT_DEFAULT
        url = f"http://{_bracketed(address)}:{port}{check.resource_path or '/'}"
        attempt = SimpleNamespace(connected=False, limit=None, response_seconds=timeouts.response)
        try:
            async with asyncio.timeout(timeouts.connect) as attempt.limit:
                async with self._open_session().get(
                    url,
                    headers={"Host": host_header(check, address)},
                    allow_redirects=False,
                    trace_request_ctx=attempt,
                ) as response:
                    status = response.status
                    response.close()  # the body is not looked at, however long it is
        except TimeoutError:
            return ProbeResult(False, _too_slow(address) if attempt.connected else NO_CONNECTION)
        return _http_result(status, address)

    def _open_session(self) -> aiohttp.ClientSession:
        """Return the session, which has to be made inside the event loop."""
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_begin_response_limit)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": "Farspan-Health-Check", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
                auto_decompress=False,
                trust_env=False,
                trace_configs=[trace],
            )
        return self._session


async def _begin_response_limit(
    _session: aiohttp.ClientSession,
    context: SimpleNamespace,
    _params: aiohttp.TraceConnectionCreateEndParams,
) -> None:
    """Swap the time left to connect for the time to respond, which starts once connected."""
    attempt = context.trace_request_ctx
    attempt.connected = True
    attempt.limit.reschedule(asyncio.get_running_loop().time() + attempt.response_seconds)


async def _probe_tcp(check: HealthCheck, address: str, timeouts: Timeouts) -> ProbeResult:
    loop = asyncio.get_running_loop()
    assert check.port is not None, "a TCP check has a port"
    try:
        async with asyncio.timeout(timeouts.connect):
            transport, _ = await loop.create_connection(asyncio.Protocol, address, check.port)
    except TimeoutError:
        return ProbeResult(False, NO_CONNECTION)
    transport.close()
    return ProbeResult(True, f"Success: TCP connection established. Resolved IP: {address}. OK")


def host_header(check: HealthCheck, address: str) -> str:
    """Return the Host header: the name, else the address; with the port unless it is HTTP's own."""
    port = check.port or HTTP_PORT_DEFAULT
    host = check.fully_qualified_domain_name or _bracketed(address)
    return host if port == HTTP_PORT_DEFAULT else f"{host}:{port}"


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _http_result(status: int, address: str) -> ProbeResult:
    """Return the result of an answer, in the standard's phrase: the target's may say anything."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown status"
    healthy = status in HEALTHY_STATUSES
    outcome = "Success" if healthy else "Failure"
    return ProbeResult(
        healthy, f"{outcome}: HTTP Status Code: {status}. Resolved IP: {address}. {phrase}"
    )


def _too_slow(address: str) -> str:
    return (
        f"Failure: Resolved IP: {address}. The endpoint accepted the connection but sent no HTTP "
        "status code within the timeout limit."
    )


def _unreachable(error: OSError, address: str) -> ProbeResult:
    """Return the result of a failed connection. Raises ProberFault where the fault is our own."""
    if error.errno in OWN_FAULTS:
        raise ProberFault(f"no probe of {address} was possible: {error.strerror}") from error
    reason = CONNECTION_ERRORS.get(error.errno or 0, "The connection failed")
    return ProbeResult(False, f"Failure: Resolved IP: {address}. {reason}")
