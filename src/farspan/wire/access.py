"""Who is calling, and for which Region: credentials against signatures.

With authentication on, nothing is believed before its signature is verified. With it off (test
set-ups), any key is taken: one of 12 digits is the account, another is looked up, and what is
unknown is the first configured account.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from farspan.clock import Clock
from farspan.config import NODE_ACCESS_KEY_ID, Credential
from farspan.control.plane import Caller
from farspan.errors import AwsError, UnrecognizedClientException
from farspan.wire.http import Request
from farspan.wire.sigv4 import Authorization, parse_authorization, verify

ACCOUNT_KEY = re.compile(r"\d{12}")
PEER_SERVICE = "farspan"
"""The service name to which the nodes scope what they sign for each other."""

UNKNOWN_KEY = "The security token included in the request is invalid."


class Access:
    """The deployment's credentials and how they are checked."""

    def __init__(
        self, *, credentials: Sequence[Credential], cluster_secret: str, auth: bool, clock: Clock
    ) -> None:
        self._credentials = {c.access_key_id: c for c in credentials}
        self._first = credentials[0]
        self._cluster_secret = cluster_secret
        self._clock = clock
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
        accepts any. Raises UnrecognizedClientException for an unknown key, and as `sigv4.verify`.
        """
        authorization = self.claimed(request)
        if not self.auth:
            return self._taken(authorization.access_key_id if authorization else None)
        assert authorization is not None, "claimed raises where there is none"
        credential = self._credentials.get(authorization.access_key_id)
        if credential is None:
            raise UnrecognizedClientException(UNKNOWN_KEY)
        verify(
            request,
            authorization,
            credential.secret_access_key,
            now=self._clock.now(),
            service=service,
            region=region,
        )
        return Caller(credential.account_id, credential.access_key_id)

    def _taken(self, access_key_id: str | None) -> Caller:
        if access_key_id is None:
            return Caller(self._first.account_id, self._first.access_key_id)
        if ACCOUNT_KEY.fullmatch(access_key_id):
            return Caller(access_key_id, access_key_id)
        credential = self._credentials.get(access_key_id, self._first)
        return Caller(credential.account_id, access_key_id)

    def check_peer(self, request: Request) -> None:
        """Return if another node of this deployment sent the request. Raises AwsError otherwise."""
        authorization = parse_authorization(request)
        if authorization.access_key_id != NODE_ACCESS_KEY_ID or not self._cluster_secret:
            raise UnrecognizedClientException(UNKNOWN_KEY)
        verify(
            request,
            authorization,
            self._cluster_secret,
            now=self._clock.now(),
            service=PEER_SERVICE,
            region=None,
        )

    def check_observer(self, request: Request) -> None:
        """Return if the sender may read a node's status: anyone with a key, or a node."""
        if not self.auth:
            return
        authorization = parse_authorization(request)
        if authorization.access_key_id == NODE_ACCESS_KEY_ID:
            self.check_peer(request)
        else:
            self.caller(request, service=None, region=None)
