"""Rules: Put, Describe, List, Enable, Disable, DeleteRule, ListRuleNamesByTarget.

Beside them TestEventPattern. What a rule of another account's bus may be asked is the affair of
that bus's policy (`naming.permitted_event_bus`).

The rules that replicate a global endpoint's events are shown here as AWS shows them. They follow
from the endpoint, in both Regions, and are changed through it alone. Those that feed archives
follow from the archive; with Force they can be taken from it, which disables it.
"""

from __future__ import annotations

import msgspec

from farspan.control.archives import archive_behind
from farspan.control.event_patterns import check_event_pattern
from farspan.control.managed_rules import managed_on, reader_starts
from farspan.control.naming import permitted_event_bus
from farspan.control.paging import page
from farspan.control.passed_roles import check_passed_role
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import (
    LimitExceededException,
    ManagedRuleException,
    ResourceNotFoundException,
    ValidationException,
)
from farspan.model.archive import archive_rule
from farspan.model.arn import rule_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.rule import Rule, RuleState
from farspan.model.tags import with_tags
from farspan.pattern import compile_pattern
from farspan.schedules.cadence import schedule_cursor
from farspan.schedules.expression import parse_schedule
from farspan.store.base import Change, MoveCursor

EVENT_MEMBERS = frozenset({"id", "account", "source", "time", "region", "detail-type"})
"""What an event must have for TestEventPattern."""

_EVENT_MEMBERS_DECODER = msgspec.json.Decoder(dict[str, msgspec.Raw])  # any number is a number


@operation("events", "PutRule", changes_resources=True)
async def put_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Create a rule, or replace all of it but its targets."""
    name = params["Name"]
    bus = permitted_event_bus(plane, caller, params, "PutRule", rule=name)
    if managed_on(plane, bus, name):
        raise ManagedRuleException(f"{name} is a managed rule.")
    if not params.get("EventPattern") and not params.get("ScheduleExpression"):
        raise ValidationException(
            "Parameter(s) EventPattern or ScheduleExpression must be specified."
        )
    state = RuleState(params.get("State") or RuleState.ENABLED)
    _check_schedule(params, bus, state)
    if params.get("EventPattern"):
        check_event_pattern(plane, params["EventPattern"])
    arn = rule_arn(plane.region, bus.account, bus.name, name)
    check_passed_role(plane, caller.account, params.get("RoleArn"), source_arn=arn)
    former = plane.resources.rule(bus.account, bus.name, name)
    others = plane.resources.rules_of(bus.account, bus.name)
    if former is None and len(others) >= plane.quotas.rules_per_bus:
        raise LimitExceededException("The requested resource exceeds the maximum number allowed.")
    now = plane.clock.now()
    schedule = params.get("ScheduleExpression") or None
    is_same_schedule = former is not None and former.schedule_expression == schedule
    rule = Rule(
        region=plane.region,
        account=bus.account,
        event_bus_name=bus.name,
        name=name,
        event_pattern=params.get("EventPattern") or None,
        schedule_expression=schedule,
        schedule_since=former.schedule_since if former and is_same_schedule else int(now),
        state=state,
        description=params.get("Description"),
        role_arn=params.get("RoleArn"),
        created_by=former.creator_account if former else caller.account,
        targets=former.targets if former else {},
        tags=former.tags if former else with_tags({}, params.get("Tags") or ()),
    )
    also = await reader_starts(plane, bus)
    if former is None or not is_same_schedule or former.state is RuleState.DISABLED:
        also += _schedule_starts(rule, now)
    await plane.resources.save(rule, now=now, also=also)
    return {"RuleArn": rule.arn}


@operation("events", "DescribeRule")
async def describe_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return one rule."""
    name = params["Name"]
    bus = permitted_event_bus(plane, caller, params, "DescribeRule", rule=name)
    rule = existing_rule(plane, bus, name)
    return {**_shown(rule), "CreatedBy": rule.creator_account}


@operation("events", "ListRules")
async def list_rules(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a bus's rules by name, managed ones among them."""
    bus = permitted_event_bus(plane, caller, params, "ListRules")
    prefix = params.get("NamePrefix") or ""
    shown, token = page(
        [rule for rule in rules_on(plane, bus) if rule.name.startswith(prefix)],
        lambda rule: rule.name,
        filter_text=f"ListRules/{bus.arn}/{prefix}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"Rules": [_shown(rule) for rule in shown], "NextToken": token}


@operation("events", "ListRuleNamesByTarget")
async def list_rule_names_by_target(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return the names of a bus's rules that have a target of that ARN, managed ones among them."""
    bus = permitted_event_bus(plane, caller, params, "ListRuleNamesByTarget")
    target_arn = params["TargetArn"]
    shown, token = page(
        [
            rule
            for rule in rules_on(plane, bus)
            if any(target.arn == target_arn for target in rule.targets.values())
        ],
        lambda rule: rule.name,
        filter_text=f"ListRuleNamesByTarget/{bus.arn}/{target_arn}",
        token=params.get("NextToken"),
        limit=params.get("Limit"),
    )
    return {"RuleNames": [rule.name for rule in shown], "NextToken": token}


@operation("events", "EnableRule", changes_resources=True)
async def enable_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Let a rule match again. One that does, in whichever state, stays as it is."""
    rule = _stated(plane, caller, params, "EnableRule")
    if rule.state is RuleState.DISABLED:
        enabled = msgspec.structs.replace(rule, state=RuleState.ENABLED)
        now = plane.clock.now()
        await plane.resources.save(enabled, now=now, also=_schedule_starts(enabled, now))
    return {}


@operation("events", "DisableRule", changes_resources=True)
async def disable_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Let a rule match nothing until it is enabled again."""
    rule = _stated(plane, caller, params, "DisableRule")
    if rule.state is not RuleState.DISABLED:
        disabled = msgspec.structs.replace(rule, state=RuleState.DISABLED)
        await plane.resources.save(disabled, now=plane.clock.now())
    return {}


@operation("events", "DeleteRule", changes_resources=True)
async def delete_rule(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Delete a rule that has no targets. One that does not exist is deleted already."""
    name = params["Name"]
    bus = permitted_event_bus(plane, caller, params, "DeleteRule", rule=name)
    refuse_managed(plane, bus, name, force=bool(params.get("Force")))
    archive = archive_behind(plane, bus, name)
    own = plane.resources.rule(bus.account, bus.name, name)
    rule = own if archive is None else archive_rule(archive)
    if rule is None:
        return {}
    if rule.targets:
        raise ValidationException("Rule can't be deleted since it has targets.")
    now = plane.clock.now()
    if archive is None:
        await plane.resources.remove(rule, now=now)
    else:
        await plane.resources.save(msgspec.structs.replace(archive, rule_stands=False), now=now)
    return {}


@operation("events", "TestEventPattern")
async def try_event_pattern(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Tell whether an event matches a pattern."""
    del plane, caller  # it asks about nothing that is stored
    pattern = compile_pattern(params["EventPattern"])
    try:
        members = _EVENT_MEMBERS_DECODER.decode(params["Event"])
    except (msgspec.DecodeError, RecursionError):
        members = {}
    if not members.keys() >= EVENT_MEMBERS:
        raise ValidationException("Parameter Event is not valid.")
    return {"Result": pattern.matches(params["Event"].encode())}


def rules_on(plane: ControlPlane, bus: EventBus) -> list[Rule]:
    """Return every rule of a bus, its own and the managed ones."""
    own = plane.resources.rules_of(bus.account, bus.name)
    return [*own, *managed_on(plane, bus)]


def existing_rule(plane: ControlPlane, bus: EventBus, name: str) -> Rule:
    """Return a rule of a bus. Raises ResourceNotFoundException where there is none."""
    rule = plane.resources.rule(bus.account, bus.name, name)
    if rule is None:
        managed = managed_on(plane, bus, name)
        rule = managed[0] if managed else None
    if rule is None:
        raise ResourceNotFoundException(f"Rule {name} does not exist on EventBus {bus.name}.")
    return rule


def refuse_managed(plane: ControlPlane, bus: EventBus, name: str, *, force: bool = True) -> None:
    """Raise ManagedRuleException where the name is a managed rule's.

    `force` is the caller's word to change it all the same. It helps with an archive's rule; one
    that follows from an endpoint stays.
    """
    if not managed_on(plane, bus, name):
        return
    if not force:
        raise ManagedRuleException(
            f"{name} is a managed rule. Set 'force' parameter to true to override."
        )
    if archive_behind(plane, bus, name) is not None:
        return
    raise ManagedRuleException(
        f"{name} is a managed rule. It goes when its endpoint is deleted, or updated with "
        "ReplicationConfig State DISABLED."
    )


def _check_schedule(params: Params, bus: EventBus, state: RuleState) -> None:
    """Raise ValidationException where a rule cannot have the schedule that it is given."""
    if not params.get("ScheduleExpression"):
        return
    if bus.name != DEFAULT_BUS_NAME:
        raise ValidationException("ScheduleExpression is supported only on the default event bus.")
    parse_schedule(params["ScheduleExpression"])
    if state is RuleState.ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS:
        raise ValidationException(
            f"Parameter State is not valid. Reason: {state} is not for rules with a "
            "ScheduleExpression."
        )


def _schedule_starts(rule: Rule, now: float) -> tuple[Change, ...]:
    """Return what has to be committed with a rule whose schedule fires from now on."""
    if rule.schedule_expression is None:
        return ()
    return (MoveCursor(schedule_cursor(rule), int(now)),)


def _stated(plane: ControlPlane, caller: Caller, params: Params, operation_name: str) -> Rule:
    """Return the rule whose state is to be set. Raises ManagedRuleException for a managed one."""
    name = params["Name"]
    bus = permitted_event_bus(plane, caller, params, operation_name, rule=name)
    rule = existing_rule(plane, bus, name)
    if rule.managed_by:
        raise ManagedRuleException(f"{name} is a managed rule.")
    return rule


def _shown(rule: Rule) -> Output:
    return {
        "Name": rule.name,
        "Arn": rule.arn,
        "EventPattern": rule.event_pattern,
        "ScheduleExpression": rule.schedule_expression,
        "State": str(rule.state),
        "Description": rule.description,
        "RoleArn": rule.role_arn,
        "ManagedBy": rule.managed_by,
        "EventBusName": rule.event_bus_name,
    }
