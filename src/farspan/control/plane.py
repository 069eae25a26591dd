"""What the operations work with, and the table in which they are registered.

An operation is an async function of the control plane, the caller and the decoded input; it
returns the output's members. What it does not answer for is not registered, and the wire says so
by name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from farspan.archives.service import ArchiveService
from farspan.catalog.federation import PeerReport
from farspan.catalog.resources import Resources
from farspan.clock import Clock, IdSource, SystemIds
from farspan.config import QuotaConfig, TargetsConfig
from farspan.control.grants import Grants
from farspan.delivery.service import DeliveryService
from farspan.health.reach import MayLook, anywhere_private
from farspan.ingest.service import IngestService
from farspan.logs.service import LogService
from farspan.metrics.service import MetricsService
from farspan.model.endpoint import Endpoint
from farspan.model.forwarding import ForwardReply, ForwardRequest
from farspan.model.health_check import HealthCheck, Vote
from farspan.model.role import Role
from farspan.model.routing_control import RoutingControl
from farspan.queues.service import QueueService
from farspan.sealing import Sealer
from farspan.sessions import SessionTokens

Params = Mapping[str, Any]
Output = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: the account that the access key belongs to, and who it is in that account.

    `principal` is the ARN of a user or of a role's session; without one it is the account's root.
    `grants` bound what it may do, None by nothing. `role_arn` is the role whose session it is, and
    `issued_at` when a session's token was given out. `url` is where it found the service, if that
    was by the service's own host name (DNS mode), and `is_secure` whether over TLS.
    """

    account: str
    access_key_id: str
    principal: str | None = None
    user_id: str | None = None
    grants: Grants | None = None
    role_arn: str | None = None
    is_session: bool = False
    issued_at: float | None = None
    url: str | None = None
    is_secure: bool = False

    @property
    def arn(self) -> str:
        """The caller's ARN."""
        return self.principal or f"arn:aws:iam::{self.account}:root"


class World(Protocol):
    """What a node knows beyond its own Region: the other Regions' catalogs, and the votes."""

    def endpoints(self) -> list[Endpoint]:
        """Return every endpoint that the node knows, of all Regions."""

    def health_checks(self) -> dict[str, HealthCheck]:
        """Return every health check that the node knows, of all Regions, by id."""

    def roles(self) -> dict[str, Role]:
        """Return every role that the node knows, of all Regions, by key."""

    def role(self, account: str, name: str) -> Role | None:
        """Return a role of any Region, or None."""

    def routing_controls(self) -> dict[str, RoutingControl]:
        """Return every routing control that was ever set, of all Regions, by ARN."""

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """Return the fresh votes on a health check, one for each observer."""

    def reports(self) -> list[PeerReport]:
        """Return the fresh reports of all peers."""

    def report_of(self, region: str) -> PeerReport | None:
        """Return the last report of a Region's node, None where none was ever had."""


@dataclass(slots=True)
class ControlPlane:
    """One Region's control plane.

    `enforces_roles`: a role that is given to a rule, target or endpoint has to let EventBridge
    assume it. `node_urls` has the URL of each node of the deployment by its name.
    `may_look` says which addresses a health check may look at.
    """

    region: str
    regions: tuple[str, ...]
    resources: Resources
    queues: QueueService
    world: World
    clock: Clock
    ids: IdSource
    url: str
    sealer: Sealer
    ingest: IngestService
    archives: ArchiveService
    delivery: DeliveryService
    logs: LogService
    metrics: MetricsService
    quotas: QuotaConfig = field(default_factory=QuotaConfig)
    targets: TargetsConfig = field(default_factory=TargetsConfig)
    started_at: float = 0.0
    sessions: SessionTokens = field(default_factory=lambda: SessionTokens("", SystemIds().token))
    enforces_roles: bool = False
    forward: Forward | None = None
    may_look: MayLook = anywhere_private
    node_urls: Mapping[str, str] = field(default_factory=dict)
    changing: asyncio.Lock = field(default_factory=asyncio.Lock)


Forward = Callable[[str, ForwardRequest], Awaitable[ForwardReply]]
"""Ask a bus of a Region, this one included. Raises AwsError, OSError or MsgspecError."""

OperationFunction = Callable[[ControlPlane, Caller, Params], Awaitable[Output]]


@dataclass(frozen=True, slots=True)
class RegisteredOperation:
    """An operation, and whether it changes resources (such run one at a time)."""

    function: OperationFunction
    changes_resources: bool


OPERATIONS: dict[tuple[str, str], RegisteredOperation] = {}
"""Every operation that is there, by service and name. `control.catalogue` fills it by import."""


def operation(
    service: str, name: str, *, changes_resources: bool = False
) -> Callable[[OperationFunction], OperationFunction]:
    """Register the function as an operation of a service."""

    def register(function: OperationFunction) -> OperationFunction:
        assert (service, name) not in OPERATIONS, f"{service}:{name} is registered twice"
        OPERATIONS[service, name] = RegisteredOperation(function, changes_resources)
        return function

    return register


async def perform(
    plane: ControlPlane, caller: Caller, service: str, name: str, params: Params
) -> Output:
    """Perform a registered operation.

    Those that change resources run one at a time, so that what an operation checked still holds
    when it writes. Raises KeyError where the operation is not registered, AwsError as it words it.
    """
    registered = OPERATIONS[service, name]
    if not registered.changes_resources:
        return await registered.function(plane, caller, params)
    async with plane.changing:
        return await registered.function(plane, caller, params)
