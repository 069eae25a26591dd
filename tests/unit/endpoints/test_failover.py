"""The failover machine: its tables, its hold time, and what may never happen."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.endpoints.failover import (
    FORCED,
    HOUR_SECONDS,
    NEXT,
    NO_ORDER,
    PAUSED,
    REASONS,
    ROUTE,
    Evidence,
    Hold,
    Order,
    Route,
    Routing,
    State,
    hold_seconds,
    step,
    weigh,
)
from farspan.health.votes import Verdict
from farspan.model.health_check import Status

HOLD = Hold(seconds=60, seconds_max=900)
NOW = 10_000.0

PAIRS = list(itertools.product(State, Evidence))
pair_ids = [f"{state}-{evidence}" for state, evidence in PAIRS]

looks = st.lists(
    st.tuples(
        st.sampled_from(Evidence),
        st.booleans(),
        st.sampled_from([0.1, 1.0, 59.0, 61.0, 901.0, 3_700.0]),
    ),
    max_size=60,
)


def in_state(state: State, since: float = NOW) -> Routing:
    """Return a routing that entered a state, with the failover that led there where one did."""
    failovers = (since,) if ROUTE[state] is Route.SECONDARY else ()
    generation = 7 if ROUTE[state] is Route.PRIMARY else 8
    return Routing(state=state, generation=generation, since=since, failovers=failovers)


def see(
    routing: Routing,
    evidence: Evidence,
    after: float = 0.0,
    *,
    caught_up: bool = True,
    order: Order = NO_ORDER,
    heard: int = 0,
) -> Routing:
    """Return the routing after one look, `after` seconds from when the state was entered."""
    return step(
        routing,
        evidence,
        caught_up=caught_up,
        now=routing.since + after,
        hold=HOLD,
        order=order,
        generation_heard=heard,
    )


# --- the tables -----------------------------------------------------------------------------


def test_every_state_and_evidence_has_a_next_state() -> None:
    """The table is total: no pair is left to chance."""
    assert set(PAIRS) == set(NEXT)


def test_every_state_has_a_route() -> None:
    """Whatever the state, a request goes somewhere."""
    assert set(State) == set(ROUTE)


def test_every_state_has_a_reason() -> None:
    """Whatever happened, people can read why."""
    assert set(State) == set(REASONS)
    assert all(REASONS.values())


@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_a_look_goes_where_the_table_says(state: State, evidence: Evidence) -> None:
    """Before the hold time is over, `step` is the table."""
    assert NEXT[state, evidence] is see(in_state(state), evidence, 1).state


@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_nothing_new_is_the_same_object(state: State, evidence: Evidence) -> None:
    """A caller tells by identity whether there is something to remember."""
    routing = in_state(state)
    hold_begins_anew = (state, evidence) == (State.RECOVERING, Evidence.UNKNOWN)
    stays = NEXT[state, evidence] is state and not hold_begins_anew

    assert stays == (see(routing, evidence, 1) is routing)


@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_the_generation_grows_with_the_route_and_only_then(
    state: State, evidence: Evidence
) -> None:
    """A change of state on the same route keeps the generation."""
    routing = in_state(state)
    seen = see(routing, evidence, 61)

    assert (seen.route is not routing.route) == (seen.generation == routing.generation + 1)
    assert seen.generation in (routing.generation, routing.generation + 1)


@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_a_change_says_when_and_why(state: State, evidence: Evidence) -> None:
    """`since` and `reason` are those of the change."""
    seen = see(in_state(state), evidence, 61)

    if seen.state is not state:
        assert seen.since == NOW + 61
        assert seen.reason not in ("", "new endpoint")


@pytest.mark.parametrize("state", State)
def test_g8_unknown_never_moves_a_route(state: State) -> None:
    """Without a majority a node keeps its route, however long and whatever it copied."""
    for caught_up, after in itertools.product((True, False), (0, 61, 1e6)):
        seen = see(in_state(state), Evidence.UNKNOWN, after, caught_up=caught_up)

        assert ROUTE[state] is seen.route
        assert in_state(state).generation == seen.generation


@pytest.mark.parametrize("state", State)
def test_g8_doubt_never_moves_a_route(state: State) -> None:
    """What one node alone sees is no reason to move."""
    assert ROUTE[state] is see(in_state(state), Evidence.DOUBT, 1e6).route


# --- there and back -------------------------------------------------------------------------


@pytest.mark.parametrize("state", [State.PRIMARY, State.SUSPECT])
def test_a_trip_is_immediate(state: State) -> None:
    """A majority for unhealthy moves the route at once."""
    assert Route.SECONDARY is see(in_state(state), Evidence.UNHEALTHY).route


@pytest.mark.parametrize(
    ("after", "caught_up", "state"),
    [
        (59.9, True, State.RECOVERING),
        (60.0, False, State.RECOVERING),
        (1e6, False, State.RECOVERING),
        (60.0, True, State.PRIMARY),
        (1e6, True, State.PRIMARY),
    ],
    ids=["too-early", "not-caught-up", "never-caught-up", "both", "late"],
)
def test_the_way_back_needs_time_and_the_events(
    after: float, caught_up: bool, state: State
) -> None:
    """Failback needs the hold time and the secondary's events in the primary."""
    recovering = in_state(State.RECOVERING)

    assert state is see(recovering, Evidence.HEALTHY, after, caught_up=caught_up).state


def test_the_way_back_needs_healthy_at_that_moment() -> None:
    """The hold time being over is not enough while nobody can tell how the primary is."""
    recovering = in_state(State.RECOVERING)

    assert State.RECOVERING is see(recovering, Evidence.UNKNOWN, 1e6).state


def test_not_knowing_starts_the_hold_anew() -> None:
    """Only time in which the primary was seen healthy counts; the generation stays."""
    recovering = see(in_state(State.RECOVERING), Evidence.UNKNOWN, 59)

    assert recovering == replace(in_state(State.RECOVERING), since=NOW + 59, failovers=(NOW,))
    assert State.RECOVERING is see(recovering, Evidence.HEALTHY, 59).state
    assert State.PRIMARY is see(recovering, Evidence.HEALTHY, 60).state


def test_a_look_takes_one_step_only() -> None:
    """From SECONDARY nothing leads to PRIMARY directly, whatever time has passed."""
    assert State.RECOVERING is see(in_state(State.SECONDARY), Evidence.HEALTHY, 1e6).state


def test_failing_again_starts_the_hold_anew() -> None:
    """The primary has to be healthy for the hold time in one go; its route does not change."""
    failed = see(in_state(State.RECOVERING), Evidence.UNHEALTHY, 59)
    recovering = see(failed, Evidence.HEALTHY, 1)

    assert failed.reason == "the primary failed again before the hold time was over"
    assert recovering.generation == 8
    assert State.RECOVERING is see(recovering, Evidence.HEALTHY, 59).state
    assert State.PRIMARY is see(recovering, Evidence.HEALTHY, 60).state


@pytest.mark.parametrize(
    ("failover_count", "seconds"),
    [(0, 60), (1, 60), (2, 120), (3, 240), (4, 480), (5, 900), (6, 900), (5_000, 900)],
)
def test_the_hold_doubles_with_each_failover_and_is_capped(
    failover_count: int, seconds: float
) -> None:
    """Each failover of the last hour but the first doubles the hold, up to its maximum."""
    routing = replace(in_state(State.RECOVERING), failovers=(NOW,) * failover_count)

    assert seconds == hold_seconds(routing, HOLD)


def test_failovers_of_more_than_an_hour_ago_are_forgotten() -> None:
    """A failover counts for an hour."""
    old, recent = NOW - HOUR_SECONDS, NOW - HOUR_SECONDS + 1
    routing = replace(in_state(State.PRIMARY), failovers=(old, recent))

    assert (recent, NOW) == see(routing, Evidence.UNHEALTHY).failovers


def test_failovers_are_forgotten_in_the_time_of_the_checks() -> None:
    """Where time runs faster for the checks, an hour is over sooner, too."""
    routing = replace(in_state(State.PRIMARY), failovers=(NOW - 180, NOW - 179))
    hold = Hold(seconds=3, seconds_max=45, memory_seconds=HOUR_SECONDS / 20)
    seen = step(routing, Evidence.UNHEALTHY, caught_up=True, now=NOW, hold=hold)

    assert (NOW - 179, NOW) == seen.failovers


@settings(deadline=None)
@given(looks)
def test_a_generation_has_one_route(sequence: list[tuple[Evidence, bool, float]]) -> None:
    """Whatever is seen, the generation never falls, and each stands for one route for ever."""
    routing, now = Routing(since=NOW), NOW
    routes = {routing.generation: routing.route}
    for evidence, caught_up, seconds in sequence:
        now += seconds
        former, routing = routing, step(routing, evidence, caught_up=caught_up, now=now, hold=HOLD)

        assert routing.generation >= former.generation
        assert routing.route is routes.setdefault(routing.generation, routing.route)


@settings(deadline=None)
@given(looks)
def test_the_route_goes_back_only_on_health_and_with_the_events(
    sequence: list[tuple[Evidence, bool, float]],
) -> None:
    """Whatever is seen, it takes UNHEALTHY to leave the primary, and all three to go back."""
    routing, now = Routing(since=NOW), NOW
    for evidence, caught_up, seconds in sequence:
        now += seconds
        former, routing = routing, step(routing, evidence, caught_up=caught_up, now=now, hold=HOLD)
        if routing.route is not former.route:
            to_primary = routing.route is Route.PRIMARY
            held = now - former.since >= hold_seconds(former, HOLD)

            assert (Evidence.HEALTHY if to_primary else Evidence.UNHEALTHY) is evidence
            assert not to_primary or (caught_up and held)


# --- orders ---------------------------------------------------------------------------------


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_a_forced_route_is_taken_from_every_state(
    state: State, evidence: Evidence, route: Route
) -> None:
    """At once and whatever the votes say, with the reason; it counts as no failover."""
    order = Order(route=route, reason="drill (by root)")
    seen = see(in_state(state), evidence, 1, caught_up=False, order=order)

    assert FORCED[route] is seen.state
    assert route is seen.route
    assert in_state(state).failovers == seen.failovers
    assert state is seen.state or seen.reason.endswith(": drill (by root)")


@pytest.mark.parametrize("route", Route)
@pytest.mark.parametrize("evidence", Evidence)
def test_a_forced_route_stays(evidence: Evidence, route: Route) -> None:
    """Nothing moves it while the order stands."""
    forced = in_state(FORCED[route])

    assert forced is see(forced, evidence, 1e6, order=Order(route=route))


@pytest.mark.parametrize("evidence", Evidence)
@pytest.mark.parametrize("route", Route)
def test_an_order_taken_back_leaves_the_route_to_the_votes(
    evidence: Evidence, route: Route
) -> None:
    """The route stays for one look; from there the secondary has its hold time as ever."""
    released = see(in_state(FORCED[route]), evidence, 1)
    generation = in_state(FORCED[route]).generation

    assert (State(route.value), generation) == (released.state, released.generation)
    assert "no longer forced; the votes decide again" == released.reason


@pytest.mark.parametrize(("state", "evidence"), PAIRS, ids=pair_ids)
def test_a_pause_keeps_the_route(state: State, evidence: Evidence) -> None:
    """Whatever the votes say and however long, the route stays; within it the states move on."""
    seen = see(in_state(state), evidence, 1e6, order=Order(paused=True))
    would_move = ROUTE[NEXT[state, evidence]] is not ROUTE[state]

    assert in_state(state).generation == seen.generation
    assert ROUTE[state] is seen.route
    assert (PAUSED[ROUTE[state]] if would_move else NEXT[state, evidence]) is seen.state


def test_a_pause_says_what_it_keeps_from_happening() -> None:
    """Who reads the reason sees that the primary is unhealthy."""
    paused = see(in_state(State.PRIMARY), Evidence.UNHEALTHY, 1, order=Order(paused=True))

    assert "paused, although a majority of observers sees the primary unhealthy" == paused.reason


def test_after_a_pause_the_evidence_moves_at_once() -> None:
    """A trip that was held back comes with the next look, and so does a failback."""
    suspect = see(in_state(State.PRIMARY), Evidence.UNHEALTHY, 1, order=Order(paused=True))
    held = see(in_state(State.RECOVERING), Evidence.HEALTHY, 1e6, order=Order(paused=True))

    assert State.SECONDARY is see(suspect, Evidence.UNHEALTHY).state
    assert State.RECOVERING is held.state
    assert State.PRIMARY is see(held, Evidence.HEALTHY, 1e6).state


# --- generations ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("state", "heard", "generation"),
    [
        (State.PRIMARY, 0, 8),
        (State.PRIMARY, 8, 8),
        (State.PRIMARY, 9, 10),
        (State.PRIMARY, 12, 12),
        (State.FORCED_PRIMARY, 12, 12),
    ],
    ids=["first", "follows", "others-are-back", "missed-two", "forced"],
)
def test_a_change_takes_the_number_of_the_others(state: State, heard: int, generation: int) -> None:
    """A node that missed changes goes on where the others are; the secondary's are even."""
    order = Order(route=Route.SECONDARY)

    assert (
        generation == see(in_state(state), Evidence.UNHEALTHY, order=order, heard=heard).generation
    )


@pytest.mark.parametrize(
    ("state", "heard", "generation"),
    [
        (State.PRIMARY, 9, 9),
        (State.PRIMARY, 8, 7),
        (State.PRIMARY, 5, 7),
        (State.SECONDARY, 12, 12),
        (State.SECONDARY, 11, 8),
    ],
    ids=["same-route", "others-moved", "behind", "same-secondary", "others-are-back"],
)
def test_a_node_that_stays_takes_the_number_of_those_that_are_where_it_is(
    state: State, heard: int, generation: int
) -> None:
    """Only of the same route; the number of another route says that it has yet to follow."""
    seen = see(in_state(state), Evidence.UNKNOWN, 1, heard=heard)

    assert (state, generation) == (seen.state, seen.generation)


@settings(deadline=None)
@given(
    looks,
    st.lists(
        st.sampled_from([NO_ORDER, Order(paused=True), *(Order(route=r) for r in Route)]),
        min_size=60,
        max_size=60,
    ),
    st.lists(st.integers(0, 80), min_size=60, max_size=60),
)
def test_g12_odd_generations_are_the_primarys(
    sequence: list[tuple[Evidence, bool, float]], orders: list[Order], heard: list[int]
) -> None:
    """Whatever is seen, heard and ordered, no two nodes can have one generation on two routes."""
    routing, now = Routing(since=NOW), NOW
    for (evidence, caught_up, seconds), order, told in zip(sequence, orders, heard, strict=False):
        now += seconds
        former = routing
        routing = step(
            routing,
            evidence,
            caught_up=caught_up,
            now=now,
            hold=HOLD,
            order=order,
            generation_heard=told,
        )

        assert routing.generation >= former.generation
        assert (routing.generation % 2 == 1) is (routing.route is Route.PRIMARY)


# --- weighing -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "own", "evidence"),
    [
        (Verdict.HEALTHY, Status.HEALTHY, Evidence.HEALTHY),
        (Verdict.HEALTHY, None, Evidence.HEALTHY),
        (Verdict.HEALTHY, Status.UNHEALTHY, Evidence.DOUBT),
        (Verdict.UNHEALTHY, Status.UNHEALTHY, Evidence.UNHEALTHY),
        (Verdict.UNHEALTHY, None, Evidence.UNHEALTHY),
        (Verdict.UNHEALTHY, Status.HEALTHY, Evidence.UNHEALTHY),
        (Verdict.UNKNOWN, Status.HEALTHY, Evidence.UNKNOWN),
        (Verdict.UNKNOWN, None, Evidence.UNKNOWN),
        (Verdict.UNKNOWN, Status.UNHEALTHY, Evidence.DOUBT),
    ],
)
def test_weigh(verdict: Verdict, own: Status | None, evidence: Evidence) -> None:
    """A majority decides; this node's own probe can only raise doubt."""
    assert evidence is weigh(verdict, own)


@pytest.mark.parametrize("own", [*Status, None])
def test_g8_no_majority_is_never_a_reason_to_move(own: Status | None) -> None:
    """With an UNKNOWN verdict, no probe of one's own trips or goes back."""
    assert weigh(Verdict.UNKNOWN, own) in (Evidence.UNKNOWN, Evidence.DOUBT)
