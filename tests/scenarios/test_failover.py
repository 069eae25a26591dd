"""Replays `failover.txt`: what observers see, and which Region each of them routes to, and why.

`SCENARIOS_REWRITE=1` writes the halves below `----` anew, and that run fails. Commit the result
only if you understand the difference.
"""

from __future__ import annotations

from pathlib import Path

from stories import assert_told

from farspan.endpoints.failover import NO_ORDER, Hold, Order, Routing, hold_seconds, weigh
from farspan.endpoints.failover import step as fail_over
from farspan.health.check import CheckState, ProbeResult
from farspan.health.check import step as count
from farspan.health.votes import tally
from farspan.model.route import Route

SCENARIO = Path(__file__).with_name("failover.txt")
RESULTS = {
    "ok": ProbeResult(healthy=True, report="Success: fine"),
    "fail": ProbeResult(healthy=False, report="Failure: broken"),
}
START = 100_000


class World:
    """The observers of one endpoint's primary Region; each routes for itself."""

    def __init__(self, names: list[str], threshold: int, hold_seconds: float) -> None:
        self.now = START
        self.threshold = threshold
        self.hold = Hold(seconds=hold_seconds, seconds_max=900)
        self.backlog = False
        self.checks = {name: CheckState() for name in names}
        self.routings = {name: Routing(since=START) for name in names}
        self.cut_off: set[str] = set()
        self.order = NO_ORDER
        self.orders = dict.fromkeys(names, NO_ORDER)

    def run(self, command: str) -> None:
        """Do what one line says."""
        verb, *words = command.split()
        match verb:
            case "probe":
                names = list(self.checks) if words[0] == "all" else words[:1]
                for word in words[1:]:
                    self.probe(names, RESULTS[word])
            case "cut-off":
                self.cut_off |= set(words)
            case "joined":
                self.cut_off -= set(words)
            case "wait":
                for _ in range(int(words[0].removesuffix("s"))):
                    self.now += 1
                    self.look()
            case "backlog":
                self.backlog = words == ["waiting"]
            case "order":
                self.order = order_of(words[0])
            case _:
                raise ValueError(command)
        self.look()

    def probe(self, names: list[str], result: ProbeResult) -> None:
        """Let observers probe once."""
        for name in names:
            self.checks[name] = count(self.checks[name], result, self.threshold)
        self.look()

    def look(self) -> None:
        """Let every observer weigh the votes that reach it, and follow the order that does."""
        for name, routing in self.routings.items():
            heard = {name} if name in self.cut_off else self.checks.keys() - self.cut_off
            votes = [self.checks[n].status for n in heard if self.checks[n].settled]
            own = self.checks[name].status if self.checks[name].settled else None
            evidence = weigh(tally(votes, len(self.checks)), own)
            told = [self.routings[n].generation for n in heard]
            if name not in self.cut_off:
                self.orders[name] = self.order
            self.routings[name] = fail_over(
                routing,
                evidence,
                caught_up=not self.backlog,
                now=self.now,
                hold=self.hold,
                order=self.orders[name],
                generation_heard=max(told),
            )

    def tell(self) -> str:
        """Return where everything stands."""
        lines = [
            f"{name} {self.checks[name].status} | {routing.state} route={routing.route} "
            f"generation={routing.generation} hold={hold_seconds(routing, self.hold):.0f}s | "
            f"{routing.reason}\n"
            for name, routing in self.routings.items()
        ]
        return "".join(lines)


def order_of(word: str) -> Order:
    """Return what people order."""
    if word in tuple(Route):
        return Order(route=Route(word), reason="drill (by root)")
    return {"pause": Order(paused=True), "nothing": NO_ORDER}[word]


def begin(command: str) -> World:
    """Return the world that an `observers` line asks for."""
    _, *words = command.split()
    settings = dict(word.split("=") for word in words if "=" in word)
    names = [word for word in words if "=" not in word]
    return World(names, int(settings["threshold"]), float(settings["hold"]))


def test_failover_scenario() -> None:
    """Probes, votes, routes and reasons go as the story tells."""
    world = World([], 1, 0)

    def run(line: str) -> None:
        nonlocal world
        if line.startswith("observers "):
            world = begin(line)
        else:
            world.run(line)

    def tell() -> str:
        return world.tell()

    assert_told(SCENARIO, run, tell)
