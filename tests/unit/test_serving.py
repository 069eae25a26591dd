"""What a process serves besides HTTP: HTTPS with a certificate that is renewed, and DNS."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from pathlib import Path

import aiohttp
import dns.message
import dns.rcode
import msgspec
import pytest

from farspan.app import open_node
from farspan.catalog.federation import OwnedCatalog
from farspan.catalog.service import COPY_FILE_NAME
from farspan.certificates import Issued, new_authority, new_certificate
from farspan.clock import SystemClock
from farspan.config import Config, ConfigError, NodeConfig
from farspan.dns_config import DnsConfig, TlsConfig
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.nameserver.answers import Carrier, Responder
from farspan.serving import NAME_SERVER, name_responder, open_certificate, serve_node

EAST, WEST = "us-east-1", "us-west-2"
NODE = NodeConfig(name="east", url="http://127.0.0.1:4567", region=EAST, addresses=("127.0.0.2",))
CONFIG = Config(
    nodes=(NODE, NodeConfig(name="west", url="http://127.0.0.3:4568", region=WEST)),
    cluster_secret="s",
)
ENDPOINT = Endpoint(
    account="000000000000",
    name="orders",
    endpoint_id="abcdefghij.veo",
    event_bus_name="orders",
    primary_region=EAST,
    secondary_region=WEST,
    health_check_id="h",
    state=EndpointState.ACTIVE,
)
DOMAIN = "amazonaws.com"
AUTHORITY = new_authority(DOMAIN, SystemClock().now())


def write(directory: Path, name: str = "east") -> Issued:
    """Write a new certificate for the node."""
    issued = new_certificate(AUTHORITY, name, [f"sqs.{EAST}.{DOMAIN}"], SystemClock().now())
    place = directory / "tls"
    place.mkdir(exist_ok=True)
    (place / f"{name}.pem").write_bytes(issued.certificate)
    (place / f"{name}.key").write_bytes(issued.key)
    return issued


def served(context: ssl.SSLContext) -> bytes:
    """Return the certificate that a new connection gets."""
    client = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=f"sqs.{EAST}.{DOMAIN}")
    answering = context.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    found = asking.getpeercert(binary_form=True)
    assert found is not None
    return ssl.DER_cert_to_PEM_cert(found).encode()


def test_a_renewed_certificate_is_taken_up(tmp_path: Path) -> None:
    """New connections get it, without a restart; nothing happens while nothing changed."""
    first = write(tmp_path)
    certificate = open_certificate(TlsConfig(), tmp_path, NODE)
    assert served(certificate.context) == first.certificate
    assert not certificate.take_up()

    second = write(tmp_path)
    os.utime(certificate.certificate, ns=(0, certificate.seen[0] + 1))
    assert certificate.take_up()
    assert served(certificate.context) == second.certificate


def test_half_a_renewal_changes_nothing(tmp_path: Path) -> None:
    """A key that is not the certificate's is waited out with the former pair."""
    write(tmp_path)
    certificate = open_certificate(TlsConfig(), tmp_path, NODE)
    certificate.key.write_bytes(AUTHORITY.key)
    os.utime(certificate.key, ns=(0, certificate.seen[1] + 1))

    with pytest.raises(OSError, match="KEY_VALUES_MISMATCH"):
        certificate.take_up()
    second = write(tmp_path)
    assert certificate.take_up()
    assert served(certificate.context) == second.certificate


def test_a_node_without_a_certificate_says_how_to_make_one(tmp_path: Path) -> None:
    """The files that are missing are named, and the command."""
    with pytest.raises(ConfigError, match=r"east\.pem.*farspan ca init"):
        open_certificate(TlsConfig(), tmp_path, NODE)


def test_a_certificate_that_is_none_is_refused(tmp_path: Path) -> None:
    """At the start, and not at each client's handshake."""
    write(tmp_path)
    (tmp_path / "tls" / "east.key").write_text("none")

    with pytest.raises(ConfigError, match="no certificate to serve HTTPS"):
        open_certificate(TlsConfig(), tmp_path, NODE)


async def test_a_node_serves_https_besides_http(tmp_path: Path) -> None:
    """Under its certificate's names, to whoever trusts the CA; and it stops both in order."""
    write(tmp_path, "edge")
    edge = NodeConfig(name="edge", url="http://127.0.0.1:1")
    config = Config(nodes=(edge, *CONFIG.nodes), cluster_secret="s")
    plain, secure = socket.create_server(("127.0.0.1", 0)), socket.create_server(("127.0.0.1", 0))
    certificate = open_certificate(TlsConfig(), tmp_path, edge)
    stop = asyncio.Event()
    serving = asyncio.create_task(
        serve_node(config, edge, tmp_path, [plain], stop, (certificate, [secure]))
    )
    trusting = ssl.create_default_context(cadata=AUTHORITY.certificate.decode())
    async with aiohttp.ClientSession() as session:
        for bound, scheme, how in (
            (plain, "http", {}),
            (secure, "https", {"ssl": trusting, "server_hostname": f"sqs.{EAST}.{DOMAIN}"}),
        ):
            url = f"{scheme}://127.0.0.1:{bound.getsockname()[1]}/healthz"
            async with session.get(url, **how) as reply:
                assert (await reply.json())["node"] == "edge"
        with pytest.raises(aiohttp.ClientConnectorCertificateError):
            await session.get(url, ssl=trusting, server_hostname=f"s3.{EAST}.{DOMAIN}")
    stop.set()
    await serving


def ask(responder: Responder, name: str) -> dns.message.Message:
    """Return the answer to a question for an address."""
    answer = responder.answer(dns.message.make_query(name, "A").to_wire(), Carrier.UDP)
    assert answer is not None
    return dns.message.from_wire(answer)


async def test_the_name_server_answers_by_what_the_nodes_report(tmp_path: Path) -> None:
    """Names of endpoints in use and of Regions' services; and what it learned survives."""
    observer = NodeConfig(name=NAME_SERVER, url="")
    node = await open_node(CONFIG, observer, tmp_path)
    responder = name_responder(node, DnsConfig(zone=DOMAIN))
    host = f"{ENDPOINT.endpoint_id}.endpoint.events.{DOMAIN}"
    assert ask(responder, host).rcode() == dns.rcode.SERVFAIL

    offered = [
        OwnedCatalog(region=EAST, version=1, endpoints=(ENDPOINT,)),
        OwnedCatalog(region=WEST, version=1),
    ]
    (tmp_path / NAME_SERVER / COPY_FILE_NAME).write_bytes(msgspec.json.encode(offered))
    await node.close()

    again = await open_node(CONFIG, observer, tmp_path)
    responder = name_responder(again, DnsConfig(zone=DOMAIN))
    reply = ask(responder, host)
    assert [record.to_text() for rrset in reply.answer for record in rrset] == [
        "127.0.0.2",
        "127.0.0.3",
    ]
    assert ask(responder, f"x.veo.endpoint.events.{DOMAIN}").rcode() == dns.rcode.NXDOMAIN
    for service in ("events", "sqs", "logs", "sts"):
        reply = ask(responder, f"{service}.{WEST}.{DOMAIN}")
        assert [record.to_text() for rrset in reply.answer for record in rrset] == ["127.0.0.3"]
    await again.close()
