"""The history of routes: each generation once, in order, bounded, whoever tells it first."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farspan.endpoints.history import KEPT_COUNT_MAX, TOLD_COUNT_MAX, Changes
from farspan.model.route import Route, RouteChange

ID = "orders.veo"


def change(generation: int, node: str = "edge") -> RouteChange:
    """Return a change of the route."""
    return RouteChange(
        endpoint_id=ID,
        generation=generation,
        at=0.0,
        route=Route.PRIMARY,
        from_region="west",
        to_region="east",
        reason="why",
        votes={},
        node=node,
    )


def generations(changes: Changes) -> list[int]:
    """Return what is kept."""
    return [each.generation for each in changes.of(ID)]


def test_the_first_word_on_a_generation_stands() -> None:
    """Who decided it, or told of it, later adds nothing."""
    changes = Changes()

    assert changes.add([change(2, "edge")])
    assert not changes.add([change(2, "west")])
    assert [change(2, "edge")] == changes.of(ID)


@given(st.lists(st.integers(1, 2 * KEPT_COUNT_MAX)))
def test_the_latest_are_kept_in_order(heard: list[int]) -> None:
    """However they are heard, the highest numbers stay."""
    changes = Changes()
    changes.add(map(change, heard))

    assert sorted(set(heard))[-KEPT_COUNT_MAX:] == generations(changes)


def test_what_is_told_is_less_than_what_is_kept() -> None:
    """Reports have the latest changes of the endpoints that are asked for."""
    changes = Changes()
    changes.add(map(change, range(2, 2 + TOLD_COUNT_MAX + 5)))
    told = changes.told([ID, "nobody.veo"])

    assert generations(changes)[-TOLD_COUNT_MAX:] == [each.generation for each in told]
    assert () == changes.told(["nobody.veo"])


def test_an_endpoint_that_is_gone_is_forgotten() -> None:
    """Nothing of it is kept."""
    changes = Changes()
    changes.add([change(2)])
    changes.forget(ID)
    changes.forget("nobody.veo")

    assert [] == changes.of(ID)
