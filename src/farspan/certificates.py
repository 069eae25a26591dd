"""A certificate authority for one zone, and the nodes' certificates that it signs.

Keys are ECDSA P-256. The authority can vouch for names of its zone alone, and for no address: a
machine that trusts it trusts nobody with another name. Nothing here touches a file, and no key is
ever logged: `Issued` shows none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

AUTHORITY_DAYS = 3_650
NODE_DAYS = 397
"""The longest that browsers and Apple's libraries took for long (Ballot SC31)."""

SKEW = timedelta(hours=1)
"""How much a client's clock may be behind when a certificate is new."""

COMMON_NAME_LENGTH_MAX = 64


class AuthorityUnusable(Exception):
    """The authority's files hold none that could sign. The message says what is wrong."""


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate and its key, both PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


def new_authority(zone: str, now: float) -> Issued:
    """Return a new authority that can vouch for names in `zone` only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = _name(f"Farspan CA for {zone}")
    certificate = (
        _builder(name, name, key.public_key(), now, AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(
            x509.NameConstraints(
                permitted_subtrees=[x509.DNSName(zone)],
                excluded_subtrees=[
                    x509.IPAddress(IPv4Network("0.0.0.0/0")),
                    x509.IPAddress(IPv6Network("::/0")),
                ],
            ),
            critical=True,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    return _issued(certificate, key)


def new_certificate(authority: Issued, node: str, hosts: Sequence[str], now: float) -> Issued:
    """Return a node's new certificate for the host names, signed by the authority.

    Raises AuthorityUnusable where the authority is none, is over, or may not vouch for a name.
    """
    issuer, issuer_key = _authority(authority)
    if issuer.not_valid_after_utc <= datetime.fromtimestamp(now, UTC):
        raise AuthorityUnusable(f"the CA's certificate ended on {issuer.not_valid_after_utc:%F}")
    zone = zone_of(authority)
    strange = [host for host in hosts if not host.endswith(f".{zone}")]
    if strange:
        raise AuthorityUnusable(f"the CA is for {zone}, and may not vouch for {strange[0]}")
    key = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        _builder(_name(f"Farspan node {node}"), issuer.subject, key.public_key(), now, NODE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(host) for host in hosts]), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
        .sign(issuer_key, hashes.SHA256())
    )
    return _issued(certificate, key)


def zone_of(authority: Issued) -> str:
    """Return the zone that an authority is for. Raises AuthorityUnusable."""
    certificate, _ = _authority(authority)
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.NameConstraints).value
    except x509.ExtensionNotFound:
        raise AuthorityUnusable("the CA's certificate is not bound to a zone") from None
    named = [tree.value for tree in constraints.permitted_subtrees or []]
    if len(named) != 1 or not isinstance(named[0], str):
        raise AuthorityUnusable("the CA's certificate is not bound to one zone")
    return named[0]


def _authority(authority: Issued) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    try:
        certificate = x509.load_pem_x509_certificate(authority.certificate)
        key = serialization.load_pem_private_key(authority.key, None)
    except (ValueError, TypeError):
        raise AuthorityUnusable("the CA's files hold no certificate and key in PEM form") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise AuthorityUnusable("the CA's key is no ECDSA key")
    if key.public_key() != certificate.public_key():
        raise AuthorityUnusable("the CA's key is not its certificate's")
    return certificate, key


def _builder(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, now: float, days: int
) -> x509.CertificateBuilder:
    start = datetime.fromtimestamp(now, UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(start - SKEW)
        .not_valid_after(start + timedelta(days=days))
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text[:COMMON_NAME_LENGTH_MAX])])


def _issued(certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> Issued:
    return Issued(
        certificate.public_bytes(serialization.Encoding.PEM),
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    )
