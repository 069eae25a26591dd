"""A global endpoint's route: which of its Regions is in use, what people order, how it changed."""

from __future__ import annotations

from enum import StrEnum

import msgspec


class Route(StrEnum):
    """The Region that is in use."""

    PRIMARY = "PRIMARY"
    SECONDARY = "SECONDARY"


class Override(msgspec.Struct, frozen=True, kw_only=True):
    """What people order of an endpoint's route, above what the votes say.

    `route` is the one to use, None for the one by health; `paused` keeps the route where it is.
    `version` grows with each order for the endpoint, whichever node takes it; of two with the same
    version that of the later node by name counts. `seconds_left` is for how much longer it stands
    at the moment when it is told, None for until another comes: durations need no common clock.
    `set_at` is seconds since the epoch by the clock of `node`, which took it from `by`.
    """

    endpoint_id: str
    version: int
    node: str
    by: str
    set_at: float
    route: Route | None = None
    paused: bool = False
    reason: str = ""
    seconds_left: float | None = None

    @property
    def is_automatic(self) -> bool:
        """Whether it leaves the route to the votes: the order that takes an earlier one back."""
        return self.route is None and not self.paused


class RouteChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an endpoint's route, as the node that tells of it decided it.

    The generation numbers an endpoint's changes, alike on all nodes. `at` is seconds since the
    epoch by the clock of `node`; `votes` is what each observer said of the primary, by node.
    """

    endpoint_id: str
    generation: int
    at: float
    route: Route
    from_region: str
    to_region: str
    reason: str
    votes: dict[str, str]
    node: str
