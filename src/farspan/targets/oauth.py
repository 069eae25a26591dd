"""OAuth tokens of connections: asked for, kept in memory until they run out, and renewed.

A connection has one request under way at a time, whoever waits for it, and every token is its
connection's alone. A token or a client's secret is never stored, logged or put into a message.

The request is the client credentials grant (RFC 6749, 4.4) with the client's id and secret among
its parameters, under the connection's OAuthHttpParameters. EventBridge does not document its own.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

import msgspec

from farspan.clock import Clock
from farspan.model.connection import Connection, ConnectionState, HttpParameters, Secret
from farspan.targets.call import Answer, Call, CallFailed
from farspan.targets.connector import Connector
from farspan.targets.invocation import Headers, encoded_query, pairs

SECONDS_MAX = 5.0
RENEWED_BEFORE_SECONDS = 60.0
"""A token that runs out within this time is renewed before it is used (user guide)."""

PAUSE_SECONDS = 5.0
"""How long a failure stands before the authorization endpoint is asked again."""

TOKEN_CHARACTERS_MAX = 16_384

log = logging.getLogger("farspan.targets")


class TokenRefused(Exception):
    """There is no token; the message says why.

    `is_verdict` tells that the authorization endpoint said so, rather than that it said nothing.
    """

    def __init__(self, message: str, *, is_verdict: bool) -> None:
        super().__init__(message)
        self.is_verdict = is_verdict


class _Grant(msgspec.Struct, frozen=True):
    """A token response (RFC 6749, 5.1), as far as it is read. Some servers quote the number."""

    access_token: str
    expires_in: float | str | None = None

    def __repr__(self) -> str:
        return "_Grant(...)"


@dataclass(slots=True)
class _Held:
    """What is known of one connection's token. Times are monotonic seconds."""

    secret_version: int
    token: str | None = field(default=None, repr=False)
    expires_at: float = float("inf")
    refusal: TokenRefused | None = None
    refused_until: float = 0.0
    request: asyncio.Task[str] | None = None


Report = Callable[[Connection, TokenRefused | None], Awaitable[None]]
"""Called with every result: None for a new token."""


class TokenSource:
    """The tokens of a Region's connections."""

    def __init__(
        self,
        connector: Connector,
        clock: Clock,
        open_secret: Callable[[Connection], Secret],
        report: Report,
    ) -> None:
        self._connector = connector
        self._clock = clock
        self._open_secret = open_secret
        self._report = report
        self._held: dict[str, _Held] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def token(self, connection: Connection) -> str:
        """Return a token that can be used now. Raises TokenRefused."""
        held = self._held.get(connection.arn)
        if held is None or held.secret_version != connection.secret_version:
            held = self._held[connection.arn] = _Held(connection.secret_version)
        now = self._clock.monotonic()
        if held.token is not None and now < held.expires_at - RENEWED_BEFORE_SECONDS:
            return held.token
        if held.refusal is not None and now < held.refused_until:
            raise held.refusal
        if held.request is None:
            held.request = asyncio.create_task(self._renew(connection, held))
        # Whoever stops waiting must not take the token from those who still do.
        return await asyncio.shield(held.request)

    def refuse(self, connection: Connection, token: str) -> None:
        """Take back a token that its target refused, unless there is a newer one."""
        held = self._held.get(connection.arn)
        if held is not None and held.token == token:
            held.token = None

    def connection_changed(self, connection: Connection, *, exists: bool) -> None:
        """Ask for the first token of a connection that waits for it; forget one that is gone."""
        if not exists or connection.sealed_secret is None:
            self._held.pop(connection.arn, None)
        elif connection.state is ConnectionState.AUTHORIZING:
            task = asyncio.create_task(self._authorize(connection))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _authorize(self, connection: Connection) -> None:
        # Its result was reported to the connection, which shows it.
        with contextlib.suppress(TokenRefused):
            await self.token(connection)

    async def close(self) -> None:
        """Stop asking."""
        requests = [held.request for held in self._held.values() if held.request is not None]
        for task in (*self._tasks, *requests):
            task.cancel()
        await asyncio.gather(*self._tasks, *requests, return_exceptions=True)

    async def _renew(self, connection: Connection, held: _Held) -> str:
        refusal: TokenRefused | None = None
        try:
            grant = await self._ask(connection)
        except TokenRefused as error:
            refusal = error
        finally:
            held.request = None
        now = self._clock.monotonic()
        held.refusal, held.refused_until = refusal, now + PAUSE_SECONDS
        if refusal is None:
            held.token = grant.access_token
            held.expires_at = now + _seconds(grant)
        try:
            await self._report(connection, refusal)
        except Exception:
            # What a connection shows must not decide whether its events are delivered.
            log.exception("authorization not recorded connection=%s", connection.arn)
        if refusal is not None:
            log.warning("no token connection=%s reason=%s", connection.arn, refusal)
            raise refusal
        return grant.access_token

    async def _ask(self, connection: Connection) -> _Grant:
        call = token_call(connection.account, self._open_secret(connection))
        try:
            answer = await self._connector.send(call)
        except CallFailed as error:
            raise TokenRefused(
                f"The authorization endpoint gave no token: {error}", is_verdict=False
            ) from error
        return _read_grant(answer)


def token_call(account: str, secret: Secret) -> Call:
    """Return the request for a token."""
    own = secret.oauth_http_parameters or HttpParameters()
    fields = {
        "grant_type": "client_credentials",
        "client_id": secret.client_id or "",
        "client_secret": secret.client_secret or "",
        **dict(pairs(own.body_parameters)),
    }
    method = secret.http_method or "POST"
    headers = Headers()
    headers.set("Accept", "application/json")
    headers.set("User-Agent", "Amazon/EventBridge/ApiDestinations")
    parts = urlsplit(secret.authorization_endpoint or "")
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    body = b""
    if method == "GET":
        query.update(fields)
    headers.set("Content-Type", "application/x-www-form-urlencoded")
    headers.give(pairs(own.header_parameters))
    if method != "GET":
        as_json = "json" in next(
            value for name, value in headers.all().items() if name.lower() == "content-type"
        )
        body = msgspec.json.encode(fields) if as_json else urlencode(fields).encode()
    query.update(pairs(own.query_string_parameters))
    return Call(
        account=account,
        method=method,
        url=urlunsplit((parts.scheme, parts.netloc, parts.path or "/", encoded_query(query), "")),
        headers=headers.all(),
        body=body,
        seconds=SECONDS_MAX,
    )


def _read_grant(answer: Answer) -> _Grant:
    status = answer.status
    if status // 100 != 2:  # noqa: PLR2004 - the class of success
        # A server that is in trouble has decided nothing about the client.
        raise TokenRefused(
            f"The authorization endpoint returned HTTP status {status}.",
            is_verdict=status < 500 and status != 429,  # noqa: PLR2004 - 5xx, Too Many Requests
        )
    try:
        grant = msgspec.json.decode(answer.body, type=_Grant)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        raise TokenRefused(
            "The authorization endpoint returned no JSON object with an access_token.",
            is_verdict=True,
        ) from error
    token = grant.access_token
    if not (token.isascii() and token.isprintable() and 0 < len(token) <= TOKEN_CHARACTERS_MAX):
        raise TokenRefused(
            "The authorization endpoint returned an access_token that no header can carry.",
            is_verdict=True,
        )
    return grant


def _seconds(grant: _Grant) -> float:
    """Return how long a token lasts: until it is refused where the answer does not say."""
    try:
        seconds = float(grant.expires_in) if grant.expires_in is not None else float("inf")
    except ValueError:
        return float("inf")
    # One that lasts no longer than the margin is used once, rather than renewed for ever.
    return seconds if seconds > RENEWED_BEFORE_SECONDS else RENEWED_BEFORE_SECONDS + 1.0
