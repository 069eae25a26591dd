"""PutMetricData: a caller's own data points.

They are shown at once, where CloudWatch takes minutes. A call is taken as a whole or not at all.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    LimitExceededFault,
    MissingRequiredParameterException,
)
from farspan.metrics.service import SERIES_MAX
from farspan.metrics.statistics import StatisticSet, set_of
from farspan.model.metric import NO_UNIT, Dimensions, Metric

DATA_COUNT_MAX: Final = 1_000
VALUE_COUNT_MAX: Final = 150
VALUE_MAX: Final = 2.0**360
PAST_SECONDS_MAX: Final = 14 * 86_400
FUTURE_SECONDS_MAX: Final = 2 * 3_600
RESOLUTIONS: Final = (1, 60)
VALUE_MEMBERS: Final = ("Value", "StatisticValues", "Values")


@operation("cloudwatch", "PutMetricData")
async def put_metric_data(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Take data points. Raises the documented errors, each naming the member."""
    namespace = params["Namespace"]
    if namespace.startswith("AWS/"):
        raise InvalidParameterValueException(
            f"The value {namespace} for parameter Namespace is invalid: namespaces that begin with "
            "AWS/ are AWS's own."
        )
    if params.get("EntityMetricData"):
        raise InvalidParameterValueException("Farspan does not have EntityMetricData yet.")
    data = params.get("MetricData") or []
    if not data:
        raise MissingRequiredParameterException("The parameter MetricData is required.")
    if len(data) > DATA_COUNT_MAX:
        raise InvalidParameterValueException(
            f"The collection MetricData must not have a size greater than {DATA_COUNT_MAX}."
        )
    now = plane.clock.now()
    taken = [
        (
            Metric(
                caller.account,
                namespace,
                datum["MetricName"],
                dimensions_of(datum.get("Dimensions"), f"{where}.Dimensions"),
            ),
            datum.get("Unit") or NO_UNIT,
            _time(datum, where, now),
            _statistics(datum, where),
        )
        for where, datum in ((f"MetricData.member.{n}", d) for n, d in enumerate(data, 1))
    ]
    if not plane.metrics.has_room_for({(metric, unit) for metric, unit, _, _ in taken}):
        raise LimitExceededFault(
            f"Region {plane.region} keeps at most {SERIES_MAX} metrics, and nothing was taken. "
            "Metrics without data for two weeks make room."
        )
    for metric, unit, at, statistics in taken:
        plane.metrics.put(metric, unit, at, statistics)
    return {}


def dimensions_of(
    given: Sequence[Mapping[str, str]] | None, where: str = "Dimensions"
) -> Dimensions:
    """Return a list of dimensions as a metric has them.

    Raises InvalidParameterValue for a name that comes twice or begins with a colon.
    """
    found: dict[str, str] = {}
    for number, dimension in enumerate(given or (), 1):
        name = dimension["Name"]
        if name in found or name.startswith(":"):
            raise InvalidParameterValueException(
                f"The value {name} for parameter {where}.member.{number}.Name is invalid: names of "
                "dimensions differ, and do not begin with a colon."
            )
        found[name] = dimension["Value"]
    return tuple(sorted(found.items()))


def _time(datum: Mapping[str, Any], where: str, now: float) -> float:
    at = float(datum.get("Timestamp") or now)
    if not now - PAST_SECONDS_MAX <= at <= now + FUTURE_SECONDS_MAX:
        raise InvalidParameterValueException(
            f"The parameter {where}.Timestamp must specify a time no more than two weeks in the "
            "past and no more than two hours in the future."
        )
    return at


def _statistics(datum: Mapping[str, Any], where: str) -> StatisticSet:
    given = [name for name in VALUE_MEMBERS if datum.get(name) is not None]
    if not given:
        raise MissingRequiredParameterException(
            f"One of the parameters {where}.Value, {where}.Values and {where}.StatisticValues is "
            "required."
        )
    if len(given) > 1:
        raise InvalidParameterCombinationException(
            f"The parameters {where}.{given[0]} and {where}.{given[1]} are mutually exclusive and "
            "you have specified both."
        )
    if datum.get("StorageResolution", RESOLUTIONS[0]) not in RESOLUTIONS:
        raise InvalidParameterValueException(
            f"The value {datum['StorageResolution']} for parameter {where}.StorageResolution is "
            "invalid: it is 1 or 60."
        )
    if given == ["Value"]:
        return set_of([_number(datum["Value"], f"{where}.Value")], [1.0])
    if given == ["StatisticValues"]:
        return _given_set(datum["StatisticValues"], f"{where}.StatisticValues")
    return _listed(datum, where)


def _listed(datum: Mapping[str, Any], where: str) -> StatisticSet:
    values: list[float] = datum["Values"]
    counts: list[float] = datum.get("Counts") or [1.0] * len(values)
    if not 1 <= len(values) <= VALUE_COUNT_MAX:
        raise InvalidParameterValueException(
            f"The collection {where}.Values must have a size from 1 to {VALUE_COUNT_MAX}."
        )
    if len(values) != len(counts):
        raise InvalidParameterValueException(
            f"The parameters {where}.Values and {where}.Counts must be of the same size."
        )
    return set_of(
        [_number(value, f"{where}.Values") for value in values],
        [_count(count, f"{where}.Counts") for count in counts],
    )


def _given_set(given: Mapping[str, float], where: str) -> StatisticSet:
    minimum, maximum, total = (
        _number(given[name], f"{where}.{name}") for name in ("Minimum", "Maximum", "Sum")
    )
    if minimum > maximum:
        raise InvalidParameterValueException(
            f"The parameter {where}.Minimum must be less than or equal to {where}.Maximum."
        )
    count = _count(given["SampleCount"], f"{where}.SampleCount")
    return StatisticSet(count, total, minimum, maximum)


def _count(value: float, where: str) -> float:
    if _number(value, where) <= 0:
        raise InvalidParameterValueException(f"The parameter {where} must be greater than 0.")
    return float(value)


def _number(value: float, where: str) -> float:
    if not math.isfinite(value) or abs(value) > VALUE_MAX:
        raise InvalidParameterValueException(f"The value {value} for parameter {where} is invalid.")
    return float(value)
