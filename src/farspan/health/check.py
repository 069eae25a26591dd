"""What one observer makes of its own probes of a health check.

Theory of operation. A check has a status, and counts the results in a row that contradict it.
The `FailureThreshold`-th flips the status and the count starts anew; a result that agrees wipes
the count. Both directions need the same evidence, as in Route 53. A new check counts as Healthy
until data says otherwise, but an observer that merely assumes so has nothing to tell others:
`settled` says whether a result ever bore the status out. Without it, an observer that restarts
while its target is down would call the target healthy for as long as the count takes.

Pure: no I/O, no clock. It must never know of other observers; `votes` weighs what they say.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from farspan.model.health_check import PROBED_TYPES, HealthCheck, Status

LOOK_SECONDS = 0.5
"""How often what a node knows already is looked at: as often as nodes tell each other."""


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """What one probe saw, and the sentence that GetHealthCheckStatus shows of it."""

    healthy: bool
    report: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckState:
    """Where the machine stands.

    `contrary` is how many results in a row contradict `status`; it stays below the threshold.
    `settled` turns True with the first result that agrees or flips, and stays so.
    """

    status: Status = Status.HEALTHY
    contrary: int = 0
    settled: bool = False


class Move(StrEnum):
    """What a result does to the state."""

    SETTLE = "SETTLE"  # it agrees: forget what contradicted
    COUNT = "COUNT"  # it contradicts, but too few did so in a row
    FLIP = "FLIP"  # it contradicts, and enough did so in a row


MOVES: dict[tuple[Status, Status, bool], Move] = {
    # status, what the probe saw, whether the threshold is reached if the probe contradicts
    (Status.HEALTHY, Status.HEALTHY, False): Move.SETTLE,
    (Status.HEALTHY, Status.HEALTHY, True): Move.SETTLE,
    (Status.HEALTHY, Status.UNHEALTHY, False): Move.COUNT,
    (Status.HEALTHY, Status.UNHEALTHY, True): Move.FLIP,
    (Status.UNHEALTHY, Status.HEALTHY, False): Move.COUNT,
    (Status.UNHEALTHY, Status.HEALTHY, True): Move.FLIP,
    (Status.UNHEALTHY, Status.UNHEALTHY, False): Move.SETTLE,
    (Status.UNHEALTHY, Status.UNHEALTHY, True): Move.SETTLE,
}

OPPOSITE: dict[Status, Status] = {
    Status.HEALTHY: Status.UNHEALTHY,
    Status.UNHEALTHY: Status.HEALTHY,
}


def step(state: CheckState, probe_result: ProbeResult, threshold: int) -> CheckState:
    """Return the state after a probe, where `threshold` results in a row flip the status."""
    assert threshold >= 1, f"a threshold of {threshold} flips on nothing"
    seen = Status.HEALTHY if probe_result.healthy else Status.UNHEALTHY
    reached = state.contrary + 1 >= threshold
    move = MOVES[state.status, seen, reached]
    if move is Move.COUNT:
        return CheckState(status=state.status, contrary=state.contrary + 1, settled=state.settled)
    flips = move is Move.FLIP
    return CheckState(status=OPPOSITE[state.status] if flips else state.status, settled=True)


def renewed(state: CheckState) -> CheckState:
    """Return the state after the check's settings changed: the status stays, the count does not.

    What was counted are probes of something that may no longer be the target.
    """
    return CheckState(status=state.status, settled=state.settled)


def final_status(check: HealthCheck, measured: Status) -> Status:
    """Return what the check says, given what was measured.

    A disabled check counts as Healthy, whatever was measured; inversion comes after that, so that
    a check both disabled and inverted is Unhealthy (Route 53: HealthCheckConfig, `Disabled`).
    """
    status = Status.HEALTHY if check.disabled else measured
    return OPPOSITE[status] if check.inverted else status


def threshold_of(check: HealthCheck) -> int:
    """Return how many results in a row flip a check: one, where it is no matter of the network."""
    return check.failure_threshold if check.type in PROBED_TYPES else 1


def seconds_between(check: HealthCheck, time_scale: float) -> float:
    """Return the seconds between two looks at a check, whose interval `time_scale` divides."""
    return check.request_interval / time_scale if check.type in PROBED_TYPES else LOOK_SECONDS
