"""The tests of this folder run in virtual time."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path += [str(Path(__file__).parents[1] / "endpoints"), str(Path(__file__).parent)]

from two_regions import Pair
from virtual_time import LoopClock, VirtualLoop

if TYPE_CHECKING:
    from asyncio import AbstractEventLoop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], AbstractEventLoop]]:
    """Run every coroutine here on the virtual loop."""
    return {"virtual": VirtualLoop}


@pytest.fixture
def clock() -> LoopClock:
    """Return the clock of the test's own event loop."""
    return LoopClock()


@pytest.fixture
def pair(clock: LoopClock) -> Pair:
    """Return two Regions that have not begun."""
    return Pair(clock)
