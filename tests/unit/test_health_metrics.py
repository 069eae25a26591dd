"""What CloudWatch gets to know of health checks."""

from __future__ import annotations

import pytest

from farspan.clock import SystemClock
from farspan.health.service import HealthService
from farspan.health_metrics import data_points
from farspan.model.health_check import HealthCheck, HealthCheckType, Status, Vote

OBSERVERS = ("east", "west", "edge")
CHECK = HealthCheck(
    id="c", account="1" * 12, caller_reference="r", type=HealthCheckType.TCP, port=1
)
OFF = HealthCheck(
    id="off", account="1" * 12, caller_reference="o", type=HealthCheckType.TCP, disabled=True
)
SUM = HealthCheck(
    id="sum",
    account="1" * 12,
    caller_reference="s",
    type=HealthCheckType.CALCULATED,
    health_threshold=2,
    child_health_checks=("c", "off"),
)
CHECKS = {check.id: check for check in (CHECK, OFF, SUM)}


@pytest.mark.parametrize(
    ("votes", "check", "expected"),
    [
        ({}, CHECK, {}),
        ({"west": "Healthy"}, CHECK, {"HealthCheckPercentageHealthy": 100.0}),
        (
            {"west": "Healthy", "edge": "Healthy"},
            CHECK,
            {"HealthCheckStatus": 1.0, "HealthCheckPercentageHealthy": 100.0},
        ),
        (
            {"west": "Unhealthy", "edge": "Unhealthy"},
            CHECK,
            {"HealthCheckStatus": 0.0, "HealthCheckPercentageHealthy": 0.0},
        ),
        ({"west": "Unhealthy", "edge": "Healthy"}, CHECK, {"HealthCheckPercentageHealthy": 50.0}),
        ({}, OFF, {"HealthCheckStatus": 1.0}),
        ({}, SUM, {"ChildHealthCheckHealthyCount": 1.0}),
        (
            {"west": "Healthy", "edge": "Healthy"},
            SUM,
            {"HealthCheckStatus": 1.0, "ChildHealthCheckHealthyCount": 2.0},
        ),
    ],
    ids=["nobody", "one", "agreed", "down", "split", "disabled", "open-sum", "sum"],
)
def test_data_points(votes: dict[str, str], check: HealthCheck, expected: dict[str, float]) -> None:
    """A status where a majority has one, the share of healthy votes, or of healthy children."""
    health = HealthService("east", 1.0, SystemClock(), lambda: CHECKS)
    health.refresh()
    for observer, status in votes.items():
        vote = Vote(
            health_check_id="c",
            observer=observer,
            status=Status(status),
            sequence=1,
            checked_time=1.0,
            report="seen",
        )
        health.hear(observer, [vote])

    found = {name: value for name, _, value in data_points(check, health, OBSERVERS)}
    assert expected == found
