"""UpdateEventBus, and the settings of a bus: description, key, dead-letter queue, logging."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

EAST, ACCOUNT = "us-east-1", "000000000000"
QUEUE = f"arn:aws:sqs:{EAST}:{ACCOUNT}:dead"
SETTINGS: dict[str, Any] = {
    "Description": "orders",
    "KmsKeyIdentifier": "alias/key",
    "DeadLetterConfig": {"Arn": QUEUE},
    "LogConfig": {"IncludeDetail": "FULL", "Level": "TRACE"},
}
Refusal = Callable[..., tuple[str, str]]


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    """Return the settings in an answer."""
    return {member: value for member, value in answer.items() if member in SETTINGS}


def test_create_echoes_the_settings(events: BaseClient, name: str) -> None:
    """CreateEventBus answers with what it was given; DescribeEventBus has it, the list has not."""
    made = events.create_event_bus(Name=name, **SETTINGS)
    (listed,) = events.list_event_buses(NamePrefix=name)["EventBuses"]

    assert SETTINGS == shown(made)
    assert SETTINGS == shown(events.describe_event_bus(Name=name))
    assert {"Description": "orders"} == shown(listed)


def test_update_returns_name_and_arn(events: BaseClient, bus: str) -> None:
    """With the settings as they are now, those that are not set left out."""
    answer = events.update_event_bus(Name=bus, Description="d")
    del answer["ResponseMetadata"]

    assert {
        "Arn": f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/{bus}",
        "Name": bus,
        "Description": "d",
    } == answer


def test_update_changes_what_is_given(events: BaseClient, name: str) -> None:
    """What is not given stays; LastModifiedTime moves, CreationTime does not."""
    events.create_event_bus(Name=name, **SETTINGS)
    before = events.describe_event_bus(Name=name)
    answer = events.update_event_bus(Name=name, LogConfig={"Level": "OFF"})
    after = events.describe_event_bus(Name=name)

    assert {**SETTINGS, "LogConfig": {"Level": "OFF"}} == shown(answer) == shown(after)
    assert before["CreationTime"] == after["CreationTime"]
    assert before["LastModifiedTime"] < after["LastModifiedTime"]


@pytest.mark.parametrize(
    ("member", "value"),
    [("KmsKeyIdentifier", ""), ("DeadLetterConfig", {}), ("LogConfig", {})],
    ids=["key", "queue", "logging"],
)
def test_a_setting_is_taken_back(events: BaseClient, name: str, member: str, value: object) -> None:
    """An empty value unsets it: an empty key is AWS's own."""
    events.create_event_bus(Name=name, **SETTINGS)
    answer = events.update_event_bus(Name=name, **{member: value})

    assert {m: v for m, v in SETTINGS.items() if m != member} == shown(answer)


def test_the_default_bus_is_updated_without_a_name(crowded: Callable[..., BaseClient]) -> None:
    """A missing name means default, which stays one bus."""
    events = crowded("events", "us-west-2")
    answer = events.update_event_bus(Description="everything")

    assert ("default", "everything") == (answer["Name"], answer["Description"])
    assert "everything" == events.describe_event_bus()["Description"]
    (listed,) = events.list_event_buses(NamePrefix="default")["EventBuses"]
    assert "default" == listed["Name"]


def test_updating_a_missing_bus(events: BaseClient, refusal: Refusal) -> None:
    """A bus that does not exist is not found."""
    assert (
        "ResourceNotFoundException",
        "Event bus nowhere does not exist.",
    ) == refusal(events.update_event_bus, Name="nowhere", Description="d")


def test_update_takes_no_arn(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """The model of UpdateEventBus knows names alone."""
    arn = f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/{bus}"
    code, message = refusal(events.update_event_bus, Name=arn)

    assert "ValidationException" == code
    assert "at 'name' failed to satisfy constraint" in message


@pytest.mark.parametrize(
    "arn",
    ["dead", f"arn:aws:sns:{EAST}:{ACCOUNT}:dead", f"{QUEUE}.fifo"],
    ids=["name", "topic", "fifo"],
)
def test_a_dead_letter_queue_that_is_none(
    events: BaseClient, name: str, refusal: Refusal, arn: str
) -> None:
    """It has to be the ARN of a standard queue; nothing is created otherwise."""
    assert (
        "ValidationException",
        f"Parameter {arn} is not valid. Reason: Provided Arn is not in correct format.",
    ) == refusal(events.create_event_bus, Name=name, DeadLetterConfig={"Arn": arn})
    assert [] == events.list_event_buses(NamePrefix=name)["EventBuses"]


@pytest.mark.parametrize(
    ("settings", "constraint"),
    [
        ({"KmsKeyIdentifier": "a key"}, r"satisfy regular expression pattern: ^[a-zA-Z0-9_\-/:]*$"),
        ({"LogConfig": {"Level": "DEBUG"}}, "satisfy enum value set: ["),
        ({"Description": "d" * 513}, "have length less than or equal to 512"),
    ],
    ids=["key", "level", "description"],
)
def test_settings_beyond_the_model(
    events: BaseClient, bus: str, refusal: Refusal, settings: dict[str, Any], constraint: str
) -> None:
    """The model's constraints hold for updates too."""
    code, message = refusal(events.update_event_bus, Name=bus, **settings)

    assert "ValidationException" == code
    assert f"Member must {constraint}" in message
