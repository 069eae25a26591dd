"""`farspan up`: two Regions and an edge on this machine, until Ctrl-C."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import Any

import click

from farspan import __version__
from farspan.cli.ca import CA_NAME, CaError, certificate_path, directory_of, ensure_certificates
from farspan.cli.clients import client
from farspan.cli.deployment import DNS, EDGE, Deployment, DeploymentError, prepare
from farspan.cli.fault_socket import FaultServer
from farspan.cli.ports import PortBusy, bind
from farspan.cli.resources import DemoResources, NotActive, create_resources
from farspan.config import CONFIG_FILE_NAME, Config, ConfigError, Credential

UP_FILE_NAME = "up.json"
DEMO_NAME = "demo"
WATCH_SECONDS = 0.2


class _Interrupted(Exception):
    """SIGINT or SIGTERM came."""


def run_up(
    *,
    regions: Sequence[str],
    port: int,
    data: Path,
    empty: bool,
    restart: bool,
    auth: bool,
    zone: str | None = None,
) -> int:
    """Start a deployment and keep it. Returns the exit code."""
    started = time.monotonic()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    data = data.absolute()
    try:
        bind(port).close()
        config = prepare(data, regions, port, auth=auth, zone=zone)
        if config.tls is not None:
            ensure_certificates(config, directory_of(config, data))
        with Deployment(config, data) as deployment:
            deployment.start_all()
            resources = None
            if not empty:
                resources = create_resources(
                    config, lambda service, region: client(service, region, config), DEMO_NAME
                )
            _write_up_file(deployment)
            with FaultServer(deployment, on_start=lambda: _write_up_file(deployment)):
                _print_banner(config, data, resources, time.monotonic() - started)
                _watch(deployment, restart=restart)
    except _Interrupted:
        click.echo("Stopped.")
        return 0
    except (CaError, ConfigError, DeploymentError, NotActive, PortBusy) as error:
        click.echo(f"farspan: {error}", err=True)
        return 1
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # stopping is under way
    raise _Interrupted


def _write_up_file(deployment: Deployment) -> None:
    """Tell other programs what runs where; see the README for the fields."""
    config = deployment.config
    credential = config.credentials[0]
    processes = deployment.processes
    content: dict[str, Any] = {
        "url": config.nodes[0].url,
        "edge": {"pid": processes[EDGE].pid},
        "regions": [
            {"name": node.region, "url": node.url, "pid": processes[node.name].pid}
            for node in config.nodes
            if node.region
        ],
        "access_key_id": credential.access_key_id,
        "secret_access_key": credential.secret_access_key,
        "account_id": credential.account_id,
    }
    if config.dns is not None:
        content["dns"] = {
            "pid": processes[DNS].pid,
            "listen": config.dns.listen,
            "zone": config.dns.zone,
            "ca_file": str(certificate_path(directory_of(config, deployment.data), CA_NAME)),
        }
    path = deployment.data / UP_FILE_NAME
    beside = path.with_suffix(".new")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        json.dump(content, file, indent=2)
        file.write("\n")
    beside.replace(path)


def _print_banner(
    config: Config, data: Path, resources: DemoResources | None, seconds: float
) -> None:
    url = config.nodes[0].url
    shown = _shown(data)
    option = "" if shown == ".farspan" else f" --data {shown}"
    click.echo(f"Farspan {__version__} is up after {seconds:.1f} s, data in {shown}")
    click.echo(f"  URL       {url}   (every Region and every service)")
    for node, role in zip(config.nodes[1:], ("primary", "secondary"), strict=False):
        click.echo(f"  Region    {node.region}   {node.url}   {role}")
    auth = "off: any key is taken"
    if config.auth:
        known = config.credentials[0] == Credential()
        auth = "on: signatures are verified" + (
            f", with the well-known key {Credential().access_key_id}; set [[credentials]] in "
            f"{CONFIG_FILE_NAME} for one of your own"
            if known
            else ""
        )
    click.echo(f"  Auth      {auth}")
    click.echo(
        f"  Health    time runs {config.health.time_scale:g} times faster: "
        f"a check every 10 s becomes one every {10 / config.health.time_scale:g} s"
    )
    if config.dns is not None:
        click.echo(
            f"  DNS       {config.dns.listen} answers for {config.dns.zone}; for programs that use "
            f'it: eval "$(farspan env --dns{option})"'
        )
    click.echo("Try it:")
    click.echo(f'  eval "$(farspan env{option})"')
    if resources is not None:
        click.echo(f"  aws events describe-endpoint --name {resources.name}")
        entries = (
            f'[{{"Source":"shop.orders","DetailType":"OrderPaid","EventBusName":"{resources.name}",'
            '"Detail":"{\\"amount\\":42}"}]'
        )
        click.echo(
            f"  aws events put-events --endpoint-id {resources.endpoint_id} --entries '{entries}'"
        )
        click.echo(f"  farspan drill region-down {config.regions[0]} --for 10s{option}")
    else:
        click.echo("  aws events create-event-bus --name orders")
        click.echo("  aws events list-event-buses")
    click.echo("Ready.")


def _shown(data: Path) -> str:
    try:
        return str(data.relative_to(Path.cwd()))
    except ValueError:
        return str(data)


def _watch(deployment: Deployment, *, restart: bool) -> None:
    """Report a node that dies, and one that was brought back by hand, until interrupted."""
    gone: set[str] = set()
    while True:
        time.sleep(WATCH_SECONDS)
        for name in list(deployment.processes):
            with deployment.lock:
                if name not in deployment.held:
                    _watch_node(deployment, name, gone, restart=restart)


def _watch_node(deployment: Deployment, name: str, gone: set[str], *, restart: bool) -> None:
    process = deployment.processes[name]
    ended = process.exit_text
    if name in gone:
        if process.answers():
            gone.discard(name)
            click.echo(f"{name} answers again.")
    elif ended is not None and not process.answers():
        click.echo(f"{name} stopped ({ended}).", err=True)
        if restart:
            deployment.start(name)
            click.echo(f"{name} is started again.")
            _write_up_file(deployment)
        else:
            gone.add(name)
            command = " ".join(process.command)
            click.echo(
                f"  Start it again with: farspan {command} --data {deployment.data}",
                err=True,
            )


def print_environment(data: Path, *, dns: bool = False) -> int:
    """Print the exports for a shell, in DNS mode without a URL. Returns the exit code."""
    path = data / UP_FILE_NAME
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        click.echo(
            f"farspan: there is no {path}. Start a deployment first: farspan up --data {data}",
            err=True,
        )
        return 1
    if dns and "dns" not in content:
        click.echo("farspan: it is up without DNS. Start it with: farspan up --dns", err=True)
        return 1
    place = {"AWS_ENDPOINT_URL": content["url"]}
    if dns:
        click.echo("unset AWS_ENDPOINT_URL")
        place = {"AWS_CA_BUNDLE": content["dns"]["ca_file"]}
    exports = {
        **place,
        "AWS_ACCESS_KEY_ID": content["access_key_id"],
        "AWS_SECRET_ACCESS_KEY": content["secret_access_key"],
        "AWS_DEFAULT_REGION": content["regions"][0]["name"],
    }
    for name, value in exports.items():
        click.echo(f"export {name}={shlex.quote(value)}")
    return 0
