"""A primary Region that dies, hangs or is cut off, with each host in a namespace of its own.

Each fault is made some times over (`make system NETWORK_RUNS=20` for a night), and what it cost is
printed: RTO, the longest time without an acknowledgement from the fault on; failed calls; and what
is in which Region once all is mended.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from deployments import FARSPAN, eventually
from network import Host, Switch, network, reset_of, why_not

from farspan.config import CONFIG_FILE_NAME, Config, HealthConfig, NodeConfig, render_config
from farspan.drill.findings import longest_gap, quantile

EAST, WEST = "us-east-1", "us-west-2"
HOSTS = ("edge", "east", "west")
PORT = 4566
TIME_SCALE = 20.0
RATE = 40
RUNS = int(os.environ.get("FARSPAN_NETWORK_RUNS", "1"))
FAULT_SECONDS = 6.0
REASON = why_not()


@dataclass
class Site:
    """A deployment over three hosts: an edge with its client, and a Region on each of two."""

    directory: Path
    hosts: dict[str, Host]
    switch: Switch
    nodes: dict[str, subprocess.Popen[bytes]]

    def start(self, name: str) -> None:
        """Start a host's node, and return when it serves."""
        regions = {"east": EAST, "west": WEST}
        what = ["serve", "--region", regions[name]] if name in regions else ["edge"]
        log = (self.directory / f"{name}.out").open("ab")
        self.nodes[name] = subprocess.Popen(
            self.hosts[name].command([*FARSPAN, *what, "--data", str(self.directory)]),
            stdout=log,
            stderr=log,
        )
        log.close()
        eventually(lambda: self.serves(name), 30)

    def serves(self, name: str) -> bool:
        """Return whether a host's node answers on its own host."""
        url = f"http://{self.hosts[name].address}:{PORT}/healthz"
        ask = "import sys, urllib.request; urllib.request.urlopen(sys.argv[1], timeout=2)"
        command = self.hosts[name].command([sys.executable, "-c", ask, url])
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def stop(self) -> None:
        """End every process."""
        for node in self.nodes.values():
            node.send_signal(signal.SIGCONT)
            node.kill()
            node.wait(10)


@contextlib.contextmanager
def site(directory: Path) -> Iterator[Site]:
    """Make the hosts and start their nodes; everything is gone afterwards."""
    directory.mkdir()
    with network(HOSTS) as (hosts, switch):
        urls = {name: f"http://{host.address}:{PORT}" for name, host in hosts.items()}
        config = Config(
            nodes=(
                NodeConfig(name="edge", url=urls["edge"]),
                NodeConfig(name="east", url=urls["east"], region=EAST),
                NodeConfig(name="west", url=urls["west"], region=WEST),
            ),
            cluster_secret="of the tests' own",
            health=HealthConfig(time_scale=TIME_SCALE),
        )
        (directory / CONFIG_FILE_NAME).write_text(render_config(config))
        made = Site(directory, hosts, switch, {})
        try:
            for name in HOSTS:
                made.start(name)
            yield made
        finally:
            made.stop()


class Application:
    """The client's process on the edge's host."""

    def __init__(self, made: Site) -> None:
        script = str(Path(__file__).with_name("network_client.py"))
        command = [sys.executable, script, str(made.directory), str(RATE)]
        self._popen = subprocess.Popen(
            made.hosts["edge"].command(command),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._answer() == "ready"

    def _answer(self) -> Any:
        assert self._popen.stdout is not None
        return json.loads(self._popen.stdout.readline())

    def ask(self, word: str) -> Any:
        """Tell it what to do next and return its answer."""
        assert self._popen.stdin is not None
        self._popen.stdin.write(f"{word}\n")
        self._popen.stdin.flush()
        return self._answer()

    def close(self) -> None:
        """End it."""
        self._popen.kill()
        self._popen.communicate()


Fault = Callable[[Site], Callable[[], None]]
"""Makes a fault of the primary Region, and returns what ends it."""


def kill(made: Site) -> Callable[[], None]:
    """Kill the Region's process; start it again afterwards."""
    made.nodes["east"].kill()
    made.nodes["east"].wait(10)
    return lambda: made.start("east")


def hang(made: Site) -> Callable[[], None]:
    """Stop the Region's process where it stands."""
    made.nodes["east"].send_signal(signal.SIGSTOP)
    return lambda: made.nodes["east"].send_signal(signal.SIGCONT)


def drop(made: Site) -> Callable[[], None]:
    """Drop every frame from and to the Region's host."""
    made.switch.rules.dropped |= made.switch.pairs("east")
    return made.switch.rules.dropped.clear


def cut_one_way(made: Site) -> Callable[[], None]:
    """Drop what the Region's host sends: requests reach it, and answers never leave."""
    made.switch.rules.dropped |= made.switch.pairs("east", both_ways=False)
    return made.switch.rules.dropped.clear


def reset(made: Site) -> Callable[[], None]:
    """Answer every segment from and to the Region's host with a reset."""
    made.switch.rules.reset |= made.switch.pairs("east")
    return made.switch.rules.reset.clear


def live_through(fault: Fault, directory: Path) -> dict[str, Any]:
    """Make a fault under load and end it; return what it cost."""
    with site(directory) as made:
        application = Application(made)
        try:
            eventually(lambda: application.ask("state") == "PRIMARY")
            time.sleep(2)
            began = time.monotonic()
            end = fault(made)
            time.sleep(FAULT_SECONDS)
            during = application.ask("state")
            ended = time.monotonic()
            end()
            eventually(lambda: application.ask("state") == "PRIMARY", 60)
            time.sleep(1)
            told = application.ask("stop")
            read = application.ask("read")
        finally:
            application.close()
    return {
        "rto": longest_gap(told.pop("acknowledged_at"), began, ended),
        "during": during,
        **told,
        **read,
    }


@pytest.mark.skipif(REASON is not None, reason=str(REASON))
@pytest.mark.timeout(120 * RUNS + 60)
@pytest.mark.parametrize("fault", [kill, hang, drop, cut_one_way, reset])
def test_no_call_fails_and_nothing_is_lost(
    fault: Fault, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever becomes of the primary's host: no failed call, no lost event, both Regions equal."""
    costs = [live_through(fault, tmp_path / str(run)) for run in range(RUNS)]
    gaps = sorted(cost["rto"] for cost in costs)
    with capsys.disabled():
        print(  # noqa: T201 - the figures that the test is run for
            f"\n{fault.__name__} runs={RUNS} rto_p50={quantile(gaps, 0.5):.2f}s "
            f"rto_p99={quantile(gaps, 0.99):.2f}s failed={sum(len(c['failed']) for c in costs)} "
            f"retries={sum(c['retries'] for c in costs)} "
            f"acknowledged={sum(c['acknowledged'] for c in costs)} "
            f"lost={sum(len(ids) for c in costs for ids in c['lost'].values())}",
            flush=True,
        )

    for cost in costs:
        assert cost["during"] == "SECONDARY"
        assert cost["failed"] == []
        assert cost["acknowledged"] > RATE
        assert cost["lost"] == {EAST: [], WEST: []}


def test_a_reset_answers_the_segment_that_it_stands_for() -> None:
    """The switch's resets are the peer's: the addresses turned round, the segment acknowledged."""
    head = bytes.fromhex(
        "020000000002 020000000001 0800 4500002c0000400040060000 0a4d0001 0a4d0002"
    )
    segment = bytes.fromhex("d43111d6 00000064 00000000 5002ffff 00000000") + b"data"
    answer = reset_of(head + segment)

    assert answer is not None
    assert answer[:12] == head[6:12] + head[:6]
    assert (answer[26:30], answer[30:34]) == (head[30:34], head[26:30])
    assert answer[34:38] == bytes.fromhex("11d6d431")
    assert int.from_bytes(answer[42:46], "big") == 0x64 + 1 + 4
    assert reset_of(answer) is None
