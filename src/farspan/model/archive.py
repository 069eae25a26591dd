"""Archives and replays: the resources, and what follows from them alone."""

from __future__ import annotations

import hashlib
import json
from enum import StrEnum
from typing import ClassVar, Final

import msgspec

from farspan.model.arn import event_bus_arn
from farspan.model.event import (
    CALL_ID_BYTES,
    CallId,
    event_bus_key,
    event_id_in,
    event_id_of,
    replayed,
)
from farspan.model.rule import Rule, Target

ARCHIVE_RULE_PREFIX = "Events-Archive-"
"""How the rules that feed archives are named, before the archive's own name."""

ARCHIVE_MANAGED_BY = "prod.vhs.events.aws.internal"
"""What `ManagedBy` says on them."""

RETENTION_DAYS_MAX = 2**31 - 1
"""More days than this are kept as this many, as AWS does."""

NOT_REPLAYED: Final = {"replay-name": [{"exists": False}]}
"""The part of a managed rule's pattern that keeps replayed events out of an archive."""


class ArchiveState(StrEnum):
    """Whether an archive takes events (AWS: ArchiveState)."""

    ENABLED = "ENABLED"  # takes what its pattern matches
    DISABLED = "DISABLED"  # its managed rule lost its target; UpdateArchive repairs it
    CREATING = "CREATING"  # not yet in use; Farspan's archives never are
    UPDATING = "UPDATING"  # settings being replaced; Farspan's archives never are
    CREATE_FAILED = "CREATE_FAILED"  # never got into use; Farspan's archives never are
    UPDATE_FAILED = "UPDATE_FAILED"  # the last update failed; Farspan's archives never are


class Archive(msgspec.Struct, frozen=True, kw_only=True):
    """An archive of one bus's events.

    `uuid` tells it from a deleted one of its name. Times are seconds since the epoch.
    """

    KIND: ClassVar[str] = "archive"

    region: str
    account: str
    name: str
    uuid: str
    event_bus_name: str
    description: str | None = None
    event_pattern: str | None = None
    retention_days: int = 0
    rule_stands: bool = True
    target_stands: bool = True
    creation_time: float = 0.0

    @property
    def arn(self) -> str:
        """The archive's ARN."""
        return f"arn:aws:events:{self.region}:{self.account}:archive/{self.name}"

    @property
    def key(self) -> str:
        """The key among archives."""
        return f"{self.account}/{self.name}"

    @property
    def event_source_arn(self) -> str:
        """The ARN of the bus whose events it takes."""
        return event_bus_arn(self.region, self.account, self.event_bus_name)

    @property
    def rule_name(self) -> str:
        """The name of its managed rule."""
        return f"{ARCHIVE_RULE_PREFIX}{self.name}"

    @property
    def event_bus_key(self) -> str:
        """The key of the log that its managed rule reads."""
        return event_bus_key(self.account, self.event_bus_name)

    @property
    def timer_list(self) -> str:
        """The list in the store that has its events."""
        return f"archive/{self.account}/{self.uuid}"

    @property
    def feed_arn(self) -> str:
        """Where its managed rule delivers. AWS's own ARN there says nothing of the archive."""
        return f"{self.arn}:{self.uuid}"

    @property
    def state(self) -> ArchiveState:
        """Follows from what is left of its managed rule, so that the two cannot disagree."""
        fed = self.rule_stands and self.target_stands
        return ArchiveState.ENABLED if fed else ArchiveState.DISABLED


def archive_rule(archive: Archive) -> Rule:
    """Return the managed rule that feeds the archive. It follows from the archive alone."""
    targets = {archive.rule_name: _archive_target(archive)} if archive.target_stands else {}
    return Rule(
        region=archive.region,
        account=archive.account,
        event_bus_name=archive.event_bus_name,
        name=archive.rule_name,
        event_pattern=archive_rule_pattern(archive.event_pattern),
        managed_by=ARCHIVE_MANAGED_BY,
        targets=targets,
    )


def archive_feed(archive: Archive) -> Rule:
    """Return the managed rule as deliveries go by it: with the archive as its target."""
    rule = archive_rule(archive)
    targets = {
        key: msgspec.structs.replace(target, arn=archive.feed_arn)
        for key, target in rule.targets.items()
    }
    return msgspec.structs.replace(rule, targets=targets)


def archive_rule_pattern(event_pattern: str | None) -> str:
    """Return an archive's pattern, which is valid or None, with replayed events left out."""
    wanted: dict[str, object] = {}
    if event_pattern:
        # As AWS, the pattern language ignores what follows the closing brace: so does raw_decode.
        wanted, _ = json.JSONDecoder(strict=False).raw_decode(event_pattern.strip())
    return json.dumps({**wanted, **NOT_REPLAYED}, separators=(",", ":"))


def _archive_target(archive: Archive) -> Target:
    arn = f"arn:aws:events:{archive.region}:::"
    template = (
        f'{{"archive-arn":"{archive.feed_arn}","event":<aws.events.event.json>,'
        '"ingestion-time":<aws.events.event.ingestion-time>}'
    )
    given: dict[str, object] = {
        "Id": archive.rule_name,
        "Arn": arn,
        "InputTransformer": {"InputPathsMap": {}, "InputTemplate": template},
    }
    return Target(id=archive.rule_name, arn=arn, given=given)


class ReplayState(StrEnum):
    """Where a replay is in its life (AWS: ReplayState)."""

    STARTING = "STARTING"  # accepted; no event is sent yet
    RUNNING = "RUNNING"  # sends events
    CANCELLING = "CANCELLING"  # was told to stop
    COMPLETED = "COMPLETED"  # every event of the window was sent
    CANCELLED = "CANCELLED"  # stopped before the end of the window
    FAILED = "FAILED"  # stopped by itself; StateReason says why


ACTIVE_REPLAY_STATES = frozenset(
    {ReplayState.STARTING, ReplayState.RUNNING, ReplayState.CANCELLING}
)
"""States that count against the quota of active replays, and that end in one of the others."""

CANCELLABLE_REPLAY_STATES = frozenset({ReplayState.STARTING, ReplayState.RUNNING})
"""States in which CancelReplay works."""

ARCHIVE_GONE = "Archive resource not found."


class Window(StrEnum):
    """What a look at a replay's archive finds of its window."""

    GONE = "GONE"  # the archive does not exist any more
    MORE = "MORE"  # there may be events that are not sent yet
    DONE = "DONE"  # there is none


NEXT_REPLAY_STATE: Final[dict[tuple[ReplayState, Window], ReplayState]] = {
    (ReplayState.STARTING, Window.GONE): ReplayState.FAILED,
    (ReplayState.STARTING, Window.MORE): ReplayState.RUNNING,
    (ReplayState.STARTING, Window.DONE): ReplayState.RUNNING,
    (ReplayState.RUNNING, Window.GONE): ReplayState.FAILED,
    (ReplayState.RUNNING, Window.MORE): ReplayState.RUNNING,
    (ReplayState.RUNNING, Window.DONE): ReplayState.COMPLETED,
    (ReplayState.CANCELLING, Window.GONE): ReplayState.CANCELLED,
    (ReplayState.CANCELLING, Window.MORE): ReplayState.CANCELLED,
    (ReplayState.CANCELLING, Window.DONE): ReplayState.CANCELLED,
    **{
        (state, window): state
        for state in (ReplayState.COMPLETED, ReplayState.CANCELLED, ReplayState.FAILED)
        for window in Window
    },
}
"""What becomes of a replay after a look."""


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """A replay of the events that an archive has of a window of time, `[start, end)`.

    `place` is how far it is: the place in the archive of the last event that was sent.
    """

    KIND: ClassVar[str] = "replay"

    region: str
    account: str
    name: str
    archive_name: str
    archive_uuid: str
    event_bus_name: str
    event_start_time: float
    event_end_time: float
    description: str | None = None
    filter_arns: tuple[str, ...] | None = None
    state: ReplayState = ReplayState.STARTING
    state_reason: str | None = None
    event_last_replayed_time: float | None = None
    place: tuple[float, int] | None = None
    replay_start_time: float = 0.0
    replay_end_time: float | None = None

    @property
    def arn(self) -> str:
        """The replay's ARN."""
        return f"arn:aws:events:{self.region}:{self.account}:replay/{self.name}"

    @property
    def key(self) -> str:
        """The key among replays."""
        return f"{self.account}/{self.name}"

    @property
    def event_source_arn(self) -> str:
        """The ARN of the archive."""
        return f"arn:aws:events:{self.region}:{self.account}:archive/{self.archive_name}"

    @property
    def destination_arn(self) -> str:
        """The ARN of the bus that gets the events."""
        return event_bus_arn(self.region, self.account, self.event_bus_name)


def advance_replay(replay: Replay, window: Window, now: float) -> Replay:
    """Return the replay as it stands after a look at it; one that has ended stays as it is."""
    state = NEXT_REPLAY_STATE[replay.state, window]
    if state is replay.state:
        return replay
    if state in ACTIVE_REPLAY_STATES:
        return msgspec.structs.replace(replay, state=state)
    reason = ARCHIVE_GONE if state is ReplayState.FAILED else None
    return msgspec.structs.replace(replay, state=state, state_reason=reason, replay_end_time=now)


def replayed_event(replay: Replay, envelope: bytes) -> bytes:
    """Return an archived event as the replay sends it.

    Its id follows from the replay and the event, so that sending it again sends the same event.
    """
    name = f"{replay.arn}\0{replay.replay_start_time}\0{event_id_in(envelope)}"
    call = CallId(hashlib.sha256(name.encode()).digest()[:CALL_ID_BYTES])
    return replayed(envelope, event_id_of(call, 0), replay.name)
