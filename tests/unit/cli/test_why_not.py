"""`farspan why-not` where a deployment would be hard to bring: schedules, and strange answers."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from farspan.cli import main
from farspan.cli.remote import UP_FILE_NAME, open_remote

SCHEDULED = (
    b'{"Name":"r","State":"ENABLED","ScheduleExpression":"rate(1 minute)","Targets":[{"Id":"t"}]}'
)


class _Answering(http.server.BaseHTTPRequestHandler):
    """Gives every request the same answer."""

    answer = b""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.answer)))
        self.end_headers()
        self.wfile.write(self.answer)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering() -> Iterator[str]:
    """Return the URL of a server that gives one answer."""
    with http.server.HTTPServer(("127.0.0.1", 0), _Answering) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def why_not(url: str) -> Result:
    """Run the command against a URL."""
    return CliRunner().invoke(main, ["why-not", "r", "--endpoint-url", url])


def test_a_rule_with_a_schedule(answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A rule without a pattern matches no event, and says what it goes by."""
    monkeypatch.setattr(_Answering, "answer", SCHEDULED)
    result = why_not(answering)

    assert 1 == result.exit_code
    assert ["Rule r has no event pattern: it goes by rate(1 minute)."] == (
        result.stdout.splitlines()
    )


def test_something_else_answers(answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What answers in other words than Farspan's is told apart from a refusal."""
    monkeypatch.setattr(_Answering, "answer", b"<html>")
    result = why_not(answering)

    assert 3 == result.exit_code
    assert "is not Farspan" in result.stderr


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Take away what the environment says of AWS."""
    for name in (
        "ENDPOINT_URL",
        "ENDPOINT_URL_EVENTS",
        "REGION",
        "DEFAULT_REGION",
        "ACCESS_KEY_ID",
    ):
        monkeypatch.delenv(f"AWS_{name}", raising=False)
    return monkeypatch


def test_what_up_wrote_is_found(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without an environment, the data directory names the URL, the Region and the key."""
    (tmp_path / UP_FILE_NAME).write_text(
        '{"url":"http://127.0.0.1:4566","access_key_id":"k","secret_access_key":"s",'
        '"regions":[{"name":"eu-west-1"}]}'
    )
    remote = open_remote(tmp_path, url=None, region=None)

    assert ("http://127.0.0.1:4566", "eu-west-1") == (remote.url, remote.region)
    assert ("k", "s") == (remote.credential.access_key_id, remote.credential.secret_access_key)


def test_options_and_environment_come_first(bare: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """An option wins over the environment, which wins over the data directory."""
    bare.setenv("AWS_ENDPOINT_URL", "http://environment")
    bare.setenv("AWS_REGION", "us-west-2")
    bare.setenv("AWS_ACCESS_KEY_ID", "session")
    bare.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    bare.setenv("AWS_SESSION_TOKEN", "token")
    remote = open_remote(tmp_path, url="http://option/", region=None)

    assert ("http://option", "us-west-2") == (remote.url, remote.region)
    assert ("session", "token") == (remote.credential.access_key_id, remote.session_token)
    assert "http://environment" == open_remote(tmp_path, url=None, region=None).url
