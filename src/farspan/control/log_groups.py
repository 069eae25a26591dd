"""Log groups of CloudWatch Logs: made, found, kept for a time, tagged, removed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec

from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    InvalidParameterException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    TooManyTagsException,
    ValidationException,
)
from farspan.model.arn import parse_arn
from farspan.model.log_group import LogGroup, log_group_name_in

PAGE_SIZE: Final = 50
TAGS_MAX: Final = 50
RETENTION_DAYS: Final = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557),
    *(2922, 3288, 3653),
)
"""What PutRetentionPolicy takes (API reference)."""

NO_GROUP: Final = "The specified log group does not exist."


@operation("logs", "CreateLogGroup", changes_resources=True)
async def create_log_group(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Make a log group."""
    refuse_log_members(params, "kmsKeyId", "deletionProtectionEnabled")
    _refuse_class(params)
    name = params["logGroupName"]
    if plane.logs.group(caller.account, name) is not None:
        raise ResourceAlreadyExistsException("The specified log group already exists")
    group = LogGroup(
        region=plane.region,
        account=caller.account,
        name=name,
        log_id=plane.logs.new_id(),
        creation_time=plane.clock.now(),
        tags=_tagged({}, params.get("tags") or {}),
    )
    await plane.resources.save(group, now=plane.clock.now())
    return {}


@operation("logs", "DeleteLogGroup", changes_resources=True)
async def delete_log_group(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a log group with all of its events."""
    await plane.logs.remove_group(existing_group(plane, caller, params))
    return {}


@operation("logs", "DescribeLogGroups")
async def describe_log_groups(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's log groups by name."""
    refuse_log_members(params, "accountIdentifiers", "includeLinkedAccounts", "logGroupIdentifiers")
    prefix, part = params.get("logGroupNamePrefix"), params.get("logGroupNamePattern")
    if prefix and part:
        raise InvalidParameterException(
            "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters."
        )
    found = plane.resources.table(LogGroup).starting_with(f"{caller.account}/{prefix or ''}")
    if params.get("logGroupClass") not in (None, "STANDARD"):
        found = []
    groups, token = log_page(
        [group for group in found if (part or "") in group.name],
        lambda group: group.name,
        f"DescribeLogGroups/{caller.account}/{prefix}/{part}",
        params,
    )
    return {"logGroups": [_shown(group) for group in groups], "nextToken": token}


@operation("logs", "PutRetentionPolicy", changes_resources=True)
async def put_retention_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Say for how many days a group keeps its events."""
    days = params["retentionInDays"]
    if days not in RETENTION_DAYS:
        raise InvalidParameterException(
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy "
            f"constraint: Member must satisfy enum value set: {sorted(RETENTION_DAYS)}"
        )
    await _change(plane, existing_group(plane, caller, params), retention_in_days=days)
    return {}


@operation("logs", "DeleteRetentionPolicy", changes_resources=True)
async def delete_retention_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Keep a group's events for ever."""
    await _change(plane, existing_group(plane, caller, params), retention_in_days=None)
    return {}


# --- tags ------------------------------------------------------------------------------------


@operation("logs", "TagResource", changes_resources=True)
async def tag_log_resource(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add tags to a group; one with a known key is overwritten."""
    group = _tagged_group(plane, caller, params)
    await _change(plane, group, tags=_tagged(group.tags, params["tags"]))
    return {}


@operation("logs", "UntagResource", changes_resources=True)
async def untag_log_resource(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags from a group. Keys that it does not have are removed already."""
    group = _tagged_group(plane, caller, params)
    tags = {key: value for key, value in group.tags.items() if key not in params["tagKeys"]}
    await _change(plane, group, tags=tags)
    return {}


@operation("logs", "ListTagsForResource")
async def list_log_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a group's tags."""
    return {"tags": dict(_tagged_group(plane, caller, params).tags)}


# --- what the operations on log groups share -------------------------------------------------


def existing_group(plane: ControlPlane, caller: Caller, params: Params) -> LogGroup:
    """Return the caller's group that a request names.

    By `logGroupName`, or by `logGroupIdentifier`, a name or an ARN. Raises
    ResourceNotFoundException, also for what is another account's.
    """
    name, identifier = params.get("logGroupName"), params.get("logGroupIdentifier")
    if (name is None) == (identifier is None):
        raise InvalidParameterException(
            "Exactly one of logGroupName and logGroupIdentifier must be specified."
        )
    return _group(plane, caller, name or identifier or "")


def _group(plane: ControlPlane, caller: Caller, text: str) -> LogGroup:
    arn = parse_arn(text)
    if arn is None:
        group = plane.logs.group(caller.account, text)
    elif (arn.service, arn.region, arn.account) == ("logs", plane.region, caller.account):
        group = plane.logs.group(caller.account, log_group_name_in(arn.resource) or "")
    else:
        group = None
    if group is None:
        raise ResourceNotFoundException(NO_GROUP)
    return group


def log_page(
    found: list[Any], key: Callable[[Any], str], filter_text: str, params: Params
) -> tuple[list[Any], str | None]:
    """Return a page of what was found, and the next one's token."""
    try:
        shown, token = page(
            found,
            key,
            filter_text=filter_text,
            token=params.get("nextToken"),
            limit=params.get("limit") or PAGE_SIZE,
        )
    except ValidationException as error:
        raise InvalidParameterException("The specified nextToken is invalid.") from error
    return list(shown), token


def refuse_log_members(params: Params, *names: str) -> None:
    """Refuse members that Farspan does not have yet, by name."""
    for name in names:
        if params.get(name):
            raise InvalidParameterException(
                f"Parameter {name} is not valid. Reason: Farspan does not have {name} yet."
            )


def _refuse_class(params: Params) -> None:
    if params.get("logGroupClass") not in (None, "STANDARD"):
        raise InvalidParameterException(
            "Parameter logGroupClass is not valid. Reason: Farspan has the class STANDARD only."
        )


async def _change(plane: ControlPlane, group: LogGroup, **changes: object) -> None:
    changed = msgspec.structs.replace(group, **changes)
    await plane.resources.save(changed, now=plane.clock.now())


def _tagged_group(plane: ControlPlane, caller: Caller, params: Params) -> LogGroup:
    if parse_arn(params["resourceArn"]) is None:
        raise InvalidParameterException(f"{params['resourceArn']} is no log group's ARN.")
    return _group(plane, caller, params["resourceArn"])


def _tagged(tags: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    if any(key.startswith("aws:") for key in given):
        raise InvalidParameterException("Tag keys that begin with aws: are for AWS's own use.")
    all_tags = {**tags, **given}
    if len(all_tags) > TAGS_MAX:
        raise TooManyTagsException(f"A log group has at most {TAGS_MAX} tags.")
    return all_tags


def _shown(group: LogGroup) -> Output:
    return {
        "logGroupName": group.name,
        "creationTime": int(group.creation_time * 1_000),
        "retentionInDays": group.retention_in_days,
        "metricFilterCount": 0,
        "arn": f"{group.arn}:*",
        "logGroupArn": group.arn,
        "logGroupClass": "STANDARD",
    }
