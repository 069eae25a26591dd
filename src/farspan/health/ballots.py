"""The votes that a node has, its own and those it heard, each with the moment it last moved.

The moments are by the node's own monotonic clock and come as arguments. It must never weigh
votes against each other: that is `votes`. No I/O, no clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farspan.health.check import seconds_between
from farspan.health.votes import is_fresh, supersedes

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from farspan.model.health_check import HealthCheck, Vote


@dataclass(frozen=True, slots=True)
class _Ballot:
    """A vote, and when its number last moved (monotonic seconds)."""

    vote: Vote
    moved_at: float


class Ballots:
    """The latest vote of each observer on each check.

    `time_scale` divides the checks' request intervals. `checks` are those it keeps votes on.
    """

    def __init__(self, time_scale: float) -> None:
        self.checks: Mapping[str, HealthCheck] = {}
        self._time_scale = time_scale
        self._ballots: dict[str, dict[str, _Ballot]] = {}

    def interval(self, check: HealthCheck) -> float:
        """Return the seconds between two probes of a check."""
        return seconds_between(check, self._time_scale)

    def follow(self, checks: Mapping[str, HealthCheck]) -> None:
        """Keep votes on these checks from now on, and forget those on others."""
        self.checks = checks
        for health_check_id in self._ballots.keys() - checks.keys():
            del self._ballots[health_check_id]

    def cast(self, vote: Vote, now: float) -> None:
        """Replace what the observer said of the check."""
        self._ballots.setdefault(vote.health_check_id, {})[vote.observer] = _Ballot(vote, now)

    def withdraw(self, health_check_id: str, observer: str) -> None:
        """Forget what the observer said of the check."""
        self._ballots.get(health_check_id, {}).pop(observer, None)

    def hear(self, observer: str, votes: Sequence[Vote], now: float) -> None:
        """Take over what an observer tells of itself; only what is newer counts as moved.

        Votes in another's name, and votes on checks that are not known (yet), are passed over:
        the observer will tell them again.
        """
        for vote in votes:
            check = self.checks.get(vote.health_check_id)
            if vote.observer != observer or check is None:
                continue
            ballot = self._ballots.get(check.id, {}).get(observer)
            known = ballot.vote if ballot else None
            if supersedes(vote, known, known_is_fresh=self._counts(ballot, check, now)):
                self.cast(vote, now)

    def fresh(self, health_check_id: str, now: float) -> dict[str, Vote]:
        """Return the fresh votes on a check by observer, in order; none on one not known."""
        check = self.checks.get(health_check_id)
        ballots = self._ballots.get(health_check_id)
        if check is None or ballots is None:
            return {}
        return {
            observer: ballot.vote
            for observer, ballot in sorted(ballots.items())
            if self._counts(ballot, check, now)
        }

    def fresh_of(self, observer: str, now: float) -> tuple[Vote, ...]:
        """Return an observer's fresh votes, in order of check id."""
        fresh = (self.fresh(health_check_id, now) for health_check_id in sorted(self._ballots))
        return tuple(votes[observer] for votes in fresh if observer in votes)

    def _counts(self, ballot: _Ballot | None, check: HealthCheck, now: float) -> bool:
        return ballot is not None and is_fresh(ballot.moved_at, now, self.interval(check))
