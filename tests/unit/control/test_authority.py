"""What is asked of a caller's policies: the action, the resources and the order, by operation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

import pytest

from farspan.control.authority import authorize, authorize_put
from farspan.control.grants import Grants, parsed
from farspan.control.plane import Caller, ControlPlane
from farspan.control.registry import OPERATIONS
from farspan.errors import AccessDeniedException
from farspan.ingest.entries import Entry
from farspan.model.bus import EventBus
from farspan.policy import Policy, Request

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

OWN, OTHER, REGION = "000000000000", "111111111111", "us-east-1"
PREFIX = f"arn:aws:events:{REGION}:{OWN}"
ROLE = f"arn:aws:iam::{OWN}:role/r"
QUEUE = f"arn:aws:sqs:{REGION}:{OWN}:q"


class Recorder(Grants):
    """Grants that allow everything and write down what they are asked."""

    def __init__(self) -> None:
        super().__init__()
        object.__setattr__(self, "identity", [])

    def denial(
        self, request: Request, resource: Policy | None = None, *, same_account: bool = True
    ) -> str | None:
        """See `Grants.denial`."""
        del resource, same_account
        cast("list[object]", self.identity).append((request.action, request.resource))


def asked(api: Api, service: str, operation: str, **params: Any) -> list[tuple[str, str]]:
    """Return the actions and resources for which a call asks."""
    recorder = Recorder()
    caller = Caller(OWN, "k", principal=f"arn:aws:iam::{OWN}:user/u", grants=recorder)
    authorize(api.plane, caller, service, operation, params)
    return cast("list[tuple[str, str]]", recorder.identity)


@pytest.mark.parametrize(
    ("operation", "params", "expected"),
    [
        ("ListRules", {}, [("ListRules", "*")]),
        ("PutRule", {"Name": "r"}, [("PutRule", f"{PREFIX}:rule/r")]),
        ("PutRule", {"Name": "r", "EventBusName": "b"}, [("PutRule", f"{PREFIX}:rule/b/r")]),
        (
            "PutRule",
            {"Name": "r", "EventBusName": f"arn:aws:events:{REGION}:{OTHER}:event-bus/b"},
            [("PutRule", f"arn:aws:events:{REGION}:{OTHER}:rule/b/r")],
        ),
        (
            "PutRule",
            {"Name": "r", "Tags": [{"Key": "k", "Value": "v"}], "RoleArn": ROLE},
            [
                ("PutRule", f"{PREFIX}:rule/r"),
                ("TagResource", f"{PREFIX}:rule/r"),
                ("iam:PassRole", ROLE),
            ],
        ),
        (
            "PutTargets",
            {"Rule": "r", "Targets": [{"Id": "1", "Arn": QUEUE, "RoleArn": ROLE}] * 2},
            [("PutTargets", f"{PREFIX}:rule/r"), ("iam:PassRole", ROLE)],
        ),
        (
            "CreateArchive",
            {"ArchiveName": "a", "EventSourceArn": f"{PREFIX}:event-bus/b"},
            [("CreateArchive", f"{PREFIX}:archive/a"), ("CreateArchive", f"{PREFIX}:event-bus/b")],
        ),
        (
            "StartReplay",
            {
                "ReplayName": "r",
                "EventSourceArn": f"{PREFIX}:archive/a",
                "Destination": {"Arn": f"{PREFIX}:event-bus/b"},
            },
            [
                ("StartReplay", f"{PREFIX}:replay/r"),
                ("StartReplay", f"{PREFIX}:archive/a"),
                ("StartReplay", f"{PREFIX}:event-bus/b"),
            ],
        ),
        (
            "CreateApiDestination",
            {"Name": "d", "ConnectionArn": f"{PREFIX}:connection/c/1"},
            [
                ("CreateApiDestination", f"{PREFIX}:api-destination/d"),
                ("CreateApiDestination", f"{PREFIX}:connection/c/1"),
            ],
        ),
        (
            "TagResource",
            {"ResourceARN": f"{PREFIX}:rule/default/r", "Tags": [{"Key": "k", "Value": "v"}]},
            [("TagResource", f"{PREFIX}:rule/r")],
        ),
        (
            "ListTagsForResource",
            {"ResourceARN": "arn:aws-x:events:us-east-1:000000000000:archive/a"},
            [("ListTagsForResource", f"{PREFIX}:archive/a")],
        ),
        (
            "ActivateEventSource",
            {"Name": "aws.partner/a/b"},
            [
                (
                    "ActivateEventSource",
                    f"arn:aws:events:{REGION}::event-source/aws.partner/a/b",
                )
            ],
        ),
    ],
)
def test_what_is_asked(
    api: Api, operation: str, params: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    """Every resource of AWS's service authorization reference, each once, the call's own first."""
    full = [(a if ":" in a else f"events:{a}", resource) for a, resource in expected]

    assert full == asked(api, "events", operation, **params)


GROUP = f"arn:aws:logs:{REGION}:{OWN}:log-group"


@pytest.mark.parametrize(
    ("operation", "params", "resource"),
    [
        ("CreateLogGroup", {"logGroupName": "g"}, f"{GROUP}:g:*"),
        ("DescribeLogGroups", {}, f"{GROUP}::log-stream:"),
        ("CreateLogStream", {"logGroupName": "g", "logStreamName": "s"}, f"{GROUP}:g:*"),
        (
            "PutLogEvents",
            {"logGroupName": "g", "logStreamName": "s"},
            f"{GROUP}:g:log-stream:s",
        ),
        (
            "GetLogEvents",
            {"logGroupIdentifier": f"{GROUP}:g:*", "logStreamName": "s"},
            f"{GROUP}:g:log-stream:s",
        ),
        ("FilterLogEvents", {"logGroupIdentifier": "g"}, f"{GROUP}:g:*"),
        ("TagResource", {"resourceArn": f"{GROUP}:g", "tags": {}}, f"{GROUP}:g"),
    ],
)
def test_what_is_asked_about_logs(
    api: Api, operation: str, params: dict[str, Any], resource: str
) -> None:
    """The group with all of its streams, or one stream."""
    assert [(f"logs:{operation}", resource)] == asked(api, "logs", operation, **params)


ALARM = f"arn:aws:cloudwatch:{REGION}:{OWN}:alarm"


@pytest.mark.parametrize(
    ("operation", "params", "resources"),
    [
        ("PutMetricData", {"Namespace": "n"}, ["*"]),
        ("GetMetricData", {}, ["*"]),
        ("PutMetricAlarm", {"AlarmName": "a"}, [f"{ALARM}:a"]),
        ("DescribeAlarms", {"AlarmNames": ["a"]}, [f"{ALARM}:*"]),
        ("DeleteAlarms", {"AlarmNames": ["a", "b"]}, [f"{ALARM}:a", f"{ALARM}:b"]),
        ("DisableAlarmActions", {"AlarmNames": ["a"]}, [f"{ALARM}:a"]),
        ("TagResource", {"ResourceARN": f"{ALARM}:a", "Tags": []}, [f"{ALARM}:a"]),
    ],
)
def test_what_is_asked_about_metrics_and_alarms(
    api: Api, operation: str, params: dict[str, Any], resources: list[str]
) -> None:
    """Metrics are no resources; of several alarms each is asked for."""
    expected = [(f"cloudwatch:{operation}", resource) for resource in resources]

    assert expected == asked(api, "cloudwatch", operation, **params)


@pytest.mark.parametrize(
    "operation", sorted(name for service, name in OPERATIONS if service == "events")
)
def test_no_operation_is_forgotten(api: Api, operation: str) -> None:
    """Whatever an operation is given, its own action is asked for."""
    params: dict[str, Any] = {
        **dict.fromkeys(("Name", "Rule", "ArchiveName", "ReplayName"), "n"),
        "Targets": [],
        "EventSourceArn": f"{PREFIX}:archive/a",
        "Destination": {"Arn": f"{PREFIX}:event-bus/b"},
        "ConnectionArn": f"{PREFIX}:connection/c/1",
    }

    assert f"events:{operation}" == asked(api, "events", operation, **params)[0][0]


def user(*statements: dict[str, Any]) -> Caller:
    """Return a user with a policy."""
    policy = json.dumps({"Version": "2012-10-17", "Statement": list(statements)})
    return Caller(
        OWN,
        "k",
        principal=f"arn:aws:iam::{OWN}:user/u",
        grants=Grants(identity=(parsed(policy),)),
    )


async def keep_bus(api: Api, *statements: dict[str, Any]) -> None:
    """Store a bus `b` with a policy."""
    policy = {"Version": "2012-10-17", "Statement": list(statements)}
    bus = EventBus(region=REGION, account=OWN, name="b", policy=json.dumps(policy))
    await api.plane.resources.save(bus, now=1.0)


PUT = {"Action": "events:PutEvents", "Resource": "*"}
ENTRY = Entry(source="s", detail_type="t", detail="{}", event_bus_name="b")


@pytest.mark.parametrize(
    ("identity", "bus", "allowed"),
    [
        ({"Effect": "Allow"}, None, True),
        ({"Effect": "Deny"}, "Allow", False),
        ({"Effect": "Allow"}, "Deny", False),
        ({"Effect": "Allow", "Resource": "arn:aws:sqs:*"}, "Allow", True),
        ({"Effect": "Allow", "Resource": "arn:aws:sqs:*"}, None, False),
    ],
)
async def test_either_side_allows_within_an_account(
    api: Api, identity: dict[str, str], bus: str | None, allowed: bool
) -> None:
    """An explicit Deny of either is the end of it."""
    caller = user({**PUT, **identity})
    if bus is not None:
        principal = {"AWS": f"arn:aws:iam::{OWN}:user/u"}
        await keep_bus(api, {"Sid": "s", "Effect": bus, "Principal": principal, **PUT})

    if allowed:
        authorize_put(api.plane, caller, [ENTRY], None)
    else:
        with pytest.raises(AccessDeniedException):
            authorize_put(api.plane, caller, [ENTRY], None)


def test_whoever_no_policy_bounds_is_not_asked(api: Api) -> None:
    """Nothing about the call is even read."""
    authorize(cast("ControlPlane", None), Caller(OWN, "k"), "events", "PutRule", {})
    with pytest.raises(AccessDeniedException):
        authorize(api.plane, Caller(OWN, "k", grants=Grants()), "events", "ListRules", {})
