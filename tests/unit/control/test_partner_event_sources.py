"""A partner event source that waits for its bus, in virtual time: two weeks, then it is gone."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.config import QuotaConfig

SOURCE = "aws.partner/shop.example/orders"
ACCOUNT = "000000000000"
TWO_WEEKS = 14 * 86_400
GONE = ("ResourceNotFoundException", f"Event source {SOURCE} does not exist.")
Api = Any


async def offered(api: Api) -> None:
    """Offer the source to the account."""
    await api("CreatePartnerEventSource", Name=SOURCE, Account=ACCOUNT)


async def test_it_waits_for_two_weeks(api: Api) -> None:
    """A moment before the end it is PENDING and can still be taken."""
    await offered(api)
    api.clock.seconds += TWO_WEEKS - 0.001
    pending = (await api("DescribeEventSource", Name=SOURCE))["State"]
    await api("CreateEventBus", Name=SOURCE, EventSourceName=SOURCE)
    api.clock.seconds += 10 * TWO_WEEKS
    active = await api("DescribeEventSource", Name=SOURCE)

    assert ("PENDING", "ACTIVE") == (pending, active["State"])
    assert "ExpirationTime" not in active


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("DescribeEventSource", {"Name": SOURCE}),
        ("DescribePartnerEventSource", {"Name": SOURCE}),
        ("ListPartnerEventSourceAccounts", {"EventSourceName": SOURCE}),
        ("ActivateEventSource", {"Name": SOURCE}),
        ("DeactivateEventSource", {"Name": SOURCE}),
        ("CreateEventBus", {"Name": SOURCE, "EventSourceName": SOURCE}),
    ],
)
async def test_after_two_weeks_nobody_finds_it(api: Api, name: str, params: dict[str, str]) -> None:
    """The partner and the account are told the same."""
    await offered(api)
    api.clock.seconds += TWO_WEEKS

    assert GONE == await api.refusal(name, **params)


async def test_after_two_weeks_no_list_has_it(api: Api) -> None:
    """It is in neither side's list, and deleting it succeeds like deleting anything gone."""
    await offered(api)
    api.clock.seconds += TWO_WEEKS

    assert {"EventSources": []} == await api("ListEventSources")
    assert {"PartnerEventSources": []} == await api("ListPartnerEventSources", NamePrefix=SOURCE)
    assert {} == await api("DeletePartnerEventSource", Name=SOURCE, Account=ACCOUNT)


async def test_it_can_be_offered_again(api: Api) -> None:
    """Two more weeks from then."""
    await offered(api)
    api.clock.seconds += TWO_WEEKS
    await offered(api)
    found = await api("DescribeEventSource", Name=SOURCE)

    assert found["ExpirationTime"] - found["CreationTime"] == TWO_WEEKS
    assert found["CreationTime"] == int(api.clock.seconds)


async def test_it_counts_no_more(api: Api) -> None:
    """What has expired leaves room under the quota."""
    api.plane.quotas = QuotaConfig(partner_event_sources=1)
    await offered(api)
    other = {"Name": f"{SOURCE}/2", "Account": ACCOUNT}
    code, _ = await api.refusal("CreatePartnerEventSource", **other)
    api.clock.seconds += TWO_WEEKS
    made = await api("CreatePartnerEventSource", **other)

    assert "LimitExceededException" == code
    assert made["EventSourceArn"].endswith("/2")


async def test_a_deactivated_source_waits_again(api: Api) -> None:
    """Two weeks from its deactivation, whatever its age; its bus stays."""
    await offered(api)
    await api("CreateEventBus", Name=SOURCE, EventSourceName=SOURCE)
    api.clock.seconds += 10 * TWO_WEEKS
    await api("DeactivateEventSource", Name=SOURCE)
    api.clock.seconds += TWO_WEEKS - 1
    state = (await api("DescribeEventSource", Name=SOURCE))["State"]
    api.clock.seconds += 1
    refused = await api.refusal("ActivateEventSource", Name=SOURCE)
    bus = await api("DescribeEventBus", Name=SOURCE)

    assert ("PENDING", GONE, SOURCE) == (state, refused, bus["Name"])


async def test_a_reactivated_source_waits_no_more(api: Api) -> None:
    """Activating it in time ends the wait."""
    await offered(api)
    await api("CreateEventBus", Name=SOURCE, EventSourceName=SOURCE)
    await api("DeactivateEventSource", Name=SOURCE)
    api.clock.seconds += TWO_WEEKS - 1
    await api("ActivateEventSource", Name=SOURCE)
    api.clock.seconds += TWO_WEEKS

    assert "ACTIVE" == (await api("DescribeEventSource", Name=SOURCE))["State"]
