"""PutRule, DescribeRule, ListRules, DeleteRule."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from botocore.client import BaseClient

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
PATTERN = '{ "source": ["shop"],\n  "detail": {"total": [{"numeric": [">", 1e1]}]} }'
ROLE = f"arn:aws:iam::{ACCOUNT}:role/r"
Refusal = Callable[..., tuple[str, str]]


def arn(bus: str, rule: str, region: str = EAST) -> str:
    """Return a rule's ARN on a custom bus."""
    return f"arn:aws:events:{region}:{ACCOUNT}:rule/{bus}/{rule}"


def test_put_returns_the_arn(events: BaseClient, bus: str) -> None:
    """A rule of a custom bus has the bus in its ARN."""
    made = events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)

    assert arn(bus, "r") == made["RuleArn"]


def test_a_rule_of_the_default_bus(events: BaseClient, name: str) -> None:
    """Without EventBusName the default bus is meant, and the ARN has none."""
    made = events.put_rule(Name=name, EventPattern=PATTERN)
    found = events.describe_rule(Name=name)
    events.delete_rule(Name=name)

    assert f"arn:aws:events:{EAST}:{ACCOUNT}:rule/{name}" == made["RuleArn"]
    assert "default" == found["EventBusName"]


def test_describe_returns_what_was_put(events: BaseClient, bus: str) -> None:
    """The pattern comes back byte for byte; CreatedBy is the account."""
    events.put_rule(
        Name="r",
        EventBusName=bus,
        EventPattern=PATTERN,
        State="DISABLED",
        Description="paid",
        RoleArn=ROLE,
    )
    found = events.describe_rule(Name="r", EventBusName=bus)
    del found["ResponseMetadata"]

    assert {
        "Name": "r",
        "Arn": arn(bus, "r"),
        "EventPattern": PATTERN,
        "State": "DISABLED",
        "Description": "paid",
        "RoleArn": ROLE,
        "EventBusName": bus,
        "CreatedBy": ACCOUNT,
    } == found


def test_the_bus_may_be_an_arn(events: BaseClient, bus: str) -> None:
    """EventBusName takes the bus's ARN; what is shown is its name."""
    bus_arn = f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/{bus}"
    events.put_rule(Name="r", EventBusName=bus_arn, EventPattern=PATTERN)

    assert bus == events.describe_rule(Name="r", EventBusName=bus_arn)["EventBusName"]


def test_putting_again_replaces_all_but_the_targets(
    events: BaseClient, bus: str, name: str
) -> None:
    """Members left out are gone, the state is ENABLED again, and the targets stay."""
    target = {"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:{name}"}
    events.put_rule(
        Name="r", EventBusName=bus, EventPattern=PATTERN, State="DISABLED", Description="d"
    )
    events.put_targets(Rule="r", EventBusName=bus, Targets=[target])
    events.put_rule(Name="r", EventBusName=bus, EventPattern='{"source":["b"]}')
    found = events.describe_rule(Name="r", EventBusName=bus)

    assert ("ENABLED", '{"source":["b"]}') == (found["State"], found["EventPattern"])
    assert "Description" not in found
    assert [target] == events.list_targets_by_rule(Rule="r", EventBusName=bus)["Targets"]


def test_a_put_that_fails_leaves_the_rule_as_it_was(
    events: BaseClient, bus: str, refusal: Refusal
) -> None:
    """An invalid pattern changes nothing."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN, State="DISABLED")
    code, _ = refusal(events.put_rule, Name="r", EventBusName=bus, EventPattern='{"source":[]}')
    found = events.describe_rule(Name="r", EventBusName=bus)

    assert "InvalidEventPatternException" == code
    assert (PATTERN, "DISABLED") == (found["EventPattern"], found["State"])


@pytest.mark.parametrize(
    ("params", "code", "message"),
    [
        (
            {},
            "ValidationException",
            "Parameter(s) EventPattern or ScheduleExpression must be specified.",
        ),
        (
            {"ScheduleExpression": "rate(1 minute)"},
            "ValidationException",
            "ScheduleExpression is supported only on the default event bus.",
        ),
        (
            {"EventPattern": PATTERN, "State": "enabled"},
            "ValidationException",
            "1 validation error detected: Value 'enabled' at 'state' failed to satisfy "
            "constraint: Member must satisfy enum value set: [ENABLED, DISABLED, "
            "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS]",
        ),
        (
            {"EventPattern": "x" * 4_097},
            "ValidationException",
            f"1 validation error detected: Value '{'x' * 4_097}' at 'eventPattern' failed to "
            "satisfy constraint: Member must have length less than or equal to 4096",
        ),
        (
            {"EventPattern": PATTERN, "Name": "two words", "Description": "d" * 513},
            "ValidationException",
            "2 validation errors detected: Value 'two words' at 'name' failed to satisfy "
            r"constraint: Member must satisfy regular expression pattern: [\.\-_A-Za-z0-9]+; "
            f"Value '{'d' * 513}' at 'description' failed to satisfy constraint: "
            "Member must have length less than or equal to 512",
        ),
        (
            {"EventPattern": PATTERN, "Name": "n" * 65},
            "ValidationException",
            f"1 validation error detected: Value '{'n' * 65}' at 'name' failed to satisfy "
            "constraint: Member must have length less than or equal to 64",
        ),
        (
            {"EventPattern": '{"source":["a"]'},
            "InvalidEventPatternException",
            None,
        ),
        (
            {"EventPattern": '{"source":"a"}'},
            "InvalidEventPatternException",
            'Event pattern is not valid. Reason: "source" must be an object or an array\n'
            ' at [Source: (String)"{"source":"a"}"; line: 1, column: 12]',
        ),
    ],
    ids=[
        "no-pattern",
        "schedule-on-a-custom-bus",
        "state-in-lower-case",
        "pattern-too-long",
        "name-and-description",
        "name-too-long",
        "pattern-cut-off",
        "pattern-without-array",
    ],
)
def test_put_refusals(
    events: BaseClient,
    bus: str,
    refusal: Refusal,
    params: dict[str, object],
    code: str,
    message: str | None,
) -> None:
    """What PutRule refuses, in EventBridge's words, and nothing is created."""
    found = refusal(events.put_rule, **{"Name": "r", "EventBusName": bus, **params})

    assert code == found[0]
    assert message in (None, found[1])
    assert [] == events.list_rules(EventBusName=bus)["Rules"]


@pytest.mark.parametrize(
    "schedule",
    [
        "rate(1 minutes)",
        "rate(0 minutes)",
        "cron(0 12 * * * *)",
        "cron(0 12 ? * 8 *)",
        "daily",
        " ",
    ],
)
def test_a_schedule_that_is_none(
    events: BaseClient, name: str, refusal: Refusal, schedule: str
) -> None:
    """What cannot be read is refused in one sentence, whatever is wrong."""
    assert (
        "ValidationException",
        "Parameter ScheduleExpression is not valid.",
    ) == refusal(events.put_rule, Name=name, ScheduleExpression=schedule)


def test_a_schedule_with_the_cloudtrail_state(
    events: BaseClient, name: str, refusal: Refusal
) -> None:
    """The state for CloudTrail's events is not for rules with a schedule, pattern or not."""
    state = "ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"
    for more in ({}, {"EventPattern": PATTERN}):
        assert (
            "ValidationException",
            f"Parameter State is not valid. Reason: {state} is not for rules with a "
            "ScheduleExpression.",
        ) == refusal(
            events.put_rule, Name=name, ScheduleExpression="rate(1 hour)", State=state, **more
        )


def test_a_schedule_is_shown(events: BaseClient, name: str) -> None:
    """DescribeRule and ListRules have the expression as it was given, and no pattern."""
    events.put_rule(Name=name, ScheduleExpression="cron(0 12 ? * MON-FRI *)")
    described = events.describe_rule(Name=name)
    (listed,) = events.list_rules(NamePrefix=name)["Rules"]
    events.delete_rule(Name=name)

    for found in (described, listed):
        assert "cron(0 12 ? * MON-FRI *)" == found["ScheduleExpression"]
        assert "EventPattern" not in found


def test_a_schedule_and_a_pattern(events: BaseClient, name: str) -> None:
    """A rule of the default bus may have both; putting it without one takes that away."""
    events.put_rule(Name=name, ScheduleExpression="rate(2 hours)", EventPattern=PATTERN)
    both = events.describe_rule(Name=name)
    events.put_rule(Name=name, EventPattern=PATTERN)
    one = events.describe_rule(Name=name)
    events.delete_rule(Name=name)

    assert ("rate(2 hours)", PATTERN) == (both["ScheduleExpression"], both["EventPattern"])
    assert "ScheduleExpression" not in one


@pytest.mark.parametrize(
    "call",
    [
        lambda events, bus: events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN),
        lambda events, bus: events.describe_rule(Name="r", EventBusName=bus),
        lambda events, bus: events.list_rules(EventBusName=bus),
        lambda events, bus: events.delete_rule(Name="r", EventBusName=bus),
        lambda events, bus: events.enable_rule(Name="r", EventBusName=bus),
        lambda events, bus: events.disable_rule(Name="r", EventBusName=bus),
        lambda events, bus: events.list_rule_names_by_target(TargetArn="t", EventBusName=bus),
        lambda events, bus: events.put_targets(
            Rule="r", EventBusName=bus, Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:1:q"}]
        ),
        lambda events, bus: events.list_targets_by_rule(Rule="r", EventBusName=bus),
        lambda events, bus: events.remove_targets(Rule="r", EventBusName=bus, Ids=["q"]),
    ],
    ids=[
        "PutRule",
        "DescribeRule",
        "ListRules",
        "DeleteRule",
        "EnableRule",
        "DisableRule",
        "ListRuleNamesByTarget",
        "PutTargets",
        "ListTargetsByRule",
        "RemoveTargets",
    ],
)
class TestNamingTheBus:
    """What every operation on rules says of a bus that it cannot use."""

    def test_missing(
        self, events: BaseClient, refusal: Refusal, call: Callable[[BaseClient, str], object]
    ) -> None:
        """A bus that does not exist is not found."""
        assert (
            "ResourceNotFoundException",
            "Event bus nowhere does not exist.",
        ) == refusal(lambda: call(events, "nowhere"))

    def test_of_another_region(
        self, events: BaseClient, refusal: Refusal, call: Callable[[BaseClient, str], object]
    ) -> None:
        """An ARN of another Region is refused, whether the bus exists or not."""
        foreign = f"arn:aws:events:{WEST}:{ACCOUNT}:event-bus/default"

        assert (
            "ValidationException",
            "Cross-region API call is not allowed.",
        ) == refusal(lambda: call(events, foreign))

    def test_of_another_account(
        self, events: BaseClient, refusal: Refusal, call: Callable[[BaseClient, str], object]
    ) -> None:
        """An ARN of another account is refused where its bus has no policy that allows it.

        What is asked for is the rule, or the bus where the call names no rule.
        """
        foreign = f"arn:aws:events:{EAST}:111111111111:event-bus/default"
        code, message = refusal(lambda: call(events, foreign))

        assert "AccessDeniedException" == code
        assert message.startswith(
            f"User: arn:aws:iam::{ACCOUNT}:root is not authorized to perform: events:"
        )
        rule = f"arn:aws:events:{EAST}:111111111111:rule/r"
        assert any(f"on resource: {asked} because" in message for asked in (foreign, rule))


def test_describing_a_missing_rule(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """The message names the rule and the bus."""
    assert (
        "ResourceNotFoundException",
        f"Rule r does not exist on EventBus {bus}.",
    ) == refusal(events.describe_rule, Name="r", EventBusName=bus)


def test_delete_is_idempotent(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """Deleting a rule that is gone, or never was, succeeds."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)
    events.delete_rule(Name="r", EventBusName=bus)
    events.delete_rule(Name="r", EventBusName=bus)

    assert (
        "ResourceNotFoundException" == refusal(events.describe_rule, Name="r", EventBusName=bus)[0]
    )


def test_a_rule_with_targets_cannot_be_deleted(
    events: BaseClient, bus: str, refusal: Refusal
) -> None:
    """Targets go first."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern=PATTERN)
    events.put_targets(
        Rule="r",
        EventBusName=bus,
        Targets=[{"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:q"}],
    )

    assert (
        "ValidationException",
        "Rule can't be deleted since it has targets.",
    ) == refusal(events.delete_rule, Name="r", EventBusName=bus)


def test_list_shows_rules_by_name(events: BaseClient, bus: str) -> None:
    """ListRules has no CreatedBy, and is in the order of names."""
    for letter in "bca":
        events.put_rule(Name=letter, EventBusName=bus, EventPattern=PATTERN)
    rules = events.list_rules(EventBusName=bus)["Rules"]

    assert ["a", "b", "c"] == [rule["Name"] for rule in rules]
    assert {
        "Name": "a",
        "Arn": arn(bus, "a"),
        "EventPattern": PATTERN,
        "State": "ENABLED",
        "EventBusName": bus,
    } == rules[0]


def test_the_paginator_joins_the_pages(events: BaseClient, bus: str) -> None:
    """boto3's paginator of ListRules sees each rule once."""
    names = [f"r{number}" for number in range(5)]
    for each in names:
        events.put_rule(Name=each, EventBusName=bus, EventPattern=PATTERN)
    pages = list(
        events.get_paginator("list_rules").paginate(
            EventBusName=bus, PaginationConfig={"PageSize": 2}
        )
    )

    assert [2, 2, 1] == [len(page["Rules"]) for page in pages]
    assert names == [rule["Name"] for page in pages for rule in page["Rules"]]


def test_a_token_is_bound_to_bus_and_prefix(events: BaseClient, bus: str, refusal: Refusal) -> None:
    """A token of one NamePrefix or bus is none of another's."""
    for letter in "abc":
        events.put_rule(Name=f"r-{letter}", EventBusName=bus, EventPattern=PATTERN)
    token = events.list_rules(EventBusName=bus, NamePrefix="r", Limit=2)["NextToken"]
    invalid = (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    )

    assert invalid == refusal(
        events.list_rules, EventBusName=bus, NamePrefix="r-", Limit=2, NextToken=token
    )
    assert invalid == refusal(events.list_rules, NamePrefix="r", Limit=2, NextToken=token)


def test_the_quota_of_rules(crowded: Callable[..., BaseClient], refusal: Refusal) -> None:
    """A bus takes 300 rules; an existing one can be put again."""
    events = crowded("events", WEST)
    for number in range(300):
        events.put_rule(Name=f"r{number}", EventPattern='{"source":["a"]}')

    assert (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    ) == refusal(events.put_rule, Name="one-too-many", EventPattern='{"source":["a"]}')
    events.put_rule(Name="r0", EventPattern='{"source":["b"]}')
