"""A node's one door: every request comes here, is told apart, and is served or passed on.

One URL serves every Region and every service. The Region comes from the signature's scope, the
endpoint from the body, the service from the target, the path or the form (see `protocols`). An
edge has no Region of its own, and passes on whatever it is not asked about itself.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from urllib.parse import parse_qs

import msgspec

from farspan.control.authority import authorize, authorize_put
from farspan.control.condition_keys import caller_keys
from farspan.control.plane import Caller, perform
from farspan.control.registry import OPERATIONS
from farspan.endpoints.service import RegionUnreachable
from farspan.errors import (
    AwsError,
    InternalException,
    InvalidInput,
    InvalidParameterException,
    ResourceNotFoundException,
    ServiceUnavailableException,
    UnknownOperationException,
    UnrecognizedClientException,
    ValidationException,
)
from farspan.ingest.service import PutEventsCall
from farspan.model.endpoint import Endpoint
from farspan.model.role import Role
from farspan.store.base import StoreError
from farspan.wire import protocols, query
from farspan.wire.access import UNKNOWN_KEY
from farspan.wire.forward import (
    FORWARDED_HEADER,
    INVOCATION_HEADER,
    SECURE_HEADER,
    UNAVAILABLE_STATUS,
    check_mark,
)
from farspan.wire.http import Request, Response
from farspan.wire.pages import JSON, REGIONAL_PAGES, Pages, RegionalPage
from farspan.wire.protocols import Call
from farspan.wire.put_events import TARGET, decode_put_events, endpoint_id_in
from farspan.wire.services import NodeServices
from farspan.wire.validate import check

REGION_HEADER = "x-farspan-region"
"""Which Region served a request: for people and drills, no SDK reads it."""

DURABILITY_HEADER = "x-farspan-durability"
"""`both` or `local`: which Regions have a call's events, where the endpoint is synchronous."""

TRACE_HEADER = "x-amzn-trace-id"
AMZ_JSON = ("Content-Type", "application/x-amz-json-1.1")
PASS_ON_SECONDS_MAX = 30.0
"""How long another Region may take to answer: longer than the longest long poll, 20 seconds."""

CLUSTER_SERVICE = "route53-recovery-cluster"
"""Its calls go to the Region that they are signed for while that one answers, else to any."""

CHANGES_HEALTH_CHECK = {
    "ChangeTagsForResource": "ResourceId",
    "DeleteHealthCheck": "HealthCheckId",
    "UpdateHealthCheck": "HealthCheckId",
}
"""Route 53's operations that the Region that owns a health check has to perform, and its id."""

GLOBAL_SERVICES = frozenset({"iam", "route53", "route53-recovery-cluster", "sts"})
"""Services without Regions: any Region's node serves them."""

CONSTRAINT_ERRORS: Mapping[str, type[AwsError]] = {
    "route53": InvalidInput,
    "logs": InvalidParameterException,
}
"""How services name a constraint of the model that is not met, where not ValidationException."""

log = logging.getLogger("farspan.wire")


class Server:
    """Answers requests. Never raises for what a caller sent."""

    def __init__(self, services: NodeServices) -> None:
        self._services = services
        self._own = services.own
        self._pages = Pages(services)

    async def answer(self, request: Request) -> Response:
        """Return the response to a request."""
        call: Call | None = None
        try:
            if FORWARDED_HEADER in request.headers:
                check_mark(request.headers[FORWARDED_HEADER], self._services.config.cluster_secret)
                if SECURE_HEADER in request.headers:
                    request = msgspec.structs.replace(request, is_secure=True)
            page = await self._pages.page(request)
            if page is not None:
                return page
            if request.path in REGIONAL_PAGES:
                return await self._regional_page(request, REGIONAL_PAGES[request.path])
            if request.headers.get("x-amz-target") == TARGET:
                call = protocols.identify(request)
                return await self._put_events(request)
            call = protocols.identify(request)
            return await self._operation(request, call)
        except AwsError as error:
            return protocols.encode_error(call, error, self._services.ids.uuid())
        except Exception:
            request_id = self._services.ids.uuid()
            log.exception("request failed request_id=%s", request_id)
            internal = InternalException(
                f"Something went wrong in node {self._services.node.name}. "
                f"Its log tells more under request id {request_id}."
            )
            return protocols.encode_error(call, internal, request_id)

    # --- PutEvents ------------------------------------------------------------------------

    async def _put_events(self, request: Request) -> Response:
        endpoint_id = endpoint_id_in(request.body)
        if endpoint_id is None:
            region = self._regional(request)
            if self._own is not None and region == self._own.region:
                return await self._put_here(request, None)
            return await self._pass_on(request, region)
        endpoint = self._services.catalog.endpoint(endpoint_id)
        if endpoint is None or not endpoint.in_use:
            is_home = (
                endpoint is not None
                and self._own is not None
                and (self._own.region == endpoint.primary_region)
            )
            if self._own is not None and FORWARDED_HEADER in request.headers and not is_home:
                raise ServiceUnavailableException(
                    f"Region {self._own.region} does not know endpoint {endpoint_id} (yet)."
                )
            self._services.access.caller(request, service="events", region=None)
            decode_put_events(request.body)  # a malformed id has AWS's own words
            raise ResourceNotFoundException(f"Endpoint {endpoint_id} does not exist.")
        if self._own is not None and FORWARDED_HEADER in request.headers:
            return await self._put_here(request, endpoint)
        if "authorization" in request.repeated_headers:
            self._services.access.claimed(request)  # once passed on, it could not be told any more
        return await self._services.routing.carry(endpoint, self._sender(request, endpoint))

    def _sender(self, request: Request, endpoint: Endpoint) -> Callable[[str], Awaitable[Response]]:
        """Return what sends the request to a Region, always as the same call."""
        if INVOCATION_HEADER not in request.headers:
            # So that a second sending of this request is known as such.
            headers = {**request.headers, INVOCATION_HEADER: self._services.ids.uuid()}
            request = msgspec.structs.replace(request, headers=headers)

        async def send(region: str) -> Response:
            if self._own is None or region != self._own.region:
                return await self._send(request, region)
            try:
                return await self._put_here(request, endpoint)
            except ServiceUnavailableException as error:
                raise RegionUnreachable(error.message) from error

        return send

    async def _put_here(self, request: Request, endpoint: Endpoint | None) -> Response:
        own = self._own
        assert own is not None, "only a Region's node takes events"
        caller = self._services.access.caller(request, service="events", region=own.region)
        if endpoint is not None and (
            endpoint.account != caller.account or own.region not in endpoint.regions
        ):
            raise ResourceNotFoundException(f"Endpoint {endpoint.endpoint_id} does not exist.")
        put = decode_put_events(request.body)
        if caller.grants is not None:
            authorize_put(own.plane, caller, put.entries, endpoint)
        body = await own.ingest.put_events(
            PutEventsCall(
                account=caller.account,
                principal=caller.principal,
                access_key_id=caller.access_key_id,
                request=put,
                body_sha256=hashlib.sha256(request.body).digest(),
                invocation_id=request.headers.get(INVOCATION_HEADER),
                endpoint=endpoint,
                condition_keys=lambda: caller_keys(
                    caller, region=own.region, now=own.plane.clock.now()
                ),
                trace_header=request.headers.get(TRACE_HEADER),
                byte_count=len(request.body),
            )
        )
        headers = [
            AMZ_JSON,
            ("x-amzn-RequestId", self._services.ids.uuid()),
            (REGION_HEADER, own.region),
        ]
        durability = own.ingest.durability(endpoint)
        if durability is not None:
            headers.append((DURABILITY_HEADER, durability))
        return Response(headers=headers, body=body)

    # --- pages of the Region of the signature -----------------------------------------------

    async def _regional_page(self, request: Request, page: RegionalPage) -> Response:
        region = self._regional(request)
        if self._own is None or region != self._own.region:
            return await self._pass_on(request, region)
        caller = self._services.access.caller(request, service="events", region=region)
        asked = parse_qs(request.query, keep_blank_values=True)
        given = {name: values[0] for name, values in asked.items()}
        try:
            found = await page(self._own.plane, caller, request.method, given)
        except StoreError as error:
            raise ServiceUnavailableException(
                f"Region {region} cannot use its store now: {error}"
            ) from error
        body = msgspec.json.encode(found) + b"\n"
        return Response(headers=(JSON, (REGION_HEADER, region)), body=body)

    # --- every other operation ------------------------------------------------------------

    async def _operation(self, request: Request, call: Call) -> Response:
        operation = call.operation
        service = call.service
        assert service is not None, "an operation has a service"
        region = self._region_for(request, call)
        if self._own is None or region != self._own.region:
            response = await self._pass_on(request, region)
            if operation.name == "CreateHealthCheck":
                await self._services.catalog.wait_for_health_check(_created_id(response))
            return response
        scope = None if service.name in GLOBAL_SERVICES else region
        caller = self._services.access.caller(request, service=service.signing_name, region=scope)
        caller = self._found_by_name(caller, request, service.signing_name)
        if (service.name, operation.name) not in OPERATIONS:
            raise UnknownOperationException(
                f"Farspan does not have the operation {service.name}:{operation.name} yet."
            )
        if service.name == "iam" and caller.is_session and caller.role_arn is None:
            # A key's session proves no second factor, without which IAM does not take it.
            raise UnrecognizedClientException(UNKNOWN_KEY)
        params = protocols.decode(call, request)
        try:
            check(operation, params)
        except ValidationException as error:
            raise CONSTRAINT_ERRORS.get(service.name, ValidationException)(error.message) from None
        authorize(self._own.plane, caller, service.name, operation.name, params)
        try:
            result = await perform(self._own.plane, caller, service.name, operation.name, params)
        except StoreError as error:
            raise ServiceUnavailableException(
                f"Region {region} cannot store this now: {error}"
            ) from error
        return protocols.encode(call, result, self._services.ids.uuid())

    def _found_by_name(self, caller: Caller, request: Request, service: str) -> Caller:
        """Return the caller with the URL that it used, if that has the service's own host name."""
        dns, own = self._services.config.dns, self._own
        if dns is None or own is None:
            return caller
        host = f"{service}.{own.region}.{dns.zone}"
        if request.headers.get("host", "").lower() != host:
            return caller
        return replace(caller, url=f"https://{host}")

    def _region_for(self, request: Request, call: Call) -> str:
        assert call.service is not None, "an operation has a service"
        if call.service.name not in GLOBAL_SERVICES:
            return self._regional(request)
        owner = self._owning_region(request, call)
        if owner is not None:
            return owner
        if call.service.name == CLUSTER_SERVICE:
            claimed = self._services.access.claimed(request)
            if claimed is not None and claimed.region in self._regions_heard():
                return claimed.region
        if self._own is not None:
            return self._own.region
        return (self._regions_heard() or list(self._services.config.regions))[0]

    def _owning_region(self, request: Request, call: Call) -> str | None:
        """Return the Region that has what a call of a global service changes, None for any."""
        if call.action in CHANGES_HEALTH_CHECK:
            health_check_id = call.path_parameters.get(CHANGES_HEALTH_CHECK[call.action], "")
            return self._services.catalog.owner_of_health_check(health_check_id)
        if self._own is None and "HealthCheckId" in call.path_parameters:
            # Any Region knows it after a moment; its own knows it now.
            owner = self._services.catalog.owner_of_health_check(
                call.path_parameters["HealthCheckId"]
            )
            return owner if owner in self._regions_heard() else None
        if call.action == "CreateHealthCheck":
            region = _alarm_region(request, call)
            return region if region in self._services.config.regions else None
        role = self._changed_role(request, call)
        return None if role is None else role.region

    def _regions_heard(self) -> list[str]:
        """Return the Regions whose nodes answered lately, this node's own among them."""
        own = None if self._own is None else self._own.region
        catalog = self._services.catalog
        return [r for r in self._services.config.regions if r == own or catalog.report_of(r)]

    def _changed_role(self, request: Request, call: Call) -> Role | None:
        """Return the role that a call changes, None where it changes none that is known."""
        assert call.service is not None, "an operation has a service"
        registered = OPERATIONS.get((call.service.name, call.action))
        if call.service.name != "iam" or registered is None or not registered.changes_resources:
            return None
        account = self._services.access.claimed_account(request)
        name = query.form_fields(request).get("RoleName", "")
        if account is None or call.action == "CreateRole":
            return None
        return self._services.catalog.role(account, name)

    def _regional(self, request: Request) -> str:
        """Return the Region that a request's signature is for.

        Raises ValidationException where this deployment has no such Region.
        """
        regions = self._services.config.regions
        authorization = self._services.access.claimed(request)
        region = authorization.region if authorization else None
        if region is None:
            return self._own.region if self._own else regions[0]
        if region not in regions:
            raise ValidationException(
                f"Region {region} is none of this deployment ({', '.join(regions)}). "
                "Use one of these, or add it to the configuration."
            )
        return region

    async def _pass_on(self, request: Request, region: str) -> Response:
        node = self._services.config.node_of(region)
        if node is None or FORWARDED_HEADER in request.headers:
            raise ServiceUnavailableException(
                f"Node {self._services.node.name} does not serve Region {region}, although "
                "another node says so. Give all nodes the same configuration."
            )
        try:
            async with asyncio.timeout(PASS_ON_SECONDS_MAX):
                return await self._services.forwarder.forward(node.url, request)
        except (RegionUnreachable, TimeoutError) as error:
            reason = str(error) or f"no answer within {PASS_ON_SECONDS_MAX:.0f} s"
            raise ServiceUnavailableException(
                f"Region {region} cannot be reached from node {self._services.node.name}: "
                f"{reason}. "
                f"Start it with `farspan serve --region {region}`, or try again."
            ) from error

    async def _send(self, request: Request, region: str) -> Response:
        node = self._services.config.node_of(region)
        if node is None:
            raise RegionUnreachable("no node of this deployment")
        response = await self._services.forwarder.forward(node.url, request)
        if response.status == UNAVAILABLE_STATUS:
            said = _message_in(response.body)
            raise RegionUnreachable(
                f"{node.url} answered that it cannot store events now{said and f': {said}'}"
            )
        return response


class _Said(msgspec.Struct):
    """What an error's body says."""

    message: str = ""


def _message_in(body: bytes) -> str:
    """Return the message of another node's error, nothing where it has none."""
    try:
        return msgspec.json.decode(body, type=_Said).message
    except msgspec.MsgspecError:
        return ""


def _created_id(response: Response) -> str:
    """Return the id of the health check that a response says was made, nothing where it does not.

    The caller is to find what it made: so whoever passed the call on waits to hear of it.
    """
    location = next((v for name, v in response.headers if name.lower() == "location"), "")
    return location.rpartition("/")[2]


def _alarm_region(request: Request, call: Call) -> str | None:
    """Return the Region of the alarm that a new health check is made after, None without one.

    Such a check belongs to that Region, which has the metric.
    """
    try:
        params = protocols.decode(call, request)
    except AwsError:
        return None  # it is refused once it is decoded where it is performed
    alarm = params.get("HealthCheckConfig", {}).get("AlarmIdentifier", {})
    region = alarm.get("Region")
    return region if isinstance(region, str) else None
