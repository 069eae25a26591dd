"""Lambda functions that have a URL of their own as targets: any server with Lambda's Invoke API.

An emulator such as Lambda's runtime interface emulator has no queue for asynchronous invocations:
it answers when the function has run, and takes one invocation at a time. So a function is invoked
for one event after the other here, whichever rules bring them. What the function makes of an event,
an error too, is the function's affair, as it is with Lambda: the event is delivered once it ran.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.targets.aws_wire import outcome_of, trace_headers
from farspan.targets.base import INTERNAL_ERROR, NO_RESOURCE, THROTTLING, TargetSender
from farspan.targets.call import FAULTS, Answer, Call, CallFailed
from farspan.targets.connector import Connector

SECONDS_MAX: Final = 900.0
"""What a Lambda function may take."""

INVOKE_PATH: Final = "/2015-03-31/functions/function/invocations"
"""Where Lambda's runtime interface emulator takes invocations."""

FUNCTION_ERROR_HEADER: Final = "x-amz-function-error"
BAD_REQUEST: Final = 400
TOO_LATE: Final = "The function was busy for longer than the event may wait."

log = logging.getLogger("farspan.targets")


@dataclass(frozen=True, slots=True)
class FunctionUrl:
    """Where a function is invoked. `is_trusted` where the configuration names it."""

    url: str
    is_trusted: bool


FunctionLookup = Callable[[str, str], FunctionUrl | None]
"""Return the URL of an account's function by name, None where it has none of its own."""


class FunctionTarget:
    """See `base.TargetSender`."""

    batch_count_max: int = 1
    """One, so that what has run is settled before the next is invoked: a crash repeats little."""

    def __init__(
        self, connector: Connector, find: FunctionLookup, now: Callable[[], float]
    ) -> None:
        self._connector = connector
        self._find = find
        self._now = now
        self._turns: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`."""
        return [await self._attempt(delivery) for delivery in deliveries]

    async def _attempt(self, delivery: Delivery) -> Outcome:
        arn = parse_arn(delivery.target_arn)
        account, name = (arn.account, function_name(arn.resource)) if arn else ("", "")
        function = self._find(account, name)
        if function is None:
            return _failed(
                Verdict.PERMANENT,
                NO_RESOURCE,
                f"Function {name} has no URL any more; `farspan function add` gives it one.",
            )
        call = Call(
            account=account,
            method="POST",
            url=invoke_url(function.url),
            headers={
                "content-type": "application/json",
                "x-amz-invocation-type": "Event",
                **trace_headers(delivery.trace_header),
            },
            body=delivery.payload,
            seconds=SECONDS_MAX,
            is_trusted=function.is_trusted,
        )
        age_max = delivery.retry_policy.maximum_event_age_in_seconds
        try:
            async with self._turns[function.url]:
                if self._now() - delivery.planned_at > age_max:
                    return _failed(Verdict.RETRYABLE, THROTTLING, TOO_LATE)
                answer = await self._connector.send(call)
        except CallFailed as error:
            return _failed(*FAULTS[error.fault], str(error))
        except Exception as error:
            log.exception("attempt failed inside Farspan delivery=%s", delivery.delivery_id)
            return _failed(Verdict.RETRYABLE, INTERNAL_ERROR, type(error).__name__)
        return invocation_outcome(delivery, answer)


class LambdaTarget:
    """See `base.TargetSender`. One function: at its own URL where it has one, else through Lambda.

    Functions get URLs and lose them while lanes to them are there.
    """

    def __init__(
        self, arn: Arn, find: FunctionLookup, own: FunctionTarget, api: TargetSender
    ) -> None:
        self._account, self._name = arn.account, function_name(arn.resource)
        self._find = find
        self._own = own
        self._api = api

    @property
    def _target(self) -> TargetSender:
        has_url = self._find(self._account, self._name) is not None
        return self._own if has_url else self._api

    @property
    def batch_count_max(self) -> int:
        """See `base.TargetSender`."""
        return self._target.batch_count_max

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`."""
        return await self._target.send(deliveries)


def invocation_outcome(delivery: Delivery, answer: Answer) -> Outcome:
    """Return what the answer to an invocation comes to."""
    error = answer.headers.get(FUNCTION_ERROR_HEADER)
    if answer.status // 100 == 2 and error is not None:  # noqa: PLR2004 - the class of success
        log.warning(
            "function failed event=%s function=%s error=%r",
            delivery.event_id,
            delivery.target_arn,
            error,
        )
        return DELIVERED
    if answer.status == BAD_REQUEST and not answer.body:
        # How the emulator says that it runs for somebody else just now.
        return _failed(Verdict.RETRYABLE, THROTTLING, "The function's emulator is busy.")
    return outcome_of("lambda", answer)


def function_name(resource: str) -> str:
    """Return the name in `function:NAME` and `function:NAME:QUALIFIER`."""
    return resource.partition(":")[2].partition(":")[0]


def invoke_url(url: str) -> str:
    """Return where a function is invoked: a URL that names an invocation's path is taken whole."""
    if urlsplit(url).path.endswith("/invocations"):
        return url
    return url.rstrip("/") + INVOKE_PATH


def _failed(verdict: Verdict, code: str, message: str) -> Outcome:
    return Outcome(verdict=verdict, error_code=code, error_message=message)
