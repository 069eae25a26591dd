"""API Gateway's APIs as targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from farspan.clock import SystemClock
from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Verdict
from farspan.senders import sign_outgoing
from farspan.targets.api_gateway import ApiGatewayTarget, method_and_url
from farspan.targets.aws_wire import ServiceUrl
from farspan.wire.http import Request
from farspan.wire.sigv4 import parse_authorization, verify

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

API = "arn:aws:execute-api:us-east-1:000000000000:abc"


def target(make_connector: MakeConnector, url: str | None) -> ApiGatewayTarget:
    """Return the target for APIs at a URL."""
    keys = ServiceUrl(url=url, access_key_id="AKIA", secret_access_key="hush") if url else None
    return ApiGatewayTarget(
        make_connector(),
        SystemClock(),
        keys,
        lambda unsigned: sign_outgoing(unsigned, SystemClock().now()),
    )


def delivery(arn: str, **http: object) -> Delivery:
    """Return a delivery with HttpParameters."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn="r",
        target_id="t",
        target_arn=arn,
        payload=b'{"n":1}',
        planned_at=0.0,
        parameters={"HttpParameters": http},
    )


@pytest.mark.parametrize(
    ("resource", "url", "expected"),
    [
        ("abc/prod/POST/pets/*", "http://a", ("POST", "http://a/prod/pets/*")),
        ("abc/prod/GET/", "http://{api}.a/", ("GET", "http://abc.a/prod/")),
        ("abc/prod/*/x", "http://a/{api}/{stage}/_", ("POST", "http://a/abc/prod/_/x")),
        ("abc/prod/PUT", "http://a", ("PUT", "http://a/prod/")),
    ],
)
def test_where_an_api_is(resource: str, url: str, expected: tuple[str, str]) -> None:
    """Method and path come from the ARN; the URL may name API and stage where they belong."""
    arn = parse_arn(f"arn:aws:execute-api:us-east-1:000000000000:{resource}")
    assert arn is not None

    assert expected == method_and_url(arn, url)


async def test_a_signed_request(make_connector: MakeConnector, servers: Servers) -> None:
    """The request has the target's parameters and the payload, and its signature holds."""
    seen: list[tuple[str, str, str, bytes]] = []

    async def reply(request: web.Request) -> web.Response:
        received = Request(
            method=request.method,
            path=request.raw_path.partition("?")[0],
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=await request.read(),
        )
        verify(
            received,
            parse_authorization(received),
            "hush",
            now=SystemClock().now(),
            service="execute-api",
            region="us-east-1",
        )
        seen.append((received.method, request.raw_path, received.headers["x-own"], received.body))
        return web.Response()

    sender = target(make_connector, await servers.serve(reply))
    outcomes = await sender.send(
        [
            delivery(
                f"{API}/prod/PUT/pets/*",
                PathParameterValues=["a b"],
                QueryStringParameters={"q": "1 2"},
                HeaderParameters={"X-Own": "o"},
            )
        ]
    )

    assert [DELIVERED] == outcomes
    assert [("PUT", "/prod/pets/a%20b?q=1%202", "o", b'{"n":1}')] == seen


async def test_what_fails(make_connector: MakeConnector) -> None:
    """Without a URL or with too few parameters it is final; an API that is gone may come back."""
    gone = target(make_connector, "http://127.0.0.1:1")
    (no_url,) = await target(make_connector, None).send([delivery(f"{API}/prod/GET/")])
    (too_few,) = await gone.send([delivery(f"{API}/prod/GET/*")])
    (refused,) = await gone.send([delivery(f"{API}/prod/GET/")])

    assert (Verdict.PERMANENT, "NO_RESOURCE") == (no_url.verdict, no_url.error_code)
    assert "set [targets.endpoints] execute-api in farspan.toml" in (no_url.error_message or "")
    assert (Verdict.PERMANENT, "INVALID_PARAMETER") == (too_few.verdict, too_few.error_code)
    assert (Verdict.RETRYABLE, "CONNECTION_FAILURE") == (refused.verdict, refused.error_code)
