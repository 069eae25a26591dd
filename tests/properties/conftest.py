"""A Region's node in this process, without sockets, and the modules that lie beside the tests."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))

from in_process import Api, opened


@pytest.fixture(scope="module")
def api() -> Iterator[Api]:
    """A node with one of each kind of resource."""
    with asyncio.Runner() as runner:
        api = runner.run(opened(runner))
        api.make_resources()
        yield api
        runner.run(api.node.close())
