"""Who is calling, and as whom: sts GetCallerIdentity, AssumeRole, GetSessionToken.

Temporary credentials are nowhere stored: their session token carries what they are (`sessions`),
and what a role's session may do is the role's policies as they stand at each call.
"""

from __future__ import annotations

from typing import Final

from farspan.control.condition_keys import caller_keys
from farspan.control.grants import parsed
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    AccessDeniedException,
    MalformedPolicyDocumentException,
    PackedPolicyTooLargeException,
    ValidationException,
)
from farspan.model.arn import parse_arn
from farspan.model.role import SESSION_SECONDS_DEFAULT, Role
from farspan.policy import FULL_ACCESS, Request, evaluate
from farspan.policy.trust import parse_trust_policy
from farspan.sessions import SessionClaims

CHAINED_SECONDS_MAX: Final = 3_600
"""How long a session lasts that a role's session assumes (IAM: role chaining)."""

TOKEN_SECONDS_DEFAULT: Final = 43_200
ROOT_TOKEN_SECONDS_MAX: Final = 3_600
"""GetSessionToken's duration, and its longest for an account's root."""

SESSION_POLICY_CHARS_MAX: Final = 2_048
ABSENT: Final = (
    "PolicyArns",
    "Tags",
    "TransitiveTagKeys",
    "SerialNumber",
    "TokenCode",
    "SourceIdentity",
    "ProvidedContexts",
    "MinimumSessionTokenSize",
)
"""What would change a session and is not there yet."""


@operation("sts", "GetCallerIdentity")
async def get_caller_identity(_plane: ControlPlane, caller: Caller, _params: Params) -> Output:
    """Return the account that the access key belongs to, and who it is there."""
    return {
        "UserId": caller.user_id or caller.account,
        "Account": caller.account,
        "Arn": caller.arn,
    }


@operation("sts", "AssumeRole")
async def assume_role(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return credentials of a role's session, if the role's trust and the caller's policies agree.

    Raises AccessDeniedException, with the same words where there is no such role.
    """
    _refuse_absent(params)
    role = _role_of(plane, params["RoleArn"])
    name = params["RoleSessionName"]
    if role is None or not _may_assume(plane, caller, role, params):
        raise AccessDeniedException(
            f"User: {caller.arn} is not authorized to perform: sts:AssumeRole on resource: "
            f"{params['RoleArn']}"
        )
    policy = params.get("Policy")
    claims = _claims(
        plane,
        account=role.account,
        seconds=_session_seconds(caller, role, params.get("DurationSeconds")),
        principal=f"arn:aws:sts::{role.account}:assumed-role/{role.name}/{name}",
        user_id=f"{role.role_id}:{name}",
        role_arn=role.arn,
        role_id=role.role_id,
        policies=None if policy is None else (_session_policy(policy),),
    )
    return {
        "Credentials": _credentials(plane, claims),
        "AssumedRoleUser": {"AssumedRoleId": claims.user_id, "Arn": claims.principal},
        "PackedPolicySize": None
        if policy is None
        else -(-100 * len(policy) // SESSION_POLICY_CHARS_MAX),
    }


@operation("sts", "GetSessionToken")
async def get_session_token(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return credentials that may do for a while what the caller's key may do.

    Raises AccessDeniedException for a caller that has temporary credentials itself.
    """
    _refuse_absent(params)
    if caller.is_session:
        raise AccessDeniedException("Cannot call GetSessionToken with session credentials")
    seconds = params.get("DurationSeconds") or TOKEN_SECONDS_DEFAULT
    if caller.principal is None:
        seconds = min(seconds, ROOT_TOKEN_SECONDS_MAX)
    claims = _claims(
        plane,
        account=caller.account,
        seconds=seconds,
        principal=caller.principal,
        user_id=caller.user_id,
        source_key=caller.access_key_id,
    )
    return {"Credentials": _credentials(plane, claims)}


def _refuse_absent(params: Params) -> None:
    for name in ABSENT:
        if params.get(name):
            raise ValidationException(f"Farspan does not have {name} yet. Leave it out.")


def _role_of(plane: ControlPlane, text: str) -> Role | None:
    arn = parse_arn(text)
    if arn is None or (arn.partition, arn.service, arn.region) != ("aws", "iam", ""):
        raise ValidationException(f"{text} is invalid")
    role = plane.world.role(arn.account, arn.resource.rpartition("/")[2])
    return role if role is not None and role.arn == text else None


def _may_assume(plane: ControlPlane, caller: Caller, role: Role, params: Params) -> bool:
    context = {
        **caller_keys(caller, region=plane.region, now=plane.clock.now()),
        "aws:ResourceAccount": role.account,
        "sts:RoleSessionName": params["RoleSessionName"],
    }
    if params.get("ExternalId"):
        context["sts:ExternalId"] = params["ExternalId"]
    request = Request(
        principal=caller.arn, action="sts:AssumeRole", resource=role.arn, context=context
    )
    trust = parse_trust_policy(role.trust_policy)
    same_account = caller.account == role.account
    if caller.grants is None:
        return evaluate([FULL_ACCESS], trust, request, same_account=same_account).allowed
    return caller.grants.denial(request, trust, same_account=same_account) is None


def _session_seconds(caller: Caller, role: Role, wanted: int | None) -> int:
    if caller.role_arn is not None and (wanted or 0) > CHAINED_SECONDS_MAX:
        raise ValidationException(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
    if (wanted or 0) > role.session_seconds_max:
        raise ValidationException(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    return wanted or SESSION_SECONDS_DEFAULT


def _session_policy(text: str) -> str:
    if len(text) > SESSION_POLICY_CHARS_MAX:
        raise PackedPolicyTooLargeException(
            f"The session policy has more than {SESSION_POLICY_CHARS_MAX} characters."
        )
    try:
        parsed(text)
    except ValidationException as error:
        raise MalformedPolicyDocumentException(error.message) from error
    return text


def _claims(
    plane: ControlPlane,
    *,
    account: str,
    seconds: int,
    principal: str | None,
    user_id: str | None,
    source_key: str | None = None,
    role_arn: str | None = None,
    role_id: str | None = None,
    policies: tuple[str, ...] | None = None,
) -> SessionClaims:
    now = int(plane.clock.now())
    return SessionClaims(
        access_key_id=plane.sessions.new_id("ASIA"),
        secret_access_key=plane.sessions.new_secret(),
        account=account,
        issued_at=now,
        expires_at=now + seconds,
        principal=principal,
        user_id=user_id,
        source_key=source_key,
        role_arn=role_arn,
        role_id=role_id,
        policies=policies,
    )


def _credentials(plane: ControlPlane, claims: SessionClaims) -> Output:
    return {
        "AccessKeyId": claims.access_key_id,
        "SecretAccessKey": claims.secret_access_key,
        "SessionToken": plane.sessions.seal(claims),
        "Expiration": claims.expires_at,
    }
