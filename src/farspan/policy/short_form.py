"""PutPermission's short form: one statement at a time, from four parameters.

Texts as recorded from AWS (design notes, "Permissions on buses"). The statement always allows
`events:PutEvents` on its own bus. Nothing here may judge a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final

from farspan.errors import ResourceNotFoundException, ValidationException
from farspan.model.arn import parse_arn
from farspan.policy.bus import require_length
from farspan.policy.document import (
    ANYONE,
    ConditionTest,
    Effect,
    Policy,
    PrincipalKind,
    Principals,
    Statement,
    Values,
)
from farspan.policy.principals import is_account, root_arn

_PUT_EVENTS: Final = "events:PutEvents"
_OPERATOR: Final = "StringEquals"
_ORGANIZATION_KEY: Final = "aws:PrincipalOrgID"
_ORGANIZATION: Final = re.compile(
    r"o-[a-z0-9]{10,32}", re.ASCII
)  # Organizations API, OrganizationId


@dataclass(frozen=True, slots=True, kw_only=True)
class ShortCondition:
    """The short form's only condition: the caller's organization. Shape `Condition` of the API."""

    type: str
    key: str
    value: str


def add_statement(
    policy: Policy | None,
    *,
    action: str | None,
    principal: str | None,
    statement_id: str | None,
    condition: ShortCondition | None = None,
    bus_arn: str,
) -> Policy:
    """Return the policy with the statement in it, in place of one with the same id.

    Raises ValidationException, and PolicyLengthExceededException beyond 10,240 characters.
    """
    for name, value in (
        ("Action", action),
        ("Principal", principal),
        ("StatementId", statement_id),
    ):
        if not value:
            raise ValidationException(f"Parameter(s) {name} must be specified.")
    assert principal is not None
    if action != _PUT_EVENTS:
        raise _unsupported("action")
    if principal != ANYONE and not is_account(principal):
        raise _unsupported("principal")
    _check_condition(condition)
    statement = Statement(
        sid=statement_id,
        effect=Effect.ALLOW,
        principal=_principals(principal, bus_arn),
        action=Values.of(_PUT_EVENTS),
        resource=Values.of(bus_arn),
        condition=_condition_tests(condition),
    )
    return require_length(_with_statement(policy or Policy(), statement))


def remove_statement(policy: Policy | None, sid: str) -> Policy | None:
    """Return the policy without the statement; None where it was the last.

    Raises ResourceNotFoundException for an id that no statement has.
    """
    statements = policy.statements if policy else ()
    rest = tuple(statement for statement in statements if statement.sid != sid)
    if policy is None or len(rest) == len(statements):
        raise ResourceNotFoundException("Statement with the provided id does not exist.")
    return replace(policy, statements=rest) if rest else None


def _with_statement(policy: Policy, statement: Statement) -> Policy:
    if any(each.sid == statement.sid for each in policy.statements):
        replaced = (statement if each.sid == statement.sid else each for each in policy.statements)
        return replace(policy, statements=tuple(replaced))
    return replace(policy, statements=(*policy.statements, statement))


def _principals(principal: str, bus_arn: str) -> Principals:
    if principal == ANYONE:
        return Principals(everyone=True)
    bus = parse_arn(bus_arn)
    assert bus is not None  # the bus is ours
    return Principals(members=((PrincipalKind.AWS, Values.of(root_arn(principal, bus.partition))),))


def _check_condition(condition: ShortCondition | None) -> None:
    if condition is None:
        return
    if condition.key != _ORGANIZATION_KEY:
        raise _unsupported("condition.key")
    if condition.type != _OPERATOR:
        raise _unsupported("condition.type")
    if not _ORGANIZATION.fullmatch(condition.value):
        raise ValidationException("Provided value in parameter 'condition.value' is invalid.")


def _condition_tests(condition: ShortCondition | None) -> tuple[ConditionTest, ...]:
    if condition is None:
        return ()
    return (ConditionTest(condition.type, condition.key, Values.of(condition.value)),)


def _unsupported(parameter: str) -> ValidationException:
    return ValidationException(f"Provided value in parameter '{parameter}' is not supported.")
