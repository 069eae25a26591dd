"""The route of an endpoint forced and paused over the nodes' pages and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import CliRunner, Result
from tests.parity.conftest import endpoint_settings

from farspan.cli import main
from farspan.config import Credential

if TYPE_CHECKING:
    from conftest import (
        ClientFactory,
        Deployment,
        Eventually,
        GlobalEndpoint,
        QueueOf,
        Reply,
        Send,
        SignedHeaders,
    )

EAST, WEST = "us-east-1", "us-west-2"
NODES = [None, EAST, WEST]
OTHER_KEY = ("other", "other-secret")

Ask = Callable[..., "Reply"]


@pytest.fixture(scope="module")
def routed(make_endpoint: Callable[[str], GlobalEndpoint]) -> GlobalEndpoint:
    """An endpoint of this file's own: its health check never says anything but healthy."""
    return make_endpoint("overridden")


@pytest.fixture
def ask(deployment: Deployment, send: Send, signed_headers: SignedHeaders) -> Ask:
    """Ask a node for a page below `/-/endpoints`."""

    def ask(
        method: str,
        path: str = "",
        order: object = None,
        *,
        node: str | None = None,
        key: tuple[str, str] = ("test", "test"),
    ) -> Reply:
        url, path = deployment.url_of(node), f"/-/endpoints{path}"
        body = b"" if order is None else json.dumps(order).encode()
        headers = signed_headers(url, method, path, body=body, key=key)
        return send(url, method, path, headers=headers, body=body)

    return ask


@pytest.fixture
def order(ask: Ask, routed: GlobalEndpoint) -> Any:
    """Put an override, and take it back after the test with the primary in use again."""

    def order(node: str | None = None, **members: object) -> dict[str, Any]:
        reply = ask("PUT", f"/{routed.endpoint_id}/override", members, node=node)
        assert reply.status == 200, reply.body
        answered: dict[str, Any] = json.loads(reply.body)
        return answered

    yield order
    order(route="PRIMARY")
    order()


def shown_at(ask: Ask, endpoint: GlobalEndpoint, node: str | None) -> dict[str, Any]:
    """Return what a node's list says of an endpoint."""
    listed = json.loads(ask("GET", node=node).body)["endpoints"]
    (found,) = (each for each in listed if each["endpoint_id"] == endpoint.endpoint_id)
    shown: dict[str, Any] = found
    return shown


def serving_region(client: ClientFactory, endpoint: GlobalEndpoint) -> str:
    """Put an event through the endpoint and return the Region that took it."""
    entry = {"Source": "s", "DetailType": "t", "Detail": "{}", "EventBusName": endpoint.name}
    answer = client("events").put_events(EndpointId=endpoint.endpoint_id, Entries=[entry])
    region: str = answer["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"]
    return region


@pytest.mark.parametrize("node", NODES)
def test_a_forced_route_is_taken_by_all_nodes_at_once(
    order: Any, ask: Ask, routed: GlobalEndpoint, client: ClientFactory, node: str | None
) -> None:
    """Whichever node takes it, every node has the route when it is answered."""
    answer = order(node, route="SECONDARY", reason="drill")

    assert set(answer["told"].values()) == {"ok"}
    assert [("SECONDARY", WEST)] * 3 == [
        (shown["route"], shown["region"])
        for shown in (shown_at(ask, routed, each) for each in NODES)
    ]
    assert WEST == serving_region(client, routed)


def test_the_list_says_who_ordered_what_and_why(
    order: Any, ask: Ask, routed: GlobalEndpoint
) -> None:
    """The override has its reason, its maker, the node that took it, and the seconds left."""
    order(WEST, route="SECONDARY", seconds=600, reason="drill")
    shown = shown_at(ask, routed, EAST)

    assert 590 < shown["override"].pop("seconds_left") <= 600
    assert {
        "route": "SECONDARY",
        "paused": False,
        "reason": "drill",
        "by": "arn:aws:iam::000000000000:root",
        "node": WEST,
    }.items() <= shown["override"].items()
    assert "FORCED_SECONDARY" == shown["routing"]
    assert shown["reason"].startswith("forced to the secondary: drill")
    assert ("HEALTHY", {"edge", WEST}) == (shown["evidence"], set(shown["votes"]))


def test_an_order_falls_away_by_itself(
    order: Any, ask: Ask, routed: GlobalEndpoint, eventually: Eventually
) -> None:
    """After its seconds the route is by health again, back after the hold time."""
    order(route="SECONDARY", seconds=0.5)
    eventually(lambda: shown_at(ask, routed, None)["override"] is None, 5)
    eventually(lambda: shown_at(ask, routed, None)["route"] == "PRIMARY")


def test_the_history_tells_each_change_once(order: Any, ask: Ask, routed: GlobalEndpoint) -> None:
    """Every node knows when the route changed, from where to where, why, and on what votes."""
    before = json.loads(ask("GET", f"/{routed.endpoint_id}/history").body)["history"]
    order(EAST, route="SECONDARY", reason="for the history")
    path = f"/{routed.endpoint_id}/history"
    histories = [json.loads(ask("GET", path, node=node).body)["history"] for node in NODES]
    generations = [change["generation"] for change in histories[0]]

    assert len(before) + 1 == len(histories[0])
    assert generations == sorted(set(generations))
    for history in histories:
        last = history[-1]
        assert (EAST, WEST, "SECONDARY") == (
            last["from_region"], last["to_region"], last["route"],
        )  # fmt: skip
        assert "for the history" in last["reason"]
        assert {"edge", WEST} == set(last["votes"])
        assert generations[-1] == last["generation"]


def test_g12_each_change_of_route_is_an_event_on_both_default_buses(
    order: Any,
    client: ClientFactory,
    routed: GlobalEndpoint,
    make_queue: Callable[..., QueueOf],
    name: str,
) -> None:
    """Once on each, with the same id, whoever saw it: where from and to, why, and on what votes."""
    queues = {region: make_queue(name, region) for region in (EAST, WEST)}
    pattern = {
        "source": ["aws.events"],
        "detail-type": ["Endpoint State Change"],
        "resources": [routed.arn],
        "detail": {"reason": [{"wildcard": f"*{name}*"}]},
    }
    for region, queue in queues.items():
        events = client("events", region)
        events.put_rule(Name=name, EventPattern=json.dumps(pattern))
        events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": queue.arn}])
    try:
        order(WEST, route="SECONDARY", reason=name)
        order(None, route="PRIMARY", reason=name)
        told = {region: queue.receive_events(2) for region, queue in queues.items()}
        assert all(queue.is_empty() for queue in queues.values())
    finally:
        for region in queues:
            events = client("events", region)
            events.remove_targets(Rule=name, Ids=["q"])
            events.delete_rule(Name=name)

    assert [EAST] * 2 + [WEST] * 2 == [e["region"] for region in told for e in told[region]]
    by_generation = [sorted(told[r], key=lambda e: e["detail"]["generation"]) for r in (EAST, WEST)]
    for there, back in by_generation:
        members = ("previousRegion", "region", "route")
        assert [EAST, WEST, "SECONDARY"] == [there["detail"][member] for member in members]
        assert [WEST, EAST, "PRIMARY"] == [back["detail"][member] for member in members]
        assert there["detail"]["generation"] + 1 == back["detail"]["generation"]
        assert {"edge", WEST} == set(there["detail"]["votes"])
        assert f"forced to the secondary: {name}" in there["detail"]["reason"]
        assert routed.endpoint_id == back["detail"]["endpointId"]
    assert [e["id"] for e in by_generation[0]] == [e["id"] for e in by_generation[1]]


@pytest.mark.parametrize(
    "body",
    [
        {"route": "THIRD"},
        {"paused": "yes"},
        {"route": "PRIMARY", "seconds": 0},
        {"route": "PRIMARY", "seconds": -1},
        {"route": "PRIMARY", "seconds": 1e9},
        {"seconds": 5},
        {"region": "us-west-2"},
        {"reason": "x" * 513},
        [],
        "PRIMARY",
    ],
)
def test_what_is_no_order_is_refused(ask: Ask, routed: GlobalEndpoint, body: object) -> None:
    """A body that is none says so by name and changes nothing."""
    reply = ask("PUT", f"/{routed.endpoint_id}/override", body)

    assert (400, "ValidationException") == (reply.status, reply.error["__type"])
    assert "override is not valid" in reply.error["message"]
    assert shown_at(ask, routed, None)["override"] is None


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("POST", "", "ValidationException"),
        ("GET", "/ID/override", "ValidationException"),
        ("PUT", "/ID/history", "ValidationException"),
        ("GET", "/ID/elsewhere", "ValidationException"),
        ("GET", "/ID", "ValidationException"),
        ("GET", "/none.veo/history", "ResourceNotFoundException"),
        ("PUT", "/none.veo/override", "ResourceNotFoundException"),
    ],
)
def test_pages_that_are_not_there(
    ask: Ask, routed: GlobalEndpoint, method: str, path: str, code: str
) -> None:
    """A wrong method, page or id is refused with what there is."""
    reply = ask(method, path.replace("ID", routed.endpoint_id), {} if method == "PUT" else None)

    assert code == reply.error["__type"]


def test_another_account_sees_and_moves_nothing(ask: Ask, routed: GlobalEndpoint) -> None:
    """Endpoints of other accounts are not there."""
    path = f"/{routed.endpoint_id}"
    refused = [
        ask("PUT", f"{path}/override", {"route": "SECONDARY"}, key=OTHER_KEY),
        ask("GET", f"{path}/history", key=OTHER_KEY),
    ]

    assert ["ResourceNotFoundException"] * 2 == [reply.error["__type"] for reply in refused]
    assert [] == json.loads(ask("GET", key=OTHER_KEY).body)["endpoints"]


def test_without_a_signature_nothing_is_shown(deployment: Deployment, send: Send) -> None:
    """The pages take a key, as every other call does."""
    assert 403 == send(deployment.url, "GET", "/-/endpoints").status


POLICIES = {
    "watcher": {"Effect": "Allow", "Action": ["events:List*", "events:Describe*"]},
    "mover": {"Effect": "Allow", "Action": "events:UpdateEndpoint"},
    "elsewhere": {
        "Effect": "Allow",
        "Action": "events:*",
        "Resource": "arn:aws:events:*:*:endpoint/other",
    },
}


@pytest.fixture(scope="module")
def guarded(deployed: Callable[..., Deployment], client_of: ClientFactory) -> tuple[str, str]:
    """A deployment with users, and an endpoint in it: its URL, and the EndpointId."""
    users = [
        Credential(
            access_key_id=name,
            secret_access_key=f"{name}-secret",
            user_name=name,
            policy=json.dumps(
                {"Version": "2012-10-17", "Statement": [{"Resource": "*", **statement}]}
            ),
        )
        for name, statement in POLICIES.items()
    ]
    made = deployed(EAST, WEST, credentials=(Credential(), *users))
    events = client_of(made.url, "events", EAST, ("test", "test"))
    settings = endpoint_settings("default", "00000000-0000-4000-8000-000000000000")
    events.create_endpoint(**settings)
    return made.url, events.describe_endpoint(Name="default")["EndpointId"]


@pytest.mark.parametrize(
    ("user", "allowed"),
    [("test", "list history override"), ("watcher", "list history"), ("mover", "override"),
     ("elsewhere", "")],
)  # fmt: skip
def test_a_users_policy_says_which_pages_it_may_have(
    guarded: tuple[str, str], send: Send, signed_headers: SignedHeaders, user: str, allowed: str
) -> None:
    """ListEndpoints, DescribeEndpoint and UpdateEndpoint are the actions."""
    url, endpoint_id = guarded
    key = (user, "test" if user == "test" else f"{user}-secret")
    statuses = {}
    for page, method, path in (
        ("list", "GET", "/-/endpoints"),
        ("history", "GET", f"/-/endpoints/{endpoint_id}/history"),
        ("override", "PUT", f"/-/endpoints/{endpoint_id}/override"),
    ):
        body = b"{}" if method == "PUT" else b""
        headers = signed_headers(url, method, path, body=body, key=key)
        reply = send(url, method, path, headers=headers, body=body)
        assert reply.status == 200 or "AccessDeniedException" == reply.error["__type"]
        statuses[page] = reply.status == 200

    assert allowed.split() == [page for page, ok in statuses.items() if ok]


# --- the command line ------------------------------------------------------------------------


@pytest.fixture
def run(deployment: Deployment, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Run `farspan endpoint ...` against the deployment."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)

    def run(*words: str) -> Result:
        where = ["--endpoint-url", deployment.url, "--data", str(tmp_path)]
        return CliRunner().invoke(main, ["endpoint", *words, *where])

    return run


def test_the_command_line_forces_pauses_and_releases(
    run: Any, order: Any, routed: GlobalEndpoint
) -> None:
    """route, pause, resume and history go through the pages."""
    name = routed.name
    forced = run("route", name, "--to", "SECONDARY", "--for", "10m", "--reason", "by hand")
    listed = run("list")
    released = run("route", name, "--to", "auto")
    paused = run("pause", name, "--for", "1h30m")
    shown = json.loads(run("show", name, "--json").stdout)
    resumed = run("resume", name)
    told = run("history", name)

    assert {0} == {r.exit_code for r in (forced, listed, released, paused, resumed, told)}, (
        forced.output
    )
    assert "FORCED_SECONDARY" in listed.stdout
    assert "forced to SECONDARY for 600 s more (by hand)" in listed.stdout
    assert "SECONDARY: us-west-2" in released.stdout
    assert 5_390 < shown["override"]["seconds_left"] <= 5_400
    assert f"{EAST} -> {WEST}" in told.stdout
    assert "by hand" in told.stdout


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "nobody"), 4),
        (("route", "nobody", "--to", "elsewhere"), 2),
        (("route", "nobody", "--to", "auto", "--for", "1m"), 2),
        (("pause", "nobody", "--for", "soon"), 2),
        (("list", "--endpoint-url", "http://127.0.0.1:9"), 3),
    ],
    ids=["no-such-endpoint", "no-such-route", "auto-for-a-while", "no-duration", "nobody-there"],
)
def test_what_the_command_line_cannot_do(run: Any, words: tuple[str, ...], code: int) -> None:
    """Wrong words, no answer and a refusal have exit codes of their own."""
    if "--endpoint-url" in words:
        result = CliRunner().invoke(main, ["endpoint", *words])
    else:
        result = run(*words)

    assert code == result.exit_code, result.output
