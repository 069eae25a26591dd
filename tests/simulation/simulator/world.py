"""The simulated world: a heap of (time, sequence, input), a network, clients, and faults.

Everything that happens follows from the seed. One history is two phases: until `HEAL_AT`
anything may break; then all is mended, and what was promised has to come true by `END_AT`.
"""

from __future__ import annotations

import heapq
import itertools
import random
from collections import Counter
from dataclasses import dataclass

from msgspec.structs import replace

from farspan.catalog.federation import PeerReport
from farspan.ingest.entries import Entry
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.route import Route
from farspan.replication.link import Mode
from simulator.checkers import Checker
from simulator.node import Node
from simulator.words import (
    CLIENT,
    EAST,
    EDGES,
    NODES,
    REGIONS,
    SITES,
    Attempted,
    Call,
    ClientSends,
    Fault,
    Input,
    Machines,
    Put,
    PutAnswer,
    Request,
    Response,
    Told,
)

HEAL_AT = 20.0
END_AT = 30.0
CALL_COUNT = 30
ATTEMPTS_MAX = 8
CLIENT_SECONDS_MAX = 4.0
STORM_LOSS = 0.3
REPORTS_KEPT_EVERY = 50
TARGET_FAILS, TARGET_REFUSES, TARGET_IS_SLOW = 0.1, 0.02, 0.05
KINDS = (
    "kill",
    "kill",
    "hang",
    "cut",
    "cut-one-way",
    "isolate",
    "site",
    "disk",
    "storm",
    "configure",
    "order",
    "clock",
    "stale",
    "targets",
)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long a history is, how many calls there are, and what breaks.

    Each of `faults` is when it begins and what it is; all end with `heal_at`. None: by the seed.
    Clients ask an edge first, unless they are `anywhere`.
    """

    heal_at: float = HEAL_AT
    end_at: float = END_AT
    call_count: int = CALL_COUNT
    faults: tuple[tuple[float, Fault], ...] | None = None
    anywhere: bool = False


class World:
    """One history. `machines` are the decisions under test; the mode is by the seed or given."""

    def __init__(
        self,
        seed: int,
        machines: Machines | None = None,
        *,
        plan: Plan | None = None,
        mode: Mode | None = None,
    ) -> None:
        self.random = random.Random(seed)
        self.machines = machines or Machines()
        self.plan = plan or Plan()
        self.mode = mode or tuple(Mode)[seed % len(Mode)]
        self.now = 0.0
        self._said: list[tuple[float, str, str]] = []
        self.cuts: set[tuple[str, str]] = set()
        self.is_stormy = self.targets_are_down = False
        self._fault_count = 0
        self._reports: list[PeerReport] = []
        self._heap: list[tuple[float, int, str, int, Input]] = []
        self._sequence = itertools.count()
        self._message_numbers = itertools.count()
        self._waiting: dict[str, list[Input]] = {name: [] for name in NODES}
        self.checker = Checker(self)
        self.nodes = {name: Node(self, name) for name in NODES}
        self.calls = [self._call(number) for number in range(self.plan.call_count)]
        for node in self.nodes.values():
            node.start()
        self._plan_faults()

    def _call(self, number: int) -> Call:
        entry_count = self.random.randint(1, 3)
        name = f"call-{number}"
        entry = Entry(source="shop", detail_type=name, detail='{"n":1}')
        call = Call(name, (entry,) * entry_count)
        self._push(self.random.uniform(0.5, self.plan.heal_at), CLIENT, 0, ClientSends(call, 0))
        return call

    def _plan_faults(self) -> None:
        self._push(self.plan.heal_at, "", 0, Fault("everything", "", ends=True))
        if self.plan.faults is not None:
            for at, fault in self.plan.faults:
                self._push(at, "", 0, fault)
            return
        for _ in range(self.random.randint(3, 12)):
            at = self.random.uniform(1.0, HEAL_AT - 2)
            end = min(HEAL_AT, at + self.random.choice((0.3, 3.0, 6.0, 9.0)))
            kind, place = self.random.choice(KINDS), self.random.choice((EAST, *NODES))
            other = self.random.choice([name for name in NODES if name != place])
            self._push(at, "", 0, Fault(kind, place, other))
            self._push(end, "", 0, Fault(kind, place, other, ends=True))

    # --- time -----------------------------------------------------------------------------

    def run(self) -> None:
        """Live the history to its end, checking after every step. Raises Violation."""
        while self._heap and self._heap[0][0] <= self.plan.end_at:
            self.now, _, place, life, given = heapq.heappop(self._heap)
            self._step(place, life, given)
            if place != CLIENT:
                self.checker.check((place,) if place else NODES)
        self.checker.check_end()

    def say(self, who: str, what: str) -> None:
        """Add a line to the history."""
        self._said.append((self.now, who, what))

    def history(self) -> str:
        """Tell what happened, a line each."""
        return "".join(f"{at:7.3f} {who:6} {what}\n" for at, who, what in self._said)

    def counts(self) -> Counter[str]:
        """Return how much there was of what the checkers look at."""
        moves = max(node.routing.generation for node in self.nodes.values()) - 1
        acknowledged = sum(call.acknowledged is not None for call in self.calls)
        return Counter(
            {
                "calls": len(self.calls),
                "acknowledged": acknowledged,
                "faults": self._fault_count,
                "changes of route": moves,
            }
        )

    def set_timer(self, node: Node, seconds: float, timer: Input) -> None:
        """Give a node an input later, unless its process has ended by then."""
        self._push(self.now + seconds, node.name, node.life, timer)

    def _push(self, at: float, place: str, life: int, given: Input) -> None:
        heapq.heappush(self._heap, (at, next(self._sequence), place, life, given))

    def _step(self, place: str, life: int, given: Input) -> None:
        if isinstance(given, Fault):
            self._break(given)
        elif isinstance(given, ClientSends):
            self._client_sends(given)
        elif isinstance(given, Response):
            self._client_hears(given)
        else:
            node = self.nodes[place]
            if life not in (0, node.life):
                return  # a timer of a process that has ended
            if node.is_hung:
                self._waiting[place].append(given)
            elif node.is_alive:
                node.handle(given)
            else:
                self._refuse(place, given)

    # --- network --------------------------------------------------------------------------

    def send(self, source: str, target: str, message: Input) -> None:
        """Deliver a message after a while: or never, or twice, or late, as the network is."""
        number = next(self._message_numbers)
        if isinstance(message, Told) and number % REPORTS_KEPT_EVERY == 0:
            self._reports.append(message.report)
        if (source, target) in self.cuts or (self.is_stormy and self.random.random() < STORM_LOSS):
            return
        copy_count = 2 if self.is_stormy and self.random.random() < 0.2 else 1
        for _ in range(copy_count):
            delay = self.random.uniform(0.002, 0.03)
            if self.is_stormy and self.random.random() < 0.1:
                delay += self.random.uniform(0.0, 4.0)
            self._push(self.now + delay, target, 0, message)

    def _refuse(self, place: str, message: Input) -> None:
        """Refuse a connection: a machine without our process answers that at once."""
        if isinstance(message, Put):
            self.send(place, message.sender, PutAnswer(message.number, None))
        elif isinstance(message, Request):
            self.respond(place, Response(message.call, message.attempt, None))

    def respond(self, source: str, response: Response) -> None:
        """Answer a client."""
        self.send(source, CLIENT, response)

    # --- targets --------------------------------------------------------------------------

    def attempt(self, node: Node, delivery: Delivery) -> None:
        """Have a target answer an attempt: well, badly, or late."""
        self.checker.attempted(node, delivery)
        seconds = self.random.uniform(0.005, 0.1)
        draw = self.random.random()
        outcome = DELIVERED
        if self.targets_are_down or draw < TARGET_FAILS:
            outcome = Outcome(verdict=Verdict.RETRYABLE, error_code="SDK_CLIENT_ERROR")
        elif draw < TARGET_FAILS + TARGET_REFUSES:
            outcome = Outcome(verdict=Verdict.PERMANENT, error_code="INVALID_PARAMETER")
        elif draw > 1 - TARGET_IS_SLOW:
            seconds += 1.0
        if outcome is DELIVERED:
            self.checker.delivered(node, delivery)
        self.set_timer(node, seconds, Attempted(delivery, outcome))

    # --- clients --------------------------------------------------------------------------

    def _client_sends(self, given: ClientSends) -> None:
        """Send as boto3 does: the same call again where no answer came, to any node."""
        call = given.call
        if call.acknowledged or given.attempt != call.attempt or call.attempt == ATTEMPTS_MAX:
            return
        call.attempt += 1
        is_first = call.attempt == 1 and not self.plan.anywhere
        node = self.random.choice(EDGES if is_first else NODES)
        self.say(CLIENT, f"sends {call.name} to {node}, attempt {call.attempt}")
        self.send(CLIENT, node, Request(call, call.attempt))
        self._push(self.now + CLIENT_SECONDS_MAX, CLIENT, 0, ClientSends(call, call.attempt))

    def _client_hears(self, response: Response) -> None:
        call = response.call
        if call.acknowledged:
            return
        if response.ids is not None:
            call.acknowledged = response.ids
            self.say(CLIENT, f"has {call.name}")
            self.checker.acknowledged(call)
        elif response.attempt == call.attempt:
            pause = self.random.random() * min(2.0, 0.1 * 2**call.attempt)
            self._push(self.now + pause, CLIENT, 0, ClientSends(call, call.attempt))

    # --- faults ---------------------------------------------------------------------------

    def _break(self, fault: Fault) -> None:
        if fault.kind == "everything":
            self._mend_everything()
            return
        self._fault_count += not fault.ends
        node = self.nodes[fault.place]
        place = f"{fault.place} {fault.other}" if fault.kind.startswith("cut") else fault.place
        self.say("", f"{fault.kind} {place}{' ends' * fault.ends}")
        match fault.kind:
            case "kill":
                self._kill(node, ends=fault.ends)
            case "hang":
                self._hang(node, ends=fault.ends)
            case "disk":
                node.disk_is_full = not fault.ends and node.name in REGIONS
            case "storm" | "targets":
                self._spoil(fault)
            case "configure" | "stale":
                self._configure(node, fault)
            case "order":
                self._order(node, ends=fault.ends)
            case "clock":
                node.skew_seconds += self.random.choice((2, 60, 300)) * self.random.choice((-1, 1))
            case _:
                links = self._links(fault)
                self.cuts = self.cuts - links if fault.ends else self.cuts | links

    def _spoil(self, fault: Fault) -> None:
        """Make the network lose and delay messages, or all targets fail."""
        if fault.kind == "storm":
            self.is_stormy = not fault.ends
        else:
            self.targets_are_down = not fault.ends

    def _configure(self, node: Node, fault: Fault) -> None:
        """Have people change the endpoint, or a report arrive that says something else of it.

        That is one of long ago, or that of a mistake which leaves the endpoint one Region, with
        the number of the next good version.
        """
        if fault.kind == "configure":
            if not fault.ends and self.nodes[EAST].is_alive:
                self.nodes[EAST].configure()
            return
        east = self.nodes[EAST].catalogs[EAST]
        emptied = tuple(replace(each, secondary_region="") for each in east.endpoints)
        mistake = replace(east, version=east.version + 1, endpoints=emptied)
        report = PeerReport(node=EAST, region=EAST, catalogs=(mistake,))
        self._push(self.now, node.name, 0, Told(self.random.choice([report, *self._reports])))

    def _order(self, node: Node, *, ends: bool) -> None:
        """Have people force or pause the route at a node; what has no end is taken back at one."""
        if not node.is_alive or node.is_hung:
            return
        if ends:
            node.order(None, paused=False, seconds=None)
            return
        route = self.random.choice((Route.PRIMARY, Route.SECONDARY, None))
        seconds = self.random.choice((1.0, 4.0, None))
        node.order(route, paused=route is None, seconds=seconds)

    def _links(self, fault: Fault) -> set[tuple[str, str]]:
        if fault.kind == "cut-one-way":
            return {(fault.place, fault.other)}
        if fault.kind == "site":
            here = next(site for site in SITES.values() if fault.place in site)
            there = [node for node in NODES if node not in here]
        else:
            here = (fault.place,)
            there = [fault.other] if fault.kind == "cut" else [*NODES, CLIENT]
        links = set(itertools.product(here, there))
        return links | {(target, source) for source, target in links}

    def _kill(self, node: Node, *, ends: bool) -> None:
        if node.is_alive and not ends:
            self._waiting[node.name].clear()
            node.kill()
        elif ends and not node.is_alive:
            node.start()

    def _hang(self, node: Node, *, ends: bool) -> None:
        if node.is_alive and not ends:
            node.is_hung = True
        elif ends and node.is_hung:
            node.is_hung = False
            for given in self._waiting[node.name]:
                self._push(self.now, node.name, 0, given)
            self._waiting[node.name].clear()

    def _mend_everything(self) -> None:
        self.say("", "everything is mended")
        self.cuts.clear()
        self.is_stormy = self.targets_are_down = False
        for node in self.nodes.values():
            node.disk_is_full = False
            self._kill(node, ends=True)
            self._hang(node, ends=True)
        # By then every node has heard of every order: this one is the newest, whatever the clocks.
        self._push(self.now + 2.0, "", 0, Fault("order", EDGES[0], ends=True))
