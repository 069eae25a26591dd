"""What a drill made is undone by another process, whatever becomes of the drill."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator

import msgspec
import pytest

from farspan.cli.remote import Remote
from farspan.cli.undo import ADMIN_PAGE, Step, Undo, steps_left
from farspan.config import Credential


class _Recording(http.server.BaseHTTPRequestHandler):
    """Answers 200 and remembers what was put; `/gone` is not there."""

    heard: list[tuple[str, object]]

    def do_PUT(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.heard.append((self.path, body))
        gone = self.path == "/gone"
        answer = b'{"__type":"ResourceNotFoundException","message":"gone"}' if gone else b"{}"
        self.send_response(400 if gone else 200)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def recording(monkeypatch: pytest.MonkeyPatch) -> Iterator[Remote]:
    """Return a deployment that remembers what it is asked."""
    monkeypatch.setattr(_Recording, "heard", [], raising=False)
    with http.server.HTTPServer(("127.0.0.1", 0), _Recording) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield Remote(f"http://127.0.0.1:{server.server_port}", "us-east-1", Credential())
        server.shutdown()
        thread.join()


def test_the_last_thing_is_undone_first_and_what_was_forgotten_is_left(recording: Remote) -> None:
    """A step is one call; what is gone already is as good as undone."""
    undo = Undo(recording)
    for name in ("first", "second", "third"):
        undo.later(name, ADMIN_PAGE, "us-east-1", f"/{name}", name=name)
    undo.later("gone", ADMIN_PAGE, "us-east-1", "/gone")
    undo.forget("second")

    assert [] == undo.close()
    assert [("/gone", {}), ("/third", {"name": "third"}), ("/first", {"name": "first"})] == (
        _Recording.heard
    )


def test_a_drill_that_is_gone_is_undone_too(recording: Remote) -> None:
    """The end of the pipe is all that it takes: a drill that was killed cannot say more."""
    undo = Undo(recording)
    undo.later("it", ADMIN_PAGE, "us-east-1", "/it", route=None)
    assert undo._popen.stdin is not None
    undo._popen.stdin.close()
    undo._popen.wait(30)
    assert undo._popen.stdout is not None
    undo._popen.stdout.close()

    assert [("/it", {"route": None})] == _Recording.heard


def test_a_step_that_is_said_again_takes_the_former_ones_place() -> None:
    """One thing is undone once, in its latest form."""
    steps = [
        Step(key="a", service="s", operation="one"),
        Step(key="b", service="s", operation="two"),
        Step(key="a", service="s", operation="three"),
        Step(key="c", service="s", operation="four"),
        Step(key="c"),
    ]
    left = steps_left([msgspec.json.encode(step) for step in steps])

    assert ["three", "two"] == [step.operation for step in left]
