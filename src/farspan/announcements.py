"""The event `Endpoint State Change`: each change of an endpoint's route, once on each default bus.

Every node sees a change, and each of the endpoint's Regions puts it on its own bus, from what it
decided itself or heard from others; a Region that was down puts what it missed when it is back.
How far an endpoint's changes were put is committed with the event, so that a restart repeats none.
AWS has no such event.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Collection, Sequence
from typing import Final

import msgspec

from farspan.catalog.service import CatalogService
from farspan.clock import Clock
from farspan.ingest.entries import Entry, Placement, accept_entries
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.model.endpoint import Endpoint
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch, event_bus_key
from farspan.model.route import RouteChange
from farspan.store.base import Append, Change, DeleteDocument, PutDocument, Store, StoreError

SOURCE: Final = "aws.events"
DETAIL_TYPE: Final = "Endpoint State Change"
DOCUMENT_PREFIX: Final = "announced/"
STALE_SECONDS: Final = 86_400.0
"""What is older is no news, as for a Region that comes with an empty disk."""

LOOK_SECONDS: Final = 0.1
RETRY_SECONDS: Final = 5.0

FIRST_GENERATION: Final = 1
"""That of a new endpoint, which is no change."""

log = logging.getLogger("farspan.endpoints")


class Announcements:
    """Puts the changes of routes on one Region's default buses."""

    def __init__(
        self,
        *,
        region: str,
        store: Store,
        clock: Clock,
        catalog: CatalogService,
        regions: Collection[str],
        history: Callable[[Endpoint], Sequence[RouteChange]],
    ) -> None:
        self._region = region
        self._store = store
        self._clock = clock
        self._catalog = catalog
        self._regions = set(regions)
        self._history = history
        self._announced: dict[str, int] = {}
        self._is_loaded = False

    async def run(self) -> None:
        """Put what is new, again and again, until cancelled."""
        while True:
            try:
                await self.put()
                await self._forget()
            except StoreError as error:
                log.warning("changes of routes were not put on the default buses error=%s", error)
                await self._clock.sleep(RETRY_SECONDS)
            except Exception:
                log.exception("changes of routes could not be put on the default buses")
                await self._clock.sleep(RETRY_SECONDS)
            await self._clock.sleep(LOOK_SECONDS)

    async def put(self) -> None:
        """Put every change that the Region's buses have not had. Raises StoreError."""
        if not self._is_loaded:
            for document in await self._store.documents(DOCUMENT_PREFIX):
                self._announced[document.key] = int(document.value)
            self._is_loaded = True
        for endpoint in self._catalog.endpoints():
            if self._region in endpoint.regions:
                await self._put(endpoint)

    async def _put(self, endpoint: Endpoint) -> None:
        key = _document_key(endpoint)
        announced = self._announced.get(key, FIRST_GENERATION)
        news = [change for change in self._history(endpoint) if change.generation > announced]
        if not news:
            return
        now = self._clock.now()
        changes: list[Change] = [
            Append(self._batch(endpoint, change, now))
            for change in news
            if now - change.at < STALE_SECONDS
        ]
        last = news[-1].generation
        await self._store.commit([*changes, PutDocument(key, str(last).encode())])
        self._announced[key] = last

    def _batch(self, endpoint: Endpoint, change: RouteChange, now: float) -> EventBatch:
        call = _call_of(change)
        bus = event_bus_key(endpoint.account, DEFAULT_BUS_NAME)
        entry = Entry(
            time=change.at,
            source=SOURCE,
            resources=[endpoint.arn],
            detail_type=DETAIL_TYPE,
            detail=msgspec.json.encode(_detail(endpoint, change)).decode(),
        )
        acceptance = accept_entries(
            [entry],
            call=call,
            account=endpoint.account,
            region=self._region,
            now=now,
            place=lambda _: Placement(event_bus=bus),
            may_send=lambda _: True,
        )
        return EventBatch(
            event_bus=bus,
            call=call,
            events=tuple(acceptance.envelopes[bus]),
            accepted_at=now,
            origin=self._region,
        )

    async def _forget(self) -> None:
        """Drop what is remembered of endpoints that are gone, once every Region was heard."""
        if not self._regions <= {catalog.region for catalog in self._catalog.catalogs()}:
            return
        kept = {_document_key(endpoint) for endpoint in self._catalog.endpoints()}
        gone = [key for key in self._announced if key not in kept]
        if gone:
            await self._store.commit([DeleteDocument(key) for key in gone])
        for key in gone:
            del self._announced[key]


def _document_key(endpoint: Endpoint) -> str:
    return f"{DOCUMENT_PREFIX}{endpoint.account}/{endpoint.endpoint_id}"


def _call_of(change: RouteChange) -> CallId:
    """Return what a change is known by on every bus, so that none has it twice."""
    text = f"{DETAIL_TYPE}\0{change.endpoint_id}\0{change.generation}"
    return CallId(hashlib.sha256(text.encode()).digest()[:CALL_ID_BYTES])


def _detail(endpoint: Endpoint, change: RouteChange) -> dict[str, object]:
    return {
        "endpointId": endpoint.endpoint_id,
        "endpointName": endpoint.name,
        "eventBusName": endpoint.event_bus_name,
        "route": change.route,
        "region": change.to_region,
        "previousRegion": change.from_region,
        "generation": change.generation,
        "reason": change.reason,
        "votes": change.votes,
        "node": change.node,
    }
