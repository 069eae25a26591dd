"""How the routes of endpoints changed: what this node decided, and what others did meanwhile. Pure.

A change is known by its endpoint and generation. Which node tells of it first does not matter: all
of them decide on the same evidence. What is kept and what is told is bounded.
"""

from __future__ import annotations

import bisect
from collections.abc import Iterable

from farspan.model.route import RouteChange

KEPT_COUNT_MAX = 100
"""How many changes of one endpoint are kept, the latest."""

TOLD_COUNT_MAX = 16
"""How many of them every report has: as many as a Region may miss while it is down."""


class Changes:
    """The latest changes of each endpoint's route, in order of generation."""

    def __init__(self) -> None:
        self._changes: dict[str, list[RouteChange]] = {}

    def add(self, changes: Iterable[RouteChange]) -> bool:
        """Keep changes that are not known yet; return whether there were any."""
        is_new = False
        for change in changes:
            known = self._changes.setdefault(change.endpoint_id, [])
            place = bisect.bisect_left(known, change.generation, key=_generation)
            if place < len(known) and known[place].generation == change.generation:
                continue
            if place == 0 and len(known) == KEPT_COUNT_MAX:
                continue  # older than all that are kept
            known.insert(place, change)
            del known[:-KEPT_COUNT_MAX]
            is_new = True
        return is_new

    def of(self, endpoint_id: str) -> list[RouteChange]:
        """Return the changes of an endpoint's route, the newest last."""
        return list(self._changes.get(endpoint_id, ()))

    def told(self, endpoint_ids: Iterable[str]) -> tuple[RouteChange, ...]:
        """Return what other nodes have to hear of these endpoints."""
        return tuple(
            change
            for endpoint_id in endpoint_ids
            for change in self._changes.get(endpoint_id, ())[-TOLD_COUNT_MAX:]
        )

    def forget(self, endpoint_id: str) -> None:
        """Drop the changes of an endpoint that is gone."""
        self._changes.pop(endpoint_id, None)


def _generation(change: RouteChange) -> int:
    return change.generation
