"""Route 53's operations on health checks, performed over the memory engine."""

from __future__ import annotations

import importlib
from typing import Any

import msgspec
import pytest

from farspan.catalog.resources import Resources
from farspan.clock import SeededIds, SystemClock
from farspan.control.plane import OPERATIONS, Caller, ControlPlane, perform
from farspan.errors import (
    AwsError,
    HealthCheckAlreadyExists,
    HealthCheckInUse,
    HealthCheckVersionMismatch,
    InvalidInput,
    NoSuchHealthCheck,
    NoSuchHostedZone,
    TooManyHealthChecks,
)
from farspan.model.health_check import HealthCheck, HealthCheckType, Status, Vote
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.store.memory import MemoryStore
from farspan.wire import rest_xml, spec

importlib.import_module("farspan.control.registry")  # registers the operations

OWN = Caller(account="000000000000", access_key_id="AKIAIOSFODNN7EXAMPLE")
OTHER = Caller(account="111111111111", access_key_id="AKIAI44QH8DHBEXAMPLE")
HTTP: dict[str, Any] = {"Type": "HTTP", "IPAddress": "127.0.0.1", "Port": 4566}
TCP: dict[str, Any] = {"Type": "TCP", "FullyQualifiedDomainName": "a.example", "Port": 5432}

FOREIGN = HealthCheck(
    id="ffff",
    account=OWN.account,
    caller_reference="foreign",
    type=HealthCheckType.TCP,
    ip_address="192.0.2.1",
    port=1,
)


class FakeWorld:
    """What other Regions have, as the test puts it."""

    def __init__(self) -> None:
        self.checks: dict[str, HealthCheck] = {}
        self.votes: list[Vote] = []

    def endpoints(self) -> list[Any]:
        """See `World.endpoints`."""
        return []

    def health_checks(self) -> dict[str, HealthCheck]:
        """See `World.health_checks`."""
        return self.checks

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """See `World.votes_on`."""
        return [vote for vote in self.votes if vote.health_check_id == health_check_id]

    def report_of(self, region: str) -> None:
        """See `World.report_of`."""


class Api:
    """A Region's Route 53, called by operation name; each answer has to fit the wire."""

    def __init__(self, store: MemoryStore | None = None, seed: int = 1) -> None:
        self.store = store or MemoryStore()
        self.world = FakeWorld()
        ids, clock = SeededIds(seed), SystemClock()
        self.plane = ControlPlane(
            region="us-east-1",
            regions=("us-east-1", "us-west-2"),
            resources=Resources("us-east-1", self.store),
            queues=QueueService("us-east-1", self.store, clock, ids),
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
            node_urls={
                "us-west-2": "http://10.0.0.7:4566",
                "us-east-1": "http://localhost:4567",
                "edge": "http://edge.internal:4566",
            },
        )

    async def __call__(self, name: str, caller: Caller = OWN, **params: object) -> dict[str, Any]:
        """Perform an operation and return its output."""
        output = await perform(self.plane, caller, "route53", name, params)
        service = spec.service("route53")
        rest_xml.encode_response(service, service.operations[name], output, "request")
        return output

    async def create(self, reference: str = "r", **config: object) -> dict[str, Any]:
        """Create an HTTP check with other settings, and return it."""
        made = await self(
            "CreateHealthCheck", CallerReference=reference, HealthCheckConfig=HTTP | config
        )
        return made["HealthCheck"]


@pytest.fixture
def api() -> Api:
    """Return a Region without health checks."""
    return Api()


def test_what_changes_runs_alone() -> None:
    """The operations that write are registered as such."""
    changing = {
        name: registered.changes_resources
        for (service, name), registered in OPERATIONS.items()
        if service == "route53"
    }

    assert changing == {
        "ChangeTagsForResource": True,
        "CreateHealthCheck": True,
        "DeleteHealthCheck": True,
        "GetCheckerIpRanges": False,
        "GetHealthCheck": False,
        "GetHealthCheckCount": False,
        "GetHealthCheckLastFailureReason": False,
        "GetHealthCheckStatus": False,
        "ListHealthChecks": False,
        "ListTagsForResource": False,
        "ListTagsForResources": False,
        "UpdateHealthCheck": True,
    }


# --- create ----------------------------------------------------------------------------------


async def test_create_fills_in_the_defaults(api: Api) -> None:
    """What is not given shows with Route 53's defaults; Location names the new check."""
    output = await api("CreateHealthCheck", CallerReference="r", HealthCheckConfig=HTTP)
    check = output["HealthCheck"]

    assert output["Location"] == f"http://localhost:4566/2013-04-01/healthcheck/{check['Id']}"
    assert check == {
        "Id": check["Id"],
        "CallerReference": "r",
        "HealthCheckConfig": {
            "Type": "HTTP",
            "IPAddress": "127.0.0.1",
            "Port": 4566,
            "RequestInterval": 30,
            "FailureThreshold": 3,
            "MeasureLatency": False,
            "Inverted": False,
            "Disabled": False,
            "EnableSNI": False,
        },
        "HealthCheckVersion": 1,
    }
    assert await api("GetHealthCheck", HealthCheckId=check["Id"]) == {"HealthCheck": check}


async def test_create_keeps_what_is_given(api: Api) -> None:
    """Every member of the configuration comes back; a path gets its slash."""
    given = {
        "ResourcePath": "live?x=1",
        "FullyQualifiedDomainName": "a.example",
        "RequestInterval": 10,
        "FailureThreshold": 5,
        "MeasureLatency": True,
        "Inverted": True,
        "Disabled": True,
    }
    check = await api.create(**given, EnableSNI=False, Regions=[])
    expected = HTTP | given | {"ResourcePath": "/live?x=1", "EnableSNI": False}

    assert check["HealthCheckConfig"] == expected


@pytest.mark.parametrize("address", ["10.0.0.1", "127.0.0.1", "::1", "fd00::1", "192.0.2.1"])
async def test_private_and_loopback_addresses_are_welcome(api: Api, address: str) -> None:
    """A self-hosted deployment watches its own machines, unlike Route 53."""
    check = await api.create(IPAddress=address)

    assert check["HealthCheckConfig"]["IPAddress"] == address


async def test_the_same_call_again_returns_the_same_check(api: Api) -> None:
    """CallerReference makes creation idempotent."""
    assert await api.create("r") == await api.create("r")


async def test_a_reference_with_other_settings_is_refused(api: Api) -> None:
    """The reference stands for the first configuration."""
    await api.create("r")
    with pytest.raises(HealthCheckAlreadyExists, match="CallerReference r"):
        await api.create("r", Port=80)


async def test_the_reference_of_a_deleted_check_is_remembered(api: Api) -> None:
    """Even the same settings do not bring it back, nor does a restart forget it."""
    check = await api.create("r")
    await api("DeleteHealthCheck", HealthCheckId=check["Id"])
    with pytest.raises(HealthCheckAlreadyExists, match="was deleted"):
        await api.create("r")
    restarted = Api(api.store, seed=2)
    await restarted.plane.resources.load(1.0)
    with pytest.raises(HealthCheckAlreadyExists):
        await restarted.create("r")

    assert dict(api.plane.resources.health_checks) == {}


async def test_a_reference_belongs_to_an_account(api: Api) -> None:
    """Another account's check does not stand in the way."""
    await api.create("r")
    output = await api("CreateHealthCheck", OTHER, CallerReference="r", HealthCheckConfig=TCP)

    assert output["HealthCheck"]["HealthCheckConfig"]["Type"] == "TCP"


async def test_another_reference_makes_another_check(api: Api) -> None:
    """Equal settings do not make checks one."""
    assert (await api.create("a"))["Id"] != (await api.create("b"))["Id"]


async def test_a_reference_counts_in_all_regions(api: Api) -> None:
    """The same call in another Region returns the check that is there."""
    api.world.checks[FOREIGN.id] = FOREIGN
    config = {"Type": "TCP", "IPAddress": "192.0.2.1", "Port": 1}
    output = await api("CreateHealthCheck", CallerReference="foreign", HealthCheckConfig=config)

    assert output["HealthCheck"]["Id"] == FOREIGN.id


async def test_the_quota_holds(api: Api) -> None:
    """An account has up to 200 checks, those of other Regions included."""
    api.world.checks = {
        str(i): msgspec.structs.replace(FOREIGN, id=str(i), caller_reference=str(i))
        for i in range(199)
    }
    await api.create("last")
    with pytest.raises(TooManyHealthChecks, match="reached the limit"):
        await api.create("one too many")


async def test_what_is_refused_is_not_there(api: Api) -> None:
    """A configuration that is not valid creates nothing."""
    with pytest.raises(InvalidInput, match="RequestInterval"):
        await api.create(RequestInterval=20)

    assert dict(api.plane.resources.health_checks) == {}


@pytest.mark.parametrize("reference", ["", "r" * 65])
async def test_a_reference_has_1_to_64_characters(api: Api, reference: str) -> None:
    """The model's bounds hold where nobody checked them before."""
    with pytest.raises(InvalidInput, match="CallerReference"):
        await api.create(reference)


# --- update ----------------------------------------------------------------------------------


async def test_update_changes_what_is_given(api: Api) -> None:
    """The rest stays, and the version grows."""
    check = await api.create(ResourcePath="/a")
    output = await api(
        "UpdateHealthCheck",
        HealthCheckId=check["Id"],
        HealthCheckVersion=1,
        Port=8080,
        FailureThreshold=1,
        Inverted=True,
        Disabled=True,
        FullyQualifiedDomainName="b.example",
    )
    expected = check["HealthCheckConfig"] | {
        "Port": 8080,
        "FailureThreshold": 1,
        "Inverted": True,
        "Disabled": True,
        "FullyQualifiedDomainName": "b.example",
    }

    assert output["HealthCheck"]["HealthCheckConfig"] == expected
    assert output["HealthCheck"]["HealthCheckVersion"] == 2
    assert await api("GetHealthCheck", HealthCheckId=check["Id"]) == output


async def test_reset_elements_empties(api: Api) -> None:
    """The name and the path return to nothing; Regions are the default anyway."""
    check = await api.create(ResourcePath="/a", FullyQualifiedDomainName="a.example")
    output = await api(
        "UpdateHealthCheck",
        HealthCheckId=check["Id"],
        ResetElements=["FullyQualifiedDomainName", "ResourcePath", "Regions"],
    )

    assert (
        not {"FullyQualifiedDomainName", "ResourcePath"}
        & output["HealthCheck"]["HealthCheckConfig"].keys()
    )


async def test_another_version_is_a_mismatch(api: Api) -> None:
    """Who knew an older version is told the present one, and changes nothing."""
    check = await api.create()
    with pytest.raises(HealthCheckVersionMismatch, match="has version 1, not 7"):
        await api("UpdateHealthCheck", HealthCheckId=check["Id"], HealthCheckVersion=7, Port=1)

    assert (await api("GetHealthCheck", HealthCheckId=check["Id"]))["HealthCheck"] == check


async def test_an_update_that_is_refused_changes_nothing(api: Api) -> None:
    """The check stays as it is, version and all."""
    check = await api.create()
    with pytest.raises(InvalidInput, match="cannot be changed"):
        await api("UpdateHealthCheck", HealthCheckId=check["Id"], Type="TCP")

    assert (await api("GetHealthCheck", HealthCheckId=check["Id"]))["HealthCheck"] == check


# --- calculated ------------------------------------------------------------------------------


async def calculated(api: Api, *children: str, reference: str = "sum") -> dict[str, Any]:
    """Create a check that is calculated from others, and return it."""
    config = {"Type": "CALCULATED", "HealthThreshold": 1, "ChildHealthChecks": list(children)}
    made = await api("CreateHealthCheck", CallerReference=reference, HealthCheckConfig=config)
    return made["HealthCheck"]


async def test_a_calculated_check_has_children(api: Api) -> None:
    """They are shown in their order, another Region's among them."""
    api.world.checks[FOREIGN.id] = FOREIGN
    child = await api.create()
    check = await calculated(api, child["Id"], "ffff")

    assert check["HealthCheckConfig"] == {
        "Type": "CALCULATED",
        "Inverted": False,
        "Disabled": False,
        "HealthThreshold": 1,
        "ChildHealthChecks": [child["Id"], "ffff"],
    }


async def test_children_can_be_replaced_and_taken_away(api: Api) -> None:
    """An update names all of them anew, ResetElements none."""
    first, second = await api.create("a"), await api.create("b")
    check = await calculated(api, first["Id"])
    update = {"HealthCheckId": check["Id"]}
    changed = await api("UpdateHealthCheck", **update, ChildHealthChecks=[second["Id"]])
    emptied = await api("UpdateHealthCheck", **update, ResetElements=["ChildHealthChecks"])

    assert changed["HealthCheck"]["HealthCheckConfig"]["ChildHealthChecks"] == [second["Id"]]
    assert "ChildHealthChecks" not in emptied["HealthCheck"]["HealthCheckConfig"]


async def test_children_have_to_be_there_and_not_calculated(api: Api) -> None:
    """What does not exist, what is another account's and what is calculated are no children."""
    others = await api("CreateHealthCheck", OTHER, CallerReference="r", HealthCheckConfig=TCP)
    check = await calculated(api)
    for child in ("never", others["HealthCheck"]["Id"]):
        with pytest.raises(InvalidInput, match=f"there is no health check {child}"):
            await calculated(api, child, reference="x")
        with pytest.raises(InvalidInput, match=f"there is no health check {child}"):
            await api("UpdateHealthCheck", HealthCheckId=check["Id"], ChildHealthChecks=[child])
    for child in (check["Id"],):
        with pytest.raises(InvalidInput, match="no calculated children"):
            await calculated(api, child, reference="x")
        with pytest.raises(InvalidInput, match="no calculated children"):
            await api("UpdateHealthCheck", HealthCheckId=check["Id"], ChildHealthChecks=[child])


async def test_a_child_cannot_be_deleted(api: Api) -> None:
    """It can once no check is calculated from it any more."""
    child = await api.create()
    check = await calculated(api, child["Id"])
    with pytest.raises(HealthCheckInUse, match=f"calculated health check {check['Id']}"):
        await api("DeleteHealthCheck", HealthCheckId=child["Id"])
    await api("DeleteHealthCheck", HealthCheckId=check["Id"])

    assert await api("DeleteHealthCheck", HealthCheckId=child["Id"]) == {}


@pytest.mark.parametrize("name", ["GetHealthCheckStatus", "GetHealthCheckLastFailureReason"])
async def test_nobody_observes_a_calculated_check(api: Api, name: str) -> None:
    """Its status cannot be asked for, as in Route 53."""
    check = await calculated(api)
    with pytest.raises(InvalidInput, match="is of type CALCULATED"):
        await api(name, HealthCheckId=check["Id"])


# --- tags ------------------------------------------------------------------------------------


async def test_tags_come_and_go(api: Api) -> None:
    """Keys are removed first, then added or overwritten; the check has no new version."""
    check_id = (await api.create())["Id"]
    resource = {"ResourceType": "healthcheck", "ResourceId": check_id}
    given = [{"Key": "Name", "Value": "a"}, {"Key": "stage", "Value": "test"}, {"Key": "bare"}]
    await api("ChangeTagsForResource", **resource, AddTags=given)
    again = {"AddTags": [{"Key": "Name", "Value": "b"}], "RemoveTagKeys": ["stage", "Name", "no"]}
    await api("ChangeTagsForResource", **resource, **again)
    tag_set = resource | {"Tags": [{"Key": "bare", "Value": ""}, {"Key": "Name", "Value": "b"}]}
    several = {"ResourceType": "healthcheck", "ResourceIds": [check_id]}

    assert await api("ListTagsForResource", **resource) == {"ResourceTagSet": tag_set}
    assert await api("ListTagsForResources", **several) == {"ResourceTagSets": [tag_set]}
    assert (await api("GetHealthCheck", HealthCheckId=check_id))["HealthCheck"][
        "HealthCheckVersion"
    ] == 1


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({}, "Either AddTags or RemoveTagKeys"),
        ({"AddTags": [{"Value": "v"}]}, "a tag has a Key"),
        ({"AddTags": [{"Key": "AWS:x"}]}, "begin with aws:"),
        ({"AddTags": [{"Key": str(i)} for i in range(11)]}, "up to 10 tags, not 11"),
    ],
)
async def test_tags_that_are_refused(api: Api, changes: dict[str, Any], named: str) -> None:
    """InvalidInput says why."""
    check_id = (await api.create())["Id"]
    with pytest.raises(InvalidInput, match=named):
        await api(
            "ChangeTagsForResource", ResourceType="healthcheck", ResourceId=check_id, **changes
        )


async def test_tags_are_the_accounts_own_and_hosted_zones_are_not_there(api: Api) -> None:
    """What is not there has no tags to change or show."""
    check_id = (await api.create())["Id"]
    added = {"AddTags": [{"Key": "k", "Value": "v"}]}
    zone = {"ResourceType": "hostedzone", "ResourceId": "Z1"}
    check = {"ResourceType": "healthcheck", "ResourceId": check_id}
    with pytest.raises(NoSuchHostedZone, match="Z1"):
        await api("ChangeTagsForResource", **zone, **added)
    with pytest.raises(NoSuchHostedZone, match="Z1"):
        await api("ListTagsForResource", **zone)
    with pytest.raises(NoSuchHealthCheck):
        await api("ChangeTagsForResource", OTHER, **check, **added)
    with pytest.raises(NoSuchHealthCheck):
        await api("ListTagsForResource", OTHER, **check)


# --- finding ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name",
    [
        "GetHealthCheck",
        "UpdateHealthCheck",
        "DeleteHealthCheck",
        "GetHealthCheckStatus",
        "GetHealthCheckLastFailureReason",
    ],
)
async def test_only_the_accounts_own_checks_are_there(api: Api, name: str) -> None:
    """Another account's check and one that never was are answered alike."""
    check = await api.create()
    for health_check_id in (check["Id"], "never"):
        with pytest.raises(NoSuchHealthCheck, match=f"specified ID {health_check_id}"):
            await api(name, OTHER, HealthCheckId=health_check_id)


@pytest.mark.parametrize("name", ["UpdateHealthCheck", "DeleteHealthCheck"])
async def test_another_regions_check_is_changed_there(api: Api, name: str) -> None:
    """The server forwards such calls; here only what is the Region's own changes."""
    api.world.checks[FOREIGN.id] = FOREIGN

    assert (await api("GetHealthCheck", HealthCheckId="ffff"))["HealthCheck"]["Id"] == "ffff"
    with pytest.raises(AwsError, match="ffff"):
        await api(name, HealthCheckId="ffff")


async def test_delete(api: Api) -> None:
    """A deleted check is gone, for a second deletion too."""
    check = await api.create()

    assert await api("DeleteHealthCheck", HealthCheckId=check["Id"]) == {}
    with pytest.raises(NoSuchHealthCheck):
        await api("DeleteHealthCheck", HealthCheckId=check["Id"])


# --- list ------------------------------------------------------------------------------------


async def test_list_shows_all_regions_in_pages(api: Api) -> None:
    """NextMarker is the id that the next page begins with."""
    api.world.checks[FOREIGN.id] = FOREIGN
    made = [(await api.create(str(i)))["Id"] for i in range(4)]
    await api("CreateHealthCheck", OTHER, CallerReference="x", HealthCheckConfig=TCP)
    ids, marker, pages = [], {}, 0
    while True:
        page = await api("ListHealthChecks", MaxItems="2", **marker)
        ids += [check["Id"] for check in page["HealthChecks"]]
        pages += 1
        assert page["MaxItems"] == "2"
        assert page["Marker"] == marker.get("Marker", "")
        if not page["IsTruncated"]:
            break
        marker = {"Marker": page["NextMarker"]}

    assert ids == sorted([*made, "ffff"])
    assert pages == 3
    assert "NextMarker" not in page


async def test_list_without_bounds(api: Api) -> None:
    """By default, and at most, a page has 1000."""
    for given in ({}, {"MaxItems": "5000"}):
        page = await api("ListHealthChecks", **given)

        assert page == {
            "HealthChecks": [],
            "Marker": "",
            "IsTruncated": False,
            "MaxItems": "1000",
        }


@pytest.mark.parametrize("given", ["0", "-1", "ten", "", "9" * 20, "٣"])
async def test_max_items_is_a_positive_number(api: Api, given: str) -> None:
    """Anything else is refused by name."""
    with pytest.raises(InvalidInput, match="MaxItems"):
        await api("ListHealthChecks", MaxItems=given)


async def test_count(api: Api) -> None:
    """Those of all Regions count, and of the own account alone."""
    api.world.checks[FOREIGN.id] = FOREIGN
    await api.create()

    assert await api("GetHealthCheckCount") == {"HealthCheckCount": 2}
    assert await api("GetHealthCheckCount", OTHER) == {"HealthCheckCount": 0}


# --- status ----------------------------------------------------------------------------------


def seen_by(observer: str, check_id: str, **more: Any) -> Vote:
    """Return an observer's vote."""
    return Vote(
        health_check_id=check_id,
        observer=observer,
        status=Status.HEALTHY,
        sequence=1,
        checked_time=1_700_000_000.25,
        report="Success: HTTP Status Code: 200. Resolved IP: 127.0.0.1. OK",
        **more,
    )


async def test_status_shows_each_observer(api: Api) -> None:
    """One observation for each fresh vote, under the observer's name and known address."""
    check = await api.create()
    api.world.votes = [seen_by(name, check["Id"]) for name in ("edge", "us-west-2")]
    output = await api("GetHealthCheckStatus", HealthCheckId=check["Id"])
    report = {
        "Status": "Success: HTTP Status Code: 200. Resolved IP: 127.0.0.1. OK",
        "CheckedTime": 1_700_000_000.25,
    }

    assert output == {
        "HealthCheckObservations": [
            {"Region": "edge", "StatusReport": report},
            {"Region": "us-west-2", "IPAddress": "10.0.0.7", "StatusReport": report},
        ]
    }


async def test_last_failure_reason(api: Api) -> None:
    """What failed last is told after it is over; who never saw a failure says since when."""
    check = await api.create()
    failed = {"failure_report": "Failure: Connection refused", "failure_time": 1_690_000_000.5}
    api.world.votes = [
        seen_by("us-east-1", check["Id"], **failed),
        seen_by("us-west-2", check["Id"], failure_time=1_690_000_000.0),
    ]
    output = await api("GetHealthCheckLastFailureReason", HealthCheckId=check["Id"])
    reports = [one["StatusReport"] for one in output["HealthCheckObservations"]]

    assert reports == [
        {"Status": "Failure: Connection refused", "CheckedTime": 1_690_000_000.5},
        {
            "Status": "The health check endpoint has not failed since the Route 53 health checker "
            "for this endpoint restarted at 2023-07-22T04:26:40.000+00:00",
            "CheckedTime": 1_690_000_000.0,
        },
    ]


async def test_checker_ip_ranges(api: Api) -> None:
    """The addresses of the nodes, in order; one that only DNS knows is left out."""
    assert await api("GetCheckerIpRanges") == {"CheckerIpRanges": ["10.0.0.7/32", "127.0.0.1/32"]}


async def test_status_of_a_check_that_nobody_reported_on(api: Api) -> None:
    """There is nothing to show yet."""
    check = await api.create()

    assert await api("GetHealthCheckStatus", HealthCheckId=check["Id"]) == {
        "HealthCheckObservations": []
    }
