"""The faults of a drill: what is done, what undoes it, and the sentence that says so honestly.

Which of them a drill can make follows from who owns the processes: `means_of` decides it, and says
why not where it cannot. Every fault is healed more than once without harm.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from farspan.cli.cut import Wire
from farspan.cli.processes import Processes, ProcessFault
from farspan.cli.remote import Remote
from farspan.cli.undo import ADMIN_PAGE, NoUndo, Undo

OVERRIDE_GRACE_SECONDS = 30.0
"""How much longer than the drill an override lives that nobody takes back."""


class Scenario(StrEnum):
    """What a drill can do to a Region."""

    REGION_DOWN = "region-down"  # its node is killed, and started again
    REGION_HANG = "region-hang"  # its node stops answering, and goes on
    REGION_CUT = "region-cut"  # its node works, and no other node can talk to it
    HEALTH_INVERT = "health-invert"  # its health check says the opposite


class Owner(StrEnum):
    """Whose the deployment's processes are."""

    DRILL = "DRILL"  # the drill started them
    UP = "UP"  # a `farspan up` of this machine did, and takes requests
    ELSEWHERE = "ELSEWHERE"  # they are not to be had


class Means(StrEnum):
    """How a fault is made."""

    SIGNAL = "SIGNAL"  # a signal to the process
    WIRE = "WIRE"  # proxies that pass nothing on
    HEALTH_CHECK = "HEALTH_CHECK"  # UpdateHealthCheck
    OVERRIDE = "OVERRIDE"  # a route override


class NoMeans(Exception):
    """The fault cannot be made here. The message says what can."""


def means_of(scenario: Scenario, owner: Owner) -> Means:
    """Return how the fault is made. Raises NoMeans."""
    if scenario is Scenario.HEALTH_INVERT:
        return Means.HEALTH_CHECK
    if owner is Owner.ELSEWHERE:
        return Means.OVERRIDE
    if scenario is Scenario.REGION_CUT:
        if owner is Owner.UP:
            raise NoMeans(
                "region-cut needs proxies between the Regions, which only a deployment of the "
                "drill's own has: add --up. On a running one, try region-hang."
            )
        return Means.WIRE
    return Means.SIGNAL


class Fault(Protocol):
    """Something that is made and healed. `text` says what is done, `said` what was, in a word."""

    @property
    def text(self) -> str:
        """What is done, and what it does not show."""

    def make(self) -> str:
        """Make the fault. Returns it in a few words."""

    def heal(self) -> str:
        """Take the fault back. Returns it in a few words."""


@dataclass(slots=True)
class SignalFault:
    """The Region's process is killed or stopped."""

    processes: Processes
    kind: ProcessFault
    region: str

    @property
    def text(self) -> str:
        """What is done."""
        if self.kind is ProcessFault.DOWN:
            return (
                f"The process of {self.region} gets SIGKILL, as by a power cut of the machine that "
                "keeps its disk, and is started again at the heal."
            )
        return (
            f"The process of {self.region} gets SIGSTOP: connections to it stay open and silent. "
            "It gets SIGCONT at the heal."
        )

    def make(self) -> str:
        """Send the signal."""
        pid = self.processes.fault(self.kind, self.region)
        sent = "SIGKILL" if self.kind is ProcessFault.DOWN else "SIGSTOP"
        return f"{sent} to {self.region}, process {pid}"

    def heal(self) -> str:
        """Start the Region again, or let it go on."""
        self.processes.heal(self.region)
        if self.kind is ProcessFault.DOWN:
            return f"{self.region} is started again"
        return f"SIGCONT to {self.region}"


@dataclass(slots=True)
class WireFault:
    """The Region is cut off from all other nodes."""

    wire: Wire
    region: str

    @property
    def text(self) -> str:
        """What is done."""
        return (
            f"Proxies of the drill stand between {self.region} and every other node, and pass "
            "nothing on during the fault: connections stay open and silent both ways, as where "
            "packets are dropped. New ones are taken by the proxy and hear nothing. "
            f"{self.region} itself goes on working."
        )

    def make(self) -> str:
        """Pass nothing on."""
        self.wire.cut()
        return f"{self.region} is cut off"

    def heal(self) -> str:
        """Pass everything on again."""
        self.wire.mend()
        return f"{self.region} is connected again"


@dataclass(slots=True)
class HealthFault:
    """The endpoint's health check says the opposite of what it sees."""

    route53: Any
    undo: Undo | NoUndo
    health_check_id: str
    region: str
    inverted: bool = False
    """What it was before, and is afterwards."""

    @property
    def text(self) -> str:
        """What is done."""
        return (
            f"Health check {self.health_check_id} is inverted by UpdateHealthCheck. {self.region} "
            "itself goes on working: this shows the move and the way back, not the loss of a "
            "Region."
        )

    def make(self) -> str:
        """Invert the check."""
        self.undo.later(
            "the health check's Inverted",
            "route53",
            self.region,
            "update_health_check",
            HealthCheckId=self.health_check_id,
            Inverted=self.inverted,
        )
        return self._set(not self.inverted)

    def heal(self) -> str:
        """Let the check say what it sees."""
        said = self._set(self.inverted)
        self.undo.forget("the health check's Inverted")
        return said

    def _set(self, inverted: bool) -> str:
        self.route53.update_health_check(HealthCheckId=self.health_check_id, Inverted=inverted)
        return f"Inverted={str(inverted).lower()}"


@dataclass(slots=True)
class OverrideFault:
    """The endpoint's route is set by hand."""

    remote: Remote
    undo: Undo | NoUndo
    endpoint_id: str
    route: str
    seconds: float
    region: str

    @property
    def text(self) -> str:
        """What is done."""
        return (
            f"The processes of {self.region} are not the drill's to stop, so the endpoint's route "
            f"is set to {self.route} by an override, which ends by itself. {self.region} goes on "
            "working: this shows the move and the way back, not the loss of a Region."
        )

    @property
    def _path(self) -> str:
        return f"/-/endpoints/{self.endpoint_id}/override"

    def _value(self, route: str | None) -> dict[str, object]:
        seconds = None if route is None else self.seconds + OVERRIDE_GRACE_SECONDS
        return {"route": route, "paused": False, "seconds": seconds, "reason": "farspan drill"}

    def make(self) -> str:
        """Set the route."""
        region = self.remote.region
        value = self._value(None)
        self.undo.later("the route's override", ADMIN_PAGE, region, self._path, **value)
        self.remote.put(self._path, self._value(self.route))
        return f"route is set to {self.route}"

    def heal(self) -> str:
        """Leave the route to the endpoint's health again."""
        self.remote.put(self._path, self._value(None))
        self.undo.forget("the route's override")
        return "route is automatic again"
