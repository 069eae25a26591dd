"""Routing controls by boto3, and the health checks that follow them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
Refusal = Callable[..., tuple[str, str]]
Make = Callable[[str], str]


@pytest.fixture
def cluster(client: Callable[..., BaseClient]) -> BaseClient:
    """Return a client of the first Region's cluster endpoint."""
    return client("route53-recovery-cluster")


def arn_of(panel: str, control: str, account: str = OWN) -> str:
    """Return the ARN of a routing control."""
    return (
        f"arn:aws:route53-recovery-control::{account}:controlpanel/{panel}/routingcontrol/{control}"
    )


@pytest.fixture
def make(route53: BaseClient) -> Iterator[Make]:
    """Make a health check that follows a control, and return its id; all are deleted after."""
    made: list[str] = []

    def make(arn: str) -> str:
        config = {"Type": "RECOVERY_CONTROL", "RoutingControlArn": arn}
        answer = route53.create_health_check(CallerReference=arn[-64:], HealthCheckConfig=config)
        made.append(answer["HealthCheck"]["Id"])
        return made[-1]

    yield make
    for health_check_id in made:
        route53.delete_health_check(HealthCheckId=health_check_id)


def test_a_control_is_off_until_it_is_set(
    cluster: BaseClient, client: Callable[..., BaseClient], make: Make, name: str
) -> None:
    """It is there with the check that names it, and every Region sets it."""
    arn = arn_of(name, "a")
    make(arn)
    control = {"RoutingControlArn": arn}
    first = cluster.get_routing_control_state(**control)
    cluster.update_routing_control_state(**control, RoutingControlState="On")

    assert ("Off", "a") == (first["RoutingControlState"], first["RoutingControlName"])
    assert "On" == cluster.get_routing_control_state(**control)["RoutingControlState"]


def test_the_last_word_stands_in_every_region(
    client: Callable[..., BaseClient], make: Make, name: str, eventually: Eventually
) -> None:
    """A control that was set in one Region is set anew in the other."""
    east, west = client("route53-recovery-cluster", EAST), client("route53-recovery-cluster", WEST)
    control = {"RoutingControlArn": arn_of(name, "a")}
    make(control["RoutingControlArn"])

    def state(of: BaseClient) -> str:
        return of.get_routing_control_state(**control)["RoutingControlState"]

    def hears_of_it() -> bool:
        listed = west.list_routing_controls()["RoutingControls"]
        return control["RoutingControlArn"] in {one["RoutingControlArn"] for one in listed}

    eventually(hears_of_it)
    for teller, hearer, word in ((east, west, "On"), (west, east, "Off"), (east, west, "On")):
        teller.update_routing_control_state(**control, RoutingControlState=word)
        eventually(lambda hearer=hearer, word=word: state(hearer) == word)
    assert {"On"} == {state(east), state(west)}


def test_several_at_once(cluster: BaseClient, make: Make, name: str, refusal: Refusal) -> None:
    """All are set, or none where one of them is not there."""
    arns = [arn_of(name, each) for each in "ab"]
    for arn in arns:
        make(arn)

    def states() -> list[str]:
        listed = cluster.list_routing_controls(ControlPanelArn=arns[0].partition("/routing")[0])
        return [one["RoutingControlState"] for one in listed["RoutingControls"]]

    def entries(*of: str) -> list[dict[str, str]]:
        return [{"RoutingControlArn": arn, "RoutingControlState": "On"} for arn in of]

    update = cluster.update_routing_control_states
    missing = entries(arns[0], arn_of(name, "nowhere"))
    twice = entries(arns[0], arns[0])

    assert (
        "ResourceNotFoundException" == refusal(update, UpdateRoutingControlStateEntries=missing)[0]
    )
    assert "ValidationException" == refusal(update, UpdateRoutingControlStateEntries=twice)[0]
    assert ["Off", "Off"] == states()
    update(UpdateRoutingControlStateEntries=entries(*arns))
    assert ["On", "On"] == states()


def test_list(cluster: BaseClient, make: Make, name: str) -> None:
    """boto3's paginator sees each control of a panel once, with all that is known of it."""
    arns = [arn_of(name, each) for each in "abc"]
    for arn in arns:
        make(arn)
    panel = f"arn:aws:route53-recovery-control::{OWN}:controlpanel/{name}"
    pages = cluster.get_paginator("list_routing_controls").paginate(
        ControlPanelArn=panel, PaginationConfig={"PageSize": 2}
    )
    found = [control for page in pages for control in page["RoutingControls"]]

    assert arns == [control["RoutingControlArn"] for control in found]
    assert found[0] == {
        "ControlPanelArn": panel,
        "ControlPanelName": name,
        "RoutingControlArn": arns[0],
        "RoutingControlName": "a",
        "RoutingControlState": "Off",
        "Owner": OWN,
    }


def test_what_is_refused(cluster: BaseClient, make: Make, name: str, refusal: Refusal) -> None:
    """Controls that nothing names, states that are none, and rules that are not there."""
    arn = arn_of(name, "a")
    make(arn)
    update = cluster.update_routing_control_state
    there, nowhere = {"RoutingControlArn": arn}, {"RoutingControlArn": arn_of(name, "nowhere")}
    rules = {"SafetyRulesToOverride": [arn], "RoutingControlState": "On"}

    assert "ResourceNotFoundException" == refusal(update, **nowhere, RoutingControlState="On")[0]
    assert "ResourceNotFoundException" == refusal(cluster.get_routing_control_state, **nowhere)[0]
    assert "ValidationException" == refusal(update, **there, RoutingControlState="Maybe")[0]
    assert "there are no safety rules here" in refusal(update, **there, **rules)[1]
    assert "ValidationException" == refusal(cluster.list_routing_controls, ControlPanelArn="a")[0]


def test_another_accounts_control(
    route53: BaseClient,
    other: Callable[..., BaseClient],
    make: Make,
    name: str,
    refusal: Refusal,
) -> None:
    """It is not there for anybody else, and no check may name it."""
    arn = arn_of(name, "a")
    make(arn)
    others = other("route53-recovery-cluster")
    config = {"Type": "RECOVERY_CONTROL", "RoutingControlArn": arn_of(name, "a", OTHER)}
    state = {"RoutingControlArn": arn, "RoutingControlState": "On"}
    code, words = refusal(
        route53.create_health_check, CallerReference=name, HealthCheckConfig=config
    )

    assert "ResourceNotFoundException" == refusal(others.update_routing_control_state, **state)[0]
    assert [] == others.list_routing_controls()["RoutingControls"]
    assert "InvalidInput" == code
    assert "RoutingControlArn must be the ARN of a routing control of the account" in words


def test_the_check_follows_its_control(
    route53: BaseClient, cluster: BaseClient, make: Make, name: str, eventually: Eventually
) -> None:
    """Every node sees the control Off, and then On; updates of the check are refused."""
    arn = arn_of(name, "a")
    check_id = make(arn)

    def seen() -> set[str]:
        answer = route53.get_health_check_status(HealthCheckId=check_id)
        found = [one["StatusReport"]["Status"] for one in answer["HealthCheckObservations"]]
        return set(found) if len(found) == 3 else set()

    eventually(lambda: seen() == {"Failure: The routing control is Off."})
    cluster.update_routing_control_state(RoutingControlArn=arn, RoutingControlState="On")
    assert eventually(lambda: seen() == {"Success: The routing control is On."})


def test_the_check_takes_no_update(
    route53: BaseClient, make: Make, name: str, refusal: Refusal
) -> None:
    """Route 53 has none for this type: the control is what moves."""
    check_id = make(arn_of(name, "a"))
    words = "Invalid parameter : Update is not supported for this health check type."

    assert ("InvalidInput", words) == refusal(
        route53.update_health_check, HealthCheckId=check_id, Inverted=True
    )


def test_an_endpoint_follows_controls_through_a_calculated_check(
    client: Callable[..., BaseClient],
    route53: BaseClient,
    make: Make,
    bus: str,
    settings_of: Callable[..., dict[str, Any]],
    eventually: Eventually,
) -> None:
    """With both switches on the primary takes the events, with one off the secondary does."""
    arns = [arn_of(bus, each) for each in "ab"]
    config = {
        "Type": "CALCULATED",
        "HealthThreshold": 2,
        "ChildHealthChecks": [make(arn) for arn in arns],
    }
    made = route53.create_health_check(CallerReference=f"{bus}-sum", HealthCheckConfig=config)
    check_id = made["HealthCheck"]["Id"]
    cluster, events = client("route53-recovery-cluster"), client("events")

    def throw(word: str) -> None:
        cluster.update_routing_control_states(
            UpdateRoutingControlStateEntries=[
                {"RoutingControlArn": arns[0], "RoutingControlState": word},
                {"RoutingControlArn": arns[1], "RoutingControlState": "On"},
            ]
        )

    throw("On")
    events.create_endpoint(**settings_of(bus, check_id, ReplicationConfig={"State": "DISABLED"}))

    def endpoint_id() -> str | None:
        found = events.describe_endpoint(Name=bus)
        return str(found["EndpointId"]) if found["State"] == "ACTIVE" else None

    through = eventually(endpoint_id)
    entry = {"Source": "shop", "DetailType": "paid", "Detail": "{}", "EventBusName": bus}

    def region() -> str:
        answer = events.put_events(EndpointId=through, Entries=[entry])
        return str(answer["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"])

    assert eventually(lambda: region() == EAST)
    throw("Off")
    assert eventually(lambda: region() == WEST)
    events.delete_endpoint(Name=bus)
    eventually(lambda: not events.list_endpoints(NamePrefix=bus)["Endpoints"])
    route53.delete_health_check(HealthCheckId=check_id)
