"""Metrics: what a data point belongs to, and what is asked of its data points."""

from __future__ import annotations

from typing import Final, NamedTuple

EVENTS_NAMESPACE: Final = "AWS/Events"
OWN_NAMESPACE: Final = "Farspan"
"""Where what EventBridge has no metric for is found."""

NO_UNIT: Final = "None"

Dimensions = tuple[tuple[str, str], ...]
"""Names and values in order of name: dimensions that were given in another order are the same."""


class Metric(NamedTuple):
    """A metric of an account. With other dimensions it is another one."""

    account: str
    namespace: str
    name: str
    dimensions: Dimensions = ()


class MetricStream(NamedTuple):
    """A metric's data points by one statistic and period, in seconds.

    `statistic` is CloudWatch's name (`Average`, `p99`); `unit` None takes data points of any unit.
    """

    metric: Metric
    statistic: str
    period: int
    unit: str | None = None
