"""Connections: Create, Describe, List, Update, Deauthorize, DeleteConnection.

A secret is opened here only to merge an update into it, and sealed again before anything is
written. No answer, log line or error may hold any of it. A connection with OAuth is AUTHORIZING
until its first token is there; what asks for tokens tells `record_authorization` how it went.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any, Final

import msgspec

from farspan.control.naming import refuse_members
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    LimitExceededException,
    ResourceAlreadyExistsException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.arn import parse_arn
from farspan.model.connection import (
    AuthorizationType,
    Connection,
    ConnectionState,
    HttpParameter,
    HttpParameters,
    Secret,
    is_https_url,
    secret_arn_of,
)

STATE_REASON_CHARACTERS_MAX = 512  # the API's model, ConnectionStateReason
DEAUTHORIZED = (
    "The authorization parameters were removed from this connection by a DeauthorizeConnection "
    "operation."
)
NOTHING_TO_UPDATE = (
    "Failed to update the connection(s). At least one of the following is required: Description, "
    "KmsKeyIdentifier, AuthorizationType with BasicAuthParameters, ApiKeyAuthParameters, or "
    "OAuthParameters."
)

GROUPS: Final[Mapping[AuthorizationType, str]] = MappingProxyType(
    {
        AuthorizationType.BASIC: "BasicAuthParameters",
        AuthorizationType.API_KEY: "ApiKeyAuthParameters",
        AuthorizationType.OAUTH_CLIENT_CREDENTIALS: "OAuthParameters",
    }
)
"""Where AuthParameters has the credentials of a type."""

CREDENTIALS: Final[Mapping[AuthorizationType, Mapping[str, str]]] = MappingProxyType(
    {
        AuthorizationType.BASIC: {"Username": "username", "Password": "password"},
        AuthorizationType.API_KEY: {"ApiKeyName": "api_key_name", "ApiKeyValue": "api_key_value"},
        AuthorizationType.OAUTH_CLIENT_CREDENTIALS: {
            "ClientID": "client_id",
            "ClientSecret": "client_secret",
            "AuthorizationEndpoint": "authorization_endpoint",
            "HttpMethod": "http_method",
        },
    }
)
"""The members of that group, those inside ClientParameters too, and their names in a secret."""

PARAMETER_LISTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "HeaderParameters": "header_parameters",
        "QueryStringParameters": "query_string_parameters",
        "BodyParameters": "body_parameters",
    }
)

log = logging.getLogger("farspan.control")


@operation("events", "CreateConnection", changes_resources=True)
async def create_connection(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a connection, its secret sealed."""
    refuse_members(params, "InvocationConnectivityParameters", "KmsKeyIdentifier")
    refuse_members(params["AuthParameters"], "ConnectivityParameters")
    name, kind = params["Name"], AuthorizationType(params["AuthorizationType"])
    secret = _merged(Secret(), kind, params["AuthParameters"], "create")
    connections = plane.resources.table(Connection)
    if f"{caller.account}/{name}" in connections:
        raise ResourceAlreadyExistsException(f"Connection {name} already exists.")
    if len(connections.starting_with(f"{caller.account}/")) >= plane.quotas.connections:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    blank = Connection(
        region=plane.region,
        account=caller.account,
        name=name,
        uuid=plane.ids.uuid(),
        authorization_type=kind,
        description=params.get("Description"),
        creation_time=now,
        last_modified_time=now,
    )
    connection = _authorized(plane, blank, kind, secret)
    await plane.resources.save(connection, now=now)
    output = _outcome(connection)
    del output["LastAuthorizedTime"]
    return output


@operation("events", "DescribeConnection")
async def describe_connection(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one connection, and nothing that is secret."""
    connection = _existing(plane, caller, params["Name"])
    return {
        **_listed(connection),
        "Description": connection.description,
        "SecretArn": connection.secret_arn,
        "AuthParameters": connection.auth_parameters,
    }


@operation("events", "ListConnections")
async def list_connections(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the caller's connections by name."""
    prefix, state = params.get("NamePrefix") or "", params.get("ConnectionState")
    connections = plane.resources.table(Connection).starting_with(f"{caller.account}/{prefix}")
    shown, token = page(
        [connection for connection in connections if state in (None, connection.state)],
        lambda connection: connection.name,
        filter_text=f"ListConnections/{prefix}/{state}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"Connections": [_listed(connection) for connection in shown], "NextToken": token}


@operation("events", "UpdateConnection", changes_resources=True)
async def update_connection(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Change what is given; the rest stays as it is, credentials included.

    The answer has the former LastModifiedTime, as AWS's does.
    """
    refuse_members(params, "InvocationConnectivityParameters", "KmsKeyIdentifier")
    auth = params.get("AuthParameters") or {}
    refuse_members(auth, "ConnectivityParameters")
    others = "Description" in params or "KmsKeyIdentifier" in params
    if bool(auth) != ("AuthorizationType" in params) or not (auth or others):
        raise ValidationException(NOTHING_TO_UPDATE)
    former = _existing(plane, caller, params["Name"])
    now = plane.clock.now()
    changed = msgspec.structs.replace(
        former,
        description=params.get("Description", former.description),
        last_modified_time=now,
    )
    if auth:
        kind = AuthorizationType(params["AuthorizationType"])
        secret = _merged(_secret_to_keep(plane, former, kind), kind, auth, "update")
        changed = _authorized(plane, changed, kind, secret)
    await plane.resources.save(changed, now=now)
    return {**_outcome(changed), "LastModifiedTime": int(former.last_modified_time)}


@operation("events", "DeauthorizeConnection", changes_resources=True)
async def deauthorize_connection(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove a connection's credentials for good. Doing it again is allowed."""
    now = plane.clock.now()
    changed = msgspec.structs.replace(
        _existing(plane, caller, params["Name"]),
        state=ConnectionState.DEAUTHORIZING,
        state_reason=DEAUTHORIZED,
        auth_parameters={},
        sealed_secret=None,
        secret_arn=None,
        last_modified_time=now,
    )
    await plane.resources.save(changed, now=now)
    return _outcome(changed)


@operation("events", "DeleteConnection", changes_resources=True)
async def delete_connection(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a connection with its secret. API destinations that use it become INACTIVE."""
    connection = _existing(plane, caller, params["Name"])
    await plane.resources.remove(connection, now=plane.clock.now())
    return _outcome(msgspec.structs.replace(connection, state=ConnectionState.DELETING))


async def rewrap_secrets(plane: ControlPlane) -> None:
    """Bring every secret under the current key, so that former keys are needed no longer."""
    async with plane.changing:
        for connection in list(plane.resources.table(Connection).values()):
            sealed = connection.sealed_secret
            if sealed is None or plane.sealer.is_current(sealed):
                continue
            rewrapped = plane.sealer.rewrap(
                sealed, arn=connection.arn, version=connection.secret_version
            )
            changed = msgspec.structs.replace(connection, sealed_secret=rewrapped)
            await plane.resources.save(changed, now=plane.clock.now())
            log.info("secret of %s is under the current key", connection.arn)


async def record_authorization(
    plane: ControlPlane, asked_for: Connection, reason: str | None, *, is_verdict: bool
) -> None:
    """Record how a token request for a connection went: well, or why not.

    `is_verdict` tells that the authorization endpoint refused. A connection that was authorised
    before stays so while the endpoint is merely out of reach. What became of the connection in the
    meantime stands.
    """
    async with plane.changing:
        known = plane.resources.table(Connection).get(asked_for.key)
        if (
            known is None
            or (known.arn, known.secret_version) != (asked_for.arn, asked_for.secret_version)
            or known.sealed_secret is None
        ):
            return
        now = plane.clock.now()
        if reason is None:
            changed = msgspec.structs.replace(
                known,
                state=ConnectionState.AUTHORIZED,
                state_reason=None,
                last_authorized_time=now,
            )
        elif is_verdict or not known.is_authorized:
            changed = msgspec.structs.replace(
                known,
                state=ConnectionState.DEAUTHORIZED,
                state_reason=reason[:STATE_REASON_CHARACTERS_MAX],
            )
        else:
            return
        if changed != known:
            await plane.resources.save(changed, now=now)


def connection_at(plane: ControlPlane, caller: Caller, text: str) -> Connection | None:
    """Return the caller's connection of an ARN, None where there is none.

    Raises ValidationException for an ARN of another Region.
    """
    arn = parse_arn(text)
    if arn is None:
        return None
    if arn.region not in ("", plane.region):
        raise ValidationException("Cross-region API call is not allowed.")
    name = arn.resource.removeprefix("connection/").partition("/")[0]
    connection = plane.resources.table(Connection).get(f"{caller.account}/{name}")
    return connection if connection is not None and connection.arn == text else None


def _existing(plane: ControlPlane, caller: Caller, name: str) -> Connection:
    connection = plane.resources.table(Connection).get(f"{caller.account}/{name}")
    if connection is None:
        raise ResourceNotFoundException(
            f"Failed to describe the connection(s). Connection '{name}' does not exist."
        )
    return connection


# --- secrets ---------------------------------------------------------------------------------


def _authorized(
    plane: ControlPlane, connection: Connection, kind: AuthorizationType, secret: Secret
) -> Connection:
    """Return the connection with a secret, which gets a new ARN where there was none."""
    version = connection.secret_version + 1
    secret_arn = connection.secret_arn
    if secret_arn is None:
        suffix = base64.b32encode(plane.ids.token(4)).decode()[:6]
        secret_arn = secret_arn_of(
            connection.region, connection.account, connection.name, plane.ids.uuid(), suffix
        )
    waits = kind is AuthorizationType.OAUTH_CLIENT_CREDENTIALS
    now = plane.clock.now()
    return msgspec.structs.replace(
        connection,
        authorization_type=kind,
        state=ConnectionState.AUTHORIZING if waits else ConnectionState.AUTHORIZED,
        state_reason=None,
        auth_parameters=_shown_parameters(kind, secret),
        sealed_secret=plane.sealer.seal(
            msgspec.json.encode(secret), arn=connection.arn, version=version
        ),
        secret_version=version,
        secret_arn=secret_arn,
        last_authorized_time=connection.last_authorized_time if waits else now,
    )


def _secret_to_keep(plane: ControlPlane, connection: Connection, kind: AuthorizationType) -> Secret:
    """Return what an update is merged into; another type's credentials are not kept."""
    if connection.sealed_secret is None:
        return Secret()
    opened = plane.sealer.open(
        connection.sealed_secret, arn=connection.arn, version=connection.secret_version
    )
    secret = msgspec.json.decode(opened, type=Secret)
    if kind is connection.authorization_type:
        return secret
    return Secret(invocation_http_parameters=secret.invocation_http_parameters)


def _merged(former: Secret, kind: AuthorizationType, auth: Mapping[str, Any], verb: str) -> Secret:
    """Return the secret with what AuthParameters gives. The refusals' texts are our choice."""
    group = GROUPS[kind]
    strangers = [other for other in GROUPS.values() if other != group and auth.get(other)]
    if strangers:
        raise _failed(verb, f"{strangers[0]} is not valid for AuthorizationType {kind}.")
    given = auth.get(group) or {}
    flat = {**given, **(given.get("ClientParameters") or {})}
    changes: dict[str, Any] = {
        field: flat[member] for member, field in CREDENTIALS[kind].items() if member in flat
    }
    if "OAuthHttpParameters" in given:
        changes["oauth_http_parameters"] = _merged_parameters(
            former.oauth_http_parameters, given["OAuthHttpParameters"]
        )
    if "InvocationHttpParameters" in auth:
        changes["invocation_http_parameters"] = _merged_parameters(
            former.invocation_http_parameters, auth["InvocationHttpParameters"]
        )
    secret = msgspec.structs.replace(former, **changes)
    missing = [
        member for member, field in CREDENTIALS[kind].items() if getattr(secret, field) is None
    ]
    if missing:
        raise _failed(verb, f"{group} with {', '.join(missing)} is required for {kind}.")
    if secret.authorization_endpoint and not is_https_url(secret.authorization_endpoint):
        raise _failed(verb, "AuthorizationEndpoint must be an https URL.")
    return secret


def _merged_parameters(former: HttpParameters | None, given: Mapping[str, Any]) -> HttpParameters:
    """Return the parameters with each list that is given in place of the former one."""
    changes = {
        field: tuple(
            HttpParameter(
                key=parameter.get("Key", ""),
                value=parameter.get("Value"),
                is_value_secret=bool(parameter.get("IsValueSecret")),
            )
            for parameter in given[member]
        )
        for member, field in PARAMETER_LISTS.items()
        if member in given
    }
    return msgspec.structs.replace(former or HttpParameters(), **changes)


def _failed(verb: str, reason: str) -> ValidationException:
    return ValidationException(f"Failed to {verb} the connection(s). {reason}")


# --- what is shown ---------------------------------------------------------------------------


def _shown_parameters(kind: AuthorizationType, secret: Secret) -> dict[str, object]:
    """Return AuthParameters as DescribeConnection shows them: what names, not what opens."""
    shown: dict[str, object] = {}
    if kind is AuthorizationType.BASIC:
        shown["BasicAuthParameters"] = {"Username": secret.username}
    elif kind is AuthorizationType.API_KEY:
        shown["ApiKeyAuthParameters"] = {"ApiKeyName": secret.api_key_name}
    else:
        oauth: dict[str, object] = {
            "ClientParameters": {"ClientID": secret.client_id},
            "AuthorizationEndpoint": secret.authorization_endpoint,
            "HttpMethod": secret.http_method,
        }
        if secret.oauth_http_parameters is not None:
            oauth["OAuthHttpParameters"] = _shown_lists(secret.oauth_http_parameters)
        shown["OAuthParameters"] = oauth
    if secret.invocation_http_parameters is not None:
        shown["InvocationHttpParameters"] = _shown_lists(secret.invocation_http_parameters)
    return shown


def _shown_lists(parameters: HttpParameters) -> dict[str, object]:
    lists = {member: getattr(parameters, field) for member, field in PARAMETER_LISTS.items()}
    return {member: _shown_list(listed) for member, listed in lists.items() if listed}


def _shown_list(parameters: Iterable[HttpParameter]) -> list[dict[str, object]]:
    return [
        {
            "Key": parameter.key,
            **({} if parameter.is_value_secret else {"Value": parameter.value or ""}),
            "IsValueSecret": parameter.is_value_secret,
        }
        for parameter in parameters
    ]


def _outcome(connection: Connection) -> Output:
    authorized = connection.last_authorized_time
    return {
        "ConnectionArn": connection.arn,
        "ConnectionState": str(connection.state),
        "CreationTime": int(connection.creation_time),
        "LastModifiedTime": int(connection.last_modified_time),
        "LastAuthorizedTime": None if authorized is None else int(authorized),
    }


def _listed(connection: Connection) -> Output:
    """Return what ListConnections shows: neither description nor parameters."""
    return {
        **_outcome(connection),
        "Name": connection.name,
        "StateReason": connection.state_reason,
        "AuthorizationType": str(connection.authorization_type),
    }
