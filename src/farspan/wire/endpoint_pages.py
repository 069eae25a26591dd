"""Pages about the routes of an account's endpoints: the list, the history, and the override.

Every node answers them for itself, edges too, and needs neither a store nor another node. An
override is told to all the others before it is answered; whom it does not reach hears of it with
the next report.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Final

import msgspec

from farspan.config import NodeConfig
from farspan.control.authority import authorize_endpoint
from farspan.control.plane import Caller
from farspan.errors import ResourceNotFoundException, ValidationException
from farspan.model.endpoint import Endpoint
from farspan.model.route import Override, Route
from farspan.wire.http import Request, Response
from farspan.wire.services import NodeServices

ENDPOINTS_PATH: Final = "/-/endpoints"
TELL_SECONDS_MAX: Final = 1.0
SECONDS_MAX: Final = 30 * 86_400
JSON: Final = ("Content-Type", "application/json")


class _Ordered(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The body of an override."""

    route: Route | None = None
    paused: bool = False
    seconds: Annotated[float, msgspec.Meta(gt=0, le=SECONDS_MAX)] | None = None
    reason: Annotated[str, msgspec.Meta(max_length=512)] = ""


_decode = msgspec.json.Decoder(_Ordered).decode


class EndpointPages:
    """Answers for the paths under `/-/endpoints`."""

    def __init__(self, services: NodeServices) -> None:
        self._services = services

    async def page(self, request: Request) -> Response | None:
        """Return the page that the request asks for, None where it asks for none of these.

        Raises AwsError where the caller may not have it, or asks for what is not there.
        """
        head, _, rest = request.path.partition(f"{ENDPOINTS_PATH}/")
        if request.path != ENDPOINTS_PATH and (head or not rest):
            return None
        caller = self._services.access.caller(request, service="events", region=None)
        endpoint_id, _, kind = rest.partition("/")
        asked = "list" if request.path == ENDPOINTS_PATH else kind
        match request.method, asked:
            case "GET", "list":
                return _json(self._list(caller))
            case "GET", "history":
                endpoint = self._endpoint(caller, endpoint_id, "DescribeEndpoint")
                return _json(
                    self._shown(endpoint) | {"history": self._services.routing.history(endpoint)}
                )
            case "PUT", "override":
                endpoint = self._endpoint(caller, endpoint_id, "UpdateEndpoint")
                return _json(await self._override(caller, endpoint, request.body))
            case _, "list" | "history":
                raise ValidationException(f"{request.path} takes GET.")
            case _, "override":
                raise ValidationException(f"{request.path} takes PUT.")
        raise ValidationException(
            f"There is no page {request.path[:256]}. There are {ENDPOINTS_PATH}, and of each "
            "endpoint ENDPOINT_ID/history and ENDPOINT_ID/override."
        )

    def _endpoint(self, caller: Caller, endpoint_id: str, action: str) -> Endpoint:
        endpoint = self._services.catalog.endpoint(endpoint_id)
        if endpoint is None or endpoint.account != caller.account:
            raise ResourceNotFoundException(f"Endpoint {endpoint_id[:64]} does not exist.")
        now = self._services.access.clock.now()
        authorize_endpoint(caller, action, endpoint.arn, now=now)
        return endpoint

    def _list(self, caller: Caller) -> dict[str, Any]:
        now = self._services.access.clock.now()
        authorize_endpoint(caller, "ListEndpoints", "*", now=now)
        return {
            "node": self._services.node.name,
            "endpoints": [
                self._shown(endpoint)
                for endpoint in sorted(
                    self._services.catalog.endpoints(), key=lambda each: (each.name, each.arn)
                )
                if endpoint.account == caller.account
            ],
        }

    def _shown(self, endpoint: Endpoint) -> dict[str, Any]:
        routing = self._services.routing.routing(endpoint)
        return {
            "name": endpoint.name,
            "endpoint_id": endpoint.endpoint_id,
            "arn": endpoint.arn,
            "state": endpoint.state,
            "primary_region": endpoint.primary_region,
            "secondary_region": endpoint.secondary_region,
            "route": routing.route,
            "region": self._services.routing.region_in_use(endpoint),
            "routing": routing.state,
            "generation": routing.generation,
            "reason": routing.reason,
            "evidence": self._services.routing.evidence(endpoint),
            "votes": self._services.routing.votes(endpoint),
            "override": self._services.routing.override(endpoint),
            "under_way": self._services.routing.parked_count(endpoint),
        }

    async def _override(self, caller: Caller, endpoint: Endpoint, body: bytes) -> dict[str, Any]:
        try:
            ordered = _decode(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise ValidationException(
                f"The override is not valid: {error}. It is a JSON object with route (PRIMARY, "
                "SECONDARY or null), paused, seconds and reason."
            ) from error
        if ordered.route is None and not ordered.paused and ordered.seconds is not None:
            raise ValidationException(
                "The override is not valid: seconds goes with a route or with paused. What is "
                "taken back has no end."
            )
        override = self._services.routing.order(
            endpoint,
            by=caller.arn,
            route=ordered.route,
            paused=ordered.paused,
            seconds=ordered.seconds,
            reason=ordered.reason,
        )
        return self._shown(endpoint) | {"told": await self._tell(override)}

    async def _tell(self, override: Override) -> dict[str, str]:
        """Tell every other node; return by node `ok`, or why it has yet to hear."""
        others = [n for n in self._services.config.nodes if n.name != self._services.node.name]

        async def tell(node: NodeConfig) -> str:
            try:
                async with asyncio.timeout(TELL_SECONDS_MAX):
                    await self._services.tell_override(node, override)
            except (OSError, TimeoutError) as error:
                return str(error) or f"no answer within {TELL_SECONDS_MAX:.0f} s"
            return "ok"

        answers = await asyncio.gather(*map(tell, others))
        return {node.name: answer for node, answer in zip(others, answers, strict=True)}


def _json(value: object) -> Response:
    return Response(headers=(JSON,), body=msgspec.json.encode(value) + b"\n")
