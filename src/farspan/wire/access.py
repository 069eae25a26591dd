"""Who is calling, and for which Region: credentials against signatures.

With authentication on, nothing is believed before its signature is verified. Temporary credentials
bring their session token, which says all there is to know of them (`farspan.sessions`). With
authentication off (test set-ups), any key is taken and no policy asked: a key of 12 digits is the
account, another is looked up, and what is unknown is the first configured account.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable, Sequence
from dataclasses import replace

from farspan.clock import Clock, SystemIds
from farspan.config import NODE_ACCESS_KEY_ID, ConfigError, Credential
from farspan.control.grants import Grants, parsed, policies_of
from farspan.control.plane import Caller
from farspan.errors import (
    AwsError,
    ExpiredTokenException,
    UnrecognizedClientException,
    ValidationException,
)
from farspan.model.role import Role
from farspan.sessions import SessionClaims, SessionTokens, TokenUnreadable
from farspan.wire.http import Request
from farspan.wire.sigv4 import Authorization, parse_authorization, verify

ACCOUNT_KEY = re.compile(r"\d{12}")
PEER_SERVICE = "farspan"
"""The service name to which the nodes scope what they sign for each other."""

TOKEN_HEADER = "x-amz-security-token"  # noqa: S105 - a header's name
UNKNOWN_KEY = "The security token included in the request is invalid."
EXPIRED_TOKEN = "The security token included in the request is expired"  # noqa: S105 - a message
FindRole = Callable[[str, str], Role | None]
"""Return the role of an account and name, or None."""


class Access:
    """The deployment's credentials and how they are checked."""

    def __init__(
        self,
        *,
        credentials: Sequence[Credential],
        cluster_secret: str,
        auth: bool,
        clock: Clock,
        sessions: SessionTokens | None = None,
        find_role: FindRole = lambda _account, _name: None,
    ) -> None:
        """Take the credentials. Raises ConfigError where a policy among them cannot be read."""
        self._secrets = {c.access_key_id: c.secret_access_key for c in credentials}
        self._callers = {c.access_key_id: _caller_of(c, auth=auth) for c in credentials}
        self._first = self._callers[credentials[0].access_key_id]
        self._sessions = sessions or SessionTokens(cluster_secret, SystemIds().token)
        self._find_role = find_role
        self._cluster_secret = cluster_secret
        self.clock = clock
        self.auth = auth

    def claimed(self, request: Request) -> Authorization | None:
        """Return what the request claims to be signed for, unproven.

        With authentication off, None where that cannot be read; with it on, raises as
        `sigv4.parse_authorization` does.
        """
        try:
            return parse_authorization(request)
        except AwsError:
            if self.auth:
                raise
            return None

    def caller(self, request: Request, *, service: str | None, region: str | None) -> Caller:
        """Return who sent the request, proven where authentication is on.

        `service` is the signing name and `region` the Region that the signature must be for; None
        accepts any. Raises UnrecognizedClientException for an unknown key or token,
        ExpiredTokenException, and as `sigv4.verify`.
        """
        caller = self._caller(request, service=service, region=region)
        return replace(caller, is_secure=True) if request.is_secure else caller

    def _caller(self, request: Request, *, service: str | None, region: str | None) -> Caller:
        authorization = self.claimed(request)
        if not self.auth:
            return self._taken(request, authorization)
        assert authorization is not None, "claimed raises where there is none"
        key, now = authorization.access_key_id, self.clock.now()
        secret = self._secrets.get(key)
        claims = self._claims(request, key) if secret is None else None
        if claims is not None:
            secret = claims.secret_access_key
        if secret is None:
            raise UnrecognizedClientException(UNKNOWN_KEY)
        verify(
            request,
            authorization,
            secret,
            now=now,
            service=service,
            region=region,
            session_token=request.headers[TOKEN_HEADER] if claims is not None else None,
        )
        if claims is None:
            return self._callers[key]
        if claims.expires_at <= now:
            raise ExpiredTokenException(EXPIRED_TOKEN)
        return self._session_caller(claims)

    def _claims(self, request: Request, access_key_id: str) -> SessionClaims | None:
        """Return what the request's session token says, None where it is no token of this key."""
        try:
            claims = self._sessions.open(request.headers.get(TOKEN_HEADER, ""))
        except TokenUnreadable:
            return None
        return claims if claims.access_key_id == access_key_id else None

    def _session_caller(self, claims: SessionClaims) -> Caller:
        if claims.role_arn is None:
            source = self._callers.get(claims.source_key or "")
            if source is None:
                if self.auth:  # the key was taken away, and its sessions with it
                    raise UnrecognizedClientException(UNKNOWN_KEY)
                source = Caller(claims.account, claims.access_key_id)
            return replace(
                source,
                access_key_id=claims.access_key_id,
                is_session=True,
                issued_at=claims.issued_at,
            )
        return Caller(
            claims.account,
            claims.access_key_id,
            principal=claims.principal,
            user_id=claims.user_id,
            grants=self._role_grants(claims) if self.auth else None,
            role_arn=claims.role_arn,
            is_session=True,
            issued_at=claims.issued_at,
        )

    def _role_grants(self, claims: SessionClaims) -> Grants:
        """Return what a role's session may do now: nothing, if the role is not there any more."""
        name = (claims.role_arn or "").rpartition("/")[2]
        role = self._find_role(claims.account, name)
        if role is None or role.role_id != claims.role_id:
            return Grants()
        session = claims.policies
        return Grants(
            identity=policies_of(role),
            session=None if session is None else tuple(map(parsed, session)),
        )

    def claimed_account(self, request: Request) -> str | None:
        """Return the account that the request claims to come from, unproven, None if unknown.

        For choosing a Region only.
        """
        try:
            authorization = self.claimed(request)
            return self._taken(request, authorization).account
        except AwsError:
            return None

    def _taken(self, request: Request, authorization: Authorization | None) -> Caller:
        if authorization is None:
            return self._first
        key = authorization.access_key_id
        claims = self._claims(request, key)
        if claims is not None:
            return self._session_caller(claims)
        if ACCOUNT_KEY.fullmatch(key):
            return Caller(key, key)
        known = self._callers.get(key)
        return known or Caller(self._first.account, key)

    def check_peer(self, request: Request) -> None:
        """Return if another node of this deployment sent the request. Raises AwsError otherwise."""
        authorization = parse_authorization(request)
        if authorization.access_key_id != NODE_ACCESS_KEY_ID or not self._cluster_secret:
            raise UnrecognizedClientException(UNKNOWN_KEY)
        verify(
            request,
            authorization,
            self._cluster_secret,
            now=self.clock.now(),
            service=PEER_SERVICE,
            region=None,
        )

    def observer(self, request: Request) -> Caller | None:
        """Return who asks for a node's own pages, None who may see all accounts: a node.

        With authentication off, everyone may.
        """
        if not self.auth:
            return None
        authorization = parse_authorization(request)
        if authorization.access_key_id == NODE_ACCESS_KEY_ID:
            self.check_peer(request)
            return None
        return self.caller(request, service=None, region=None)


def _caller_of(credential: Credential, *, auth: bool) -> Caller:
    """Return the caller whose long-term key it is. Raises ConfigError for a policy that is none."""
    account, user = credential.account_id, credential.named_user
    grants = None
    if credential.policy is not None and auth:
        try:
            grants = Grants(identity=(parsed(credential.policy),))
        except ValidationException as error:
            raise ConfigError(
                f"The policy of key {credential.access_key_id} is not valid: {error.message}"
            ) from error
    if user is None:
        return Caller(account, credential.access_key_id)
    digest = base64.b32encode(hashlib.sha256(f"{account}/{user}".encode()).digest()).decode()
    return Caller(
        account,
        credential.access_key_id,
        principal=f"arn:aws:iam::{account}:user/{user}",
        user_id=f"AIDA{digest[:17]}",
        grants=grants,
    )
