"""The resources of the demo deployment: the same bus, rule and queue in both Regions, an endpoint.

Made through the public API, and made only where they are missing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from farspan.config import Config

CREATE_SECONDS_MAX = 20.0
PATTERN = '{"source":[{"prefix":"shop."}],"detail":{"amount":[{"numeric":[">",0]}]}}'
ROLE = "role/farspan-replication"

ClientFactory = Callable[[str, str], Any]
"""Return an AWS client for a service and a Region."""


@dataclass(frozen=True, slots=True)
class DemoResources:
    """What was made. `queue_urls` are by Region."""

    name: str
    endpoint_id: str
    event_bus_arns: tuple[str, ...]
    queue_urls: dict[str, str]
    health_check_id: str


class NotActive(Exception):
    """The endpoint did not become ACTIVE. The message has its state and the reason."""


def create_resources(config: Config, new_client: ClientFactory, name: str) -> DemoResources:
    """Make the resources and wait until the endpoint is ACTIVE. Raises NotActive."""
    regions = config.regions
    queue_urls = {region: _create_in_region(new_client, region, name) for region in regions}
    health_check_id = _create_health_check(new_client, config, name)
    account = config.credentials[0].account_id
    arns = tuple(f"arn:aws:events:{region}:{account}:event-bus/{name}" for region in regions)
    events = new_client("events", regions[0])
    routing = {
        "FailoverConfig": {
            "Primary": {"HealthCheck": f"arn:aws:route53:::healthcheck/{health_check_id}"},
            "Secondary": {"Route": regions[1]},
        }
    }
    found = events.list_endpoints(NamePrefix=name)["Endpoints"]
    known = [endpoint for endpoint in found if endpoint["Name"] == name]
    if known and known[0]["RoutingConfig"] != routing:
        # The primary's URL changed since: the former health check watches a port of nobody's.
        events.update_endpoint(Name=name, RoutingConfig=routing)
    if not known:
        events.create_endpoint(
            Name=name,
            Description="Made by farspan: fails over when the primary Region is unhealthy.",
            RoutingConfig=routing,
            ReplicationConfig={"State": "ENABLED"},
            EventBuses=[{"EventBusArn": arn} for arn in arns],
            RoleArn=f"arn:aws:iam::{account}:{ROLE}",
        )
    endpoint = wait_active(events, name)
    return DemoResources(name, endpoint["EndpointId"], arns, queue_urls, health_check_id)


def _create_in_region(new_client: ClientFactory, region: str, name: str) -> str:
    events, sqs = new_client("events", region), new_client("sqs", region)
    known = [bus["Name"] for bus in events.list_event_buses(NamePrefix=name)["EventBuses"]]
    if name not in known:
        events.create_event_bus(Name=name)
    url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
    events.put_rule(Name=f"{name}-paid", EventBusName=name, EventPattern=PATTERN)
    events.put_targets(
        Rule=f"{name}-paid",
        EventBusName=name,
        Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}],
    )
    return url


def _create_health_check(new_client: ClientFactory, config: Config, name: str) -> str:
    primary = config.node_of(config.regions[0])
    assert primary is not None, "the primary Region has a node"
    settings = health_check_of(primary.url)
    route53 = new_client("route53", config.regions[0])
    for check in route53.list_health_checks()["HealthChecks"]:
        found = check["HealthCheckConfig"]
        if all(found.get(key) == value for key, value in settings.items()):
            return str(check["Id"])
    made = route53.create_health_check(
        CallerReference=f"{name}-{time.time_ns()}", HealthCheckConfig=settings
    )
    return str(made["HealthCheck"]["Id"])


def health_check_of(url: str) -> dict[str, Any]:
    """Return the settings of a health check on a Region's node: a durable append within time."""
    parts = urlsplit(url)
    return {
        "Type": "HTTP",
        "IPAddress": parts.hostname,
        "Port": parts.port,
        "ResourcePath": "/health/ingest",
        "RequestInterval": 10,
        "FailureThreshold": 3,
    }


def wait_active(events: Any, name: str) -> dict[str, Any]:  # noqa: ANN401 - an AWS client
    """Return an endpoint once it is ACTIVE. Raises NotActive."""
    deadline = time.monotonic() + CREATE_SECONDS_MAX
    while True:
        endpoint: dict[str, Any] = events.describe_endpoint(Name=name)
        if endpoint["State"] == "ACTIVE":
            return endpoint
        failed = endpoint["State"].endswith("FAILED")
        if failed or time.monotonic() > deadline:
            reason = endpoint.get("StateReason", "it took too long")
            raise NotActive(f"Endpoint {name} is {endpoint['State']}: {reason}")
        time.sleep(0.05)
