"""Lists with groups: what every engine promises of the order within one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farspan.store.base import (
    AckInGroup,
    ClaimGroups,
    DropTimers,
    ExpireTimers,
    MoveTimer,
    PutInGroup,
    PutTimer,
)

if TYPE_CHECKING:
    from farspan.store.base import Store

LIST = "l"


def put(name: str, *, due: float = 0.0, token: bytes | None = None, now: float = 0.0) -> PutInGroup:
    """Put `a1` as the timer a1 of group a."""
    key = name.encode()
    return PutInGroup(LIST, name[0], key, due, b"", key, token, now, now + 300)


async def claim(store: Store, now: float, until: float, limit: int = 10) -> list[str]:
    """Return the keys of what can be claimed."""
    [timers] = await store.commit([ClaimGroups(LIST, now, until, limit)])
    assert isinstance(timers, list)
    return [timer.key.decode() for timer in timers]


async def test_a_group_comes_in_order_and_as_a_whole(store: Store) -> None:
    """The group that waits longest comes first, each in the order of putting."""
    await store.commit([put("a1"), put("b1"), put("a2"), put("b2")])

    assert await claim(store, 1, 30, 3) == ["a1", "a2", "b1"]


async def test_a_group_waits_for_what_is_claimed(store: Store) -> None:
    """While one timer of a group is claimed and not due again, no other of it is."""
    await store.commit([put("a1"), put("a2"), put("b1")])

    assert await claim(store, 1, 30, 1) == ["a1"]
    assert await claim(store, 2, 30) == ["b1"]
    assert await claim(store, 3, 30) == []


async def test_a_group_goes_on_after_a_removal(store: Store) -> None:
    """The next of a group is due as soon as the first is gone, and who waits is told."""
    told: list[frozenset[str]] = []
    store.subscribe(lambda _, lists: told.append(lists))
    await store.commit([put("a1"), put("a2")])
    await claim(store, 1, 30, 1)
    told.clear()
    [removed] = await store.commit([AckInGroup(LIST, b"a1", 1)])

    assert removed is True
    assert told == [frozenset({LIST})]
    assert await claim(store, 2, 30) == ["a2"]


async def test_an_earlier_claim_removes_nothing(store: Store) -> None:
    """Whoever claimed a timer before another did cannot remove it."""
    await store.commit([put("a1"), put("a2")])
    await claim(store, 1, 2, 1)
    await claim(store, 2, 30, 1)
    [removed] = await store.commit([AckInGroup(LIST, b"a1", 1)])

    assert removed is False
    assert await claim(store, 3, 30) == []


async def test_what_comes_back_keeps_its_place(store: Store) -> None:
    """A timer that is due again comes before those put after it."""
    await store.commit([put("a1"), put("a2"), put("a3")])
    await claim(store, 1, 30, 1)
    await store.commit([MoveTimer(LIST, b"a1", 2, 1)])

    assert await claim(store, 2, 30) == ["a1", "a2", "a3"]


async def test_one_in_flight_keeps_those_that_came_back(store: Store) -> None:
    """A group of which the second is still claimed does not begin again with the first."""
    await store.commit([put("a1"), put("a2")])
    await claim(store, 1, 30)
    await store.commit([MoveTimer(LIST, b"a1", 2, 1)])

    assert await claim(store, 3, 40) == []
    assert await claim(store, 30, 60) == ["a1", "a2"]


async def test_a_group_stops_at_what_is_not_due(store: Store) -> None:
    """A timer that is due later keeps those put after it waiting."""
    await store.commit([put("a1"), put("a2", due=9), put("a3")])

    assert await claim(store, 1, 5) == ["a1"]
    await store.commit([AckInGroup(LIST, b"a1", 1)])
    assert await claim(store, 6, 20) == []
    assert await store.next_due(LIST, after=6) == 9
    assert await claim(store, 9, 20) == ["a2", "a3"]


async def test_waiting_timers_are_due_for_nobody_but_count(store: Store) -> None:
    """`next_due` tells of first timers; the count tells of all by their own times."""
    await store.commit([put("a1", due=1), put("a2", due=2), put("a3", due=7)])
    counts = await store.count_timers(LIST, 3)

    assert await store.next_due(LIST) == 1
    assert await store.next_due(LIST, after=1) is None
    assert (counts.due, counts.claimed, counts.waiting) == (2, 0, 1)


async def test_a_token_holds_for_its_time(store: Store) -> None:
    """What comes with a token that is held is left out and answered with the first's note."""
    notes = await store.commit(
        [put("a1", token=b"t"), put("a2", token=b"t", now=299), put("a3", token=b"t", now=300)]
    )

    assert notes == [b"a1", b"a1", b"a3"]
    assert await claim(store, 301, 400) == ["a1", "a3"]


async def test_a_token_outlives_its_timer(store: Store) -> None:
    """Removing a timer does not let its token go; dropping the list does."""
    await store.commit([put("a1", token=b"t"), AckInGroup(LIST, b"a1")])
    [held] = await store.commit([put("a2", token=b"t")])
    await store.commit([DropTimers(LIST)])
    [free] = await store.commit([put("a3", token=b"t")])

    assert (held, free) == (b"a1", b"a3")


async def test_a_key_puts_one_timer(store: Store) -> None:
    """A key that the list holds is left as it is, whatever its token."""
    await store.commit([put("a1"), put("a1", token=b"t")])

    assert await claim(store, 1, 30) == ["a1"]


async def test_old_timers_expire_up_to_the_limit(store: Store) -> None:
    """The earliest due go first; those of a group let the next go on, and go as well if old."""
    await store.commit([put("a1", due=1), put("a2", due=2), put("a3", due=9), put("b1", due=3)])
    [some] = await store.commit([ExpireTimers(LIST, 3, 2)])
    [rest] = await store.commit([ExpireTimers(LIST, 3, 2)])

    assert (some, rest) == (2, 1)
    assert await store.next_due(LIST) == 9
    assert await claim(store, 9, 20) == ["a3"]


async def test_timers_without_groups_expire_as_well(store: Store) -> None:
    """What is due later than the bound, or claimed until later, stays."""
    await store.commit([PutTimer(LIST, key, due, b"") for key, due in ((b"a", 1.0), (b"b", 5.0))])

    assert await store.commit([ExpireTimers(LIST, 4.0, 10)]) == [1]
    assert await store.next_due(LIST) == 5.0
