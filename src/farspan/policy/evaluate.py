"""Decide a request: an explicit Deny, then an Allow, then no.

    who calls            what has to allow
    a service            the resource's policy
    the same account     the resource's policy naming the caller itself, or an identity policy
    another account      both

The resource's policy that names no more than the caller's account leaves the decision to the
account's identity policies, so it lets nobody in alone unless the caller is the account's root.
Sources: IAM user guide, "Policy evaluation logic" and "How to troubleshoot access denied errors".
Nothing here may raise on policies that were parsed, whatever the request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from typing import Final

from farspan.policy.comparisons import is_resource
from farspan.policy.conditions import conditions_hold, normalized_context, resolve
from farspan.policy.document import Effect, Policy, Statement, Values
from farspan.policy.principals import Caller, Naming, is_exempt, naming_of, read_caller
from farspan.policy.template import Context, fill, glob_of, read_template
from farspan.policy.verdicts import Verdict, all_of, any_of, negation_of

_NAMES_KEPT: Final = 4_096  # a policy's actions, each with the few that are asked for


class Reason(StrEnum):
    """Why a request is allowed or denied."""

    DENIED_BY_IDENTITY = "DENIED_BY_IDENTITY"  # an identity policy has an explicit Deny
    DENIED_BY_RESOURCE = "DENIED_BY_RESOURCE"  # the resource's policy has an explicit Deny
    ALLOWED_BY_IDENTITY = "ALLOWED_BY_IDENTITY"  # same account; an identity policy allows
    ALLOWED_BY_RESOURCE = "ALLOWED_BY_RESOURCE"  # the resource's policy names the caller
    ALLOWED_BY_BOTH = "ALLOWED_BY_BOTH"  # another account; both policies allow
    NO_IDENTITY_ALLOW = "NO_IDENTITY_ALLOW"  # an identity policy would have to allow
    NO_RESOURCE_ALLOW = "NO_RESOURCE_ALLOW"  # the resource's policy would have to allow


_ENDINGS: Final = {
    Reason.DENIED_BY_IDENTITY: "with an explicit deny in an identity-based policy",
    Reason.DENIED_BY_RESOURCE: "with an explicit deny in a resource-based policy",
    Reason.NO_IDENTITY_ALLOW: "because no identity-based policy allows the {action} action",
    Reason.NO_RESOURCE_ALLOW: "because no resource-based policy allows the {action} action",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What is asked. `principal` is an ARN, an account's number (its root), or a service's name.

    A value None in the context is one that nobody can tell: it never opens a door.
    """

    principal: str
    action: str
    resource: str
    context: Mapping[str, str | Sequence[str | None]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """The answer, its reason, and the Sid of the statement that decided, where it has one."""

    allowed: bool
    reason: Reason
    sid: str | None = None


def evaluate(
    identity: Sequence[Policy], resource: Policy | None, request: Request, *, same_account: bool
) -> Decision:
    """Decide the request by the caller's identity policies and the resource's own policy.

    An account's root is nothing special here: pass `FULL_ACCESS` as its identity policy.
    """
    question = _Question(
        caller=read_caller(request.principal),
        action=request.action.lower(),
        resource=request.resource,
        context=normalized_context(request.context),
    )
    denial = _explicit_denial(identity, resource, question)
    if denial is not None:
        return denial
    by_resource, naming = _resource_allow(resource, question)
    is_service = question.caller.service is not None
    if naming is Naming.DIRECT and (same_account or is_service):
        return _decision(Reason.ALLOWED_BY_RESOURCE, by_resource)
    by_identity = None if is_service else _identity_allow(identity, question)
    if by_identity is None:
        return _decision(Reason.NO_RESOURCE_ALLOW if is_service else Reason.NO_IDENTITY_ALLOW)
    if same_account:
        return _decision(Reason.ALLOWED_BY_IDENTITY, by_identity)
    if naming is Naming.NOT:
        return _decision(Reason.NO_RESOURCE_ALLOW)
    return _decision(Reason.ALLOWED_BY_BOTH, by_resource)


def denial_text(principal_arn: str, action: str, resource: str, decision: Decision) -> str:
    """Return the message of AccessDeniedException, in AWS's words."""
    ending = _ENDINGS[decision.reason].format(action=action)
    return (
        f"User: {principal_arn} is not authorized to perform: {action} "
        f"on resource: {resource} {ending}"
    )


def _decision(reason: Reason, statement: Statement | None = None) -> Decision:
    allowed = reason not in _ENDINGS
    return Decision(allowed=allowed, reason=reason, sid=statement.sid if statement else None)


def _explicit_denial(
    identity: Sequence[Policy], resource: Policy | None, question: _Question
) -> Decision | None:
    for policies, reason in (
        (identity, Reason.DENIED_BY_IDENTITY),
        ([resource] if resource else [], Reason.DENIED_BY_RESOURCE),
    ):
        for policy, statement in _statements(policies, Effect.DENY):
            if question.verdict(statement, policy) is not False:
                return _decision(reason, statement)
    return None


def _resource_allow(policy: Policy | None, question: _Question) -> tuple[Statement | None, Naming]:
    """Return the statement that allows and names the caller most closely."""
    found: Statement | None = None
    closest = Naming.NOT
    for own, statement in _statements([policy] if policy else [], Effect.ALLOW):
        naming = (
            naming_of(statement.principal, question.caller) if statement.principal else Naming.NOT
        )
        if naming > closest and question.verdict(statement, own):
            found, closest = statement, naming
    return found, closest


def _identity_allow(policies: Sequence[Policy], question: _Question) -> Statement | None:
    for policy, statement in _statements(policies, Effect.ALLOW):
        if question.verdict(statement, policy):
            return statement
    return None


def _statements(policies: Sequence[Policy], effect: Effect) -> Iterator[tuple[Policy, Statement]]:
    for policy in policies:
        for statement in policy.statements:
            if statement.effect is effect:
                yield policy, statement


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    """A request made ready to be held against statements."""

    caller: Caller
    action: str
    resource: str
    context: Context

    def verdict(self, statement: Statement, policy: Policy) -> Verdict:
        """Tell whether the statement speaks of this request; the cheapest question first."""
        if not (self._names_action(statement) and self._names_caller(statement)):
            return False
        variables = policy.has_variables
        resource = self._names_resource(statement, variables=variables)
        if resource is False:
            return False
        return all_of(
            [
                resource,
                conditions_hold(statement.condition, self.context, variables=variables),
            ]
        )

    def _names_action(self, statement: Statement) -> bool:
        values = statement.action or statement.not_action
        if values is None:
            return False
        named = any(_names(text, self.action) for text in values.texts)
        return named is (statement.action is not None)

    def _names_caller(self, statement: Statement) -> bool:
        if statement.not_principal is not None:
            return not is_exempt(statement.not_principal, self.caller)
        if statement.principal is not None:
            return naming_of(statement.principal, self.caller) is not Naming.NOT
        return True  # an identity's policy speaks of the identity

    def _names_resource(self, statement: Statement, *, variables: bool) -> Verdict:
        if statement.resource is not None:
            return self._matches_one(statement.resource, variables=variables, unfilled=False)
        if statement.not_resource is not None:
            one = self._matches_one(statement.not_resource, variables=variables, unfilled=None)
            return negation_of(one)
        return False

    def _matches_one(self, values: Values, *, variables: bool, unfilled: Verdict) -> Verdict:
        """Compare with each; a variable without a value names nothing, as in conditions."""
        patterns = (
            resolve(text, self.context, variables=variables, splits_arns=True)
            for text in values.texts
        )
        return any_of(
            unfilled if pattern is None else is_resource(self.resource, pattern)
            for pattern in patterns
        )


@lru_cache(maxsize=_NAMES_KEPT)
def _names(text: str, action: str) -> bool:
    """Compare an action, in lower case, with one of a policy's."""
    return glob_of(fill(read_template(text.lower(), variables=False), {}) or ()).matches(action)
