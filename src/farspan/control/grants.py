"""What a caller's own policies let it do.

The account's root has no grants object: nothing bounds it. Everyone else may do what an identity
policy allows and, in a session with policies of its own, what those allow too.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from farspan.errors import ValidationException
from farspan.model.role import Role
from farspan.policy import Decisions, Policy, Request, denial_text, parse_identity_policy

_DECISIONS: Final = Decisions()

PARSED_MAX: Final = 1_024
"""Policies kept parsed; each is at most 10,240 characters besides white space."""


def _admin(*actions: str) -> str:
    listed = ",".join(f'"{action}"' for action in actions)
    return (
        '{"Version":"2012-10-17","Statement":'
        f'[{{"Effect":"Allow","Action":[{listed}],"Resource":"*"}}]}}'
    )


MANAGED_POLICIES: Final = {
    f"arn:aws:iam::aws:policy/{name}": document
    for name, document in {
        "AdministratorAccess": _admin("*"),
        "AmazonEventBridgeFullAccess": _admin("events:*"),
        "AmazonEventBridgeReadOnlyAccess": _admin(
            "events:Describe*", "events:List*", "events:TestEventPattern"
        ),
        "AmazonRoute53FullAccess": _admin("route53:*"),
        "AmazonRoute53ReadOnlyAccess": _admin("route53:Get*", "route53:List*"),
        "AmazonSQSFullAccess": _admin("sqs:*"),
        "AmazonSQSReadOnlyAccess": _admin("sqs:GetQueueAttributes", "sqs:GetQueueUrl", "sqs:List*"),
        "IAMFullAccess": _admin("iam:*"),
        "IAMReadOnlyAccess": _admin("iam:Get*", "iam:List*"),
    }.items()
}
"""AWS's managed policies that say something about Farspan's services, as far as they do."""


@dataclass(frozen=True, slots=True)
class Grants:
    """A caller's policies. `session` None: the session has none of its own."""

    identity: tuple[Policy, ...] = ()
    session: tuple[Policy, ...] | None = None

    def denial(
        self, request: Request, resource: Policy | None = None, *, same_account: bool = True
    ) -> str | None:
        """Return AccessDeniedException's message, None where the request is allowed.

        `resource` is the policy of what the request is about, where it has one.
        """
        decision = _DECISIONS.evaluate(self.identity, resource, request, own=same_account)
        words = ""
        if decision.allowed and self.session is not None:
            decision = _DECISIONS.evaluate(self.session, None, request, own=True)
            words = "session policy"
        if decision.allowed:
            return None
        text = denial_text(request.principal, request.action, request.resource, decision)
        if not words:
            return text
        return text.replace("an identity-based policy", f"a {words}").replace(
            "identity-based policy", words
        )


@lru_cache(maxsize=PARSED_MAX)
def parsed(text: str) -> Policy:
    """Return an identity policy, read once. Raises ValidationException."""
    return parse_identity_policy(text)


def policies_of(role: Role) -> tuple[Policy, ...]:
    """Return what a role's sessions may do: nothing, where one of its policies cannot be read."""
    texts = [*role.policies.values(), *map(managed_document, role.attached_policies)]
    found = []
    for text in texts:
        try:
            found.append(parsed(text))
        except ValidationException:
            return ()  # it may have been the one that denies
    return tuple(found)


def managed_document(arn: str) -> str:
    """Return the text of a managed policy, which is empty where there is none."""
    return MANAGED_POLICIES.get(arn, "")
