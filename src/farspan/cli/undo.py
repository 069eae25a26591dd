"""What a drill made or changed in a deployment is undone by another process.

That process hears from the drill what there is to undo, and begins when the drill closes the pipe
or is gone, however it went: Ctrl-C, a crash and SIGKILL end like a drill that was let finish. It
undoes the last thing first, and tries again for a while, since a Region may just be coming back.
"""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from typing import Any

import msgspec

from farspan.cli.remote import Remote
from farspan.config import Credential

TRY_SECONDS_MAX = 45.0
PAUSE_SECONDS = 0.3
ADMIN_PAGE = "page"
GONE = ("NotFound", "NonExistent", "NoSuch", "DoesNotExist")
"""Parts of the error codes that say that there is nothing to undo."""


class Where(msgspec.Struct, frozen=True, kw_only=True):
    """The deployment, and the key to ask it with. It goes over a pipe, never a command line."""

    url: str
    region: str
    access_key_id: str
    secret_access_key: str
    session_token: str | None = None


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One call that undoes something: of a service's client, or PUT of one of Farspan's pages.

    A step with a key that was said before takes its place; with no operation it takes it away.
    """

    key: str
    service: str = ""
    region: str = ""
    operation: str = ""
    params: dict[str, Any] = {}


class Undo:
    """The drill's side."""

    def __init__(self, remote: Remote) -> None:
        self._popen = subprocess.Popen(
            [sys.executable, "-m", "farspan.cli.undo"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for the drill
        )
        credential = remote.credential
        self._write(
            Where(
                url=remote.url,
                region=remote.region,
                access_key_id=credential.access_key_id,
                secret_access_key=credential.secret_access_key,
                session_token=remote.session_token,
            )
        )

    def later(self, key: str, service: str, region: str, operation: str, **params: object) -> None:
        """Say what undoes the thing that is about to be made. `params` are the call's."""
        self._write(
            Step(key=key, service=service, region=region, operation=operation, params=params)
        )

    def forget(self, key: str) -> None:
        """Say that something is undone already."""
        self._write(Step(key=key))

    def _write(self, value: Where | Step) -> None:
        assert self._popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # `close` tells that it is gone
            self._popen.stdin.write(msgspec.json.encode(value) + b"\n")
            self._popen.stdin.flush()

    def close(self) -> list[str]:
        """Have everything undone; return what could not be, a sentence each."""
        said, _ = self._popen.communicate()
        if self._popen.returncode:
            return ["The process that undoes what the drill made failed; see above."]
        return said.decode().splitlines()


class NoUndo:
    """Where everything goes with the deployment itself."""

    def later(self, key: str, service: str, region: str, operation: str, **params: object) -> None:
        """Remember nothing."""

    def forget(self, key: str) -> None:
        """Forget nothing."""


def steps_left(lines: Sequence[bytes]) -> list[Step]:
    """Return what is to be undone after what a drill said, the last thing first."""
    steps: dict[str, Step] = {}
    for line in lines:
        step = msgspec.json.decode(line, type=Step)
        steps.pop(step.key, None)
        if step.operation:
            steps[step.key] = step
    return list(reversed(steps.values()))


def _main() -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends by itself, soon after the drill
    first, *lines = sys.stdin.buffer.read().splitlines()
    where = msgspec.json.decode(first, type=Where)
    credential = Credential(
        access_key_id=where.access_key_id, secret_access_key=where.secret_access_key
    )
    remote = Remote(where.url, where.region, credential, where.session_token)
    for step in steps_left(lines):
        failure = _undo(remote, step)
        if failure is not None:
            sys.stdout.write(f"{step.key} is left behind: {failure}\n")
    return 0


def _undo(remote: Remote, step: Step) -> str | None:
    """Do a step, again and again for a while. Return why it failed in the end."""
    deadline = time.monotonic() + TRY_SECONDS_MAX
    while True:
        try:
            _call(remote, step)
        except Exception as error:  # noqa: BLE001 - whatever went wrong, the next step is tried
            text = f"{type(error).__name__}: {error}"
        else:
            return None
        if any(part in text for part in GONE):
            return None
        if time.monotonic() > deadline:
            return text
        time.sleep(PAUSE_SECONDS)


def _call(remote: Remote, step: Step) -> None:
    from farspan.cli.clients import client_of

    if step.service == ADMIN_PAGE:
        remote.put(step.operation, step.params)
        return
    client = client_of(remote, step.service, step.region, retries={"max_attempts": 0})
    getattr(client, step.operation)(**step.params)


if __name__ == "__main__":
    raise SystemExit(_main())
