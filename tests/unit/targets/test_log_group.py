"""Log groups as targets: what is logged, when, under which stream, and what comes of it."""

from __future__ import annotations

import json

import pytest

from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.event import CallId
from farspan.model.log_group import LogEvent
from farspan.store.base import StoreError
from farspan.targets.log_group import LogGroupTarget, log_event_of

EAST, ACCOUNT = "us-east-1", "000000000000"
NOW = 1_700_000_000.0
NOW_MS = 1_700_000_000_000
Batches = list[tuple[CallId, list[LogEvent]]]


class Logs:
    """Log groups that keep what is written, one commit at a time."""

    def __init__(self) -> None:
        self.writes: list[tuple[str, str, str, Batches]] = []
        self.is_broken = False

    async def write(self, account: str, group: str, stream: str, batches: Batches) -> bool:
        """See `LogWriter`."""
        if self.is_broken:
            raise StoreError("The disk is full.")
        if group == "missing":
            return False
        self.writes.append((account, group, stream, batches))
        return True


@pytest.fixture
def logs() -> Logs:
    """Return empty log groups."""
    return Logs()


@pytest.fixture
def target(logs: Logs) -> LogGroupTarget:
    """Return the target over them."""
    return LogGroupTarget(EAST, logs.write, lambda: NOW)


def event(time: str = "2023-11-14T22:13:00Z") -> bytes:
    """Return an event."""
    return f'{{"version":"0","id":"e","time":"{time}","detail":{{}}}}'.encode()


def delivery(payload: bytes, group: str = "g", number: int = 1, target_id: str = "t") -> Delivery:
    """Return a delivery to a group."""
    return Delivery(
        delivery_id=f"d{number}",
        event_id="e",
        rule_arn="r",
        target_id=target_id,
        target_arn=f"arn:aws:logs:{EAST}:{ACCOUNT}:log-group:{group}",
        payload=payload,
        planned_at=0.0,
    )


async def test_a_batch_is_one_commit(target: LogGroupTarget, logs: Logs) -> None:
    """Each delivery has a call of its own, which its repetition has again."""
    some = [delivery(event(), number=number) for number in range(3)]
    first, again = [await target.send(some) for _ in range(2)]

    assert [DELIVERED] * 3 == first == again
    assert logs.writes[0] == logs.writes[1]
    ((account, group, _, batches), _) = logs.writes
    assert (ACCOUNT, "g", 3) == (account, group, len({call for call, _ in batches}))


async def test_each_target_has_its_stream(target: LogGroupTarget, logs: Logs) -> None:
    """Two targets of a rule do not write into one."""
    await target.send([delivery(event()), delivery(event(), target_id="u")])

    assert 2 == len({stream for _, _, stream, _ in logs.writes})


async def test_each_failure_is_its_own(target: LogGroupTarget, logs: Logs) -> None:
    """A missing group and an unfit payload are final; their neighbours are logged."""
    outcomes = await target.send(
        [delivery(event()), delivery(event(), "missing"), delivery(b'"text"')]
    )
    logs.is_broken = True
    (broken,) = await target.send([delivery(event())])

    assert [
        (Verdict.DELIVERED, None),
        (Verdict.PERMANENT, "NO_RESOURCE"),
        (Verdict.PERMANENT, "INVALID_JSON"),
        (Verdict.RETRYABLE, "INTERNAL_ERROR"),
    ] == [(one.verdict, one.error_code) for one in (*outcomes, broken)]


async def test_another_regions_group_is_none(target: LogGroupTarget) -> None:
    """A target sees its own Region's groups only."""
    one = delivery(event())
    arn = one.target_arn.replace(EAST, "eu-west-1")
    elsewhere = Delivery(**{**_fields(one), "target_arn": arn})
    outcomes: list[Outcome] = []
    for each in (elsewhere, Delivery(**{**_fields(one), "target_arn": "arn:x"})):
        outcomes += await LogGroupTarget(EAST, _nothing, lambda: NOW).send([each])

    assert ["NO_RESOURCE"] * 2 == [outcome.error_code for outcome in outcomes]


async def _nothing(account: str, group: str, stream: str, batches: Batches) -> bool:
    assert not account
    return bool(group and stream and batches)


def _fields(one: Delivery) -> dict[str, object]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


@pytest.mark.parametrize(
    ("payload", "timestamp", "message"),
    [
        (event(), NOW_MS - 20_000, event().decode()),
        (event("2001-01-01T00:00:00Z"), NOW_MS, event("2001-01-01T00:00:00Z").decode()),
        (b'{"timestamp": 1699999999000, "message": "m"}', NOW_MS - 1_000, "m"),
        (b'{"timestamp": "1699999999000", "message": "m"}', NOW_MS - 1_000, "m"),
        (b'{"message": "m", "timestamp": "2023-11-14T22:13:19Z"}', NOW_MS - 1_000, "m"),
        (b'{"message": "m", "timestamp": "2023-11-14T22:13:19"}', NOW_MS - 1_000, "m"),
    ],
    ids=["event", "old-event", "number", "digits", "iso", "iso-without-zone"],
)
def test_what_is_logged(payload: bytes, timestamp: int, message: str) -> None:
    """An event whole at its time, or what a template made; what is too old, at its arrival."""
    assert LogEvent("", timestamp, message) == log_event_of(payload, NOW_MS)


@pytest.mark.parametrize(
    "payload",
    [
        b"[1]",
        b'{"timestamp": 1, "message": ""}',
        b'{"timestamp": "soon", "message": "m"}',
        json.dumps({"timestamp": "9" * 30, "message": {"a": 1}}).encode(),
        b'{"message": "m"}',
        b'{"version":"0","id":"e"',
        b'{"version":"0","id":"\xff","time":"2023-11-14T22:13:00Z"}',
    ],
)
def test_what_is_not(payload: bytes) -> None:
    """Neither an event nor a timestamp with a message."""
    assert log_event_of(payload, NOW_MS) is None
