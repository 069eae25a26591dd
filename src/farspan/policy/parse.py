"""Read a policy document into a `Policy`: its shape, and the rules that hold for every policy.

Two kinds are read: a bus's policy names principals, an identity's does not. What EventBridge asks
beyond the language is in `bus`. A refusal says which statement, and nothing half-understood passes:
an unknown member, operator or malformed value is refused here, not discovered at a request.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final, NoReturn

from farspan.errors import ValidationException
from farspan.policy.document import (
    ANYONE,
    VERSION_2008,
    VERSION_2012,
    ConditionTest,
    Effect,
    Policy,
    PrincipalKind,
    Principals,
    Statement,
    Values,
)
from farspan.policy.names import is_condition_key
from farspan.policy.operators import read_operator
from farspan.policy.scan import JsonRefused, Number, place_of_statement, read_json
from farspan.policy.template import variables_of

NOT_JSON: Final = "This policy contains invalid Json"
NOT_A_POLICY: Final = "This text appears not to be a policy"
NO_STATEMENT: Final = "Could not parse the policy: Statement is empty!"
INVALID_PRINCIPAL: Final = "Policy contains an invalid principal"

#: Characters other than white space; IAM's largest inline quota, which role policies share.
IDENTITY_POLICY_CHARS_MAX: Final = 10_240
#: The same policy as people indent it.
IDENTITY_TEXT_CHARS_MAX: Final = 65_536

_DOCUMENT_MEMBERS: Final = frozenset({"Version", "Id", "Statement"})
_STATEMENT_MEMBERS: Final = frozenset(
    {"Sid", "Effect", "Principal", "NotPrincipal", "Action", "NotAction"}
    | {"Resource", "NotResource", "Condition"}
)
_ACTION: Final = re.compile(r"\*|[A-Za-z0-9-]+:[A-Za-z0-9*?]+", re.ASCII)


@dataclass(frozen=True, slots=True)
class StatementText:
    """A document's text and which of its statements is meant, for refusals that say where."""

    text: str
    index: int

    def refuse(self, reason: str) -> NoReturn:
        """Raise `Invalid statement at line L column C: <reason>`."""
        place = place_of_statement(self.text, self.index)
        raise ValidationException(f"Invalid statement at {place}: {reason}")


def parse_identity_policy(text: str) -> Policy:
    """Read the policy of a role or user; actions of any service. Raises ValidationException."""
    if len(text) > IDENTITY_TEXT_CHARS_MAX or _inked(text) > IDENTITY_POLICY_CHARS_MAX:
        raise ValidationException(
            f"The policy is longer than {IDENTITY_POLICY_CHARS_MAX} characters."
        )
    document = read_document(text)
    version = document.get("Version", VERSION_2008)
    policy = read_policy(document, version=version, text=text)
    for index, statement in enumerate(policy.statements):
        where = StatementText(text, index)
        if statement.principal or statement.not_principal:
            where.refuse("The policy of an identity does not name principals.")
        require_one(where, "Action", statement.action, statement.not_action)
        require_one(where, "Resource", statement.resource, statement.not_resource)
    return policy


def read_document(text: str) -> dict[str, object]:
    """Return the document's members, of which only the names are checked."""
    try:
        document = read_json(text)
    except JsonRefused:
        raise ValidationException(NOT_JSON) from None
    if not isinstance(document, dict) or not document.keys() <= _DOCUMENT_MEMBERS:
        raise ValidationException(NOT_A_POLICY)
    return document


def statements_of(document: dict[str, object]) -> list[dict[str, object]]:
    """Return the statements; a single object is a list of one."""
    found = document.get("Statement")
    if found is None or found == []:
        raise ValidationException(NO_STATEMENT)
    statements: list[dict[str, object]] = []
    for each in found if isinstance(found, list) else [found]:
        if not isinstance(each, dict):
            raise ValidationException(NOT_A_POLICY)
        statements.append(each)
    return statements


def read_policy(document: dict[str, object], *, version: object, text: str) -> Policy:
    """Read statements of that version; `text` is for places."""
    if not isinstance(version, str) or version not in {VERSION_2008, VERSION_2012}:
        raise ValidationException(
            f"The policy's Version has to be {VERSION_2012} or {VERSION_2008}."
        )
    identity = document.get("Id")
    if identity is not None and not _is_text(identity):
        raise ValidationException(NOT_A_POLICY)
    statements = [
        _read_statement(members, StatementText(text, index))
        for index, members in enumerate(statements_of(document))
    ]
    sids = [statement.sid for statement in statements]
    for index, sid in enumerate(sids):
        if sid is not None and sid in sids[:index]:
            StatementText(text, index).refuse("The Statement Ids in the policy are not unique")
    return Policy(
        version=version,
        id=None if identity is None else str(identity),
        statements=tuple(statements),
    )


def require_one(where: StatementText, name: str, *elements: object | None) -> None:
    """Refuse a statement that has none of the two elements."""
    if all(element is None for element in elements):
        where.refuse(f"Missing required field {name}")


def _read_statement(members: dict[str, object], where: StatementText) -> Statement:
    unknown = sorted(members.keys() - _STATEMENT_MEMBERS)
    if unknown:
        where.refuse(f'Unknown field "{unknown[0]}"')
    for name in ("Principal", "Action", "Resource"):
        if name in members and f"Not{name}" in members:
            where.refuse(f"{name} and Not{name} exclude each other")
    sid = members.get("Sid")
    if sid is not None and not _is_text(sid):
        where.refuse("Sid has to be a string")
    return Statement(
        effect=_read_effect(members.get("Effect"), where),
        sid=None if sid is None else str(sid),
        principal=_read_principals(members.get("Principal")),
        not_principal=_read_principals(members.get("NotPrincipal")),
        action=_read_actions(members.get("Action"), where),
        not_action=_read_actions(members.get("NotAction"), where),
        resource=_read_resources(members.get("Resource"), where),
        not_resource=_read_resources(members.get("NotResource"), where),
        condition=_read_condition(members.get("Condition"), where),
    )


def _read_effect(value: object, where: StatementText) -> Effect:
    if value is None:
        raise ValidationException("Missing required field Effect")
    if not _is_text(value) or value not in set(Effect):
        where.refuse("Effect has to be Allow or Deny")
    return Effect(str(value))


def _read_principals(value: object) -> Principals | None:
    """Read the lists by kind. What may stand in them is the bus's affair."""
    if value is None:
        return None
    if value == ANYONE:
        return Principals(everyone=True)
    kinds = {kind.value: kind for kind in PrincipalKind}
    if not isinstance(value, dict) or not value or not value.keys() <= kinds.keys():
        raise ValidationException(INVALID_PRINCIPAL)
    members = [(kinds[name], _read_values(texts)) for name, texts in value.items()]
    found = tuple((kind, values) for kind, values in members if values is not None)
    if len(found) != len(members):
        raise ValidationException(INVALID_PRINCIPAL)
    return Principals(members=found)


def _read_actions(value: object, where: StatementText) -> Values | None:
    values = _read_element(value, where, "Action")
    invalid = [text for text in values.texts if not _ACTION.fullmatch(text)] if values else []
    if invalid:
        refuse_actions(where, invalid)
    return values


def refuse_actions(where: StatementText, actions: list[str]) -> NoReturn:
    """Raise the refusal that names the actions."""
    quoted = ", ".join(f'"{action}"' for action in actions)
    where.refuse(f"The following action names are invalid: {quoted}")


def _read_resources(value: object, where: StatementText) -> Values | None:
    values = _read_element(value, where, "Resource")
    for text in values.texts if values else ():
        if text != ANYONE and not text.startswith("arn:"):
            where.refuse(f'Resource {text} must be in ARN format or "*".')
    return values


def _read_element(value: object, where: StatementText, name: str) -> Values | None:
    if value is None:
        return None
    values = _read_values(value)
    if values is None:
        where.refuse(f"{name} has to be a string or a list of strings")
    return values


def _read_condition(value: object, where: StatementText) -> tuple[ConditionTest, ...]:
    if value is None:
        return ()
    if not isinstance(value, dict):
        where.refuse("Condition has to be an object")
    tests: list[ConditionTest] = []
    for operator, keys in value.items():
        if not isinstance(keys, dict):
            where.refuse(f'Condition operator "{operator}" has to hold an object of keys')
        for key, texts in keys.items():
            tests.append(_read_test(operator, key, texts, where))
    return tuple(tests)


def _read_test(operator: str, key: str, texts: object, where: StatementText) -> ConditionTest:
    known = read_operator(operator)
    if known is None:
        where.refuse(f'Unknown condition operator "{operator}"')
    if not is_condition_key(key):
        where.refuse(f'Unknown condition key "{key}"')
    values = _read_values(texts, scalars=True)
    if values is None:
        where.refuse(f'The values of condition key "{key}" have to be a string or a list')
    for text in values.texts:
        if not known.is_value(text) and not (known.takes_variables and variables_of(text)):
            where.refuse(f'"{text}" is not a value that condition operator "{operator}" compares')
    return ConditionTest(operator, key, values)


def _read_values(value: object, *, scalars: bool = False) -> Values | None:
    """Return one text or a list of at least one; numbers and truths as texts, if `scalars`."""
    texts: list[str] = []
    for each in value if isinstance(value, list) else [value]:
        text = _scalar_text(each) if scalars else each
        if not isinstance(text, str) or isinstance(text, Number):
            return None
        texts.append(text)
    return Values(tuple(texts), listed=isinstance(value, list)) if texts else None


def _scalar_text(value: object) -> object:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str.__str__(value) if isinstance(value, Number) else value


def _is_text(value: object) -> bool:
    return isinstance(value, str) and not isinstance(value, Number)


def _inked(text: str) -> int:
    return sum(not character.isspace() for character in text)
