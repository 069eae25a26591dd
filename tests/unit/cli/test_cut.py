"""A wire that can be cut: what passes, what waits, what comes after."""

from __future__ import annotations

import socket
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from farspan.cli.cut import Wire, part_off
from farspan.config import CONFIG_FILE_NAME, Config, NodeConfig, load_config

HEARD_SECONDS_MAX = 10.0
SILENT_SECONDS = 0.2


@pytest.fixture
def echo() -> Iterator[int]:
    """Return the port of a server that sends back what it gets."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection:
            while piece := connection.recv(1_024):
                connection.sendall(piece)

    threading.Thread(target=serve, daemon=True).start()
    yield listener.getsockname()[1]
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()


def connected(port: int) -> socket.socket:
    """Return a connection to a port."""
    return socket.create_connection(("127.0.0.1", port), timeout=HEARD_SECONDS_MAX)


def is_dropped(connection: socket.socket) -> bool:
    """Return whether the other end closes or resets a connection before long."""
    try:
        return connection.recv(1) == b""
    except ConnectionError:
        return True


def test_what_is_cut_is_silent_and_goes_on_afterwards(echo: int) -> None:
    """Open connections stay open, hear nothing, and lose nothing."""
    with Wire() as wire, connected(wire.lead_to(echo)) as connection:
        connection.sendall(b"one")
        assert b"one" == connection.recv(10)
        wire.cut()
        connection.settimeout(SILENT_SECONDS)
        with pytest.raises(TimeoutError):
            connection.recv(connection.send(b"two"))
        wire.mend()
        connection.settimeout(HEARD_SECONDS_MAX)
        assert b"two" == connection.recv(10)


def test_a_new_connection_hears_nothing_while_it_is_cut(echo: int) -> None:
    """It is taken, as a connection to a machine that hangs would be."""
    with Wire() as wire:
        port = wire.lead_to(echo)
        wire.cut()
        with connected(port) as connection:
            connection.settimeout(SILENT_SECONDS)
            with pytest.raises(TimeoutError):
                connection.recv(connection.send(b"new"))
            wire.mend()
            connection.settimeout(HEARD_SECONDS_MAX)
            assert b"new" == connection.recv(10)


def test_a_wire_to_nobody_is_dropped() -> None:
    """A killed node behind a wire is not a silent one."""
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with Wire() as wire, connected(wire.lead_to(port)) as connection:
        assert is_dropped(connection)


def test_only_what_crosses_the_border_goes_through_the_wire(tmp_path: Path) -> None:
    """The others see the Region behind a proxy, it sees each of them so, and itself as it is."""
    urls = {name: f"http://127.0.0.1:{port}" for name, port in (("edge", 1), ("a", 2), ("b", 3))}
    regions = {"edge": None, "a": "us-east-1", "b": "us-west-2"}
    nodes = tuple(NodeConfig(name=n, url=url, region=regions[n]) for n, url in urls.items())
    with Wire() as wire:
        seen, views = part_off(
            wire, Config(nodes=nodes, cluster_secret="secret"), "us-east-1", tmp_path
        )
    inside = load_config(views["us-east-1"] / CONFIG_FILE_NAME, {})
    outside = load_config(tmp_path / CONFIG_FILE_NAME, {})

    assert seen.nodes == outside.nodes
    assert {"a"} == {node.name for node in outside.nodes if node.url != urls[node.name]}
    assert {"edge", "b"} == {node.name for node in inside.nodes if node.url != urls[node.name]}
    assert 0 == (views["us-east-1"] / CONFIG_FILE_NAME).stat().st_mode & 0o077
    assert 0o700 == stat.S_IMODE(views["us-east-1"].stat().st_mode)
