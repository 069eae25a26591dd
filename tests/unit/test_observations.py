"""What a node makes of what it knows, for the checks that are not probed."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.catalog.federation import PeerReport
from farspan.health.check import CheckState
from farspan.model.alarm import AlarmState, ComparisonOperator
from farspan.model.health_check import (
    AlarmConfiguration,
    AlarmIdentifier,
    HealthCheck,
    HealthCheckType,
    InsufficientDataHealthStatus,
)
from farspan.model.routing_control import RoutingControl, RoutingControlState
from farspan.observations import Observations

EAST, WEST = "us-east-1", "us-west-2"
ARN = "arn:aws:route53-recovery-control::111111111111:controlpanel/p/routingcontrol/c"
COPY = AlarmConfiguration(
    evaluation_periods=1,
    threshold=1.0,
    comparison_operator=ComparisonOperator.GREATER_THAN_THRESHOLD,
    period=60,
    metric_name="m",
    namespace="n",
    statistic="Sum",
)


class FakeCatalog:
    """What other Regions told, as the test puts it."""

    region = EAST

    def __init__(self) -> None:
        self.controls: dict[str, RoutingControl] = {}
        self.heard: tuple[PeerReport | None, float] = (None, 0.0)

    def routing_controls(self) -> dict[str, RoutingControl]:
        """See `CatalogService.routing_controls`."""
        return self.controls

    def last_heard(self, region: str) -> tuple[PeerReport | None, float]:
        """See `CatalogService.last_heard`."""
        assert region == WEST
        return self.heard


def check(check_type: HealthCheckType, **settings: Any) -> HealthCheck:
    """Return a check of a type."""
    return HealthCheck(id="c", account="1" * 12, caller_reference="r", type=check_type, **settings)


def alarm_check(region: str) -> HealthCheck:
    """Return a check after an alarm of a Region, unhealthy where there is no data."""
    return check(
        HealthCheckType.CLOUDWATCH_METRIC,
        alarm_identifier=AlarmIdentifier(region=region, name="a"),
        alarm_configuration=COPY,
        insufficient_data_health_status=InsufficientDataHealthStatus.UNHEALTHY,
    )


def report_of(check: HealthCheck, catalog: FakeCatalog, **own: AlarmState) -> str | None:
    """Return what is seen of a check, at a time scale that makes a minute six seconds."""
    result = Observations(catalog, lambda: own, 10.0).evaluate(check, CheckState())
    return None if result is None else result.report


def test_a_routing_control_is_looked_up() -> None:
    """Off where nobody set it, else as it was told last."""
    control = check(HealthCheckType.RECOVERY_CONTROL, routing_control_arn=ARN)
    catalog = FakeCatalog()
    before = report_of(control, catalog)
    catalog.controls[ARN] = RoutingControl(
        arn=ARN, account="1" * 12, region=WEST, state=RoutingControlState.ON, generation=1
    )

    assert "Failure: The routing control is Off." == before
    assert "Success: The routing control is On." == report_of(control, catalog)


def test_the_own_regions_metric_is_at_hand() -> None:
    """Before it is evaluated nothing follows."""
    catalog, own = FakeCatalog(), alarm_check(EAST)

    assert report_of(own, catalog) is None
    assert "Success: The metric is within the alarm's threshold." == report_of(
        own, catalog, c=AlarmState.OK
    )


@pytest.mark.parametrize(
    ("streams", "silent", "expected"),
    [
        ({"c": "OK"}, 0.2, "Success: The metric is within the alarm's threshold."),
        ({"c": "ALARM"}, 6.0, "Failure: The metric is beyond the alarm's threshold."),
        ({"c": "OK"}, 6.5, "Failure: The metric has too little data."),
        ({}, 0.2, None),
        ({}, 6.5, "Failure: The metric has too little data."),
        (None, 5.9, None),
        (None, 6.5, "Failure: The metric has too little data."),
    ],
)
def test_another_regions_metric_is_heard_of(
    streams: dict[str, str] | None, silent: float, expected: str | None
) -> None:
    """What was told last stands for a period of the alarm; then there is too little data."""
    catalog = FakeCatalog()
    told = None if streams is None else PeerReport(node="west", alarm_streams=streams)
    catalog.heard = (told, silent)

    assert expected == report_of(alarm_check(WEST), catalog)


def test_nothing_is_known_of_a_probed_target() -> None:
    """Those types are the prober's."""
    assert report_of(check(HealthCheckType.TCP), FakeCatalog()) is None
