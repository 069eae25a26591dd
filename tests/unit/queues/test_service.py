"""Sending, receiving, waiting: the queue service over the memory engine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

import msgspec
import pytest

from farspan.model.queue import Message, Queue
from farspan.queues.message import ReceiptHandle, read_receipt_handle
from farspan.queues.service import SWEEP_LIMIT, Outgoing, QueueService, Received
from farspan.store.base import StoreError, TimerCounts

if TYPE_CHECKING:
    from conftest import CountingStore, FakeClock

Words = Callable[[str], Message]


def bodies(received: list[Received]) -> list[str]:
    """Return what was received, in order."""
    return [entry.message.body for entry in received]


def handle_of(queue: Queue, received: Received) -> ReceiptHandle:
    """Return the handle of something received."""
    return read_receipt_handle(received.receipt_handle, queue.timer_list)


def start(
    service: QueueService, queue: Queue, limit: int = 1, visibility_timeout: int = 30
) -> asyncio.Task[list[Received]]:
    """Start a receiver that waits up to twenty seconds."""
    return asyncio.create_task(service.receive(queue, limit, visibility_timeout, 20))


async def test_what_is_sent_is_received(
    service: QueueService, queue: Queue, message: Words
) -> None:
    """Messages come in the order in which they were sent, up to the limit."""
    await service.send(queue, [Outgoing(message=message(body)) for body in "abc"])

    assert bodies(await service.receive(queue, 2, 30, 0)) == ["a", "b"]


async def test_the_same_key_puts_one_message(
    service: QueueService, queue: Queue, message: Words
) -> None:
    """A message sent again under its key is there once."""
    for body in "ab":
        await service.put(queue, [(b"k" * 16, message(body))])

    assert bodies(await service.receive(queue, 10, 30, 0)) == ["a"]


async def test_several_messages_are_one_commit(
    service: QueueService, queue: Queue, message: Words, store: CountingStore
) -> None:
    """Ten messages sent together cost one commit."""
    await service.send(queue, [Outgoing(message=message(str(n))) for n in range(10)])

    assert store.commit_count == 1


async def test_a_received_message_is_invisible_for_its_time(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A message comes back when its visibility timeout ends, with its receive counted."""
    await service.send(queue, [Outgoing(message=message("a"))])
    [first] = await service.receive(queue, 1, 30, 0)
    await clock.advance(29)
    meanwhile = await service.receive(queue, 1, 30, 0)
    await clock.advance(1)
    [second] = await service.receive(queue, 1, 30, 0)

    assert meanwhile == []
    assert (first.receive_count, second.receive_count) == (1, 2)
    assert first.first_received_at == second.first_received_at


async def test_a_deleted_message_does_not_come_back(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A deletion by the latest receipt is for good, and can be repeated."""
    await service.send(queue, [Outgoing(message=message("a"))])
    [received] = await service.receive(queue, 1, 30, 0)
    for _ in range(2):
        await service.delete(queue, [handle_of(queue, received)])
    await clock.advance(60)

    assert await service.receive(queue, 1, 30, 0) == []


async def test_an_earlier_receipt_deletes_nothing(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A receiver that was too slow cannot delete what another has received since."""
    await service.send(queue, [Outgoing(message=message("a"))])
    [first] = await service.receive(queue, 1, 30, 0)
    await clock.advance(30)
    await service.receive(queue, 1, 30, 0)
    await service.delete(queue, [handle_of(queue, first)])

    assert await service.counts(queue) == TimerCounts(due=0, claimed=1, waiting=0)


async def test_a_receipt_changes_visibility_while_it_is_the_latest(
    service: QueueService, queue: Queue, message: Words
) -> None:
    """A visibility of 0 gives the message back at once, and then the receipt is an earlier one."""
    await service.send(queue, [Outgoing(message=message("a"))])
    [first] = await service.receive(queue, 1, 30, 0)
    given_back = await service.change_visibility(queue, [(handle_of(queue, first), 0)])
    again = await service.receive(queue, 1, 30, 0)
    too_late = await service.change_visibility(queue, [(handle_of(queue, first), 60)])

    assert (given_back, bodies(again), too_late) == ([True], ["a"], [False])


async def test_counts_tell_visible_in_flight_and_delayed(
    service: QueueService, queue: Queue, message: Words
) -> None:
    """A queue's messages are counted by what they wait for."""
    await service.send(queue, [Outgoing(message=message("a")), Outgoing(message=message("b"))])
    await service.send(queue, [Outgoing(message=message("c"), delay_seconds=5)])
    await service.receive(queue, 1, 30, 0)

    assert await service.counts(queue) == TimerCounts(due=1, claimed=1, waiting=1)


async def test_a_purge_takes_everything(
    service: QueueService, queue: Queue, message: Words
) -> None:
    """A purge removes visible, in-flight and delayed messages."""
    await service.send(queue, [Outgoing(message=message("a")), Outgoing(message=message("b"))])
    await service.receive(queue, 1, 30, 0)
    await service.purge(queue)

    assert await service.counts(queue) == TimerCounts(due=0, claimed=0, waiting=0)


async def test_an_old_message_is_never_received(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """Messages past their retention are passed over and removed, however many they are."""
    short = msgspec.structs.replace(queue, message_retention_period=60)
    await service.send(short, [Outgoing(message=message(str(n))) for n in range(25)])
    await clock.advance(61)
    await service.send(short, [Outgoing(message=message("young"))])

    assert bodies(await service.receive(short, 10, 30, 0)) == ["young"]
    assert await service.counts(short) == TimerCounts(due=0, claimed=1, waiting=0)


async def test_a_waiting_receiver_gets_what_is_sent(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A message sent while a receiver waits reaches it without any time passing."""
    receiver = start(service, queue)
    await clock.advance(3)
    await service.send(queue, [Outgoing(message=message("a"))])
    await clock.settle()

    assert receiver.done()
    assert bodies(receiver.result()) == ["a"]


@pytest.mark.parametrize("set_by", [600.0, -600.0], ids=["ahead", "back"])
async def test_a_clock_that_is_set_moves_no_message(
    service: QueueService,
    queue: Queue,
    message: Words,
    clock: FakeClock,
    set_by: float,
) -> None:
    """What is visible stays so, what is in flight or delayed comes at its time, nothing expires."""
    queue = msgspec.structs.replace(queue, message_retention_period=120)
    await service.send(queue, [Outgoing(message=message("flying"))])
    await service.receive(queue, 1, visibility_timeout=30, wait_seconds=0)
    delayed = Outgoing(message=message("delayed"), delay_seconds=20)
    await service.send(queue, [Outgoing(message=message("visible")), delayed])
    clock.set_by = set_by

    seen: list[tuple[float, str]] = []
    while clock.elapsed < 40:
        received = await service.receive(queue, 10, visibility_timeout=600, wait_seconds=0)
        seen += [(clock.elapsed, one.message.body) for one in received]
        await clock.advance(10)

    assert seen == [(0.0, "visible"), (20.0, "delayed"), (30.0, "flying")]


async def test_waiting_ends_with_nothing(
    service: QueueService, queue: Queue, clock: FakeClock
) -> None:
    """A receiver returns empty-handed when its time is up, not before."""
    receiver = start(service, queue)
    await clock.advance(19.9)
    early = receiver.done()
    await clock.advance(0.1)

    assert (early, receiver.result()) == (False, [])


@pytest.mark.parametrize("delay_seconds", [1, 7, 20])
async def test_a_waiting_receiver_gets_a_delayed_message_on_time(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock, delay_seconds: int
) -> None:
    """A message that becomes due while a receiver waits reaches it at that moment."""
    await service.send(queue, [Outgoing(message=message("a"), delay_seconds=delay_seconds)])
    receiver = start(service, queue)
    await clock.advance(delay_seconds - 0.5)
    early = receiver.done()
    await clock.advance(0.5)

    assert (early, bodies(receiver.result())) == (False, ["a"])


async def test_a_waiting_receiver_gets_what_another_gives_back(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A message made visible again wakes a receiver."""
    await service.send(queue, [Outgoing(message=message("a"))])
    [first] = await service.receive(queue, 1, 1_000, 0)
    receiver = start(service, queue)
    await clock.advance(1)
    await service.change_visibility(queue, [(handle_of(queue, first), 0)])
    await clock.settle()

    assert bodies(receiver.result()) == ["a"]


async def test_waiting_costs_nothing(
    service: QueueService, queue: Queue, clock: FakeClock, store: CountingStore
) -> None:
    """Of fifty receivers that wait in vain one alone asks the store: the others know by it."""
    receivers = [start(service, queue)]
    await clock.settle()
    receivers += [start(service, queue) for _ in range(49)]
    await clock.advance(19)
    on_arrival = (store.commit_count, store.look_count)
    await clock.advance(1)

    assert on_arrival == (1, 1)
    assert all(receiver.result() == [] for receiver in receivers)
    assert store.commit_count == 1


async def test_one_message_wakes_one_receiver(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock, store: CountingStore
) -> None:
    """A message sent to a queue with fifty receivers costs its send: it comes claimed."""
    receivers = [start(service, queue) for _ in range(50)]
    await clock.settle()
    before = store.commit_count
    await service.send(queue, [Outgoing(message=message("a"))])
    await clock.settle()

    assert sum(receiver.done() for receiver in receivers) == 1
    assert store.commit_count - before == 1
    await clock.advance(20)


async def test_what_is_handed_over_is_in_flight(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A message that came to a waiting receiver is invisible, has one receipt, and comes back."""
    receiver = start(service, queue, visibility_timeout=5)
    await clock.settle()
    await service.send(queue, [Outgoing(message=message("a"))])
    await clock.settle()
    [received] = receiver.result()
    counts = await service.counts(queue)
    meanwhile = await service.receive(queue, 1, 5, 0)
    again = start(service, queue)
    await clock.advance(6)

    assert (received.receive_count, received.first_received_at) == (1, clock.now() - 6)
    assert (counts.due, counts.claimed, counts.waiting) == (0, 1, 0)
    assert meanwhile == []
    assert [each.receive_count for each in again.result()] == [2]


async def test_what_is_handed_over_can_be_deleted(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """The receipt of a message that came to a waiting receiver removes it."""
    receiver = start(service, queue)
    await clock.settle()
    await service.send(queue, [Outgoing(message=message("a"))])
    await clock.settle()
    await service.delete(queue, [handle_of(queue, each) for each in receiver.result()])
    counts = await service.counts(queue)

    assert (counts.due, counts.claimed) == (0, 0)


async def test_a_repeated_message_is_handed_over_once(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A key that the queue holds already wakes nobody with a second copy."""
    await service.put(queue, [(b"key", message("a"))])
    await service.receive(queue, 1, 1_000, 0)
    receiver = start(service, queue)
    await clock.settle()
    await service.put(queue, [(b"key", message("a"))])
    await clock.settle()
    is_waiting = not receiver.done()
    await service.put(queue, [(b"other", message("b"))])
    await clock.settle()

    assert is_waiting
    assert bodies(receiver.result()) == ["b"]


async def test_a_receiver_gets_no_more_than_it_asked_for(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """What a batch has beyond the limits of those who wait stays visible."""
    receivers = [start(service, queue, limit=2) for _ in range(2)]
    await clock.settle()
    await service.send(queue, [Outgoing(message=message(body)) for body in "abcde"])
    await clock.settle()
    left = await service.receive(queue, 10, 30, 0)

    assert [bodies(receiver.result()) for receiver in receivers] == [["a", "b"], ["c", "d"]]
    assert bodies(left) == ["e"]


async def test_a_delayed_message_is_handed_to_nobody(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A message with a delay reaches a waiting receiver when the delay is over."""
    receiver = start(service, queue)
    await clock.settle()
    await service.send(queue, [Outgoing(message=message("a"), delay_seconds=3)])
    await clock.advance(2)
    early = receiver.done()
    await clock.advance(1.5)

    assert not early
    assert bodies(receiver.result()) == ["a"]


async def test_a_message_for_a_receiver_that_left_is_visible_again(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock, store: CountingStore
) -> None:
    """A receiver that goes away while its message is being stored leaves it to the next."""
    receiver = start(service, queue)
    await clock.settle()
    store.before_commit = receiver.cancel
    await service.send(queue, [Outgoing(message=message("a"))])
    await clock.settle()
    received = await service.receive(queue, 1, 30, 0)

    assert receiver.cancelled()
    assert bodies(received) == ["a"]


async def test_a_message_that_could_not_be_stored_leaves_its_receiver_waiting(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock, store: CountingStore
) -> None:
    """A send that fails is the sender's error; who waits gets the next message."""
    receiver = start(service, queue)
    await clock.settle()
    store.error = StoreError("The disk is full.")
    with pytest.raises(StoreError):
        await service.send(queue, [Outgoing(message=message("a"))])
    store.error = None
    await clock.settle()
    is_waiting = not receiver.done()
    await service.send(queue, [Outgoing(message=message("b"))])
    await clock.settle()

    assert is_waiting
    assert bodies(receiver.result()) == ["b"]


async def test_a_batch_serves_as_many_receivers_as_it_has_messages(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """Those in line take their turns until the messages are gone, first come, first served."""
    receivers = [start(service, queue) for _ in range(5)]
    await clock.settle()
    await service.send(queue, [Outgoing(message=message(body)) for body in "abc"])
    await clock.settle()

    assert [r.done() for r in receivers] == [True, True, True, False, False]
    assert [bodies(r.result()) for r in receivers[:3]] == [["a"], ["b"], ["c"]]
    await clock.advance(20)


@pytest.mark.parametrize("place", [0, 1, 2])
async def test_a_cancelled_receiver_hands_its_place_on(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock, place: int
) -> None:
    """Whoever in line is cancelled, the others get the messages."""
    receivers = [start(service, queue) for _ in range(3)]
    await clock.settle()
    receivers.pop(place).cancel()
    await clock.settle()
    await service.send(queue, [Outgoing(message=message(body)) for body in "ab"])
    await clock.settle()

    assert [bodies(receiver.result()) for receiver in receivers] == [["a"], ["b"]]


async def test_nothing_is_left_of_those_who_waited(
    service: QueueService, queue: Queue, clock: FakeClock
) -> None:
    """When the last receiver is gone, neither line nor sleeper nor task remains."""
    receivers = [start(service, queue) for _ in range(3)]
    await clock.settle()
    for receiver in receivers:
        receiver.cancel()
    await clock.settle()

    assert (service._lines, clock.sleepers) == ({}, [])
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_queue_made_anew_has_a_generation_of_its_own(
    service: QueueService, queue: Queue, store: CountingStore, message: Words
) -> None:
    """What was sent to a queue before its removal never comes back under its name."""
    first = await service.next_generation(queue.account, queue.name)
    await store.commit(service.ending(queue))
    await service.send(queue, [Outgoing(message=message("late"))])
    second = await service.next_generation(queue.account, queue.name)
    anew = msgspec.structs.replace(queue, generation=second)

    assert (first, second) == (1, 2)
    assert await service.receive(anew, 1, 30, 0) == []


async def test_messages_that_nobody_reads_expire(
    service: QueueService, queue: Queue, message: Words, clock: FakeClock
) -> None:
    """A sweep removes what is past the queue's retention, however much it is, and nothing else."""
    short = msgspec.structs.replace(queue, message_retention_period=60)
    other = msgspec.structs.replace(queue, name="other")
    old = [Outgoing(message=message(str(n))) for n in range(SWEEP_LIMIT + 5)]
    await service.send(short, old)
    await service.send(other, old[:1])
    await clock.advance(30)
    await service.send(short, [Outgoing(message=message("new"))])
    await clock.advance(31)

    assert await service.sweep([short, other]) == SWEEP_LIMIT + 5
    assert await service.sweep([short, other]) == 0
    assert bodies(await service.receive(short, 10, 30, 0)) == ["new"]
    assert len(await service.receive(other, 10, 30, 0)) == 1
