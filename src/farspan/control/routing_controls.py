"""Routing controls: the data plane of Route 53's Application Recovery Controller, all of it.

There are no clusters and no control panels to make here. A control is there once a health check of
type RECOVERY_CONTROL names its ARN, or its state was set, and is Off until then, as on AWS. Every
Region that answers sets every control: the state goes to the others with the catalog.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, Final

from farspan.control.health_checks import checks_of
from farspan.control.paging import page
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import ResourceNotFoundException, ValidationException
from farspan.model.routing_control import (
    RoutingControl,
    RoutingControlState,
    control_name,
    latest,
    panel_arn,
)

SERVICE: Final = "route53-recovery-cluster"
PANEL_ARN: Final = re.compile(r"arn:[^:/]+:route53-recovery-control::\d{12}:controlpanel/[^:/]+")


@operation(SERVICE, "GetRoutingControlState")
async def get_routing_control_state(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return whether a control is On. Raises ResourceNotFoundException."""
    control = _find(plane, caller, params["RoutingControlArn"])
    shown = _shown(control)
    return {
        name: shown[name]
        for name in ("RoutingControlArn", "RoutingControlState", "RoutingControlName")
    }


@operation(SERVICE, "ListRoutingControls")
async def list_routing_controls(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a page of the account's controls, or of those on one panel, in order of ARN.

    Raises ResourceNotFoundException for a panel without controls, ValidationException.
    """
    panel = params.get("ControlPanelArn")
    known = list(_known(plane, caller).values())
    if panel is not None:
        if not PANEL_ARN.fullmatch(panel):
            raise ValidationException("ControlPanelArn is not the ARN of a control panel.")
        known = [control for control in known if panel_arn(control.arn) == panel]
        if not known:
            raise ResourceNotFoundException(f"There is no control panel {panel} with controls.")
    shown, token = page(
        known,
        lambda control: control.arn,
        filter_text=panel or "",
        token=params.get("NextToken"),
        limit=params.get("MaxResults"),
    )
    output: Output = {"RoutingControls": [_shown(control) for control in shown]}
    return output if token is None else output | {"NextToken": token}


@operation(SERVICE, "UpdateRoutingControlState", changes_resources=True)
async def update_routing_control_state(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Set a control On or Off. Raises ResourceNotFoundException, ValidationException."""
    await _update(plane, caller, [params], params)
    return {}


@operation(SERVICE, "UpdateRoutingControlStates", changes_resources=True)
async def update_routing_control_states(
    plane: ControlPlane, caller: Caller, params: Params
) -> Output:
    """Set several controls at once, all or none.

    Raises ResourceNotFoundException, ValidationException.
    """
    await _update(plane, caller, params["UpdateRoutingControlStateEntries"], params)
    return {}


async def _update(
    plane: ControlPlane, caller: Caller, entries: Sequence[Params], params: Params
) -> None:
    if params.get("SafetyRulesToOverride"):
        raise ValidationException(
            "SafetyRulesToOverride names rules, and there are no safety rules here. Leave it out."
        )
    arns = [entry["RoutingControlArn"] for entry in entries]
    if not arns or len(set(arns)) < len(arns):
        raise ValidationException("Name one or more routing controls, each of them once.")
    changed = []
    for entry in entries:
        control = _find(plane, caller, entry["RoutingControlArn"])
        changed.append(
            RoutingControl(
                arn=control.arn,
                account=control.account,
                region=plane.region,
                state=RoutingControlState(entry["RoutingControlState"]),
                generation=control.generation + 1,
            )
        )
    await plane.resources.save(*changed, now=plane.clock.now())


def _known(plane: ControlPlane, caller: Caller) -> dict[str, RoutingControl]:
    """Return the account's controls by ARN, as they were told last."""
    named = [check.routing_control_arn for check in checks_of(plane, caller).values()]
    fresh = [_unset(caller.account, arn) for arn in named if arn is not None]
    own = plane.resources.table(RoutingControl).values()
    told = [*plane.world.routing_controls().values(), *own]
    return latest([*fresh, *(one for one in told if one.account == caller.account)])


def _find(plane: ControlPlane, caller: Caller, arn: str) -> RoutingControl:
    control = _known(plane, caller).get(arn)
    if control is None:
        raise ResourceNotFoundException(
            f"There is no routing control {arn}. Make a health check of type RECOVERY_CONTROL "
            "that names it."
        )
    return control


def _unset(account: str, arn: str) -> RoutingControl:
    """Return a control as it is before it was ever set."""
    return RoutingControl(
        arn=arn, account=account, region="", state=RoutingControlState.OFF, generation=0
    )


def _shown(control: RoutingControl) -> dict[str, Any]:
    name = control_name(control.arn)
    assert name is not None, "a control that is there has an ARN"
    return {
        "ControlPanelArn": panel_arn(control.arn),
        "ControlPanelName": name.panel,
        "RoutingControlArn": control.arn,
        "RoutingControlName": name.name,
        "RoutingControlState": control.state.value,
        "Owner": control.account,
    }
