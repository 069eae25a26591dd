"""What nodes say to each other: reports and streams, signed with the cluster's secret."""

from __future__ import annotations

from urllib.parse import urlsplit

import aiohttp
import msgspec

from farspan.catalog.federation import PeerReport
from farspan.clock import Clock
from farspan.config import NODE_ACCESS_KEY_ID, NodeConfig
from farspan.model.forwarding import ForwardReply, ForwardRequest
from farspan.model.route import Override
from farspan.replication.comparison import DigestReply, DigestRequest
from farspan.replication.stream import StreamReply, StreamRequest
from farspan.wire.access import PEER_SERVICE
from farspan.wire.forward import Forwarder
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

REPORT_PATH = "/_farspan/peer/report"
STREAM_PATH = "/_farspan/peer/stream"
DIGESTS_PATH = "/_farspan/peer/digests"
FORWARD_PATH = "/_farspan/peer/forward"
OVERRIDE_PATH = "/_farspan/peer/override"
REPLY_BYTES_MAX = 256 * 1024 * 1024
STREAM_SECONDS_MAX = 15.0

_encode = msgspec.msgpack.Encoder().encode


class PeerClient:
    """Asks the other nodes."""

    def __init__(self, forwarder: Forwarder, clock: Clock, cluster_secret: str) -> None:
        self._forwarder = forwarder
        self._clock = clock
        self._cluster_secret = cluster_secret

    async def report(self, node: NodeConfig) -> PeerReport:
        """Return a node's report. Raises OSError, TimeoutError, or MsgspecError for nonsense."""
        return msgspec.msgpack.decode(await self._ask(node, REPORT_PATH, b""), type=PeerReport)

    async def stream(self, node: NodeConfig, request: StreamRequest) -> StreamReply:
        """Return what follows in a stream. Raises as `report` does."""
        body = await self._ask(node, STREAM_PATH, _encode(request))
        return msgspec.msgpack.decode(body, type=StreamReply)

    async def digests(self, node: NodeConfig, request: DigestRequest) -> DigestReply:
        """Return digests of what a stream holds. Raises as `report` does."""
        body = await self._ask(node, DIGESTS_PATH, _encode(request))
        return msgspec.msgpack.decode(body, type=DigestReply)

    async def forward(self, node: NodeConfig, request: ForwardRequest) -> ForwardReply:
        """Have a node's Region take events of a rule of this one. Raises as `report` does."""
        body = await self._ask(node, FORWARD_PATH, _encode(request))
        return msgspec.msgpack.decode(body, type=ForwardReply)

    async def override(self, node: NodeConfig, override: Override) -> None:
        """Tell a node of an order about a route. Raises as `report` does."""
        await self._ask(node, OVERRIDE_PATH, _encode(override))

    async def _ask(self, node: NodeConfig, path: str, body: bytes) -> bytes:
        request = Request(
            method="POST", path=path, headers={"host": urlsplit(node.url).netloc}, body=body
        )
        headers = sign(
            request,
            access_key_id=NODE_ACCESS_KEY_ID,
            secret_access_key=self._cluster_secret,
            region=node.region or "edge",
            service=PEER_SERVICE,
            now=self._clock.now(),
        )
        try:
            async with self._forwarder.session().post(
                f"{node.url}{path}",
                data=body,
                headers={**request.headers, **headers},
                timeout=aiohttp.ClientTimeout(total=STREAM_SECONDS_MAX, sock_connect=1.0),
                allow_redirects=False,
            ) as reply:
                if (reply.content_length or 0) > REPLY_BYTES_MAX:
                    raise ConnectionError(f"{node.url} answered with too much")
                answer = await reply.read()
        except aiohttp.ClientError as error:
            raise ConnectionError(f"{node.url}: {error}") from error
        if reply.status != 200:  # noqa: PLR2004 - HTTP's OK
            raise ConnectionError(f"{node.url} answered {reply.status}: {answer[:200]!r}")
        return answer
