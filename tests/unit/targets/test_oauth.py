"""OAuth tokens of connections, from a real authorization endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

import msgspec
import pytest
from aiohttp import web

from farspan.clock import SystemClock
from farspan.model.connection import (
    AuthorizationType,
    Connection,
    ConnectionState,
    HttpParameter,
    HttpParameters,
    Secret,
)
from farspan.targets.oauth import TokenRefused, TokenSource, token_call

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

CONNECTION = Connection(
    region="us-east-1",
    account="000000000000",
    name="crm",
    uuid="u",
    authorization_type=AuthorizationType.OAUTH_CLIENT_CREDENTIALS,
    state=ConnectionState.AUTHORIZING,
    sealed_secret=b"sealed",
    secret_version=1,
)


class StillClock(SystemClock):
    """Time that a test moves."""

    seconds = 1_000.0

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds


class Authority:
    """An authorization endpoint that hands out numbered tokens, and what asks it for them."""

    def __init__(self, make_connector: MakeConnector) -> None:
        self.clock = StillClock()
        self.requests: list[web.Request] = []
        self.bodies: list[str] = []
        self.reply: Callable[[int], web.Response] = self.grant
        self.expires_in: Any = 3_600
        self.reports: list[TokenRefused | None] = []
        self.secret = Secret(client_id="id", client_secret="s&cret", http_method="POST")
        self.tokens = TokenSource(
            make_connector(), self.clock, lambda _connection: self.secret, self.report
        )

    async def report(self, _connection: Connection, refusal: TokenRefused | None) -> None:
        """Note how a request went."""
        self.reports.append(refusal)

    def grant(self, number: int) -> web.Response:
        """Return a token response."""
        return web.json_response(
            {
                "access_token": f"t{number}",
                "token_type": "Bearer",
                "expires_in": self.expires_in,
            }
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Answer one request."""
        self.requests.append(request)
        self.bodies.append(await request.text())
        return self.reply(len(self.requests))

    async def refusal(self) -> TokenRefused:
        """Ask for a token that is not given."""
        with pytest.raises(TokenRefused) as refused:
            await self.tokens.token(CONNECTION)
        return refused.value


@pytest.fixture
async def authority(make_connector: MakeConnector, servers: Servers) -> Authority:
    """Return an authorization endpoint that runs."""
    authority = Authority(make_connector)
    url = await servers.serve(authority.answer)
    authority.secret = msgspec.structs.replace(
        authority.secret, authorization_endpoint=f"{url}/token"
    )
    return authority


async def test_a_token_is_asked_for_once(authority: Authority) -> None:
    """However many wait for a token, one request is made, and the token is kept."""
    tokens = await asyncio.gather(*(authority.tokens.token(CONNECTION) for _ in range(20)))
    tokens.append(await authority.tokens.token(CONNECTION))

    assert ["t1"] * 21 == tokens
    assert 1 == len(authority.requests)
    assert [None] == authority.reports


async def test_who_stops_waiting_takes_no_token_away(authority: Authority) -> None:
    """A wait that is cancelled leaves the request to the others."""
    first = asyncio.create_task(authority.tokens.token(CONNECTION))
    second = asyncio.create_task(authority.tokens.token(CONNECTION))
    await asyncio.sleep(0)  # noqa: TID251 - lets both begin
    first.cancel()

    assert "t1" == await second


async def test_renewal_before_the_end(authority: Authority) -> None:
    """A token is renewed within 60 seconds of its end, not before."""
    await authority.tokens.token(CONNECTION)
    authority.clock.seconds += 3_539
    kept = await authority.tokens.token(CONNECTION)
    authority.clock.seconds += 2

    assert ("t1", "t2") == (kept, await authority.tokens.token(CONNECTION))


@pytest.mark.parametrize("expires_in", [30, 0, -5, "30"])
async def test_a_token_that_is_short_lived(authority: Authority, expires_in: object) -> None:
    """A token that hardly lasts is used, and renewed soon after."""
    authority.expires_in = expires_in
    first = [await authority.tokens.token(CONNECTION) for _ in range(2)]
    authority.clock.seconds += 2

    assert ["t1", "t1"] == first
    assert "t2" == await authority.tokens.token(CONNECTION)


@pytest.mark.parametrize("expires_in", [None, "for ever"])
async def test_a_token_without_an_end(authority: Authority, expires_in: object) -> None:
    """A token of which no end is said lasts until its target refuses it."""
    authority.expires_in = expires_in
    await authority.tokens.token(CONNECTION)
    authority.clock.seconds += 1e9
    kept = await authority.tokens.token(CONNECTION)
    authority.tokens.refuse(CONNECTION, kept)

    assert ("t1", "t2") == (kept, await authority.tokens.token(CONNECTION))


async def test_a_refusal_of_an_older_token(authority: Authority) -> None:
    """A target that refuses a former token does not take the present one away."""
    await authority.tokens.token(CONNECTION)
    authority.tokens.refuse(CONNECTION, "t0")

    assert "t1" == await authority.tokens.token(CONNECTION)


async def test_other_credentials_have_another_token(authority: Authority) -> None:
    """A change of the secret lets no former token live on."""
    await authority.tokens.token(CONNECTION)
    changed = msgspec.structs.replace(CONNECTION, secret_version=2)

    assert "t2" == await authority.tokens.token(changed)


async def test_a_refusal_stands_for_a_moment(authority: Authority) -> None:
    """After a failure the endpoint is left alone for five seconds, then asked again."""
    authority.reply = lambda _number: web.Response(status=401)
    refusals = [await authority.refusal() for _ in range(3)]
    asked = len(authority.requests)
    authority.reply = authority.grant
    authority.clock.seconds += 5.1

    assert 1 == asked
    assert "The authorization endpoint returned HTTP status 401." == str(refusals[0])
    assert "t2" == await authority.tokens.token(CONNECTION)
    assert [refusals[0], None] == authority.reports


@pytest.mark.parametrize(
    ("status", "body", "is_verdict"),
    [
        (400, "{}", True),
        (302, "", True),
        (429, "", False),
        (500, "", False),
        (200, "", True),
        (200, "<html>", True),
        (200, "[]", True),
        (200, "[" * 100_000, True),
        (200, '{"token":"t"}', True),
        (200, '{"access_token":7}', True),
        (200, '{"access_token":""}', True),
        (200, '{"access_token":"a\\r\\nX: y"}', True),
        (200, '{"access_token":"\\u00fc"}', True),
    ],
)
async def test_answers_that_are_no_token(
    authority: Authority, status: int, body: str, is_verdict: bool
) -> None:
    """What is no token is refused; a server that is in trouble has decided nothing."""
    authority.reply = lambda _number: web.Response(status=status, text=body)
    refusal = await authority.refusal()

    assert is_verdict == refusal.is_verdict
    assert "s&cret" not in str(refusal)


async def test_an_endpoint_that_is_gone(authority: Authority) -> None:
    """An endpoint that cannot be reached has decided nothing."""
    authority.secret = msgspec.structs.replace(
        authority.secret, authorization_endpoint="http://127.0.0.1:1/"
    )
    refusal = await authority.refusal()

    assert not refusal.is_verdict
    assert "127.0.0.1 cannot be reached" in str(refusal)


async def test_a_report_that_fails(authority: Authority) -> None:
    """That a token cannot be recorded does not keep it from those who wait for it."""

    async def report(_connection: Connection, _refusal: TokenRefused | None) -> None:
        raise OSError("the disk is full")

    authority.tokens._report = report

    assert "t1" == await authority.tokens.token(CONNECTION)


async def test_the_request(authority: Authority) -> None:
    """Id and secret are form fields, as RFC 6749 has them."""
    await authority.tokens.token(CONNECTION)
    (request,) = authority.requests

    assert {
        "grant_type": ["client_credentials"],
        "client_id": ["id"],
        "client_secret": ["s&cret"],
    } == parse_qs(authority.bodies[0])
    assert "application/x-www-form-urlencoded" == request.headers["Content-Type"]
    assert ("POST", "/token", "") == (request.method, request.path, request.query_string)


def parameters(**lists: dict[str, str]) -> HttpParameters:
    """Return OAuthHttpParameters."""
    return HttpParameters(
        **{
            name: tuple(HttpParameter(key=key, value=value) for key, value in given.items())
            for name, given in lists.items()
        }
    )


OWN = Secret(
    client_id="id",
    client_secret="secret",
    authorization_endpoint="https://auth.example/token?tenant=a",
    http_method="POST",
)


def test_oauth_parameters() -> None:
    """OAuthHttpParameters add to the request, and stand above what is there."""
    call = token_call(
        "000000000000",
        msgspec.structs.replace(
            OWN,
            oauth_http_parameters=parameters(
                header_parameters={"X-Tenant": "a", "Host": "elsewhere"},
                query_string_parameters={"tenant": "b", "v": "1 2"},
                body_parameters={"grant_type": "password", "audience": "api"},
            ),
        ),
    )

    assert "https://auth.example/token?tenant=b&v=1%202" == call.url
    assert "a" == call.headers["X-Tenant"]
    assert "Host" not in call.headers
    assert {
        "grant_type": ["password"],
        "client_id": ["id"],
        "client_secret": ["secret"],
        "audience": ["api"],
    } == parse_qs(call.body.decode())


def test_a_json_request() -> None:
    """With a Content-Type of JSON the fields are a JSON object."""
    call = token_call(
        "000000000000",
        msgspec.structs.replace(
            OWN,
            oauth_http_parameters=parameters(
                header_parameters={"content-type": "application/json"}
            ),
        ),
    )

    assert {
        "grant_type": "client_credentials",
        "client_id": "id",
        "client_secret": "secret",
    } == json.loads(call.body)


def test_a_get_request() -> None:
    """With GET the fields are in the query."""
    call = token_call("000000000000", msgspec.structs.replace(OWN, http_method="GET"))

    assert b"" == call.body
    assert (
        "https://auth.example/token?tenant=a&grant_type=client_credentials&client_id=id"
        "&client_secret=secret"
    ) == call.url
