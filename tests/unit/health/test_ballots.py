"""The votes that a node has, by its own monotonic time."""

from __future__ import annotations

import msgspec
import pytest

from farspan.health.ballots import Ballots
from farspan.model.health_check import HealthCheck, HealthCheckType, Status, Vote

CHECK = HealthCheck(
    id="c-1",
    account="1" * 12,
    caller_reference="r",
    type=HealthCheckType.TCP,
    request_interval=10,
)
OTHER = msgspec.structs.replace(CHECK, id="c-2")


def vote(sequence: int = 1, observer: str = "east", health_check_id: str = "c-1") -> Vote:
    """Return a vote."""
    return Vote(
        health_check_id=health_check_id,
        observer=observer,
        status=Status.HEALTHY,
        sequence=sequence,
        checked_time=0.0,
        report="Success: fine",
    )


@pytest.fixture
def ballots() -> Ballots:
    """Return ballots on two checks that are probed each second."""
    ballots = Ballots(time_scale=10.0)
    ballots.follow({"c-1": CHECK, "c-2": OTHER})
    return ballots


def test_the_time_scale_divides_the_interval(ballots: Ballots) -> None:
    """Ten seconds at a scale of ten are one."""
    assert ballots.interval(CHECK) == 1.0


def test_only_news_refreshes(ballots: Ballots) -> None:
    """A vote told again is as old as before; the next one is new."""
    ballots.hear("east", [vote(1)], 100.0)
    ballots.hear("east", [vote(1)], 102.0)

    assert ballots.fresh("c-1", 103.0) == {"east": vote(1)}
    assert ballots.fresh("c-1", 103.1) == {}

    ballots.hear("east", [vote(2)], 104.0)

    assert ballots.fresh("c-1", 106.0) == {"east": vote(2)}


def test_votes_come_in_order(ballots: Ballots) -> None:
    """By observer for a check, by check for an observer."""
    for observer in ("west", "east"):
        both = [vote(1, observer, "c-2"), vote(1, observer, "c-1")]
        ballots.hear(observer, both, 100.0)

    assert list(ballots.fresh("c-1", 100.0)) == ["east", "west"]
    assert [v.health_check_id for v in ballots.fresh_of("west", 100.0)] == ["c-1", "c-2"]
    assert ballots.fresh_of("nobody", 100.0) == ()


def test_a_check_that_goes_takes_its_votes_along(ballots: Ballots) -> None:
    """Nothing is kept on a check that is gone, nor heard before one is known."""
    ballots.hear("east", [vote(1)], 100.0)
    ballots.follow({})
    ballots.hear("east", [vote(2)], 100.0)
    ballots.follow({"c-1": CHECK})

    assert ballots.fresh("c-1", 100.0) == {}


def test_a_vote_can_be_withdrawn(ballots: Ballots) -> None:
    """It is as if it had never been cast; withdrawing nothing is no fault."""
    ballots.cast(vote(1), 100.0)
    ballots.withdraw("c-1", "east")
    ballots.withdraw("c-9", "east")

    assert ballots.fresh("c-1", 100.0) == {}
