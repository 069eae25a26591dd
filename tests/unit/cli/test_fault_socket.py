"""The socket of `farspan up`: faults that live as long as the drill that asked for them."""

from __future__ import annotations

import http.server
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from farspan.cli.deployment import Deployment, Process, answers
from farspan.cli.fault_socket import SOCKET_NAME, FaultConnection, FaultServer, connect
from farspan.cli.processes import FaultRefused, ProcessFault
from farspan.config import Config, NodeConfig

EAST = "us-east-1"
STEPS_MAX = 100_000


class _Alive(http.server.BaseHTTPRequestHandler):
    """Answers for a node that lives."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    """Return a deployment whose one Region is a process that sleeps, in a very long directory."""
    data = tmp_path / ("d" * 120)
    data.mkdir()
    with http.server.HTTPServer(("127.0.0.1", 0), _Alive) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        node = NodeConfig(name=EAST, url=f"http://127.0.0.1:{server.server_port}", region=EAST)
        with Deployment(Config(nodes=(node,)), data) as made:
            made.processes[EAST] = Process(
                EAST,
                ("serve", "--region", EAST),
                data / "log",
                lambda: answers(node.url),
                subprocess.Popen(["sleep", "600"]),
            )
            yield made
        server.shutdown()
        thread.join()


@pytest.fixture
def drill(deployment: Deployment) -> Iterator[FaultConnection]:
    """Return a drill's connection to it."""
    with FaultServer(deployment, on_start=lambda: None):
        connection = connect(deployment.data)
        assert connection is not None
        with connection:
            yield connection


def state_of(deployment: Deployment) -> str:
    """Return the state of the Region's process as the kernel has it: S sleeps, T is stopped."""
    stat = Path(f"/proc/{deployment.processes[EAST].pid}/stat").read_text()
    return stat.rpartition(")")[2].split()[0]


def becomes(deployment: Deployment, state: str) -> bool:
    """Return whether the process comes into a state before long."""
    return any(state_of(deployment) == state for _ in range(STEPS_MAX))


def test_a_region_hangs_and_goes_on(deployment: Deployment, drill: FaultConnection) -> None:
    """SIGSTOP until the drill heals it; meanwhile nobody else is to start it."""
    assert deployment.processes[EAST].pid == drill.fault(ProcessFault.HANG, EAST)
    assert becomes(deployment, "T")
    assert {EAST} == deployment.held

    drill.heal(EAST)

    assert becomes(deployment, "S")
    assert set() == deployment.held


def test_a_fault_ends_with_its_drill(deployment: Deployment) -> None:
    """However the drill goes: the connection's end heals."""
    with FaultServer(deployment, on_start=lambda: None):
        connection = connect(deployment.data)
        assert connection is not None
        with connection:
            connection.fault(ProcessFault.HANG, EAST)
            assert becomes(deployment, "T")

        assert becomes(deployment, "S")


def test_a_deployment_that_stops_leaves_no_stopped_process(deployment: Deployment) -> None:
    """A process that hangs is let go on, and ends like the others."""
    deployment.hang(EAST)
    process = deployment.processes[EAST]
    deployment.stop()

    assert process.popen.returncode is not None


def test_one_region_has_one_fault(deployment: Deployment, drill: FaultConnection) -> None:
    """Another drill is told that it comes second, and heals nothing that is not its own."""
    drill.fault(ProcessFault.HANG, EAST)
    other = connect(deployment.data)
    assert other is not None
    with other:
        with pytest.raises(FaultRefused, match="has a fault already"):
            other.fault(ProcessFault.DOWN, EAST)
        other.heal(EAST)

    assert becomes(deployment, "T")


def test_what_cannot_be_done_is_refused_in_a_sentence(
    deployment: Deployment, drill: FaultConnection
) -> None:
    """A Region that is not there; one that is no process of `up` any more."""
    with pytest.raises(FaultRefused, match="There is no Region mars here; there are us-east-1"):
        drill.fault(ProcessFault.DOWN, "mars")
    deployment.processes[EAST].popen.kill()
    deployment.processes[EAST].popen.wait()
    with pytest.raises(FaultRefused, match="killed by SIGKILL"):
        drill.fault(ProcessFault.HANG, EAST)


@pytest.mark.parametrize("line", [b"{}", b"no json", b'{"region":"r","fault":"flood"}', b"\xff"])
def test_garbage_is_answered(deployment: Deployment, line: bytes) -> None:
    """Whatever comes, the answer is a line with an error, and the next one is heard."""
    with FaultServer(deployment, on_start=lambda: None):
        connection = connect(deployment.data)
        assert connection is not None
        with connection:
            for _ in range(2):
                connection._connection.sendall(line + b"\n")
                assert b"The request is not valid" in connection._lines.readline()


def test_the_socket_is_its_owners_and_goes_with_up(deployment: Deployment) -> None:
    """Nobody else on the machine may stop a Region; and no socket is left to nobody."""
    path = deployment.data / SOCKET_NAME
    with FaultServer(deployment, on_start=lambda: None):
        assert 0 == path.stat().st_mode & 0o077

    assert not path.exists()
    assert connect(deployment.data) is None


def test_a_socket_that_nobody_listens_on_is_as_none(tmp_path: Path) -> None:
    """What a killed `up` left behind is no deployment."""
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / SOCKET_NAME))

    assert connect(tmp_path) is None
