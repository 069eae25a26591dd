"""What became of alarms: DescribeAlarmHistory, and what is written for it.

An account's history is a log in the store: each item is written in one commit with the change that
it is about. It outlives its alarm, for 30 days, as in CloudWatch.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from farspan.control.paging import read_offset, write_offset
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import InvalidNextToken, ValidationException
from farspan.model.alarm import HISTORY_PREFIX, AlarmHistoryItem, MetricAlarm
from farspan.model.event import CALL_ID_BYTES, CallId, EventBatch
from farspan.store.base import Append

CONFIGURATION_UPDATE: Final = "ConfigurationUpdate"
STATE_UPDATE: Final = "StateUpdate"
PAGE_SIZE: Final = 100
READ_EVENT_COUNT: Final = 1_000
NOT_THERE_YET: Final = ("AlarmContributorId",)

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(AlarmHistoryItem).decode


def configured(plane: ControlPlane, alarm: MetricAlarm, verb: str) -> Append:
    """Return what writes that an alarm was created, updated or deleted."""
    told = {"version": "1.0", "type": verb.capitalize()[:-1]}
    return _written(plane, alarm, CONFIGURATION_UPDATE, f'Alarm "{alarm.name}" {verb}', told)


def changed(plane: ControlPlane, before: MetricAlarm, after: MetricAlarm) -> Append:
    """Return what writes that an alarm went from a state to another."""
    told = {
        "version": "1.0",
        "oldState": {"stateValue": before.state, "stateReason": before.state_reason},
        "newState": {"stateValue": after.state, "stateReason": after.state_reason},
    }
    summary = f"Alarm updated from {before.state} to {after.state}"
    return _written(plane, after, STATE_UPDATE, summary, told)


def _written(
    plane: ControlPlane, alarm: MetricAlarm, kind: str, summary: str, told: dict[str, Any]
) -> Append:
    now = plane.clock.now()
    item = AlarmHistoryItem(alarm.name, now, kind, summary, _encode(told).decode())
    return Append(
        EventBatch(
            event_bus=f"{HISTORY_PREFIX}{alarm.account}",
            call=CallId(plane.ids.token(CALL_ID_BYTES)),
            events=(_encode(item),),
            accepted_at=now,
            origin=plane.region,
        )
    )


@operation("cloudwatch", "DescribeAlarmHistory")
async def describe_alarm_history(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Return what became of the account's alarms, the newest first unless asked otherwise."""
    for name in NOT_THERE_YET:
        if params.get(name):
            raise ValidationException(f"Farspan does not have {name} yet.")
    asked = {n: params[n] for n in sorted(params.keys() - {"NextToken", "MaxRecords"})}
    bound_to = f"DescribeAlarmHistory/{caller.account}/{asked}"
    try:
        skipped = read_offset(params.get("NextToken"), bound_to)
    except ValidationException as error:
        raise InvalidNextToken("Invalid nextToken") from error
    found = await _found(plane, caller, params)
    if params.get("ScanBy") != "TimestampAscending":
        found.reverse()
    size = params.get("MaxRecords") or PAGE_SIZE
    shown = found[skipped:][:size]
    is_more = len(found) > skipped + size
    return {
        "AlarmHistoryItems": [_shown(item) for item in shown],
        "NextToken": write_offset(skipped + size, bound_to) if is_more else None,
    }


async def _found(plane: ControlPlane, caller: Caller, params: Params) -> list[AlarmHistoryItem]:
    types = params.get("AlarmTypes")
    if types and "MetricAlarm" not in types:
        return []
    wanted = {"alarm_name": params.get("AlarmName"), "kind": params.get("HistoryItemType")}
    start, end = params.get("StartDate") or 0.0, params.get("EndDate")
    key, after = f"{HISTORY_PREFIX}{caller.account}", 0
    found: list[AlarmHistoryItem] = []
    while batches := await plane.resources.read_log(key, after, READ_EVENT_COUNT):
        items = [_decode(body) for batch in batches for body in batch.events]
        found += [
            item
            for item in items
            if start <= item.at
            and (end is None or item.at <= end)
            and all(value in (None, getattr(item, name)) for name, value in wanted.items())
        ]
        after = batches[-1].position + len(batches[-1].events) - 1
    return found


def _shown(item: AlarmHistoryItem) -> dict[str, Any]:
    return {
        "AlarmName": item.alarm_name,
        "AlarmType": "MetricAlarm",
        "Timestamp": item.at,
        "HistoryItemType": item.kind,
        "HistorySummary": item.summary,
        "HistoryData": item.told,
    }
