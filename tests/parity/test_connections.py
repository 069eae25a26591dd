"""CreateConnection, DescribeConnection, ListConnections, Update-, Deauthorize-, Delete-."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest
from botocore.client import BaseClient

if TYPE_CHECKING:
    from tests.parity.conftest import Eventually

EAST = "us-east-1"
ACCOUNT = "000000000000"
UUID = r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
OUT_OF_REACH = (
    "The authorization endpoint gave no token: 127.0.0.1 is at an address that targets may not "
    "reach; [targets] allow_private in farspan.toml lists those that they may."
)
REMOVED = (
    "The authorization parameters were removed from this connection by a DeauthorizeConnection "
    "operation."
)
NOTHING_TO_UPDATE = (
    "Failed to update the connection(s). At least one of the following is required: Description, "
    "KmsKeyIdentifier, AuthorizationType with BasicAuthParameters, ApiKeyAuthParameters, or "
    "OAuthParameters."
)
BASIC = {"BasicAuthParameters": {"Username": "ann", "Password": "hush-password"}}
API_KEY = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "hush-key"}}
OAUTH = {
    "OAuthParameters": {
        "ClientParameters": {"ClientID": "client", "ClientSecret": "hush-client"},
        "AuthorizationEndpoint": "https://127.0.0.1/token",
        "HttpMethod": "POST",
        "OAuthHttpParameters": {
            "BodyParameters": [
                {"Key": "grant_type", "Value": "client_credentials"},
                {"Key": "resource", "Value": "hush-resource", "IsValueSecret": True},
            ]
        },
    }
}
EACH_TYPE = pytest.mark.parametrize(
    ("kind", "auth"),
    [("BASIC", BASIC), ("API_KEY", API_KEY), ("OAUTH_CLIENT_CREDENTIALS", OAUTH)],
    ids=["basic", "api-key", "oauth"],
)
Refusal = Callable[..., tuple[str, str]]
Connection = Callable[..., dict[str, Any]]


def missing(name: str) -> tuple[str, str]:
    """Return the error for a connection that does not exist."""
    return (
        "ResourceNotFoundException",
        f"Failed to describe the connection(s). Connection '{name}' does not exist.",
    )


@pytest.fixture
def connection(events: BaseClient, name: str) -> Connection:
    """Create connections, with a user name and a password unless told."""

    def connection(called: str = name, **changes: Any) -> dict[str, Any]:
        answer = events.create_connection(
            **{"Name": called, "AuthorizationType": "BASIC", "AuthParameters": BASIC, **changes}
        )
        del answer["ResponseMetadata"]
        return answer

    return connection


@pytest.fixture
def described(events: BaseClient, name: str) -> Callable[[], dict[str, Any]]:
    """Return the connection as it stands."""

    def described() -> dict[str, Any]:
        found = events.describe_connection(Name=name)
        del found["ResponseMetadata"]
        assert "hush" not in json.dumps(found, default=str)
        return found

    return described


# --- create and describe ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "auth", "state"),
    [
        ("BASIC", BASIC, "AUTHORIZED"),
        ("API_KEY", API_KEY, "AUTHORIZED"),
        ("OAUTH_CLIENT_CREDENTIALS", OAUTH, "AUTHORIZING"),
    ],
    ids=["basic", "api-key", "oauth"],
)
def test_create_answers_with_arn_and_state(
    connection: Connection, name: str, kind: str, auth: dict[str, Any], state: str
) -> None:
    """Credentials are good at once; a client's secret would have to buy a token first."""
    made = connection(AuthorizationType=kind, AuthParameters=auth)

    assert re.fullmatch(
        rf"arn:aws:events:{EAST}:{ACCOUNT}:connection/{name}/{UUID}", made.pop("ConnectionArn")
    )
    assert 0 == made["CreationTime"].microsecond
    assert made.pop("CreationTime") == made.pop("LastModifiedTime")
    assert {"ConnectionState": state} == made


def test_describe_shows_no_secret(
    connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """The user name is shown, the password is not; the secret has an ARN as AWS's have."""
    made = connection(Description="to the shop")
    found = described()

    assert re.fullmatch(
        rf"arn:aws:secretsmanager:{EAST}:{ACCOUNT}:secret:events!connection/{name}/{UUID}-\w{{6}}",
        found.pop("SecretArn"),
    )
    assert {
        **made,
        "Name": name,
        "Description": "to the shop",
        "AuthorizationType": "BASIC",
        "AuthParameters": {"BasicAuthParameters": {"Username": "ann"}},
        "LastAuthorizedTime": made["CreationTime"],
    } == found


def test_describe_of_an_api_key(
    connection: Connection, described: Callable[[], dict[str, Any]]
) -> None:
    """The header's name is shown, its value is not."""
    connection(AuthorizationType="API_KEY", AuthParameters=API_KEY)

    assert {"ApiKeyAuthParameters": {"ApiKeyName": "x-key"}} == described()["AuthParameters"]


def test_describe_of_oauth(
    connection: Connection, described: Callable[[], dict[str, Any]], eventually: Eventually
) -> None:
    """The client's id and where the token comes from are shown, and why it is not authorised."""
    connection(AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=OAUTH)
    eventually(lambda: described()["ConnectionState"] != "AUTHORIZING")
    found = described()

    assert {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "client"},
            "AuthorizationEndpoint": "https://127.0.0.1/token",
            "HttpMethod": "POST",
            "OAuthHttpParameters": {
                "BodyParameters": [
                    {"Key": "grant_type", "Value": "client_credentials", "IsValueSecret": False},
                    {"Key": "resource", "IsValueSecret": True},
                ]
            },
        }
    } == found["AuthParameters"]
    assert ("DEAUTHORIZED", OUT_OF_REACH) == (found["ConnectionState"], found["StateReason"])
    assert "LastAuthorizedTime" not in found


def test_invocation_parameters(
    connection: Connection, described: Callable[[], dict[str, Any]]
) -> None:
    """IsValueSecret is always shown, the value only where it is no secret."""
    connection(
        AuthParameters={
            **BASIC,
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "x-a", "Value": "b"}],
                "QueryStringParameters": [
                    {"Key": "q", "Value": "hush-q", "IsValueSecret": True},
                    {"Key": "r", "Value": "s", "IsValueSecret": False},
                ],
                "BodyParameters": [{"Key": "c", "Value": "hush-c", "IsValueSecret": True}],
            },
        }
    )

    assert {
        "BasicAuthParameters": {"Username": "ann"},
        "InvocationHttpParameters": {
            "HeaderParameters": [{"Key": "x-a", "Value": "b", "IsValueSecret": False}],
            "QueryStringParameters": [
                {"Key": "q", "IsValueSecret": True},
                {"Key": "r", "Value": "s", "IsValueSecret": False},
            ],
            "BodyParameters": [{"Key": "c", "IsValueSecret": True}],
        },
    } == described()["AuthParameters"]


# --- what create refuses ---------------------------------------------------------------------


def test_a_name_is_taken_once(connection: Connection, name: str, refusal: Refusal) -> None:
    """A second one of the name is refused."""
    connection()

    assert (
        "ResourceAlreadyExistsException",
        f"Connection {name} already exists.",
    ) == refusal(connection)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"AuthParameters": {}},
            "Failed to create the connection(s). BasicAuthParameters with Username, Password is "
            "required for BASIC.",
        ),
        (
            {"AuthParameters": API_KEY},
            "Failed to create the connection(s). ApiKeyAuthParameters is not valid for "
            "AuthorizationType BASIC.",
        ),
        (
            {"AuthParameters": {**BASIC, **API_KEY}},
            "Failed to create the connection(s). ApiKeyAuthParameters is not valid for "
            "AuthorizationType BASIC.",
        ),
        (
            {
                "AuthorizationType": "OAUTH_CLIENT_CREDENTIALS",
                "AuthParameters": {
                    "OAuthParameters": {
                        **OAUTH["OAuthParameters"],
                        "AuthorizationEndpoint": "http://login.example.com/token",
                    }
                },
            },
            "Failed to create the connection(s). AuthorizationEndpoint must be an https URL.",
        ),
        (
            {"KmsKeyIdentifier": "alias/mine"},
            "Parameter KmsKeyIdentifier is not valid. Reason: Farspan does not have "
            "KmsKeyIdentifier yet.",
        ),
        (
            {
                "InvocationConnectivityParameters": {
                    "ResourceParameters": {"ResourceConfigurationArn": ""}
                }
            },
            "Parameter InvocationConnectivityParameters is not valid. Reason: Farspan does not "
            "have InvocationConnectivityParameters yet.",
        ),
        (
            {
                "AuthParameters": {
                    **BASIC,
                    "ConnectivityParameters": {
                        "ResourceParameters": {"ResourceConfigurationArn": ""}
                    },
                }
            },
            "Parameter ConnectivityParameters is not valid. Reason: Farspan does not have "
            "ConnectivityParameters yet.",
        ),
        (
            {"AuthorizationType": "NONE"},
            "1 validation error detected: Value 'NONE' at 'authorizationType' failed to satisfy "
            "constraint: Member must satisfy enum value set: [BASIC, OAUTH_CLIENT_CREDENTIALS, "
            "API_KEY]",
        ),
    ],
    ids=[
        "no-credentials",
        "other-credentials",
        "two-credentials",
        "http",
        "kms",
        "private-invocation",
        "private-authorisation",
        "unknown-type",
    ],
)
def test_what_create_refuses(
    connection: Connection,
    events: BaseClient,
    name: str,
    refusal: Refusal,
    changes: dict[str, Any],
    message: str,
) -> None:
    """Credentials are of the type that is named, complete, and for https."""
    assert ("ValidationException", message) == refusal(connection, **changes)
    assert missing(name) == refusal(events.describe_connection, Name=name)


def test_a_password_that_is_refused_is_not_echoed(connection: Connection, refusal: Refusal) -> None:
    """A violation of the model names the member and hides its value."""
    auth = {"BasicAuthParameters": {"Username": "ann", "Password": "hush\x00"}}
    code, message = refusal(connection, AuthParameters=auth)

    assert "ValidationException" == code
    assert "'authParameters.basicAuthParameters.password'" in message
    assert "hush" not in message


# --- lists -----------------------------------------------------------------------------------


def test_list_shows_less_than_describe(
    events: BaseClient, connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """ListConnections has neither description nor parameters nor the secret's ARN."""
    connection(Description="d")
    found = described()
    for member in ("Description", "AuthParameters", "SecretArn"):
        del found[member]

    assert [found] == events.list_connections(NamePrefix=name)["Connections"]


def test_lists_are_in_order_of_name_and_in_pages(
    events: BaseClient, connection: Connection, name: str, refusal: Refusal
) -> None:
    """A token brings the next page of the same filter, and of no other."""
    names = [f"{name}-{letter}" for letter in "cab"]
    for called in names:
        connection(called)
    wanted = {"NamePrefix": name, "Limit": 2}
    first = events.list_connections(**wanted)
    second = events.list_connections(**wanted, NextToken=first["NextToken"])

    assert sorted(names) == [
        found["Name"] for found in first["Connections"] + second["Connections"]
    ]
    assert "NextToken" not in second
    assert (
        "ValidationException",
        "Parameter NextToken is not valid. Reason: Token invalid.",
    ) == refusal(events.list_connections, NamePrefix="x", NextToken=first["NextToken"])


def test_lists_by_state(
    events: BaseClient, connection: Connection, name: str, eventually: Eventually
) -> None:
    """Name and state may be asked for together."""
    connection()
    connection(f"{name}-2", AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=OAUTH)
    found = eventually(
        lambda: events.list_connections(NamePrefix=name, ConnectionState="DEAUTHORIZED")[
            "Connections"
        ]
    )

    assert [f"{name}-2"] == [one["Name"] for one in found]
    assert [OUT_OF_REACH] == [one["StateReason"] for one in found]


# --- update ----------------------------------------------------------------------------------


def test_update_of_the_description(
    events: BaseClient, connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """Credentials, state and secret stay."""
    connection(Description="old")
    before = described()
    changed = events.update_connection(Name=name, Description="new")
    after = described()

    assert ("AUTHORIZED", before["ConnectionArn"]) == (
        changed["ConnectionState"],
        changed["ConnectionArn"],
    )
    assert "new" == after.pop("Description")
    assert {key: value for key, value in before.items() if key != "Description"} == {
        **after,
        "LastModifiedTime": before["LastModifiedTime"],
    }


def test_update_merges_what_is_given(
    events: BaseClient, connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """A new password keeps the user name; a new user name keeps the password."""
    connection()
    secret = described()["SecretArn"]
    for given in ({"Password": "hush-2"}, {"Username": "bob"}):
        events.update_connection(
            Name=name, AuthorizationType="BASIC", AuthParameters={"BasicAuthParameters": given}
        )
    found = described()

    assert {"BasicAuthParameters": {"Username": "bob"}} == found["AuthParameters"]
    assert secret == found["SecretArn"]


def test_update_merges_lists_of_parameters(
    events: BaseClient, connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """A list that is given replaces the former list of its kind; the others stay."""
    connection(
        AuthParameters={
            **BASIC,
            "InvocationHttpParameters": {
                "HeaderParameters": [{"Key": "x-a", "Value": "1"}, {"Key": "x-b", "Value": "2"}],
                "BodyParameters": [{"Key": "c", "Value": "3"}],
            },
        }
    )
    events.update_connection(
        Name=name,
        AuthorizationType="BASIC",
        AuthParameters={
            "InvocationHttpParameters": {"HeaderParameters": [{"Key": "x-z", "Value": "9"}]}
        },
    )

    assert {
        "HeaderParameters": [{"Key": "x-z", "Value": "9", "IsValueSecret": False}],
        "BodyParameters": [{"Key": "c", "Value": "3", "IsValueSecret": False}],
    } == described()["AuthParameters"]["InvocationHttpParameters"]


def test_update_to_another_type(
    events: BaseClient, connection: Connection, described: Callable[[], dict[str, Any]], name: str
) -> None:
    """The former type's credentials go; the state is the new type's."""
    connection(
        AuthParameters={
            **BASIC,
            "InvocationHttpParameters": {"BodyParameters": [{"Key": "c", "Value": "3"}]},
        }
    )
    changed = events.update_connection(
        Name=name, AuthorizationType="OAUTH_CLIENT_CREDENTIALS", AuthParameters=OAUTH
    )
    found = described()

    assert ("OAUTH_CLIENT_CREDENTIALS", "AUTHORIZING") == (
        found["AuthorizationType"],
        changed["ConnectionState"],
    )
    assert {"OAuthParameters", "InvocationHttpParameters"} == set(found["AuthParameters"])


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"AuthorizationType": "BASIC"},
        {"AuthorizationType": "BASIC", "AuthParameters": {}},
        {"AuthParameters": BASIC},
        {"AuthParameters": BASIC, "Description": "d"},
    ],
    ids=["nothing", "type-only", "no-credentials", "no-type", "no-type-but-description"],
)
def test_an_update_needs_type_and_credentials(
    events: BaseClient, connection: Connection, name: str, refusal: Refusal, params: dict[str, Any]
) -> None:
    """Credentials come with their type, in the same call."""
    connection()

    assert ("ValidationException", NOTHING_TO_UPDATE) == refusal(
        events.update_connection, Name=name, **params
    )


def test_an_update_to_another_type_is_complete(
    events: BaseClient, connection: Connection, name: str, refusal: Refusal
) -> None:
    """Of another type's credentials nothing is there to be kept."""
    connection()

    assert (
        "ValidationException",
        "Failed to update the connection(s). ApiKeyAuthParameters with ApiKeyValue is required "
        "for API_KEY.",
    ) == refusal(
        events.update_connection,
        Name=name,
        AuthorizationType="API_KEY",
        AuthParameters={"ApiKeyAuthParameters": {"ApiKeyName": "x"}},
    )


# --- deauthorise, authorise again, delete ----------------------------------------------------


@EACH_TYPE
def test_deauthorize_removes_the_credentials(
    events: BaseClient,
    connection: Connection,
    described: Callable[[], dict[str, Any]],
    name: str,
    kind: str,
    auth: dict[str, Any],
) -> None:
    """Nothing of them is left, and the reason says so; doing it again is allowed."""
    connection(AuthorizationType=kind, AuthParameters=auth)
    answers = [events.deauthorize_connection(Name=name) for _ in range(2)]
    found = described()

    assert ["DEAUTHORIZING"] * 2 == [answer["ConnectionState"] for answer in answers]
    assert ("DEAUTHORIZING", REMOVED, {}) == (
        found["ConnectionState"],
        found["StateReason"],
        found["AuthParameters"],
    )


def test_credentials_authorize_again_with_a_new_secret(
    events: BaseClient,
    connection: Connection,
    described: Callable[[], dict[str, Any]],
    name: str,
    refusal: Refusal,
) -> None:
    """The secret is another one; half of the former credentials is not enough."""
    made = connection()
    first = described()["SecretArn"]
    events.deauthorize_connection(Name=name)

    assert (
        "ValidationException",
        "Failed to update the connection(s). BasicAuthParameters with Username is required for "
        "BASIC.",
    ) == refusal(
        events.update_connection,
        Name=name,
        AuthorizationType="BASIC",
        AuthParameters={"BasicAuthParameters": {"Password": "p"}},
    )
    answer = events.update_connection(Name=name, AuthorizationType="BASIC", AuthParameters=BASIC)
    found = described()

    assert "AUTHORIZED" == answer["ConnectionState"] == found["ConnectionState"]
    assert made["ConnectionArn"] == found["ConnectionArn"]
    assert first != found["SecretArn"]
    assert "StateReason" not in found


def test_delete_answers_with_deleting(
    events: BaseClient, connection: Connection, name: str, refusal: Refusal
) -> None:
    """The answer is that of a connection on its way out; then it is gone."""
    made = connection()
    answer = events.delete_connection(Name=name)
    del answer["ResponseMetadata"]

    assert {
        **made,
        "ConnectionState": "DELETING",
        "LastAuthorizedTime": made["CreationTime"],
    } == answer
    assert missing(name) == refusal(events.describe_connection, Name=name)


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("describe_connection", {}),
        ("deauthorize_connection", {}),
        ("delete_connection", {}),
        ("update_connection", {"Description": "d"}),
    ],
    ids=["describe", "deauthorize", "delete", "update"],
)
def test_a_connection_that_does_not_exist(
    events: BaseClient, name: str, refusal: Refusal, operation: str, params: dict[str, str]
) -> None:
    """It is named in the error."""
    assert missing(name) == refusal(getattr(events, operation), Name=name, **params)


def test_an_account_sees_its_own(
    connection: Connection, name: str, other: Callable[..., BaseClient], refusal: Refusal
) -> None:
    """Another account neither lists nor finds the connection, and has the name for itself."""
    connection()
    theirs = other("events")

    assert [] == theirs.list_connections(NamePrefix=name)["Connections"]
    assert missing(name) == refusal(theirs.describe_connection, Name=name)
    assert theirs.create_connection(Name=name, AuthorizationType="BASIC", AuthParameters=BASIC)
