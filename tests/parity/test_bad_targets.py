"""Bad targets beside a good one: each event reaches the good one, and each failure has a reason."""

from __future__ import annotations

import collections
import json
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from farspan.config import TargetsConfig

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually

EAST, ACCOUNT, KEY = "us-east-1", "000000000000", ("test", "test")
EVENT_COUNT = 6
REASONS = {
    "half-open": "TIMEOUT",
    "storm": "THROTTLING",
    "drip": "TIMEOUT",
    "refused": "CONNECTION_FAILURE",
}
"""How the deliveries to each target end that has no retries."""


@dataclass(slots=True)
class Street:
    """An HTTPS server whose paths are targets of different manners."""

    url: str = ""
    seen: list[int] = field(default_factory=list)
    is_over: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def street(certificate: Path) -> Iterator[Street]:
    """A server on loopback: /good answers, /half-open never, /storm refuses, /drip without end."""
    street = Street()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.path == "/half-open":
                street.is_over.wait(20)
                return
            self.send_response(429 if self.path == "/storm" else 200)
            self.send_header("Retry-After", "1")
            self.send_header("Content-Length", "1000000" if self.path == "/drip" else "0")
            self.end_headers()
            while self.path == "/drip" and not street.is_over.wait(0.5):
                self.wfile.write(b"x")
            if self.path == "/good":
                street.seen.append(json.loads(body)["detail"]["n"])

        def log_message(self, *_arguments: object) -> None:
            return

    class Quiet(ThreadingHTTPServer):
        def handle_error(self, *_arguments: object) -> None:
            return  # clients that hung up

    server = Quiet(("127.0.0.1", 0), Answering)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    # The handshake is the connection's own thread's: nobody waits for another's.
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    street.url = f"https://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield street
    street.is_over.set()
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def refused_url() -> Iterator[str]:
    """A port that is bound, so that nobody takes it, and refuses connections."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield f"https://127.0.0.1:{bound.getsockname()[1]}/refused"


@pytest.fixture(scope="module")
def guarded(deployed: Callable[..., Deployment], certificate: Path) -> Deployment:
    """A Region that lets targets be on this machine and trusts the server's certificate."""
    return deployed(targets=TargetsConfig(allow_private=("127.0.0.0/8",), ca_file=str(certificate)))


def build(events: Any, sqs: Any, name: str, urls: dict[str, str]) -> str:
    """Make a rule with an API destination for each URL; return the dead-letter queue's URL."""
    connection = events.create_connection(
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}},
    )["ConnectionArn"]
    queue_url: str = sqs.create_queue(QueueName=name)["QueueUrl"]
    events.create_event_bus(Name=name)
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source":["s"]}')
    targets = [
        {
            "Id": target_id,
            "Arn": events.create_api_destination(
                Name=f"{name}-{target_id}",
                ConnectionArn=connection,
                InvocationEndpoint=url,
                HttpMethod="POST",
            )["ApiDestinationArn"],
            "RoleArn": f"arn:aws:iam::{ACCOUNT}:role/invoke",
            **({} if target_id == "good" else {"RetryPolicy": {"MaximumRetryAttempts": 0}}),
            "DeadLetterConfig": {"Arn": f"arn:aws:sqs:{EAST}:{ACCOUNT}:{name}"},
        }
        for target_id, url in urls.items()
    ]
    assert not events.put_targets(Rule=name, EventBusName=name, Targets=targets)["FailedEntryCount"]
    return queue_url


def test_g3_g10_bad_targets_end_with_a_reason_and_their_neighbour_gets_all(
    street: Street,
    refused_url: str,
    guarded: Deployment,
    client_of: ClientFactory,
    name: str,
    eventually: Eventually,
) -> None:
    """Half-open, throttling, endless and refusing targets: dead letters for them, events for it."""
    events, sqs = (client_of(guarded.url, service, EAST, KEY) for service in ("events", "sqs"))
    urls = {path: f"{street.url}/{path}" for path in ("good", "half-open", "storm", "drip")}
    queue_url = build(events, sqs, name, {**urls, "refused": refused_url})
    for number in range(EVENT_COUNT):
        entry = {
            "Source": "s",
            "DetailType": "t",
            "Detail": json.dumps({"n": number}),
            "EventBusName": name,
        }
        assert events.put_events(Entries=[entry])["FailedEntryCount"] == 0
    eventually(lambda: len(set(street.seen)) >= EVENT_COUNT, 20)
    letters: list[tuple[str, str, int]] = []

    def receive() -> bool:
        reply = sqs.receive_message(
            QueueUrl=queue_url,
            MaxNumberOfMessages=10,
            WaitTimeSeconds=1,
            MessageAttributeNames=["All"],
        )
        for message in reply.get("Messages", []):
            told = {n: one["StringValue"] for n, one in message["MessageAttributes"].items()}
            target_id = told["TARGET_ARN"].split("/")[1].removeprefix(f"{name}-")
            number = json.loads(message["Body"])["detail"]["n"]
            letters.append((target_id, told["ERROR_CODE"], number))
        return len(letters) >= EVENT_COUNT * len(REASONS)

    eventually(receive, 20)

    assert set(street.seen) == set(range(EVENT_COUNT))
    assert collections.Counter(letters) == collections.Counter(
        (target_id, code, number)
        for target_id, code in REASONS.items()
        for number in range(EVENT_COUNT)
    )
