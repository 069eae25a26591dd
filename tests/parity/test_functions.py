"""Functions at URLs of their own: made known while the Region runs, invoked, and forgotten."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from farspan.cli import main
from farspan.cli.remote import Refused, Remote
from farspan.config import Credential

if TYPE_CHECKING:
    from tests.parity.conftest import ClientFactory, Deployment, Eventually, Hook, Hooked

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
INVOKE_PATH = "/2015-03-31/functions/function/invocations"
PAGE = "/-/functions"

Run = Callable[..., Result]


@pytest.fixture
def emulator(hooked: Hooked) -> Iterator[Hook]:
    """Run what stands for a function's runtime interface emulator."""
    with hooked() as hook:
        yield hook


@pytest.fixture(scope="module")
def open_deployment(deployed: Callable[..., Deployment]) -> Deployment:
    """Run a Region with `auth` off, whose targets may be on this machine."""
    return deployed(auth=False)


@pytest.fixture
def function(open_deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run `farspan function` with the environment that `farspan env` gives."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", open_deployment.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", EAST)
    for name in ("AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_EVENTS"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        return CliRunner().invoke(main, ["function", *words])

    return run


@pytest.fixture
def events(open_deployment: Deployment, client_of: ClientFactory, name: str) -> Any:
    """A client of the Region, with a rule on a bus of the test's name."""
    events = client_of(open_deployment.url, "events", EAST, ("test", "test"))
    events.create_event_bus(Name=name)
    events.put_rule(Name=name, EventBusName=name, EventPattern='{"source":["shop"]}')
    return events


def arn(name: str) -> str:
    """Return a function's ARN."""
    return f"arn:aws:lambda:{EAST}:{ACCOUNT}:function:{name}"


def put_event(events: Any, bus: str) -> str:
    """Put one event that the rule matches; return its id."""
    entry = {"Source": "shop", "DetailType": "t", "Detail": "{}", "EventBusName": bus}
    return str(events.put_events(Entries=[entry])["Entries"][0]["EventId"])


def test_a_function_is_added_and_invoked(
    function: Run, events: Any, emulator: Hook, name: str, eventually: Eventually
) -> None:
    """A function can be a target from the moment on that it has a URL, and is invoked there."""
    target = {"Id": "t", "Arn": arn(name)}
    with pytest.raises(events.exceptions.ClientError):
        events.put_targets(Rule=name, EventBusName=name, Targets=[target])
    added = function("add", name, "--url", emulator.url)
    events.put_targets(Rule=name, EventBusName=name, Targets=[target])
    event_id = put_event(events, name)
    (seen,) = eventually(lambda: emulator.at(INVOKE_PATH))

    assert (0, f"{arn(name)} is invoked at {emulator.url}\n") == (added.exit_code, added.stdout)
    assert event_id == json.loads(seen.body)["id"]
    assert "Event" == seen.headers["x-amz-invocation-type"]


def test_another_url(
    function: Run, events: Any, emulator: Hook, hooked: Hooked, name: str, eventually: Eventually
) -> None:
    """A function that is added again is invoked at its new URL."""
    with hooked() as other:
        function("add", name, "--url", emulator.url)
        events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "t", "Arn": arn(name)}])
        put_event(events, name)
        eventually(lambda: emulator.seen)
        function("add", name, "--url", other.url)
        put_event(events, name)
        eventually(lambda: other.seen)

        assert (1, 1) == (len(emulator.seen), len(other.seen))


def test_a_function_that_is_busy(
    function: Run, events: Any, emulator: Hook, name: str, eventually: Eventually
) -> None:
    """An emulator that runs for somebody else is asked again."""
    emulator.answers = [(400, {}, "")]
    function("add", name, "--url", emulator.url)
    events.put_targets(Rule=name, EventBusName=name, Targets=[{"Id": "t", "Arn": arn(name)}])
    put_event(events, name)

    eventually(lambda: len(emulator.at(INVOKE_PATH)) == 2)


def test_a_function_that_is_removed(
    function: Run,
    events: Any,
    open_deployment: Deployment,
    client_of: ClientFactory,
    name: str,
) -> None:
    """Events for a function that was removed are dead letters that say so."""
    sqs = client_of(open_deployment.url, "sqs", EAST, ("test", "test"))
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    function("add", name, "--url", "http://127.0.0.1:1")
    queue = f"arn:aws:sqs:{EAST}:{ACCOUNT}:{name}"
    events.put_targets(
        Rule=name,
        EventBusName=name,
        Targets=[{"Id": "t", "Arn": arn(name), "DeadLetterConfig": {"Arn": queue}}],
    )
    removed = function("remove", name)
    put_event(events, name)
    (letter,) = sqs.receive_message(
        QueueUrl=url, WaitTimeSeconds=10, MessageAttributeNames=["All"]
    )["Messages"]

    assert (0, f"{arn(name)} is removed\n") == (removed.exit_code, removed.stdout)
    assert "NO_RESOURCE" == letter["MessageAttributes"]["ERROR_CODE"]["StringValue"]


def test_the_list(function: Run, name: str) -> None:
    """The list has what was added, and the same as data."""
    function("add", name, "--url", "http://127.0.0.1:9000")
    listed = json.loads(function("list", "--json").stdout)
    known = {one["name"]: one for one in listed}

    assert f"{arn(name)}  http://127.0.0.1:9000  (account)\n" in function("list").stdout
    assert {
        "name": name,
        "arn": arn(name),
        "url": "http://127.0.0.1:9000",
        "from": "account",
    } == known[name]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("add", "a b", "--url", "http://h"), 4, "ValidationException: name must have 1 to 64"),
        (("add", "a", "--url", "ftp://h"), 4, "ValidationException: url must be an http URL"),
        (("remove", "nothing"), 4, "ResourceNotFoundException: Account 000000000000 has no"),
        (("list", "--endpoint-url", "http://127.0.0.1:1"), 3, "Nothing answers at"),
    ],
)
def test_what_is_refused(function: Run, words: tuple[str, ...], code: int, message: str) -> None:
    """What cannot be done says why, with an exit code of its own."""
    done = function(*words)

    assert code == done.exit_code
    assert f"farspan: {EAST}: {message}" in done.stderr


def test_each_region_has_its_list(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, name: str
) -> None:
    """Without a Region every Region of the deployment gets the function; with one, it alone."""
    for variable in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EVENTS", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.delenv("AWS_ACCESS_KEY_ID", raising=False)
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    up = {"url": deployment.url, "regions": [{"name": EAST}, {"name": WEST}]}
    (tmp_path / "up.json").write_text(json.dumps(up))
    words = ["--url", "http://127.0.0.1:9000", "--data", str(tmp_path)]
    both = CliRunner().invoke(main, ["function", "add", name, *words])
    one = CliRunner().invoke(main, ["function", "add", name, *words, "--region", WEST])

    assert [EAST, WEST] == [line.split(":")[3] for line in both.stdout.splitlines()]
    assert [WEST] == [line.split(":")[3] for line in one.stdout.splitlines()]


def test_another_account_does_not_see_it(deployment: Deployment, name: str) -> None:
    """A function is its account's own."""
    mine = Remote(deployment.url, EAST, Credential())
    other = Credential(access_key_id="other", secret_access_key="other-secret")
    mine.page(PAGE, "PUT", name=name, url="http://127.0.0.1:9000")
    theirs = Remote(deployment.url, EAST, other)
    with pytest.raises(Refused, match="ResourceNotFoundException"):
        theirs.page(PAGE, "DELETE", name=name)

    assert name not in {one["name"] for one in json.loads(theirs.page(PAGE))["functions"]}


def test_methods_that_are_none(deployment: Deployment) -> None:
    """The page says which methods it takes."""
    with pytest.raises(Refused, match="takes GET, PUT and DELETE"):
        Remote(deployment.url, EAST, Credential()).page(PAGE, "POST")
