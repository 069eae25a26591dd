"""Replays `health.txt`: what observers see, what they vote, and what follows.

`SCENARIOS_REWRITE=1` writes the halves below `----` anew, and that run fails. Commit the result
only if you understand the difference.
"""

from __future__ import annotations

from pathlib import Path

import msgspec
from stories import assert_told

from farspan.health.check import CheckState, ProbeResult, step
from farspan.health.votes import judge
from farspan.model.health_check import HealthCheck, HealthCheckType

SCENARIO = Path(__file__).with_name("health.txt")
RESULTS = {
    "ok": ProbeResult(healthy=True, report="Success: fine"),
    "fail": ProbeResult(healthy=False, report="Failure: broken"),
}


class World:
    """The observers of one check, each with its own machine."""

    def __init__(self) -> None:
        self.check = HealthCheck(
            id="c", account="1" * 12, caller_reference="r", type=HealthCheckType.HTTP
        )
        self.states: dict[str, CheckState] = {}
        self.silent: set[str] = set()

    def run(self, command: str) -> None:
        """Do what one line says."""
        verb, *words = command.split()
        match verb:
            case "observers":
                names = [word for word in words if "=" not in word]
                settings = {name: name in names for name in ("disabled", "inverted")}
                (threshold,) = (int(w.removeprefix("threshold=")) for w in words if "=" in w)
                self.check = msgspec.structs.replace(
                    self.check, failure_threshold=threshold, **settings
                )
                self.states = {name: CheckState() for name in names if name not in settings}
                self.silent = set()
            case "probe":
                for name in self.states if words[0] == "all" else words[:1]:
                    self.silent.discard(name)
                    for word in words[1:]:
                        self.states[name] = step(
                            self.states[name], RESULTS[word], self.check.failure_threshold
                        )
            case "silent":
                self.silent |= set(words)
            case _:
                raise ValueError(command)

    def tell(self) -> str:
        """Return where everything stands."""
        lines, votes = [], []
        for name, state in self.states.items():
            voice = "silent" if name in self.silent else "votes" if state.settled else "abstains"
            lines.append(f"{name} {state.status} contrary={state.contrary} {voice}")
            if voice == "votes":
                votes.append(state.status)
        lines.append(f"verdict {judge(self.check, votes, len(self.states))}")
        return "\n".join(lines) + "\n"


def test_health_scenario() -> None:
    """Observers, votes and verdicts go as the story tells."""
    world = World()

    assert_told(SCENARIO, world.run, world.tell)
