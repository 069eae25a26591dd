"""Any sequence of changes comes to the same in every engine; the memory engine is the model."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from farspan.model.event import CallId, EventBatch
from farspan.store.base import (
    AckInGroup,
    AckTimer,
    Append,
    ClaimGroups,
    ClaimTimers,
    Conflict,
    DeleteDocument,
    DropTimers,
    ExpireTimers,
    MoveCursor,
    MoveTimer,
    PutDocument,
    PutInGroup,
    PutTimer,
    Trim,
)
from farspan.store.memory import MemoryStore
from farspan.store.sqlite import open_store

if TYPE_CHECKING:
    from farspan.store.base import Change, Store

BUSES = ("1/a", "1/b")
STREAM_OF_BUS = {"1/a": "s", "1/b": "t"}
ORIGINS = ("here", "there")
LISTS = ("x", "y")
GROUPED = "grouped"

names = st.sampled_from(("a", "b", "c"))
keys = names.map(str.encode)
times = st.integers(0, 6).map(float)
versions = st.none() | st.integers(0, 3)
claims = st.none() | st.integers(0, 3)
many_keys = st.sampled_from("abcdefgh").map(str.encode)


@st.composite
def appends(draw: st.DrawFn) -> Append:
    """Return an append, in a stream of its bus or in none."""
    bus = draw(st.sampled_from(BUSES))
    call = draw(st.integers(0, 12))
    return Append(
        EventBatch(
            event_bus=bus,
            call=CallId(call.to_bytes(14, "big")),
            events=tuple(b"%d" % n for n in range(draw(st.integers(1, 3)))),
            accepted_at=draw(times),
            origin=draw(st.sampled_from(ORIGINS)),
            stream=draw(st.sampled_from((None, STREAM_OF_BUS[bus]))),
        )
    )


lists = st.sampled_from(LISTS)
changes = st.one_of(
    appends(),
    st.builds(Trim, st.sampled_from(BUSES), st.integers(0, 20)),
    st.builds(PutDocument, names, st.binary(max_size=2), versions),
    st.builds(DeleteDocument, names, versions),
    st.builds(MoveCursor, names, st.integers(0, 9)),
    st.builds(PutTimer, lists, keys, times, st.binary(max_size=2)),
    st.builds(ClaimTimers, lists, times, times, st.integers(0, 4)),
    st.builds(AckTimer, lists, keys, claims),
    st.builds(MoveTimer, lists, keys, times, claims, st.none() | st.binary(max_size=2)),
    st.builds(DropTimers, lists),
    st.builds(ExpireTimers, lists, times, st.integers(0, 3)),
)
grouped_changes = st.one_of(
    st.builds(
        PutInGroup,
        st.just(GROUPED),
        st.sampled_from("12"),
        many_keys,
        times,
        st.binary(max_size=2),
        st.binary(max_size=2),
        st.none() | keys,
        st.just(3.0),  # who puts has one clock, which does not go back
        times,
    ),
    st.builds(ClaimGroups, st.just(GROUPED), times, times, st.integers(0, 4)),
    st.builds(AckInGroup, st.just(GROUPED), many_keys, claims),
    st.builds(ExpireTimers, st.just(GROUPED), times, st.integers(0, 3)),
    # Only who claimed a timer moves it.
    st.builds(MoveTimer, st.just(GROUPED), many_keys, times, st.integers(1, 3)),
)
grouped_commits = st.lists(
    st.lists(grouped_changes, min_size=1, max_size=6), min_size=1, max_size=10
)
commits = st.lists(st.lists(changes, min_size=1, max_size=6), min_size=1, max_size=10)


async def apply(store: Store, group: list[Change]) -> object:
    """Commit, and return the results or the conflict's sentence."""
    try:
        return await store.commit(group)
    except Conflict as conflict:
        return str(conflict)


async def everything(store: Store) -> list[object]:
    """Return what every read of the store gives."""
    seen: list[object] = [await store.documents(""), await store.event_buses()]
    for bus in BUSES:
        seen += [await store.log_end(bus), await store.position_at(bus, 3.0)]
        seen += [await store.read_log(bus, after, 2) for after in range(0, 20, 3)]
        for origin in ORIGINS:
            stream = STREAM_OF_BUS[bus]
            seen.append((await store.stream_bounds(stream, origin)).end)
            seen += [await store.read_stream(stream, origin, after, 3) for after in (0, 1, 4)]
    seen += [await store.cursor(name) for name in "abc"]
    for timers in LISTS:  # lists with groups are not read, only claimed
        seen += [await store.read_timers(timers, (after, 0), 5.0, 2) for after in (-1.0, 2.0)]
    for timers in (*LISTS, GROUPED):
        seen += [await store.next_due(timers), await store.count_timers(timers, 3.0)]
        seen += [await store.measure_timers(timers)]
        seen.append(await store.next_due(timers, 2.0))
    return seen


async def compare(groups: list[list[Change]]) -> None:
    """Apply the commits to both engines, reopening SQLite half-way, and compare everything."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "store.sqlite3"
        loop = asyncio.get_running_loop()
        model, engine = MemoryStore(), open_store(path, loop)
        for number, group in enumerate(groups):
            if number == len(groups) // 2:
                await engine.close()
                engine = open_store(path, loop)

            assert await apply(model, group) == await apply(engine, group)

        expected, found = await everything(model), await everything(engine)
        await engine.close()

        assert expected == found


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(commits)
def test_sqlite_does_what_memory_does(groups: list[list[Change]]) -> None:
    """Random commits give the same results and the same reads, also after reopening."""
    asyncio.run(compare(groups))


@settings(
    max_examples=40,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(grouped_commits)
def test_sqlite_groups_as_memory_does(groups: list[list[Change]]) -> None:
    """Groups are put, claimed, moved and acknowledged alike, and tokens hold for as long."""
    asyncio.run(compare(groups))
