"""Which addresses a name of the zone has: the names that AWS's SDKs make up, under one domain.

    <EndpointId>.endpoint.events.<zone>   every node that is heard, the Region's in use first
    <service>.<region>.<zone>             the Region's nodes, heard or not
    <service>.<zone>                      every node that is heard: services without Regions
    ns.<zone>                             the name server itself

Any node routes correctly, so an old answer is harmless: it costs a hop, or a connection refused,
after which a client takes the next address. An empty answer would be an outage. So a name that
lives always has addresses: where no node is heard, this server is the one that is cut off, and all
of them are given. Pure: no I/O, no clock.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from farspan.config import NodeConfig
from farspan.model.endpoint import ENDPOINT_ID_SUFFIX

ADDRESSES_MAX = 8
"""An answer stays small, so that nobody gains by having it sent to somebody else."""

Labels = tuple[str, ...]
"""A name below the zone in lower case, without the zone's own labels: () is the zone itself."""

ENDPOINT_PARENT: Labels = ("endpoint", "events")
PARENTS: tuple[Labels, ...] = (
    (),
    ("events",),
    ENDPOINT_PARENT,
    (ENDPOINT_ID_SUFFIX, *ENDPOINT_PARENT),
)
"""Names that are there because others are below them: to deny one would deny all (RFC 8020)."""

NAME_SERVER_LABEL = "ns"


class Absence(Enum):
    """Why a name has no addresses."""

    NO_DATA = "the name is there, or names below it are, without addresses"
    NO_NAME = "there is no such name"
    NOT_KNOWN_YET = "an endpoint that a Region may have which was never heard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outlook:
    """What the answers depend on, each asked anew for every question.

    `region_in_use` takes an EndpointId and returns its Region, None where no endpoint in use has
    that id; `is_heard` says whether a node was heard lately, by its name; `knows_every_region`
    whether each Region's endpoints were heard once at least.
    """

    region_in_use: Callable[[str], str | None]
    is_heard: Callable[[str], bool]
    knows_every_region: Callable[[], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Zone:
    """The names below one domain.

    `regional` and `without_region` are the first labels of the services' host names.
    """

    nodes: tuple[NodeConfig, ...]
    regional: frozenset[str]
    without_region: frozenset[str]
    own_addresses: tuple[str, ...] = ()

    @property
    def regions(self) -> frozenset[str]:
        """The Regions that have names."""
        return frozenset(node.region for node in self.nodes if node.region)

    def addresses(self, labels: Labels, outlook: Outlook) -> tuple[str, ...] | Absence:
        """Return the addresses of a name, the best first, or why it has none."""
        if labels[-2:] == ENDPOINT_PARENT and labels not in PARENTS:
            return self._of_endpoint(".".join(labels[:-2]), outlook)
        nodes: Iterable[NodeConfig] = ()
        match labels:
            case (label,) if label == NAME_SERVER_LABEL and self.own_addresses:
                return self.own_addresses
            case (service,) if service in self.without_region:
                nodes = self.nodes
            case (service, region) if service in self.regional:
                nodes = [node for node in self.nodes if node.region == region]
        if nodes:
            return _addresses(self._heard(nodes, outlook))
        is_parent = labels in PARENTS or (len(labels) == 1 and labels[0] in self.regions)
        return Absence.NO_DATA if is_parent or labels == (NAME_SERVER_LABEL,) else Absence.NO_NAME

    def _of_endpoint(self, endpoint_id: str, outlook: Outlook) -> tuple[str, ...] | Absence:
        in_use = outlook.region_in_use(endpoint_id)
        if in_use is None:
            return Absence.NO_NAME if outlook.knows_every_region() else Absence.NOT_KNOWN_YET
        return _addresses(
            sorted(
                self._heard(self.nodes, outlook),
                key=lambda node: (node.region != in_use, node.region is not None),
            )
        )

    def _heard(self, nodes: Iterable[NodeConfig], outlook: Outlook) -> list[NodeConfig]:
        """Return the nodes that are heard; all of them where none is."""
        nodes = list(nodes)
        return [node for node in nodes if outlook.is_heard(node.name)] or nodes


def _addresses(nodes: Iterable[NodeConfig]) -> tuple[str, ...]:
    found = dict.fromkeys(address for node in nodes for address in node.reached_at)
    return tuple(found)[:ADDRESSES_MAX]
