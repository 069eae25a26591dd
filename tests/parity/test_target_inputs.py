"""From PutEvents to a queue through InputPath and InputTransformer."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import QueueOf

EAST = "us-east-1"
ACCOUNT = "000000000000"
EVERYTHING = '{"source":[{"prefix":""}]}'
DETAIL = (
    '{"name": "J\\u00fcrgen \\"J\\"", "total": 1.0, "big": 123456789012345678901234567890, '
    '"lines": [ {"sku": "a"}, {"sku": "b"} ], "note": null}'
)
PATHS = {
    "name": "$.detail.name",
    "total": "$.detail.total",
    "big": "$.detail.big",
    "skus": "$.detail.lines[*].sku",
    "line": "$.detail.lines[1]",
    "missing": "$.detail.missing",
}

Put = Callable[..., str]


@pytest.fixture
def put(events: BaseClient, bus: str, queue: QueueOf, subscribe: Callable[..., None]) -> Put:
    """Send an event to the queue through what a target says; return the event's id."""

    def put(**target: Any) -> str:
        subscribe(bus, queue, EVERYTHING, DeadLetterConfig={"Arn": queue.arn}, **target)
        entry = {"Source": "shop", "DetailType": "paid", "Detail": DETAIL, "EventBusName": bus}
        answer = events.put_events(Entries=[{**entry, "Time": 1_790_230_488}])
        return answer["Entries"][0]["EventId"]

    return put


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("$.detail.lines", '[{"sku":"a"},{"sku":"b"}]'),
        ("$.detail.name", '"Jürgen \\"J\\""'),
        ("$.detail.total", "1.0"),
        ("$.detail.lines[*].sku", '["a","b"]'),
        ("$.detail-type", '"paid"'),
    ],
)
def test_a_part_of_the_event(put: Put, queue: QueueOf, path: str, body: str) -> None:
    """The body is the value at the path, compact, a string with its quotes."""
    put(InputPath=path)

    assert body == queue.receive(1)[0]["Body"]


def test_the_path_of_the_whole_event(put: Put, queue: QueueOf) -> None:
    """`$` is the event, compact."""
    event_id = put(InputPath="$")
    body = queue.receive(1)[0]["Body"]

    assert event_id == json.loads(body)["id"]
    assert body.endswith(
        '"detail":{"name":"Jürgen \\"J\\"","total":1.0,"big":123456789012345678901234567890,'
        '"lines":[{"sku":"a"},{"sku":"b"}],"note":null}}'
    )


@pytest.mark.parametrize(
    ("template", "body"),
    [
        (
            '{"n": <name>, "q": "for <name>: <total>", "l": [<big>, <line>, <missing>]}',
            '{"n":"Jürgen \\"J\\"","q":"for Jürgen \\"J\\": 1.0",'
            '"l":[123456789012345678901234567890,{"sku":"b"},""]}',
        ),
        ('"total <total>, lines <skus>, <line>"', '"total 1.0, lines [a,b], {sku:b}"'),
        ('"first <total>"\n"second <missing>."', '"first 1.0"\n"second ."'),
        ('["a", <total>]', '["a", 1.0]'),
    ],
    ids=["object", "string", "lines", "array"],
)
def test_a_template(put: Put, queue: QueueOf, template: str, body: str) -> None:
    """An object template fills in JSON, any other the plain text."""
    put(InputTransformer={"InputPathsMap": PATHS, "InputTemplate": template})

    assert body == queue.receive(1)[0]["Body"]


def test_reserved_variables(put: Put, queue: QueueOf, bus: str) -> None:
    """The rule, the time of acceptance, and the event in both its forms."""
    template = (
        '{"arn":<aws.events.rule-arn>,"name":<aws.events.rule-name>,'
        '"at":<aws.events.event.ingestion-time>,"short":<aws.events.event>,'
        '"event":<aws.events.event.json>}'
    )
    event_id = put(InputTransformer={"InputTemplate": template})
    body = json.loads(queue.receive(1)[0]["Body"])

    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", body.pop("at"))
    event = body.pop("event")
    assert (event_id, json.loads(DETAIL)) == (event["id"], event["detail"])
    assert {
        "arn": f"arn:aws:events:{EAST}:{ACCOUNT}:rule/{bus}/{bus}",
        "name": bus,
        "short": {
            "id": event_id,
            "account": ACCOUNT,
            "detailType": "paid",
            "time": 1_790_230_488_000,
            "source": "shop",
            "region": EAST,
            "resources": [],
            "version": "0",
        },
    } == body


@pytest.mark.parametrize(
    ("template", "body"),
    [
        ('"<name>"', '"Jürgen "J""'),
        ("<line>", "{sku:b}"),
        ('{"l":"<line>"}', '{"l":"{"sku":"b"}"}'),
    ],
)
def test_a_text_that_is_no_json_is_a_dead_letter(
    put: Put, queue: QueueOf, template: str, body: str
) -> None:
    """Its body is what came out; nothing was retried."""
    put(InputTransformer={"InputPathsMap": PATHS, "InputTemplate": template})
    (letter,) = queue.receive(1)
    attributes = letter["MessageAttributes"]

    assert body == letter["Body"]
    assert "INVALID_JSON" == attributes["ERROR_CODE"]["StringValue"]
    assert "Invalid input for target." == attributes["ERROR_MESSAGE"]["StringValue"]
    assert {"RULE_ARN", "TARGET_ARN", "ERROR_CODE", "ERROR_MESSAGE"} == set(attributes)


@pytest.mark.parametrize("target", [{"Input": ""}, {"InputPath": "$.detail.missing"}])
def test_nothing_to_send_is_a_dead_letter(put: Put, queue: QueueOf, target: dict[str, str]) -> None:
    """An empty text is not sent; the dead letter shows the event."""
    event_id = put(**target)
    (letter,) = queue.receive(1)

    assert event_id == json.loads(letter["Body"])["id"]
    assert "INVALID_JSON" == letter["MessageAttributes"]["ERROR_CODE"]["StringValue"]
