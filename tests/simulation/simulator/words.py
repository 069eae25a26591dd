"""What the simulated world says: messages, timers, calls, and the machines under test.

Nothing here decides anything.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from farspan.catalog.federation import OwnedCatalog, PeerReport, merge
from farspan.delivery.attempt import decide, is_too_old
from farspan.endpoints.failover import Hold
from farspan.endpoints.failover import step as fail_over
from farspan.health.votes import judge
from farspan.ingest.entries import Entry
from farspan.model.delivery import Delivery, Outcome
from farspan.model.endpoint import Endpoint, EndpointState
from farspan.model.event import call_id_of
from farspan.model.health_check import HealthCheck, HealthCheckType
from farspan.model.rule import RetryPolicy, Rule, Target
from farspan.replication.link import admission
from farspan.replication.stream import StreamReply, StreamRequest, plan_replicas
from farspan.store.memory import MemoryStore

EAST, WEST, CLIENT = "east", "west", "client"
SITES = {EAST: (EAST, "east-1", "east-2"), WEST: (WEST, "west-1", "west-2")}
"""Who stands where: at each site the node that serves its Region, and two edges."""

NODES = tuple(node for site in SITES.values() for node in site)
REGIONS = tuple(SITES)
EDGES = tuple(node for node in NODES if node not in REGIONS)
OBSERVERS = tuple(node for node in NODES if node != EAST)
"""All nodes outside the primary Region. An edge is outside of both, wherever it stands."""

CHECK = HealthCheck(
    id="check",
    account="1" * 12,
    caller_reference="r",
    type=HealthCheckType.HTTP,
    request_interval=10,
    failure_threshold=3,
)
ENDPOINT = Endpoint(
    account="1" * 12,
    name="orders",
    endpoint_id="abcdefghij.veo",
    event_bus_name="orders",
    primary_region=EAST,
    secondary_region=WEST,
    health_check_id=CHECK.id,
    state=EndpointState.ACTIVE,
)
CATALOG = OwnedCatalog(region=EAST, version=1, endpoints=(ENDPOINT,), health_checks=(CHECK,))
BUS, STREAM = ENDPOINT.event_bus_key, ENDPOINT.endpoint_id

FEW_ATTEMPTS = RetryPolicy(maximum_retry_attempts=2)
SHORT_AGE = RetryPolicy(maximum_event_age_in_seconds=4)
TARGETS = {
    "few": Target(id="few", arn="few", retry_policy=FEW_ATTEMPTS),
    "short": Target(id="short", arn="short", retry_policy=SHORT_AGE, dead_letter_arn="dead"),
}
RULES = {
    region: Rule(
        region=region,
        account=ENDPOINT.account,
        event_bus_name=ENDPOINT.event_bus_name,
        name="all",
        targets=TARGETS,
    )
    for region in REGIONS
}
"""Each Region's rule matches every event, and has a target for each way to run out of retries."""

TIME_SCALE = 20.0
HOLD = Hold(seconds=1.0, seconds_max=4.0)


def _itself(store: MemoryStore) -> MemoryStore:
    return store


@dataclass(frozen=True, slots=True, kw_only=True)
class Machines:
    """The decisions that a simulated node takes, all of them Farspan's own.

    A test plants a bug by replacing one. `surviving` is what of a store outlives its process:
    every commit is durable, so all of it.
    """

    admission: Callable[..., Any] = admission
    call_id_of: Callable[..., Any] = call_id_of
    decide: Callable[..., Any] = decide
    fail_over: Callable[..., Any] = fail_over
    is_too_old: Callable[..., bool] = is_too_old
    judge: Callable[..., Any] = judge
    merge: Callable[..., Any] = merge
    plan_replicas: Callable[..., Any] = plan_replicas
    read_stream: Callable[..., Any] = MemoryStore.stream_now
    surviving: Callable[[MemoryStore], MemoryStore] = _itself


@dataclass(slots=True)
class Call:
    """One PutEvents call of a client, however often it is sent."""

    name: str
    entries: tuple[Entry, ...]
    attempt: int = 0
    acknowledged: tuple[str, ...] | None = None


@dataclass(slots=True)
class Carried:
    """A request that a node carries: where it is now, and who refused it."""

    call: Call
    attempt: int
    region: str
    refused: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A call whose events are stored and have yet to be confirmed, and how to answer it."""

    sequence: int
    ids: tuple[str, ...]
    answer: Callable[[tuple[str, ...] | None], None]


# --- messages over the network: each but the report names its sender, to be answered --------


@dataclass(frozen=True, slots=True)
class Request:
    """A client's call, to any node."""

    call: Call
    attempt: int


@dataclass(frozen=True, slots=True)
class Response:
    """The ids, or None for ServiceUnavailableException or a refused connection."""

    call: Call
    attempt: int
    ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Put:
    """A call that a node passes on to a Region."""

    sender: str
    number: int
    call: Call


@dataclass(frozen=True, slots=True)
class PutAnswer:
    """The ids, or None where the connection was refused or the Region cannot store."""

    number: int
    ids: tuple[str, ...] | None


@dataclass(frozen=True, slots=True)
class Probe:
    """One look at the primary Region."""

    sender: str
    number: int


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What the primary Region says of itself."""

    number: int
    healthy: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A Region asks for the other's stream."""

    sender: str
    number: int
    request: StreamRequest


@dataclass(frozen=True, slots=True)
class Answer:
    """The stream beyond the cursor."""

    number: int
    reply: StreamReply


@dataclass(frozen=True, slots=True)
class Told:
    """A node's report to another."""

    report: PeerReport


# --- timers ---------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Look:
    """Time to look at the evidence."""


@dataclass(frozen=True, slots=True)
class Tell:
    """Time to tell the other nodes."""


@dataclass(frozen=True, slots=True)
class Observe:
    """Time to probe."""


@dataclass(frozen=True, slots=True)
class ProbeEnds:
    """Time is up for a probe."""

    number: int


@dataclass(frozen=True, slots=True)
class Pull:
    """Time to ask for the other Region's stream."""

    number: int


@dataclass(frozen=True, slots=True)
class WaitEnds:
    """Time is up for a call that waits until the other Region has it."""

    number: int


@dataclass(frozen=True, slots=True)
class Deliver:
    """Time to look for what is to be delivered."""


@dataclass(frozen=True, slots=True)
class Attempted:
    """What an attempt of a delivery came to; its process is the one that hears of it."""

    delivery: Delivery
    outcome: Outcome


@dataclass(frozen=True, slots=True)
class ClientSends:
    """A client sends a call, for the first time or again."""

    call: Call
    attempt: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Something breaks (or, where `ends`, is mended): a node, a link, a disk, the network."""

    kind: str
    place: str
    other: str = ""
    ends: bool = False


Input: TypeAlias = (
    Request
    | Response
    | Put
    | PutAnswer
    | Probe
    | ProbeAnswer
    | Ask
    | Answer
    | Told
    | Look
    | Tell
    | Observe
    | ProbeEnds
    | Pull
    | WaitEnds
    | Deliver
    | Attempted
    | ClientSends
    | Fault
)
