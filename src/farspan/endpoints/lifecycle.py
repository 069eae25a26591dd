"""How an endpoint gets from CREATING to ACTIVE, and out of the way again. Pure.

An endpoint is in use once both Regions know it. Its home Region looks at what the secondary's node
reports until that is so, or until it is clear that it cannot be.

| state     | all there                       | something missing                             |
|-----------|---------------------------------|-----------------------------------------------|
| CREATING  | ACTIVE                          | CREATING, then CREATE_FAILED with the reason  |
| UPDATING  | ACTIVE                          | UPDATING, then UPDATE_FAILED with the reason  |
| DELETING  | gone                            | gone                                          |
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from farspan.model.endpoint import EndpointState

PROPAGATION_SECONDS_MAX = 5.0
"""How long a bus or health check made a moment ago may take to be known here."""

ANSWER_SECONDS_MAX = 60.0
"""How long the secondary Region may be silent before creating or updating fails."""


class Next(StrEnum):
    """What becomes of an endpoint that is changing."""

    WAIT = "WAIT"  # look again
    ACTIVE = "ACTIVE"  # both Regions know it
    FAILED = "FAILED"  # it cannot become active as it is
    GONE = "GONE"  # remove it


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the home Region knows about an endpoint's other half."""

    secondary_heard: bool
    secondary_knows_version: bool
    secondary_has_bus: bool
    health_check_known: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """What becomes of the endpoint, and why where it failed."""

    next: Next
    reason: str | None = None


def advance(state: EndpointState, facts: Facts, seconds_in_state: float) -> Decision:
    """Return what becomes of an endpoint after a look at the facts.

    States in which nothing is under way wait.
    """
    if state is EndpointState.DELETING:
        return Decision(Next.GONE)
    if state not in (EndpointState.CREATING, EndpointState.UPDATING):
        return Decision(Next.WAIT)
    settled = seconds_in_state >= PROPAGATION_SECONDS_MAX
    if settled and not facts.health_check_known:
        return Decision(Next.FAILED, "The health check does not exist.")
    if facts.secondary_heard and settled and not facts.secondary_has_bus:
        return Decision(Next.FAILED, "The event bus does not exist in the secondary Region.")
    if not facts.secondary_heard and seconds_in_state >= ANSWER_SECONDS_MAX:
        return Decision(Next.FAILED, "The secondary Region does not answer.")
    everything = (
        facts.secondary_heard,
        facts.secondary_knows_version,
        facts.secondary_has_bus,
        facts.health_check_known,
    )
    return Decision(Next.ACTIVE if all(everything) else Next.WAIT)
