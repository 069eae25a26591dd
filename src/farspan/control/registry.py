"""Every operation there is: importing this module fills `plane.OPERATIONS`."""

from __future__ import annotations

from farspan.control import (
    endpoints,
    event_buses,
    health_checks,
    identity,
    queues,
    rules,
    targets,
)
from farspan.control.plane import OPERATIONS

MODULES = (endpoints, event_buses, health_checks, identity, queues, rules, targets)

__all__ = ["MODULES", "OPERATIONS"]
