"""Two Regions that copy each other's events, for the tests of this folder."""

from __future__ import annotations

import asyncio
from copy import deepcopy

import msgspec
from virtual_time import LoopClock

from farspan.ingest.entries import Entry, Placement, accept_entries
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.event import CallId, EventBatch, call_id_of, event_id_in
from farspan.replication.comparison import DigestReply, DigestRequest
from farspan.replication.service import ReplicationService, Settings
from farspan.replication.stream import StreamReply, StreamRequest
from farspan.store.base import Append, Appended, Change, Result, StoreError
from farspan.store.memory import MemoryStore

EAST, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"


def endpoint_named(name: str) -> Endpoint:
    """Return an endpoint from east to west, all of them on one bus."""
    return Endpoint(
        account="1" * 12,
        name=name,
        endpoint_id=f"{name}.veo",
        event_bus_name="orders",
        primary_region=EAST,
        secondary_region=WEST,
        health_check_id="c",
        state=EndpointState.ACTIVE,
    )


ORDERS = endpoint_named("orders")
BILLS = endpoint_named("bills")
BUS = ORDERS.event_bus_key


class SlowStore(MemoryStore):
    """A memory engine that a test makes fail, or whose reads it makes slow."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.read_seconds = 0.0

    def state_copy(self) -> SlowStore:
        """Return a store that has what this one has now."""
        copied = SlowStore()
        listeners, self._listeners = self._listeners, []
        copied.__dict__ |= deepcopy(self.__dict__)
        self._listeners = listeners
        return copied

    async def commit(self, changes: list[Change]) -> list[Result]:  # type: ignore[override]
        """See `Store.commit`."""
        if self.fails:
            raise StoreError("The disk is full.")
        return self.apply(changes)

    async def read_stream(
        self, stream: str, origin: str, after: int, limit: int
    ) -> list[EventBatch]:
        """See `Store.read_stream`. What is read is what was there when the read began."""
        batches = self.stream_now(stream, origin, after, limit)
        if self.read_seconds:
            await asyncio.sleep(self.read_seconds)  # noqa: TID251 - virtual
        return batches


class Pair:
    """Two Regions, each with a store and its replication, and the link between them."""

    def __init__(self, clock: LoopClock) -> None:
        self.clock = clock
        self.stores = {EAST: SlowStore(), WEST: SlowStore()}
        self.endpoints = {EAST: [ORDERS], WEST: [ORDERS]}
        self.down: set[str] = set()
        self.asked: list[tuple[str, StreamRequest]] = []
        self.replies: list[tuple[str, StreamReply]] = []
        self.digest_log = ""
        self.settings = Settings()
        self.log_ids = {region: f"log of {region}" for region in (EAST, WEST)}
        self.parent_log_ids = dict.fromkeys((EAST, WEST), "")
        self.services = {region: self.join(region) for region in (EAST, WEST)}

    def join(self, region: str) -> ReplicationService:
        """Return the replication of a Region over its store."""
        return ReplicationService(
            region=region,
            log_id=self.log_ids[region],
            parent_log_id=self.parent_log_ids[region],
            store=self.stores[region],
            clock=self.clock,
            endpoints=lambda: self.endpoints[region],
            fetch=self.fetch,
            fetch_digests=self.fetch_digests,
            settings=self.settings,
        )

    async def fetch(self, region: str, request: StreamRequest) -> StreamReply:
        """Ask a Region's service, in the wire's bytes."""
        self.asked.append((region, request))
        if region in self.down:
            raise ConnectionRefusedError(region)
        reply = await self.services[region].serve(request)
        if region in self.down:
            raise ConnectionResetError(region)
        self.replies.append((region, reply))
        return msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=StreamReply)

    async def fetch_digests(self, region: str, request: DigestRequest) -> DigestReply:
        """Ask a Region's service for digests, in the wire's bytes."""
        if region in self.down:
            raise ConnectionRefusedError(region)
        reply = await self.services[region].serve_digests(request)
        if self.digest_log:
            reply = msgspec.structs.replace(reply, log=self.digest_log)
        return msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=DigestReply)

    async def start(self) -> None:
        """Begin in both Regions."""
        for service in self.services.values():
            service.refresh()
        await self.settle()

    async def settle(self, seconds: float = 0.01) -> None:
        """Let what is under way come to rest."""
        await self.clock.sleep(seconds)

    async def restart(self, region: str) -> None:
        """End a Region's process and start it again over the same store."""
        await self.services[region].close()
        self.services[region] = self.join(region)
        self.services[region].refresh()

    async def close(self) -> None:
        """End both."""
        for service in self.services.values():
            await service.close()

    def put(
        self,
        region: str,
        name: str,
        event_count: int = 1,
        endpoint: Endpoint | None = ORDERS,
        detail: str = "{}",
    ) -> Appended:
        """Let a Region accept a call."""
        call = self.call_of(name)
        acceptance = accept_entries(
            [Entry(source="shop", detail_type=name, detail=detail)] * event_count,
            call=call,
            account=ORDERS.account,
            region=region,
            now=self.clock.now(),
            place=lambda _: Placement(event_bus=BUS),
        )
        (appended,) = self.stores[region].apply(
            [Append(self.batch(region, call, acceptance.envelopes, endpoint))]
        )
        assert isinstance(appended, Appended)
        return appended

    def batch(
        self,
        region: str,
        call: CallId,
        envelopes: dict[str, list[bytes]],
        endpoint: Endpoint | None,
    ) -> EventBatch:
        """Return a call's events as ingest appends them."""
        return EventBatch(
            event_bus=BUS,
            call=call,
            events=tuple(envelopes[BUS]),
            accepted_at=self.clock.now(),
            origin=region,
            stream=endpoint.endpoint_id if endpoint else None,
        )

    async def events(self, region: str) -> list[dict[str, object]]:
        """Return the events on a Region's bus in the order of its log."""
        found: list[bytes] = []
        after = 0
        while batches := await self.stores[region].read_log(BUS, after, 100_000):
            found += [event for batch in batches for event in batch.events]
            after = batches[-1].position + len(batches[-1].events) - 1
        return [msgspec.json.decode(event) for event in found]

    async def names(self, region: str) -> list[object]:
        """Return which calls' events are on a Region's bus, sorted."""
        return sorted(str(event["detail-type"]) for event in await self.events(region))

    def lose(self, region: str, name: str) -> None:
        """Take a call's batch out of a Region's store, as damage would."""
        store, call = self.stores[region], self.call_of(name)
        log = store._logs[BUS]
        lost = log.calls.pop(call)
        log.batches.remove(lost)
        for batches in store._streams.values():
            if lost in batches:
                batches.remove(lost)

    def ids(self, region: str) -> list[str]:
        """Return the ids of the events on a Region's bus, sorted."""
        batches = self.stores[region]._logs[BUS].batches
        return sorted(event_id_in(event) for batch in batches for event in batch.events)

    @staticmethod
    def call_of(name: str) -> CallId:
        """Return the id of a call."""
        return call_id_of("key", name, b"")

    def calls(self, region: str) -> list[bytes]:
        """Return the calls on a Region's bus, sorted, each as often as it is there."""
        return sorted(batch.call for batch in self.stores[region]._logs[BUS].batches)

    def holds(self, region: str, name: str) -> bool:
        """Return whether a call's events are on a Region's bus."""
        return self.call_of(name) in self.calls(region)

    def shipped_calls(self, region: str) -> list[bytes]:
        """Return every call that a Region shipped, each as often as it did."""
        return [
            batch.call for name, reply in self.replies if name == region for batch in reply.batches
        ]
