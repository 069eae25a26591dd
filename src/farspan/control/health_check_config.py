"""HealthCheckConfig: what each type of health check may and must have, and how it is shown.

An address that a check may not look at (`health/reach`) is refused; a name is looked up, and its
address judged, at each probe.

Pure. It must never look another resource up: children, alarms and routing controls are the
operations' affair.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_address
from typing import Any, Final

import msgspec

from farspan.errors import InvalidInput
from farspan.health.reach import MayLook
from farspan.model.health_check import (
    PROBED_TYPES,
    STRING_TYPES,
    TLS_TYPES,
    AlarmIdentifier,
    HealthCheck,
    HealthCheckType,
    InsufficientDataHealthStatus,
)
from farspan.model.routing_control import control_name

REQUEST_INTERVALS: Final = (10, 30)
FAILURE_THRESHOLDS: Final = range(1, 11)
HEALTH_THRESHOLDS: Final = range(257)
PORTS: Final = range(1, 65536)
TEXT_CHARACTERS_MAX: Final = 255
CHILDREN_MAX: Final = 255
"""Children of a calculated check (developer guide; the API's model would take one more)."""

REGIONS_MIN: Final = 3
DOMAIN_NAME: Final = re.compile(r"[A-Za-z0-9_.-]{1,255}")
"""What may stand in a Host header and be looked up; stricter forms are the name server's affair."""

FIELD_OF: Final[Mapping[str, str]] = {
    "IPAddress": "ip_address",
    "Port": "port",
    "ResourcePath": "resource_path",
    "FullyQualifiedDomainName": "fully_qualified_domain_name",
    "SearchString": "search_string",
    "RequestInterval": "request_interval",
    "FailureThreshold": "failure_threshold",
    "MeasureLatency": "measure_latency",
    "Inverted": "inverted",
    "Disabled": "disabled",
    "HealthThreshold": "health_threshold",
    "ChildHealthChecks": "child_health_checks",
    "EnableSNI": "enable_sni",
    "Regions": "regions",
    "AlarmIdentifier": "alarm_identifier",
    "InsufficientDataHealthStatus": "insufficient_data_health_status",
    "RoutingControlArn": "routing_control_arn",
}
"""Members in the order in which they are shown."""

_ANY_TYPE: Final = frozenset({"Inverted", "Disabled"})
_TCP: Final = _ANY_TYPE | {
    "IPAddress",
    "Port",
    "FullyQualifiedDomainName",
    "RequestInterval",
    "FailureThreshold",
    "MeasureLatency",
    "EnableSNI",
    "Regions",
}
_HTTP: Final = _TCP | {"ResourcePath"}
_STRING: Final = _HTTP | {"SearchString"}

MEMBERS_OF: Final[Mapping[HealthCheckType, frozenset[str]]] = {
    HealthCheckType.HTTP: _HTTP,
    HealthCheckType.HTTPS: _HTTP,
    HealthCheckType.HTTP_STR_MATCH: _STRING,
    HealthCheckType.HTTPS_STR_MATCH: _STRING,
    HealthCheckType.TCP: _TCP,
    HealthCheckType.CALCULATED: _ANY_TYPE | {"HealthThreshold", "ChildHealthChecks"},
    HealthCheckType.CLOUDWATCH_METRIC: _ANY_TYPE
    | {"AlarmIdentifier", "InsufficientDataHealthStatus"},
    HealthCheckType.RECOVERY_CONTROL: _ANY_TYPE | {"RoutingControlArn"},
}
"""The members that have a meaning for each type."""

IMMUTABLE: Final = ("Type", "RequestInterval", "MeasureLatency", "RoutingControlArn")
UNSET_OF: Final[Mapping[str, tuple[str, Any]]] = {
    "ChildHealthChecks": ("child_health_checks", ()),
    "FullyQualifiedDomainName": ("fully_qualified_domain_name", None),
    "Regions": ("regions", ()),
    "ResourcePath": ("resource_path", None),
}
"""What ResetElements may name: the field, and what it returns to."""


def from_config(
    account: str, reference: str, config: Mapping[str, Any], may_look: MayLook
) -> HealthCheck:
    """Return a check, without an id, as a configuration wants it. Raises InvalidInput."""
    given_type = config.get("Type")
    if given_type not in set(HealthCheckType):
        raise InvalidInput(f"Type must be one of {', '.join(HealthCheckType)}, not {given_type}.")
    check_type = HealthCheckType(given_type)
    fields = _fields(check_type, config)
    fields.setdefault("enable_sni", check_type in TLS_TYPES)
    if check_type is HealthCheckType.CALCULATED and "health_threshold" not in fields:
        raise InvalidInput(
            "Invalid parameter : Calculated health checks must have a health threshold specified."
        )
    check = HealthCheck(
        id="", account=account, caller_reference=reference, type=check_type, **fields
    )
    _check_whole(check, may_look)
    return check


def with_changes(check: HealthCheck, params: Mapping[str, Any], may_look: MayLook) -> HealthCheck:
    """Return the next version of a check as UpdateHealthCheck wants it. Raises InvalidInput.

    What ResetElements names is emptied first.
    """
    if check.type is HealthCheckType.RECOVERY_CONTROL:
        raise InvalidInput(
            "Invalid parameter : Update is not supported for this health check type."
        )
    for name in IMMUTABLE:
        if name in params:
            raise InvalidInput(f"{name} of a health check cannot be changed.")
    if params.get("IPAddress") is not None and check.ip_address is None:
        raise InvalidInput("IPAddress cannot be added to a health check that was made without one.")
    changes: dict[str, Any] = {}
    for name in params.get("ResetElements") or ():
        if name not in UNSET_OF:
            raise InvalidInput(f"ResetElements may name {', '.join(UNSET_OF)}, not {name}.")
        field, unset = UNSET_OF[name]
        changes[field] = unset
    changes |= _fields(check.type, params)
    changed = msgspec.structs.replace(check, **changes, version=check.version + 1)
    _check_whole(changed, may_look)
    return changed


def shown_config(check: HealthCheck) -> dict[str, Any]:
    """Return the settings as HealthCheckConfig: those that the check's type has."""
    config: dict[str, Any] = {"Type": check.type.value}
    for name, field in FIELD_OF.items():
        value = getattr(check, field)
        if name not in MEMBERS_OF[check.type] or value is None or value == ():
            continue
        config[name] = _shown(value)
    return config


def _shown(value: Any) -> Any:  # noqa: ANN401 - whatever a member holds
    if isinstance(value, AlarmIdentifier):
        return {"Region": value.region, "Name": value.name}
    return list(value) if isinstance(value, tuple) else value


# --- single members --------------------------------------------------------------------------


def _fields(check_type: HealthCheckType, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a configuration or an update gives. Raises InvalidInput."""
    members = {name: given[name] for name in FIELD_OF if given.get(name) not in (None, [])}
    for name in members.keys() - MEMBERS_OF[check_type]:
        if name == "EnableSNI" and not members[name]:
            continue  # what is done anyway
        if name == "AlarmIdentifier" and check_type in PROBED_TYPES:
            raise InvalidInput(
                "Invalid parameter : Basic health checks must not have an metric region specified."
            )
        raise InvalidInput(f"{name} has no meaning for a health check of type {check_type}.")
    if members.get("EnableSNI") and check_type not in TLS_TYPES:
        raise InvalidInput(f"EnableSNI has no meaning for a health check of type {check_type}.")
    _check_members(members)
    return {
        FIELD_OF[name]: _FROM_WIRE[name](value) if name in _FROM_WIRE else value
        for name, value in members.items()
    }


def _check_members(members: Mapping[str, Any]) -> None:
    """Raise InvalidInput for what is out of its range. Most of it the API's model has as well."""
    domain_name = members.get("FullyQualifiedDomainName")
    if domain_name is not None and not DOMAIN_NAME.fullmatch(domain_name):
        raise InvalidInput(f"FullyQualifiedDomainName '{domain_name[:64]}' is not a domain name.")
    for name, allowed in (
        ("Port", PORTS),
        ("FailureThreshold", FAILURE_THRESHOLDS),
        ("HealthThreshold", HEALTH_THRESHOLDS),
    ):
        value = members.get(name)
        if value is not None and value not in allowed:
            raise InvalidInput(f"{name} must be from {allowed[0]} to {allowed[-1]}, not {value}.")
    if members.get("RequestInterval", 30) not in REQUEST_INTERVALS:
        raise InvalidInput("RequestInterval must be 10 or 30.")
    sought = members.get("SearchString")
    if sought is not None and not 1 <= len(sought) <= TEXT_CHARACTERS_MAX:
        raise InvalidInput(f"SearchString must have 1 to {TEXT_CHARACTERS_MAX} characters.")


def _address(text: str) -> str:
    try:
        ip_address(text)
    except ValueError:
        raise InvalidInput(f"IPAddress '{text[:64]}' is not an IPv4 or IPv6 address.") from None
    if "%" in text:
        raise InvalidInput(
            f"IPAddress {text[:64]} is link-local: health checks may not look there."
        )
    return text


def _path(text: str) -> str:
    path = text if text.startswith("/") else f"/{text}"
    if len(path) > TEXT_CHARACTERS_MAX or not path.isprintable():
        raise InvalidInput(
            f"ResourcePath must have up to {TEXT_CHARACTERS_MAX} characters, all printable."
        )
    return path


def _children(ids: list[str]) -> tuple[str, ...]:
    if len(ids) > CHILDREN_MAX:
        raise InvalidInput(f"A calculated health check has up to {CHILDREN_MAX} children.")
    for child, known in zip(sorted(ids), sorted(ids)[1:], strict=False):
        if child == known:
            raise InvalidInput(f"ChildHealthChecks names {child[:64]} twice.")
    return tuple(ids)


def _regions(names: list[str]) -> tuple[str, ...]:
    regions = tuple(dict.fromkeys(names))
    if len(regions) < REGIONS_MIN:
        raise InvalidInput(f"Regions must name at least {REGIONS_MIN} Regions, or be left out.")
    return regions


def _insufficient(text: str) -> InsufficientDataHealthStatus:
    try:
        return InsufficientDataHealthStatus(text)
    except ValueError:
        known = ", ".join(InsufficientDataHealthStatus)
        raise InvalidInput(f"InsufficientDataHealthStatus must be one of {known}.") from None


def _alarm(given: Mapping[str, str]) -> AlarmIdentifier:
    return AlarmIdentifier(region=given["Region"], name=given["Name"])


_FROM_WIRE: Final[Mapping[str, Callable[[Any], Any]]] = {
    "AlarmIdentifier": _alarm,
    "IPAddress": _address,
    "ChildHealthChecks": _children,
    "InsufficientDataHealthStatus": _insufficient,
    "Regions": _regions,
    "ResourcePath": _path,
}
"""What makes a field's value of a member's, where they differ."""


# --- the whole -------------------------------------------------------------------------------


def _check_whole(check: HealthCheck, may_look: MayLook) -> None:
    """Raise InvalidInput where the settings together leave nothing to look at."""
    if check.type in PROBED_TYPES:
        _check_target(check, may_look)
    elif check.type is HealthCheckType.CLOUDWATCH_METRIC and check.alarm_identifier is None:
        raise InvalidInput("AlarmIdentifier is required for a check of type CLOUDWATCH_METRIC.")
    elif check.type is HealthCheckType.RECOVERY_CONTROL:
        _check_control(check)


def _check_control(check: HealthCheck) -> None:
    if check.routing_control_arn is None:
        raise InvalidInput("RoutingControlArn is required for a check of type RECOVERY_CONTROL.")
    name = control_name(check.routing_control_arn)
    if name is None or name.account != check.account:
        raise InvalidInput(
            "RoutingControlArn must be the ARN of a routing control of the account: "
            f"arn:aws:route53-recovery-control::{check.account}:controlpanel/PANEL/routingcontrol/"
            "NAME."
        )


def _check_target(check: HealthCheck, may_look: MayLook) -> None:
    if check.ip_address is None and check.fully_qualified_domain_name is None:
        raise InvalidInput("Either IPAddress or FullyQualifiedDomainName is required.")
    if check.ip_address is not None and not may_look(check, check.ip_address):
        raise InvalidInput(
            f"IPAddress {check.ip_address} is one that health checks may not look at. An operator "
            "can list it under [targets] allow_private in farspan.toml, or set [health] "
            "allow_private where it is a private one."
        )
    if check.type in STRING_TYPES and check.search_string is None:
        raise InvalidInput(f"SearchString is required for a health check of type {check.type}.")
    if check.type is HealthCheckType.TCP:
        if check.port is None:
            raise InvalidInput("Port is required for a health check of type TCP.")
        if check.ip_address is not None and check.fully_qualified_domain_name is not None:
            raise InvalidInput(
                "TCP health checks that have IP address must not have a fully qualified domain "
                "name specified."
            )
