"""Tags: TagResource, UntagResource, ListTagsForResource. Only rules and event buses have them."""

from __future__ import annotations

import msgspec

from farspan.control.naming import permitted_event_bus
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.control.rules import existing_rule
from farspan.errors import ManagedRuleException, ValidationException
from farspan.model.arn import event_bus_arn, parse_arn
from farspan.model.bus import DEFAULT_BUS_NAME, EventBus
from farspan.model.rule import Rule
from farspan.model.tags import with_tags


@operation("events", "TagResource", changes_resources=True)
async def tag_resource(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Add tags to a rule or a bus; one with a known key is overwritten."""
    tagged = _changeable(plane, caller, params, "TagResource")
    tags = with_tags(tagged.tags, params["Tags"])
    await plane.resources.save(msgspec.structs.replace(tagged, tags=tags), now=plane.clock.now())
    return {}


@operation("events", "UntagResource", changes_resources=True)
async def untag_resource(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Remove tags from a rule or a bus. Keys that it does not have are removed already."""
    tagged = _changeable(plane, caller, params, "UntagResource")
    tags = {key: value for key, value in tagged.tags.items() if key not in params["TagKeys"]}
    await plane.resources.save(msgspec.structs.replace(tagged, tags=tags), now=plane.clock.now())
    return {}


@operation("events", "ListTagsForResource")
async def list_tags_for_resource(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return a rule's or a bus's tags in the order in which they came."""
    tags = _tagged(plane, caller, params, "ListTagsForResource").tags
    return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}


def _changeable(
    plane: ControlPlane, caller: Caller, params: Params, operation_name: str
) -> EventBus | Rule:
    tagged = _tagged(plane, caller, params, operation_name)
    if isinstance(tagged, Rule) and tagged.managed_by:
        raise ManagedRuleException(
            f"Tag related operations on the managed rule {tagged.name} is not allowed."
        )
    return tagged


def _tagged(
    plane: ControlPlane, caller: Caller, params: Params, operation_name: str
) -> EventBus | Rule:
    """Return the rule or the bus that an ARN names.

    Raises ResourceNotFoundException in the words of the resource.
    """
    text = params["ResourceARN"]
    arn = parse_arn(text)
    kind, _, path = ("", "", "") if arn is None else arn.resource.partition("/")
    if arn is None or arn.service != "events" or not path:
        raise ValidationException(
            f"Parameter {text} is not valid. Reason: Provided Arn is not in correct format."
        )
    if kind == "event-bus":
        return permitted_event_bus(plane, caller, params, operation_name, given=text)
    if kind != "rule":
        raise ValidationException(
            "Parameter ResourceARN is not valid. Reason: only rules and event buses have tags."
        )
    bus_name, _, rule_name = path.rpartition("/")
    bus_arn = event_bus_arn(arn.region, arn.account, bus_name or DEFAULT_BUS_NAME)
    bus = permitted_event_bus(plane, caller, params, operation_name, given=bus_arn, rule=rule_name)
    return existing_rule(plane, bus, rule_name)
