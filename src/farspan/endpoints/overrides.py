"""The orders of people that stand: which is the newest for each endpoint, and for how long. Pure.

An order that is over, or was taken back, is remembered as such for as long as its endpoint is
known, so that a node that was cut off cannot bring an older one back. Times are by the caller's
monotonic clock. Nothing here may look at another machine's clock: who tells an order says how
much longer it stands.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

import msgspec

from farspan.model.route import Override

FORGET_SECONDS = 3_600.0
"""How long an order is kept whose endpoint is not known (yet)."""

OVER = "the order's time is over"


@dataclass(frozen=True, slots=True)
class _Standing:
    """An order, until when it stands (None: until another comes), and when it was heard."""

    order: Override
    until: float | None
    heard_at: float


class SavedOverride(msgspec.Struct, frozen=True, kw_only=True):
    """An order on disk. `until` is seconds since the epoch, by the clock of the same machine."""

    order: Override
    until: float | None = None


class Overrides:
    """The newest order for each endpoint that a node knows of."""

    def __init__(self) -> None:
        self._standing: dict[str, _Standing] = {}

    def take(self, order: Override, now: float) -> bool:
        """Take an order over if it is newer than what is known; return whether it is."""
        known = self._standing.get(order.endpoint_id)
        if known is not None and _rank(order) <= _rank(known.order):
            return False
        left = order.seconds_left
        until = None if left is None else now + left
        self._standing[order.endpoint_id] = _Standing(order, until, now)
        return True

    def version_after(self, endpoint_id: str, wall_clock: float) -> int:
        """Return the version for a new order: above all that are known here, and the clock."""
        known = self._standing.get(endpoint_id)
        return max(known.order.version + 1 if known else 0, int(wall_clock * 1_000))

    def of(self, endpoint_id: str, now: float) -> Override | None:
        """Return the order that stands for an endpoint, with the seconds left; None without one."""
        standing = self._standing.get(endpoint_id)
        if standing is None:
            return None
        order = _as_of(standing, now)
        return None if order.is_automatic else order

    def told(self, endpoint_ids: Collection[str], now: float) -> tuple[Override, ...]:
        """Return what other nodes have to hear of these endpoints, orders taken back included.

        Of endpoints that are gone nothing is told, so that their orders die out.
        """
        return tuple(
            _as_of(standing, now)
            for endpoint_id, standing in self._standing.items()
            if endpoint_id in endpoint_ids
        )

    def forget(self, endpoint_ids: Collection[str], now: float) -> None:
        """Drop the orders for endpoints that are not among those known, after an hour."""
        gone = [
            endpoint_id
            for endpoint_id, standing in self._standing.items()
            if endpoint_id not in endpoint_ids and now - standing.heard_at > FORGET_SECONDS
        ]
        for endpoint_id in gone:
            del self._standing[endpoint_id]

    def saved(self, now: float, wall_clock: float) -> dict[str, SavedOverride]:
        """Return what a restart needs, with ends by this machine's wall clock."""
        return {
            endpoint_id: SavedOverride(
                order=_as_of(standing, now),
                until=None if standing.until is None else wall_clock + standing.until - now,
            )
            for endpoint_id, standing in self._standing.items()
        }

    def load(self, saved: Mapping[str, SavedOverride], now: float, wall_clock: float) -> None:
        """Take over what was saved. A clock that was set back makes no order stand longer."""
        for each in saved.values():
            left = each.order.seconds_left
            if each.until is not None and left is not None:
                left = min(left, max(0.0, each.until - wall_clock))
            self.take(msgspec.structs.replace(each.order, seconds_left=left), now)


def _rank(order: Override) -> tuple[int, str]:
    return order.version, order.node


def _as_of(standing: _Standing, now: float) -> Override:
    """Return the order as it is to be told now: taken back once its time is over."""
    if standing.until is None:
        return standing.order
    left = standing.until - now
    if left > 0:
        return msgspec.structs.replace(standing.order, seconds_left=left)
    return msgspec.structs.replace(
        standing.order, route=None, paused=False, reason=OVER, seconds_left=None
    )
