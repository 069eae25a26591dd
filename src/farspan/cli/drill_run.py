"""A drill as it runs: publish, make the fault, heal it, wait for failback, count everything.

Owns the threads and the clock of a drill. What is concluded from it is `farspan.drill`'s.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from farspan.cli.canary import EndpointFacts
from farspan.cli.clients import arguments_of, client_of
from farspan.cli.faults import Fault, Scenario
from farspan.cli.observer import endpoint_in
from farspan.cli.probes import Probe
from farspan.cli.publisher import Publisher
from farspan.cli.receiver import Receivers
from farspan.cli.remote import Remote
from farspan.cli.timeline import Line, Timeline
from farspan.drill.assertions import Assertion
from farspan.drill.findings import Course
from farspan.drill.ledger import Ledger, Tally
from farspan.drill.report import DrillReport, Mark, MarkKind, Setting, report_of

TAIL_SECONDS = 1.0
"""How long publishing goes on after failback, to see that it holds."""

QUEUE_SECONDS_MAX = 30.0
"""How long an acknowledged event may take to come out of a queue before it counts as lost."""

REPEAT_SECONDS = 1.5
"""How long the queues are watched for what comes twice, when everything came once."""

LEAVE_SECONDS_MAX = 2.0
RECEIVE_SECONDS_MAX = 5
"""An SQS call that takes longer hangs in a Region that does: the receiver asks anew."""

WATCH_SECONDS = 0.1
RATE_SHARE_MIN = 0.8


class DrillFailed(Exception):
    """The drill could not be run to its end. The message says why."""


class Interrupted(Exception):
    """SIGINT or SIGTERM came."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a drill does, and for how long, in seconds."""

    scenario: Scenario
    region: str
    fault: Fault
    endpoint: EndpointFacts
    queue_urls: dict[str, str]
    calls: Iterator[list[Probe]]
    rate: float
    before_seconds: float
    fault_seconds: float
    failback_seconds_max: float
    seconds_min: float = 0.0


class Drill:
    """One drill on a deployment."""

    def __init__(self, remote: Remote, console: Console, plan: Plan) -> None:
        self._remote = remote
        self._plan = plan
        self._ledger = Ledger()
        self._tally = Tally(self._ledger)
        self._tally_lock = threading.Lock()
        self._marks: list[Mark] = []
        sqs = {region: self._sqs(region) for region in plan.endpoint.regions}
        put = _putter(remote, plan.endpoint.primary)
        self._began_at = time.time()
        self._began = time.monotonic()
        self._timeline = Timeline(console, self._look)
        self._receivers = Receivers(
            sqs, plan.queue_urls, self._ledger, clock=self._clock, began_at=self._began_at
        )
        self._publisher = Publisher(
            put,
            plan.calls,
            endpoint_id=plan.endpoint.endpoint_id,
            rate=plan.rate,
            ledger=self._ledger,
            clock=self._clock,
        )

    def run(
        self, assertions: Sequence[Assertion], environment: dict[str, str], notes: Sequence[str]
    ) -> DrillReport:
        """Do it all and return the report. Raises DrillFailed, and whatever the fault raises."""
        self._receivers.start()
        self._publisher.start()
        try:
            with self._timeline:
                course = self._through_the_fault()
                self._wait_for_failback(course)
                self._timeline.wait(max(TAIL_SECONDS, self._plan.seconds_min - self._clock()))
                self._publisher.stop()
                self._wait_for_the_queues()
        finally:
            self._publisher.stop(LEAVE_SECONDS_MAX)
            self._receivers.stop(LEAVE_SECONDS_MAX)
        self._note_routes()
        setting = Setting(
            scenario=self._plan.scenario.value,
            means=self._plan.fault.text,
            started_at=datetime.fromtimestamp(self._began_at, UTC).isoformat(timespec="seconds"),
            rate=self._plan.rate,
            environment=environment,
            notes=[*notes, *self._notes_on_rate(course)],
        )
        return report_of(self._ledger, course, setting, marks=self._marks, assertions=assertions)

    # --- the stages -----------------------------------------------------------------------

    def _through_the_fault(self) -> Course:
        plan = self._plan
        self._timeline.wait(plan.before_seconds)
        self._check_that_it_works()
        fault_at = self._clock()
        try:
            made = plan.fault.make()
            made_at = self._clock()
            self._mark(MarkKind.FAULT, made, fault_at)
            self._timeline.wait(plan.fault_seconds)
        finally:
            heal_at = self._clock()
            healed = plan.fault.heal()
        self._mark(MarkKind.HEAL, healed, heal_at)
        other = next(region for region in plan.endpoint.regions if region != plan.region)
        return Course(
            region=plan.region,
            other=other,
            fault_at=fault_at,
            made_at=made_at,
            heal_at=heal_at,
            replicates=plan.endpoint.replicates,
        )

    def _check_that_it_works(self) -> None:
        """Raise DrillFailed where no call was acknowledged: a fault would show nothing."""
        if not any(call.event_ids for call in self._ledger.calls):
            errors = [call.error for call in self._ledger.calls if call.error]
            reason = errors[-1] if errors else "no call has returned yet"
            raise DrillFailed(
                f"No event was acknowledged before the fault, which was not made: {reason}"
            )

    def _wait_for_failback(self, course: Course) -> None:
        """Wait until the Region that was in use is so again, where it was moved away from."""
        before = [c.region for c in self._ledger.calls if c.ended_at <= course.fault_at]
        if not before or before[-1] != course.region:
            return
        deadline = course.heal_at + self._plan.failback_seconds_max
        while self._clock() < deadline:
            status = endpoint_in(self._remote.status(), self._plan.endpoint.endpoint_id)
            settled = status is None or status["route"] == course.region
            latest = self._ledger.calls[-1]
            if settled and latest.region == course.region and latest.began_at > course.heal_at:
                reason = status["reason"] if status else "it acknowledges again"
                self._timeline.say(f"{course.region} is in use: {reason}")
                return
            self._timeline.wait(WATCH_SECONDS)
        self._timeline.say(
            f"{course.region} is not in use again after {self._plan.failback_seconds_max:.0f} s"
        )

    def _wait_for_the_queues(self) -> None:
        """Wait until both queues gave everything, and a little longer for what comes twice."""
        endpoint = self._plan.endpoint
        deadline = self._clock() + QUEUE_SECONDS_MAX
        while self._clock() < deadline:
            with self._tally_lock:
                self._tally.update()
                complete = (
                    self._tally.is_complete(endpoint.regions)
                    if endpoint.replicates
                    else self._tally.is_complete_anywhere()
                )
            if complete:
                break
            self._timeline.wait(WATCH_SECONDS)
        self._timeline.wait(REPEAT_SECONDS)

    def _notes_on_rate(self, course: Course) -> list[str]:
        """Say where the stream was thinner than asked: figures of a stream follow from it."""
        before = [call for call in self._ledger.calls if call.ended_at <= course.fault_at]
        began = min((call.began_at for call in before), default=course.fault_at)
        count = sum(len(call.event_ids) for call in before)
        rate = count / max(course.fault_at - began, WATCH_SECONDS)
        if rate >= RATE_SHARE_MIN * self._plan.rate:
            return []
        asked = f"not {self._plan.rate:g}"
        return [f"{rate:.0f} events/s were put before the fault, {asked}: more were not taken."]

    # --- looking --------------------------------------------------------------------------

    def _clock(self) -> float:
        return time.monotonic() - self._began

    def _mark(self, kind: MarkKind, text: str, at: float) -> None:
        self._marks.append(Mark(at=round(at, 3), kind=kind, text=text))
        self._timeline.say(text)

    def _look(self) -> Line:
        regions = self._plan.endpoint.regions
        status = endpoint_in(self._remote.status(), self._plan.endpoint.endpoint_id)
        with self._tally_lock:
            self._tally.update()
            answers, lags = self._receivers.answers, self._tally.take_lags()
            return Line(
                acknowledged=self._tally.acknowledged,
                failed=self._tally.failed,
                route=status["route"] if status else "?",
                routing=status["routing"] if status else "?",
                lags={region: lags.get(region) for region in regions},
                received={r: self._tally.received(r) if answers[r] else None for r in regions},
            )

    def _note_routes(self) -> None:
        """Enter the changes of the route as the node at the URL remembers them."""
        status = endpoint_in(self._remote.status(), self._plan.endpoint.endpoint_id)
        for change in (status or {}).get("history", ()):
            at = round(change["at"] - self._began_at, 3)
            if at >= 0:
                text = f"{change['state']}: {change['reason']}"
                self._marks.append(Mark(at=at, kind=MarkKind.ROUTE, text=text))

    def _sqs(self, region: str) -> Any:  # noqa: ANN401 - botocore has no types
        return client_of(
            self._remote,
            "sqs",
            region,
            read_timeout=RECEIVE_SECONDS_MAX,
            retries={"max_attempts": 0},
        )


def _putter(remote: Remote, region: str) -> Callable[..., dict[str, Any]]:
    """Return `put_events` of an unmodified boto3 client, with its own retries and timeouts."""
    import boto3

    put: Callable[..., dict[str, Any]] = boto3.client(
        "events", region_name=region, **arguments_of(remote)
    ).put_events
    return put
