"""TagResource, UntagResource, ListTagsForResource, and Tags of CreateEventBus and PutRule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT, OTHER = "000000000000", "111111111111"
PATTERN = '{"source":["shop"]}'
Refusal = Callable[..., tuple[str, str]]


def bus_arn(name: str, region: str = EAST, account: str = ACCOUNT) -> str:
    """Return a bus's ARN."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def listed(tags: Mapping[str, str]) -> list[dict[str, str]]:
    """Return tags as the API has them."""
    return [{"Key": key, "Value": value} for key, value in tags.items()]


@pytest.fixture(params=["bus", "rule", "rule of the default bus"])
def arn(request: pytest.FixtureRequest, events: BaseClient, bus: str, name: str) -> Any:
    """The ARN of a resource that can have tags."""
    if request.param == "bus":
        yield bus_arn(bus)
    elif request.param == "rule":
        yield events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)["RuleArn"]
    else:
        yield events.put_rule(Name=name, EventPattern=PATTERN)["RuleArn"]
        events.delete_rule(Name=name)


def tags_of(events: BaseClient, arn: str) -> list[dict[str, str]]:
    """Return a resource's tags."""
    tags: list[dict[str, str]] = events.list_tags_for_resource(ResourceARN=arn)["Tags"]
    return tags


def test_a_new_resource_has_none(events: BaseClient, arn: str) -> None:
    """The list is there, and empty."""
    assert [] == tags_of(events, arn)


def test_tags_are_added_and_overwritten(events: BaseClient, arn: str) -> None:
    """A known key gets the new value; the others stay."""
    events.tag_resource(ResourceARN=arn, Tags=listed({"team": "shop", "stage": ""}))
    answer = events.tag_resource(ResourceARN=arn, Tags=listed({"stage": "test", "ä/b": "1"}))

    assert {"ResponseMetadata"} == set(answer)
    assert listed({"team": "shop", "stage": "test", "ä/b": "1"}) == tags_of(events, arn)


def test_tags_are_removed(events: BaseClient, arn: str) -> None:
    """Keys that are not there are removed already."""
    events.tag_resource(ResourceARN=arn, Tags=listed({"a": "1", "b": "2"}))
    events.untag_resource(ResourceARN=arn, TagKeys=["a", "never"])
    events.untag_resource(ResourceARN=arn, TagKeys=["a"])

    assert listed({"b": "2"}) == tags_of(events, arn)


def test_the_number_of_tags(events: BaseClient, arn: str, refusal: Refusal) -> None:
    """Fifty, those that are there counted; a refused call changes nothing."""
    fifty = listed({f"k{number}": "v" for number in range(50)})
    events.tag_resource(ResourceARN=arn, Tags=fifty)
    events.tag_resource(ResourceARN=arn, Tags=fifty[:1])

    assert (
        "ValidationException",
        "Parameter Tags is not valid. Reason: a resource has at most 50 tags.",
    ) == refusal(events.tag_resource, ResourceARN=arn, Tags=listed({"one": "more"}))
    assert fifty == tags_of(events, arn)


@pytest.mark.parametrize(
    ("tag", "message"),
    [
        (
            {"Key": "k" * 129, "Value": "v"},
            f"1 validation error detected: Value '{'k' * 129}' at 'tags.1.member.key' failed to "
            "satisfy constraint: Member must have length less than or equal to 128",
        ),
        (
            {"Key": "", "Value": "v"},
            "1 validation error detected: Value '' at 'tags.1.member.key' failed to "
            "satisfy constraint: Member must have length greater than or equal to 1",
        ),
        (
            {"Key": "k", "Value": "v" * 257},
            f"1 validation error detected: Value '{'v' * 257}' at 'tags.1.member.value' failed "
            "to satisfy constraint: Member must have length less than or equal to 256",
        ),
        (
            {"Key": "aws:k", "Value": "v"},
            "Parameter Tags is not valid. Reason: keys that begin with aws: are AWS's own.",
        ),
    ],
    ids=["long-key", "no-key", "long-value", "aws-key"],
)
def test_tags_that_are_refused(
    unchecked: Callable[..., BaseClient],
    bus: str,
    refusal: Refusal,
    tag: dict[str, str],
    message: str,
) -> None:
    """Keys have 1 to 128 characters, values up to 256."""
    assert ("ValidationException", message) == refusal(
        unchecked("events").tag_resource, ResourceARN=bus_arn(bus), Tags=[tag]
    )


def calls(events: BaseClient, arn: str) -> list[Callable[[], object]]:
    """Return the three calls about an ARN."""
    return [
        lambda: events.tag_resource(ResourceARN=arn, Tags=listed({"k": "v"})),
        lambda: events.untag_resource(ResourceARN=arn, TagKeys=["k"]),
        lambda: events.list_tags_for_resource(ResourceARN=arn),
    ]


@pytest.mark.parametrize(
    ("arn", "code", "message"),
    [
        (bus_arn("nowhere"), "ResourceNotFoundException", "Event bus nowhere does not exist."),
        (
            f"arn:aws:events:{EAST}:{ACCOUNT}:rule/nothing",
            "ResourceNotFoundException",
            "Rule nothing does not exist on EventBus default.",
        ),
        (
            f"arn:aws:events:{EAST}:{ACCOUNT}:rule/nowhere/nothing",
            "ResourceNotFoundException",
            "Event bus nowhere does not exist.",
        ),
        (
            bus_arn("default", WEST),
            "ValidationException",
            "Cross-region API call is not allowed.",
        ),
        (
            f"arn:aws:events:{EAST}:{ACCOUNT}:archive/a",
            "ValidationException",
            "Parameter ResourceARN is not valid. Reason: only rules and event buses have tags.",
        ),
        (
            "orders",
            "ValidationException",
            "Parameter orders is not valid. Reason: Provided Arn is not in correct format.",
        ),
        (
            "arn:aws:sqs:us-east-1:000000000000:q",
            "ValidationException",
            "Parameter arn:aws:sqs:us-east-1:000000000000:q is not valid. "
            "Reason: Provided Arn is not in correct format.",
        ),
    ],
    ids=["bus", "rule", "rule-of-no-bus", "region", "archive", "name", "queue"],
)
def test_what_has_no_tags(
    events: BaseClient, refusal: Refusal, arn: str, code: str, message: str
) -> None:
    """Each operation says the same of an ARN that it cannot use."""
    for call in calls(events, arn):
        assert (code, message) == refusal(call)


def test_another_accounts_tags(events: BaseClient, refusal: Refusal) -> None:
    """Tags of another account's resources are not shown, nor changed."""
    for call in calls(events, bus_arn("default", account=OTHER)):
        assert "AccessDeniedException" == refusal(call)[0]


def test_managed_rules_are_not_tagged(
    events: BaseClient, endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """Tags of a managed rule can be listed, not changed."""
    (rule,) = events.list_rules(
        EventBusName=endpoint.name, NamePrefix="GlobalEndpointManagedRule-"
    )["Rules"]
    tag, untag, listing = calls(events, rule["Arn"])
    refused = (
        "ManagedRuleException",
        f"Tag related operations on the managed rule {rule['Name']} is not allowed.",
    )

    assert [refused, refused] == [refusal(tag), refusal(untag)]
    assert [] == listing()["Tags"]  # type: ignore[index]


def test_tags_of_a_new_bus(events: BaseClient, name: str, refusal: Refusal) -> None:
    """CreateEventBus takes them, and a bus made anew starts without the old ones."""
    events.create_event_bus(Name=name, Tags=listed({"a": "1", "b": "2"}))
    assert listed({"a": "1", "b": "2"}) == tags_of(events, bus_arn(name))
    events.delete_event_bus(Name=name)
    assert (
        "ResourceNotFoundException"
        == refusal(events.list_tags_for_resource, ResourceARN=bus_arn(name))[0]
    )
    events.create_event_bus(Name=name)

    assert [] == tags_of(events, bus_arn(name))


def test_tags_of_a_new_rule(events: BaseClient, bus: str) -> None:
    """PutRule takes them for a new rule alone: those of an update are ignored."""
    rule = {"Name": "r", "EventBusName": bus, "EventPattern": PATTERN}
    arn = events.put_rule(**rule, Tags=listed({"a": "1"}))["RuleArn"]
    events.put_rule(**rule, Tags=listed({"a": "2", "b": "2"}))
    assert listed({"a": "1"}) == tags_of(events, arn)
    events.delete_rule(Name="r", EventBusName=bus)
    events.put_rule(**rule)

    assert [] == tags_of(events, arn)


def test_too_many_tags_for_a_new_bus(events: BaseClient, name: str, refusal: Refusal) -> None:
    """Nothing is created."""
    tags = listed({f"k{number}": "v" for number in range(51)})

    assert "ValidationException" == refusal(events.create_event_bus, Name=name, Tags=tags)[0]
    assert [] == events.list_event_buses(NamePrefix=name)["EventBuses"]


def test_the_default_bus_can_be_tagged(client: Callable[..., BaseClient]) -> None:
    """It stays one bus, with its name and times."""
    events = client("events", WEST)
    before = events.describe_event_bus()
    events.tag_resource(ResourceARN=bus_arn("default", WEST), Tags=listed({"k": "v"}))
    after = events.describe_event_bus()

    assert listed({"k": "v"}) == tags_of(events, bus_arn("default", WEST))
    assert (before["CreationTime"], before["Arn"]) == (after["CreationTime"], after["Arn"])
    names = [found["Name"] for found in events.list_event_buses()["EventBuses"]]
    assert 1 == names.count("default")
