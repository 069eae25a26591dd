"""The node's own pages: liveness, health, status, what peers ask, and reset. None of AWS's.

Each is guarded in its own way: anyone may ask whether a node lives; its status takes a key; what
peers ask takes the cluster's secret; and reset is there only where the configuration allows it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, TypeVar
from urllib.parse import parse_qs

import msgspec

from farspan import __version__
from farspan.control.event_log import last_events
from farspan.control.functions import list_functions, put_function, remove_function
from farspan.control.plane import Caller, ControlPlane, Output
from farspan.control.reset import reset
from farspan.endpoints.service import RegionUnreachable
from farspan.errors import (
    AccessDeniedException,
    ServiceUnavailableException,
    ValidationException,
)
from farspan.model.forwarding import ForwardRequest
from farspan.model.route import Override
from farspan.replication.comparison import DigestRequest
from farspan.replication.stream import StreamRequest
from farspan.store.base import StoreError
from farspan.wire.endpoint_pages import EndpointPages
from farspan.wire.forward import FORWARDED_HEADER, UNAVAILABLE_STATUS
from farspan.wire.http import Request, Response
from farspan.wire.peers import (
    DIGESTS_PATH,
    FORWARD_PATH,
    OVERRIDE_PATH,
    REPORT_PATH,
    STREAM_PATH,
)
from farspan.wire.services import NodeServices, RegionServices

T = TypeVar("T")

STATUS_PATH: Final = "/_farspan/status"
LIVENESS_PATH: Final = "/healthz"
INGEST_HEALTH_PATH: Final = "/health/ingest"
RESET_PATH: Final = "/-/reset"
RESET_ALIAS_PATH: Final = "/moto-api/reset"
"""What test suites of another local AWS tool call between tests."""

EVENTS_PATH: Final = "/-/events"
FUNCTIONS_PATH: Final = "/-/functions"
"""What is a caller's own, in one Region: the server finds out who asks, and in which."""

HEALTH_ALIAS_PATH: Final = "/_localstack/health"
INIT_ALIAS_PATH: Final = "/_localstack/init"
"""What test suites of another local AWS tool ask until it is ready."""

ACCOUNT: Final = re.compile(r"\d{12}")
JSON: Final = ("Content-Type", "application/json")
NOT_FOUND: Final = 404

_pack = msgspec.msgpack.Encoder().encode


class Pages:
    """Answers for the paths above."""

    def __init__(self, services: NodeServices) -> None:
        self._services = services
        self._own = services.own
        self._endpoints = EndpointPages(services)
        self._pages: Mapping[str, Callable[[Request], Awaitable[Response]]] = {
            LIVENESS_PATH: self._liveness,
            INGEST_HEALTH_PATH: self._ingest_health,
            STATUS_PATH: self._status,
            REPORT_PATH: self._report,
            STREAM_PATH: self._stream,
            DIGESTS_PATH: self._digests,
            FORWARD_PATH: self._forward,
            OVERRIDE_PATH: self._override,
            RESET_PATH: self._reset,
            RESET_ALIAS_PATH: self._reset,
            HEALTH_ALIAS_PATH: self._health_alias,
            INIT_ALIAS_PATH: self._init_alias,
        }

    async def page(self, request: Request) -> Response | None:
        """Return the page that the request asks for, None where it asks for none.

        Raises AwsError where the sender may not have it.
        """
        page = self._pages.get(request.path)
        return await (self._endpoints.page(request) if page is None else page(request))

    async def _liveness(self, _request: Request) -> Response:
        node = self._services.node.name
        failure = None if self._own is None else self._own.ingest.store_failure
        if failure is not None:  # only a new start mends that: whoever supervises is to know
            unusable = {"status": "store stopped", "node": node, "reason": failure}
            return _json(unusable, status=UNAVAILABLE_STATUS)
        return _json({"status": "ok", "node": node})

    async def _ingest_health(self, _request: Request) -> Response:
        if self._own is None:
            return _json({"status": "no ingest here: this node is an edge"}, status=NOT_FOUND)
        try:
            seconds = await self._own.ingest.canary()
        except (StoreError, TimeoutError) as error:
            reason = str(error) or "a durable append took longer than 250 ms"
            return _json({"status": "unhealthy", "reason": reason}, status=UNAVAILABLE_STATUS)
        return _json({"status": "ok", "append_ms": round(seconds * 1_000, 3)})

    async def _status(self, request: Request) -> Response:
        observer = self._services.access.observer(request)
        return _json(self._services.status(None if observer is None else observer.account))

    async def _report(self, request: Request) -> Response:
        self._services.access.check_peer(request)
        return Response(body=_pack(self._services.report()))

    async def _stream(self, request: Request) -> Response:
        own, asked = self._asked_of_region(request, StreamRequest, "streams", "The stream request")
        return Response(body=_pack(await own.replication.serve(asked)))

    async def _digests(self, request: Request) -> Response:
        own, asked = self._asked_of_region(request, DigestRequest, "streams", "The question")
        return Response(body=_pack(await own.replication.serve_digests(asked)))

    async def _forward(self, request: Request) -> Response:
        own, asked = self._asked_of_region(
            request, ForwardRequest, "event buses", "What is forwarded"
        )
        return Response(body=_pack(await own.ingest.take_forwarded(asked)))

    async def _override(self, request: Request) -> Response:
        self._services.access.check_peer(request)
        self._services.routing.take([_decoded(request, Override, "The override")])
        return Response()

    def _asked_of_region(
        self, request: Request, kind: type[T], what: str, subject: str
    ) -> tuple[RegionServices, T]:
        """Return this node's Region and what another node asks of it. Raises AwsError."""
        self._services.access.check_peer(request)
        if self._own is None:
            raise ValidationException(f"This node is an edge: it has no {what}.")
        return self._own, _decoded(request, kind, subject)

    # --- test suites ----------------------------------------------------------------------

    async def _reset(self, request: Request) -> Response:
        """Remove everything, or what `?account=` names, in every Region.

        Where signatures are verified, an account's root removes what is that account's own.
        """
        access = self._services.access
        own_account: str | None = None
        if access.auth:
            if not self._services.config.allow_reset:
                raise AccessDeniedException(
                    "Reset is off where signatures are verified. Set allow_reset = true in "
                    "farspan.toml to allow it."
                )
            own_account = _root_account(access.observer(request))
        if request.method != "POST":
            raise ValidationException("Reset takes POST.")
        if "origin" in request.headers:
            raise AccessDeniedException("Reset is not for web pages: call it from a program.")
        accounts = parse_qs(request.query).get("account")
        account = accounts[0] if accounts else None
        if account is not None and not ACCOUNT.fullmatch(account):
            raise ValidationException(f"`{account[:64]}` is no account: it takes 12 digits.")
        if own_account is not None and account not in (None, own_account):
            raise AccessDeniedException(f"A key of account {own_account} resets that account only.")
        account = account or own_account
        removed: dict[str, object] = {}
        if self._own is not None:
            try:
                removed[self._own.region] = await reset(self._own.plane, account)
            except StoreError as error:
                raise ServiceUnavailableException(
                    f"Region {self._own.region} cannot reset now: {error}"
                ) from error
        if FORWARDED_HEADER not in request.headers:
            removed |= await self._reset_others(request)
        return _json({"status": "ok", "resources_removed": removed})

    async def _reset_others(self, request: Request) -> dict[str, object]:
        removed: dict[str, object] = {}
        for node in self._services.config.nodes:
            if node.region is None or node.name == self._services.node.name:
                continue
            try:
                reply = await self._services.forwarder.forward(node.url, request)
            except RegionUnreachable as error:
                raise ServiceUnavailableException(
                    f"Region {node.region} was not reset: {error}."
                ) from error
            answer = msgspec.json.decode(reply.body)
            removed |= answer.get("resources_removed", {node.region: answer})
        return removed

    async def _health_alias(self, _request: Request) -> Response:
        services = dict.fromkeys(
            ("events", "sqs", "logs", "cloudwatch", "route53", "sts", "iam"), "running"
        )
        return _json({"services": services, "edition": "farspan", "version": __version__})

    async def _init_alias(self, _request: Request) -> Response:
        done = {"BOOT": True, "START": True, "READY": True, "SHUTDOWN": False}
        return _json({"completed": done, "scripts": []})


def _decoded(request: Request, kind: type[T], subject: str) -> T:
    try:
        return msgspec.msgpack.decode(request.body, type=kind)
    except msgspec.MsgspecError as error:
        raise ValidationException(f"{subject} is not valid: {error}.") from error


def _root_account(observer: Caller | None) -> str | None:
    """Return the account whose root asks. Raises AccessDeniedException for a user or a role."""
    if observer is None:
        return None
    if observer.grants is not None:
        raise AccessDeniedException("Reset is for keys without a policy: use the account's own.")
    return observer.account


RegionalPage = Callable[[ControlPlane, Caller, str, Mapping[str, str]], Awaitable[Output]]
"""Answers a method and a query, for a caller in the node's Region."""


async def _events(
    plane: ControlPlane, caller: Caller, method: str, asked: Mapping[str, str]
) -> Output:
    """Answer `GET /-/events?bus=NAME&last=N`."""
    if method != "GET":
        raise ValidationException(f"{EVENTS_PATH} takes GET.")
    return await last_events(plane, caller, asked.get("bus"), asked.get("last"))


async def _functions(
    plane: ControlPlane, caller: Caller, method: str, asked: Mapping[str, str]
) -> Output:
    """Answer `GET /-/functions`, and `PUT` and `DELETE` with `?name=NAME[&url=URL]`."""
    if method == "GET":
        return await list_functions(plane, caller)
    if method == "PUT":
        return await put_function(plane, caller, asked.get("name"), asked.get("url"))
    if method == "DELETE":
        return await remove_function(plane, caller, asked.get("name"))
    raise ValidationException(f"{FUNCTIONS_PATH} takes GET, PUT and DELETE.")


REGIONAL_PAGES: Final[Mapping[str, RegionalPage]] = {
    EVENTS_PATH: _events,
    FUNCTIONS_PATH: _functions,
}


def _json(value: object, status: int = 200) -> Response:
    return Response(status=status, headers=(JSON,), body=msgspec.json.encode(value) + b"\n")
