"""The host names by which AWS's SDKs find the services that are there, below one domain.

What the name server answers for and what the nodes' certificates are made out to follow from these
and from nothing else, so that the two cannot differ.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache

from farspan.control.registry import OPERATIONS
from farspan.model.endpoint import ENDPOINT_ID_SUFFIX
from farspan.wire import spec
from farspan.wire.server import GLOBAL_SERVICES

REGIONAL_AS_WELL = frozenset({"sts"})
"""A service without Regions that has a host name in each all the same."""


@cache
def regional_hosts() -> frozenset[str]:
    """Return the first labels of the host names that a Region has."""
    return _labels((_services() - GLOBAL_SERVICES) | REGIONAL_AS_WELL)


@cache
def global_hosts() -> frozenset[str]:
    """Return the first labels of the host names without a Region."""
    return _labels(GLOBAL_SERVICES)


def certificate_names(zone: str, regions: Iterable[str]) -> list[str]:
    """Return the names that a node's certificate is for: every node serves every Region.

    A wildcard stands for one label, and an EndpointId has two.
    """
    return [
        f"*.{ENDPOINT_ID_SUFFIX}.endpoint.events.{zone}",
        f"*.endpoint.events.{zone}",
        *(f"{host}.{region}.{zone}" for region in regions for host in sorted(regional_hosts())),
        *(f"{host}.{zone}" for host in sorted(global_hosts())),
    ]


def _services() -> frozenset[str]:
    return frozenset(service for service, _ in OPERATIONS)


def _labels(services: Iterable[str]) -> frozenset[str]:
    """Return the labels of host names: for the services that are there, they are what is signed."""
    return frozenset(spec.service(name).signing_name for name in services)
