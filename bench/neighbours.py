"""Measures what a bad target costs its neighbours: a healthy HTTPS target and a healthy queue.

The same events go to both and, in all scenarios but `alone`, to one target more, by a rule of its
own. Each scenario has a Region of its own, and they take turns, so that what else the machine does
falls on all of them. `healthy` is the fair comparison for the others: a target more that works.
From before PutEvents (one entry a call) until the event is there. Run: `make bench-neighbours`.
"""

from __future__ import annotations

import argparse
import asyncio
import datetime as dt
import ipaddress
import json
import ssl
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path
from typing import Any

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from farspan.cli.deployment import Deployment, prepare
from farspan.cli.ports import free_port
from farspan.config import CONFIG_FILE_NAME

sys.path.insert(0, str(Path(__file__).parent))
from run import TARGET, Connection, Latencies, Peer, peer_of, signed_v4, write_results

REGION = "us-east-1"
WARM_SECONDS = 2.0
HUGE_BYTES = 2**20  # what sending it costs falls on this process, which measures
CHUNK_BYTES = 64 * 2**10
DRIP_SECONDS = 0.5
SCENARIOS = ("alone", "healthy", "half_open", "storm_429", "refused", "slow_and_huge_bodies")


def write_certificate(path: Path) -> None:
    """Write a self-signed certificate for loopback with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    built = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + built.public_bytes(serialization.Encoding.PEM)
    )


class Servers:
    """HTTPS servers on loopback, good and bad, with what the good ones received."""

    def __init__(self, certificate: Path) -> None:
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate)
        self._servers: list[asyncio.Server] = []
        self._turn = 0
        self.seen_at: dict[str, float] = {}

    async def serve(self, reply: Any) -> str:
        """Serve requests by a function; return the URL."""

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            try:
                while True:
                    head = await reader.readuntil(b"\r\n\r\n")
                    lower = head.lower()
                    start = lower.index(b"content-length:") + 15
                    length = int(head[start : lower.index(b"\r\n", start)])
                    await reply(writer, await reader.readexactly(length))
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                pass
            except asyncio.CancelledError:
                pass  # the benchmark is over
            finally:
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=self._context)
        self._servers.append(server)
        return f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    async def receive(self, writer: asyncio.StreamWriter, body: bytes) -> None:
        """Take an event, and note when."""
        self.seen_at.setdefault(json.loads(body)["detail"]["id"], time.perf_counter())
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async def take(self, writer: asyncio.StreamWriter, _body: bytes) -> None:
        """Take an event."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")

    async def hang(self, _writer: asyncio.StreamWriter, _body: bytes) -> None:
        """Never answer."""
        await asyncio.Event().wait()

    async def throttle(self, writer: asyncio.StreamWriter, _body: bytes) -> None:
        """Ask to be left alone."""
        writer.write(
            b"HTTP/1.1 429 Too Many Requests\r\nretry-after: 1\r\ncontent-length: 0\r\n\r\n"
        )

    async def drip_or_flood(self, writer: asyncio.StreamWriter, _body: bytes) -> None:
        """Answer with a huge body, or with one that does not end, by turns."""
        self._turn += 1
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % HUGE_BYTES)
        if self._turn % 2:
            for _ in range(HUGE_BYTES // CHUNK_BYTES):
                writer.write(b"x" * CHUNK_BYTES)
                await writer.drain()
            return
        while True:
            writer.write(b"x")
            await writer.drain()
            await asyncio.sleep(DRIP_SECONDS)

    def close(self) -> None:
        """Stop listening."""
        for server in self._servers:
            server.close()


async def bad_url(scenario: str, servers: Servers) -> str:
    """Return where the scenario's further target is."""
    if scenario == "refused":
        return f"https://127.0.0.1:{free_port()}/"
    replies = {
        "healthy": servers.take,
        "half_open": servers.hang,
        "storm_429": servers.throttle,
        "slow_and_huge_bodies": servers.drip_or_flood,
    }
    return await servers.serve(replies[scenario])


class Resources:
    """A bus with a rule for the healthy targets, and one for the further target."""

    def __init__(self, peer: Peer) -> None:
        self._events, sqs = peer.client("events"), peer.client("sqs")
        self.queue_url: str = sqs.create_queue(QueueName="q")["QueueUrl"]
        self._connection = self._events.create_connection(
            Name="c",
            AuthorizationType="API_KEY",
            AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "X-Key", "ApiKeyValue": "k"}},
        )["ConnectionArn"]
        self._events.create_event_bus(Name="b")

    def put_rule(self, name: str, url: str, *others: str) -> None:
        """Put a rule for every event, with an API destination and other targets."""
        arn = self._events.create_api_destination(
            Name=name,
            ConnectionArn=self._connection,
            InvocationEndpoint=url,
            HttpMethod="POST",
            InvocationRateLimitPerSecond=10_000,
        )["ApiDestinationArn"]
        self._events.put_rule(Name=name, EventBusName="b", EventPattern='{"source":["s"]}')
        role = "arn:aws:iam::000000000000:role/invoke"
        targets = [{"Id": "url", "Arn": arn, "RoleArn": role}]
        targets += [{"Id": f"other{number}", "Arn": arn} for number, arn in enumerate(others)]
        self._events.put_targets(Rule=name, EventBusName="b", Targets=targets)


class Stream:
    """Puts events at a rate, and empties the queue meanwhile."""

    def __init__(self, peer: Peer, queue_url: str, rate: float) -> None:
        self._peer, self._queue_url, self._rate = peer, queue_url, rate
        self._next_at = 0.0
        self._putting, self._receiving = True, True
        self.sent_at: dict[str, float] = {}
        self.seen_at: dict[str, float] = {}

    async def run(self, seconds: float) -> None:
        """Put for a while, then wait for the last to arrive."""
        self._next_at = time.perf_counter()
        receivers = [asyncio.create_task(self._receive()) for _ in range(4)]
        putters = [asyncio.create_task(self._put(number)) for number in range(8)]
        await asyncio.sleep(seconds)
        self._putting = False
        await asyncio.gather(*putters)
        for _ in range(100):
            if len(self.seen_at) == len(self.sent_at):
                break
            await asyncio.sleep(0.05)
        self._receiving = False
        await asyncio.gather(*receivers)

    def _signed(self, service: str, target: str, content: object) -> tuple[bytes, bytes]:
        signed = signed_v4(self._peer, service, target, json.dumps(content).encode())
        return signed.unique_head(), signed.body

    async def _put(self, number: int) -> None:
        connection = Connection(self._peer.url)
        while self._putting:
            due, self._next_at = self._next_at, self._next_at + 1 / self._rate
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            name = f"{number}-{due}"
            entry = {
                "Source": "s",
                "DetailType": "t",
                "Detail": json.dumps({"id": name, "text": "x" * 400}),
                "EventBusName": "b",
            }
            request = self._signed("events", TARGET, {"Entries": [entry]})
            self.sent_at[name] = time.perf_counter()
            await connection.send(*request)
        connection.close()

    async def _receive(self) -> None:
        connection, queue = Connection(self._peer.url), self._queue_url
        ask = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "WaitTimeSeconds": 1}
        while self._receiving:
            _, reply = await connection.send(*self._signed("sqs", "AmazonSQS.ReceiveMessage", ask))
            now = time.perf_counter()
            messages = json.loads(reply).get("Messages", [])
            for message in messages:
                self.seen_at.setdefault(json.loads(message["Body"])["detail"]["id"], now)
            if messages:
                drop = {
                    "QueueUrl": queue,
                    "Entries": [
                        {"Id": str(number), "ReceiptHandle": message["ReceiptHandle"]}
                        for number, message in enumerate(messages)
                    ],
                }
                await connection.send(*self._signed("sqs", "AmazonSQS.DeleteMessageBatch", drop))
        connection.close()


async def note_lag(lags: list[float]) -> None:
    """Note how late this process itself is, which counts in all that it measures."""
    while True:
        due = time.perf_counter() + 0.01
        await asyncio.sleep(0.01)
        lags.append(time.perf_counter() - due)


async def measure(scenario: str, peer: Peer, certificate: Path, rate: float, seconds: float) -> Any:
    """Run one scenario; return the neighbours' latencies and the node's processor time."""
    servers = Servers(certificate)
    try:
        resources = Resources(peer)
        url = await servers.serve(servers.receive)
        queue = f"arn:aws:sqs:{REGION}:000000000000:q"
        make = asyncio.to_thread
        await make(resources.put_rule, "neighbours", url, queue)
        if scenario != "alone":
            await make(resources.put_rule, "further", await bad_url(scenario, servers))
        stream = Stream(peer, resources.queue_url, rate)
        cpu = peer.cpu_seconds()
        lags: list[float] = []
        lag = asyncio.create_task(note_lag(lags))
        await stream.run(WARM_SECONDS + seconds)
        lag.cancel()
        cpu = peer.cpu_seconds() - cpu
    finally:
        servers.close()
    begun = min(stream.sent_at.values()) + WARM_SECONDS
    sent = {name: at for name, at in stream.sent_at.items() if at >= begun}

    def latencies(seen_at: dict[str, float]) -> dict[str, float]:
        found = [seen_at[name] - at for name, at in sent.items() if name in seen_at]
        return {**Latencies(found).summary(), "missing": len(sent) - len(found)}

    return {
        "https": latencies(servers.seen_at),
        "queue": latencies(stream.seen_at),
        "cpu_us_per_event": round(cpu / len(stream.sent_at) * 1e6),
        "own_lag": Latencies(lags).summary(),
    }


def run_scenario(scenario: str, rate: float, seconds: float) -> Any:
    """Start a Region for a scenario, and measure it."""
    with tempfile.TemporaryDirectory(prefix="farspan-bench-") as directory:
        data = Path(directory)
        certificate = data / "server.pem"
        write_certificate(certificate)
        text = f'[targets]\nallow_private = ["127.0.0.0/8"]\nca_file = "{certificate}"\n'
        (data / CONFIG_FILE_NAME).write_text(f"cluster_secret = 's'\n{text}")
        config = prepare(data, (REGION,), free_port(), auth=True)
        with Deployment(config, data) as deployment:
            deployment.start_all()
            peer = peer_of(config, deployment)
            return uvloop.run(measure(scenario, peer, certificate, rate, seconds))


def summary(rounds: dict[str, list[Any]]) -> dict[str, Any]:
    """Return each scenario's medians over the rounds, and how they rose beside `healthy`."""
    medians: dict[str, dict[str, float]] = defaultdict(dict)
    for scenario, results in rounds.items():
        for name in ("https", "queue"):
            for share in ("p50_ms", "p99_ms"):
                values = [result[name][share] for result in results]
                medians[scenario][f"{name}_{share}"] = round(statistics.median(values), 2)
        cpu = [result["cpu_us_per_event"] for result in results]
        medians[scenario]["cpu_us_per_event"] = round(statistics.median(cpu))
    for scenario, values in medians.items():
        for base in ("alone", "healthy"):
            if scenario != base and base in medians:
                for name in ("https", "queue"):
                    rise = values[f"{name}_p99_ms"] / medians[base][f"{name}_p99_ms"] - 1
                    values[f"{name}_p99_rise_beside_{base}_percent"] = round(rise * 100, 1)
    return dict(medians)


def main() -> None:
    """Measure and write the file."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rate", type=float, default=200.0, help="events a second")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each scenario and round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", nargs="*", default=SCENARIOS, choices=SCENARIOS)
    parser.add_argument("--out", type=Path, default=None)
    options = parser.parse_args()
    rounds: dict[str, list[Any]] = defaultdict(list)
    for number in range(options.rounds):
        for scenario in options.only:
            result = run_scenario(scenario, options.rate, options.seconds)
            rounds[scenario].append(result)
            print(number, scenario, json.dumps(result), flush=True)
    results = summary(rounds)
    print(json.dumps(results, indent=2))
    write_results(
        results,
        options.out,
        "-neighbours",
        rate=options.rate,
        seconds_each=options.seconds,
        rounds=options.rounds,
        each_round=rounds,
    )


if __name__ == "__main__":
    main()
