"""CreateApiDestination, DescribeApiDestination, ListApiDestinations, Update-, Delete-."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
URL = "https://hooks.example.com/orders/*/lines/*?mode=full"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
Refusal = Callable[..., tuple[str, str]]
Destination = Callable[..., dict[str, Any]]


def missing(name: str) -> tuple[str, str]:
    """Return the error for a destination that does not exist."""
    return (
        "ResourceNotFoundException",
        f"Failed to describe the api-destination(s). An api-destination '{name}' does not exist.",
    )


@pytest.fixture
def connection(events: BaseClient, name: str) -> str:
    """The ARN of a connection of the test's name."""
    made = events.create_connection(
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "v"}},
    )
    arn: str = made["ConnectionArn"]
    return arn


@pytest.fixture
def destination(events: BaseClient, name: str, connection: str) -> Destination:
    """Create API destinations."""

    def destination(called: str = name, **changes: Any) -> dict[str, Any]:
        answer = events.create_api_destination(
            **{
                "Name": called,
                "ConnectionArn": connection,
                "InvocationEndpoint": URL,
                "HttpMethod": "POST",
                **changes,
            }
        )
        del answer["ResponseMetadata"]
        return answer

    return destination


def test_create_answers_with_arn_and_state(destination: Destination, name: str) -> None:
    """It is ACTIVE as its connection is authorised; times are whole."""
    made = destination()

    assert re.fullmatch(
        rf"arn:aws:events:{EAST}:{ACCOUNT}:api-destination/{name}/{UUID}",
        made.pop("ApiDestinationArn"),
    )
    assert 0 == made["CreationTime"].microsecond
    assert made.pop("CreationTime") == made.pop("LastModifiedTime")
    assert {"ApiDestinationState": "ACTIVE"} == made


def test_describe_returns_what_was_created(
    events: BaseClient, destination: Destination, connection: str, name: str
) -> None:
    """The default rate is 300 a second; wildcards in the path stay."""
    made = destination(Description="a hook")
    found = events.describe_api_destination(Name=name)
    del found["ResponseMetadata"]

    assert {
        **made,
        "Name": name,
        "Description": "a hook",
        "ConnectionArn": connection,
        "InvocationEndpoint": URL,
        "HttpMethod": "POST",
        "InvocationRateLimitPerSecond": 300,
    } == found


def test_list_shows_no_description(events: BaseClient, destination: Destination, name: str) -> None:
    """ListApiDestinations has the rest of what DescribeApiDestination has."""
    destination(Description="a hook")
    found = events.describe_api_destination(Name=name)
    del found["ResponseMetadata"], found["Description"]

    assert [found] == events.list_api_destinations(NamePrefix=name)["ApiDestinations"]


def test_lists_are_in_order_of_name_and_in_pages(
    events: BaseClient, destination: Destination, name: str, connection: str, refusal: Refusal
) -> None:
    """A token brings the next page of the same filter, and of no other."""
    names = [f"{name}-{letter}" for letter in "cab"]
    for called in names:
        destination(called)
    wanted = {"ConnectionArn": connection, "Limit": 2}
    first = events.list_api_destinations(**wanted)
    second = events.list_api_destinations(**wanted, NextToken=first["NextToken"])

    assert sorted(names) == [
        found["Name"] for found in first["ApiDestinations"] + second["ApiDestinations"]
    ]
    assert "NextToken" not in second
    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_api_destinations, NextToken=first["NextToken"])


def test_update_changes_only_what_is_given(
    events: BaseClient, destination: Destination, name: str
) -> None:
    """Description and rate change, the rest stays."""
    made = destination(Description="old")
    changed = events.update_api_destination(
        Name=name, Description="new", InvocationRateLimitPerSecond=5
    )
    found = events.describe_api_destination(Name=name)

    assert made["ApiDestinationArn"] == changed["ApiDestinationArn"]
    assert ("new", 5, URL, "POST") == (
        found["Description"],
        found["InvocationRateLimitPerSecond"],
        found["InvocationEndpoint"],
        found["HttpMethod"],
    )


def test_update_changes_where_and_how(
    events: BaseClient, destination: Destination, name: str, connection: str
) -> None:
    """URL, method and connection can be changed."""
    destination()
    second = events.create_connection(
        Name=f"{name}-2",
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}},
    )["ConnectionArn"]
    events.update_api_destination(
        Name=name,
        ConnectionArn=second,
        InvocationEndpoint="https://hooks.example.com:8443/",
        HttpMethod="PATCH",
    )
    found = events.describe_api_destination(Name=name)

    assert (second, "https://hooks.example.com:8443/", "PATCH") == (
        found["ConnectionArn"],
        found["InvocationEndpoint"],
        found["HttpMethod"],
    )


def test_the_state_follows_the_connection(
    events: BaseClient, destination: Destination, name: str
) -> None:
    """ACTIVE while it is authorised, INACTIVE without credentials and without connection."""
    destination()

    def state() -> str:
        found: str = events.describe_api_destination(Name=name)["ApiDestinationState"]
        return found

    assert "ACTIVE" == state()
    events.deauthorize_connection(Name=name)
    assert "INACTIVE" == state()
    events.update_connection(
        Name=name,
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Username": "u", "Password": "p"}},
    )
    assert "ACTIVE" == state()
    events.delete_connection(Name=name)
    assert "INACTIVE" == state()


def test_delete_takes_it_away(
    events: BaseClient, destination: Destination, name: str, refusal: Refusal
) -> None:
    """What is deleted is not found, and the connection stays."""
    destination()
    events.delete_api_destination(Name=name)

    assert missing(name) == refusal(events.describe_api_destination, Name=name)
    assert "AUTHORIZED" == events.describe_connection(Name=name)["ConnectionState"]


@pytest.mark.parametrize(
    "operation", ["describe_api_destination", "delete_api_destination", "update_api_destination"]
)
def test_a_destination_that_does_not_exist(
    events: BaseClient, name: str, refusal: Refusal, operation: str
) -> None:
    """It is named in the error."""
    assert missing(name) == refusal(getattr(events, operation), Name=name)


def test_a_name_is_taken_once(destination: Destination, name: str, refusal: Refusal) -> None:
    """A second one of the name is refused."""
    destination()

    assert (
        "ResourceAlreadyExistsException",
        f"An api-destination '{name}' already exists.",
    ) == refusal(destination)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/",
        "ftp://hooks.example.com/",
        "https://",
        "https:///path",
        "https://*.example.com/",
        "https://hooks.example.com:*/",
        "https://hooks.example.com:0/",
        "hooks.example.com",
    ],
)
def test_an_endpoint_is_https_and_names_its_host(
    events: BaseClient, destination: Destination, name: str, refusal: Refusal, url: str
) -> None:
    """Anything but an https URL is refused, in Create and in Update."""
    expected = (
        "ValidationException",
        "Parameter InvocationEndpoint is not valid. Reason: Must be an https URL, with wildcards "
        "in its path only.",
    )
    destination()

    assert expected == refusal(destination, called=f"{name}-2", InvocationEndpoint=url)
    assert expected == refusal(events.update_api_destination, Name=name, InvocationEndpoint=url)


def test_a_connection_that_does_not_exist(
    events: BaseClient, destination: Destination, connection: str, name: str, refusal: Refusal
) -> None:
    """The ARN is that of one particular connection: a name alone does not do."""
    destination()
    wrong = f"{connection[:-4]}0000"
    expected = (
        "ResourceNotFoundException",
        f"Failed to describe the connection(s). Connection '{wrong}' does not exist.",
    )

    assert expected == refusal(destination, called=f"{name}-2", ConnectionArn=wrong)
    assert expected == refusal(events.update_api_destination, Name=name, ConnectionArn=wrong)


def test_a_connection_of_another_region(
    destination: Destination, connection: str, refusal: Refusal
) -> None:
    """Calls do not cross Regions."""
    assert (
        "ValidationException",
        "Cross-region API call is not allowed.",
    ) == refusal(destination, ConnectionArn=connection.replace(EAST, WEST))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"HttpMethod": "TRACE"},
            "1 validation error detected: Value 'TRACE' at 'httpMethod' failed to satisfy "
            "constraint: Member must satisfy enum value set: [POST, GET, HEAD, OPTIONS, PUT, "
            "PATCH, DELETE]",
        ),
        (
            {"InvocationRateLimitPerSecond": 0},
            "1 validation error detected: Value '0' at 'invocationRateLimitPerSecond' failed to "
            "satisfy constraint: Member must have value greater than or equal to 1",
        ),
    ],
    ids=["method", "rate"],
)
def test_the_models_constraints(
    unchecked: Callable[..., BaseClient],
    connection: str,
    name: str,
    refusal: Refusal,
    changes: dict[str, Any],
    message: str,
) -> None:
    """Methods are listed, rates begin at one."""
    wanted = {
        "Name": name,
        "ConnectionArn": connection,
        "InvocationEndpoint": URL,
        "HttpMethod": "POST",
        **changes,
    }

    assert ("ValidationException", message) == refusal(
        unchecked("events").create_api_destination, **wanted
    )


def test_an_account_sees_its_own(
    destination: Destination,
    connection: str,
    name: str,
    other: Callable[..., BaseClient],
    refusal: Refusal,
) -> None:
    """Another account neither lists nor finds it, nor can it use the connection."""
    destination()
    theirs = other("events")

    assert [] == theirs.list_api_destinations(NamePrefix=name)["ApiDestinations"]
    assert missing(name) == refusal(theirs.describe_api_destination, Name=name)
    assert (
        "ResourceNotFoundException"
        == refusal(
            theirs.create_api_destination,
            Name=name,
            ConnectionArn=connection,
            InvocationEndpoint=URL,
            HttpMethod="POST",
        )[0]
    )
