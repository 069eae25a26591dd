"""Global endpoints: Create, Describe, List, Update, DeleteEndpoint.

An endpoint is a resource of its primary Region. Creating and updating answer at once; the work of
`advance_endpoints` brings the endpoint into use when both Regions know it.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from farspan.catalog.federation import PeerReport
from farspan.control.paging import page
from farspan.control.passed_roles import check_passed_role
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.endpoints.lifecycle import Facts, Next, advance
from farspan.errors import (
    ConcurrentModificationException,
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.arn import event_bus_arn, health_check_arn, parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.model.endpoint import (
    CHANGING,
    FORMER_BUS_COUNT_MAX,
    Endpoint,
    EndpointState,
    ReplicationState,
    endpoint_id_of,
)

log = logging.getLogger("farspan.control")


@operation("events", "CreateEndpoint", changes_resources=True)
async def create_endpoint(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create an endpoint whose primary Region is the one that is called."""
    name = params["Name"]
    if f"{caller.account}/{name}" in plane.resources.endpoints:
        raise ResourceAlreadyExistsException(f"Endpoint {name} already exists.")
    if len(plane.resources.endpoints.starting_with(f"{caller.account}/")) >= plane.quotas.endpoints:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    blank = Endpoint(
        account=caller.account,
        name=name,
        endpoint_id=endpoint_id_of(caller.account, name, plane.ids.token(16)),
        event_bus_name="",
        primary_region=plane.region,
        secondary_region="",
        health_check_id="",
        creation_time=now,
        last_modified_time=now,
    )
    endpoint = _with(plane, blank, params)
    await plane.resources.save(endpoint, now=now)
    output = _shown(endpoint)
    members = (
        "Name",
        "Arn",
        "RoutingConfig",
        "ReplicationConfig",
        "EventBuses",
        "RoleArn",
        "State",
    )
    return {member: output[member] for member in members}


@operation("events", "UpdateEndpoint", changes_resources=True)
async def update_endpoint(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change what is given; the rest stays as it is."""
    endpoint = _own(plane, caller, params["Name"])
    _refuse_while_changing(endpoint)
    now = plane.clock.now()
    wanted = _with(plane, endpoint, params)
    _check_update(plane, wanted)
    changed = msgspec.structs.replace(
        wanted,
        state=EndpointState.UPDATING,
        state_reason=None,
        version=endpoint.version + 1,
        last_modified_time=now,
    )
    await plane.resources.save(changed, now=now)
    hidden = ("Description", "StateReason", "CreationTime", "LastModifiedTime")
    return {key: value for key, value in _shown(changed).items() if key not in hidden}


@operation("events", "DeleteEndpoint", changes_resources=True)
async def delete_endpoint(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Take the endpoint out of use; it is gone a moment later. Buses and health check stay."""
    endpoint = _own(plane, caller, params["Name"])
    _refuse_while_changing(endpoint)
    now = plane.clock.now()
    deleting = msgspec.structs.replace(
        endpoint,
        state=EndpointState.DELETING,
        version=endpoint.version + 1,
        last_modified_time=now,
    )
    await plane.resources.save(deleting, now=now)
    return {}


@operation("events", "DescribeEndpoint")
async def describe_endpoint(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return an endpoint of the Region called, or of `HomeRegion`."""
    name = params["Name"]
    for endpoint in _homed(plane, caller, params.get("HomeRegion")):
        if endpoint.name == name:
            return _shown(endpoint)
    raise ResourceNotFoundException(f"Endpoint {name} does not exist.")


@operation("events", "ListEndpoints")
async def list_endpoints(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the endpoints of the Region called, or of `HomeRegion`, by name."""
    prefix = params.get("NamePrefix") or ""
    home = params.get("HomeRegion")
    shown, token = page(
        [e for e in _homed(plane, caller, home) if e.name.startswith(prefix)],
        lambda endpoint: endpoint.name,
        filter_text=f"ListEndpoints/{home}/{prefix}",
        token=params.get("NextToken"),
        limit=params.get("MaxResults"),
    )
    return {"Endpoints": [_shown(endpoint) for endpoint in shown], "NextToken": token}


async def take_back(plane: ControlPlane, heard_all: bool) -> None:
    """Take this Region's endpoints, health checks and roles back from peers, after a lost disk.

    Only where the store has never had any: what a Region has stands above what others remember of
    it. `heard_all` says that every other node was heard, or will not be. The clients of the
    endpoints know their ids, which creating them anew would not bring back. Buses, rules and
    queues are known to this Region alone, and are gone.
    """
    if plane.resources.version or not heard_all:
        return
    offers = [
        catalog
        for report in plane.world.reports()
        for catalog in report.catalogs
        if catalog.region == plane.region and catalog.version
    ]
    if not offers:
        return
    newest = max(offers, key=lambda catalog: catalog.version)
    async with plane.changing:
        if plane.resources.version == 0:
            await plane.resources.take_back(newest, now=plane.clock.now())
    log.warning(
        "the store had no catalog and the other nodes remember one: taken back endpoints=%s "
        "health_checks=%d roles=%d version=%d; event buses, rules and queues have to be made anew",
        ",".join(endpoint.name for endpoint in newest.endpoints) or "-",
        len(newest.health_checks),
        len(newest.roles),
        newest.version,
    )


async def advance_endpoints(plane: ControlPlane) -> None:
    """Look once at every endpoint of this Region that is changing, and do what follows."""
    for endpoint in list(plane.resources.endpoints.values()):
        if endpoint.state not in CHANGING:
            continue
        async with plane.changing:
            current = plane.resources.endpoints.get(f"{endpoint.account}/{endpoint.name}")
            if current is endpoint:
                await _advance(plane, endpoint)


async def _advance(plane: ControlPlane, endpoint: Endpoint) -> None:
    now = plane.clock.now()
    # Time in which this node did not run says nothing about the others.
    since = max(endpoint.last_modified_time, plane.started_at)
    decision = advance(endpoint.state, _facts(plane, endpoint), now - since)
    if decision.next is Next.WAIT:
        return
    if decision.next is Next.GONE:
        await plane.resources.remove(endpoint, now=now)
        return
    failed = decision.next is Next.FAILED
    state = EndpointState.ACTIVE
    if failed:
        creating = endpoint.state is EndpointState.CREATING
        state = EndpointState.CREATE_FAILED if creating else EndpointState.UPDATE_FAILED
    log.info("endpoint %s is %s reason=%r", endpoint.arn, state, decision.reason)
    changed = msgspec.structs.replace(
        endpoint,
        state=state,
        state_reason=decision.reason,
        version=endpoint.version + 1,
        last_modified_time=now,
    )
    await plane.resources.save(changed, now=now)


def _facts(plane: ControlPlane, endpoint: Endpoint) -> Facts:
    report = plane.world.report_of(endpoint.secondary_region)
    check = plane.world.health_checks().get(endpoint.health_check_id)
    if report is None:
        return Facts(
            secondary_heard=False,
            secondary_knows_version=False,
            secondary_has_bus=False,
            health_check_known=check is not None,
        )
    # Every node that is heard, edges too: an endpoint that is ACTIVE can be used at any of them.
    known = [_version_in(other, endpoint) for other in plane.world.reports()]
    default = endpoint.event_bus_name == DEFAULT_BUS_NAME
    return Facts(
        secondary_heard=True,
        secondary_knows_version=min(known, default=0) >= endpoint.version,
        secondary_has_bus=default or endpoint.event_bus_key in report.event_buses,
        health_check_known=check is not None and check.account == endpoint.account,
    )


def _version_in(report: PeerReport, endpoint: Endpoint) -> int:
    """Return the version in which a peer knows the endpoint, 0 where it does not."""
    return max(
        (
            other.version
            for catalog in report.catalogs
            for other in catalog.endpoints
            if other.endpoint_id == endpoint.endpoint_id
        ),
        default=0,
    )


def _check_update(plane: ControlPlane, endpoint: Endpoint) -> None:
    """Refuse settings that cannot come into use: the former ones are still at work.

    Raises ValidationException.
    """
    facts = _facts(plane, endpoint)
    if not facts.health_check_known:
        raise _invalid("RoutingConfig", f"health check {endpoint.health_check_id} does not exist.")
    if facts.secondary_heard and not facts.secondary_has_bus:
        raise _invalid(
            "EventBuses",
            f"event bus {endpoint.event_bus_name} does not exist in {endpoint.secondary_region}.",
        )


def _with(plane: ControlPlane, endpoint: Endpoint, params: Params) -> Endpoint:
    """Return the endpoint with what the request gives.

    Raises ValidationException where the whole would not be one: the texts are our choice, in
    EventBridge's style, since AWS documents none of them.
    """
    changes: dict[str, Any] = {}
    if "Description" in params:
        changes["description"] = params["Description"]
    if "RoleArn" in params:
        changes["role_arn"] = params["RoleArn"]
        check_passed_role(plane, endpoint.account, params["RoleArn"], source_arn=endpoint.arn)
    replication = (params.get("ReplicationConfig") or {}).get("State")
    if replication is not None:
        changes["replication"] = ReplicationState(replication)
    if params.get("RoutingConfig"):
        failover = params["RoutingConfig"]["FailoverConfig"]
        changes["secondary_region"] = failover["Secondary"]["Route"]
        health_check = failover["Primary"]["HealthCheck"]
        changes["health_check_id"] = health_check.rpartition("/")[2]
    changed = msgspec.structs.replace(endpoint, **changes)
    if params.get("EventBuses"):
        changed = _on_buses(plane, changed, params["EventBuses"])
    elif changed.secondary_region != endpoint.secondary_region:
        raise _without_bus(changed.secondary_region)
    _check(plane, changed)
    return changed


def _on_buses(
    plane: ControlPlane, endpoint: Endpoint, buses: Sequence[Mapping[str, str]]
) -> Endpoint:
    arns = [parse_arn(bus["EventBusArn"]) for bus in buses]
    first, second = (arn for arn in arns if arn is not None)
    if {first.account, second.account} != {endpoint.account}:
        raise _invalid("EventBuses", f"both event buses must be in account {endpoint.account}.")
    if first.resource != second.resource:
        raise _invalid("EventBuses", "the names of the event buses must be identical.")
    regions = {first.region, second.region}
    if len(regions) == 1:
        raise _invalid("EventBuses", "the event buses must be in different Regions.")
    if plane.region not in regions:
        raise _invalid("EventBuses", f"one event bus must be in this Region, {plane.region}.")
    if endpoint.secondary_region not in regions - {plane.region}:
        raise _without_bus(endpoint.secondary_region)
    name = first.resource.removeprefix("event-bus/")
    former = endpoint.former_bus_names
    if endpoint.event_bus_name not in ("", name, *former):
        former = (*former, endpoint.event_bus_name)[-FORMER_BUS_COUNT_MAX:]
    return msgspec.structs.replace(
        endpoint,
        event_bus_name=name,
        former_bus_names=former,
        is_secondary_bus_first=first.region != plane.region,
    )


def _check(plane: ControlPlane, endpoint: Endpoint) -> None:
    if endpoint.secondary_region == plane.region:
        raise _invalid("RoutingConfig", "the secondary Region must be another than the primary.")
    if endpoint.secondary_region not in plane.regions:
        raise _invalid(
            "RoutingConfig",
            f"Region {endpoint.secondary_region} is none of this deployment "
            f"({', '.join(plane.regions)}).",
        )
    if endpoint.replication is ReplicationState.ENABLED and not endpoint.role_arn:
        raise _invalid(
            "RoleArn",
            "a role is required while replication is ENABLED. Give one, or set "
            "ReplicationConfig State to DISABLED.",
        )
    if plane.resources.event_bus(endpoint.account, endpoint.event_bus_name) is None:
        raise ResourceNotFoundException(f"Event bus {endpoint.event_bus_name} does not exist.")


def _without_bus(region: str) -> ValidationException:
    return _invalid("RoutingConfig", f"the secondary Region {region} has none of the event buses.")


def _invalid(parameter: str, reason: str) -> ValidationException:
    return ValidationException(f"Parameter {parameter} is not valid. Reason: {reason}")


def _own(plane: ControlPlane, caller: Caller, name: str) -> Endpoint:
    endpoint = plane.resources.endpoints.get(f"{caller.account}/{name}")
    if endpoint is None:
        raise ResourceNotFoundException(f"Endpoint {name} does not exist.")
    return endpoint


def _refuse_while_changing(endpoint: Endpoint) -> None:
    if endpoint.state in CHANGING:
        raise ConcurrentModificationException(
            f"Endpoint {endpoint.name} is in state {endpoint.state}; wait until that is done."
        )


def _homed(plane: ControlPlane, caller: Caller, home_region: str | None) -> list[Endpoint]:
    """Return the caller's endpoints whose primary Region is the one called, or the one named."""
    home = home_region or plane.region
    return [
        endpoint
        for endpoint in plane.world.endpoints()
        if endpoint.account == caller.account and endpoint.primary_region == home
    ]


def _shown(endpoint: Endpoint) -> Output:
    regions = endpoint.regions[::-1] if endpoint.is_secondary_bus_first else endpoint.regions
    return {
        "Name": endpoint.name,
        "Description": endpoint.description,
        "Arn": endpoint.arn,
        "RoutingConfig": {
            "FailoverConfig": {
                "Primary": {"HealthCheck": health_check_arn(endpoint.health_check_id)},
                "Secondary": {"Route": endpoint.secondary_region},
            }
        },
        "ReplicationConfig": {"State": str(endpoint.replication)},
        "EventBuses": [
            {"EventBusArn": event_bus_arn(region, endpoint.account, endpoint.event_bus_name)}
            for region in regions
        ],
        "RoleArn": endpoint.role_arn,
        "EndpointId": endpoint.endpoint_id,
        "EndpointUrl": f"https://{endpoint.endpoint_id}.endpoint.events.amazonaws.com",
        "State": str(endpoint.state),
        "StateReason": endpoint.state_reason,
        "CreationTime": round(endpoint.creation_time, 3),
        "LastModifiedTime": round(endpoint.last_modified_time, 3),
    }
