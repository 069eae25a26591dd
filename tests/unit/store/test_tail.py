"""The logs' last events in memory."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.model.event import CallId, EventBatch
from farspan.store.tail import LogTail

BUSES = ("a", "b")


def batch(event_bus: str, position: int, count: int, size: int = 10) -> EventBatch:
    """Return a batch as the store keeps it."""
    return EventBatch(
        event_bus=event_bus,
        call=CallId(b"%14d" % position),
        events=(b"x" * size,) * count,
        accepted_at=0.0,
        origin="us-east-1",
        position=position,
    )


def test_nothing_is_known_of_a_bus_without_batches() -> None:
    """Only the file knows whether a bus has a log."""
    tail = LogTail[str]()

    assert tail.read("a", 0, 10) is None
    assert tail.end("a") is None


@pytest.mark.parametrize(
    ("after", "positions"),
    [(4, None), (5, [6, 8, 9]), (6, [6, 8, 9]), (7, [8, 9]), (9, [9]), (11, []), (50, [])],
)
def test_it_is_read_from_any_position_that_it_has(after: int, positions: list[int] | None) -> None:
    """A batch is read that holds an event beyond the position; before its first, the file is."""
    tail = LogTail[str]()
    for position, count in ((6, 2), (8, 1), (9, 3)):
        tail.add("a", position, batch("a", position, count))
    found = tail.read("a", after, 100)

    assert (None if found is None else [each.position for each in found]) == positions
    assert tail.end("a") == 11


def test_a_read_stops_once_it_has_enough() -> None:
    """The limit counts events, and a batch comes whole."""
    tail = LogTail[str]()
    for position in (1, 4, 7):
        tail.add("a", position, batch("a", position, 3))

    assert [each.position for each in tail.read("a", 0, 4) or []] == [1, 4]


def test_a_trimmed_log_is_forgotten() -> None:
    """Of a bus that was trimmed the file knows what is left; others stay."""
    tail = LogTail[str]()
    tail.add("a", 1, batch("a", 1, 1))
    tail.add("b", 1, batch("b", 1, 1))
    tail.forget("a")
    tail.add("a", 2, batch("a", 2, 1))

    assert tail.read("a", 0, 10) is None
    assert [each.position for each in tail.read("a", 1, 10) or []] == [2]
    assert tail.end("b") == 1


@given(
    st.lists(st.tuples(st.sampled_from(BUSES), st.integers(1, 4), st.integers(1, 40)), max_size=60),
    st.integers(0, 59),
)
def test_it_keeps_the_last_batches_within_its_bytes(
    added: list[tuple[str, int, int]], forgotten_at: int
) -> None:
    """Whatever is added, it holds an end of each log without a gap, and no more than it may."""
    tail = LogTail[str](bytes_max=300)
    logs: dict[str, list[EventBatch]] = {bus: [] for bus in BUSES}
    for number, (bus, count, size) in enumerate(added):
        if number == forgotten_at:
            tail.forget("a")
        position = sum(len(each.events) for each in logs[bus]) + 1
        logs[bus].append(batch(bus, position, count, size))
        tail.add(bus, logs[bus][-1].position, logs[bus][-1])
    kept = 0
    for bus, log in logs.items():
        for each in reversed(log):
            found = tail.read(bus, each.position - 1, 10_000)
            if found is None:
                break
            kept += sum(map(len, each.events))
            assert found == [other for other in log if other.position >= each.position]

    assert kept <= 300


def test_clearing_forgets_every_log() -> None:
    """After that only the file knows, and what is added begins anew."""
    tail = LogTail[tuple[str, str]]()
    for log in (("s.veo", "us-east-1"), ("t.veo", "us-east-1")):
        tail.add(log, 7, batch("a", 1, 2))
    tail.clear()
    assert tail.read(("s.veo", "us-east-1"), 6, 10) is None
    tail.add(("s.veo", "us-east-1"), 9, batch("a", 3, 1))

    assert [each.position for each in tail.read(("s.veo", "us-east-1"), 8, 10) or []] == [3]
