"""What the failover machine is told, put together from health, catalog and replication.

The machine knows none of them, and none of them knows it. Nothing here decides: `endpoints` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from farspan.catalog.service import CatalogService
from farspan.config import Config, NodeConfig
from farspan.endpoints.failover import Evidence, weigh
from farspan.endpoints.service import Outlook
from farspan.health.service import HealthService
from farspan.model.endpoint import Endpoint

CAUGHT_UP_SECONDS = 1.0
"""How far the primary's copy of the secondary's events may be behind when traffic goes back."""


class EvidenceOf:
    """One node's view of its endpoints. `lags` are those of its own Region's copies, if any."""

    def __init__(
        self,
        config: Config,
        node: NodeConfig,
        catalog: CatalogService,
        health: HealthService,
        lags: Callable[[], Mapping[str, float]],
    ) -> None:
        self._config = config
        self._node = node
        self._catalog = catalog
        self._health = health
        self._lags = lags

    def outlook(self) -> Outlook:
        """Return what routing asks at each look."""
        return Outlook(
            endpoints=self._catalog.endpoints,
            evidence=self.evidence,
            caught_up=self.caught_up,
            votes=self.votes,
        )

    def observers(self, endpoint: Endpoint) -> list[str]:
        """Return the nodes whose votes count: those outside the primary Region."""
        primary = endpoint.primary_region
        return [node.name for node in self._config.nodes if node.region != primary]

    def evidence(self, endpoint: Endpoint) -> Evidence:
        """Return what the observers' verdict and this node's own probe come to."""
        observers = self.observers(endpoint)
        verdict = self._health.verdict(endpoint.health_check_id, observers)
        own = None
        if self._node.name in observers:
            own = self._health.own_status(endpoint.health_check_id)
        return weigh(verdict, own)

    def votes(self, endpoint: Endpoint) -> dict[str, str]:
        """Return what each observer that counts says of the primary now, for people."""
        said = {v.observer: str(v.status) for v in self._health.votes_on(endpoint.health_check_id)}
        return {name: said.get(name, "unknown") for name in self.observers(endpoint)}

    def caught_up(self, endpoint: Endpoint) -> bool:
        """Return whether the primary has the secondary's events, or can get no more of them."""
        if not endpoint.replicates:
            return True
        if self._node.region == endpoint.primary_region:
            lags = self._lags()
        else:
            report = self._catalog.report_of(endpoint.primary_region)
            lags = report.replication_lags if report else {}
        lag = lags.get(endpoint.endpoint_id)
        if lag is None:
            # The secondary may be gone: then its events are late, and the primary is what is left.
            return not self._is_heard(endpoint.secondary_region)
        return lag <= CAUGHT_UP_SECONDS

    def _is_heard(self, region: str) -> bool:
        return region == self._node.region or self._catalog.report_of(region) is not None
