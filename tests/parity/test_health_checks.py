"""Route 53's health checks by boto3: their life cycle, and what they see."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from botocore.client import BaseClient

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Eventually

EAST, WEST = "us-east-1", "us-west-2"
HTTP: dict[str, Any] = {
    "Type": "HTTP",
    "IPAddress": "127.0.0.1",
    "Port": 80,
    "ResourcePath": "/health",
    "Disabled": True,
}
Refusal = Callable[..., tuple[str, str]]
Create = Callable[..., dict[str, Any]]


@pytest.fixture
def create(route53: BaseClient, name: str) -> Iterator[Create]:
    """Create health checks, and delete them afterwards."""
    made: list[str] = []

    def create(reference: str = name, **settings: object) -> dict[str, Any]:
        config = {key: value for key, value in (HTTP | settings).items() if value is not None}
        answer = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)
        made.append(answer["HealthCheck"]["Id"])
        return answer

    yield create
    for health_check_id in set(made) & {
        check["Id"] for check in route53.list_health_checks()["HealthChecks"]
    }:
        route53.delete_health_check(HealthCheckId=health_check_id)


def test_create(deployment: Deployment, create: Create, name: str) -> None:
    """201, a Location, version 1, and Route 53's defaults filled in."""
    answer = create()
    check = answer["HealthCheck"]

    assert 201 == answer["ResponseMetadata"]["HTTPStatusCode"]
    assert f"{deployment.url}/2013-04-01/healthcheck/{check['Id']}" == answer["Location"]
    assert (name, 1) == (check["CallerReference"], check["HealthCheckVersion"])
    assert {
        **HTTP,
        "RequestInterval": 30,
        "FailureThreshold": 3,
        "MeasureLatency": False,
        "Inverted": False,
        "EnableSNI": False,
    } == check["HealthCheckConfig"]


def test_a_tcp_check(create: Create) -> None:
    """Type TCP has a port and no path."""
    config = create(Type="TCP", ResourcePath=None, Port=5432)["HealthCheck"]["HealthCheckConfig"]

    assert ("TCP", 5432) == (config["Type"], config["Port"])
    assert "ResourcePath" not in config


def test_get_and_list(route53: BaseClient, create: Create) -> None:
    """The check is found by id and in the list, as it was created."""
    check = create()["HealthCheck"]

    assert check == route53.get_health_check(HealthCheckId=check["Id"])["HealthCheck"]
    assert check in route53.list_health_checks()["HealthChecks"]


def test_list_pages(route53: BaseClient, create: Create, name: str) -> None:
    """boto3's paginator sees each check once; MaxItems is a text."""
    ids = {create(f"{name}-{number}")["HealthCheck"]["Id"] for number in range(3)}
    first = route53.list_health_checks(MaxItems="1")
    pages = route53.get_paginator("list_health_checks").paginate(PaginationConfig={"PageSize": 1})
    found = [check["Id"] for page in pages for check in page["HealthChecks"]]

    assert ("1", True) == (first["MaxItems"], first["IsTruncated"])
    assert ids <= set(found)
    assert len(found) == len(set(found))


def test_every_region_shows_it(
    client: Callable[..., BaseClient], create: Create, eventually: Eventually
) -> None:
    """Health checks are global, whichever Region the client is set to."""
    check_id = create()["HealthCheck"]["Id"]
    west = client("route53", WEST)

    assert eventually(
        lambda: check_id in {check["Id"] for check in west.list_health_checks()["HealthChecks"]}
    )
    changed = west.update_health_check(HealthCheckId=check_id, FailureThreshold=5)
    assert 2 == changed["HealthCheck"]["HealthCheckVersion"]


def test_update_counts_versions(route53: BaseClient, create: Create) -> None:
    """Each update is a version; what it does not name stays."""
    check = create()["HealthCheck"]
    updated = route53.update_health_check(
        HealthCheckId=check["Id"], HealthCheckVersion=1, Inverted=True, FailureThreshold=1
    )["HealthCheck"]

    assert 2 == updated["HealthCheckVersion"]
    assert (
        check["HealthCheckConfig"] | {"Inverted": True, "FailureThreshold": 1}
        == updated["HealthCheckConfig"]
    )


def test_an_outdated_version(route53: BaseClient, create: Create, refusal: Refusal) -> None:
    """Whoever knew another version has to look again."""
    check_id = create()["HealthCheck"]["Id"]

    assert (
        "HealthCheckVersionMismatch",
        f"The health check {check_id} has version 1, not 2. "
        "Get it again, and repeat the update with its present version.",
    ) == refusal(route53.update_health_check, HealthCheckId=check_id, HealthCheckVersion=2)


def test_reset_elements(route53: BaseClient, create: Create) -> None:
    """ResetElements takes a setting away."""
    check_id = create(FullyQualifiedDomainName="localhost")["HealthCheck"]["Id"]
    config = route53.update_health_check(
        HealthCheckId=check_id, ResetElements=["FullyQualifiedDomainName", "ResourcePath"]
    )["HealthCheck"]["HealthCheckConfig"]

    assert {"FullyQualifiedDomainName", "ResourcePath"}.isdisjoint(config)


def test_the_same_caller_reference(create: Create, name: str) -> None:
    """The same call again returns the check that is there, with 201."""
    first, again = create(), create()

    assert first["HealthCheck"] == again["HealthCheck"]
    assert 201 == again["ResponseMetadata"]["HTTPStatusCode"]


def test_a_used_caller_reference(
    route53: BaseClient, create: Create, name: str, refusal: Refusal
) -> None:
    """With other settings, or after its check was deleted, a reference is used up."""
    check_id = create()["HealthCheck"]["Id"]

    assert "HealthCheckAlreadyExists" == refusal(create, Port=81)[0]
    route53.delete_health_check(HealthCheckId=check_id)
    assert "HealthCheckAlreadyExists" == refusal(create)[0]


def test_delete(route53: BaseClient, create: Create, refusal: Refusal) -> None:
    """After it the check does not exist, and cannot be deleted again."""
    check_id = create()["HealthCheck"]["Id"]
    route53.delete_health_check(HealthCheckId=check_id)
    missing = ("NoSuchHealthCheck", f"No health check exists with the specified ID {check_id}")

    assert missing == refusal(route53.get_health_check, HealthCheckId=check_id)
    assert missing == refusal(route53.delete_health_check, HealthCheckId=check_id)


@pytest.mark.parametrize(
    "method",
    [
        "get_health_check",
        "update_health_check",
        "delete_health_check",
        "get_health_check_status",
        "get_health_check_last_failure_reason",
    ],
)
def test_a_missing_check(route53: BaseClient, method: str) -> None:
    """404 and boto3's typed exception."""
    with pytest.raises(route53.exceptions.NoSuchHealthCheck) as caught:
        getattr(route53, method)(HealthCheckId="nowhere")

    assert 404 == caught.value.response["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"SearchString": "ok"}, "SearchString has no meaning"),
        ({"EnableSNI": True}, "EnableSNI has no meaning"),
        ({"Regions": [EAST, WEST, "eu-central-1"]}, "Member must satisfy enum value set"),
        ({"AlarmIdentifier": {"Region": EAST, "Name": "a"}}, "Basic health checks must not have"),
        ({"Type": "HTTP_STR_MATCH"}, "SearchString is required"),
        ({"Type": "TCP", "ResourcePath": None, "Port": None}, "Port is required"),
        ({"Type": "TCP"}, "ResourcePath has no meaning"),
        ({"IPAddress": None}, "Either IPAddress or FullyQualifiedDomainName is required."),
        ({"IPAddress": "localhost"}, "Value 'localhost' at 'healthCheckConfig.iPAddress' failed"),
        ({"IPAddress": "169.254.169.254"}, "is one that health checks may not look at"),
        ({"RequestInterval": 20}, "RequestInterval must be 10 or 30."),
        ({"Type": "SMOKE"}, "Member must satisfy enum value set"),
        ({"Port": 65_536}, "Member must have value less than or equal to 65535"),
        ({"FailureThreshold": 11}, "Member must have value less than or equal to 10"),
    ],
    ids=[
        "SearchString",
        "EnableSNI",
        "another-Region",
        "alarm",
        "nothing-sought",
        "tcp-without-port",
        "tcp-with-path",
        "no-target",
        "no-address",
        "link-local",
        "interval",
        "unknown-type",
        "port",
        "threshold",
    ],
)
def test_settings_that_are_refused(
    create: Create, refusal: Refusal, settings: dict[str, Any], words: str
) -> None:
    """InvalidInput says which, and what is wrong with it."""
    code, message = refusal(create, **settings)

    assert "InvalidInput" == code
    assert words in message


@pytest.mark.parametrize(
    ("settings", "shown"),
    [
        ({"Type": "HTTPS"}, {"EnableSNI": True}),
        ({"Type": "HTTPS", "EnableSNI": False}, {"EnableSNI": False}),
        ({"Type": "HTTP_STR_MATCH", "SearchString": "fine <&>"}, {"SearchString": "fine <&>"}),
        ({"Type": "HTTPS_STR_MATCH", "SearchString": "ok"}, {"EnableSNI": True}),
        ({"Regions": [EAST, WEST, "eu-west-1"]}, {"Regions": [EAST, WEST, "eu-west-1"]}),
        ({"MeasureLatency": True}, {"MeasureLatency": True}),
    ],
    ids=["https", "no-sni", "string", "https-string", "regions", "latency"],
)
def test_settings_of_other_types(
    route53: BaseClient, create: Create, settings: dict[str, Any], shown: dict[str, Any]
) -> None:
    """What is given comes back, and what is not has its default."""
    check_id = create(**settings)["HealthCheck"]["Id"]
    config = route53.get_health_check(HealthCheckId=check_id)["HealthCheck"]["HealthCheckConfig"]

    assert shown == {name: config[name] for name in shown}


def test_a_calculated_check(
    route53: BaseClient, create: Create, name: str, refusal: Refusal
) -> None:
    """It has children and a threshold; they cannot be deleted, nor calculated themselves."""
    child = create()["HealthCheck"]["Id"]
    config = {"Type": "CALCULATED", "HealthThreshold": 1, "ChildHealthChecks": [child]}
    made = route53.create_health_check(CallerReference=f"{name}-sum", HealthCheckConfig=config)
    check_id = made["HealthCheck"]["Id"]
    new = {"CallerReference": f"{name}-again", "HealthCheckConfig": config}

    assert made["HealthCheck"]["HealthCheckConfig"] == config | {
        "Inverted": False,
        "Disabled": False,
    }
    in_use = refusal(route53.delete_health_check, HealthCheckId=child)
    assert "HealthCheckInUse" == in_use[0]
    config["ChildHealthChecks"] = [check_id]
    assert "no calculated children" in refusal(route53.create_health_check, **new)[1]
    del config["HealthThreshold"]
    words = "Invalid parameter : Calculated health checks must have a health threshold specified."
    assert ("InvalidInput", words) == refusal(route53.create_health_check, **new)
    for method in ("get_health_check_status", "get_health_check_last_failure_reason"):
        assert "InvalidInput" == refusal(getattr(route53, method), HealthCheckId=check_id)[0]
    route53.delete_health_check(HealthCheckId=check_id)
    route53.delete_health_check(HealthCheckId=child)


def test_count(route53: BaseClient, create: Create) -> None:
    """One more check is one more."""
    before = route53.get_health_check_count()["HealthCheckCount"]
    create()

    assert before + 1 == route53.get_health_check_count()["HealthCheckCount"]


def test_checker_ip_ranges(route53: BaseClient) -> None:
    """Probes come from the nodes, which are on loopback here."""
    assert ["127.0.0.1/32"] == route53.get_checker_ip_ranges()["CheckerIpRanges"]


# --- tags ------------------------------------------------------------------------------------


def test_tags(client: Callable[..., BaseClient], create: Create, eventually: Eventually) -> None:
    """They are set and seen through any Region, one check's or those of several."""
    ids = [create(reference)["HealthCheck"]["Id"] for reference in ("tags-a", "tags-b")]
    west = client("route53", WEST)
    eventually(lambda: len(west.list_health_checks()["HealthChecks"]) >= 2)
    tag = {"Key": "Name", "Value": "primary <is fine>"}
    west.change_tags_for_resource(ResourceType="healthcheck", ResourceId=ids[0], AddTags=[tag])
    east = client("route53")
    resource = {"ResourceType": "healthcheck", "ResourceId": ids[0]}
    several = east.list_tags_for_resources(ResourceType="healthcheck", ResourceIds=ids)

    assert resource | {"Tags": [tag]} == east.list_tags_for_resource(**resource)["ResourceTagSet"]
    assert [ids, [[tag], []]] == [
        [one["ResourceId"] for one in several["ResourceTagSets"]],
        [one["Tags"] for one in several["ResourceTagSets"]],
    ]
    east.change_tags_for_resource(**resource, RemoveTagKeys=["Name"])
    assert [] == east.list_tags_for_resource(**resource)["ResourceTagSet"]["Tags"]


def test_tags_of_what_is_not_there(route53: BaseClient, refusal: Refusal) -> None:
    """Both kinds of resource have their own error, and there are no hosted zones."""
    tags = {"AddTags": [{"Key": "k", "Value": "v"}]}
    for kind, code in (("healthcheck", "NoSuchHealthCheck"), ("hostedzone", "NoSuchHostedZone")):
        resource = {"ResourceType": kind, "ResourceId": "nowhere"}

        assert code == refusal(route53.change_tags_for_resource, **resource, **tags)[0]
        assert code == refusal(route53.list_tags_for_resource, **resource)[0]


def reports(route53: BaseClient, health_check_id: str) -> dict[str, str]:
    """Return each observer's report."""
    answer = route53.get_health_check_status(HealthCheckId=health_check_id)
    assert {"127.0.0.1"} >= {seen["IPAddress"] for seen in answer["HealthCheckObservations"]}
    return {
        seen["Region"]: seen["StatusReport"]["Status"] for seen in answer["HealthCheckObservations"]
    }


@pytest.fixture(scope="module")
def watched(
    client: Callable[..., BaseClient],
    deployment: Deployment,
    unused_tcp_port_factory: Callable[[], int],
) -> dict[str, str]:
    """Health checks that are probed, made at once so that their waiting overlaps."""
    nobody = unused_tcp_port_factory()
    targets = {
        "region": (deployment.url_of(WEST), "/health/ingest"),
        "region-tcp": (deployment.url_of(WEST), None),
        "edge": (deployment.url, "/health/ingest"),
        "nobody": (f"http://127.0.0.1:{nobody}", "/health"),
        "nobody-tcp": (f"http://127.0.0.1:{nobody}", None),
    }
    made = {}
    for reference, (url, path) in targets.items():
        config = {
            "Type": "HTTP" if path else "TCP",
            "IPAddress": "127.0.0.1",
            "Port": urlsplit(url).port,
            "RequestInterval": 10,
        } | ({"ResourcePath": path} if path else {})
        answer = client("route53").create_health_check(
            CallerReference=reference, HealthCheckConfig=config
        )
        made[reference] = answer["HealthCheck"]["Id"]
    for reference, text in (("string", "append_ms"), ("no-string", "nothing of the kind")):
        config = {
            "Type": "HTTP_STR_MATCH",
            "IPAddress": "127.0.0.1",
            "Port": urlsplit(deployment.url_of(WEST)).port,
            "ResourcePath": "/health/ingest",
            "SearchString": text,
            "RequestInterval": 10,
        }
        answer = client("route53").create_health_check(
            CallerReference=reference, HealthCheckConfig=config
        )
        made[reference] = answer["HealthCheck"]["Id"]
    return made


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("region", "Success: HTTP Status Code"),
        ("region-tcp", "Success"),
        ("edge", "Failure: HTTP Status Code"),
        ("string", "Success: HTTP Status Code: 200"),
        ("no-string", "Failure: HTTP Status Code: 200"),
        ("nobody", "Failure: "),
        ("nobody-tcp", "Failure: "),
    ],
)
def test_what_every_node_sees(
    route53: BaseClient,
    watched: dict[str, str],
    eventually: Eventually,
    reference: str,
    words: str,
) -> None:
    """A Region can ingest, an edge cannot (404), and where nobody listens there is nothing."""

    def seen() -> dict[str, str] | None:
        found = reports(route53, watched[reference])
        return found if len(found) == 3 else None

    found = eventually(seen)
    assert {"edge", EAST, WEST} == set(found)
    assert {True} == {report.startswith(words) for report in found.values()}
    assert ("404" in found[WEST]) is (reference == "edge")


@pytest.mark.parametrize(
    ("reference", "words"),
    [
        ("region", "The health check endpoint has not failed since"),
        ("nobody", "Failure: Resolved IP: 127.0.0.1. Connection refused"),
    ],
)
def test_why_it_failed_last(
    route53: BaseClient,
    watched: dict[str, str],
    eventually: Eventually,
    reference: str,
    words: str,
) -> None:
    """Each observer says what it saw fail last, or since when nothing failed."""

    def seen() -> list[dict[str, Any]]:
        answer = route53.get_health_check_last_failure_reason(HealthCheckId=watched[reference])
        found = answer["HealthCheckObservations"]
        return found if len(found) == 3 else []

    found = eventually(seen)
    assert {True} == {one["StatusReport"]["Status"].startswith(words) for one in found}


@pytest.mark.parametrize(
    ("reference", "metric", "value"),
    [
        ("region", "HealthCheckStatus", 1.0),
        ("nobody", "HealthCheckStatus", 0.0),
        ("region", "HealthCheckPercentageHealthy", 100.0),
    ],
)
def test_metrics(
    client: Callable[..., BaseClient],
    watched: dict[str, str],
    eventually: Eventually,
    reference: str,
    metric: str,
    value: float,
) -> None:
    """CloudWatch has what a check says, in the Region that it belongs to."""
    cloudwatch = client("cloudwatch")
    now = dt.datetime.fromtimestamp(SystemClock().now(), dt.UTC)

    def minimum() -> list[float]:
        answer = cloudwatch.get_metric_statistics(
            Namespace="AWS/Route53",
            MetricName=metric,
            Dimensions=[{"Name": "HealthCheckId", "Value": watched[reference]}],
            StartTime=now - dt.timedelta(minutes=5),
            EndTime=now + dt.timedelta(minutes=5),
            Period=60,
            Statistics=["Minimum"],
        )
        return [point["Minimum"] for point in answer["Datapoints"]]

    assert eventually(lambda: value in minimum())
