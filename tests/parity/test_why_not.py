"""`farspan why-not` and the page it reads, against a running deployment."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result

from farspan.cli import main
from farspan.cli.remote import Refused, Remote
from farspan.config import Credential
from farspan.pattern import explain

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Send

EAST, WEST = "us-east-1", "us-west-2"
EVENTS = "/-/events"
PATTERN = '{"source":["shop"],"detail":{"n":[{"numeric":[">",1]}]}}'
QUEUE = "arn:aws:sqs:us-east-1:000000000000:anywhere"


def entry(bus: str, source: str, detail: Any) -> dict[str, str]:
    """Return an entry of PutEvents."""
    return {
        "EventBusName": bus,
        "Source": source,
        "DetailType": "t",
        "Detail": detail if isinstance(detail, str) else json.dumps(detail),
    }


@pytest.fixture
def bus(events: Any, request: pytest.FixtureRequest) -> str:
    """Return a new bus with the rule `r`, that has a target."""
    name = f"why-not-{abs(hash(request.node.nodeid)) % 10**9}"
    events.create_event_bus(Name=name)
    events.put_rule(Name="r", EventBusName=name, EventPattern=PATTERN)
    events.put_targets(Rule="r", EventBusName=name, Targets=[{"Id": "q", "Arn": QUEUE}])
    return name


@pytest.fixture
def why_not(deployment: Deployment, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run the command with the environment that `farspan env` gives."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", deployment.url)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.setenv("AWS_DEFAULT_REGION", EAST)
    for name in ("AWS_REGION", "AWS_SESSION_TOKEN", "AWS_ENDPOINT_URL_EVENTS"):
        monkeypatch.delenv(name, raising=False)

    def why_not(*words: str) -> Result:
        return CliRunner().invoke(main, ["why-not", *words])

    return why_not


def remote(deployment: Deployment, region: str = EAST, key: str = "test") -> Remote:
    """Return the deployment as an account's key sees it."""
    secret = "test" if key == "test" else f"{key}-secret"
    credential = Credential(access_key_id=key, secret_access_key=secret)
    return Remote(deployment.url, region, credential)


def page(remote: Remote, **query: Any) -> Any:
    """Return the page's content."""
    return json.loads(remote.page(EVENTS, **query))


# --- the page --------------------------------------------------------------------------------


def test_the_last_events(deployment: Deployment, events: Any, bus: str) -> None:
    """The last N events come in the order of the log, byte for byte as they were stamped."""
    for number in range(4):
        detail = f'{{"n": {number}.50, "big": 9007199254740993}}'
        events.put_events(Entries=[entry(bus, "s", detail)] * 3)
    body = remote(deployment).page(EVENTS, bus=bus, last=5)
    found = json.loads(body)

    assert [8, 9, 10, 11, 12] == [event["position"] for event in found["events"]]
    assert f"arn:aws:events:{EAST}:000000000000:event-bus/{bus}" == found["event_bus"]
    assert (EAST, EAST) == (found["region"], found["events"][0]["origin"])
    assert "s" == found["events"][-1]["event"]["source"]
    assert b'"detail":{"n": 3.50, "big": 9007199254740993}' in body


def test_ten_events_unless_told(deployment: Deployment, events: Any, bus: str) -> None:
    """Without `last` the page has ten, or as many as there are."""
    assert [] == page(remote(deployment), bus=bus)["events"]

    for _ in range(2):
        events.put_events(Entries=[entry(bus, "s", {})] * 6)

    assert 10 == len(page(remote(deployment), bus=bus)["events"])
    assert 12 == len(page(remote(deployment), bus=bus, last=100)["events"])


def test_the_newest_that_fit(deployment: Deployment, events: Any, bus: str) -> None:
    """Where the events are more than a reply carries, the newest come."""
    for number in range(6):
        events.put_events(Entries=[entry(bus, str(number), {"text": "x" * 900_000})])
    found = page(remote(deployment), bus=bus)["events"]

    assert ["2", "3", "4", "5"] == [event["event"]["source"] for event in found]


def test_each_region_has_its_own(deployment: Deployment, client: Any) -> None:
    """The signature's Region decides, whichever node is asked."""
    east, west = client("events", EAST), client("events", WEST)
    for region in (east, west):
        region.create_event_bus(Name="two-logs")
    west.put_events(Entries=[entry("two-logs", "s", {})])

    assert [] == page(remote(deployment, EAST), bus="two-logs")["events"]
    assert [WEST] == [
        event["origin"] for event in page(remote(deployment, WEST), bus="two-logs")["events"]
    ]


@pytest.mark.parametrize(
    ("key", "asked", "code"),
    [
        ("other", {"bus": "NAME"}, "ResourceNotFoundException"),
        ("other", {"bus": "ARN"}, "AccessDeniedException"),
        ("test", {"bus": "nowhere"}, "ResourceNotFoundException"),
        ("test", {"bus": "NAME", "last": "0"}, "ValidationException"),
        ("test", {"bus": "NAME", "last": "101"}, "ValidationException"),
        ("test", {"bus": "NAME", "last": "-1"}, "ValidationException"),
        ("test", {"bus": "NAME", "last": "\u0661"}, "ValidationException"),
        ("unknown", {"bus": "NAME"}, "UnrecognizedClientException"),
    ],
)
def test_what_the_page_refuses(
    deployment: Deployment, bus: str, key: str, asked: dict[str, str], code: str
) -> None:
    """Another account's bus, one that is not there, a bad number, and an unknown key."""
    names = {"NAME": bus, "ARN": f"arn:aws:events:{EAST}:000000000000:event-bus/{bus}"}
    query = {**asked, "bus": names.get(asked["bus"], asked["bus"])}
    with pytest.raises(Refused) as refused:
        page(remote(deployment, key=key), **query)

    assert code == refused.value.code


def test_another_accounts_default_bus_is_another_bus(deployment: Deployment, events: Any) -> None:
    """Each account has a default bus, and sees the events of its own."""
    events.put_events(Entries=[{"Source": "mine", "DetailType": "t", "Detail": "{}"}])
    sources = [e["event"]["source"] for e in page(remote(deployment, key="other"))["events"]]

    assert "mine" not in sources


def test_the_page_takes_a_signature(deployment: Deployment, bus: str, send: Send) -> None:
    """With authentication on nobody reads without a signature."""
    reply = send(deployment.url, "GET", f"{EVENTS}?bus={bus}")

    assert 400 <= reply.status < 500
    assert b"events" not in reply.body


def test_the_page_takes_get(open_deployment: Deployment, send: Send) -> None:
    """It changes nothing, and says so; with authentication off it needs no signature."""
    assert 400 == send(open_deployment.url, "POST", EVENTS).status
    assert 200 == send(open_deployment.url, "GET", EVENTS).status


@pytest.mark.parametrize(
    ("action", "allowed"), [("events:*", True), ("events:ReadEvents", True), ("events:D*", False)]
)
def test_a_policy_may_close_the_page(
    deployed: Callable[..., Deployment], action: str, allowed: bool
) -> None:
    """A user reads where its policy allows events:ReadEvents on the bus."""
    statement = {"Effect": "Allow", "Action": action, "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    user = Credential(access_key_id="u", secret_access_key="u-secret", user_name="u", policy=policy)
    asked = remote(deployed(credentials=(Credential(), user)), key="u")
    if allowed:
        assert [] == page(asked)["events"]
    else:
        with pytest.raises(Refused, match="AccessDenied"):
            page(asked)


# --- the command -----------------------------------------------------------------------------


def test_a_table_of_events(events: Any, bus: str, why_not: Callable[..., Result]) -> None:
    """Each event has a line, and the nearest miss is told in full; one that matches gives 0."""
    entries = [entry(bus, "shop", {"n": 2}), entry(bus, "bank", {}), entry(bus, "shop", {"n": "5"})]
    events.put_events(Entries=entries)
    result = why_not("r", "--bus", bus)

    assert 0 == result.exit_code
    assert "1 of 3 match." in result.stdout
    assert ["✓", "✗", "✗"] == [line[0] for line in result.stdout.splitlines()[2:5]]
    assert "detail.n: the event's value is the string" in result.stdout
    assert '└── ✗ detail.n: {"numeric":[">",1]}, has "5"' in result.stdout


def test_the_last_events_only(events: Any, bus: str, why_not: Callable[..., Result]) -> None:
    """--last says how many; where none of them matches the exit code is 1."""
    events.put_events(Entries=[entry(bus, "shop", {"n": 2})])
    events.put_events(Entries=[entry(bus, "bank", {"n": 2})])
    result = why_not("r", "--bus", bus, "--last", "1", "--json")
    answer = json.loads(result.stdout)

    assert 1 == result.exit_code
    assert (False, []) == (answer["matched"], answer["problems"])
    assert ["bank"] == [event["source"] for event in answer["events"]]
    assert ("r", PATTERN) == (answer["rule"]["Name"], answer["rule"]["EventPattern"])


def test_all_match(events: Any, bus: str, why_not: Callable[..., Result]) -> None:
    """Where everything matches, the targets are what is left to look at."""
    events.put_events(Entries=[entry(bus, "shop", {"n": 2})])
    result = why_not("r", "--bus", bus)

    assert 0 == result.exit_code
    assert "All 1 match" in result.stdout


def test_no_events(bus: str, why_not: Callable[..., Result]) -> None:
    """A bus without events says so."""
    result = why_not("r", "--bus", bus)

    assert 1 == result.exit_code
    assert "no events yet" in result.stdout


@pytest.mark.parametrize(
    ("detail", "code"), [('{"n":2}', 0), ('{"n":1}', 1)], ids=["match", "no-match"]
)
def test_a_given_event(bus: str, why_not: Callable[..., Result], detail: str, code: int) -> None:
    """With --event the rule is asked about that one, as `farspan explain` would."""
    event = f'{{"source":"shop","detail":{detail}}}'
    result = why_not("r", "--bus", bus, "--event", event)

    assert code == result.exit_code
    assert "detail.n" in result.stdout


def test_a_rule_that_is_silent_anyway(
    events: Any, bus: str, why_not: Callable[..., Result]
) -> None:
    """A disabled rule, one without targets: said first, and never exit code 0."""
    events.disable_rule(Name="r", EventBusName=bus)
    events.remove_targets(Rule="r", EventBusName=bus, Ids=["q"])
    result = why_not("r", "--bus", bus, "--event", '{"source":"shop","detail":{"n":2}}')
    first, second, *_ = result.stdout.splitlines()

    assert 1 == result.exit_code
    assert "DISABLED" in first
    assert "no targets" in second
    assert "✓ match" in result.stdout


def test_the_wrong_bus(bus: str, why_not: Callable[..., Result]) -> None:
    """A rule that is on another bus is found there; the exit code is 4."""
    result = why_not("r")

    assert 4 == result.exit_code
    assert "ResourceNotFoundException" in result.stderr
    assert "add --bus why-not-" in result.stderr


def test_nothing_answers(why_not: Callable[..., Result]) -> None:
    """Where nothing listens the exit code is 3."""
    result = why_not("r", "--endpoint-url", "http://127.0.0.1:9")

    assert 3 == result.exit_code
    assert "Nothing answers" in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--event", "{}", "--last", "3"),
        ("--last", "101"),
        ("--event", "nofile"),
        ("--endpoint-url", "ftp://x"),
    ],
)
def test_bad_words(bus: str, why_not: Callable[..., Result], words: tuple[str, ...]) -> None:
    """What cannot be is refused with exit code 2."""
    result = why_not("r", "--bus", bus, *words)

    assert 2 == result.exit_code
    assert isinstance(result.exception, SystemExit)


def test_an_event_that_is_none(bus: str, why_not: Callable[..., Result]) -> None:
    """An event that is no JSON object has exit code 2, as for `farspan explain`."""
    assert 2 == why_not("r", "--bus", bus, "--event", '{"a"').exit_code


def test_no_deployment_is_named(
    why_not: Callable[..., Result], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a URL nothing is asked: no request ever goes to AWS."""
    monkeypatch.delenv("AWS_ENDPOINT_URL")
    result = why_not("r", "--data", "/nowhere")

    assert 2 == result.exit_code
    assert "farspan env" in result.stderr


# --- the verdict -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "pattern",
    [
        {"source": ["shop"]},
        {"source": ["Shop"]},
        {"detail": {"items": {"sku": ["a"], "n": [1]}}},
        {"detail": {"items": {"sku": ["a"], "n": [2]}}},
        {"detail": {"$or": [{"gone": [1]}, {"total": [{"numeric": [">", 12]}]}]}},
        {"detail": {"$or": [{"gone": [1]}, {"total": [12]}]}},
        {"detail": {"gone": [{"exists": False}], "total": ["12.5"]}},
        {"detail.total": [12.5]},
        {"detail-type": [{"anything-but": {"suffix": "id"}}]},
    ],
    ids=json.dumps,
)
def test_the_verdict_is_that_of_test_event_pattern(events: Any, pattern: Any) -> None:
    """An explanation and TestEventPattern never differ."""
    event = {
        "id": "1",
        "account": "000000000000",
        "source": "shop",
        "time": "2026-11-23T12:00:00Z",
        "region": EAST,
        "detail-type": "paid",
        "detail": {"total": 12.50, "items": [{"sku": "a", "n": 1}, {"sku": "b", "n": 2}]},
    }
    text = json.dumps(pattern)
    answer = events.test_event_pattern(EventPattern=text, Event=json.dumps(event))

    assert answer["Result"] is explain(text, event).matched
