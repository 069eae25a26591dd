"""Health checks after CloudWatch alarms, by boto3: what they copy, and what they watch."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.parity.conftest import ClientFactory, Eventually

EAST, WEST = "us-east-1", "us-west-2"
Refusal = Callable[..., tuple[str, str]]
Make = Callable[..., dict[str, Any]]
DIMENSION = {"Name": "shop", "Value": "a"}


def put_alarm(cloudwatch: BaseClient, name: str, **changes: Any) -> None:
    """Put an alarm that goes off where the highest value of a minute is above 5."""
    cloudwatch.put_metric_alarm(
        **{
            "AlarmName": name,
            "Namespace": name,
            "MetricName": "m",
            "Dimensions": [DIMENSION],
            "Statistic": "Maximum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanThreshold",
        }
        | changes
    )


@pytest.fixture
def make(route53: BaseClient, name: str) -> Iterator[Make]:
    """Make health checks after alarms; they are deleted afterwards."""
    made: list[str] = []

    def make(alarm: str, region: str = EAST, **settings: Any) -> dict[str, Any]:
        config = {
            "Type": "CLOUDWATCH_METRIC",
            "AlarmIdentifier": {"Region": region, "Name": alarm},
            **settings,
        }
        answer = route53.create_health_check(
            CallerReference=f"{name}-{len(made)}"[-64:], HealthCheckConfig=config
        )
        made.append(answer["HealthCheck"]["Id"])
        return dict(answer["HealthCheck"])

    yield make
    for health_check_id in made:
        route53.delete_health_check(HealthCheckId=health_check_id)


def reports(route53: BaseClient, health_check_id: str) -> list[str]:
    """Return what each of the three nodes sees, none before all of them see something."""
    answer = route53.get_health_check_status(HealthCheckId=health_check_id)
    found = [one["StatusReport"]["Status"] for one in answer["HealthCheckObservations"]]
    return sorted(found) if len(found) == 3 else []


def test_a_check_copies_its_alarm(
    client: ClientFactory, route53: BaseClient, make: Make, name: str
) -> None:
    """It shows the settings as they were, until it is updated itself."""
    cloudwatch = client("cloudwatch")
    put_alarm(cloudwatch, name, TreatMissingData="breaching")
    check = make(name)
    copied = {
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "Period": 60,
        "MetricName": "m",
        "Namespace": name,
        "Statistic": "Maximum",
        "Dimensions": [DIMENSION],
    }
    put_alarm(cloudwatch, name, Threshold=6.5, EvaluationPeriods=2)
    got = route53.get_health_check(HealthCheckId=check["Id"])["HealthCheck"]
    updated = route53.update_health_check(HealthCheckId=check["Id"])["HealthCheck"]
    cloudwatch.delete_alarms(AlarmNames=[name])
    kept = route53.update_health_check(HealthCheckId=check["Id"], Inverted=True)["HealthCheck"]
    fresh = copied | {"Threshold": 6.5, "EvaluationPeriods": 2}

    assert copied == check["CloudWatchAlarmConfiguration"] == got["CloudWatchAlarmConfiguration"]
    assert fresh == updated["CloudWatchAlarmConfiguration"] == kept["CloudWatchAlarmConfiguration"]
    assert check["HealthCheckConfig"] == {
        "Type": "CLOUDWATCH_METRIC",
        "Inverted": False,
        "Disabled": False,
        "AlarmIdentifier": {"Region": EAST, "Name": name},
        "InsufficientDataHealthStatus": "LastKnownStatus",
    }


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"Period": 10}, "its period is shorter than 60 seconds"),
        ({"Statistic": None, "ExtendedStatistic": "p99"}, "its statistic is an extended one"),
        (
            {"EvaluationPeriods": 3, "DatapointsToAlarm": 2},
            "its DatapointsToAlarm is not its EvaluationPeriods",
        ),
        (
            {"Dimensions": [{"Name": f"d{number}", "Value": "v"} for number in range(11)]},
            "its metric has more than 10 dimensions",
        ),
    ],
    ids=["resolution", "percentile", "m-of-n", "dimensions"],
)
def test_alarms_that_route_53_does_not_watch(
    client: ClientFactory,
    make: Make,
    refusal: Refusal,
    name: str,
    changes: dict[str, Any],
    words: str,
) -> None:
    """InvalidInput says what about the alarm cannot be copied."""
    settings = {"Statistic": "Maximum"} | changes
    alarm = {key: value for key, value in settings.items() if value is not None}
    if "Statistic" in alarm:
        put_alarm(client("cloudwatch"), name, **alarm)
    else:
        client("cloudwatch").put_metric_alarm(
            AlarmName=name,
            Namespace=name,
            MetricName="m",
            Period=60,
            EvaluationPeriods=1,
            Threshold=5.0,
            ComparisonOperator="GreaterThanThreshold",
            **alarm,
        )
    code, message = refusal(make, alarm=name)
    client("cloudwatch").delete_alarms(AlarmNames=[name])

    assert "InvalidInput" == code
    assert words in message


def test_an_alarm_has_to_be_there(route53: BaseClient, make: Make, refusal: Refusal) -> None:
    """Without it there is nothing to copy, nor in a Region that is not there."""
    assert f"there is no alarm nowhere in {WEST}" in refusal(make, alarm="nowhere", region=WEST)[1]
    assert "is none of this deployment" in refusal(make, alarm="nowhere", region="eu-west-3")[1]


def test_a_check_belongs_to_its_alarms_region(
    client: ClientFactory,
    route53: BaseClient,
    make: Make,
    name: str,
    refusal: Refusal,
    eventually: Eventually,
) -> None:
    """Whichever Region is called; it is found there at once, and its alarm stays that Region's."""
    put_alarm(client("cloudwatch", WEST), name)
    put_alarm(client("cloudwatch", EAST), name)
    check_id = make(name, WEST)["Id"]
    known = client("route53").list_health_checks
    assert check_id == route53.get_health_check(HealthCheckId=check_id)["HealthCheck"]["Id"]
    assert eventually(lambda: check_id in {check["Id"] for check in known()["HealthChecks"]})
    elsewhere = {"AlarmIdentifier": {"Region": EAST, "Name": name}}
    code, words = refusal(route53.update_health_check, HealthCheckId=check_id, **elsewhere)

    assert "InvalidInput" == code
    assert f"the health check belongs to {WEST}" in words


def test_every_node_follows_the_metric(
    client: ClientFactory, route53: BaseClient, make: Make, name: str, eventually: Eventually
) -> None:
    """Too little data is what the check says it is; then data points decide, not the alarm."""
    cloudwatch = client("cloudwatch", WEST)
    put_alarm(cloudwatch, name)
    check_id = make(name, WEST, InsufficientDataHealthStatus="Unhealthy")["Id"]
    datum = {"MetricName": "m", "Dimensions": [DIMENSION]}

    def sees(words: str, value: float | None = None) -> bool:
        if value is not None:
            cloudwatch.put_metric_data(Namespace=name, MetricData=[datum | {"Value": value}])
        return reports(route53, check_id) == [words] * 3

    assert eventually(lambda: sees("Failure: The metric has too little data."))
    assert eventually(lambda: sees("Success: The metric is within the alarm's threshold.", 1.0))
    state = {"StateValue": "ALARM", "StateReason": "a drill"}
    cloudwatch.set_alarm_state(AlarmName=name, **state)
    assert eventually(lambda: sees("Success: The metric is within the alarm's threshold.", 1.0))
    assert eventually(lambda: sees("Failure: The metric is beyond the alarm's threshold.", 9.0))
