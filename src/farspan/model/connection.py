"""Connections: how an HTTP endpoint is authorised, and the secret that this takes.

A `Connection` holds its secret sealed, and never anything else of it. A `Secret` is what is inside:
it lives for one call, and its repr shows nothing.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar
from urllib.parse import urlsplit

import msgspec


class AuthorizationType(StrEnum):
    """How a request is authorised (AWS: ConnectionAuthorizationType)."""

    BASIC = "BASIC"  # a user name and a password
    OAUTH_CLIENT_CREDENTIALS = "OAUTH_CLIENT_CREDENTIALS"  # a token that a client's secret buys
    API_KEY = "API_KEY"  # a header with a value


class ConnectionState(StrEnum):
    """Where a connection is in its life (AWS: ConnectionState)."""

    CREATING = "CREATING"  # private connections only; Farspan has none
    UPDATING = "UPDATING"  # private connections only; Farspan has none
    DELETING = "DELETING"  # what DeleteConnection answers; it is gone then
    AUTHORIZED = "AUTHORIZED"  # may be used
    DEAUTHORIZED = "DEAUTHORIZED"  # the token request was refused
    AUTHORIZING = "AUTHORIZING"  # waits for its first token
    DEAUTHORIZING = "DEAUTHORIZING"  # DeauthorizeConnection took its secret away
    ACTIVE = "ACTIVE"  # private connections only; Farspan has none
    FAILED_CONNECTIVITY = "FAILED_CONNECTIVITY"  # private connections only; Farspan has none


class HttpParameter(msgspec.Struct, frozen=True, kw_only=True):
    """A header, query string or body parameter that every invocation gets."""

    key: str
    value: str | None = None
    is_value_secret: bool = False

    def __repr__(self) -> str:
        return f"HttpParameter(key={self.key!r}, value=...)"


class HttpParameters(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """All parameters that every invocation gets, by where they go."""

    header_parameters: tuple[HttpParameter, ...] = ()
    query_string_parameters: tuple[HttpParameter, ...] = ()
    body_parameters: tuple[HttpParameter, ...] = ()


class Secret(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What is sealed. As JSON it has the members that AWS's Secrets Manager shows of it."""

    username: str | None = None
    password: str | None = None
    api_key_name: str | None = None
    api_key_value: str | None = None
    client_id: str | None = None
    client_secret: str | None = None
    authorization_endpoint: str | None = None
    http_method: str | None = None
    oauth_http_parameters: HttpParameters | None = None
    invocation_http_parameters: HttpParameters | None = None

    def __repr__(self) -> str:
        return "Secret(...)"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """A connection.

    `auth_parameters` is what DescribeConnection shows: nothing of it is secret. `secret_version`
    grows with each change of the secret. Times are seconds since the epoch.
    """

    KIND: ClassVar[str] = "connection"

    region: str
    account: str
    name: str
    uuid: str
    authorization_type: AuthorizationType
    state: ConnectionState = ConnectionState.AUTHORIZED
    state_reason: str | None = None
    description: str | None = None
    auth_parameters: dict[str, object] = {}
    sealed_secret: bytes | None = None
    secret_version: int = 0
    secret_arn: str | None = None
    creation_time: float = 0.0
    last_modified_time: float = 0.0
    last_authorized_time: float | None = None

    @property
    def arn(self) -> str:
        """The connection's ARN."""
        return f"arn:aws:events:{self.region}:{self.account}:connection/{self.name}/{self.uuid}"

    @property
    def key(self) -> str:
        """The key among connections."""
        return f"{self.account}/{self.name}"

    @property
    def is_authorized(self) -> bool:
        """Whether requests may be sent with it."""
        return self.state is ConnectionState.AUTHORIZED


def secret_arn_of(region: str, account: str, name: str, uuid: str, suffix: str) -> str:
    """Return the ARN of a connection's secret. The suffix has six characters, as AWS's."""
    return (
        f"arn:aws:secretsmanager:{region}:{account}:secret:events!connection/{name}/{uuid}-{suffix}"
    )


def is_https_url(text: str) -> bool:
    """Tell whether the text is an https URL of a host that it names in full."""
    try:
        url = urlsplit(text)
        host, port = url.hostname, url.port
    except ValueError:  # a port that is no number, half an IPv6 address
        return False
    return url.scheme == "https" and bool(host) and "*" not in url.netloc and port != 0
