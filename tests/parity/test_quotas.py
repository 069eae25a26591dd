"""Every quota under `[quotas]`: what is within it is made, one more is LimitExceededException."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from botocore.client import BaseClient

from farspan.config import QuotaConfig

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment

EAST, WEST, OWN = "us-east-1", "us-west-2", "000000000000"
KEY = ("test", "test")
PATTERN = '{"source":["s"]}'
BUS_ARN = f"arn:aws:events:{EAST}:{OWN}:event-bus/"
EXCEEDED = "The requested resource exceeds the maximum number allowed."
LIMITS = QuotaConfig(
    **{quota.name: 2 for quota in msgspec.structs.fields(QuotaConfig)}
    | {"replays": 0, "event_pattern_characters": len(PATTERN)}
)
"""Two of each. A replay may be over before the next one starts, so none may be under way."""


@pytest.fixture(scope="module")
def limited(deployed: Callable[..., Deployment]) -> Deployment:
    """Two Regions with small quotas."""
    return deployed(EAST, WEST, quotas=LIMITS)


@pytest.fixture(scope="module")
def events(limited: Deployment, client_of: Callable[..., BaseClient]) -> BaseClient:
    """EventBridge in us-east-1, with what the calls below need: a rule, archive and connection."""
    events = client_of(limited.url, "events", EAST, KEY)
    events.put_rule(Name="rule-0", EventPattern=PATTERN)
    events.create_archive(ArchiveName="archives-0", EventSourceArn=f"{BUS_ARN}default")
    events.create_connection(**connection("connections-0"))
    return events


def connection(name: str) -> dict[str, Any]:
    """Return the parameters of CreateConnection."""
    key = {"ApiKeyName": "k", "ApiKeyValue": "v"}
    return {
        "Name": name,
        "AuthorizationType": "API_KEY",
        "AuthParameters": {"ApiKeyAuthParameters": key},
    }


def make_event_bus(events: BaseClient, name: str) -> None:
    """Make one more event bus."""
    events.create_event_bus(Name=name)


def make_rule(events: BaseClient, name: str) -> None:
    """Make one more rule on the bus that has one."""
    events.put_rule(Name=name, EventPattern=PATTERN)


def make_target(events: BaseClient, name: str) -> None:
    """Make one more target of one rule."""
    target = {"Id": name, "Arn": f"arn:aws:sqs:{EAST}:{OWN}:queue"}
    events.put_targets(Rule="rule-0", Targets=[target])


def make_endpoint(events: BaseClient, name: str) -> None:
    """Make one more endpoint, of the buses that every account has."""
    west = BUS_ARN.replace(EAST, WEST)
    events.create_endpoint(
        Name=name,
        RoutingConfig={
            "FailoverConfig": {
                "Primary": {"HealthCheck": "arn:aws:route53:::healthcheck/none"},
                "Secondary": {"Route": WEST},
            }
        },
        ReplicationConfig={"State": "DISABLED"},
        EventBuses=[{"EventBusArn": f"{arn}default"} for arn in (BUS_ARN, west)],
    )


def make_archive(events: BaseClient, name: str) -> None:
    """Make one more archive."""
    events.create_archive(ArchiveName=name, EventSourceArn=f"{BUS_ARN}default")


def make_replay(events: BaseClient, name: str) -> None:
    """Start one more replay."""
    events.start_replay(
        ReplayName=name,
        EventSourceArn=f"arn:aws:events:{EAST}:{OWN}:archive/archives-0",
        EventStartTime=1_700_000_000,
        EventEndTime=1_700_000_001,
        Destination={"Arn": f"{BUS_ARN}default"},
    )


def make_connection(events: BaseClient, name: str) -> None:
    """Make one more connection."""
    events.create_connection(**connection(name))


def make_api_destination(events: BaseClient, name: str) -> None:
    """Make one more API destination."""
    events.create_api_destination(
        Name=name,
        ConnectionArn=events.describe_connection(Name="connections-0")["ConnectionArn"],
        InvocationEndpoint="https://example.com/",
        HttpMethod="POST",
    )


def make_partner_event_source(events: BaseClient, name: str) -> None:
    """Offer one more partner event source."""
    events.create_partner_event_source(Name=f"aws.partner/example.com/{name}", Account=OWN)


MAKE: dict[str, tuple[int, Callable[[BaseClient, str], None]]] = {
    "event_buses": (0, make_event_bus),
    "rules_per_bus": (1, make_rule),
    "targets_per_rule": (0, make_target),
    "endpoints": (0, make_endpoint),
    "archives": (1, make_archive),
    "replays": (0, make_replay),
    "connections": (1, make_connection),
    "api_destinations": (0, make_api_destination),
    "partner_event_sources": (0, make_partner_event_source),
}
"""For each quota how many there are already, and how to make one more."""


def test_every_quota_is_tried() -> None:
    """A quota that is added has to take effect, too."""
    sizes = {"event_pattern_characters"}

    assert set(msgspec.structs.asdict(QuotaConfig())) == MAKE.keys() | sizes


@pytest.mark.parametrize("quota", MAKE)
def test_one_more_than_the_quota_is_refused(
    events: BaseClient, refusal: Callable[..., tuple[str, str]], quota: str
) -> None:
    """The quota holds what it says, and not one more."""
    there, make = MAKE[quota]
    for number in range(there, getattr(LIMITS, quota)):
        make(events, f"{quota}-{number}")

    assert ("LimitExceededException", EXCEEDED) == refusal(
        lambda: make(events, f"{quota}-{LIMITS.targets_per_rule}")
    )


def test_a_pattern_longer_than_the_quota_is_refused(
    events: BaseClient, refusal: Callable[..., tuple[str, str]]
) -> None:
    """One character more is one too many."""
    longer = '{"source":["ss"]}'

    assert (
        "LimitExceededException",
        f"The event pattern has {len(longer)} characters; the quota is {len(PATTERN)}.",
    ) == refusal(lambda: events.put_rule(Name="rule-0", EventPattern=longer))


def test_the_defaults_are_the_documented_ones() -> None:
    """EventBridge's quotas; it names no figure for archives and partner event sources."""
    assert {
        "event_buses": 100,
        "rules_per_bus": 300,
        "targets_per_rule": 5,
        "endpoints": 100,
        "archives": 500,
        "replays": 10,
        "connections": 3_000,
        "api_destinations": 3_000,
        "partner_event_sources": 1_000,
        "event_pattern_characters": 2_048,
    } == msgspec.structs.asdict(QuotaConfig())
