"""Watches the targets of the health checks, and keeps what the observers say of them.

One task probes each check at its interval and casts this node's vote; the app brings the votes of
the others. It must never decide anything: `check` turns results into a status and `votes` turns
votes into a verdict.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import zlib
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import msgspec

from farspan.health import calculated
from farspan.health.ballots import Ballots
from farspan.health.check import (
    CheckState,
    ProbeResult,
    final_status,
    renewed,
    step,
    threshold_of,
)
from farspan.health.prober import Prober, ProberFault, Timeouts, timeouts_at
from farspan.health.reach import MayLook, anywhere_private
from farspan.health.votes import STATUS_OF, VERDICT_OF, Verdict, conclude, judge
from farspan.model.health_check import PROBED_TYPES, HealthCheck, HealthCheckType, Status, Vote

if TYPE_CHECKING:
    from farspan.clock import Clock

Probe: TypeAlias = Callable[[HealthCheck, Timeouts], Awaitable[ProbeResult]]
"""Looks once. Raises ProberFault where this node could not look."""

Evaluate: TypeAlias = Callable[[HealthCheck, CheckState], ProbeResult | None]
"""Looks at what the node knows, None where nothing follows: for the types that are not probed."""

SAFETY_POLL_SECONDS = 5.0
"""How often the checks are read again unasked, should a call of `refresh` have been missed."""

LAG_SECONDS_MAX = 0.2
"""Beyond this an event loop is too late to blame others (the idea is Lifeguard's)."""

LAG_BEAT_SECONDS = 0.05
"""How often the loop's lag is measured; also by how much a stall may be underrated."""

log = logging.getLogger("farspan.health")


@dataclass(slots=True)
class _Watch:
    """One observed check: its task, where its machine stands, and the last failure.

    `failure_time` is when the watch began where nothing failed yet.
    """

    check: HealthCheck
    state: CheckState
    task: asyncio.Task[None]
    failure_time: float
    failure_report: str | None = None


@dataclass(slots=True)
class _Lag:
    """When the event loop last ran on time, and when it last did not (monotonic seconds)."""

    beat_at: float
    lagged_at: float = field(default=float("-inf"))


class HealthService:
    """One node's observation of the health checks.

    `node` is the observer's name in votes. `time_scale` divides Route 53's intervals. `checks`
    returns the checks as they stand, by id. `evaluate` looks at those that are not probed.
    `may_look` says where they may look. `probe` is for tests; without it targets are probed over
    the network.
    """

    def __init__(
        self,
        node: str,
        time_scale: float,
        clock: Clock,
        checks: Callable[[], Mapping[str, HealthCheck]],
        probe: Probe | None = None,
        *,
        evaluate: Evaluate = lambda _check, _state: None,
        may_look: MayLook = anywhere_private,
    ) -> None:
        assert time_scale > 0, "time does not stand still"
        self.node = node
        self._timeouts = timeouts_at(time_scale)
        self._clock = clock
        self._checks = checks
        self._prober: Prober | None = None
        if probe is None:
            self._prober = Prober(may_look)
            probe = self._prober.probe
        self._probe = probe
        self._evaluate = evaluate
        self._watches: dict[str, _Watch] = {}
        self._ballots = Ballots(time_scale)
        self._verdicts: dict[str, dict[frozenset[str], Verdict]] = {}
        self._sequences = itertools.count(1)
        self._lag = _Lag(beat_at=clock.monotonic())
        self._loops: list[asyncio.Task[None]] = []

    # --- life --------------------------------------------------------------------------------

    def start(self) -> None:
        """Begin to probe. Needs a running event loop; starting twice is an error."""
        assert not self._loops, "the health service is started once"
        self._lag = _Lag(beat_at=self._clock.monotonic())
        self._loops = [
            asyncio.create_task(self._measure_lag(), name="health-lag"),
            asyncio.create_task(self._poll(), name="health-poll"),
        ]
        self.refresh()

    async def close(self) -> None:
        """Stop probing and release the network. Closing twice is closing once."""
        tasks = [*self._loops, *(watch.task for watch in self._watches.values())]
        self._loops.clear()
        self._watches.clear()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._prober is not None:
            await self._prober.close()

    def refresh(self) -> None:
        """Follow the checks as they stand now: call it after each change. Does not block.

        A changed check is probed anew at once and keeps its status; one that is gone or disabled
        is no longer probed. Nothing is probed before `start` and after `close`.
        """
        checks = dict(self._checks())
        self._ballots.follow(checks)
        for health_check_id in self._verdicts.keys() - checks.keys():
            del self._verdicts[health_check_id]
        if not self._loops:
            return
        for health_check_id, watch in list(self._watches.items()):
            check = checks.get(health_check_id)
            if check is not None and _settings(check) == _settings(watch.check):
                continue
            del self._watches[health_check_id]
            watch.task.cancel()
            if check is not None and _is_observed(check):
                again = self._begin(check, renewed(watch.state))
                again.failure_report, again.failure_time = watch.failure_report, watch.failure_time
            else:
                self._ballots.withdraw(health_check_id, self.node)
        for health_check_id, check in checks.items():
            if health_check_id not in self._watches and _is_observed(check):
                self._begin(check, CheckState())

    def _begin(self, check: HealthCheck, state: CheckState) -> _Watch:
        task = asyncio.create_task(self._observe(check), name=f"health-check-{check.id}")
        watch = self._watches[check.id] = _Watch(check, state, task, self._clock.now())
        return watch

    async def _poll(self) -> None:
        while True:
            await self._clock.sleep(SAFETY_POLL_SECONDS)
            try:
                self.refresh()
            except Exception:
                log.exception("event=health_refresh_failed node=%s", self.node)

    # --- own votes ---------------------------------------------------------------------------

    async def _observe(self, check: HealthCheck) -> None:
        """Probe at once, then at a fixed rate.

        The second probe comes early by a share that this node and this check always get alike,
        so that many checks and many nodes that begin together do not probe together for ever.
        """
        interval = self._ballots.interval(check)
        share = zlib.crc32(f"{self.node}/{check.id}".encode()) / 2**32
        next_at = self._clock.monotonic() + interval * (0.5 + share / 2)
        await self._look(check)
        while True:
            # A probe that took longer than the interval is followed at once by one, not by many.
            next_at = max(next_at, self._clock.monotonic())
            await self._clock.sleep(next_at - self._clock.monotonic())
            next_at += interval
            await self._look(check)

    async def _look(self, check: HealthCheck) -> None:
        began_at = self._clock.monotonic()
        try:
            result = await self._result(check)
        except ProberFault as fault:
            log.warning(
                'event=health_probe_failed node=%s health_check_id=%s reason="%s"',
                self.node, check.id, fault,
            )  # fmt: skip
            return
        except Exception:
            log.exception(
                "event=health_probe_failed node=%s health_check_id=%s", self.node, check.id
            )
            return
        if result is None:
            return
        if self._lagged_since(began_at):
            log.warning(
                "event=health_probe_discarded node=%s health_check_id=%s reason=event_loop_lag",
                self.node, check.id,
            )  # fmt: skip
            return
        self._take(check, result)

    async def _result(self, check: HealthCheck) -> ProbeResult | None:
        if check.type in PROBED_TYPES:
            return await self._probe(check, self._timeouts)
        return self._evaluate(check, self._watches[check.id].state)

    def _take(self, check: HealthCheck, result: ProbeResult) -> None:
        """Put a result through the check's machine, and cast the vote that follows."""
        watch = self._watches[check.id]
        threshold = threshold_of(check)
        former, watch.state = watch.state, step(watch.state, result, threshold)
        if not result.healthy:
            watch.failure_report, watch.failure_time = result.report, self._clock.now()
        if watch.state.status is not former.status:
            log.info(
                "event=health_status node=%s health_check_id=%s former=%s status=%s threshold=%d "
                'report="%s"',
                self.node, check.id, former.status, watch.state.status,
                threshold, result.report,
            )  # fmt: skip
        sequence = next(self._sequences)
        if not watch.state.settled:
            return
        vote = Vote(
            health_check_id=check.id,
            observer=self.node,
            status=watch.state.status,
            sequence=sequence,
            checked_time=self._clock.now(),
            report=result.report,
            failure_report=watch.failure_report,
            failure_time=watch.failure_time,
        )
        self._ballots.cast(vote, self._clock.monotonic())

    async def _measure_lag(self) -> None:
        while True:
            began_at = self._clock.monotonic()
            await self._clock.sleep(LAG_BEAT_SECONDS)
            self._lag.beat_at = self._clock.monotonic()
            if self._lag.beat_at - began_at - LAG_BEAT_SECONDS > LAG_SECONDS_MAX:
                self._lag.lagged_at = self._lag.beat_at

    def _lagged_since(self, moment: float) -> bool:
        """Return whether the loop stalled, the present included: a beat may be overdue just now."""
        overdue = self._clock.monotonic() - self._lag.beat_at - LAG_BEAT_SECONDS
        return self._lag.lagged_at >= moment or overdue > LAG_SECONDS_MAX

    # --- everybody's votes -------------------------------------------------------------------

    def own_votes(self) -> tuple[Vote, ...]:
        """Return this node's fresh votes, in order of check id: what it tells the others.

        A stale one is withheld: who hears it for the first time could not tell that it is old.
        """
        return self._ballots.fresh_of(self.node, self._clock.monotonic())

    def hear(self, observer: str, votes: Sequence[Vote]) -> None:
        """Take over the votes that another observer tells of itself; see `Ballots.hear`."""
        if observer != self.node:
            self._ballots.hear(observer, votes, self._clock.monotonic())

    def votes_on(self, health_check_id: str) -> list[Vote]:
        """Return the fresh votes on a check, this node's included, in order of observer."""
        return list(self._fresh(health_check_id).values())

    def verdict(self, health_check_id: str, observers: Collection[str]) -> Verdict:
        """Return what the named observers agree on, with inversion applied.

        UNKNOWN where no strict majority of them has a fresh vote for the same status, and for a
        check that is not known. A change is logged.
        """
        check = self._ballots.checks.get(health_check_id)
        names = frozenset(observers)
        verdict = self.judged(health_check_id, names)
        if check is not None:
            votes = self._votes_of(health_check_id, names)
            self._note_verdict(check, names, votes, verdict)
        return verdict

    def judged(self, health_check_id: str, observers: Collection[str]) -> Verdict:
        """Return the same for who asks out of curiosity: no change of it is logged."""
        check, names = self._ballots.checks.get(health_check_id), frozenset(observers)
        if check is None or check.type is not HealthCheckType.CALCULATED:
            votes = self._votes_of(check.id, names) if check is not None else {}
            return judge(check, votes.values(), len(names))
        children = [
            judge(child, self._votes_of(child_id, names).values(), len(names))
            for child_id, child in self._children(check)
        ]
        return conclude(check, calculated.measured(check.health_threshold, children))

    def _children(self, check: HealthCheck) -> list[tuple[str, HealthCheck | None]]:
        """Return a calculated check's children by id, None for one that is not known (yet)."""
        return [(child, self._ballots.checks.get(child)) for child in check.child_health_checks]

    def _votes_of(self, health_check_id: str, names: frozenset[str]) -> dict[str, Status]:
        fresh = self._fresh(health_check_id)
        return {name: fresh[name].status for name in fresh if name in names}

    def own_status(self, health_check_id: str) -> Status | None:
        """Return the check's final status by this node's own fresh votes alone, None without."""
        check = self._ballots.checks.get(health_check_id)
        if check is None or check.type is not HealthCheckType.CALCULATED:
            return self._own_status(check)
        own = [self._own_status(child) for _, child in self._children(check)]
        children = [Verdict.UNKNOWN if status is None else VERDICT_OF[status] for status in own]
        measured = calculated.measured(check.health_threshold, children)
        return STATUS_OF.get(conclude(check, measured))

    def _own_status(self, check: HealthCheck | None) -> Status | None:
        vote = None if check is None else self._fresh(check.id).get(self.node)
        if check is None or (vote is None and not check.disabled):
            return None
        return final_status(check, vote.status if vote else Status.HEALTHY)

    def _fresh(self, health_check_id: str) -> dict[str, Vote]:
        return self._ballots.fresh(health_check_id, self._clock.monotonic())

    def _note_verdict(
        self,
        check: HealthCheck,
        observers: frozenset[str],
        votes: Mapping[str, Status],
        verdict: Verdict,
    ) -> None:
        last_verdicts = self._verdicts.setdefault(check.id, {})
        former = last_verdicts.get(observers, Verdict.UNKNOWN)
        last_verdicts[observers] = verdict
        if former is verdict:
            return
        log.info(
            "event=health_verdict node=%s health_check_id=%s former=%s verdict=%s observers=%s "
            "votes=%s inverted=%s disabled=%s",
            self.node, check.id, former, verdict, ",".join(sorted(observers)),
            ",".join(f"{name}:{status}" for name, status in votes.items()) or "-",
            check.inverted, check.disabled,
        )  # fmt: skip


def _is_observed(check: HealthCheck) -> bool:
    """Tell whether anybody looks at a check: nobody does at a disabled or a calculated one."""
    return not check.disabled and check.type is not HealthCheckType.CALCULATED


def _settings(check: HealthCheck) -> HealthCheck:
    """Return a check without what makes no difference to who looks at it."""
    return msgspec.structs.replace(check, tags={})
