"""Remembered decisions: the same answers as `evaluate`, whatever was asked before."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from farspan.policy import Decisions, Policy, Request, evaluate, parse_bus_policy
from farspan.policy import parse_identity_policy as read
from farspan.policy.memory import DECISIONS_KEPT, KEY_CHARACTERS_MAX

BUS = "arn:aws:events:us-east-1:000000000000:event-bus/b"
USER = "arn:aws:iam::000000000000:user/u"


def identity(effect: str, **condition: object) -> Policy:
    """Return an identity policy of one statement."""
    statement = {"Effect": effect, "Action": "events:*", "Resource": "*", "Condition": condition}
    return read(json.dumps({"Version": "2012-10-17", "Statement": statement}))


POLICIES = (
    identity("Allow"),
    identity("Deny", StringEquals={"events:source": "a"}),
    identity("Allow", StringLike={"EVENTS:Detail-Type": "${events:source}*"}),
    identity("Deny", Null={"events:detail-type": "true"}),
    identity("Allow", **{"ForAllValues:StringEquals": {"events:TargetArn": ["a", "b"]}}),
)
OF_A_BUS = (
    None,
    *(
        parse_bus_policy(
            json.dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": {
                        "Sid": "s",
                        "Effect": effect,
                        "Principal": {"AWS": USER},
                        "Action": "events:*",
                        "Resource": "*",
                        "Condition": {"StringEquals": {"events:source": "b"}},
                    },
                }
            ),
            bus_arn=BUS,
        )
        for effect in ("Allow", "Deny")
    ),
)
VALUES = st.one_of(
    st.sampled_from(["a", "b", "ab", ""]),
    st.lists(st.sampled_from(["a", "b", None]), max_size=2),
)
KEYS = st.sampled_from(
    ["events:source", "Events:Source", "events:detail-type", "events:TargetArn", "aws:userid"]
)
QUESTIONS = st.tuples(
    st.lists(st.sampled_from(POLICIES), max_size=3),
    st.sampled_from(OF_A_BUS),
    st.builds(
        Request,
        principal=st.sampled_from([USER, f"{USER}2"]),
        action=st.sampled_from(["events:PutEvents", "sqs:SendMessage"]),
        resource=st.just(BUS),
        context=st.dictionaries(KEYS, VALUES, max_size=4),
    ),
    st.booleans(),
)


@given(st.lists(QUESTIONS, min_size=1, max_size=20))
def test_memory_changes_no_answer(
    questions: list[tuple[list[Policy], Policy | None, Request, bool]],
) -> None:
    """Asked in any order and again, each question has the answer that it has alone."""
    decisions = Decisions()

    for identity, resource, request, own in questions + questions:
        assert decisions.evaluate(identity, resource, request, own=own) == evaluate(
            identity, resource, request, same_account=own
        )


def test_memory_is_bounded() -> None:
    """However many sources a caller invents, and however long, the answers stay right."""
    decisions, deny = Decisions(), [POLICIES[0], POLICIES[1]]
    lengths = [*range(1, 4), KEY_CHARACTERS_MAX + 1]
    sources = [str(n) for n in range(DECISIONS_KEPT + 10)] + ["a" * n for n in lengths]

    for source in sources:
        request = Request(
            principal=USER,
            action="events:PutEvents",
            resource=BUS,
            context={"events:source": source},
        )
        assert (source != "a") is decisions.evaluate(deny, None, request, own=True).allowed
