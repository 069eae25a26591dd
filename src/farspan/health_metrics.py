"""Route 53's metrics of this Region's health checks: what they say, as CloudWatch has it.

AWS records them in us-east-1; here the Region that a check belongs to records them, once a minute,
or as many times oftener as the time scale says. What nobody can tell has no data point.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Final

from farspan.health.service import HealthService
from farspan.health.votes import Verdict
from farspan.metrics.service import MetricsService, TooManySeries
from farspan.metrics.statistics import StatisticSet
from farspan.model.health_check import HealthCheck, HealthCheckType, Status
from farspan.model.metric import NO_UNIT, Metric

NAMESPACE: Final = "AWS/Route53"
PERCENT: Final = "Percent"
COUNT: Final = "Count"

RECORD_SECONDS: Final = 60
"""How often a data point is recorded, before any time scale (developer guide, "Monitoring")."""


def record_health(
    checks: Iterable[HealthCheck],
    health: HealthService,
    observers: Collection[str],
    metrics: MetricsService,
    now: float,
) -> None:
    """Put a data point of each metric that a check has now. No more series than there may be."""
    for check in checks:
        for name, unit, value in data_points(check, health, observers):
            metric = Metric(check.account, NAMESPACE, name, (("HealthCheckId", check.id),))
            try:
                metrics.put(metric, unit, now, StatisticSet(1.0, value, value, value))
            except TooManySeries:
                return


def data_points(
    check: HealthCheck, health: HealthService, observers: Collection[str]
) -> Iterable[tuple[str, str, float]]:
    """Return names, units and values of what a check's observers say now."""
    verdict = health.judged(check.id, observers)
    if verdict is not Verdict.UNKNOWN:
        yield "HealthCheckStatus", NO_UNIT, float(verdict is Verdict.HEALTHY)
    if check.type is HealthCheckType.CALCULATED:
        verdicts = [health.judged(child, observers) for child in check.child_health_checks]
        yield "ChildHealthCheckHealthyCount", COUNT, float(verdicts.count(Verdict.HEALTHY))
        return
    votes = health.votes_on(check.id)
    if votes and not check.disabled:
        healthy = sum(vote.status is Status.HEALTHY for vote in votes)
        yield "HealthCheckPercentageHealthy", PERCENT, 100.0 * healthy / len(votes)
