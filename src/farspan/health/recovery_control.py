"""What a check of type RECOVERY_CONTROL makes of its routing control: On is healthy, Off is not.

A control that nobody has set yet is Off, as on AWS. Pure.
"""

from __future__ import annotations

from farspan.health.check import ProbeResult
from farspan.model.routing_control import RoutingControl, RoutingControlState


def look(control: RoutingControl | None) -> ProbeResult:
    """Return what follows from a control as it was told last, None for one that never was."""
    state = RoutingControlState.OFF if control is None else control.state
    healthy = state is RoutingControlState.ON
    outcome = "Success" if healthy else "Failure"
    return ProbeResult(healthy, f"{outcome}: The routing control is {state}.")
