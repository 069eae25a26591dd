"""Calls that wait until the other Region has their events too, for `sync` and `sync_or_async`.

What a link's state is, and what follows for a call, decides `link`; here futures are held and let
go. Nothing here asks the other Region for anything: its own questions are what confirms.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import logging
from collections.abc import Callable
from typing import Any

from farspan.model.endpoint import Endpoint
from farspan.replication.link import (
    WAIT_SECONDS_MAX,
    Admission,
    Link,
    LinkState,
    Mode,
    admission,
    asked,
    waited_in_vain,
)

log = logging.getLogger("farspan.replication")

Measure = Callable[[str, Endpoint, float], None]
"""Take a value of a metric, by name, for an endpoint."""


def measure_nothing(_name: str, _endpoint: Endpoint, _value: float) -> None:
    """Take no metrics."""


class Confirmations:
    """The links of one Region's streams, and who waits for them."""

    def __init__(
        self,
        region: str,
        monotonic: Callable[[], float],
        mode_of: Callable[[Endpoint], Mode],
        measure: Measure = measure_nothing,
    ) -> None:
        self._region = region
        self._monotonic = monotonic
        self._mode_of = mode_of
        self._measure = measure
        self._links: dict[tuple[str, str], Link] = {}
        self._waiting: dict[tuple[str, str], list[tuple[int, int, asyncio.Future[bool]]]] = {}
        self._order = itertools.count()

    def asked(self, endpoint: Endpoint, region: str, *, after: int, end: int) -> None:
        """Note that a Region asks for what follows `after`: up to there it has everything."""
        key = (endpoint.endpoint_id, region)
        now = self._monotonic()
        former = self._links.get(key) or Link(since=now)
        link = self._links[key] = asked(former, after=after, end=end, now=now)
        if link.state is not former.state:
            self._tell(endpoint, region, former, now)
        waiting = self._waiting.get(key, [])
        while waiting and waiting[0][0] <= after:
            _settle(heapq.heappop(waiting)[2], followed=True)

    def is_following(self, endpoint: Endpoint, region: str) -> bool:
        """Return whether nothing speaks against a Region: then its questions only confirm."""
        link = self._links.get((endpoint.endpoint_id, region))
        return link is None or link.state is LinkState.FOLLOWING

    def refusal(self, endpoint: Endpoint) -> str | None:
        """Return why a call through the endpoint may not even be stored now, None where it may."""
        if admission(self._mode_of(endpoint), self._link(endpoint)) is not Admission.REFUSE:
            return None
        return (
            f"Endpoint {endpoint.name} is replicated synchronously, and "
            f"{endpoint.other_region(self._region)} does not follow. Nothing was stored. Try again."
        )

    async def arrived(self, endpoint: Endpoint, sequence: int) -> str | None:
        """Wait until the call may be acknowledged whose last event has `sequence` in the stream.

        Returns why it may not, where it may not: then the events are stored all the same, and the
        same call sent again is no second event.
        """
        mode = self._mode_of(endpoint)
        link = self._link(endpoint)
        verdict = admission(mode, link)
        if verdict is Admission.ACKNOWLEDGE or sequence <= link.confirmed:
            return None
        if verdict is Admission.WAIT and await self._followed(endpoint, sequence, mode):
            return None
        if mode is Mode.SYNC_OR_ASYNC:
            return None
        return (
            f"{endpoint.other_region(self._region)} has not confirmed the events of this call, as "
            f"endpoint {endpoint.name} wants it. They are stored in {self._region}. Try again: the "
            "same call is no second event."
        )

    async def _followed(self, endpoint: Endpoint, sequence: int, mode: Mode) -> bool:
        """Return whether the other Region had the sequence before it was too late."""
        followed: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(self._key(endpoint), [])
        heapq.heappush(waiting, (sequence, next(self._order), followed))
        try:
            async with asyncio.timeout(WAIT_SECONDS_MAX[mode]):
                return await followed
        except TimeoutError:
            self._give_up(endpoint)
            return False

    def _give_up(self, endpoint: Endpoint) -> None:
        """Let everyone go who waits for the other Region."""
        key = self._key(endpoint)
        former, now = self._link(endpoint), self._monotonic()
        self._links[key] = waited_in_vain(former, now)
        if former.state is not LinkState.AWAY:
            self._tell(endpoint, endpoint.other_region(self._region), former, now)
        for _, _, followed in self._waiting.pop(key, []):
            _settle(followed, followed=False)

    def _tell(self, endpoint: Endpoint, region: str, former: Link, now: float) -> None:
        """Say that the link's state changed: one line, and a value of the metric."""
        link = self._links[endpoint.endpoint_id, region]
        is_away = link.state is LinkState.AWAY
        log.warning(
            "replication %s endpoint=%s mode=%s region=%s peer=%s confirmed=%d waiting=%d "
            "seconds_in_former_state=%.3f",
            "degraded" if is_away else "restored",
            endpoint.arn,
            self._mode_of(endpoint),
            self._region,
            region,
            link.confirmed,
            self._waiting_count(endpoint),
            now - former.since,
        )
        self._measure("ReplicationDegraded", endpoint, float(is_away))

    def confirmed(self, endpoint: Endpoint) -> int:
        """Return the last sequence that the other Region has; 0 after a start until it asks."""
        return self._link(endpoint).confirmed

    def durability(self, endpoint: Endpoint) -> str | None:
        """Return what an acknowledgement says now: `both`, `local`, or None where mode is async."""
        mode = self._mode_of(endpoint)
        if mode is Mode.ASYNC:
            return None
        return "both" if self._link(endpoint).state is LinkState.FOLLOWING else "local"

    def degraded(self) -> tuple[str, ...]:
        """Return the EndpointIds whose other Region did not confirm in time, and is not back."""
        return tuple(
            endpoint_id
            for (endpoint_id, _), link in self._links.items()
            if link.state is LinkState.AWAY
        )

    def status(self, endpoint: Endpoint) -> dict[str, Any]:
        """Return what people read of the endpoint's link from here."""
        mode, link = self._mode_of(endpoint), self._link(endpoint)
        return {
            "mode": mode,
            "link": link.state,
            "degraded": link.state is LinkState.AWAY,
            "seconds_in_state": round(self._monotonic() - link.since, 3),
            "confirmed": link.confirmed,
            "waiting": self._waiting_count(endpoint),
        }

    def _waiting_count(self, endpoint: Endpoint) -> int:
        return len(self._waiting.get(self._key(endpoint), ()))

    def _key(self, endpoint: Endpoint) -> tuple[str, str]:
        return endpoint.endpoint_id, endpoint.other_region(self._region)

    def _link(self, endpoint: Endpoint) -> Link:
        key = self._key(endpoint)
        link = self._links.get(key)
        if link is None:
            link = self._links[key] = Link(since=self._monotonic())
        return link


def _settle(future: asyncio.Future[bool], *, followed: bool) -> None:
    if not future.done():  # whoever waited may have gone
        future.set_result(followed)
