"""The policy that says who may assume a role.

It names principals and STS's actions, and no resource: the role it stands on is the resource.
Nothing here may judge a request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from farspan.errors import ValidationException
from farspan.policy.document import ANYONE, VERSION_2008, Policy, Principals, Statement, Values
from farspan.policy.parse import StatementText, read_document, read_policy, require_one
from farspan.policy.principals import is_principal

#: IAM quota "role trust policy length", in characters without white space.
TRUST_POLICY_CHARS_MAX: Final = 2_048


def parse_trust_policy(text: str) -> Policy:
    """Read a role's trust policy. Raises ValidationException with IAM's words where it has some."""
    document = read_document(text)
    policy = read_policy(document, version=document.get("Version", VERSION_2008), text=text)
    for index, statement in enumerate(policy.statements):
        _check_statement(statement, StatementText(text, index))
    everything = Values.of(ANYONE)
    return replace(
        policy,
        statements=tuple(replace(each, resource=everything) for each in policy.statements),
    )


def _check_statement(statement: Statement, where: StatementText) -> None:
    require_one(where, "Principal", statement.principal, statement.not_principal)
    require_one(where, "Action", statement.action, statement.not_action)
    if statement.resource is not None or statement.not_resource is not None:
        raise ValidationException("Has prohibited field Resource")
    for principals in (statement.principal, statement.not_principal):
        _check_principals(principals)
    actions = statement.action or statement.not_action
    for action in actions.texts if actions else ():
        if action != ANYONE and action.partition(":")[0].lower() != "sts":
            raise ValidationException("AssumeRole policy may only specify STS AssumeRole actions.")


def _check_principals(principals: Principals | None) -> None:
    for kind, values in principals.members if principals else ():
        for text in values.texts:
            if not is_principal(kind, text):
                raise ValidationException(f'Invalid principal in policy: "{kind.value}":"{text}"')
