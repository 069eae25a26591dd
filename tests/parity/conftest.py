"""A deployment of two Regions and an edge in this process, and boto3 as its client.

The nodes are real: stores on disk, HTTP on loopback ports, signatures checked. Only processes are
missing. Tests see nothing but the API, so that what passes here would pass against AWS, or is
named as Farspan's own choice.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
import uvloop
from botocore.config import Config as BotoConfig
from botocore.exceptions import ClientError

from farspan.app import Node, open_node
from farspan.clock import SystemClock
from farspan.config import DEFAULT_ACCOUNT, Config, Credential, HealthConfig, NodeConfig
from farspan.serving import http_server
from farspan.store.memory import MemoryStore
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

EAST, WEST = "us-east-1", "us-west-2"
OTHER_ACCOUNT, CROWDED_ACCOUNT = "111111111111", "222222222222"
TIME_SCALE = 20.0
START_SECONDS_MAX = 20.0
PAUSE_SECONDS = 0.02

CREDENTIALS = (
    Credential(),
    Credential(access_key_id="other", secret_access_key="other-secret", account_id=OTHER_ACCOUNT),
    Credential(
        access_key_id="crowded", secret_access_key="crowded-secret", account_id=CROWDED_ACCOUNT
    ),
)

_numbers = itertools.count(1)


@dataclass(slots=True)
class Deployment:
    """Nodes that run in one background thread, on an event loop of their own."""

    config: Config
    data: Path | None
    _sockets: list[socket.socket]
    _running: Future[None] = field(default_factory=Future)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _loop: asyncio.AbstractEventLoop | None = None
    _stop: asyncio.Event | None = None
    _thread: threading.Thread | None = None
    _serving: dict[str, tuple[Node, Any, asyncio.Task[None]]] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """The one URL that clients are given: the edge's, or the only node's."""
        return self.config.nodes[0].url

    def url_of(self, region: str | None) -> str:
        """The URL of a Region's node, or of the edge."""
        return next(node.url for node in self.config.nodes if node.region == region)

    def start(self) -> None:
        """Run the nodes; return when all of them answer."""
        self._thread = threading.Thread(target=self._run, name="deployment")
        self._thread.start()
        self._running.result(START_SECONDS_MAX)

    def _run(self) -> None:
        try:
            with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._running.done():
                raise
            self._running.set_exception(error)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        nodes = zip(self.config.nodes, self._sockets, strict=True)
        opened = [(await self._open(node), bound) for node, bound in nodes]
        for node, bound in opened:
            self._serve_one(node, bound)
        self._running.set_result(None)
        await self._stop.wait()
        for name in list(self._serving):
            await self._stop_one(name)

    async def _open(self, node: NodeConfig) -> Node:
        in_memory = self.data is None and node.region
        store = MemoryStore() if in_memory else None
        return await open_node(self.config, node, self.data, store=store)

    def _serve_one(self, node: Node, bound: socket.socket) -> None:
        server = http_server(node)
        node.start()
        task = asyncio.create_task(server.serve(sockets=[bound]))
        self._serving[node.node.name] = (node, server, task)

    async def _stop_one(self, name: str) -> None:
        node, server, task = self._serving.pop(name)
        server.should_exit = True
        await task
        await node.close()

    async def _start_one(self, name: str) -> None:
        config = self.config.node_named(name)
        assert config is not None, f"there is no node {name}"
        port = int(config.url.rpartition(":")[2])
        self._serve_one(await self._open(config), socket.create_server(("127.0.0.1", port)))

    def stop_node(self, name: str) -> None:
        """Stop one node: its port refuses connections from then on."""
        assert self._loop is not None, "a deployment is started before a node is stopped"
        asyncio.run_coroutine_threadsafe(self._stop_one(name), self._loop).result(20)

    def start_node(self, name: str) -> None:
        """Start a node again on its port, with what it has on disk."""
        assert self._loop is not None, "a deployment is started before a node is"
        asyncio.run_coroutine_threadsafe(self._start_one(name), self._loop).result(20)

    def stop(self) -> None:
        """Stop the nodes in order and wait for it."""
        assert self._loop is not None, "a deployment is started before it is stopped"
        assert self._stop is not None, "a deployment is started before it is stopped"
        assert self._thread is not None, "a deployment is started before it is stopped"
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(START_SECONDS_MAX)
        assert not self._thread.is_alive(), "the deployment did not stop"


def deploy(
    regions: tuple[str, ...], *, edge: bool | int, auth: bool, data: Path | None, **more: Any
) -> Deployment:
    """Start a deployment on free loopback ports; `more` are settings of its configuration.

    `edge` says whether there is one, or how many there are: `edge`, `edge-2` and so on.
    """
    places = [(f"edge-{n}" if n > 1 else "edge", None) for n in range(1, int(edge) + 1)]
    places += [(region, region) for region in regions]
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in places]
    nodes = tuple(
        NodeConfig(name=name, url=f"http://127.0.0.1:{bound.getsockname()[1]}", region=region)
        for (name, region), bound in zip(places, sockets, strict=True)
    )
    settings: dict[str, Any] = {
        "credentials": CREDENTIALS,
        "cluster_secret": "the nodes' own secret",
        "health": HealthConfig(time_scale=TIME_SCALE, allow_private=True),
        **more,
    }
    config = Config(nodes=nodes, auth=auth, **settings)
    deployment = Deployment(config, data, sockets)
    deployment.start()
    return deployment


@pytest.fixture(scope="session")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    """Two Regions and an edge, signatures checked."""
    data = tmp_path_factory.mktemp("deployment")
    running = deploy((EAST, WEST), edge=True, auth=True, data=data)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def open_deployment() -> Iterator[Deployment]:
    """One Region alone, in memory, that takes any key and unsigned requests."""
    running = deploy((EAST,), edge=False, auth=False, data=None)
    yield running
    running.stop()


@pytest.fixture(scope="module")
def deployed() -> Iterator[Callable[..., Deployment]]:
    """Start deployments without an edge, in memory, whose configuration has other settings."""
    running: list[Deployment] = []

    def deployed(*regions: str, **settings: Any) -> Deployment:
        started = deploy(regions or (EAST,), edge=False, data=None, **{"auth": True, **settings})
        running.append(started)
        return started

    yield deployed
    for each in running:
        each.stop()


# --- clients ---------------------------------------------------------------------------------

ClientFactory = Callable[..., Any]


@pytest.fixture(scope="session")
def client_of() -> Iterator[ClientFactory]:
    """Return boto3 clients of a URL; the same arguments give the same client again."""
    session = boto3.session.Session()
    made: dict[tuple[Any, ...], Any] = {}

    def client_of(
        url: str, service: str, region: str, key: tuple[str, ...], **settings: Any
    ) -> Any:
        wanted = (url, service, region, key, tuple(sorted(settings.items())))
        if wanted not in made:
            made[wanted] = session.client(
                service,
                region_name=region,
                endpoint_url=url,
                aws_access_key_id=key[0],
                aws_secret_access_key=key[1],
                aws_session_token=key[2] if len(key) > 2 else None,
                config=BotoConfig(
                    connect_timeout=5,
                    read_timeout=30,
                    retries={"total_max_attempts": 1, "mode": "standard"},
                    **settings,
                ),
            )
        return made[wanted]

    yield client_of
    for client in made.values():
        client.close()


@pytest.fixture(scope="session")
def client(deployment: Deployment, client_of: ClientFactory) -> ClientFactory:
    """Return boto3 clients of the deployment's one URL, with the key test/test unless told."""

    def client(
        service: str,
        region: str = EAST,
        *,
        key: tuple[str, ...] = ("test", "test"),
        **settings: Any,
    ) -> Any:
        return client_of(deployment.url, service, region, key, **settings)

    return client


@pytest.fixture(scope="session")
def unchecked(client: ClientFactory) -> ClientFactory:
    """Return clients that send what boto3 would refuse, so that the server has to."""

    def unchecked(service: str, region: str = EAST) -> Any:
        return client(service, region, parameter_validation=False)

    return unchecked


@pytest.fixture(scope="session")
def other(client: ClientFactory) -> ClientFactory:
    """Return clients of the second account, 111111111111."""

    def other(service: str, region: str = EAST) -> Any:
        return client(service, region, key=("other", "other-secret"))

    return other


@pytest.fixture(scope="session")
def crowded(client: ClientFactory) -> ClientFactory:
    """Return clients of a third account, whose quotas tests use up."""

    def crowded(service: str, region: str = EAST) -> Any:
        return client(service, region, key=("crowded", "crowded-secret"))

    return crowded


@pytest.fixture(scope="session")
def events(client: ClientFactory) -> Any:
    """EventBridge in us-east-1."""
    return client("events")


@pytest.fixture(scope="session")
def sqs(client: ClientFactory) -> Any:
    """SQS in us-east-1."""
    return client("sqs")


@pytest.fixture(scope="session")
def route53(client: ClientFactory) -> Any:
    """Route 53."""
    return client("route53")


@pytest.fixture(scope="session")
def refusal() -> Callable[..., tuple[str, str]]:
    """Make a call that has to fail, and return the error's code and message."""

    def refusal(call: Callable[..., object], **params: object) -> tuple[str, str]:
        with pytest.raises(ClientError) as caught:
            call(**params)
        error = caught.value.response["Error"]
        return error["Code"], error["Message"]

    return refusal


# --- raw HTTP --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back over HTTP, with nothing in between."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def error(self) -> dict[str, str]:
        """The JSON error in the body."""
        found: dict[str, str] = json.loads(self.body)
        return found


Send = Callable[..., Reply]


@pytest.fixture(scope="session")
def send() -> Send:
    """Send one raw HTTP request; headers are pairs, so that one may be sent twice."""

    def send(
        url: str,
        method: str = "POST",
        path: str = "/",
        *,
        headers: Mapping[str, str] | tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> Reply:
        connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=20)
        pairs = headers.items() if isinstance(headers, Mapping) else headers
        try:
            connection.putrequest(method, path)
            for name, value in pairs:
                if name.lower() != "host":
                    connection.putheader(name, value)
            connection.putheader("content-length", str(len(body)))
            connection.endheaders(body)
            answer = connection.getresponse()
            return Reply(
                answer.status, {n.lower(): v for n, v in answer.getheaders()}, answer.read()
            )
        finally:
            connection.close()

    return send


SignedHeaders = Callable[..., dict[str, str]]


@pytest.fixture(scope="session")
def signed_headers() -> SignedHeaders:
    """Return the headers of a request, signed with SigV4 as of now, or of `seconds_ago`."""

    def signed_headers(
        url: str,
        method: str = "POST",
        path: str = "/",
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        service: str = "events",
        region: str = EAST,
        key: tuple[str, str] = ("test", "test"),
        seconds_ago: float = 0.0,
    ) -> dict[str, str]:
        given = {"host": url.removeprefix("http://"), **(headers or {})}
        target, _, query = path.partition("?")
        request = Request(method=method, path=target, query=query, headers=given, body=body)
        return given | sign(
            request,
            access_key_id=key[0],
            secret_access_key=key[1],
            region=region,
            service=service,
            now=SystemClock().now() - seconds_ago,
        )

    return signed_headers


# --- waiting and naming ----------------------------------------------------------------------

Eventually = Callable[..., Any]


@pytest.fixture(scope="session")
def eventually() -> Eventually:
    """Ask until the answer is truthy, for a bounded time, and return it."""
    clock, pause = SystemClock(), threading.Event()

    def eventually(ask: Callable[[], Any], seconds: float = 30.0) -> Any:
        deadline = clock.monotonic() + seconds
        while not (answer := ask()):
            assert clock.monotonic() < deadline, f"not so after {seconds} seconds"
            pause.wait(PAUSE_SECONDS)
        return answer

    return eventually


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A name that no other test has, fit for buses, rules, queues and endpoints."""
    return unique(request.node.name)


def unique(text: str) -> str:
    """Return a name with something of `text` in it."""
    words = re.sub(r"[^A-Za-z0-9]+", "-", text.removeprefix("test_"))
    return f"{words[:30].strip('-')}-{next(_numbers)}"


# --- resources -------------------------------------------------------------------------------


@pytest.fixture
def bus(client: ClientFactory, name: str, eventually: Eventually) -> Iterator[str]:
    """An event bus of that name in both Regions; taken down with its rules.

    Managed rules go with their endpoint, in the other Region a moment later.
    """
    regions = [client("events", region) for region in (EAST, WEST)]
    for regional in regions:
        regional.create_event_bus(Name=name)
    yield name
    for regional in regions:
        managed = {"EventBusName": name, "NamePrefix": "GlobalEndpointManagedRule-"}
        eventually(lambda: not regional.list_rules(**managed)["Rules"])  # noqa: B023 - called here
        for rule in regional.list_rules(EventBusName=name)["Rules"]:
            targets = regional.list_targets_by_rule(Rule=rule["Name"], EventBusName=name)["Targets"]
            if targets:
                ids = [target["Id"] for target in targets]
                regional.remove_targets(Rule=rule["Name"], EventBusName=name, Ids=ids)
            regional.delete_rule(Name=rule["Name"], EventBusName=name)
        regional.delete_event_bus(Name=name)


@dataclass(frozen=True, slots=True)
class QueueOf:
    """A queue: where it is, and what is in it."""

    sqs: Any
    url: str
    arn: str

    def receive(self, count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Return `count` messages with all their attributes, deleted from the queue."""
        clock = SystemClock()
        deadline = clock.monotonic() + seconds
        messages: list[dict[str, Any]] = []
        while len(messages) < count:
            assert clock.monotonic() < deadline, f"{len(messages)} of {count} messages came"
            answer = self.sqs.receive_message(
                QueueUrl=self.url,
                MaxNumberOfMessages=10,
                WaitTimeSeconds=1,
                MessageAttributeNames=["All"],
            )
            for message in answer.get("Messages", ()):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                messages.append(message)
        assert len(messages) == count, f"{len(messages)} messages came, not {count}"
        return messages

    def receive_events(self, count: int, seconds: float = 30.0) -> list[dict[str, Any]]:
        """Return `count` events, deleted from the queue."""
        return [json.loads(message["Body"]) for message in self.receive(count, seconds)]

    def is_empty(self) -> bool:
        """Whether nothing is in the queue, in flight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)
        return set(answer["Attributes"].values()) == {"0"}


MakeQueue = Callable[..., QueueOf]


@pytest.fixture(scope="session")
def make_queue(client: ClientFactory) -> MakeQueue:
    """Create queues."""

    def make_queue(queue_name: str, region: str = EAST) -> QueueOf:
        regional = client("sqs", region)
        url = regional.create_queue(QueueName=queue_name)["QueueUrl"]
        return QueueOf(regional, url, f"arn:aws:sqs:{region}:{DEFAULT_ACCOUNT}:{queue_name}")

    return make_queue


@pytest.fixture
def queue(make_queue: MakeQueue, name: str) -> Iterator[QueueOf]:
    """A queue in us-east-1."""
    made = make_queue(name)
    yield made
    made.sqs.delete_queue(QueueUrl=made.url)


@pytest.fixture(scope="session")
def subscribe(client: ClientFactory) -> Callable[..., None]:
    """Send what matches a pattern on a bus to a queue."""

    def subscribe(
        bus_name: str, queue: QueueOf, pattern: str, *, region: str = EAST, **target: Any
    ) -> None:
        regional = client("events", region)
        regional.put_rule(Name=bus_name, EventBusName=bus_name, EventPattern=pattern)
        regional.put_targets(
            Rule=bus_name, EventBusName=bus_name, Targets=[{"Id": "q", "Arn": queue.arn, **target}]
        )

    return subscribe


# --- endpoints -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class GlobalEndpoint:
    """An ACTIVE endpoint over a bus in both Regions, each with a queue that gets everything."""

    name: str
    endpoint_id: str
    arn: str
    health_check_id: str
    queues: Mapping[str, QueueOf]

    @property
    def event_bus_arns(self) -> list[str]:
        """The ARNs of both Regions' buses, the primary's first."""
        return [
            f"arn:aws:events:{region}:{DEFAULT_ACCOUNT}:event-bus/{self.name}"
            for region in (EAST, WEST)
        ]


def endpoint_settings(endpoint_name: str, health_check_id: str, **changes: Any) -> dict[str, Any]:
    """Return the parameters of CreateEndpoint for a bus of the endpoint's own name."""
    health_check = f"arn:aws:route53:::healthcheck/{health_check_id}"
    return {
        "Name": endpoint_name,
        "RoutingConfig": {
            "FailoverConfig": {
                "Primary": {"HealthCheck": health_check},
                "Secondary": {"Route": WEST},
            }
        },
        "EventBuses": [
            {"EventBusArn": f"arn:aws:events:{region}:{DEFAULT_ACCOUNT}:event-bus/{endpoint_name}"}
            for region in (EAST, WEST)
        ],
        "RoleArn": f"arn:aws:iam::{DEFAULT_ACCOUNT}:role/replication",
        **changes,
    }


@pytest.fixture(scope="session")
def settings_of() -> Callable[..., dict[str, Any]]:
    """Return the parameters of CreateEndpoint."""
    return endpoint_settings


@pytest.fixture(scope="session")
def make_health_check(route53: Any) -> Callable[..., str]:
    """Create health checks; one that is Disabled is always healthy, so that no probe decides."""

    def make_health_check(reference: str, **settings: Any) -> str:
        config = {"Type": "TCP", "IPAddress": "127.0.0.1", "Port": 9, "Disabled": True, **settings}
        made = route53.create_health_check(CallerReference=reference, HealthCheckConfig=config)
        found: str = made["HealthCheck"]["Id"]
        return found

    return make_health_check


@pytest.fixture(scope="session")
def make_endpoint(
    client: ClientFactory,
    make_queue: MakeQueue,
    make_health_check: Callable[..., str],
    subscribe: Callable[..., None],
    eventually: Eventually,
) -> Callable[[str], GlobalEndpoint]:
    """Create an endpoint with all that belongs to it, and wait until it is ACTIVE."""

    def make_endpoint(endpoint_name: str) -> GlobalEndpoint:
        queues = {}
        for region in (EAST, WEST):
            client("events", region).create_event_bus(Name=endpoint_name)
            queues[region] = make_queue(endpoint_name, region)
            subscribe(endpoint_name, queues[region], '{"source":[{"prefix":""}]}', region=region)
        health_check_id = make_health_check(endpoint_name)
        events = client("events")
        events.create_endpoint(**endpoint_settings(endpoint_name, health_check_id))

        def active() -> dict[str, Any] | None:
            found: dict[str, Any] = events.describe_endpoint(Name=endpoint_name)
            return found if found["State"] == "ACTIVE" else None

        found = eventually(active)
        return GlobalEndpoint(
            endpoint_name, found["EndpointId"], found["Arn"], health_check_id, queues
        )

    return make_endpoint


@pytest.fixture(scope="session")
def shared_endpoint(make_endpoint: Callable[[str], GlobalEndpoint]) -> GlobalEndpoint:
    """An endpoint that stays with its primary Region and replicates."""
    return make_endpoint(unique("shared-endpoint"))


@pytest.fixture
def endpoint(shared_endpoint: GlobalEndpoint) -> GlobalEndpoint:
    """The shared endpoint, without what a test that failed may have left in its queues."""
    for queue in shared_endpoint.queues.values():
        queue.sqs.purge_queue(QueueUrl=queue.url)
    return shared_endpoint


@dataclass(slots=True)
class Seen:
    """A request as it came to a server that targets call."""

    method: str
    path: str
    headers: dict[str, str]
    body: str


@dataclass(slots=True)
class Hook:
    """A server that targets call. `answers` are the next ones: status, headers, body; then 200."""

    url: str = ""
    seen: list[Seen] = field(default_factory=list)
    answers: list[tuple[int, dict[str, str], str]] = field(default_factory=list)

    def at(self, path: str) -> list[Seen]:
        """Return what was sent to a path."""
        return [one for one in self.seen if one.path == path]

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        """Note a request and answer it; /token hands out numbered tokens."""
        body = request.rfile.read(int(request.headers.get("Content-Length") or 0)).decode()
        seen = Seen(request.command, request.path, dict(request.headers.items()), body)
        self.seen.append(seen)
        status, headers, text = self.answers.pop(0) if self.answers else (200, {}, "{}")
        if status == 200 and request.path == "/token":
            text = json.dumps({"access_token": f"t{len(self.at('/token'))}"})
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(text)))
        request.end_headers()
        request.wfile.write(text.encode())


Hooked = Callable[..., AbstractContextManager[Hook]]


@contextlib.contextmanager
def run_hook(certificate: Path | None = None) -> Iterator[Hook]:
    """Run a server on loopback that targets call, with TLS where it has a certificate."""
    hook = Hook()

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            hook.answer(self)

        def log_message(self, *_arguments: object) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answering)
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    hook.url = f"{scheme}://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield hook
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@pytest.fixture(scope="session")
def hooked() -> Hooked:
    """Return what runs servers that targets call."""
    return run_hook
