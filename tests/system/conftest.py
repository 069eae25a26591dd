"""Fixtures of the system tests: whatever they start is gone when a test ends."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from deployments import FARSPAN, StartUp, Up, eventually, free_base_port, is_alive


@pytest.fixture
def start_up(tmp_path: Path) -> Iterator[StartUp]:
    """Return a function that runs `farspan up`; whatever it started is gone afterwards."""
    started: list[Up] = []
    pids: set[int] = set()

    def start(*options: str, data: Path | None = None, wait: bool = True) -> Up:
        data = data or tmp_path / "data"
        port = free_base_port()
        command = [*FARSPAN, "up", "--data", str(data), "--port", str(port), *options]
        popen = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        up = Up(popen, data, port)
        started.append(up)
        if wait:
            up.read_until("Ready.")
            pids.update(up.pids)
        return up

    yield start
    for up in started:
        if up.popen.poll() is None:
            up.popen.kill()
        up.popen.wait(10)
        if up.popen.stdout is not None:
            up.popen.stdout.close()
    eventually(lambda: not any(map(is_alive, pids)))
