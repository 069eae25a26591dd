"""A Region that can be cut off: TCP proxies of ours stand between its node and all the others.

Nothing of the machine is changed: the nodes' configurations lead through the proxies. While they
are cut, connections stay open and silent both ways, as where a network drops packets; what waits in
them goes on afterwards, as TCP would send it again. Unlike there, a new connection is taken, by the
proxy, and then hears nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

import msgspec

from farspan.cli.ports import HOST
from farspan.config import CONFIG_FILE_NAME, Config, NodeConfig, render_config

PIECE_BYTES = 64 * 1024
INSIDE = "inside"


@dataclass(slots=True)
class Wire:
    """The proxies. Use as a context manager; they run in a thread of their own."""

    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.new_event_loop)
    _whole: asyncio.Event = field(default_factory=asyncio.Event)
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)
    _servers: list[asyncio.Server] = field(default_factory=list)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self._whole.set()
        self._thread = threading.Thread(target=self._loop.run_forever, name="wire", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        assert self._thread is not None
        self._thread.join()
        self._loop.close()

    def lead_to(self, port: int) -> int:
        """Return a port whose connections lead to another port of this machine."""
        return asyncio.run_coroutine_threadsafe(self._listen(port), self._loop).result()

    def cut(self) -> None:
        """Let nothing through."""
        self._loop.call_soon_threadsafe(self._whole.clear)

    def mend(self) -> None:
        """Let everything through again, what waited first."""
        self._loop.call_soon_threadsafe(self._whole.set)

    async def _listen(self, port: int) -> int:
        def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = self._loop.create_task(self._carry(port, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        server = await asyncio.start_server(serve, HOST, 0)
        self._servers.append(server)
        number: int = server.sockets[0].getsockname()[1]
        return number

    async def _carry(
        self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        writers = [writer]
        try:
            await self._whole.wait()
            far_reader, far_writer = await asyncio.open_connection(HOST, port)
            writers.append(far_writer)
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pump(reader, far_writer))
                group.create_task(self._pump(far_reader, writer))
        except OSError:
            pass  # nobody listens there: the connection is dropped, which says so
        finally:
            for end in writers:
                end.transport.abort()
                with contextlib.suppress(OSError):
                    await end.wait_closed()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                await self._whole.wait()
                writer.write(piece)
                await writer.drain()
            await self._whole.wait()
            writer.write_eof()

    async def _end(self) -> None:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for server in self._servers:
            await server.wait_closed()


def part_off(wire: Wire, config: Config, region: str, data: Path) -> tuple[Config, dict[str, Path]]:
    """Lead everything between a Region and the others through the wire.

    Returns the configuration as the others see it, which is written to the directory, and the
    directory of the Region's own view.
    """
    outside: list[NodeConfig] = []
    inside: list[NodeConfig] = []
    for node in config.nodes:
        led = msgspec.structs.replace(node, url=f"http://{HOST}:{wire.lead_to(_port(node))}")
        outside.append(led if node.region == region else node)
        inside.append(node if node.region == region else led)
    seen = msgspec.structs.replace(config, nodes=tuple(outside))
    own = data / INSIDE
    own.mkdir(mode=0o700)
    _write(data, config, outside)
    _write(own, config, inside)
    return seen, {region: own}


def _port(node: NodeConfig) -> int:
    return urlsplit(node.url).port or 80


def _write(data: Path, config: Config, nodes: Sequence[NodeConfig]) -> None:
    path = data / CONFIG_FILE_NAME
    path.touch(mode=0o600)
    path.write_text(render_config(msgspec.structs.replace(config, nodes=tuple(nodes))))
