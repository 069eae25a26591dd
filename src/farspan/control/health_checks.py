"""Route 53's operations on health checks, for the types that Farspan probes: HTTP and TCP.

A health check belongs to the Region that created it; every Region shows all of them, and the
server forwards an update or a deletion to the owner. Where AWS refuses private and loopback
addresses, they are welcome here: a self-hosted deployment watches its own machines. Only what no
target can have is refused: unspecified, multicast and link-local addresses (among them the
metadata services of clouds).

It must never change an endpoint: a check that is in use can be deleted, as in Route 53.
"""

from __future__ import annotations

import ipaddress
import re
from typing import TYPE_CHECKING, Any

import msgspec

from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    HealthCheckAlreadyExists,
    HealthCheckVersionMismatch,
    InvalidInput,
    NoSuchHealthCheck,
    TooManyHealthChecks,
)
from farspan.model.health_check import HealthCheck, HealthCheckType, Vote
from farspan.store.base import Conflict, PutDocument

if TYPE_CHECKING:
    from collections.abc import Mapping

SERVICE = "route53"

HEALTH_CHECK_COUNT_MAX = 200
"""Active health checks of an account (AWS: Route 53 quotas, the default)."""

PAGE_SIZE_MAX = 1000
"""Route 53 answers a larger MaxItems with this many (AWS API Reference, ListHealthChecks)."""

REQUEST_INTERVALS = (10, 30)
FAILURE_THRESHOLDS = range(1, 11)
PORTS = range(1, 65536)
REFERENCE_CHARACTERS_MAX = 64
TEXT_CHARACTERS_MAX = 255
DOMAIN_NAME = re.compile(r"[A-Za-z0-9_.-]{1,255}")
"""What may stand in a Host header and be looked up; stricter forms are the name server's affair."""

NOT_THERE_YET = (
    "SearchString",
    "HealthThreshold",
    "ChildHealthChecks",
    "EnableSNI",
    "Regions",
    "AlarmIdentifier",
    "InsufficientDataHealthStatus",
    "RoutingControlArn",
)
"""Members of Route 53's configuration that have no meaning for the types that are there."""

FIELD_OF: dict[str, str] = {
    "IPAddress": "ip_address",
    "Port": "port",
    "ResourcePath": "resource_path",
    "FullyQualifiedDomainName": "fully_qualified_domain_name",
    "RequestInterval": "request_interval",
    "FailureThreshold": "failure_threshold",
    "MeasureLatency": "measure_latency",
    "Inverted": "inverted",
    "Disabled": "disabled",
}
IMMUTABLE = ("Type", "RequestInterval", "MeasureLatency")
RESET_FIELD_OF: dict[str, str | None] = {
    "FullyQualifiedDomainName": "fully_qualified_domain_name",
    "ResourcePath": "resource_path",
    "Regions": None,  # always the default, all observers
}


@operation(SERVICE, "CreateHealthCheck", changes_resources=True)
async def create_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a health check, or return the one that the same call made before.

    A CallerReference is remembered for ever, also after its check is deleted. Raises InvalidInput,
    HealthCheckAlreadyExists for a reference that was used otherwise, TooManyHealthChecks.
    """
    reference = params.get("CallerReference") or ""
    if not 1 <= len(reference) <= REFERENCE_CHARACTERS_MAX:
        raise InvalidInput(f"CallerReference must have 1 to {REFERENCE_CHARACTERS_MAX} characters.")
    check = _from_config(caller.account, reference, params.get("HealthCheckConfig") or {})
    existing = _of_account(plane, caller)
    for other in existing.values():
        if other.caller_reference == reference:
            if _config(other) != _config(check):
                raise _reference_used(reference)
            return _created(plane, other)
    if len(existing) >= HEALTH_CHECK_COUNT_MAX:
        raise TooManyHealthChecks(
            "This health check can't be created because the current account has reached the limit "
            "on the number of active health checks."
        )
    check = msgspec.structs.replace(check, id=plane.ids.uuid())
    # The document outlives the check: that it must not exist is how a deleted check's reference
    # is known again, without anyone reading it.
    used = PutDocument(f"health-check-reference/{caller.account}/{reference}", check.id.encode(), 0)
    try:
        await plane.resources.save(check, now=plane.clock.now(), also=(used,))
    except Conflict as error:
        raise _reference_used(reference) from error
    return _created(plane, check)


@operation(SERVICE, "GetHealthCheck")
async def get_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a health check. Raises NoSuchHealthCheck."""
    return {"HealthCheck": _shown(_find(plane, caller, params["HealthCheckId"]))}


@operation(SERVICE, "UpdateHealthCheck", changes_resources=True)
async def update_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change the settings that are given; what ResetElements names returns to its default first.

    Raises NoSuchHealthCheck also for a check of another Region, HealthCheckVersionMismatch where
    the caller knew another version, InvalidInput.
    """
    check = _find_own(plane, caller, params["HealthCheckId"])
    known_version = params.get("HealthCheckVersion")
    if known_version is not None and known_version != check.version:
        raise HealthCheckVersionMismatch(
            f"The health check {check.id} has version {check.version}, not {known_version}. "
            "Get it again, and repeat the update with its present version."
        )
    for name in IMMUTABLE:
        if name in params:
            raise InvalidInput(f"{name} of a health check cannot be changed.")
    changes = _resets(params) | _settings(params)
    changed = msgspec.structs.replace(check, **changes, version=check.version + 1)
    _check_target(changed)
    await plane.resources.save(changed, now=plane.clock.now())
    return {"HealthCheck": _shown(changed)}


@operation(SERVICE, "ListHealthChecks")
async def list_health_checks(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a page of the account's health checks of all Regions, in order of id.

    Marker is the id that the page begins with. Raises InvalidInput for a MaxItems that is no
    positive number.
    """
    marker = params.get("Marker") or ""
    given = str(params.get("MaxItems", PAGE_SIZE_MAX))
    if not re.fullmatch(r"0*[1-9][0-9]{0,9}", given):
        raise InvalidInput(f"MaxItems must be a number from 1 to {PAGE_SIZE_MAX}, not '{given}'.")
    size = min(int(given), PAGE_SIZE_MAX)
    checks = [check for key, check in sorted(_of_account(plane, caller).items()) if key >= marker]
    output: Output = {
        "HealthChecks": [_shown(check) for check in checks[:size]],
        "Marker": marker,
        "IsTruncated": len(checks) > size,
        "MaxItems": str(size),
    }
    if len(checks) > size:
        output["NextMarker"] = checks[size].id
    return output


@operation(SERVICE, "DeleteHealthCheck", changes_resources=True)
async def delete_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a health check, in use or not. Raises NoSuchHealthCheck, also for another Region's."""
    check = _find_own(plane, caller, params["HealthCheckId"])
    await plane.resources.remove(check, now=plane.clock.now())
    return {}


@operation(SERVICE, "GetHealthCheckStatus")
async def get_health_check_status(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return what each observer saw last; one that has not reported lately is missing.

    `Region` is the observer's node name rather than one of the AWS Regions that have checkers:
    two nodes of a Region, and an edge, which has none, can be told apart. SDKs take any text.
    Raises NoSuchHealthCheck.
    """
    check = _find(plane, caller, params["HealthCheckId"])
    votes = plane.world.votes_on(check.id)
    return {"HealthCheckObservations": [_observation(vote) for vote in votes]}


# --- finding ---------------------------------------------------------------------------------


def _of_account(plane: ControlPlane, caller: Caller) -> dict[str, HealthCheck]:
    """Return the caller's checks of all Regions by id; of its own Region as they stand now."""
    own = plane.resources.health_checks
    known = {**plane.world.health_checks(), **own}
    return {key: check for key, check in known.items() if check.account == caller.account}


def _find(plane: ControlPlane, caller: Caller, health_check_id: str) -> HealthCheck:
    check = _of_account(plane, caller).get(health_check_id)
    if check is None:
        raise _no_such(health_check_id)
    return check


def _find_own(plane: ControlPlane, caller: Caller, health_check_id: str) -> HealthCheck:
    check = plane.resources.health_checks.get(health_check_id)
    if check is None or check.account != caller.account:
        raise _no_such(health_check_id)
    return check


def _no_such(health_check_id: str) -> NoSuchHealthCheck:
    return NoSuchHealthCheck(f"No health check exists with the specified ID {health_check_id}")


def _reference_used(reference: str) -> HealthCheckAlreadyExists:
    return HealthCheckAlreadyExists(
        f"A health check with the CallerReference {reference} and other settings exists, or was "
        "deleted. Use another CallerReference."
    )


# --- configuration ---------------------------------------------------------------------------


def _from_config(account: str, reference: str, config: Mapping[str, Any]) -> HealthCheck:
    """Return a check, without an id, as the configuration wants it. Raises InvalidInput."""
    check_type = config.get("Type")
    if check_type not in set(HealthCheckType):
        there = " and ".join(HealthCheckType)
        raise InvalidInput(
            f"Health checks of type {check_type} are not there yet. Farspan has {there}."
        )
    check = HealthCheck(
        id="",
        account=account,
        caller_reference=reference,
        type=HealthCheckType(check_type),
        **_settings(config),
    )
    _check_target(check)
    return check


def _settings(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that a configuration or an update gives. Raises InvalidInput."""
    for name in NOT_THERE_YET:
        if config.get(name):  # an EnableSNI of false, or no Regions, is what is done anyway
            raise InvalidInput(f"{name} is not there yet. Leave it out.")
    fields = {FIELD_OF[name]: config[name] for name in FIELD_OF if config.get(name) is not None}
    if "ip_address" in fields:
        fields["ip_address"] = _address(fields["ip_address"])
    if "resource_path" in fields:
        fields["resource_path"] = _path(fields["resource_path"])
    domain_name = fields.get("fully_qualified_domain_name")
    if domain_name is not None and not DOMAIN_NAME.fullmatch(domain_name):
        raise InvalidInput(f"FullyQualifiedDomainName '{domain_name[:64]}' is not a domain name.")
    _check_range("Port", fields.get("port"), PORTS)
    _check_range("FailureThreshold", fields.get("failure_threshold"), FAILURE_THRESHOLDS)
    if fields.get("request_interval", 30) not in REQUEST_INTERVALS:
        raise InvalidInput("RequestInterval must be 10 or 30.")
    return fields


def _resets(params: Params) -> dict[str, Any]:
    """Return the fields that ResetElements empties. Raises InvalidInput."""
    changes: dict[str, Any] = {}
    for name in params.get("ResetElements") or ():
        if name not in RESET_FIELD_OF:
            raise InvalidInput(f"ResetElements: {name} is not there yet. Leave it out.")
        field = RESET_FIELD_OF[name]
        if field is not None:
            changes[field] = None
    return changes


def _check_range(name: str, value: int | None, allowed: range) -> None:
    if value is not None and value not in allowed:
        raise InvalidInput(f"{name} must be from {allowed[0]} to {allowed[-1]}, not {value}.")


def _address(text: str) -> str:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise InvalidInput(f"IPAddress '{text[:64]}' is not an IPv4 or IPv6 address.") from None
    mapped = getattr(address, "ipv4_mapped", None) or address
    if "%" in text or mapped.is_unspecified or mapped.is_multicast or mapped.is_link_local:
        raise InvalidInput(f"IPAddress {text[:64]} is unspecified, multicast or link-local.")
    return text


def _path(text: str) -> str:
    path = text if text.startswith("/") else f"/{text}"
    if len(path) > TEXT_CHARACTERS_MAX or not path.isprintable():
        raise InvalidInput(
            f"ResourcePath must have up to {TEXT_CHARACTERS_MAX} characters, all printable."
        )
    return path


def _check_target(check: HealthCheck) -> None:
    """Raise InvalidInput where the settings together leave nothing to probe."""
    if check.ip_address is None and check.fully_qualified_domain_name is None:
        raise InvalidInput("Either IPAddress or FullyQualifiedDomainName is required.")
    if check.type is HealthCheckType.TCP:
        if check.port is None:
            raise InvalidInput("Port is required for a health check of type TCP.")
        if check.resource_path is not None:
            raise InvalidInput("ResourcePath has no meaning for a health check of type TCP.")


# --- showing ---------------------------------------------------------------------------------


def _config(check: HealthCheck) -> dict[str, Any]:
    """Return the settings as HealthCheckConfig."""
    given = {name: getattr(check, field) for name, field in FIELD_OF.items()}
    config = {name: value for name, value in given.items() if value is not None}
    return {"Type": check.type.value, **config, "EnableSNI": False}


def _shown(check: HealthCheck) -> dict[str, Any]:
    return {
        "Id": check.id,
        "CallerReference": check.caller_reference,
        "HealthCheckConfig": _config(check),
        "HealthCheckVersion": check.version,
    }


def _created(plane: ControlPlane, check: HealthCheck) -> Output:
    location = f"{plane.url}/2013-04-01/healthcheck/{check.id}"
    return {"HealthCheck": _shown(check), "Location": location}


def _observation(vote: Vote) -> dict[str, Any]:
    return {
        "Region": vote.observer,
        "IPAddress": "127.0.0.1",
        "StatusReport": {"Status": vote.report, "CheckedTime": vote.checked_time},
    }
