"""Create, Describe, List, Update, DeleteEndpoint: the life cycle of a global endpoint."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually, GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/replication"
Refusal = Callable[..., tuple[str, str]]
SettingsOf = Callable[..., dict[str, Any]]


def bus_arn(name: str, region: str = EAST, account: str = ACCOUNT) -> str:
    """Return a bus's ARN."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def routing(health_check_id: str, secondary: str = WEST) -> dict[str, Any]:
    """Return a RoutingConfig."""
    health_check = f"arn:aws:route53:::healthcheck/{health_check_id}"
    return {
        "FailoverConfig": {
            "Primary": {"HealthCheck": health_check},
            "Secondary": {"Route": secondary},
        }
    }


@pytest.fixture(scope="session")
def healthy(make_health_check: Callable[..., str]) -> str:
    """A health check that is always healthy."""
    return make_health_check("always-healthy")


@pytest.fixture
def settings(bus: str, healthy: str, settings_of: SettingsOf) -> dict[str, Any]:
    """Parameters of CreateEndpoint that are right."""
    return settings_of(bus, healthy)


@pytest.fixture
def settled(events: BaseClient, eventually: Eventually) -> Callable[[str], dict[str, Any]]:
    """Wait until an endpoint is not changing any more, and return it."""

    def settled(name: str) -> dict[str, Any]:
        def look() -> dict[str, Any] | None:
            found = events.describe_endpoint(Name=name)
            return None if found["State"].endswith("ING") else found

        return eventually(look)

    return settled


@pytest.fixture
def created(
    events: BaseClient,
    settings: dict[str, Any],
    settled: Callable[[str], dict[str, Any]],
    eventually: Eventually,
) -> Iterator[dict[str, Any]]:
    """The answer of CreateEndpoint; the endpoint is taken down before its bus."""
    yield events.create_endpoint(**settings)
    if events.list_endpoints(NamePrefix=settings["Name"])["Endpoints"]:
        settled(settings["Name"])
        events.delete_endpoint(Name=settings["Name"])
    eventually(lambda: not events.list_endpoints(NamePrefix=settings["Name"])["Endpoints"])


@pytest.fixture(scope="module")
def first(
    client: Callable[..., BaseClient], settings_of: SettingsOf, healthy: str
) -> tuple[dict[str, Any], dict[str, Any]]:
    """An endpoint that several tests look at: its settings, and the answer of CreateEndpoint."""
    for region in (EAST, WEST):
        client("events", region).create_event_bus(Name="first")
    settings = settings_of("first", healthy)
    return settings, client("events").create_endpoint(**settings)


def test_create_answers_at_once(first: tuple[dict[str, Any], dict[str, Any]]) -> None:
    """The answer has the settings and CREATING; no EndpointId, URL, description or times."""
    settings, answer = first

    assert {
        "Name": "first",
        "Arn": f"arn:aws:events:{EAST}:{ACCOUNT}:endpoint/first",
        "RoutingConfig": settings["RoutingConfig"],
        "ReplicationConfig": {"State": "ENABLED"},
        "EventBuses": settings["EventBuses"],
        "RoleArn": ROLE,
        "State": "CREATING",
        "ResponseMetadata": answer["ResponseMetadata"],
    } == answer


def test_it_becomes_active(
    first: tuple[dict[str, Any], dict[str, Any]], settled: Callable[[str], dict[str, Any]]
) -> None:
    """DescribeEndpoint shows it ACTIVE, with id, URL and times in milliseconds."""
    settings, answer = first
    found = settled("first")
    del found["ResponseMetadata"]
    times = [found.pop(name) for name in ("CreationTime", "LastModifiedTime")]
    endpoint_id, url = found.pop("EndpointId"), found.pop("EndpointUrl")

    assert (
        settings
        | {
            "State": "ACTIVE",
            "Arn": answer["Arn"],
            "ReplicationConfig": {"State": "ENABLED"},
        }
        == found
    )
    assert re.fullmatch(r"[a-z0-9]{10}\.veo", endpoint_id)
    assert f"https://{endpoint_id}.endpoint.events.amazonaws.com" == url
    assert times == sorted(times)
    assert all(time.microsecond % 1_000 == 0 for time in times)


def test_a_duplicate_name(
    events: BaseClient, first: tuple[dict[str, Any], dict[str, Any]], refusal: Refusal
) -> None:
    """A name can be taken once."""
    assert (
        "ResourceAlreadyExistsException",
        "Endpoint first already exists.",
    ) == refusal(events.create_endpoint, **first[0])


def test_without_replication_no_role_is_needed(
    events: BaseClient,
    settings: dict[str, Any],
    settled: Callable[[str], dict[str, Any]],
    eventually: Eventually,
) -> None:
    """ReplicationConfig DISABLED makes RoleArn optional."""
    del settings["RoleArn"]
    name = settings["Name"]
    answer = events.create_endpoint(**settings, ReplicationConfig={"State": "DISABLED"})
    found = settled(name)
    events.delete_endpoint(Name=name)
    eventually(lambda: not events.list_endpoints(NamePrefix=name)["Endpoints"])

    assert "RoleArn" not in answer
    assert ("ACTIVE", {"State": "DISABLED"}) == (found["State"], found["ReplicationConfig"])


@pytest.mark.parametrize(
    ("change", "code", "message"),
    [
        (
            lambda bus: {"RoleArn": None},
            "ValidationException",
            "Parameter RoleArn is not valid. Reason: a role is required while replication is "
            "ENABLED. Give one, or set ReplicationConfig State to DISABLED.",
        ),
        (
            lambda bus: {"EventBuses": [{"EventBusArn": bus_arn(bus)}]},
            "ValidationException",
            "1 validation error detected: Value '[EndpointEventBus(eventBusArn={arn})]' at "
            "'eventBuses' failed to satisfy constraint: "
            "Member must have length greater than or equal to 2",
        ),
        (
            lambda bus: {"EventBuses": [{"EventBusArn": bus_arn(bus)}] * 3},
            "ValidationException",
            "1 validation error detected: Value '[EndpointEventBus(eventBusArn={arn}), "
            "EndpointEventBus(eventBusArn={arn}), EndpointEventBus(eventBusArn={arn})]' at "
            "'eventBuses' failed to satisfy constraint: "
            "Member must have length less than or equal to 2",
        ),
        (
            lambda bus: {"EventBuses": [{"EventBusArn": bus_arn(bus)}] * 2},
            "ValidationException",
            "Parameter EventBuses is not valid. "
            "Reason: the event buses must be in different Regions.",
        ),
        (
            lambda bus: {
                "EventBuses": [
                    {"EventBusArn": bus_arn(bus)},
                    {"EventBusArn": bus_arn("default", WEST)},
                ]
            },
            "ValidationException",
            "Parameter EventBuses is not valid. "
            "Reason: the names of the event buses must be identical.",
        ),
        (
            lambda bus: {
                "EventBuses": [
                    {"EventBusArn": bus_arn(bus)},
                    {"EventBusArn": bus_arn(bus, WEST, "111111111111")},
                ]
            },
            "ValidationException",
            "Parameter EventBuses is not valid. "
            f"Reason: both event buses must be in account {ACCOUNT}.",
        ),
        (
            lambda bus: {
                "EventBuses": [
                    {"EventBusArn": bus_arn(bus, "eu-west-1")},
                    {"EventBusArn": bus_arn(bus, WEST)},
                ]
            },
            "ValidationException",
            "Parameter EventBuses is not valid. "
            f"Reason: one event bus must be in this Region, {EAST}.",
        ),
        (
            lambda bus: {"RoutingConfig": routing("h", "eu-west-1")},
            "ValidationException",
            "Parameter RoutingConfig is not valid. "
            "Reason: the secondary Region eu-west-1 has none of the event buses.",
        ),
        (
            lambda bus: {"RoutingConfig": routing("h", EAST)},
            "ValidationException",
            "Parameter RoutingConfig is not valid. "
            f"Reason: the secondary Region {EAST} has none of the event buses.",
        ),
        (
            lambda bus: {
                "RoutingConfig": routing("h", "eu-west-1"),
                "EventBuses": [
                    {"EventBusArn": bus_arn(bus)},
                    {"EventBusArn": bus_arn(bus, "eu-west-1")},
                ],
            },
            "ValidationException",
            "Parameter RoutingConfig is not valid. "
            f"Reason: Region eu-west-1 is none of this deployment ({EAST}, {WEST}).",
        ),
        (
            lambda bus: {
                "EventBuses": [
                    {"EventBusArn": bus_arn("nowhere")},
                    {"EventBusArn": bus_arn("nowhere", WEST)},
                ]
            },
            "ResourceNotFoundException",
            "Event bus nowhere does not exist.",
        ),
        (
            lambda bus: {"Name": "two words", "ReplicationConfig": {"State": "on"}},
            "ValidationException",
            "2 validation errors detected: Value 'two words' at 'name' failed to satisfy "
            r"constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+; "
            "Value 'on' at 'replicationConfig.state' failed to satisfy constraint: "
            "Member must satisfy enum value set: [ENABLED, DISABLED]",
        ),
        (
            lambda bus: {"Description": "d" * 513},
            "ValidationException",
            f"1 validation error detected: Value '{'d' * 513}' at 'description' failed to satisfy "
            "constraint: Member must have length less than or equal to 512",
        ),
        (
            lambda bus: {"RoleArn": "role"},
            "ValidationException",
            "1 validation error detected: Value 'role' at 'roleArn' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: "
            r"^arn:aws[a-z-]*:iam::\d{12}:role\/[\w+=,.@/-]+$",
        ),
    ],
    ids=[
        "no-role",
        "one-bus",
        "three-buses",
        "same-region",
        "different-names",
        "other-account",
        "not-this-region",
        "secondary-without-bus",
        "secondary-is-the-primary",
        "region-of-no-node",
        "no-such-bus",
        "name-and-state",
        "description",
        "role-no-arn",
    ],
)
def test_create_refusals(
    unchecked: Callable[..., BaseClient],
    events: BaseClient,
    settings: dict[str, Any],
    refusal: Refusal,
    change: Callable[[str], dict[str, Any]],
    code: str,
    message: str,
) -> None:
    """What CreateEndpoint refuses at once; nothing is created."""
    bus = settings["Name"]
    params = {key: value for key, value in (settings | change(bus)).items() if value is not None}

    assert (code, message.replace("{arn}", bus_arn(bus))) == refusal(
        unchecked("events").create_endpoint, **params
    )
    assert [] == events.list_endpoints(NamePrefix=bus)["Endpoints"]


@pytest.fixture(scope="module")
def failing(
    client: Callable[..., BaseClient],
    settings_of: SettingsOf,
    healthy: str,
) -> Iterator[dict[str, str]]:
    """Two endpoints at once, so that their waiting overlaps."""
    events = client("events")
    for name in ("no-check", "no-bus"):
        events.create_event_bus(Name=name)
    client("events", WEST).create_event_bus(Name="no-check")
    events.create_endpoint(**settings_of("no-check", "00000000-0000-4000-8000-000000000000"))
    events.create_endpoint(**settings_of("no-bus", healthy))
    yield {
        "no-check": "The health check does not exist.",
        "no-bus": "The event bus does not exist in the secondary Region.",
    }
    for name in ("no-check", "no-bus"):
        events.delete_endpoint(Name=name)


@pytest.mark.parametrize("operation", ["update_endpoint", "delete_endpoint"])
def test_no_change_while_it_is_creating(
    events: BaseClient, failing: dict[str, str], refusal: Refusal, operation: str
) -> None:
    """One change at a time."""
    code, message = refusal(getattr(events, operation), Name="no-check")

    assert "ConcurrentModificationException" == code
    assert "Endpoint no-check is in state CREATING" in message


@pytest.mark.parametrize("name", ["no-check", "no-bus"])
def test_it_fails_with_the_reason(
    failing: dict[str, str],
    settled: Callable[[str], dict[str, Any]],
    name: str,
) -> None:
    """CREATE_FAILED, and StateReason says what is missing."""
    found = settled(name)

    assert ("CREATE_FAILED", failing[name]) == (found["State"], found["StateReason"])


def test_it_takes_no_events(
    events: BaseClient,
    failing: dict[str, str],
    settled: Callable[[str], dict[str, Any]],
    refusal: Refusal,
) -> None:
    """An endpoint that never got into use does not exist for PutEvents."""
    endpoint_id = settled("no-check")["EndpointId"]

    assert (
        "ResourceNotFoundException",
        f"Endpoint {endpoint_id} does not exist.",
    ) == refusal(
        events.put_events,
        EndpointId=endpoint_id,
        Entries=[{"Source": "s", "DetailType": "t", "Detail": "{}"}],
    )


def test_an_update_mends_it(
    events: BaseClient,
    failing: dict[str, str],
    settled: Callable[[str], dict[str, Any]],
    healthy: str,
) -> None:
    """UpdateEndpoint with a health check that exists brings it into use."""
    settled("no-check")
    events.update_endpoint(Name="no-check", RoutingConfig=routing(healthy))
    found = settled("no-check")

    assert "ACTIVE" == found["State"]
    assert "StateReason" not in found


def test_update_changes_what_is_given(
    events: BaseClient,
    first: tuple[dict[str, Any], dict[str, Any]],
    settled: Callable[[str], dict[str, Any]],
) -> None:
    """The answer has id, URL and the whole configuration; the rest stays as it was."""
    before = settled("first")
    answer = events.update_endpoint(Name="first", Description="new")
    after = settled("first")
    del answer["ResponseMetadata"]

    assert (
        first[0]
        | {
            "Arn": before["Arn"],
            "ReplicationConfig": {"State": "ENABLED"},
            "EndpointId": before["EndpointId"],
            "EndpointUrl": before["EndpointUrl"],
            "State": "UPDATING",
        }
        == answer
    )
    assert ("ACTIVE", "new") == (after["State"], after["Description"])
    assert before["CreationTime"] == after["CreationTime"]
    assert before["LastModifiedTime"] < after["LastModifiedTime"]


def test_an_update_that_is_refused_changes_nothing(
    events: BaseClient,
    first: tuple[dict[str, Any], dict[str, Any]],
    settled: Callable[[str], dict[str, Any]],
    healthy: str,
    refusal: Refusal,
) -> None:
    """The endpoint stays ACTIVE with its settings."""
    before = settled("first")
    code, _ = refusal(
        events.update_endpoint,
        Name="first",
        Description="other",
        RoutingConfig=routing(healthy, "eu-west-1"),
    )
    after = events.describe_endpoint(Name="first")
    del before["ResponseMetadata"], after["ResponseMetadata"]

    assert "ValidationException" == code
    assert before == after


def test_delete_makes_it_go(
    events: BaseClient,
    created: dict[str, Any],
    settled: Callable[[str], dict[str, Any]],
    eventually: Eventually,
    refusal: Refusal,
) -> None:
    """After DeleteEndpoint it is gone a moment later; its bus stays."""
    name = created["Name"]
    settled(name)
    events.delete_endpoint(Name=name)
    eventually(lambda: not events.list_endpoints(NamePrefix=name)["Endpoints"])

    assert (
        "ResourceNotFoundException",
        f"Endpoint {name} does not exist.",
    ) == refusal(events.describe_endpoint, Name=name)
    assert name == events.describe_event_bus(Name=name)["Name"]


@pytest.mark.parametrize("operation", ["describe_endpoint", "update_endpoint", "delete_endpoint"])
def test_a_missing_endpoint(events: BaseClient, refusal: Refusal, operation: str) -> None:
    """Delete is not idempotent here: the model has ResourceNotFoundException for it."""
    assert (
        "ResourceNotFoundException",
        "Endpoint nowhere does not exist.",
    ) == refusal(getattr(events, operation), Name="nowhere")


def test_home_region_chooses_the_region(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """An endpoint is listed and described in its primary Region, and elsewhere by HomeRegion."""
    west = client("events", WEST)
    listed = west.list_endpoints(NamePrefix=endpoint.name, HomeRegion=EAST)["Endpoints"]

    assert [endpoint.arn] == [found["Arn"] for found in listed]
    assert endpoint.arn == west.describe_endpoint(Name=endpoint.name, HomeRegion=EAST)["Arn"]
    assert [] == west.list_endpoints(NamePrefix=endpoint.name)["Endpoints"]
    assert "ResourceNotFoundException" == refusal(west.describe_endpoint, Name=endpoint.name)[0]
    assert [] == client("events").list_endpoints(HomeRegion=WEST)["Endpoints"]


def test_it_is_changed_in_its_primary_region_only(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """Neither operation has a HomeRegion: the secondary Region has no such endpoint."""
    west = client("events", WEST)
    missing = ("ResourceNotFoundException", f"Endpoint {endpoint.name} does not exist.")

    assert missing == refusal(west.update_endpoint, Name=endpoint.name, Description="d")
    assert missing == refusal(west.delete_endpoint, Name=endpoint.name)


def test_the_buses_keep_the_order_in_which_they_were_given(
    events: BaseClient,
    settings: dict[str, Any],
    settled: Callable[[str], dict[str, Any]],
    eventually: Eventually,
) -> None:
    """The order says nothing of which is the primary, and comes back as it was sent."""
    settings["EventBuses"].reverse()
    name = settings["Name"]
    answer = events.create_endpoint(**settings)
    found = settled(name)
    events.delete_endpoint(Name=name)
    eventually(lambda: not events.list_endpoints(NamePrefix=name)["Endpoints"])

    assert [bus_arn(name, WEST), bus_arn(name)] == [b["EventBusArn"] for b in answer["EventBuses"]]
    assert answer["EventBuses"] == found["EventBuses"]
    assert f"arn:aws:events:{EAST}:{ACCOUNT}:endpoint/{name}" == found["Arn"]


def test_endpoints_have_no_tags(
    events: BaseClient, endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """EventBridge tags rules and event buses; an endpoint's ARN is refused."""
    tags = {"ResourceARN": endpoint.arn, "Tags": [{"Key": "k", "Value": "v"}]}

    assert "ValidationException" == refusal(events.tag_resource, **tags)[0]
    assert (
        "ValidationException" == refusal(events.list_tags_for_resource, ResourceARN=endpoint.arn)[0]
    )


@pytest.fixture(scope="module")
def listed(client: Callable[..., BaseClient], settings_of: SettingsOf, healthy: str) -> list[str]:
    """Five endpoints that share a prefix, over the default bus."""
    names = [f"listed-{letter}" for letter in "abcde"]
    buses = [{"EventBusArn": bus_arn("default", region)} for region in (EAST, WEST)]
    for name in reversed(names):
        made = settings_of(name, healthy, EventBuses=buses)
        client("events").create_endpoint(**made, ReplicationConfig={"State": "DISABLED"})
    return names


def test_pages_join_to_the_whole(events: BaseClient, listed: list[str]) -> None:
    """In the order of names, each once, with the same members as DescribeEndpoint."""
    seen, sizes, more = [], [], {}
    while True:
        page = events.list_endpoints(NamePrefix="listed-", MaxResults=2, **more)
        seen += page["Endpoints"]
        sizes.append(len(page["Endpoints"]))
        if "NextToken" not in page:
            break
        more = {"NextToken": page["NextToken"]}

    assert [2, 2, 1] == sizes
    assert listed == [found["Name"] for found in seen]
    described = events.describe_endpoint(Name=listed[0])
    assert set(described) - {"ResponseMetadata"} == set(seen[0])


@pytest.mark.parametrize(
    "filters",
    [{"NamePrefix": "listed"}, {"NamePrefix": "listed-", "HomeRegion": EAST}],
    ids=["prefix", "home-region"],
)
def test_a_token_is_bound_to_its_filter(
    events: BaseClient, listed: list[str], refusal: Refusal, filters: dict[str, str]
) -> None:
    """A token of one filter is none of another's."""
    token = events.list_endpoints(NamePrefix="listed-", MaxResults=2)["NextToken"]

    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_endpoints, NextToken=token, **filters)


def test_max_results_has_a_maximum(events: BaseClient, refusal: Refusal) -> None:
    """MaxResults is at most 100."""
    assert (
        "ValidationException",
        "1 validation error detected: Value '101' at 'maxResults' failed to satisfy "
        "constraint: Member must have value less than or equal to 100",
    ) == refusal(events.list_endpoints, MaxResults=101)
