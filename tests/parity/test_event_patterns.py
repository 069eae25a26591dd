"""TestEventPattern: the call. What patterns mean is tested beside the matcher."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from botocore.client import BaseClient

EVENT = {
    "id": "1",
    "account": "000000000000",
    "source": "shop",
    "time": "2026-11-23T12:00:00Z",
    "region": "us-east-1",
    "detail-type": "paid",
    "detail": {"total": 12.50, "items": ["a", "b"]},
}
Refusal = Callable[..., tuple[str, str]]


@pytest.mark.parametrize(
    ("pattern", "result"),
    [
        ({"source": ["shop"]}, True),
        ({"source": ["bank"]}, False),
        ({"detail": {"total": [{"numeric": [">", 12, "<=", 12.5]}]}}, True),
        ({"detail": {"items": ["b"]}}, True),
        ({"detail": {"absent": [{"exists": False}]}}, True),
        ({"source": [{"prefix": "sh"}], "detail-type": ["refunded"]}, False),
    ],
    ids=["source", "other-source", "numeric", "in-a-list", "exists", "one-of-two"],
)
def test_the_result(events: BaseClient, pattern: dict[str, object], result: bool) -> None:
    """Result says whether the event matches."""
    answer = events.test_event_pattern(EventPattern=json.dumps(pattern), Event=json.dumps(EVENT))

    assert result is answer["Result"]


def test_resources_and_version_are_optional(events: BaseClient) -> None:
    """They may be there, too."""
    event = json.dumps({**EVENT, "version": "0", "resources": ["r"]})
    answer = events.test_event_pattern(EventPattern='{"resources":["r"]}', Event=event)

    assert answer["Result"] is True


@pytest.mark.parametrize("number", ["1e400", "9" * 400, "1e-400"], ids=["large", "long", "small"])
def test_an_event_may_have_any_number(events: BaseClient, number: str) -> None:
    """A number that no double holds does not make the event invalid, and equals itself."""
    event = json.dumps({**EVENT, "detail": {"n": "number"}}).replace('"number"', number)
    pattern = f'{{"detail": {{"n": [{number}]}}}}'
    answer = events.test_event_pattern(EventPattern=pattern, Event=event)

    assert answer["Result"] is True


@pytest.mark.parametrize(
    "event",
    [
        "",
        "no json",
        "[]",
        '"text"',
        "{}",
        *(
            json.dumps({key: value for key, value in EVENT.items() if key != missing})
            for missing in ("id", "account", "source", "time", "region", "detail-type")
        ),
    ],
    ids=[
        "empty",
        "no-json",
        "list",
        "text",
        "nothing",
        "no-id",
        "no-account",
        "no-source",
        "no-time",
        "no-region",
        "no-detail-type",
    ],
)
def test_an_event_that_is_none(events: BaseClient, refusal: Refusal, event: str) -> None:
    """An event must be a JSON object with the fields that every event has."""
    assert ("ValidationException", "Parameter Event is not valid.") == refusal(
        events.test_event_pattern, EventPattern='{"source":["shop"]}', Event=event
    )


RULE_TOO_COMPLEX = (
    "Rule is too complex - try using fewer wildcard characters or fewer repeating character "
    "sequences after a wildcard character"
)
#: Pattern, reason, and the column where the place has one.
REFUSED = {
    "list": ("[]", "Filter is not an object", 2),
    "no-json": (
        "this is not json",
        "Unrecognized token 'this': was expecting "
        "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')",
        5,
    ),
    "no-array": ('{"source":"shop"}', '"source" must be an object or an array', 12),
    "empty-array": ('{"source":[]}', "Empty arrays are not allowed", 13),
    "empty-object": ("{}", "Empty objects are not allowed", 3),
    "capitals": ('{"source":[{"EXISTS":true}]}', "Unrecognized match type EXISTS", 26),
    "prefix": ('{"source":[{"prefix":1}]}', "prefix match pattern must be a string", 23),
    "numeric": (
        '{"detail":{"n":[{"numeric":[">",5,"<",5]}]}}',
        "Bottom must be less than top",
        41,
    ),
    "stars": (
        '{"source":[{"wildcard":"a**"}]}',
        "Consecutive wildcard characters at pos 2",
        29,
    ),
    "one-alternative": (
        '{"$or":[{"source":["a"]}]}',
        "There must have at least 2 Objects in $or relationship.",
        26,
    ),
    "cidr": ('{"source":[{"cidr":"10.0.0.0"}]}', "Malformed CIDR, one '/' required", None),
    "complex": ('{"source":[{"wildcard":"*:*:*:*:*:event-bus/*"}]}', RULE_TOO_COMPLEX, None),
    "combinations": (
        json.dumps({name: {"$or": [{"a": [1]}, {"b": [1]}]} for name in "abcdefghij"}),
        "Rule has over 1000 rule combinations",
        None,
    ),
}


def message_of(pattern: str, reason: str, column: int | None) -> str:
    """Return the whole message of a refusal."""
    place = f'\n at [Source: (String)"{pattern}"; line: 1, column: {column}]' if column else ""
    return f"Event pattern is not valid. Reason: {reason}{place}"


@pytest.mark.parametrize(("pattern", "reason", "column"), REFUSED.values(), ids=REFUSED)
def test_an_invalid_pattern(
    events: BaseClient, refusal: Refusal, pattern: str, reason: str, column: int | None
) -> None:
    """The exception names the reason and, for most reasons, the place in the pattern."""
    expected = ("InvalidEventPatternException", message_of(pattern, reason, column))

    assert expected == refusal(
        events.test_event_pattern, EventPattern=pattern, Event=json.dumps(EVENT)
    )


@pytest.mark.parametrize(("pattern", "reason", "column"), REFUSED.values(), ids=REFUSED)
def test_rules_and_archives_refuse_the_same_patterns(
    events: BaseClient, refusal: Refusal, name: str, pattern: str, reason: str, column: int | None
) -> None:
    """PutRule and CreateArchive answer as TestEventPattern does, and keep nothing."""
    expected = ("InvalidEventPatternException", message_of(pattern, reason, column))
    bus = events.describe_event_bus()["Arn"]

    assert expected == refusal(events.put_rule, Name=name, EventPattern=pattern)
    assert expected == refusal(
        events.create_archive, ArchiveName=name, EventSourceArn=bus, EventPattern=pattern
    )
    assert [] == events.list_rules(NamePrefix=name)["Rules"]
    assert [] == events.list_archives(NamePrefix=name)["Archives"]


def test_an_invalid_pattern_comes_before_an_invalid_event(
    events: BaseClient, refusal: Refusal
) -> None:
    """Where both are wrong, the pattern is what the caller hears of."""
    code, _ = refusal(events.test_event_pattern, EventPattern="{}", Event="{}")

    assert "InvalidEventPatternException" == code


def test_a_pattern_may_be_as_long_as_the_quota(
    events: BaseClient, refusal: Refusal, name: str
) -> None:
    """2,048 characters are stored, one more is over the quota, and TestEventPattern takes 4,096."""
    longest = f'{{"source":["{"x" * 2033}"]}}'
    longer = longest.replace("x", "xx", 1)
    arn = events.put_rule(Name=name, EventPattern=longest)["RuleArn"]
    events.delete_rule(Name=name)

    assert 2048 == len(longest)
    assert arn.endswith(f"rule/{name}")
    assert (
        "LimitExceededException",
        "The event pattern has 2049 characters; the quota is 2048.",
    ) == refusal(events.put_rule, Name=name, EventPattern=longer)
    assert not events.test_event_pattern(
        EventPattern=longest.replace("x" * 2033, "x" * 4081), Event=json.dumps(EVENT)
    )["Result"]
