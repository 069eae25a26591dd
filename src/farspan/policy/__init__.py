"""IAM policies: read them, write them, and decide requests by them.

Text in, decision out. Nothing in this package may do I/O, read a clock or roll dice. Whatever it
does not understand never lets a request in: documents are refused, and a test that cannot be
decided fails an Allow and meets a Deny.
"""

from __future__ import annotations

from farspan.policy.bus import BUS_POLICY_CHARS_MAX, parse_bus_policy
from farspan.policy.document import FULL_ACCESS, Effect, Policy, Statement, render
from farspan.policy.evaluate import Decision, Reason, Request, denial_text, evaluate
from farspan.policy.memory import Decisions
from farspan.policy.names import EVENTS_CONDITION_KEYS, GLOBAL_CONDITION_KEYS
from farspan.policy.parse import parse_identity_policy
from farspan.policy.queue import parse_queue_policy
from farspan.policy.short_form import ShortCondition, add_statement, remove_statement

__all__ = [
    "BUS_POLICY_CHARS_MAX",
    "EVENTS_CONDITION_KEYS",
    "FULL_ACCESS",
    "GLOBAL_CONDITION_KEYS",
    "Decision",
    "Decisions",
    "Effect",
    "Policy",
    "Reason",
    "Request",
    "ShortCondition",
    "Statement",
    "add_statement",
    "denial_text",
    "evaluate",
    "parse_bus_policy",
    "parse_identity_policy",
    "parse_queue_policy",
    "remove_statement",
    "render",
]
