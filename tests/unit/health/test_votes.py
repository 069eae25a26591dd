"""What observers say together."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.health.check import final_status
from farspan.health.votes import (
    VERDICT_OF,
    Verdict,
    fresh_seconds,
    is_fresh,
    judge,
    supersedes,
    tally,
)
from farspan.model.health_check import HealthCheck, HealthCheckType, Status, Vote

H, U = Status.HEALTHY, Status.UNHEALTHY

statuses = st.lists(st.sampled_from(Status), max_size=9)
CHECK = HealthCheck(id="c", account="1" * 12, caller_reference="r", type=HealthCheckType.TCP)
INVERTED = HealthCheck(
    id="c", account="1" * 12, caller_reference="r", type=HealthCheckType.TCP, inverted=True
)


def vote(sequence: int, checked_time: float) -> Vote:
    """Return a vote with what decides whether it is newer."""
    return Vote(
        health_check_id="c",
        observer="east",
        status=H,
        sequence=sequence,
        checked_time=checked_time,
        report="Success: fine",
    )


@pytest.mark.parametrize(
    ("votes", "observer_count", "verdict"),
    [
        ([], 0, Verdict.UNKNOWN),
        ([], 1, Verdict.UNKNOWN),
        ([H], 1, Verdict.HEALTHY),
        ([U], 1, Verdict.UNHEALTHY),
        ([H], 2, Verdict.UNKNOWN),
        ([H, H], 2, Verdict.HEALTHY),
        ([H, U], 2, Verdict.UNKNOWN),
        ([U, U], 2, Verdict.UNHEALTHY),
        ([U], 3, Verdict.UNKNOWN),
        ([U, U], 3, Verdict.UNHEALTHY),
        ([U, H, U], 3, Verdict.UNHEALTHY),
        ([H, H], 4, Verdict.UNKNOWN),
        ([H, H, U, U], 4, Verdict.UNKNOWN),
        ([H, H, H], 5, Verdict.HEALTHY),
    ],
)
def test_tally(votes: list[Status], observer_count: int, verdict: Verdict) -> None:
    """A status wins with more than half of the observers that there are, heard or not."""
    assert verdict is tally(votes, observer_count)


@given(statuses, st.integers(0, 9))
def test_no_verdict_without_a_strict_majority(votes: list[Status], silent: int) -> None:
    """Whatever is said, more than half of all observers stand behind a verdict, and only then."""
    observer_count = len(votes) + silent
    verdict = tally(votes, observer_count)
    majorities = {s for s in Status if votes.count(s) > observer_count / 2}

    assert {VERDICT_OF[s] for s in majorities} == {verdict} - {Verdict.UNKNOWN}


@given(statuses, st.integers(0, 9))
def test_inverted_is_an_involution(votes: list[Status], silent: int) -> None:
    """Inverting twice changes nothing, once everything but UNKNOWN."""
    observer_count = len(votes) + silent
    plain, inverted = judge(CHECK, votes, observer_count), judge(INVERTED, votes, observer_count)

    assert (plain is inverted) == (plain is Verdict.UNKNOWN)
    for status in Status:
        assert status is final_status(INVERTED, final_status(INVERTED, status))


def test_every_status_has_a_verdict() -> None:
    """The table is total."""
    assert set(Status) == set(VERDICT_OF)


def test_more_votes_than_observers_are_a_fault_of_the_program() -> None:
    """Who tallies names the observers, so it cannot have more votes than those."""
    with pytest.raises(AssertionError, match="more votes"):
        tally([H, H], 1)


def test_an_unknown_check_has_no_verdict() -> None:
    """Votes on a check that is not there decide nothing."""
    assert Verdict.UNKNOWN is judge(None, [U, U], 2)


@pytest.mark.parametrize(
    ("inverted", "verdict"), [(False, Verdict.HEALTHY), (True, Verdict.UNHEALTHY)]
)
def test_a_disabled_check_needs_no_votes(inverted: bool, verdict: Verdict) -> None:
    """Disabled counts as healthy before inversion, whatever the observers say."""
    check = HealthCheck(
        id="c",
        account="1" * 12,
        caller_reference="r",
        type=HealthCheckType.TCP,
        disabled=True,
        inverted=inverted,
    )

    assert verdict is judge(check, [], 3)


@pytest.mark.parametrize(
    ("interval", "seconds"), [(0.1, 2.0), (0.5, 2.0), (1.0, 3.0), (10.0, 30.0), (30.0, 90.0)]
)
def test_a_vote_outlives_three_intervals_and_two_seconds(interval: float, seconds: float) -> None:
    """The longer of the two counts, to the end."""
    assert seconds == fresh_seconds(interval)
    assert is_fresh(100.0, 100.0 + seconds, interval)
    assert not is_fresh(100.0, 100.01 + seconds, interval)


@pytest.mark.parametrize(
    ("offered", "known", "known_is_fresh", "newer"),
    [
        pytest.param(vote(1, 50.0), None, False, True, id="the first"),
        pytest.param(vote(8, 60.0), vote(7, 50.0), True, True, id="the next"),
        pytest.param(vote(7, 50.0), vote(7, 50.0), True, False, id="the same again"),
        pytest.param(vote(7, 50.0), vote(7, 50.0), False, False, id="the same, long after"),
        pytest.param(vote(6, 40.0), vote(7, 50.0), True, False, id="a late one"),
        pytest.param(vote(1, 60.0), vote(7, 50.0), True, True, id="after a restart"),
        pytest.param(vote(7, 60.0), vote(7, 50.0), True, True, id="a restart to the same number"),
        pytest.param(vote(1, 10.0), vote(7, 50.0), True, False, id="clock set back, too early"),
        pytest.param(vote(1, 10.0), vote(7, 50.0), False, True, id="clock set back, believed"),
    ],
)
def test_which_vote_replaces_which(
    offered: Vote, known: Vote | None, known_is_fresh: bool, newer: bool
) -> None:
    """Only news counts as news, and a restarted observer is heard again."""
    assert newer is supersedes(offered, known, known_is_fresh)
