"""Log groups and their streams, as CloudWatch Logs has them."""

from __future__ import annotations

from typing import ClassVar, Final

import msgspec

LOG_PREFIX: Final = "-/logs/"
"""How the keys of log groups' logs begin. No account has this name, so that none is a bus's."""


class LogGroup(msgspec.Struct, frozen=True, kw_only=True):
    """A log group. `log_id` is new each time one of the name is made, so that its log is too."""

    KIND: ClassVar[str] = "log-group"

    region: str
    account: str
    name: str
    log_id: str
    creation_time: float = 0.0
    retention_in_days: int | None = None
    tags: dict[str, str] = {}

    @property
    def arn(self) -> str:
        """The group's ARN, without the `:*` that stands for its streams."""
        return log_group_arn(self.region, self.account, self.name)

    @property
    def key(self) -> str:
        """The key among log groups."""
        return f"{self.account}/{self.name}"

    @property
    def log_key(self) -> str:
        """The key of the group's log in the store."""
        return f"{LOG_PREFIX}{self.account}/{self.log_id}"


class LogStream(msgspec.Struct, frozen=True, kw_only=True):
    """A stream of a log group. Times of events are milliseconds, of the stream itself seconds.

    `stream_id` marks the stream's events in the group's log. `late_ms` and `early_ms` are how much
    later, and how much earlier, than its own time an event of the stream came at most; None in a
    stream from before that was kept.
    """

    KIND: ClassVar[str] = "log-stream"

    account: str
    log_id: str
    name: str
    stream_id: str
    creation_time: float = 0.0
    first_event_timestamp: int | None = None
    last_event_timestamp: int | None = None
    last_ingestion_time: int | None = None
    late_ms: int | None = None
    early_ms: int | None = None

    @property
    def key(self) -> str:
        """The key among log streams."""
        return f"{self.account}/{self.log_id}/{self.name}"


class LogEvent(msgspec.Struct, frozen=True, array_like=True):
    """An event of a stream; `timestamp` is milliseconds since the epoch."""

    stream_id: str
    timestamp: int
    message: str


def log_group_arn(region: str, account: str, name: str) -> str:
    """Return the ARN of a log group."""
    return f"arn:aws:logs:{region}:{account}:log-group:{name}"


def log_group_name_in(resource: str) -> str | None:
    """Return the name in the resource part of a log group's ARN, None where it is none.

    With the `:*` that stands for the streams, or without.
    """
    kind, _, name = resource.partition(":")
    name = name.removesuffix(":*")
    return name if kind == "log-group" and name and ":" not in name else None
