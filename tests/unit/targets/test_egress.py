"""Which addresses targets may be at, in every way to write one."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.targets.egress import egress

STRICT = egress([], allows_private=False)
LOCAL = egress([], allows_private=True)

PRIVATE = [
    "127.0.0.1",
    "127.8.9.10",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fc00::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::7f00:1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2002:a00:1::1",
    "::ffff:0:127.0.0.1",
]
NEVER = [
    "0.0.0.0",
    "0.1.2.3",
    "169.254.169.254",
    "169.254.170.2",
    "192.0.0.192",
    "100.100.100.200",
    "168.63.129.16",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "::",
    "fe80::1",
    "fe80::1%lo",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1",
    "2002:a9fe:a9fe::",
    "2001::1",
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"]


@pytest.mark.parametrize("address", [*PRIVATE, *NEVER])
def test_nothing_but_public_addresses(address: str) -> None:
    """With `auth` on a target is at a public address, whatever form the address has."""
    assert not STRICT.allows(address)


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_on_a_laptop(address: str) -> None:
    """With `auth` off a target may be at a private or loopback address."""
    assert LOCAL.allows(address)


@pytest.mark.parametrize("address", NEVER)
def test_metadata_services_on_a_laptop(address: str) -> None:
    """With `auth` off link-local and metadata addresses are refused all the same."""
    assert not LOCAL.allows(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses(address: str) -> None:
    """A public address is allowed either way."""
    assert STRICT.allows(address)
    assert LOCAL.allows(address)


def test_a_listed_network() -> None:
    """What is in a listed network is allowed, its IPv4-mapped form too, and nothing beside it."""
    rules = egress(["10.1.0.0/16", "169.254.169.254", "fd00::/8"], allows_private=False)

    assert rules.allows("10.1.2.3")
    assert rules.allows("::ffff:10.1.2.3")
    assert rules.allows("169.254.169.254")
    assert rules.allows("fd00:ec2::254")
    assert not rules.allows("10.2.0.1")
    assert not rules.allows("169.254.169.253")


def test_a_listed_host() -> None:
    """A host is listed by its name, in any case, with or without the final dot."""
    rules = egress(["Hooks.internal"], allows_private=False)

    assert rules.names("hooks.INTERNAL.")
    assert not rules.names("other.internal")
    assert not rules.names("evil-hooks.internal")


@given(st.ip_addresses(v=4))
def test_a_mapped_address_is_the_address(address: object) -> None:
    """An IPv4 address in IPv6 clothes is allowed exactly where it is itself."""
    for rules in (STRICT, LOCAL):
        allowed = rules.allows(str(address))

        assert allowed == rules.allows(f"::ffff:{address}")
        assert allowed == rules.allows(f"64:ff9b::{address}")
