"""The composition root: the only place where engines and targets are chosen and parts are joined.

A `Node` is everything that one process runs. What each part asks of another it gets here, as a
function, so that no part knows its siblings.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from farspan.alarm_streams import AlarmStreams
from farspan.announcements import Announcements
from farspan.archives.service import ArchiveService
from farspan.catalog.federation import PeerReport
from farspan.catalog.resources import FEDERATED, Resource, Resources
from farspan.catalog.service import CatalogService
from farspan.clock import Clock, IdSource, SystemClock, SystemIds
from farspan.config import Config, NodeConfig
from farspan.control.alarm_states import advance_alarms
from farspan.control.connections import record_authorization, rewrap_secrets
from farspan.control.endpoints import advance_endpoints, take_back
from farspan.control.message_moves import advance_message_moves
from farspan.control.passed_roles import role_denial
from farspan.control.plane import ControlPlane
from farspan.control.replays import advance_replays, turns_between
from farspan.delivery.service import DeliveryService
from farspan.endpoints.failover import HOUR_SECONDS, Hold
from farspan.endpoints.service import RoutingService
from farspan.evidence import EvidenceOf
from farspan.health.reach import reach_of
from farspan.health.service import HealthService
from farspan.health_metrics import RECORD_SECONDS, record_health
from farspan.ingest.service import IngestService
from farspan.logs.service import LogService
from farspan.metrics.meter import Meter
from farspan.metrics.service import MetricsService, scaled_period
from farspan.model.alarm import AlarmState
from farspan.model.archive import Archive, archive_feed
from farspan.model.connection import Connection
from farspan.model.delivery import Outcome
from farspan.model.endpoint import Endpoint
from farspan.model.forwarding import ForwardReply, ForwardRequest
from farspan.model.rule import Rule
from farspan.observations import Observations
from farspan.queues.service import QueueService
from farspan.replication.measures import ReplicationMeasures
from farspan.replication.service import ReplicationService, settings_of
from farspan.retention import Retention
from farspan.schedules.service import ScheduleService
from farspan.sealing import Sealer, open_sealer
from farspan.senders import Inside, Senders
from farspan.sessions import SessionTokens
from farspan.store.base import STORE_FILE_NAME, Store, StoreError
from farspan.store.sqlite import open_store
from farspan.targets.oauth import TokenRefused
from farspan.wire.access import Access
from farspan.wire.forward import Forwarder
from farspan.wire.peers import PeerClient
from farspan.wire.server import Server
from farspan.wire.services import NodeServices, RegionServices
from farspan.world import World

HOLD_SECONDS = 60.0
HOLD_SECONDS_MAX = 900.0
ADVANCE_SECONDS = 0.1
HEAR_SECONDS_MAX = 5.0
"""How long a Region without a catalog waits for a peer that may remember a newer one."""

STORE_PAUSE_SECONDS = 1.0
ALARM_PASS_SECONDS = 0.5
RETENTION_PASS_SECONDS = 60.0
TRIM_PAUSE_SECONDS = 0.02
ARCHIVE_PASS_SECONDS = 600.0
"""Archives are kept for days."""

log = logging.getLogger("farspan.app")


@dataclass(slots=True)
class Region:
    """The parts that only a Region's node has."""

    store: Store
    resources: Resources
    queues: QueueService
    ingest: IngestService
    delivery: DeliveryService
    replication: ReplicationService
    schedules: ScheduleService
    archives: ArchiveService
    metrics: MetricsService
    streams: AlarmStreams
    plane: ControlPlane
    senders: Senders

    def tell(self, resource: Resource, *, exists: bool) -> None:
        """Tell the parts that go by a resource how it stands now."""
        if isinstance(resource, Rule):
            self.delivery.rule_changed(resource, exists=exists)
            self.schedules.rule_changed(resource, exists=exists)
        elif isinstance(resource, Archive):
            feed_changed(self.delivery, resource, exists=exists)
        elif isinstance(resource, Connection):
            self.senders.tokens.connection_changed(resource, exists=exists)


class Node:
    """One process's parts, joined. Make one with `open_node`, then `start` it."""

    def __init__(
        self, config: Config, node: NodeConfig, data: Path | None, clock: Clock, ids: IdSource
    ) -> None:
        self.config = config
        self.node = node
        self._clock = clock
        self._ids = ids
        self._data = data / node.name if data else None
        self._sessions = SessionTokens(config.cluster_secret, ids.token)
        self.forwarder = Forwarder(node.name, config.cluster_secret)
        self._peers = PeerClient(self.forwarder, clock, config.cluster_secret)
        self.region: Region | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._started_at = 0.0

    async def open(self, store: Store | None) -> None:
        """Open what the node keeps and join its parts."""
        resources = None
        if self.node.region is not None:
            assert store is not None, "a Region has a store"
            resources = Resources(self.node.region, store)
            await resources.load(self._clock.now(), log_id=self._ids.uuid())
        elif self._data is not None:
            self._data.mkdir(parents=True, exist_ok=True)
        self.catalog = CatalogService(
            region=self.node.region,
            peers=[peer for peer in self.config.nodes if peer.name != self.node.name],
            clock=self._clock,
            fetch=self._peers.report,
            own_catalog=resources.owned_catalog if resources else None,
            copy_directory=self._data,
        )
        time_scale = self.config.health.time_scale
        self.health = HealthService(
            self.node.name,
            time_scale,
            self._clock,
            self.catalog.health_checks,
            evaluate=Observations(self.catalog, self._alarm_streams, time_scale).evaluate,
            may_look=reach_of(self.config),
        )
        self.evidence = EvidenceOf(
            self.config, self.node, self.catalog, self.health, self._replication_lags
        )
        self.routing = RoutingService(
            node=self.node.name,
            clock=self._clock,
            outlook=self.evidence.outlook(),
            hold=Hold(
                seconds=HOLD_SECONDS / time_scale,
                seconds_max=HOLD_SECONDS_MAX / time_scale,
                memory_seconds=HOUR_SECONDS / time_scale,
            ),
            copy_directory=self._data,
        )
        self.catalog.on_change(self.health.refresh)
        self.catalog.on_report(lambda report: self.health.hear(report.node, report.votes))
        self.catalog.on_report(self.routing.hear)
        if store is not None and resources is not None:
            self.region = self._join_region(store, resources)
            await self.region.metrics.load()
            await rewrap_secrets(self.region.plane)
        self.server = Server(self._services())

    def _join_region(self, store: Store, resources: Resources) -> Region:
        name = resources.region
        queues = QueueService(name, store, self._clock, self._ids, resources.queue)
        logs = LogService(resources, self._clock, self._ids)
        metrics = self._metrics(name, store)
        sealer = self._sealer(resources)
        archives = ArchiveService(store, self._clock, resources.archive)
        inside = Inside(queues, archives, logs, self._forward, self._role_denial)
        report = self._record_authorization
        senders = Senders(self.config, self._clock, resources, inside, sealer, report)
        delivery = self._delivery(store, senders, metrics.meter)
        schedules = ScheduleService(
            store, self._clock, delivery.planned, self.config.schedules.catch_up_seconds
        )
        replication = self._join_replication(store, resources, metrics.meter)
        copies = replication.confirmations
        find, meter = resources.event_bus, metrics.meter
        ingest = IngestService(name, store, self._clock, self._ids, find, copies, meter)
        plane = ControlPlane(
            region=name,
            regions=self.config.regions,
            resources=resources,
            queues=queues,
            world=World(self.catalog, self.health),
            clock=self._clock,
            ids=self._ids,
            url=self._public_url(),
            started_at=self._clock.now(),
            sealer=sealer,
            sessions=self._sessions,
            enforces_roles=self.config.iam.enforce,
            may_look=reach_of(self.config),
            node_urls={node.name: node.url for node in self.config.nodes},
            ingest=ingest,
            archives=archives,
            delivery=delivery,
            logs=logs,
            metrics=metrics,
            quotas=self.config.quotas,
            targets=self.config.targets,
            forward=self._forward,
        )
        region = Region(
            store=store,
            resources=resources,
            queues=queues,
            ingest=ingest,
            delivery=delivery,
            replication=replication,
            schedules=schedules,
            archives=archives,
            metrics=metrics,
            streams=AlarmStreams(resources, metrics, self.config.health.time_scale),
            plane=plane,
            senders=senders,
        )

        def on_resource(resource: Resource, exists: bool) -> None:
            if isinstance(resource, FEDERATED):
                self.catalog.refresh()
            region.tell(resource, exists=exists)

        resources.subscribe(on_resource)
        self.catalog.on_change(replication.refresh)
        return region

    def _join_replication(
        self, store: Store, resources: Resources, meter: Meter
    ) -> ReplicationService:
        measures = ReplicationMeasures(meter, resources.region, self._clock.now)
        return ReplicationService(
            region=resources.region,
            log_id=resources.log_id,
            parent_log_id=resources.parent_log_id,
            store=store,
            clock=self._clock,
            endpoints=self.catalog.endpoints,
            fetch=lambda region, asked: self._peers.stream(self._node_of(region), asked),
            fetch_digests=lambda region, asked: self._peers.digests(self._node_of(region), asked),
            settings=settings_of(self.config.replication, measures),
        )

    def _delivery(self, store: Store, senders: Senders, meter: Meter) -> DeliveryService:
        sender_of, dead_letters = senders.sender_of, senders.dead_letters
        return DeliveryService(store, self._clock, self._ids, sender_of, dead_letters, meter)

    def _metrics(self, region: str, store: Store) -> MetricsService:
        time_scale = self.config.health.time_scale
        return MetricsService(region, store, self._clock, self._ids, time_scale)

    async def _record_authorization(
        self, connection: Connection, refusal: TokenRefused | None
    ) -> None:
        assert self.region is not None, "a Region has connections"
        await record_authorization(
            self.region.plane,
            connection,
            None if refusal is None else str(refusal),
            is_verdict=refusal is not None and refusal.is_verdict,
        )

    async def _forward(self, region: str, request: ForwardRequest) -> ForwardReply:
        """Have a Region's bus take events of a rule of this Region."""
        assert self.region is not None, "a Region has rules"
        if region == self.region.resources.region:
            return await self.region.ingest.take_forwarded(request)
        return await self._peers.forward(self._node_of(region), request)

    def _node_of(self, region: str) -> NodeConfig:
        node = self.config.node_of(region)
        if node is None:
            raise ConnectionError(f"no node serves {region}")
        return node

    def _role_denial(self, role_arn: str, event_bus: str, rule_arn: str) -> Outcome | None:
        assert self.region is not None, "a Region has rules"
        return role_denial(self.region.plane, role_arn, event_bus, source_arn=rule_arn)

    def _sealer(self, resources: Resources) -> Sealer:
        connections = resources.table(Connection).values()
        sealed = [c.sealed_secret for c in connections if c.sealed_secret is not None]
        return open_sealer(self._data, sealed, self._ids.token)

    def _public_url(self) -> str:
        """Return the URL that clients are told: an edge's, where there is one."""
        edges = [node.url for node in self.config.nodes if node.region is None]
        return (edges or [self.node.url])[0]

    def _services(self) -> NodeServices:
        region = self.region
        own = None
        if region is not None:
            own = RegionServices(
                region=region.resources.region,
                plane=region.plane,
                ingest=region.ingest,
                replication=region.replication,
            )
        return NodeServices(
            node=self.node,
            config=self.config,
            ids=self._ids,
            access=Access(
                credentials=self.config.credentials,
                cluster_secret=self.config.cluster_secret,
                auth=self.config.auth,
                clock=self._clock,
                sessions=self._sessions,
                find_role=self.catalog.role,
            ),
            catalog=self.catalog,
            routing=self.routing,
            forwarder=self.forwarder,
            report=self._report,
            status=self._status,
            tell_override=self._peers.override,
            own=own,
        )

    # --- what the parts ask of each other -------------------------------------------------

    def _replication_lags(self) -> dict[str, float]:
        return self.region.replication.lags() if self.region is not None else {}

    def _alarm_streams(self) -> Mapping[str, AlarmState]:
        return {} if self.region is None else self.region.streams.states()

    def _report(self) -> PeerReport:
        region, routes = self.region, self.routing.told()
        return PeerReport(
            node=self.node.name,
            region=self.node.region,
            catalogs=self.catalog.catalogs(),
            votes=self.health.own_votes(),
            event_buses=tuple(bus.key for bus in region.resources.event_buses.values())
            if region
            else (),
            replication_lags=self._replication_lags(),
            degraded=region.replication.confirmations.degraded() if region else (),
            alarm_streams=dict(self._alarm_streams()),
            overrides=routes.overrides,
            generations=routes.generations,
            route_changes=routes.changes,
        )

    def _status(self, account: str | None) -> dict[str, Any]:
        """Return what people and drills read of a node, of one account or (None) of all."""
        return {
            "node": self.node.name,
            "region": self.node.region,
            "peers_heard": self.catalog.peers_heard(),
            "endpoints": [
                self._endpoint_status(endpoint)
                for endpoint in self.catalog.endpoints()
                if account in (None, endpoint.account)
            ],
            "health_checks": {
                health_check_id: {
                    vote.observer: {"status": vote.status, "report": vote.report}
                    for vote in self.health.votes_on(health_check_id)
                }
                for health_check_id, check in self.catalog.health_checks().items()
                if account in (None, check.account)
            },
        }

    def _endpoint_status(self, endpoint: Endpoint) -> dict[str, Any]:
        routing = self.routing.routing(endpoint)
        status: dict[str, Any] = {
            "arn": endpoint.arn,
            "endpoint_id": endpoint.endpoint_id,
            "state": endpoint.state,
            "routing": routing.state,
            "route": self.routing.region_in_use(endpoint),
            "generation": routing.generation,
            "reason": routing.reason,
            "override": self.routing.override(endpoint),
            "under_way": self.routing.parked_count(endpoint),
            "history": self.routing.states(endpoint),
            "degraded_in": self._degraded_in(endpoint),
        }
        if self.region is not None:
            status["replication"] = self.region.replication.status(endpoint)
        return status

    def _degraded_in(self, endpoint: Endpoint) -> list[str]:
        """Return the Regions that the endpoint's other Region does not follow, as it should."""
        told = {report.region: report.degraded for report in self.catalog.reports()}
        if self.region is not None:
            told[self.node.region] = self.region.replication.confirmations.degraded()
        return sorted(r for r, degraded in told.items() if r and endpoint.endpoint_id in degraded)

    # --- life -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin everything that runs by itself."""
        self._started_at = self._clock.monotonic()
        self.catalog.start()
        self.health.start()
        self.routing.start()
        region = self.region
        if region is not None:
            # Archives first: where a rule was taken from one, a caller's may have its name since.
            kinds: tuple[type[Resource], ...] = (Archive, Rule, Connection)
            for resource in [r for kind in kinds for r in region.resources.table(kind).values()]:
                region.tell(resource, exists=True)
            region.metrics.start()
            region.delivery.start()
            region.schedules.start()
            region.replication.refresh()
            retention = Retention(
                store=region.store,
                resources=region.resources,
                endpoints=self.catalog.endpoints,
                shipped=region.replication.shipped,
                seconds=self.config.store.retention_hours * 3_600,
                pause=lambda: self._clock.sleep(TRIM_PAUSE_SECONDS),
            )
            announcements = Announcements(
                store=region.store,
                clock=self._clock,
                catalog=self.catalog,
                regions=self.config.regions,
                history=self.routing.history,
                region=region.resources.region,
            )
            self._tasks = [
                asyncio.create_task(self._advance(region.plane)),
                asyncio.create_task(self._evaluate_alarms(region.plane, region.streams)),
                asyncio.create_task(self._retain(retention, region)),
                asyncio.create_task(self._retain_archived(region)),
                asyncio.create_task(announcements.run()),
            ]

    async def _advance(self, plane: ControlPlane) -> None:
        looked_at = self._clock.monotonic()
        while True:
            before, looked_at = looked_at, self._clock.monotonic()
            turns = turns_between(before, looked_at, self.config.replays.events_per_second)
            try:
                await take_back(plane, heard_all=self._has_heard_all())
                await advance_endpoints(plane)
                await advance_replays(plane, turns)
                await advance_message_moves(plane)
            except StoreError as error:
                log.warning("endpoints, replays and message moves wait error=%s", error)
                await self._clock.sleep(STORE_PAUSE_SECONDS)
            except Exception:
                log.exception("endpoints, replays and message moves could not be advanced")
            await self._clock.sleep(ADVANCE_SECONDS)

    def _has_heard_all(self) -> bool:
        """Return whether every peer was heard, or was waited for long enough."""
        waited = self._clock.monotonic() - self._started_at > HEAR_SECONDS_MAX
        return waited or all(self.catalog.peers_heard().values())

    async def _evaluate_alarms(self, plane: ControlPlane, streams: AlarmStreams) -> None:
        looked_at = self._clock.now()
        while True:
            await self._clock.sleep(ALARM_PASS_SECONDS)
            before, looked_at = looked_at, self._clock.now()
            try:
                await streams.advance(before, looked_at)
                self._record_health(before, looked_at)
                await advance_alarms(plane, before, looked_at, self.config.health.time_scale)
            except Exception:
                log.exception("alarms could not be evaluated")

    def _record_health(self, before: float, now: float) -> None:
        """Record what the Region's health checks say, where it is time to."""
        seconds = scaled_period(RECORD_SECONDS, self.config.health.time_scale)
        if self.region is not None and before // seconds != now // seconds:
            names = [node.name for node in self.config.nodes]
            checks = self.region.resources.health_checks.values()
            record_health(checks, self.health, names, self.region.metrics, now)

    async def _retain(self, retention: Retention, region: Region) -> None:
        while True:
            await self._clock.sleep(RETENTION_PASS_SECONDS)
            try:
                await retention.trim_logs(self._clock.now())
                await retention.remove_left()
                await region.queues.sweep(list(region.resources.queues.values()))
            except StoreError as error:
                log.warning("logs were not trimmed error=%s", error)
            except Exception:
                log.exception("logs and queues could not be trimmed")

    async def _retain_archived(self, region: Region) -> None:
        while True:
            await self._clock.sleep(ARCHIVE_PASS_SECONDS)
            await region.archives.trim_each(list(region.resources.table(Archive).values()))

    async def close(self) -> None:
        """Stop everything, the store last."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.routing.close()
        await self.health.close()
        await self.catalog.close()
        if self.region is not None:
            await self.region.replication.close()
            await self.region.schedules.close()
            await self.region.delivery.close()
            await self.region.senders.close()
            await self.region.metrics.close()
            await self.region.store.close()
        await self.forwarder.close()


def feed_changed(delivery: DeliveryService, archive: Archive, *, exists: bool) -> None:
    """Tell delivery of an archive's managed rule as it follows from the archive now."""
    # Where the rule was taken from the archive, a caller's rule may have its name since.
    if archive.rule_stands or exists:
        delivery.rule_changed(archive_feed(archive), exists=exists and archive.rule_stands)


async def open_node(
    config: Config,
    node: NodeConfig,
    data: Path | None,
    *,
    store: Store | None = None,
    clock: Clock | None = None,
    ids: IdSource | None = None,
) -> Node:
    """Return a node that is joined and not yet started.

    A Region's node opens its store in `data`, unless one is given. Raises StoreUnusable
    (SecretsUnusable among them) or WrongRegion, with what to do.
    """
    if node.region is not None and store is None:
        assert data is not None, "an embedded store has a directory"
        store = open_store(data / node.name / STORE_FILE_NAME, asyncio.get_running_loop())
    opened = Node(config, node, data, clock or SystemClock(), ids or SystemIds())
    try:
        await opened.open(store)
    except BaseException:
        if store is not None:
            await store.close()
        raise
    return opened
