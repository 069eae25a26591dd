"""Ports: bind one with a clear answer where it is busy, or find a free one."""

from __future__ import annotations

import contextlib
import errno
import socket
from pathlib import Path

HOST = "127.0.0.1"
LISTEN_STATE = "0A"  # the kernel's number for a listening socket in /proc/net/tcp


class PortBusy(Exception):
    """The port is taken. The message says by whom, where that can be told, and what to do."""


def bind(
    port: int, host: str = HOST, kind: socket.SocketKind = socket.SOCK_STREAM
) -> socket.socket:
    """Return a socket that is bound to the port. Raises PortBusy."""
    bound = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, kind)
    if kind == socket.SOCK_STREAM:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if bound.family == socket.AF_INET6:
        bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
    try:
        bound.bind((host, port))
    except OSError as error:
        bound.close()
        raise PortBusy(_why_not(error, port, host)) from error
    return bound


def _why_not(error: OSError, port: int, host: str) -> str:
    if error.errno == errno.EACCES:
        return (
            f"Port {port} on {host} is not for this user: ports below 1024 are the system's. Give "
            "the process CAP_NET_BIND_SERVICE, or lower net.ipv4.ip_unprivileged_port_start."
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: port {port} cannot be bound there."
    owner = _owner(port)
    by = f" by {owner}" if owner else ""
    return (
        f"Port {port} on {host} is in use{by} ({error.strerror}). "
        f"Stop that, or choose another, for example --port {_next_free(port, host)}."
    )


def is_free(port: int, host: str = HOST) -> bool:
    """Return whether the port can be bound now."""
    with contextlib.suppress(PortBusy), bind(port, host):
        return True
    return False


def free_port(host: str = HOST) -> int:
    """Return a port that the system says is free now."""
    with contextlib.closing(bind(0, host)) as bound:
        number: int = bound.getsockname()[1]
        return number


def _next_free(port: int, host: str) -> int:
    for candidate in range(port + 10, port + 200, 10):
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            try:
                tried.bind((host, candidate))
            except OSError:
                continue
            return candidate
    return port + 1_000


def _owner(port: int) -> str | None:
    """Return the process that listens on the port, as Linux tells it; None elsewhere."""
    try:
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    except OSError:
        return None
    inodes = {
        fields[9]
        for fields in (line.split() for line in lines)
        if fields[3] == LISTEN_STATE and int(fields[1].rpartition(":")[2], 16) == port
    }
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        with contextlib.suppress(OSError):
            target = str(link.readlink())
            if target.startswith("socket:[") and target[8:-1] in inodes:
                process = link.parts[2]
                name = (Path("/proc") / process / "comm").read_text().strip()
                return f"process {process} ({name})"
    return None
