"""The template that AWS publishes for global endpoints, in boto3 calls: its way there and back.

An alarm on IngestionToInvocationStartLatency without dimensions or actions, a health check on the
alarm, an endpoint on the check. Its traps are AWS's own (EventBridge user guide, "Configuring
global endpoints"; Route 53 developer guide, "Monitoring CloudWatch alarms").
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from farspan.config import HealthConfig

if TYPE_CHECKING:
    from tests.parity.conftest import (
        ClientFactory,
        Deployment,
        Eventually,
        Send,
        SignedHeaders,
    )

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
TIME_SCALE = 60.0
"""A period of a minute is a second."""

INSUFFICIENT_DATA_MAP = {"missing": "LastKnownStatus", "breaching": "Unhealthy"}
"""The template's mapping. It has no more entries: its FindInMap fails for the other two."""

Refusal = Callable[..., tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Stack:
    """A Region pair with the template's resources, and an endpoint with a bus, rule and queue."""

    name: str
    endpoint_id: str
    health_check_id: str
    client: Callable[[str, str], Any]
    statuses: Callable[[], list[dict[str, Any]]]

    def publish(self) -> str:
        """Put an event through the endpoint; return which Region took it."""
        answer = self.client("events", EAST).put_events(
            EndpointId=self.endpoint_id,
            Entries=[
                {
                    "Source": "shop",
                    "DetailType": "paid",
                    "Detail": json.dumps({}),
                    "EventBusName": self.name,
                }
            ],
        )
        return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"])

    def routes(self) -> set[str]:
        """Return where the nodes route now; unlike `publish`, this leaves no data point."""
        return {
            each["route"]
            for status in self.statuses()
            for each in status["endpoints"]
            if each["endpoint_id"] == self.endpoint_id
        }

    def alarm_state(self) -> str:
        """Return the alarm's own state."""
        found = self.client("cloudwatch", EAST).describe_alarms(AlarmNames=[self.name])
        return str(found["MetricAlarms"][0]["StateValue"])

    def observations(self) -> set[str]:
        """Return what the observers last said of the check: Success or Failure."""
        answer = self.client("route53", EAST).get_health_check_status(
            HealthCheckId=self.health_check_id
        )
        reports = [each["StatusReport"]["Status"] for each in answer["HealthCheckObservations"]]
        return {report.partition(":")[0] for report in reports}


@pytest.fixture(scope="module")
def fast(deployed: Callable[..., Deployment]) -> Deployment:
    """Two Regions whose minutes take a second."""
    return deployed(EAST, WEST, health=HealthConfig(time_scale=TIME_SCALE))


def alarm_of(name: str, **parameters: Any) -> dict[str, Any]:
    """Return the template's alarm, with the template's parameters."""
    return {
        "AlarmName": name,
        "AlarmDescription": "High Latency in Amazon EventBridge",
        "MetricName": "IngestionToInvocationStartLatency",
        "Namespace": "AWS/Events",
        "Statistic": "Average",
        "Period": parameters.get("HighLatencyAlarmPeriod", 60),
        "EvaluationPeriods": parameters.get("MinimumEvaluationPeriod", 5),
        "Threshold": parameters.get("MinimumThreshold", 30_000),
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": parameters.get("TreatMissingDataAs", "breaching"),
    }


def check_of(name: str, treat_missing_data_as: str = "breaching") -> dict[str, Any]:
    """Return the template's health check on its alarm."""
    return {
        "CallerReference": name,
        "HealthCheckConfig": {
            "Type": "CLOUDWATCH_METRIC",
            "AlarmIdentifier": {"Name": name, "Region": EAST},
            "InsufficientDataHealthStatus": INSUFFICIENT_DATA_MAP[treat_missing_data_as],
        },
    }


@pytest.fixture
def make_stack(
    fast: Deployment,
    client_of: ClientFactory,
    send: Send,
    signed_headers: SignedHeaders,
    eventually: Eventually,
    name: str,
) -> Callable[..., Stack]:
    """Create the stack, and wait until its endpoint is ACTIVE."""

    def client(service: str, region: str) -> Any:
        return client_of(fast.url, service, region, ("test", "test"))

    def statuses() -> list[dict[str, Any]]:
        path = "/_farspan/status"
        found: list[dict[str, Any]] = []
        for url in (fast.url_of(region) for region in (EAST, WEST)):
            headers = signed_headers(url, "GET", path)
            found.append(json.loads(send(url, "GET", path, headers=headers).body))
        return found

    def make_stack(*, replicates: bool = True, **parameters: Any) -> Stack:
        for region in (EAST, WEST):
            events, sqs = client("events", region), client("sqs", region)
            events.create_event_bus(Name=name)
            sqs.create_queue(QueueName=name)
            events.put_rule(Name=name, EventBusName=name, EventPattern='{"source":["shop"]}')
            arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"
            events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "q", "Arn": arn}])
        route53 = client("route53", EAST)
        client("cloudwatch", EAST).put_metric_alarm(**alarm_of(name, **parameters))
        treat = parameters.get("TreatMissingDataAs", "breaching")
        made = route53.create_health_check(**check_of(name, treat))["HealthCheck"]
        route53.change_tags_for_resource(
            ResourceType="healthcheck",
            ResourceId=made["Id"],
            AddTags=[{"Key": "Name", "Value": "LatencyFailuresHealthCheck"}],
        )
        events = client("events", EAST)
        buses = [f"arn:aws:events:{region}:{ACCOUNT}:event-bus/{name}" for region in (EAST, WEST)]
        check_arn = f"arn:aws:route53:::healthcheck/{made['Id']}"
        events.create_endpoint(
            Name=name,
            RoutingConfig={
                "FailoverConfig": {
                    "Primary": {"HealthCheck": check_arn},
                    "Secondary": {"Route": WEST},
                }
            },
            ReplicationConfig={"State": "ENABLED" if replicates else "DISABLED"},
            EventBuses=[{"EventBusArn": arn} for arn in buses],
            RoleArn=f"arn:aws:iam::{ACCOUNT}:role/replication",
        )

        def active() -> dict[str, Any] | None:
            found: dict[str, Any] = events.describe_endpoint(Name=name)
            return found if found["State"] == "ACTIVE" else None

        found = eventually(active)
        return Stack(name, found["EndpointId"], made["Id"], client, statuses)

    return make_stack


def test_it_fails_over_without_events_and_comes_back_with_replicas(
    make_stack: Callable[..., Stack], eventually: Eventually
) -> None:
    """Missing data is breaching: who publishes nothing fails over, and then publishes elsewhere.

    The primary measures nothing any more, so that its alarm stays as it is. Only replication
    brings it events, whose latency shows that it is well.
    """
    stack = make_stack(MinimumEvaluationPeriod=1, replicates=False)
    eventually(lambda: stack.routes() == {WEST} and stack.observations() == {"Failure"})
    looks = []

    def looked() -> bool:
        looks.append((stack.publish(), stack.alarm_state()))
        return len(looks) >= 40

    eventually(looked)
    assert {(WEST, "ALARM")} == set(looks)

    stack.client("events", EAST).update_endpoint(
        Name=stack.name, ReplicationConfig={"State": "ENABLED"}
    )
    eventually(lambda: stack.publish() == EAST and stack.observations() == {"Success"}, 20.0)


def test_missing_as_missing_stays_where_it_is(
    make_stack: Callable[..., Stack], eventually: Eventually
) -> None:
    """For those who publish now and then: the last known status holds while nothing is known.

    Nor does SetAlarmState move anything: Route 53 looks at the data, and not at the state.
    """
    stack = make_stack(MinimumEvaluationPeriod=1, TreatMissingDataAs="missing")
    eventually(lambda: stack.publish() == EAST and stack.observations() == {"Success"})
    eventually(lambda: stack.alarm_state() == "INSUFFICIENT_DATA")
    looks = []

    def looked() -> bool:
        stack.client("cloudwatch", EAST).set_alarm_state(
            AlarmName=stack.name, StateValue="ALARM", StateReason="a test"
        )
        looks.append((*stack.routes(), *stack.observations()))
        return len(looks) >= 40

    eventually(looked)
    assert {(EAST, "Success")} == set(looks)


def test_a_check_keeps_its_copy_of_the_alarms_settings(
    make_stack: Callable[..., Stack], eventually: Eventually
) -> None:
    """Latency above the threshold fails over; giving the alarm alone another changes nothing.

    An update of the health check copies the alarm's settings anew.
    """
    stack = make_stack(MinimumEvaluationPeriod=1, MinimumThreshold=0)
    cloudwatch = stack.client("cloudwatch", EAST)
    eventually(lambda: stack.publish() == WEST and stack.alarm_state() == "ALARM")
    cloudwatch.put_metric_alarm(**alarm_of(stack.name, MinimumEvaluationPeriod=1))
    eventually(lambda: stack.publish() == WEST and stack.alarm_state() == "OK")
    assert {"Failure"} == stack.observations()

    stack.client("route53", EAST).update_health_check(
        HealthCheckId=stack.health_check_id,
        AlarmIdentifier={"Name": stack.name, "Region": EAST},
    )
    eventually(lambda: stack.publish() == EAST and stack.observations() == {"Success"}, 20.0)


@pytest.mark.parametrize("treat", ["notBreaching", "ignore"])
def test_the_template_has_no_word_for_two_treatments(treat: str) -> None:
    """Its mapping of TreatMissingData to InsufficientDataHealthStatus lacks them."""
    with pytest.raises(KeyError):
        check_of("any", treat)


def test_a_period_that_the_template_takes_is_too_short_for_a_health_check(
    fast: Deployment, client_of: ClientFactory, refusal: Refusal, name: str
) -> None:
    """HighLatencyAlarmPeriod may be 10; Route 53 has no checks on alarms of high resolution."""
    cloudwatch = client_of(fast.url, "cloudwatch", EAST, ("test", "test"))
    cloudwatch.put_metric_alarm(**alarm_of(name, HighLatencyAlarmPeriod=10))
    route53 = client_of(fast.url, "route53", EAST, ("test", "test"))

    assert "InvalidInput" == refusal(route53.create_health_check, **check_of(name))[0]
