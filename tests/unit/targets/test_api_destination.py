"""API destinations as targets: what every fault comes to, and how often they are invoked."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import msgspec
import pytest
from aiohttp import web

from farspan.clock import SystemClock
from farspan.model.api_destination import ApiDestination
from farspan.model.connection import AuthorizationType, Connection, Secret
from farspan.model.delivery import Delivery, Verdict
from farspan.model.rule import RetryPolicy
from farspan.targets.api_destination import ApiDestinationTarget
from farspan.targets.call import FAULTS, Fault
from farspan.targets.oauth import TokenSource

if TYPE_CHECKING:
    from tests.unit.targets.conftest import MakeConnector, Servers

CONNECTION = Connection(
    region="us-east-1",
    account="000000000000",
    name="hook",
    uuid="u",
    authorization_type=AuthorizationType.API_KEY,
    sealed_secret=b"sealed",
)
SECRET = Secret(api_key_name="X-Key", api_key_value="k")


class StillClock(SystemClock):
    """Time that stands still, and notes who would have slept."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self.set_by = 0.0

    def now(self) -> float:
        """See `Clock.now`."""
        return 1_700_000_000.0 + self.set_by

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return 100.0

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        self.slept.append(seconds)


class Hooked:
    """An API destination with a server behind it."""

    def __init__(self, make_connector: MakeConnector) -> None:
        self.clock = StillClock()
        self.bodies: list[str] = []
        self.destination = ApiDestination(
            region="us-east-1",
            account="000000000000",
            name="hook",
            uuid="u",
            connection_arn=CONNECTION.arn,
            invocation_endpoint="http://127.0.0.1:1/*",
            http_method="POST",
            invocation_rate_limit_per_second=4,
        )
        self.target = ApiDestinationTarget(
            make_connector(),
            cast("TokenSource", None),
            self.clock,
            lambda _account, name: self.destination if name == "hook" else None,
            lambda _account, _name: CONNECTION,
            lambda _connection: SECRET,
        )

    async def answer(self, request: web.Request) -> web.Response:
        """Take a request's body; fail the one that says so."""
        self.bodies.append(await request.text())
        return web.Response(status=500 if self.bodies[-1] == "fail" else 200)

    def delivery(self, payload: str, **changes: object) -> Delivery:
        """Return a delivery to the destination."""
        given: dict[str, object] = {
            "delivery_id": "d",
            "event_id": "e",
            "rule_arn": "r",
            "target_id": "t",
            "target_arn": self.destination.arn,
            "payload": payload.encode(),
            "planned_at": self.clock.now(),
            "parameters": {"HttpParameters": {"PathParameterValues": ["x"]}},
        }
        return Delivery(**{**given, **changes})


@pytest.fixture
async def hooked(make_connector: MakeConnector, servers: Servers) -> Hooked:
    """Return an API destination whose server runs."""
    hooked = Hooked(make_connector)
    url = await servers.serve(hooked.answer)
    hooked.destination = msgspec.structs.replace(hooked.destination, invocation_endpoint=f"{url}/*")
    return hooked


async def test_each_delivery_has_its_own_outcome(hooked: Hooked) -> None:
    """Outcomes come in the order of the deliveries, whatever became of their neighbours."""
    outcomes = await hooked.target.send(
        [
            hooked.delivery("one"),
            hooked.delivery("fail"),
            hooked.delivery("lost", target_arn="arn:aws:events:us-east-1:0:api-destination/x/y"),
            hooked.delivery("odd", parameters={}),
            hooked.delivery("two"),
        ]
    )

    assert [
        (Verdict.DELIVERED, None),
        (Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (Verdict.PERMANENT, "NO_RESOURCE"),
        (Verdict.PERMANENT, "INVALID_PARAMETER"),
        (Verdict.DELIVERED, None),
    ] == [(outcome.verdict, outcome.error_code) for outcome in outcomes]
    assert {"one", "fail", "two"} == set(hooked.bodies)


async def test_the_rate(hooked: Hooked) -> None:
    """More than the destination's rate waits for its turn."""
    await hooked.target.send([hooked.delivery(str(number)) for number in range(10)])

    assert 10 == len(hooked.bodies)
    assert [0.25, 0.5, 0.75, 1.0, 1.25, 1.5] == hooked.clock.slept


async def test_an_event_that_waits_too_long(hooked: Hooked) -> None:
    """What would be too old when its turn comes is not sent, and takes no turn (G4)."""
    old = hooked.delivery("old", planned_at=hooked.clock.now() - 59.9)
    old = msgspec.structs.replace(old, retry_policy=RetryPolicy(maximum_event_age_in_seconds=60))
    outcomes = await hooked.target.send([*[hooked.delivery(str(n)) for n in range(4)], old])

    assert (Verdict.RETRYABLE, "THROTTLING") == (outcomes[4].verdict, outcomes[4].error_code)
    assert {"0", "1", "2", "3"} == set(hooked.bodies)


async def test_a_clock_that_is_set_makes_no_event_older(hooked: Hooked) -> None:
    """What was planned before the clock was set ten minutes ahead has its turn (G4)."""
    young = hooked.delivery("young", retry_policy=RetryPolicy(maximum_event_age_in_seconds=60))
    hooked.clock.set_by = 600.0
    (outcome,) = await hooked.target.send([young])

    assert Verdict.DELIVERED == outcome.verdict


async def test_a_destination_of_the_same_name(hooked: Hooked) -> None:
    """One that was deleted and made anew is another: its ARN has another end."""
    (outcome,) = await hooked.target.send(
        [hooked.delivery("x", target_arn=hooked.destination.arn + "2")]
    )

    assert "NO_RESOURCE" == outcome.error_code


async def test_a_secret_that_does_not_open(hooked: Hooked) -> None:
    """Farspan's own fault fails the attempt alone, may be tried again, and shows no detail."""

    def fail(_connection: Connection) -> Secret:
        raise RuntimeError("hidden")

    hooked.target._open_secret = fail
    (outcome,) = await hooked.target.send([hooked.delivery("x")])

    assert (Verdict.RETRYABLE, "INTERNAL_ERROR") == (outcome.verdict, outcome.error_code)
    assert "hidden" not in str(outcome)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_is_decided(fault: Fault) -> None:
    """Each way to have no answer is retryable or final."""
    verdict, code = FAULTS[fault]

    assert verdict is not Verdict.DELIVERED
    assert code
