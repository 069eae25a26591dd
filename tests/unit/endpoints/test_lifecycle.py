"""What becomes of an endpoint that is being created, updated or deleted."""

from __future__ import annotations

import itertools

import pytest

from farspan.endpoints.lifecycle import (
    ANSWER_SECONDS_MAX,
    PROPAGATION_SECONDS_MAX,
    Decision,
    Facts,
    Next,
    advance,
)
from farspan.model.endpoint import EndpointState

NO_CHECK = Decision(Next.FAILED, "The health check does not exist.")
NO_BUS = Decision(Next.FAILED, "The event bus does not exist in the secondary Region.")
NO_ANSWER = Decision(Next.FAILED, "The secondary Region does not answer.")
WAIT, ACTIVE = Decision(Next.WAIT), Decision(Next.ACTIVE)

AT_ONCE, SETTLED, LATE = 0.0, PROPAGATION_SECONDS_MAX, ANSWER_SECONDS_MAX

ALL_FACTS = [
    Facts(
        secondary_heard=heard,
        secondary_knows_version=knows,
        secondary_has_bus=bus,
        health_check_known=check,
    )
    for heard, knows, bus, check in itertools.product((True, False), repeat=4)
]

# What is there, in the order: h heard, v version, b bus, c check; then the decision at once, when
# news has had time to travel, and when the secondary has had time to answer.
TABLE: dict[str, tuple[Decision, Decision, Decision]] = {
    "hvbc": (ACTIVE, ACTIVE, ACTIVE),
    "hvb-": (WAIT, NO_CHECK, NO_CHECK),
    "hv-c": (WAIT, NO_BUS, NO_BUS),
    "hv--": (WAIT, NO_CHECK, NO_CHECK),
    "h-bc": (WAIT, WAIT, WAIT),
    "h-b-": (WAIT, NO_CHECK, NO_CHECK),
    "h--c": (WAIT, NO_BUS, NO_BUS),
    "h---": (WAIT, NO_CHECK, NO_CHECK),
    "-vbc": (WAIT, WAIT, NO_ANSWER),
    "-vb-": (WAIT, NO_CHECK, NO_CHECK),
    "-v-c": (WAIT, WAIT, NO_ANSWER),
    "-v--": (WAIT, NO_CHECK, NO_CHECK),
    "--bc": (WAIT, WAIT, NO_ANSWER),
    "--b-": (WAIT, NO_CHECK, NO_CHECK),
    "---c": (WAIT, WAIT, NO_ANSWER),
    "----": (WAIT, NO_CHECK, NO_CHECK),
}


def letters(facts: Facts) -> str:
    """Return the facts as the table has them."""
    there = (
        facts.secondary_heard,
        facts.secondary_knows_version,
        facts.secondary_has_bus,
        facts.health_check_known,
    )
    return "".join(
        letter if is_there else "-" for letter, is_there in zip("hvbc", there, strict=True)
    )


def test_every_set_of_facts_is_in_the_table() -> None:
    """The table is total."""
    assert {letters(facts) for facts in ALL_FACTS} == set(TABLE)


@pytest.mark.parametrize("state", [EndpointState.CREATING, EndpointState.UPDATING])
@pytest.mark.parametrize("facts", ALL_FACTS, ids=letters)
@pytest.mark.parametrize(("column", "seconds"), [(0, AT_ONCE), (1, SETTLED), (2, LATE)])
def test_a_change_under_way(
    state: EndpointState, facts: Facts, column: int, seconds: float
) -> None:
    """Creating and updating become active, wait, or fail with the reason, as the table says."""
    assert TABLE[letters(facts)][column] == advance(state, facts, seconds)


@pytest.mark.parametrize("facts", ALL_FACTS, ids=letters)
@pytest.mark.parametrize("seconds", [AT_ONCE, SETTLED, LATE])
def test_deleting_needs_nobody(facts: Facts, seconds: float) -> None:
    """An endpoint that is deleted goes, whatever the other Region says."""
    assert Decision(Next.GONE) == advance(EndpointState.DELETING, facts, seconds)


@pytest.mark.parametrize(
    "state",
    [
        EndpointState.ACTIVE,
        EndpointState.CREATE_FAILED,
        EndpointState.UPDATE_FAILED,
        EndpointState.DELETE_FAILED,
    ],
)
@pytest.mark.parametrize("facts", ALL_FACTS, ids=letters)
def test_nothing_under_way_waits(state: EndpointState, facts: Facts) -> None:
    """An endpoint at rest stays, however long and whatever is missing."""
    assert advance(state, facts, 1e9) == WAIT


@pytest.mark.parametrize("state", EndpointState)
@pytest.mark.parametrize("facts", ALL_FACTS, ids=letters)
def test_a_failure_and_nothing_else_has_a_reason(state: EndpointState, facts: Facts) -> None:
    """DescribeEndpoint shows a reason where, and only where, something failed."""
    for seconds in (AT_ONCE, SETTLED, LATE):
        decision = advance(state, facts, seconds)

        assert (decision.next is Next.FAILED) == (decision.reason is not None)
