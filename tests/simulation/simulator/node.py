"""One simulated node: the real machines, joined as `farspan.app` joins them, without an event loop.

What survives a kill is what the real node has on disk: the store, the copy of the routes and the
copy of the catalogs. Everything else is made anew by `start`.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec

from farspan.catalog.federation import OwnedCatalog, PeerReport
from farspan.endpoints.failover import NO_ORDER, Order, Route, Routing, State, weigh
from farspan.endpoints.overrides import Overrides, SavedOverride
from farspan.health.ballots import Ballots
from farspan.health.check import CheckState, ProbeResult, final_status, step
from farspan.ingest.entries import Placement, accept_entries
from farspan.model.event import EventBatch
from farspan.model.health_check import Vote
from farspan.model.route import Override
from farspan.replication.link import (
    WAIT_SECONDS_MAX,
    Admission,
    Link,
    Mode,
    asked,
    waited_in_vain,
)
from farspan.replication.stream import (
    StreamGap,
    StreamRequest,
    check_reply,
    replication_cursor,
    ship,
)
from farspan.store.base import Append, Appended
from farspan.store.memory import MemoryStore
from simulator.courier import Courier
from simulator.words import (
    BUS,
    CATALOG,
    CHECK,
    EAST,
    ENDPOINT,
    HOLD,
    NODES,
    OBSERVERS,
    REGIONS,
    STREAM,
    TIME_SCALE,
    Answer,
    Ask,
    Attempted,
    Call,
    Carried,
    Deliver,
    Look,
    Observe,
    Probe,
    ProbeAnswer,
    ProbeEnds,
    Pull,
    Put,
    PutAnswer,
    Request,
    Response,
    Tell,
    Told,
    WaitEnds,
    Waiting,
)

if TYPE_CHECKING:
    from simulator.world import World

LOOK_SECONDS = 0.25
DELIVER_SECONDS = 0.25
TELL_SECONDS = 0.5
PROBE_SECONDS_MAX = 0.5
PULL_SECONDS = 0.3
PULL_SECONDS_MAX = 2.0
PULL_EVENT_COUNT = 4
REPORT_FRESH_SECONDS = 3.0
CAUGHT_UP_SECONDS = 1.0


class Node:
    """A process that dies, hangs, and starts again."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name
        self.is_region = name in REGIONS
        self.store = MemoryStore()
        self.catalogs: dict[str, OwnedCatalog] = {EAST: CATALOG}
        self.routes_copy: tuple[State, int, tuple[float, ...]] | None = None
        self.orders_copy: dict[str, SavedOverride] = {}
        self.is_alive = self.is_hung = self.disk_is_full = False
        self.life = 0

    # --- life -----------------------------------------------------------------------------

    def start(self) -> None:
        """Begin with nothing but what is on disk."""
        self.life += 1
        self.is_alive, self.is_hung = True, False
        self.started_at = self.world.now
        self.skew_seconds = self.world.random.uniform(-5.0, 5.0)
        self.ballots = Ballots(TIME_SCALE)
        self.ballots.follow({CHECK.id: CHECK})
        self.check = CheckState()
        self.vote_sequences = itertools.count(1)
        self.numbers = itertools.count(1)
        self.probes: set[int] = set()
        self.pull_number = 0
        self.lag_seconds: float | None = None
        self.reports: dict[str, tuple[float, PeerReport]] = {}
        self.carried: dict[int, Carried] = {}
        self.link = Link(since=self.monotonic())
        self.waiting: dict[int, Waiting] = {}
        self.routing = Routing(since=self.monotonic())
        self.generation_heard = 0
        self.overrides = Overrides()
        self.overrides.load(self.orders_copy, self.monotonic(), self.wall())
        if self.routes_copy is not None:
            state, generation, failovers = self.routes_copy
            ahead = self.wall() - self.monotonic()
            self.routing = Routing(
                state=state,
                generation=generation,
                since=self.monotonic(),
                failovers=tuple(min(at - ahead, self.monotonic()) for at in failovers),
            )
        timers = [Look(), Tell()]
        timers += [Observe()] if self.name in OBSERVERS else []
        timers += [Pull(0), Deliver()] if self.is_region else []
        self.courier = Courier(self)
        for timer in timers:
            self.world.set_timer(self, self.world.random.random() * 0.3, timer)

    def kill(self) -> None:
        """Lose everything that is not on disk."""
        self.is_alive = self.is_hung = False
        self.store = self.world.machines.surviving(self.store)

    def monotonic(self) -> float:
        """Return a time that starts anew with each process."""
        return self.world.now - self.started_at + 5.0

    def wall(self) -> float:
        """Return what this machine takes for the time of day: it may be set back by a restart."""
        return 1_700_000_000 + self.world.now + self.skew_seconds

    def handle(self, given: object) -> None:
        """Do what a message or timer asks."""
        getattr(self, "on_" + type(given).__name__.lower())(given)

    # --- health and catalogs --------------------------------------------------------------

    def on_observe(self, _: Observe) -> None:
        """Probe the primary Region."""
        number = next(self.numbers)
        self.probes.add(number)
        self.world.send(self.name, EAST, Probe(self.name, number))
        self.world.set_timer(self, PROBE_SECONDS_MAX, ProbeEnds(number))
        self.world.set_timer(self, self.ballots.interval(CHECK), Observe())

    def on_probe(self, probe: Probe) -> None:
        """Say whether an append works."""
        self.world.send(self.name, probe.sender, ProbeAnswer(probe.number, not self.disk_is_full))

    def on_probeanswer(self, answer: ProbeAnswer) -> None:
        """Count what the probe saw."""
        self._count(answer.number, ProbeResult(answer.healthy, "answered"))

    def on_probeends(self, ends: ProbeEnds) -> None:
        """Count a probe without an answer."""
        self._count(ends.number, ProbeResult(healthy=False, report="no answer"))

    def _count(self, number: int, result: ProbeResult) -> None:
        if number not in self.probes:
            return
        self.probes.remove(number)
        former, self.check = self.check, step(self.check, result, CHECK.failure_threshold)
        if former.status is not self.check.status:
            self.world.say(self.name, f"sees east {self.check.status}")
        sequence = next(self.vote_sequences)
        if self.check.settled:
            vote = Vote(
                health_check_id=CHECK.id,
                observer=self.name,
                status=self.check.status,
                sequence=sequence,
                checked_time=self.wall(),
                report=result.report,
            )
            self.ballots.cast(vote, self.monotonic())

    def on_tell(self, _: Tell) -> None:
        """Tell every other node everything, changed or not."""
        lags = {} if self.lag_seconds is None else {STREAM: self.lag_seconds}
        report = PeerReport(
            node=self.name,
            region=self.name if self.is_region else None,
            catalogs=tuple(self.catalogs.values()),
            votes=self.ballots.fresh_of(self.name, self.monotonic()),
            replication_lags=lags,
            overrides=self.overrides.told({STREAM}, self.monotonic()),
            generations={STREAM: self.routing.generation},
        )
        for other in NODES:
            if other != self.name:
                self.world.send(self.name, other, Told(report))
        self.world.set_timer(self, TELL_SECONDS, Tell())

    def on_told(self, told: Told) -> None:
        """Take over what is newer."""
        report = told.report
        self.world.checker.heard(self, report.node)
        merged = self.world.machines.merge(
            self.catalogs,
            report.catalogs,
            own_region=self.name if self.is_region else None,
            offering_region=report.region,
        )
        self.catalogs = merged.catalogs
        self.ballots.hear(report.node, report.votes, self.monotonic())
        self.reports[report.node] = (self.monotonic(), report)
        self.generation_heard = max(self.generation_heard, report.generations.get(STREAM, 0))
        for override in report.overrides:
            self._hear(override)

    def configure(self) -> None:
        """Change the endpoint: a new version of the catalog."""
        catalog = self.catalogs[EAST]
        catalog = msgspec.structs.replace(catalog, version=catalog.version + 1)
        self.catalogs = {**self.catalogs, EAST: catalog}
        self.world.say(self.name, f"catalog version {catalog.version}")

    def order(self, route: Route | None, *, paused: bool, seconds: float | None) -> None:
        """Take what people order."""
        override = Override(
            endpoint_id=STREAM,
            version=self.overrides.version_after(STREAM, self.wall()),
            node=self.name,
            by="root",
            set_at=self.wall(),
            route=route,
            paused=paused,
            seconds_left=seconds,
        )
        self.world.say(self.name, f"is ordered route={route} paused={paused} seconds={seconds}")
        self._hear(override)

    def _hear(self, override: Override) -> None:
        if self.overrides.take(override, self.monotonic()):
            self.orders_copy = self.overrides.saved(self.monotonic(), self.wall())

    # --- routing --------------------------------------------------------------------------

    def on_look(self, _: Look) -> None:
        """Give the failover machine the evidence as it stands."""
        fresh = self.ballots.fresh(CHECK.id, self.monotonic())
        votes = [vote.status for observer, vote in fresh.items() if observer in OBSERVERS]
        own = final_status(CHECK, fresh[self.name].status) if self.name in fresh else None
        former = self.routing
        self.routing = self.world.machines.fail_over(
            former,
            weigh(self.world.machines.judge(CHECK, votes, len(OBSERVERS)), own),
            caught_up=self._caught_up(),
            now=self.monotonic(),
            hold=HOLD,
            order=self._order(),
            generation_heard=self.generation_heard,
        )
        if self.routing is not former:
            self._changed(former)
        self.world.set_timer(self, LOOK_SECONDS, Look())

    def _order(self) -> Order:
        override = self.overrides.of(STREAM, self.monotonic())
        return Order(route=override.route, paused=override.paused) if override else NO_ORDER

    def _changed(self, former: Routing) -> None:
        routing = self.routing
        ahead = self.wall() - self.monotonic()
        self.routes_copy = (
            routing.state,
            routing.generation,
            tuple(at + ahead for at in routing.failovers),
        )
        self.world.say(
            self.name,
            f"{former.state} -> {routing.state} generation={routing.generation}: {routing.reason}",
        )
        self.world.checker.changed(self, former)
        if routing.route is former.route:
            return
        if routing.route is Route.SECONDARY:
            self._release(ENDPOINT.primary_region)
        elif routing.state is State.FORCED_PRIMARY:
            self._release(ENDPOINT.secondary_region)

    def _release(self, left: str) -> None:
        """Send what hangs in the Region that was voted unhealthy, or ordered out, to the other."""
        for number, carried in list(self.carried.items()):
            if carried.region == left:
                del self.carried[number]
                carried.region = ENDPOINT.other_region(left)
                self._put(carried)

    def _caught_up(self) -> bool:
        if self.name == ENDPOINT.primary_region:
            lag = self.lag_seconds
        else:
            report = self._report_of(ENDPOINT.primary_region)
            lag = report.replication_lags.get(STREAM) if report else None
        if lag is None:
            # The secondary may be gone: then its events are late, and the primary is what is left.
            secondary = ENDPOINT.secondary_region
            return self.name != secondary and self._report_of(secondary) is None
        return lag <= CAUGHT_UP_SECONDS

    def _report_of(self, name: str) -> PeerReport | None:
        at, report = self.reports.get(name, (-1e9, None))
        return report if self.monotonic() - at <= REPORT_FRESH_SECONDS else None

    def on_request(self, request: Request) -> None:
        """Carry a client's request to the Region in use."""
        primary = self.routing.route is Route.PRIMARY
        region = ENDPOINT.primary_region if primary else ENDPOINT.secondary_region
        self._put(Carried(request.call, request.attempt, region))

    def _put(self, carried: Carried) -> None:
        number = next(self.numbers)
        self.carried[number] = carried
        if carried.region == self.name:
            self._take(carried.call, lambda ids: self.on_putanswer(PutAnswer(number, ids)))
        else:
            self.world.send(self.name, carried.region, Put(self.name, number, carried.call))

    def on_put(self, put: Put) -> None:
        """Accept what another node passes on."""
        self._take(
            put.call,
            lambda ids: self.world.send(self.name, put.sender, PutAnswer(put.number, ids)),
        )

    def on_putanswer(self, answer: PutAnswer) -> None:
        """Answer the client, or send the request to the other Region."""
        carried = self.carried.pop(answer.number, None)
        if carried is None:
            return  # it was taken back when the route moved
        if answer.ids is None:
            carried.refused.add(carried.region)
            carried.region = ENDPOINT.other_region(carried.region)
            if carried.region not in carried.refused:
                self._put(carried)
                return
        self.world.respond(self.name, Response(carried.call, carried.attempt, answer.ids))

    # --- the log --------------------------------------------------------------------------

    def _take(self, call: Call, answer: Callable[[tuple[str, ...] | None], None]) -> None:
        """Accept a call, and answer it once its endpoint's mode lets it be acknowledged."""
        mode = self.world.mode
        if self.disk_is_full or self._verdict() is Admission.REFUSE:
            answer(None)
            return
        ids, appended = self._accept(call)
        is_there = appended.origin != self.name or appended.last_sequence <= self.link.confirmed
        if is_there or self._verdict() is Admission.ACKNOWLEDGE:
            answer(ids)
            return
        number = next(self.numbers)
        self.waiting[number] = Waiting(appended.last_sequence, ids, answer)
        self.world.set_timer(self, WAIT_SECONDS_MAX[mode], WaitEnds(number))

    def _verdict(self) -> Admission:
        verdict: Admission = self.world.machines.admission(self.world.mode, self.link)
        return verdict

    def on_waitends(self, ends: WaitEnds) -> None:
        """Let everyone go who waits, as one of them waited in vain."""
        if ends.number not in self.waiting:
            return
        self.link = waited_in_vain(self.link, self.monotonic())
        self.world.say(self.name, f"{self.world.mode}: {self.link.state}")
        waiting, self.waiting = self.waiting, {}
        for each in waiting.values():
            each.answer(each.ids if self.world.mode is Mode.SYNC_OR_ASYNC else None)

    def _confirmed(self, after: int, end: int) -> None:
        """Answer the calls of which the other Region's question says that it has them."""
        former = self.link
        self.link = asked(former, after=after, end=end, now=self.monotonic())
        if self.link.state is not former.state:
            self.world.say(self.name, f"{self.world.mode}: {self.link.state}")
        for number, each in list(self.waiting.items()):
            if each.sequence <= after:
                del self.waiting[number]
                each.answer(each.ids)

    def _accept(self, call: Call) -> tuple[tuple[str, ...], Appended]:
        body = hashlib.sha256(repr(call.entries).encode()).digest()
        call_id = self.world.machines.call_id_of("AKIA", call.name, body)
        acceptance = accept_entries(
            call.entries,
            call=call_id,
            account=ENDPOINT.account,
            region=self.name,
            now=self.wall(),
            place=lambda _: Placement(event_bus=BUS),
        )
        batch = EventBatch(
            event_bus=BUS,
            call=call_id,
            events=tuple(acceptance.envelopes[BUS]),
            accepted_at=self.wall(),
            origin=self.name,
            stream=STREAM,
        )
        (appended,) = self.store.apply([Append(batch)])
        self.world.say(self.name, f"accepts {call.name}{' again' * appended.repeated}")
        assert isinstance(appended, Appended)
        return tuple(str(result) for result in acceptance.results), appended

    # --- deliveries -----------------------------------------------------------------------

    def on_deliver(self, _: Deliver) -> None:
        """Deliver what the log has."""
        self.courier.look()
        self.world.set_timer(self, DELIVER_SECONDS, Deliver())

    def on_attempted(self, attempted: Attempted) -> None:
        """Do what follows from an attempt."""
        self.courier.settle(attempted)

    # --- replication ----------------------------------------------------------------------

    def on_pull(self, pull: Pull) -> None:
        """Ask the other Region for its stream, unless a newer question is under way."""
        if pull.number != self.pull_number:
            return
        if pull.number:
            self.lag_seconds = None  # the last question was never answered
        self._ask()

    def _ask(self) -> None:
        origin = ENDPOINT.other_region(self.name)
        self.pull_number = next(self.numbers)
        cursor = self.store.cursor_now(replication_cursor(STREAM, origin, origin))
        request = StreamRequest(
            stream=STREAM,
            region=self.name,
            log=origin,
            after=cursor,
            limit=PULL_EVENT_COUNT,
            wait_seconds=0.0,
        )
        self.world.send(self.name, origin, Ask(self.name, self.pull_number, request))
        self.world.set_timer(self, PULL_SECONDS_MAX, Pull(self.pull_number))

    def on_ask(self, ask: Ask) -> None:
        """Ship this Region's own events beyond the cursor."""
        batches = self.world.machines.read_stream(
            self.store, STREAM, self.name, ask.request.after, ask.request.limit
        )
        end = self.store._stream_ends.get((STREAM, self.name), 0)
        # Nothing is trimmed here: a stream that holds anything holds its first event.
        reply = ship(self.name, batches, start=min(end, 1), end=end)
        self._confirmed(ask.request.after, end)
        self.world.checker.shipped(self, batches)
        self.world.send(self.name, ask.sender, Answer(ask.number, reply))

    def on_answer(self, answer: Answer) -> None:
        """Take over the replicas and the cursor in one commit, whenever the reply arrives."""
        origin = ENDPOINT.other_region(self.name)
        if self.disk_is_full:
            return  # the timer asks again
        cursor = self.store.cursor_now(replication_cursor(STREAM, origin, origin))
        try:
            check_reply(ENDPOINT, origin, cursor, answer.reply)
            changes, moved = self.world.machines.plan_replicas(
                ENDPOINT, origin, answer.reply.log, cursor, answer.reply.batches
            )
        except StreamGap:
            return  # a reply that was overtaken
        if changes:
            self.store.apply(changes)
            self.world.say(self.name, f"copies {origin} up to {moved}")
        if answer.number != self.pull_number:
            return
        batches = answer.reply.batches
        behind = moved < answer.reply.end and batches
        self.lag_seconds = max(0.0, self.wall() - batches[-1].accepted_at) if behind else 0.0
        self.pull_number = 0
        if changes:
            self._ask()
        else:
            self.world.set_timer(self, PULL_SECONDS, Pull(0))
