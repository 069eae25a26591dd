"""Many small worlds, each from a seed: what is promised holds in all of them.

`make sim SEED=n` tells the history of one, and `make sim SEEDS=n` lives any number of them.
"""

from __future__ import annotations

import itertools
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace as replace_struct
from simulator.checkers import Violation
from simulator.words import BUS, CATALOG, EAST, ENDPOINT, NODES, WEST, Fault, Machines, Told
from simulator.world import Plan, World

from farspan.catalog.federation import Merge, OwnedCatalog, PeerReport
from farspan.delivery.attempt import Delivered, decide
from farspan.endpoints.failover import Evidence, Routing
from farspan.endpoints.failover import step as fail_over
from farspan.health.votes import Verdict, judge
from farspan.model.delivery import Delivery
from farspan.model.event import CallId
from farspan.replication.link import Admission, Mode
from farspan.replication.stream import plan_replicas
from farspan.store.base import Append
from farspan.store.memory import MemoryStore

RUN = Path(__file__).with_name("run.py")
SEED_COUNT = 200
BUG_SEED_COUNT = 100


@pytest.mark.parametrize("seed", range(SEED_COUNT))
def test_a_history_keeps_every_promise(seed: int) -> None:
    """Whatever breaks, G1 to G8, G12 and G13 hold at every step, and G3 and G9 in the end."""
    World(seed).run()


def test_histories_are_worth_checking() -> None:
    """The seeds reach what the checkers look at: failovers, refusals, retries, ends of those."""
    told = ""
    for seed in range(20):
        world = World(seed)
        world.run()
        told += world.history()

    for words in (
        "-> SECONDARY",
        "-> PRIMARY generation=3",
        "-> FORCED_SECONDARY",
        "paused=True",
        "attempt 3",
        "again",
        "copies west",
        "site",
        "clock",
        "stale",
        "MaximumEventAgeInSeconds",
        "MaximumRetryAttempts",
    ):
        assert words in told
    for mode in ("sync", "sync_or_async"):
        assert f"{mode}: AWAY" in told
        assert f"{mode}: FOLLOWING" in told


@pytest.mark.parametrize("mode", [Mode.ASYNC, Mode.SYNC_OR_ASYNC])
def test_g9_ten_minutes_apart_and_both_hold_the_same_ids(mode: Mode) -> None:
    """The primary is cut off from the other nodes, not from clients: both Regions take events."""
    cuts = tuple((5.0, Fault("cut", EAST, other)) for other in NODES[1:])
    plan = Plan(heal_at=605.0, end_at=640.0, call_count=250, faults=cuts, anywhere=True)
    world = World(3, plan=plan, mode=mode)
    world.run()
    taken = Counter(batch.origin for batch in world.nodes[EAST].store._logs[BUS].batches)

    assert min(taken[EAST], taken[WEST]) > 20
    assert sum(taken.values()) == len(world.calls)


def test_g13_the_more_a_primary_flaps_the_longer_it_is_left_alone() -> None:
    """Of twelve outages in a minute three move the routes: each of these doubles the hold."""
    starts = [5.0 + 5.0 * number for number in range(12)]
    faults = [(at, Fault("disk", EAST, WEST)) for at in starts]
    faults += [(at + 2.0, Fault("disk", EAST, WEST, ends=True)) for at in starts]
    world = World(1, plan=Plan(heal_at=70.0, end_at=80.0, faults=tuple(faults)))
    world.run()

    assert {node.routing.generation for node in world.nodes.values()} == {1 + 2 * 3}


def test_a_seed_tells_the_same_history_byte_for_byte() -> None:
    """What a seed found can be looked at again, in another process too."""
    histories = [
        subprocess.run(
            [sys.executable, RUN, "7"],
            check=True,
            capture_output=True,
            env={"PYTHONHASHSEED": seed},
        )
        for seed in ("1", "2")
    ]

    assert histories[0].stdout == histories[1].stdout
    assert histories[0].stdout.count(b"\n") > 50


def test_any_number_of_histories_is_summed_up() -> None:
    """`make sim SEEDS=n` says how many there were, and what may be concluded from that."""
    summary = subprocess.run(
        [sys.executable, RUN, "--seeds", "3"], check=True, capture_output=True, text=True
    ).stdout.splitlines()

    assert summary[0].startswith("3 histories: 90 calls, ")
    assert summary[1].startswith("0 violations: with 95 % confidence fewer than 3/3 = 100 %")


@pytest.mark.parametrize(
    "late",
    [
        replace_struct(CATALOG, version=2),
        replace_struct(
            CATALOG, version=4, endpoints=(replace_struct(ENDPOINT, secondary_region=""),)
        ),
    ],
    ids=["an-older-version", "an-empty-target-set"],
)
def test_g7_a_report_does_not_take_the_configuration_away(late: OwnedCatalog) -> None:
    """What a node applied is replaced by something newer and whole, or not at all."""
    edge = World(0).nodes["west-1"]
    good = replace_struct(CATALOG, version=3)
    for catalog in (good, late):
        edge.handle(Told(PeerReport(node="east", region="east", catalogs=(catalog,))))

    assert edge.catalogs == {"east": good}


# --- planted bugs ---------------------------------------------------------------------------


def skip_a_batch(*args: Any) -> Any:
    """Move the cursor past a batch without taking it over."""
    changes, cursor = plan_replicas(*args)
    appends = [change for change in changes if isinstance(change, Append)]
    return [change for change in changes if change not in appends[1:2]], cursor


def invent_ids() -> Callable[..., CallId]:
    """Give each sending of a call ids of its own."""
    numbers = itertools.count()
    return lambda *_: CallId(next(numbers).to_bytes(14, "big"))


def majority_of_one(check: Any, votes: Any, _observer_count: int) -> Verdict:
    """Believe whoever can be heard."""
    return judge(check, votes, len(list(votes)))


def ship_everything(store: MemoryStore, stream: str, _origin: str, after: int, limit: int) -> Any:
    """Ship the other Region's events back to it."""
    batches = [b for origin in ("west", "east") for b in store.stream_now(stream, origin, 0, 10**6)]
    return [batch for batch in batches if batch.sequence > after][:limit]


def take_any_catalog(known: Any, offered: Any, *, own_region: Any, **_: Any) -> Merge:
    """Take over whatever arrives, an old catalog too."""
    catalogs = {**known, **{o.region: o for o in offered if o.region != own_region}}
    return Merge(catalogs=catalogs, changed=True)


def take_a_mistake(known: Any, offered: Any, **_: Any) -> Merge:
    """Take over whatever is newer, without a look at what it says."""
    catalogs = dict(known)
    for catalog in offered:
        if catalog.version > catalogs[catalog.region].version:
            catalogs[catalog.region] = catalog
    return Merge(catalogs=catalogs, changed=True)


def keep_the_first(known: Any, _offered: Any, **_: Any) -> Merge:
    """Never take over a catalog."""
    return Merge(catalogs=known, changed=False)


def go_back_at_once(routing: Routing, evidence: Evidence, **rest: Any) -> Routing:
    """Hold always for as long as the first time."""
    return fail_over(replace(routing, failovers=()), evidence, **rest)


def forget_the_generation(routing: Routing, evidence: Evidence, **rest: Any) -> Routing:
    """Move the route without counting it."""
    return replace(fail_over(routing, evidence, **rest), generation=1)


def number_by_oneself(routing: Routing, evidence: Evidence, **rest: Any) -> Routing:
    """Count only the changes that this node made."""
    return fail_over(routing, evidence, **{**rest, "generation_heard": 0})


def never_go_back(routing: Routing, evidence: Evidence, **rest: Any) -> Routing:
    """Wait for a backlog that is never said to be drained."""
    return fail_over(routing, evidence, **{**rest, "caught_up": False})


def acknowledge_at_once(*_: Any) -> Admission:
    """Answer a call of a synchronous endpoint as soon as it is durable in one Region."""
    return Admission.ACKNOWLEDGE


def lose_the_store(_store: MemoryStore) -> MemoryStore:
    """Keep events in memory only."""
    return MemoryStore()


def lose_the_retries(store: MemoryStore) -> MemoryStore:
    """Keep what is to be tried again in memory only."""
    store._timers.clear()
    return store


def take_any_answer(*_: Any) -> Delivered:
    """Take whatever a target answers for success."""
    return Delivered()


def count_no_attempts(delivery: Delivery, *rest: Any) -> Any:
    """Forget how often a delivery was attempted."""
    return decide(replace_struct(delivery, attempt_count=1), *rest)


def first_violation(bug: Callable[[], Machines]) -> str:
    """Return what the first seed that finds the bug says of it."""
    for seed in range(BUG_SEED_COUNT):
        try:
            World(seed, bug()).run()
        except Violation as violation:
            return str(violation)
    return f"no seed below {BUG_SEED_COUNT} found it"


@pytest.mark.parametrize(
    ("bug", "guarantee"),
    [
        (lambda: Machines(surviving=lose_the_store), "G1"),
        (lambda: Machines(admission=acknowledge_at_once), "G1"),
        (lambda: Machines(call_id_of=invent_ids()), "G2"),
        (lambda: Machines(surviving=lose_the_retries), "G3"),
        (lambda: Machines(decide=take_any_answer), "G3"),
        (lambda: Machines(decide=count_no_attempts), "G4"),
        (lambda: Machines(is_too_old=lambda *_: False), "G4"),
        (lambda: Machines(plan_replicas=skip_a_batch), "G5"),
        (lambda: Machines(read_stream=ship_everything), "G6"),
        (lambda: Machines(merge=take_any_catalog), "G7"),
        (lambda: Machines(merge=take_a_mistake), "G7"),
        (lambda: Machines(merge=keep_the_first), "one catalog"),
        (lambda: Machines(judge=majority_of_one), "G8"),
        (lambda: Machines(fail_over=go_back_at_once), "G13"),
        (lambda: Machines(fail_over=forget_the_generation), "one route per generation"),
        (lambda: Machines(fail_over=number_by_oneself), "one number per change"),
        (lambda: Machines(fail_over=never_go_back), "the way back"),
    ],
    ids=[
        "memory-only",
        "unconfirmed",
        "new-ids-on-retry",
        "retries-in-memory",
        "failure-for-success",
        "endless-attempts",
        "ageless",
        "skipped-batch",
        "shipped-round",
        "older-catalog",
        "catalog-of-a-mistake",
        "first-catalog",
        "majority-of-one",
        "same-hold",
        "same-generation",
        "numbers-of-ones-own",
        "no-way-back",
    ],
)
def test_a_planted_bug_is_found(bug: Callable[[], Machines], guarantee: str) -> None:
    """A checker that never finds anything proves nothing: each is shown a bug of its own."""
    assert first_violation(bug).startswith(guarantee)
