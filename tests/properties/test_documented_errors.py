"""Every error that EventBridge's model gives an operation: reached here, or explained.

An error that a newer model adds fails the test until somebody has looked at it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from in_process import (
    ACCOUNT,
    ARCHIVE_ARN,
    BUS_ARN,
    NAME,
    PATTERN,
    REGION,
    RULE_ARN,
    SERVED,
    SOURCE,
    Api,
    opened,
    operation,
)
from requests_from_models import least

EVENTS = [name for service, name in SERVED if service == "events"]
Params = Mapping[str, Any]

NOWHERE = {
    "InternalException": "the server's own fault",
    "OperationDisabledException": "partner event sources are there in every Region",
    "ConcurrentModificationException": "changes run one at a time; endpoints alone change slowly "
    "(tests/parity/test_endpoints.py)",
    "ThrottlingException": "nothing is throttled",
}
"""Errors that no request leads to here, and why."""

EXPLAINED = {
    ("CreateConnection", "ResourceNotFoundException"): "of private connections, which are refused",
    (
        "CreateConnection",
        "AccessDeniedException",
    ): "tests/parity/test_identity_policies.py",
    (
        "UpdateConnection",
        "AccessDeniedException",
    ): "tests/parity/test_identity_policies.py",
    ("DescribeArchive", "ResourceAlreadyExistsException"): "a slip of the model: it makes nothing",
    (
        "StartReplay",
        "ResourceNotFoundException",
    ): "AWS: ValidationException (recorded)",
    ("StartReplay", "InvalidEventPatternException"): "a replay takes no pattern",
    ("UpdateApiDestination", "LimitExceededException"): "an update adds nothing to a quota",
    ("UpdateArchive", "LimitExceededException"): "an update adds nothing to a quota",
    ("UpdateConnection", "LimitExceededException"): "an update adds nothing to a quota",
    ("CancelReplay", "IllegalStatusException"): "tests/parity/test_replays.py",
    ("CreateApiDestination", "ResourceAlreadyExistsException"): "parity/test_api_destinations.py",
    ("CreateEndpoint", "ResourceAlreadyExistsException"): "tests/parity/test_endpoints.py",
    ("CreateEventBus", "InvalidStateException"): "a source that is not PENDING has its bus, and "
    "that is ResourceAlreadyExistsException",
}

BUS, RULE = {"EventBusName": NAME}, {"ResourceARN": RULE_ARN}
MISSING: Mapping[str, Params] = {
    "CreateEventBus": {"Name": SOURCE, "EventSourceName": SOURCE},
    "DeleteRule": BUS,
    "DescribeEventBus": {"Name": NAME},
    "ListArchives": {"EventSourceArn": BUS_ARN},
    "ListRuleNamesByTarget": BUS,
    "ListRules": BUS,
    "PutPermission": {**BUS, "Action": "events:PutEvents", "Principal": "*", "StatementId": "s"},
    "PutRule": {**BUS, "EventPattern": PATTERN},
    "RemovePermission": {**BUS, "StatementId": "s"},
    "UpdateArchive": {"Description": "d"},
    "UpdateEventBus": {"Name": NAME},
    "CreateArchive": {"EventSourceArn": BUS_ARN},
    "UpdateConnection": {"Description": "d"},
    "ListTagsForResource": RULE,
    "TagResource": RULE,
    "UntagResource": RULE,
    "ActivateEventSource": {"Name": SOURCE},
    "DeactivateEventSource": {"Name": SOURCE},
    "DescribeEventSource": {"Name": SOURCE},
    "DescribePartnerEventSource": {"Name": SOURCE},
    "ListPartnerEventSourceAccounts": {"EventSourceName": SOURCE},
    "CreateApiDestination": {"InvocationEndpoint": "https://example.com/"},
}
"""What else a request has to name that is not there."""

ARCHIVE_RULE = f"Events-Archive-{NAME}"
MANAGED = {"Name": ARCHIVE_RULE, **BUS}
MANAGED_TARGETS = {"Rule": ARCHIVE_RULE, **BUS}
MANAGED_TAGS = {"ResourceARN": f"arn:aws:events:{REGION}:{ACCOUNT}:rule/{NAME}/{ARCHIVE_RULE}"}
TARGET = {"Id": "t", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{NAME}"}
LONG_POLICY = json.dumps({"Version": "2012-10-17", "Statement": [], "Id": "x" * 10_240})
OTHER_SOURCE = f"{SOURCE}/other"
REPLAY = {
    "ReplayName": NAME,
    "EventSourceArn": ARCHIVE_ARN,
    "EventStartTime": 1,
    "EventEndTime": 2,
    "Destination": {"Arn": BUS_ARN},
}

ALREADY: Mapping[str, Params] = {
    "CreateArchive": {"ArchiveName": NAME, "EventSourceArn": BUS_ARN},
    "CreateConnection": {
        "Name": NAME,
        "AuthorizationType": "API_KEY",
        "AuthParameters": {"ApiKeyAuthParameters": {"ApiKeyName": "n", "ApiKeyValue": "v"}},
    },
    "CreateEventBus": {"Name": NAME},
    "CreatePartnerEventSource": {"Name": SOURCE, "Account": ACCOUNT},
    "StartReplay": REPLAY,
}
REACHED: Mapping[tuple[str, str], Params] = {
    ("ActivateEventSource", "InvalidStateException"): {"Name": SOURCE},
    ("DeactivateEventSource", "InvalidStateException"): {"Name": OTHER_SOURCE},
    ("CreateArchive", "InvalidEventPatternException"): {
        "ArchiveName": "new",
        "EventSourceArn": BUS_ARN,
        "EventPattern": "{}",
    },
    ("PutRule", "InvalidEventPatternException"): {"Name": "new", "EventPattern": "["},
    ("UpdateArchive", "InvalidEventPatternException"): {"ArchiveName": NAME, "EventPattern": "["},
    ("TestEventPattern", "InvalidEventPatternException"): {"EventPattern": "[", "Event": "{}"},
    ("DeleteRule", "ManagedRuleException"): MANAGED,
    ("DisableRule", "ManagedRuleException"): MANAGED,
    ("EnableRule", "ManagedRuleException"): MANAGED,
    ("PutRule", "ManagedRuleException"): {**MANAGED, "EventPattern": PATTERN},
    ("PutTargets", "ManagedRuleException"): {**MANAGED_TARGETS, "Targets": [TARGET]},
    ("RemoveTargets", "ManagedRuleException"): {**MANAGED_TARGETS, "Ids": ["t"]},
    ("TagResource", "ManagedRuleException"): {**MANAGED_TAGS, "Tags": []},
    ("UntagResource", "ManagedRuleException"): {**MANAGED_TAGS, "TagKeys": []},
    ("PutPermission", "PolicyLengthExceededException"): {**BUS, "Policy": LONG_POLICY},
    **{(name, "ResourceAlreadyExistsException"): params for name, params in ALREADY.items()},
}
LIMITED = {
    "CreateApiDestination",
    "CreateArchive",
    "CreateConnection",
    "CreateEndpoint",
    "CreateEventBus",
    "CreatePartnerEventSource",
    "PutRule",
    "PutTargets",
    "StartReplay",
}
"""Tried one by one in tests/parity/test_quotas.py."""


@pytest.fixture(scope="module")
def empty_api() -> Iterator[Api]:
    """A node without any resource."""
    with asyncio.Runner() as runner:
        api = runner.run(opened(runner))
        yield api
        runner.run(api.node.close())


def documented() -> list[tuple[str, str]]:
    """Return every operation with each error that its model names and that can come."""
    return [
        (name, error.name)
        for name in EVENTS
        for error in operation("events", name).error_shapes
        if error.name not in NOWHERE
    ]


def test_every_documented_error_is_reached_or_explained() -> None:
    """And nothing is explained that the model does not name."""
    limited = {(name, "LimitExceededException") for name in LIMITED}
    missing = {
        pair
        for pair in documented()
        if pair[1] == "ResourceNotFoundException" and pair not in EXPLAINED
    }

    assert set(documented()) == {*EXPLAINED, *REACHED, *limited, *missing}


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, error in documented()
        if error == "ResourceNotFoundException" and (name, error) not in EXPLAINED
    ],
)
def test_what_is_not_there_is_not_found(empty_api: Api, name: str) -> None:
    """The message says what does not exist."""
    params = {**least(operation("events", name).input_shape), **MISSING.get(name, {})}
    answer = empty_api.call("events", name, params)

    assert (400, "ResourceNotFoundException") == (answer.status, answer.code)
    assert "does not exist" in answer.message


@pytest.fixture(scope="module")
def full_api(api: Api) -> Api:
    """The node with one of each kind, a second source that its partner deleted."""
    key = {"Name": OTHER_SOURCE}
    calls: list[tuple[str, Params]] = [
        ("CreatePartnerEventSource", {**key, "Account": ACCOUNT}),
        ("CreateEventBus", {**key, "EventSourceName": OTHER_SOURCE}),
        ("DeletePartnerEventSource", {**key, "Account": ACCOUNT}),
        ("StartReplay", REPLAY),
    ]
    for name, params in calls:
        answer = api.call("events", name, params)
        assert answer.status == 200, answer
    return api


@pytest.mark.parametrize(("name", "error"), REACHED, ids=str)
def test_each_error_has_a_way_to_it(full_api: Api, name: str, error: str) -> None:
    """The error is the one that the model names, and says why."""
    params = {**least(operation("events", name).input_shape), **REACHED[name, error]}
    answer = full_api.call("events", name, params)

    assert (400, error) == (answer.status, answer.code)
    assert answer.message


@pytest.mark.parametrize(
    ("name", "params"),
    [
        ("DeleteEventBus", {"Name": "gone"}),
        ("DeleteRule", {"Name": "gone"}),
        ("DeletePartnerEventSource", {"Name": SOURCE + "/gone", "Account": ACCOUNT}),
        ("RemoveTargets", {"Rule": NAME, "Ids": ["gone"]}),
        ("RemovePermission", {"EventBusName": NAME, "RemoveAllPermissions": True}),
    ],
)
def test_some_deletes_are_idempotent(full_api: Api, name: str, params: Params) -> None:
    """What is not there is deleted already, again and again."""
    answers = [full_api.call("events", name, params).status for _ in range(2)]

    assert [200, 200] == answers
