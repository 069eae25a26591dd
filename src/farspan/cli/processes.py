"""Faults of a deployment's own processes: a Region's node is killed or hangs, and works again.

Whoever makes a fault ends it: `heal_all` is called when a drill is over, however it went.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Protocol

from farspan.cli.deployment import Deployment, DeploymentError


class ProcessFault(StrEnum):
    """What is done to a node's process."""

    DOWN = "down"  # SIGKILL; healed by a new start
    HANG = "hang"  # SIGSTOP; healed by SIGCONT


class FaultRefused(Exception):
    """The fault cannot be made, or not be healed. The message says why."""


class Processes(Protocol):
    """Whoever can stop and start a deployment's nodes."""

    def fault(self, kind: ProcessFault, region: str) -> int:
        """Make the fault and return the process id. Raises FaultRefused."""

    def heal(self, region: str) -> None:
        """End the fault and wait until the Region answers. Raises FaultRefused.

        A Region that has no fault is left alone.
        """


class OwnProcesses:
    """Faults of the nodes that this process started."""

    def __init__(self, deployment: Deployment, on_start: Callable[[], None] = lambda: None) -> None:
        self._deployment = deployment
        self._on_start = on_start
        self._faults: dict[str, ProcessFault] = {}

    def fault(self, kind: ProcessFault, region: str) -> int:
        """Make the fault and return the process id. Raises FaultRefused."""
        deployment = self._deployment
        with deployment.lock:
            process = deployment.processes.get(region)
            if process is None or region not in deployment.config.regions:
                known = ", ".join(deployment.config.regions)
                raise FaultRefused(f"There is no Region {region} here; there are {known}.")
            if region in deployment.held:
                raise FaultRefused(f"Region {region} has a fault already, of another drill.")
            if process.exit_text is not None:
                raise FaultRefused(
                    f"Region {region} is not a process of `farspan up` any more "
                    f"({process.exit_text}). Start all of it again, then drill."
                )
            self._faults[region] = kind
            if kind is ProcessFault.DOWN:
                deployment.kill(region)
            else:
                deployment.hang(region)
            return process.pid

    def heal(self, region: str) -> None:
        """End the fault and wait until the Region answers. Raises FaultRefused."""
        kind = self._faults.pop(region, None)
        if kind is ProcessFault.HANG:
            self._deployment.resume(region)
        elif kind is ProcessFault.DOWN:
            self._deployment.start(region)
            self._on_start()
        if kind is not None:
            try:
                self._deployment.wait_ready(region)
            except DeploymentError as error:
                raise FaultRefused(str(error)) from error

    def heal_all(self) -> list[str]:
        """End every fault that is left; return the Regions that had one."""
        regions = list(self._faults)
        for region in regions:
            self.heal(region)
        return regions
