"""A drill's own resources beside real traffic: a rule and a queue in both Regions, on its own bus.

The rule matches the drill's probes alone. With `--endpoint` the endpoint and its buses are the
user's, and only rule and queue are made. Whatever is made, `undo` hears of first.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from farspan.cli.resources import ROLE, wait_active
from farspan.cli.undo import NoUndo, Undo

VISIBILITY_SECONDS = 5
"""How soon a message comes again whose deletion a fault swallowed."""

NewClient = Callable[[str, str], Any]
"""Return an AWS client for a service and a Region."""


@dataclass(frozen=True, slots=True)
class EndpointFacts:
    """What a drill needs to know of the endpoint that it puts to."""

    name: str
    endpoint_id: str
    event_bus_arns: tuple[str, ...]
    primary: str
    secondary: str
    health_check_id: str
    replicates: bool

    @property
    def regions(self) -> tuple[str, str]:
        """Primary, then secondary."""
        return self.primary, self.secondary

    @property
    def event_bus_name(self) -> str:
        """The buses' name, the same in both Regions."""
        return self.event_bus_arns[0].rpartition("/")[2]


def facts_of(described: dict[str, Any]) -> EndpointFacts:
    """Return the facts in the answer of DescribeEndpoint."""
    routing = described["RoutingConfig"]["FailoverConfig"]
    return EndpointFacts(
        name=described["Name"],
        endpoint_id=described["EndpointId"],
        event_bus_arns=tuple(bus["EventBusArn"] for bus in described["EventBuses"]),
        primary=described["Arn"].split(":")[3],
        secondary=routing["Secondary"]["Route"],
        health_check_id=routing["Primary"]["HealthCheck"].rpartition("/")[2],
        replicates=described["ReplicationConfig"]["State"] == "ENABLED",
    )


class CanaryMaker:
    """Makes what a drill needs, named after it."""

    def __init__(self, new_client: NewClient, undo: Undo | NoUndo, name: str) -> None:
        self._client = new_client
        self._undo = undo
        self.name = name

    def make_endpoint(self, regions: tuple[str, str], check: dict[str, Any]) -> EndpointFacts:
        """Make buses of the drill's own, a health check as described, and an endpoint of both."""
        primary, secondary = regions
        arns = []
        for region in regions:
            events = self._client("events", region)
            what = f"event bus {self.name} in {region}"
            self._undo.later(what, "events", region, "delete_event_bus", Name=self.name)
            arns.append(events.create_event_bus(Name=self.name)["EventBusArn"])
        made = self._client("route53", primary).create_health_check(
            CallerReference=f"{self.name}-{time.time_ns()}", HealthCheckConfig=check
        )
        check_id = made["HealthCheck"]["Id"]
        self._undo.later(
            f"health check {check_id}",
            "route53",
            primary,
            "delete_health_check",
            HealthCheckId=check_id,
        )
        events = self._client("events", primary)
        what = f"endpoint {self.name}"
        self._undo.later(what, "events", primary, "delete_endpoint", Name=self.name)
        account = arns[0].split(":")[4]
        events.create_endpoint(
            Name=self.name,
            Description="A drill's own, which goes when the drill ends.",
            RoutingConfig={
                "FailoverConfig": {
                    "Primary": {"HealthCheck": f"arn:aws:route53:::healthcheck/{check_id}"},
                    "Secondary": {"Route": secondary},
                }
            },
            ReplicationConfig={"State": "ENABLED"},
            EventBuses=[{"EventBusArn": arn} for arn in arns],
            RoleArn=f"arn:aws:iam::{account}:{ROLE}",
        )
        return facts_of(wait_active(events, self.name))

    def make_queues(self, endpoint: EndpointFacts, pattern: str) -> dict[str, str]:
        """Make a queue in each Region that gets what the pattern matches; return their URLs."""
        return {r: self._make_queue(endpoint.event_bus_name, r, pattern) for r in endpoint.regions}

    def _make_queue(self, event_bus_name: str, region: str, pattern: str) -> str:
        events, sqs = self._client("events", region), self._client("sqs", region)
        url: str = sqs.create_queue(
            QueueName=self.name, Attributes={"VisibilityTimeout": str(VISIBILITY_SECONDS)}
        )["QueueUrl"]
        what = f"queue {self.name} in {region}"
        self._undo.later(what, "sqs", region, "delete_queue", QueueUrl=url)
        arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]
        rule = {"Name": self.name, "EventBusName": event_bus_name}
        what = f"rule {self.name} of bus {event_bus_name} in {region}"
        self._undo.later(what, "events", region, "delete_rule", **rule)
        events.put_rule(**rule, EventPattern=pattern)
        target = {"Rule": self.name, "EventBusName": event_bus_name}
        what = f"target of rule {self.name} in {region}"
        self._undo.later(what, "events", region, "remove_targets", **target, Ids=["queue"])
        events.put_targets(**target, Targets=[{"Id": "queue", "Arn": arn["QueueArn"]}])
        return url


def rules_that_match(events: Any, endpoint: EndpointFacts, event: str, own: str) -> list[str]:  # noqa: ANN401
    """Return the other rules of a user's bus that would get the probes as well."""
    found = []
    pages = events.get_paginator("list_rules").paginate(EventBusName=endpoint.event_bus_name)
    for page in pages:
        for rule in page["Rules"]:
            pattern = rule.get("EventPattern")
            if pattern is None or rule["Name"] == own or rule.get("State") == "DISABLED":
                continue
            if rule["Name"].startswith("GlobalEndpointManagedRule-"):
                continue  # the endpoint's replication, which is to have them
            if events.test_event_pattern(EventPattern=pattern, Event=event)["Result"]:
                found.append(rule["Name"])
    return found
