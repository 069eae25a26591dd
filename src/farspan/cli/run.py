"""`farspan serve`, `farspan edge` and `farspan dns`: one process in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from urllib.parse import urlsplit

import click
import msgspec

from farspan.cli.ports import PortBusy, bind
from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, NodeConfig, load_config
from farspan.dns_config import DnsConfig, fault_in

PARENT_PIPE = "FARSPAN_PARENT_PIPE"
"""Number of a pipe's end that reads nothing until the process that started this one is gone."""

SWITCH_SECONDS = 0.0001
"""How soon a thread that waits for the interpreter gets it. The default of 5 ms would let the
store's writer wait through a burst of requests after each of its steps."""


def run_node(data: Path, *, region: str | None) -> int:
    """Run a Region's node, or the edge, until it is told to stop. Returns the exit code."""
    from farspan.serving import open_certificate, serve_node

    _begin()
    with contextlib.ExitStack() as bound:
        try:
            config = load_config(data / CONFIG_FILE_NAME)
            node = _node(config, region, data)
            url = urlsplit(node.url)
            sock = bound.enter_context(bind(url.port or 80, url.hostname or "127.0.0.1"))
            https = None
            if config.tls is not None:
                certificate = open_certificate(config.tls, data, node)
                addresses = node.reached_at or (url.hostname or "127.0.0.1",)
                https = (
                    certificate,
                    [bound.enter_context(bind(config.tls.port, address)) for address in addresses],
                )
        except (ConfigError, PortBusy) as error:
            click.echo(f"farspan: {error}", err=True)
            return 1
        import uvloop

        return uvloop.run(
            _until_stopped(lambda stop: serve_node(config, node, data, [sock], stop, https))
        )


def run_dns(data: Path, *, listen: str | None, zone: str | None) -> int:
    """Run the name server until it is told to stop. Returns the exit code."""
    from farspan.serving import NAME_SERVER, serve_names

    _begin()
    with contextlib.ExitStack() as bound:
        try:
            config = load_config(data / CONFIG_FILE_NAME)
            dns = _dns(config, data, listen=listen, zone=zone)
            _make_own_directory(data / NAME_SERVER)
            host, port = dns.socket_address
            stream = bound.enter_context(bind(port, host))
            datagrams = bound.enter_context(bind(port, host, socket.SOCK_DGRAM))
        except (ConfigError, PortBusy) as error:
            click.echo(f"farspan: {error}", err=True)
            return 1
        import uvloop

        return uvloop.run(
            _until_stopped(lambda stop: serve_names(config, dns, data, (datagrams, stream), stop))
        )


def _begin() -> None:
    from farspan.telemetry import log_to_stderr

    log_to_stderr()
    sys.setswitchinterval(SWITCH_SECONDS)
    os.umask(0o077)  # what is stored is for its owner alone
    _raise_file_limit()


def _make_own_directory(place: Path) -> None:
    try:
        place.mkdir(exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"{place} cannot be made: {error.strerror}. The name server keeps there what it "
            "learned, so that it can answer after a start: let its user write there."
        ) from error


def _dns(config: Config, data: Path, *, listen: str | None, zone: str | None) -> DnsConfig:
    """Return what to answer for and where: the command line's word, else the file's."""
    if config.dns is None and zone is None:
        raise ConfigError(
            f"{data / CONFIG_FILE_NAME} has no [dns]. Give --zone, such as amazonaws.com."
        )
    dns = config.dns or DnsConfig(zone=zone or "")
    given = {"zone": zone, "listen": listen}
    dns = msgspec.structs.replace(dns, **{k: v for k, v in given.items() if v is not None})
    fault = fault_in(dns, config.tls, {node.name: node.reached_at for node in config.nodes})
    if fault is not None:
        raise ConfigError(fault)
    return dns


def _raise_file_limit() -> None:
    """Allow as many open files as the system lets us: each parked request holds two."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def _node(config: Config, region: str | None, data: Path) -> NodeConfig:
    nodes = [node for node in config.nodes if node.region == region]
    if nodes:
        return nodes[0]
    known = ", ".join(config.regions) or "none"
    what = f"Region {region}" if region else "edge"
    raise ConfigError(
        f"{data / CONFIG_FILE_NAME} has no {what}. It has the Regions: {known}. "
        "Use one of these, or add a [[nodes]] entry."
    )


async def _until_stopped(serve: Callable[[asyncio.Event], Awaitable[None]]) -> int:
    from farspan.catalog.resources import WrongRegion
    from farspan.store.base import StoreUnusable

    stop = asyncio.Event()
    pipe = os.environ.get(PARENT_PIPE)
    if pipe is not None:
        asyncio.get_running_loop().add_reader(int(pipe), stop.set)
    try:
        await serve(stop)
    except (StoreUnusable, WrongRegion) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    return 0
