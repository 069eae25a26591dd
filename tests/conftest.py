"""What tests of several kinds need, and what the command line says to them."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from hypothesis import settings

settings.register_profile("farspan", deadline=None)  # no test is about how fast a machine is
settings.load_profile("farspan")


CertificateMaker = Callable[..., Path]


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory: pytest.TempPathFactory) -> CertificateMaker:
    """Return what writes a self-signed certificate with its key into one PEM file."""

    def make(
        name: str,
        start: dt.datetime,
        end: dt.datetime,
        *extensions: tuple[x509.ExtensionType, bool],
    ) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = x509.CertificateBuilder(own, own, key.public_key(), 1, start, end)
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical=critical)
        path = tmp_path_factory.mktemp("tls") / "server.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
        )
        return path

    return make


@pytest.fixture(scope="session")
def certificate(make_certificate: CertificateMaker) -> Path:
    """Return a self-signed certificate for loopback with its key, as one PEM file."""
    start = dt.datetime(2020, 1, 1, tzinfo=dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), address])
    authority = x509.BasicConstraints(ca=True, path_length=None)
    end = start.replace(year=2120)
    return make_certificate("localhost", start, end, (names, False), (authority, True))


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register how much is generated, and from which seed."""
    generated = parser.getgroup("generated")
    generated.addoption(
        "--pairs",
        type=int,
        default=20_000,
        help="pairs of an event pattern and an event to try against the oracle",
    )
    generated.addoption("--pairs-seed", type=int, default=1, help="the seed they follow from")
