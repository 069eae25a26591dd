"""Lambda functions at URLs of their own: what they are asked, and what their answers mean."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest
from aiohttp import web

from farspan.model.arn import parse_arn
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.targets.egress import egress
from farspan.targets.function import FunctionTarget, FunctionUrl, LambdaTarget, invoke_url

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

ARN = "arn:aws:lambda:us-east-1:000000000000:function:pay"
EVENT = '{"id":"1"}'
TRACE = "Root=1-5759e988-bd862e3fe1be46a994272793"


def delivery(target_arn: str = ARN) -> Delivery:
    """Return a delivery to a function."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn="r",
        target_id="t",
        target_arn=target_arn,
        payload=EVENT.encode(),
        planned_at=0.0,
        trace_header=TRACE,
    )


def target_at(connector: MakeConnector, url: str | None) -> FunctionTarget:
    """Return a target whose one function, `pay`, has a URL or none any more."""
    known = {} if url is None else {("000000000000", "pay"): FunctionUrl(url, is_trusted=True)}
    return FunctionTarget(
        connector(), lambda account, name: known.get((account, name)), lambda: 0.0
    )


@pytest.mark.parametrize("qualifier", ["", ":live"])
async def test_an_invocation(
    make_connector: MakeConnector, servers: Servers, qualifier: str
) -> None:
    """The function's server gets the event as Lambda's own API would: to be run asynchronously."""
    seen: list[tuple[str, str, str, str]] = []

    async def reply(request: web.Request) -> web.Response:
        headers = [request.headers[name] for name in ("X-Amz-Invocation-Type", "X-Amzn-Trace-Id")]
        seen.append((request.path, await request.text(), headers[0], headers[1]))
        return web.Response(text="null")

    target = target_at(make_connector, await servers.serve(reply))

    assert [DELIVERED] == await target.send([delivery(ARN + qualifier)])
    assert [("/2015-03-31/functions/function/invocations", EVENT, "Event", TRACE)] == seen


def test_a_url_that_says_where() -> None:
    """A URL of an invocation is taken whole, any other gets the emulator's path."""
    whole = "http://127.0.0.1:3001/2015-03-31/functions/Pay/invocations"

    assert whole == invoke_url(whole)
    assert ("http://127.0.0.1:9000/base/2015-03-31/functions/function/invocations") == invoke_url(
        "http://127.0.0.1:9000/base/"
    )


async def test_one_at_a_time(make_connector: MakeConnector, servers: Servers) -> None:
    """An emulator runs one invocation at a time, so that it is not asked for two."""
    running = most = 0

    async def reply(_request: web.Request) -> web.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.to_thread(int)  # others have their turn
        running -= 1
        return web.Response(text="null")

    target = target_at(make_connector, await servers.serve(reply))
    sent = await asyncio.gather(*(target.send([delivery()]) for _ in range(5)))

    assert ([[DELIVERED]] * 5, 1) == (sent, most)


async def test_g4_a_turn_that_comes_too_late(
    make_connector: MakeConnector, servers: Servers
) -> None:
    """An event whose age ran out while the function was busy is not given to it any more."""
    now = 0.0
    seen: list[str] = []

    async def reply(request: web.Request) -> web.Response:
        nonlocal now
        seen.append(await request.text())
        now = 86_401.0  # it ran for longer than a day
        return web.Response(text="null")

    url = FunctionUrl(await servers.serve(reply), is_trusted=True)
    target = FunctionTarget(make_connector(), lambda *_: url, lambda: now)
    (first,), (second,) = await asyncio.gather(*(target.send([delivery()]) for _ in range(2)))

    assert (1, DELIVERED) == (len(seen), first)
    assert (Verdict.RETRYABLE, "THROTTLING") == (second.verdict, second.error_code)


@pytest.mark.parametrize(
    ("status", "headers", "body", "verdict", "code"),
    [
        (202, {}, "", Verdict.DELIVERED, None),
        (200, {"X-Amz-Function-Error": "Unhandled"}, "{}", Verdict.DELIVERED, None),
        (400, {}, "", Verdict.RETRYABLE, "THROTTLING"),
        (429, {}, "{}", Verdict.RETRYABLE, "THROTTLING"),
        (502, {}, '{"errorType":"Runtime.ExitError"}', Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (504, {}, "", Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (400, {"X-Amzn-ErrorType": "InvalidRequestContentException"}, "{}", Verdict.PERMANENT,
         "INVALID_PARAMETER"),
        (404, {"X-Amzn-ErrorType": "ResourceNotFoundException"}, "{}", Verdict.PERMANENT,
         "NO_RESOURCE"),
        (403, {}, "{}", Verdict.PERMANENT, "NO_PERMISSIONS"),
    ],
)  # fmt: skip
async def test_answers(
    make_connector: MakeConnector,
    servers: Servers,
    status: int,
    headers: dict[str, str],
    body: str,
    verdict: Verdict,
    code: str | None,
) -> None:
    """What ran is delivered, whatever it came to; who is busy or broken may not be later."""

    async def reply(_request: web.Request) -> web.Response:
        return web.Response(status=status, headers=headers, text=body)

    (outcome,) = await target_at(make_connector, await servers.serve(reply)).send([delivery()])

    assert (verdict, code) == (outcome.verdict, outcome.error_code)


async def test_a_function_without_a_url(make_connector: MakeConnector) -> None:
    """A function whose URL was taken away fails with what to do."""
    (outcome,) = await target_at(make_connector, None).send([delivery()])

    assert (Verdict.PERMANENT, "NO_RESOURCE") == (outcome.verdict, outcome.error_code)
    assert "farspan function add" in (outcome.error_message or "")


async def test_a_server_that_is_gone(make_connector: MakeConnector) -> None:
    """A server that cannot be reached may be later."""
    (outcome,) = await target_at(make_connector, "http://127.0.0.1:1").send([delivery()])

    assert (Verdict.RETRYABLE, "CONNECTION_FAILURE") == (outcome.verdict, outcome.error_code)


async def test_a_url_that_an_account_gave(make_connector: MakeConnector) -> None:
    """A URL that an account gave is bound by what its targets may reach."""
    connector = make_connector(lambda _account: egress([], allows_private=False))
    url = FunctionUrl("http://127.0.0.1:1", is_trusted=False)
    (outcome,) = await FunctionTarget(connector, lambda *_: url, lambda: 0.0).send([delivery()])

    assert (Verdict.PERMANENT, "SDK_CLIENT_ERROR") == (outcome.verdict, outcome.error_code)


class _Api:
    """Stands for Lambda's own API."""

    batch_count_max = 32

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """Take everything."""
        return [DELIVERED] * len(deliveries)


async def test_a_function_that_gets_a_url(make_connector: MakeConnector) -> None:
    """A function is reached through Lambda until it has a URL of its own, and there from then."""
    known: list[FunctionUrl] = []
    arn = parse_arn(ARN)
    assert arn is not None

    def find(_account: str, _name: str) -> FunctionUrl | None:
        return known[0] if known else None

    target = LambdaTarget(arn, find, FunctionTarget(make_connector(), find, lambda: 0.0), _Api())
    before = (target.batch_count_max, await target.send([delivery()]))
    known.append(FunctionUrl("http://127.0.0.1:1", is_trusted=True))
    (after,) = await target.send([delivery()])

    assert (32, [DELIVERED]) == before
    assert (1, "CONNECTION_FAILURE") == (target.batch_count_max, after.error_code)
