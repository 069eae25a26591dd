"""PutTargets, ListTargetsByRule, RemoveTargets."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.client import BaseClient

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
QUEUE = f"arn:aws:sqs:{EAST}:{ACCOUNT}:q"
DONE = {"FailedEntryCount": 0, "FailedEntries": []}
Refusal = Callable[..., tuple[str, str]]


@pytest.fixture
def rule(events: BaseClient, bus: str) -> dict[str, str]:
    """A rule, as the operations on targets name it."""
    events.put_rule(Name="r", EventBusName=bus, EventPattern='{"source":["a"]}')
    return {"Rule": "r", "EventBusName": bus}


def targets_of(events: BaseClient, rule: dict[str, str]) -> list[dict[str, Any]]:
    """Return the rule's targets."""
    return events.list_targets_by_rule(**rule)["Targets"]


def test_put_reports_no_failures(events: BaseClient, rule: dict[str, str]) -> None:
    """The answer has a count of 0 and an empty list."""
    answer = events.put_targets(**rule, Targets=[{"Id": "q", "Arn": QUEUE}])
    del answer["ResponseMetadata"]

    assert DONE == answer


def test_targets_come_back_as_they_were_put(events: BaseClient, rule: dict[str, str]) -> None:
    """ListTargetsByRule returns every member as given."""
    target = {
        "Id": "q",
        "Arn": QUEUE,
        "Input": '{"a": [1, 2.50]}',
        "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:dead"},
        "RetryPolicy": {"MaximumRetryAttempts": 0, "MaximumEventAgeInSeconds": 60},
    }
    events.put_targets(**rule, Targets=[target, {"Id": "p", "Arn": QUEUE}])

    assert [{"Id": "p", "Arn": QUEUE}, target] == targets_of(events, rule)


@pytest.mark.parametrize(
    "member",
    [
        {"InputPath": "$.detail"},
        {"InputTransformer": {"InputTemplate": '"<aws.events.rule-name>"'}},
        {
            "InputTransformer": {
                "InputPathsMap": {"b": "$.b", "a": "$.a", "c": "not a path"},
                "InputTemplate": '{ "a": <a>, "b": "<b>" }',
            }
        },
        {"InputTransformer": {"InputPathsMap": {}, "InputTemplate": '"x"'}},
    ],
    ids=["path", "template", "template-and-paths", "no-paths"],
)
def test_inputs_come_back_as_they_were_put(
    events: BaseClient, rule: dict[str, str], member: dict[str, object]
) -> None:
    """Template and paths are not touched; the variables are listed by name."""
    target = {"Id": "q", "Arn": QUEUE, **member}
    events.put_targets(**rule, Targets=[target])
    (shown,) = targets_of(events, rule)
    paths = shown.get("InputTransformer", {}).get("InputPathsMap", {})

    assert target == shown
    assert sorted(paths) == list(paths)


def test_the_same_id_replaces_the_whole_target(events: BaseClient, rule: dict[str, str]) -> None:
    """What the second put leaves out is gone."""
    events.put_targets(**rule, Targets=[{"Id": "q", "Arn": QUEUE, "Input": "{}"}])
    events.put_targets(**rule, Targets=[{"Id": "q", "Arn": f"{QUEUE}2"}])

    assert [{"Id": "q", "Arn": f"{QUEUE}2"}] == targets_of(events, rule)


def test_a_queue_need_not_exist(events: BaseClient, rule: dict[str, str]) -> None:
    """PutTargets does not ask whether the target is there."""
    events.put_targets(**rule, Targets=[{"Id": "q", "Arn": f"{QUEUE}-never-made"}])

    assert 1 == len(targets_of(events, rule))


def test_the_quota_of_targets(events: BaseClient, rule: dict[str, str], refusal: Refusal) -> None:
    """A rule takes five targets; six at once are refused together."""
    limit = (
        "LimitExceededException",
        "The requested resource exceeds the maximum number allowed.",
    )
    six = [{"Id": f"q{number}", "Arn": QUEUE} for number in range(6)]

    assert limit == refusal(events.put_targets, **rule, Targets=six)
    assert [] == targets_of(events, rule)
    events.put_targets(**rule, Targets=six[:5])
    assert limit == refusal(events.put_targets, **rule, Targets=six[5:])
    events.put_targets(**rule, Targets=six[:1])


ID_PATTERN = r"[\.\-_A-Za-z0-9]+"


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        (
            [{"Id": "q", "Arn": "not-an-arn"}],
            "Parameter not-an-arn is not valid. Reason: Provided Arn is not in correct format.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "Input": "not-json"}],
            "JSON syntax error in input for target q: "
            '[Source: (String)"not-json"; line: 1, column: 1]',
        ),
        (
            [{"Id": "p", "Arn": QUEUE}, {"Id": "q", "Arn": QUEUE, "InputPath": "$.detail['a']"}],
            "InputPath for target q is invalid.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "InputPath": "$", "Input": "{}"}],
            "Only one of Input, InputPath, or InputTransformer must be provided for target q.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "InputTransformer": {"InputTemplate": "hello <x>"}}],
            "Invalid InputTemplate for target q : "
            '[Source: (String)"hello null"; line: 1, column: 1].',
        ),
        (
            [
                {
                    "Id": "q",
                    "Arn": QUEUE,
                    "InputTransformer": {
                        "InputPathsMap": {"two words": "$"},
                        "InputTemplate": '"x"',
                    },
                }
            ],
            "1 validation error detected: Value '{two words=$}' at "
            "'targets.1.member.inputTransformer.inputPathsMap' failed to satisfy constraint: "
            "Map keys must satisfy constraint: [Member must have length less than or equal to "
            "256, Member must have length greater than or equal to 1, Member must satisfy "
            r"regular expression pattern: [A-Za-z0-9\_\-]+]",
        ),
        (
            [{"Id": "q", "Arn": f"arn:aws:lambda:{EAST}:{ACCOUNT}:function:f"}],
            f"Parameter arn:aws:lambda:{EAST}:{ACCOUNT}:function:f is not valid. Reason: Farspan "
            "has no endpoint for service lambda; set [targets.endpoints] lambda in farspan.toml.",
        ),
        (
            [{"Id": "q", "Arn": f"arn:aws:dynamodb:{EAST}:{ACCOUNT}:table/t"}],
            f"Parameter arn:aws:dynamodb:{EAST}:{ACCOUNT}:table/t is not valid. Reason: Farspan "
            "does not have targets of dynamodb yet; target q can be an SQS queue.",
        ),
        (
            [{"Id": "q", "Arn": f"{QUEUE}.fifo"}],
            "Parameter(s) SqsParameters must be specified for target: q.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "SqsParameters": {"MessageGroupId": "g"}}],
            "Parameter SqsParameters is not valid for target q. Reason: only FIFO queues have "
            "message groups.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "DeadLetterConfig": {"Arn": f"{QUEUE}.fifo"}}],
            f"Parameter {QUEUE}.fifo is not valid. Reason: the dead-letter queue of q must be a "
            "standard queue.",
        ),
        (
            [{"Id": "q", "Arn": f"arn:aws:sqs:{WEST}:{ACCOUNT}:q"}],
            f"Parameter arn:aws:sqs:{WEST}:{ACCOUNT}:q is not valid. Reason: target q must be a "
            f"queue in Region {EAST}. Only event buses can be targets in another Region.",
        ),
        (
            [{"Id": "q", "Arn": QUEUE, "DeadLetterConfig": {"Arn": "dead"}}],
            "Parameter dead is not valid. Reason: Provided Arn is not in correct format.",
        ),
        (
            [{"Id": "two words", "Arn": QUEUE}],
            "1 validation error detected: Value 'two words' at 'targets.1.member.id' failed to "
            f"satisfy constraint: Member must satisfy regular expression pattern: {ID_PATTERN}",
        ),
        (
            [
                {"Id": "q", "Arn": QUEUE},
                {"Id": "i" * 65, "Arn": QUEUE, "RetryPolicy": {"MaximumRetryAttempts": 186}},
            ],
            f"2 validation errors detected: Value '{'i' * 65}' at 'targets.2.member.id' failed to "
            "satisfy constraint: Member must have length less than or equal to 64; "
            "Value '186' at 'targets.2.member.retryPolicy.maximumRetryAttempts' failed to satisfy "
            "constraint: Member must have value less than or equal to 185",
        ),
    ],
    ids=[
        "no-arn",
        "input-not-json",
        "input-path",
        "input-and-path",
        "template",
        "variable",
        "lambda",
        "dynamodb",
        "fifo",
        "message-group-of-standard",
        "dead-letter-fifo",
        "other-region",
        "dead-letter-no-arn",
        "bad-id",
        "long-id-and-too-many-retries",
    ],
)
def test_put_refusals(
    events: BaseClient,
    rule: dict[str, str],
    refusal: Refusal,
    targets: list[dict[str, object]],
    message: str,
) -> None:
    """What PutTargets refuses, it refuses whole."""
    assert ("ValidationException", message) == refusal(events.put_targets, **rule, Targets=targets)
    assert [] == targets_of(events, rule)


def test_the_limits_of_a_transformer(
    unchecked: Callable[..., BaseClient], rule: dict[str, str], refusal: Refusal
) -> None:
    """A template has at most 8,192 characters and 100 variables."""
    paths = {f"v{number}": "$" for number in range(101)}
    template = f'"{"x" * 8_191}"'
    transformer = {"InputPathsMap": paths, "InputTemplate": template}
    code, message = refusal(
        unchecked("events").put_targets,
        **rule,
        Targets=[{"Id": "q", "Arn": QUEUE, "InputTransformer": transformer}],
    )

    assert "ValidationException" == code
    assert message.startswith("2 validation errors detected: ")
    assert "less than or equal to 100" in message
    assert "less than or equal to 8192" in message


def test_no_targets_at_all(
    unchecked: Callable[..., BaseClient], rule: dict[str, str], refusal: Refusal
) -> None:
    """An empty list is refused by the model's minimum."""
    assert (
        "ValidationException",
        "1 validation error detected: Value '[]' at 'targets' failed to satisfy constraint: "
        "Member must have length greater than or equal to 1",
    ) == refusal(unchecked("events").put_targets, **rule, Targets=[])


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("put_targets", {"Targets": [{"Id": "q", "Arn": QUEUE}]}),
        ("list_targets_by_rule", {}),
        ("remove_targets", {"Ids": ["q"]}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_missing_rule(
    events: BaseClient, bus: str, refusal: Refusal, operation: str, params: dict[str, object]
) -> None:
    """Targets belong to a rule that exists."""
    assert (
        "ResourceNotFoundException",
        f"Rule r does not exist on EventBus {bus}.",
    ) == refusal(getattr(events, operation), Rule="r", EventBusName=bus, **params)


def test_remove_takes_targets_away_once(events: BaseClient, rule: dict[str, str]) -> None:
    """Ids that the rule does not have are removed already."""
    targets = [{"Id": "a", "Arn": QUEUE}, {"Id": "b", "Arn": QUEUE}]
    events.put_targets(**rule, Targets=targets)
    first = events.remove_targets(**rule, Ids=["a", "never"])
    again = events.remove_targets(**rule, Ids=["a"])

    assert DONE == {key: first[key] for key in DONE}
    assert DONE == {key: again[key] for key in DONE}
    assert targets[1:] == targets_of(events, rule)


def test_the_paginator_joins_the_pages(events: BaseClient, rule: dict[str, str]) -> None:
    """boto3's paginator of ListTargetsByRule sees each target once, by id."""
    ids = [f"q{number}" for number in range(5)]
    events.put_targets(**rule, Targets=[{"Id": each, "Arn": QUEUE} for each in ids])
    paginator = events.get_paginator("list_targets_by_rule")
    pages = list(paginator.paginate(**rule, PaginationConfig={"PageSize": 2}))

    assert [2, 2, 1] == [len(page["Targets"]) for page in pages]
    assert ids == [target["Id"] for page in pages for target in page["Targets"]]


def test_a_token_is_bound_to_its_rule(
    events: BaseClient, rule: dict[str, str], refusal: Refusal
) -> None:
    """A token of one rule's targets is none of another's."""
    events.put_targets(**rule, Targets=[{"Id": each, "Arn": QUEUE} for each in "abc"])
    token = events.list_targets_by_rule(**rule, Limit=1)["NextToken"]
    events.put_rule(Name="s", EventBusName=rule["EventBusName"], EventPattern='{"source":["a"]}')

    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_targets_by_rule, **{**rule, "Rule": "s"}, NextToken=token)
