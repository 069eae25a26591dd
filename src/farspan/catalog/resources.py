"""The Region's own resources, in memory as they stand in the store.

Every resource is one document. Reads come from memory and cost nothing; a change is durable before
it is visible. The control plane changes resources through `Resources.save` and `Resources.remove`;
the data plane only reads, and is told through `subscribe` what changed.
"""

from __future__ import annotations

import bisect
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import msgspec

from farspan.catalog.federation import OwnedCatalog
from farspan.model.alarm import MetricAlarm
from farspan.model.api_destination import ApiDestination
from farspan.model.archive import Archive, Replay
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.connection import Connection
from farspan.model.endpoint import Endpoint
from farspan.model.event import EventBatch
from farspan.model.event_source import EventSource
from farspan.model.function import Function
from farspan.model.health_check import HealthCheck
from farspan.model.log_group import LogGroup, LogStream
from farspan.model.message_move import MessageMove
from farspan.model.queue import Queue
from farspan.model.role import Role
from farspan.model.routing_control import RoutingControl
from farspan.model.rule import Rule
from farspan.store.base import (
    COPY_DOCUMENT,
    LEFT_PREFIX,
    Change,
    DeleteDocument,
    PutDocument,
    Result,
    Store,
)


class Resource(Protocol):
    """What every kind of resource has: the name of its kind, and a key among its kind."""

    KIND: ClassVar[str]

    @property
    def account(self) -> str:
        """The account that has the resource."""

    @property
    def key(self) -> str:
        """The key, which begins with the account where the kind has accounts."""


ResourceT = TypeVar("ResourceT", bound=Resource)
ResourceListener = Callable[[Resource, bool], None]
"""Called on the event loop with a resource and whether it exists now (False: it was removed)."""

KINDS: tuple[type[Resource], ...] = (
    EventBus,
    Rule,
    Queue,
    Endpoint,
    HealthCheck,
    Archive,
    Replay,
    Connection,
    ApiDestination,
    EventSource,
    Role,
    RoutingControl,
    MessageMove,
    LogGroup,
    LogStream,
    MetricAlarm,
    Function,
)
"""Every kind of resource. A new one is a Struct in `model` and an entry here."""

FEDERATED = (Endpoint, HealthCheck, Role, RoutingControl)
"""The kinds that every node has to know, and that therefore count in the catalog's version."""

LAST_CHARACTER = "\U0010ffff"
REGION_DOCUMENT = "region"
CATALOG_DOCUMENT = "catalog-version"


class _Region(msgspec.Struct, frozen=True, kw_only=True):
    """What a store knows of the Region that it belongs to."""

    name: str
    created_at: float
    log_id: str = ""
    parent_log_id: str = ""


def region_of(documents: Mapping[str, bytes]) -> str | None:
    """Return the Region whose documents these are, None where none of them says so."""
    try:
        return msgspec.json.decode(documents[REGION_DOCUMENT], type=_Region).name
    except (KeyError, msgspec.MsgspecError):
        return None


def document_faults(documents: Mapping[str, bytes]) -> Iterator[str]:
    """Give the resources that cannot be read, and what else a Region could not start with."""
    if documents and region_of(documents) is None:
        yield "The store does not say to which Region it belongs."
    if not documents.get(CATALOG_DOCUMENT, b"0").isdigit():
        yield "The version of the catalog is no number."
    for kind in KINDS:
        decode = msgspec.json.Decoder(kind).decode
        for key, value in documents.items():
            if key.startswith(f"{kind.KIND}/"):
                try:
                    decode(value)
                except (msgspec.MsgspecError, ValueError) as error:
                    yield f"Document {key} cannot be read: {error}."


class WrongRegion(Exception):
    """The store belongs to another Region. The message says which, and what to do."""


class Table(Mapping[str, ResourceT], Generic[ResourceT]):
    """The resources of one kind by key, a read-only mapping to everyone but `Resources`.

    Keys are kept in order, so that the resources of an account or a bus are a slice.
    """

    def __init__(self, kind: type[ResourceT]) -> None:
        self.prefix = f"{kind.KIND}/"
        self._decode: Callable[[bytes], ResourceT] = msgspec.json.Decoder(kind).decode
        self._resources: dict[str, ResourceT] = {}
        self._keys: list[str] = []

    def __getitem__(self, key: str) -> ResourceT:
        return self._resources[key]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

    def starting_with(self, prefix: str) -> list[ResourceT]:
        """Return the resources whose key starts with `prefix`, in order of key."""
        first = bisect.bisect_left(self._keys, prefix)
        last = bisect.bisect_left(self._keys, prefix + LAST_CHARACTER)
        return [self._resources[key] for key in self._keys[first:last]]

    def load(self, documents: Mapping[str, bytes]) -> None:
        """Take the resources over from their documents."""
        for key, value in documents.items():
            if key.startswith(self.prefix):
                resource = self._decode(value)
                self._resources[resource.key] = resource
        self._keys = sorted(self._resources)

    def put(self, resource: ResourceT) -> None:
        """Show a resource that is durable."""
        if resource.key not in self._resources:
            bisect.insort(self._keys, resource.key)
        self._resources[resource.key] = resource

    def drop(self, resource: ResourceT) -> None:
        """Show no longer what was removed durably."""
        if self._resources.pop(resource.key, None) is not None:
            del self._keys[bisect.bisect_left(self._keys, resource.key)]


class Resources:
    """All resources of one Region."""

    def __init__(self, region: str, store: Store) -> None:
        self.region = region
        self.created_at = 0.0
        self.log_id = ""
        self.parent_log_id = ""
        self.version = 0
        self._tables: dict[type[Resource], Table[Any]] = {kind: Table(kind) for kind in KINDS}
        self.event_buses = self.table(EventBus)
        self.rules = self.table(Rule)
        self.queues = self.table(Queue)
        self.endpoints = self.table(Endpoint)
        self.health_checks = self.table(HealthCheck)
        self.roles = self.table(Role)
        self._store = store
        self._listeners: list[ResourceListener] = []

    async def load(self, now: float, *, log_id: str = "") -> None:
        """Read everything from the store.

        `now` becomes the creation time of a new Region, and `log_id` the identity of its log, by
        which other Regions tell a replaced store from the one that they copied. A store that comes
        from a backup gets a new identity, which goes on from its former one, and its catalog counts
        as newer than what the peers have of it.

        Raises WrongRegion where the store belongs to another Region.
        """
        documents = {d.key: d.value for d in await self._store.documents("")}
        region = _Region(name=self.region, created_at=now)
        if REGION_DOCUMENT in documents:
            region = msgspec.json.decode(documents[REGION_DOCUMENT], type=_Region)
            if region.name != self.region:
                raise WrongRegion(
                    f"The store belongs to Region {region.name}, not {self.region}. "
                    f"Start it with --region {region.name}, or choose another --data."
                )
        self.version = int(documents.get(CATALOG_DOCUMENT, b"0"))
        is_copy = COPY_DOCUMENT in documents
        if REGION_DOCUMENT not in documents or is_copy or (log_id and not region.log_id):
            region = msgspec.structs.replace(region, log_id=log_id, parent_log_id=region.log_id)
            changes: list[Change] = [PutDocument(REGION_DOCUMENT, msgspec.json.encode(region))]
            if is_copy:
                self.version = self._later_version(now)
                changes += [
                    DeleteDocument(COPY_DOCUMENT),
                    PutDocument(CATALOG_DOCUMENT, str(self.version).encode()),
                ]
            await self._store.commit(changes)
        self.created_at = region.created_at
        self.log_id = region.log_id
        self.parent_log_id = region.parent_log_id
        for table in self._tables.values():
            table.load(documents)

    def table(self, kind: type[ResourceT]) -> Table[ResourceT]:
        """Return the resources of a kind."""
        return self._tables[kind]

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
            self._tables[type(resource)].put(resource)
        self._tell(resources, exists=True)

    async def take_back(self, catalog: OwnedCatalog, *, now: float) -> None:
        """Write what other nodes remember of this Region's catalog, as a newer version of it."""
        assert self.version == 0, "a Region that has a catalog is the authority on it"
        resources: list[Resource] = [*catalog.health_checks, *catalog.roles, *catalog.endpoints]
        resources += catalog.routing_controls
        self.version = catalog.version
        try:
            await self.save(*resources, now=now)
        except BaseException:
            self.version = 0
            raise

    async def remove(self, *resources: Resource, now: float, also: tuple[Change, ...] = ()) -> None:
        """Remove resources durably in one commit with the changes `also`, then hide them."""
        changes: list[Change] = [DeleteDocument(_document_key(resource)) for resource in resources]
        version = self._next_version(resources, changes, now)
        await self._store.commit([*changes, *also])
        self.version = version
        for resource in resources:
            self._tables[type(resource)].drop(resource)
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
        version = self._later_version(now)
        changes.append(PutDocument(CATALOG_DOCUMENT, str(version).encode()))
        return version

    def _later_version(self, now: float) -> int:
        return max(self.version + 1, int(now * 1000))

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
        found = self.rules.starting_with(f"{account}/{event_bus_name}/")
        # One partner bus's name may go on where another's ends.
        return [rule for rule in found if rule.event_bus_name == event_bus_name]

    def all(self) -> list[Resource]:
        """Return every resource of every kind."""
        return [resource for table in self._tables.values() for resource in table.values()]

    async def forget(self, account: str | None) -> None:
        """Remove what is remembered of an account's former resources, or of all accounts'."""
        kept = {REGION_DOCUMENT, CATALOG_DOCUMENT}
        prefixes = {table.prefix for table in self._tables.values()}
        gone = [
            document.key
            for document in await self._store.documents("")
            if document.key not in kept
            and not any(document.key.startswith(prefix) for prefix in prefixes)
            and (account is None or f"/{account}/" in document.key)
        ]
        if gone:
            await self._store.commit([DeleteDocument(key) for key in gone])

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit changes that are about no resource."""
        return await self._store.commit(changes)

    async def left_timers(self) -> list[str]:
        """Return the lists of timers that nobody has any more."""
        documents = await self._store.documents(LEFT_PREFIX)
        return [document.key.removeprefix(LEFT_PREFIX) for document in documents]

    async def logs(self) -> list[str]:
        """Return the keys of the buses that have a log, deleted ones included."""
        return await self._store.event_buses()

    async def log_end(self, event_bus: str) -> int:
        """Return the position of the last event in a bus's log."""
        return await self._store.log_end(event_bus)

    async def read_log(self, event_bus: str, after: int, limit: int) -> list[EventBatch]:
        """Return the batches of a bus's log that the store returns for its `read_log`."""
        return await self._store.read_log(event_bus, after, limit)

    def archive(self, account: str, name: str) -> Archive | None:
        """Return an archive, or None."""
        return self.table(Archive).get(f"{account}/{name}")

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
            roles=tuple(self.roles.values()),
            routing_controls=tuple(self.table(RoutingControl).values()),
        )


def _document_key(resource: Resource) -> str:
    return f"{resource.KIND}/{resource.key}"
