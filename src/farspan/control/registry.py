"""Every operation there is: importing this module fills `plane.OPERATIONS`."""

from __future__ import annotations

from farspan.control import (
    alarm_states,
    alarms,
    api_destinations,
    archives,
    connections,
    endpoints,
    event_buses,
    event_sources,
    health_checks,
    identity,
    log_events,
    log_groups,
    message_moves,
    messages,
    metric_reads,
    metric_values,
    partner_event_sources,
    permissions,
    queue_permissions,
    queues,
    replays,
    role_policies,
    roles,
    rules,
    tags,
    targets,
)
from farspan.control.plane import OPERATIONS

MODULES = (
    alarm_states,
    alarms,
    api_destinations,
    archives,
    connections,
    endpoints,
    event_buses,
    event_sources,
    health_checks,
    identity,
    message_moves,
    messages,
    log_events,
    log_groups,
    metric_reads,
    metric_values,
    partner_event_sources,
    permissions,
    queue_permissions,
    queues,
    replays,
    role_policies,
    roles,
    rules,
    tags,
    targets,
)

__all__ = ["MODULES", "OPERATIONS"]
