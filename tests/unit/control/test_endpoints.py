"""Global endpoints where boto3 does not reach: many of them, and more than two Regions."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.control.endpoints import advance_endpoints
from farspan.control.plane import Caller, ControlPlane, perform
from farspan.control.registry import OPERATIONS
from farspan.errors import LimitExceededException, ResourceNotFoundException, ValidationException
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.health_check import HealthCheck, Vote
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore

EAST, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"
OWN = Caller(account="000000000000", access_key_id="test")
OTHER = Caller(account="111111111111", access_key_id="other")


class OwnWorld:
    """A Region that hears of no other. See `plane.World`."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources

    def endpoints(self) -> list[Endpoint]:
        """See `World.endpoints`."""
        return list(self.resources.endpoints.values())

    def health_checks(self) -> dict[str, HealthCheck]:
        """See `World.health_checks`."""
        return {}

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """See `World.votes_on`."""
        return []

    def report_of(self, region: str) -> None:
        """See `World.report_of`."""


class Api:
    """The endpoint operations of a Region of three."""

    def __init__(self) -> None:
        store, clock, ids = MemoryStore(), SystemClock(), SeededIds(1)
        self.resources = Resources(EAST, store)
        self.plane = ControlPlane(
            region=EAST,
            regions=(EAST, WEST, EU),
            resources=self.resources,
            queues=QueueService(EAST, store, clock, ids),
            world=OwnWorld(self.resources),
            clock=clock,
            ids=ids,
            url="http://localhost:4566",
            sealer=Sealer([bytes(32)], ids.token),
        )

    async def __call__(self, name: str, caller: Caller = OWN, **params: Any) -> dict[str, Any]:
        """Perform an operation."""
        return await perform(self.plane, caller, "events", name, params)

    async def create(self, name: str, caller: Caller = OWN) -> dict[str, Any]:
        """Create an endpoint over the default buses, without replication."""
        return await self(
            "CreateEndpoint",
            caller,
            Name=name,
            RoutingConfig=routing(WEST),
            EventBuses=buses(EAST, WEST, account=caller.account),
            ReplicationConfig={"State": "DISABLED"},
        )

    async def settle(self, name: str) -> None:
        """Put an endpoint into use, as the look at the other Region would."""
        endpoint = self.resources.endpoints[f"{OWN.account}/{name}"]
        active = {field: getattr(endpoint, field) for field in endpoint.__struct_fields__} | {
            "state": EndpointState.ACTIVE
        }
        await self.resources.save(Endpoint(**active), now=self.plane.clock.now())


def routing(secondary: str) -> dict[str, Any]:
    """Return a RoutingConfig."""
    health_check = {"HealthCheck": "arn:aws:route53:::healthcheck/h"}
    return {"FailoverConfig": {"Primary": health_check, "Secondary": {"Route": secondary}}}


def buses(*regions: str, account: str = OWN.account) -> list[dict[str, str]]:
    """Return EventBuses."""
    return [
        {"EventBusArn": f"arn:aws:events:{region}:{account}:event-bus/default"}
        for region in regions
    ]


@pytest.fixture
def api() -> Api:
    """Return a Region without endpoints."""
    return Api()


async def test_the_quota(api: Api) -> None:
    """An account has 100 endpoints in a Region; another account has its own 100."""
    for number in range(100):
        await api.create(f"e{number}")

    with pytest.raises(LimitExceededException):
        await api.create("one-too-many")
    await api.create("e0", OTHER)


async def test_a_new_route_needs_a_new_bus(api: Api) -> None:
    """Changing the secondary Region alone would leave its bus behind: refused."""
    await api.create("e")
    await api.settle("e")

    with pytest.raises(ValidationException) as caught:
        await api("UpdateEndpoint", Name="e", RoutingConfig=routing(EU))
    assert caught.value.message == (
        "Parameter RoutingConfig is not valid. "
        f"Reason: the secondary Region {EU} has none of the event buses."
    )


async def test_new_buses_need_a_new_route(api: Api) -> None:
    """The other way round as well."""
    await api.create("e")
    await api.settle("e")

    with pytest.raises(ValidationException):
        await api("UpdateEndpoint", Name="e", EventBuses=buses(EAST, EU))


async def test_both_together_move_the_secondary(api: Api) -> None:
    """An endpoint can get another secondary Region."""
    await api.create("e")
    await api.settle("e")
    changed = await api(
        "UpdateEndpoint", Name="e", RoutingConfig=routing(EU), EventBuses=buses(EU, EAST)
    )

    assert routing(EU) == changed["RoutingConfig"]
    assert buses(EAST, EU) == changed["EventBuses"]


async def test_the_same_route_again_is_no_change(api: Api) -> None:
    """Terraform sends everything each time."""
    await api.create("e")
    await api.settle("e")
    changed = await api(
        "UpdateEndpoint", Name="e", RoutingConfig=routing(WEST), EventBuses=buses(EAST, WEST)
    )

    assert "UPDATING" == changed["State"]


async def test_a_deleted_endpoint_goes_at_the_next_look(api: Api) -> None:
    """DELETING until then, not found after."""
    await api.create("e")
    await api.settle("e")
    await api("DeleteEndpoint", Name="e")
    before = await api("DescribeEndpoint", Name="e")
    await advance_endpoints(api.plane)

    assert "DELETING" == before["State"]
    with pytest.raises(ResourceNotFoundException):
        await api("DescribeEndpoint", Name="e")


async def test_while_the_secondary_is_silent_it_is_creating(api: Api) -> None:
    """A look that finds nothing new changes nothing."""
    await api.create("e")
    await advance_endpoints(api.plane)

    assert "CREATING" == (await api("DescribeEndpoint", Name="e"))["State"]


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("CreateEndpoint", True),
        ("UpdateEndpoint", True),
        ("DeleteEndpoint", True),
        ("DescribeEndpoint", False),
        ("ListEndpoints", False),
    ],
)
def test_what_changes_runs_alone(name: str, changes: bool) -> None:
    """The operations that write are registered as such."""
    assert changes is OPERATIONS["events", name].changes_resources
