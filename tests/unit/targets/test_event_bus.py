"""Event buses as targets: what is sent together, what is not sent, and what comes of it."""

from __future__ import annotations

import pytest

from farspan.errors import ServiceUnavailableException
from farspan.model.delivery import DELIVERED, Delivery, Outcome, Verdict
from farspan.model.forwarding import ForwardReply, ForwardRequest
from farspan.targets.event_bus import REQUEST_BYTES_MAX, EventBusTarget

ACCOUNT = "000000000000"
EAST, WEST = "us-east-1", "us-west-2"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/forward"
DENIED = Outcome(verdict=Verdict.PERMANENT, error_code="NO_PERMISSIONS", error_message="no")


class Buses:
    """Records what is forwarded; raises `failure` where there is one."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, ForwardRequest]] = []
        self.failure: Exception | None = None
        self.denials: dict[bytes, str] = {}

    async def forward(self, region: str, request: ForwardRequest) -> ForwardReply:
        """See `Forward`."""
        if self.failure is not None:
            raise self.failure
        self.requests.append((region, request))
        return ForwardReply(denials=tuple(self.denials.get(e.event) for e in request.events))


@pytest.fixture
def buses() -> Buses:
    """Return buses that take everything."""
    return Buses()


@pytest.fixture
def target(buses: Buses) -> EventBusTarget:
    """Return the target of us-east-1, whose roles may do all but one thing."""
    return EventBusTarget(
        EAST, buses.forward, lambda role, *_: DENIED if role.endswith("denied") else None
    )


def delivery(
    payload: bytes = b"{}",
    *,
    region: str = EAST,
    origin: str = EAST,
    forwarded: bool = False,
    role: str = ROLE,
) -> Delivery:
    """Return a delivery to bus b of a Region."""
    return Delivery(
        delivery_id="d",
        event_id="e",
        rule_arn=f"arn:aws:events:{EAST}:{ACCOUNT}:rule/r",
        target_id="b",
        target_arn=f"arn:aws:events:{region}:{ACCOUNT}:event-bus/b",
        payload=payload,
        planned_at=0.0,
        role_arn=role,
        origin=origin,
        is_forwarded=forwarded,
        trace_header="Root=1",
    )


async def test_what_goes_to_one_bus_goes_together(target: EventBusTarget, buses: Buses) -> None:
    """One request for each bus, with all that the receiving side decides by."""
    outcomes = await target.send([delivery(b"1"), delivery(b"2", region=WEST), delivery(b"3")])

    assert [DELIVERED] * 3 == outcomes
    assert [(EAST, [b"1", b"3"]), (WEST, [b"2"])] == [
        (region, [each.event for each in request.events]) for region, request in buses.requests
    ]
    request = buses.requests[0][1]
    assert (ACCOUNT, ROLE, EAST) == (request.account, request.role_arn, request.from_region)
    assert {("Root=1", EAST, False)} == {
        (each.trace_header, each.origin, each.is_forwarded) for each in request.events
    }


async def test_a_request_is_bounded(target: EventBusTarget, buses: Buses) -> None:
    """A third event that would make the request too large goes with the next one."""
    third = b"x" * (REQUEST_BYTES_MAX // 2)
    await target.send([delivery(third), delivery(third), delivery(third)])

    assert [2, 1] == [len(request.events) for _, request in buses.requests]


@pytest.mark.parametrize(
    ("one", "code"),
    [
        (delivery(forwarded=True), "THIRD_ACCOUNT_HOP_DETECTED"),
        (delivery(region=WEST, origin=WEST), "THIRD_REGION_HOP_DETECTED"),
        (delivery(role=f"{ROLE}-denied"), "NO_PERMISSIONS"),
    ],
    ids=["account", "region", "role"],
)
async def test_what_is_never_sent(
    target: EventBusTarget, buses: Buses, one: Delivery, code: str
) -> None:
    """A hop too many and a role that may not are final."""
    (outcome,) = await target.send([one])

    assert (Verdict.PERMANENT, code) == (outcome.verdict, outcome.error_code)
    assert [] == buses.requests


@pytest.mark.parametrize(
    "one",
    [
        delivery(region=WEST, forwarded=True),
        delivery(origin=WEST),
        delivery(region=WEST, origin=""),
    ],
    ids=["region-after-account", "account-after-region", "stored-by-an-older-release"],
)
async def test_one_hop_of_each_kind(target: EventBusTarget, one: Delivery) -> None:
    """An event may go through one bus of its Region and into one other Region, in either order."""
    assert [DELIVERED] == await target.send([one])


@pytest.mark.parametrize(
    ("failure", "code"),
    [
        (ConnectionError("nobody is there"), "CROSS_REGION_INGESTION_FAILED"),
        (TimeoutError(), "CROSS_REGION_INGESTION_FAILED"),
        (ServiceUnavailableException("the disk is full"), "INTERNAL_ERROR"),
    ],
    ids=["down", "slow", "store"],
)
async def test_a_region_that_is_down_is_asked_again(
    target: EventBusTarget, buses: Buses, failure: Exception, code: str
) -> None:
    """Whatever may pass is retried."""
    buses.failure = failure
    outcomes = await target.send([delivery(region=WEST), delivery(region=WEST)])

    assert [(Verdict.RETRYABLE, code)] * 2 == [(o.verdict, o.error_code) for o in outcomes]


async def test_each_event_has_its_own_verdict(target: EventBusTarget, buses: Buses) -> None:
    """What the bus denies is final in the bus's words; its neighbours are delivered."""
    buses.denials = {b"2": "not this one"}
    first, second = await target.send([delivery(b"1"), delivery(b"2")])

    assert DELIVERED == first
    assert ("NO_PERMISSIONS", "not this one") == (second.error_code, second.error_message)
