"""A deployment on this machine: its directory, its configuration, and its processes.

Used by `farspan up` and by drills alike. Every child holds one end of a pipe whose other end
only this process has: when this process is gone, however it went, the children stop.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import msgspec

from farspan.cli.ports import HOST, free_port, is_free
from farspan.cli.run import PARENT_PIPE
from farspan.config import (
    CONFIG_FILE_NAME,
    Config,
    ConfigError,
    HealthConfig,
    NodeConfig,
    load_config,
    render_config,
)
from farspan.dns_config import DnsConfig, TlsConfig

EDGE = "edge"
DNS = "_dns"
"""The name server among the processes: no node's name begins so."""

READY_SECONDS_MAX = 20.0
STOP_SECONDS_MAX = 6.0
POLL_SECONDS = 0.02
LOCAL_TIME_SCALE = 20.0
"""Health checks on one machine: Route 53's 10 seconds become half a second."""


class DeploymentError(Exception):
    """The deployment cannot be started. The message says why and what to do."""


def prepare(
    data: Path, regions: Sequence[str], port: int, *, auth: bool, zone: str | None = None
) -> Config:
    """Write the directory's configuration and return it; a known secret and known keys stay.

    With a `zone`, or where the file has `[dns]`, every node gets a loopback address of its own.

    The environment's word goes for the run, and is not written into the file.
    Raises DeploymentError where the directory cannot be written, ConfigError where a configuration
    that is there cannot be read.
    """
    path = data / CONFIG_FILE_NAME
    former = load_config(path, {}) if path.exists() else Config()
    nodes = [NodeConfig(name=EDGE, url=f"http://{HOST}:{port}")]
    taken = {port}
    for offset, region in enumerate(regions, start=1):
        region_port = port + offset
        if region_port in taken or not is_free(region_port):
            region_port = free_port()
        taken.add(region_port)
        nodes.append(NodeConfig(name=region, url=f"http://{HOST}:{region_port}", region=region))
    if zone is not None or former.dns is not None:
        # The edge last, and nobody at 127.0.0.1: system resolvers put what is nearest to the
        # client's own address first (RFC 6724, rule 9), whatever the name server's order.
        numbers = {node.name: number for number, node in enumerate([*nodes[1:], nodes[0]], start=2)}
        nodes = [
            msgspec.structs.replace(node, addresses=_addresses(former, node.name, numbers))
            for node in nodes
        ]
    config = msgspec.structs.replace(
        former,
        nodes=tuple(nodes),
        auth=auth,
        cluster_secret=former.cluster_secret or secrets.token_urlsafe(32),
        health=former.health if path.exists() else HealthConfig(time_scale=LOCAL_TIME_SCALE),
        dns=former.dns if zone is None else _dns(former, zone),
        tls=former.tls if zone is None else former.tls or TlsConfig(),
    )
    try:
        data.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = path.with_suffix(".new")
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(render_config(config))
        beside.replace(path)
    except OSError as error:
        raise DeploymentError(
            f"The data directory {data} cannot be written: {error.strerror}. "
            "Choose another with --data, or change its permissions."
        ) from error
    return msgspec.structs.replace(load_config(path), auth=auth)


def _addresses(former: Config, name: str, numbers: Mapping[str, int]) -> tuple[str, ...]:
    known = former.node_named(name)
    return (known and known.addresses) or (f"127.0.0.{numbers[name]}",)


def _dns(former: Config, zone: str) -> DnsConfig:
    """Return the section for a zone. SDKs and system resolvers ask at port 53 alone."""
    if former.dns is None:
        return DnsConfig(zone=zone, listen=f"{HOST}:53")
    return msgspec.structs.replace(former.dns, zone=zone)


@dataclass(slots=True)
class Process:
    """A process of the deployment: its command of farspan, where its log goes, whether it serves.

    `answers` may take a second where it does not.
    """

    name: str
    command: tuple[str, ...]
    log: Path
    answers: Callable[[], bool]
    popen: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    @property
    def exit_text(self) -> str | None:
        """How it ended, None while it runs."""
        code = self.popen.poll()
        if code is None:
            return None
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


@dataclass(slots=True)
class Deployment:
    """The running nodes of one configuration. Use as a context manager: leaving stops them all."""

    config: Config
    data: Path
    processes: dict[str, Process] = field(default_factory=dict)
    views: dict[str, Path] = field(default_factory=dict)
    """Directories of nodes that see the deployment otherwise than `data` says."""

    held: set[str] = field(default_factory=set)
    """Nodes that do not work because this process said so: nobody starts them meanwhile."""

    lock: threading.RLock = field(default_factory=threading.RLock)
    """Held while a node's process is looked at, started or stopped."""

    _pipe: tuple[int, int] = field(default_factory=os.pipe)
    _guards: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def names(self) -> list[str]:
        """What is to run: every node, and the name server where there is one."""
        return [*(node.name for node in self.config.nodes), *([DNS] if self.config.dns else [])]

    def start(self, name: str) -> Process:
        """Start a process; it may take a moment until it answers (see `wait_ready`)."""
        command, answers_now = self._part(name)
        log = self.data / f"{name}.log"
        data = self.views.get(name, self.data)
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        with self.lock, os.fdopen(descriptor, "ab") as sink:
            popen = subprocess.Popen(  # noqa: S603 - our own module, our own arguments
                [sys.executable, "-m", "farspan", *command, "--data", str(data)],
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=sink,
                pass_fds=[self._pipe[0]],
                env=_child_environment(self._pipe[0]),
                start_new_session=True,  # Ctrl-C is for this process, it stops us
            )
            process = self.processes[name] = Process(name, command, log, answers_now, popen)
            self.held.discard(name)
        return process

    def _part(self, name: str) -> tuple[tuple[str, ...], Callable[[], bool]]:
        """Return the command that is a part of the deployment, and what tells that it answers."""
        node = self.config.node_named(name)
        if node is None:
            assert self.config.dns is not None, "only what the configuration has is started"
            address = self.config.dns.socket_address
            return ("dns",), lambda: _is_open(address)
        command = ("serve", "--region", node.region) if node.region else ("edge",)
        return command, lambda: answers(node.url)

    def start_all(self) -> None:
        """Start every process and wait until each answers. Raises DeploymentError."""
        for name in self.names:
            self.start(name)
        for name in self.names:
            self.wait_ready(name)

    def wait_ready(self, name: str) -> None:
        """Wait until a node answers. Raises DeploymentError with the end of its log otherwise."""
        process = self.processes[name]
        deadline = time.monotonic() + READY_SECONDS_MAX
        while not process.answers():
            ended = process.exit_text
            if ended or time.monotonic() > deadline:
                reason = ended or f"no answer within {READY_SECONDS_MAX:.0f} s"
                raise DeploymentError(
                    f"{name} did not start ({reason}). {_last_words(process.log)}"
                )
            time.sleep(POLL_SECONDS)

    def kill(self, name: str) -> None:
        """Kill a node as a power cut would: SIGKILL, no last words. `start` brings it back."""
        with self.lock:
            self.held.add(name)
            self.processes[name].popen.kill()
            self.processes[name].popen.wait()

    def hang(self, name: str) -> None:
        """Stop a node in its tracks: SIGSTOP. `resume` lets it go on.

        So does the end of this process, however it comes: a stopped process could not notice that
        by itself, and would stay for ever.
        """
        with self.lock:
            self.held.add(name)
            pid = self.processes[name].pid
            self._guards[name] = subprocess.Popen(  # noqa: S603 - a number is all that is put in
                ["/bin/sh", "-c", f"read _; kill -CONT {pid}"],
                stdin=subprocess.PIPE,
                start_new_session=True,
            )
            self.processes[name].popen.send_signal(signal.SIGSTOP)

    def resume(self, name: str) -> None:
        """Let a node go on that hangs; nothing happens to one that does not."""
        with self.lock:
            guard = self._guards.pop(name, None)
            if guard is not None:
                guard.communicate()
                self.held.discard(name)

    def stop(self) -> None:
        """Stop every node, by force after a while, and leave none behind."""
        for name in list(self._guards):
            self.resume(name)
        for process in self.processes.values():
            with contextlib.suppress(ProcessLookupError):
                process.popen.terminate()
        deadline = time.monotonic() + STOP_SECONDS_MAX
        for process in self.processes.values():
            try:
                process.popen.wait(max(0.1, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                process.popen.kill()
                process.popen.wait()
        self.processes.clear()
        for end in self._pipe:
            with contextlib.suppress(OSError):
                os.close(end)


def _child_environment(pipe: int) -> dict[str, str]:
    """Return the environment without what would override the word of the command line."""
    kept = {key: value for key, value in os.environ.items() if key != "FARSPAN_AUTH"}
    return {**kept, PARENT_PIPE: str(pipe)}


def answers(url: str) -> bool:
    """Return whether a node answers at its liveness page."""
    try:
        with urllib.request.urlopen(f"{url}/healthz", timeout=1) as reply:  # noqa: S310 - own URL
            return bool(reply.status == 200)  # noqa: PLR2004 - HTTP's OK
    except (urllib.error.URLError, OSError):
        return False


def _is_open(address: tuple[str, int]) -> bool:
    """Return whether something listens at an address."""
    try:
        socket.create_connection(address, timeout=1).close()
    except OSError:
        return False
    return True


def _last_words(log: Path) -> str:
    """Return the last line that a node wrote, which says why it did not start."""
    try:
        lines = log.read_text(errors="replace").strip().splitlines()
    except OSError:
        lines = []
    return f"It said: {lines[-1].removeprefix('farspan: ')}" if lines else f"See {log}."


__all__ = [
    "ConfigError",
    "Deployment",
    "DeploymentError",
    "Process",
    "answers",
    "prepare",
]
