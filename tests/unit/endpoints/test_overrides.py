"""The orders that stand: which is the newest, for how long, and what survives."""

from __future__ import annotations

import itertools

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.endpoints.overrides import FORGET_SECONDS, OVER, Overrides
from farspan.model.route import Override, Route

NOW, WALL = 1_000.0, 1_700_000_000.0
ID = "orders.veo"


def order(
    version: int = 1,
    *,
    node: str = "edge",
    route: Route | None = Route.SECONDARY,
    paused: bool = False,
    seconds: float | None = None,
) -> Override:
    """Return an order, for the secondary unless told."""
    return Override(
        endpoint_id=ID,
        version=version,
        node=node,
        by="root",
        set_at=WALL,
        route=route,
        paused=paused,
        seconds_left=seconds,
    )


def test_the_newest_order_stands() -> None:
    """A higher version replaces, a lower or equal one is passed over."""
    overrides = Overrides()
    taken = [overrides.take(order(version), NOW) for version in (2, 1, 2, 3)]

    assert [True, False, False, True] == taken
    standing = overrides.of(ID, NOW)
    assert standing is not None
    assert 3 == standing.version


def test_of_two_with_one_version_the_later_node_counts() -> None:
    """Two nodes that take orders in the same moment come to one, however they are heard."""
    pair = [order(node="east"), order(node="west", route=Route.PRIMARY)]
    for told in itertools.permutations(pair):
        overrides = Overrides()
        for each in told:
            overrides.take(each, NOW)

        assert pair[1] == overrides.of(ID, NOW)


@given(st.permutations([order(version, node=node) for version in (1, 2, 3) for node in "ab"]))
def test_orders_come_to_the_same_however_they_are_heard(told: list[Override]) -> None:
    """Reports may overtake each other."""
    overrides = Overrides()
    for each in told:
        overrides.take(each, NOW)

    assert order(3, node="b") == overrides.of(ID, NOW)


def test_an_order_ends_by_itself() -> None:
    """After its seconds it is as if it had been taken back, and it is told as that."""
    overrides = Overrides()
    overrides.take(order(seconds=10), NOW)

    assert order(seconds=4) == overrides.of(ID, NOW + 6)
    assert overrides.of(ID, NOW + 10) is None
    (told,) = overrides.told([ID], NOW + 10)
    assert told.is_automatic
    assert OVER == told.reason


def test_an_order_that_is_over_does_not_come_back() -> None:
    """Who was cut off and tells it again is not believed."""
    overrides = Overrides()
    overrides.take(order(seconds=10), NOW)

    assert not overrides.take(order(seconds=5), NOW + 20)
    assert overrides.of(ID, NOW + 20) is None


def test_an_order_taken_back_is_remembered_as_that() -> None:
    """The earlier order, told by a node that missed the end of it, is not believed."""
    overrides = Overrides()
    overrides.take(order(1), NOW)
    overrides.take(order(2, route=None), NOW)

    assert not overrides.take(order(1), NOW)
    assert overrides.of(ID, NOW) is None
    assert (order(2, route=None),) == overrides.told([ID], NOW)


def test_a_version_is_above_all_that_are_known() -> None:
    """Also where another node's clock is ahead."""
    overrides = Overrides()
    assert int(WALL * 1_000) == overrides.version_after(ID, WALL)

    overrides.take(order(int(WALL * 1_000) + 5), NOW)
    assert int(WALL * 1_000) + 6 == overrides.version_after(ID, WALL)


@pytest.mark.parametrize(
    ("restarted_after", "left"), [(-3_600.0, 10.0), (0.0, 10.0), (4.0, 6.0), (10.0, None)]
)
def test_a_restart_keeps_an_order_for_what_is_left_of_it(
    restarted_after: float, left: float | None
) -> None:
    """What is left is by the wall clock; one that was set back makes no order stand longer."""
    overrides, again = Overrides(), Overrides()
    overrides.take(order(seconds=10), NOW)
    again.load(overrides.saved(NOW, WALL), 5.0, WALL + restarted_after)
    standing = again.of(ID, 5.0)

    assert left == (None if standing is None else pytest.approx(standing.seconds_left, abs=1e-3))


def test_a_restart_keeps_what_stands_until_another_comes() -> None:
    """An order without an end has none after a restart."""
    overrides, again = Overrides(), Overrides()
    overrides.take(order(), NOW)
    again.load(overrides.saved(NOW, WALL), 5.0, WALL + 1e6)

    assert order() == again.of(ID, 5.0)


def test_orders_for_endpoints_that_are_gone_die_out() -> None:
    """They are not told, and dropped after an hour; until then the endpoint may still come."""
    overrides = Overrides()
    overrides.take(order(), NOW)
    overrides.forget([], NOW + FORGET_SECONDS)
    assert () == overrides.told([], NOW)
    assert (order(),) == overrides.told([ID], NOW)

    overrides.forget([ID], NOW + FORGET_SECONDS + 1)
    assert (order(),) == overrides.told([ID], NOW)

    overrides.forget([], NOW + FORGET_SECONDS + 1)
    assert () == overrides.told([ID], NOW)


def test_a_pause_is_an_order() -> None:
    """It stands without a route."""
    overrides = Overrides()
    pause = msgspec.structs.replace(order(route=None), paused=True)
    overrides.take(pause, NOW)

    assert pause == overrides.of(ID, NOW)
