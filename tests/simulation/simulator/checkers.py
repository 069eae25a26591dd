"""What must hold after every step of every history, and at its end.

The checkers look at the stores and the nodes from outside. They must never use the machines that
they check.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import msgspec

from farspan.delivery.attempt import Delivered
from farspan.replication.link import Mode
from farspan.replication.stream import replication_cursor
from simulator.words import (
    BUS,
    CHECK,
    HOLD,
    NODES,
    OBSERVERS,
    REGIONS,
    RULES,
    STREAM,
    TARGETS,
    TIME_SCALE,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farspan.delivery.attempt import Decision
    from farspan.endpoints.failover import Routing
    from farspan.model.delivery import Delivery
    from farspan.model.event import EventBatch
    from simulator.node import Node
    from simulator.words import Call
    from simulator.world import World

FRESH_SECONDS = max(3 * CHECK.request_interval / TIME_SCALE, 2.0)
DELIVERY_SECONDS_MAX = 2.0
"""How long a Region may take from its log to the end of a first attempt, or be late with a next."""

COPY_SECONDS_MAX = 1.0
"""How long a Region may take to copy an event, where nothing is broken."""

CURSOR_OF = {
    region: (replication_cursor(STREAM, origin, origin), origin)
    for region, origin in (REGIONS, REGIONS[::-1])
}


class Violation(AssertionError):
    """A guarantee does not hold. The message names it."""


class _Event(msgspec.Struct, rename="kebab"):
    """What a checker reads of an envelope."""

    id: str
    detail_type: str


class Checker:
    """Watches one world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._read_count = dict.fromkeys(REGIONS, 0)
        self._ids: dict[str, set[str]] = {region: set() for region in REGIONS}
        self._per_call = {region: Counter[str]() for region in REGIONS}
        self._cursors = dict.fromkeys(REGIONS, 0)
        self._heard_at: dict[tuple[str, str], float] = {}
        self._versions = dict.fromkeys(NODES, 0)
        self._routes: dict[str, dict[int, str]] = {name: {} for name in NODES}
        self._route_of: dict[int, str] = {}
        self._entry_counts: dict[str, int] = {}
        self._attempt_counts = Counter[tuple[str, str]]()
        self._delivered: set[tuple[str, str]] = set()
        self._ended: set[tuple[str, str]] = set()
        self._seen_at: dict[tuple[str, str], float] = {}
        self._looked_at: dict[str, tuple[object, object]] = {}
        self._failover_count = dict.fromkeys(NODES, 0)
        self._recovering_since = dict.fromkeys(NODES, 0.0)

    def _claim(self, guarantee: str, holds: object, message: str) -> None:
        if not holds:
            self._world.say("", f"VIOLATION of {guarantee}: {message}")
            raise Violation(f"{guarantee} at {self._world.now:.3f}: {message}")

    # --- told by the world ----------------------------------------------------------------

    def heard(self, node: Node, other: str) -> None:
        """Note that a report of another node reached a node."""
        self._heard_at[node.name, other] = self._world.now

    def changed(self, node: Node, former: Routing) -> None:
        """G8 and G13: look at a change of state that a node decided on."""
        state = node.routing.state
        if state == "RECOVERING" and former.state != state:
            self._recovering_since[node.name] = self._world.now
        if state.startswith("FORCED") or node.routing.route is former.route:
            return  # what people order a node to do is another matter
        self._check_majority(node)
        if state == "SECONDARY":
            self._failover_count[node.name] += 1
        else:
            self._check_hold(node)

    def _check_majority(self, node: Node) -> None:
        """G8: a node that does not hear a majority of the observers never moves a route."""
        heard_count = sum(
            observer == node.name
            or self._world.now - self._heard_at.get((node.name, observer), -1e9) <= FRESH_SECONDS
            for observer in OBSERVERS
        )
        self._claim(
            "G8", 2 * heard_count > len(OBSERVERS), f"{node.name} moved a route while cut off"
        )

    def _check_hold(self, node: Node) -> None:
        """G13: a node goes back after the hold, which each failover but the first doubles."""
        count = self._failover_count[node.name]
        hold = min(HOLD.seconds_max, HOLD.seconds * 2.0 ** max(0, count - 1))
        held = self._world.now - self._recovering_since[node.name]
        self._claim(
            "G13",
            held >= hold - 1e-6,
            f"{node.name} went back after {held:.1f} s and {count} failovers",
        )

    def shipped(self, node: Node, batches: Sequence[EventBatch]) -> None:
        """G6: a Region ships nothing that it did not accept itself."""
        for batch in batches:
            self._claim(
                "G6", batch.origin == node.name, f"{node.name} shipped an event of {batch.origin}"
            )

    def attempted(self, node: Node, delivery: Delivery) -> None:
        """G4: neither attempts nor age exceed the retry policy. A kill may repeat attempts."""
        key, policy = (node.name, delivery.delivery_id), delivery.retry_policy
        self._attempt_counts[key] += 1
        self._claim(
            "G4",
            self._attempt_counts[key] <= (policy.maximum_retry_attempts + 1) * node.life,
            f"{node.name} attempts {delivery.delivery_id} once more",
        )
        age = node.courier.now() - delivery.planned_at
        self._claim(
            "G4",
            age <= policy.maximum_event_age_in_seconds,
            f"{node.name} attempts {delivery.delivery_id} after {age:.1f} s",
        )

    def delivered(self, node: Node, delivery: Delivery) -> None:
        """Note that a target has a delivery."""
        self._delivered.add((node.name, delivery.delivery_id))

    def ended(self, node: Node, delivery: Delivery, decision: Decision) -> None:
        """G3: what ended as delivered is at the target. The other ends have a reason."""
        key = (node.name, delivery.delivery_id)
        self._ended.add(key)
        if isinstance(decision, Delivered):
            self._claim("G3", key in self._delivered, f"{key} was never delivered")
        else:
            self._claim("G3", decision.error_code, f"{key} ended without a reason")

    def acknowledged(self, call: Call) -> None:
        """G1: what is acknowledged is in a Region's log at that moment; in both, where sync."""
        for region in REGIONS:
            self._read_log(region)
        east, west = (self._ids[region] for region in REGIONS)
        ids = set(call.acknowledged or ())
        self._claim("G1", ids <= east | west, f"{call.name} is in no log")
        if self._world.mode is Mode.SYNC:
            self._claim("G1", ids <= east & west, f"{call.name} is in one log only")

    # --- after every step -----------------------------------------------------------------

    def check(self, names: Sequence[str] = NODES) -> None:
        """Look at everything that the last step may have changed of these nodes."""
        for name in names:
            node = self._world.nodes[name]
            if node.is_region:
                self._read_log(name)
                self._check_cursor(name)
            seen = (node.catalogs, node.routing)
            known = self._looked_at.get(name, (None, None))
            if seen[0] is not known[0] or seen[1] is not known[1]:
                self._looked_at[name] = seen
                self._check_catalogs(node)
                self._check_generation(node)

    def _check_catalogs(self, node: Node) -> None:
        version = max(catalog.version for catalog in node.catalogs.values())
        self._claim(
            "G7", version >= self._versions[node.name], f"{node.name} took an older catalog"
        )
        self._versions[node.name] = version
        for catalog in node.catalogs.values():
            for endpoint in catalog.endpoints:
                self._claim(
                    "G7",
                    endpoint.primary_region and endpoint.secondary_region,
                    f"{node.name} has endpoint {endpoint.name} without its two Regions",
                )

    def _check_generation(self, node: Node) -> None:
        routes, generation = self._routes[node.name], node.routing.generation
        if generation not in routes:
            self._claim(
                "one route per generation",
                generation > max(routes, default=0),
                f"the generation of {node.name} fell to {generation}",
            )
            routes[generation] = node.routing.route
            everywhere = self._route_of.setdefault(generation, node.routing.route)
            self._claim(
                "one route per generation",
                everywhere == node.routing.route,
                f"{node.name} has another route in generation {generation} than others have",
            )
        self._claim(
            "one route per generation",
            routes[generation] == node.routing.route and generation == max(routes),
            f"{node.name} has two routes in generation {generation}",
        )

    def _read_log(self, region: str) -> None:
        """G1 and G2: what a log has stays, and each event and each entry is there once."""
        log = self._world.nodes[region].store._logs.get(BUS)
        batches = log.batches if log else []
        if len(batches) == self._read_count[region]:
            return
        self._claim("G1", len(batches) > self._read_count[region], f"{region} lost events")
        for batch in batches[self._read_count[region] :]:
            for envelope in batch.events:
                self._read_event(region, msgspec.json.decode(envelope, type=_Event))
        self._read_count[region] = len(batches)

    def _read_event(self, region: str, event: _Event) -> None:
        ids, per_call = self._ids[region], self._per_call[region]
        self._claim("G2", event.id not in ids, f"{event.id} is twice in {region}")
        ids.add(event.id)
        self._seen_at[region, event.id] = self._world.now
        per_call[event.detail_type] += 1
        self._claim(
            "G2",
            per_call[event.detail_type] <= self._entry_count(event.detail_type),
            f"{event.detail_type} became too many events in {region}",
        )

    def _entry_count(self, name: str) -> int:
        if not self._entry_counts:
            self._entry_counts = {call.name: len(call.entries) for call in self._world.calls}
        return self._entry_counts[name]

    def _check_cursor(self, region: str) -> None:
        """G5: up to its cursor, a Region has every event of the other's stream, without a gap."""
        name, origin = CURSOR_OF[region]
        cursor = self._world.nodes[region].store.cursor_now(name)
        reached = self._cursors[region]
        if cursor == reached:
            return
        self._claim("G5", cursor > reached, f"the cursor of {region} went back to {cursor}")
        stream = self._world.nodes[origin].store._streams.get((STREAM, origin), [])
        for batch in stream:
            if reached < batch.sequence <= cursor:
                self._claim("G5", batch.sequence == reached + 1, f"{origin} has a gap")
                ids = {msgspec.json.decode(e, type=_Event).id for e in batch.events}
                self._claim("G5", ids <= self._ids[region], f"{region} skipped {batch.sequence}")
                reached += len(batch.events)
        self._claim("G5", reached == cursor, f"the cursor of {region} is ahead of {origin}")
        self._cursors[region] = cursor

    # --- at the end -----------------------------------------------------------------------

    def check_end(self) -> None:
        """G1, G3, G9 and the way back: ten seconds after all is mended, all has come true."""
        east, west = (self._ids[region] for region in REGIONS)
        since = self._world.now - COPY_SECONDS_MAX
        apart = (east ^ west) - {event for (_, event), at in self._seen_at.items() if at > since}
        for call in self._world.calls:
            ids = set(call.acknowledged or ())
            lost = (ids - (east | west)) | (ids & apart)
            self._claim("G1", not lost, f"{call.name} was acknowledged and is lost")
        self._check_deliveries()
        self._claim("G9", not apart, f"{len(apart)} events are in one Region only")
        for name, node in self._world.nodes.items():
            state = node.routing.state
            self._claim("the way back", state == "PRIMARY", f"{name} is still {state}")
        generations = {node.routing.generation for node in self._world.nodes.values()}
        self._claim(
            "one number per change", len(generations) == 1, f"the nodes are at {generations}"
        )
        versions = set(self._versions.values())
        self._claim("one catalog", len(versions) == 1, f"the nodes have versions {versions}")

    def _check_deliveries(self) -> None:
        """G3: every event ended for every target, or waits on disk and is not late."""
        now = self._world.now
        waiting = {
            (region, timer.key.decode())
            for region in REGIONS
            for timer in self._world.nodes[region].courier.stored()
            if timer.due > self._world.nodes[region].courier.now() - DELIVERY_SECONDS_MAX
        }
        for (region, event_id), seen_at in self._seen_at.items():
            for target_id in TARGETS:
                key = (region, f"{event_id}/{RULES[region].arn}/{target_id}")
                is_known = key in self._ended or key in waiting
                self._claim(
                    "G3",
                    is_known or now - seen_at < DELIVERY_SECONDS_MAX,
                    f"{key} neither ended nor waits for its turn",
                )
