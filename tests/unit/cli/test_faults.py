"""How a fault is made: by whom, with what, and what it is said to be."""

from __future__ import annotations

import itertools

import pytest

from farspan.cli.faults import Means, NoMeans, Owner, Scenario, means_of

REFUSED = {(Scenario.REGION_CUT, Owner.UP)}


@pytest.mark.parametrize(
    ("scenario", "owner"), [p for p in itertools.product(Scenario, Owner) if p not in REFUSED]
)
def test_every_scenario_has_means_wherever_it_is_run(scenario: Scenario, owner: Owner) -> None:
    """Signals only to processes that are ours; where they are not, the route is overridden."""
    means = means_of(scenario, owner)

    assert (means is Means.HEALTH_CHECK) is (scenario is Scenario.HEALTH_INVERT)
    assert owner is not Owner.ELSEWHERE or means in (Means.OVERRIDE, Means.HEALTH_CHECK)
    assert (means is Means.SIGNAL) <= (owner is not Owner.ELSEWHERE)
    assert (means is Means.WIRE) <= (owner is Owner.DRILL)


def test_a_cut_needs_a_deployment_of_the_drills_own() -> None:
    """Proxies cannot be put between nodes that run: the sentence says what to do instead."""
    with pytest.raises(NoMeans, match="add --up"):
        means_of(Scenario.REGION_CUT, Owner.UP)
