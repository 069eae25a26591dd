"""The server's one door: which call a request is, and in which protocol it is answered."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan import errors
from farspan.wire import protocols, spec
from farspan.wire.http import Request

if TYPE_CHECKING:
    from tests.unit.wire.conftest import BotocoreSide

FORM = "application/x-www-form-urlencoded"


def request(
    method: str = "POST", path: str = "/", body: bytes = b"", query: str = "", **headers: str
) -> Request:
    """Return a request; headers by keyword, underscores for hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Request(method=method, path=path, query=query, headers=named, body=body)


@pytest.mark.parametrize(
    ("sent", "service", "operation"),
    [
        (request(x_amz_target="AWSEvents.PutEvents"), "events", "PutEvents"),
        (request(x_amz_target="AmazonSQS.SendMessage"), "sqs", "SendMessage"),
        (request(path="/0/q", x_amz_target="AmazonSQS.PurgeQueue"), "sqs", "PurgeQueue"),
        (request("GET", "/2013-04-01/healthcheck"), "route53", "ListHealthChecks"),
        (
            request(body=b"Action=GetCallerIdentity&Version=2011-06-15", content_type=FORM),
            "sts",
            "GetCallerIdentity",
        ),
        (
            request("GET", query="Action=GetCallerIdentity&Version=2011-06-15"),
            "sts",
            "GetCallerIdentity",
        ),
    ],
)
def test_a_call_is_identified(sent: Request, service: str, operation: str) -> None:
    """By target, by path, or by form."""
    call = protocols.identify(sent)

    assert (service, operation) == (call.operation.service, call.operation.name)


@pytest.mark.parametrize(
    ("sent", "service", "message"),
    [
        (
            request(x_amz_target="AWSEvents.Nothing"),
            "events",
            "The operation 'Nothing' is not known to events.",
        ),
        (
            request(x_amz_target="AmazonSQS.Nothing"),
            "sqs",
            "The operation 'Nothing' is not known to sqs.",
        ),
        (
            request("GET", "/2013-04-01/nothing"),
            "route53",
            "The operation 'GET /2013-04-01/nothing' is not known to route53.",
        ),
        (
            request(body=b"Action=Nothing&Version=2011-06-15", content_type=FORM),
            "sts",
            "The operation 'Nothing' is not known to sts.",
        ),
        (
            request(x_amz_target="DynamoDB.ListTables"),
            None,
            "No service of this endpoint knows the requested operation 'DynamoDB.ListTables'.",
        ),
        (
            request("GET", x_amz_target="AWSEvents.PutEvents"),
            None,
            "No service of this endpoint knows the requested operation 'AWSEvents.PutEvents'.",
        ),
        (
            request(body=b"Action=ListUsers&Version=2000-01-01", content_type=FORM),
            None,
            "No service of this endpoint knows the requested operation 'ListUsers'.",
        ),
        (request(), None, "No service of this endpoint knows the requested operation."),
    ],
)
def test_an_unknown_operation_is_named(sent: Request, service: str | None, message: str) -> None:
    """Identifying never fails; asking for the operation, or decoding, does."""
    call = protocols.identify(sent)

    assert service == (None if call.service is None else call.service.name)
    with pytest.raises(errors.UnknownOperationException) as caught:
        protocols.decode(call, sent)
    assert caught.value.message == message


def test_a_message_does_not_echo_without_end() -> None:
    """An absurd target comes back cut."""
    call = protocols.identify(request(x_amz_target="x" * 10_000))

    assert len(call.action) == 128


@pytest.mark.parametrize(
    ("service", "operation", "error", "code", "status"),
    [
        ("events", "DescribeRule", "ResourceNotFoundException", "ResourceNotFoundException", 400),
        ("sqs", "PurgeQueue", "QueueDoesNotExist", "AWS.SimpleQueueService.NonExistentQueue", 400),
        ("route53", "GetHealthCheck", "NoSuchHealthCheck", "NoSuchHealthCheck", 404),
        ("sts", "GetCallerIdentity", "InvalidSignatureException", "SignatureDoesNotMatch", 403),
        ("sts", "GetCallerIdentity", "UnknownOperationException", "InvalidAction", 400),
    ],
)
def test_botocore_reads_our_errors(
    botocore_side: BotocoreSide, service: str, operation: str, error: str, code: str, status: int
) -> None:
    """Code, message, request id and status reach the SDK in every protocol."""
    call = protocols.Call(service=spec.service(service), action=operation)

    response = protocols.encode_error(call, getattr(errors, error)("What went wrong."), "req-1")
    parsed = botocore_side.parse(service, operation, response)

    assert status == response.status
    assert code == parsed["Error"]["Code"]
    assert parsed["Error"]["Message"] == "What went wrong."
    assert parsed["ResponseMetadata"]["RequestId"] == "req-1"


@pytest.mark.parametrize("call", [None, protocols.Call(service=None, action="x")])
def test_an_error_without_a_service_is_answered_as_events_would(
    call: protocols.Call | None,
) -> None:
    """JSON 1.1 is what a client of ours most likely reads."""
    response = protocols.encode_error(call, errors.UnknownOperationException("m"), "req-1")

    assert response.status == 404
    assert response.body == b'{"__type":"UnknownOperationException","message":"m"}'


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "content-type": st.sampled_from([FORM, "text/xml", ""]),
        "x-amz-target": st.sampled_from(
            ["AWSEvents.PutEvents", "AmazonSQS.SendMessage", "AWSEvents.", "", "."]
        )
        | st.text(max_size=20),
    },
)


@given(
    method=st.sampled_from(["GET", "POST", "DELETE", "\x00"]),
    path=st.sampled_from(["/", "", "/2013-04-01/", "/2013-04-01/healthcheck", "//", "/%ff"])
    | st.text(max_size=20).map("/2013-04-01/healthcheck/".__add__),
    query=st.text(max_size=20) | st.just("Action=AssumeRole&Version=2011-06-15"),
    headers=HEADERS,
    body=st.binary(max_size=60) | st.just(b"Action=AssumeRole&Version=2011-06-15"),
)
@settings(max_examples=400, deadline=None)
def test_any_request_gives_parameters_or_an_aws_error(
    method: str, path: str, query: str, headers: dict[str, str], body: bytes
) -> None:
    """Whatever arrives, the way in raises nothing but AwsError, and that can be answered."""
    sent = Request(method=method, path=path, query=query, headers=headers, body=body)
    call = protocols.identify(sent)
    try:
        assert isinstance(protocols.decode(call, sent), dict)
    except errors.AwsError as error:
        assert protocols.encode_error(call, error, "r").body  # noqa: PT017 (both are right)
