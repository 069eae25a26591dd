"""IAM roles: CreateRole, GetRole, UpdateRole, UpdateAssumeRolePolicy, DeleteRole, ListRoles, tags.

IAM is one service for all Regions. A role is a resource of the Region that created it, and every
node knows it; changes come to its Region (see `wire.server`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec

from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    DeleteConflictException,
    EntityAlreadyExistsException,
    InvalidInputException,
    LimitExceededException,
    MalformedPolicyDocumentException,
    NoSuchEntityException,
    ValidationException,
)
from farspan.model.role import SESSION_SECONDS_DEFAULT, Role, role_key
from farspan.policy.trust import TRUST_POLICY_CHARS_MAX, parse_trust_policy

SERVICE = "iam"
ROLES_MAX = 1_000
"""Roles in one account (IAM quota)."""

TAGS_MAX = 50
"""Tags on one role (IAM quota)."""

ROLE_ID_PREFIX = "AROA"
ROLE_ID_CHARACTERS = 17

T = TypeVar("T")


@operation(SERVICE, "CreateRole", changes_resources=True)
async def create_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a role without permissions."""
    name = params["RoleName"]
    if role_key(caller.account, name) in plane.world.roles():
        raise EntityAlreadyExistsException(f"Role with name {name} already exists.")
    if params.get("PermissionsBoundary"):
        raise InvalidInputException("Farspan does not have PermissionsBoundary yet. Leave it out.")
    if len(_of_account(plane, caller)) >= ROLES_MAX:
        raise LimitExceededException(f"Cannot exceed quota for RolesPerAccount: {ROLES_MAX}")
    check_trust_policy(params["AssumeRolePolicyDocument"])
    role = Role(
        region=plane.region,
        account=caller.account,
        name=name,
        role_id=plane.sessions.new_id(ROLE_ID_PREFIX, ROLE_ID_CHARACTERS),
        path=params.get("Path") or "/",
        trust_policy=params["AssumeRolePolicyDocument"],
        description=params.get("Description"),
        session_seconds_max=params.get("MaxSessionDuration") or SESSION_SECONDS_DEFAULT,
        tags=_tagged({}, params.get("Tags") or ()),
        creation_time=float(int(plane.clock.now())),
    )
    await plane.resources.save(role, now=plane.clock.now())
    return {"Role": _shown(role, "Tags")}


@operation(SERVICE, "GetRole")
async def get_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a role of any Region."""
    role = find_role(plane, caller, params["RoleName"])
    return {"Role": {**_shown(role, "Description", "MaxSessionDuration", "Tags"), **_UNUSED}}


@operation(SERVICE, "ListRoles")
async def list_roles(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the account's roles under a path, by name."""
    prefix = params.get("PathPrefix") or "/"
    roles = [role for role in _of_account(plane, caller) if role.path.startswith(prefix)]
    shown, rest = marked_page(
        roles, lambda role: role.name, params, filter_text=f"ListRoles/{prefix}"
    )
    return {"Roles": [_shown(r, "Description", "MaxSessionDuration") for r in shown], **rest}


@operation(SERVICE, "UpdateRole", changes_resources=True)
async def update_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change a role's description, if one is given, and its longest session, to an hour if none."""
    role = own_role(plane, caller, params["RoleName"])
    changed = msgspec.structs.replace(
        role,
        description=params.get("Description", role.description),
        session_seconds_max=params.get("MaxSessionDuration") or SESSION_SECONDS_DEFAULT,
    )
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "UpdateAssumeRolePolicy", changes_resources=True)
async def update_assume_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Replace the policy that says who may assume a role. Sessions that are there stay."""
    role = own_role(plane, caller, params["RoleName"])
    check_trust_policy(params["PolicyDocument"])
    changed = msgspec.structs.replace(role, trust_policy=params["PolicyDocument"])
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "DeleteRole", changes_resources=True)
async def delete_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a role that has no policies. Its sessions may do nothing any more."""
    role = own_role(plane, caller, params["RoleName"])
    if role.attached_policies:
        raise DeleteConflictException("Cannot delete entity, must detach all policies first.")
    if role.policies:
        raise DeleteConflictException("Cannot delete entity, must delete policies first.")
    await plane.resources.remove(role, now=plane.clock.now())
    return {}


@operation(SERVICE, "TagRole", changes_resources=True)
async def tag_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add tags to a role; a key that it has gets the new value."""
    role = own_role(plane, caller, params["RoleName"])
    changed = msgspec.structs.replace(role, tags=_tagged(role.tags, params["Tags"]))
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "UntagRole", changes_resources=True)
async def untag_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags from a role. Keys that it does not have are removed already."""
    role = own_role(plane, caller, params["RoleName"])
    gone = {key.lower() for key in params["TagKeys"]}
    tags = {key: value for key, value in role.tags.items() if key.lower() not in gone}
    changed = msgspec.structs.replace(role, tags=tags)
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "ListRoleTags")
async def list_role_tags(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a role's tags in the order in which they were put."""
    role = find_role(plane, caller, params["RoleName"])
    # A key may be longer than a marker, so that markers count.
    numbered = list(enumerate(_tag_list(role)))
    shown, rest = marked_page(
        numbered, lambda pair: f"{pair[0]:03}", params, filter_text=f"ListRoleTags/{role.role_id}"
    )
    return {"Tags": [tag for _, tag in shown], **rest}


# --- shared with a role's policies -----------------------------------------------------------


def find_role(plane: ControlPlane, caller: Caller, name: str) -> Role:
    """Return a role of the caller's account, of any Region. Raises NoSuchEntityException."""
    role = plane.world.role(caller.account, name)
    if role is None:
        raise no_such_role(name)
    return role


def own_role(plane: ControlPlane, caller: Caller, name: str) -> Role:
    """Return a role that this Region may change. Raises NoSuchEntityException."""
    role = plane.resources.roles.get(role_key(caller.account, name))
    if role is None or role.name != name:
        raise no_such_role(name)
    return role


def no_such_role(name: str) -> NoSuchEntityException:
    """Return IAM's answer where there is no such role."""
    return NoSuchEntityException(f"The role with name {name} cannot be found.")


def check_trust_policy(text: str) -> None:
    """Raise MalformedPolicyDocumentException or LimitExceededException for an unfit policy."""
    if sum(not character.isspace() for character in text) > TRUST_POLICY_CHARS_MAX:
        raise LimitExceededException(
            f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARS_MAX}"
        )
    try:
        parse_trust_policy(text)
    except ValidationException as error:
        raise MalformedPolicyDocumentException(error.message) from error


def encoded(document: str) -> str:
    """Return a policy as IAM's answers have it: percent-encoded (RFC 3986)."""
    return quote(document, safe="")


def marked_page(
    items: Sequence[T], key: Callable[[T], str], params: Params, *, filter_text: str
) -> tuple[Sequence[T], Output]:
    """Return one page by IAM's Marker and MaxItems, and what the answer says of the rest.

    Raises ValidationException for a marker of another list.
    """
    try:
        shown, token = page(
            items,
            key,
            filter_text=filter_text,
            token=params.get("Marker"),
            limit=params.get("MaxItems"),
        )
    except ValidationException as error:
        raise ValidationException("Invalid Marker.") from error
    if token is None:
        return shown, {"IsTruncated": False}
    return shown, {"IsTruncated": True, "Marker": token}


# --- details ---------------------------------------------------------------------------------

_UNUSED: Mapping[str, Any] = {"RoleLastUsed": {}}
"""GetRole says when a role was last used; Farspan does not keep that."""


def _of_account(plane: ControlPlane, caller: Caller) -> list[Role]:
    return [role for role in plane.world.roles().values() if role.account == caller.account]


def _tagged(tags: Mapping[str, str], given: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Return the tags with those given. Raises InvalidInputException, LimitExceededException."""
    keys = [tag["Key"] for tag in given]
    if len({key.lower() for key in keys}) != len(keys):
        raise InvalidInputException(
            "Duplicate tag keys found. Please note that Tag keys are case insensitive."
        )
    if any(key.lower().startswith("aws:") for key in keys):
        raise InvalidInputException("Tag keys that begin with aws: are reserved.")
    changed = dict(tags)
    spelt = {key.lower(): key for key in tags}
    for tag in given:
        changed[spelt.get(tag["Key"].lower(), tag["Key"])] = tag["Value"]
    if len(changed) > TAGS_MAX:
        raise LimitExceededException(f"Cannot exceed quota for TagsPerRole: {TAGS_MAX}")
    return changed


def _tag_list(role: Role) -> list[dict[str, str]]:
    return [{"Key": key, "Value": value} for key, value in role.tags.items()]


def _shown(role: Role, *more: str) -> Output:
    """Return a role as all answers show it, with those of the optional members that are named."""
    optional = {
        "Description": role.description,
        "MaxSessionDuration": role.session_seconds_max,
        "Tags": _tag_list(role) or None,
    }
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.creation_time,
        "AssumeRolePolicyDocument": encoded(role.trust_policy),
        **{name: optional[name] for name in more},
    }
