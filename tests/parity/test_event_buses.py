"""CreateEventBus, DescribeEventBus, ListEventBuses, DeleteEventBus."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from botocore.client import BaseClient

from farspan.clock import SystemClock

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
Refusal = Callable[..., tuple[str, str]]


def arn(name: str, region: str = EAST, account: str = ACCOUNT) -> str:
    """Return a bus's ARN."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def test_create_returns_the_arn_and_the_description(events: BaseClient, name: str) -> None:
    """CreateEventBus answers with the ARN, and echoes the description."""
    made = events.create_event_bus(Name=name, Description="orders of the shop")

    assert (arn(name), "orders of the shop") == (made["EventBusArn"], made["Description"])


def test_create_without_a_description_returns_none(events: BaseClient, name: str) -> None:
    """A description that was not given is absent, not null."""
    made = events.create_event_bus(Name=name)

    assert {"EventBusArn", "ResponseMetadata"} == set(made)


@pytest.mark.parametrize("by", ["name", "arn"])
def test_describe_takes_a_name_or_an_arn(events: BaseClient, bus: str, by: str) -> None:
    """DescribeEventBus finds the bus either way."""
    found = events.describe_event_bus(Name=bus if by == "name" else arn(bus))

    assert (bus, arn(bus)) == (found["Name"], found["Arn"])
    assert "Policy" not in found


def test_times_carry_milliseconds(events: BaseClient, bus: str) -> None:
    """CreationTime is now, to the millisecond, and equals LastModifiedTime on a new bus."""
    found = events.describe_event_bus(Name=bus)
    created = found["CreationTime"]

    assert created == found["LastModifiedTime"]
    assert created.microsecond % 1_000 == 0
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    assert timedelta(0) <= now - created < timedelta(minutes=1)


def test_describe_without_a_name_means_the_default_bus(events: BaseClient) -> None:
    """Every account has the bus default in every Region."""
    found = events.describe_event_bus()

    assert ("default", arn("default")) == (found["Name"], found["Arn"])


def test_a_duplicate_name_is_refused(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """A name can be taken once in an account and Region."""
    assert (
        "ResourceAlreadyExistsException",
        f"Event bus {bus} already exists.",
    ) == refusal(events.create_event_bus, Name=bus)


def test_default_cannot_be_created(events: BaseClient, refusal: Refusal) -> None:
    """The default bus exists already."""
    assert (
        "ResourceAlreadyExistsException",
        "Event bus default already exists.",
    ) == refusal(events.create_event_bus, Name="default")


PATTERN = r"[/\.\-_A-Za-z0-9]+"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (
            "aws.orders",
            "EventBus name starting with 'aws.' is not valid.",
        ),
        (
            "shop/orders",
            "Parameter Name is not valid. Reason: the name of a custom event bus has no '/'.",
        ),
        (
            "two words",
            "1 validation error detected: Value 'two words' at 'name' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {PATTERN}",
        ),
        (
            "n" * 257,
            f"1 validation error detected: Value '{'n' * 257}' at 'name' failed to satisfy "
            "constraint: Member must have length less than or equal to 256",
        ),
        (
            "ü" * 257,
            f"2 validation errors detected: Value '{'ü' * 257}' at 'name' failed to satisfy "
            "constraint: Member must have length less than or equal to 256; "
            f"Value '{'ü' * 257}' at 'name' failed to satisfy "
            f"constraint: Member must satisfy regular expression pattern: {PATTERN}",
        ),
    ],
    ids=["aws-prefix", "slash", "space", "too-long", "too-long-and-not-ascii"],
)
def test_a_bad_name_is_refused(
    events: BaseClient, refusal: Refusal, bad: str, message: str
) -> None:
    """Every constraint that the name breaks stands in one ValidationException."""
    assert ("ValidationException", message) == refusal(events.create_event_bus, Name=bad)


def test_an_empty_name_breaks_length_and_pattern(
    unchecked: Callable[..., BaseClient], refusal: Refusal
) -> None:
    """What boto3 would refuse itself, the server refuses too."""
    code, message = refusal(unchecked("events").create_event_bus, Name="")

    assert code == "ValidationException"
    assert message.startswith(
        "2 validation errors detected: Value '' at 'name' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1; "
    )


def test_a_missing_name_is_null(unchecked: Callable[..., BaseClient], refusal: Refusal) -> None:
    """A required member that is not sent is named."""
    assert (
        "ValidationException",
        "1 validation error detected: Value null at 'name' failed to satisfy constraint: "
        "Member must not be null",
    ) == refusal(unchecked("events").create_event_bus)


def test_describing_a_missing_bus(events: BaseClient, refusal: Refusal) -> None:
    """A bus that does not exist is not found, with HTTP 400 as for every client error."""
    assert (
        "ResourceNotFoundException",
        "Event bus nowhere does not exist.",
    ) == refusal(events.describe_event_bus, Name="nowhere")


def test_client_errors_are_typed_and_have_status_400(events: BaseClient) -> None:
    """EventBridge has no 404: boto3's typed exception comes with status 400 and a request id."""
    with pytest.raises(events.exceptions.ResourceNotFoundException) as caught:
        events.describe_event_bus(Name="nowhere")

    metadata = caught.value.response["ResponseMetadata"]
    assert metadata["HTTPStatusCode"] == 400
    assert len(metadata["RequestId"]) == 36


def test_an_arn_of_another_region_is_refused(
    events: BaseClient, bus: str, refusal: Refusal
) -> None:
    """The control plane of one Region does not act in another."""
    assert (
        "ValidationException",
        "Cross-region API call is not allowed.",
    ) == refusal(events.describe_event_bus, Name=arn(bus, WEST))


def test_delete_takes_no_arn(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """The model of DeleteEventBus knows names alone."""
    assert (
        "ValidationException",
        f"1 validation error detected: Value '{arn(bus)}' at 'name' failed to satisfy constraint: "
        f"Member must satisfy regular expression pattern: {PATTERN}",
    ) == refusal(events.delete_event_bus, Name=arn(bus))


def test_a_bus_is_of_one_region(
    client: Callable[..., BaseClient], name: str, refusal: Refusal
) -> None:
    """What one Region has, another has not."""
    client("events", WEST).create_event_bus(Name=name)

    assert arn(name, WEST) == client("events", WEST).describe_event_bus(Name=name)["Arn"]
    assert "ResourceNotFoundException" == refusal(client("events").describe_event_bus, Name=name)[0]


def test_delete_is_idempotent(events: BaseClient, name: str, refusal: Refusal) -> None:
    """Deleting a bus that is gone, or never was, succeeds."""
    events.create_event_bus(Name=name)
    events.delete_event_bus(Name=name)
    events.delete_event_bus(Name=name)

    assert "ResourceNotFoundException" == refusal(events.describe_event_bus, Name=name)[0]


def test_default_cannot_be_deleted(events: BaseClient, refusal: Refusal) -> None:
    """The default bus stays."""
    assert (
        "ValidationException",
        "Cannot delete event bus default.",
    ) == refusal(events.delete_event_bus, Name="default")


def test_a_bus_with_rules_cannot_be_deleted(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """Rules go first."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern='{"source":["a"]}')

    assert (
        "ValidationException",
        "EventBus can't be deleted since it has rules.",
    ) == refusal(events.delete_event_bus, Name=bus)


def test_a_bus_made_anew_has_no_rules(events: BaseClient, name: str) -> None:
    """A name that was deleted can be taken again, and starts empty."""
    events.create_event_bus(Name=name)
    events.put_rule(Name="r", EventBusName=name, EventPattern='{"source":["a"]}')
    events.delete_rule(Name="r", EventBusName=name)
    events.delete_event_bus(Name=name)
    events.create_event_bus(Name=name)

    assert [] == events.list_rules(EventBusName=name)["Rules"]


@pytest.fixture
def listed(events: BaseClient, name: str) -> list[str]:
    """Five buses that share a prefix."""
    names = [f"{name}-{letter}" for letter in "abcde"]
    for each in reversed(names):
        events.create_event_bus(Name=each)
    return names


def test_list_is_by_name_and_has_the_default(events: BaseClient, listed: list[str]) -> None:
    """ListEventBuses includes the default bus, in the order of names."""
    names = [found["Name"] for found in events.list_event_buses()["EventBuses"]]

    assert {"default", *listed} <= set(names)
    assert sorted(names) == names


def test_pages_join_to_the_whole(events: BaseClient, name: str, listed: list[str]) -> None:
    """Each page but the last has a NextToken, and nothing is shown twice."""
    seen, token = [], None
    sizes = []
    while True:
        more = {"NextToken": token} if token else {}
        page = events.list_event_buses(NamePrefix=name, Limit=2, **more)
        sizes.append(len(page["EventBuses"]))
        seen += [found["Name"] for found in page["EventBuses"]]
        token = page.get("NextToken")
        if token is None:
            break

    assert listed == seen
    assert [2, 2, 1] == sizes


TOKEN_INVALID = (
    "ValidationException",
    "Parameter NextToken is not valid. Reason: Token invalid.",
)


def test_a_token_is_bound_to_its_filter(
    events: BaseClient, name: str, listed: list[str], refusal: Refusal
) -> None:
    """A token of one NamePrefix is none of another's."""
    token = events.list_event_buses(NamePrefix=name, Limit=2)["NextToken"]

    assert TOKEN_INVALID == refusal(
        events.list_event_buses, NamePrefix=name[:-1], Limit=2, NextToken=token
    )


@pytest.mark.parametrize("token", ["nonsense", "e30=", "ü", "WyJhIl0="], ids=ascii)
def test_a_token_that_is_none_is_refused(events: BaseClient, refusal: Refusal, token: str) -> None:
    """A made-up token gets one sentence."""
    assert TOKEN_INVALID == refusal(events.list_event_buses, NextToken=token)


def test_limit_has_a_maximum(events: BaseClient, refusal: Refusal) -> None:
    """Limit is at most 100."""
    assert (
        "ValidationException",
        "1 validation error detected: Value '101' at 'limit' failed to satisfy constraint: "
        "Member must have value less than or equal to 100",
    ) == refusal(events.list_event_buses, Limit=101)


def test_the_quota_of_buses(crowded: Callable[..., BaseClient], refusal: Refusal) -> None:
    """An account has 100 buses of its own in a Region, and no more."""
    events = crowded("events")
    for number in range(100):
        events.create_event_bus(Name=f"bus-{number}")

    assert (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    ) == refusal(events.create_event_bus, Name="one-too-many")
    crowded("events", WEST).create_event_bus(Name="elsewhere")
