"""`farspan ca`: a certificate authority for DNS mode, and the nodes' certificates.

Nothing that is there is overwritten but the nodes' certificates, by `renew`, file by file. Keys are
for their owner alone, and are never printed.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import click

from farspan.certificates import AuthorityUnusable, Issued, new_authority, new_certificate, zone_of
from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, load_config
from farspan.dns_config import ZONE_NAME, TlsConfig

CA_NAME = "ca"


class CaError(Exception):
    """It cannot be done. The message says why and what to do."""


def run_ca_init(data: Path, directory: Path | None, zone: str | None) -> int:
    """Make an authority and the nodes' certificates. Returns the exit code."""

    def act(config: Config, place: Path) -> None:
        make_authority(config, place, zone)
        click.echo(
            f"Made a CA in {place}. {CA_NAME}.key signs, so keep it to yourself; "
            "`farspan ca export` prints what clients trust."
        )
        _renew(config, place)

    return _run(data, directory, act)


def run_ca_renew(data: Path, directory: Path | None) -> int:
    """Make the nodes' certificates anew. Returns the exit code."""
    return _run(data, directory, _renew)


def run_ca_export(data: Path, directory: Path | None) -> int:
    """Print the authority's certificate. Returns the exit code."""
    return _run(data, directory, _export)


def ensure_certificates(config: Config, place: Path) -> None:
    """Make an authority where there is none, and new certificates where it can sign.

    Raises CaError.
    """
    if not certificate_path(place, CA_NAME).exists():
        make_authority(config, place)
    if not _key(place, CA_NAME).exists():
        return  # it is kept elsewhere, and so is the care for the certificates
    with _explained(place):
        zone = zone_of(_read(place))
    if config.dns is not None and config.dns.zone != zone:
        raise CaError(
            f"The CA in {place} is for {zone}, not for {config.dns.zone}. Remove the directory "
            "for a new one; whoever trusts it has to learn of the new one."
        )
    renew_certificates(config, place)


def make_authority(config: Config, place: Path, zone: str | None = None) -> None:
    """Make the files of a directory that has none. Raises CaError."""
    zone = zone or (config.dns.zone if config.dns else None)
    if zone is None:
        raise CaError("There is no [dns] in the configuration. Give --zone, such as amazonaws.com.")
    if not ZONE_NAME.fullmatch(zone):
        raise CaError(f"`{zone}` is no domain such as amazonaws.com.")
    for path in (certificate_path(place, CA_NAME), _key(place, CA_NAME)):
        if path.exists():
            raise CaError(
                f"{path} is there already, and whoever trusts it would have to learn of another. "
                "`farspan ca renew` renews the nodes' certificates; --dir names another directory."
            )
    with _explained(place):
        place.mkdir(mode=0o700, parents=True, exist_ok=True)
        _write(place, CA_NAME, new_authority(zone, time.time()))


def renew_certificates(config: Config, place: Path) -> None:
    """Write a new certificate for each node; running nodes take it up. Raises CaError."""
    from farspan.wire.hosts import certificate_names

    if config.node_named(CA_NAME) is not None:
        raise CaError(f"A node is named {CA_NAME}, like the CA's own files. Rename the node.")
    authority = _read(place)
    with _explained(place):
        hosts = certificate_names(zone_of(authority), config.regions)
        for node in config.nodes:
            _write(place, node.name, new_certificate(authority, node.name, hosts, time.time()))


def directory_of(config: Config, data: Path) -> Path:
    """Return where the certificates of a configuration are."""
    return data / (config.tls or TlsConfig()).directory


def _run(data: Path, directory: Path | None, act: Callable[[Config, Path], None]) -> int:
    try:
        config = load_config(data / CONFIG_FILE_NAME)
        act(config, directory or directory_of(config, data))
    except (CaError, ConfigError) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    return 0


def _renew(config: Config, place: Path) -> None:
    renew_certificates(config, place)
    for node in config.nodes:
        click.echo(f"Made a certificate for node {node.name}: {certificate_path(place, node.name)}")


@contextlib.contextmanager
def _explained(place: Path) -> Iterator[None]:
    try:
        yield
    except AuthorityUnusable as error:
        raise CaError(f"{place}: {error}. `farspan ca init --dir` makes a new CA.") from error
    except OSError as error:
        raise CaError(f"{place} cannot be written: {error.strerror}.") from error


def _export(_config: Config, place: Path) -> None:
    try:
        click.echo(certificate_path(place, CA_NAME).read_text(), nl=False)
    except (OSError, UnicodeDecodeError) as error:
        raise CaError(f"There is no CA in {place}. `farspan ca init` makes one.") from error


def _read(place: Path) -> Issued:
    try:
        return Issued(
            certificate_path(place, CA_NAME).read_bytes(), _key(place, CA_NAME).read_bytes()
        )
    except OSError as error:
        raise CaError(
            f"{error.filename} cannot be read: {error.strerror}. `farspan ca init` makes a CA; "
            "where its key is kept elsewhere, renew there."
        ) from error


def _write(place: Path, name: str, issued: Issued) -> None:
    """Write a key and its certificate, each whole or not at all, for the owner alone."""
    for path, content in (
        (_key(place, name), issued.key),
        (certificate_path(place, name), issued.certificate),
    ):
        beside = path.with_name(f"{path.name}.new")
        beside.unlink(missing_ok=True)
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        beside.replace(path)


def certificate_path(place: Path, name: str) -> Path:
    """Return where a node's certificate is, or the authority's (CA_NAME)."""
    return place / f"{name}.pem"


def _key(place: Path, name: str) -> Path:
    return place / f"{name}.key"
