"""The life of a replay, step by step: what `advance_replays` makes of it."""

from __future__ import annotations

import itertools
import json
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.unit.control.conftest import OWN

from farspan.config import QuotaConfig
from farspan.control.plane import perform
from farspan.control.replays import HISTORY_SECONDS, advance_replays, turns_between
from farspan.model.archive import (
    ACTIVE_REPLAY_STATES,
    NEXT_REPLAY_STATE,
    Archive,
    Replay,
    ReplayState,
    Window,
    advance_replay,
)
from farspan.model.delivery import DELIVERED, Delivery
from farspan.model.event import CallId, event_id_of, format_time
from farspan.store.base import StoreError

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
WINDOW_START = 1_699_000_000
LIMIT = "The requested resource exceeds the maximum number allowed."
BUS_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"


@pytest.fixture
async def archived(api: Api) -> Api:
    """Return a control plane with the archive `a` of the default bus."""
    await api("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
    return api


async def start(api: Api, name: str = "r", **changes: Any) -> dict[str, Any]:
    """Start a replay of the archive."""
    return await api("StartReplay", **{**wanted(name), **changes})


def window(first: int, end: int) -> dict[str, Any]:
    """Return the members of a window, as seconds from the usual one's start."""
    return {"EventStartTime": WINDOW_START + first, "EventEndTime": WINDOW_START + end}


def wanted(name: str) -> dict[str, Any]:
    """Return what StartReplay needs."""
    return {
        "ReplayName": name,
        "EventSourceArn": f"arn:aws:events:us-east-1:{ACCOUNT}:archive/a",
        "EventStartTime": WINDOW_START + 0.25,
        "EventEndTime": WINDOW_START + 60.75,
        "Destination": {"Arn": BUS_ARN},
    }


async def state_of(api: Api, name: str = "r") -> tuple[str, str | None]:
    """Return a replay's state and the reason."""
    found = await api("DescribeReplay", ReplayName=name)
    return found["State"], found.get("StateReason")


async def look(api: Api, times: int = 1, turns: int = 100) -> None:
    """Look at the replays as a node does."""
    for _ in range(times):
        await advance_replays(api.plane, turns)


async def archive(api: Api, *numbers: int) -> None:
    """Archive events with these numbers, whose time is as many seconds from the window's start."""
    found = api.plane.resources.table(Archive)[f"{ACCOUNT}/a"]
    deliveries = [
        Delivery(
            delivery_id=str(number),
            event_id=event_id_of(CallId(number.to_bytes(14, "big")), 0),
            rule_arn="r",
            target_id="t",
            target_arn=found.feed_arn,
            payload=envelope(number),
            planned_at=0.0,
        )
        for number in numbers
    ]
    assert {DELIVERED} == set(await api.archives.send(deliveries))


def envelope(number: int) -> bytes:
    """Return an event."""
    time = format_time(WINDOW_START + number).decode()
    return json.dumps(
        {
            "version": "0",
            "id": event_id_of(CallId(number.to_bytes(14, "big")), 0),
            "detail-type": "t",
            "source": "s",
            "account": ACCOUNT,
            "time": time,
            "region": "us-east-1",
            "resources": ["a:b"],
            "detail": {"n": number},
        },
        separators=(",", ":"),
    ).encode()


async def sent(api: Api) -> list[int]:
    """Return the numbers of the events that are on their way, in order."""
    return [json.loads(d.payload)["detail"]["n"] for d in await api.stored_deliveries()]


@pytest.fixture
async def listening(archived: Api) -> AsyncIterator[Api]:
    """Return the control plane with rules `all` and `two` on the bus, one queue each."""
    patterns = {"all": '{"source":["s"]}', "two": '{"detail":{"n":[2]}}'}
    for name, pattern in patterns.items():
        await perform(archived.plane, OWN, "sqs", "CreateQueue", {"QueueName": name})
        await archived("PutRule", Name=name, EventPattern=pattern)
        target = {"Id": name, "Arn": f"arn:aws:sqs:us-east-1:{ACCOUNT}:{name}"}
        await archived("PutTargets", Rule=name, Targets=[target])
    yield archived
    await archived.delivery.close()


async def test_a_replay_runs(listening: Api) -> None:
    """STARTING, RUNNING, COMPLETED: the window's events in order of time go to who matches them."""
    await archive(listening, 5, 1, 3, 9, 10)
    await start(listening, **window(1, 10))
    states = [await state_of(listening)]
    for _ in range(3):
        await look(listening)
        states.append(await state_of(listening))

    assert ["STARTING", "RUNNING", "RUNNING", "COMPLETED"] == [state for state, _ in states]
    assert [1, 3, 5, 9] == await sent(listening)


async def test_its_times_are_whole_seconds(listening: Api) -> None:
    """When it started and ended, its window, and the time of the last event that was sent."""
    await archive(listening, 3)
    made = await start(listening)
    await look(listening, 3)
    found = await listening("DescribeReplay", ReplayName="r")

    assert 1_700_000_000 == made["ReplayStartTime"] == found["ReplayEndTime"]
    assert (WINDOW_START, WINDOW_START + 60) == (found["EventStartTime"], found["EventEndTime"])
    assert WINDOW_START + 3 == found["EventLastReplayedTime"]


async def test_a_replayed_event(listening: Api) -> None:
    """Another id, and the replay's name between Region and resources; the rest byte for byte."""
    await archive(listening, 1)
    await start(listening)
    await look(listening, 2)
    (delivery,) = await listening.stored_deliveries()
    event = json.loads(delivery.payload)
    original = json.loads(envelope(1))

    assert event.pop("id") != original.pop("id")
    assert {**original, "replay-name": "r"} == event
    assert b',"region":"us-east-1","replay-name":"r","resources":["a:b"],' in delivery.payload


async def test_two_replays_make_two_events(listening: Api) -> None:
    """Each replay has its own ids."""
    await archive(listening, 1)
    for name in ("r", "s"):
        await start(listening, name)
    await look(listening, 2)

    assert 2 == len({delivery.event_id for delivery in await listening.stored_deliveries()})


@pytest.mark.parametrize(
    ("filters", "expected"),
    [(None, ["all", "all", "two"]), ([], ["all", "all", "two"]), (["two"], ["two"])],
    ids=["none", "empty", "one"],
)
async def test_only_the_named_rules_get_them(
    listening: Api, filters: list[str] | None, expected: list[str]
) -> None:
    """FilterArns says which rules; without it, every rule of the bus that matches."""
    await archive(listening, 1, 2)
    destination: dict[str, Any] = {"Arn": BUS_ARN}
    if filters is not None:
        rules = [f"arn:aws:events:us-east-1:{ACCOUNT}:rule/{name}" for name in filters]
        destination["FilterArns"] = rules
    await start(listening, Destination=destination)
    await look(listening, 2)

    assert expected == sorted(d.target_id for d in await listening.stored_deliveries())


async def test_nothing_replayed_is_archived_again(listening: Api) -> None:
    """The archive's own rule, which matches everything else, matches no replayed event."""
    await archive(listening, 1)
    await start(listening)
    await look(listening, 3)
    deliveries = await listening.stored_deliveries()

    assert ["all"] == [delivery.target_id for delivery in deliveries]
    assert 1 == (await listening("DescribeArchive", ArchiveName="a"))["EventCount"]


async def test_g11_a_restart_neither_doubles_nor_loses(listening: Api) -> None:
    """The replay goes on behind the last event that was sent; 2 goes to two rules."""
    await archive(listening, *range(1, 8))
    await start(listening)
    await look(listening)
    await look(listening, turns=3)
    before = await sent(listening)
    again = await listening.restarted()
    await look(again, 2)
    after = await sent(again)
    state = await state_of(again)
    await again.delivery.close()

    assert ([1, 2, 2, 3], [4, 5, 6, 7]) == (before, after)
    assert ("COMPLETED", None) == state


async def test_a_replay_can_be_cancelled_while_it_runs(listening: Api) -> None:
    """What was sent by then was sent; nothing more is."""
    await archive(listening, 1, 2, 3)
    await start(listening)
    await look(listening)
    await look(listening, turns=1)
    await listening("CancelReplay", ReplayName="r")
    await look(listening, 2)

    assert [1] == await sent(listening)
    assert ("CANCELLED", None) == await state_of(listening)


async def test_a_full_disk_only_delays(listening: Api) -> None:
    """Events and progress are one commit: after a failed one, both are made again."""
    await archive(listening, 1, 2)
    await start(listening)
    await look(listening)
    listening.store.is_full = True
    with pytest.raises(StoreError):
        await look(listening)
    listening.store.is_full = False
    await look(listening, 2)

    assert [1, 2, 2] == sorted(await sent(listening))
    assert ("COMPLETED", None) == await state_of(listening)


async def test_an_archive_that_goes_while_it_runs(listening: Api) -> None:
    """The replay ends as FAILED, and says why."""
    await archive(listening, 1, 2)
    await start(listening)
    await look(listening)
    await listening("DeleteArchive", ArchiveName="a")
    await look(listening)

    assert ("FAILED", "Archive resource not found.") == await state_of(listening)


async def test_without_a_turn_it_waits(listening: Api) -> None:
    """A replay that sent what it may in this moment is RUNNING still."""
    await archive(listening, 1)
    await start(listening)
    await look(listening, 3, turns=0)

    assert [] == await sent(listening)
    assert ("RUNNING", None) == await state_of(listening)


@pytest.mark.parametrize(
    ("times", "per_second", "turns"),
    [
        ((0.0, 0.1, 0.2), 100, [10, 10]),
        ((10.05, 10.15, 10.25, 11.05), 1, [0, 0, 1]),
        ((0.0, 3_600.0), 5, [5]),
    ],
    ids=["many", "few", "after-a-pause"],
)
def test_the_pace(times: tuple[float, ...], per_second: int, turns: list[int]) -> None:
    """So many events in a second, however often it is looked; a pause is not made up for."""
    assert turns == [turns_between(a, b, per_second) for a, b in itertools.pairwise(times)]


async def test_a_replay_whose_archive_is_gone(archived: Api) -> None:
    """One of the same name, made again, is not the archive that was to be replayed."""
    await start(archived)
    await archived("DeleteArchive", ArchiveName="a")
    await archived("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
    await look(archived)

    assert ("FAILED", "Archive resource not found.") == await state_of(archived)


async def test_cancelling(archived: Api) -> None:
    """CANCELLING, then CANCELLED; once is enough."""
    await start(archived)
    answer = await archived("CancelReplay", ReplayName="r")
    refused = await archived.refusal("CancelReplay", ReplayName="r")
    await look(archived)

    assert {
        "ReplayArn": f"arn:aws:events:us-east-1:{ACCOUNT}:replay/r",
        "State": "CANCELLING",
    } == answer
    assert (
        "IllegalStatusException",
        "Replay r is not in a valid state for this operation.",
    ) == refused
    assert ("CANCELLED", None) == await state_of(archived)


async def test_the_quota_counts_what_is_active(archived: Api) -> None:
    """Ten at once, those being cancelled among them; one that has ended makes room."""
    for number in range(QuotaConfig().replays):
        await start(archived, f"r{number}")
    await archived("CancelReplay", ReplayName="r0")

    assert ("LimitExceededException", LIMIT) == await archived.refusal(
        "StartReplay", **wanted("one-too-many")
    )
    await look(archived)
    assert "STARTING" == (await start(archived, "next"))["State"]


async def test_a_duplicate_comes_before_the_quota(archived: Api) -> None:
    """A name that is taken is told as such, however many replays there are."""
    for number in range(QuotaConfig().replays):
        await start(archived, f"r{number}")

    assert (
        "ResourceAlreadyExistsException"
        == (await archived.refusal("StartReplay", **wanted("r0")))[0]
    )


async def test_history_is_kept_for_90_days(archived: Api) -> None:
    """A replay that ended is shown until then, and its name is free afterwards."""
    await start(archived)
    await look(archived, 2)
    archived.clock.seconds += HISTORY_SECONDS - 1
    await look(archived)
    before = await state_of(archived)
    archived.clock.seconds += 1
    await look(archived)

    assert "COMPLETED" == before[0]
    assert [] == (await archived("ListReplays"))["Replays"]
    assert await start(archived)


def test_every_state_has_a_next_one() -> None:
    """The table is total; what has ended stays; only what ran through its window COMPLETED."""
    assert set(itertools.product(ReplayState, Window)) == set(NEXT_REPLAY_STATE)
    for (state, found), then in NEXT_REPLAY_STATE.items():
        assert state in ACTIVE_REPLAY_STATES or then is state
        if then is ReplayState.COMPLETED is not state:
            assert (ReplayState.RUNNING, Window.DONE) == (state, found)


@pytest.mark.parametrize("state", sorted(set(ReplayState) - ACTIVE_REPLAY_STATES))
def test_what_has_ended_stays(state: ReplayState) -> None:
    """No way leads out of a state in which a replay has ended."""
    replay = Replay(
        region="us-east-1",
        account=ACCOUNT,
        name="r",
        archive_name="a",
        archive_uuid="u",
        event_bus_name="default",
        event_start_time=1.0,
        event_end_time=2.0,
        state=state,
        replay_end_time=3.0,
    )

    for found in Window:
        assert replay is advance_replay(replay, found, 4.0)


async def test_a_slow_target_slows_a_replay_down(listening: Api) -> None:
    """While deliveries wait for room at a target of its rules, a replay sends nothing."""
    await archive(listening, 1, 2, 3)
    await start(listening)
    await look(listening, 2, turns=1)
    (first,) = [d for d in await listening.stored_deliveries() if d.target_id == "all"]
    lane = listening.delivery._lane(first)
    lane.park((b"waits", 0))
    await look(listening, 5)
    held_up = await sent(listening)
    lane.unpark()
    await look(listening, 5)

    assert ([], [2, 2, 3]) == (held_up, await sent(listening))
    assert ("COMPLETED", None) == await state_of(listening)


async def test_a_slow_target_of_another_rule_does_not(listening: Api) -> None:
    """A replay for certain rules waits for their targets alone."""
    await archive(listening, 1, 2)
    rule = f"arn:aws:events:us-east-1:{ACCOUNT}:rule/two"
    await start(listening, Destination={"Arn": BUS_ARN, "FilterArns": [rule]})
    await start(listening, "other")
    await look(listening, 2, turns=1)
    (first,) = [d for d in await listening.stored_deliveries() if d.target_id == "all"]
    listening.delivery._lane(first).park((b"waits", 0))
    await look(listening, 5)

    assert "COMPLETED" == (await state_of(listening))[0]
    assert "RUNNING" == (await state_of(listening, "other"))[0]
