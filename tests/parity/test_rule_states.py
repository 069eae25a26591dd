"""EnableRule, DisableRule, and the state for CloudTrail's events; ListRuleNamesByTarget."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import GlobalEndpoint, QueueOf

EAST, ACCOUNT = "us-east-1", "000000000000"
PATTERN = '{"source":["shop"]}'
CLOUDTRAIL = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
Refusal = Callable[..., tuple[str, str]]


def state_of(events: BaseClient, bus: str) -> str:
    """Return the state of the rule r."""
    state: str = events.describe_rule(Name="r", EventBusName=bus)["State"]
    return state


def test_disabling_and_enabling_are_idempotent(events: BaseClient, bus: str) -> None:
    """Each can be repeated, and says nothing."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)
    for call, state in (
        (events.disable_rule, "DISABLED"),
        (events.disable_rule, "DISABLED"),
        (events.enable_rule, "ENABLED"),
        (events.enable_rule, "ENABLED"),
    ):
        assert {"ResponseMetadata"} == set(call(Name="r", EventBusName=bus))
        assert state == state_of(events, bus)


def test_the_rest_of_the_rule_stays(events: BaseClient, bus: str, queue: QueueOf) -> None:
    """Pattern, description and targets are as they were."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN, Description="paid")
    events.put_targets(Rule="r", EventBusName=bus, Targets=[{"Id": "q", "Arn": queue.arn}])
    events.disable_rule(Name="r", EventBusName=bus)
    found = events.describe_rule(Name="r", EventBusName=bus)

    assert (PATTERN, "paid") == (found["EventPattern"], found["Description"])
    assert [{"Id": "q", "Arn": queue.arn}] == events.list_targets_by_rule(
        Rule="r", EventBusName=bus
    )["Targets"]


@pytest.mark.parametrize("state", ["ENABLED", CLOUDTRAIL])
def test_a_disabled_rule_matches_nothing(
    events: BaseClient, bus: str, queue: QueueOf, state: str
) -> None:
    """Events put while the rule is disabled are not delivered, not even later."""

    def put(number: int) -> None:
        entry = {"Source": "shop", "DetailType": "t", "Detail": f'{{"n":{number}}}'}
        events.put_events(Entries=[{**entry, "EventBusName": bus}])

    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN, State=state)
    events.put_rule(Name="all", EventBusName=bus, EventPattern=PATTERN)
    target = {"Id": "q", "Arn": queue.arn}
    events.put_targets(Rule="r", EventBusName=bus, Targets=[target])
    put(1)
    assert [1] == [event["detail"]["n"] for event in queue.receive_events(1)]
    events.disable_rule(Name="r", EventBusName=bus)
    events.put_targets(Rule="all", EventBusName=bus, Targets=[{**target, "Input": '{"n":0}'}])
    put(2)
    assert [{"n": 0}] == queue.receive_events(1)
    events.enable_rule(Name="r", EventBusName=bus)
    events.disable_rule(Name="all", EventBusName=bus)
    put(3)

    assert [3] == [event["detail"]["n"] for event in queue.receive_events(1)]
    assert queue.is_empty()


@pytest.mark.parametrize("method", ["enable_rule", "disable_rule"])
def test_a_rule_that_does_not_exist(
    events: BaseClient, bus: str, refusal: Refusal, method: str
) -> None:
    """The message names the rule and the bus."""
    assert (
        "ResourceNotFoundException",
        f"Rule r does not exist on EventBus {bus}.",
    ) == refusal(getattr(events, method), Name="r", EventBusName=bus)


@pytest.mark.parametrize("method", ["enable_rule", "disable_rule"])
def test_a_managed_rule(
    events: BaseClient, endpoint: GlobalEndpoint, refusal: Refusal, method: str
) -> None:
    """A managed rule's state is the system's."""
    (rule,) = events.list_rules(
        EventBusName=endpoint.name, NamePrefix="GlobalEndpointManagedRule-"
    )["Rules"]

    assert (
        "ManagedRuleException",
        f"{rule['Name']} is a managed rule.",
    ) == refusal(getattr(events, method), Name=rule["Name"], EventBusName=endpoint.name)


def test_the_cloudtrail_state_is_kept(events: BaseClient, bus: str) -> None:
    """It is shown as it was put; EnableRule leaves a rule that is enabled as it is."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN, State=CLOUDTRAIL)
    events.enable_rule(Name="r", EventBusName=bus)

    assert CLOUDTRAIL == state_of(events, bus)


# --- ListRuleNamesByTarget -------------------------------------------------------------------


def test_names_by_target(events: BaseClient, bus: str, queue: QueueOf) -> None:
    """Only rules with that very target, on that bus, in the order of names."""
    for name in "cab":
        events.put_rule(Name=name, EventBusName=bus, EventPattern=PATTERN)
    for name in "ca":
        events.put_targets(Rule=name, EventBusName=bus, Targets=[{"Id": "q", "Arn": queue.arn}])
    found = events.list_rule_names_by_target(TargetArn=queue.arn, EventBusName=bus)

    assert ["a", "c"] == found["RuleNames"]
    assert "NextToken" not in found
    assert [] == events.list_rule_names_by_target(TargetArn=queue.arn)["RuleNames"]
    assert [] == events.list_rule_names_by_target(TargetArn="t", EventBusName=bus)["RuleNames"]


def test_managed_rules_are_among_them(events: BaseClient, endpoint: GlobalEndpoint) -> None:
    """The rule that replicates has the other Region's bus as its target."""
    found = events.list_rule_names_by_target(
        TargetArn=endpoint.event_bus_arns[1], EventBusName=endpoint.name
    )

    assert found["RuleNames"][0].startswith("GlobalEndpointManagedRule-")


def test_the_pages_of_names(events: BaseClient, bus: str, queue: QueueOf, refusal: Refusal) -> None:
    """boto3's paginator sees each name once; a token is bound to the target."""
    names = [f"r{number}" for number in range(5)]
    for each in names:
        events.put_rule(Name=each, EventBusName=bus, EventPattern=PATTERN)
        events.put_targets(Rule=each, EventBusName=bus, Targets=[{"Id": "q", "Arn": queue.arn}])
    pages = list(
        events.get_paginator("list_rule_names_by_target").paginate(
            TargetArn=queue.arn, EventBusName=bus, PaginationConfig={"PageSize": 2}
        )
    )

    assert [names[:2], names[2:4], names[4:]] == [page["RuleNames"] for page in pages]
    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(
        events.list_rule_names_by_target,
        TargetArn="another",
        EventBusName=bus,
        NextToken=pages[0]["NextToken"],
    )
