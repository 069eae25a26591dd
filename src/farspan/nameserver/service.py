"""The name server as it runs: UDP and TCP on one address, for as long as the process lives.

What to answer is `answers`' word, and how often `rate`'s. This owns the sockets, and bounds what
a client can hold: a connection's time, its messages' length, and how many there are.
"""

from __future__ import annotations

import asyncio
import logging
from socket import socket
from typing import cast

from farspan.clock import Clock
from farspan.nameserver.answers import HEADER, QUERY_BYTES_MAX, Carrier, Responder
from farspan.nameserver.rate import RateLimit, Verdict, network_of

CONNECTIONS_MAX = 200
NETWORK_CONNECTIONS_MAX = 20
"""Of one network, as `rate` counts them, so that none can keep all others out."""

IDLE_SECONDS_MAX = 5.0
"""How long a connection may be silent, or an answer untaken."""

CONNECTION_SECONDS_MAX = 60.0

log = logging.getLogger("farspan.nameserver")


class NameService:
    """Answers on sockets that the caller bound."""

    def __init__(self, responder: Responder, rate: RateLimit, clock: Clock) -> None:
        self._responder = responder
        self._rate = rate
        self._clock = clock
        self._datagrams: asyncio.DatagramTransport | None = None
        self._server: asyncio.Server | None = None
        self._connections: dict[asyncio.Task[None], str | None] = {}

    async def start(self, datagrams: socket, stream: socket) -> None:
        """Begin to answer."""
        loop = asyncio.get_running_loop()
        for bound in (datagrams, stream):
            bound.setblocking(False)
        self._datagrams, _ = await loop.create_datagram_endpoint(
            lambda: _Datagrams(self), sock=datagrams
        )
        self._server = await asyncio.start_server(self._converse, sock=stream)

    def take(self, wire: bytes, address: str) -> bytes | None:
        """Return the answer to a datagram, None where it gets none."""
        try:
            match self._rate.judge(address, self._clock.monotonic()):
                case Verdict.ANSWER:
                    return self._responder.answer(wire, Carrier.UDP)
                case Verdict.TRUNCATE:
                    return self._responder.truncated(wire)
                case Verdict.DROP:
                    return None
        except Exception:
            log.exception("datagram could not be answered from=%s", address)
            return None

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "a stream server runs its callback in a task"
        try:
            network = network_of(writer.get_extra_info("peername")[0])
            if self._has_room(network):
                self._connections[task] = network
                async with asyncio.timeout(CONNECTION_SECONDS_MAX):
                    while await self._exchange(reader, writer):
                        pass
        except (OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass  # the client went, or took too long; or this server stops
        except Exception:
            log.exception("question over TCP could not be answered")
        finally:
            self._connections.pop(task, None)
            writer.close()

    def _has_room(self, network: str | None) -> bool:
        of_network = sum(1 for other in self._connections.values() if other == network)
        if network is not None and of_network >= NETWORK_CONNECTIONS_MAX:
            return False
        return len(self._connections) < CONNECTIONS_MAX

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one question; return whether the connection is for more."""
        async with asyncio.timeout(IDLE_SECONDS_MAX):
            length = int.from_bytes(await reader.readexactly(2), "big")
            # Of what is too long the header is enough: it is refused, and the connection ends.
            wire = await reader.readexactly(min(length, QUERY_BYTES_MAX))
        if length > QUERY_BYTES_MAX:
            wire += bytes(HEADER.size)
        answer = self._responder.answer(wire, Carrier.TCP)
        if answer is None:
            return False
        writer.write(len(answer).to_bytes(2, "big") + answer)
        async with asyncio.timeout(IDLE_SECONDS_MAX):
            await writer.drain()
        return length <= QUERY_BYTES_MAX

    async def close(self) -> None:
        """Stop answering."""
        if self._datagrams is not None:
            self._datagrams.close()
        if self._server is not None:
            self._server.close()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)


class _Datagrams(asyncio.DatagramProtocol):
    """Datagrams in, datagrams out."""

    def __init__(self, service: NameService) -> None:
        self._service = service
        self._transport: asyncio.DatagramTransport | None = None
        self._is_full = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the socket to answer on."""
        # Neither event loop's class is a DatagramTransport by name.
        self._transport = cast("asyncio.DatagramTransport", transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Answer a datagram."""
        assert self._transport is not None, "nothing is received before there is a connection"
        if self._is_full:
            return  # UDP may lose it anyway, and memory is not for it
        answer = self._service.take(data, addr[0])
        if answer is not None:
            self._transport.sendto(answer, addr)

    def pause_writing(self) -> None:
        """Let questions go: the network does not take the answers."""
        self._is_full = True

    def resume_writing(self) -> None:
        """Answer again."""
        self._is_full = False
