"""Tags of health checks, the only resources of Route 53 that are here: hosted zones have no tags.

A tag is no setting: changing one makes no new version of the check.
"""

from __future__ import annotations

from typing import Any

import msgspec

from farspan.control.health_checks import SERVICE, find_check, find_own_check
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import InvalidInput, NoSuchHostedZone
from farspan.model.health_check import HealthCheck

TAGS_MAX = 10
"""Tags of a health check (AWS API Reference, ChangeTagsForResource)."""

HEALTH_CHECK = "healthcheck"
RESERVED_PREFIX = "aws:"


@operation(SERVICE, "ChangeTagsForResource", changes_resources=True)
async def change_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags by key, then add or overwrite others.

    Raises NoSuchHealthCheck, NoSuchHostedZone, InvalidInput.
    """
    added = params.get("AddTags") or ()
    removed = frozenset(params.get("RemoveTagKeys") or ())
    if not added and not removed:
        raise InvalidInput("Either AddTags or RemoveTagKeys is required.")
    _check_type(params["ResourceType"], params["ResourceId"])
    check = find_own_check(plane, caller, params["ResourceId"])
    tags = {key: value for key, value in check.tags.items() if key not in removed}
    for tag in added:
        key = tag.get("Key")
        if not key:
            raise InvalidInput("AddTags: a tag has a Key of 1 to 128 characters.")
        if key.lower().startswith(RESERVED_PREFIX):
            raise InvalidInput("AddTags: keys that begin with aws: are AWS's own.")
        tags[key] = tag.get("Value") or ""
    if len(tags) > TAGS_MAX:
        raise InvalidInput(f"A health check has up to {TAGS_MAX} tags, not {len(tags)}.")
    await plane.resources.save(msgspec.structs.replace(check, tags=tags), now=plane.clock.now())
    return {}


@operation(SERVICE, "ListTagsForResource")
async def list_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a health check's tags in the order in which they came.

    Raises NoSuchHealthCheck, NoSuchHostedZone.
    """
    _check_type(params["ResourceType"], params["ResourceId"])
    return {"ResourceTagSet": _tag_set(find_check(plane, caller, params["ResourceId"]))}


@operation(SERVICE, "ListTagsForResources")
async def list_tags_of_several(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the tags of up to ten health checks. Raises NoSuchHealthCheck, NoSuchHostedZone."""
    ids = params["ResourceIds"]
    for resource_id in ids:
        _check_type(params["ResourceType"], resource_id)
    checks = [find_check(plane, caller, resource_id) for resource_id in ids]
    return {"ResourceTagSets": [_tag_set(check) for check in checks]}


def _check_type(resource_type: str, resource_id: str) -> None:
    if resource_type != HEALTH_CHECK:
        raise NoSuchHostedZone(f"No hosted zone found with ID: {resource_id}")


def _tag_set(check: HealthCheck) -> dict[str, Any]:
    return {
        "ResourceType": HEALTH_CHECK,
        "ResourceId": check.id,
        "Tags": [{"Key": key, "Value": value} for key, value in check.tags.items()],
    }
