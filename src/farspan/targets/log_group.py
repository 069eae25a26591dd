"""CloudWatch log groups of this Region as targets.

An event is logged whole at its own time, or as the `timestamp` and `message` that a transformer
made of it. Each rule's target has a stream for each day, whose name is a UUID as on AWS. A delivery
that is repeated is one event. It must never know how logs are kept: it sees them through
`LogWriter` alone.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

import msgspec

from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.event import CALL_ID_BYTES, CallId
from farspan.model.log_group import LogEvent, log_group_name_in
from farspan.store.base import StoreError
from farspan.targets.base import INTERNAL_ERROR, INVALID_INPUT, NO_RESOURCE

BATCH_COUNT_MAX: Final = 200
FUTURE_MS: Final = 2 * 3_600_000
PAST_MS: Final = 14 * 24 * 3_600_000
"""How far from now the time of what is logged may be (PutLogEvents)."""

WHOLE_EVENT: Final = b'{"version":"0","id":"'

GROUP_GONE: Final = Outcome(
    verdict=Verdict.PERMANENT,
    error_code=NO_RESOURCE,
    error_message="The specified log group does not exist.",
)


class LogWriter(Protocol):
    """What a target needs of the logs."""

    async def __call__(
        self, account: str, group: str, stream: str, batches: list[tuple[CallId, list[LogEvent]]]
    ) -> bool:
        """Put events into a stream of a group in one commit; False where there is no such group.

        A call that the group's log has is there already. Raises StoreError where nothing was put.
        """


class _Transformed(msgspec.Struct):
    timestamp: int | str
    message: str


class _Event(msgspec.Struct):
    time: str


_decode_transformed = msgspec.json.Decoder(_Transformed).decode
_decode_event = msgspec.json.Decoder(_Event).decode


class LogGroupTarget:
    """See `base.TargetSender`."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(self, region: str, write: LogWriter, now: Callable[[], float]) -> None:
        self._region = region
        self._write = write
        self._now = now

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`. A lane's deliveries are all for one stream, mostly."""
        now = self._now()
        outcomes = [DELIVERED] * len(deliveries)
        groups: dict[tuple[str, str, str], list[tuple[int, CallId, LogEvent]]] = {}
        for place, delivery in enumerate(deliveries):
            event = log_event_of(delivery.payload, int(now * 1_000))
            if event is None:
                outcomes[place] = INVALID_INPUT
                continue
            account, group = self._group(delivery)
            key = (account, group, stream_name(delivery, now))
            groups.setdefault(key, []).append((place, _call(delivery), event))
        for (account, group, stream), entries in groups.items():
            batches = [(call, [event]) for _, call, event in entries]
            outcome = await self._put(account, group, stream, batches)
            for place, _, _ in entries:
                outcomes[place] = outcome
        return outcomes

    def _group(self, delivery: Delivery) -> tuple[str, str]:
        arn = parse_arn(delivery.target_arn)
        if arn is None or arn.region != self._region:
            return "", ""
        return arn.account, log_group_name_in(arn.resource) or ""

    async def _put(
        self, account: str, group: str, stream: str, batches: list[tuple[CallId, list[LogEvent]]]
    ) -> Outcome:
        try:
            is_there = await self._write(account, group, stream, batches)
        except StoreError as error:
            return Outcome(
                verdict=Verdict.RETRYABLE, error_code=INTERNAL_ERROR, error_message=str(error)
            )
        return DELIVERED if is_there else GROUP_GONE


def log_event_of(payload: bytes, now_ms: int) -> LogEvent | None:
    """Return what a payload is logged as, None where it is neither an event nor made for a log.

    A time that CloudWatch Logs would not take is replaced by that of arrival.
    """
    try:
        if payload.startswith(WHOLE_EVENT):
            message = payload.decode()
            timestamp = _milliseconds(_decode_event(payload).time)
        else:
            transformed = _decode_transformed(payload)
            message = transformed.message
            timestamp = _milliseconds(transformed.timestamp)
    except (msgspec.MsgspecError, UnicodeDecodeError, ValueError):
        return None
    if not now_ms - PAST_MS <= timestamp <= now_ms + FUTURE_MS:
        timestamp = now_ms
    return LogEvent("", timestamp, message) if message else None


def stream_name(delivery: Delivery, now: float) -> str:
    """Return the stream of a rule's target for a day, UTC."""
    day = datetime.fromtimestamp(int(now), UTC).date().isoformat()
    scope = f"{delivery.rule_arn}/{delivery.target_id}/{day}"
    return str(uuid.UUID(bytes=hashlib.sha256(scope.encode()).digest()[:16], version=4))


def _call(delivery: Delivery) -> CallId:
    return CallId(hashlib.sha256(delivery.delivery_id.encode()).digest()[:CALL_ID_BYTES])


def _milliseconds(given: int | str) -> int:
    """Return a time that is milliseconds or ISO 8601. Raises ValueError for any other text."""
    if isinstance(given, int):
        return given
    if given.isdecimal() and given.isascii():
        return int(given)
    moment = datetime.fromisoformat(given)
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1_000)
