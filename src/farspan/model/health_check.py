"""Route 53 health checks: the resource and the votes cast on it."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec


class HealthCheckType(StrEnum):
    """The kinds of health check that Farspan probes (Route 53 has more)."""

    HTTP = "HTTP"  # a GET answered 2xx or 3xx
    TCP = "TCP"  # a connection accepted


class Status(StrEnum):
    """What a check says of what it watches."""

    HEALTHY = "Healthy"
    UNHEALTHY = "Unhealthy"


class HealthCheck(msgspec.Struct, frozen=True, kw_only=True):
    """A health check with its settings; intervals in seconds of Route 53's time.

    `request_interval` is 10 or 30; `failure_threshold` is how many results in a row flip the
    status, in either direction.
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
    request_interval: int = 30
    failure_threshold: int = 3
    measure_latency: bool = False
    inverted: bool = False
    disabled: bool = False
    version: int = 1

    @property
    def key(self) -> str:
        """The key among health checks."""
        return self.id


class Vote(msgspec.Struct, frozen=True, kw_only=True):
    """What one observer says of one health check.

    `sequence` grows with each probe, so that a reader sees without comparing clocks whether the
    observer is still looking. `checked_time` is seconds since the epoch by the observer's clock.
    `status` already counts `FailureThreshold`; inversion is applied where votes are tallied.
    """

    health_check_id: str
    observer: str
    status: Status
    sequence: int
    checked_time: float
    report: str
