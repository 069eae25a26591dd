"""Route 53 health checks: the resource and the votes cast on it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from farspan.model.alarm import AlarmCondition, ComparisonOperator
from farspan.model.metric import Dimensions, Metric, MetricStream


class HealthCheckType(StrEnum):
    """The kinds of health check."""

    HTTP = "HTTP"  # a GET answered 2xx or 3xx
    HTTPS = "HTTPS"  # the same over TLS, whatever the certificate says
    HTTP_STR_MATCH = "HTTP_STR_MATCH"  # as HTTP, with a text near the start of the body
    HTTPS_STR_MATCH = "HTTPS_STR_MATCH"  # as HTTPS, with a text near the start of the body
    TCP = "TCP"  # a connection accepted
    CALCULATED = "CALCULATED"  # enough other checks are healthy
    CLOUDWATCH_METRIC = "CLOUDWATCH_METRIC"  # a metric is within an alarm's threshold
    RECOVERY_CONTROL = "RECOVERY_CONTROL"  # a routing control is on


TLS_TYPES = frozenset({HealthCheckType.HTTPS, HealthCheckType.HTTPS_STR_MATCH})
STRING_TYPES = frozenset({HealthCheckType.HTTP_STR_MATCH, HealthCheckType.HTTPS_STR_MATCH})
PROBED_TYPES = frozenset({HealthCheckType.HTTP, HealthCheckType.TCP}) | TLS_TYPES | STRING_TYPES
"""The types that look at an address over the network."""


HTTP_PORT, HTTPS_PORT = 80, 443


class Status(StrEnum):
    """What a check says of what it watches."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


class InsufficientDataHealthStatus(StrEnum):
    """What a check of an alarm says while its metric has too little data."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"
    LAST_KNOWN_STATUS = "LastKnownStatus"  # what it said while there was enough


class AlarmIdentifier(msgspec.Struct, frozen=True, kw_only=True):
    """The alarm that a check was made after."""

    region: str
    name: str


class AlarmConfiguration(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm's settings as they were when a check was made after it, or updated last."""

    evaluation_periods: int
    threshold: float
    comparison_operator: ComparisonOperator
    period: int
    metric_name: str
    namespace: str
    statistic: str
    dimensions: Dimensions = ()
    unit: str | None = None

    def stream(self, account: str) -> MetricStream:
        """Return the data points that are watched, of a metric of the account."""
        metric = Metric(account, self.namespace, self.metric_name, self.dimensions)
        return MetricStream(metric, self.statistic, self.period, self.unit)

    @property
    def condition(self) -> AlarmCondition:
        """When the check turns unhealthy: where all of the periods breach."""
        return AlarmCondition(
            threshold=self.threshold,
            comparison_operator=self.comparison_operator,
            evaluation_periods=self.evaluation_periods,
            datapoints_to_alarm=self.evaluation_periods,
        )


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A health check with its settings; intervals in seconds of Route 53's time.

    `request_interval` is 10 or 30; `failure_threshold` is how many results in a row flip the
    status, in either direction. What has no meaning for the check's type keeps its default here
    and is not shown.
    """

    KIND: ClassVar[str] = "health-check"

    id: str
    account: str
    caller_reference: str
    type: HealthCheckType
    ip_address: str | None = None
    port: int | None = None
    resource_path: str | None = None
    fully_qualified_domain_name: str | None = None
    search_string: str | None = None
    request_interval: int = 30
    failure_threshold: int = 3
    measure_latency: bool = False
    inverted: bool = False
    disabled: bool = False
    health_threshold: int = 0
    child_health_checks: tuple[str, ...] = ()
    enable_sni: bool = False
    regions: tuple[str, ...] = ()
    alarm_identifier: AlarmIdentifier | None = None
    alarm_configuration: AlarmConfiguration | None = None
    insufficient_data_health_status: InsufficientDataHealthStatus = (
        InsufficientDataHealthStatus.LAST_KNOWN_STATUS
    )
    routing_control_arn: str | None = None
    version: int = 1
    tags: dict[str, str] = {}

    @property
    def key(self) -> str:
        """The key among health checks."""
        return self.id

    @property
    def port_in_use(self) -> int:
        """The port that is looked at: the given one, else that of the type."""
        return self.port or (HTTPS_PORT if self.type in TLS_TYPES else HTTP_PORT)


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one observer says of one health check.

    `sequence` grows with each probe, so that a reader sees without comparing clocks whether the
    observer is still looking. `checked_time` is seconds since the epoch by the observer's clock.
    `status` already counts `FailureThreshold`; inversion is applied where votes are tallied.
    `failure_report` is what the last probe said that failed, at `failure_time`; where none did, it
    is None, and the time is when the observer began to look.
    """

    health_check_id: str
    observer: str
    status: Status
    sequence: int
    checked_time: float
    report: str
    failure_report: str | None = None
    failure_time: float = 0.0
