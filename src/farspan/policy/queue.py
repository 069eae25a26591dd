"""The policy of a queue, as SetQueueAttributes takes it: principals, actions, the queue itself.

Nothing here may judge a request.
"""

from __future__ import annotations

from farspan.policy.document import VERSION_2008, Policy
from farspan.policy.parse import StatementText, read_document, read_policy, require_one


def parse_queue_policy(text: str) -> Policy:
    """Read a queue's policy. Raises ValidationException with the reason where it is none."""
    document = read_document(text)
    policy = read_policy(document, version=document.get("Version", VERSION_2008), text=text)
    for index, statement in enumerate(policy.statements):
        where = StatementText(text, index)
        require_one(where, "Principal", statement.principal, statement.not_principal)
        require_one(where, "Action", statement.action, statement.not_action)
        require_one(where, "Resource", statement.resource, statement.not_resource)
    return policy
