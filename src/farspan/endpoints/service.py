"""Routing as it runs: every endpoint's failover machine, ticked, and requests carried by it.

Nothing here is read from or written to a store on a request's way: the route is in memory. Copies
on disk let a node that restarts during a failover go on where it was, and keep people's orders.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import msgspec

from farspan.catalog.federation import PeerReport
from farspan.clock import Clock
from farspan.endpoints.failover import NO_ORDER, Evidence, Hold, Order, Routing, State, step
from farspan.endpoints.history import Changes
from farspan.endpoints.overrides import FORGET_SECONDS, Overrides, SavedOverride
from farspan.errors import ServiceUnavailableException
from farspan.model.endpoint import Endpoint
from farspan.model.route import Override, Route, RouteChange

T = TypeVar("T")

TICK_SECONDS = 0.1
HISTORY_COUNT = 50
SENDS_MAX = 4
"""Sends of one request: both Regions, and each once more after the route moved meanwhile."""

PARK_SECONDS_MAX = 5.0
"""How long a request waits for a Region that does not answer while the route stays there."""

COPY_FILE_NAME = "routes.json"
OVERRIDES_FILE_NAME = "overrides.json"

log = logging.getLogger("farspan.endpoints")


class RegionUnreachable(Exception):
    """A Region did not answer a request; the message says how. It may have accepted it or not."""


class StateChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an endpoint's state here. `at` is seconds since the epoch."""

    at: float
    state: State
    route: Route
    generation: int
    reason: str


class _SavedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs of a routing. `failovers` are by this machine's wall clock.

    When the state was entered is left out: nobody watched meanwhile, so a hold begins anew.
    """

    state: State
    generation: int
    failovers: tuple[float, ...] = ()
    changes: tuple[RouteChange, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the machine needs to know of the world, each asked anew at every tick."""

    endpoints: Callable[[], Iterable[Endpoint]]
    evidence: Callable[[Endpoint], Evidence]
    caught_up: Callable[[Endpoint], bool]
    votes: Callable[[Endpoint], dict[str, str]] = lambda _: {}


@dataclass(frozen=True, slots=True, kw_only=True)
class ToldRoutes:
    """What a node's report says of routes: see `PeerReport`."""

    overrides: tuple[Override, ...]
    generations: dict[str, int]
    changes: tuple[RouteChange, ...]


class RoutingService:
    """Decides for this node which Region each endpoint uses."""

    def __init__(
        self, *, node: str, clock: Clock, outlook: Outlook, hold: Hold, copy_directory: Path | None
    ) -> None:
        self._node = node
        self._clock = clock
        self._outlook = outlook
        self._hold = hold
        self._copy = copy_directory / COPY_FILE_NAME if copy_directory else None
        self._orders_copy = copy_directory / OVERRIDES_FILE_NAME if copy_directory else None
        self._overrides = Overrides()
        self._overrides.load(
            _load(self._orders_copy, dict[str, SavedOverride]), clock.monotonic(), clock.now()
        )
        self._generations_heard: dict[str, int] = {}
        self._missing_since: dict[str, float] = {}
        self._routings: dict[str, Routing] = {}
        self._states: dict[str, deque[StateChange]] = {}
        self._changes = Changes()
        self._under_way: dict[str, dict[asyncio.Timeout, str]] = {}
        self._saved = _load(self._copy, dict[str, _SavedRoute])
        for saved in self._saved.values():
            self._changes.add(saved.changes)
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look at the evidence."""
        self._task = asyncio.create_task(self._tick())

    async def _tick(self) -> None:
        while True:
            try:
                self.look()
            except Exception:
                log.exception("endpoints could not be looked at")
            await self._clock.sleep(TICK_SECONDS)

    def look(self) -> None:
        """Give every endpoint's machine the order and the evidence as they stand now."""
        endpoints = list(self._outlook.endpoints())
        for endpoint in endpoints:
            if endpoint.in_use:
                self._look_at(endpoint)
        self._forget({endpoint.endpoint_id for endpoint in endpoints})

    def _forget(self, known: set[str]) -> None:
        """Drop what is kept of endpoints that were not known for an hour: they will not come."""
        now = self._clock.monotonic()
        self._overrides.forget(known, now)
        kept = self._routings.keys() | self._saved.keys() | self._generations_heard.keys()
        self._missing_since = {
            endpoint_id: self._missing_since.get(endpoint_id, now) for endpoint_id in kept - known
        }
        for endpoint_id, since in self._missing_since.items():
            if now - since > FORGET_SECONDS:
                self._routings.pop(endpoint_id, None)
                self._saved.pop(endpoint_id, None)
                self._generations_heard.pop(endpoint_id, None)
                self._states.pop(endpoint_id, None)
                self._changes.forget(endpoint_id)

    def _look_at(self, endpoint: Endpoint) -> None:
        former = self.routing(endpoint)
        override = self.override(endpoint)
        routing = step(
            former,
            self._outlook.evidence(endpoint),
            caught_up=self._outlook.caught_up(endpoint),
            now=self._clock.monotonic(),
            hold=self._hold,
            order=NO_ORDER if override is None else _order_of(override),
            generation_heard=self._generations_heard.get(endpoint.endpoint_id, 0),
        )
        if routing is not former:
            self._change(endpoint, former, routing)

    def routing(self, endpoint: Endpoint) -> Routing:
        """Return how this node routes the endpoint; a new endpoint starts at its primary."""
        routing = self._routings.get(endpoint.endpoint_id)
        if routing is None:
            saved = self._saved.get(endpoint.endpoint_id)
            routing = Routing(since=self._clock.monotonic())
            if saved is not None:
                routing = Routing(
                    state=saved.state,
                    generation=saved.generation,
                    since=self._clock.monotonic(),
                    reason="as it was when this node stopped",
                    # A clock that was set back meanwhile brings no failover of the future.
                    failovers=tuple(
                        min(at - self._wall_offset(), self._clock.monotonic())
                        for at in saved.failovers
                    ),
                )
            self._routings[endpoint.endpoint_id] = routing
        return routing

    def region_in_use(self, endpoint: Endpoint) -> str:
        """Return the Region to which the endpoint's events go now."""
        primary = self.routing(endpoint).route is Route.PRIMARY
        return endpoint.primary_region if primary else endpoint.secondary_region

    def votes(self, endpoint: Endpoint) -> dict[str, str]:
        """Return what each observer that counts says of the primary now, by node."""
        return self._outlook.votes(endpoint)

    def evidence(self, endpoint: Endpoint) -> Evidence:
        """Return what the votes come to now; UNKNOWN means that the route is frozen."""
        return self._outlook.evidence(endpoint)

    def states(self, endpoint: Endpoint) -> list[StateChange]:
        """Return the latest changes of the endpoint's state here, the newest last."""
        return list(self._states.get(endpoint.endpoint_id, ()))

    def history(self, endpoint: Endpoint) -> list[RouteChange]:
        """Return the changes of the endpoint's route, the newest last, here or anywhere."""
        return self._changes.of(endpoint.endpoint_id)

    # --- orders ---------------------------------------------------------------------------

    def order(
        self,
        endpoint: Endpoint,
        *,
        by: str,
        route: Route | None,
        paused: bool,
        seconds: float | None,
        reason: str,
    ) -> Override:
        """Take an order of people for an endpoint, durably, and follow it at once."""
        override = Override(
            endpoint_id=endpoint.endpoint_id,
            version=self._overrides.version_after(endpoint.endpoint_id, self._clock.now()),
            node=self._node,
            by=by,
            set_at=self._clock.now(),
            route=route,
            paused=paused,
            reason=reason,
            seconds_left=seconds,
        )
        self.take([override])
        return override

    def hear(self, report: PeerReport) -> None:
        """Take over what another node tells of orders and of its routes."""
        for endpoint_id, generation in report.generations.items():
            known = self._generations_heard.get(endpoint_id, 0)
            self._generations_heard[endpoint_id] = max(known, generation)
        if self._changes.add(report.route_changes):
            self._save_copy()
        self.take(report.overrides)

    def take(self, overrides: Iterable[Override]) -> None:
        """Take over the orders that are newer than what is known, and follow them at once."""
        now = self._clock.monotonic()
        taken = [override for override in overrides if self._overrides.take(override, now)]
        if not taken:
            return
        _save(self._orders_copy, self._overrides.saved(now, self._clock.now()))
        for override in taken:
            log.warning(
                "endpoint override endpoint=%s route=%s paused=%s seconds_left=%s reason=%r by=%s "
                "node=%s version=%d",
                override.endpoint_id,
                override.route or "by health",
                override.paused,
                override.seconds_left,
                override.reason,
                override.by,
                override.node,
                override.version,
            )
        self.look()

    def override(self, endpoint: Endpoint) -> Override | None:
        """Return the order that stands for an endpoint, None where the votes decide."""
        return self._overrides.of(endpoint.endpoint_id, self._clock.monotonic())

    def told(self) -> ToldRoutes:
        """Return what other nodes have to hear of this one."""
        endpoints = [endpoint for endpoint in self._outlook.endpoints() if endpoint.in_use]
        known = {endpoint.endpoint_id for endpoint in endpoints}
        return ToldRoutes(
            overrides=self._overrides.told(known, self._clock.monotonic()),
            generations={e.endpoint_id: self.routing(e).generation for e in endpoints},
            changes=self._changes.told(known),
        )

    def _change(self, endpoint: Endpoint, former: Routing, routing: Routing) -> None:
        self._routings[endpoint.endpoint_id] = routing
        if routing.state is former.state:
            if routing.generation != former.generation:
                self._save_copy()
            return
        self._states.setdefault(endpoint.endpoint_id, deque(maxlen=HISTORY_COUNT)).append(
            StateChange(
                at=self._clock.now(),
                state=routing.state,
                route=routing.route,
                generation=routing.generation,
                reason=routing.reason,
            )
        )
        votes = self._outlook.votes(endpoint)
        moved = routing.route is not former.route
        log.warning(
            "endpoint %s endpoint=%s id=%s from=%s to=%s route=%s region=%s generation=%d "
            "reason=%r votes=%s node=%s",
            "route" if moved else "state",
            endpoint.arn,
            endpoint.endpoint_id,
            former.state,
            routing.state,
            routing.route,
            self.region_in_use(endpoint),
            routing.generation,
            routing.reason,
            ",".join(f"{name}:{status}" for name, status in votes.items()) or "-",
            self._node,
        )
        if moved:
            self._note_move(endpoint, routing, votes)
        self._save_copy()

    def _note_move(self, endpoint: Endpoint, routing: Routing, votes: dict[str, str]) -> None:
        region = self.region_in_use(endpoint)
        change = RouteChange(
            endpoint_id=endpoint.endpoint_id,
            generation=routing.generation,
            at=self._clock.now(),
            route=routing.route,
            from_region=endpoint.other_region(region),
            to_region=region,
            reason=routing.reason,
            votes=votes,
            node=self._node,
        )
        self._changes.add([change])
        if routing.route is Route.SECONDARY or routing.state is State.FORCED_PRIMARY:
            self._release(endpoint, change.from_region)

    def _release(self, endpoint: Endpoint, left: str) -> None:
        """Take back the requests that hang in the Region that was voted unhealthy, or ordered out.

        Those under way in the secondary Region stay there when health leads back to the primary:
        nothing was said against it, and one that failed over in-band must not be sent where it was
        refused.
        """
        for scope, region in self._under_way.get(endpoint.endpoint_id, {}).items():
            if region == left and not scope.expired():
                scope.reschedule(0)

    # --- carrying a request ---------------------------------------------------------------

    async def carry(self, endpoint: Endpoint, send: Callable[[str], Awaitable[T]]) -> T:
        """Send a request to the endpoint's Region in use, and where that fails, to the other.

        A Region that cannot be reached is passed over at once. One that does not answer holds the
        request (it is parked) until the votes move the route; then it goes to the other Region.
        Where no verdict comes, because this node cannot hear enough observers, it goes there after
        `PARK_SECONDS_MAX` all the same. The event ids are the same in each case, so that being
        accepted twice is harmless.

        `send` takes a Region's name and raises RegionUnreachable. Raises
        ServiceUnavailableException where neither Region can be reached.
        """
        # Texts and not the errors, whose tracebacks would hold this frame, and with it the request.
        unreachable: dict[str, str] = {}
        region = self.region_in_use(endpoint)
        for _ in range(SENDS_MAX):
            try:
                return await self._send_unless_moved(endpoint, region, send)
            except RegionUnreachable as error:
                unreachable[region] = str(error)
                region = endpoint.other_region(region)
            except _RouteMoved:
                region = self.region_in_use(endpoint)
            if region in unreachable:
                break
        reasons = "; ".join(f"{name}: {why}" for name, why in sorted(unreachable.items()))
        raise ServiceUnavailableException(
            f"Neither Region of endpoint {endpoint.endpoint_id} can be reached now ({reasons}). "
            "Nothing was lost; try again."
        )

    async def _send_unless_moved(
        self, endpoint: Endpoint, region: str, send: Callable[[str], Awaitable[T]]
    ) -> T:
        under_way = self._under_way.setdefault(endpoint.endpoint_id, {})
        try:
            async with asyncio.timeout(PARK_SECONDS_MAX) as scope:
                under_way[scope] = region
                try:
                    return await send(region)
                finally:
                    del under_way[scope]
        except TimeoutError as error:
            if not scope.expired():
                raise
            if self.region_in_use(endpoint) != region:
                raise _RouteMoved from error
            raise RegionUnreachable(f"no answer within {PARK_SECONDS_MAX:.0f} s") from error

    def parked_count(self, endpoint: Endpoint) -> int:
        """Return how many requests are under way, parked ones included."""
        return len(self._under_way.get(endpoint.endpoint_id, ()))

    # --- the copy on disk -----------------------------------------------------------------

    def _save_copy(self) -> None:
        # An endpoint that nobody has asked for since the start keeps what was saved of it.
        self._saved |= {
            endpoint_id: _SavedRoute(
                state=routing.state,
                generation=routing.generation,
                failovers=tuple(at + self._wall_offset() for at in routing.failovers),
                changes=tuple(self._changes.of(endpoint_id)),
            )
            for endpoint_id, routing in self._routings.items()
        }
        _save(self._copy, self._saved)

    def _wall_offset(self) -> float:
        """Return what the wall clock is ahead of the monotonic one, which starts with a machine."""
        return self._clock.now() - self._clock.monotonic()

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _RouteMoved(Exception):
    """The route moved to the other Region while a request was under way."""


def _order_of(override: Override) -> Order:
    reason = f"{override.reason} (by {override.by})" if override.reason else f"by {override.by}"
    return Order(route=override.route, paused=override.paused, reason=reason)


def _load(copy: Path | None, kind: type[T]) -> T:
    """Return what a copy on disk holds, what is empty of the kind where it cannot be used."""
    if copy is None or not copy.exists():
        return kind()
    try:
        return msgspec.json.decode(copy.read_bytes(), type=kind)
    except (OSError, msgspec.MsgspecError) as error:
        log.warning("routes copy not usable file=%s error=%s", copy, error)
        return kind()


def _save(copy: Path | None, value: object) -> None:
    """Write beside and rename, so that a crash leaves the former copy or the new one."""
    if copy is None:
        return
    beside = copy.with_suffix(".new")
    try:
        beside.write_bytes(msgspec.json.encode(value))
        beside.replace(copy)
    except OSError as error:
        log.warning("routes copy not written file=%s error=%s", copy, error)
