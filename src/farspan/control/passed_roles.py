"""Whether EventBridge may assume the roles that callers hand to it.

Asked where the configuration says `[iam] enforce = true`; else any ARN is taken, as the tools do
that have no roles at all.
"""

from __future__ import annotations

from farspan.control.authority import EVENTS_PRINCIPAL
from farspan.control.condition_keys import in_one_partition
from farspan.control.grants import Grants, policies_of
from farspan.control.plane import ControlPlane
from farspan.errors import ValidationException
from farspan.model.arn import parse_arn
from farspan.model.delivery import Outcome, Verdict
from farspan.policy import Request, evaluate
from farspan.policy.trust import parse_trust_policy
from farspan.targets.base import FAILED_TO_ASSUME_ROLE, NO_PERMISSIONS


def check_passed_role(
    plane: ControlPlane, account: str, role_arn: str | None, *, source_arn: str
) -> None:
    """Return if EventBridge may assume the account's role on behalf of `source_arn`.

    Raises ValidationException in EventBridge's words.
    """
    if not plane.enforces_roles or role_arn is None:
        return
    if not _may_assume(plane, account, role_arn, source_arn):
        raise ValidationException(_cannot_assume(role_arn))


def role_denial(
    plane: ControlPlane, role_arn: str, event_bus: str, *, source_arn: str
) -> Outcome | None:
    """Return why a target's role lets no event be put on a bus now, None where it does."""
    if not plane.enforces_roles:
        return None
    arn = parse_arn(role_arn)
    account = arn.account if arn is not None else ""
    role = plane.world.role(account, role_arn.rpartition("/")[2])
    if role is None or not _may_assume(plane, account, role_arn, source_arn):
        return Outcome(
            verdict=Verdict.PERMANENT,
            error_code=FAILED_TO_ASSUME_ROLE,
            error_message=_cannot_assume(role_arn),
        )
    request = Request(
        principal=role.arn,
        action="events:PutEvents",
        resource=in_one_partition(event_bus),
        context={"events:eventBusInvocation": "true"},
    )
    denial = Grants(identity=policies_of(role)).denial(request)
    if denial is None:
        return None
    return Outcome(verdict=Verdict.PERMANENT, error_code=NO_PERMISSIONS, error_message=denial)


def _cannot_assume(role_arn: str) -> str:
    return f"Provided role '{role_arn}' cannot be assumed by principal '{EVENTS_PRINCIPAL}'."


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
