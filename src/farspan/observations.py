"""What a node knows already, for the health checks that are not probed over the network.

The health service asks for a result; catalogs have what it follows from. Nothing here decides:
`health` does.
"""

from __future__ import annotations

from farspan.catalog.service import CatalogService
from farspan.health import recovery_control
from farspan.health.check import CheckState, ProbeResult
from farspan.model.health_check import HealthCheck, HealthCheckType


class Observations:
    """One node's look at what it knows."""

    def __init__(self, catalog: CatalogService) -> None:
        self._catalog = catalog

    def evaluate(self, check: HealthCheck, state: CheckState) -> ProbeResult | None:
        """Return what a check sees now, None where nothing follows from what is known."""
        del state
        if check.type is HealthCheckType.RECOVERY_CONTROL:
            controls = self._catalog.routing_controls()
            return recovery_control.look(controls.get(check.routing_control_arn or ""))
        return None
