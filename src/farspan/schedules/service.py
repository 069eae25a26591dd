"""Schedules as they run: one look a second at every rule that has one.

An occurrence's deliveries and the rule's cursor are one commit, so that a crash neither loses an
occurrence nor makes it twice. One process serves a Region, and the lock on its store sees to that:
it is the lease under which schedules fire. What fires is decided in `cadence`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from farspan.clock import Clock
from farspan.model.rule import Rule, RuleState
from farspan.schedules.cadence import Cadence, cadence_of, schedule_cursor, scheduled_event, step
from farspan.store.base import Change, MoveCursor, Store, StoreError

LOOK_SECONDS = 1.0

log = logging.getLogger("farspan.schedules")

Plan = Callable[[bytes, Sequence[Rule]], list[Change]]
"""Return what stores the deliveries of an event to the targets of rules."""


@dataclass(slots=True)
class _Scheduled:
    """A rule with a schedule, and how far that is; None where the store has yet to be asked."""

    rule: Rule
    cadence: Cadence | None = None


class ScheduleService:
    """Fires one Region's schedules. `catch_up_seconds` is how late an occurrence may still fire."""

    def __init__(self, store: Store, clock: Clock, plan: Plan, catch_up_seconds: float) -> None:
        self._store = store
        self._clock = clock
        self._plan = plan
        self._catch_up_seconds = catch_up_seconds
        self._scheduled: dict[str, _Scheduled] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to fire."""
        self._task = asyncio.create_task(self._run())

    def rule_changed(self, rule: Rule, *, exists: bool) -> None:
        """Take a rule over as it stands now, or forget it. How far it is, its cursor says."""
        if exists and rule.schedule_expression:
            self._scheduled[rule.key] = _Scheduled(rule)
        else:
            self._scheduled.pop(rule.key, None)

    async def _run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Fire what is due; what a rule's fault keeps from firing is tried again at the next."""
        for scheduled in list(self._scheduled.values()):
            try:
                await self._look_at(scheduled)
            except StoreError as error:
                log.warning("schedule waits rule=%s error=%s", scheduled.rule.arn, error)
            except Exception:
                log.exception("schedule cannot fire rule=%s", scheduled.rule.arn)

    async def _look_at(self, scheduled: _Scheduled) -> None:
        rule = scheduled.rule
        assert rule.schedule_expression, "only rules with a schedule are kept"
        if scheduled.cadence is None:
            settled = await self._store.cursor(schedule_cursor(rule))
            scheduled.cadence = cadence_of(rule.schedule_expression, rule.schedule_since, settled)
        look = step(
            scheduled.cadence,
            self._clock.now(),
            enabled=rule.state is not RuleState.DISABLED,
            catch_up_seconds=self._catch_up_seconds,
        )
        if self._scheduled.get(rule.key) is not scheduled:
            return  # it changed while the store was asked: its successor is looked at next time
        for occurrence in look.occurrences:
            event = scheduled_event(rule, occurrence)
            cursor = MoveCursor(schedule_cursor(rule), int(occurrence))
            await self._store.commit([cursor, *self._plan(event, [rule])])
            # Where the next commit fails, this one is not made again.
            scheduled.cadence = cadence_of(
                rule.schedule_expression, rule.schedule_since, occurrence
            )
        scheduled.cadence = look.cadence

    async def close(self) -> None:
        """Stop firing."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
