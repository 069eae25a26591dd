"""Schedules from PutRule to the stored deliveries, with time that the test moves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.control.conftest import OWN, FullStore

from farspan.control.plane import perform

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
EVERY_MINUTE = "cron(* * * * ? *)"
MINUTE = 1_700_000_040.0
"""A whole minute, just before the test begins."""


@pytest.fixture
async def region(api: Api) -> Api:
    """Return a Region with the queue `q`, seven seconds after a whole minute."""
    await perform(api.plane, OWN, "sqs", "CreateQueue", {"QueueName": "q"})
    api.clock.seconds = MINUTE + 7
    return api


async def put(api: Api, expression: str, name: str = "r", **more: Any) -> None:
    """Put a rule with a schedule, whose target is the queue."""
    await api("PutRule", Name=name, ScheduleExpression=expression, **more)
    target = {"Id": "q", "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:q"}
    await api("PutTargets", Rule=name, Targets=[target])


async def fired(api: Api, *times: float) -> list[str]:
    """Look at the times, in seconds from the whole minute; return the fired minutes."""
    for time in times:
        api.clock.seconds = MINUTE + time
        await api.schedules.look()
    payloads = [json.loads(d.payload) for d in await api.stored_deliveries()]
    return [payload["time"][11:16] for payload in payloads]


async def test_a_scheduled_event_goes_to_the_rules_targets(region: Api) -> None:
    """To each of them, and to no other rule's: not even to one that matches aws.events."""
    await put(region, EVERY_MINUTE)
    await put(region, "rate(1 day)", "other", EventPattern='{"source":["aws.events"]}')
    region.clock.seconds = MINUTE + 60
    await region.schedules.look()
    (delivery,) = await region.stored_deliveries()

    assert (f"arn:aws:events:us-east-1:{ACCOUNT}:rule/r", "q") == (
        delivery.rule_arn,
        delivery.target_id,
    )
    assert "Scheduled Event" == json.loads(delivery.payload)["detail-type"]


async def test_once_for_each_occurrence(region: Api) -> None:
    """Cron at whole minutes; a rate a period after it was put."""
    await put(region, EVERY_MINUTE)

    assert [] == await fired(region, 59.9)
    assert ["22:15", "22:16"] == await fired(region, 60.3, 61, 119, 121)
    await put(region, "rate(2 minutes)")
    assert [] == await fired(region, 240.9)
    assert ["22:18"] == await fired(region, 241, 242)


async def test_g11_a_restart_neither_doubles_nor_loses(region: Api) -> None:
    """What fired before does not fire again; what came while down, a moment late, does."""
    await put(region, EVERY_MINUTE)
    before = await fired(region, 60)
    again = await region.restarted()
    doubled = await fired(again, 61)
    late = await fired(await again.restarted(), 130)

    assert (["22:15"], [], ["22:16"]) == (before, doubled, late)


async def test_no_burst_after_a_night(region: Api) -> None:
    """After eight hours' downtime one occurrence fires, the last."""
    await put(region, EVERY_MINUTE)

    assert ["06:14"] == await fired(await region.restarted(), 8 * 3_600 + 10)


async def test_a_full_disk_only_delays(region: Api) -> None:
    """The occurrence is made once the store takes it, within the catch-up time."""
    await put(region, EVERY_MINUTE)
    assert isinstance(region.store, FullStore)
    region.store.is_full = True
    region.clock.seconds = MINUTE + 60
    await region.schedules.look()
    region.store.is_full = False

    assert ["22:15"] == await fired(region, 63, 64)


async def test_a_disabled_rule_does_not_fire(region: Api) -> None:
    """Nor does it make up for it when it is enabled: the schedule goes on from there."""
    await put(region, EVERY_MINUTE)
    await region("DisableRule", Name="r")
    while_disabled = await fired(region, 60, 61, 121)
    await region("EnableRule", Name="r")
    at_once = await fired(region, 122)

    assert ([], [], ["22:17"]) == (while_disabled, at_once, await fired(region, 180))


async def test_putting_a_disabled_rule_enabled(region: Api) -> None:
    """PutRule enables as EnableRule does: nothing is made up for."""
    await put(region, EVERY_MINUTE, State="DISABLED")
    await fired(region, 60, 61)
    await put(region, EVERY_MINUTE)

    assert [] == await fired(region, 62)


async def test_the_same_expression_keeps_its_cadence(region: Api) -> None:
    """Putting the rule again with the same schedule does not start it anew; another one does."""
    await put(region, "rate(5 minutes)")
    await fired(region, 200)
    await put(region, "rate(5 minutes)", Description="new")
    kept = await fired(region, 306, 307)
    await put(region, "rate(4 minutes)")

    assert (["22:19"], []) == (kept, await fired(region, 546))
    assert ["22:23"] == await fired(region, 547)


async def test_the_cadence_outlives_a_restart(region: Api) -> None:
    """A rate counts from when it was put, whichever process counts."""
    await put(region, "rate(5 minutes)")
    restarted = await region.restarted()

    assert [] == await fired(restarted, 306.9)
    assert ["22:19"] == await fired(restarted, 307)


@pytest.mark.parametrize("change", ["deleted", "without a schedule", "without a target"])
async def test_what_has_gone_does_not_fire(region: Api, change: str) -> None:
    """A rule that was deleted or lost its schedule or its targets makes nothing."""
    await put(region, EVERY_MINUTE)
    if change != "without a schedule":
        await region("RemoveTargets", Rule="r", Ids=["q"])
    if change == "deleted":
        await region("DeleteRule", Name="r")
    if change == "without a schedule":
        await region("PutRule", Name="r", EventPattern='{"source":["s"]}')

    assert [] == await fired(region, 60, 61)


async def test_a_rule_made_anew_starts_anew(region: Api) -> None:
    """What a deleted rule of that name had settled or missed is nothing to it."""
    await put(region, EVERY_MINUTE)
    await region("RemoveTargets", Rule="r", Ids=["q"])
    await region("DeleteRule", Name="r")
    region.clock.seconds = MINUTE + 61
    await put(region, EVERY_MINUTE)

    assert [] == await fired(region, 62)
    assert ["22:16"] == await fired(region, 120)


async def test_a_clock_that_goes_back_ten_minutes(region: Api) -> None:
    """Nothing fires twice, a restart in between included."""
    await put(region, EVERY_MINUTE)
    before = await fired(region, 60, 660)
    back = await fired(await region.restarted(), 61, 120, 600)

    assert (["22:15", "22:25"], []) == (before, back)
    assert ["22:26"] == await fired(region, 720)
