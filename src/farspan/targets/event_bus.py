"""Event buses as targets: of this Region, of other accounts, of other Regions.

An event goes through one bus of another's in a Region and into one other Region at the most, so
that rules that feed each other come to an end (recorded from AWS). What the receiving bus lets in
is decided where that bus is. Nothing here knows how a bus is reached.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Final

import msgspec

from farspan.errors import AwsError
from farspan.model.arn import Arn, parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.forwarding import ForwardedEvent, ForwardReply, ForwardRequest
from farspan.targets.base import (
    CROSS_REGION_INGESTION_FAILED,
    INTERNAL_ERROR,
    NO_PERMISSIONS,
    THIRD_ACCOUNT_HOP_DETECTED,
    THIRD_REGION_HOP_DETECTED,
)

BATCH_COUNT_MAX: Final = 200
REQUEST_BYTES_MAX: Final = 2 * 1024 * 1024
"""Events of one request: half of what a node takes at once."""

HOP_MESSAGE: Final = "Events received from another event bus cannot be forwarded to this event bus."

Forward = Callable[[str, ForwardRequest], Awaitable[ForwardReply]]
"""Send to a Region, this one included. Raises AwsError where that Region cannot store, OSError,
TimeoutError or MsgspecError where it cannot be reached or understood."""

RoleDenial = Callable[[str, str, str], Outcome | None]
"""Return why a role may not put events on a bus for a rule (three ARNs), None where it may."""


class EventBusTarget:
    """See `base.TargetSender`. The receiving bus's log has the event once, however often sent."""

    batch_count_max: int = BATCH_COUNT_MAX

    def __init__(self, region: str, forward: Forward, role_denial: RoleDenial) -> None:
        self._region = region
        self._forward = forward
        self._role_denial = role_denial

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `base.TargetSender.send`."""
        outcomes: list[Outcome | None] = [self._refusal(delivery) for delivery in deliveries]
        groups: dict[tuple[str, str], list[int]] = {}
        for place, delivery in enumerate(deliveries):
            if outcomes[place] is None:
                key = (delivery.target_arn, delivery.role_arn or "")
                groups.setdefault(key, []).append(place)
        for places in groups.values():
            for some in _in_portions(places, deliveries):
                sent = await self._send([deliveries[place] for place in some])
                for place, outcome in zip(some, sent, strict=True):
                    outcomes[place] = outcome
        return [outcome or DELIVERED for outcome in outcomes]

    def _refusal(self, delivery: Delivery) -> Outcome | None:
        """Return why a delivery is not sent at all."""
        stays = _bus(delivery).region == self._region
        if stays and delivery.is_forwarded:
            return _permanent(THIRD_ACCOUNT_HOP_DETECTED, HOP_MESSAGE)
        if not stays and delivery.origin not in ("", self._region):
            return _permanent(THIRD_REGION_HOP_DETECTED, HOP_MESSAGE)
        return self._role_denial(delivery.role_arn or "", delivery.target_arn, delivery.rule_arn)

    async def _send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        bus, role_arn = _bus(deliveries[0]), deliveries[0].role_arn or ""
        role = parse_arn(role_arn)
        assert role is not None, "PutTargets takes no bus without a role"
        request = ForwardRequest(
            event_bus_arn=str(bus),
            from_region=self._region,
            account=role.account,
            role_arn=role_arn,
            events=tuple(
                ForwardedEvent(
                    event=delivery.payload,
                    origin=delivery.origin,
                    is_forwarded=delivery.is_forwarded,
                    trace_header=delivery.trace_header,
                )
                for delivery in deliveries
            ),
        )
        try:
            reply = await self._forward(bus.region, request)
        except AwsError as error:
            failed = _retryable(INTERNAL_ERROR, error.message)
            return [failed] * len(deliveries)
        except (OSError, msgspec.MsgspecError) as error:
            said = str(error) or type(error).__name__
            message = f"Region {bus.region} did not take the event: {said}"
            return [_retryable(CROSS_REGION_INGESTION_FAILED, message)] * len(deliveries)
        return [
            DELIVERED if denial is None else _permanent(NO_PERMISSIONS, denial)
            for denial in reply.denials
        ]


def _bus(delivery: Delivery) -> Arn:
    arn = parse_arn(delivery.target_arn)
    assert arn is not None, "a target's ARN was read when it was put"
    return arn


def _in_portions(places: Sequence[int], deliveries: Sequence[Delivery]) -> Iterator[list[int]]:
    """Yield the places in runs whose events fit into one request."""
    run: list[int] = []
    byte_count = 0
    for place in places:
        size = len(deliveries[place].payload)
        if run and byte_count + size > REQUEST_BYTES_MAX:
            yield run
            run, byte_count = [], 0
        run.append(place)
        byte_count += size
    if run:
        yield run


def _permanent(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.PERMANENT, error_code=code, error_message=message)


def _retryable(code: str, message: str) -> Outcome:
    return Outcome(verdict=Verdict.RETRYABLE, error_code=code, error_message=message)
