"""CloudWatch's alarms: put, described, evaluated, set, tagged, deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from botocore.client import BaseClient
    from tests.parity.conftest import ClientFactory, Eventually, MakeQueue

Refusal = Callable[..., tuple[str, str]]
OWN = "000000000000"
TOPIC = f"arn:aws:sns:us-east-1:{OWN}:topic"


def alarm_on(name: str, **changes: Any) -> dict[str, Any]:
    """Return the parameters of an alarm that goes off where the sum of ten seconds is above 5."""
    params: dict[str, Any] = {
        "AlarmName": name,
        "Namespace": name,
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 10,
        "EvaluationPeriods": 1,
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
        **changes,
    }
    return {key: value for key, value in params.items() if value is not None}


def arn_of(name: str, account: str = OWN) -> str:
    """Return an alarm's ARN."""
    return f"arn:aws:cloudwatch:us-east-1:{account}:alarm:{name}"


@pytest.fixture(scope="session")
def cloudwatch(client: ClientFactory) -> Any:
    """CloudWatch in us-east-1."""
    return client("cloudwatch")


@pytest.fixture
def put_alarm(cloudwatch: BaseClient, name: str) -> Iterator[Callable[..., str]]:
    """Put alarms whose names begin with the test's; they are deleted afterwards."""

    def put_alarm(suffix: str = "", **changes: Any) -> str:
        alarm = alarm_on(name + suffix, **changes)
        cloudwatch.put_metric_alarm(**alarm)
        return str(alarm["AlarmName"])

    yield put_alarm
    found = cloudwatch.describe_alarms(AlarmNamePrefix=name, MaxRecords=100)["MetricAlarms"]
    if found:
        cloudwatch.delete_alarms(AlarmNames=[alarm["AlarmName"] for alarm in found])


def described(cloudwatch: Any, name: str) -> dict[str, Any]:
    """Return the alarm of a name."""
    (found,) = cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    return dict(found)


def test_an_alarm_is_shown_as_it_was_put(
    cloudwatch: BaseClient, put_alarm: Callable[..., str]
) -> None:
    """With its ARN and the state of a new alarm; what was not given is not there."""
    given = {
        "AlarmDescription": "d",
        "Dimensions": [{"Name": "a", "Value": "1"}],
        "Unit": "Count",
        "DatapointsToAlarm": 1,
        "EvaluationPeriods": 2,
        "TreatMissingData": "ignore",
        "AlarmActions": [TOPIC],
        "ActionsEnabled": False,
        "Period": 3_600,
    }
    name = put_alarm(**given)
    alarm = described(cloudwatch, name)
    times = {key: alarm.pop(key) for key in list(alarm) if key.endswith("Timestamp")}

    assert {
        **alarm_on(name, **given),
        "AlarmArn": arn_of(name),
        "OKActions": [],
        "InsufficientDataActions": [],
        "StateValue": "INSUFFICIENT_DATA",
        "StateReason": "Unchecked: Initial alarm creation",
    } == alarm
    assert len(set(times.values())) == 1
    assert set(times) == {
        "AlarmConfigurationUpdatedTimestamp",
        "StateUpdatedTimestamp",
        "StateTransitionedTimestamp",
    }


def test_putting_again_overwrites_all_but_the_state(
    cloudwatch: BaseClient, put_alarm: Callable[..., str]
) -> None:
    """What the second call leaves out is gone; state and tags stay."""
    name = put_alarm(
        AlarmDescription="d",
        Period=3_600,
        TreatMissingData="ignore",
        Tags=[{"Key": "k", "Value": "v"}],
    )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    put_alarm(Threshold=7.0, Period=3_600, TreatMissingData="ignore")
    alarm = described(cloudwatch, name)

    assert "AlarmDescription" not in alarm
    assert (7.0, "ALARM", "a test") == tuple(
        alarm[key] for key in ("Threshold", "StateValue", "StateReason")
    )
    tags = cloudwatch.list_tags_for_resource(ResourceARN=arn_of(name))["Tags"]
    assert [{"Key": "k", "Value": "v"}] == tags


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"Period": 15}, "Period must be 10, 20, 30 or a multiple of 60"),
    ({"Period": 60, "EvaluationPeriods": 1_441}, "EvaluationPeriods * Period must be <= 86400"),
    ({"Period": 3_600, "EvaluationPeriods": 169}, "EvaluationPeriods * Period must be <= 604800"),
    ({"DatapointsToAlarm": 2}, "DatapointsToAlarm must be less than or equal to"),
    ({"TreatMissingData": "bad"}, "TreatMissingData must be one of"),
    ({"Statistic": None}, "Exactly one of Statistic and ExtendedStatistic"),
    ({"ExtendedStatistic": "p99"}, "Exactly one of Statistic and ExtendedStatistic"),
    ({"Statistic": None, "ExtendedStatistic": "tm90"}, "Farspan has percentiles"),
    ({"Threshold": None}, "The parameter Threshold is required"),
    ({"MetricName": None}, "The parameter MetricName is required"),
    ({"AlarmActions": ["topic"]}, "Invalid arn syntax: topic"),
    ({"ComparisonOperator": "LessThanLowerThreshold"}, "anomaly detection"),
    ({"Metrics": [{"Id": "a"}]}, "Farspan does not have Metrics of alarms yet"),
    ({"ComparisonOperator": "Above"}, "'comparisonOperator' failed to satisfy constraint"),
    ({"EvaluateLowSampleCountPercentile": "ignore"}, "for alarms on percentiles"),
]


@pytest.mark.parametrize(("changes", "words"), WRONG, ids=[words for _, words in WRONG])
def test_a_wrong_alarm_is_refused(
    cloudwatch: BaseClient, refusal: Refusal, name: str, changes: dict[str, Any], words: str
) -> None:
    """By CloudWatch's ValidationError, with what is wrong; no alarm is made."""
    code, message = refusal(cloudwatch.put_metric_alarm, **alarm_on(name, **changes))

    assert code == "ValidationError"
    assert words in message
    assert [] == cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]


# --- finding ---------------------------------------------------------------------------------


def test_alarms_are_found(cloudwatch: BaseClient, put_alarm: Callable[..., str], name: str) -> None:
    """By names, prefix, state, actions, and on which metric they are."""
    slow = {"Period": 3_600, "TreatMissingData": "ignore"}
    put_alarm("-a", **slow)
    put_alarm("-b", **slow, AlarmActions=[TOPIC])
    put_alarm("-c", **slow, Statistic="Average")
    cloudwatch.set_alarm_state(AlarmName=f"{name}-c", StateValue="OK", StateReason="a test")

    def found(**filters: Any) -> str:
        answer = cloudwatch.describe_alarms(**filters)
        assert answer["CompositeAlarms"] == []
        return "".join(alarm["AlarmName"][-1] for alarm in answer["MetricAlarms"])

    of_metric = cloudwatch.describe_alarms_for_metric(
        Namespace=f"{name}-a", MetricName="m", Statistic="Sum"
    )

    assert found(AlarmNamePrefix=name) == "abc"
    assert found(AlarmNames=[f"{name}-c", f"{name}-a", "nothing"]) == "ac"
    assert found(AlarmNamePrefix=name, StateValue="OK") == "c"
    assert found(AlarmNamePrefix=name, ActionPrefix="arn:aws:sns") == "b"
    assert found(AlarmNamePrefix=name, AlarmTypes=["CompositeAlarm"]) == ""
    assert [f"{name}-a"] == [alarm["AlarmName"] for alarm in of_metric["MetricAlarms"]]


def test_alarms_come_in_pages(
    cloudwatch: BaseClient, refusal: Refusal, put_alarm: Callable[..., str], name: str
) -> None:
    """By name; a token is good for its own filter."""
    for suffix in "abc":
        put_alarm(suffix, Period=3_600)
    first = cloudwatch.describe_alarms(AlarmNamePrefix=name, MaxRecords=2)
    second = cloudwatch.describe_alarms(AlarmNamePrefix=name, NextToken=first["NextToken"])

    assert [f"{name}a", f"{name}b"] == [alarm["AlarmName"] for alarm in first["MetricAlarms"]]
    assert [f"{name}c"] == [alarm["AlarmName"] for alarm in second["MetricAlarms"]]
    assert "NextToken" not in second
    code, _ = refusal(cloudwatch.describe_alarms, NextToken=first["NextToken"])
    assert code == "InvalidNextToken"


def test_names_and_a_prefix_exclude_each_other(cloudwatch: BaseClient, refusal: Refusal) -> None:
    """As CloudWatch documents it."""
    code, message = refusal(cloudwatch.describe_alarms, AlarmNames=["a"], AlarmNamePrefix="a")

    assert ("ValidationError", True) == (code, "mutually exclusive" in message)


def test_the_alarms_of_another_account_are_not_seen(
    cloudwatch: BaseClient, other: ClientFactory, refusal: Refusal, put_alarm: Callable[..., str]
) -> None:
    """Nor set, nor deleted."""
    name = put_alarm(Period=3_600)
    theirs = other("cloudwatch")

    assert [] == theirs.describe_alarms(AlarmNames=[name])["MetricAlarms"]
    state = {"AlarmName": name, "StateValue": "OK", "StateReason": "r"}
    assert "ResourceNotFound" == refusal(theirs.set_alarm_state, **state)[0]
    assert "ResourceNotFound" == refusal(theirs.delete_alarms, AlarmNames=[name])[0]
    assert described(cloudwatch, name)["StateValue"] == "INSUFFICIENT_DATA"


def test_deleting_takes_those_that_are_there(
    cloudwatch: BaseClient, refusal: Refusal, put_alarm: Callable[..., str]
) -> None:
    """And names the others."""
    name = put_alarm()
    code, message = refusal(cloudwatch.delete_alarms, AlarmNames=[name, "nothing-there"])

    assert ("ResourceNotFound", True) == (code, "nothing-there" in message)
    assert [] == cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]


def test_actions_are_switched(cloudwatch: BaseClient, put_alarm: Callable[..., str]) -> None:
    """Off and on again; names of no alarm are left alone."""
    name = put_alarm(Period=3_600)
    cloudwatch.disable_alarm_actions(AlarmNames=[name, "nothing-there"])
    assert described(cloudwatch, name)["ActionsEnabled"] is False

    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    assert described(cloudwatch, name)["ActionsEnabled"] is True


def test_alarms_have_tags(
    cloudwatch: BaseClient, refusal: Refusal, put_alarm: Callable[..., str]
) -> None:
    """Added, overwritten, removed; what is no alarm has none."""
    arn = arn_of(put_alarm(Period=3_600, Tags=[{"Key": "a", "Value": "1"}]))
    cloudwatch.tag_resource(
        ResourceARN=arn, Tags=[{"Key": "a", "Value": "2"}, {"Key": "b", "Value": "3"}]
    )
    cloudwatch.untag_resource(ResourceARN=arn, TagKeys=["b", "c"])

    assert [{"Key": "a", "Value": "2"}] == cloudwatch.list_tags_for_resource(ResourceARN=arn)[
        "Tags"
    ]
    assert (
        "ResourceNotFoundException"
        == refusal(cloudwatch.list_tags_for_resource, ResourceARN=arn_of("nothing-there"))[0]
    )
    assert (
        "InvalidParameterValue"
        == refusal(cloudwatch.list_tags_for_resource, ResourceARN="nothing")[0]
    )


# --- states ----------------------------------------------------------------------------------


def is_in(cloudwatch: Any, name: str, state: str) -> Callable[[], bool]:
    """Return what tells whether an alarm is in a state."""
    return lambda: described(cloudwatch, name)["StateValue"] == state


def test_an_alarm_goes_off_and_comes_back(
    cloudwatch: BaseClient, put_alarm: Callable[..., str], eventually: Eventually, name: str
) -> None:
    """By its data points; the reason has what was compared, the time of the change moves."""
    put_alarm(TreatMissingData="notBreaching")
    eventually(is_in(cloudwatch, name, "OK"))
    quiet = described(cloudwatch, name)

    def loud() -> bool:
        cloudwatch.put_metric_data(Namespace=name, MetricData=[{"MetricName": "m", "Value": 9.0}])
        return is_in(cloudwatch, name, "ALARM")()

    eventually(loud)
    alarm = described(cloudwatch, name)
    eventually(is_in(cloudwatch, name, "OK"))

    assert quiet["StateReason"] == (
        "Threshold Crossed: no datapoints were received for 1 period and 1 missing datapoint was "
        "treated as [NonBreaching]."
    )
    assert alarm["StateReason"].startswith("Threshold Crossed: 1 out of the last 1 datapoints [")
    assert "was greater than the threshold (5.0)" in alarm["StateReason"]
    assert json.loads(alarm["StateReasonData"])["threshold"] == 5.0
    assert alarm["StateTransitionedTimestamp"] > quiet["StateTransitionedTimestamp"]


def test_without_data_there_is_not_enough(
    cloudwatch: BaseClient, put_alarm: Callable[..., str], eventually: Eventually
) -> None:
    """The default treatment of missing data; a state that was set does not last."""
    name = put_alarm()
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="a test")
    eventually(is_in(cloudwatch, name, "INSUFFICIENT_DATA"))

    assert (
        described(cloudwatch, name)["StateReason"] == "Insufficient Data: 1 datapoint was unknown."
    )


def test_what_is_no_json_explains_no_state(
    cloudwatch: BaseClient, refusal: Refusal, put_alarm: Callable[..., str]
) -> None:
    """StateReasonData has to be JSON."""
    state = {"AlarmName": put_alarm(), "StateValue": "OK", "StateReason": "r"}

    assert "InvalidFormat" == refusal(cloudwatch.set_alarm_state, **state, StateReasonData="{no")[0]


def test_a_change_of_state_is_an_event(
    cloudwatch: BaseClient,
    events: BaseClient,
    put_alarm: Callable[..., str],
    make_queue: MakeQueue,
    name: str,
) -> None:
    """Of source aws.cloudwatch, on the default bus, with both states and the configuration."""
    queue = make_queue(name)
    pattern = {"source": ["aws.cloudwatch"], "detail": {"alarmName": [name]}}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue.arn}])
    put_alarm(Period=3_600, AlarmDescription="d", TreatMissingData="ignore")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    (event,) = queue.receive_events(1)
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)

    assert event["detail-type"] == "CloudWatch Alarm State Change"
    assert [arn_of(name)] == event["resources"]
    detail = event["detail"]
    (metric,) = detail["configuration"]["metrics"]
    assert ("ALARM", "a test") == (detail["state"]["value"], detail["state"]["reason"])
    assert detail["previousState"]["value"] == "INSUFFICIENT_DATA"
    assert detail["configuration"]["description"] == "d"
    assert metric["metricStat"]["metric"] == {"namespace": name, "name": "m", "dimensions": {}}
    assert (metric["metricStat"]["period"], metric["metricStat"]["stat"]) == (3_600, "Sum")


# --- history ---------------------------------------------------------------------------------


def test_what_became_of_an_alarm_is_told(
    cloudwatch: BaseClient, refusal: Refusal, put_alarm: Callable[..., str]
) -> None:
    """Made, changed, in another state, deleted: the newest first, in pages, by kind."""
    name = put_alarm(Period=3_600, TreatMissingData="ignore")
    put_alarm(Period=3_600, TreatMissingData="ignore", Threshold=6.0)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a test")
    cloudwatch.delete_alarms(AlarmNames=[name])

    def told(**filters: Any) -> list[str]:
        items = cloudwatch.describe_alarm_history(AlarmName=name, **filters)["AlarmHistoryItems"]
        return [item["HistorySummary"] for item in items]

    everything = [
        f'Alarm "{name}" deleted',
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
        f'Alarm "{name}" updated',
        f'Alarm "{name}" created',
    ]
    assert everything == told()
    assert everything[::-1] == told(ScanBy="TimestampAscending")
    assert [everything[1]] == told(HistoryItemType="StateUpdate")
    first = cloudwatch.describe_alarm_history(AlarmName=name, MaxRecords=3)
    assert everything[3:] == told(NextToken=first["NextToken"])
    state = json.loads(first["AlarmHistoryItems"][1]["HistoryData"])["newState"]
    assert {"stateValue": "ALARM", "stateReason": "a test"} == state
    code, _ = refusal(cloudwatch.describe_alarm_history, NextToken=first["NextToken"])
    assert code == "InvalidNextToken"
