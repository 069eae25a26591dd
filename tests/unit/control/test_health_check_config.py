"""HealthCheckConfig by type: what is refused, and in which words; what is filled in and shown."""

from __future__ import annotations

from typing import Any

import pytest

from farspan.control.health_check_config import (
    FIELD_OF,
    MEMBERS_OF,
    UNSET_OF,
    from_config,
    shown_config,
    with_changes,
)
from farspan.errors import InvalidInput
from farspan.health.reach import anywhere_private
from farspan.model.health_check import HealthCheck, HealthCheckType
from farspan.wire import spec

TARGET: dict[str, Any] = {"IPAddress": "127.0.0.1", "Port": 4566}
REGIONS = ["us-east-1", "eu-west-1", "sa-east-1"]
ALARM = {"Region": "us-east-1", "Name": "slow"}
ARN = f"arn:aws:route53-recovery-control::{'1' * 12}:controlpanel/a/routingcontrol/b"
LEAST: dict[str, dict[str, Any]] = {
    "HTTP": TARGET,
    "HTTPS": TARGET,
    "HTTP_STR_MATCH": TARGET | {"SearchString": "ok"},
    "HTTPS_STR_MATCH": TARGET | {"SearchString": "ok"},
    "TCP": TARGET,
    "CALCULATED": {"HealthThreshold": 0},
    "CLOUDWATCH_METRIC": {"AlarmIdentifier": ALARM},
    "RECOVERY_CONTROL": {"RoutingControlArn": ARN},
}
"""What each type cannot do without."""

VALUES: dict[str, Any] = {
    "IPAddress": "192.0.2.1",
    "Port": 80,
    "ResourcePath": "/a",
    "FullyQualifiedDomainName": "a.example",
    "SearchString": "fine",
    "RequestInterval": 10,
    "FailureThreshold": 1,
    "MeasureLatency": True,
    "Inverted": True,
    "Disabled": True,
    "HealthThreshold": 2,
    "ChildHealthChecks": ["c"],
    "EnableSNI": True,
    "Regions": REGIONS,
    "AlarmIdentifier": ALARM,
    "InsufficientDataHealthStatus": "Unhealthy",
    "RoutingControlArn": ARN,
}
"""A value of each member."""


def made(check_type: str = "HTTP", **more: Any) -> HealthCheck:
    """Return a check of a type with what it needs and what is given, less what is None."""
    config = {"Type": check_type} | LEAST[check_type] | more
    given = {name: value for name, value in config.items() if value is not None}
    return from_config("1" * 12, "r", given, anywhere_private)


def test_every_member_and_every_type_is_decided() -> None:
    """The tables have all members and types of the API's model."""
    members = spec.service("route53").operations["CreateHealthCheck"].input_shape
    assert members is not None
    config = members.members["HealthCheckConfig"].shape

    assert set(HealthCheckType) == set(MEMBERS_OF) == set(config.members["Type"].shape.enum)
    assert {"Type", *FIELD_OF} == set(config.members)
    assert set(FIELD_OF) == set().union(*MEMBERS_OF.values())
    assert set(UNSET_OF) == set(spec_resets())


def spec_resets() -> tuple[str, ...]:
    """Return what ResetElements may name by the model."""
    shape = spec.service("route53").operations["UpdateHealthCheck"].input_shape
    assert shape is not None
    return shape.members["ResetElements"].shape.item.shape.enum


@pytest.mark.parametrize("name", FIELD_OF)
@pytest.mark.parametrize("check_type", HealthCheckType)
def test_every_member_of_every_type(check_type: HealthCheckType, name: str) -> None:
    """A member that a type has is kept and shown; any other is refused by name."""
    more = {name: VALUES[name]}
    if check_type is HealthCheckType.TCP and name == "FullyQualifiedDomainName":
        more["IPAddress"] = None
    allowed = name in MEMBERS_OF[check_type]
    if name == "EnableSNI":
        allowed = "HTTPS" in check_type
    if allowed:
        assert VALUES[name] == shown_config(made(check_type, **more))[name]
        return
    with pytest.raises(InvalidInput) as caught:
        made(check_type, **more)
    if name == "AlarmIdentifier" and check_type in ("HTTP", "TCP", "HTTPS_STR_MATCH"):
        assert "Basic health checks must not have an metric region" in caught.value.message
    elif name != "AlarmIdentifier":
        expected = f"{name} has no meaning for a health check of type {check_type}."
        assert expected == caught.value.message


@pytest.mark.parametrize("name", ["Inverted", "Disabled", "EnableSNI", "MeasureLatency"])
def test_defaults_of_a_check_over_the_network(name: str) -> None:
    """They are off, but for SNI where there is TLS; intervals and thresholds are Route 53's."""
    plain, tls = shown_config(made("HTTP")), shown_config(made("HTTPS"))

    assert plain[name] is False
    assert tls[name] is (name == "EnableSNI")
    assert (30, 3) == (plain["RequestInterval"], plain["FailureThreshold"])


@pytest.mark.parametrize(
    ("check_type", "shown"),
    [
        ("CALCULATED", {"HealthThreshold": 0}),
        (
            "CLOUDWATCH_METRIC",
            {"AlarmIdentifier": ALARM, "InsufficientDataHealthStatus": "LastKnownStatus"},
        ),
        ("RECOVERY_CONTROL", {"RoutingControlArn": ARN}),
    ],
)
def test_defaults_of_the_other_types(check_type: str, shown: dict[str, Any]) -> None:
    """Nothing is shown that has no meaning for the type."""
    expected = {"Type": check_type, "Inverted": False, "Disabled": False, **shown}

    assert expected == shown_config(made(check_type))


def test_sni_can_be_off() -> None:
    """What is given counts, also where it is False and has no meaning."""
    assert shown_config(made("HTTPS", EnableSNI=False))["EnableSNI"] is False
    assert "EnableSNI" not in shown_config(made("CALCULATED", EnableSNI=False))


@pytest.mark.parametrize(
    ("config", "named"),
    [
        ({"Type": "SMOKE"}, "Type must be one of HTTP, HTTPS"),
        ({"IPAddress": None}, "Either IPAddress or FullyQualifiedDomainName"),
        ({"IPAddress": "300.1.1.1"}, "not an IPv4 or IPv6 address"),
        ({"IPAddress": ""}, "not an IPv4 or IPv6 address"),
        ({"IPAddress": "0.0.0.0"}, "may not look"),
        ({"IPAddress": "224.0.0.1"}, "may not look"),
        ({"IPAddress": "169.254.169.254"}, "may not look"),
        ({"IPAddress": "::ffff:169.254.169.254"}, "may not look"),
        ({"IPAddress": "64:ff9b::a9fe:a9fe"}, "may not look"),
        ({"IPAddress": "100.100.100.200"}, "may not look"),
        ({"IPAddress": "fe80::1%eth0"}, "may not look"),
        ({"FullyQualifiedDomainName": "a b"}, "not a domain name"),
        ({"FullyQualifiedDomainName": "a\r\nX: y"}, "not a domain name"),
        ({"FullyQualifiedDomainName": "a\n"}, "not a domain name"),
        ({"FullyQualifiedDomainName": "a" * 256}, "not a domain name"),
        ({"Port": 0}, "Port must be from 1 to 65535"),
        ({"Port": 65536}, "Port must be from 1 to 65535"),
        ({"FailureThreshold": 0}, "FailureThreshold must be from 1 to 10"),
        ({"FailureThreshold": 11}, "FailureThreshold must be from 1 to 10"),
        ({"RequestInterval": 20}, "RequestInterval must be 10 or 30"),
        ({"ResourcePath": "/" + "a" * 255}, "up to 255 characters"),
        ({"ResourcePath": "/a\r\nX: y"}, "all printable"),
        ({"Regions": REGIONS[:2]}, "at least 3 Regions"),
        ({"Regions": [*REGIONS[:2], REGIONS[0]]}, "at least 3 Regions"),
        ({"Type": "HTTP_STR_MATCH"}, "SearchString is required"),
        ({"Type": "HTTPS_STR_MATCH", "SearchString": ""}, "SearchString must have 1 to 255"),
        ({"Type": "HTTP_STR_MATCH", "SearchString": "a" * 256}, "SearchString must have 1 to"),
        ({"Type": "TCP", "Port": None}, "Port is required"),
        ({"Type": "TCP", "FullyQualifiedDomainName": "a.example"}, "must not have a fully"),
    ],
)
def test_a_target_that_is_refused(config: dict[str, Any], named: str) -> None:
    """InvalidInput names the member and what is wrong with it."""
    given = {"Type": "HTTP"} | TARGET | config
    with pytest.raises(InvalidInput, match=named):
        from_config(
            "1" * 12, "r", {k: v for k, v in given.items() if v is not None}, anywhere_private
        )


@pytest.mark.parametrize(
    ("check_type", "more", "named"),
    [
        ("CALCULATED", {"HealthThreshold": None}, "must have a health threshold specified"),
        ("CALCULATED", {"HealthThreshold": 257}, "HealthThreshold must be from 0 to 256"),
        ("CALCULATED", {"ChildHealthChecks": [str(i) for i in range(256)]}, "up to 255 children"),
        ("CALCULATED", {"ChildHealthChecks": ["a", "b", "a"]}, "names a twice"),
        ("CLOUDWATCH_METRIC", {"AlarmIdentifier": None}, "AlarmIdentifier is required"),
        ("CLOUDWATCH_METRIC", {"InsufficientDataHealthStatus": "Maybe"}, "must be one of Healthy"),
        ("RECOVERY_CONTROL", {"RoutingControlArn": None}, "RoutingControlArn is required"),
    ],
)
def test_what_the_other_types_refuse(check_type: str, more: dict[str, Any], named: str) -> None:
    """InvalidInput names the member and what is wrong with it."""
    with pytest.raises(InvalidInput, match=named):
        made(check_type, **more)


@pytest.mark.parametrize(
    ("check_type", "changes", "named"),
    [
        ("HTTP", {"Type": "TCP"}, "Type of a health check cannot be changed"),
        ("HTTP", {"RequestInterval": 10}, "RequestInterval of a health check cannot be changed"),
        ("HTTP", {"MeasureLatency": True}, "MeasureLatency of a health check cannot be changed"),
        ("HTTP", {"EnableSNI": True}, "EnableSNI has no meaning"),
        ("HTTP", {"SearchString": "a"}, "SearchString has no meaning"),
        ("HTTP", {"Port": 0}, "Port must be"),
        ("HTTP", {"IPAddress": "192.0.2.1"}, "IPAddress cannot be added"),
        ("HTTP", {"ResetElements": ["Port"]}, "ResetElements may name"),
        ("HTTP", {"ResetElements": ["FullyQualifiedDomainName"]}, "Either IPAddress"),
        ("CALCULATED", {"Port": 80}, "Port has no meaning"),
        ("RECOVERY_CONTROL", {"Inverted": True}, "Update is not supported for this health check"),
    ],
)
def test_an_update_that_is_refused(check_type: str, changes: dict[str, Any], named: str) -> None:
    """InvalidInput says why, also where only the result as a whole is impossible."""
    more = {"IPAddress": None, "FullyQualifiedDomainName": "a.example"}
    check = made(check_type, **(more if check_type == "HTTP" else {}))
    with pytest.raises(InvalidInput, match=named):
        with_changes(check, changes, anywhere_private)


def test_an_update_resets_first_and_then_changes() -> None:
    """What is both reset and given has what is given; the version grows by one."""
    check = made("HTTP", ResourcePath="/a", Regions=REGIONS, FullyQualifiedDomainName="a.example")
    names = ["ResourcePath", "Regions", "FullyQualifiedDomainName"]
    changed = with_changes(check, {"ResetElements": names, "ResourcePath": "b"}, anywhere_private)
    shown = shown_config(changed)

    assert ("/b", 2) == (shown["ResourcePath"], changed.version)
    assert {"Regions", "FullyQualifiedDomainName"}.isdisjoint(shown)
