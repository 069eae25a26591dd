"""The life of a replay, step by step: what `advance_replays` makes of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from farspan.config import QuotaConfig
from farspan.control.replays import HISTORY_SECONDS, advance_replays
from farspan.model.archive import (
    ACTIVE_REPLAY_STATES,
    NEXT_REPLAY_STATE,
    Replay,
    ReplayState,
    advance_replay,
)

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
LIMIT = "The requested resource exceeds the maximum number allowed."
BUS_ARN = f"arn:aws:events:us-east-1:{ACCOUNT}:event-bus/default"


@pytest.fixture
async def archived(api: Api) -> Api:
    """Return a control plane with the archive `a` of the default bus."""
    await api("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
    return api


async def start(api: Api, name: str = "r") -> dict[str, Any]:
    """Start a replay of the archive."""
    return await api("StartReplay", **wanted(name))


def wanted(name: str) -> dict[str, Any]:
    """Return what StartReplay needs."""
    return {
        "ReplayName": name,
        "EventSourceArn": f"arn:aws:events:us-east-1:{ACCOUNT}:archive/a",
        "EventStartTime": 1_699_000_000.25,
        "EventEndTime": 1_699_000_000.75,
        "Destination": {"Arn": BUS_ARN},
    }


async def state_of(api: Api, name: str = "r") -> tuple[str, str | None]:
    """Return a replay's state and the reason."""
    found = await api("DescribeReplay", ReplayName=name)
    return found["State"], found.get("StateReason")


async def test_a_replay_fails_and_says_why(archived: Api) -> None:
    """STARTING until it is looked at, then FAILED; its times are whole seconds."""
    made = await start(archived)
    before = await state_of(archived)
    await advance_replays(archived.plane)
    found = await archived("DescribeReplay", ReplayName="r")

    assert 1_700_000_000 == made["ReplayStartTime"] == found["ReplayEndTime"]
    assert 1_699_000_000 == found["EventStartTime"] == found["EventEndTime"]
    assert ("STARTING", None) == before
    assert ("FAILED", "Farspan does not run replays yet.") == await state_of(archived)


async def test_a_replay_whose_archive_is_gone(archived: Api) -> None:
    """One of the same name, made again, is not the archive that was to be replayed."""
    await start(archived)
    await archived("DeleteArchive", ArchiveName="a")
    await archived("CreateArchive", ArchiveName="a", EventSourceArn=BUS_ARN)
    await advance_replays(archived.plane)

    assert ("FAILED", "Archive resource not found.") == await state_of(archived)


async def test_cancelling(archived: Api) -> None:
    """CANCELLING, then CANCELLED; once is enough."""
    await start(archived)
    answer = await archived("CancelReplay", ReplayName="r")
    refused = await archived.refusal("CancelReplay", ReplayName="r")
    await advance_replays(archived.plane)

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
    await advance_replays(archived.plane)
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
    await advance_replays(archived.plane)
    archived.clock.seconds += HISTORY_SECONDS - 1
    await advance_replays(archived.plane)
    before = await state_of(archived)
    archived.clock.seconds += 1
    await advance_replays(archived.plane)

    assert "FAILED" == before[0]
    assert [] == (await archived("ListReplays"))["Replays"]
    assert await start(archived)


def test_every_state_has_a_next_one() -> None:
    """The table is total, what is active ends, and nothing claims to have COMPLETED."""
    assert set(ReplayState) == set(NEXT_REPLAY_STATE)
    for state, then in NEXT_REPLAY_STATE.items():
        assert then not in ACTIVE_REPLAY_STATES
        assert (then is state) == (state not in ACTIVE_REPLAY_STATES)
        assert then is not ReplayState.COMPLETED or state is ReplayState.COMPLETED


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

    assert replay is advance_replay(replay, archive_exists=False, now=4.0)
