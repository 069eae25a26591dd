"""The exchange of catalogs as it runs: ask every peer each half second, keep the last good copy.

Constant work: a peer is asked, and answers in full, whether or not anything changed, so that a
failure makes no difference to the load. What was learned is kept on disk, so that a node that
starts while a Region is down still knows that Region's endpoints.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from farspan.catalog.federation import OwnedCatalog, PeerReport, merge
from farspan.clock import Clock
from farspan.config import NodeConfig
from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck
from farspan.model.role import Role, role_key
from farspan.model.routing_control import RoutingControl, latest

PULL_SECONDS = 0.5
REPORT_SECONDS_MAX = 0.5
FRESH_SECONDS = 3.0
"""How long a peer's report counts as the present state of the peer."""

WAIT_SECONDS_MAX = 2.0
WAIT_STEP_SECONDS = 0.02
"""How long, and in which steps, news of a peer is waited for that is about to come."""

COPY_FILE_NAME = "catalogs.json"

log = logging.getLogger("farspan.catalog")

FetchReport = Callable[[NodeConfig], Awaitable[PeerReport]]
"""Ask a peer for its report. Raises OSError or TimeoutError where it cannot be had."""


@dataclass(slots=True)
class _Peer:
    """What is known of one peer.

    `heard_at` is by the monotonic clock; of a peer that never was heard it is when that began.
    """

    node: NodeConfig
    heard_at: float
    report: PeerReport | None = None
    refusals: tuple[str, ...] = ()
    silence: str = ""


class CatalogService:
    """What this node knows of the whole deployment."""

    def __init__(
        self,
        *,
        region: str | None,
        peers: Sequence[NodeConfig],
        clock: Clock,
        fetch: FetchReport,
        own_catalog: Callable[[], OwnedCatalog] | None,
        copy_directory: Path | None,
    ) -> None:
        self.region = region
        self._clock = clock
        self._fetch = fetch
        self._own_catalog = own_catalog
        self._copy = copy_directory / COPY_FILE_NAME if copy_directory else None
        self._peers = {peer.name: _Peer(peer, clock.monotonic()) for peer in peers}
        self._catalogs: dict[str, OwnedCatalog] = {}
        self._changed: list[Callable[[], None]] = []
        self._heard: list[Callable[[PeerReport], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._endpoints: dict[str, Endpoint] = {}
        self._roles: dict[str, Role] = {}
        self._routing_controls: dict[str, RoutingControl] = {}
        self._load_copy()
        self.refresh()

    def on_change(self, listener: Callable[[], None]) -> None:
        """Call `listener` when an endpoint, health check, role or control came, changed or went."""
        self._changed.append(listener)

    def on_report(self, listener: Callable[[PeerReport], None]) -> None:
        """Call `listener` with every report of a peer."""
        self._heard.append(listener)

    def start(self) -> None:
        """Begin to ask the peers."""
        self._tasks = [asyncio.create_task(self._follow(peer)) for peer in self._peers.values()]

    def refresh(self) -> None:
        """Take over the own Region's catalog as it stands now."""
        if self._own_catalog is not None:
            own = self._own_catalog()
            self._catalogs[own.region] = own
        self._endpoints = {
            endpoint.endpoint_id: endpoint
            for catalog in self._catalogs.values()
            for endpoint in catalog.endpoints
        }
        # Two Regions may make a role of one name before they hear of each other: the first stands.
        self._roles = {
            role.key: role
            for role in sorted(
                (role for catalog in self._catalogs.values() for role in catalog.roles),
                key=lambda role: (role.creation_time, role.role_id),
                reverse=True,
            )
        }
        self._routing_controls = latest(
            control for catalog in self._catalogs.values() for control in catalog.routing_controls
        )
        for listener in self._changed:
            listener()

    async def _follow(self, peer: _Peer) -> None:
        while True:
            try:
                await self._pull(peer)
            except Exception:
                # Whatever it is, a peer that is not followed any more would be worse.
                log.exception("report not taken peer=%s", peer.node.name)
            await self._clock.sleep(PULL_SECONDS)

    async def _pull(self, peer: _Peer) -> None:
        try:
            async with asyncio.timeout(REPORT_SECONDS_MAX):
                report = await self._fetch(peer.node)
        except (OSError, TimeoutError) as error:
            # It is down, cut off, or refuses this node: what it said last stands.
            self._note_silence(peer, str(error) or "no answer in time")
        except msgspec.MsgspecError as error:
            log.warning("report not understood peer=%s error=%s", peer.node.name, error)
        else:
            self._take(peer, report)

    def _note_silence(self, peer: _Peer, reason: str) -> None:
        """Log why a peer is not heard, once for each reason."""
        if reason != peer.silence:
            peer.silence = reason
            log.warning("peer not heard peer=%s reason=%s", peer.node.name, reason)

    def _take(self, peer: _Peer, report: PeerReport) -> None:
        peer.silence = ""
        peer.report = report
        peer.heard_at = self._clock.monotonic()
        merged = merge(
            self._catalogs,
            report.catalogs,
            own_region=self.region,
            offering_region=report.region,
        )
        if merged.refusals != peer.refusals:
            peer.refusals = merged.refusals
            for refusal in merged.refusals:
                log.warning("catalog refused peer=%s reason=%s", peer.node.name, refusal)
        if merged.changed:
            self._catalogs = merged.catalogs
            self._save_copy()
            self.refresh()
        for listener in self._heard:
            listener(report)

    def _load_copy(self) -> None:
        if self._copy is None or not self._copy.exists():
            return
        try:
            known = msgspec.json.decode(self._copy.read_bytes(), type=list[OwnedCatalog])
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("catalog copy not usable file=%s error=%s", self._copy, error)
            return
        self._catalogs = merge({}, known, own_region=self.region).catalogs

    def _save_copy(self) -> None:
        """Write beside and rename, so that a crash leaves the former copy or the new one."""
        if self._copy is None:
            return
        others = [c for c in self._catalogs.values() if c.region != self.region]
        beside = self._copy.with_suffix(".new")
        try:
            beside.write_bytes(msgspec.json.encode(others))
            beside.replace(self._copy)
        except OSError as error:
            log.warning("catalog copy not written file=%s error=%s", self._copy, error)

    # --- what is known --------------------------------------------------------------------

    def catalogs(self) -> tuple[OwnedCatalog, ...]:
        """Return every catalog that the node knows, its own included."""
        return tuple(self._catalogs.values())

    def endpoint(self, endpoint_id: str) -> Endpoint | None:
        """Return an endpoint of any Region by its id, or None."""
        return self._endpoints.get(endpoint_id)

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint that the node knows."""
        return list(self._endpoints.values())

    def health_checks(self) -> dict[str, HealthCheck]:
        """Return every health check that the node knows, by id."""
        return {
            check.id: check
            for catalog in self._catalogs.values()
            for check in catalog.health_checks
        }

    def owner_of_health_check(self, health_check_id: str) -> str | None:
        """Return the Region that owns a health check, or None."""
        for catalog in self._catalogs.values():
            if any(check.id == health_check_id for check in catalog.health_checks):
                return catalog.region
        return None

    async def wait_for_health_check(self, health_check_id: str) -> None:
        """Wait until a health check is known, but not for long; not at all for an empty id."""
        until = self._clock.monotonic() + WAIT_SECONDS_MAX
        while health_check_id and self.owner_of_health_check(health_check_id) is None:
            if self._clock.monotonic() >= until:
                return
            await self._clock.sleep(WAIT_STEP_SECONDS)

    def role(self, account: str, name: str) -> Role | None:
        """Return a role of any Region, or None."""
        role = self._roles.get(role_key(account, name))
        return role if role is not None and role.name == name else None

    def roles(self) -> dict[str, Role]:
        """Return every role that the node knows, by key."""
        return self._roles

    def routing_controls(self) -> dict[str, RoutingControl]:
        """Return every routing control that was ever set, as it was told last, by ARN."""
        return self._routing_controls

    def report_of(self, region: str) -> PeerReport | None:
        """Return the fresh report of a Region's node, None where there is none."""
        for peer in self._peers.values():
            if peer.node.region == region and self._is_fresh(peer):
                return peer.report
        return None

    def last_heard(self, region: str) -> tuple[PeerReport | None, float]:
        """Return what a Region's node said last, and for how many seconds it is silent since."""
        for peer in self._peers.values():
            if peer.node.region == region:
                return peer.report, self._clock.monotonic() - peer.heard_at
        return None, math.inf

    def reports(self) -> list[PeerReport]:
        """Return the fresh reports of all peers."""
        return [p.report for p in self._peers.values() if p.report and self._is_fresh(p)]

    def peers_heard(self) -> dict[str, bool]:
        """Return each peer's name and whether it was heard of lately."""
        return {name: self._is_fresh(peer) for name, peer in self._peers.items()}

    def _is_fresh(self, peer: _Peer) -> bool:
        if peer.report is None:
            return False
        return self._clock.monotonic() - peer.heard_at <= FRESH_SECONDS

    async def close(self) -> None:
        """Stop asking."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
