"""The metrics behind this Region's health checks of type CLOUDWATCH_METRIC, as they are evaluated.

Each check's copy of an alarm's settings goes through the machine that alarms go through
(`metrics/alarm`), with no rule for missing data: the check has its own. The states are kept in
memory alone, and told to every node.
"""

from __future__ import annotations

import logging
import math
from typing import Final

from farspan.catalog.resources import Resources
from farspan.metrics.alarm import evaluate, evaluation_range
from farspan.metrics.service import MetricsService, scaled_period
from farspan.model.alarm import AlarmState
from farspan.model.health_check import HealthCheck
from farspan.store.base import StoreError

EVALUATION_SECONDS: Final = 10
"""How often a stream is evaluated at most, before any time scale: CloudWatch's shortest."""

log = logging.getLogger("farspan.health")


class AlarmStreams:
    """The states of this Region's streams, by the id of their check."""

    def __init__(self, resources: Resources, metrics: MetricsService, time_scale: float) -> None:
        self._resources = resources
        self._metrics = metrics
        self._time_scale = time_scale
        self._states: dict[str, tuple[HealthCheck, AlarmState]] = {}

    def states(self) -> dict[str, AlarmState]:
        """Return what was found last of each check that was evaluated since it changed."""
        checks = self._resources.health_checks
        return {
            check_id: state
            for check_id, (check, state) in self._states.items()
            if _copy_of(checks.get(check_id)) == _copy_of(check)
        }

    async def advance(self, before: float, now: float) -> None:
        """Evaluate the streams whose turn came after `before` and up to `now`, and new ones."""
        seconds = scaled_period(EVALUATION_SECONDS, self._time_scale)
        is_turn = math.floor(before / seconds) != math.floor(now / seconds)
        known = self.states()
        checks = [c for c in self._resources.health_checks.values() if not c.disabled]
        self._states = {
            check.id: self._states[check.id] for check in checks if check.id in self._states
        }
        for check in checks:
            if check.alarm_configuration is not None and (is_turn or check.id not in known):
                await self._evaluate(check)

    async def _evaluate(self, check: HealthCheck) -> None:
        copy = check.alarm_configuration
        assert copy is not None, "a check of an alarm has its settings"
        _, former = self._states.get(check.id, (check, AlarmState.INSUFFICIENT_DATA))
        try:
            points = await self._metrics.datapoints(
                copy.stream(check.account), evaluation_range(copy.condition)
            )
        except StoreError as error:
            log.warning("metric not evaluated health_check_id=%s error=%s", check.id, error)
            return
        state = evaluate(copy.condition, points, former).state
        if state is not former:
            log.info("event=alarm_stream health_check_id=%s former=%s state=%s",
                     check.id, former, state)  # fmt: skip
        self._states[check.id] = (check, state)


def _copy_of(check: HealthCheck | None) -> object:
    return None if check is None or check.disabled else check.alarm_configuration
