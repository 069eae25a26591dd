"""AppSync's GraphQL APIs as targets: a signed GraphQL operation, whose variables are the payload.

The ARN says which API; the configuration's URL says where, with `{api}` in it where the API's id
belongs. Any GraphQL server will do. A URL from the configuration is trusted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import Delivery, Outcome, Verdict
from farspan.targets.aws_kinds import no_url
from farspan.targets.aws_wire import (
    AwsRequest,
    ServiceUrl,
    Sign,
    Unsigned,
    failure_of,
    outcome_of,
    signed_call,
)
from farspan.targets.base import (
    ERROR_FROM_TARGET,
    INTERNAL_ERROR,
    INVALID_INPUT,
    NO_RESOURCE,
    SDK_CLIENT_ERROR,
)
from farspan.targets.call import FAULTS, Answer, Call, CallFailed
from farspan.targets.connector import Connector

SERVICE: Final = "appsync"
BATCH_COUNT_MAX: Final = 32
SECONDS_MAX: Final = 30.0
"""AppSync's own limit of a request."""

log = logging.getLogger("farspan.targets")


class AppSyncTarget:
    """See `base.TargetSender`."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(self, connector: Connector, url: ServiceUrl | None, sign: Sign) -> None:
        self._connector = connector
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
        except msgspec.MsgspecError:
            return INVALID_INPUT
        except CallFailed as error:
            return _failed(*FAULTS[error.fault], str(error))
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", delivery.delivery_id)
            return _failed(Verdict.RETRYABLE, INTERNAL_ERROR, type(error).__name__)
        return graphql_outcome(answer)

    def _call(self, delivery: Delivery, arn: Arn, keys: ServiceUrl) -> Call:
        parts = urlsplit(keys.url.replace("{api}", arn.resource.rpartition("/")[2]))
        request = AwsRequest(
            method="POST",
            path=parts.path or "/",
            headers={"content-type": "application/json"},
            body=graphql_body(delivery),
        )
        unsigned = Unsigned(
            request=request,
            path=request.path,
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


def graphql_body(delivery: Delivery) -> bytes:
    """Return the request's body. Raises MsgspecError for a payload that is no JSON object."""
    parameters = delivery.parameters.get("AppSyncParameters") or {}
    variables = msgspec.json.decode(delivery.payload, type=dict[str, msgspec.Raw])
    return msgspec.json.encode(
        {"query": parameters.get("GraphQLOperation", ""), "variables": variables}
    )


def graphql_outcome(answer: Answer) -> Outcome:
    """Return what an answer comes to: GraphQL reports its errors with a status of success, too.

    An operation that failed as a whole has no data. What it has in part was done, so that asking
    again would do it twice.
    """
    try:
        members = msgspec.json.decode(answer.body, type=dict[str, Any])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return outcome_of(SERVICE, answer)
    errors, data = members.get("errors"), members.get("data")
    if not isinstance(errors, list) or not errors:
        return outcome_of(SERVICE, answer)
    if isinstance(data, dict) and any(value is not None for value in data.values()):
        return outcome_of(SERVICE, answer)
    first: dict[str, Any] = errors[0] if isinstance(errors[0], dict) else {}
    code, message = str(first.get("errorType") or ""), str(first.get("message") or "")
    failed = failure_of(SERVICE, answer, (code, message))
    assert failed is not None, "what was refused is a failure"
    if answer.status // 100 == 2 and failed.error_code == SDK_CLIENT_ERROR:  # noqa: PLR2004
        return msgspec.structs.replace(failed, error_code=ERROR_FROM_TARGET)
    return failed


def _failed(verdict: Verdict, code: str, message: str) -> Outcome:
    return Outcome(verdict=verdict, error_code=code, error_message=message)
