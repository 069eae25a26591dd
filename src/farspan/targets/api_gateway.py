"""API Gateway's REST APIs as targets: a signed HTTP request to a stage, a method and a path.

The ARN says which (`API/STAGE/METHOD/PATH`); the configuration's URL says where, with `{api}` and
`{stage}` in it where they belong. A URL from the configuration is trusted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from farspan.clock import Clock
from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.aws_kinds import no_url
from farspan.targets.aws_wire import (
    AwsRequest,
    ServiceUrl,
    Sign,
    Unsigned,
    signed_call,
)
from farspan.targets.base import (
    INTERNAL_ERROR,
    INVALID_PARAMETER,
    NO_RESOURCE,
)
from farspan.targets.call import FAULTS, Call, CallFailed
from farspan.targets.connector import Connector
from farspan.targets.invocation import (
    BODILESS_METHODS,
    Headers,
    InvocationInvalid,
    outcome_of,
    url_with,
)

SERVICE: Final = "execute-api"
BATCH_COUNT_MAX: Final = 32
SECONDS_MAX: Final = 30.0
"""API Gateway's own limit of an integration."""

log = logging.getLogger("farspan.targets")


class ApiGatewayTarget:
    """See `base.TargetSender`. The request's body is the payload."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(
        self, connector: Connector, clock: Clock, url: ServiceUrl | None, sign: Sign
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._url = url
        self._sign = sign

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`. The deliveries are sent side by side."""
        return await asyncio.gather(*(self._attempt(delivery) for delivery in deliveries))

    async def _attempt(self, delivery: Delivery) -> Outcome:
        """Attempt one delivery; a fault of Farspan's own fails it alone, not its neighbours."""
        arn = parse_arn(delivery.target_arn)
        if arn is None or self._url is None:
            return _failed(Verdict.PERMANENT, NO_RESOURCE, no_url(SERVICE))
        try:
            answer = await self._connector.send(self._call(delivery, arn, self._url))
        except InvocationInvalid as error:
            return _failed(Verdict.PERMANENT, INVALID_PARAMETER, str(error))
        except CallFailed as error:
            return _failed(*FAULTS[error.fault], str(error))
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", delivery.delivery_id)
            return _failed(Verdict.RETRYABLE, INTERNAL_ERROR, type(error).__name__)
        return outcome_of(answer, self._clock.now(), "ApiGateway")

    def _call(self, delivery: Delivery, arn: Arn, keys: ServiceUrl) -> Call:
        parameters: dict[str, Any] = delivery.parameters.get("HttpParameters") or {}
        method, url = method_and_url(arn, keys.url)
        parts = urlsplit(url_with(url, parameters))
        headers = Headers()
        headers.set("Content-Type", "application/json")
        headers.give((parameters.get("HeaderParameters") or {}).items())
        given = {name.lower(): value for name, value in headers.all().items()}
        body = b"" if method in BODILESS_METHODS else delivery.payload
        unsigned = Unsigned(
            request=AwsRequest(method=method, path=parts.path, headers=given, body=body),
            path=parts.path,
            query=parts.query,
            host=parts.netloc,
            service=SERVICE,
            region=arn.region,
            keys=keys,
        )
        return signed_call(
            self._sign,
            unsigned,
            url=parts.geturl(),
            account=arn.account,
            trace_header=delivery.trace_header,
            seconds=SECONDS_MAX,
        )


def method_and_url(arn: Arn, url: str) -> tuple[str, str]:
    """Return the method and the URL of an API's ARN, its wildcards in the path still there."""
    api, stage, method, path = [*arn.resource.split("/", 3), "", "", ""][:4]
    whole = url.rstrip("/").replace("{api}", api)
    whole = whole.replace("{stage}", stage) if "{stage}" in whole else f"{whole}/{stage}"
    return ("POST" if method == "*" else method), f"{whole}/{path}"


def _failed(verdict: Verdict, code: str, message: str) -> Outcome:
    return Outcome(
        verdict=verdict,
        error_code=code,
        error_message=f"Unable to invoke ApiGateway endpoint: {message}",
    )
