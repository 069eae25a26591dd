"""The authority and its certificates, as a TLS library sees them."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from farspan.certificates import (
    AUTHORITY_DAYS,
    AuthorityUnusable,
    Issued,
    new_authority,
    new_certificate,
    zone_of,
)
from farspan.clock import SystemClock

NOW = SystemClock().now()
AUTHORITY = new_authority("amazonaws.com", NOW)
HOSTS = ["*.veo.endpoint.events.amazonaws.com", "sqs.us-east-1.amazonaws.com"]


def shake_hands(directory: Path, authority: Issued, served: Issued, host: str) -> None:
    """Have a client that trusts the authority meet a server. Raises as the client does."""
    for name, content in (("node.pem", served.certificate), ("node.key", served.key)):
        (directory / name).write_bytes(content)
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(directory / "node.pem", directory / "node.key")
    client = ssl.create_default_context(cadata=authority.certificate.decode())
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname=host)
    answering = server.wrap_bio(there, back, server_side=True)
    for _ in range(3):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    assert asking.version() in ("TLSv1.2", "TLSv1.3")


@pytest.mark.parametrize(
    "host", ["abcdefghij.veo.endpoint.events.amazonaws.com", "sqs.us-east-1.amazonaws.com"]
)
def test_a_client_that_trusts_the_ca_takes_the_node(tmp_path: Path, host: str) -> None:
    """By the strict rules of RFC 5280, under every name that the certificate is for."""
    shake_hands(tmp_path, AUTHORITY, new_certificate(AUTHORITY, "east", HOSTS, NOW), host)


def test_another_name_is_not_taken(tmp_path: Path) -> None:
    """A node cannot pass for a service that is not served."""
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        shake_hands(
            tmp_path,
            AUTHORITY,
            new_certificate(AUTHORITY, "east", HOSTS, NOW),
            "s3.us-east-1.amazonaws.com",
        )


@pytest.mark.parametrize(
    ("name", "host"),
    [
        (x509.DNSName("bank.example"), "bank.example"),
        (x509.IPAddress(ip_address("127.0.0.1")), "127.0.0.1"),
    ],
)
def test_whoever_steals_the_key_gets_its_zone_alone(
    tmp_path: Path, name: x509.GeneralName, host: str
) -> None:
    """Clients refuse what the authority signs for other names, or for addresses."""
    forged = forge(AUTHORITY, name)
    with pytest.raises(ssl.SSLCertVerificationError, match="subtree"):
        shake_hands(tmp_path, AUTHORITY, forged, host)


def forge(authority: Issued, name: x509.GeneralName) -> Issued:
    """Sign a certificate for any name with the authority's key."""
    issuer = x509.load_pem_x509_certificate(authority.certificate)
    issuer_key = serialization.load_pem_private_key(authority.key, None)
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.fromtimestamp(NOW, UTC)
    assert isinstance(issuer_key, ec.EllipticCurvePrivateKey)
    signed = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([name]), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return Issued(signed.public_bytes(serialization.Encoding.PEM), private)


def test_an_authority_knows_its_zone() -> None:
    """It stands in the certificate, so that renewing needs nobody to say it."""
    assert zone_of(new_authority("aws.shop.internal", NOW)) == "aws.shop.internal"


def test_keys_are_on_p_256() -> None:
    """Small, quick, and known to every TLS library."""
    for issued in (AUTHORITY, new_certificate(AUTHORITY, "east", HOSTS, NOW)):
        key = serialization.load_pem_private_key(issued.key, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        assert isinstance(key.curve, ec.SECP256R1)


def test_a_key_is_never_shown() -> None:
    """Not in a log line by accident."""
    assert "PRIVATE" not in repr(AUTHORITY)


@pytest.mark.parametrize(
    ("authority", "hosts", "later_days", "reason"),
    [
        (Issued(b"none", b"none"), HOSTS, 0, "no certificate and key"),
        (Issued(AUTHORITY.certificate, new_authority("a.b", NOW).key), HOSTS, 0, "not its"),
        (AUTHORITY, ["events.other.example"], 0, "may not vouch for events.other.example"),
        (AUTHORITY, HOSTS, AUTHORITY_DAYS + 1, "ended on"),
        (new_certificate(AUTHORITY, "east", HOSTS, NOW), HOSTS, 0, "not bound to a zone"),
    ],
)
def test_an_authority_that_cannot_vouch_says_why(
    authority: Issued, hosts: list[str], later_days: int, reason: str
) -> None:
    """Rather than to make a certificate that clients refuse."""
    with pytest.raises(AuthorityUnusable, match=reason):
        new_certificate(authority, "east", hosts, NOW + later_days * 86_400)
