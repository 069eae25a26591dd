"""Every operation there is: importing this module fills `plane.OPERATIONS`."""

from __future__ import annotations

from farspan.control import (
    api_destinations,
    archives,
    connections,
    endpoints,
    event_buses,
    health_checks,
    identity,
    queues,
    replays,
    rules,
    targets,
)
from farspan.control.plane import OPERATIONS

MODULES = (
    api_destinations,
    archives,
    connections,
    endpoints,
    event_buses,
    health_checks,
    identity,
    queues,
    replays,
    rules,
    targets,
)

__all__ = ["MODULES", "OPERATIONS"]
