"""The managed rules of a replicating endpoint: seen on both buses, changed by nobody."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually, GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
REGIONS = pytest.mark.parametrize("region", [EAST, WEST], ids=["primary", "secondary"])
OTHER = {EAST: WEST, WEST: EAST}
PREFIX = "GlobalEndpointManagedRule-"
Refusal = Callable[..., tuple[str, str]]


@pytest.fixture
def managed(client: Callable[..., BaseClient], endpoint: GlobalEndpoint) -> Callable[..., Any]:
    """Return the one managed rule of a Region's bus."""

    def managed(region: str) -> dict[str, Any]:
        (rule,) = client("events", region).list_rules(
            EventBusName=endpoint.name, NamePrefix=PREFIX
        )["Rules"]
        return rule

    return managed


@REGIONS
def test_the_rule_is_listed(
    managed: Callable[..., Any], endpoint: GlobalEndpoint, region: str
) -> None:
    """ListRules shows who manages it, and an ARN in its own Region."""
    rule = managed(region)

    assert "endpoints.events.amazonaws.com" == rule["ManagedBy"]
    assert "ENABLED" == rule["State"]
    assert rule["Arn"].startswith(f"arn:aws:events:{region}:000000000000:rule/{endpoint.name}/")


@REGIONS
def test_the_rule_is_described(
    client: Callable[..., BaseClient],
    managed: Callable[..., Any],
    endpoint: GlobalEndpoint,
    region: str,
) -> None:
    """DescribeRule agrees with ListRules and adds CreatedBy."""
    rule = managed(region)
    found = client("events", region).describe_rule(Name=rule["Name"], EventBusName=endpoint.name)
    del found["ResponseMetadata"]

    assert {**rule, "CreatedBy": "000000000000"} == found


@REGIONS
def test_its_target_is_the_other_regions_bus(
    client: Callable[..., BaseClient],
    managed: Callable[..., Any],
    endpoint: GlobalEndpoint,
    region: str,
) -> None:
    """Replication goes both ways."""
    (target,) = client("events", region).list_targets_by_rule(
        Rule=managed(region)["Name"], EventBusName=endpoint.name
    )["Targets"]

    assert f"arn:aws:events:{OTHER[region]}:000000000000:event-bus/{endpoint.name}" == target["Arn"]
    assert "arn:aws:iam::000000000000:role/replication" == target["RoleArn"]


@REGIONS
@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("put_rule", {"EventPattern": '{"source":["a"]}'}, "{rule} is a managed rule."),
        (
            "delete_rule",
            {},
            "{rule} is a managed rule. Set 'force' parameter to true to override.",
        ),
        (
            "delete_rule",
            {"Force": True},
            "{rule} is a managed rule. It goes when its endpoint is deleted, or updated with "
            "ReplicationConfig State DISABLED.",
        ),
        (
            "put_targets",
            {"Targets": [{"Id": "q", "Arn": "arn:aws:sqs:us-east-1:000000000000:q"}]},
            "{rule} is a managed rule.",
        ),
        (
            "remove_targets",
            {"Ids": ["q"]},
            "{rule} is a managed rule. Set 'force' parameter to true to override.",
        ),
        (
            "remove_targets",
            {"Ids": ["q"], "Force": True},
            "{rule} is a managed rule. It goes when its endpoint is deleted, or updated with "
            "ReplicationConfig State DISABLED.",
        ),
    ],
    ids=[
        "PutRule",
        "DeleteRule",
        "DeleteRule-force",
        "PutTargets",
        "RemoveTargets",
        "RemoveTargets-force",
    ],
)
def test_nobody_changes_it(
    client: Callable[..., BaseClient],
    managed: Callable[..., Any],
    endpoint: GlobalEndpoint,
    refusal: Refusal,
    region: str,
    operation: str,
    params: dict[str, Any],
    message: str,
) -> None:
    """Every mutation is a ManagedRuleException in AWS's words, force included."""
    rule = managed(region)["Name"]
    name = {"Rule": rule} if operation.endswith("targets") else {"Name": rule}
    call = getattr(client("events", region), operation)

    assert ("ManagedRuleException", message.replace("{rule}", rule)) == refusal(
        call, EventBusName=endpoint.name, **name, **params
    )


@REGIONS
def test_its_bus_cannot_be_deleted(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint, refusal: Refusal, region: str
) -> None:
    """A managed rule is a rule."""
    assert (
        "ValidationException",
        "EventBus can't be deleted since it has rules.",
    ) == refusal(client("events", region).delete_event_bus, Name=endpoint.name)


def test_it_goes_with_replication(
    client: Callable[..., BaseClient],
    make_endpoint: Callable[[str], GlobalEndpoint],
    name: str,
    eventually: Eventually,
) -> None:
    """UpdateEndpoint with DISABLED takes the rules off both buses, ENABLED puts them back."""
    events, west = client("events"), client("events", WEST)
    endpoint = make_endpoint(name)

    def counts() -> list[int]:
        return [
            len(each.list_rules(EventBusName=endpoint.name, NamePrefix=PREFIX)["Rules"])
            for each in (events, west)
        ]

    def update(state: str) -> None:
        events.update_endpoint(Name=endpoint.name, ReplicationConfig={"State": state})
        eventually(lambda: events.describe_endpoint(Name=endpoint.name)["State"] == "ACTIVE")

    assert [1, 1] == counts()
    update("DISABLED")
    assert [0, 0] == counts()
    update("ENABLED")
    assert [1, 1] == counts()
