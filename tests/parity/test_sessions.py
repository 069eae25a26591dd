"""sts: temporary credentials, which every node of every Region takes without asking another."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

from farspan.clock import SystemClock
from farspan.config import Credential
from farspan.sessions import SessionClaims, SessionTokens

if TYPE_CHECKING:
    from tests.parity.conftest import Deployment, Eventually, GlobalEndpoint

EAST, WEST = "us-east-1", "us-west-2"
OWN, OTHER = "000000000000", "111111111111"
OTHER_KEY = ("other", "other-secret")
ENTRY = {"Source": "s", "DetailType": "t", "Detail": "{}"}
Refusal = Callable[..., tuple[str, str]]
Clients = Callable[..., BaseClient]
INVALID = "The security token included in the request is invalid."
EXPIRED = "The security token included in the request is expired"

CALLS = pytest.mark.parametrize(
    ("service", "method", "params"),
    [
        ("events", "list_event_buses", {}),
        ("events", "put_events", {"Entries": [ENTRY]}),
        ("sqs", "list_queues", {}),
        ("route53", "list_health_checks", {}),
        ("sts", "get_caller_identity", {}),
        ("iam", "list_roles", {}),
    ],
    ids=["events", "PutEvents", "sqs", "route53", "sts", "iam"],
)
XML_CODES = {"UnrecognizedClientException": "InvalidClientTokenId"}
XML_CODES["ExpiredTokenException"] = "ExpiredToken"


def code_of(service: str, code: str) -> str:
    """Return an error's code as a service words it."""
    return code if service in {"events", "sqs"} else XML_CODES[code]


def trusting(account: str, condition: dict[str, Any] | None = None) -> str:
    """Return a trust policy that lets an account assume the role."""
    statement: dict[str, Any] = {
        "Effect": "Allow",
        "Principal": {"AWS": f"arn:aws:iam::{account}:root"},
        "Action": "sts:AssumeRole",
    }
    if condition:
        statement["Condition"] = condition
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def allowing(*actions: str, resource: str = "*") -> str:
    """Return an identity policy that allows the actions."""
    statement = {"Effect": "Allow", "Action": list(actions), "Resource": resource}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def key_of(answer: dict[str, Any]) -> tuple[str, str, str]:
    """Return the key that an answer of STS carries."""
    found = answer["Credentials"]
    return found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"]


@pytest.fixture
def make_role(client: Clients, name: str) -> Iterator[Callable[..., str]]:
    """Make the test's role, with what its sessions may do, and return its ARN."""
    iam = client("iam")

    def make_role(trust: str, policy: str | None = None, **settings: Any) -> str:
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust, **settings)
        if policy is not None:
            iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=policy)
        return str(made["Role"]["Arn"])

    yield make_role
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        iam.delete_role_policy(RoleName=name, PolicyName=policy)
    iam.delete_role(RoleName=name)


def test_a_role_is_assumed(
    client: Clients, make_role: Callable[..., str], name: str, eventually: Eventually
) -> None:
    """Its session is someone, in all Regions, and may do what the role may do."""
    arn = make_role(trusting(OWN), allowing("events:List*"), Path="/a/")
    answer = client("sts").assume_role(RoleArn=arn, RoleSessionName="me@home")
    key = key_of(answer)
    session_arn = f"arn:aws:sts::{OWN}:assumed-role/{name}/me@home"
    left = answer["Credentials"]["Expiration"] - datetime.fromtimestamp(SystemClock().now(), UTC)

    assert session_arn == answer["AssumedRoleUser"]["Arn"]
    assert answer["AssumedRoleUser"]["AssumedRoleId"].endswith(":me@home")
    assert key[0].startswith("ASIA")
    assert 3590 < left.total_seconds() <= 3600
    for region in (EAST, WEST):
        identity = client("sts", region, key=key).get_caller_identity()
        assert (OWN, session_arn) == (identity["Account"], identity["Arn"])
        assert answer["AssumedRoleUser"]["AssumedRoleId"] == identity["UserId"]
        events = client("events", region, key=key)
        eventually(lambda: _succeeds(events.list_event_buses))  # noqa: B023 - called here


def _succeeds(call: Callable[..., object], **params: Any) -> bool:
    from botocore.exceptions import ClientError

    try:
        call(**params)
    except ClientError:
        return False
    return True


def test_what_the_role_may_not_do(
    client: Clients, make_role: Callable[..., str], name: str, refusal: Refusal
) -> None:
    """AWS's sentence says who, what and on what."""
    arn = make_role(trusting(OWN), allowing("events:List*"))
    key = key_of(client("sts").assume_role(RoleArn=arn, RoleSessionName="me"))
    session_arn = f"arn:aws:sts::{OWN}:assumed-role/{name}/me"
    bus = f"arn:aws:events:{EAST}:{OWN}:event-bus/default"

    assert (
        "AccessDeniedException",
        f"User: {session_arn} is not authorized to perform: events:PutEvents on resource: {bus} "
        "because no identity-based policy allows the events:PutEvents action",
    ) == refusal(client("events", key=key).put_events, Entries=[ENTRY])
    assert (
        "AccessDenied",
        f"User: {session_arn} is not authorized to perform: route53:ListHealthChecks on resource: "
        "* because no identity-based policy allows the route53:ListHealthChecks action",
    ) == refusal(client("route53", key=key).list_health_checks)


def test_a_role_of_another_account(
    client: Clients, other: Clients, make_role: Callable[..., str], name: str
) -> None:
    """A role that trusts the other account gives it a session in its own."""
    arn = make_role(trusting(OTHER), allowing("events:*"))
    key = key_of(other("sts").assume_role(RoleArn=arn, RoleSessionName="guest"))
    client("events").create_event_bus(Name=name)
    found = client("events", key=key).describe_event_bus(Name=name)
    client("events").delete_event_bus(Name=name)

    assert OWN == client("sts", key=key).get_caller_identity()["Account"]
    assert f"arn:aws:events:{EAST}:{OWN}:event-bus/{name}" == found["Arn"]


def test_who_is_not_trusted(
    client: Clients, other: Clients, make_role: Callable[..., str], refusal: Refusal
) -> None:
    """The same words for a role that trusts others and for one that does not exist."""
    arn = make_role(trusting(OWN))
    for wanted in (arn, f"{arn}-nobody", arn.replace(":role/", ":role/path/")):
        assert (
            "AccessDenied",
            f"User: arn:aws:iam::{OTHER}:root is not authorized to perform: sts:AssumeRole on "
            f"resource: {wanted}",
        ) == refusal(other("sts").assume_role, RoleArn=wanted, RoleSessionName="me")
    code, _ = refusal(
        client("sts").assume_role, RoleArn="arn:aws:sqs:us-east-1:1:queue", RoleSessionName="me"
    )
    assert "ValidationError" == code


def test_an_external_id(other: Clients, make_role: Callable[..., str], refusal: Refusal) -> None:
    """What the role's owner and its user agreed on must be given."""
    arn = make_role(trusting(OTHER, {"StringEquals": {"sts:ExternalId": "agreed"}}))
    sts = other("sts")

    assert sts.assume_role(RoleArn=arn, RoleSessionName="me", ExternalId="agreed")["Credentials"]
    for more in ({}, {"ExternalId": "guessed"}):
        code, _ = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="me", **more)
        assert "AccessDenied" == code


@pytest.mark.parametrize(
    ("seconds", "role_seconds", "message"),
    [
        (899, 3600, "greater than or equal to 900"),
        (43201, 43200, "less than or equal to 43200"),
        (3601, 3600, "exceeds the MaxSessionDuration set for this role."),
        (900, 3600, None),
        (43200, 43200, None),
    ],
)
def test_how_long_a_role_session_lasts(
    client: Clients,
    make_role: Callable[..., str],
    refusal: Refusal,
    seconds: int,
    role_seconds: int,
    message: str | None,
) -> None:
    """From a quarter of an hour to twelve hours, and no longer than the role says."""
    arn = make_role(trusting(OWN), MaxSessionDuration=role_seconds)
    sts = client("sts", parameter_validation=False)
    wanted = {"RoleArn": arn, "RoleSessionName": "me", "DurationSeconds": seconds}

    if message is None:
        until = sts.assume_role(**wanted)["Credentials"]["Expiration"].timestamp()
        assert abs(until - SystemClock().now() - seconds) < 10
    else:
        code, said = refusal(sts.assume_role, **wanted)
        assert "ValidationError" == code
        assert message in said


def test_a_session_assumes_a_role(
    client: Clients, make_role: Callable[..., str], refusal: Refusal
) -> None:
    """Role chaining: for an hour at most, and only where the session's role may."""
    arn = make_role(trusting(OWN), allowing("sts:AssumeRole"), MaxSessionDuration=7200)
    first = key_of(client("sts").assume_role(RoleArn=arn, RoleSessionName="one"))
    sts = client("sts", key=first)
    second = sts.assume_role(RoleArn=arn, RoleSessionName="two")
    code, said = refusal(sts.assume_role, RoleArn=arn, RoleSessionName="two", DurationSeconds=3601)
    client("iam").delete_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="p")

    assert second["AssumedRoleUser"]["Arn"].endswith("/two")
    assert "ValidationError" == code
    assert "1 hour session limit for roles assumed by role chaining" in said
    assert "AccessDenied" == refusal(sts.assume_role, RoleArn=arn, RoleSessionName="two")[0]


def test_a_session_policy_takes_away(
    client: Clients, make_role: Callable[..., str], refusal: Refusal
) -> None:
    """What the session's own policy does not allow is denied; it never adds anything."""
    arn = make_role(trusting(OWN), allowing("events:*"))
    policy = allowing("events:ListEventBuses", "sqs:*")
    answer = client("sts").assume_role(RoleArn=arn, RoleSessionName="me", Policy=policy)
    key = key_of(answer)

    assert 0 < answer["PackedPolicySize"] <= 100
    assert client("events", key=key).list_event_buses()["EventBuses"]
    code, said = refusal(client("events", key=key).list_rules)
    assert "AccessDeniedException" == code
    assert said.endswith("because no session policy allows the events:ListRules action")
    code, said = refusal(client("sqs", key=key).list_queues)
    assert said.endswith("because no identity-based policy allows the sqs:ListQueues action")


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        ("{", "MalformedPolicyDocument"),
        (trusting(OWN), "MalformedPolicyDocument"),
        (allowing(*["events:PutEvents"] * 120), "PackedPolicyTooLarge"),
    ],
    ids=["json", "principal", "long"],
)
def test_a_session_policy_that_is_none(
    client: Clients, make_role: Callable[..., str], refusal: Refusal, policy: str, code: str
) -> None:
    """It is refused before any credentials are given out."""
    arn = make_role(trusting(OWN))

    assert (
        code
        == refusal(client("sts").assume_role, RoleArn=arn, RoleSessionName="me", Policy=policy)[0]
    )


def test_what_is_not_there_yet(
    client: Clients, make_role: Callable[..., str], refusal: Refusal
) -> None:
    """Session tags and the like are refused by name: ignored, they would be a false success."""
    arn = make_role(trusting(OWN))

    assert ("ValidationError", "Farspan does not have SourceIdentity yet. Leave it out.") == (
        refusal(client("sts").assume_role, RoleArn=arn, RoleSessionName="me", SourceIdentity="me")
    )


def test_a_change_of_the_role_reaches_its_sessions(
    client: Clients, name: str, refusal: Refusal
) -> None:
    """Policies count as they stand at the call; a role that is gone or made anew gives nothing."""
    iam = client("iam")
    made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting(OWN))
    wanted = {"RoleArn": made["Role"]["Arn"], "RoleSessionName": "me"}
    sqs = client("sqs", key=key_of(client("sts").assume_role(**wanted)))
    managed = "arn:aws:iam::aws:policy/AmazonSQSReadOnlyAccess"

    assert "AccessDeniedException" == refusal(sqs.list_queues)[0]
    iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    sqs.list_queues()
    iam.detach_role_policy(RoleName=name, PolicyArn=managed)
    iam.delete_role(RoleName=name)
    assert "AccessDeniedException" == refusal(sqs.list_queues)[0]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=trusting(OWN))
    iam.attach_role_policy(RoleName=name, PolicyArn=managed)
    assert "AccessDeniedException" == refusal(sqs.list_queues)[0]
    iam.detach_role_policy(RoleName=name, PolicyArn=managed)
    iam.delete_role(RoleName=name)


def test_sigv4a_with_a_session_token(
    client: Clients, endpoint: GlobalEndpoint, make_role: Callable[..., str], refusal: Refusal
) -> None:
    """The SDK signs with a session's key for the endpoint, and the policy names its bus."""
    bus = endpoint.event_bus_arns[0]
    arn = make_role(trusting(OWN), allowing("events:PutEvents", resource=bus))
    sts = client("sts")
    put = {"EndpointId": endpoint.endpoint_id, "Entries": [{**ENTRY, "Source": "session"}]}
    key = key_of(sts.assume_role(RoleArn=arn, RoleSessionName="me"))
    answer = client("events", key=key).put_events(**put)
    for queue in endpoint.queues.values():
        queue.receive(1)
    bounded = key_of(
        sts.assume_role(RoleArn=arn, RoleSessionName="me", Policy=allowing("events:List*"))
    )

    assert 0 == answer["FailedEntryCount"]
    code, said = refusal(client("events", key=bounded).put_events, **put)
    assert "AccessDeniedException" == code
    assert f"events:PutEvents on resource: {bus} because no session policy" in said
    wrong = (key[0], "not the secret", key[2])
    assert "InvalidSignatureException" == refusal(client("events", key=wrong).put_events, **put)[0]


class TestWhatIsRefused:
    """Tokens that are none, not this key's, or too old, in each protocol's words."""

    @CALLS
    def test_a_token_that_is_none(
        self, client: Clients, refusal: Refusal, service: str, method: str, params: dict[str, Any]
    ) -> None:
        """A token that was not sealed here, none at all, and one of another key."""
        key = key_of(client("sts").get_session_token())
        stranger = key_of(client("sts").get_session_token())
        expected = (code_of(service, "UnrecognizedClientException"), INVALID)
        for wrong in (
            (key[0], key[1], "nonsense"),
            (key[0], key[1], key[2][:-8] + "AAAAAAA="),
            (key[0], key[1]),
            (key[0], key[1], stranger[2]),
            ("test", "test", key[2]),
            ("ASIANOBODY", "secret", key[2]),
        ):
            assert expected == refusal(getattr(client(service, key=wrong), method), **params)

    @CALLS
    def test_a_token_that_has_expired(
        self, client: Clients, refusal: Refusal, service: str, method: str, params: dict[str, Any]
    ) -> None:
        """The signature is right, and the time is over."""
        now = SystemClock().now()
        key = sealed(issued_at=now - 901, expires_at=now - 1)
        expected = (code_of(service, "ExpiredTokenException"), EXPIRED)

        assert expected == refusal(getattr(client(service, key=key), method), **params)

    def test_a_token_of_another_deployment(self, client: Clients, refusal: Refusal) -> None:
        """Another cluster's secret seals tokens that this one does not open."""
        now = SystemClock().now()
        key = sealed(issued_at=now, expires_at=now + 900, secret="another secret")

        assert ("UnrecognizedClientException", INVALID) == refusal(
            client("events", key=key).list_event_buses
        )

    def test_the_wrong_secret(self, client: Clients, refusal: Refusal) -> None:
        """A token alone opens nothing."""
        key = key_of(client("sts").get_session_token())

        assert (
            "InvalidSignatureException"
            == refusal(client("events", key=(key[0], "guess", key[2])).list_event_buses)[0]
        )


def sealed(
    *, issued_at: float, expires_at: float, secret: str = "the nodes' own secret"
) -> tuple[str, str, str]:
    """Return a session of the key `test` as a node of the deployment would have sealed it."""
    claims = SessionClaims(
        access_key_id="ASIASEALEDBYTHETESTS",
        secret_access_key="sealed",
        account=OWN,
        issued_at=issued_at,
        expires_at=expires_at,
        source_key="test",
    )
    return (
        claims.access_key_id,
        claims.secret_access_key,
        SessionTokens(secret, os.urandom).seal(claims),
    )


@pytest.fixture(scope="module")
def user(deployed: Callable[..., Deployment], client_of: Clients) -> Clients:
    """Clients of a deployment that has a user with a policy."""
    ann = Credential(
        access_key_id="user",
        secret_access_key="user-secret",
        user_name="ann",
        policy=allowing("events:ListEventBuses"),
    )
    url = deployed(credentials=(Credential(), ann)).url
    return lambda service, key=("user", "user-secret"): client_of(url, service, EAST, key)


class TestGetSessionToken:
    """Sessions of long-term keys."""

    @pytest.mark.parametrize("key", [("test", "test"), OTHER_KEY], ids=["first", "second"])
    def test_of_an_account(self, client: Clients, key: tuple[str, str]) -> None:
        """It is its account's root, for an hour at most, in both Regions."""
        sts = client("sts", key=key)
        answer = sts.get_session_token(DurationSeconds=129600)
        until = answer["Credentials"]["Expiration"].timestamp()
        expected = sts.get_caller_identity()["Arn"]

        assert abs(until - SystemClock().now() - 3600) < 10
        for region in (EAST, WEST):
            session = client("sts", region, key=key_of(answer))
            assert expected == session.get_caller_identity()["Arn"]
            client("events", region, key=key_of(answer)).list_event_buses()

    def test_of_a_user(self, user: Clients, refusal: Refusal) -> None:
        """It may do what the user may do, for up to 36 hours."""
        answer = user("sts").get_session_token(DurationSeconds=129600)
        key = key_of(answer)
        identity = user("sts", key).get_caller_identity()

        assert (
            abs(answer["Credentials"]["Expiration"].timestamp() - SystemClock().now() - 129600) < 10
        )
        assert f"arn:aws:iam::{OWN}:user/ann" == identity["Arn"]
        assert identity["UserId"].startswith("AIDA")
        assert identity["UserId"] == user("sts").get_caller_identity()["UserId"]
        assert user("events", key).list_event_buses()["EventBuses"]
        assert "AccessDeniedException" == refusal(user("events", key).list_rules)[0]

    @pytest.mark.parametrize("seconds", [899, 129601])
    def test_durations(self, client: Clients, refusal: Refusal, seconds: int) -> None:
        """Nothing shorter than a quarter of an hour, nothing longer than 36 hours."""
        sts = client("sts", parameter_validation=False)

        assert "ValidationError" == refusal(sts.get_session_token, DurationSeconds=seconds)[0]

    def test_a_session_gets_no_other(self, client: Clients, refusal: Refusal) -> None:
        """Nor does it reach IAM: it proves no second factor."""
        key = key_of(client("sts").get_session_token())

        assert (
            "AccessDenied",
            "Cannot call GetSessionToken with session credentials",
        ) == refusal(client("sts", key=key).get_session_token)
        assert ("InvalidClientTokenId", INVALID) == refusal(client("iam", key=key).list_roles)
