"""Which addresses a target may be at: the guard against requests that are forged through a bus.

Who may put a target could otherwise make Farspan call what only Farspan reaches: the metadata
service of a cloud, a database beside it, its own nodes. Every address is decided by what it really
leads to: IPv6 forms that carry an IPv4 address (mapped, compatible, NAT64, 6to4) are unwrapped
first. Pure; `connector` asks it for each connection attempt, after the name was looked up.

| address                           | `auth` on | `auth` off | listed in the configuration |
|-----------------------------------|-----------|------------|-----------------------------|
| public                            | yes       | yes        | yes                         |
| private, loopback, shared         | no        | yes        | yes                         |
| link-local, metadata, unspecified | no        | no         | yes                         |
| multicast, reserved, IPv6 tunnels | no        | no         | yes                         |
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from typing import Final

from farspan.config import TargetsConfig

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_EMBEDDING: Final = (
    (IPv6Network("::ffff:0:0/96"), 0),  # mapped (RFC 4291)
    (IPv6Network("::ffff:0:0:0/96"), 0),  # translated (RFC 2765)
    (IPv6Network("::/96"), 0),  # compatible (RFC 4291, deprecated)
    (IPv6Network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (IPv6Network("2002::/16"), 80),  # 6to4 (RFC 3056)
)
"""IPv6 networks whose addresses carry an IPv4 address, and how many bits follow it."""

_NEVER: Final = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",  # this host: connects to loopback
        "169.254.0.0/16",  # link-local: the metadata services of most clouds
        "192.0.0.0/24",  # protocol assignments; 192.0.0.192 is Oracle's metadata service
        "100.100.100.200/32",  # Alibaba's metadata service
        "168.63.129.16/32",  # Azure's, though it is a public address
        "::/128",
        "fe80::/10",
        "fd00:ec2::/32",  # AWS's metadata, DNS and time services
        "fd20:ce::254/128",  # Google's metadata service
        "64:ff9b:1::/48",  # NAT64 of one's own network: may lead anywhere in it
        "2001::/23",  # protocol assignments, Teredo among them
    )
)
"""Networks that no target is in, unless the configuration lists them."""


@dataclass(frozen=True, slots=True)
class Egress:
    """What one account's targets may be at.

    `networks` and `hosts` are what the configuration lists. A listed host may be at any address:
    whoever lists it trusts its name.
    """

    allows_private: bool
    networks: tuple[Network, ...] = ()
    hosts: frozenset[str] = frozenset()

    def allows(self, address: str) -> bool:
        """Tell whether a connection may be made to an address, which is no name."""
        outer = ip_address(address.partition("%")[0])
        inner = _unwrapped(outer)
        if any(one in network for network in self.networks for one in (outer, inner)):
            return True
        if any(inner in network for network in _NEVER):
            return False
        # Site-local addresses (fec0::/10) are gone from the standards, not from networks.
        if inner.is_multicast or (isinstance(inner, IPv6Address) and inner.is_site_local):
            return False
        if inner.is_reserved and not inner.is_loopback:
            return False
        return inner.is_global or self.allows_private

    def names(self, host: str) -> bool:
        """Tell whether the configuration lists a host by its name."""
        return host.lower().rstrip(".") in self.hosts


def egress(listed: Iterable[str], *, allows_private: bool) -> Egress:
    """Return the rules that a configuration's list of networks, addresses and host names makes."""
    networks: list[Network] = []
    hosts: set[str] = set()
    for text in listed:
        try:
            networks.append(ip_network(text))
        except ValueError:
            hosts.add(text.lower().rstrip("."))
    return Egress(allows_private, tuple(networks), frozenset(hosts))


def egress_of(targets: TargetsConfig, account: str, *, allows_private: bool) -> Egress:
    """Return the rules of an account, with what the configuration lists for it and for all."""
    listed = (*targets.allow_private, *targets.allow_private_for.get(account, ()))
    return egress(listed, allows_private=allows_private)


def _unwrapped(address: Address) -> Address:
    """Return the IPv4 address that an IPv6 address leads to, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    for network, bits_behind in _EMBEDDING:
        # ::1 and :: look like compatible addresses and are none.
        if address in network and int(address) > 1:
            return IPv4Address(int(address) >> bits_behind & 0xFFFFFFFF)
    return address
