"""API destinations as targets: an HTTP request for each delivery.

A connection's secret is opened for one request and kept nowhere. What the request is and what its
answer means is decided in `invocation`; how an answer is had, in `connector` and `oauth`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Final

from farspan.clock import Clock, SteadyTime
from farspan.model.api_destination import ApiDestination
from farspan.model.arn import parse_arn
from farspan.model.connection import AuthorizationType, Connection, ConnectionState, Secret
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.base import (
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    NO_PERMISSIONS,
    NO_RESOURCE,
    THROTTLING,
)
from farspan.targets.call import FAULTS, CallFailed
from farspan.targets.connector import Connector
from farspan.targets.invocation import (
    UNAUTHORIZED_STATUSES,
    InvocationInvalid,
    invocation,
    outcome_of,
)
from farspan.targets.oauth import TokenRefused, TokenSource
from farspan.targets.rate import TokenBucket

BATCH_COUNT_MAX: Final = 32
"""Requests that one worker of a lane has under way; the slowest of them ends the batch."""

UNABLE: Final = "Unable to invoke ApiDestination endpoint:"

log = logging.getLogger("farspan.targets")

DestinationLookup = Callable[[str, str], ApiDestination | None]
ConnectionLookup = Callable[[str, str], Connection | None]
"""Return this Region's resource of an account and a name, or None."""


class ApiDestinationTarget:
    """See `base.TargetSender`. The request's body is the payload."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(
        self,
        connector: Connector,
        tokens: TokenSource,
        clock: Clock,
        find_destination: DestinationLookup,
        find_connection: ConnectionLookup,
        open_secret: Callable[[Connection], Secret],
    ) -> None:
        self._connector = connector
        self._tokens = tokens
        self._clock = clock
        self._now = SteadyTime(clock).now
        self._find_destination = find_destination
        self._find_connection = find_connection
        self._open_secret = open_secret
        self._buckets: dict[str, TokenBucket] = {}

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`. The deliveries are sent side by side."""
        return await asyncio.gather(*(self._attempt(delivery) for delivery in deliveries))

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Attempt one delivery; a fault of Farspan's own fails it alone, not its neighbours."""
        try:
            return await self._send(delivery)
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", delivery.delivery_id)
            return _retryable(INTERNAL_ERROR, type(error).__name__)

    async def _send(self, delivery: Delivery) -> Outcome:
        destination = self._destination(delivery.target_arn)
        if destination is None:
            return _permanent(NO_RESOURCE, f"API destination {delivery.target_arn} does not exist.")
        connection = self._connection(destination.connection_arn)
        if connection is None:
            return _permanent(
                NO_RESOURCE, f"Connection {destination.connection_arn} does not exist."
            )
        if connection.sealed_secret is None:
            return _permanent(
                NO_PERMISSIONS,
                f"Connection {connection.name} is {ConnectionState.DEAUTHORIZING}: it has no "
                "authorization parameters.",
            )
        if not await self._wait_for_turn(destination, delivery):
            return _retryable(THROTTLING, "the rate limit leaves the event no time.")
        token: str | None = None
        if connection.authorization_type is AuthorizationType.OAUTH_CLIENT_CREDENTIALS:
            try:
                token = await self._tokens.token(connection)
            except TokenRefused as error:
                return _retryable(NO_PERMISSIONS, str(error))
        return await self._invoke(delivery, destination, connection, token)

    async def _invoke(
        self,
        delivery: Delivery,
        destination: ApiDestination,
        connection: Connection,
        token: str | None,
    ) -> Outcome:
        try:
            call = invocation(
                destination,
                connection.authorization_type,
                self._open_secret(connection),
                token,
                delivery.parameters.get("HttpParameters") or {},
                delivery.payload,
                delivery.trace_header,
            )
            answer = await self._connector.send(call)
        except InvocationInvalid as error:
            return _permanent(INVALID_PARAMETER, str(error))
        except CallFailed as error:
            verdict, code = FAULTS[error.fault]
            return Outcome(verdict=verdict, error_code=code, error_message=f"{UNABLE} {error}")
        if token is not None and answer.status in UNAUTHORIZED_STATUSES:
            self._tokens.refuse(connection, token)
        return outcome_of(answer, self._clock.now())

    def _destination(self, text: str) -> ApiDestination | None:
        arn = parse_arn(text)
        if arn is None:
            return None
        destination = self._find_destination(arn.account, _name_in(arn.resource))
        if destination is None or destination.arn != text:
            self._buckets.pop(text, None)
            return None
        return destination

    def _connection(self, text: str) -> Connection | None:
        arn = parse_arn(text)
        if arn is None:
            return None
        connection = self._find_connection(arn.account, _name_in(arn.resource))
        return connection if connection is not None and connection.arn == text else None

    async def _wait_for_turn(self, destination: ApiDestination, delivery: Delivery) -> bool:
        """Wait until the destination's rate allows one invocation more.

        Return False at once where the event would be too old by then (G4).
        """
        rate = destination.invocation_rate_limit_per_second
        bucket = self._buckets.get(destination.arn)
        if bucket is None or bucket.per_second != rate:
            bucket = self._buckets[destination.arn] = TokenBucket(rate)
        age = self._now() - delivery.planned_at
        now = self._clock.monotonic()
        if age + bucket.pause(now) > delivery.retry_policy.maximum_event_age_in_seconds:
            return False
        pause = bucket.take(now)
        if pause > 0:
            await self._clock.sleep(pause)
        return True


def _name_in(resource: str) -> str:
    """Return the name in `api-destination/NAME/UUID` and `connection/NAME/UUID`."""
    return resource.partition("/")[2].partition("/")[0]


def _permanent(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.PERMANENT, error_code=code, error_message=f"{UNABLE} {message}")


def _retryable(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.RETRYABLE, error_code=code, error_message=f"{UNABLE} {message}")
