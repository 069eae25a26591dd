"""What replication itself takes of the processor, per event: the origin's side and the copy's.

In one process, without sockets, on the real store: batches of ten events of 1 KB, a thousand in a
round, from the origin's memory and from its file. Processor time of all threads counts, so what
else the machine does and what the disk takes stay out.
"""

from __future__ import annotations

import asyncio
import tempfile
import time
from pathlib import Path
from typing import Final

import msgspec

from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.event import CallId, EventBatch
from farspan.replication.stream import StreamReply, bounds_told, plan_replicas, ship
from farspan.store.base import READ_BYTES_MAX, Append
from farspan.store.sqlite import open_store

EVENT_COUNT: Final = 1_000
CALL_EVENTS: Final = 10
ROUNDS: Final = 15
ORIGIN: Final = "us-east-1"
ENDPOINT: Final = Endpoint(
    account="1" * 12,
    name="bench",
    endpoint_id="bench.veo",
    event_bus_name="bench",
    primary_region=ORIGIN,
    secondary_region="us-west-2",
    health_check_id="h",
    state=EndpointState.ACTIVE,
)
_encode = msgspec.msgpack.Encoder().encode


def batch(number: int) -> EventBatch:
    """Return a call's events as ingest appends them."""
    head = (
        b'{"version":"0","id":"%036d","detail-type":"Bench","source":"bench","account":"' % number
    )
    tail = b'","time":"2026-11-23T12:00:00Z","region":"us-east-1","resources":[],"detail":{"text":"'
    event = b"".join((head, b"1" * 12, tail, b"x" * 900, b'"}}'))
    return EventBatch(
        event_bus=ENDPOINT.event_bus_key,
        call=CallId(number.to_bytes(14, "big")),
        events=(event,) * CALL_EVENTS,
        accepted_at=float(number),
        origin=ORIGIN,
        stream=ENDPOINT.endpoint_id,
    )


async def stages(directory: Path) -> dict[str, float]:
    """Return each stage's microseconds per event, the median of its rounds."""
    loop = asyncio.get_running_loop()
    origin, copy = (open_store(directory / name, loop) for name in ("origin", "copy"))
    taken: dict[str, list[float]] = {}
    after = number = 0
    at = time.process_time()

    def took(stage: str) -> None:
        nonlocal at
        now = time.process_time()
        taken.setdefault(stage, []).append((now - at) / EVENT_COUNT * 1e6)
        at = time.process_time()

    for _ in range(ROUNDS):
        count = EVENT_COUNT // CALL_EVENTS
        batches = [batch(number + each) for each in range(count)]
        number += count
        await asyncio.gather(*(origin.commit([Append(each)]) for each in batches))
        at = time.process_time()
        read = await origin.read_stream(ENDPOINT.endpoint_id, ORIGIN, after, EVENT_COUNT + 1)
        bounds = bounds_told(read, after=after, limit=EVENT_COUNT + 1)
        assert bounds is not None
        took("origin: read")
        body = _encode(ship("log", read, start=bounds.start, end=bounds.end))
        took("origin: encode")
        reply = msgspec.msgpack.decode(body, type=StreamReply)
        took("copy: decode")
        changes, after = plan_replicas(ENDPOINT, ORIGIN, "log", after, reply.batches)
        took("copy: plan")
        await copy.commit(changes)
        took("copy: commit")
    assert after == ROUNDS * EVENT_COUNT < READ_BYTES_MAX
    await origin.close()
    await copy.close()
    return {name: round(sorted(times)[ROUNDS // 2], 2) for name, times in taken.items()}


def measure_stages() -> dict[str, float]:
    """Measure in a directory of its own, and add the sum."""
    with tempfile.TemporaryDirectory(prefix="farspan-stages-") as directory:
        found = asyncio.run(stages(Path(directory)))
    return {**found, "sum": round(sum(found.values()), 2)}


if __name__ == "__main__":
    print(measure_stages())
