"""Rules as the data plane reads them, and the deliveries that follow from a match."""

from __future__ import annotations

import msgspec
import pytest

from farspan.delivery.plan import event_id_in, plan_deliveries
from farspan.delivery.rulebook import Rulebook
from farspan.model.rule import InputTransformer, RetryPolicy, Rule, RuleState, Target

EVENT_ID = "00010203-0405-0607-0809-0a0b0c0d0000"
EVENT = (
    f'{{"version":"0","id":"{EVENT_ID}","detail-type":"order","source":"shop","account":"1",'
    '"time":"2023-11-14T22:13:20Z","region":"us-east-1","resources":[],"detail":{"n":1}}'
).encode()
PATTERN = '{"source":["shop"]}'


def target(name: str = "t", **fields: object) -> Target:
    """Return a target."""
    return Target(id=name, arn=f"arn:{name}", **fields)  # type: ignore[arg-type]


def rule(name: str = "r", *targets: Target, **fields: object) -> Rule:
    """Return a rule that matches the event, unless it is told otherwise."""
    known = {
        "region": "us-east-1",
        "account": "1",
        "event_bus_name": "default",
        "event_pattern": PATTERN,
        "targets": {one.id: one for one in targets or (target(),)},
    }
    return Rule(name=name, **{**known, **fields})  # type: ignore[arg-type]


def matched(rulebook: Rulebook) -> list[str]:
    """Return the names of the rules that the event matches."""
    return sorted(rule.name for rule in rulebook.match(EVENT))


@pytest.mark.parametrize(
    "change",
    [
        pytest.param({"state": RuleState.DISABLED}, id="disabled"),
        pytest.param({"targets": {}}, id="without targets"),
        pytest.param({"event_pattern": None}, id="without a pattern"),
    ],
)
def test_some_rules_take_no_part(change: dict[str, object]) -> None:
    """Such a rule matches nothing and leaves the bus idle, but the bus has a rule."""
    rulebook = Rulebook()
    rulebook.put(rule())
    rulebook.put(rule(**change))

    assert (matched(rulebook), rulebook.is_idle, rulebook.is_empty) == ([], True, False)

    rulebook.put(rule())

    assert (matched(rulebook), rulebook.is_idle) == (["r"], False)


def test_a_replaced_pattern_counts_at_once() -> None:
    """The former pattern matches nothing any more, and other rules are not touched."""
    rulebook = Rulebook()
    rulebook.put(rule("a"))
    rulebook.put(rule("b"))
    rulebook.put(rule("a", event_pattern='{"source":["other"]}'))

    assert matched(rulebook) == ["b"]


def test_changed_targets_count_at_once() -> None:
    """A rule whose targets changed matches with the new ones."""
    rulebook = Rulebook()
    rulebook.put(rule("a", target("old")))
    rulebook.put(rule("a", target("new"), target("newer")))

    (found,) = rulebook.match(EVENT)

    assert list(found.targets) == ["new", "newer"]


def test_a_removed_rule_is_forgotten() -> None:
    """Removing takes a rule out; removing it again, or one never put, changes nothing."""
    rulebook = Rulebook()
    rulebook.put(rule("a"))
    rulebook.put(rule("idle", state=RuleState.DISABLED))
    for name in ("a", "a", "idle", "never"):
        rulebook.remove(rule(name))

    assert (matched(rulebook), rulebook.is_idle, rulebook.is_empty) == ([], True, True)


def test_planning_again_gives_the_same_deliveries() -> None:
    """A batch that is read twice plans the same ids, so that targets can tell (G3)."""
    rules = [rule("a", target("x"), target("y")), rule("b")]

    plans = [plan_deliveries(EVENT, rules, 5.0, 4.0) for _ in range(2)]
    later = plan_deliveries(EVENT, rules, 6.0, 4.0)

    assert plans[0] == plans[1]
    assert [d.delivery_id for d in later] == [d.delivery_id for d in plans[0]]
    assert len({d.delivery_id for d in later}) == 3


def test_a_delivery_has_what_its_target_says() -> None:
    """Input, retry policy, dead-letter queue and parameters are the target's.

    Without Input, the event.
    """
    policy = RetryPolicy(maximum_retry_attempts=1)
    rules = [
        rule(
            "a",
            target("x"),
            target(
                "y",
                input="é",
                dead_letter_arn="q",
                retry_policy=policy,
                parameters={"HttpParameters": {"PathParameterValues": ["1"]}},
            ),
        )
    ]

    plain, given = plan_deliveries(EVENT, rules, 5.0, 4.0)

    assert msgspec.structs.asdict(plain) == {
        "delivery_id": f"{EVENT_ID}/arn:aws:events:us-east-1:1:rule/a/x",
        "event_id": EVENT_ID,
        "rule_arn": "arn:aws:events:us-east-1:1:rule/a",
        "target_id": "x",
        "target_arn": "arn:x",
        "payload": EVENT,
        "is_invalid": False,
        "planned_at": 5.0,
        "ingested_at": 4.0,
        "attempt_count": 0,
        "retry_policy": RetryPolicy(),
        "dead_letter_arn": None,
        "trace_header": None,
        "parameters": {},
        "role_arn": None,
        "origin": "",
        "is_forwarded": False,
        "next_attempt_at": 0.0,
    }
    assert (given.payload, given.retry_policy, given.dead_letter_arn) == ("é".encode(), policy, "q")
    assert {"HttpParameters": {"PathParameterValues": ["1"]}} == given.parameters


def test_each_target_has_its_own_input() -> None:
    """A path or a template sees the event and its time; what comes out badly is marked."""
    transformer = InputTransformer(input_template='{"at":<aws.events.event.ingestion-time>}')
    targets = (
        target("path", input_path="$.detail"),
        target("nowhere", input_path="$.detail.m"),
        target("template", input_transformer=transformer),
        target("event"),
    )
    plans = plan_deliveries(EVENT, [rule("a", *targets)], 5.0, 4.25)

    assert [
        (b'{"n":1}', False),
        (EVENT, True),
        (b'{"at":"1970-01-01T00:00:04.250Z"}', False),
        (EVENT, False),
    ] == [(plan.payload, plan.is_invalid) for plan in plans]


def test_the_event_id_stands_at_a_fixed_place() -> None:
    """The id is read from the envelope without decoding it."""
    assert event_id_in(EVENT) == EVENT_ID
