"""Global endpoints: the resource, its life cycle, and what follows from it alone."""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import ClassVar

import msgspec

from farspan.model.arn import endpoint_arn, event_bus_arn
from farspan.model.event import event_bus_key
from farspan.model.rule import MANAGED_BY, MANAGED_RULE_PREFIX, Rule, Target

ENDPOINT_ID_SUFFIX = "veo"
"""The last label of every EndpointId: ids are parts of host names."""


class EndpointState(StrEnum):
    """Where an endpoint is in its life (AWS: EndpointState)."""

    CREATING = "CREATING"  # waiting for both Regions to know it
    ACTIVE = "ACTIVE"  # in use
    UPDATING = "UPDATING"  # in use with its former settings' replacement under way
    DELETING = "DELETING"  # no longer in use, about to go
    CREATE_FAILED = "CREATE_FAILED"  # never got into use; StateReason says why
    UPDATE_FAILED = "UPDATE_FAILED"  # in use, but the last update did not reach both Regions
    DELETE_FAILED = "DELETE_FAILED"  # still there although it was to go


CHANGING = frozenset({EndpointState.CREATING, EndpointState.UPDATING, EndpointState.DELETING})
"""States in which Update and Delete answer ConcurrentModificationException."""


FORMER_BUS_COUNT_MAX = 16
"""How many former buses an endpoint remembers, the latest."""


class ReplicationState(StrEnum):
    """Whether both Regions' buses receive an endpoint's events (AWS: ReplicationState)."""

    ENABLED = "ENABLED"  # they do
    DISABLED = "DISABLED"  # only the Region that accepted an event has it


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A global endpoint, a resource of its primary Region.

    `version` grows with each change, so that a late reader can tell old from new. Times are
    seconds since the epoch. `former_bus_names` are those of the buses that it had before: their
    logs may hold events that have yet to be copied. `is_secondary_bus_first` keeps the order in
    which the buses were given.
    """

    KIND: ClassVar[str] = "endpoint"

    account: str
    name: str
    endpoint_id: str
    event_bus_name: str
    primary_region: str
    secondary_region: str
    health_check_id: str
    description: str | None = None
    replication: ReplicationState = ReplicationState.ENABLED
    role_arn: str | None = None
    state: EndpointState = EndpointState.CREATING
    state_reason: str | None = None
    version: int = 1
    creation_time: float = 0.0
    last_modified_time: float = 0.0
    former_bus_names: tuple[str, ...] = ()
    is_secondary_bus_first: bool = False

    @property
    def arn(self) -> str:
        """The endpoint's ARN."""
        return endpoint_arn(self.primary_region, self.account, self.name)

    @property
    def key(self) -> str:
        """The key among endpoints."""
        return f"{self.account}/{self.name}"

    @property
    def regions(self) -> tuple[str, str]:
        """Primary, then secondary."""
        return self.primary_region, self.secondary_region

    @property
    def event_bus_key(self) -> str:
        """The key of the endpoint's log, the same in both Regions."""
        return event_bus_key(self.account, self.event_bus_name)

    @property
    def event_bus_keys(self) -> frozenset[str]:
        """The keys of all logs that may hold events of the endpoint, former buses' included."""
        names = (self.event_bus_name, *self.former_bus_names)
        return frozenset(event_bus_key(self.account, name) for name in names)

    @property
    def in_use(self) -> bool:
        """Whether PutEvents may use the endpoint."""
        return self.state not in (EndpointState.DELETING, EndpointState.CREATE_FAILED)

    @property
    def replicates(self) -> bool:
        """Whether each Region copies the other's events."""
        return self.in_use and self.replication is ReplicationState.ENABLED

    def other_region(self, region: str) -> str:
        """Return the endpoint's Region that is not `region`."""
        return self.secondary_region if region == self.primary_region else self.primary_region


def endpoint_id_of(account: str, name: str, salt: bytes) -> str:
    """Return a new EndpointId: ten lower-case base-36 characters and `.veo`, as AWS's are."""
    number = int.from_bytes(hashlib.sha256(f"{account}/{name}/".encode() + salt).digest(), "big")
    digits = "0123456789abcdefghijklmnopqrstuvwxyz"
    text = ""
    for _ in range(10):
        number, digit = divmod(number, 36)
        text += digits[digit]
    return f"{text}.{ENDPOINT_ID_SUFFIX}"


def managed_rule(endpoint: Endpoint, region: str) -> Rule:
    """Return the rule that stands for the endpoint's replication on the bus of `region`.

    Replication itself ships the log; the rule is what AWS shows of it, and what callers find in
    ListRules. It follows from the endpoint alone, so it needs no write in either Region.
    """
    suffix = hashlib.sha256(endpoint.arn.encode()).hexdigest()[:8]
    name = f"{MANAGED_RULE_PREFIX}{suffix}"
    peer_bus = event_bus_arn(
        endpoint.other_region(region), endpoint.account, endpoint.event_bus_name
    )
    target = Target(id=name, arn=peer_bus, given={"Id": name, "Arn": peer_bus})
    if endpoint.role_arn:
        target = msgspec.structs.replace(
            target, given={**target.given, "RoleArn": endpoint.role_arn}
        )
    return Rule(
        region=region,
        account=endpoint.account,
        event_bus_name=endpoint.event_bus_name,
        name=name,
        event_pattern='{"replay-name":[{"exists":false}]}',
        description=f"Replicates the events of the global endpoint {endpoint.name}.",
        role_arn=endpoint.role_arn,
        managed_by=MANAGED_BY,
        targets={name: target},
    )
