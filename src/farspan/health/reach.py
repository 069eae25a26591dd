"""Where a health check may look: the guard against checks that spy out a network.

Whoever can make a check learns which addresses answer, and with a string match what they answer.
So the rules are those of targets (`targets/egress`), with the deployment's own nodes besides: what
is watched most is what Farspan itself runs on. Private addresses are open where `auth` is off,
where `[health] allow_private` says so, and where `[targets] allow_private` lists them. Metadata
services and link-local addresses are open only where they are listed.

Pure. Names are looked up elsewhere; each address that one leads to is judged here, at each probe.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from typing import Final
from urllib.parse import urlsplit

from farspan.config import Config
from farspan.model.health_check import HealthCheck
from farspan.targets.egress import Egress, egress, egress_of

MayLook = Callable[[HealthCheck, str], bool]
"""Tells whether a check may look at an address, which is no name."""

URL_PORTS: Final = {"http": 80, "https": 443}
LOOPBACK: Final = "127.0.0.1"


def reach_of(config: Config) -> MayLook:
    """Return the rules that a configuration makes."""
    allowed = config.health.allow_private
    allows_private = not config.auth if allowed is None else allowed
    nodes = frozenset(place for node in config.nodes for place in _places(node.url))

    @cache
    def rules(account: str) -> Egress:
        return egress_of(config.targets, account, allows_private=allows_private)

    def may_look(check: HealthCheck, address: str) -> bool:
        return _looks_at(check, nodes) or rules(check.account).allows(address)

    return may_look


def anywhere_private(_check: HealthCheck, address: str) -> bool:
    """Tell the same where nothing is configured and `auth` is off."""
    return _OPEN.allows(address)


_OPEN: Final = egress((), allows_private=True)


def _looks_at(check: HealthCheck, nodes: frozenset[tuple[str, int]]) -> bool:
    """Tell whether a check is of one of the nodes, by its address or its name."""
    host = check.ip_address or (check.fully_qualified_domain_name or "").lower().rstrip(".")
    return (host, check.port_in_use) in nodes


def _places(url: str) -> Iterator[tuple[str, int]]:
    """Return host and port of a URL; of `localhost` the address besides."""
    parts = urlsplit(url)
    host, port = parts.hostname or "", parts.port or URL_PORTS.get(parts.scheme, 0)
    yield host, port
    if host == "localhost":
        yield LOOPBACK, port
