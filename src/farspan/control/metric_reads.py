"""What there is of metrics: ListMetrics, GetMetricStatistics, GetMetricData.

Periods are counted from the epoch. A metric is read by the second for a quarter of an hour, by
whatever resolution it was put. Metric math is not there, and named where it is asked for.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from farspan.control.metric_values import dimensions_of
from farspan.control.paging import page, read_offset, write_offset
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    InvalidNextToken,
    InvalidParameterCombinationException,
    InvalidParameterValueException,
    MissingRequiredParameterException,
    ValidationException,
)
from farspan.metrics.statistics import STATISTICS, StatisticSet, is_statistic
from farspan.model.metric import Metric

PAGE_SIZE: Final = 500
RECENT_SECONDS: Final = 3 * 3_600
MINUTE: Final = 60
SHORT_PERIODS: Final = (1, 5, 10, 20, 30)
STATISTIC_DATAPOINTS_MAX: Final = 1_440
QUERY_COUNT_MAX: Final = 500
DATAPOINTS_MAX: Final = 100_800
QUERY_ID: Final = re.compile(r"[a-z][a-zA-Z0-9_]{0,254}")

Points = list[tuple[int, float]]


@operation("cloudwatch", "ListMetrics")
async def list_metrics(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the account's metrics that had data within two weeks, 500 a page."""
    if params.get("IncludeLinkedAccounts"):
        raise InvalidParameterValueException("Farspan does not have IncludeLinkedAccounts yet.")
    owner = params.get("OwningAccount")
    since = plane.clock.now() - RECENT_SECONDS if params.get("RecentlyActive") else 0.0
    found = [
        metric
        for metric, last_at in plane.metrics.metrics(caller.account)
        if last_at > since and owner in (None, caller.account) and _is_wanted(metric, params)
    ]
    filters = [params.get(name) for name in ("Namespace", "MetricName", "Dimensions")]
    try:
        shown, token = page(
            found,
            _key,
            filter_text=f"ListMetrics/{caller.account}/{filters}/{params.get('RecentlyActive')}",
            token=params.get("NextToken"),
            limit=PAGE_SIZE,
            size_max=PAGE_SIZE,
        )
    except ValidationException as error:
        raise InvalidParameterValueException("Invalid nextToken") from error
    return {"Metrics": [_shown(metric) for metric in shown], "NextToken": token}


def _key(metric: Metric) -> str:
    return repr((metric.namespace, metric.name, metric.dimensions))


def _is_wanted(metric: Metric, params: Params) -> bool:
    if params.get("Namespace") not in (None, metric.namespace):
        return False
    if params.get("MetricName") not in (None, metric.name):
        return False
    has = dict(metric.dimensions)
    return all(
        wanted["Name"] in has and wanted.get("Value") in (None, has[wanted["Name"]])
        for wanted in params.get("Dimensions") or ()
    )


def _shown(metric: Metric) -> dict[str, Any]:
    return {
        "Namespace": metric.namespace,
        "MetricName": metric.name,
        "Dimensions": [{"Name": name, "Value": value} for name, value in metric.dimensions],
    }


# --- GetMetricStatistics ---------------------------------------------------------------------


@operation("cloudwatch", "GetMetricStatistics")
async def get_metric_statistics(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a metric's data points of a range, 1,440 at most, one for each unit and period."""
    extended = params.get("ExtendedStatistics") or []
    names = params.get("Statistics") or extended
    if not names:
        raise MissingRequiredParameterException(
            "Must specify either Statistics or ExtendedStatistics."
        )
    if params.get("Statistics") and extended:
        raise InvalidParameterCombinationException(
            "Must specify either Statistics or ExtendedStatistics, not both."
        )
    wrong = [name for name in names if not is_statistic(name)]
    if wrong or (extended and set(extended) & set(STATISTICS)):
        raise InvalidParameterValueException(
            f"The value {(wrong or extended)[0]} for parameter ExtendedStatistics is invalid. "
            "Farspan has percentiles, such as p99.9, and no other extended statistics."
        )
    period = params["Period"]
    start, end = _range(params, period)
    if (end - start) / period > STATISTIC_DATAPOINTS_MAX:
        raise InvalidParameterCombinationException(
            f"You have requested up to {math.ceil((end - start) / period):,} datapoints, which "
            f"exceeds the limit of {STATISTIC_DATAPOINTS_MAX:,}. You may reduce the datapoints "
            "requested by increasing Period, or decreasing the time range."
        )
    name = params["MetricName"]
    dimensions = dimensions_of(params.get("Dimensions"))
    metric = Metric(caller.account, params["Namespace"], name, dimensions)
    datapoints: list[dict[str, Any]] = []
    for unit in _units(plane, metric, params.get("Unit")):
        sets = await plane.metrics.sets(metric, unit, period, start, end)
        datapoints += [
            _datapoint(at, unit, one, names, is_extended=bool(extended)) for at, one in sets.items()
        ]
    return {"Label": name, "Datapoints": datapoints}


def _units(plane: ControlPlane, metric: Metric, unit: str | None) -> list[str]:
    return list(plane.metrics.units(metric)) if unit is None else [unit]


def _range(params: Params, period: int) -> tuple[int, int]:
    """Return where the first period begins, and the end. Raises InvalidParameterValue."""
    if not is_period(period):
        raise InvalidParameterValueException(
            f"The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60, not {period}."
        )
    if params["StartTime"] >= params["EndTime"]:
        raise InvalidParameterValueException(
            "The parameter StartTime must be less than the parameter EndTime."
        )
    return math.floor(params["StartTime"] / period) * period, math.ceil(params["EndTime"])


def is_period(seconds: int) -> bool:
    """Tell whether metrics are read by a period of so many seconds."""
    return seconds in SHORT_PERIODS or (seconds > 0 and seconds % MINUTE == 0)


def _datapoint(
    at: int, unit: str, given: StatisticSet, names: list[str], *, is_extended: bool
) -> dict[str, Any]:
    values = {name: given.statistic(name) for name in names}
    known = {name: value for name, value in values.items() if value is not None}
    shown = {"ExtendedStatistics": known} if is_extended else known
    return {"Timestamp": at, "Unit": unit, **shown}


# --- GetMetricData ---------------------------------------------------------------------------


@operation("cloudwatch", "GetMetricData")
async def get_metric_data(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the data points of up to 500 metrics, `MaxDatapoints` in all on a page."""
    queries = params["MetricDataQueries"]
    _check_queries(queries, caller)
    if params["StartTime"] >= params["EndTime"]:
        raise ValidationException(
            "The parameter StartTime must be less than the parameter EndTime."
        )
    limit = params.get("MaxDatapoints") or DATAPOINTS_MAX
    if not 1 <= limit <= DATAPOINTS_MAX:
        raise ValidationException(f"MaxDatapoints must be from 1 to {DATAPOINTS_MAX}.")
    asked = {name: params.get(name) for name in sorted(params) if name != "NextToken"}
    bound_to = f"GetMetricData/{caller.account}/{asked}"
    try:
        skipped = read_offset(params.get("NextToken"), bound_to)
    except ValidationException as error:
        raise InvalidNextToken("The token is not one of this request.") from error
    results: list[dict[str, Any]] = []
    left, seen, token = limit, 0, None
    for query in queries:
        if query.get("ReturnData") is False:
            continue
        points = await _points(plane, caller, query["MetricStat"], params)
        first = max(0, skipped - seen)
        shown = points[first:][:left]
        is_whole = first + len(shown) >= len(points)
        if shown or (not points and not first):
            results.append(_result(query, shown, is_whole=is_whole))
        left -= len(shown)
        seen += len(points)
        if not is_whole:
            token = write_offset(skipped + limit, bound_to)
            break
    return {"MetricDataResults": results, "NextToken": token, "Messages": []}


def _check_queries(queries: list[Mapping[str, Any]], caller: Caller) -> None:
    """Raise ValidationException for what cannot be answered, by the query's id."""
    if not 1 <= len(queries) <= QUERY_COUNT_MAX:
        raise ValidationException(
            f"The collection MetricDataQueries must have a size from 1 to {QUERY_COUNT_MAX}."
        )
    if len({query["Id"] for query in queries}) < len(queries):
        raise ValidationException("The values for parameter id in MetricDataQueries differ.")
    for query in queries:
        reason = _flaw(query, caller)
        if reason:
            raise ValidationException(
                f"The MetricDataQuery with the id {query['Id']} is not valid: {reason}"
            )


def _flaw(query: Mapping[str, Any], caller: Caller) -> str | None:
    stat = query.get("MetricStat")
    if not QUERY_ID.fullmatch(query["Id"]):
        return "an id begins with a lower-case letter; letters, digits and _ follow."
    if query.get("Expression"):
        return "Farspan does not have metric math yet."
    if query.get("AccountId") not in (None, caller.account):
        return "Farspan shows the metrics of the caller's account alone."
    if "${" in (query.get("Label") or ""):
        return "Farspan does not have dynamic labels yet."
    return "MetricStat is required." if stat is None else _flaw_of_stat(stat)


def _flaw_of_stat(stat: Mapping[str, Any]) -> str | None:
    metric = stat["Metric"]
    if not is_period(stat["Period"]):
        return "Period must be 1, 5, 10, 20, 30 or a multiple of 60."
    if not is_statistic(stat["Stat"]):
        return f"Farspan has {', '.join(STATISTICS)} and percentiles, not {stat['Stat'][:64]}."
    if not (metric.get("Namespace") and metric.get("MetricName")):
        return "Namespace and MetricName are required."
    return None


async def _points(
    plane: ControlPlane, caller: Caller, stat: Mapping[str, Any], params: Params
) -> Points:
    """Return a query's data points in the order asked for, the newest first unless said."""
    given, period = stat["Metric"], stat["Period"]
    dimensions = dimensions_of(given.get("Dimensions"))
    metric = Metric(caller.account, given["Namespace"], given["MetricName"], dimensions)
    start = math.floor(params["StartTime"] / period) * period
    end = math.ceil(params["EndTime"])
    sets = await plane.metrics.sets(metric, stat.get("Unit"), period, start, end)
    points = [
        (at, value)
        for at, one in sets.items()
        if (value := one.statistic(stat["Stat"])) is not None
    ]
    return points if params.get("ScanBy") == "TimestampAscending" else points[::-1]


def _result(query: Mapping[str, Any], points: Points, *, is_whole: bool) -> dict[str, Any]:
    return {
        "Id": query["Id"],
        "Label": query.get("Label") or query["MetricStat"]["Metric"]["MetricName"],
        "Timestamps": [at for at, _ in points],
        "Values": [value for _, value in points],
        "StatusCode": "Complete" if is_whole else "PartialData",
    }
