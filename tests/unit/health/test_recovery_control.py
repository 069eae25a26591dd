"""A routing control's state, as its check sees it and as Regions agree on it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.health.check import ProbeResult
from farspan.health.recovery_control import look
from farspan.model.routing_control import (
    ControlName,
    RoutingControl,
    RoutingControlState,
    control_name,
    latest,
    panel_arn,
)

ARN = "arn:aws:route53-recovery-control::111111111111:controlpanel/p/routingcontrol/c"


def control(
    state: RoutingControlState, generation: int = 1, region: str = "us-east-1", arn: str = ARN
) -> RoutingControl:
    """Return what one Region was told."""
    return RoutingControl(
        arn=arn, account="1" * 12, region=region, state=state, generation=generation
    )


@pytest.mark.parametrize("state", RoutingControlState)
def test_on_is_healthy_and_off_is_not(state: RoutingControlState) -> None:
    """Each state is one result, and says itself."""
    outcome = {"On": "Success", "Off": "Failure"}[state]
    expected = ProbeResult(state == "On", f"{outcome}: The routing control is {state}.")

    assert expected == look(control(state))


def test_a_control_that_nobody_set_is_off() -> None:
    """As on AWS, where controls are made so."""
    assert look(control(RoutingControlState.OFF)) == look(None)


@given(
    st.lists(
        st.builds(
            control,
            st.sampled_from(RoutingControlState),
            st.integers(1, 3),
            st.sampled_from(["us-east-1", "us-west-2"]),
            st.sampled_from([ARN, f"{ARN}2"]),
        ),
        unique_by=lambda one: (one.arn, one.region),
    ),
    st.randoms(),
)
def test_every_region_comes_to_the_same_state(
    controls: list[RoutingControl], order: random.Random
) -> None:
    """The highest generation stands, in whichever order it was heard."""
    shuffled = list(controls)
    order.shuffle(shuffled)

    assert latest(controls) == latest(shuffled)
    for told in controls:
        assert latest(controls)[told.arn].generation >= told.generation


@pytest.mark.parametrize(
    ("arn", "name"),
    [
        (ARN, ControlName("111111111111", "p", "c")),
        ("", None),
        ("arn:aws:route53:::healthcheck/a", None),
        (ARN.replace("::", ":us-east-1:"), None),
        (ARN.replace("111111111111", ""), None),
        (ARN.replace("/c", "/"), None),
        (ARN.replace("routingcontrol", "safetyrule"), None),
        (f"{ARN}/d", None),
    ],
)
def test_names(arn: str, name: ControlName | None) -> None:
    """An ARN names the account, the panel and the control, or is none of a control's."""
    assert name == control_name(arn)


def test_panels() -> None:
    """A control's ARN begins with its panel's."""
    assert "arn:aws:route53-recovery-control::111111111111:controlpanel/p" == panel_arn(ARN)
