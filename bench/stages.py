"""Measures where one event's processor time goes, from the wire to a built-in queue.

One process, no sockets: each stage of the hot path runs by itself on the same thousand events in
calls of ten, with a hundred rules of which one matches. Processor time of all threads counts, so
that what else the machine does and what the disk takes stay out. Run it as `make bench-stages`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final

from farspan.clock import SystemClock, SystemIds
from farspan.config import Credential
from farspan.delivery.lane import Item, Lane
from farspan.delivery.plan import plan_deliveries
from farspan.delivery.rulebook import Rulebook
from farspan.delivery.service import DeliveryService
from farspan.ingest.entries import Placement, accept_entries
from farspan.model.delivery import DELIVERED, Delivery, Outcome
from farspan.model.event import CallId, EventBatch
from farspan.model.queue import Queue
from farspan.model.rule import Rule, Target
from farspan.queues.service import QueueService
from farspan.store.base import Append, MoveCursor
from farspan.store.sqlite import open_store
from farspan.targets.sqs import DeadLetterTarget, QueueAccess, QueueTarget
from farspan.wire.access import Access
from farspan.wire.http import Request
from farspan.wire.put_events import decode_put_events
from farspan.wire.sigv4 import sign

ACCOUNT: Final = "000000000000"
REGION: Final = "us-east-1"
BUS: Final = f"{ACCOUNT}/bench"
KEY: Final = Credential()
CALL_COUNT: Final = 100
EVENT_COUNT: Final = CALL_COUNT * 10
ROUNDS: Final = 15


class Stages:
    """Everything that the stages need, and what each stage leaves for the next."""

    def __init__(self, directory: Path) -> None:
        self.clock, self.ids = SystemClock(), SystemIds()
        self.store = open_store(directory / "store", asyncio.get_running_loop())
        self.queue = Queue(region=REGION, account=ACCOUNT, name="q")
        queues = QueueService(REGION, self.store, self.clock, self.ids)
        everything = QueueAccess(lambda _account, _name: self.queue, lambda _queue, _rule: True)
        asked = (queues, everything, self.clock.now)
        self.target = QueueTarget(*asked)
        self.delivery = DeliveryService(
            self.store, self.clock, self.ids, lambda _: self.target, DeadLetterTarget(*asked)
        )
        self.access = Access(
            credentials=(KEY,),
            cluster_secret="bench",
            auth=True,
            clock=self.clock,
        )
        self.rulebook = Rulebook()
        for number in range(100):
            self.rulebook.put(_rule(number, self.queue.arn))
        self.requests = [self._request(number) for number in range(CALL_COUNT)]
        self.position = 0
        self.batches: list[EventBatch] = []
        self.matched: list[tuple[bytes, list[Rule]]] = []
        self.deliveries: list[Delivery] = []
        self.lane_by_rule: dict[str, Lane] = {}

    def _request(self, number: int) -> Request:
        detail = json.dumps({"amount": number + 1, "text": "x" * 940})
        entry = {
            "Source": f"shop.{number}",
            "DetailType": "Bench",
            "Detail": detail,
            "EventBusName": "bench",
        }
        body = json.dumps({"Entries": [entry] * 10}).encode()
        headers = {
            "host": "127.0.0.1:7700",
            "content-type": "application/x-amz-json-1.1",
            "x-amz-target": "AWSEvents.PutEvents",
        }
        unsigned = Request(method="POST", path="/", headers=headers, body=body)
        signature = sign(
            unsigned,
            access_key_id=KEY.access_key_id,
            secret_access_key=KEY.secret_access_key,
            region=REGION,
            service="events",
            now=time.time(),
        )
        return Request(method="POST", path="/", headers={**headers, **signature}, body=body)

    async def verify(self) -> None:
        """Check the signatures."""
        for request in self.requests:
            self.access.caller(request, service="events", region=REGION)

    async def decode(self) -> None:
        """Read the bodies."""
        self.decoded = [decode_put_events(request.body) for request in self.requests]

    async def stamp(self) -> None:
        """Make entries into envelopes with ids."""
        now = self.clock.now()
        self.batches = []
        for request, put in zip(self.requests, self.decoded, strict=True):
            hashlib.sha256(request.body).digest()
            call = CallId(self.ids.token(14))
            accepted = accept_entries(
                put.entries,
                call=call,
                account=ACCOUNT,
                region=REGION,
                now=now,
                place=lambda _: Placement(event_bus=BUS),
            )
            events = tuple(accepted.envelopes[BUS])
            self.batches.append(
                EventBatch(event_bus=BUS, call=call, events=events, accepted_at=now, origin=REGION)
            )

    async def append(self) -> None:
        """Append the calls to the log, thirty at a time as so many connections would."""
        for start in range(0, CALL_COUNT, 30):
            batches = self.batches[start : start + 30]
            await asyncio.gather(*(self.store.commit([Append(batch)]) for batch in batches))

    async def read(self) -> None:
        """Read the log back."""
        self.batches = await self.store.read_log(BUS, self.position, EVENT_COUNT)
        self.position += EVENT_COUNT
        assert sum(len(batch.events) for batch in self.batches) == EVENT_COUNT

    async def match(self) -> None:
        """Match against a hundred rules."""
        events = [event for batch in self.batches for event in batch.events]
        self.matched = [(event, self.rulebook.match(event)) for event in events]

    async def plan(self) -> None:
        """Make deliveries."""
        now = self.clock.now()
        self.deliveries = []
        for event, rules in self.matched:
            self.deliveries += plan_deliveries(event, rules, now, now)
        assert len(self.deliveries) == EVENT_COUNT

    async def lanes(self) -> None:
        """Take deliveries through their lanes and settle them, with a target that does nothing."""
        sender = _Nothing()
        ended = asyncio.Event()
        left = EVENT_COUNT

        def on_end() -> None:
            nonlocal left
            left -= 1
            if not left:
                ended.set()

        settle = self.delivery._settle  # noqa: SLF001 - the stage that is measured
        measures = self.delivery._measures  # noqa: SLF001
        for delivery in self.deliveries:
            lane = self.lane_by_rule.get(delivery.rule_arn)
            if lane is None:
                counted = measures.of_rule(delivery.rule_arn)
                lane = Lane(sender, settle, self.clock.now, lambda _: None, counted)
                self.lane_by_rule[delivery.rule_arn] = lane
            lane.offer(Item(delivery, on_end=on_end))
        await ended.wait()

    async def queue_put(self) -> None:
        """Put the messages into their queue, the commit included, in lanes' batches of ten."""
        await asyncio.gather(
            *(
                self.target.send(self.deliveries[start : start + 10])
                for start in range(0, EVENT_COUNT, 10)
            )
        )

    async def cursor(self) -> None:
        """Move the cursor."""
        await self.store.commit([MoveCursor("bench", self.position)])

    @property
    def in_order(self) -> tuple[Callable[[], Awaitable[None]], ...]:
        """The stages, each after what it needs."""
        return (
            self.verify,
            self.decode,
            self.stamp,
            self.append,
            self.read,
            self.match,
            self.plan,
            self.lanes,
            self.queue_put,
            self.cursor,
        )


class _Nothing:
    """A target that takes everything at once."""

    batch_count_max = 500

    async def send(self, deliveries: Sequence[Delivery]) -> list[Outcome]:
        """See `TargetSender.send`."""
        return [DELIVERED] * len(deliveries)


def _rule(number: int, queue_arn: str) -> Rule:
    pattern = {"source": [f"shop.{number}"], "detail": {"amount": [{"numeric": [">", 0]}]}}
    return Rule(
        region=REGION,
        account=ACCOUNT,
        event_bus_name="bench",
        name=f"r{number}",
        event_pattern=json.dumps(pattern),
        targets={"q": Target(id="q", arn=queue_arn)},
    )


async def measure(directory: Path) -> dict[str, float]:
    """Return each stage's microseconds per event: the median of its rounds."""
    stages = Stages(directory)
    taken: dict[str, list[float]] = {}
    for _ in range(ROUNDS):
        for stage in stages.in_order:
            began = time.process_time()
            await stage()
            spent = (time.process_time() - began) / EVENT_COUNT * 1e6
            taken.setdefault(stage.__name__, []).append(spent)
    for lane in stages.lane_by_rule.values():
        await lane.close()
    await stages.store.close()
    return {name: round(sorted(times)[ROUNDS // 2], 2) for name, times in taken.items()}


def main() -> None:
    """Measure and print."""
    sys.setswitchinterval(0.0005)
    with tempfile.TemporaryDirectory(prefix="farspan-stages-") as directory:
        figures = asyncio.run(measure(Path(directory)))
    figures["sum"] = round(sum(figures.values()), 2)
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
