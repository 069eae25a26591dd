"""Every list of EventBridge: its pages, and that a token is of one list and one filter alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment

EAST, WEST, OWN = "us-east-1", "us-west-2", "000000000000"
PARTNER = "111111111111"
SOURCE = "aws.partner/example.com/listed-"
QUEUE_ARN = f"arn:aws:sqs:{EAST}:{OWN}:{'q' * 1_500}"
INVALID = ("ValidationException", "Parameter NextToken is not valid. Reason: Token invalid.")

LISTS: dict[str, dict[str, Any]] = {
    "list_api_destinations": {},
    "list_archives": {},
    "list_connections": {},
    "list_endpoints": {},
    "list_event_buses": {},
    "list_event_sources": {},
    "list_partner_event_source_accounts": {"EventSourceName": f"{SOURCE}0"},
    "list_partner_event_sources": {"NamePrefix": SOURCE},
    "list_replays": {},
    "list_rule_names_by_target": {"TargetArn": QUEUE_ARN},
    "list_rules": {},
    "list_targets_by_rule": {"Rule": "listed-0"},
}
OTHER_FILTERS: dict[str, dict[str, Any]] = {
    "list_partner_event_source_accounts": {"EventSourceName": f"{SOURCE}1"},
    "list_rule_names_by_target": {"TargetArn": QUEUE_ARN[:-1]},
    "list_targets_by_rule": {"Rule": "listed-1"},
    "list_partner_event_sources": {"NamePrefix": SOURCE[:-1]},
}
every_list = pytest.mark.parametrize("name", LISTS)


@pytest.fixture(scope="module")
def events(
    deployed: Callable[..., Deployment],
    client_of: Callable[..., BaseClient],
    settings_of: Callable[..., dict[str, Any]],
) -> BaseClient:
    """EventBridge with two of each kind."""
    deployment = deployed(EAST, WEST)
    events, west = (
        client_of(deployment.url, "events", region, ("test", "test")) for region in (EAST, WEST)
    )
    for number in range(2):
        name = f"listed-{number}"
        bus_arn = f"arn:aws:events:{EAST}:{OWN}:event-bus/{name}"
        events.create_event_bus(Name=name)
        west.create_event_bus(Name=name)
        events.put_rule(Name=name, EventPattern='{"source":["s"]}')
        events.put_targets(Rule=name, Targets=[{"Id": i, "Arn": QUEUE_ARN} for i in "ab"])
        events.create_archive(ArchiveName=name, EventSourceArn=bus_arn)
        events.start_replay(
            ReplayName=name,
            EventSourceArn=f"arn:aws:events:{EAST}:{OWN}:archive/{name}",
            EventStartTime=1,
            EventEndTime=2,
            Destination={"Arn": bus_arn},
        )
        connection = events.create_connection(
            Name=name,
            AuthorizationType="API_KEY",
            AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": "v"}},
        )
        events.create_api_destination(
            Name=name,
            ConnectionArn=connection["ConnectionArn"],
            InvocationEndpoint="https://example.com/",
            HttpMethod="GET",
        )
        for account in (OWN, PARTNER):
            events.create_partner_event_source(Name=f"{SOURCE}{number}", Account=account)
        events.create_endpoint(**settings_of(name, "none"))
    return events


def first_page(events: BaseClient, name: str, **more: Any) -> dict[str, Any]:
    """Return one page of one resource."""
    limit = "MaxResults" if name == "list_endpoints" else "Limit"
    answer: dict[str, Any] = getattr(events, name)(**{**LISTS[name], limit: 1, **more})
    return answer


GOING_ON = {"State", "StateReason", "ReplayStartTime", "ReplayEndTime", "EventLastReplayedTime"}
"""What a replay shows of its progress."""


def shown(answer: dict[str, Any]) -> list[Any]:
    """Return the resources of a page, but for what goes on while they are listed."""
    (found,) = (value for value in answer.values() if isinstance(value, list))
    return [
        {member: value for member, value in one.items() if member not in GOING_ON}
        if isinstance(one, dict)
        else one
        for one in found
    ]


@every_list
def test_the_next_page_begins_where_the_last_one_ended(events: BaseClient, name: str) -> None:
    """Nothing twice, in order, and a token that fits into a request."""
    first = first_page(events, name)
    second = first_page(events, name, NextToken=first["NextToken"])
    both = shown(getattr(events, name)(**LISTS[name]))[:2]

    assert both == shown(first) + shown(second)
    assert len(first["NextToken"]) <= 2_048


@every_list
def test_a_token_of_one_list_is_none_of_anothers(
    events: BaseClient, refusal: Callable[..., tuple[str, str]], name: str
) -> None:
    """Whichever other list it is shown to, and to the same list with another filter."""
    token = first_page(events, name)["NextToken"]
    found = {
        other: refusal(getattr(events, other), **params, NextToken=token)
        for other, params in LISTS.items()
        if other != name
    }
    other_filter = OTHER_FILTERS.get(name, {"NamePrefix": "listed-"})
    found[name] = refusal(getattr(events, name), **other_filter, NextToken=token)

    assert dict.fromkeys(LISTS, INVALID) == found
