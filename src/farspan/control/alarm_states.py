"""The states of alarms: evaluated as time goes by, or set by a caller until the next evaluation.

AWS evaluates every minute, every 10 seconds where the period is shorter than a minute, and every
hour where the periods make up more than a day. A time scale makes it as many times oftener.
A change of state is an event on the account's default bus. It must never run an alarm's actions:
what they name is not there.
"""

from __future__ import annotations

import logging
import math
from typing import Final

import msgspec

from farspan.control import alarm_history
from farspan.control.plane import Caller, ControlPlane, Output, Params, operation
from farspan.errors import AwsError, InvalidFormatFault, ResourceNotFound
from farspan.metrics.alarm import evaluate, evaluation_range
from farspan.metrics.service import scaled_period
from farspan.metrics.state_reason import (
    Point,
    state_change_event,
    state_reason,
    state_reason_data,
)
from farspan.model.alarm import AlarmState, MetricAlarm
from farspan.model.bus import DEFAULT_BUS_NAME
from farspan.model.event import EventBatch, event_bus_key
from farspan.store.base import Append, StoreError

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
HIGH_RESOLUTION_SECONDS: Final = 10

log = logging.getLogger("farspan.control")


async def advance_alarms(plane: ControlPlane, before: float, now: float, time_scale: float) -> None:
    """Evaluate the alarms whose turn came after `before` and up to `now`, by the wall clock."""
    for alarm in list(plane.resources.table(MetricAlarm).values()):
        seconds = scaled_period(evaluation_seconds(alarm), time_scale)
        if math.floor(before / seconds) == math.floor(now / seconds):
            continue
        try:
            await _evaluate(plane, alarm, time_scale)
        except (StoreError, AwsError) as error:
            log.warning("alarm not evaluated alarm=%s error=%s", alarm.arn, error)


def evaluation_seconds(alarm: MetricAlarm) -> int:
    """Return how often an alarm is evaluated, before any time scale."""
    if alarm.period < MINUTE:
        return HIGH_RESOLUTION_SECONDS
    return HOUR if alarm.period * alarm.evaluation_periods > DAY else MINUTE


async def _evaluate(plane: ControlPlane, alarm: MetricAlarm, time_scale: float) -> None:
    now = plane.clock.now()
    seconds = scaled_period(alarm.period, time_scale)
    count = evaluation_range(alarm.condition)
    start = (math.floor(now / seconds) - count) * seconds
    found = await plane.metrics.datapoints(alarm.stream, count)
    evaluation = evaluate(alarm.condition, found, alarm.state)
    if evaluation.state is alarm.state:
        return
    points: list[Point] = [
        (start + index * seconds, value)
        for index in evaluation.considered
        if (value := found[index]) is not None
    ]
    async with plane.changing:
        if plane.resources.table(MetricAlarm).get(alarm.key) is alarm:
            await _change(
                plane,
                alarm,
                evaluation.state,
                state_reason(alarm, evaluation, points),
                state_reason_data(alarm, points, now),
            )


async def _change(
    plane: ControlPlane, alarm: MetricAlarm, state: AlarmState, reason: str, data: str | None
) -> None:
    """Write the state; where it is another one, in one commit with the event that says so."""
    now = plane.clock.now()
    changed = msgspec.structs.replace(
        alarm,
        state=state,
        state_reason=reason,
        state_reason_data=data,
        state_updated_at=now,
        state_transitioned_at=alarm.state_transitioned_at if state is alarm.state else now,
    )
    if state is alarm.state:
        await plane.resources.save(changed, now=now)
        return
    log.info("alarm %s is %s reason=%r", alarm.arn, state, reason)
    call, envelope = state_change_event(alarm, changed)
    batch = EventBatch(
        event_bus=event_bus_key(alarm.account, DEFAULT_BUS_NAME),
        call=call,
        events=(envelope,),
        accepted_at=now,
        origin=plane.region,
    )
    also = (Append(batch), alarm_history.changed(plane, alarm, changed))
    await plane.resources.save(changed, now=now, also=also)


@operation("cloudwatch", "SetAlarmState", changes_resources=True)
async def set_alarm_state(plane: ControlPlane, caller: Caller, params: Params) -> Output:
    """Put an alarm into a state until it is evaluated. Raises ResourceNotFound."""
    alarm = plane.resources.table(MetricAlarm).get(f"{caller.account}/{params['AlarmName']}")
    if alarm is None:
        raise ResourceNotFound("Alarm not found")
    data = params.get("StateReasonData")
    if data:
        try:
            msgspec.json.decode(data)
        except (msgspec.DecodeError, RecursionError) as error:
            raise InvalidFormatFault("StateReasonData is not valid JSON.") from error
    state = AlarmState(params["StateValue"])
    await _change(plane, alarm, state, params["StateReason"], data or None)
    return {}
