"""What every node knows of the other Regions: endpoints, health checks, roles, controls, how old.

Each Region owns its catalog and numbers its versions. A node takes over a newer version whole,
never an older one, and never one that would leave an endpoint without its two Regions: a bad
catalog must not take routing down. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck, Vote
from farspan.model.role import Role
from farspan.model.route import Override, RouteChange
from farspan.model.routing_control import RoutingControl


class OwnedCatalog(msgspec.Struct, frozen=True, kw_only=True):
    """The resources of one Region that all nodes need, as of a version."""

    region: str
    version: int
    endpoints: tuple[Endpoint, ...] = ()
    health_checks: tuple[HealthCheck, ...] = ()
    roles: tuple[Role, ...] = ()
    routing_controls: tuple[RoutingControl, ...] = ()


class PeerReport(msgspec.Struct, frozen=True, kw_only=True):
    """What one node tells another each time it is asked: small, complete, changed or not.

    `catalogs` are all that the node knows, its own included, so that news travels past a broken
    link. `event_buses` are the keys of the buses in the node's own Region. `replication_lags` are
    seconds by EndpointId, for the streams that the node's Region pulls; `degraded` are the
    synchronous endpoints whose other Region does not follow the node's. `overrides` are the orders
    about routes that the node knows of, `generations` those of its routes by EndpointId, and
    `route_changes` the latest changes of routes. `alarm_streams` are the states of the metrics
    behind its Region's health checks, by their ids.
    """

    node: str
    region: str | None = None
    catalogs: tuple[OwnedCatalog, ...] = ()
    votes: tuple[Vote, ...] = ()
    event_buses: tuple[str, ...] = ()
    replication_lags: dict[str, float] = {}
    degraded: tuple[str, ...] = ()
    alarm_streams: dict[str, str] = {}
    overrides: tuple[Override, ...] = ()
    generations: dict[str, int] = {}
    route_changes: tuple[RouteChange, ...] = ()


class Merge(msgspec.Struct, frozen=True, kw_only=True):
    """The catalogs after a merge, and what was refused, a sentence each."""

    catalogs: dict[str, OwnedCatalog]
    changed: bool
    refusals: tuple[str, ...] = ()


def merge(
    known: Mapping[str, OwnedCatalog],
    offered: Iterable[OwnedCatalog],
    *,
    own_region: str | None,
    offering_region: str | None = None,
) -> Merge:
    """Return what is known once the offered catalogs are considered.

    A node is the authority on its own Region, so an offer for it is passed over. That a relayed
    catalog is older is the way of relays; that a Region offers an older one of its own is not, and
    is reported.
    """
    catalogs = dict(known)
    refusals: list[str] = []
    changed = False
    for offer in offered:
        current = catalogs.get(offer.region)
        if offer.region == own_region or (current and offer.version == current.version):
            continue
        if current and offer.version < current.version:
            if offer.region != offering_region:
                continue
            refusals.append(
                f"catalog of {offer.region} version {offer.version} is older than "
                f"{current.version}, which is kept"
            )
            continue
        flaw = _flaw(offer)
        if flaw:
            refusals.append(f"catalog of {offer.region} version {offer.version}: {flaw}")
            continue
        catalogs[offer.region] = offer
        changed = True
    return Merge(catalogs=catalogs, changed=changed, refusals=tuple(refusals))


def _flaw(offer: OwnedCatalog) -> str | None:
    for endpoint in offer.endpoints:
        if not endpoint.primary_region or not endpoint.secondary_region:
            return f"endpoint {endpoint.name} has an empty target set"
        if endpoint.primary_region != offer.region:
            return f"endpoint {endpoint.name} belongs to {endpoint.primary_region}"
    for role in offer.roles:
        if role.region != offer.region:
            return f"role {role.name} belongs to {role.region}"
    return None
