"""Who may call: signatures of both kinds, as boto3 makes them and as it would not."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, GlobalEndpoint, Send, SignedHeaders

EAST, WEST = "us-east-1", "us-west-2"
ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
Refusal = Callable[..., tuple[str, str]]

MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method. "
    "Consult the service documentation for details."
)
CODES_IN_XML = {
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "UnrecognizedClientException": "InvalidClientTokenId",
}
"""What the services that speak XML call the same errors."""

CALLS = pytest.mark.parametrize(
    ("service", "method", "params"),
    [
        ("events", "list_event_buses", {}),
        ("events", "put_events", {"Entries": [ENTRY]}),
        ("events", "put_events", {"Entries": [ENTRY], "EndpointId": "{endpoint}"}),
        ("events", "put_events", {"Entries": [ENTRY], "EndpointId": "aaaaaaaaaa.veo"}),
        ("sqs", "list_queues", {}),
        ("route53", "list_health_checks", {}),
        ("sts", "get_caller_identity", {}),
    ],
    ids=[
        "events",
        "PutEvents",
        "PutEvents-endpoint",
        "PutEvents-unknown-endpoint",
        "sqs",
        "route53",
        "sts",
    ],
)


def code_of(service: str, code: str) -> str:
    """Return an error's code as a service words it."""
    return CODES_IN_XML[code] if service in {"route53", "sts"} else code


def filled(params: dict[str, Any], endpoint: GlobalEndpoint) -> dict[str, Any]:
    """Return the parameters with the endpoint's id in place."""
    if params.get("EndpointId") == "{endpoint}":
        return params | {"EndpointId": endpoint.endpoint_id}
    return params


@CALLS
def test_a_wrong_secret(
    client: Callable[..., BaseClient],
    endpoint: GlobalEndpoint,
    refusal: Refusal,
    service: str,
    method: str,
    params: dict[str, Any],
) -> None:
    """SigV4 or SigV4A, the signature does not match."""
    made = client(service, key=("test", "guess"))

    assert (code_of(service, "InvalidSignatureException"), MISMATCH) == refusal(
        getattr(made, method), **filled(params, endpoint)
    )


@CALLS
def test_an_unknown_key(
    client: Callable[..., BaseClient],
    endpoint: GlobalEndpoint,
    refusal: Refusal,
    service: str,
    method: str,
    params: dict[str, Any],
) -> None:
    """A key that is not configured is nobody's."""
    made = client(service, key=("AKIAIOSFODNN7EXAMPLE", "test"))

    assert (
        code_of(service, "UnrecognizedClientException"),
        "The security token included in the request is invalid.",
    ) == refusal(getattr(made, method), **filled(params, endpoint))


JSON = {"content-type": "application/x-amz-json-1.1", "x-amz-target": "AWSEvents.PutEvents"}
BODY = b'{"Entries":[{"Source":"s","DetailType":"t","Detail":"{}"}]}'
FORM = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}


@pytest.mark.parametrize(
    ("method", "path", "headers", "body"),
    [
        ("POST", "/", JSON, BODY),
        ("POST", "/", JSON, BODY[:-1] + b',"EndpointId":"aaaaaaaaaa.veo"}'),
        ("POST", "/", {**JSON, "x-amz-target": "AWSEvents.ListEventBuses"}, b"{}"),
        ("POST", "/", {**JSON, "x-amz-target": "AmazonSQS.ListQueues"}, b"{}"),
        ("GET", "/2013-04-01/healthcheck", {}, b""),
        ("POST", "/", FORM, b"Action=GetCallerIdentity&Version=2011-06-15"),
        ("GET", "/_farspan/status", {}, b""),
        ("POST", "/_farspan/peer/report", {}, b""),
        ("POST", "/_farspan/peer/stream", {}, b""),
    ],
    ids=[
        "PutEvents",
        "PutEvents-unknown-endpoint",
        "events",
        "sqs",
        "route53",
        "sts",
        "status",
        "peer-report",
        "peer-stream",
    ],
)
@pytest.mark.parametrize("region", [None, EAST], ids=["edge", "region"])
def test_unsigned(
    deployment: Deployment,
    send: Send,
    region: str | None,
    method: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
) -> None:
    """What is not signed is not served, whoever is asked, with status 403."""
    reply = send(deployment.url_of(region), method, path, headers=headers, body=body)

    assert 403 == reply.status
    assert b"MissingAuthenticationToken" in reply.body
    assert b"Missing Authentication Token" in reply.body


@pytest.mark.parametrize(
    ("seconds_ago", "words"),
    [(301, None), (299, "fine"), (3_600, "Signature expired: "), (-3_600, "Signature not yet")],
    ids=["five-minutes", "just-under", "an-hour-late", "an-hour-early"],
)
def test_clock_skew(
    deployment: Deployment,
    send: Send,
    signed_headers: SignedHeaders,
    seconds_ago: float,
    words: str | None,
) -> None:
    """A signature holds for five minutes in either direction."""
    headers = signed_headers(deployment.url, headers=JSON, body=BODY, seconds_ago=seconds_ago)
    reply = send(deployment.url, headers=headers, body=BODY)

    if words == "fine":
        assert 200 == reply.status
    else:
        assert (403, "InvalidSignatureException") == (reply.status, reply.error["__type"])
        assert reply.error["message"].startswith(words or "Signature expired: ")


@pytest.mark.parametrize(
    "change",
    [
        {"body": BODY.replace(b'"s"', b'"x"')},
        {"headers": {"x-amz-target": "AWSEvents.DeleteEventBus"}},
        {"path": "/?x=1"},
        {"headers": {"x-amz-security-token": "t"}},
    ],
    ids=["body", "operation", "query", "session-token"],
)
def test_what_was_changed_on_the_way(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders, change: dict[str, Any]
) -> None:
    """The signature covers the body, the operation and the path."""
    headers = signed_headers(deployment.url, headers=JSON, body=BODY)
    reply = send(
        deployment.url,
        path=change.get("path", "/"),
        headers=headers | change.get("headers", {}),
        body=change.get("body", BODY),
    )

    assert (403, "InvalidSignatureException") == (reply.status, reply.error["__type"])


def test_two_authorization_headers(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders
) -> None:
    """Which of two would count must not depend on who reads: both are refused."""
    headers = signed_headers(deployment.url, headers=JSON, body=BODY)
    twice = (*headers.items(), ("authorization", headers["authorization"]))
    reply = send(deployment.url, headers=twice, body=BODY)

    assert (400, "IncompleteSignatureException") == (reply.status, reply.error["__type"])
    assert "The Authorization header must be sent once." == reply.error["message"]


def test_the_service_must_be_right(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders
) -> None:
    """A signature for one service is none for another."""
    headers = signed_headers(deployment.url, headers=JSON, body=BODY, service="sqs")
    reply = send(deployment.url, headers=headers, body=BODY)

    assert "InvalidSignatureException" == reply.error["__type"]
    assert "Credential should be scoped to correct service: 'events'." == reply.error["message"]


def test_a_region_that_is_none_of_the_deployment(
    client: Callable[..., BaseClient], refusal: Refusal
) -> None:
    """One sentence says which Regions there are."""
    for service, method in (("events", "list_event_buses"), ("sqs", "list_queues")):
        assert (
            "ValidationException",
            f"Region eu-west-1 is none of this deployment ({EAST}, {WEST}). "
            "Use one of these, or add it to the configuration.",
        ) == refusal(getattr(client(service, "eu-west-1"), method))


@pytest.mark.parametrize("service", ["route53", "sts"])
def test_global_services_take_any_region(client: Callable[..., BaseClient], service: str) -> None:
    """SDKs sign Route 53 and STS for whatever Region they are set to."""
    method = {"route53": "list_health_checks", "sts": "get_caller_identity"}[service]
    answer = getattr(client(service, "eu-west-1"), method)()

    assert 200 == answer["ResponseMetadata"]["HTTPStatusCode"]


@pytest.mark.parametrize(
    ("region_set", "fits"),
    [
        ("*", True),
        (EAST, True),
        (f"{WEST},{EAST}", True),
        ("us-*", True),
        ("us-east-*,eu-*", True),
        (WEST, False),
        ("eu-*", False),
        ("us-east-11", False),
    ],
)
def test_the_region_set_has_to_hold_the_serving_region(
    client: Callable[..., BaseClient],
    endpoint: GlobalEndpoint,
    refusal: Refusal,
    region_set: str,
    fits: bool,
) -> None:
    """SigV4A names Regions in a header: exactly, by wildcard, or all."""
    events = client("events", sigv4a_signing_region_set=region_set)
    put = {"EndpointId": endpoint.endpoint_id, "Entries": [{**ENTRY, "Source": "region-set"}]}

    if fits:
        assert 0 == events.put_events(**put)["FailedEntryCount"]
        for queue in endpoint.queues.values():
            queue.receive(1)
    else:
        assert (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region.",
        ) == refusal(events.put_events, **put)


def test_plain_sigv4_works_for_the_serving_region_alone(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint, refusal: Refusal
) -> None:
    """Without SigV4A the scope's Region has to be the one in use."""
    put = {"EndpointId": endpoint.endpoint_id, "Entries": [{**ENTRY, "Source": "plain"}]}
    answer = client("events", EAST, signature_version="v4").put_events(**put)
    for queue in endpoint.queues.values():
        queue.receive(1)

    assert 0 == answer["FailedEntryCount"]
    assert (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
    ) == refusal(client("events", WEST, signature_version="v4").put_events, **put)


def test_anonymous_boto3(client: Callable[..., BaseClient], refusal: Refusal) -> None:
    """A client that is told not to sign is told so."""
    from botocore import UNSIGNED

    assert ("MissingAuthenticationTokenException", "Missing Authentication Token") == refusal(
        client("events", signature_version=UNSIGNED).list_event_buses
    )
