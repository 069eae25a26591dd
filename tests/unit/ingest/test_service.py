"""PutEvents as it runs: durable before acknowledged, once however often it is repeated."""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from farspan.clock import SeededIds
from farspan.errors import AccessDeniedException, ServiceUnavailableException
from farspan.ingest import service as service_module
from farspan.ingest.entries import Entry, EntryError, PutEventsRequest
from farspan.ingest.service import CANARY_BUS, IngestService, PutEventsCall, place_on_endpoint
from farspan.model.bus import EventBus
from farspan.model.endpoint import Endpoint, ReplicationState
from farspan.model.forwarding import ForwardedEvent, ForwardRequest
from farspan.store.base import StoreError, StoreFailed
from farspan.store.memory import MemoryStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farspan.clock import Clock
    from farspan.ingest.entries import Placement
    from farspan.store.base import Change, Result

ACCOUNT = "000000000000"
BUS = f"{ACCOUNT}/default"
HERE = "us-east-1"
ENDPOINT = Endpoint(
    account=ACCOUNT,
    name="shop",
    endpoint_id="abcde12345.veo",
    event_bus_name="orders",
    primary_region=HERE,
    secondary_region="eu-central-1",
    health_check_id="h",
)


def call(
    *details: str,
    access_key_id: str = "AKIA",
    invocation_id: str | None = "i-1",
    bus: str | None = None,
    endpoint: Endpoint | None = None,
) -> PutEventsCall:
    """Return a call with an entry for each detail."""
    entries = [
        Entry(source="shop", detail_type="order", detail=detail, event_bus_name=bus)
        for detail in details or ("{}",)
    ]
    return PutEventsCall(
        account=ACCOUNT,
        access_key_id=access_key_id,
        request=PutEventsRequest(entries=entries),
        body_sha256=hashlib.sha256(repr(details).encode()).digest(),
        invocation_id=invocation_id,
        endpoint=endpoint,
    )


class ToldCopies:
    """An endpoint's replication that says what the test wants, and notes what it was asked."""

    def __init__(self, refusal: str | None = None, reason: str | None = None) -> None:
        self.told_refusal, self.reason = refusal, reason
        self.asked: list[int] = []

    def refusal(self, endpoint: Endpoint) -> str | None:
        """See `Copies.refusal`."""
        assert endpoint.endpoint_id == ENDPOINT.endpoint_id
        return self.told_refusal

    async def arrived(self, endpoint: Endpoint, sequence: int) -> str | None:
        """See `Copies.arrived`."""
        assert endpoint.endpoint_id == ENDPOINT.endpoint_id
        self.asked.append(sequence)
        return self.reason

    def durability(self, endpoint: Endpoint) -> str | None:
        """See `Copies.durability`."""
        assert endpoint.endpoint_id == ENDPOINT.endpoint_id
        return "both"


class StillClock:
    """Time that the test sets."""

    def __init__(self) -> None:
        self.seconds = 1_700_000_000.75

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """Never return: nothing under test sleeps."""
        await asyncio.Event().wait()


class FragileStore(MemoryStore):
    """A memory engine that fails, or never answers, when it is told to; it counts its commits."""

    def __init__(self) -> None:
        super().__init__()
        self.error: StoreError | None = None
        self.gate = asyncio.Event()
        self.gate.set()
        self.commit_count = 0

    async def commit(self, changes: Sequence[Change]) -> list[Result]:
        """Commit, or do what the test wants."""
        self.commit_count += 1
        await self.gate.wait()
        if self.error is not None:
            raise self.error
        return await super().commit(changes)


@pytest.fixture
def clock() -> StillClock:
    """Return a clock that stands still."""
    return StillClock()


@pytest.fixture
def store() -> FragileStore:
    """Return an empty store."""
    return FragileStore()


@pytest.fixture
def service(store: MemoryStore, clock: Clock) -> IngestService:
    """Return a service whose account has the buses default and orders."""
    buses = {
        name: EventBus(region=HERE, account=ACCOUNT, name=name) for name in ("default", "orders")
    }
    return IngestService(HERE, store, clock, SeededIds(1), lambda _, name: buses.get(name))


async def put(service: IngestService, one: PutEventsCall) -> dict[str, Any]:
    """Put events and return the output as a caller reads it."""
    output: dict[str, Any] = msgspec.json.decode(await service.put_events(one))
    return output


async def test_what_is_acknowledged_is_in_the_log(
    service: IngestService, store: MemoryStore, clock: Clock
) -> None:
    """The ids in the answer are those of the events in the log, in the order of the entries."""
    output = await put(service, call('{"n":1}', '{"n":2}'))

    (batch,) = await store.read_log(BUS, 0, 10)
    events = [msgspec.json.decode(event) for event in batch.events]

    assert output["FailedEntryCount"] == 0
    assert [e["EventId"] for e in output["Entries"]] == [event["id"] for event in events]
    assert [event["detail"]["n"] for event in events] == [1, 2]
    assert (batch.accepted_at, batch.origin, batch.stream) == (clock.now(), HERE, None)


async def test_g2_a_repeated_call_is_one_event_with_one_id(
    service: IngestService, store: MemoryStore
) -> None:
    """An SDK's retry has the ids of the first try, and the log has the events once (G2)."""
    first = await put(service, call('{"n":1}'))
    again = await put(service, call('{"n":1}'))

    assert first == again
    assert await store.log_end(BUS) == 1


@pytest.mark.parametrize(
    "other",
    [
        pytest.param(call("{}", access_key_id="AKIB"), id="another key"),
        pytest.param(call("{}", invocation_id="i-2"), id="another invocation"),
        pytest.param(call("{ }"), id="another body"),
    ],
)
async def test_another_call_is_another_event(
    service: IngestService, store: MemoryStore, other: PutEventsCall
) -> None:
    """Calls that are not each other's retries have ids of their own."""
    first, second = await put(service, call("{}")), await put(service, other)

    assert first != second
    assert await store.log_end(BUS) == 2


async def test_a_call_without_an_invocation_id_is_never_a_retry(
    service: IngestService, store: MemoryStore
) -> None:
    """A caller that names no invocation gets new ids each time."""
    outputs = [await put(service, call("{}", invocation_id=None)) for _ in range(2)]

    assert outputs[0] != outputs[1]
    assert await store.log_end(BUS) == 2


async def test_a_bad_entry_does_not_keep_the_others_back(
    service: IngestService, store: MemoryStore
) -> None:
    """The answer counts the failures and has each entry's id or error in its place."""
    output = await put(service, call("{}", "[]", "{}"))

    assert output["FailedEntryCount"] == 1
    assert [sorted(result) for result in output["Entries"]] == [
        ["EventId"],
        ["ErrorCode", "ErrorMessage"],
        ["EventId"],
    ]
    assert await store.log_end(BUS) == 2


async def test_an_unknown_bus_is_accepted_and_dropped(
    service: IngestService, store: MemoryStore
) -> None:
    """A call for a bus that does not exist has ids, and needs no store."""
    output = await put(service, call("{}", bus="none"))

    assert output["FailedEntryCount"] == 0
    assert len(output["Entries"][0]["EventId"]) == 36
    assert await store.event_buses() == []


async def test_a_bus_may_be_named_by_its_arn(service: IngestService, store: MemoryStore) -> None:
    """The ARN of one's own bus is as good as its name."""
    await put(service, call("{}", bus=f"arn:aws:events:{HERE}:{ACCOUNT}:event-bus/orders"))

    assert await store.event_buses() == [f"{ACCOUNT}/orders"]


@pytest.mark.parametrize(
    "bus", ["arn:aws:events:eu-central-1:000000000000:event-bus/orders", "arn:nonsense"]
)
async def test_an_arn_of_elsewhere_fails_its_entry(service: IngestService, bus: str) -> None:
    """An ARN of another Region, or none at all, is an error that names the Region."""
    output = await put(service, call("{}", bus=bus))

    assert output["Entries"][0]["ErrorCode"] == "InvalidArgument"
    assert f"Region {HERE}" in output["Entries"][0]["ErrorMessage"]


async def test_another_accounts_bus_is_denied(service: IngestService) -> None:
    """A bus of another account has no policy that would let the caller in."""
    with pytest.raises(AccessDeniedException, match="not authorized to perform: events:PutEvents"):
        await service.put_events(
            call("{}", bus=f"arn:aws:events:{HERE}:111111111111:event-bus/orders")
        )


@pytest.mark.parametrize("failure", [StoreError("Disk full."), StoreFailed("I/O error.")])
async def test_g1_nothing_is_acknowledged_that_is_not_stored(
    service: IngestService, store: FragileStore, failure: StoreError
) -> None:
    """Where the store cannot take the events, the caller is told to come again (G1)."""
    store.error = failure

    with pytest.raises(ServiceUnavailableException, match=f"Region {HERE} .*: {failure}"):
        await service.put_events(call("{}"))

    store.error = None
    assert (await put(service, call("{}")))["FailedEntryCount"] == 0
    assert await store.log_end(BUS) == 1


async def test_g1_the_answer_waits_for_the_store(
    service: IngestService, store: FragileStore
) -> None:
    """No id is given out before the commit is durable (G1)."""
    store.gate.clear()
    answer = asyncio.create_task(service.put_events(call("{}")))
    for _ in range(5):
        await asyncio.sleep(0)  # noqa: TID251 - gives way to other tasks, waits for no time
    waiting = not answer.done()
    store.gate.set()
    await answer

    assert waiting


# --- endpoints ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "bus",
    [
        pytest.param(None, id="the endpoint's own"),
        pytest.param("orders", id="by name"),
        pytest.param(f"arn:aws:events:{HERE}:{ACCOUNT}:event-bus/orders", id="the primary's ARN"),
        pytest.param(
            f"arn:aws:events:eu-central-1:{ACCOUNT}:event-bus/orders", id="the secondary's ARN"
        ),
    ],
)
async def test_an_endpoints_events_are_in_its_stream(
    service: IngestService, store: MemoryStore, bus: str | None
) -> None:
    """What comes with an EndpointId goes to the endpoint's bus, numbered in its stream."""
    await put(service, call("{}", "{}", bus=bus, endpoint=ENDPOINT))

    (batch,) = await store.read_stream(ENDPOINT.endpoint_id, HERE, 0, 10)

    assert (batch.event_bus, batch.sequence, len(batch.events)) == (f"{ACCOUNT}/orders", 1, 2)


async def test_what_is_not_to_be_replicated_is_in_no_stream(
    service: IngestService, store: MemoryStore
) -> None:
    """What comes while replication is DISABLED is on the bus, and is not shipped later either."""
    disabled = msgspec.structs.replace(ENDPOINT, replication=ReplicationState.DISABLED)
    await put(service, call('{"n":1}', endpoint=disabled))
    await put(service, call('{"n":2}', endpoint=ENDPOINT))

    (shipped,) = await store.read_stream(ENDPOINT.endpoint_id, HERE, 0, 10)

    assert await store.log_end(f"{ACCOUNT}/orders") == 2
    assert (shipped.sequence, shipped.position) == (1, 2)


@pytest.mark.parametrize(
    "bus",
    [
        "default",
        f"arn:aws:events:ap-south-1:{ACCOUNT}:event-bus/orders",
        f"arn:aws:events:{HERE}:111111111111:event-bus/orders",
        f"arn:aws:events:{HERE}:{ACCOUNT}:event-bus/default",
    ],
)
def test_an_endpoint_has_one_bus(bus: str) -> None:
    """Another bus, another Region or another account than the endpoint's fails the entry."""
    placement: Placement = place_on_endpoint(ENDPOINT, bus)

    assert placement.event_bus is None
    assert isinstance(placement.error, EntryError)
    assert ENDPOINT.endpoint_id in placement.error.message


# --- the canary --------------------------------------------------------------------------------


async def test_the_canary_appends_and_leaves_no_heap(
    service: IngestService, store: MemoryStore
) -> None:
    """Each canary is a durable append of its own, and its log stays short."""
    for _ in range(20):
        assert await service.canary() == 0.0

    assert await store.log_end(CANARY_BUS) == 20
    assert len(await store.read_log(CANARY_BUS, 0, 100)) <= 2


async def test_canaries_at_once_share_an_append(
    service: IngestService, store: FragileStore
) -> None:
    """Any number of questions at the same moment costs one append."""
    await asyncio.gather(*(service.canary() for _ in range(50)))

    assert store.commit_count == 1


async def test_the_canary_tells_of_a_failed_store(
    service: IngestService, store: FragileStore
) -> None:
    """A store that cannot write is seen at once, and so is its recovery."""
    store.error = StoreFailed("The store stopped.")
    with pytest.raises(StoreFailed):
        await service.canary()

    store.error = None

    assert await service.canary() == 0.0


async def test_the_canary_tells_of_a_slow_store(
    service: IngestService, store: FragileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A store that does not answer in time counts as one that does not work."""
    monkeypatch.setattr(service_module, "CANARY_SECONDS_MAX", 0.001)
    store.gate.clear()
    with pytest.raises(TimeoutError):
        await service.canary()
    store.gate.set()
    monkeypatch.undo()

    assert await service.canary() == 0.0


async def test_a_forwarded_event_is_once_in_the_log(
    service: IngestService, store: FragileStore
) -> None:
    """Two events take one commit, and sending them again adds nothing."""
    events = tuple(
        ForwardedEvent(
            event=b'{"version":"0","id":"%036d","detail-type":"d","source":"s"}' % number,
            origin=HERE,
        )
        for number in range(2)
    )
    request = ForwardRequest(
        event_bus_arn=f"arn:aws:events:{HERE}:{ACCOUNT}:event-bus/orders",
        from_region=HERE,
        account=ACCOUNT,
        role_arn=f"arn:aws:iam::{ACCOUNT}:role/r",
        events=events,
    )
    replies = [await service.take_forwarded(request) for _ in range(2)]
    batches = await store.read_log(f"{ACCOUNT}/orders", 0, 10)

    assert [(None, None)] * 2 == [reply.denials for reply in replies]
    assert [each.event for each in events] == [event for b in batches for event in b.events]
    assert store.commit_count == 2


async def test_forwarding_into_a_broken_store_is_not_acknowledged(
    service: IngestService, store: FragileStore
) -> None:
    """Whoever forwards has to come again."""
    store.error = StoreError("The disk is full.")
    request = ForwardRequest(
        event_bus_arn=f"arn:aws:events:{HERE}:{ACCOUNT}:event-bus/orders",
        from_region=HERE,
        account=ACCOUNT,
        role_arn="",
        events=(ForwardedEvent(event=b'{"version":"0","id":"' + b"0" * 36, origin=HERE),),
    )

    with pytest.raises(ServiceUnavailableException, match="The disk is full"):
        await service.take_forwarded(request)


# --- endpoints whose calls wait for the other Region ------------------------------------------


def copying(store: MemoryStore, clock: Clock, copies: ToldCopies) -> IngestService:
    """Return a service that asks `copies`."""
    bus = EventBus(region=HERE, account=ACCOUNT, name="orders")
    return IngestService(HERE, store, clock, SeededIds(1), lambda *_: bus, copies)


async def test_a_call_waits_for_its_last_event(store: FragileStore, clock: Clock) -> None:
    """Whoever has that has all before; a retry waits for what the first sending stored."""
    copies = ToldCopies()
    service = copying(store, clock, copies)
    first = await put(service, call("{}", "{}", endpoint=ENDPOINT))
    await put(service, call("{}", invocation_id="i-2", endpoint=ENDPOINT))
    again = await put(service, call("{}", "{}", endpoint=ENDPOINT))

    assert copies.asked == [2, 3, 2]
    assert first == again
    assert service.durability(ENDPOINT) == "both"


async def test_what_came_as_a_replica_is_in_both(store: FragileStore, clock: Clock) -> None:
    """A retry in the other Region of a call that crossed before waits for nothing."""
    copies = ToldCopies()
    theirs = IngestService(
        ENDPOINT.secondary_region, store, clock, SeededIds(1), lambda *_: None, ToldCopies()
    )
    await put(theirs, call("{}", endpoint=ENDPOINT))
    await put(copying(store, clock, copies), call("{}", endpoint=ENDPOINT))

    assert copies.asked == []


async def test_a_refused_call_is_not_stored(store: FragileStore, clock: Clock) -> None:
    """Where the other Region is known to be away, nothing is left behind."""
    service = copying(store, clock, ToldCopies(refusal="eu-central-1 does not follow"))
    with pytest.raises(ServiceUnavailableException, match="does not follow"):
        await put(service, call("{}", endpoint=ENDPOINT))

    assert store.commit_count == 0


async def test_a_call_that_waited_in_vain_fails_and_is_stored(
    store: FragileStore, clock: Clock
) -> None:
    """The caller tries again, with the same ids: no second event, and none lost."""
    copies = ToldCopies(reason="eu-central-1 has not confirmed")
    service = copying(store, clock, copies)
    with pytest.raises(ServiceUnavailableException, match="has not confirmed"):
        await put(service, call("{}", endpoint=ENDPOINT))
    copies.reason = None
    await put(service, call("{}", endpoint=ENDPOINT))

    assert len(await store.read_log(ENDPOINT.event_bus_key, 0, 10)) == 1


@pytest.mark.parametrize(
    "endpoint", [None, msgspec.structs.replace(ENDPOINT, replication=ReplicationState.DISABLED)]
)
async def test_what_is_not_replicated_waits_for_nobody(
    store: FragileStore, clock: Clock, endpoint: Endpoint | None
) -> None:
    """Without an endpoint, or with one that does not replicate, one Region is all there is."""
    copies = ToldCopies(refusal="no", reason="no")
    service = copying(store, clock, copies)
    await put(service, call("{}", bus="orders", endpoint=endpoint))

    assert copies.asked == []
    assert service.durability(endpoint) is None


async def test_entries_that_failed_wait_for_nobody(store: FragileStore, clock: Clock) -> None:
    """A call of which nothing was accepted has nothing to be copied."""
    copies = ToldCopies(refusal="no")
    output = await put(
        copying(store, clock, copies), call("{}", bus="elsewhere", endpoint=ENDPOINT)
    )

    assert output["FailedEntryCount"] == 1
