"""The socket by which a drill asks a running `farspan up` to kill or stop one of its Regions.

`up` does it itself, since the processes are its own, and starts a Region again when the drill says
so, not before. A fault lives as long as the connection: a drill that goes away, however it goes,
leaves no fault behind. The socket stands in the data directory, which is its owner's alone.
"""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import click
import msgspec

from farspan.cli.deployment import Deployment
from farspan.cli.processes import FaultRefused, OwnProcesses, ProcessFault

SOCKET_NAME = "up.sock"
ANSWER_SECONDS_MAX = 40.0
"""Longer than a Region may take until it answers after its start."""

LINE_BYTES_MAX = 4_096


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A line from the drill: make a fault in a Region, or heal it where `fault` is absent."""

    region: str
    fault: ProcessFault | None = None


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """A line from `up`: done, or why not."""

    pid: int | None = None
    error: str | None = None


@contextlib.contextmanager
def _near(path: Path) -> Iterator[str]:
    """Yield a name of a socket's path that is short enough for the system, which takes 107 bytes.

    Linux names an open directory by its number; elsewhere the path has to be short by itself.
    """
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        short = f"/proc/self/fd/{directory}"
        yield f"{short}/{path.name}" if Path(short).exists() else str(path)
    finally:
        os.close(directory)


class FaultServer:
    """Answers drills while it is entered. `on_start` is called when a Region was started again."""

    def __init__(self, deployment: Deployment, on_start: Callable[[], None]) -> None:
        self._deployment = deployment
        self._on_start = on_start
        self._path = deployment.data / SOCKET_NAME
        self._listener: socket.socket | None = None

    def __enter__(self) -> Self:
        self._path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            with _near(self._path) as name:
                former = os.umask(0o177)
                try:
                    listener.bind(name)
                finally:
                    os.umask(former)
        except OSError as error:
            listener.close()
            click.echo(f"farspan: drills cannot stop these Regions: {error}", err=True)
            return self
        listener.listen()
        self._listener = listener
        threading.Thread(target=self._accept, args=(listener,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._listener is not None:
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return  # closed: `up` stops
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        processes = OwnProcesses(self._deployment, self._on_start)
        with connection, connection.makefile("rb") as lines:
            try:
                while line := lines.readline(LINE_BYTES_MAX):
                    answer = msgspec.json.encode(_answer(processes, line))
                    connection.sendall(answer + b"\n")
            except OSError:
                pass  # the drill is gone
            finally:
                with contextlib.suppress(FaultRefused):
                    for region in processes.heal_all():
                        click.echo(f"{region} works again: its drill ended.")


def _answer(processes: OwnProcesses, line: bytes) -> Answered:
    try:
        asked = msgspec.json.decode(line, type=Asked)
        if asked.fault is None:
            processes.heal(asked.region)
            click.echo(f"{asked.region} works again: a drill healed it.")
            return Answered()
        pid = processes.fault(asked.fault, asked.region)
    except msgspec.MsgspecError as error:
        return Answered(error=f"The request is not valid: {error}.")
    except FaultRefused as error:
        return Answered(error=str(error))
    click.echo(f"{asked.region} is {_DONE[asked.fault]} by a drill.")
    return Answered(pid=pid)


_DONE = {ProcessFault.DOWN: "killed", ProcessFault.HANG: "stopped"}


class FaultConnection:
    """A drill's side: `Processes` that another process owns. Use as a context manager."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._lines.close()
        self._connection.close()

    def fault(self, kind: ProcessFault, region: str) -> int:
        """Make the fault and return the process id. Raises FaultRefused."""
        return self._ask(Asked(region=region, fault=kind)).pid or 0

    def heal(self, region: str) -> None:
        """End the fault and wait until the Region answers. Raises FaultRefused."""
        self._ask(Asked(region=region))

    def _ask(self, asked: Asked) -> Answered:
        try:
            self._connection.sendall(msgspec.json.encode(asked) + b"\n")
            answer = msgspec.json.decode(self._lines.readline(), type=Answered)
        except (OSError, msgspec.MsgspecError) as error:
            raise FaultRefused("`farspan up` stopped or does not answer.") from error
        if answer.error is not None:
            raise FaultRefused(answer.error)
        return answer


def connect(data: Path) -> FaultConnection | None:
    """Return a connection to the `farspan up` of a data directory, None where none answers."""
    path = data / SOCKET_NAME
    if not path.is_socket():
        return None
    connection: Any = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(ANSWER_SECONDS_MAX)
    try:
        with _near(path) as name:
            connection.connect(name)
    except OSError:
        connection.close()
        return None
    return FaultConnection(connection)
