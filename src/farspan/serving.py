"""A process that serves: a node's HTTP and HTTPS, or the name server, until it is told to stop.

The sockets are the caller's, who bound them and says what is wrong where that fails.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import signal
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from socket import socket

import uvicorn

from farspan.app import Node, open_node
from farspan.clock import Clock, SystemClock
from farspan.config import Config, ConfigError, NodeConfig
from farspan.dns_config import DnsConfig, TlsConfig
from farspan.nameserver.answers import Responder
from farspan.nameserver.rate import RateLimit
from farspan.nameserver.service import NameService
from farspan.nameserver.zone import Outlook, Zone
from farspan.wire.asgi import Application
from farspan.wire.hosts import global_hosts, regional_hosts

GRACE_SECONDS = 2
RENEWAL_LOOK_SECONDS = 10.0
"""How often the certificate's file is looked at: whoever renews it need not tell anybody."""

NAME_SERVER = "_dns"
"""The name server's own name among the nodes, and its directory's: no node's name begins so."""

log = logging.getLogger("farspan.serving")


class _HttpServer(uvicorn.Server):
    """Uvicorn without its own signal handlers: `_until_stopped` has them."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave signals alone."""
        yield


def http_server(node: Node, tls: ssl.SSLContext | None = None) -> uvicorn.Server:
    """Return the HTTP server of a node, to be served on sockets that the caller bound.

    With a context it serves HTTPS.
    """
    settings = uvicorn.Config(
        Application(node.server.answer),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,  # who calls is known by the signature alone
        # Longer than any client keeps an idle connection, so that none is cut in a request.
        timeout_keep_alive=75,
        timeout_graceful_shutdown=GRACE_SECONDS,
        backlog=1_024,
    )
    settings.load()
    settings.ssl = tls
    return _HttpServer(settings)


# --- certificates ----------------------------------------------------------------------------


@dataclass(slots=True)
class Certificate:
    """A node's certificate and key on disk, and the context that serves them."""

    certificate: Path
    key: Path
    context: ssl.SSLContext
    seen: tuple[int, ...]

    def take_up(self) -> bool:
        """Take up a renewed certificate; return whether there was one.

        New connections get it. Raises OSError where the files do not belong together, as they may
        not for the moment in which they are written.
        """
        seen = _written_at(self.certificate, self.key)
        if seen == self.seen:
            return False
        self.context.load_cert_chain(self.certificate, self.key)
        self.seen = seen
        return True


def open_certificate(tls: TlsConfig, data: Path, node: NodeConfig) -> Certificate:
    """Return a node's certificate. Raises ConfigError with what to do."""
    place = data / tls.directory
    certificate, key = place / f"{node.name}.pem", place / f"{node.name}.key"
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.set_alpn_protocols(["http/1.1"])
    try:
        seen = _written_at(certificate, key)
        context.load_cert_chain(certificate, key, _no_passphrase)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(
            f"Node {node.name} has no certificate to serve HTTPS with: {certificate} and {key}: "
            f"{reason}. `farspan ca init` makes them, `farspan ca renew` for a new node."
        ) from error
    return Certificate(certificate, key, context, seen)


def _no_passphrase() -> str:
    raise ValueError("the key is under a passphrase, and there is nobody to ask")


def _written_at(*paths: Path) -> tuple[int, ...]:
    return tuple(path.stat().st_mtime_ns for path in paths)


async def _follow(certificate: Certificate, clock: Clock) -> None:
    while True:
        await clock.sleep(RENEWAL_LOOK_SECONDS)
        try:
            if certificate.take_up():
                log.info("certificate taken up file=%s", certificate.certificate)
        except OSError as error:
            log.warning(
                "certificate not taken up, the former goes on file=%s error=%s",
                certificate.certificate,
                error,
            )


# --- a node ----------------------------------------------------------------------------------


async def serve_node(
    config: Config,
    node_config: NodeConfig,
    data: Path | None,
    sockets: Sequence[socket],
    stop: asyncio.Event | None = None,
    https: tuple[Certificate, Sequence[socket]] | None = None,
) -> None:
    """Run a node until SIGINT, SIGTERM or `stop`, then stop it in order."""
    clock = SystemClock()
    node = await open_node(config, node_config, data, clock=clock)
    node.start()
    gc.freeze()  # what is there now stays: the collector need not look at it again
    served = [(http_server(node), list(sockets))]
    follower = None
    if https is not None:
        certificate, tls_sockets = https
        served.append((http_server(node, certificate.context), list(tls_sockets)))
        follower = asyncio.create_task(_follow(certificate, clock))

    def exit_soon() -> None:
        for server, _ in served:
            server.should_exit = True

    stopper = asyncio.create_task(_call_when_stopped(stop, exit_soon))
    try:
        await asyncio.gather(*(server.serve(sockets=bound) for server, bound in served))
    finally:
        for task in (stopper, follower):
            if task is not None:
                task.cancel()
        await node.close()


async def _call_when_stopped(stop: asyncio.Event | None, act: Callable[[], None]) -> None:
    """Call `act` once SIGINT or SIGTERM came, or `stop` is set."""
    stop = stop or asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    act()


# --- the name server -------------------------------------------------------------------------


async def serve_names(
    config: Config,
    dns: DnsConfig,
    data: Path,
    sockets: tuple[socket, socket],
    stop: asyncio.Event | None = None,
) -> None:
    """Answer DNS on a datagram and a stream socket until SIGINT, SIGTERM or `stop`.

    It hears the nodes' reports as an edge does, and routes by them with the same machine. No node
    asks it back: it has no vote, probes nothing and stores no event.
    """
    clock = SystemClock()
    node = await open_node(config, NodeConfig(name=NAME_SERVER, url=""), data, clock=clock)
    service = NameService(name_responder(node, dns), RateLimit(dns.answers_per_second), clock)
    node.catalog.start()
    node.routing.start()
    stopped = asyncio.Event()
    stopper = asyncio.create_task(_call_when_stopped(stop, stopped.set))
    try:
        await service.start(*sockets)
        log.info("answering zone=%s listen=%s", dns.zone, dns.listen)
        await stopped.wait()
    finally:
        stopper.cancel()
        await service.close()
        await node.close()


def name_responder(node: Node, dns: DnsConfig) -> Responder:
    """Return what answers for the zone by what a node knows."""
    catalog, routing, config = node.catalog, node.routing, node.config

    def region_in_use(endpoint_id: str) -> str | None:
        endpoint = catalog.endpoint(endpoint_id)
        if endpoint is None or not endpoint.in_use:
            return None
        return routing.region_in_use(endpoint)

    host, _ = dns.socket_address
    zone = Zone(
        nodes=config.nodes,
        regional=regional_hosts(),
        without_region=global_hosts(),
        own_addresses=() if host in ("0.0.0.0", "::") else (host,),  # noqa: S104 - compared
    )
    outlook = Outlook(
        region_in_use=region_in_use,
        is_heard=lambda name: catalog.peers_heard().get(name, False),
        knows_every_region=lambda: (
            {owned.region for owned in catalog.catalogs()} >= set(config.regions)
        ),
    )
    return Responder(dns.zone, zone, outlook)
