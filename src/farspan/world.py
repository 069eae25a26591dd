"""The other Regions as the control plane sees them: what the catalog knows, and the votes heard."""

from __future__ import annotations

from farspan.catalog.federation import PeerReport
from farspan.catalog.service import CatalogService
from farspan.health.service import HealthService
from farspan.model.endpoint import Endpoint
from farspan.model.health_check import HealthCheck, Vote
from farspan.model.role import Role
from farspan.model.routing_control import RoutingControl


class World:
    """What the control plane sees of the other Regions. See `control.plane.World`."""

    def __init__(self, catalog: CatalogService, health: HealthService) -> None:
        self._catalog = catalog
        self._health = health

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint that the node knows."""
        return self._catalog.endpoints()

    def health_checks(self) -> dict[str, HealthCheck]:
        """Return every health check that the node knows."""
        return self._catalog.health_checks()

    def roles(self) -> dict[str, Role]:
        """Return every role that the node knows."""
        return self._catalog.roles()

    def role(self, account: str, name: str) -> Role | None:
        """Return a role of any Region, or None."""
        return self._catalog.role(account, name)

    def routing_controls(self) -> dict[str, RoutingControl]:
        """Return every routing control that was ever set, by ARN."""
        return self._catalog.routing_controls()

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """Return the fresh votes on a health check."""
        return self._health.votes_on(health_check_id)

    def reports(self) -> list[PeerReport]:
        """Return the fresh reports of all peers."""
        return self._catalog.reports()

    def report_of(self, region: str) -> PeerReport | None:
        """Return a Region's fresh report."""
        return self._catalog.report_of(region)
