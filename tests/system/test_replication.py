"""Replication between real processes: lost disks, a cut between Regions, damage, synchronous modes.

How many disks are lost: FARSPAN_LOST_DISKS.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import apsw
import boto3
import pytest
from deployments import DEMO_ENTRY, FARSPAN, StartUp, Up, eventually
from test_faults import Stream, drained

from farspan.cli.observer import endpoint_in, status_of
from farspan.cli.resources import create_resources
from farspan.config import (
    CONFIG_FILE_NAME,
    Config,
    HealthConfig,
    NodeConfig,
    ReplicationConfig,
    load_config,
    render_config,
)
from farspan.store.base import STORE_FILE_NAME

EAST, WEST = "us-east-1", "us-west-2"
pytestmark = pytest.mark.timeout(300)  # real processes, on a machine that may be busy
LOST_DISKS = int(os.environ.get("FARSPAN_LOST_DISKS", "1"))
HEALTH = HealthConfig(time_scale=20.0)


def configured(data: Path, **replication: Any) -> Path:
    """Write a data directory's configuration before `farspan up` begins, and return it."""
    data.mkdir()
    config = Config(health=HEALTH, cluster_secret="s", replication=ReplicationConfig(**replication))
    (data / CONFIG_FILE_NAME).write_text(render_config(config))
    return data


def replication_of(up: Up, region: str) -> dict[str, Any]:
    """Return what a Region's status says of the demo endpoint's replication."""
    config = load_config(up.data / CONFIG_FILE_NAME)
    node = config.node_of(region)
    assert node is not None
    endpoint_id = up.client("events").describe_endpoint(Name="demo")["EndpointId"]
    endpoint = endpoint_in(status_of(config, node), endpoint_id)
    assert endpoint is not None
    found: dict[str, Any] = endpoint["replication"]
    return found


def degraded_in(up: Up, node_name: str) -> list[str]:
    """Return what a node's status says of where the demo endpoint is degraded."""
    config = load_config(up.data / CONFIG_FILE_NAME)
    node = config.node_named(node_name)
    assert node is not None
    (endpoint,) = (status_of(config, node) or {"endpoints": [{}]})["endpoints"]
    found: list[str] = endpoint.get("degraded_in", [])
    return found


@pytest.mark.parametrize("lost", range(LOST_DISKS))
def test_g1_a_lost_disk_costs_no_event_of_a_synchronous_endpoint(
    start_up: StartUp, tmp_path: Path, lost: int
) -> None:
    """The primary is killed in mid-stream and its store deleted: what was acknowledged is there."""
    up = start_up(data=configured(tmp_path / "sync", mode="sync"))
    with Stream(up) as stream:
        eventually(lambda: stream.count() > 30 + 11 * lost)
        os.kill(up.pid_of(EAST), signal.SIGKILL)
        shutil.rmtree(up.data / EAST)
        acknowledged = list(stream.acknowledged)

    found = drained(up, WEST)
    assert len(acknowledged) > 90
    assert set(acknowledged) <= set(found)
    assert Counter(found).most_common(1)[0][1] == 1


def test_sync_or_async_degrades_in_a_second_and_comes_back(
    start_up: StartUp, tmp_path: Path
) -> None:
    """A hung secondary holds calls up for a second, once; header, status and log say so."""
    modes = {"mode": "async", "endpoints": {"demo": "sync_or_async"}}
    up = start_up(data=configured(tmp_path / "either", **modes))
    events = up.client("events")
    endpoint_id = events.describe_endpoint(Name="demo")["EndpointId"]

    def put() -> tuple[str, float]:
        began = time.monotonic()
        reply = events.put_events(EndpointId=endpoint_id, Entries=[DEMO_ENTRY])
        headers = reply["ResponseMetadata"]["HTTPHeaders"]
        return headers["x-farspan-durability"], time.monotonic() - began

    eventually(lambda: put()[0] == "both")
    pid = up.pid_of(WEST)
    os.kill(pid, signal.SIGSTOP)
    try:
        first, second = put(), put()
        degraded = replication_of(up, EAST)
        eventually(lambda: degraded_in(up, "edge") == [EAST])
    finally:
        os.kill(pid, signal.SIGCONT)
    eventually(lambda: put()[0] == "both")

    assert (first[0], second[0]) == ("local", "local")
    assert 0.9 < first[1] < 3.0
    assert second[1] < 0.9
    assert (degraded["mode"], degraded["link"], degraded["degraded"]) == (
        "sync_or_async",
        "AWAY",
        True,
    )
    assert replication_of(up, EAST)["degraded"] is False
    eventually(lambda: degraded_in(up, "edge") == [])
    log = (up.data / f"{EAST}.log").read_text()
    assert "replication degraded endpoint=" in log
    assert "replication restored endpoint=" in log


def test_g9_a_row_that_goes_from_a_copy_comes_back(start_up: StartUp, tmp_path: Path) -> None:
    """Rows are deleted from the secondary's store behind its back, and repaired from the primary's.

    The comparison finds them by their digests, and the status counts them.
    """
    up = start_up(data=configured(tmp_path / "damaged", compare_seconds=0.5))
    events = up.client("events")
    endpoint_id = events.describe_endpoint(Name="demo")["EndpointId"]
    for _ in range(20):
        events.put_events(EndpointId=endpoint_id, Entries=[DEMO_ENTRY] * 3)
    eventually(lambda: replication_of(up, EAST)["confirmed"] == 60)
    connection = apsw.Connection(str(up.data / WEST / STORE_FILE_NAME))
    connection.set_busy_timeout(5_000)

    def calls() -> list[bytes]:
        rows = connection.execute("SELECT call FROM log WHERE origin = ? ORDER BY call", (EAST,))
        return [call for (call,) in rows]

    before = calls()
    connection.execute(
        "DELETE FROM log WHERE key IN (SELECT key FROM log WHERE origin = ? "
        "ORDER BY key LIMIT 2 OFFSET 7)",
        (EAST,),
    )
    assert len(calls()) == 18
    eventually(lambda: calls() == before)
    connection.close()

    eventually(lambda: replication_of(up, WEST)["comparison"]["repaired"] == 6)
    assert replication_of(up, WEST)["comparison"]["missing"] == 6
    assert "replicas differ from their origin" in (up.data / f"{WEST}.log").read_text()


# --- a cut between two Regions ----------------------------------------------------------------


class Link:
    """A way from one Region to the other that can be cut: a TCP proxy, one thread a direction."""

    def __init__(self, target_port: int) -> None:
        self._target_port = target_port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        self.is_cut = False
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                far = None if self.is_cut else self._reach()
                if far is None:
                    near.close()
                    continue
                self._open += [near, far]
                for source, sink in ((near, far), (far, near)):
                    threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    def _reach(self) -> socket.socket | None:
        with contextlib.suppress(OSError):
            return socket.create_connection(("127.0.0.1", self._target_port))
        return None

    @staticmethod
    def _copy(source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(65_536):
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End every connection, and take no other one until it is mended."""
        self.is_cut = True
        for each in self._open:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End for good."""
        self.cut()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # closing alone leaves who accepts asleep
        self._listener.close()
        for each in self._open:
            each.close()


def free_port() -> int:
    """Return a port that is free now."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        port: int = bound.getsockname()[1]
        return port


@contextlib.contextmanager
def two_regions(directory: Path) -> Iterator[tuple[dict[str, Any], list[Link]]]:
    """Run two Regions that reach each other through links; give a client maker and the links."""
    ports = {region: free_port() for region in (EAST, WEST)}
    links = {region: Link(ports[region]) for region in (EAST, WEST)}
    popens = []
    for region in (EAST, WEST):
        nodes = [
            NodeConfig(
                name=each,
                region=each,
                url=f"http://127.0.0.1:{ports[each] if each == region else links[each].port}",
            )
            for each in (EAST, WEST)
        ]
        config = Config(nodes=tuple(nodes), auth=False, cluster_secret="s", health=HEALTH)
        data = directory / region
        data.mkdir()
        (data / CONFIG_FILE_NAME).write_text(render_config(config))
        popens.append(
            subprocess.Popen(
                [*FARSPAN, "serve", "--region", region, "--data", str(data)],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
        )
    try:
        yield ports, list(links.values())
    finally:
        for popen in popens:
            popen.terminate()
        for popen in popens:
            popen.wait(10)
        for link in links.values():
            link.close()


def test_g9_a_cut_with_writers_on_both_sides_heals(tmp_path: Path) -> None:
    """Both Regions take events while they cannot hear each other; then each has each event once."""
    with two_regions(tmp_path) as (ports, links):

        def new_client(service: str, region: str) -> Any:
            return boto3.client(
                service,
                region_name=region,
                endpoint_url=f"http://127.0.0.1:{ports[region]}",
                aws_access_key_id="test",
                aws_secret_access_key="test",
            )

        def listens(region: str) -> bool:
            with (
                contextlib.suppress(OSError),
                socket.create_connection(("127.0.0.1", ports[region])),
            ):
                return True
            return False

        eventually(lambda: listens(EAST) and listens(WEST))
        config = load_config(tmp_path / EAST / CONFIG_FILE_NAME)
        endpoint_id = create_resources(config, new_client, "demo").endpoint_id
        acknowledged: list[str] = []
        clients = {region: new_client("events", region) for region in (EAST, WEST)}

        def put(region: str) -> str:
            reply = clients[region].put_events(EndpointId=endpoint_id, Entries=[DEMO_ENTRY] * 3)
            acknowledged.extend(entry["EventId"] for entry in reply["Entries"])
            return str(reply["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"])

        assert {put(EAST), put(WEST)} == {EAST}
        for link in links:
            link.cut()
        taken = Counter(put(region) for _ in range(25) for region in (EAST, WEST))
        for link in links:
            link.is_cut = False

        def has_all(region: str, found: list[str]) -> bool:
            found.extend(drained(Plain(new_client), region))
            return set(found) == set(acknowledged)

        for region in (EAST, WEST):
            found: list[str] = []
            eventually(lambda region=region, found=found: has_all(region, found), 20)
            assert len(found) == len(acknowledged)
        assert taken == {EAST: 25, WEST: 25}


class Plain:
    """What `drained` needs of a deployment."""

    def __init__(self, new_client: Any) -> None:
        self._new_client = new_client

    def client(self, service: str, region: str) -> Any:
        """Return a client."""
        return self._new_client(service, region)
