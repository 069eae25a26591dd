"""Real processes, started as a user starts them, and counted when a test ends."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from farspan.cli.ports import is_free

T = TypeVar("T")

FARSPAN = [sys.executable, "-m", "farspan"]

DEMO_ENTRY = {
    "Source": "shop.x",
    "DetailType": "T",
    "Detail": '{"amount":1}',
    "EventBusName": "demo",
}
"""An entry that the rule of `farspan up` matches."""


def eventually(look: Callable[[], T], seconds: float = 20.0) -> T:
    """Return the first true value that `look` gives within some seconds."""
    deadline = time.monotonic() + seconds
    while True:
        value = look()
        if value or time.monotonic() > deadline:
            assert value, f"{look} did not come true within {seconds} s"
            return value
        time.sleep(0.05)


def is_alive(pid: int) -> bool:
    """Return whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@dataclass
class Up:
    """A running `farspan up`."""

    popen: subprocess.Popen[str]
    data: Path
    port: int
    lines: list[str] = field(default_factory=list)

    def read_until(self, wanted: str) -> None:
        """Read its output up to a line that holds a text."""
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.lines.append(line.rstrip("\n"))
            if wanted in line:
                return
        raise AssertionError(f"{wanted!r} never came; it said: {self.lines}")

    @property
    def file(self) -> dict[str, Any]:
        """The content of up.json."""
        content: dict[str, Any] = json.loads((self.data / "up.json").read_text())
        return content

    @property
    def pids(self) -> list[int]:
        """Every process of the deployment but `farspan up` itself."""
        return [self.file["edge"]["pid"], *(region["pid"] for region in self.file["regions"])]

    def pid_of(self, region: str) -> int:
        """Return the process id of a Region as up.json has it."""
        return next(r["pid"] for r in self.file["regions"] if r["name"] == region)

    def client(self, service: str, region: str = "us-east-1") -> Any:
        """Return a boto3 client as the README makes one."""
        return boto3.client(
            service,
            region_name=region,
            endpoint_url=self.file["url"],
            aws_access_key_id=self.file["access_key_id"],
            aws_secret_access_key=self.file["secret_access_key"],
        )

    def answers(self, region: str = "us-east-1") -> bool:
        """Return whether a Region answers a call."""
        try:
            return bool(self.client("events", region).list_event_buses()["EventBuses"])
        except (BotoCoreError, ClientError):
            return False

    def stop(self) -> int:
        """Send Ctrl-C and return the exit code."""
        self.popen.send_signal(signal.SIGINT)
        return self.popen.wait(20)


def free_base_port() -> int:
    """Return a port that is free, as its neighbours are.

    It is none of those that the system gives to clients: one of these may be gone while its process
    is dead, and the process cannot start again.
    """
    while True:
        port = random.randrange(10_000, 32_000, 10)
        if all(is_free(port + offset) for offset in range(4)):
            return port


StartUp = Callable[..., Up]


def start_serving(region: str, data: Path) -> subprocess.Popen[bytes]:
    """Start `farspan serve` for a Region by hand; what it says goes to the Region's log."""
    with (data / f"{region}.log").open("ab") as sink:
        return subprocess.Popen(
            [*FARSPAN, "serve", "--region", region, "--data", str(data)], stdout=sink, stderr=sink
        )


@contextlib.contextmanager
def serving(region: str, data: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `farspan serve` for a Region by hand."""
    popen = start_serving(region, data)
    try:
        yield popen
    finally:
        popen.terminate()
        popen.wait(10)


def processes_naming(path: Path) -> list[int]:
    """Return the processes whose command line has a path."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if str(path).encode() in entry.read_bytes():
                found.append(int(entry.parent.name))
        except OSError:
            continue
    return found
