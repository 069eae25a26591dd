"""`farspan serve` and `farspan edge`: one node in the foreground."""

from __future__ import annotations

import asyncio
import contextlib
import os
import resource
import socket
import sys
from pathlib import Path
from urllib.parse import urlsplit

import click

from farspan.cli.ports import PortBusy, bind
from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, NodeConfig, load_config

PARENT_PIPE = "FARSPAN_PARENT_PIPE"
"""Number of a pipe's end that reads nothing until the process that started this one is gone."""

SWITCH_SECONDS = 0.0001
"""How soon a thread that waits for the interpreter gets it. The default of 5 ms would let the
store's writer wait through a burst of requests after each of its steps."""


def run_node(data: Path, *, region: str | None) -> int:
    """Run a Region's node, or the edge, until it is told to stop. Returns the exit code."""
    from farspan.telemetry import log_to_stderr

    log_to_stderr()
    sys.setswitchinterval(SWITCH_SECONDS)
    os.umask(0o077)  # what is stored is for its owner alone
    _raise_file_limit()
    try:
        config = load_config(data / CONFIG_FILE_NAME)
        node = _node(config, region, data)
        url = urlsplit(node.url)
        sock = bind(url.port or 80, url.hostname or "127.0.0.1")
    except (ConfigError, PortBusy) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    with contextlib.closing(sock):
        import uvloop

        return uvloop.run(_serve(config, node, data, sock))


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


async def _serve(config: Config, node: NodeConfig, data: Path, sock: socket.socket) -> int:
    from farspan.app import serve_node
    from farspan.catalog.resources import WrongRegion
    from farspan.store.base import StoreUnusable

    stop = asyncio.Event()
    pipe = os.environ.get(PARENT_PIPE)
    if pipe is not None:
        asyncio.get_running_loop().add_reader(int(pipe), stop.set)
    try:
        await serve_node(config, node, data, [sock], stop)
    except (StoreUnusable, WrongRegion) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    return 0
