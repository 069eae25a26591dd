"""iam: roles and their policies, one service for all Regions."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.config import IamConfig

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Eventually, Send, SignedHeaders

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
Refusal = Callable[..., tuple[str, str]]
Clients = Callable[..., BaseClient]

SQS_FULL = "arn:aws:iam::aws:policy/AmazonSQSFullAccess"
EVENTS_FULL = "arn:aws:iam::aws:policy/AmazonEventBridgeFullAccess"


def trusting(**principal: str) -> dict[str, Any]:
    """Return a trust policy that lets one principal assume the role."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}],
    }


def allowing(*actions: str, resource: str = "*") -> dict[str, Any]:
    """Return an identity policy that allows the actions."""
    return {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": list(actions), "Resource": resource}],
    }


TRUST = trusting(Service="events.amazonaws.com")


@pytest.fixture(scope="module")
def iam(client: Clients) -> BaseClient:
    """IAM through the edge."""
    return client("iam")


@pytest.fixture
def role(iam: BaseClient, name: str) -> Iterator[str]:
    """A role that EventBridge may assume; taken down with its policies."""
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    yield name
    remove_role(iam, name)


def remove_role(iam: BaseClient, name: str) -> None:
    """Delete a role and what it has."""
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    for policy in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
        iam.detach_role_policy(RoleName=name, PolicyArn=policy["PolicyArn"])
    iam.delete_role(RoleName=name)


def test_create_role(iam: BaseClient, name: str) -> None:
    """A role has an ARN with its path, an id, and the policy as it was put."""
    made = iam.create_role(
        RoleName=name,
        Path="/teams/blue/",
        AssumeRolePolicyDocument=json.dumps(TRUST, indent=2),
        Description="for replication",
        MaxSessionDuration=7200,
        Tags=[{"Key": "team", "Value": "blue"}],
    )["Role"]
    found = iam.get_role(RoleName=name)["Role"]
    iam.delete_role(RoleName=name)

    assert f"arn:aws:iam::{OWN}:role/teams/blue/{name}" == made["Arn"]
    assert made["RoleId"].startswith("AROA")
    assert 21 == len(made["RoleId"])
    assert TRUST == made["AssumeRolePolicyDocument"]
    assert found == {
        **made,
        "Description": "for replication",
        "MaxSessionDuration": 7200,
        "RoleLastUsed": {},
    }


def test_policies_are_percent_encoded_on_the_wire(
    deployment: Deployment, send: Send, signed_headers: SignedHeaders, role: str
) -> None:
    """IAM's answers carry policies as RFC 3986 encodes them; SDKs decode them."""
    body = f"Action=GetRole&Version=2010-05-08&RoleName={role}".encode()
    form = {"content-type": "application/x-www-form-urlencoded"}
    headers = signed_headers(deployment.url, headers=form, body=body, service="iam")
    reply = send(deployment.url, headers=headers, body=body)

    assert 200 == reply.status
    assert b"<AssumeRolePolicyDocument>%7B%22Version%22%3A%20%222012-10-17%22" in reply.body
    assert b'xmlns="https://iam.amazonaws.com/doc/2010-05-08/"' in reply.body


def test_a_name_is_taken_in_any_case(iam: BaseClient, role: str, refusal: Refusal) -> None:
    """Names of roles differ by more than their case."""
    for name in (role, role.upper()):
        assert ("EntityAlreadyExists", f"Role with name {name} already exists.") == refusal(
            iam.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST)
        )


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("get_role", {}),
        ("delete_role", {}),
        ("update_role", {}),
        ("update_assume_role_policy", {"PolicyDocument": json.dumps(TRUST)}),
        ("put_role_policy", {"PolicyName": "p", "PolicyDocument": json.dumps(allowing("*"))}),
        ("get_role_policy", {"PolicyName": "p"}),
        ("list_role_policies", {}),
        ("delete_role_policy", {"PolicyName": "p"}),
        ("attach_role_policy", {"PolicyArn": SQS_FULL}),
        ("detach_role_policy", {"PolicyArn": SQS_FULL}),
        ("list_attached_role_policies", {}),
        ("tag_role", {"Tags": [{"Key": "k", "Value": "v"}]}),
        ("untag_role", {"TagKeys": ["k"]}),
        ("list_role_tags", {}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_role_that_is_not_there(
    iam: BaseClient,
    other: Clients,
    role: str,
    refusal: Refusal,
    method: str,
    params: dict[str, Any],
) -> None:
    """Each operation says so; another account's role is not there either."""
    assert ("NoSuchEntity", "The role with name nobody cannot be found.") == refusal(
        getattr(iam, method), RoleName="nobody", **params
    )
    assert ("NoSuchEntity", f"The role with name {role} cannot be found.") == refusal(
        getattr(other("iam"), method), RoleName=role, **params
    )
    assert [] == other("iam").list_roles()["Roles"]


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("nonsense", "This policy contains invalid Json"),
        (json.dumps(allowing("sts:AssumeRole")), None),
        (json.dumps(trusting(Service="no spaces allowed")), "Invalid principal in policy"),
        (json.dumps(trusting(AWS="arn:aws:s3:::bucket")), "Invalid principal in policy"),
        (
            json.dumps(TRUST).replace("sts:AssumeRole", "events:PutEvents"),
            "AssumeRole policy may only specify STS AssumeRole actions.",
        ),
        (
            json.dumps(TRUST).replace('"Action"', '"Resource": "*", "Action"'),
            "Has prohibited field Resource",
        ),
    ],
    ids=["json", "no-principal", "service", "principal", "action", "resource"],
)
def test_a_trust_policy_that_is_none(
    iam: BaseClient, role: str, name: str, refusal: Refusal, document: str, message: str | None
) -> None:
    """Neither a new role nor one that is there takes it."""
    for call, params in (
        (iam.create_role, {"RoleName": f"{name}-x", "AssumeRolePolicyDocument": document}),
        (iam.update_assume_role_policy, {"RoleName": role, "PolicyDocument": document}),
    ):
        code, said = refusal(call, **params)

        assert "MalformedPolicyDocument" == code
        assert (message or "Missing required field Principal") in said


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"Path": "no-slash"}, "ValidationError"),
        ({"RoleName": "a b"}, "ValidationError"),
        ({"MaxSessionDuration": 60}, "ValidationError"),
        ({"PermissionsBoundary": SQS_FULL}, "InvalidInput"),
        ({"Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}, "InvalidInput"),
        ({"Tags": [{"Key": "aws:x", "Value": ""}]}, "InvalidInput"),
    ],
    ids=["path", "name", "duration", "boundary", "tags-twice", "tags-reserved"],
)
def test_what_create_role_refuses(
    unchecked: Clients, name: str, refusal: Refusal, params: dict[str, Any], code: str
) -> None:
    """Each with IAM's code."""
    wanted = {"RoleName": name, "AssumeRolePolicyDocument": json.dumps(TRUST), **params}

    assert code == refusal(unchecked("iam").create_role, **wanted)[0]


def test_update_role(iam: BaseClient, role: str) -> None:
    """Description stays where it is not given; the longest session goes back to an hour."""
    iam.update_role(RoleName=role, Description="new", MaxSessionDuration=43200)
    first = iam.get_role(RoleName=role)["Role"]
    iam.update_role(RoleName=role)
    second = iam.get_role(RoleName=role)["Role"]
    changed = trusting(AWS=OTHER)
    iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(changed))

    assert ("new", 43200) == (first["Description"], first["MaxSessionDuration"])
    assert ("new", 3600) == (second["Description"], second["MaxSessionDuration"])
    assert changed == iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]


def test_list_roles_by_path_and_page(iam: BaseClient, name: str, refusal: Refusal) -> None:
    """By name, under a path, in pages whose markers are bound to the path."""
    names = [f"{name}-{index}" for index in range(5)]
    for each in names:
        iam.create_role(RoleName=each, Path=f"/{name}/", AssumeRolePolicyDocument=json.dumps(TRUST))
    pages = list(
        iam.get_paginator("list_roles").paginate(
            PathPrefix=f"/{name}/", PaginationConfig={"PageSize": 2}
        )
    )
    foreign = refusal(iam.list_roles, PathPrefix="/other/", Marker=pages[0]["Marker"])
    nonsense = refusal(iam.list_roles, Marker="nonsense")
    for each in names:
        iam.delete_role(RoleName=each)

    assert [2, 2, 1] == [len(page["Roles"]) for page in pages]
    assert names == [role["RoleName"] for page in pages for role in page["Roles"]]
    assert [True, True, False] == [page["IsTruncated"] for page in pages]
    assert [("ValidationError", "Invalid Marker.")] * 2 == [foreign, nonsense]


def test_inline_policies(iam: BaseClient, role: str, refusal: Refusal) -> None:
    """Put, replaced, got, listed and deleted by name; a role that has some cannot be deleted."""
    for policy in (allowing("sqs:*"), allowing("events:PutEvents")):
        iam.put_role_policy(RoleName=role, PolicyName="p", PolicyDocument=json.dumps(policy))
    found = iam.get_role_policy(RoleName=role, PolicyName="p")
    conflict = refusal(iam.delete_role, RoleName=role)

    assert allowing("events:PutEvents") == found["PolicyDocument"]
    assert (role, "p") == (found["RoleName"], found["PolicyName"])
    assert ["p"] == iam.list_role_policies(RoleName=role)["PolicyNames"]
    assert ("DeleteConflict", "Cannot delete entity, must delete policies first.") == conflict
    iam.delete_role_policy(RoleName=role, PolicyName="p")
    missing = ("NoSuchEntity", "The role policy with name p cannot be found.")
    assert missing == refusal(iam.delete_role_policy, RoleName=role, PolicyName="p")
    assert missing == refusal(iam.get_role_policy, RoleName=role, PolicyName="p")


@pytest.mark.parametrize(
    ("document", "code"),
    [
        ("nonsense", "MalformedPolicyDocument"),
        (json.dumps(TRUST), "MalformedPolicyDocument"),
        (json.dumps(allowing("no-colon")), "MalformedPolicyDocument"),
        (json.dumps(allowing("*", resource="bus")), "MalformedPolicyDocument"),
        (json.dumps(allowing(*["events:PutEvents"] * 600)), "LimitExceeded"),
    ],
    ids=["json", "principal", "action", "resource", "long"],
)
def test_an_inline_policy_that_is_none(
    iam: BaseClient, role: str, refusal: Refusal, document: str, code: str
) -> None:
    """Nothing half-understood is kept."""
    assert (
        code
        == refusal(iam.put_role_policy, RoleName=role, PolicyName="p", PolicyDocument=document)[0]
    )
    assert [] == iam.list_role_policies(RoleName=role)["PolicyNames"]


def test_managed_policies(iam: BaseClient, role: str, refusal: Refusal) -> None:
    """AWS's own can be attached, once or twice; what is not there is not attached."""
    for arn in (SQS_FULL, EVENTS_FULL, SQS_FULL):
        iam.attach_role_policy(RoleName=role, PolicyArn=arn)
    listed = iam.list_attached_role_policies(RoleName=role)
    conflict = refusal(iam.delete_role, RoleName=role)
    iam.detach_role_policy(RoleName=role, PolicyArn=SQS_FULL)
    unknown = f"arn:aws:iam::{OWN}:policy/mine"

    assert [EVENTS_FULL, SQS_FULL] == [each["PolicyArn"] for each in listed["AttachedPolicies"]]
    assert ("DeleteConflict", "Cannot delete entity, must detach all policies first.") == conflict
    assert ("NoSuchEntity", f"Policy {SQS_FULL} was not found.") == refusal(
        iam.detach_role_policy, RoleName=role, PolicyArn=SQS_FULL
    )
    assert ("NoSuchEntity", f"Policy {unknown} does not exist or is not attachable.") == refusal(
        iam.attach_role_policy, RoleName=role, PolicyArn=unknown
    )


def test_tags(iam: BaseClient, role: str, refusal: Refusal) -> None:
    """Keys are compared without case; a role has fifty at most."""
    iam.tag_role(RoleName=role, Tags=[{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}])
    iam.tag_role(RoleName=role, Tags=[{"Key": "A", "Value": "3"}])
    page = iam.list_role_tags(RoleName=role, MaxItems=1)
    rest = iam.list_role_tags(RoleName=role, Marker=page["Marker"])
    full = refusal(
        iam.tag_role,
        RoleName=role,
        Tags=[{"Key": f"k{index}", "Value": ""} for index in range(49)],
    )
    iam.untag_role(RoleName=role, TagKeys=["B", "never"])

    assert [{"Key": "a", "Value": "3"}] == page["Tags"]
    assert ([{"Key": "b", "Value": "2"}], False) == (rest["Tags"], rest["IsTruncated"])
    assert "LimitExceeded" == full[0]
    assert [{"Key": "a", "Value": "3"}] == iam.list_role_tags(RoleName=role)["Tags"]


def test_both_regions_know_a_role(
    deployment: Deployment, client_of: Clients, name: str, eventually: Eventually, refusal: Refusal
) -> None:
    """Created in one Region, read and changed through either, and gone in both."""
    east, west = (
        client_of(deployment.url_of(region), "iam", EAST, ("test", "test"))
        for region in (EAST, WEST)
    )
    west.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))

    def named(iam: BaseClient) -> list[dict[str, Any]]:
        return [role for role in iam.list_roles()["Roles"] if role["RoleName"] == name]

    eventually(lambda: named(east))
    taken = refusal(east.create_role, RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))
    east.update_role(RoleName=name, Description="from the east")

    assert "EntityAlreadyExists" == taken[0]
    assert "from the east" == west.get_role(RoleName=name)["Role"]["Description"]
    east.delete_role(RoleName=name)
    assert [] == named(west)
    eventually(lambda: not named(east))


@pytest.fixture(scope="module")
def strict(deployed: Callable[..., Deployment], client_of: Clients) -> Clients:
    """Clients of a deployment that enforces roles."""
    url = deployed(iam=IamConfig(enforce=True)).url
    return lambda service: client_of(url, service, EAST, ("test", "test"))


class TestEnforced:
    """With `[iam] enforce = true` a role must let EventBridge assume it."""

    @pytest.mark.parametrize(
        ("trust", "fits"),
        [
            (TRUST, True),
            (trusting(Service="sqs.amazonaws.com"), False),
            (trusting(AWS=OWN), False),
            (
                {
                    **TRUST,
                    "Statement": [
                        {
                            **TRUST["Statement"][0],
                            "Condition": {"StringEquals": {"aws:SourceAccount": OTHER}},
                        }
                    ],
                },
                False,
            ),
        ],
        ids=["events", "sqs", "account", "source-account"],
    )
    def test_roles_of_rules_and_targets(
        self, strict: Clients, name: str, refusal: Refusal, trust: dict[str, Any], fits: bool
    ) -> None:
        """PutRule and PutTargets ask for the role's trust."""
        iam, events, sqs = strict("iam"), strict("events"), strict("sqs")
        arn = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"][
            "Arn"
        ]
        queue = sqs.create_queue(QueueName=name)["QueueUrl"]
        queue_arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])[
            "Attributes"
        ]["QueueArn"]
        events.put_rule(Name=name, EventPattern='{"source":["a"]}')
        rule = {"Name": name, "EventPattern": '{"source":["a"]}', "RoleArn": arn}
        target = {"Rule": name, "Targets": [{"Id": "q", "Arn": queue_arn, "RoleArn": arn}]}
        expected = (
            "ValidationException",
            f"Provided role '{arn}' cannot be assumed by principal 'events.amazonaws.com'.",
        )

        if fits:
            assert events.put_rule(**rule)["RuleArn"]
            assert 0 == events.put_targets(**target)["FailedEntryCount"]
        else:
            assert expected == refusal(events.put_rule, **rule)
            assert expected == refusal(events.put_targets, **target)

    @pytest.mark.parametrize(
        "arn",
        [f"arn:aws:iam::{OWN}:role/nobody", f"arn:aws:iam::{OTHER}:role/theirs"],
        ids=["missing", "other-account"],
    )
    def test_roles_that_are_not_there(self, strict: Clients, refusal: Refusal, arn: str) -> None:
        """The same words for a role that does not exist, and for another account's."""
        assert (
            "ValidationException",
            f"Provided role '{arn}' cannot be assumed by principal 'events.amazonaws.com'.",
        ) == refusal(
            strict("events").put_rule, Name="r", EventPattern='{"source":["a"]}', RoleArn=arn
        )

    def test_roles_of_endpoints(
        self, strict: Clients, settings_of: Callable[..., Any], refusal: Refusal
    ) -> None:
        """CreateEndpoint asks before anything else of the endpoint."""
        settings = settings_of("endpoint", "11111111-1111-1111-1111-111111111111")
        arn = settings["RoleArn"]

        assert (
            "ValidationException",
            f"Provided role '{arn}' cannot be assumed by principal 'events.amazonaws.com'.",
        ) == refusal(strict("events").create_endpoint, **settings)
