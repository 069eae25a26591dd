"""FIFO queues over the memory engine: order within a group, duplicates, dead letters."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.clock import SeededIds
from farspan.model.fifo import with_fifo_members
from farspan.model.queue import Message, Queue
from farspan.queues.message import ReceiptHandle, read_receipt_handle
from farspan.queues.service import Outgoing, QueueService, Received
from farspan.store.memory import MemoryStore

if TYPE_CHECKING:
    from conftest import CountingStore, FakeClock

ACCOUNT = "000000000000"
START = 1_700_000_000.0
QUEUE = Queue(
    region="us-east-1", account=ACCOUNT, name="orders.fifo", content_based_deduplication=True
)
DEAD = Queue(region="us-east-1", account=ACCOUNT, name="dead.fifo")
Words = Callable[[str], Message]


def outgoing(message: Message, group: str = "g", deduplication_id: str | None = None) -> Outgoing:
    """Return a message of a group."""
    return Outgoing(message=with_fifo_members(QUEUE, message, group, deduplication_id))


def bodies(received: list[Received]) -> list[str]:
    """Return what was received, in order."""
    return [entry.message.body for entry in received]


def handle_of(received: Received, queue: Queue = QUEUE) -> ReceiptHandle:
    """Return the handle of something received."""
    return read_receipt_handle(received.receipt_handle, queue.timer_list)


async def test_a_group_is_received_in_order(service: QueueService, message: Words) -> None:
    """Messages of one group come in the order in which they were sent, one receiver at a time."""
    await service.send_in_order(QUEUE, [outgoing(message(body)) for body in "abc"])
    first = await service.receive(QUEUE, 2, 30, 0)
    meanwhile = await service.receive(QUEUE, 2, 30, 0)
    await service.delete(QUEUE, [handle_of(entry) for entry in first])

    assert bodies(first) == ["a", "b"]
    assert meanwhile == []
    assert bodies(await service.receive(QUEUE, 2, 30, 0)) == ["c"]


async def test_sequence_numbers_grow(
    store: CountingStore, clock: FakeClock, message: Words
) -> None:
    """Also over a start with a clock that went back, and as text."""
    numbers: list[str] = []
    for body in "abc":
        fresh = QueueService("us-east-1", store, clock, SeededIds(ord(body)))
        [accepted] = await fresh.send_in_order(QUEUE, [outgoing(message(body))])
        numbers.append(accepted.sequence_number)
        clock.elapsed -= 100

    assert numbers == sorted(set(numbers))
    assert {len(number) for number in numbers} == {20}


async def test_a_repeated_message_is_answered_as_the_first(
    service: QueueService, message: Words, clock: FakeClock
) -> None:
    """For five minutes, received and deleted or not; after that it is a message again."""
    [first] = await service.send_in_order(QUEUE, [outgoing(message("a"))])
    [received] = await service.receive(QUEUE, 1, 30, 0)
    await service.delete(QUEUE, [handle_of(received)])
    await clock.advance(299)
    [again] = await service.send_in_order(QUEUE, [outgoing(message("a"))])
    nothing = await service.receive(QUEUE, 1, 30, 0)
    await clock.advance(1)
    [later] = await service.send_in_order(QUEUE, [outgoing(message("a"))])

    assert again == first
    assert nothing == []
    assert later.sequence_number > first.sequence_number
    assert bodies(await service.receive(QUEUE, 1, 30, 0)) == ["a"]


@pytest.mark.parametrize(("scope", "count"), [("queue", 1), ("messageGroup", 2)])
async def test_the_scope_of_deduplication(
    service: QueueService, message: Words, scope: str, count: int
) -> None:
    """The same id in two groups is one message of the queue, or one of each group."""
    queue = msgspec.structs.replace(QUEUE, deduplication_scope=scope)
    await service.send_in_order(queue, [outgoing(message("a"), group, "d") for group in "xy"])

    assert len(await service.receive(queue, 10, 30, 0)) == count


async def test_a_waiting_receiver_gets_the_next_of_a_group(
    service: QueueService, message: Words, clock: FakeClock
) -> None:
    """Deleting what is in flight wakes the receiver that waits for the group."""
    await service.send_in_order(QUEUE, [outgoing(message(body)) for body in "ab"])
    [first] = await service.receive(QUEUE, 1, 30, 0)
    waiting = asyncio.create_task(service.receive(QUEUE, 1, 30, 20))
    await clock.settle()
    await service.delete(QUEUE, [handle_of(first)])
    await clock.settle()

    assert bodies(await waiting) == ["b"]


async def test_a_waiting_receiver_gets_what_becomes_visible(
    service: QueueService, message: Words, clock: FakeClock
) -> None:
    """The end of a visibility timeout needs no change to wake the receiver, and waiting is idle."""
    await service.send_in_order(QUEUE, [outgoing(message(body)) for body in "ab"])
    await service.receive(QUEUE, 1, 5, 0)
    waiting = asyncio.create_task(service.receive(QUEUE, 2, 30, 20))
    await clock.advance(4.9)
    early = waiting.done()
    await clock.advance(0.2)

    assert not early
    assert bodies(await waiting) == ["a", "b"]


async def test_a_blocked_group_costs_nothing(
    service: QueueService, message: Words, clock: FakeClock, store: CountingStore
) -> None:
    """A receiver that waits for a blocked group looks once, not again and again."""
    await service.send_in_order(QUEUE, [outgoing(message(body)) for body in "ab"])
    first, second = await service.receive(QUEUE, 2, 60, 0)
    await service.change_visibility(QUEUE, [(handle_of(first), 0)])
    waiting = asyncio.create_task(service.receive(QUEUE, 1, 30, 20))
    await clock.settle()
    looks = store.look_count
    await clock.advance(19)
    commits = store.commit_count
    await clock.advance(2)

    assert bodies([second]) == ["b"]
    assert await waiting == []
    assert looks == 1
    assert store.look_count <= looks + 1
    assert store.commit_count <= commits + 1


@pytest.fixture
def redriven(store: CountingStore, clock: FakeClock) -> QueueService:
    """Return a service that finds the dead-letter queue."""
    queues = {queue.name: queue for queue in (QUEUE, DEAD)}
    return QueueService(
        "us-east-1", store, clock, SeededIds(1), lambda _account, name: queues.get(name)
    )


async def test_dead_letters_keep_their_order(
    redriven: QueueService, message: Words, clock: FakeClock
) -> None:
    """What was received too often goes, and its group goes on behind it."""
    queue = msgspec.structs.replace(QUEUE, dead_letter_arn=DEAD.arn, max_receive_count=2)
    await redriven.send_in_order(queue, [outgoing(message(body)) for body in "ab"])
    received: list[str] = []
    for _ in range(6):
        received += bodies(await redriven.receive(queue, 1, 10, 0))
        await clock.advance(10)
    await redriven.receive(queue, 1, 10, 0)
    dead = await redriven.receive(DEAD, 10, 10, 0)

    assert received == ["a", "a", "b", "b"]
    assert bodies(dead) == ["a", "b"]
    assert {entry.message.dead_letter_source_arn for entry in dead} == {queue.arn}
    assert {entry.message.group_id for entry in dead} == {"g"}


async def test_a_missing_dead_letter_queue_loses_nothing(
    service: QueueService, message: Words, clock: FakeClock
) -> None:
    """A message stays in its queue where the dead-letter queue is gone."""
    queue = msgspec.structs.replace(QUEUE, dead_letter_arn=DEAD.arn, max_receive_count=1)
    await service.send_in_order(queue, [outgoing(message("a"))])
    counts = []
    for _ in range(3):
        [received] = await service.receive(queue, 1, 10, 0)
        counts.append(received.receive_count)
        await clock.advance(10)

    assert counts == [1, 2, 3]


# --- any order of sends, receives, deletions and timeouts --------------------------------------


class _StillClock:
    """Time that the test sets."""

    def __init__(self) -> None:
        self.seconds = START

    def now(self) -> float:
        """See `Clock.now`."""
        return self.seconds

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.seconds += seconds


@dataclass
class _World:
    """A queue under random use, and what has to hold of each group."""

    clock: _StillClock = field(default_factory=_StillClock)
    sent: dict[str, list[str]] = field(default_factory=dict)
    in_hand: list[tuple[Received, float]] = field(default_factory=list)
    count: int = 0

    def __post_init__(self) -> None:
        self.service = QueueService("us-east-1", MemoryStore(), self.clock, SeededIds(1))

    async def step(self, action: str, number: int) -> None:
        """Do one thing."""
        if action == "send":
            await self.send("gh"[number % 2])
        elif action == "receive":
            await self.receive(1 + number % 4, 5 + number)
        elif action == "wait":
            self.clock.seconds += number
        elif self.in_hand:
            received, _ = self.in_hand[number % len(self.in_hand)]
            await (self.delete if action == "delete" else self.give_back)(received)

    async def send(self, group: str) -> None:
        """Send the next message of a group."""
        self.count += 1
        body = str(self.count)
        message = Message(message_id=body, body=body, sender_id=ACCOUNT, sent_at=self.clock.seconds)
        await self.service.send_in_order(QUEUE, [outgoing(message, group)])
        self.sent.setdefault(group, []).append(body)

    async def receive(self, limit: int, visibility: int) -> None:
        """Receive: of each group the first ones that are left, and only of groups at rest."""
        busy = {r.message.group_id for r, until in self.in_hand if until > self.clock.seconds}
        received = await self.service.receive(QUEUE, limit, visibility, 0)
        by_group: dict[str, list[str]] = {}
        for entry in received:
            by_group.setdefault(entry.message.group_id or "", []).append(entry.message.body)
        for group, found in by_group.items():
            assert group not in busy
            assert found == self.sent[group][: len(found)]
        at_rest = [group for group, left in self.sent.items() if left and group not in busy]
        assert bool(received) == bool(at_rest)
        ids = {entry.message.message_id for entry in received}
        self.in_hand = [entry for entry in self.in_hand if entry[0].message.message_id not in ids]
        self.in_hand += [(entry, self.clock.seconds + visibility) for entry in received]

    async def delete(self, received: Received) -> None:
        """Delete by the latest receipt, in time or late."""
        await self.service.delete(QUEUE, [handle_of(received)])
        self.sent[received.message.group_id or ""].remove(received.message.body)
        self.in_hand = [entry for entry in self.in_hand if entry[0] is not received]

    async def give_back(self, received: Received) -> None:
        """Make a message visible at once."""
        await self.service.change_visibility(QUEUE, [(handle_of(received), 0)])
        self.in_hand = [
            (entry, self.clock.seconds if entry is received else until)
            for entry, until in self.in_hand
        ]


STEPS = st.tuples(
    st.sampled_from(("send", "send", "receive", "receive", "delete", "give back", "wait")),
    st.integers(0, 7),
)


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.lists(STEPS, min_size=5, max_size=40))
def test_a_group_keeps_its_order_whatever_happens(steps: list[tuple[str, int]]) -> None:
    """Of each group only the first messages left are received, and only while none is in flight."""

    async def live() -> None:
        world = _World()
        for group in "ghghgh":
            await world.send(group)
        for action, number in steps:
            await world.step(action, number)

    asyncio.run(live())
