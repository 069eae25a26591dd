"""PutEvents as it runs: entries in, durable events and their ids out.

Owns the append to the log, and the canary that tells whether an append works at all. A caller has
its ids only once the commit is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from farspan.catalog.permissions import check_permission
from farspan.clock import Clock, IdSource
from farspan.errors import ServiceUnavailableException
from farspan.ingest.entries import (
    Acceptance,
    Entry,
    EntryError,
    Placement,
    PutEventsRequest,
    accept_entries,
    trace_header_in,
)
from farspan.model.arn import Arn, parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.endpoint import Endpoint
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch, call_id_of, event_bus_key
from farspan.store.base import Append, Appended, Change, Store, StoreError, Trim

CANARY_BUS = "-/canary"
"""The log to which the canary appends. No account has this name, so no caller can reach it."""

CANARY_SECONDS_MAX = 0.25
"""How long a durable append may take before the node calls itself unhealthy."""


@dataclass(frozen=True, slots=True)
class PutEventsCall:
    """Who put what, and what is needed to know the call again.

    `principal` is the ARN of who in the account calls, None for its root.
    `invocation_id` is the SDK's `amz-sdk-invocation-id`: the same on every retry of one call.
    `trace_header` is the request's `X-Amzn-Trace-Id`.
    """

    account: str
    access_key_id: str
    request: PutEventsRequest
    body_sha256: bytes
    invocation_id: str | None
    endpoint: Endpoint | None
    principal: str | None = None
    trace_header: str | None = None


@dataclass(frozen=True, slots=True)
class PartnerEventsCall:
    """What a partner put: the sources that it may use, and who receives which of them now.

    `receivers` has every account that a source of the partner's is offered to, also where none of
    them is active there.
    """

    entries: Sequence[Entry]
    sources: frozenset[str]
    receivers: Mapping[str, frozenset[str]]


class IngestService:
    """Takes events into one Region's log."""

    def __init__(
        self,
        region: str,
        store: Store,
        clock: Clock,
        ids: IdSource,
        find_event_bus: Callable[[str, str], EventBus | None],
    ) -> None:
        self._region = region
        self._store = store
        self._clock = clock
        self._ids = ids
        self._find_event_bus = find_event_bus
        self._canary: asyncio.Task[float] | None = None
        self._canary_position = 0

    async def put_events(self, call: PutEventsCall) -> bytes:
        """Accept the call's entries and return the output of PutEvents as JSON.

        Raises ValidationException, AccessDeniedException, and ServiceUnavailableException where
        the store cannot take anything; then nothing was accepted.
        """
        now = self._clock.now()
        call_id = self._call_id(call)
        if call.endpoint is None:
            self._authorize(call)
        acceptance = accept_entries(
            call.request.entries,
            call=call_id,
            account=call.account,
            region=self._region,
            now=now,
            place=self._placement(call),
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
            await self._append(appends)
        return _output(acceptance)

    async def put_partner_events(self, call: PartnerEventsCall) -> list[str | EntryError]:
        """Accept a partner's entries and return the id or the error of each.

        Raises as `put_events`.
        """
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

    def _partner_placement(
        self, account: str, active: frozenset[str]
    ) -> Callable[[str | None], Placement]:
        def place(source: str | None) -> Placement:
            if source is None or source not in active:
                return Placement()
            return self._place(account, source)

        return place

    async def _append(self, appends: Sequence[Change]) -> None:
        try:
            await self._store.commit(appends)
        except StoreError as error:
            raise ServiceUnavailableException(
                f"Region {self._region} cannot store events now: {error}"
            ) from error

    def _authorize(self, call: PutEventsCall) -> None:
        """Raise AccessDeniedException where one entry is for a bus that does not let it in.

        Each entry for another account's bus is held against that bus's policy; entries for the
        caller's own buses cost nothing here.
        """
        for entry in call.request.entries:
            name = entry.event_bus_name
            if name is None or not name.startswith("arn:"):
                continue
            arn = parse_arn(name)
            if arn is None or arn.region != self._region or arn.account == call.account:
                continue
            context = {"events:eventBusInvocation": "false"}
            if entry.source:
                context["events:source"] = entry.source
            if entry.detail_type:
                context["events:detail-type"] = entry.detail_type
            check_permission(
                self._find_event_bus(arn.account, _name_in(arn)),
                account=call.account,
                principal=call.principal or f"arn:aws:iam::{call.account}:root",
                action="events:PutEvents",
                resource=name,
                context=context,
            )

    def _call_id(self, call: PutEventsCall) -> CallId:
        if call.invocation_id is None:
            return CallId(self._ids.token(CALL_ID_BYTES))
        return call_id_of(call.access_key_id, call.invocation_id, call.body_sha256)

    def _placement(self, call: PutEventsCall) -> Callable[[str | None], Placement]:
        """Return the function that places the entries of a call, asking once for each bus."""
        known: dict[str | None, Placement] = {}

        def place(event_bus_name: str | None) -> Placement:
            placement = known.get(event_bus_name)
            if placement is None:
                if call.endpoint is not None:
                    placement = place_on_endpoint(call.endpoint, event_bus_name)
                else:
                    placement = self._place(call.account, event_bus_name)
                known[event_bus_name] = placement
            return placement

        return place

    def _place(self, account: str, event_bus_name: str | None) -> Placement:
        name = event_bus_name or DEFAULT_BUS_NAME
        if name.startswith("arn:"):
            arn = parse_arn(name)
            if arn is None or arn.region != self._region:
                return Placement(
                    error=EntryError(
                        "InvalidArgument",
                        f"Parameter EventBusName is not valid. Reason: {name} is not an event bus "
                        f"of Region {self._region}.",
                    )
                )
            # `_authorize` has let the caller in where the account is another.
            account, name = arn.account, _name_in(arn)
        if self._find_event_bus(account, name) is None:
            return Placement()
        return Placement(event_bus=event_bus_key(account, name))

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
