"""AWS services as targets, called through their own APIs at the URLs that the configuration names.

What is called and with what is decided in `aws_kinds`, how it is written in `aws_wire`. A URL from
the configuration is trusted: it may be at any address.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import Final
from urllib.parse import urlsplit

from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.aws_kinds import PayloadRefused, kind_of, no_url
from farspan.targets.aws_wire import (
    AwsOperation,
    AwsRequest,
    ServiceUrl,
    Sign,
    Unsigned,
    outcome_of,
    request_of,
)
from farspan.targets.base import (
    INTERNAL_ERROR,
    INVALID_JSON,
    INVALID_PARAMETER,
    NO_RESOURCE,
)
from farspan.targets.call import FAULTS, Call, CallFailed
from farspan.targets.connector import Connector

BATCH_COUNT_MAX: Final = 32
SECONDS_MAX: Final = 30.0
FUNCTION_SECONDS_MAX: Final = 900.0
"""What a Lambda function may take: an emulator of one answers when it has run."""

FUNCTION_PATH: Final = "/2015-03-31/functions/function/invocations"
"""Where Lambda's runtime interface emulator takes invocations."""

log = logging.getLogger("farspan.targets")


class AwsApiTarget:
    """See `base.TargetSender`. `functions` are URLs of Lambda emulators by the function's name."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(
        self,
        connector: Connector,
        operations: Mapping[tuple[str, str], AwsOperation],
        urls: Mapping[str, ServiceUrl],
        functions: Mapping[str, str],
        sign: Sign,
    ) -> None:
        self._connector = connector
        self._operations = operations
        self._urls = urls
        self._functions = functions
        self._sign = sign

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`. The deliveries are sent side by side."""
        return await asyncio.gather(*(self._attempt(delivery) for delivery in deliveries))

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Attempt one delivery; a fault of Farspan's own fails it alone, not its neighbours."""
        try:
            return await self._send(delivery)
        except PayloadRefused as error:
            return _failed(Verdict.PERMANENT, INVALID_JSON, str(error))
        except CallFailed as error:
            return _failed(*FAULTS[error.fault], str(error))
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", delivery.delivery_id)
            return _failed(Verdict.RETRYABLE, INTERNAL_ERROR, type(error).__name__)

    async def _send(self, delivery: Delivery) -> Outcome:
        arn = parse_arn(delivery.target_arn)
        kind = kind_of(arn) if arn is not None else None
        if arn is None or kind is None:
            return _failed(
                Verdict.PERMANENT,
                INVALID_PARAMETER,
                f"Farspan has no target of the kind of {delivery.target_arn}.",
            )
        if kind.service == "lambda":
            function = self._functions.get(_function_name(arn))
            if function is not None:
                return await self._invoke(delivery, arn, function)
        url = self._urls.get(kind.service)
        if url is None:
            return _failed(Verdict.PERMANENT, NO_RESOURCE, no_url(kind.service))
        name, given = kind.build(delivery, arn)
        operation = self._operations[kind.service, name]
        call = self._call(arn, operation, request_of(operation, given), url)
        return outcome_of(kind.service, await self._connector.send(call))

    def _call(
        self, arn: Arn, operation: AwsOperation, request: AwsRequest, url: ServiceUrl
    ) -> Call:
        parts = urlsplit(url.url)
        path = parts.path.rstrip("/") + request.path
        signed = self._sign(
            Unsigned(
                request=request,
                path=path,
                host=parts.netloc,
                service=operation.signing_name,
                region=arn.region,
                keys=url,
            )
        )
        return Call(
            account=arn.account,
            method=request.method,
            url=f"{parts.scheme}://{parts.netloc}{path}",
            headers={**request.headers, "host": parts.netloc, **signed},
            body=request.body,
            seconds=SECONDS_MAX,
            is_trusted=True,
        )

    async def _invoke(self, delivery: Delivery, arn: Arn, url: str) -> Outcome:
        """Invoke a function at an emulator, which takes no signature and answers when it ran."""
        answer = await self._connector.send(
            Call(
                account=arn.account,
                method="POST",
                url=url.rstrip("/") + FUNCTION_PATH,
                headers={"content-type": "application/json", "x-amz-invocation-type": "Event"},
                body=delivery.payload,
                seconds=FUNCTION_SECONDS_MAX,
                is_trusted=True,
            )
        )
        return outcome_of("lambda", answer)


def _function_name(arn: Arn) -> str:
    """Return the name in `function:NAME` and `function:NAME:QUALIFIER`."""
    return arn.resource.split(":")[1]


def _failed(verdict: Verdict, code: str, message: str) -> Outcome:
    return Outcome(verdict=verdict, error_code=code, error_message=message)
