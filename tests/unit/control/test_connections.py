"""What a client cannot see of connections: the secret as it is kept, times, the quota."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec
import pytest

from farspan.clock import SeededIds
from farspan.config import QuotaConfig
from farspan.control.connections import rewrap_secrets
from farspan.model.connection import Connection, Secret, is_https_url
from farspan.sealing import Sealer

if TYPE_CHECKING:
    from tests.unit.control.conftest import Api

ACCOUNT = "000000000000"
LIMIT = "The requested resource exceeds the maximum number allowed."


BASIC = {
    "AuthorizationType": "BASIC",
    "AuthParameters": {"BasicAuthParameters": {"Username": "ann", "Password": "hush"}},
}


def kept(api: Api, name: str = "c") -> Connection:
    """Return a connection as it is kept."""
    return api.plane.resources.table(Connection)[f"{ACCOUNT}/{name}"]


def opened(api: Api) -> dict[str, Any]:
    """Return the content of the connection's secret."""
    connection = kept(api)
    assert connection.sealed_secret is not None
    text = api.plane.sealer.open(
        connection.sealed_secret, arn=connection.arn, version=connection.secret_version
    )
    return cast("dict[str, Any]", msgspec.json.decode(text))


async def update(api: Api, kind: str, auth: dict[str, Any]) -> dict[str, Any]:
    """Change the connection's credentials."""
    return await api("UpdateConnection", Name="c", AuthorizationType=kind, AuthParameters=auth)


async def test_the_secret_of_each_type(api: Api) -> None:
    """Its members are those that AWS's Secrets Manager shows of it."""
    await api("CreateConnection", Name="c", **BASIC)
    basic = opened(api)
    await update(api, "API_KEY", {"ApiKeyAuthParameters": {"ApiKeyName": "x", "ApiKeyValue": "y"}})
    api_key = opened(api)
    oauth = {
        "ClientParameters": {"ClientID": "i", "ClientSecret": "s"},
        "AuthorizationEndpoint": "https://a.example/",
        "HttpMethod": "PUT",
        "OAuthHttpParameters": {"QueryStringParameters": [{"Key": "k", "Value": "v"}]},
    }
    await update(api, "OAUTH_CLIENT_CREDENTIALS", {"OAuthParameters": oauth})

    assert {"username": "ann", "password": "hush"} == basic
    assert {"api_key_name": "x", "api_key_value": "y"} == api_key
    assert {
        "client_id": "i",
        "client_secret": "s",
        "authorization_endpoint": "https://a.example/",
        "http_method": "PUT",
        "oauth_http_parameters": {
            "query_string_parameters": [{"key": "k", "value": "v", "is_value_secret": False}]
        },
    } == opened(api)


async def test_a_partial_update_keeps_the_rest(api: Api) -> None:
    """A new password, a new client id: what is not given stays, parameters included."""
    headers = {"HeaderParameters": [{"Key": "h", "Value": "w", "IsValueSecret": True}]}
    auth = {**BASIC["AuthParameters"], "InvocationHttpParameters": headers}  # type: ignore[dict-item]
    await api("CreateConnection", Name="c", AuthorizationType="BASIC", AuthParameters=auth)
    await update(api, "BASIC", {"BasicAuthParameters": {"Password": "other"}})

    assert {
        "username": "ann",
        "password": "other",
        "invocation_http_parameters": {
            "header_parameters": [{"key": "h", "value": "w", "is_value_secret": True}]
        },
    } == opened(api)


async def test_each_change_of_the_secret_is_a_version(api: Api) -> None:
    """A description makes none; deauthorising forgets the secret and not the count."""
    await api("CreateConnection", Name="c", **BASIC)
    versions = [kept(api).secret_version]
    await api("UpdateConnection", Name="c", Description="d")
    versions.append(kept(api).secret_version)
    await update(api, "BASIC", {"BasicAuthParameters": {"Password": "p"}})
    versions.append(kept(api).secret_version)
    await api("DeauthorizeConnection", Name="c")
    assert kept(api).sealed_secret is None
    await api("UpdateConnection", Name="c", **BASIC)
    versions.append(kept(api).secret_version)

    assert [1, 1, 2, 3] == versions


async def test_times(api: Api) -> None:
    """UpdateConnection answers with the former time; only credentials authorise anew."""
    await api("CreateConnection", Name="c", **BASIC)
    api.clock.seconds += 10
    described = await api("UpdateConnection", Name="c", Description="d")
    api.clock.seconds += 10
    authorized = await api("UpdateConnection", Name="c", **BASIC)
    found = await api("DescribeConnection", Name="c")
    start = 1_700_000_000

    assert (start, start) == (described["LastModifiedTime"], described["LastAuthorizedTime"])
    assert (start + 10, start + 20) == (
        authorized["LastModifiedTime"],
        authorized["LastAuthorizedTime"],
    )
    assert (start, start + 20, start + 20) == (
        found["CreationTime"],
        found["LastModifiedTime"],
        found["LastAuthorizedTime"],
    )


async def test_what_is_kept_shows_no_secret(api: Api) -> None:
    """Neither the document nor the repr of a connection has its password."""
    await api("CreateConnection", Name="c", **BASIC)

    assert "hush" not in repr(kept(api))
    assert b"hush" not in msgspec.json.encode(kept(api))
    assert "hush" not in repr(msgspec.convert(opened(api), Secret))


async def test_rewrapping_leaves_what_is_current(api: Api) -> None:
    """Only what a former key wraps is written anew."""
    await api("CreateConnection", Name="c", **BASIC)
    before = kept(api)
    await rewrap_secrets(api.plane)
    assert before is kept(api)
    api.plane.sealer = Sealer([bytes([1] * 32), bytes(32)], SeededIds(2).token)
    await rewrap_secrets(api.plane)

    assert before.sealed_secret != kept(api).sealed_secret
    assert "hush" == opened(api)["password"]


async def test_the_quota_of_connections(api: Api) -> None:
    """An account has 3,000 connections in a Region, and no more."""
    for number in range(QuotaConfig().connections):
        await api("CreateConnection", Name=f"c{number}", **BASIC)

    assert ("LimitExceededException", LIMIT) == await api.refusal(
        "CreateConnection", Name="one-too-many", **BASIC
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("https://example.com", True),
        ("https://example.com:8443/a/*/b?c=*", True),
        ("https://[2001:db8::1]/", True),
        ("http://example.com", False),
        ("https://", False),
        ("https://*.example.com/", False),
        ("https://example.com:0/", False),
        ("https://example.com:seven/", False),
        ("https://[half/", False),
        ("", False),
    ],
)
def test_https_urls(text: str, *, expected: bool) -> None:
    """An https URL names its host in full; wildcards stand behind it."""
    assert expected is is_https_url(text)
