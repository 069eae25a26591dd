"""A role's policies: its own (Put, Get, List, DeleteRolePolicy) and managed ones that it attaches.

Of managed policies there are those of AWS that say something about Farspan's services.
"""

from __future__ import annotations

from itertools import chain

import msgspec

from farspan.control.grants import MANAGED_POLICIES
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.roles import SERVICE, encoded, find_role, marked_page, own_role
from farspan.errors import (
    LimitExceededException,
    MalformedPolicyDocumentException,
    NoSuchEntityException,
    ValidationException,
)
from farspan.policy import parse_identity_policy
from farspan.policy.parse import IDENTITY_POLICY_CHARS_MAX

ATTACHED_MAX = 10
"""Managed policies attached to one role (IAM quota)."""


@operation(SERVICE, "PutRolePolicy", changes_resources=True)
async def put_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Give a role a policy of its own, or replace the one of that name."""
    role = own_role(plane, caller, params["RoleName"])
    policies = {**role.policies, params["PolicyName"]: params["PolicyDocument"]}
    # All of a role's own policies share one quota.
    inked = sum(not each.isspace() for each in chain.from_iterable(policies.values()))
    if inked > IDENTITY_POLICY_CHARS_MAX:
        raise LimitExceededException(
            f"Maximum policy size of {IDENTITY_POLICY_CHARS_MAX} bytes exceeded for role "
            f"{role.name}"
        )
    try:
        parse_identity_policy(params["PolicyDocument"])
    except ValidationException as error:
        raise MalformedPolicyDocumentException(error.message) from error
    changed = msgspec.structs.replace(role, policies=policies)
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "GetRolePolicy")
async def get_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one of a role's own policies, percent-encoded."""
    role = find_role(plane, caller, params["RoleName"])
    name = params["PolicyName"]
    if name not in role.policies:
        raise _no_such_policy(name)
    return {
        "RoleName": role.name,
        "PolicyName": name,
        "PolicyDocument": encoded(role.policies[name]),
    }


@operation(SERVICE, "ListRolePolicies")
async def list_role_policies(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the names of a role's own policies."""
    role = find_role(plane, caller, params["RoleName"])
    shown, rest = marked_page(
        list(role.policies), str, params, filter_text=f"ListRolePolicies/{role.role_id}"
    )
    return {"PolicyNames": list(shown), **rest}


@operation(SERVICE, "DeleteRolePolicy", changes_resources=True)
async def delete_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete one of a role's own policies."""
    role = own_role(plane, caller, params["RoleName"])
    name = params["PolicyName"]
    if name not in role.policies:
        raise _no_such_policy(name)
    policies = {key: text for key, text in role.policies.items() if key != name}
    changed = msgspec.structs.replace(role, policies=policies)
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "AttachRolePolicy", changes_resources=True)
async def attach_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Attach a managed policy. One that is attached stays so."""
    role = own_role(plane, caller, params["RoleName"])
    arn = params["PolicyArn"]
    if arn not in MANAGED_POLICIES:
        raise NoSuchEntityException(f"Policy {arn} does not exist or is not attachable.")
    attached = tuple(dict.fromkeys((*role.attached_policies, arn)))
    if len(attached) > ATTACHED_MAX:
        raise LimitExceededException(f"Cannot exceed quota for PoliciesPerRole: {ATTACHED_MAX}")
    changed = msgspec.structs.replace(role, attached_policies=attached)
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "DetachRolePolicy", changes_resources=True)
async def detach_role_policy(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Detach a managed policy."""
    role = own_role(plane, caller, params["RoleName"])
    arn = params["PolicyArn"]
    if arn not in role.attached_policies:
        raise NoSuchEntityException(f"Policy {arn} was not found.")
    attached = tuple(each for each in role.attached_policies if each != arn)
    changed = msgspec.structs.replace(role, attached_policies=attached)
    await plane.resources.save(changed, now=plane.clock.now())
    return {}


@operation(SERVICE, "ListAttachedRolePolicies")
async def list_attached_role_policies(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Return the managed policies that a role attaches, by name."""
    role = find_role(plane, caller, params["RoleName"])
    prefix = params.get("PathPrefix") or "/"
    named = [(arn.rpartition("/")[2], arn) for arn in role.attached_policies]
    shown, rest = marked_page(
        [pair for pair in named if pair[1].partition(":policy")[2].startswith(prefix)],
        lambda pair: pair[0],
        params,
        filter_text=f"ListAttachedRolePolicies/{role.role_id}/{prefix}",
    )
    policies = [{"PolicyName": name, "PolicyArn": arn} for name, arn in shown]
    return {"AttachedPolicies": policies, **rest}


def _no_such_policy(name: str) -> NoSuchEntityException:
    return NoSuchEntityException(f"The role policy with name {name} cannot be found.")
