"""Settings of alarms, as checks of type CLOUDWATCH_METRIC copy them when they are made or updated.

Route 53 watches the alarm's metric, not the alarm: what becomes of the alarm later makes no
difference until the check is updated (developer guide, "Creating and updating health checks"). The
copy has no TreatMissingData, for the check has InsufficientDataHealthStatus, and no
DatapointsToAlarm. A check belongs to the Region of its alarm, which has the metric.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farspan.control.plane import ControlPlane
from farspan.errors import InvalidInput
from farspan.model.alarm import MetricAlarm
from farspan.model.health_check import AlarmConfiguration, HealthCheck, HealthCheckType

PERIOD_MIN: Final = 60
DIMENSIONS_MAX: Final = 10
STATISTICS: Final = ("Average", "Sum", "SampleCount", "Maximum", "Minimum")


def with_copy(plane: ControlPlane, check: HealthCheck, former: HealthCheck | None) -> HealthCheck:
    """Return a check with its alarm's settings as they are now; of another type as it is.

    Where the alarm is gone, an update that names the same one keeps what was copied. Raises
    InvalidInput for an alarm that is not there, or that Route 53 does not watch.
    """
    if check.type is not HealthCheckType.CLOUDWATCH_METRIC:
        return check
    named = check.alarm_identifier
    assert named is not None, "a check of an alarm names it"
    if named.region not in plane.regions:
        raise InvalidInput(
            f"AlarmIdentifier: Region {named.region} is none of this deployment "
            f"({', '.join(plane.regions)})."
        )
    if named.region != plane.region:
        raise InvalidInput(
            f"AlarmIdentifier: the health check belongs to {plane.region}, and its alarm has to be "
            f"there. Make another health check for an alarm of {named.region}."
        )
    alarm = plane.resources.table(MetricAlarm).get(f"{check.account}/{named.name}")
    if alarm is not None:
        return msgspec.structs.replace(check, alarm_configuration=_copy(alarm))
    if former is not None and former.alarm_identifier == named:
        return check
    raise InvalidInput(f"AlarmIdentifier: there is no alarm {named.name} in {named.region}.")


def _copy(alarm: MetricAlarm) -> AlarmConfiguration:
    """Return an alarm's settings. Raises InvalidInput for one that Route 53 does not watch."""
    if alarm.statistic not in STATISTICS:
        raise _unfit(alarm, "its statistic is an extended one")
    if alarm.period < PERIOD_MIN:
        raise _unfit(alarm, f"its period is shorter than {PERIOD_MIN} seconds")
    if alarm.condition.datapoints_to_alarm != alarm.evaluation_periods:
        raise _unfit(alarm, "its DatapointsToAlarm is not its EvaluationPeriods")
    if len(alarm.dimensions) > DIMENSIONS_MAX:
        raise _unfit(alarm, f"its metric has more than {DIMENSIONS_MAX} dimensions")
    return AlarmConfiguration(
        evaluation_periods=alarm.evaluation_periods,
        threshold=alarm.threshold,
        comparison_operator=alarm.comparison_operator,
        period=alarm.period,
        metric_name=alarm.metric_name,
        namespace=alarm.namespace,
        statistic=alarm.statistic,
        dimensions=alarm.dimensions,
        unit=alarm.unit,
    )


def _unfit(alarm: MetricAlarm, reason: str) -> InvalidInput:
    return InvalidInput(
        f"AlarmIdentifier: no health check can be made after the alarm {alarm.name}: {reason}."
    )


def shown_copy(copy: AlarmConfiguration) -> dict[str, Any]:
    """Return what was copied as CloudWatchAlarmConfiguration."""
    shown: dict[str, Any] = {
        "EvaluationPeriods": copy.evaluation_periods,
        "Threshold": copy.threshold,
        "ComparisonOperator": copy.comparison_operator.value,
        "Period": copy.period,
        "MetricName": copy.metric_name,
        "Namespace": copy.namespace,
        "Statistic": copy.statistic,
    }
    if copy.dimensions:
        shown["Dimensions"] = [{"Name": name, "Value": value} for name, value in copy.dimensions]
    return shown
