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


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("[]", "Filter is not an object"),
        ('{"source":"shop"}', '"source" must be an object or an array'),
        ('{"source":[]}', "Empty arrays are not allowed"),
        ('{"source":[{"EXISTS":true}]}', "Unrecognized match type EXISTS"),
        ('{"source":[{"prefix":1}]}', "prefix match pattern must be a string"),
    ],
    ids=["list", "no-array", "empty-array", "operator-in-capitals", "prefix-of-a-number"],
)
def test_an_invalid_pattern(
    events: BaseClient, refusal: Refusal, pattern: str, reason: str
) -> None:
    """The exception names the reason and the place in the pattern."""
    code, message = refusal(
        events.test_event_pattern, EventPattern=pattern, Event=json.dumps(EVENT)
    )

    assert "InvalidEventPatternException" == code
    assert message.startswith(f"Event pattern is not valid. Reason: {reason}\n at [Source: ")
    assert f'(String)"{pattern}"; line: 1, column: ' in message
