"""A Region's control plane over the memory engine, for tests that call operations by name."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import Any, cast

import msgspec
import pytest

from farspan.app import feed_changed
from farspan.archives.service import ArchiveService
from farspan.catalog.resources import Resource, Resources
from farspan.clock import SeededIds
from farspan.control.plane import Caller, ControlPlane, World, perform
from farspan.delivery.service import DeliveryService
from farspan.delivery.stored import RETRY_TIMERS
from farspan.errors import AwsError
from farspan.model.archive import Archive
from farspan.model.delivery import Delivery
from farspan.model.endpoint import Endpoint
from farspan.model.rule import Rule
from farspan.queues.service import QueueService
from farspan.schedules.service import ScheduleService
from farspan.sealing import Sealer
from farspan.store.base import Change, ClaimTimers, DropTimers, Result, StoreError
from farspan.store.memory import MemoryStore
from farspan.targets.base import DeadLetterSender

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


class FullStore(MemoryStore):
    """A memory engine whose disk is full while it is told to be."""

    is_full = False

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit, or fail."""
        if self.is_full:
            raise StoreError("The disk is full.")
        return await super().commit(changes)


class NoWorld:
    """A deployment without endpoints."""

    def endpoints(self) -> list[Endpoint]:
        """Return none."""
        return []


class Api:
    """A Region's control plane over the memory engine, called by operation name."""

    def __init__(self, store: MemoryStore | None = None, clock: StillClock | None = None) -> None:
        self.clock, ids = clock or StillClock(), SeededIds(1)
        self.store = store = store or FullStore()
        self.archives = ArchiveService(
            store,
            self.clock,
            lambda account, name: self.plane.resources.table(Archive).get(f"{account}/{name}"),
        )
        self.delivery = DeliveryService(
            store, self.clock, ids, lambda _: None, cast("DeadLetterSender", None)
        )
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
            archives=self.archives,
            delivery=self.delivery,
            logs=None,
            metrics=None,
        )
        self.schedules = ScheduleService(store, self.clock, self.delivery.planned, 60.0)
        self.plane.resources.subscribe(self._on_resource)

    def _on_resource(self, resource: Resource, exists: bool) -> None:
        if isinstance(resource, Archive):
            feed_changed(self.delivery, resource, exists=exists)
        if isinstance(resource, Rule):
            self.delivery.rule_changed(resource, exists=exists)
            self.schedules.rule_changed(resource, exists=exists)

    async def restarted(self) -> Api:
        """Return the Region as a new process finds it, with what is durable."""
        api = Api(self.store, self.clock)
        await api.plane.resources.load(self.clock.now())
        for resource in api.plane.resources.all():
            api._on_resource(resource, exists=True)
        return api

    async def stored_deliveries(self) -> list[Delivery]:
        """Return the deliveries on their way that are stored, in order, and forget them."""
        claim = ClaimTimers(RETRY_TIMERS, 1e12, 1e12, 10_000)
        timers, _ = await self.store.commit([claim, DropTimers(RETRY_TIMERS)])
        assert isinstance(timers, list)
        return [msgspec.msgpack.decode(timer.body, type=Delivery) for timer in timers]

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
