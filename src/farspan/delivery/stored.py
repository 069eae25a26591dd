"""What delivery keeps in the store: each bus's cursor, and deliveries that wait, as timers."""

from __future__ import annotations

from typing import Final

import msgspec

from farspan.delivery.attempt import RetryAt
from farspan.model.delivery import Delivery
from farspan.store.base import Change, MoveTimer, PutTimer

RETRY_TIMERS: Final = "delivery"
"""The list of the deliveries that wait for an attempt, by their ids."""

_encode = msgspec.msgpack.Encoder().encode
decode_delivery = msgspec.msgpack.Decoder(Delivery).decode


def delivery_cursor(event_bus: str) -> str:
    """Return the name of the cursor that a bus's reader moves."""
    return f"delivery/{event_bus}"


def stored(delivery: Delivery, due: float) -> PutTimer:
    """Return what keeps a delivery until it is due."""
    return PutTimer(RETRY_TIMERS, delivery.delivery_id.encode(), due, _encode(delivery))


def retried(delivery: Delivery, retry: RetryAt) -> list[Change]:
    """Return what keeps a delivery until its next attempt, whether it is stored by now or not."""
    key, body = delivery.delivery_id.encode(), _encode(delivery)
    # One of the two takes effect: the reader may have stored it in the meantime.
    return [
        PutTimer(RETRY_TIMERS, key, retry.due, body),
        MoveTimer(RETRY_TIMERS, key, retry.due, body=body),
    ]
