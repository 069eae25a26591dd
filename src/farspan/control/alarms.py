"""Alarms on metrics: put, described, deleted, tagged. What states they are in: `alarm_states`.

Actions are kept and shown, and not in effect: what their ARNs name is not there. Alarms on metric
math, anomalies, logs and other alarms are refused by name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from farspan.control.alarm_history import configured
from farspan.control.metric_values import dimensions_of
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    InvalidNextToken,
    InvalidParameterValueException,
    LimitExceededFault,
    NoSuchAlarm,
    ResourceNotFound,
    ValidationException,
)
from farspan.metrics.statistics import PERCENTILE
from farspan.model.alarm import ComparisonOperator, MetricAlarm, TreatMissingData
from farspan.model.arn import parse_arn
from farspan.model.tags import with_tags

ALARM_COUNT_MAX: Final = 5_000
"""Alarms of an account in a Region (AWS: CloudWatch quotas, the default)."""

PAGE_SIZE: Final = 50
PAGE_SIZE_MAX: Final = 100
HIGH_RESOLUTION_PERIODS: Final = (10, 20, 30)
MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
DAYS_MAX: Final = 7

NOT_THERE_YET: Final = (
    "Metrics",
    "ThresholdMetricId",
    "EvaluationWindow",
    "WarmUpConfiguration",
    "EvaluationCriteria",
    "EvaluationInterval",
    "ActionConfiguration",
)
REQUIRED: Final = (
    "MetricName",
    "Namespace",
    "Period",
    "EvaluationPeriods",
    "Threshold",
    "ComparisonOperator",
)
ACTION_MEMBERS: Final = ("OKActions", "AlarmActions", "InsufficientDataActions")


@operation("cloudwatch", "PutMetricAlarm", changes_resources=True)
async def put_metric_alarm(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Make an alarm, or give one another configuration; its state stays, and its tags."""
    _check(params)
    now = plane.clock.now()
    table = plane.resources.table(MetricAlarm)
    former = table.get(f"{caller.account}/{params['AlarmName']}")
    if former is None and len(table.starting_with(f"{caller.account}/")) >= ALARM_COUNT_MAX:
        raise LimitExceededFault(f"An account has at most {ALARM_COUNT_MAX} alarms in a Region.")
    treat = params.get("TreatMissingData")
    alarm = MetricAlarm(
        region=plane.region,
        account=caller.account,
        name=params["AlarmName"],
        description=params.get("AlarmDescription"),
        actions_enabled=params.get("ActionsEnabled", True),
        ok_actions=tuple(params.get("OKActions") or ()),
        alarm_actions=tuple(params.get("AlarmActions") or ()),
        insufficient_data_actions=tuple(params.get("InsufficientDataActions") or ()),
        namespace=params["Namespace"],
        metric_name=params["MetricName"],
        dimensions=_dimensions(params),
        statistic=params.get("Statistic"),
        extended_statistic=params.get("ExtendedStatistic"),
        period=params["Period"],
        unit=params.get("Unit"),
        evaluation_periods=params["EvaluationPeriods"],
        datapoints_to_alarm=params.get("DatapointsToAlarm"),
        threshold=float(params["Threshold"]),
        comparison_operator=ComparisonOperator(params["ComparisonOperator"]),
        treat_missing_data=None if treat is None else TreatMissingData(treat),
        evaluate_low_sample_count_percentile=params.get("EvaluateLowSampleCountPercentile"),
        tags=with_tags({}, params.get("Tags") or ()) if former is None else former.tags,
        configuration_updated_at=now,
        state_updated_at=now,
        state_transitioned_at=now,
    )
    if former is not None:
        alarm = msgspec.structs.replace(
            alarm,
            state=former.state,
            state_reason=former.state_reason,
            state_reason_data=former.state_reason_data,
            state_updated_at=former.state_updated_at,
            state_transitioned_at=former.state_transitioned_at,
        )
    verb = "created" if former is None else "updated"
    await plane.resources.save(alarm, now=now, also=(configured(plane, alarm, verb),))
    return {}


def _check(params: Params) -> None:
    """Raise ValidationException for what is no alarm on one metric, or none that could work."""
    for name in NOT_THERE_YET:
        if params.get(name):
            raise ValidationException(f"Farspan does not have {name} of alarms yet.")
    for name in REQUIRED:
        if params.get(name) is None:
            raise ValidationException(f"The parameter {name} is required.")
    if params["ComparisonOperator"] not in set(ComparisonOperator):
        raise ValidationException(
            f"Farspan does not have {params['ComparisonOperator']} yet: anomaly detection."
        )
    if not math.isfinite(params["Threshold"]):
        raise ValidationException("The parameter Threshold must be a finite number.")
    treat = params.get("TreatMissingData")
    if treat not in (None, *TreatMissingData):
        raise ValidationException(
            f"TreatMissingData must be one of {', '.join(TreatMissingData)}, not {treat}."
        )
    _check_statistic(params)
    _check_periods(params)
    _check_actions(params)


def _check_actions(params: Params) -> None:
    for name in ACTION_MEMBERS:
        for arn in params.get(name) or ():
            if parse_arn(arn) is None:
                raise ValidationException(f"Invalid arn syntax: {arn}")


def _check_statistic(params: Params) -> None:
    extended = params.get("ExtendedStatistic")
    if (params.get("Statistic") is None) == (extended is None):
        raise ValidationException("Exactly one of Statistic and ExtendedStatistic is required.")
    if extended is not None and not PERCENTILE.fullmatch(extended):
        raise ValidationException(
            f"Farspan has percentiles such as p99.9 as ExtendedStatistic, not {extended[:64]}."
        )
    low = params.get("EvaluateLowSampleCountPercentile")
    if low is None:
        return
    if extended is None or low not in ("evaluate", "ignore"):
        raise ValidationException(
            "EvaluateLowSampleCountPercentile is evaluate or ignore, for alarms on percentiles."
        )
    if low == "ignore":
        raise ValidationException(
            "Farspan does not have the value ignore of EvaluateLowSampleCountPercentile yet."
        )


def _check_periods(params: Params) -> None:
    period, count = params["Period"], params["EvaluationPeriods"]
    if period not in HIGH_RESOLUTION_PERIODS and period % MINUTE:
        raise ValidationException("Period must be 10, 20, 30 or a multiple of 60.")
    if (params.get("DatapointsToAlarm") or 1) > count:
        raise ValidationException(
            "DatapointsToAlarm must be less than or equal to EvaluationPeriods."
        )
    if period < HOUR and period * count > DAY:
        raise ValidationException(
            "Metrics cannot be checked across more than a day "
            "(EvaluationPeriods * Period must be <= 86400)."
        )
    if period * count > DAYS_MAX * DAY:
        raise ValidationException(
            "Metrics cannot be checked across more than a week "
            "(EvaluationPeriods * Period must be <= 604800)."
        )


def _dimensions(params: Params) -> tuple[tuple[str, str], ...]:
    try:
        return dimensions_of(params.get("Dimensions"))
    except InvalidParameterValueException as error:
        raise ValidationException(error.message) from error


@operation("cloudwatch", "DescribeAlarms")
async def describe_alarms(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the account's alarms by name: those that are named, or that begin as asked."""
    names, prefix = params.get("AlarmNames"), params.get("AlarmNamePrefix")
    if names and prefix:
        raise ValidationException("AlarmNames and AlarmNamePrefix are mutually exclusive.")
    for name in ("ChildrenOfAlarmName", "ParentsOfAlarmName"):
        if params.get(name):
            raise ValidationException(
                f"Farspan does not have composite alarms yet, to which {name} refers."
            )
    found = [alarm for alarm in _named(plane, caller, names, prefix) if _is_wanted(alarm, params)]
    filters = {name: params[name] for name in sorted(params.keys() - {"NextToken", "MaxRecords"})}
    try:
        shown, token = page(
            found,
            lambda alarm: alarm.name,
            filter_text=f"DescribeAlarms/{caller.account}/{filters}",
            token=params.get("NextToken"),
            limit=params.get("MaxRecords") or PAGE_SIZE,
            size_max=PAGE_SIZE_MAX,
        )
    except ValidationException as error:
        raise InvalidNextToken("Invalid nextToken") from error
    return {
        "MetricAlarms": [_shown(alarm) for alarm in shown],
        "CompositeAlarms": [],
        "NextToken": token,
    }


def _named(
    plane: ControlPlane, caller: Caller, names: list[str] | None, prefix: str | None
) -> list[MetricAlarm]:
    table = plane.resources.table(MetricAlarm)
    if not names:
        return table.starting_with(f"{caller.account}/{prefix or ''}")
    found = (table.get(f"{caller.account}/{name}") for name in dict.fromkeys(names))
    return [alarm for alarm in found if alarm is not None]


def _is_wanted(alarm: MetricAlarm, params: Params) -> bool:
    types, state, action = (
        params.get(name) for name in ("AlarmTypes", "StateValue", "ActionPrefix")
    )
    actions = (*alarm.ok_actions, *alarm.alarm_actions, *alarm.insufficient_data_actions)
    return (
        (not types or "MetricAlarm" in types)
        and state in (None, alarm.state)
        and (not action or any(arn.startswith(action) for arn in actions))
    )


@operation("cloudwatch", "DescribeAlarmsForMetric")
async def describe_alarms_for_metric(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the account's alarms on one metric, by their statistic, period and unit if asked."""
    dimensions = _dimensions(params)
    wanted = {
        "statistic": params.get("Statistic"),
        "extended_statistic": params.get("ExtendedStatistic"),
        "period": params.get("Period"),
        "unit": params.get("Unit"),
    }
    found = [
        alarm
        for alarm in plane.resources.table(MetricAlarm).starting_with(f"{caller.account}/")
        if (alarm.namespace, alarm.metric_name, alarm.dimensions)
        == (params["Namespace"], params["MetricName"], dimensions)
        and all(value in (None, getattr(alarm, name)) for name, value in wanted.items())
    ]
    return {"MetricAlarms": [_shown(alarm) for alarm in found]}


@operation("cloudwatch", "DeleteAlarms", changes_resources=True)
async def delete_alarms(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete the alarms that are there. Raises ResourceNotFound for the others afterwards."""
    found = _named(plane, caller, params["AlarmNames"], None) if params["AlarmNames"] else []
    if found:
        also = tuple(configured(plane, alarm, "deleted") for alarm in found)
        await plane.resources.remove(*found, now=plane.clock.now(), also=also)
    missing = sorted(set(params["AlarmNames"]) - {alarm.name for alarm in found})
    if missing:
        raise ResourceNotFound(f"Alarms not found: {', '.join(missing)[:1_000]}")
    return {}


@operation("cloudwatch", "EnableAlarmActions", changes_resources=True)
async def enable_alarm_actions(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Switch the actions of alarms on. Names of no alarm are left alone, as CloudWatch does."""
    return await _switch_actions(plane, caller, params, enabled=True)


@operation("cloudwatch", "DisableAlarmActions", changes_resources=True)
async def disable_alarm_actions(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Switch the actions of alarms off."""
    return await _switch_actions(plane, caller, params, enabled=False)


async def _switch_actions(
    plane: ControlPlane, caller: Caller, params: Params, *, enabled: bool
) -> Output:
    names = params["AlarmNames"]
    changed = [
        msgspec.structs.replace(alarm, actions_enabled=enabled)
        for alarm in (_named(plane, caller, names, None) if names else [])
        if alarm.actions_enabled is not enabled
    ]
    if changed:
        await plane.resources.save(*changed, now=plane.clock.now())
    return {}


# --- tags ------------------------------------------------------------------------------------


@operation("cloudwatch", "TagResource", changes_resources=True)
async def tag_alarm(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add tags to an alarm; one with a known key is overwritten."""
    alarm = _tagged(plane, caller, params)
    try:
        tags = with_tags(alarm.tags, params["Tags"])
    except ValidationException as error:
        raise InvalidParameterValueException(error.message) from error
    await plane.resources.save(msgspec.structs.replace(alarm, tags=tags), now=plane.clock.now())
    return {}


@operation("cloudwatch", "UntagResource", changes_resources=True)
async def untag_alarm(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags from an alarm. Keys that it does not have are removed already."""
    alarm = _tagged(plane, caller, params)
    tags = {key: value for key, value in alarm.tags.items() if key not in params["TagKeys"]}
    await plane.resources.save(msgspec.structs.replace(alarm, tags=tags), now=plane.clock.now())
    return {}


@operation("cloudwatch", "ListTagsForResource")
async def list_alarm_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return an alarm's tags."""
    tags = _tagged(plane, caller, params).tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _tagged(plane: ControlPlane, caller: Caller, params: Params) -> MetricAlarm:
    """Return the alarm that an ARN names. Raises InvalidParameterValue, ResourceNotFound."""
    text = params["ResourceARN"]
    arn = parse_arn(text)
    kind, _, name = ("", "", "") if arn is None else arn.resource.partition(":")
    if arn is None or arn.service != "cloudwatch" or kind != "alarm":
        raise InvalidParameterValueException(
            f"The value {text[:1_024]} for parameter ResourceARN is invalid: of CloudWatch's "
            "resources Farspan has alarms."
        )
    alarm = plane.resources.table(MetricAlarm).get(f"{caller.account}/{name}")
    if alarm is None or alarm.arn != text:
        raise NoSuchAlarm(f"Unknown resource: {text[:1_024]}")
    return alarm


def _shown(alarm: MetricAlarm) -> Mapping[str, Any]:
    """Return an alarm as DescribeAlarms does; what was not given is left out."""
    treat = alarm.treat_missing_data
    return {
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "AlarmConfigurationUpdatedTimestamp": alarm.configuration_updated_at,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": list(alarm.ok_actions),
        "AlarmActions": list(alarm.alarm_actions),
        "InsufficientDataActions": list(alarm.insufficient_data_actions),
        "StateValue": alarm.state.value,
        "StateReason": alarm.state_reason,
        "StateReasonData": alarm.state_reason_data,
        "StateUpdatedTimestamp": alarm.state_updated_at,
        "StateTransitionedTimestamp": alarm.state_transitioned_at,
        "MetricName": alarm.metric_name,
        "Namespace": alarm.namespace,
        "Statistic": alarm.statistic,
        "ExtendedStatistic": alarm.extended_statistic,
        "Dimensions": [{"Name": name, "Value": value} for name, value in alarm.dimensions],
        "Period": alarm.period,
        "Unit": alarm.unit,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison_operator.value,
        "TreatMissingData": None if treat is None else treat.value,
        "EvaluateLowSampleCountPercentile": alarm.evaluate_low_sample_count_percentile,
    }
