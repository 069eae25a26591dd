"""The policy of an event bus as PutPermission takes it, with EventBridge's own refusals.

Texts and normalisations as recorded from AWS (design notes, "Permissions on buses"). The policy
speaks of its own bus: of `events` actions, and of the bus's ARN and the rules on it. Nothing here
may judge a request.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from farspan.errors import PolicyLengthExceededException, ValidationException
from farspan.model.arn import Arn, parse_arn
from farspan.policy.comparisons import is_resource
from farspan.policy.conditions import resolve
from farspan.policy.document import ANYONE, Effect, Policy, Principals, Statement, Values, render
from farspan.policy.names import EVENTS, events_action_names, is_bus_condition_key
from farspan.policy.parse import (
    INVALID_PRINCIPAL,
    StatementText,
    read_document,
    read_policy,
    refuse_actions,
    statements_of,
)
from farspan.policy.principals import is_account, is_principal, root_arn
from farspan.policy.template import fill, glob_of, read_template, variables_of

#: EventBridge quota "event bus policy size", in characters.
BUS_POLICY_CHARS_MAX: Final = 10_240

_FOREIGN_SERVICE: Final = (
    "Action field includes AWS services that are inconsistent with specified vendor"
)


def parse_bus_policy(text: str, *, bus_arn: str) -> Policy:
    """Read the policy that is to be stored for the bus, normalised as AWS stores it.

    Raises ValidationException, and PolicyLengthExceededException beyond 10,240 characters.
    """
    if len(text) > BUS_POLICY_CHARS_MAX:
        raise too_long()
    document = read_document(text)
    _require(document, "Version")
    for members in statements_of(document):
        for name in ("Sid", "Effect"):
            _require(members, name)
        for name in ("Principal", "Action", "Resource"):
            _require(members, name, f"Not{name}")
    policy = read_policy(document, version=document["Version"], text=text)
    bus = parse_arn(bus_arn)
    assert bus is not None  # the bus is ours
    for index, statement in enumerate(policy.statements):
        _check_statement(statement, StatementText(text, index), bus, policy)
    return require_length(
        replace(policy, statements=tuple(_normalized(each, bus) for each in policy.statements))
    )


def require_length(policy: Policy) -> Policy:
    """Return the policy if it is short enough as it would be stored."""
    if len(render(policy)) > BUS_POLICY_CHARS_MAX:
        raise too_long()
    return policy


def too_long() -> PolicyLengthExceededException:
    """Return the refusal of a policy that is too long."""
    return PolicyLengthExceededException(
        f"The event bus policy is too long. It may have up to {BUS_POLICY_CHARS_MAX} characters."
    )


def _require(members: dict[str, object], name: str, alternative: str = "") -> None:
    if members.get(name) is None and members.get(alternative) is None:
        raise ValidationException(f"Missing required field {name}")


def _check_statement(statement: Statement, where: StatementText, bus: Arn, policy: Policy) -> None:
    for principals in (statement.principal, statement.not_principal):
        _check_principals(principals)
    if statement.not_principal and statement.effect is Effect.ALLOW:
        where.refuse("NotPrincipal is supported with Effect Deny only")
    for actions in (statement.action, statement.not_action):
        _check_actions(actions, where)
    for test in statement.condition:
        if not is_bus_condition_key(test.key):
            where.refuse(f'Unknown condition key "{test.key}"')
    for resources in (statement.resource, statement.not_resource):
        _check_resources(resources, bus)
    if policy.has_variables:
        _check_variables(statement, where)


def _check_principals(principals: Principals | None) -> None:
    for kind, values in principals.members if principals else ():
        if not all(is_principal(kind, text) for text in values.texts):
            raise ValidationException(INVALID_PRINCIPAL)


def _check_actions(actions: Values | None, where: StatementText) -> None:
    texts = [text for text in actions.texts if text != ANYONE] if actions else []
    if any(text.partition(":")[0].lower() != EVENTS for text in texts):
        where.refuse(_FOREIGN_SERVICE)
    invalid = [text for text in texts if not _names_an_action(text)]
    if invalid:
        refuse_actions(where, invalid)


def _names_an_action(text: str) -> bool:
    name = text.partition(":")[2].lower()
    glob = glob_of(fill(read_template(name, variables=False), {}) or ())
    return any(glob.matches(action) for action in events_action_names())


def _check_resources(resources: Values | None, bus: Arn) -> None:
    """Refuse what is neither the bus, nor `*`, nor rules on the bus (which `events:PutRule` needs).

    A wildcard has to reach the bus or one of its rules.
    """
    name = bus.resource.removeprefix("event-bus/")
    rules = "rule/" if name == "default" else f"rule/{name}/"
    for text in resources.texts if resources else ():
        pattern = resolve(text, {}, variables=False, splits_arns=True)
        own = pattern is not None and is_resource(str(bus), pattern)
        arn = parse_arn(text)
        is_rule = arn is not None and _same_place(arn, bus) and arn.resource.startswith(rules)
        if not own and not is_rule:
            relative = arn.resource if arn else text
            raise ValidationException(f'The relative-id "{relative}" is invalid for ARN "{text}"')


def _same_place(arn: Arn, bus: Arn) -> bool:
    return replace(arn, resource=bus.resource) == bus


def _check_variables(statement: Statement, where: StatementText) -> None:
    texts = [text for test in statement.condition for text in test.values.texts]
    for resources in (statement.resource, statement.not_resource):
        texts.extend(resources.texts if resources else ())
    for variable in (variable for text in texts for variable in variables_of(text)):
        if not is_bus_condition_key(variable.key):
            where.refuse(f'Unknown policy variable "{variable.key}"')


def _normalized(statement: Statement, bus: Arn) -> Statement:
    return replace(
        statement,
        principal=_with_root_arns(statement.principal, bus.partition),
        not_principal=_with_root_arns(statement.not_principal, bus.partition),
    )


def _with_root_arns(principals: Principals | None, partition: str) -> Principals | None:
    if principals is None:
        return None
    members = tuple(
        (
            kind,
            replace(
                values,
                texts=tuple(
                    root_arn(text, partition) if is_account(text) else text for text in values.texts
                ),
            ),
        )
        for kind, values in principals.members
    )
    return replace(principals, members=members)
