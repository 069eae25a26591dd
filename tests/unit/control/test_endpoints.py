"""Global endpoints where boto3 does not reach: many of them, and more than two Regions."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from farspan.catalog.federation import OwnedCatalog, PeerReport
from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.control.endpoints import advance_endpoints, take_back
from farspan.control.plane import Caller, ControlPlane, perform
from farspan.control.registry import OPERATIONS
from farspan.errors import (
    ConcurrentModificationException,
    LimitExceededException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.endpoint import CHANGING, Endpoint, EndpointState
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
            metrics=None,
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

    async def settle(self, name: str, state: EndpointState = EndpointState.ACTIVE) -> None:
        """Put an endpoint into use, as the look at the other Region would."""
        endpoint = self.resources.endpoints[f"{OWN.account}/{name}"]
        active = {field: getattr(endpoint, field) for field in endpoint.__struct_fields__} | {
            "state": state
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
    assert buses(EU, EAST) == changed["EventBuses"]


async def test_the_same_route_again_is_no_change(api: Api) -> None:
    """Terraform sends everything each time."""
    await api.create("e")
    await api.settle("e")
    changed = await api(
        "UpdateEndpoint", Name="e", RoutingConfig=routing(WEST), EventBuses=buses(EAST, WEST)
    )

    assert "UPDATING" == changed["State"]


async def test_a_former_bus_is_remembered(api: Api) -> None:
    """Its log may hold events that the other Region has yet to copy; no name comes twice."""
    await api.create("e")
    for name in ("a", "b", "default", "a"):
        if name != "default" and api.resources.event_bus(OWN.account, name) is None:
            await api("CreateEventBus", Name=name)
        await api.settle("e")
        wanted = [
            {"EventBusArn": f"arn:aws:events:{region}:{OWN.account}:event-bus/{name}"}
            for region in (EAST, WEST)
        ]
        await api("UpdateEndpoint", Name="e", EventBuses=wanted)
    endpoint = api.resources.endpoints[f"{OWN.account}/e"]

    assert ("default", "a", "b") == endpoint.former_bus_names
    assert {f"{OWN.account}/{name}" for name in ("default", "a", "b")} == endpoint.event_bus_keys


@pytest.mark.parametrize("operation", ["UpdateEndpoint", "DeleteEndpoint"])
@pytest.mark.parametrize("state", [*CHANGING], ids=str)
async def test_one_change_at_a_time(api: Api, state: EndpointState, operation: str) -> None:
    """While an endpoint is being created, updated or deleted, it takes no other change."""
    await api.create("e")
    await api.settle("e", state)

    with pytest.raises(ConcurrentModificationException, match=f"in state {state}"):
        await api(operation, Name="e")


@pytest.mark.parametrize(
    ("operation", "state"),
    [("UpdateEndpoint", "UPDATING"), ("DeleteEndpoint", "DELETING")],
)
@pytest.mark.parametrize("failed", [s for s in EndpointState if s.endswith("_FAILED")], ids=str)
async def test_what_failed_can_be_mended_or_removed(
    api: Api, failed: EndpointState, operation: str, state: str
) -> None:
    """Every failed state takes an update and a deletion."""
    await api.create("e")
    await api.settle("e", failed)
    await api(operation, Name="e")

    assert state == (await api("DescribeEndpoint", Name="e"))["State"]


async def test_replication_cannot_be_enabled_without_a_role(api: Api) -> None:
    """An update is held to the same as what is created."""
    await api.create("e")
    await api.settle("e")
    with pytest.raises(ValidationException, match="a role is required while replication"):
        await api("UpdateEndpoint", Name="e", ReplicationConfig={"State": "ENABLED"})


async def test_an_update_without_an_answer_fails_with_the_reason(api: Api) -> None:
    """UPDATE_FAILED after a minute, in use with the new settings, and mended by another update."""
    await api.create("e")
    await api.settle("e")
    await api("UpdateEndpoint", Name="e", Description="new")
    now = api.plane.clock.now()
    updating = api.resources.endpoints[f"{OWN.account}/e"]
    old = msgspec.structs.replace(updating, last_modified_time=now - 61)
    await api.resources.save(old, now=now)
    await advance_endpoints(api.plane)
    failed = await api("DescribeEndpoint", Name="e")

    assert "UPDATE_FAILED" == failed["State"]
    assert "The secondary Region does not answer." == failed["StateReason"]
    assert api.resources.endpoints[f"{OWN.account}/e"].in_use
    assert "UPDATING" == (await api("UpdateEndpoint", Name="e"))["State"]


async def test_a_region_that_lost_its_disk_takes_its_endpoints_back(api: Api) -> None:
    """With the EndpointId that clients use, and with the version going on where it was."""
    await api.create("e")
    await api.resources.save(CHECK, now=api.plane.clock.now())
    lost, version = api.resources.endpoints[f"{OWN.account}/e"], 2**60
    catalog = OwnedCatalog(region=EAST, version=version, endpoints=(lost,), health_checks=(CHECK,))
    older = msgspec.structs.replace(catalog, version=1, endpoints=())
    other = Api()
    other.world.heard = [
        PeerReport(node="edge", catalogs=(older,)),
        PeerReport(node="west", region=WEST, catalogs=(catalog,)),
    ]
    await take_back(other.plane, heard_all=False)
    before = len(other.resources.endpoints)
    await take_back(other.plane, heard_all=True)
    again = Resources(EAST, other.resources._store)
    await again.load(0.0)

    assert 0 == before
    assert lost == other.resources.endpoints[f"{OWN.account}/e"]
    assert lost == again.endpoints[f"{OWN.account}/e"]
    assert {CHECK.id: CHECK} == dict(again.health_checks)
    assert version < again.version == other.resources.version


async def test_a_region_that_has_a_catalog_is_the_authority_on_it(api: Api) -> None:
    """What was deleted here does not come back from a node that missed it."""
    await api.create("e")
    lost = api.resources.endpoints[f"{OWN.account}/e"]
    await api.resources.remove(lost, now=0.0)
    api.world.heard = [heard("west", WEST, lost)]
    await take_back(api.plane, heard_all=True)

    assert {} == dict(api.resources.endpoints)


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
