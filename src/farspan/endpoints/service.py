"""Routing as it runs: every endpoint's failover machine, ticked, and requests carried by it.

Nothing here is read from or written to a store on a request's way: the route is in memory. A copy
on disk lets a node that restarts during a failover go on where it was.
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

from farspan.clock import Clock
from farspan.endpoints.failover import Evidence, Hold, Route, Routing, State, step
from farspan.errors import ServiceUnavailableException
from farspan.model.endpoint import Endpoint

T = TypeVar("T")

TICK_SECONDS = 0.1
HISTORY_COUNT = 50
SENDS_MAX = 4
"""Sends of one request: both Regions, and each once more after the route moved meanwhile."""

PARK_SECONDS_MAX = 5.0
"""How long a request waits for a Region that does not answer while the route stays there."""

COPY_FILE_NAME = "routes.json"

log = logging.getLogger("farspan.endpoints")


class RegionUnreachable(Exception):
    """A Region did not answer a request; the message says how. It may have accepted it or not."""


class RouteChange(msgspec.Struct, frozen=True, kw_only=True):
    """One change of an endpoint's state, for its history. `at` is seconds since the epoch."""

    at: float
    state: State
    route: Route
    generation: int
    reason: str


class _SavedRoute(msgspec.Struct, frozen=True, kw_only=True):
    """What a restart needs of a routing. Times are left out: they are by a clock that restarts."""

    state: State
    generation: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the machine needs to know of the world, each asked anew at every tick."""

    endpoints: Callable[[], Iterable[Endpoint]]
    evidence: Callable[[Endpoint], Evidence]
    caught_up: Callable[[Endpoint], bool]


class RoutingService:
    """Decides for this node which Region each endpoint uses."""

    def __init__(
        self, *, clock: Clock, outlook: Outlook, hold: Hold, copy_directory: Path | None
    ) -> None:
        self._clock = clock
        self._outlook = outlook
        self._hold = hold
        self._copy = copy_directory / COPY_FILE_NAME if copy_directory else None
        self._routings: dict[str, Routing] = {}
        self._history: dict[str, deque[RouteChange]] = {}
        self._under_way: dict[str, dict[asyncio.Timeout, str]] = {}
        self._saved = self._load_copy()
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
        """Give every endpoint's machine the evidence as it stands now."""
        now = self._clock.monotonic()
        for endpoint in self._outlook.endpoints():
            if endpoint.in_use:
                former = self.routing(endpoint)
                routing = step(
                    former,
                    self._outlook.evidence(endpoint),
                    caught_up=self._outlook.caught_up(endpoint),
                    now=now,
                    hold=self._hold,
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
                )
            self._routings[endpoint.endpoint_id] = routing
        return routing

    def region_in_use(self, endpoint: Endpoint) -> str:
        """Return the Region to which the endpoint's events go now."""
        primary = self.routing(endpoint).route is Route.PRIMARY
        return endpoint.primary_region if primary else endpoint.secondary_region

    def history(self, endpoint: Endpoint) -> list[RouteChange]:
        """Return the latest changes of the endpoint's state, the newest last."""
        return list(self._history.get(endpoint.endpoint_id, ()))

    def _change(self, endpoint: Endpoint, former: Routing, routing: Routing) -> None:
        self._routings[endpoint.endpoint_id] = routing
        if routing.state is former.state:
            return
        change = RouteChange(
            at=self._clock.now(),
            state=routing.state,
            route=routing.route,
            generation=routing.generation,
            reason=routing.reason,
        )
        history = self._history.setdefault(endpoint.endpoint_id, deque(maxlen=HISTORY_COUNT))
        history.append(change)
        log.warning(
            "endpoint state endpoint=%s from=%s to=%s route=%s generation=%d reason=%r",
            endpoint.arn,
            former.state,
            routing.state,
            routing.route,
            routing.generation,
            routing.reason,
        )
        self._save_copy()
        if routing.route is not former.route and routing.route is Route.SECONDARY:
            self._release(endpoint)

    def _release(self, endpoint: Endpoint) -> None:
        """Take back the requests that hang in the primary Region, which was voted unhealthy.

        Those under way in the secondary Region stay there, on the way back too: nothing was said
        against it, and one that failed over in-band must not be sent where it was refused.
        """
        for scope, region in self._under_way.get(endpoint.endpoint_id, {}).items():
            if region == endpoint.primary_region and not scope.expired():
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
        unreachable: dict[str, RegionUnreachable] = {}
        region = self.region_in_use(endpoint)
        for _ in range(SENDS_MAX):
            try:
                return await self._send_unless_moved(endpoint, region, send)
            except RegionUnreachable as error:
                unreachable[region] = error
                region = endpoint.other_region(region)
            except _RouteMoved:
                region = self.region_in_use(endpoint)
            if region in unreachable:
                break
        reasons = "; ".join(f"{name}: {error}" for name, error in sorted(unreachable.items()))
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

    def _load_copy(self) -> dict[str, _SavedRoute]:
        if self._copy is None or not self._copy.exists():
            return {}
        try:
            return msgspec.json.decode(self._copy.read_bytes(), type=dict[str, _SavedRoute])
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("routes copy not usable file=%s error=%s", self._copy, error)
            return {}

    def _save_copy(self) -> None:
        if self._copy is None:
            return
        # An endpoint that nobody has asked for since the start keeps what was saved of it.
        self._saved |= {
            endpoint_id: _SavedRoute(state=routing.state, generation=routing.generation)
            for endpoint_id, routing in self._routings.items()
        }
        beside = self._copy.with_suffix(".new")
        try:
            beside.write_bytes(msgspec.json.encode(self._saved))
            beside.replace(self._copy)
        except OSError as error:
            log.warning("routes copy not written file=%s error=%s", self._copy, error)

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)


class _RouteMoved(Exception):
    """The route moved to the other Region while a request was under way."""
