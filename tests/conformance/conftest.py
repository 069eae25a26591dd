"""Every engine under one fixture, so that one suite states the port's promises for all."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from farspan.store.memory import MemoryStore
from farspan.store.sqlite import open_store

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from farspan.store.base import Store


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Store]:
    """Return an empty store of each engine in turn."""
    if request.param == "memory":
        opened: Store = MemoryStore()
    else:
        opened = open_store(tmp_path / "store.sqlite3", asyncio.get_running_loop())
    yield opened
    await opened.close()
