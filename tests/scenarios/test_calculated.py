"""Replays `calculated.txt`: what observers see of several checks, and what is calculated from them.

`SCENARIOS_REWRITE=1` writes the halves below `----` anew, and that run fails. Commit the result
only if you understand the difference.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from stories import assert_told

from farspan.health.calculated import measured
from farspan.health.check import CheckState, ProbeResult, step, threshold_of
from farspan.health.recovery_control import look
from farspan.health.votes import Verdict, conclude, judge
from farspan.model.health_check import HealthCheck, HealthCheckType
from farspan.model.routing_control import RoutingControl, RoutingControlState

SCENARIO = Path(__file__).with_name("calculated.txt")
SETTINGS = ("disabled", "inverted")


def result(word: str) -> ProbeResult:
    """Return what a word says an observer saw: of a target, or of a routing control."""
    if word in ("on", "off"):
        state = RoutingControlState(word.capitalize())
        return look(
            RoutingControl(arn="a", account="1" * 12, region="r", state=state, generation=1)
        )
    return ProbeResult(healthy=word == "ok", report=word)


class World:
    """Observers, the checks that they look at, and those that are calculated."""

    def __init__(self) -> None:
        self.observers: list[str] = []
        self.checks: dict[str, HealthCheck] = {}
        self.states: dict[tuple[str, str], CheckState] = {}

    def run(self, command: str) -> None:
        """Do what one line says."""
        verb, *words = command.split()
        match verb:
            case "observers":
                self.observers = words
            case "check":
                threshold = int(words[1].removeprefix("threshold="))
                self.make(words[0], HealthCheckType.HTTP, failure_threshold=threshold)
            case "control":
                self.make(words[0], HealthCheckType.RECOVERY_CONTROL)
            case "sum":
                name, threshold, *children = words
                self.make(
                    name,
                    HealthCheckType.CALCULATED,
                    health_threshold=int(threshold),
                    child_health_checks=tuple(children),
                )
            case "settings":
                given = {name: name in words for name in SETTINGS}
                self.checks[words[0]] = msgspec.structs.replace(self.checks[words[0]], **given)
            case "probe":
                who, name, *seen = words
                for observer in self.observers if who == "all" else [who]:
                    for word in seen:
                        self.probe(observer, name, word)
            case _:
                raise ValueError(command)

    def make(self, name: str, check_type: HealthCheckType, **settings: object) -> None:
        """Have one more check."""
        self.checks[name] = HealthCheck(
            id=name, account="1" * 12, caller_reference=name, type=check_type, **settings
        )

    def probe(self, observer: str, name: str, word: str) -> None:
        """Have an observer see something of a check."""
        state = self.states.get((observer, name), CheckState())
        self.states[observer, name] = step(state, result(word), threshold_of(self.checks[name]))

    def verdict(self, name: str) -> Verdict:
        """Return what all observers together make of a check."""
        check = self.checks[name]
        if check.type is HealthCheckType.CALCULATED:
            children = [self.verdict(child) for child in check.child_health_checks]
            return conclude(check, measured(check.health_threshold, children))
        states = [self.states.get((observer, name)) for observer in self.observers]
        votes = [state.status for state in states if state is not None and state.settled]
        return judge(check, votes, len(self.observers))

    def tell(self) -> str:
        """Return where everything stands."""
        return "".join(f"{name} {self.verdict(name)}\n" for name in self.checks)


def test_calculated_scenario() -> None:
    """Children, sums and routing controls go as the story tells."""
    world = World()

    assert_told(SCENARIO, world.run, world.tell)
