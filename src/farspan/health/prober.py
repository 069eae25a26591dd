"""One look at a health check's target over the network.

A target's fault is a result, never an exception: refusing, hanging, sending garbage and not being
found are all `Failure`. Only the prober's own trouble raises (`ProberFault`), because a node that
is out of file descriptors must not call others unhealthy.

It must never follow a redirect, read more of a response body than a string match needs, keep a
connection or a cookie, or obey a proxy in the environment: a probe sees the target itself, each
time anew (the AWS API Reference, "HealthCheckConfig"; the Route 53 Developer Guide, "How Route 53
determines whether a health check is healthy"). Certificates are not verified, as Route 53 does not
either: a probe tells whether a target answers, and says nothing that is secret.
"""

from __future__ import annotations

import asyncio
import errno
import re
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from types import SimpleNamespace

import aiohttp

from farspan.health.body import SEARCHED_BYTES, Body, Search
from farspan.health.check import ProbeResult
from farspan.health.reach import MayLook, anywhere_private
from farspan.model.health_check import (
    HTTP_PORT,
    HTTPS_PORT,
    TLS_TYPES,
    HealthCheck,
    HealthCheckType,
)

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


NOT_ALLOWED = "Failure: Resolved IP: {address}. Health checks may not look at this address."
SERVER_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
"""What TLS can carry as a server's name. Another name is looked up, but not sent."""

ALERT = re.compile(r"(?:SSLV3|TLSV1|TLSV13)_(?:ALERT_)?(\w+)")
"""How OpenSSL names the alerts that a server may end a handshake with."""


class ProberFault(Exception):
    """The probe could not be made, for a reason that is not the target's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    """How long a probe waits, in seconds.

    `tcp` is until a TCP check is connected. The others are HTTP's: `connect` until connected, TLS
    included, from then `response` until the status line, and from then `body` until the text is
    found.
    """

    connect: float
    response: float
    body: float
    tcp: float


def timeouts_at(time_scale: float) -> Timeouts:
    """Return Route 53's timeouts, scaled, but never below 0.5 s.

    They are 4 s to connect, 2 s to respond and 2 s for the body, and 10 s to connect for a TCP
    check. A scale below 1 does not lengthen them.
    """

    def scaled(seconds: float) -> float:
        return min(seconds, max(0.5, seconds / time_scale))

    return Timeouts(connect=scaled(4), response=scaled(2), body=scaled(2), tcp=scaled(10))


@dataclass(slots=True)
class _Attempt:
    """One HTTP probe under way: its limit in time, and whether it is connected yet."""

    timeouts: Timeouts
    limit: asyncio.Timeout
    connected: bool = False

    def allow(self, seconds: float) -> None:
        """End the attempt in so many seconds, whatever was left to it."""
        self.limit.reschedule(asyncio.get_running_loop().time() + seconds)


class Prober:
    """Makes probes. Use it in one event loop, and close it.

    `may_look` says where a check may look; each address is judged as it is used.
    """

    def __init__(self, may_look: MayLook = anywhere_private) -> None:
        self._may_look = may_look
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
        if not self._may_look(check, address):
            return ProbeResult(False, NOT_ALLOWED.format(address=address))
        try:
            if check.type is HealthCheckType.TCP:
                return await _probe_tcp(check, address, timeouts)
            return await self._probe_http(check, address, timeouts)
        except (aiohttp.ClientError, OSError, ValueError) as error:
            return _unreachable(error, address)

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
        scheme = "https" if check.type in TLS_TYPES else "http"
        url = f"{scheme}://{_bracketed(address)}:{check.port_in_use}{check.resource_path or '/'}"
        status: int | None = None
        attempt = _Attempt(timeouts, asyncio.timeout(timeouts.connect))
        try:
            async with (
                attempt.limit,
                self._open_session().get(
                    url,
                    headers={"Host": host_header(check, address)},
                    allow_redirects=False,
                    server_hostname=server_name(check),
                    trace_request_ctx=SimpleNamespace(attempt=attempt),
                ) as response,
            ):
                status = response.status
                found = await _search(check, response, attempt)
                response.close()  # the rest of the body is not looked at, however long it is
        except TimeoutError:
            if status is not None:
                return _http_result(status, address, has_text=False)
            return ProbeResult(False, _too_slow(address) if attempt.connected else NO_CONNECTION)
        return _http_result(status, address, has_text=found)

    def _open_session(self) -> aiohttp.ClientSession:
        """Return the session, which has to be made inside the event loop."""
        if self._session is None:
            trace = aiohttp.TraceConfig()
            trace.on_connection_create_end.append(_begin_response_limit)
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=True, limit=0, ssl=_tls_context()),
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
    attempt: _Attempt = context.trace_request_ctx.attempt
    attempt.connected = True
    attempt.allow(attempt.timeouts.response)


async def _search(check: HealthCheck, response: aiohttp.ClientResponse, attempt: _Attempt) -> bool:
    """Tell whether the body has the check's text, True where the check has none."""
    if check.search_string is None or response.status not in HEALTHY_STATUSES:
        return True
    attempt.allow(attempt.timeouts.body)
    body = Body(check.search_string, response.headers.get("Content-Encoding", ""))
    try:
        async for piece in response.content.iter_any():
            search = body.feed(piece)
            if search is not Search.OPEN:
                return search is Search.FOUND
    except aiohttp.ClientPayloadError:
        pass  # it ended before its time, without the text
    return False


def _tls_context() -> ssl.SSLContext:
    """Return a context that takes any certificate and any version of TLS, old ones included."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.set_ciphers("DEFAULT:@SECLEVEL=0")
    return context


async def _probe_tcp(check: HealthCheck, address: str, timeouts: Timeouts) -> ProbeResult:
    loop = asyncio.get_running_loop()
    assert check.port is not None, "a TCP check has a port"
    try:
        async with asyncio.timeout(timeouts.tcp):
            transport, _ = await loop.create_connection(asyncio.Protocol, address, check.port)
    except TimeoutError:
        return ProbeResult(False, NO_CONNECTION)
    transport.close()
    return ProbeResult(True, f"Success: TCP connection established. Resolved IP: {address}. OK")


def host_header(check: HealthCheck, address: str) -> str:
    """Return the Host header: the name, else the address; with the port unless it is the type's."""
    port = check.port_in_use
    host = check.fully_qualified_domain_name or _bracketed(address)
    return host if port == _own_port(check) else f"{host}:{port}"


def server_name(check: HealthCheck) -> str | None:
    """Return what the TLS handshake names the server by, None where it names none.

    Where none is named TLS is given the address, which is never sent (RFC 6066, section 3).
    """
    name = check.fully_qualified_domain_name
    if not check.enable_sni or name is None or not SERVER_NAME.fullmatch(name):
        return None
    return name.rstrip(".")


def _own_port(check: HealthCheck) -> int:
    return HTTPS_PORT if check.type in TLS_TYPES else HTTP_PORT


def _bracketed(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _http_result(status: int, address: str, *, has_text: bool) -> ProbeResult:
    """Return the result of an answer, in the standard's phrase: the target's may say anything."""
    try:
        phrase = HTTPStatus(status).phrase
    except ValueError:
        phrase = "Unknown status"
    seen = f"HTTP Status Code: {status}. Resolved IP: {address}."
    if status not in HEALTHY_STATUSES:
        return ProbeResult(False, f"Failure: {seen} {phrase}")
    if not has_text:
        return ProbeResult(
            False,
            f"Failure: {seen} The first {SEARCHED_BYTES:,} bytes of the body, as far as they came "
            "in time, do not have the search string.",
        )
    return ProbeResult(True, f"Success: {seen} {phrase}")


def _tls_failure(error: aiohttp.ClientSSLError) -> str:
    """Return why there was no handshake, an alert as Route 53 words it."""
    reason = getattr(error.os_error, "reason", None) or "no common protocol"
    alert = ALERT.fullmatch(reason)
    if alert is not None:
        return f"SSL alert {alert[1].lower()}"
    return f"The TLS handshake failed: {reason.replace('_', ' ').lower()}"


def _too_slow(address: str) -> str:
    return (
        f"Failure: Resolved IP: {address}. The endpoint accepted the connection but sent no HTTP "
        "status code within the timeout limit."
    )


def _unreachable(error: Exception, address: str) -> ProbeResult:
    """Return the result of a failed exchange. Raises ProberFault where the fault is our own."""
    number = getattr(error, "errno", None) or 0
    if number in OWN_FAULTS:
        raise ProberFault(
            f"no probe of {address} was possible: {errno.errorcode[number]}"
        ) from error
    if isinstance(error, aiohttp.ClientSSLError):
        reason = _tls_failure(error)
    elif isinstance(getattr(error, "os_error", error), ConnectionResetError):
        reason = CONNECTION_ERRORS[errno.ECONNRESET]  # in a handshake without its number
    elif isinstance(error, OSError):  # aiohttp's own connection errors are such, with their errno
        reason = CONNECTION_ERRORS.get(number, "The connection failed")
    else:
        reason = "The response is not valid HTTP."
    return ProbeResult(False, f"Failure: Resolved IP: {address}. {reason}")
