"""PutEvents with an EndpointId: signed with SigV4A, routed, and copied to the other Region."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from tests.parity.conftest import (
        Deployment,
        Eventually,
        GlobalEndpoint,
        QueueOf,
        Send,
        SignedHeaders,
    )

EAST, WEST = "us-east-1", "us-west-2"
ACCOUNT = "000000000000"
REGIONS = pytest.mark.parametrize("region", [EAST, WEST])
Refusal = Callable[..., tuple[str, str]]


def entry(**changes: object) -> dict[str, Any]:
    """Return an entry without a bus."""
    return {"Source": "shop", "DetailType": "paid", "Detail": '{"n": 1.0}', **changes}


def served_by(answer: dict[str, Any]) -> str:
    """Return the Region that took a call."""
    return answer["ResponseMetadata"]["HTTPHeaders"]["x-farspan-region"]


def test_an_event_appears_in_both_regions(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint
) -> None:
    """One id, the origin's Region and time in both; the endpoint's ARN in the replica alone."""
    answer = client("events").put_events(
        EndpointId=endpoint.endpoint_id,
        Entries=[entry(EventBusName=endpoint.name, Resources=["arn:aws:s3:::shop"])],
    )
    (original,) = endpoint.queues[EAST].receive(1)
    (replica,) = endpoint.queues[WEST].receive(1)
    event = json.loads(original["Body"])
    own, marked = '"resources":["arn:', f'"resources":["{endpoint.arn}","arn:'

    assert answer["Entries"][0]["EventId"] == event["id"]
    assert (EAST, ["arn:aws:s3:::shop"]) == (event["region"], event["resources"])
    assert original["Body"].replace(own, marked) == replica["Body"]


def test_a_trace_reaches_both_regions_queues(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint
) -> None:
    """A replica is delivered under the trace of its original."""
    trace = "Root=1-5759e988-bd862e3fe1be46a994272793"
    client("events").put_events(
        EndpointId=endpoint.endpoint_id, Entries=[entry(TraceHeader=trace), entry()]
    )
    both = [{"AWSTraceHeader": trace}, None]
    found: dict[str, list[Any]] = {}
    for region, queue in endpoint.queues.items():
        found[region] = []
        while len(found[region]) < 2:
            answer = queue.sqs.receive_message(
                QueueUrl=queue.url, WaitTimeSeconds=10, AttributeNames=["AWSTraceHeader"]
            )
            found[region] += [m.get("Attributes") for m in answer["Messages"]]

    assert {EAST: both, WEST: both} == found


def test_the_replica_is_not_copied_back(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint
) -> None:
    """Each Region's queue has each event once: nothing goes round."""
    for number in range(2):
        client("events").put_events(
            EndpointId=endpoint.endpoint_id, Entries=[entry(Detail=f'{{"n":{number}}}')]
        )
        for queue in endpoint.queues.values():
            assert [{"n": number}] == [event["detail"] for event in queue.receive_events(1)]

    assert all(queue.is_empty() for queue in endpoint.queues.values())


def test_without_an_endpoint_nothing_is_copied(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint
) -> None:
    """What is put on one Region's bus directly stays there."""
    client("events").put_events(Entries=[entry(EventBusName=endpoint.name, Detail='{"n":1}')])
    client("events").put_events(EndpointId=endpoint.endpoint_id, Entries=[entry(Detail='{"n":2}')])

    assert [1, 2] == [e["detail"]["n"] for e in endpoint.queues[EAST].receive_events(2)]
    assert [2] == [e["detail"]["n"] for e in endpoint.queues[WEST].receive_events(1)]


@REGIONS
@pytest.mark.parametrize("bus", ["name", "arn-of-the-primary", "arn-of-the-secondary", "missing"])
def test_how_the_bus_may_be_named(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint, region: str, bus: str
) -> None:
    """Name, ARN of either Region or nothing: the endpoint's bus in the Region in use."""
    names = dict(
        zip(
            ("name", "arn-of-the-primary", "arn-of-the-secondary"),
            (endpoint.name, *endpoint.event_bus_arns),
            strict=True,
        )
    )
    named = {"EventBusName": names[bus]} if bus in names else {}
    answer = client("events", region).put_events(
        EndpointId=endpoint.endpoint_id, Entries=[entry(**named)]
    )
    (event,) = endpoint.queues[EAST].receive_events(1)
    endpoint.queues[WEST].receive(1)

    assert EAST == served_by(answer)
    assert event["id"] == answer["Entries"][0]["EventId"]


@pytest.mark.parametrize(
    ("foreign", "shown"),
    [
        ("default", "default"),
        (f"arn:aws:events:{EAST}:{ACCOUNT}:event-bus/default", "default"),
        (f"arn:aws:events:{EAST}:111111111111:event-bus/{{name}}", None),
        (f"arn:aws:events:eu-west-1:{ACCOUNT}:event-bus/{{name}}", None),
    ],
    ids=["name", "arn", "arn-of-another-account", "arn-of-another-region"],
)
def test_a_bus_that_is_not_the_endpoints(
    events: BaseClient, endpoint: GlobalEndpoint, foreign: str, shown: str | None
) -> None:
    """The entry fails alone."""
    foreign = foreign.replace("{name}", endpoint.name)
    answer = events.put_events(
        EndpointId=endpoint.endpoint_id, Entries=[entry(EventBusName=foreign), entry()]
    )
    failed, taken = answer["Entries"]
    for queue in endpoint.queues.values():
        queue.receive(1)

    assert (
        "InvalidArgument",
        f"Parameter EventBusName is not valid. Reason: {shown or foreign} is not an event bus of "
        f"endpoint {endpoint.endpoint_id}.",
    ) == (failed["ErrorCode"], failed["ErrorMessage"])
    assert "EventId" in taken


@REGIONS
def test_an_unknown_endpoint(
    client: Callable[..., BaseClient], refusal: Refusal, region: str
) -> None:
    """The whole call fails."""
    assert (
        "ResourceNotFoundException",
        "Endpoint aaaaaaaaaa.veo does not exist.",
    ) == refusal(
        client("events", region).put_events, EndpointId="aaaaaaaaaa.veo", Entries=[entry()]
    )


@pytest.mark.parametrize("bad", ["nodot", "two.dots.here"])
def test_an_endpoint_id_that_cannot_be_one(events: BaseClient, refusal: Refusal, bad: str) -> None:
    """An id has one dot; SDKs do not look, so the server does."""
    code, message = refusal(events.put_events, EndpointId=bad, Entries=[entry()])

    assert "ValidationException" == code
    assert message == (
        f"1 validation error detected: Value '{bad}' at 'endpointId' failed to satisfy "
        r"constraint: Member must satisfy regular expression pattern: "
        r"^[A-Za-z0-9\-]+[\.][A-Za-z0-9\-]+$"
    )


def test_eleven_entries(events: BaseClient, endpoint: GlobalEndpoint, refusal: Refusal) -> None:
    """The model's constraints hold here as well."""
    code, message = refusal(
        events.put_events, EndpointId=endpoint.endpoint_id, Entries=[entry()] * 11
    )

    assert "ValidationException" == code
    assert message.endswith("Member must have length less than or equal to 10")


@pytest.fixture(scope="module")
def moving(make_endpoint: Callable[[str], GlobalEndpoint]) -> GlobalEndpoint:
    """An endpoint whose health check is turned."""
    return make_endpoint("moving")


@pytest.fixture
def turn(
    client: Callable[..., BaseClient], moving: GlobalEndpoint, eventually: Eventually
) -> Callable[[bool, str], None]:
    """Invert the health check or not, and wait until events go to a Region."""

    def turn(inverted: bool, region: str) -> None:
        client("route53").update_health_check(
            HealthCheckId=moving.health_check_id, Inverted=inverted
        )

        def there() -> bool:
            answer = client("events").put_events(
                EndpointId=moving.endpoint_id, Entries=[entry(Source="probe")]
            )
            return served_by(answer) == region

        eventually(there, 20)

    return turn


def test_failover_and_failback(
    client: Callable[..., BaseClient],
    moving: GlobalEndpoint,
    turn: Callable[[bool, str], None],
    refusal: Refusal,
) -> None:
    """Unhealthy: the secondary takes events under its own name; healthy: back again.

    A plain SigV4 signature works only while its Region is the one that serves.
    """
    events = client("events")
    east, west = (client("events", region, signature_version="v4") for region in (EAST, WEST))
    put = {"EndpointId": moving.endpoint_id, "Entries": [entry(Source="kept")]}
    out_of_scope = (
        "InvalidSignatureException",
        "Credential should be scoped to a valid region.",
    )

    assert [EAST, EAST] == [served_by(events.put_events(**put)), served_by(east.put_events(**put))]
    assert out_of_scope == refusal(west.put_events, **put)

    turn(True, WEST)
    answer = events.put_events(**put)
    assert [WEST, WEST] == [served_by(answer), served_by(west.put_events(**put))]
    assert out_of_scope == refusal(east.put_events, **put)

    turn(False, EAST)
    assert EAST == served_by(events.put_events(**put))
    event_id = answer["Entries"][0]["EventId"]
    original, copy = (find(moving.queues[region], event_id) for region in (WEST, EAST))
    assert [WEST, WEST] == [original["region"], copy["region"]]
    assert ([], [moving.arn]) == (original["resources"], copy["resources"])


def find(queue: QueueOf, event_id: str) -> dict[str, Any]:
    """Return the event of that id from a queue."""
    while True:
        answer = queue.sqs.receive_message(
            QueueUrl=queue.url, MaxNumberOfMessages=10, WaitTimeSeconds=5
        )
        for message in answer["Messages"]:
            event: dict[str, Any] = json.loads(message["Body"])
            if event["id"] == event_id:
                return event


@pytest.mark.parametrize("region", [None, EAST, WEST], ids=["edge", "east", "west"])
def test_two_authorization_headers(
    deployment: Deployment,
    endpoint: GlobalEndpoint,
    send: Send,
    signed_headers: SignedHeaders,
    region: str | None,
) -> None:
    """They are refused by the node that they reach, which would pass them on as one."""
    url = deployment.url_of(region)
    body = json.dumps({"EndpointId": endpoint.endpoint_id, "Entries": [entry()]}).encode()
    target = {"x-amz-target": "AWSEvents.PutEvents", "content-type": "application/x-amz-json-1.1"}
    headers = signed_headers(url, headers=target, body=body)
    twice = (*headers.items(), ("authorization", "Basic dTpw"))
    reply = send(url, headers=twice, body=body)

    assert "The Authorization header must be sent once." == reply.error["message"]


def test_a_buss_deny_holds_for_its_endpoint(
    client: Callable[..., BaseClient], endpoint: GlobalEndpoint
) -> None:
    """A Deny in the policy of the bus that serves stops its own account, with an EndpointId too."""
    deny = {
        "Sid": "d",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "events:PutEvents",
        "Resource": "*",
        "Condition": {"StringEquals": {"events:source": "forged"}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [deny]})
    events, put = client("events"), {"EndpointId": endpoint.endpoint_id}
    events.put_permission(EventBusName=endpoint.name, Policy=policy)
    try:
        with pytest.raises(ClientError, match="explicit deny in a resource-based policy"):
            events.put_events(**put, Entries=[entry(), entry(Source="forged")])
        answer = events.put_events(**put, Entries=[entry()])
    finally:
        events.remove_permission(EventBusName=endpoint.name, RemoveAllPermissions=True)

    assert 0 == answer["FailedEntryCount"]
