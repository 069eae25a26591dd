"""Targets: PutTargets, ListTargetsByRule, RemoveTargets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from farspan.control.archives import archive_behind
from farspan.control.naming import permitted_event_bus
from farspan.control.paging import page
from farspan.control.passed_roles import check_passed_role
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.rules import existing_rule, refuse_managed
from farspan.control.target_inputs import target_input
from farspan.control.target_kinds import (
    check_bus_lets_in,
    check_bus_target,
    check_queue,
    target_parameters,
)
from farspan.errors import LimitExceededException, ManagedRuleException
from farspan.model.arn import event_bus_arn
from farspan.model.rule import RetryPolicy, Rule, Target

MEMBERS = frozenset(
    {
        "Id",
        "Arn",
        "RoleArn",
        "Input",
        "InputPath",
        "InputTransformer",
        "DeadLetterConfig",
        "RetryPolicy",
    }
)
"""What a target of every kind may have; `target_kinds` has what a kind has for itself."""


@operation("events", "PutTargets", changes_resources=True)
async def put_targets(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add targets to a rule; one with a known id is replaced whole."""
    bus = permitted_event_bus(plane, caller, params, "PutTargets", rule=params["Rule"])
    rule = existing_rule(plane, bus, params["Rule"])
    if rule.managed_by:
        raise ManagedRuleException(f"{rule.name} is a managed rule.")
    targets = dict(rule.targets)
    for given in params["Targets"]:
        target = _target(plane, caller, given, rule)
        check_passed_role(plane, caller.account, given.get("RoleArn"), source_arn=rule.arn)
        await check_bus_lets_in(plane, caller, given)
        targets[target.id] = target
    if len(targets) > plane.quotas.targets_per_rule:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    changed = msgspec.structs.replace(rule, targets=targets)
    await plane.resources.save(changed, now=plane.clock.now())
    return {"FailedEntryCount": 0, "FailedEntries": []}


@operation("events", "ListTargetsByRule")
async def list_targets_by_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a rule's targets as they were put, by id."""
    bus = permitted_event_bus(plane, caller, params, "ListTargetsByRule", rule=params["Rule"])
    rule = existing_rule(plane, bus, params["Rule"])
    shown, token = page(
        list(rule.targets.values()),
        lambda target: target.id,
        filter_text=f"ListTargetsByRule/{rule.arn}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"Targets": [target.given for target in shown], "NextToken": token}


@operation("events", "RemoveTargets", changes_resources=True)
async def remove_targets(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove targets from a rule. Ids that it does not have are removed already."""
    bus = permitted_event_bus(plane, caller, params, "RemoveTargets", rule=params["Rule"])
    refuse_managed(plane, bus, params["Rule"], force=bool(params.get("Force")))
    rule = existing_rule(plane, bus, params["Rule"])
    targets = {key: t for key, t in rule.targets.items() if key not in params["Ids"]}
    archive = archive_behind(plane, bus, rule.name)
    changed = (
        msgspec.structs.replace(rule, targets=targets)
        if archive is None
        else msgspec.structs.replace(archive, target_stands=bool(targets))
    )
    await plane.resources.save(changed, now=plane.clock.now())
    return {"FailedEntryCount": 0, "FailedEntries": []}


def _target(plane: ControlPlane, caller: Caller, given: Mapping[str, Any], rule: Rule) -> Target:
    target_id, arn = given["Id"], given["Arn"]
    parameters = target_parameters(
        plane, caller, {name: value for name, value in given.items() if name not in MEMBERS}, given
    )
    check_bus_target(
        plane, caller, given, event_bus_arn(rule.region, rule.account, rule.event_bus_name)
    )
    said = target_input(target_id, given)
    dead_letter_arn = (given.get("DeadLetterConfig") or {}).get("Arn")
    if dead_letter_arn is not None:
        check_queue(plane, dead_letter_arn, f"the dead-letter queue of {target_id}")
    policy = given.get("RetryPolicy") or {}
    return Target(
        id=target_id,
        arn=arn,
        input=said.input,
        input_path=said.input_path,
        input_transformer=said.input_transformer,
        dead_letter_arn=dead_letter_arn,
        retry_policy=RetryPolicy(
            maximum_retry_attempts=policy.get("MaximumRetryAttempts", 185),
            maximum_event_age_in_seconds=policy.get("MaximumEventAgeInSeconds", 86_400),
        ),
        parameters=parameters,
        role_arn=given.get("RoleArn"),
        given=_shown(given),
    )


def _shown(given: Mapping[str, Any]) -> dict[str, object]:
    """Return a target as ListTargetsByRule shows it: as given, the names of its paths sorted."""
    shown = dict(given)
    paths = (given.get("InputTransformer") or {}).get("InputPathsMap")
    if paths:
        shown["InputTransformer"] = {
            **given["InputTransformer"],
            "InputPathsMap": dict(sorted(paths.items())),
        }
    return shown
