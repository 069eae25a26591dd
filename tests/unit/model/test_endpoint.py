"""Endpoints: what follows from the resource alone, in every state."""

from __future__ import annotations

import re

import msgspec
import pytest

from farspan.model.bus import EventBus
from farspan.model.endpoint import (
    CHANGING,
    Endpoint,
    EndpointState,
    ReplicationState,
    endpoint_id_of,
    managed_rule,
)
from farspan.model.queue import Queue
from farspan.model.rule import MANAGED_BY, Rule

ENDPOINT = Endpoint(
    account="000000000000",
    name="shop",
    endpoint_id="abcde12345.veo",
    event_bus_name="orders",
    primary_region="us-east-1",
    secondary_region="eu-central-1",
    health_check_id="h",
    role_arn="arn:aws:iam::000000000000:role/r",
    state=EndpointState.ACTIVE,
)

IN_USE = {
    EndpointState.CREATING: True,
    EndpointState.ACTIVE: True,
    EndpointState.UPDATING: True,
    EndpointState.DELETING: False,
    EndpointState.CREATE_FAILED: False,
    EndpointState.UPDATE_FAILED: True,
    EndpointState.DELETE_FAILED: True,
}


@pytest.mark.parametrize("replication", ReplicationState)
@pytest.mark.parametrize("state", EndpointState)
def test_every_state_decides_use_and_replication(
    state: EndpointState, replication: ReplicationState
) -> None:
    """Each state says whether PutEvents may use the endpoint; only one in use replicates."""
    endpoint = msgspec.structs.replace(ENDPOINT, state=state, replication=replication)

    assert endpoint.in_use is IN_USE[state]
    assert endpoint.replicates is (IN_USE[state] and replication is ReplicationState.ENABLED)


def test_the_changing_states_are_those_under_way() -> None:
    """The states in which a change is refused are the ones whose names end in ING."""
    assert {state for state in EndpointState if state.endswith("ING")} == CHANGING


def test_each_region_has_the_other() -> None:
    """Primary and secondary are each other's other Region; the bus's key is the same in both."""
    assert ENDPOINT.other_region("us-east-1") == "eu-central-1"
    assert ENDPOINT.other_region("eu-central-1") == "us-east-1"
    assert ENDPOINT.event_bus_key == "000000000000/orders"
    assert ENDPOINT.arn == "arn:aws:events:us-east-1:000000000000:endpoint/shop"


def test_endpoint_ids_have_awss_form() -> None:
    """An EndpointId is ten base-36 characters and `.veo`; another salt gives another."""
    ids = {endpoint_id_of("1", "shop", bytes([salt])) for salt in range(50)}

    assert len(ids) == 50
    assert all(re.fullmatch(r"[0-9a-z]{10}\.veo", text) for text in ids)


@pytest.mark.parametrize("region", ENDPOINT.regions)
def test_the_managed_rule_points_at_the_other_region(region: str) -> None:
    """Each bus shows a rule of the same name whose target is the other Region's bus."""
    rule = managed_rule(ENDPOINT, region)
    (target,) = rule.targets.values()

    assert rule.name == managed_rule(ENDPOINT, ENDPOINT.other_region(region)).name
    assert re.fullmatch(r"GlobalEndpointManagedRule-[0-9a-f]{8}", rule.name)
    assert (rule.region, rule.managed_by) == (region, MANAGED_BY)
    assert rule.event_bus_key == ENDPOINT.event_bus_key
    assert target.arn == (
        f"arn:aws:events:{ENDPOINT.other_region(region)}:000000000000:event-bus/orders"
    )
    assert target.given == {"Id": rule.name, "Arn": target.arn, "RoleArn": ENDPOINT.role_arn}


def test_a_managed_rule_names_no_role_that_is_not_there() -> None:
    """An endpoint without a role has a managed rule whose target has none."""
    endpoint = msgspec.structs.replace(ENDPOINT, role_arn=None)
    (target,) = managed_rule(endpoint, "us-east-1").targets.values()

    assert "RoleArn" not in target.given


def test_resources_name_themselves() -> None:
    """Buses, rules and queues know their ARNs and the keys of what belongs to them."""
    bus = EventBus(region="us-east-1", account="1", name="orders")
    rule = Rule(region="us-east-1", account="1", event_bus_name="orders", name="big")
    queue = Queue(region="us-east-1", account="1", name="letters", generation=3)

    assert bus.arn == "arn:aws:events:us-east-1:1:event-bus/orders"
    assert bus.key == rule.event_bus_key == "1/orders"
    assert rule.arn == "arn:aws:events:us-east-1:1:rule/orders/big"
    assert queue.arn == "arn:aws:sqs:us-east-1:1:letters"
    assert queue.timer_list == "queue/1/letters/3"
