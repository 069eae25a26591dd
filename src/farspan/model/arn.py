"""Amazon Resource Names: how they are built and read.

Grammar: `arn:<partition>:<service>:<region>:<account>:<resource>` (AWS General Reference).
"""

from __future__ import annotations

from dataclasses import dataclass

ARN_PART_COUNT = 6


@dataclass(frozen=True, slots=True)
class Arn:
    """An ARN in its parts. `resource` is everything after the account, colons included."""

    partition: str
    service: str
    region: str
    account: str
    resource: str

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def parse_arn(text: str) -> Arn | None:
    """Return the ARN that `text` is, or None where it is none."""
    parts = text.split(":", ARN_PART_COUNT - 1)
    if len(parts) != ARN_PART_COUNT or parts[0] != "arn" or not parts[5]:
        return None
    return Arn(*parts[1:])


def event_bus_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of an event bus."""
    return f"arn:aws:events:{region}:{account}:event-bus/{name}"


def rule_arn(region: str, account: str, event_bus_name: str, name: str) -> str:
    """Return the ARN of a rule; rules of the default bus do not name it."""
    scope = name if event_bus_name == "default" else f"{event_bus_name}/{name}"
    return f"arn:aws:events:{region}:{account}:rule/{scope}"


def event_source_arn(region: str, name: str) -> str:
    """Return the ARN of a partner event source, which has no account."""
    return f"arn:aws:events:{region}::event-source/{name}"


def endpoint_arn(home_region: str, account: str, name: str) -> str:
    """Return the ARN of a global endpoint, a resource of its primary Region."""
    return f"arn:aws:events:{home_region}:{account}:endpoint/{name}"


def role_arn(account: str, path: str, name: str) -> str:
    """Return the ARN of an IAM role; `path` begins and ends with a slash."""
    return f"arn:aws:iam::{account}:role{path}{name}"


def queue_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of an SQS queue."""
    return f"arn:aws:sqs:{region}:{account}:{name}"


def health_check_arn(health_check_id: str) -> str:
    """Return the ARN of a Route 53 health check, which has neither Region nor account."""
    return f"arn:aws:route53:::healthcheck/{health_check_id}"
