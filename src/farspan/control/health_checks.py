"""Route 53's operations on health checks, and what is seen of them.

A health check belongs to the Region that created it; every Region shows all of them, and the
server forwards what changes one to the owner. `health_check_config` has what the settings mean.

It must never change an endpoint: a check that an endpoint uses can be deleted, as in Route 53.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import urlsplit

import msgspec

from farspan.control.health_check_alarms import shown_copy, with_copy
from farspan.control.health_check_config import from_config, shown_config, with_changes
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    HealthCheckAlreadyExists,
    HealthCheckInUse,
    HealthCheckVersionMismatch,
    InvalidInput,
    NoSuchHealthCheck,
    TooManyHealthChecks,
)
from farspan.model.health_check import HealthCheck, HealthCheckType, Vote
from farspan.store.base import Conflict, PutDocument

SERVICE = "route53"

HEALTH_CHECK_COUNT_MAX = 200
"""Active health checks of an account (AWS: Route 53 quotas, the default)."""

PAGE_SIZE_MAX = 1000
"""Route 53 answers a larger MaxItems with this many (AWS API Reference, ListHealthChecks)."""

REFERENCE_CHARACTERS_MAX = 64


@operation(SERVICE, "CreateHealthCheck", changes_resources=True)
async def create_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a health check, or return the one that the same call made before.

    A CallerReference is remembered for ever, also after its check is deleted. Raises InvalidInput,
    HealthCheckAlreadyExists for a reference that was used otherwise, TooManyHealthChecks.
    """
    reference = params.get("CallerReference") or ""
    if not 1 <= len(reference) <= REFERENCE_CHARACTERS_MAX:
        raise InvalidInput(f"CallerReference must have 1 to {REFERENCE_CHARACTERS_MAX} characters.")
    config = params.get("HealthCheckConfig") or {}
    check = from_config(caller.account, reference, config, plane.may_look)
    existing = checks_of(plane, caller)
    for other in existing.values():
        if other.caller_reference == reference:
            if shown_config(other) != shown_config(check):
                raise _reference_used(reference)
            return _created(plane, other)
    if len(existing) >= HEALTH_CHECK_COUNT_MAX:
        raise TooManyHealthChecks(
            "This health check can't be created because the current account has reached the limit "
            "on the number of active health checks."
        )
    _check_children(check, existing)
    check = msgspec.structs.replace(with_copy(plane, check, None), id=plane.ids.uuid())
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
    return {"HealthCheck": _shown(find_check(plane, caller, params["HealthCheckId"]))}


@operation(SERVICE, "UpdateHealthCheck", changes_resources=True)
async def update_health_check(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change the settings that are given; what ResetElements names returns to its default first.

    Raises NoSuchHealthCheck also for a check of another Region, HealthCheckVersionMismatch where
    the caller knew another version, InvalidInput.
    """
    check = find_own_check(plane, caller, params["HealthCheckId"])
    known_version = params.get("HealthCheckVersion")
    if known_version is not None and known_version != check.version:
        raise HealthCheckVersionMismatch(
            f"The health check {check.id} has version {check.version}, not {known_version}. "
            "Get it again, and repeat the update with its present version."
        )
    changed = with_copy(plane, with_changes(check, params, plane.may_look), check)
    _check_children(changed, checks_of(plane, caller))
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
    checks = [check for key, check in sorted(checks_of(plane, caller).items()) if key >= marker]
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
    """Delete a health check, also one that an endpoint uses.

    Raises NoSuchHealthCheck, also for another Region's, and HealthCheckInUse for a child of a
    calculated check, which would never have a status without it.
    """
    check = find_own_check(plane, caller, params["HealthCheckId"])
    for other in checks_of(plane, caller).values():
        if check.id in other.child_health_checks:
            raise HealthCheckInUse(
                f"The health check {check.id} is a child of the calculated health check "
                f"{other.id}. Take it out of that one's ChildHealthChecks first."
            )
    await plane.resources.remove(check, now=plane.clock.now())
    return {}


@operation(SERVICE, "GetHealthCheckCount")
async def get_health_check_count(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return how many health checks the account has, of all Regions."""
    del params
    return {"HealthCheckCount": len(checks_of(plane, caller))}


@operation(SERVICE, "GetHealthCheckStatus")
async def get_health_check_status(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return what each observer saw last; one that has not reported lately is missing.

    `Region` is the observer's node name rather than one of the AWS Regions that have checkers:
    two nodes of a Region, and an edge, which has none, can be told apart. SDKs take any text.
    Raises NoSuchHealthCheck, and InvalidInput for a calculated check.
    """
    return {
        "HealthCheckObservations": [
            _observation(plane, vote, vote.report, vote.checked_time)
            for vote in _votes(plane, caller, params)
        ]
    }


@operation(SERVICE, "GetHealthCheckLastFailureReason")
async def get_last_failure_reason(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return what each observer saw when it last saw a failure, and when that was.

    Raises NoSuchHealthCheck, and InvalidInput for a calculated check.
    """
    return {
        "HealthCheckObservations": [
            _observation(plane, vote, vote.failure_report or _never_failed(vote), vote.failure_time)
            for vote in _votes(plane, caller, params)
        ]
    }


@operation(SERVICE, "GetCheckerIpRanges")
async def get_checker_ip_ranges(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the addresses that probes come from: those in the URLs of the nodes.

    A node whose URL has a name is left out: which address it probes from cannot be told.
    """
    del caller, params
    addresses = {_address_of(url) for url in plane.node_urls.values()} - {None}
    networks = sorted(ip_network(str(one)) for one in addresses)
    return {"CheckerIpRanges": [str(network) for network in networks]}


# --- finding ---------------------------------------------------------------------------------


def checks_of(plane: ControlPlane, caller: Caller) -> dict[str, HealthCheck]:
    """Return the caller's checks of all Regions by id; of its own Region as they stand now."""
    own = plane.resources.health_checks
    known = {**plane.world.health_checks(), **own}
    return {key: check for key, check in known.items() if check.account == caller.account}


def find_check(plane: ControlPlane, caller: Caller, health_check_id: str) -> HealthCheck:
    """Return one of the caller's checks, of any Region. Raises NoSuchHealthCheck."""
    check = checks_of(plane, caller).get(health_check_id)
    if check is None:
        raise _no_such(health_check_id)
    return check


def find_own_check(plane: ControlPlane, caller: Caller, health_check_id: str) -> HealthCheck:
    """Return one of the caller's checks of this Region. Raises NoSuchHealthCheck."""
    check = plane.resources.health_checks.get(health_check_id)
    if check is None or check.account != caller.account:
        raise _no_such(health_check_id)
    return check


def _no_such(health_check_id: str) -> NoSuchHealthCheck:
    return NoSuchHealthCheck(f"No health check exists with the specified ID {health_check_id}")


def _check_children(check: HealthCheck, known: Mapping[str, HealthCheck]) -> None:
    """Raise InvalidInput where a child is not there, or is calculated itself.

    That a calculated check has no calculated children is what makes loops impossible.
    """
    for child_id in check.child_health_checks:
        child = known.get(child_id)
        if child is None:
            raise InvalidInput(f"ChildHealthChecks: there is no health check {child_id[:64]}.")
        if child.type is HealthCheckType.CALCULATED:
            raise InvalidInput(
                f"ChildHealthChecks: {child_id} is of type CALCULATED, and calculated health "
                "checks have no calculated children."
            )


def _reference_used(reference: str) -> HealthCheckAlreadyExists:
    return HealthCheckAlreadyExists(
        f"A health check with the CallerReference {reference} and other settings exists, or was "
        "deleted. Use another CallerReference."
    )


# --- showing ---------------------------------------------------------------------------------


def _shown(check: HealthCheck) -> dict[str, Any]:
    copy = check.alarm_configuration
    return {
        **({} if copy is None else {"CloudWatchAlarmConfiguration": shown_copy(copy)}),
        "Id": check.id,
        "CallerReference": check.caller_reference,
        "HealthCheckConfig": shown_config(check),
        "HealthCheckVersion": check.version,
    }


def _created(plane: ControlPlane, check: HealthCheck) -> Output:
    location = f"{plane.url}/2013-04-01/healthcheck/{check.id}"
    return {"HealthCheck": _shown(check), "Location": location}


def _votes(plane: ControlPlane, caller: Caller, params: Params) -> list[Vote]:
    check = find_check(plane, caller, params["HealthCheckId"])
    if check.type is HealthCheckType.CALCULATED:
        raise InvalidInput(
            f"The health check {check.id} is of type CALCULATED: nobody observes it. "
            "Ask for the status of its children."
        )
    return plane.world.votes_on(check.id)


def _observation(plane: ControlPlane, vote: Vote, report: str, seen_at: float) -> dict[str, Any]:
    observation: dict[str, Any] = {
        "Region": vote.observer,
        "StatusReport": {"Status": report, "CheckedTime": seen_at},
    }
    address = _address_of(plane.node_urls.get(vote.observer, ""))
    return observation if address is None else observation | {"IPAddress": address}


def _never_failed(vote: Vote) -> str:
    moment = datetime.fromtimestamp(vote.failure_time, UTC).isoformat(timespec="milliseconds")
    return (
        "The health check endpoint has not failed since the Route 53 health checker for this "
        f"endpoint restarted at {moment}"
    )


def _address_of(url: str) -> str | None:
    """Return the address in a node's URL, None where it has a name that only DNS knows."""
    host = urlsplit(url).hostname or ""
    try:
        return str(ip_address("127.0.0.1" if host == "localhost" else host))
    except ValueError:
        return None
