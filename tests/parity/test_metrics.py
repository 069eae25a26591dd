"""CloudWatch's metrics: what callers put, what EventBridge has of its own, how both are read."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.parity.conftest import ClientFactory, Eventually, MakeQueue

Refusal = Callable[..., tuple[str, str]]
MINUTE = 60
BUSES = "arn:aws:events:us-east-1:000000000000:event-bus"
EVERYTHING = '{"source":[{"prefix":""}]}'


def minute(minutes_ago: int = 5) -> datetime:
    """Return a whole minute some minutes ago."""
    now = SystemClock().now()
    return datetime.fromtimestamp(now - now % MINUTE - minutes_ago * MINUTE, UTC)


@pytest.fixture(scope="session")
def cloudwatch(client: ClientFactory) -> Any:
    """CloudWatch in us-east-1."""
    return client("cloudwatch")


def stat(name: str, at: datetime, statistics: list[str], **more: Any) -> dict[str, Any]:
    """Return the parameters of GetMetricStatistics for the minute of a time."""
    return {
        "Namespace": name,
        "MetricName": "m",
        "StartTime": at,
        "EndTime": at + timedelta(seconds=MINUTE),
        "Period": MINUTE,
        "Statistics": statistics,
        **more,
    }


ALL = ["SampleCount", "Sum", "Average", "Minimum", "Maximum"]


@pytest.mark.parametrize(
    ("datum", "expected"),
    [
        ({"Value": 4.0}, [1, 4, 4, 4, 4]),
        ({"Values": [1.0, 3.0]}, [2, 4, 2, 1, 3]),
        ({"Values": [1.0, 3.0], "Counts": [3.0, 1.0]}, [4, 6, 1.5, 1, 3]),
        (
            {"StatisticValues": {"SampleCount": 2, "Sum": 6, "Minimum": 1, "Maximum": 5}},
            [2, 6, 3, 1, 5],
        ),
    ],
    ids=["value", "values", "counts", "set"],
)
def test_data_points_are_put_in_three_forms(
    cloudwatch: BaseClient, name: str, datum: Mapping[str, Any], expected: list[float]
) -> None:
    """A value, values with counts, a statistic set: all five statistics follow."""
    at = minute()
    cloudwatch.put_metric_data(
        Namespace=name, MetricData=[{"MetricName": "m", "Timestamp": at, "Unit": "Count", **datum}]
    )
    answer = cloudwatch.get_metric_statistics(**stat(name, at, ALL))

    (point,) = answer["Datapoints"]
    assert answer["Label"] == "m"
    assert expected == [point[key] for key in ALL]
    assert (at, "Count") == (point["Timestamp"], point["Unit"])


def test_percentiles(cloudwatch: BaseClient, name: str) -> None:
    """They come of values, and not of statistic sets."""
    at = minute()
    values = [float(n) for n in range(1, 101)]
    cloudwatch.put_metric_data(
        Namespace=name, MetricData=[{"MetricName": "m", "Timestamp": at, "Values": values}]
    )
    params = stat(name, at, [])
    del params["Statistics"]
    (point,) = cloudwatch.get_metric_statistics(**params, ExtendedStatistics=["p50", "p99.9"])[
        "Datapoints"
    ]

    assert point["ExtendedStatistics"]["p50"] == pytest.approx(50, rel=0.02)
    assert point["ExtendedStatistics"]["p99.9"] == pytest.approx(100, rel=0.02)


def test_units_are_kept_apart(cloudwatch: BaseClient, name: str) -> None:
    """Without a unit all come, each with its own; with one, only its data points."""
    at = minute()
    for unit in ("Seconds", "Count"):
        datum = {"MetricName": "m", "Timestamp": at, "Value": 1.0, "Unit": unit}
        cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])
    params = stat(name, at, ["Sum"])

    every = cloudwatch.get_metric_statistics(**params)["Datapoints"]
    (seconds,) = cloudwatch.get_metric_statistics(**params, Unit="Seconds")["Datapoints"]

    assert {"Seconds", "Count"} == {point["Unit"] for point in every}
    assert (1, "Seconds") == (seconds["Sum"], seconds["Unit"])


def test_another_order_of_dimensions_is_the_same_metric(cloudwatch: BaseClient, name: str) -> None:
    """And other dimensions are another metric."""
    at = minute()
    pairs = [{"Name": "b", "Value": "2"}, {"Name": "a", "Value": "1"}]
    for dimensions in (pairs, pairs[::-1], pairs[:1]):
        datum = {"MetricName": "m", "Timestamp": at, "Value": 1.0, "Dimensions": dimensions}
        cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])
    params = stat(name, at, ["Sum"])

    (both,) = cloudwatch.get_metric_statistics(**params, Dimensions=pairs)["Datapoints"]
    (one,) = cloudwatch.get_metric_statistics(**params, Dimensions=pairs[:1])["Datapoints"]

    assert (2, 1) == (both["Sum"], one["Sum"])
    assert [] == cloudwatch.get_metric_statistics(**params)["Datapoints"]


def test_a_large_body_comes_compressed(cloudwatch: BaseClient, name: str) -> None:
    """What an SDK compresses with gzip is read, and its signature holds."""
    at = minute()
    data = [
        {"MetricName": f"metric-{n:03d}", "Timestamp": at, "Value": float(n)} for n in range(200)
    ]
    sent: list[str] = []
    cloudwatch.meta.events.register(
        "before-send.cloudwatch.PutMetricData",
        lambda request, **_: sent.append(str(request.headers.get("Content-Encoding"))),
        unique_id=name,
    )
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    cloudwatch.meta.events.unregister("before-send.cloudwatch.PutMetricData", unique_id=name)

    assert "gzip" in sent[0]
    assert len(cloudwatch.list_metrics(Namespace=name)["Metrics"]) == 200


def test_the_second_is_kept_for_a_while(cloudwatch: BaseClient, name: str) -> None:
    """For a quarter of an hour, data points are read by the second."""
    at = minute(2)
    for second in (0, 1, 7):
        moment = at + timedelta(seconds=second)
        datum = {"MetricName": "m", "Timestamp": moment, "Value": 1.0, "StorageResolution": 1}
        cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])
    params = stat(name, at, ["Sum"])

    def sums(period: int) -> dict[int, float]:
        found = cloudwatch.get_metric_statistics(**{**params, "Period": period})["Datapoints"]
        return {(point["Timestamp"] - at).seconds: point["Sum"] for point in found}

    assert {0: 1, 1: 1, 7: 1} == sums(1)
    assert {0: 2, 5: 1} == sums(5)
    assert {0: 3} == sums(60)


# --- refusals --------------------------------------------------------------------------------

WRONG: list[tuple[dict[str, Any], str, str]] = [
    ({}, "MissingParameter", "One of the parameters MetricData.member.1.Value"),
    (
        {"Value": 1.0, "Values": [1.0]},
        "InvalidParameterCombination",
        "MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive",
    ),
    ({"Value": 2.0**361}, "InvalidParameterValue", "MetricData.member.1.Value is invalid"),
    ({"Values": [1.0], "Counts": [1.0, 2.0]}, "InvalidParameterValue", "of the same size"),
    ({"Values": [1.0] * 151}, "InvalidParameterValue", "size from 1 to 150"),
    ({"Values": [1.0], "Counts": [0.0]}, "InvalidParameterValue", "greater than 0"),
    (
        {"StatisticValues": {"SampleCount": 1, "Sum": 1, "Minimum": 2, "Maximum": 1}},
        "InvalidParameterValue",
        "less than or equal to",
    ),
    ({"Value": 1.0, "StorageResolution": 30}, "InvalidParameterValue", "it is 1 or 60"),
    ({"Value": 1.0, "Timestamp": minute(15 * 1_440)}, "InvalidParameterValue", "two weeks"),
    ({"Value": 1.0, "Timestamp": minute(-240)}, "InvalidParameterValue", "two hours"),
    (
        {"Value": 1.0, "Dimensions": [{"Name": "a", "Value": "1"}, {"Name": "a", "Value": "2"}]},
        "InvalidParameterValue",
        "MetricData.member.1.Dimensions.member.2.Name",
    ),
    ({"Value": 1.0, "Unit": "Bananas"}, "ValidationError", "'metricData.1.member.unit'"),
]


@pytest.mark.parametrize(("datum", "code", "words"), WRONG, ids=[words for _, _, words in WRONG])
def test_a_wrong_data_point_is_refused_by_its_member(
    cloudwatch: BaseClient,
    refusal: Refusal,
    name: str,
    datum: dict[str, Any],
    code: str,
    words: str,
) -> None:
    """The error names the member; nothing of the call is taken."""
    good = {"MetricName": "good", "Value": 1.0}
    found = refusal(
        cloudwatch.put_metric_data,
        Namespace=name,
        MetricData=[{"MetricName": "m", **datum}, good],
    )

    assert code == found[0]
    assert words in found[1]
    assert [] == cloudwatch.list_metrics(Namespace=name)["Metrics"]


def test_namespaces_of_aws_are_not_for_callers(cloudwatch: BaseClient, refusal: Refusal) -> None:
    """Nobody forges what EventBridge says of itself."""
    code, message = refusal(
        cloudwatch.put_metric_data,
        Namespace="AWS/Events",
        MetricData=[{"MetricName": "Invocations", "Value": 1.0}],
    )

    assert code == "InvalidParameterValue"
    assert "AWS/Events" in message


@pytest.mark.parametrize(
    ("changes", "code", "words"),
    [
        ({"Period": 7}, "InvalidParameterValue", "multiple of 60"),
        ({"EndTime": minute(60)}, "InvalidParameterValue", "StartTime must be less"),
        ({"Statistics": None}, "MissingParameter", "Must specify either"),
        ({"ExtendedStatistics": ["p99"]}, "InvalidParameterCombination", "not both"),
        (
            {"Statistics": None, "ExtendedStatistics": ["tm99"]},
            "InvalidParameterValue",
            "Farspan has percentiles",
        ),
        (
            {"StartTime": minute(1_500)},
            "InvalidParameterCombination",
            "exceeds the limit of 1,440",
        ),
    ],
    ids=["period", "range", "none", "both", "extended", "many"],
)
def test_a_wrong_read_is_refused(
    cloudwatch: BaseClient,
    refusal: Refusal,
    name: str,
    changes: dict[str, Any],
    code: str,
    words: str,
) -> None:
    """Each by the documented error."""
    params = {**stat(name, minute(), ["Sum"]), **changes}
    given = {key: value for key, value in params.items() if value is not None}
    found = refusal(cloudwatch.get_metric_statistics, **given)

    assert code == found[0]
    assert words in found[1]


# --- ListMetrics -----------------------------------------------------------------------------


def test_metrics_are_listed_by_what_they_are(cloudwatch: BaseClient, name: str) -> None:
    """By namespace, name, and dimensions with or without a value."""
    for value in ("1", "2"):
        for metric in ("m", "n"):
            datum = {
                "MetricName": metric,
                "Value": 1.0,
                "Dimensions": [{"Name": "d", "Value": value}],
            }
            cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])

    def listed(**filters: Any) -> list[str]:
        found = cloudwatch.list_metrics(Namespace=name, **filters)["Metrics"]
        return [f"{one['MetricName']}{one['Dimensions'][0]['Value']}" for one in found]

    assert ["m1", "m2", "n1", "n2"] == listed()
    assert ["m1", "m2"] == listed(MetricName="m")
    assert ["m2", "n2"] == listed(Dimensions=[{"Name": "d", "Value": "2"}])
    assert ["m1", "m2", "n1", "n2"] == listed(Dimensions=[{"Name": "d"}])
    assert [] == listed(Dimensions=[{"Name": "other"}])


def test_only_recent_metrics_are_listed_where_asked(cloudwatch: BaseClient, name: str) -> None:
    """RecentlyActive leaves out what had no data for three hours."""
    data = [
        {"MetricName": "old", "Value": 1.0, "Timestamp": minute(200)},
        {"MetricName": "new", "Value": 1.0},
    ]
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)

    def listed(**filters: Any) -> list[str]:
        found = cloudwatch.list_metrics(Namespace=name, **filters)["Metrics"]
        return [one["MetricName"] for one in found]

    assert ["new", "old"] == listed()
    assert ["new"] == listed(RecentlyActive="PT3H")


def test_metrics_come_in_pages_of_500(cloudwatch: BaseClient, refusal: Refusal, name: str) -> None:
    """A token leads on, and is good for its own filter alone."""
    data = [{"MetricName": f"m{n:04d}", "Value": 1.0} for n in range(501)]
    cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    first = cloudwatch.list_metrics(Namespace=name)
    second = cloudwatch.list_metrics(Namespace=name, NextToken=first["NextToken"])

    assert (500, 1) == (len(first["Metrics"]), len(second["Metrics"]))
    assert "NextToken" not in second
    assert (
        "InvalidParameterValue"
        == refusal(cloudwatch.list_metrics, Namespace="other", NextToken=first["NextToken"])[0]
    )


def test_metrics_are_of_an_account_and_a_region(
    cloudwatch: BaseClient, client: ClientFactory, other: ClientFactory, name: str
) -> None:
    """Nobody else sees them, and no other Region."""
    datum = {"MetricName": "m", "Value": 1.0}
    cloudwatch.put_metric_data(Namespace=name, MetricData=[datum])

    for elsewhere in (other("cloudwatch"), client("cloudwatch", "us-west-2")):
        assert [] == elsewhere.list_metrics(Namespace=name)["Metrics"]


# --- GetMetricData ---------------------------------------------------------------------------


def query(name: str, metric: str, query_id: str, **more: Any) -> dict[str, Any]:
    """Return a query for the sums of a metric by the minute."""
    where = {"Namespace": name, "MetricName": metric}
    return {"Id": query_id, "MetricStat": {"Metric": where, "Period": 60, "Stat": "Sum"}, **more}


@pytest.fixture
def three_minutes(cloudwatch: BaseClient, name: str) -> dict[str, Any]:
    """Put 1, 2 and 3 into two metrics, a minute each; return a range that has all of it."""
    start = minute(10)
    for metric in ("m", "n"):
        data = [
            {
                "MetricName": metric,
                "Value": float(n + 1),
                "Timestamp": start + timedelta(seconds=n * MINUTE),
            }
            for n in range(3)
        ]
        cloudwatch.put_metric_data(Namespace=name, MetricData=data)
    return {"StartTime": start, "EndTime": start + timedelta(seconds=3 * MINUTE)}


def test_several_metrics_are_read_at_once(
    cloudwatch: BaseClient, name: str, three_minutes: dict[str, Any]
) -> None:
    """Each query has its result, the newest data point first unless asked otherwise."""
    queries = [
        query(name, "m", "a"),
        query(name, "n", "b", Label="other"),
        query(name, "nothing", "c"),
        query(name, "m", "d", ReturnData=False),
    ]
    newest_first = cloudwatch.get_metric_data(MetricDataQueries=queries, **three_minutes)
    oldest_first = cloudwatch.get_metric_data(
        MetricDataQueries=queries, ScanBy="TimestampAscending", **three_minutes
    )

    def shown(answer: Any) -> list[tuple[str, str, list[float], str]]:
        return [
            (one["Id"], one["Label"], one["Values"], one["StatusCode"])
            for one in answer["MetricDataResults"]
        ]

    assert [
        ("a", "m", [3, 2, 1], "Complete"),
        ("b", "other", [3, 2, 1], "Complete"),
        ("c", "nothing", [], "Complete"),
    ] == shown(newest_first)
    assert [1, 2, 3] == shown(oldest_first)[0][2]
    times = oldest_first["MetricDataResults"][0]["Timestamps"]
    assert three_minutes["StartTime"] == times[0]


def test_data_points_come_in_pages(
    cloudwatch: BaseClient, refusal: Refusal, name: str, three_minutes: dict[str, Any]
) -> None:
    """A page has as many as asked for; what it cuts is told, and goes on with the token."""
    params = {
        "MetricDataQueries": [query(name, "m", "a"), query(name, "n", "b")],
        "MaxDatapoints": 2,
        **three_minutes,
    }
    pages: list[list[tuple[str, list[float], str]]] = []
    token: dict[str, str] = {}
    while True:
        answer = cloudwatch.get_metric_data(**params, **token)
        pages.append([(r["Id"], r["Values"], r["StatusCode"]) for r in answer["MetricDataResults"]])
        if "NextToken" not in answer:
            break
        token = {"NextToken": answer["NextToken"]}

    assert [
        [("a", [3, 2], "PartialData")],
        [("a", [1], "Complete"), ("b", [3], "PartialData")],
        [("b", [2, 1], "Complete")],
    ] == pages
    assert (
        "InvalidNextToken"
        == refusal(cloudwatch.get_metric_data, **{**params, "MaxDatapoints": 3}, **token)[0]
    )


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"Id": "A"}, "an id begins with a lower-case letter"),
        ({"Id": "a", "Expression": "1 + 1"}, "metric math"),
        ({"Id": "a"}, "MetricStat is required"),
        (query("n", "m", "a", Label="${MAX}"), "dynamic labels"),
        (query("n", "m", "a", AccountId="111111111111"), "the caller's account alone"),
    ],
    ids=["id", "math", "nothing", "label", "account"],
)
def test_a_query_that_cannot_be_answered_is_refused_by_its_id(
    cloudwatch: BaseClient, refusal: Refusal, wrong: dict[str, Any], words: str
) -> None:
    """By name, where it is what Farspan does not have."""
    code, message = refusal(
        cloudwatch.get_metric_data,
        MetricDataQueries=[wrong],
        StartTime=minute(),
        EndTime=minute(1),
    )

    assert code == "ValidationError"
    assert f"with the id {wrong['Id']} is not valid: " in message
    assert words in message


# --- what EventBridge says of itself ---------------------------------------------------------


def sums_of(cloudwatch: Any, metric: str, dimensions: Mapping[str, str]) -> float:
    """Return the sum of a metric over the last ten minutes, 0 where there is none."""
    now = SystemClock().now()
    found = cloudwatch.get_metric_statistics(
        Namespace="AWS/Events",
        MetricName=metric,
        Dimensions=[{"Name": name, "Value": value} for name, value in dimensions.items()],
        StartTime=now - 600,
        EndTime=now + 60,
        Period=60,
        Statistics=["Sum"],
    )["Datapoints"]
    return float(sum(point["Sum"] for point in found))


def test_a_rule_has_its_metrics(
    cloudwatch: BaseClient,
    events: BaseClient,
    make_queue: MakeQueue,
    bus: str,
    eventually: Eventually,
) -> None:
    """What matched, was attempted, failed and went to the dead-letter queue, by bus and rule."""
    good, letters = make_queue(bus), make_queue(f"{bus}-letters")
    gone = f"{good.arn}-gone"
    events.put_rule(Name=bus, EventBusName=bus, EventPattern=EVERYTHING)
    targets = [
        {"Id": "good", "Arn": good.arn},
        {"Id": "gone", "Arn": gone, "DeadLetterConfig": {"Arn": letters.arn}},
    ]
    events.put_targets(Rule=bus, EventBusName=bus, Targets=targets)
    entry = {"Source": "s", "DetailType": "t", "Detail": json.dumps({}), "EventBusName": bus}
    events.put_events(Entries=[entry] * 3)
    own = {"EventBusName": bus, "RuleName": bus}
    expected = {
        "MatchedEvents": 3,
        "TriggeredRules": 3,
        "InvocationsCreated": 6,
        "InvocationAttempts": 6,
        "SuccessfulInvocationAttempts": 3,
        "Invocations": 6,
        "FailedInvocations": 3,
        "InvocationsSentToDlq": 3,
        "RetryInvocationAttempts": 0,
        "InvocationsFailedToBeSentToDlq": 0,
    }

    eventually(lambda: sums_of(cloudwatch, "InvocationsSentToDlq", own) == 3)

    assert expected == {metric: sums_of(cloudwatch, metric, own) for metric in expected}
    assert sums_of(cloudwatch, "MatchedEvents", {"EventBusName": bus}) == 3


@pytest.mark.parametrize("dimension", ["none", "bus", "rule"])
def test_latencies_are_measured_from_ingestion(
    cloudwatch: BaseClient,
    events: BaseClient,
    make_queue: MakeQueue,
    subscribe: Callable[..., None],
    bus: str,
    eventually: Eventually,
    dimension: str,
) -> None:
    """To the start of the first attempt and to success: without dimensions, by bus, by rule."""
    subscribe(bus, make_queue(bus), EVERYTHING)
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": bus}
    events.put_events(Entries=[entry])
    dimensions: dict[str, dict[str, str]] = {
        "none": {},
        "bus": {"EventBusName": bus},
        "rule": {"EventBusName": bus, "RuleName": bus},
    }
    where = [{"Name": name, "Value": value} for name, value in dimensions[dimension].items()]

    def latency(metric: str) -> dict[str, Any] | None:
        now = SystemClock().now()
        found = cloudwatch.get_metric_statistics(
            Namespace="AWS/Events",
            MetricName=metric,
            Dimensions=where,
            StartTime=now - 120,
            EndTime=now + 60,
            Period=60,
            Statistics=["Average", "SampleCount"],
        )["Datapoints"]
        return found[0] if found else None

    for metric in ("Start", "Complete", "Success"):
        point = eventually(lambda: latency(f"IngestionToInvocation{metric}Latency"))  # noqa: B023
        assert 0 <= point["Average"] < 10_000
        assert (point["Unit"], point["SampleCount"] >= 1) == ("Milliseconds", True)


def test_calls_are_counted(
    other: ClientFactory, refusal: Refusal, eventually: Eventually, name: str
) -> None:
    """Calls, their entries, refused entries, and calls that ended in an error."""
    cloudwatch, events = other("cloudwatch"), other("events")
    names = ["ApproximateCallCount", "ApproximateSuccessCount", "ApproximateFailedCount"]
    names += ["EntriesCount", "FailedEntriesCount", "RequestSize"]

    def counted() -> list[float]:
        return [sums_of(cloudwatch, f"PutEvents{metric}", {}) for metric in names]

    before = counted()
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}"}
    events.put_events(Entries=[entry, entry, {**entry, "Detail": "no"}])
    refusal(
        events.put_events,
        Entries=[{**entry, "EventBusName": f"{BUSES}/{name}"}],
    )
    eventually(lambda: counted()[0] == before[0] + 2)
    gained = [after - former for after, former in zip(counted(), before, strict=True)]

    assert [2, 1, 1, 3, 1] == gained[:5]
    assert gained[5] > 100
