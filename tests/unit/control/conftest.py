"""A Region's control plane over the memory engine, for tests that call operations by name."""

from __future__ import annotations

import importlib
from typing import Any, cast

import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds
from farspan.control.plane import Caller, ControlPlane, World, perform
from farspan.errors import AwsError
from farspan.model.endpoint import Endpoint
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore

importlib.import_module("farspan.control.registry")  # registers the operations

ACCOUNT = "000000000000"
OWN = Caller(account=ACCOUNT, access_key_id="test")


class StillClock:
    """Time that the test sets; nobody sleeps here."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.75

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Move time on by as much as was to be slept."""
        self.seconds += seconds


class NoWorld:
    """A deployment without endpoints."""

    def endpoints(self) -> list[Endpoint]:
        """Return none."""
        return []


class Api:
    """A Region's control plane over the memory engine, called by operation name."""

    def __init__(self) -> None:
        self.clock, ids = StillClock(), SeededIds(1)
        store = MemoryStore()
        self.plane = ControlPlane(
            region="us-east-1",
            regions=("us-east-1",),
            resources=Resources("us-east-1", store),
            queues=QueueService("us-east-1", store, self.clock, ids),
            world=cast("World", NoWorld()),
            clock=self.clock,
            ids=ids,
            url="http://localhost:4566",
            sealer=Sealer([bytes(32)], ids.token),
            ingest=None,
        )

    async def __call__(self, name: str, **params: object) -> dict[str, Any]:
        """Perform an operation and return its output without what is left out on the wire."""
        output = await perform(self.plane, OWN, "events", name, params)
        return {member: value for member, value in output.items() if value is not None}

    async def refusal(self, name: str, **params: object) -> tuple[str, str]:
        """Perform an operation that is refused, and return the error's code and message."""
        with pytest.raises(AwsError) as refusal:
            await perform(self.plane, OWN, "events", name, params)
        return refusal.value.code, refusal.value.message


@pytest.fixture
def api() -> Api:
    """Return a control plane without resources."""
    return Api()
