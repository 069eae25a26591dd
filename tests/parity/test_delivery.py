"""From PutEvents to a queue: the envelope, what a rule lets through, and dead letters."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.clock import SystemClock

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, MakeQueue, QueueOf, Send, SignedHeaders

EAST = "us-east-1"
ACCOUNT = "000000000000"
EVERYTHING = '{"source":[{"prefix":""}]}'
Subscribe = Callable[..., None]


def entry(bus: str, **changes: object) -> dict[str, Any]:
    """Return an entry for a bus."""
    return {
        "Source": "shop",
        "DetailType": "paid",
        "Detail": "{}",
        "EventBusName": bus,
        **changes,
    }


TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793;Sampled=1"


@pytest.mark.parametrize("asked", ["AttributeNames", "MessageSystemAttributeNames"])
def test_a_trace_reaches_the_queue(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe, asked: str
) -> None:
    """As AWSTraceHeader where it is asked for; the event does not show it."""
    subscribe(bus, queue, EVERYTHING)
    events.put_events(Entries=[entry(bus, TraceHeader=TRACE), entry(bus)])
    names = {asked: ["AWSTraceHeader"]}
    messages: list[dict[str, Any]] = []
    for _ in range(2):
        answer = queue.sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=10, **names)
        messages += answer["Messages"]

    assert [{"AWSTraceHeader": TRACE}, {}] == [m.get("Attributes", {}) for m in messages]
    assert not any(TRACE in message["Body"] for message in messages)


def test_a_dead_letter_has_the_trace(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """Beside the attributes that tell why it is one."""
    gone = f"arn:aws:sqs:{EAST}:{ACCOUNT}:no-such-queue"
    subscribe(bus, queue, EVERYTHING, Arn=gone, DeadLetterConfig={"Arn": queue.arn})
    events.put_events(Entries=[entry(bus, TraceHeader=TRACE)])
    answer = queue.sqs.receive_message(
        QueueUrl=queue.url, WaitTimeSeconds=10, MessageSystemAttributeNames=["All"]
    )

    assert TRACE == answer["Messages"][0]["Attributes"]["AWSTraceHeader"]


DETAIL = (
    '{"b": 123456789012345678901234567890, "a": 1.10, "e": 1e400, '
    '"text": "gr\\u00fc\u00df \\" \\\\ \\n \u2028", "list": [ ], "b": 2}'
)


def test_the_envelope_byte_for_byte(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """Fields in AWS's order, compact, seconds without a fraction, the detail untouched."""
    subscribe(bus, queue, EVERYTHING)
    answer = events.put_events(
        Entries=[
            entry(
                bus,
                Source='s"hop\\',
                DetailType="pa\u00efd \U0001f4b6",
                Detail=DETAIL,
                Time=1_790_230_488.987,
                Resources=["arn:aws:s3:::shop", 'r"2'],
            )
        ]
    )
    (message,) = queue.receive(1)

    assert (
        f'{{"version":"0","id":"{answer["Entries"][0]["EventId"]}",'
        '"detail-type":"pa\u00efd \U0001f4b6","source":"s\\"hop\\\\",'
        f'"account":"{ACCOUNT}","time":"2026-09-24T06:14:48Z","region":"{EAST}",'
        f'"resources":["arn:aws:s3:::shop","r\\"2"],"detail":{DETAIL}}}'
    ) == message["Body"]


def test_without_time_and_resources(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """The time is the time of acceptance; the resources are an empty list."""
    subscribe(bus, queue, EVERYTHING)
    events.put_events(Entries=[entry(bus)])
    (event,) = queue.receive_events(1)
    now = datetime.fromtimestamp(SystemClock().now(), UTC)
    age = now - datetime.strptime(event["time"], "%Y-%m-%dT%H:%M:%S%z")

    assert timedelta(0) <= age < timedelta(minutes=1)
    assert [] == event["resources"]


@pytest.mark.parametrize("by", ["name", "arn"])
def test_the_bus_may_be_a_name_or_an_arn(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe, by: str
) -> None:
    """Both reach the same bus."""
    subscribe(bus, queue, EVERYTHING)
    arn = f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/{bus}"
    events.put_events(Entries=[entry(bus if by == "name" else arn)])

    assert 1 == len(queue.receive(1))


def test_the_default_bus_delivers(events: BaseClient, queue: QueueOf, name: str) -> None:
    """An entry without a bus goes to the default one."""
    pattern = json.dumps({"source": [name]})
    events.put_rule(Name=name, EventPattern=pattern)
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue.arn}])
    events.put_events(Entries=[{"Source": name, "DetailType": "t", "Detail": '{"n":1}'}])
    (event,) = queue.receive_events(1)
    events.remove_targets(Rule=name, Ids=["q"])
    events.delete_rule(Name=name)

    assert {"n": 1} == event["detail"]


def test_only_what_matches_is_delivered(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """The pattern decides for each event of a request."""
    subscribe(bus, queue, '{"source":["shop"],"detail":{"total":[{"numeric":[">",10]}]}}')
    totals = [5, 10, 10.5, 1e3]
    events.put_events(
        Entries=[
            entry(bus, Source="bank", Detail='{"total":99}'),
            *(entry(bus, Detail=json.dumps({"total": total})) for total in totals),
        ]
    )
    received = queue.receive_events(2)

    assert [10.5, 1e3] == [event["detail"]["total"] for event in received]
    assert queue.is_empty()


def test_two_rules_deliver_the_same_id(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """Each rule that matches delivers; the event is one and the same."""
    subscribe(bus, queue, EVERYTHING)
    events.put_rule(Name="second", EventBusName=bus, EventPattern='{"source":["shop"]}')
    events.put_targets(Rule="second", EventBusName=bus, Targets=[{"Id": "q", "Arn": queue.arn}])
    event_id = events.put_events(Entries=[entry(bus)])["Entries"][0]["EventId"]

    assert [event_id] * 2 == [event["id"] for event in queue.receive_events(2)]


def test_a_disabled_rule_delivers_nothing(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """What comes while a rule is disabled is not for it; what comes after is."""
    subscribe(bus, queue, EVERYTHING)
    rule = {"Name": bus, "EventBusName": bus, "EventPattern": EVERYTHING}
    events.put_rule(**rule, State="DISABLED")
    events.put_events(Entries=[entry(bus, Detail='{"n":1}')])
    # A second rule on the same bus shows that the event has been through.
    events.put_rule(Name="witness", EventBusName=bus, EventPattern=EVERYTHING)
    events.put_rule(**rule, State="ENABLED")
    events.put_events(Entries=[entry(bus, Detail='{"n":2}')])
    received = queue.receive_events(1)

    assert [{"n": 2}] == [event["detail"] for event in received]


def test_input_replaces_the_event(
    events: BaseClient, bus: str, queue: QueueOf, subscribe: Subscribe
) -> None:
    """A target with Input receives just that, byte for byte."""
    subscribe(bus, queue, EVERYTHING, Input='{"fixed": [1, 2.50]}')
    events.put_events(Entries=[entry(bus)])

    assert '{"fixed": [1, 2.50]}' == queue.receive(1)[0]["Body"]


def test_a_retry_of_the_sdk_is_the_same_event(
    deployment: Deployment,
    send: Send,
    signed_headers: SignedHeaders,
    bus: str,
    queue: QueueOf,
    subscribe: Subscribe,
) -> None:
    """The same invocation id and body, sent twice: the same event id, delivered once."""
    subscribe(bus, queue, EVERYTHING)
    body = json.dumps({"Entries": [entry(bus)]}).encode()
    answers = []
    for attempt in ("attempt=1; max=3", "attempt=2; max=3"):
        headers = signed_headers(
            deployment.url,
            headers={
                "content-type": "application/x-amz-json-1.1",
                "x-amz-target": "AWSEvents.PutEvents",
                "amz-sdk-invocation-id": f"invocation-{bus}",
                "amz-sdk-request": attempt,
            },
            body=body,
        )
        answers.append(send(deployment.url, headers=headers, body=body).body)
    received = queue.receive_events(1)

    assert answers[0] == answers[1]
    assert received[0]["id"] == json.loads(answers[0])["Entries"][0]["EventId"]
    assert queue.is_empty()


def test_a_target_that_is_gone_makes_a_dead_letter(
    events: BaseClient,
    bus: str,
    queue: QueueOf,
    name: str,
    make_queue: MakeQueue,
    subscribe: Subscribe,
) -> None:
    """The dead-letter queue gets what the target would have got, and why it did not."""
    target = make_queue(f"{name}-target")
    subscribe(bus, target, EVERYTHING, DeadLetterConfig={"Arn": queue.arn})
    target.sqs.delete_queue(QueueUrl=target.url)
    event_id = events.put_events(Entries=[entry(bus)])["Entries"][0]["EventId"]
    (letter,) = queue.receive(1)
    attributes = {
        key: (value["DataType"], value["StringValue"])
        for key, value in letter["MessageAttributes"].items()
    }
    message_type, message = attributes.pop("ERROR_MESSAGE")

    assert event_id == json.loads(letter["Body"])["id"]
    assert {
        "RULE_ARN": ("String", f"arn:aws:events:{EAST}:{ACCOUNT}:rule/{bus}/{bus}"),
        "TARGET_ARN": ("String", target.arn),
        "ERROR_CODE": ("String", "NO_RESOURCE"),
    } == attributes
    assert "String" == message_type
    assert message.startswith("The specified queue does not exist or you do not have access to it.")


def test_without_a_dead_letter_queue_the_others_still_get_theirs(
    events: BaseClient, bus: str, queue: QueueOf, name: str, subscribe: Subscribe
) -> None:
    """A target that is gone does not hold up its neighbour."""
    subscribe(bus, queue, EVERYTHING)
    gone = f"arn:aws:sqs:{EAST}:{ACCOUNT}:{name}-never-made"
    events.put_targets(Rule=bus, EventBusName=bus, Targets=[{"Id": "gone", "Arn": gone}])
    events.put_events(Entries=[entry(bus)])

    assert 1 == len(queue.receive(1))
