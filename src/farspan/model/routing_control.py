"""Routing controls of Route 53's Application Recovery Controller: switches that a person throws.

Every Region keeps the state that it was last told, with a generation; what all Regions know
together is the highest. So a control can be thrown in any Region, which is its purpose: the one
that it switches off may be the one that does not answer.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import ClassVar

import msgspec

from farspan.model.arn import parse_arn

_ARN_SERVICE = "route53-recovery-control"
_ARN_PART_COUNT = 4


class RoutingControlState(StrEnum):
    """Whether traffic flows."""

    ON = "On"
    OFF = "Off"


class RoutingControl(msgspec.Struct, frozen=True, kw_only=True):
    """A control's state as one Region was told it; `region` decides between equal generations."""

    KIND: ClassVar[str] = "routing-control"

    arn: str
    account: str
    region: str
    state: RoutingControlState
    generation: int

    @property
    def key(self) -> str:
        """The key among routing controls."""
        return f"{self.account}/{self.arn}"


class ControlName(msgspec.Struct, frozen=True):
    """What a routing control's ARN says: whose it is, its panel's name, and its own."""

    account: str
    panel: str
    name: str


def control_name(arn: str) -> ControlName | None:
    """Return what the ARN of a routing control says, None where it is none."""
    parsed = parse_arn(arn)
    if parsed is None or parsed.service != _ARN_SERVICE or parsed.region:
        return None
    parts = parsed.resource.split("/")
    if len(parts) != _ARN_PART_COUNT or "" in parts or not parsed.account:
        return None
    kind, panel, sort, name = parts
    if (kind, sort) != ("controlpanel", "routingcontrol"):
        return None
    return ControlName(parsed.account, panel, name)


def panel_arn(arn: str) -> str:
    """Return the ARN of the panel that a routing control is on."""
    return arn.partition("/routingcontrol/")[0]


def latest(controls: Iterable[RoutingControl]) -> dict[str, RoutingControl]:
    """Return each control as it was told last, by ARN, of what all Regions were told."""
    ordered = sorted(controls, key=lambda control: (control.generation, control.region))
    return {control.arn: control for control in ordered}
