"""Which Region a global endpoint routes to: a table, not a conversation. Pure.

Theory of operation. Every node runs this machine for every endpoint, for itself: two Regions that
accept events at the same time are harmless, because their logs merge by event id, so no agreement
is needed to move. What is needed is evidence, and evidence is agreed on: a majority of the fresh
votes of the observers outside the primary Region. Without a majority nothing moves (UNKNOWN), so a
node that is cut off keeps its route. A trip is immediate. The way back is slow: the primary must
hold healthy for a time that doubles with each failover of the last hour, and the secondary's
events must have reached it.

    PRIMARY ⇄ SUSPECT → SECONDARY ⇄ RECOVERING → PRIMARY

An order of people stands above all evidence. A forced route is taken at once, from every state to
FORCED_PRIMARY or FORCED_SECONDARY; taken back, it leaves the endpoint in PRIMARY or SECONDARY, and
from there evidence decides as ever. A pause lets the states follow the evidence, but never from one
route to the other.

Generations number the changes of route, alike on all nodes: odd ones are those of the primary,
even ones those of the secondary. A node that missed some goes on with the numbers of the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

from farspan.model.route import Route

HOUR_SECONDS = 3_600.0


class State(StrEnum):
    """Where an endpoint's routing stands."""

    PRIMARY = "PRIMARY"  # the primary is healthy and in use
    SUSPECT = "SUSPECT"  # in use still; this node's own probe sees it fail, no majority does yet
    SECONDARY = "SECONDARY"  # a majority sees the primary unhealthy
    RECOVERING = "RECOVERING"  # the secondary is in use still; the primary is healthy again
    FORCED_PRIMARY = "FORCED_PRIMARY"  # people chose the primary, whatever the votes say
    FORCED_SECONDARY = "FORCED_SECONDARY"  # people chose the secondary, whatever the votes say


class Evidence(StrEnum):
    """What the votes say of the primary."""

    HEALTHY = "HEALTHY"  # a majority sees it healthy, and so does this node or it cannot tell
    DOUBT = "DOUBT"  # this node sees it unhealthy, no majority agrees
    UNHEALTHY = "UNHEALTHY"  # a majority sees it unhealthy
    UNKNOWN = "UNKNOWN"  # too few fresh votes: this node may be the one that is cut off


ROUTE: dict[State, Route] = {
    State.PRIMARY: Route.PRIMARY,
    State.SUSPECT: Route.PRIMARY,
    State.SECONDARY: Route.SECONDARY,
    State.RECOVERING: Route.SECONDARY,
    State.FORCED_PRIMARY: Route.PRIMARY,
    State.FORCED_SECONDARY: Route.SECONDARY,
}

FORCED: dict[Route, State] = {
    Route.PRIMARY: State.FORCED_PRIMARY,
    Route.SECONDARY: State.FORCED_SECONDARY,
}
PAUSED: dict[Route, State] = {
    Route.PRIMARY: State.SUSPECT,
    Route.SECONDARY: State.RECOVERING,
}
"""Where a pause keeps an endpoint that the evidence would take from its route."""

NEXT: dict[tuple[State, Evidence], State] = {
    (State.PRIMARY, Evidence.HEALTHY): State.PRIMARY,
    (State.PRIMARY, Evidence.DOUBT): State.SUSPECT,
    (State.PRIMARY, Evidence.UNHEALTHY): State.SECONDARY,
    (State.PRIMARY, Evidence.UNKNOWN): State.PRIMARY,
    (State.SUSPECT, Evidence.HEALTHY): State.PRIMARY,
    (State.SUSPECT, Evidence.DOUBT): State.SUSPECT,
    (State.SUSPECT, Evidence.UNHEALTHY): State.SECONDARY,
    (State.SUSPECT, Evidence.UNKNOWN): State.SUSPECT,
    (State.SECONDARY, Evidence.HEALTHY): State.RECOVERING,
    (State.SECONDARY, Evidence.DOUBT): State.SECONDARY,
    (State.SECONDARY, Evidence.UNHEALTHY): State.SECONDARY,
    (State.SECONDARY, Evidence.UNKNOWN): State.SECONDARY,
    (State.RECOVERING, Evidence.HEALTHY): State.RECOVERING,  # and on to PRIMARY: see `step`
    (State.RECOVERING, Evidence.DOUBT): State.SECONDARY,
    (State.RECOVERING, Evidence.UNHEALTHY): State.SECONDARY,
    (State.RECOVERING, Evidence.UNKNOWN): State.RECOVERING,
    (State.FORCED_PRIMARY, Evidence.HEALTHY): State.PRIMARY,
    (State.FORCED_PRIMARY, Evidence.DOUBT): State.PRIMARY,
    (State.FORCED_PRIMARY, Evidence.UNHEALTHY): State.PRIMARY,
    (State.FORCED_PRIMARY, Evidence.UNKNOWN): State.PRIMARY,
    (State.FORCED_SECONDARY, Evidence.HEALTHY): State.SECONDARY,
    (State.FORCED_SECONDARY, Evidence.DOUBT): State.SECONDARY,
    (State.FORCED_SECONDARY, Evidence.UNHEALTHY): State.SECONDARY,
    (State.FORCED_SECONDARY, Evidence.UNKNOWN): State.SECONDARY,
}
"""Without an order. An order that is taken back leaves the route as it is, for the next look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """How long the primary must be healthy before it is used again, in seconds.

    `memory_seconds` is for how long a failover makes the next holds longer.
    """

    seconds: float = 60.0
    seconds_max: float = 900.0
    memory_seconds: float = HOUR_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What people want, whatever the votes say: a route, or that the present one stays."""

    route: Route | None = None
    paused: bool = False
    reason: str = ""


NO_ORDER = Order()


@dataclass(frozen=True, slots=True, kw_only=True)
class Routing:
    """How an endpoint is routed by this node.

    `generation` grows with each change of route, so that a late reader can tell old from new.
    `since` is when `state` was entered, by the caller's clock, which must never go back.
    `failovers` are the times of the latest failovers; they make the hold longer.
    """

    state: State = State.PRIMARY
    generation: int = 1
    since: float = 0.0
    reason: str = "new endpoint"
    failovers: tuple[float, ...] = ()

    @property
    def route(self) -> Route:
        """The Region in use."""
        return ROUTE[self.state]


REASONS: dict[State, str] = {
    State.PRIMARY: "the primary was healthy for the hold time and has the secondary's events",
    State.SUSPECT: "this node's probe fails, no majority agrees yet",
    State.SECONDARY: "a majority of observers sees the primary unhealthy",
    State.RECOVERING: "a majority of observers sees the primary healthy",
    State.FORCED_PRIMARY: "forced to the primary",
    State.FORCED_SECONDARY: "forced to the secondary",
}


def hold_seconds(routing: Routing, hold: Hold) -> float:
    """Return how long the primary has to be healthy now: doubled by each failover but the first."""
    doublings = max(0, len(routing.failovers) - 1)
    return min(hold.seconds_max, hold.seconds * 2.0 ** min(doublings, 16))


def step(
    routing: Routing,
    evidence: Evidence,
    *,
    caught_up: bool,
    now: float,
    hold: Hold,
    order: Order = NO_ORDER,
    generation_heard: int = 0,
) -> Routing:
    """Return the routing after a look at the order and the evidence.

    `caught_up` says whether the primary has the secondary's events (always true without
    replication), `generation_heard` is the highest that another node has. The same object comes
    back where nothing changed.
    """
    state = _next_state(routing, evidence, order, may_return=caught_up, now=now, hold=hold)
    if state is routing.state:
        return _stayed(routing, evidence, now, generation_heard)
    moved = ROUTE[state] is not routing.route
    failovers = tuple(at for at in routing.failovers if now - at < hold.memory_seconds)
    if moved and state is State.SECONDARY:  # what people ordered says nothing of the primary
        failovers = (*failovers, now)
    generation = routing.generation
    if moved:
        generation = _generation(ROUTE[state], max(generation + 1, generation_heard))
    return replace(
        routing,
        state=state,
        generation=generation,
        since=now,
        reason=_reason(routing, state, evidence, order),
        failovers=failovers,
    )


def _next_state(
    routing: Routing,
    evidence: Evidence,
    order: Order,
    *,
    may_return: bool,
    now: float,
    hold: Hold,
) -> State:
    if order.route is not None:
        return FORCED[order.route]
    state = NEXT[routing.state, evidence]
    if (
        routing.state is State.RECOVERING
        and evidence is Evidence.HEALTHY
        and may_return
        and now - routing.since >= hold_seconds(routing, hold)
    ):
        state = State.PRIMARY
    if order.paused and ROUTE[state] is not routing.route:
        return PAUSED[routing.route]
    return state


def _stayed(routing: Routing, evidence: Evidence, now: float, generation_heard: int) -> Routing:
    """Return the routing of an endpoint that stays in its state."""
    if routing.state is State.RECOVERING and evidence is Evidence.UNKNOWN:
        routing = replace(routing, since=now)  # the hold counts only time that was seen healthy
    if (
        generation_heard > routing.generation
        and _generation(routing.route, generation_heard) == generation_heard
    ):
        # The others went to and fro without this node, and are where it is.
        routing = replace(routing, generation=generation_heard)
    return routing


def _generation(route: Route, least: int) -> int:
    """Return the first generation of a route from `least` on: odd for the primary."""
    return least + ((least % 2 == 1) is not (route is Route.PRIMARY))


def _reason(routing: Routing, state: State, evidence: Evidence, order: Order) -> str:
    """Return why a state was entered from another, for people."""
    if order.route is not None:
        return f"{REASONS[state]}: {order.reason}" if order.reason else REASONS[state]
    if routing.state in FORCED.values():
        return "no longer forced; the votes decide again"
    if state is State.SUSPECT and evidence is Evidence.UNHEALTHY:
        return "paused, although a majority of observers sees the primary unhealthy"
    if routing.state is State.SUSPECT and state is State.PRIMARY:
        return "the primary proved healthy"
    if routing.state is State.RECOVERING and state is State.SECONDARY:
        return "the primary failed again before the hold time was over"
    return REASONS[state]


def weigh(verdict: str, own_probe: str | None) -> Evidence:
    """Return the evidence in the observers' verdict and this node's own probe.

    `verdict` is `HEALTHY`, `UNHEALTHY` or `UNKNOWN`; `own_probe` is `Healthy`, `Unhealthy` or None
    for a node that does not count as an observer. A majority for unhealthy trips even where the
    own probe disagrees: the node may sit closer to the primary than the clients do.
    """
    if verdict == "UNHEALTHY":
        return Evidence.UNHEALTHY
    if own_probe == "Unhealthy":
        return Evidence.DOUBT
    return Evidence.HEALTHY if verdict == "HEALTHY" else Evidence.UNKNOWN
