"""Global endpoints where boto3 does not reach: many of them, and more than two Regions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from farspan.catalog.federation import OwnedCatalog, PeerReport
from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.control.endpoints import advance_endpoints
from farspan.control.plane import Caller, ControlPlane, perform
from farspan.control.registry import OPERATIONS
from farspan.errors import LimitExceededException, ResourceNotFoundException, ValidationException
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.health_check import HealthCheck, HealthCheckType, Vote
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore

EAST, WEST, EU = "us-east-1", "us-west-2", "eu-west-1"
OWN = Caller(account="000000000000", access_key_id="test")
OTHER = Caller(account="111111111111", access_key_id="other")
CHECK = HealthCheck(
    id="h", account=OWN.account, caller_reference="h", type=HealthCheckType.HTTP, port=80
)


class OwnWorld:
    """A Region that hears what a test says: nothing, at first. See `plane.World`."""

    def __init__(self, resources: Resources) -> None:
        self.resources = resources
        self.heard: list[PeerReport] = []

    def endpoints(self) -> list[Endpoint]:
        """See `World.endpoints`."""
        return list(self.resources.endpoints.values())

    def health_checks(self) -> dict[str, HealthCheck]:
        """See `World.health_checks`."""
        return {CHECK.id: CHECK}

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """See `World.votes_on`."""
        return []

    def reports(self) -> list[PeerReport]:
        """See `World.reports`."""
        return self.heard

    def report_of(self, region: str) -> PeerReport | None:
        """See `World.report_of`."""
        return next((report for report in self.heard if report.region == region), None)


class Api:
    """The endpoint operations of a Region of three."""

    def __init__(self) -> None:
        store, clock, ids = MemoryStore(), SystemClock(), SeededIds(1)
        self.resources = Resources(EAST, store)
        self.world = OwnWorld(self.resources)
        self.plane = ControlPlane(
            region=EAST,
            regions=(EAST, WEST, EU),
            resources=self.resources,
            queues=QueueService(EAST, store, clock, ids),
            world=self.world,
            clock=clock,
            ids=ids,
            url="http://localhost:4566",
            sealer=Sealer([bytes(32)], ids.token),
            ingest=None,
            archives=None,
            delivery=None,
            logs=None,
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


def heard(node: str, region: str | None, *known: Endpoint, buses: tuple[str, ...] = ()) -> Any:
    """Return the report of a node that knows these endpoints."""
    catalog = OwnedCatalog(region=EAST, version=1, endpoints=known)
    return PeerReport(node=node, region=region, catalogs=(catalog,), event_buses=buses)


async def test_an_update_to_an_unknown_health_check_is_refused(api: Api) -> None:
    """It could never come into use; the former settings stay at work."""
    await api.create("e")
    await api.settle("e")
    before = await api("DescribeEndpoint", Name="e")
    wanted = routing(WEST)
    wanted["FailoverConfig"]["Primary"]["HealthCheck"] += "-of-nobody"
    with pytest.raises(ValidationException, match="health check h-of-nobody does not exist"):
        await api("UpdateEndpoint", Name="e", RoutingConfig=wanted)

    assert before == await api("DescribeEndpoint", Name="e")


async def test_an_update_to_a_bus_that_the_secondary_lacks_is_refused(api: Api) -> None:
    """The former settings stay at work; with the bus there the same update is taken."""
    await api.create("e")
    await api.settle("e")
    await api("CreateEventBus", Name="orders")
    before = await api("DescribeEndpoint", Name="e")
    wanted = [
        {"EventBusArn": f"arn:aws:events:{region}:{OWN.account}:event-bus/orders"}
        for region in (EAST, WEST)
    ]
    api.world.heard = [heard("west", WEST)]
    with pytest.raises(ValidationException, match="orders does not exist in us-west-2"):
        await api("UpdateEndpoint", Name="e", EventBuses=wanted)
    after = await api("DescribeEndpoint", Name="e")
    api.world.heard = [heard("west", WEST, buses=(f"{OWN.account}/orders",))]
    changed = await api("UpdateEndpoint", Name="e", EventBuses=wanted)

    assert before == after
    assert "UPDATING" == changed["State"]


async def test_active_needs_every_node_that_is_heard(api: Api) -> None:
    """An endpoint that is ACTIVE can be used at an edge as well, from the first moment."""
    await api.create("e")
    known = api.resources.endpoints[f"{OWN.account}/e"]
    api.world.heard = [heard("west", WEST, known), heard("edge", None)]
    await advance_endpoints(api.plane)
    before = await api("DescribeEndpoint", Name="e")
    api.world.heard[1] = heard("edge", None, known)
    await advance_endpoints(api.plane)
    after = await api("DescribeEndpoint", Name="e")

    assert ("CREATING", "ACTIVE") == (before["State"], after["State"])


@pytest.mark.parametrize(
    ("started_ago", "state"),
    [(1.0, "CREATING"), (900.0, "CREATE_FAILED")],
    ids=["just-now", "long"],
)
async def test_time_in_which_the_node_did_not_run_does_not_count(
    api: Api, started_ago: float, state: str
) -> None:
    """A node that starts again gives the others their time to be heard."""
    await api.create("e")
    now = api.plane.clock.now()
    created = api.resources.endpoints[f"{OWN.account}/e"]
    old = msgspec.structs.replace(created, last_modified_time=now - 1_000)
    await api.resources.save(old, now=now)
    api.plane.started_at = now - started_ago
    await advance_endpoints(api.plane)

    assert state == (await api("DescribeEndpoint", Name="e"))["State"]


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
