"""What a Region takes over of the other's stream, and what a replica looks like."""

from __future__ import annotations

import hashlib

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.ingest.entries import Entry, Placement, accept_entries
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.event import CallId, EventBatch, with_resource
from farspan.replication.stream import (
    ShippedBatch,
    StreamGap,
    StreamReply,
    StreamUnknown,
    bounds_told,
    check_reply,
    first_left,
    plan_repairs,
    plan_replicas,
    replication_cursor,
    ship,
)
from farspan.store.base import READ_BYTES_MAX, Append, BatchKey, MoveCursor, StreamBounds

EAST, WEST = "us-east-1", "us-west-2"
ENDPOINT = Endpoint(
    account="1" * 12,
    name="orders",
    endpoint_id="abcdefghij.veo",
    event_bus_name="orders",
    primary_region=EAST,
    secondary_region=WEST,
    health_check_id="c",
    state=EndpointState.ACTIVE,
)
LOG = "log of the east"
CURSOR = replication_cursor(ENDPOINT.endpoint_id, EAST, LOG)

TRICKY = [
    ',"resources":[',
    '\\,"resources":[',
    '","resources":["x"],"detail":{',
    ',\\"resources\\":[',
    '\\\\","resources":[',
    "é\u2028\x00\x1f",
    ",",
    '"',
    "\\",
]
tricky_texts = st.lists(st.sampled_from(TRICKY) | st.text(max_size=4), min_size=1, max_size=4).map(
    "".join
)
filled_texts = tricky_texts.filter(bool)
tricky_entries = st.builds(
    Entry,
    time=st.none() | st.integers(0, 2_000_000_000),
    source=filled_texts.filter(lambda text: not text.startswith("aws.")),
    detail_type=filled_texts,
    resources=st.none() | st.lists(tricky_texts, max_size=3),
    detail=st.dictionaries(tricky_texts, tricky_texts | st.lists(tricky_texts)).map(
        lambda value: msgspec.json.encode(value).decode()
    ),
)


def call_of(name: str) -> CallId:
    """Return the id of a call."""
    return CallId(hashlib.sha256(name.encode()).digest()[:14])


def envelopes_of(name: str, *entries: Entry) -> tuple[bytes, ...]:
    """Return the events that a call of these entries becomes in the eastern Region."""
    acceptance = accept_entries(
        entries,
        call=call_of(name),
        account=ENDPOINT.account,
        region=EAST,
        now=1_700_000_000.0,
        place=lambda _: Placement(event_bus="bus"),
    )
    return tuple(acceptance.envelopes["bus"])


def entry(resources: list[str] | None = None) -> Entry:
    """Return a plain entry."""
    return Entry(source="shop", detail_type="sold", detail='{"n":1}', resources=resources)


def shipped(name: str, sequence: int, event_count: int = 1) -> ShippedBatch:
    """Return a batch as the eastern Region ships it."""
    return ShippedBatch(
        event_bus=ENDPOINT.event_bus_key,
        call=call_of(name),
        sequence=sequence,
        accepted_at=1_700_000_000.0 + sequence,
        events=envelopes_of(name, *[entry()] * event_count),
    )


# --- replicas -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given_resources", "resources"),
    [(None, [ENDPOINT.arn]), ([], [ENDPOINT.arn]), (["a", "b"], [ENDPOINT.arn, "a", "b"])],
    ids=["none", "empty", "two"],
)
def test_a_replica_has_the_endpoints_arn(
    given_resources: list[str] | None, resources: list[str]
) -> None:
    """As on AWS, the endpoint's ARN stands in a replica's resources."""
    (envelope,) = envelopes_of("a", entry(given_resources))
    replica = msgspec.json.decode(with_resource(envelope, ENDPOINT.arn))

    assert replica["resources"] == resources


@settings(deadline=None)
@given(tricky_entries)
def test_a_replica_differs_in_its_resources_only(tricky: Entry) -> None:
    """Whatever texts an event is made of, every other field stays as it was, byte for byte."""
    (envelope,) = envelopes_of("a", tricky)
    replica = with_resource(envelope, ENDPOINT.arn)
    before, after = msgspec.json.decode(envelope), msgspec.json.decode(replica)

    assert after == {**before, "resources": [ENDPOINT.arn, *before["resources"]]}
    assert len(replica) - len(envelope) in (len(ENDPOINT.arn) + 2, len(ENDPOINT.arn) + 3)
    assert replica.endswith(b'"detail":' + (tricky.detail or "").encode() + b"}")


def test_a_replica_keeps_what_it_was() -> None:
    """Id, time, Region, origin, sequence and the moment of acceptance are the origin's."""
    batch = shipped("a", 1, event_count=2)
    (append, _), _ = plan_replicas(ENDPOINT, EAST, LOG, 0, [batch])
    assert isinstance(append, Append)
    replica = append.batch
    fields = [
        [(event["id"], event["time"], event["region"], event["detail"]) for event in events]
        for events in (
            map(msgspec.json.decode, batch.events),
            map(msgspec.json.decode, replica.events),
        )
    ]

    assert fields[0] == fields[1]
    assert replica.call == batch.call
    assert replica.accepted_at == batch.accepted_at
    assert (replica.origin, replica.stream) == (EAST, ENDPOINT.endpoint_id)
    assert (replica.event_bus, replica.sequence) == (ENDPOINT.event_bus_key, 1)
    assert replica.position == 0


def test_a_replica_keeps_its_trace() -> None:
    """What is shipped and taken over has the trace headers of the origin's batch."""
    headers = ("Root=1", None)
    batch = msgspec.structs.replace(shipped("a", 1, event_count=2), trace_headers=headers)
    (append, _), _ = plan_replicas(ENDPOINT, EAST, LOG, 0, [batch])
    assert isinstance(append, Append)
    (again,) = ship(LOG, [append.batch], start=1, end=2).batches

    assert (headers, headers) == (append.batch.trace_headers, again.trace_headers)


def test_a_replica_lands_on_the_bus_that_has_it_at_its_origin() -> None:
    """An endpoint's bus may have changed since the event was accepted."""
    batch = msgspec.structs.replace(shipped("a", 1), event_bus=f"{ENDPOINT.account}/former")
    (append, _), _ = plan_replicas(ENDPOINT, EAST, LOG, 0, [batch])

    assert isinstance(append, Append)
    assert append.batch.event_bus == f"{ENDPOINT.account}/former"


# --- the plan -------------------------------------------------------------------------------


def test_batches_and_cursor_are_one_commit() -> None:
    """The cursor moves in the same commit as the events, to the last one of them."""
    changes, cursor = plan_replicas(ENDPOINT, EAST, LOG, 0, [shipped("a", 1, 2), shipped("b", 3)])

    assert [type(change) for change in changes] == [Append, Append, MoveCursor]
    assert changes[-1] == MoveCursor(CURSOR, 3)
    assert cursor == 3


@pytest.mark.parametrize("cursor", [0, 7])
def test_nothing_new_changes_nothing(cursor: int) -> None:
    """No batches, no commit: a poll costs no write."""
    assert plan_replicas(ENDPOINT, EAST, LOG, cursor, []) == ([], cursor)


def test_what_is_here_is_skipped() -> None:
    """A reply that got lost is asked for again; what was committed stays out."""
    batches = [shipped("a", 1, 2), shipped("b", 3), shipped("c", 4)]
    changes, cursor = plan_replicas(ENDPOINT, EAST, LOG, 3, batches)

    assert [c.batch.call for c in changes if isinstance(c, Append)] == [call_of("c")]
    assert cursor == 4


@pytest.mark.parametrize("cursor", [3, 4, 100])
def test_all_of_it_here_already(cursor: int) -> None:
    """A reply that brings nothing new moves nothing, least of all back."""
    batches = [shipped("a", 1, 2), shipped("b", 3)]

    assert plan_replicas(ENDPOINT, EAST, LOG, cursor, batches) == ([], cursor)


@pytest.mark.parametrize(
    ("cursor", "sequences"),
    [(0, [2]), (0, [1, 3]), (5, [7]), (5, [4, 7]), (0, [3, 1])],
    ids=["at-the-start", "in-between", "after-the-cursor", "after-an-overlap", "out-of-order"],
)
def test_g5_a_gap_is_refused(cursor: int, sequences: list[int]) -> None:
    """A stream is copied without a gap or not at all; the message names both sequences."""
    batches = [shipped(str(n), n) for n in sequences]
    with pytest.raises(StreamGap, match=rf"{ENDPOINT.endpoint_id} of {EAST}: after \d+ came \d+"):
        plan_replicas(ENDPOINT, EAST, LOG, cursor, batches)


def test_g5_a_batch_that_starts_before_the_cursor_and_ends_after_it_is_refused() -> None:
    """A batch is one commit, so that half of one can never be here."""
    with pytest.raises(StreamGap):
        plan_replicas(ENDPOINT, EAST, LOG, 2, [shipped("a", 1, 3)])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 5), max_size=12), st.data())
def test_g5_any_cut_of_a_stream_is_copied_whole(sizes: list[int], data: st.DataObject) -> None:
    """However replies are cut and repeated, the copy is the stream."""
    batches: list[ShippedBatch] = []
    for size in sizes:
        first = batches[-1].sequence + len(batches[-1].events) if batches else 1
        batches.append(shipped(str(first), first, size))
    cursor, copied = 0, []
    while cursor < sum(sizes):
        reached = sum(b.sequence + len(b.events) - 1 <= cursor for b in batches)
        start = data.draw(st.integers(0, reached))
        end = data.draw(st.integers(start + 1, len(batches)))
        changes, cursor = plan_replicas(ENDPOINT, EAST, LOG, cursor, batches[start:end])
        copied += [c.batch.call for c in changes if isinstance(c, Append)]

    assert copied == [batch.call for batch in batches]


# --- replies --------------------------------------------------------------------------------


def test_a_batch_is_shipped_as_it_stands() -> None:
    """What the other Region gets is what the log has, through the wire's bytes too."""
    batch = EventBatch(
        event_bus=ENDPOINT.event_bus_key,
        call=call_of("a"),
        events=envelopes_of("a", entry()),
        accepted_at=5.5,
        origin=EAST,
        stream=ENDPOINT.endpoint_id,
        sequence=9,
        position=70,
    )
    reply = ship(LOG, [batch], start=3, end=12)
    carried = msgspec.msgpack.decode(msgspec.msgpack.encode(reply), type=StreamReply)

    assert carried == reply
    assert (reply.start, reply.end) == (3, 12)
    assert reply.batches == (
        ShippedBatch(
            event_bus=ENDPOINT.event_bus_key,
            call=batch.call,
            sequence=9,
            accepted_at=5.5,
            events=batch.events,
        ),
    )


@pytest.mark.parametrize(("cursor", "end"), [(0, 0), (0, 5), (5, 5)])
def test_a_reply_that_can_be_used(cursor: int, end: int) -> None:
    """A stream ends at the cursor or beyond it."""
    check_reply(ENDPOINT, EAST, cursor, StreamReply(log=LOG, end=end))


def test_a_stream_that_ends_before_the_cursor_is_another_log() -> None:
    """A Region whose store was replaced numbers anew: its events must not be taken for old ones."""
    with pytest.raises(StreamGap, match="ends at 4, and 5 was copied before"):
        check_reply(ENDPOINT, EAST, 5, StreamReply(log=LOG, end=4))


def test_an_unknown_stream_says_nothing() -> None:
    """That a Region does not know the endpoint does not mean that there is nothing to copy."""
    with pytest.raises(StreamUnknown, match=EAST):
        check_reply(ENDPOINT, EAST, 0, StreamReply(log=LOG, end=0, known=False))


@pytest.mark.parametrize(
    ("cursor", "start", "end", "left"),
    [
        (0, 0, 0, None),
        (0, 1, 5, None),
        (2, 3, 5, None),
        (2, 1, 5, None),
        (5, 4, 5, None),
        (5, 0, 5, None),
        (0, 3, 5, 3),
        (2, 5, 5, 5),
        (2, 0, 5, 6),
    ],
    ids=[
        "no-stream",
        "from-the-start",
        "follows-on",
        "nothing-trimmed",
        "all-copied",
        "all-copied-and-trimmed",
        "beginning-trimmed",
        "all-but-the-last-trimmed",
        "all-trimmed",
    ],
)
def test_first_left(cursor: int, start: int, end: int, left: int | None) -> None:
    """Where events beyond the cursor are gone, it is known where to go on."""
    assert left == first_left(cursor, StreamReply(log=LOG, start=start, end=end))


# --- what a read tells by itself ----------------------------------------------------------------


def read_batch(sequence: int, *events: bytes) -> EventBatch:
    """Return a batch as the origin's log has it."""
    return EventBatch(
        event_bus="bus",
        call=call_of(f"{sequence}"),
        events=events or (b"{}",),
        accepted_at=1.0,
        origin=EAST,
        stream=ENDPOINT.endpoint_id,
        sequence=sequence,
    )


def test_a_read_that_ends_before_its_limit_tells_the_end() -> None:
    """Then the last batch that it gave is the stream's last: no second look is needed."""
    batches = [read_batch(5, b"{}", b"{}"), read_batch(7)]

    assert bounds_told(batches, after=4, limit=100) == StreamBounds(0, 5, 7)
    assert bounds_told(batches, after=5, limit=100) == StreamBounds(0, 5, 7)


@pytest.mark.parametrize(
    ("batches", "after", "limit"),
    [
        ([], 4, 100),
        ([read_batch(6)], 4, 100),
        ([read_batch(5), read_batch(6)], 4, 2),
        ([read_batch(5, b"x" * READ_BYTES_MAX)], 4, 100),
    ],
    ids=["nothing", "a-gap", "its-limit", "its-bytes"],
)
def test_a_read_that_may_have_left_something_does_not(
    batches: list[EventBatch], after: int, limit: int
) -> None:
    """Then the store is asked where the stream begins and ends."""
    assert bounds_told(batches, after=after, limit=limit) is None


# --- repairs ------------------------------------------------------------------------------------


def test_a_repair_appends_what_is_missing_and_nothing_else() -> None:
    """It is the replica that it would have been, with its sequence, and no cursor moves."""
    events = {name: envelopes_of(name, entry()) for name in ("a", "b")}
    shipped = [
        ShippedBatch(
            event_bus="bus", call=call_of(name), sequence=n, accepted_at=1.0, events=events[name]
        )
        for n, name in ((7, "a"), (8, "b"))
    ]
    whole, _ = plan_replicas(ENDPOINT, EAST, LOG, 6, shipped)
    missing = {BatchKey(8, 1, call_of("b")), BatchKey(7, 1, call_of("another"))}

    assert plan_repairs(ENDPOINT, EAST, missing, shipped) == [whole[1]]
