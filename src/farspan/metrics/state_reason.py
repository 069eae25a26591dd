"""Why an alarm is in its state, in CloudWatch's words and as its JSON; and the event that says so.

Pure: texts from values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from farspan.metrics.alarm import Evaluation, breaches
from farspan.model.alarm import AlarmState, ComparisonOperator, MetricAlarm, TreatMissingData
from farspan.model.event import CALL_ID_BYTES, CallId, event_id_of, format_time

COMPARISONS: Final = {
    ComparisonOperator.GREATER_THAN_OR_EQUAL_TO_THRESHOLD: "greater than or equal to",
    ComparisonOperator.GREATER_THAN_THRESHOLD: "greater than",
    ComparisonOperator.LESS_THAN_THRESHOLD: "less than",
    ComparisonOperator.LESS_THAN_OR_EQUAL_TO_THRESHOLD: "less than or equal to",
}
TREATED: Final = {
    TreatMissingData.BREACHING: "Breaching",
    TreatMissingData.NOT_BREACHING: "NonBreaching",
}
SHOWN_COUNT_MAX: Final = 10
"""Data points that a reason names; the newest."""

Point = tuple[float, float]
"""A data point: when its period began, and its value."""


def state_reason(alarm: MetricAlarm, evaluation: Evaluation, points: Sequence[Point]) -> str:
    """Return why the alarm goes into a state, `points` being those that counted, oldest first."""
    if evaluation.state is AlarmState.INSUFFICIENT_DATA:
        count = evaluation.filled_count
        return f"Insufficient Data: {_counted(count, 'datapoint')} {_were(count)} unknown."
    treated = TREATED.get(alarm.condition.treat_missing_data)
    if not points and treated is not None:
        count = evaluation.filled_count
        return (
            f"Threshold Crossed: no datapoints were received for {_counted(count, 'period')} and "
            f"{_counted(count, 'missing datapoint')} {_were(count)} treated as [{treated}]."
        )
    is_alarm = evaluation.state is AlarmState.ALARM
    telling = [one for one in points if breaches(alarm.condition, one[1]) is is_alarm]
    shown = ", ".join(
        f"{value} ({datetime.fromtimestamp(at, UTC):%d/%m/%y %H:%M:%S})"
        for at, value in reversed(telling[-SHOWN_COUNT_MAX:])
    )
    condition = alarm.condition
    verb = f"{_were(len(telling))}{'' if is_alarm else ' not'}"
    least = condition.datapoints_to_alarm
    if not is_alarm:
        least = condition.evaluation_periods - least + 1
    transition = "OK -> ALARM" if is_alarm else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(telling)} out of the last {condition.evaluation_periods} "
        f"datapoints [{shown}] {verb} {COMPARISONS[condition.comparison_operator]} the threshold "
        f"({condition.threshold}) (minimum {_counted(least, 'datapoint')} for {transition} "
        "transition)."
    )


def state_reason_data(alarm: MetricAlarm, points: Sequence[Point], now: float) -> str:
    """Return what was looked at, as CloudWatch's JSON."""
    seen: dict[str, Any] = {"version": "1.0", "queryDate": _time(now)}
    if points:
        seen["startDate"] = _time(points[0][0])
    if alarm.unit:
        seen["unit"] = alarm.unit
    seen |= {
        "statistic": alarm.statistic or alarm.extended_statistic,
        "period": alarm.period,
        "recentDatapoints": [value for _, value in points[-SHOWN_COUNT_MAX:]],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [
            {"timestamp": _time(at), "value": value}
            for at, value in reversed(points[-SHOWN_COUNT_MAX:])
        ],
    }
    return msgspec.json.encode(seen).decode()


def state_change_event(before: MetricAlarm, after: MetricAlarm) -> tuple[CallId, bytes]:
    """Return the event of a change of state, with the call that it is known by in a log."""
    name = f"{after.arn}\0{after.state_updated_at}\0{after.state}"
    call = CallId(hashlib.sha256(name.encode()).digest()[:CALL_ID_BYTES])
    configuration: dict[str, Any] = {
        "metrics": [
            {
                "id": event_id_of(call, 1),
                "metricStat": {
                    "metric": {
                        "namespace": after.namespace,
                        "name": after.metric_name,
                        "dimensions": dict(after.dimensions),
                    },
                    "period": after.period,
                    "stat": after.statistic or after.extended_statistic,
                },
                "returnData": True,
            }
        ]
    }
    if after.description:
        configuration["description"] = after.description
    envelope = msgspec.json.encode(
        {
            "version": "0",
            "id": event_id_of(call, 0),
            "detail-type": "CloudWatch Alarm State Change",
            "source": "aws.cloudwatch",
            "account": after.account,
            "time": format_time(int(after.state_updated_at)).decode(),
            "region": after.region,
            "resources": [after.arn],
            "detail": {
                "alarmName": after.name,
                "state": _state(after),
                "previousState": _state(before),
                "configuration": configuration,
            },
        }
    )
    return call, envelope


def _state(alarm: MetricAlarm) -> dict[str, str]:
    shown = {
        "value": alarm.state.value,
        "reason": alarm.state_reason,
        "timestamp": _time(alarm.state_updated_at),
    }
    if alarm.state_reason_data is not None:
        shown["reasonData"] = alarm.state_reason_data
    return shown


def _time(at: float) -> str:
    """Return a time as CloudWatch writes it: with milliseconds and +0000."""
    moment = datetime.fromtimestamp(at, UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03d}+0000"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _were(count: int) -> str:
    return "was" if count == 1 else "were"
