"""Many deliveries in one request: what goes together, and what becomes of each record."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from farspan.clock import SystemClock
from farspan.model.delivery import DELIVERED, Delivery, Verdict
from farspan.senders import outgoing_operations, sign_outgoing
from farspan.targets.aws_api import AwsApiTarget
from farspan.targets.aws_batches import BATCHES, outcomes_of, portions_of
from farspan.targets.aws_wire import ServiceUrl
from farspan.targets.call import Answer

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

PREFIX = "us-east-1:000000000000"
STREAM = f"arn:aws:kinesis:{PREFIX}:stream/s"
OTHER_STREAM = f"arn:aws:kinesis:{PREFIX}:stream/other"
HOSE = f"arn:aws:firehose:{PREFIX}:deliverystream/f"
TOPIC = f"arn:aws:sns:{PREFIX}:topic"
MACHINE = f"arn:aws:states:{PREFIX}:stateMachine:pay"
ARNS = {"kinesis": STREAM, "firehose": HOSE, "sns": TOPIC}
THROTTLED = ("ProvisionedThroughputExceededException", "slow down")


def delivery(number: int, target_arn: str = STREAM, size: int = 0, trace: str = "") -> Delivery:
    """Return a numbered delivery."""
    return Delivery(
        delivery_id=f"d{number}",
        event_id=f"e{number}",
        rule_arn="r",
        target_id="t",
        target_arn=target_arn,
        payload=f'{{"n":{number}}}'.encode().ljust(size),
        planned_at=0.0,
        trace_header=trace or None,
    )


def make_target(make_connector: MakeConnector, url: str) -> AwsApiTarget:
    """Return a target for the services with batches, at one URL."""
    return AwsApiTarget(
        make_connector(),
        {(s, one.name): one for s in BATCHES for one in outgoing_operations(s)},
        {s: ServiceUrl(url=url, access_key_id="a", secret_access_key="b") for s in BATCHES},
        lambda unsigned: sign_outgoing(unsigned, SystemClock().now()),
    )


@pytest.mark.parametrize(("service", "target_arn"), ARNS.items(), ids=ARNS)
def test_how_many_go_together(service: str, target_arn: str) -> None:
    """A request has as many records as the service takes, and the rest goes into the next."""
    most = BATCHES[service].count_max
    portions = portions_of([delivery(n, target_arn) for n in range(most + 3)])

    assert [most, 3] == [len(portion) for portion in portions]


def test_a_request_has_an_end() -> None:
    """Large events share fewer requests; one that is too large for any is sent alone."""
    sizes = [400_000, 400_000, 400_000, 2_000_000, 10]
    portions = portions_of([delivery(n, size=size) for n, size in enumerate(sizes)])

    assert [[0, 1], [2], [3], [4]] == portions


def test_what_does_not_go_together() -> None:
    """Targets are apart; so are the traces of what subscribers get, and kinds without batches."""
    deliveries = [
        delivery(0, STREAM, trace="Root=a"),
        delivery(1, OTHER_STREAM),
        delivery(2, STREAM, trace="Root=b"),
        delivery(3, TOPIC, trace="Root=a"),
        delivery(4, TOPIC, trace="Root=b"),
        delivery(5, TOPIC, trace="Root=a"),
        delivery(6, MACHINE),
        delivery(7, MACHINE),
    ]

    assert [[0, 2], [1], [3, 5], [4], [6], [7]] == portions_of(deliveries)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([STREAM, OTHER_STREAM, TOPIC, MACHINE, "none"]),
            st.integers(0, 300_000),
        ),
        max_size=40,
    )
)
def test_every_delivery_is_in_one_portion(sizes: list[tuple[str, int]]) -> None:
    """Whatever comes together, each delivery is sent once."""
    deliveries = [delivery(n, arn, size) for n, (arn, size) in enumerate(sizes)]
    portions = portions_of(deliveries)

    assert list(range(len(sizes))) == sorted(place for portion in portions for place in portion)


def records(service: str, refused: dict[int, tuple[str, str]], count: int) -> bytes:
    """Return an answer of a service that refuses some records."""
    if service == "sns":
        members = "".join(
            f"<member><Id>{n}</Id><Code>{code}</Code><Message>{text}</Message>"
            "<SenderFault>true</SenderFault></member>"
            for n, (code, text) in refused.items()
        )
        taken = "<Successful><member><Id>0</Id><MessageId>m</MessageId></member></Successful>"
        return f"<R><PublishBatchResult><Failed>{members}</Failed>{taken}</R>".encode()
    failed, listed = {
        "kinesis": ("FailedRecordCount", "Records"),
        "firehose": ("FailedPutCount", "RequestResponses"),
    }[service]
    entries: list[dict[str, Any]] = [
        {"ErrorCode": refused[n][0], "ErrorMessage": refused[n][1]}
        if n in refused
        else {"RecordId": "r", "SequenceNumber": "1"}
        for n in range(count)
    ]
    return json.dumps({failed: len(refused), listed: entries}).encode()


@pytest.mark.parametrize("service", BATCHES)
def test_what_becomes_of_each_record(service: str) -> None:
    """Of one request some records are taken, some may be taken later, some never."""
    body = records(service, {1: THROTTLED, 2: ("InvalidParameter", "no")}, 4)
    outcomes = outcomes_of(service, Answer(200, {}, body), 4)

    assert [DELIVERED, DELIVERED] == [outcomes[0], outcomes[3]]
    assert [(Verdict.RETRYABLE, "THROTTLING"), (Verdict.PERMANENT, "INVALID_PARAMETER")] == [
        (outcome.verdict, outcome.error_code) for outcome in outcomes[1:3]
    ]
    assert outcomes[1].error_message == (
        f"slow down (Service: {service}; Status Code: 200; Error Code: "
        "ProvisionedThroughputExceededException; Request ID: null; Proxy: null)"
    )


@pytest.mark.parametrize(
    ("service", "body"),
    [
        ("kinesis", b""),
        ("kinesis", b'{"FailedRecordCount":1,"Records":[{}]}'),
        ("firehose", b'{"FailedPutCount":1,"RequestResponses":[{},{},{"ErrorCode":"x"}]}'),
        ("sns", b"<Failed><member><Id>7</Id><Code>c</Code></member></Failed>"),
        ("sns", b"<Failed><member><Id>0</Id></member></Failed>"),
    ],
)
def test_an_answer_that_does_not_say(service: str, body: bytes) -> None:
    """Where nobody can tell which records were taken, all of them are sent again."""
    outcomes = outcomes_of(service, Answer(200, {}, body), 2)

    assert [(Verdict.RETRYABLE, "ERROR_FROM_TARGET")] * 2 == [
        (outcome.verdict, outcome.error_code) for outcome in outcomes
    ]


@pytest.mark.parametrize("service", BATCHES)
async def test_one_request(make_connector: MakeConnector, servers: Servers, service: str) -> None:
    """What a lane hands over goes out in one request, and only what was refused failed."""
    seen: list[tuple[str, str, str | None]] = []

    async def reply(request: web.Request) -> web.Response:
        target, body = request.headers.get("X-Amz-Target", ""), await request.text()
        seen.append((target, body, request.headers.get("X-Amzn-Trace-Id")))
        return web.Response(body=records(service, {1: THROTTLED}, 3))

    target = make_target(make_connector, await servers.serve(reply))
    sent = [delivery(n, ARNS[service], trace="Root=a") for n in range(3)]
    outcomes = await target.send(sent)
    ((name, body, trace),) = seen

    assert [DELIVERED, Verdict.RETRYABLE, DELIVERED] == [
        outcomes[0],
        outcomes[1].verdict,
        outcomes[2],
    ]
    if service == "sns":
        fields = parse_qs(body)
        assert ["PublishBatch"] == fields["Action"]
        assert ['{"n":2}'] == fields["PublishBatchRequestEntries.member.3.Message"]
        assert "Root=a" == trace
        return
    assert name.endswith(f".{BATCHES[service].operation}")
    assert trace is None
    data = [base64.b64decode(one["Data"]) for one in json.loads(body)["Records"]]
    assert [one.payload for one in sent] == data


async def test_a_request_that_is_refused(make_connector: MakeConnector, servers: Servers) -> None:
    """One record that the service refuses costs its neighbours nothing: each is sent alone."""
    seen: list[str] = []

    async def reply(request: web.Request) -> web.Response:
        seen.append(request.headers["X-Amz-Target"].partition(".")[2])
        body = await request.json()
        data = [one["Data"] for one in body.get("Records", [body])]
        is_bad = any(b'"n":1}' in base64.b64decode(one) for one in data)
        refused = json.dumps({"__type": "ValidationException", "message": "too long"})
        return web.Response(status=400, text=refused) if is_bad else web.Response(text="{}")

    target = make_target(make_connector, await servers.serve(reply))
    outcomes = await target.send([delivery(n) for n in range(3)])

    assert ["PutRecords", "PutRecord", "PutRecord", "PutRecord"] == seen
    assert [DELIVERED, "INVALID_PARAMETER", DELIVERED] == [
        outcomes[0],
        outcomes[1].error_code,
        outcomes[2],
    ]


async def test_a_service_that_fails(make_connector: MakeConnector, servers: Servers) -> None:
    """A request that fails as a whole fails each of its records alike, and none is sent alone."""
    count = 0

    async def reply(_request: web.Request) -> web.Response:
        nonlocal count
        count += 1
        return web.Response(status=503)

    target = make_target(make_connector, await servers.serve(reply))
    outcomes = await target.send([delivery(n) for n in range(3)])

    assert (1, {Verdict.RETRYABLE}) == (count, {outcome.verdict for outcome in outcomes})
