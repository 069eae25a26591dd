"""Keys with a policy of their own: what it allows is done, the rest is denied in AWS's words."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.config import Credential

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment

EAST = "us-east-1"
OWN, OTHER = "000000000000", "111111111111"
ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
PATTERN = '{"source":["a"]}'
ROLE = f"arn:aws:iam::{OWN}:role/target"
Refusal = Callable[..., tuple[str, str]]
Clients = Callable[..., BaseClient]


def bus_arn(name: str) -> str:
    """Return the ARN of a bus of the first account."""
    return f"arn:aws:events:{EAST}:{OWN}:event-bus/{name}"


def statement(effect: str, *actions: str, resource: Any = "*", **more: Any) -> dict[str, Any]:
    """Return a statement."""
    return {"Effect": effect, "Action": list(actions), "Resource": resource, **more}


POLICIES = {
    "producer": [
        statement("Allow", "events:PutEvents", resource=bus_arn("orders*")),
        statement(
            "Deny",
            "events:PutEvents",
            resource=bus_arn("orders-*"),
            Condition={"StringEquals": {"events:source": "forged"}},
        ),
    ],
    "operator": [
        statement("Allow", "events:*", "sqs:*", "iam:*"),
        statement("Deny", "events:*", resource=bus_arn("protected")),
        statement(
            "Deny",
            "events:*",
            resource=[
                f"arn:aws:events:{EAST}:{OWN}:rule/protected",
                f"arn:aws:events:{EAST}:{OWN}:rule/*/protected",
            ],
        ),
        statement("Deny", "sqs:*", resource=f"arn:aws:sqs:{EAST}:{OWN}:protected"),
        statement("Deny", "iam:*", resource=f"arn:aws:iam::{OWN}:role/*protected"),
        statement("Deny", "iam:PassRole", resource=ROLE),
    ],
    "reader": [statement("Allow", "events:Describe*", "events:List*", "sqs:Get*", "route53:Get*")],
    "nothing": [statement("Deny", "*")],
}


@pytest.fixture(scope="module")
def as_user(deployed: Callable[..., Deployment], client_of: Clients) -> Clients:
    """Return clients of a user of the first account, each named like its policy, or of its root."""
    users = [
        Credential(
            access_key_id=name,
            secret_access_key=f"{name}-secret",
            user_name=name,
            policy=json.dumps({"Version": "2012-10-17", "Statement": statements}),
        )
        for name, statements in POLICIES.items()
    ]
    url = deployed(credentials=(Credential(), *users)).url

    def as_user(user: str | None, service: str) -> BaseClient:
        key = (user, f"{user}-secret") if user else ("test", "test")
        return client_of(url, service, EAST, key)

    root = as_user(None, "events")
    for name in ("orders", "orders-eu", "protected", "other"):
        root.create_event_bus(Name=name)
    root.put_rule(Name="protected", EventPattern=PATTERN)
    as_user(None, "sqs").create_queue(QueueName="protected")
    return as_user


def denial(user: str, action: str, resource: str, *, explicit: bool = False) -> str:
    """Return the sentence that AWS says."""
    ending = (
        "with an explicit deny in an identity-based policy"
        if explicit
        else f"because no identity-based policy allows the {action} action"
    )
    return (
        f"User: arn:aws:iam::{OWN}:user/{user} is not authorized to perform: {action} "
        f"on resource: {resource} {ending}"
    )


@pytest.mark.parametrize(
    ("bus", "source", "explicit"),
    [
        ("orders", "s", None),
        (bus_arn("orders"), "s", None),
        ("orders-eu", "s", None),
        ("orders-eu", "forged", True),
        ("orders", "forged", None),
        ("other", "s", False),
        (None, "s", False),
    ],
)
def test_put_events(
    as_user: Clients, refusal: Refusal, bus: str | None, source: str, explicit: bool | None
) -> None:
    """By the bus's ARN, however it is named, and by what the entry says of itself."""
    events = as_user("producer", "events")
    entry = {**ENTRY, "Source": source, **({"EventBusName": bus} if bus else {})}

    if explicit is None:
        assert 0 == events.put_events(Entries=[entry])["FailedEntryCount"]
    else:
        arn = bus_arn(bus or "default")
        assert (
            "AccessDeniedException",
            denial("producer", "events:PutEvents", arn, explicit=explicit),
        ) == refusal(events.put_events, Entries=[entry])


def test_one_denied_entry_denies_the_call(as_user: Clients, refusal: Refusal) -> None:
    """Nothing of the call is taken."""
    entries = [{**ENTRY, "EventBusName": name} for name in ("orders", "other")]
    code, message = refusal(as_user("producer", "events").put_events, Entries=entries)

    assert "AccessDeniedException" == code
    assert denial("producer", "events:PutEvents", bus_arn("other")) == message


@pytest.mark.parametrize(
    ("service", "method", "params", "action", "resource"),
    [
        ("events", "list_event_buses", {}, "events:ListEventBuses", "*"),
        ("events", "describe_event_bus", {}, "events:DescribeEventBus", bus_arn("default")),
        ("events", "create_event_bus", {"Name": "x"}, "events:CreateEventBus", bus_arn("x")),
        (
            "events",
            "describe_rule",
            {"Name": "r", "EventBusName": bus_arn("orders")},
            "events:DescribeRule",
            f"arn:aws:events:{EAST}:{OWN}:rule/orders/r",
        ),
        (
            "events",
            "put_targets",
            {"Rule": "r", "Targets": [{"Id": "1", "Arn": f"arn:aws:sqs:{EAST}:{OWN}:q"}]},
            "events:PutTargets",
            f"arn:aws:events:{EAST}:{OWN}:rule/r",
        ),
        (
            "events",
            "describe_archive",
            {"ArchiveName": "a"},
            "events:DescribeArchive",
            f"arn:aws:events:{EAST}:{OWN}:archive/a",
        ),
        (
            "events",
            "describe_endpoint",
            {"Name": "e"},
            "events:DescribeEndpoint",
            f"arn:aws:events:{EAST}:{OWN}:endpoint/e",
        ),
        (
            "events",
            "list_tags_for_resource",
            {"ResourceARN": bus_arn("orders")},
            "events:ListTagsForResource",
            bus_arn("orders"),
        ),
        ("sqs", "list_queues", {}, "sqs:ListQueues", "*"),
        (
            "sqs",
            "send_message_batch",
            {"QueueUrl": "{url}", "Entries": [{"Id": "1", "MessageBody": "b"}]},
            "sqs:SendMessage",
            f"arn:aws:sqs:{EAST}:{OWN}:protected",
        ),
        (
            "sqs",
            "get_queue_url",
            {"QueueName": "protected"},
            "sqs:GetQueueUrl",
            f"arn:aws:sqs:{EAST}:{OWN}:protected",
        ),
        ("route53", "list_health_checks", {}, "route53:ListHealthChecks", "*"),
        (
            "route53",
            "get_health_check",
            {"HealthCheckId": "11111111-1111-1111-1111-111111111111"},
            "route53:GetHealthCheck",
            "arn:aws:route53:::healthcheck/11111111-1111-1111-1111-111111111111",
        ),
        ("iam", "get_role", {"RoleName": "r"}, "iam:GetRole", f"arn:aws:iam::{OWN}:role/r"),
    ],
    ids=lambda value: value if isinstance(value, str) and "_" in value else "",
)
def test_every_service_asks(
    as_user: Clients,
    refusal: Refusal,
    service: str,
    method: str,
    params: dict[str, Any],
    action: str,
    resource: str,
) -> None:
    """The action and the resource are those of AWS's service authorization reference."""
    client = as_user("nothing", service)
    url = as_user(None, "sqs").get_queue_url(QueueName="protected")["QueueUrl"]
    filled = {key: url if value == "{url}" else value for key, value in params.items()}
    code, message = refusal(getattr(client, method), **filled)

    assert code in {"AccessDeniedException", "AccessDenied"}
    assert denial("nothing", action, resource, explicit=True) == message


def test_who_one_is_may_always_be_asked(as_user: Clients) -> None:
    """GetCallerIdentity and GetSessionToken need no permission, as on AWS."""
    sts = as_user("nothing", "sts")

    assert f"arn:aws:iam::{OWN}:user/nothing" == sts.get_caller_identity()["Arn"]
    assert sts.get_session_token()["Credentials"]


@pytest.mark.parametrize(
    ("service", "method", "params"),
    [
        ("events", "delete_event_bus", {"Name": "protected"}),
        ("events", "describe_event_bus", {"Name": bus_arn("protected")}),
        (
            "events",
            "describe_event_bus",
            {"Name": bus_arn("protected").replace("arn:aws:", "arn:aws-x:")},
        ),
        ("events", "put_events", {"Entries": [{**ENTRY, "EventBusName": "protected"}]}),
        (
            "events",
            "put_events",
            {
                "Entries": [
                    {
                        **ENTRY,
                        "EventBusName": bus_arn("protected").replace("arn:aws:", "arn:aws-x:"),
                    }
                ]
            },
        ),
        ("events", "put_permission", {"EventBusName": "protected", "Policy": "{}"}),
        ("events", "list_tags_for_resource", {"ResourceARN": bus_arn("protected")}),
        (
            "events",
            "untag_resource",
            {
                "ResourceARN": f"arn:aws:events:{EAST}:{OWN}:rule/default/protected",
                "TagKeys": ["k"],
            },
        ),
        ("events", "create_archive", {"ArchiveName": "a", "EventSourceArn": bus_arn("protected")}),
        (
            "events",
            "start_replay",
            {
                "ReplayName": "r",
                "EventSourceArn": f"arn:aws:events:{EAST}:{OWN}:archive/a",
                "EventStartTime": 1,
                "EventEndTime": 2,
                "Destination": {"Arn": bus_arn("protected").replace("arn:aws:", "arn:aws-x:")},
            },
        ),
        ("events", "delete_rule", {"Name": "protected"}),
        ("events", "delete_rule", {"Name": "protected", "EventBusName": bus_arn("default")}),
        ("events", "put_rule", {"Name": "protected", "EventBusName": "orders"}),
        ("sqs", "get_queue_url", {"QueueName": "protected"}),
        ("sqs", "delete_queue", {"QueueUrl": "{url}"}),
        ("sqs", "delete_queue", {"QueueUrl": "{url}/"}),
        ("sqs", "delete_queue", {"QueueUrl": "{url}?x=/orders"}),
        ("sqs", "delete_queue", {"QueueUrl": "{url}#/orders"}),
        ("sqs", "delete_queue", {"QueueUrl": "protected"}),
        ("iam", "delete_role", {"RoleName": "protected"}),
        (
            "events",
            "put_rule",
            {"Name": "free", "EventPattern": PATTERN, "RoleArn": ROLE},
        ),
        (
            "events",
            "put_rule",
            {
                "Name": "free",
                "EventPattern": PATTERN,
                "RoleArn": ROLE.replace("arn:aws:", "arn:aws-x:"),
            },
        ),
    ],
)
def test_no_other_name_leads_round_a_deny(
    as_user: Clients, refusal: Refusal, service: str, method: str, params: dict[str, Any]
) -> None:
    """However a call writes what it means, the Deny on it holds."""
    url = as_user(None, "sqs").get_queue_url(QueueName="protected")["QueueUrl"]
    filled = {
        key: value.replace("{url}", url) if isinstance(value, str) else value
        for key, value in params.items()
    }
    code, message = refusal(getattr(as_user("operator", service), method), **filled)

    assert code in {"AccessDeniedException", "AccessDenied"}
    assert message.endswith("with an explicit deny in an identity-based policy")


def test_a_reader(as_user: Clients, refusal: Refusal) -> None:
    """Wildcards in actions; what changes anything is not among them."""
    events = as_user("reader", "events")

    assert "orders" in [bus["Name"] for bus in events.list_event_buses()["EventBuses"]]
    assert "orders" == events.describe_event_bus(Name="orders")["Name"]
    assert "AccessDeniedException" == refusal(events.delete_event_bus, Name="orders")[0]
    assert "AccessDeniedException" == refusal(events.put_events, Entries=[ENTRY])[0]


def test_a_role_is_passed_by_whoever_may(as_user: Clients, refusal: Refusal) -> None:
    """Who hands a role to EventBridge needs iam:PassRole on it, and gets AWS's words without."""
    events = as_user("operator", "events")
    rule = {"Name": "passing", "EventPattern": PATTERN}
    events.put_rule(**rule, RoleArn=f"{ROLE}-2")
    target = {
        "Rule": "passing",
        "Targets": [{"Id": "q", "Arn": f"arn:aws:sqs:{EAST}:{OWN}:q", "RoleArn": ROLE}],
    }

    assert (
        "AccessDeniedException",
        denial("operator", "iam:PassRole", ROLE, explicit=True),
    ) == refusal(events.put_targets, **target)


def test_the_root_is_bounded_by_nothing(as_user: Clients) -> None:
    """A key without a policy may do everything in its account."""
    for service, method in (
        ("events", "list_rules"),
        ("sqs", "list_queues"),
        ("iam", "list_roles"),
    ):
        getattr(as_user(None, service), method)()
