"""What a node serves with: the joined parts, as the wire is handed them by the composition root."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from farspan.catalog.federation import PeerReport
from farspan.catalog.service import CatalogService
from farspan.clock import IdSource
from farspan.config import Config, NodeConfig
from farspan.control.plane import ControlPlane
from farspan.endpoints.service import RoutingService
from farspan.ingest.service import IngestService
from farspan.model.route import Override
from farspan.replication.service import ReplicationService
from farspan.wire.access import Access
from farspan.wire.forward import Forwarder


@dataclass(frozen=True, slots=True, kw_only=True)
class RegionServices:
    """What only a Region's node has."""

    region: str
    plane: ControlPlane
    ingest: IngestService
    replication: ReplicationService


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeServices:
    """What a node serves with. `own` is None on an edge.

    `tell_override` tells another node of an order; it raises OSError where that cannot be had.
    """

    node: NodeConfig
    config: Config
    ids: IdSource
    access: Access
    catalog: CatalogService
    routing: RoutingService
    forwarder: Forwarder
    report: Callable[[], PeerReport]
    status: Callable[[str | None], Mapping[str, Any]]
    tell_override: Callable[[NodeConfig, Override], Awaitable[None]]
    own: RegionServices | None
