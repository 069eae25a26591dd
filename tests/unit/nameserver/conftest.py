"""A zone of two Regions and an edge, and a world that a test can change."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from farspan.config import NodeConfig
from farspan.nameserver.answers import Responder
from farspan.nameserver.zone import Outlook, Zone

EAST, WEST = "us-east-1", "us-west-2"
NODES = (
    NodeConfig(name="edge", url="http://10.0.0.1:4566"),
    NodeConfig(name="east", url="http://east:4567", region=EAST, addresses=("10.0.1.1", "fd00::1")),
    NodeConfig(name="west", url="http://west:4568", region=WEST, addresses=("10.0.2.1",)),
)
ZONE = Zone(
    nodes=NODES,
    regional=frozenset({"events", "sqs", "sts"}),
    without_region=frozenset({"iam", "sts"}),
    own_addresses=("10.0.0.53",),
)


@dataclass
class World:
    """What is heard, and where endpoints are in use."""

    heard: set[str] = field(default_factory=lambda: {node.name for node in NODES})
    in_use: dict[str, str] = field(default_factory=lambda: {"abcdefghij.veo": EAST})
    knows_every_region: bool = True

    @property
    def outlook(self) -> Outlook:
        """The world as the zone sees it."""
        return Outlook(
            region_in_use=self.in_use.get,
            is_heard=lambda name: name in self.heard,
            knows_every_region=lambda: self.knows_every_region,
        )


@pytest.fixture
def world() -> World:
    """Return a world in which every node is heard and one endpoint is at its primary."""
    return World()


@pytest.fixture
def zone() -> Zone:
    """Return the zone."""
    return ZONE


@pytest.fixture
def responder(world: World) -> Responder:
    """Return what answers for amazonaws.com."""
    return Responder("amazonaws.com", ZONE, world.outlook)
