"""Which addresses the SDKs' host names have, and that none that lives ever has none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.config import NodeConfig
from farspan.nameserver.zone import ADDRESSES_MAX, Absence, Outlook, Zone

EDGE, EAST, EAST_V6, WEST = "10.0.0.1", "10.0.1.1", "fd00::1", "10.0.2.1"
ENDPOINT = ("abcdefghij", "veo", "endpoint", "events")


def test_an_endpoint_is_at_every_node_the_region_in_use_first(zone: Zone, world: Any) -> None:
    """The primary's node comes first, then the edge, which routes as well, then the other."""
    assert zone.addresses(ENDPOINT, world.outlook) == (EAST, EAST_V6, EDGE, WEST)


def test_after_a_failover_the_secondary_comes_first(zone: Zone, world: Any) -> None:
    """The order follows the route."""
    world.in_use["abcdefghij.veo"] = "us-west-2"

    assert zone.addresses(ENDPOINT, world.outlook) == (WEST, EDGE, EAST, EAST_V6)


def test_a_node_that_is_not_heard_is_left_out(zone: Zone, world: Any) -> None:
    """A dead node would cost each client a refused connection."""
    world.heard.discard("east")

    assert zone.addresses(ENDPOINT, world.outlook) == (EDGE, WEST)


@given(
    heard=st.sets(st.sampled_from(["edge", "east", "west"])),
    region=st.sampled_from(["us-east-1", "us-west-2"]),
)
def test_a_live_endpoint_always_has_addresses(heard: set[str], region: str) -> None:
    """Whoever is heard, and if nobody is: then this server is cut off, not the whole world."""
    nodes = (
        NodeConfig(name="edge", url=f"http://{EDGE}:1"),
        NodeConfig(name="east", url=f"http://{EAST}:1", region="us-east-1"),
        NodeConfig(name="west", url=f"http://{WEST}:1", region="us-west-2"),
    )
    zone = Zone(nodes=nodes, regional=frozenset({"events"}), without_region=frozenset({"iam"}))
    outlook = Outlook(
        region_in_use=lambda _: region,
        is_heard=heard.__contains__,
        knows_every_region=lambda: False,
    )
    expected = {node.reached_at[0] for node in nodes if not heard or node.name in heard}

    for labels in (ENDPOINT, ("iam",)):
        found = zone.addresses(labels, outlook)
        assert isinstance(found, tuple)
        assert set(found) == expected
    assert zone.addresses(("events", region), outlook) == tuple(
        node.reached_at[0] for node in nodes if node.region == region
    )


@pytest.mark.parametrize("heard", [{"east", "west"}, {"west"}, set()])
def test_a_service_of_a_region_is_at_that_region_alone(
    zone: Zone, world: Any, heard: set[str]
) -> None:
    """No other Region has its resources; and where its node is dead, its refusal is the truth."""
    world.heard = heard

    assert zone.addresses(("sqs", "us-east-1"), world.outlook) == (EAST, EAST_V6)


def test_a_service_without_regions_is_at_every_node(zone: Zone, world: Any) -> None:
    """`iam.amazonaws.com` is served by any node that is heard."""
    world.heard = {"edge", "west"}

    assert zone.addresses(("iam",), world.outlook) == (EDGE, WEST)


@pytest.mark.parametrize(
    "labels",
    [
        (),
        ("events",),
        ("endpoint", "events"),
        ("veo", "endpoint", "events"),
        ("us-west-2",),
    ],
)
def test_names_above_others_are_there_without_addresses(
    zone: Zone, world: Any, labels: tuple[str, ...]
) -> None:
    """A resolver that asks label by label must not be told that nothing is below."""
    assert zone.addresses(labels, world.outlook) is Absence.NO_DATA


@pytest.mark.parametrize(
    "labels",
    [
        ("s3", "us-east-1"),
        ("events", "eu-central-1"),
        ("iam", "us-east-1"),
        ("events", "us-east-1", "x"),
        ("x", "events", "us-east-1"),
        ("klmnopqrst", "veo", "endpoint", "events"),
        ("x", *ENDPOINT),
        ("eu-central-1",),
        ("sqs",),
    ],
)
def test_what_is_not_served_has_no_name(zone: Zone, world: Any, labels: tuple[str, ...]) -> None:
    """Other services, other Regions, unknown endpoints and what is below a name are denied."""
    assert zone.addresses(labels, world.outlook) is Absence.NO_NAME


def test_an_unknown_endpoint_is_not_denied_before_every_region_was_heard(
    zone: Zone, world: Any
) -> None:
    """It may be one of the Region that has not been heard yet."""
    world.knows_every_region = False
    unknown = ("klmnopqrst", "veo", "endpoint", "events")

    assert zone.addresses(unknown, world.outlook) is Absence.NOT_KNOWN_YET
    assert zone.addresses(("s3", "us-east-1"), world.outlook) is Absence.NO_NAME


def test_the_name_server_has_its_own_address(zone: Zone, world: Any) -> None:
    """`ns` is where it listens."""
    assert zone.addresses(("ns",), world.outlook) == ("10.0.0.53",)


def test_an_answer_stays_small(world: Any) -> None:
    """However many nodes there are, an answer has so many addresses at most."""
    nodes = tuple(NodeConfig(name=f"n{i}", url=f"http://10.1.0.{i}:1") for i in range(1, 100))
    world.heard = {node.name for node in nodes}
    zone = Zone(nodes=nodes, regional=frozenset(), without_region=frozenset({"iam"}))

    assert len(zone.addresses(("iam",), world.outlook)) == ADDRESSES_MAX
