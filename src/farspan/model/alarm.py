"""CloudWatch alarms on one metric, with the state that they are in."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from farspan.model.metric import Dimensions, Metric, MetricStream

HISTORY_PREFIX: Final = "-/alarms/"
"""How the keys of the logs begin that have what became of an account's alarms."""

HISTORY_SECONDS: Final = 30 * 86_400


class AlarmState(StrEnum):
    """What an alarm says of its metric."""

    OK = "OK"  # within the threshold
    ALARM = "ALARM"  # beyond it
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"  # the alarm is new, or has too few data points


class ComparisonOperator(StrEnum):
    """How a data point has to stand to the threshold in order to breach it."""

    GREATER_THAN_OR_EQUAL_TO_THRESHOLD = "GreaterThanOrEqualToThreshold"  # >=
    GREATER_THAN_THRESHOLD = "GreaterThanThreshold"  # >
    LESS_THAN_THRESHOLD = "LessThanThreshold"  # <
    LESS_THAN_OR_EQUAL_TO_THRESHOLD = "LessThanOrEqualToThreshold"  # <=


class TreatMissingData(StrEnum):
    """What stands for a data point that is missing."""

    MISSING = "missing"  # nothing: with no data point at all there is not enough data
    IGNORE = "ignore"  # nothing: the state stays
    BREACHING = "breaching"  # one beyond the threshold
    NOT_BREACHING = "notBreaching"  # one within it


class AlarmCondition(msgspec.Struct, frozen=True, kw_only=True):
    """When an alarm goes off: `datapoints_to_alarm` of `evaluation_periods` (M of N) breach."""

    threshold: float
    comparison_operator: ComparisonOperator
    evaluation_periods: int
    datapoints_to_alarm: int
    treat_missing_data: TreatMissingData = TreatMissingData.MISSING


class MetricAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm. Times are seconds since the epoch; `None` is what PutMetricAlarm did not say."""

    KIND: ClassVar[str] = "alarm"

    region: str
    account: str
    name: str
    description: str | None = None
    actions_enabled: bool = True
    ok_actions: tuple[str, ...] = ()
    alarm_actions: tuple[str, ...] = ()
    insufficient_data_actions: tuple[str, ...] = ()
    namespace: str
    metric_name: str
    dimensions: Dimensions = ()
    statistic: str | None = None
    extended_statistic: str | None = None
    period: int
    unit: str | None = None
    evaluation_periods: int
    datapoints_to_alarm: int | None = None
    threshold: float
    comparison_operator: ComparisonOperator
    treat_missing_data: TreatMissingData | None = None
    evaluate_low_sample_count_percentile: str | None = None
    tags: dict[str, str] = {}
    configuration_updated_at: float = 0.0
    state: AlarmState = AlarmState.INSUFFICIENT_DATA
    state_reason: str = "Unchecked: Initial alarm creation"
    state_reason_data: str | None = None
    state_updated_at: float = 0.0
    state_transitioned_at: float = 0.0

    @property
    def arn(self) -> str:
        """The alarm's ARN."""
        return alarm_arn(self.region, self.account, self.name)

    @property
    def key(self) -> str:
        """The key among alarms."""
        return f"{self.account}/{self.name}"

    @property
    def stream(self) -> MetricStream:
        """The data points that the alarm watches."""
        metric = Metric(self.account, self.namespace, self.metric_name, self.dimensions)
        statistic = self.statistic or self.extended_statistic or ""
        return MetricStream(metric, statistic, self.period, self.unit)

    @property
    def condition(self) -> AlarmCondition:
        """When the alarm goes off."""
        return AlarmCondition(
            threshold=self.threshold,
            comparison_operator=self.comparison_operator,
            evaluation_periods=self.evaluation_periods,
            datapoints_to_alarm=self.datapoints_to_alarm or self.evaluation_periods,
            treat_missing_data=self.treat_missing_data or TreatMissingData.MISSING,
        )


class AlarmHistoryItem(msgspec.Struct, frozen=True, array_like=True):
    """Something that became of an alarm at a time; `told` is JSON."""

    alarm_name: str
    at: float
    kind: str
    summary: str
    told: str


def alarm_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of an alarm."""
    return f"arn:aws:cloudwatch:{region}:{account}:alarm:{name}"
