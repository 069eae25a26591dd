"""Whether EventBridge may assume the roles that callers hand to it.

Asked where the configuration says `[iam] enforce = true`; else any ARN is taken, as the tools do
that have no roles at all.
"""

from __future__ import annotations

from farspan.control.authority import EVENTS_PRINCIPAL
from farspan.control.plane import ControlPlane
from farspan.errors import ValidationException
from farspan.model.arn import parse_arn
from farspan.policy import Request, evaluate
from farspan.policy.trust import parse_trust_policy


def check_passed_role(
    plane: ControlPlane, account: str, role_arn: str | None, *, source_arn: str
) -> None:
    """Return if EventBridge may assume the account's role on behalf of `source_arn`.

    Raises ValidationException in EventBridge's words.
    """
    if not plane.enforces_roles or role_arn is None:
        return
    if not _may_assume(plane, account, role_arn, source_arn):
        raise ValidationException(
            f"Provided role '{role_arn}' cannot be assumed by principal '{EVENTS_PRINCIPAL}'."
        )


def _may_assume(plane: ControlPlane, account: str, text: str, source_arn: str) -> bool:
    arn = parse_arn(text)
    if arn is None or arn.account != account:
        return False
    role = plane.world.role(account, arn.resource.rpartition("/")[2])
    if role is None or role.arn != text:
        return False
    request = Request(
        principal=EVENTS_PRINCIPAL,
        action="sts:AssumeRole",
        resource=role.arn,
        context={
            "aws:PrincipalIsAWSService": "true",
            "aws:PrincipalServiceName": EVENTS_PRINCIPAL,
            "aws:SourceAccount": account,
            "aws:SourceArn": source_arn,
        },
    )
    trust = parse_trust_policy(role.trust_policy)
    return evaluate((), trust, request, same_account=True).allowed
