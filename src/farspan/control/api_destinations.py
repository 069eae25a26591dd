"""API destinations: Create, Describe, List, Update, DeleteApiDestination.

What invokes them is `targets.api_destination`, for rules that have them as targets.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farspan.control.connections import connection_at
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.api_destination import (
    INVOCATION_RATE_LIMIT_DEFAULT,
    ApiDestination,
    ApiDestinationState,
)
from farspan.model.connection import is_https_url


@operation("events", "CreateApiDestination", changes_resources=True)
async def create_api_destination(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create an API destination that uses a connection of the caller's."""
    name = params["Name"]
    _check_endpoint(params["InvocationEndpoint"])
    _check_connection(plane, caller, params["ConnectionArn"])
    destinations = plane.resources.table(ApiDestination)
    if f"{caller.account}/{name}" in destinations:
        raise ResourceAlreadyExistsException(f"An api-destination '{name}' already exists.")
    if len(destinations.starting_with(f"{caller.account}/")) >= plane.quotas.api_destinations:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    rate = params.get("InvocationRateLimitPerSecond")
    destination = ApiDestination(
        region=plane.region,
        account=caller.account,
        name=name,
        uuid=plane.ids.uuid(),
        connection_arn=params["ConnectionArn"],
        invocation_endpoint=params["InvocationEndpoint"],
        http_method=params["HttpMethod"],
        description=params.get("Description"),
        invocation_rate_limit_per_second=rate or INVOCATION_RATE_LIMIT_DEFAULT,
        creation_time=now,
        last_modified_time=now,
    )
    await plane.resources.save(destination, now=now)
    return _outcome(plane, destination)


@operation("events", "DescribeApiDestination")
async def describe_api_destination(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one API destination."""
    destination = _existing(plane, caller, params["Name"])
    return {**_listed(plane, destination), "Description": destination.description}


@operation("events", "ListApiDestinations")
async def list_api_destinations(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's API destinations by name."""
    prefix, connection = params.get("NamePrefix") or "", params.get("ConnectionArn")
    destinations = plane.resources.table(ApiDestination)
    shown, token = page(
        [
            destination
            for destination in destinations.starting_with(f"{caller.account}/{prefix}")
            if connection in (None, destination.connection_arn)
        ],
        lambda destination: destination.name,
        filter_text=f"ListApiDestinations/{prefix}/{connection}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"ApiDestinations": [_listed(plane, one) for one in shown], "NextToken": token}


@operation("events", "UpdateApiDestination", changes_resources=True)
async def update_api_destination(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change what is given; the rest stays as it is."""
    destination = _existing(plane, caller, params["Name"])
    now = plane.clock.now()
    changes: dict[str, Any] = {"last_modified_time": now}
    if "InvocationEndpoint" in params:
        _check_endpoint(params["InvocationEndpoint"])
        changes["invocation_endpoint"] = params["InvocationEndpoint"]
    if "ConnectionArn" in params:
        _check_connection(plane, caller, params["ConnectionArn"])
        changes["connection_arn"] = params["ConnectionArn"]
    if "Description" in params:
        changes["description"] = params["Description"]
    if "HttpMethod" in params:
        changes["http_method"] = params["HttpMethod"]
    if "InvocationRateLimitPerSecond" in params:
        rate = params["InvocationRateLimitPerSecond"]
        changes["invocation_rate_limit_per_second"] = rate
    changed = msgspec.structs.replace(destination, **changes)
    await plane.resources.save(changed, now=now)
    return _outcome(plane, changed)


@operation("events", "DeleteApiDestination", changes_resources=True)
async def delete_api_destination(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete an API destination. Its connection stays."""
    destination = _existing(plane, caller, params["Name"])
    await plane.resources.remove(destination, now=plane.clock.now())
    return {}


def _check_endpoint(text: str) -> None:
    """Accept an https URL; a `*` may stand anywhere behind its host. The text is our choice."""
    if not is_https_url(text):
        raise ValidationException(
            "Parameter InvocationEndpoint is not valid. Reason: Must be an https URL, with "
            "wildcards in its path only."
        )


def _check_connection(plane: ControlPlane, caller: Caller, arn: str) -> None:
    if connection_at(plane, caller, arn) is None:
        raise ResourceNotFoundException(
            f"Failed to describe the connection(s). Connection '{arn}' does not exist."
        )


def _existing(plane: ControlPlane, caller: Caller, name: str) -> ApiDestination:
    destination = plane.resources.table(ApiDestination).get(f"{caller.account}/{name}")
    if destination is None:
        raise ResourceNotFoundException(
            "Failed to describe the api-destination(s). "
            f"An api-destination '{name}' does not exist."
        )
    return destination


def _state(plane: ControlPlane, destination: ApiDestination) -> str:
    owner = Caller(account=destination.account, access_key_id="")
    connection = connection_at(plane, owner, destination.connection_arn)
    active = connection is not None and connection.is_authorized
    return str(ApiDestinationState.ACTIVE if active else ApiDestinationState.INACTIVE)


def _outcome(plane: ControlPlane, destination: ApiDestination) -> Output:
    return {
        "ApiDestinationArn": destination.arn,
        "ApiDestinationState": _state(plane, destination),
        "CreationTime": int(destination.creation_time),
        "LastModifiedTime": int(destination.last_modified_time),
    }


def _listed(plane: ControlPlane, destination: ApiDestination) -> Output:
    """Return what ListApiDestinations shows: no description."""
    return {
        **_outcome(plane, destination),
        "Name": destination.name,
        "ConnectionArn": destination.connection_arn,
        "InvocationEndpoint": destination.invocation_endpoint,
        "HttpMethod": destination.http_method,
        "InvocationRateLimitPerSecond": destination.invocation_rate_limit_per_second,
    }
