"""How the routes of endpoints changed: what this node decided, and what others did meanwhile. Pure.

A change is known by its endpoint and generation. Which node tells of it first does not matter: all
of them decide on the same evidence. What is kept and what is told is bounded.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from farspan.model.route import RouteChange

KEPT_COUNT_MAX = 100
"""How many changes of one endpoint are kept, the latest."""

TOLD_COUNT_MAX = 16
"""How many of them every report has: as many as a Region may miss while it is down."""


class Changes:
    """The latest changes of each endpoint's route."""

    def __init__(self) -> None:
        self._changes: dict[str, dict[int, RouteChange]] = {}

    def add(self, changes: Iterable[RouteChange]) -> list[RouteChange]:
        """Keep changes that are not known yet; return these."""
        new = []
        for change in changes:
            known = self._changes.setdefault(change.endpoint_id, {})
            if change.generation in known or change.generation < self._oldest_kept(known):
                continue
            known[change.generation] = change
            if len(known) > KEPT_COUNT_MAX:
                del known[min(known)]
            new.append(change)
        return new

    def _oldest_kept(self, known: Collection[int]) -> int:
        return min(known) if len(known) >= KEPT_COUNT_MAX else 0

    def of(self, endpoint_id: str) -> list[RouteChange]:
        """Return the changes of an endpoint's route, the newest last."""
        known = self._changes.get(endpoint_id, {})
        return [known[generation] for generation in sorted(known)]

    def told(self, endpoint_ids: Iterable[str]) -> tuple[RouteChange, ...]:
        """Return what other nodes have to hear of these endpoints."""
        return tuple(
            change
            for endpoint_id in endpoint_ids
            for change in self.of(endpoint_id)[-TOLD_COUNT_MAX:]
        )

    def forget(self, endpoint_id: str) -> None:
        """Drop the changes of an endpoint that is gone."""
        self._changes.pop(endpoint_id, None)
