"""What a node knows already, for the health checks that are not probed over the network.

The health service asks for a result; catalogs have what it follows from. Nothing here decides:
`health` does.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from farspan.catalog.service import FRESH_SECONDS, CatalogService
from farspan.health import alarm_stream, recovery_control
from farspan.health.check import CheckState, ProbeResult
from farspan.metrics.service import scaled_period
from farspan.model.alarm import AlarmState
from farspan.model.health_check import HealthCheck, HealthCheckType


class Observations:
    """One node's look at what it knows. `own` are the alarm streams of its own Region."""

    def __init__(
        self,
        catalog: CatalogService,
        own: Callable[[], Mapping[str, AlarmState]],
        time_scale: float,
    ) -> None:
        self._catalog = catalog
        self._own = own
        self._time_scale = time_scale

    def evaluate(self, check: HealthCheck, state: CheckState) -> ProbeResult | None:
        """Return what a check sees now, None where nothing follows from what is known."""
        if check.type is HealthCheckType.RECOVERY_CONTROL:
            controls = self._catalog.routing_controls()
            return recovery_control.look(controls.get(check.routing_control_arn or ""))
        if check.type is HealthCheckType.CLOUDWATCH_METRIC:
            stream = self._stream(check)
            insufficient = check.insufficient_data_health_status
            return None if stream is None else alarm_stream.look(stream, insufficient, state)
        return None

    def _stream(self, check: HealthCheck) -> AlarmState | None:
        """Return the state of a check's metric, None where its Region did not tell it yet."""
        alarm, copy = check.alarm_identifier, check.alarm_configuration
        assert alarm is not None, "a check of an alarm names it"
        assert copy is not None, "a check of an alarm has its settings"
        if alarm.region == self._catalog.region:
            return self._own().get(check.id)
        report, silent_seconds = self._catalog.last_heard(alarm.region)
        period = scaled_period(copy.period, self._time_scale)
        if not alarm_stream.stands(silent_seconds, period, FRESH_SECONDS):
            return AlarmState.INSUFFICIENT_DATA
        state = None if report is None else report.alarm_streams.get(check.id)
        return None if state is None else AlarmState(state)
