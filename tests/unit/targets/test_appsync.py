"""AppSync's APIs as targets: the GraphQL request, its signature, and what answers mean."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from farspan.clock import SystemClock
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.senders import sign_outgoing
from farspan.targets.appsync import AppSyncTarget, graphql_outcome
from farspan.targets.aws_wire import ServiceUrl
from farspan.targets.base import INVALID_INPUT
from farspan.targets.call import Answer
from farspan.wire.http import Request
from farspan.wire.sigv4 import parse_authorization, verify

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

ARN = "arn:aws:appsync:us-east-1:000000000000:endpoints/graphql-api/abc123"
MUTATION = "mutation Pay($amount: Float!) { pay(amount: $amount) { id } }"
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793"


def delivery(payload: str = '{"amount": 1.10}') -> Delivery:
    """Return a delivery of variables to a mutation."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn="r",
        target_id="t",
        target_arn=ARN,
        payload=payload.encode(),
        planned_at=0.0,
        parameters={"AppSyncParameters": {"GraphQLOperation": MUTATION}},
        trace_header=TRACE,
    )


def target_at(make_connector: MakeConnector, url: str | None) -> AppSyncTarget:
    """Return the target with AppSync at a URL."""
    keys = url and ServiceUrl(url=url, access_key_id="AKIA", secret_access_key="hush")
    return AppSyncTarget(
        make_connector(),
        keys or None,
        lambda unsigned: sign_outgoing(unsigned, SystemClock().now()),
    )


async def test_a_mutation(make_connector: MakeConnector, servers: Servers) -> None:
    """The operation's variables are the payload, number for number, in a signed request."""
    seen: list[tuple[str, str, str]] = []

    async def reply(request: web.Request) -> web.Response:
        body = await request.read()
        received = Request(
            method=request.method,
            path=request.path,
            query=request.query_string,
            headers={name.lower(): value for name, value in request.headers.items()},
            body=body,
        )
        authorization = parse_authorization(received)
        verify(
            received,
            authorization,
            "hush",
            now=SystemClock().now(),
            service="appsync",
            region="us-east-1",
        )
        seen.append((request.path_qs, body.decode(), request.headers["X-Amzn-Trace-Id"]))
        return web.Response(text='{"data":{"pay":{"id":"1"}}}')

    target = target_at(make_connector, await servers.serve(reply) + "/{api}/graphql?v=1")

    assert [DELIVERED] == await target.send([delivery()])
    ((path, body, trace),) = seen
    assert ("/abc123/graphql?v=1", TRACE) == (path, trace)
    assert {"query": MUTATION, "variables": {"amount": 1.1}} == json.loads(body)
    assert '"amount":1.10' in body


@pytest.mark.parametrize("payload", ["[]", '"text"', "1"])
async def test_variables_that_are_none(make_connector: MakeConnector, payload: str) -> None:
    """Variables are a JSON object; anything else goes to the dead-letter queue."""
    target = target_at(make_connector, "http://127.0.0.1:1")

    assert [INVALID_INPUT] == await target.send([delivery(payload)])


async def test_a_service_without_a_url(make_connector: MakeConnector) -> None:
    """A target whose service the configuration no longer has fails with what to do."""
    (outcome,) = await target_at(make_connector, None).send([delivery()])

    assert (Verdict.PERMANENT, "NO_RESOURCE") == (outcome.verdict, outcome.error_code)
    assert "set [targets.endpoints] appsync" in (outcome.error_message or "")


async def test_a_service_that_is_gone(make_connector: MakeConnector) -> None:
    """A server that cannot be reached may be later."""
    (outcome,) = await target_at(make_connector, "http://127.0.0.1:1").send([delivery()])

    assert (Verdict.RETRYABLE, "CONNECTION_FAILURE") == (outcome.verdict, outcome.error_code)


FAILED = '{"data":%s,"errors":[{"errorType":"%s","message":"why"}]}'


@pytest.mark.parametrize(
    ("status", "body", "verdict", "code"),
    [
        (200, '{"data":{"pay":null}}', Verdict.DELIVERED, None),
        (200, "", Verdict.DELIVERED, None),
        (200, FAILED % ('{"pay":{"id":"1"}}', "Unauthorized"), Verdict.DELIVERED, None),
        (200, FAILED % ('{"pay":null}', "Unauthorized"), Verdict.PERMANENT, "NO_PERMISSIONS"),
        (200, FAILED % ("null", "ValidationError"), Verdict.PERMANENT, "INVALID_PARAMETER"),
        (200, FAILED % ("null", "DynamoDB:ThrottlingException"), Verdict.RETRYABLE, "THROTTLING"),
        (200, FAILED % ("null", "Custom"), Verdict.PERMANENT, "ERROR_FROM_TARGET"),
        (200, '{"errors":["why"]}', Verdict.PERMANENT, "ERROR_FROM_TARGET"),
        (401, FAILED % ("null", "UnauthorizedException"), Verdict.PERMANENT, "NO_PERMISSIONS"),
        (400, FAILED % ("null", "MalformedHttpRequestException"), Verdict.PERMANENT,
         "INVALID_PARAMETER"),
        (403, "", Verdict.PERMANENT, "NO_PERMISSIONS"),
        (429, "", Verdict.RETRYABLE, "THROTTLING"),
        (500, "", Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
    ],
)  # fmt: skip
def test_answers(status: int, body: str, verdict: Verdict, code: str | None) -> None:
    """An operation that failed as a whole has failed, whatever the status says."""
    outcome: Outcome = graphql_outcome(Answer(status, {}, body.encode()))

    assert (verdict, code) == (outcome.verdict, outcome.error_code)
