"""Partner event sources: offered by one account, taken by another, and the events between them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import QueueOf

EAST = "us-east-1"
OWN, PARTNER = "000000000000", "111111111111"
Refusal = Callable[..., tuple[str, str]]


@pytest.fixture
def partner(other: Callable[..., BaseClient]) -> BaseClient:
    """The partner's client: the second account."""
    return other("events")


@pytest.fixture
def source(partner: BaseClient, events: BaseClient, name: str) -> Any:
    """A source that the partner offers to the first account; taken down with its bus."""
    source_name = f"aws.partner/shop.example/{name}/orders"
    partner.create_partner_event_source(Name=source_name, Account=OWN)
    yield source_name
    rules = []
    if events.list_event_buses(NamePrefix=source_name)["EventBuses"]:
        rules = events.list_rules(EventBusName=source_name)["Rules"]
    for rule in rules:
        events.remove_targets(Rule=rule["Name"], EventBusName=source_name, Ids=["q"])
        events.delete_rule(Name=rule["Name"], EventBusName=source_name)
    events.delete_event_bus(Name=source_name)
    partner.delete_partner_event_source(Name=source_name, Account=OWN)


def state_of(events: BaseClient, source: str) -> str:
    """Return a source's state."""
    state: str = events.describe_event_source(Name=source)["State"]
    return state


def missing(source: str) -> tuple[str, str]:
    """Return the error for a source that is not there."""
    return ("ResourceNotFoundException", f"Event source {source} does not exist.")


def entry(source: str, number: int = 1) -> dict[str, str]:
    """Return an entry of PutPartnerEvents."""
    return {"Source": source, "DetailType": "order", "Detail": f'{{"n":{number}}}'}


def test_a_new_source_is_pending(partner: BaseClient, events: BaseClient, source: str) -> None:
    """It waits two weeks for its bus; the partner is named by the second part of the name."""
    found = events.describe_event_source(Name=source)
    del found["ResponseMetadata"]
    waits = found.pop("ExpirationTime") - found.pop("CreationTime")

    assert timedelta(days=14) == waits
    assert {
        "Arn": f"arn:aws:events:{EAST}::event-source/{source}",
        "CreatedBy": "shop.example",
        "Name": source,
        "State": "PENDING",
    } == found


def test_what_the_partner_sees(partner: BaseClient, source: str) -> None:
    """Name and ARN, and the accounts to which the source is offered."""
    arn = f"arn:aws:events:{EAST}::event-source/{source}"
    described = partner.describe_partner_event_source(Name=source)
    listed = partner.list_partner_event_sources(NamePrefix=source)["PartnerEventSources"]
    (account,) = partner.list_partner_event_source_accounts(EventSourceName=source)[
        "PartnerEventSourceAccounts"
    ]

    assert (arn, source) == (described["Arn"], described["Name"])
    assert [{"Arn": arn, "Name": source}] == listed
    assert (OWN, "PENDING") == (account["Account"], account["State"])
    assert "ExpirationTime" in account


def test_each_side_sees_its_own(
    partner: BaseClient, events: BaseClient, source: str, refusal: Refusal
) -> None:
    """A source is no event source of the partner's, nor a partner's source of the account's."""
    assert missing(source) == refusal(partner.describe_event_source, Name=source)
    assert missing(source) == refusal(events.describe_partner_event_source, Name=source)
    assert missing(source) == refusal(
        events.list_partner_event_source_accounts, EventSourceName=source
    )
    assert [] == partner.list_event_sources(NamePrefix=source)["EventSources"]
    assert [] == events.list_partner_event_sources(NamePrefix=source)["PartnerEventSources"]
    events.delete_partner_event_source(Name=source, Account=OWN)
    assert "PENDING" == state_of(events, source)


def test_a_source_is_offered_once(
    partner: BaseClient, events: BaseClient, source: str, refusal: Refusal
) -> None:
    """The name is taken for that account, for other partners as well."""
    taken = ("ResourceAlreadyExistsException", f"Event source {source} already exists.")

    assert taken == refusal(partner.create_partner_event_source, Name=source, Account=OWN)
    assert taken == refusal(events.create_partner_event_source, Name=source, Account=OWN)


def test_the_bus_makes_it_active(events: BaseClient, source: str, refusal: Refusal) -> None:
    """The bus has the source's name; deleting it lets the source wait again."""
    made = events.create_event_bus(Name=source, EventSourceName=source)
    found = events.describe_event_source(Name=source)

    assert f"arn:aws:events:{EAST}:{OWN}:event-bus/{source}" == made["EventBusArn"]
    assert "ACTIVE" == found["State"]
    assert "ExpirationTime" not in found
    assert (
        "ResourceAlreadyExistsException",
        f"Event bus {source} already exists.",
    ) == refusal(events.create_event_bus, Name=source, EventSourceName=source)
    events.delete_event_bus(Name=source)
    assert "PENDING" == state_of(events, source)


def test_buses_that_are_refused(events: BaseClient, source: str, refusal: Refusal) -> None:
    """A partner bus needs its source, under its own name."""
    none = "aws.partner/shop.example/none"

    assert missing(none) == refusal(events.create_event_bus, Name=none, EventSourceName=none)
    assert (
        "ValidationException",
        "Parameter Name is not valid. Reason: a partner event bus has the name of its event "
        "source.",
    ) == refusal(events.create_event_bus, Name="orders", EventSourceName=source)
    assert (
        "ValidationException",
        "EventBus name starting with 'aws.' is not valid.",
    ) == refusal(events.create_event_bus, Name=source)


def test_activating_and_deactivating(events: BaseClient, source: str, refusal: Refusal) -> None:
    """Each can be repeated; without its bus a source cannot become active."""
    assert "InvalidStateException" == refusal(events.activate_event_source, Name=source)[0]
    events.create_event_bus(Name=source, EventSourceName=source)
    for call, state in (
        (events.deactivate_event_source, "PENDING"),
        (events.deactivate_event_source, "PENDING"),
        (events.activate_event_source, "ACTIVE"),
        (events.activate_event_source, "ACTIVE"),
    ):
        assert {"ResponseMetadata"} == set(call(Name=source))
        assert state == state_of(events, source)


@pytest.mark.parametrize(
    "method", ["describe_event_source", "activate_event_source", "deactivate_event_source"]
)
def test_a_source_that_does_not_exist(events: BaseClient, refusal: Refusal, method: str) -> None:
    """The message names it."""
    none = "aws.partner/shop.example/none"

    assert missing(none) == refusal(getattr(events, method), Name=none)


def test_a_deleted_source(
    partner: BaseClient, events: BaseClient, source: str, refusal: Refusal
) -> None:
    """With a bus it is DELETED until the bus goes; deleting is idempotent."""
    events.create_event_bus(Name=source, EventSourceName=source)
    for _ in range(2):
        partner.delete_partner_event_source(Name=source, Account=OWN)

    assert "DELETED" == state_of(events, source)
    assert missing(source) == refusal(partner.describe_partner_event_source, Name=source)
    for method in (events.activate_event_source, events.deactivate_event_source):
        assert "InvalidStateException" == refusal(method, Name=source)[0]
    events.delete_event_bus(Name=source)
    assert missing(source) == refusal(events.describe_event_source, Name=source)


def test_a_deleted_source_without_a_bus(
    partner: BaseClient, events: BaseClient, source: str, refusal: Refusal
) -> None:
    """It is gone at once."""
    partner.delete_partner_event_source(Name=source, Account=OWN)

    assert missing(source) == refusal(events.describe_event_source, Name=source)


def test_pages_of_sources(
    partner: BaseClient, events: BaseClient, name: str, refusal: Refusal
) -> None:
    """Both lists are in the order of names; a token is bound to its prefix."""
    prefix = f"aws.partner/shop.example/{name}"
    names = [f"{prefix}/{letter}" for letter in "abc"]
    for each in reversed(names):
        partner.create_partner_event_source(Name=each, Account=OWN)
    own = events.list_event_sources(NamePrefix=prefix, Limit=2)
    offered = partner.list_partner_event_sources(NamePrefix=prefix, Limit=2)
    rest = events.list_event_sources(NamePrefix=prefix, NextToken=own["NextToken"])
    foreign = refusal(events.list_event_sources, NamePrefix=prefix[:-1], NextToken=own["NextToken"])
    for each in names:
        partner.delete_partner_event_source(Name=each, Account=OWN)

    assert names[:2] == [found["Name"] for found in own["EventSources"]]
    assert names[:2] == [found["Name"] for found in offered["PartnerEventSources"]]
    assert names[2:] == [found["Name"] for found in rest["EventSources"]]
    assert "Parameter NextToken is not valid. Reason: Token invalid." == foreign[1]


# --- events ----------------------------------------------------------------------------------


def test_events_reach_the_bus_while_active(
    partner: BaseClient, events: BaseClient, source: str, queue: QueueOf
) -> None:
    """With the account that has the bus; those put while PENDING are dropped."""
    partner.put_partner_events(Entries=[entry(source, 1)])
    events.create_event_bus(Name=source, EventSourceName=source)
    events.put_rule(Name="r", EventBusName=source, EventPattern=f'{{"account":["{OWN}"]}}')
    events.put_targets(Rule="r", EventBusName=source, Targets=[{"Id": "q", "Arn": queue.arn}])
    answer = partner.put_partner_events(Entries=[entry(source, 2)])
    (event,) = queue.receive_events(1)
    events.deactivate_event_source(Name=source)
    dropped = partner.put_partner_events(Entries=[entry(source, 3)])
    events.activate_event_source(Name=source)
    partner.put_partner_events(Entries=[entry(source, 4)])

    assert (
        f"arn:aws:events:{EAST}:{OWN}:rule/{source}/r"
        == events.describe_rule(Name="r", EventBusName=source)["Arn"]
    )
    assert answer["Entries"] == [{"EventId": event["id"]}]
    assert (OWN, source, {"n": 2}) == (event["account"], event["source"], event["detail"])
    assert 0 == dropped["FailedEntryCount"]
    assert [4] == [event["detail"]["n"] for event in queue.receive_events(1)]
    assert queue.is_empty()


def test_one_bad_entry_among_good_ones(partner: BaseClient, source: str) -> None:
    """Errors are per entry, in PutEvents' words, in the order of the entries."""
    answer = partner.put_partner_events(
        Entries=[
            entry(source),
            {**entry(source), "Detail": "[]"},
            entry("aws.partner/somebody/else"),
            {"Source": source},
        ]
    )
    good, *bad = answer["Entries"]

    assert 3 == answer["FailedEntryCount"]
    assert {"EventId"} == set(good)
    assert [
        ("MalformedDetail", "Detail is malformed."),
        ("NotAuthorizedForSourceException", "Not authorized for the source."),
        (
            "InvalidArgument",
            "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
        ),
    ] == [(error["ErrorCode"], error["ErrorMessage"]) for error in bad]


def test_whoever_offers_nothing_puts_nothing(events: BaseClient, source: str) -> None:
    """The account that has the source is not its partner."""
    (result,) = events.put_partner_events(Entries=[entry(source)])["Entries"]

    assert "NotAuthorizedForSourceException" == result["ErrorCode"]


def test_events_cannot_be_put_as_a_partner(events: BaseClient, source: str) -> None:
    """PutEvents refuses a partner's source, to whomever it belongs."""
    (result,) = events.put_events(Entries=[entry(source)])["Entries"]

    assert "NotAuthorizedForSourceException" == result["ErrorCode"]
