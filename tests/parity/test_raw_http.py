"""What no SDK sends: the node answers in one sentence, and never shows its insides."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Reply, Send, SignedHeaders

EAST, WEST = "us-east-1", "us-west-2"
NODES = pytest.mark.parametrize("node", [None, EAST], ids=["edge", "region"])
JSON = {"content-type": "application/x-amz-json-1.1"}
PUT = {**JSON, "x-amz-target": "AWSEvents.PutEvents"}
ENTRY = '{"Source":"s","DetailType":"t","Detail":"{}"'
SignedSend = Callable[..., "Reply"]


def check_sentence(reply: Reply) -> None:
    """Assert that an answer shows neither a stack trace nor HTML, and says something."""
    assert b"Traceback" not in reply.body
    assert b'File "' not in reply.body
    assert b"<html" not in reply.body.lower()
    assert reply.body
    assert reply.headers["content-length"] == str(len(reply.body))


@pytest.fixture
def signed_send(deployment: Deployment, send: Send, signed_headers: SignedHeaders) -> SignedSend:
    """Send a signed request to a node."""

    def signed_send(
        body: bytes = b"",
        headers: dict[str, str] = PUT,
        method: str = "POST",
        path: str = "/",
        *,
        node: str | None = None,
        service: str = "events",
    ) -> Reply:
        url = deployment.url_of(node)
        made = signed_headers(url, method, path, headers=headers, body=body, service=service)
        return send(url, method, path, headers=made, body=body)

    return signed_send


@NODES
@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        (b"{", "SerializationException", "The request body is not valid JSON: "),
        (b"\xff\xfe", "SerializationException", "The request body is not valid JSON: "),
        (b"[]", "SerializationException", "The request body is not a JSON object."),
        (b'"text"', "SerializationException", "The request body is not a JSON object."),
        (b'{"Entries":{}}', "SerializationException", "Expected a list or null"),
        (b'{"Entries":[1]}', "SerializationException", "Expected a structure or null"),
        (
            b'{"Entries":[' + ENTRY.encode() + b',"Time":"yesterday"}]}',
            "SerializationException",
            "STRING_VALUE can not be converted to milliseconds since epoch "
            "(at 'entries.1.member.time')",
        ),
        (b"[" * 100_000, "SerializationException", "The request body is "),
        (b'{"Entries":' + b"[" * 100_000, "SerializationException", "The request body is "),
        (
            b"",
            "ValidationException",
            "1 validation error detected: Value null at 'entries' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            b'{"Entries":null}',
            "ValidationException",
            "1 validation error detected: Value null at 'entries' failed to satisfy constraint: "
            "Member must not be null",
        ),
        (
            b'{"Entries":[null]}',
            "ValidationException",
            "1 validation error detected: Value null at 'entries.1.member' failed to satisfy "
            "constraint: Member must not be null",
        ),
        (
            b'{"Entries":[' + ENTRY.encode() + b'}],"EndpointId":1}',
            "SerializationException",
            "NUMBER_VALUE can not be converted to a String",
        ),
    ],
    ids=[
        "cut-off",
        "no-utf-8",
        "list",
        "text",
        "entries-an-object",
        "entry-a-number",
        "time-a-word",
        "nested-too-deep",
        "entries-nested-too-deep",
        "empty",
        "null",
        "null-entry",
        "endpoint-id-a-number",
    ],
)
def test_bodies_that_cannot_be_read(
    signed_send: SignedSend, node: str | None, body: bytes, code: str, words: str
) -> None:
    """400, the protocol's error, and what is wrong with the body."""
    reply = signed_send(body, node=node)

    check_sentence(reply)
    assert (400, code) == (reply.status, reply.error["__type"])
    assert reply.error["message"].startswith(words)


@pytest.mark.parametrize(
    ("seconds", "status"),
    [
        (-62_135_596_800, 200),
        (-0.5, 200),
        (0, 200),
        (253_402_300_799, 200),
        (-62_135_596_801, 400),
        (253_402_300_800, 400),
        (1e300, 400),
    ],
)
def test_times_at_the_edge_of_the_calendar(
    signed_send: SignedSend, seconds: float, status: int
) -> None:
    """The years 1 to 9999 can be written as a date; what lies beyond them is no timestamp."""
    reply = signed_send(f'{{"Entries":[{ENTRY},"Time":{seconds!r}}},{ENTRY}}}]}}'.encode())

    assert status == reply.status
    assert status == 200 or reply.error["__type"] == "SerializationException"


def test_unknown_members_are_ignored(signed_send: SignedSend) -> None:
    """A newer SDK may send what this model does not know."""
    body = f'{{"Entries":[{ENTRY},"New":{{"a":[1]}}}}],"Newer":1}}'.encode()

    assert 0 == json.loads(signed_send(body).body)["FailedEntryCount"]


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({"x-amz-target": "AWSEvents.PutEvents", "content-type": "text/plain"}, True),
        ({"x-amz-target": "AWSEvents.PutEvents"}, True),
        ({"x-amz-target": "AWSEvents.PutEvents", "content-type": "application/json"}, True),
    ],
    ids=["text", "none", "json"],
)
def test_the_content_type_does_not_matter(
    signed_send: SignedSend, headers: dict[str, str], body: bool
) -> None:
    """The target says what the body is."""
    reply = signed_send(f'{{"Entries":[{ENTRY}}}]}}'.encode(), headers)

    assert 200 == reply.status


@NODES
@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 404),
        ("POST", "/", {}, 404),
        ("GET", "/favicon.ico", {}, 404),
        ("GET", "/..%2f..%2fetc/passwd", {}, 404),
        ("GET", "/%ff%00", {}, 404),
        ("PUT", "/", {"x-amz-target": "AWSEvents.PutEvents"}, None),
        ("GET", "/", {"x-amz-target": "AWSEvents.ListRules"}, 404),
        ("POST", "/", {"x-amz-target": "AWSEvents.MakeCoffee"}, 404),
        ("POST", "/", {"x-amz-target": "AWSEvents."}, 404),
        ("POST", "/", {"x-amz-target": "Coffee.Make"}, 404),
        ("POST", "/", {"x-amz-target": "x" * 5_000}, 404),
        ("DELETE", "/2013-04-01/healthcheck", {}, 400),
        ("GET", "/2013-04-01/coffee", {}, 400),
        ("GET", "/_farspan/", {}, 404),
        ("GET", "/_farspan/coffee", {}, 404),
    ],
    ids=[
        "get",
        "post",
        "favicon",
        "dots",
        "no-utf-8",
        "put-events-by-put",
        "target-by-get",
        "unknown-operation",
        "empty-operation",
        "unknown-service",
        "long-target",
        "route53-method",
        "route53-path",
        "own-root",
        "own-page",
    ],
)
def test_requests_for_nothing(
    deployment: Deployment,
    send: Send,
    node: str | None,
    method: str,
    path: str,
    headers: dict[str, str],
    status: int | None,
) -> None:
    """What names no operation is refused without a signature, shortly."""
    reply = send(deployment.url_of(node), method, path, headers=headers)

    check_sentence(reply)
    assert status in (None, reply.status)
    assert 400 <= reply.status < 500
    assert len(reply.body) < 1_000


def test_the_unknown_operation_is_named(deployment: Deployment, send: Send) -> None:
    """The message repeats what was asked for."""
    reply = send(deployment.url, headers={"x-amz-target": "AWSEvents.MakeCoffee"})

    assert {
        "__type": "UnknownOperationException",
        "message": "The operation 'MakeCoffee' is not known to events.",
    } == reply.error


@NODES
def test_every_error_has_a_request_id(deployment: Deployment, send: Send, node: str | None) -> None:
    """A caller can quote it."""
    reply = send(deployment.url_of(node), headers=PUT, body=b"{}")

    assert 36 == len(reply.headers["x-amzn-requestid"])


class TestTooLarge:
    """Bodies beyond any valid request."""

    @NODES
    def test_just_beyond_four_mebibytes(self, deployment: Deployment, node: str | None) -> None:
        """413 with a sentence, and the same connection serves the next request."""
        host = urlsplit(deployment.url_of(node)).netloc
        connection = http.client.HTTPConnection(host, timeout=20)
        try:
            connection.request("POST", "/", b"x" * (4 * 1024 * 1024 + 1), PUT)
            answer = connection.getresponse()
            error = json.loads(answer.read())
            connection.request("GET", "/healthz")
            after = connection.getresponse()
            after.read()
        finally:
            connection.close()

        assert (413, 200) == (answer.status, after.status)
        assert "RequestEntityTooLargeException" == error["__type"]
        assert error["message"] == (
            "The request's body is larger than 4194304 bytes, and nothing of it was taken. "
            "Send fewer or smaller entries."
        )

    def test_in_xml(self, deployment: Deployment, send: Send) -> None:
        """Route 53's clients read it in their own protocol."""
        body = b"x" * (4 * 1024 * 1024 + 1)
        reply = send(deployment.url, "POST", "/2013-04-01/healthcheck", body=body)

        assert 413 == reply.status
        assert b"<Code>RequestEntityTooLarge</Code>" in reply.body

    def test_four_mebibytes_are_looked_at(self, signed_send: SignedSend) -> None:
        """At the limit the body is read, and refused for what it says."""
        body = b'{"Entries":[]}'.ljust(4 * 1024 * 1024)
        reply = signed_send(body)

        assert (400, "ValidationException") == (reply.status, reply.error["__type"])


# --- the node's own pages --------------------------------------------------------------------


@pytest.mark.parametrize("node", [None, EAST, WEST], ids=["edge", EAST, WEST])
def test_liveness(deployment: Deployment, send: Send, node: str | None) -> None:
    """/healthz says that the process answers, and which node it is."""
    reply = send(deployment.url_of(node), "GET", "/healthz")

    assert (200, {"status": "ok", "node": node or "edge"}) == (
        reply.status,
        json.loads(reply.body),
    )


def test_a_region_can_ingest(deployment: Deployment, send: Send) -> None:
    """/health/ingest appends to the log and says how long that took."""
    reply = send(deployment.url_of(EAST), "GET", "/health/ingest")
    found = json.loads(reply.body)

    assert (200, "ok") == (reply.status, found["status"])
    assert found["append_ms"] >= 0


def test_an_edge_cannot_ingest(deployment: Deployment, send: Send) -> None:
    """An edge has no log: 404."""
    reply = send(deployment.url, "GET", "/health/ingest")

    assert 404 == reply.status
    assert {"status": "no ingest here: this node is an edge"} == json.loads(reply.body)


@pytest.mark.parametrize("node", [None, EAST], ids=["edge", "region"])
def test_the_status_needs_a_signature(
    signed_send: SignedSend, deployment: Deployment, send: Send, node: str | None
) -> None:
    """Anyone with a key may read it, nobody else."""
    reply = signed_send(b"", {}, "GET", "/_farspan/status", node=node)

    assert 403 == send(deployment.url_of(node), "GET", "/_farspan/status").status
    assert (200, node) == (reply.status, json.loads(reply.body)["region"])


@NODES
@pytest.mark.parametrize("path", ["/_farspan/peer/report", "/_farspan/peer/stream"])
@pytest.mark.parametrize("service", ["events", "farspan"])
def test_peers_alone_talk_to_peers(
    signed_send: SignedSend, node: str | None, path: str, service: str
) -> None:
    """A user's key opens neither reports nor streams."""
    reply = signed_send(b"", {}, "POST", path, node=node, service=service)

    assert (403, "UnrecognizedClientException") == (reply.status, reply.error["__type"])


def test_the_nodes_key_is_no_users(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders
) -> None:
    """The key with which nodes sign is worth nothing at the API."""
    key = ("farspan_node", deployment.config.cluster_secret)
    body = f'{{"Entries":[{ENTRY}}}]}}'.encode()
    headers = signed_headers(deployment.url, headers=PUT, body=body, key=key)
    reply = send(deployment.url, headers=headers, body=body)

    assert (403, "UnrecognizedClientException") == (reply.status, reply.error["__type"])


def test_a_stream_request_that_is_nonsense(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders
) -> None:
    """Even a peer is told what is wrong."""
    key = ("farspan_node", deployment.config.cluster_secret)
    url, path = deployment.url_of(EAST), "/_farspan/peer/stream"
    headers = signed_headers(url, path=path, body=b"\xc1", key=key, service="farspan")
    reply = send(url, path=path, headers=headers, body=b"\xc1")

    check_sentence(reply)
    assert (400, "ValidationException") == (reply.status, reply.error["__type"])


@NODES
@pytest.mark.parametrize(
    "garbage",
    [b"\x16\x03\x01\x02\x00\x01\x00", b"GET\r\n\r\n", b"GET / HTTP/1.1\r\nno colon\r\n\r\n"],
    ids=["tls", "no-path", "no-header"],
)
def test_what_is_no_http(deployment: Deployment, node: str | None, garbage: bytes) -> None:
    """The connection ends with 400, and the node goes on."""
    address = urlsplit(deployment.url_of(node))
    with socket.create_connection((address.hostname, address.port), timeout=10) as connection:
        connection.sendall(garbage)
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(4_096), b""))

    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b"Traceback" not in answer


def test_many_at_once(deployment: Deployment, send: Send) -> None:
    """Connections do not get in each other's way."""
    statuses: list[int] = []

    def ask() -> None:
        statuses.append(send(deployment.url, "GET", "/healthz").status)

    threads = [threading.Thread(target=ask) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [200] * 20 == statuses
