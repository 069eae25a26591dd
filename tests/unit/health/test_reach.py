"""Where health checks may look, by configuration."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.config import Config, HealthConfig, NodeConfig, TargetsConfig
from farspan.health.reach import anywhere_private, reach_of
from farspan.model.health_check import HealthCheck, HealthCheckType

OWN, OTHER = "1" * 12, "2" * 12
NODES = (
    NodeConfig(name="edge", url="https://edge.internal"),
    NodeConfig(name="east", url="http://localhost:4566", region="us-east-1"),
    NodeConfig(name="west", url="http://10.0.0.7:4566", region="us-west-2"),
)


def may_look(address: str, *, account: str = OWN, auth: bool = True, **more: Any) -> bool:
    """Tell whether an HTTP check of port 80 may look at an address."""
    settings: dict[str, Any] = {"nodes": NODES, "auth": auth} | more
    check = HealthCheck(
        id="c",
        account=account,
        caller_reference="r",
        type=HealthCheckType.HTTP,
        ip_address=address,
    )
    return reach_of(Config(**settings))(check, address)


@pytest.mark.parametrize(
    ("address", "with_auth", "without"),
    [
        ("93.184.216.34", True, True),
        ("2606:2800:220:1::1", True, True),
        ("10.0.0.1", False, True),
        ("127.0.0.1", False, True),
        ("::1", False, True),
        ("169.254.169.254", False, False),
        ("::ffff:169.254.169.254", False, False),
        ("fe80::1", False, False),
        ("0.0.0.0", False, False),
        ("224.0.0.1", False, False),
    ],
)
def test_private_addresses_are_open_without_auth(
    address: str, with_auth: bool, without: bool
) -> None:
    """Public ones always are, and what leads to metadata never is."""
    assert with_auth is may_look(address)
    assert without is may_look(address, auth=False)
    if not without:
        assert not may_look(address, health=HealthConfig(allow_private=True))


def test_the_configuration_has_the_last_word() -> None:
    """`[health]` opens private addresses or shuts them, `[targets]` lists what is open anyway."""
    shut, opened = HealthConfig(allow_private=False), HealthConfig(allow_private=True)
    listed = TargetsConfig(
        allow_private=("169.254.1.1",), allow_private_for={OTHER: ("10.0.0.0/8",)}
    )

    assert may_look("10.0.0.1", health=opened)
    assert not may_look("10.0.0.1", auth=False, health=shut)
    assert may_look("169.254.1.1", targets=listed)
    assert may_look("10.0.0.1", account=OTHER, targets=listed)
    assert not may_look("10.0.0.1", targets=listed)


@pytest.mark.parametrize(
    ("settings", "address", "expected"),
    [
        ({"ip_address": "10.0.0.7", "port": 4566}, "10.0.0.7", True),
        ({"ip_address": "10.0.0.7", "port": 22}, "10.0.0.7", False),
        ({"ip_address": "127.0.0.1", "port": 4566}, "127.0.0.1", True),
        ({"ip_address": "127.0.0.1"}, "127.0.0.1", False),
        ({"fully_qualified_domain_name": "Edge.internal."}, "10.0.0.9", True),
        ({"fully_qualified_domain_name": "edge.internal", "port": 80}, "10.0.0.9", False),
        ({"fully_qualified_domain_name": "other.internal"}, "10.0.0.7", False),
    ],
)
def test_the_deployments_own_nodes_are_open(
    settings: dict[str, Any], address: str, expected: bool
) -> None:
    """By address or name, and at their own port alone."""
    check = HealthCheck(
        id="c", account=OWN, caller_reference="r", type=HealthCheckType.HTTPS, **settings
    )

    assert expected is reach_of(Config(nodes=NODES))(check, address)


def test_without_a_configuration_private_addresses_are_open() -> None:
    """And no others than with one."""
    check = HealthCheck(id="c", account=OWN, caller_reference="r", type=HealthCheckType.TCP)

    assert anywhere_private(check, "10.0.0.1")
    assert not anywhere_private(check, "169.254.169.254")
