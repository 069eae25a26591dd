"""The Region's own resources, in memory as they stand in the store.

Every resource is one document. Reads come from memory and cost nothing; a change is durable before
it is visible. The control plane changes resources through `Resources.save` and `Resources.remove`;
the data plane only reads, and is told through `subscribe` what changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

import msgspec

from farspan.catalog.federation import OwnedCatalog
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck
from farspan.model.queue import Queue
from farspan.model.rule import Rule
from farspan.store.base import Change, DeleteDocument, PutDocument, Store

Resource = EventBus | Rule | Queue | Endpoint | HealthCheck
ResourceT = TypeVar("ResourceT", EventBus, Rule, Queue, Endpoint, HealthCheck)
ResourceListener = Callable[["Resource", bool], None]
"""Called on the event loop with a resource and whether it exists now (False: it was removed)."""

FEDERATED = (Endpoint, HealthCheck)
"""The kinds that every node has to know, and that therefore count in the catalog's version."""

REGION_DOCUMENT = "region"
CATALOG_DOCUMENT = "catalog-version"


class _Region(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of the Region that it belongs to."""

    name: str
    created_at: float


class WrongRegion(Exception):
    """The store belongs to another Region. The message says which, and what to do."""


class Table(Generic[ResourceT], Mapping[str, ResourceT]):
    """The resources of one kind by key, a read-only mapping to everyone but `Resources`."""

    def __init__(self, prefix: str, kind: type[ResourceT]) -> None:
        self.prefix = prefix
        self._decode: Callable[[bytes], ResourceT] = msgspec.json.Decoder(kind).decode
        self._resources: dict[str, ResourceT] = {}

    def __getitem__(self, key: str) -> ResourceT:
        return self._resources[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._resources)

    def __len__(self) -> int:
        return len(self._resources)

    def starting_with(self, prefix: str) -> list[ResourceT]:
        """Return the resources whose key starts with `prefix`, in order of key."""
        keys = sorted(key for key in self._resources if key.startswith(prefix))
        return [self._resources[key] for key in keys]

    def load(self, key: str, value: bytes) -> None:
        """Take a resource over from its document."""
        self._resources[key] = self._decode(value)

    def put(self, key: str, resource: ResourceT) -> None:
        """Show a resource that is durable."""
        self._resources[key] = resource

    def drop(self, key: str) -> None:
        """Show no longer what was removed durably."""
        self._resources.pop(key, None)


class Resources:
    """All resources of one Region."""

    def __init__(self, region: str, store: Store) -> None:
        self.region = region
        self.created_at = 0.0
        self.version = 0
        self.event_buses = Table("bus/", EventBus)
        self.rules = Table("rule/", Rule)
        self.queues = Table("queue/", Queue)
        self.endpoints = Table("endpoint/", Endpoint)
        self.health_checks = Table("health-check/", HealthCheck)
        self._store = store
        self._listeners: list[ResourceListener] = []

    async def load(self, now: float) -> None:
        """Read everything from the store; `now` becomes the creation time of a new Region.

        Raises WrongRegion where the store belongs to another Region.
        """
        documents = {d.key: d.value for d in await self._store.documents("")}
        if REGION_DOCUMENT in documents:
            region = msgspec.json.decode(documents[REGION_DOCUMENT], type=_Region)
            if region.name != self.region:
                raise WrongRegion(
                    f"The store belongs to Region {region.name}, not {self.region}. "
                    f"Start it with --region {region.name}, or choose another --data."
                )
        else:
            region = _Region(name=self.region, created_at=now)
            await self._store.commit([PutDocument(REGION_DOCUMENT, msgspec.json.encode(region))])
        self.created_at = region.created_at
        self.version = int(documents.get(CATALOG_DOCUMENT, b"0"))
        for table in self._tables():
            for key, value in documents.items():
                if key.startswith(table.prefix):
                    table.load(key.removeprefix(table.prefix), value)

    def _tables(
        self,
    ) -> tuple[Table[EventBus], Table[Rule], Table[Queue], Table[Endpoint], Table[HealthCheck]]:
        return self.event_buses, self.rules, self.queues, self.endpoints, self.health_checks

    async def save(self, *resources: Resource, now: float, also: tuple[Change, ...] = ()) -> None:
        """Write resources durably in one commit with the changes `also`, then show them."""
        changes: list[Change] = [
            PutDocument(_document_key(resource), msgspec.json.encode(resource))
            for resource in resources
        ]
        version = self._next_version(resources, changes, now)
        await self._store.commit([*changes, *also])
        self.version = version
        for resource in resources:
            self._show(resource)
        self._tell(resources, exists=True)

    async def remove(self, *resources: Resource, now: float, also: tuple[Change, ...] = ()) -> None:
        """Remove resources durably in one commit with the changes `also`, then hide them."""
        changes: list[Change] = [DeleteDocument(_document_key(resource)) for resource in resources]
        version = self._next_version(resources, changes, now)
        await self._store.commit([*changes, *also])
        self.version = version
        for resource in resources:
            prefix, key = _place(resource)
            for table in self._tables():
                if table.prefix == prefix:
                    table.drop(key)
        self._tell(resources, exists=False)

    def _next_version(
        self, resources: tuple[Resource, ...], changes: list[Change], now: float
    ) -> int:
        """Return the catalog's version after the changes, and add its own change where it moves.

        It never falls behind the clock, so that a Region rebuilt from an empty disk is still
        believed by peers that knew its former catalog.
        """
        if not any(isinstance(resource, FEDERATED) for resource in resources):
            return self.version
        version = max(self.version + 1, int(now * 1000))
        changes.append(PutDocument(CATALOG_DOCUMENT, str(version).encode()))
        return version

    def _show(self, resource: Resource) -> None:
        _, key = _place(resource)
        match resource:
            case EventBus():
                self.event_buses.put(key, resource)
            case Rule():
                self.rules.put(key, resource)
            case Queue():
                self.queues.put(key, resource)
            case Endpoint():
                self.endpoints.put(key, resource)
            case HealthCheck():
                self.health_checks.put(key, resource)

    def subscribe(self, listener: ResourceListener) -> None:
        """Call `listener` after each change."""
        self._listeners.append(listener)

    def _tell(self, resources: tuple[Resource, ...], *, exists: bool) -> None:
        for resource in resources:
            for listener in self._listeners:
                listener(resource, exists)

    def event_bus(self, account: str, name: str) -> EventBus | None:
        """Return a bus, or None. Every account has the default bus without creating it."""
        bus = self.event_buses.get(f"{account}/{name}")
        if bus is None and name == DEFAULT_BUS_NAME:
            return EventBus(
                region=self.region,
                account=account,
                name=name,
                creation_time=self.created_at,
                last_modified_time=self.created_at,
            )
        return bus

    def rule(self, account: str, event_bus_name: str, name: str) -> Rule | None:
        """Return a rule of a caller's own making, or None."""
        return self.rules.get(f"{account}/{event_bus_name}/{name}")

    def rules_of(self, account: str, event_bus_name: str) -> list[Rule]:
        """Return a bus's rules by name."""
        return self.rules.starting_with(f"{account}/{event_bus_name}/")

    async def log_end(self, event_bus: str) -> int:
        """Return the position of the last event in a bus's log."""
        return await self._store.log_end(event_bus)

    def queue(self, account: str, name: str) -> Queue | None:
        """Return a queue, or None."""
        return self.queues.get(f"{account}/{name}")

    def owned_catalog(self) -> OwnedCatalog:
        """Return what the other nodes have to know of this Region."""
        return OwnedCatalog(
            region=self.region,
            version=self.version,
            endpoints=tuple(self.endpoints.values()),
            health_checks=tuple(self.health_checks.values()),
        )


def _place(resource: Resource) -> tuple[str, str]:
    """Return the prefix of the resource's table and its key there."""
    match resource:
        case EventBus(account=account, name=name):
            return "bus/", f"{account}/{name}"
        case Rule(account=account, event_bus_name=event_bus_name, name=name):
            return "rule/", f"{account}/{event_bus_name}/{name}"
        case Queue(account=account, name=name):
            return "queue/", f"{account}/{name}"
        case Endpoint(account=account, name=name):
            return "endpoint/", f"{account}/{name}"
        case HealthCheck(id=health_check_id):
            return "health-check/", health_check_id


def _document_key(resource: Resource) -> str:
    return "".join(_place(resource))
