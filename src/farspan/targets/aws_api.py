"""AWS services as targets, called through their own APIs at the URLs that the configuration names.

What is called and with what is decided in `aws_kinds`, which deliveries share a request in
`aws_batches`, how it is written in `aws_wire`. A URL from the configuration is trusted: it may be
at any address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from farspan.model.arn import Arn
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.aws_batches import (
    ALONE,
    ANSWER_BYTES_MAX,
    BATCHES,
    is_refused,
    kind_named,
    outcomes_of,
    portions_of,
)
from farspan.targets.aws_kinds import AwsKind, PayloadRefused, no_url
from farspan.targets.aws_wire import (
    AwsOperation,
    ServiceUrl,
    Sign,
    Unsigned,
    outcome_of,
    request_of,
    signed_call,
)
from farspan.targets.base import (
    INTERNAL_ERROR,
    INVALID_JSON,
    INVALID_PARAMETER,
    NO_RESOURCE,
)
from farspan.targets.call import FAULTS, Call, CallFailed
from farspan.targets.connector import Connector

REQUESTS_MAX: Final = 32
"""Requests of one worker of a lane that are under way together."""

SECONDS_MAX: Final = 30.0

log = logging.getLogger("farspan.targets")


class AwsApiTarget:
    """See `base.TargetSender`. `batch_count_max` is what its service makes the best of."""

    def __init__(
        self,
        connector: Connector,
        operations: Mapping[tuple[str, str], AwsOperation],
        urls: Mapping[str, ServiceUrl],
        sign: Sign,
        batch_count_max: int = ALONE,
    ) -> None:
        self.batch_count_max = batch_count_max
        self._connector = connector
        self._operations = operations
        self._urls = urls
        self._sign = sign

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`. Requests are sent side by side."""
        turns = asyncio.Semaphore(REQUESTS_MAX)
        portions = portions_of(deliveries)
        sent = await asyncio.gather(
            *(self._attempt([deliveries[place] for place in some], turns) for some in portions)
        )
        outcomes = {
            place: outcome
            for places, some in zip(portions, sent, strict=True)
            for place, outcome in zip(places, some, strict=True)
        }
        return [outcomes[place] for place in range(len(deliveries))]

    async def _attempt(
        self, deliveries: Sequence[Delivery], turns: asyncio.Semaphore
    ) -> list[Outcome]:
        """Attempt deliveries in one request, and each alone where that is refused.

        It may be refused for what one of them has, or by a service that takes no batches.
        """
        async with turns:
            outcomes = await self._guarded(deliveries)
        if not is_refused(outcomes):
            return outcomes
        alone = await asyncio.gather(*(self._attempt([one], turns) for one in deliveries))
        return [outcome for (outcome,) in alone]

    async def _guarded(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Send one request; a fault of Farspan's own fails it alone, not its neighbours."""
        try:
            return await self._send(deliveries)
        except PayloadRefused as error:
            failed = _failed(Verdict.PERMANENT, INVALID_JSON, str(error))
        except CallFailed as error:
            failed = _failed(*FAULTS[error.fault], str(error))
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", deliveries[0].delivery_id)
            failed = _failed(Verdict.RETRYABLE, INTERNAL_ERROR, type(error).__name__)
        return [failed] * len(deliveries)

    async def _send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        target_arn = deliveries[0].target_arn
        known = kind_named(target_arn)
        if known is None:
            message = f"Farspan has no target of the kind of {target_arn}."
            return [_failed(Verdict.PERMANENT, INVALID_PARAMETER, message)] * len(deliveries)
        arn, kind = known
        url = self._urls.get(kind.service)
        if url is None:
            gone = _failed(Verdict.PERMANENT, NO_RESOURCE, no_url(kind.service))
            return [gone] * len(deliveries)
        answer = await self._connector.send(self._call(deliveries, arn, kind, url))
        if len(deliveries) == 1:
            return [outcome_of(kind.service, answer)]
        return outcomes_of(kind.service, answer, len(deliveries))

    def _call(
        self, deliveries: Sequence[Delivery], arn: Arn, kind: AwsKind, url: ServiceUrl
    ) -> Call:
        built = [kind.build(delivery, arn) for delivery in deliveries]
        name, given = built[0]
        trace_header = deliveries[0].trace_header
        if len(deliveries) > 1:
            batch = BATCHES[kind.service]
            name, given = batch.operation, batch.join([one for _, one in built])
            trace_header = trace_header if batch.carries_trace else None
        operation = self._operations[kind.service, name]
        request = request_of(operation, given)
        parts = urlsplit(url.url)
        path = parts.path.rstrip("/") + request.path
        unsigned = Unsigned(
            request=request,
            path=path,
            host=parts.netloc,
            service=operation.signing_name,
            region=arn.region,
            keys=url,
        )
        return signed_call(
            self._sign,
            unsigned,
            url=f"{parts.scheme}://{parts.netloc}{path}",
            account=arn.account,
            trace_header=trace_header,
            seconds=SECONDS_MAX,
            answer_bytes_max=ANSWER_BYTES_MAX,
        )


def _failed(verdict: Verdict, code: str, message: str) -> Outcome:
    return Outcome(verdict=verdict, error_code=code, error_message=message)
