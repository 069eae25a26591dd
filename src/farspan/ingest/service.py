"""PutEvents as it runs: entries in, durable events and their ids out; and what rules forward.

Owns the append to the log, and the canary that tells whether an append works at all. A caller has
its ids only once the commit is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

from farspan.catalog.permissions import check_permission
from farspan.clock import Clock, IdSource
from farspan.errors import AccessDeniedException, AwsError, ServiceUnavailableException
from farspan.ingest import forwarding
from farspan.ingest.entries import (
    Acceptance,
    Entry,
    EntryError,
    Placement,
    PutEventsRequest,
    accept_entries,
    condition_keys_of,
    trace_header_in,
)
from farspan.ingest.forwarding import arrival
from farspan.ingest.measures import IngestMeasures
from farspan.metrics.meter import Meter
from farspan.model.arn import Arn, event_bus_arn, parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.endpoint import Endpoint
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch, call_id_of, event_bus_key
from farspan.model.forwarding import ForwardedEvent, ForwardReply, ForwardRequest
from farspan.store.base import Append, Appended, Change, Result, Store, StoreError, Trim

CANARY_BUS = "-/canary"
"""The log to which the canary appends. No account has this name, so no caller can reach it."""

CANARY_SECONDS_MAX = 0.25
"""How long a durable append may take before the node calls itself unhealthy."""


class PutEventsCall(msgspec.Struct, frozen=True):
    """Who put what, and what is needed to know the call again.

    `principal` is the ARN of who in the account calls, None for its root. `condition_keys` gives
    the keys that the caller has in policies, and is asked where a bus has one.
    `invocation_id` is the SDK's `amz-sdk-invocation-id`: the same on every retry of one call.
    `trace_header` is the request's `X-Amzn-Trace-Id`, `byte_count` how large its body is.
    """

    account: str
    access_key_id: str
    request: PutEventsRequest
    body_sha256: bytes
    invocation_id: str | None
    endpoint: Endpoint | None
    principal: str | None = None
    condition_keys: Callable[[], Mapping[str, str]] = dict
    trace_header: str | None = None
    byte_count: int = 0


@dataclass(frozen=True, slots=True)
class PartnerEventsCall:
    """What a partner, an account, put: the sources that it may use, and who receives them now.

    `receivers` has every account that a source of the partner's is offered to, also where none of
    them is active there.
    """

    account: str
    entries: Sequence[Entry]
    sources: frozenset[str]
    receivers: Mapping[str, frozenset[str]]


class Copies(Protocol):
    """What ingest asks of an endpoint's replication: whether a call may be acknowledged."""

    def refusal(self, endpoint: Endpoint) -> str | None:
        """Return why nothing may be stored now, None where it may."""

    async def arrived(self, endpoint: Endpoint, sequence: int) -> str | None:
        """Wait for the other Region as the endpoint wants it; return why it has not confirmed.

        `sequence` is that of the call's last event in the endpoint's stream.
        """

    def durability(self, endpoint: Endpoint) -> str | None:
        """Return what an acknowledgement says now: `both`, `local`, or None where always local."""


class IngestService:
    """Takes events into one Region's log."""

    def __init__(
        self,
        region: str,
        store: Store,
        clock: Clock,
        ids: IdSource,
        find_event_bus: Callable[[str, str], EventBus | None],
        copies: Copies | None = None,
        meter: Meter | None = None,
    ) -> None:
        self._region = region
        self._store = store
        self._clock = clock
        self._ids = ids
        self._find_event_bus = find_event_bus
        self._copies = copies
        self._measures = IngestMeasures(meter or Meter(), region)
        self._canary: asyncio.Task[float] | None = None
        self._canary_position = 0

    async def put_events(self, call: PutEventsCall) -> bytes:
        """Accept the call's entries and return the output of PutEvents as JSON.

        Raises ValidationException, AccessDeniedException, and ServiceUnavailableException where
        the store cannot take anything; then nothing was accepted. Where the endpoint wants both
        Regions to have the events and the other does not confirm, it is raised as well.
        """
        measures = self._measures.of_calls(call.account, "PutEvents")
        started = self._clock.monotonic()
        try:
            acceptance = await self._put(call)
        except AwsError:
            measures.failed()
            raise
        seconds = self._clock.monotonic() - started
        measures.answered(acceptance.results, call.byte_count, seconds)
        return _output(acceptance)

    async def _put(self, call: PutEventsCall) -> Acceptance:
        now = self._clock.now()
        call_id = self._call_id(call)
        places = self._places(call)
        acceptance = accept_entries(
            call.request.entries,
            call=call_id,
            account=call.account,
            region=self._region,
            now=now,
            place=places.__getitem__,
            trace_header=trace_header_in(call.trace_header),
        )
        if acceptance.envelopes:
            endpoint = call.endpoint
            # What is not to be replicated now is not replicated later either.
            stream = endpoint.endpoint_id if endpoint and endpoint.replicates else None
            appends: list[Change] = [
                Append(
                    EventBatch(
                        event_bus=event_bus,
                        call=call_id,
                        events=tuple(envelopes),
                        accepted_at=now,
                        origin=self._region,
                        stream=stream,
                        trace_headers=acceptance.trace_headers_of(event_bus),
                    )
                )
                for event_bus, envelopes in acceptance.envelopes.items()
            ]
            if endpoint is None or stream is None or self._copies is None:
                await self._append(appends)
            else:
                await self._append_in_both(appends, endpoint, self._copies)
            if endpoint is not None and stream is not None:
                count = sum(map(len, acceptance.envelopes.values()))
                self._measures.of_replication(endpoint).offered(count, now, self._clock.now())
        return acceptance

    async def put_partner_events(self, call: PartnerEventsCall) -> list[str | EntryError]:
        """Accept a partner's entries and return the id or the error of each.

        Raises as `put_events`.
        """
        measures = self._measures.of_calls(call.account, "PutPartnerEvents")
        started = self._clock.monotonic()
        try:
            results = await self._put_partner(call)
        except AwsError:
            measures.failed()
            raise
        measures.answered(results, 0, self._clock.monotonic() - started)
        return results

    async def _put_partner(self, call: PartnerEventsCall) -> list[str | EntryError]:
        now, call_id = self._clock.now(), CallId(self._ids.token(CALL_ID_BYTES))
        results: list[str | EntryError] = []
        appends: list[Change] = []
        for account, active in (call.receivers or {"": frozenset[str]()}).items():
            acceptance = accept_entries(
                [
                    # The bus has the source's name.
                    msgspec.structs.replace(entry, event_bus_name=entry.source)
                    for entry in call.entries
                ],
                call=call_id,
                account=account,
                region=self._region,
                now=now,
                place=self._partner_placement(account, active),
                may_send=call.sources.__contains__,
            )
            results = acceptance.results
            appends += [
                Append(
                    EventBatch(
                        event_bus=event_bus,
                        call=call_id,
                        events=tuple(envelopes),
                        accepted_at=now,
                        origin=self._region,
                    )
                )
                for event_bus, envelopes in acceptance.envelopes.items()
            ]
        if appends:
            await self._append(appends)
        return results

    async def take_forwarded(self, request: ForwardRequest) -> ForwardReply:
        """Take what a rule of another bus forwards; every event without a denial is durable.

        Raises ServiceUnavailableException where the store cannot take anything.
        """
        arn = parse_arn(request.event_bus_arn)
        assert arn is not None, "a target's ARN was read when it was put"
        bus = self._find_event_bus(arn.account, _name_in(arn))
        now = self._clock.now()
        if not request.events:
            return ForwardReply(denials=(), denial=self._denial(request, arn, bus, None))
        denials = [self._denial(request, arn, bus, forwarded) for forwarded in request.events]
        appends: list[Change] = [
            Append(arrival(each, request, event_bus=bus.key, region=self._region, now=now))
            for each, denial in zip(request.events, denials, strict=True)
            if bus is not None and denial is None
        ]
        if appends:
            await self._append(appends)
        return ForwardReply(denials=tuple(denials))

    def _denial(
        self,
        request: ForwardRequest,
        arn: Arn,
        bus: EventBus | None,
        forwarded: ForwardedEvent | None,
    ) -> str | None:
        """Return why a bus does not take a forwarded event: what PutEvents would be told.

        Without an event, why it takes none.
        """
        if arn.account == request.account and (bus is None or bus.policy is None):
            return None
        try:
            check_permission(
                bus,
                account=request.account,
                principal=request.role_arn,
                action="events:PutEvents",
                resource=event_bus_arn(arn.region, arn.account, _name_in(arn)),
                context=forwarding.condition_keys_of(forwarded),
                before_event=forwarded is None,
            )
        except AccessDeniedException as error:
            return error.message
        return None

    def _partner_placement(
        self, account: str, active: frozenset[str]
    ) -> Callable[[str | None], Placement]:
        def place(source: str | None) -> Placement:
            if source is None or source not in active:
                return Placement()
            return self._place(account, source)[0]

        return place

    def durability(self, endpoint: Endpoint | None) -> str | None:
        """Return what an acknowledgement through an endpoint says now; see `Copies`."""
        if endpoint is None or not endpoint.replicates or self._copies is None:
            return None
        return self._copies.durability(endpoint)

    async def _append_in_both(
        self, appends: Sequence[Change], endpoint: Endpoint, copies: Copies
    ) -> None:
        """Append, and return once the call may be acknowledged."""
        refusal = copies.refusal(endpoint)
        if refusal is None:
            results = await self._append(appends)
            # A call that the log had as a replica is in both Regions: there its origin is not here.
            own = [r for r in results if isinstance(r, Appended) and r.origin == self._region]
            last = max((appended.last_sequence for appended in own), default=0)
            refusal = await copies.arrived(endpoint, last) if last else None
        if refusal is not None:
            raise ServiceUnavailableException(refusal)

    async def _append(self, appends: Sequence[Change]) -> list[Result]:
        try:
            return await self._store.commit(appends)
        except StoreError as error:
            raise ServiceUnavailableException(
                f"Region {self._region} cannot store events now: {error}"
            ) from error

    def _places(self, call: PutEventsCall) -> dict[str | None, Placement]:
        """Return where the entries go, by the bus that they name.

        Raises AccessDeniedException where one of them is for a bus that does not let it in. Only
        an entry for a bus with a policy, or for another account's, is held against anything.
        """
        places: dict[str | None, Placement] = {}
        guarded: dict[str | None, tuple[EventBus | None, str]] = {}
        for entry in call.request.entries:
            name = entry.event_bus_name
            if name not in places:
                places[name], bus, arn = self._resolve(call, name)
                if arn is not None:
                    guarded[name] = bus, arn
            if name in guarded:
                self._authorize(call, entry, *guarded[name])
        return places

    def _resolve(
        self, call: PutEventsCall, name: str | None
    ) -> tuple[Placement, EventBus | None, str | None]:
        """Return where entries for a bus go, the bus, and its ARN where it is to be asked."""
        if call.endpoint is not None:
            placement = place_on_endpoint(call.endpoint, name)
            if placement.error is not None:
                return placement, None, None
            bus = self._find_event_bus(call.endpoint.account, call.endpoint.event_bus_name)
        else:
            placement, bus = self._place(call.account, name)
            arn = parse_arn(name) if name and name.startswith("arn:") else None
            if placement.error is None and arn is not None and arn.account != call.account:
                # The ARN as policies write it: whatever else the caller wrote means the same bus.
                return placement, bus, event_bus_arn(arn.region, arn.account, _name_in(arn))
        return placement, bus, None if bus is None or bus.policy is None else bus.arn

    def _authorize(
        self, call: PutEventsCall, entry: Entry, bus: EventBus | None, bus_arn: str
    ) -> None:
        check_permission(
            bus,
            account=call.account,
            principal=call.principal or f"arn:aws:iam::{call.account}:root",
            action="events:PutEvents",
            resource=bus_arn,
            context={**call.condition_keys(), **condition_keys_of(entry)},
        )

    def _call_id(self, call: PutEventsCall) -> CallId:
        if call.invocation_id is None:
            return CallId(self._ids.token(CALL_ID_BYTES))
        return call_id_of(call.access_key_id, call.invocation_id, call.body_sha256)

    def _place(self, account: str, event_bus_name: str | None) -> tuple[Placement, EventBus | None]:
        """Return where entries for a bus go, and the bus."""
        name = event_bus_name or DEFAULT_BUS_NAME
        if name.startswith("arn:"):
            arn = parse_arn(name)
            if arn is None or arn.region != self._region:
                error = EntryError(
                    "InvalidArgument",
                    f"Parameter EventBusName is not valid. Reason: {name} is not an event bus "
                    f"of Region {self._region}.",
                )
                return Placement(error=error), None
            account, name = arn.account, _name_in(arn)
        bus = self._find_event_bus(account, name)
        if bus is None:
            return Placement(), None
        return Placement(event_bus=event_bus_key(account, name)), bus

    @property
    def store_failure(self) -> str | None:
        """Why the store takes nothing until the next start, None while it does."""
        return self._store.failure

    async def canary(self) -> float:
        """Append to the canary log; return how many seconds it took to be durable.

        Callers at the same time share one append. Raises StoreError where it failed, TimeoutError
        where it took longer than `CANARY_SECONDS_MAX`.
        """
        if self._canary is None or self._canary.done():
            self._canary = asyncio.create_task(self._append_canary())
            self._canary.add_done_callback(_consume)
        async with asyncio.timeout(CANARY_SECONDS_MAX):
            return await asyncio.shield(self._canary)

    async def _append_canary(self) -> float:
        started = self._clock.monotonic()
        batch = EventBatch(
            event_bus=CANARY_BUS,
            call=CallId(self._ids.token(CALL_ID_BYTES)),
            events=(b"{}",),
            accepted_at=self._clock.now(),
            origin=self._region,
        )
        (appended, _) = await self._store.commit(
            [Append(batch), Trim(CANARY_BUS, self._canary_position)]
        )
        assert isinstance(appended, Appended)
        self._canary_position = appended.position
        return self._clock.monotonic() - started


def place_on_endpoint(endpoint: Endpoint, event_bus_name: str | None) -> Placement:
    """Place an entry that came with an EndpointId.

    The bus may be named, or be the ARN of either Region's bus; a missing name means the
    endpoint's bus. AWS documents the first two; the last is our choice.
    """
    name = event_bus_name or endpoint.event_bus_name
    arn = parse_arn(name)
    if arn is not None and arn.region in endpoint.regions and arn.account == endpoint.account:
        name = arn.resource.removeprefix("event-bus/")
    if name != endpoint.event_bus_name:
        return Placement(
            error=EntryError(
                "InvalidArgument",
                f"Parameter EventBusName is not valid. Reason: {name} is not an event bus of "
                f"endpoint {endpoint.endpoint_id}.",
            )
        )
    return Placement(event_bus=endpoint.event_bus_key)


def _name_in(arn: Arn) -> str:
    return arn.resource.removeprefix("event-bus/")


def _consume(task: asyncio.Task[float]) -> None:
    """Look at a canary's failure even where everyone who asked has gone."""
    if not task.cancelled():
        task.exception()


def _output(acceptance: Acceptance) -> bytes:
    results = acceptance.results
    if not any(isinstance(result, EntryError) for result in results):
        ids = ",".join([f'{{"EventId":"{result}"}}' for result in results])
        return f'{{"FailedEntryCount":0,"Entries":[{ids}]}}'.encode()
    entries = [
        {"ErrorCode": result.code, "ErrorMessage": result.message}
        if isinstance(result, EntryError)
        else {"EventId": result}
        for result in results
    ]
    failed_count = sum(isinstance(result, EntryError) for result in results)
    return msgspec.json.encode({"FailedEntryCount": failed_count, "Entries": entries})
