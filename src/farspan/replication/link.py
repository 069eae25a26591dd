"""Whether a call may be acknowledged: how one stream's other Region keeps up with it. Pure.

*Theory.* The other Region commits what it pulls together with its cursor, and asks with that cursor
for what follows. So its question is its acknowledgement: what lies at or before `after` is durable
over there. A link is FOLLOWING while the calls that wait get that in time, and AWAY from the first
that does not. It is FOLLOWING again once a question covers all that the stream held a moment ago:
being heard is not enough while a backlog is left, since a new call would wait behind that.

| mode            | FOLLOWING           | AWAY                | waited in vain                    |
|-----------------|---------------------|---------------------|-----------------------------------|
| `async`         | acknowledge at once | acknowledge at once | never waits                       |
| `sync`          | wait                | refuse before all   | AWAY; refuse, though it is stored |
| `sync_or_async` | wait                | acknowledge at once | AWAY; acknowledge                 |
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final


class Mode(StrEnum):
    """What an acknowledgement of PutEvents through an endpoint says."""

    ASYNC = "async"  # durable in the Region that took it, as on AWS
    SYNC = "sync"  # durable in both Regions
    SYNC_OR_ASYNC = "sync_or_async"  # durable in both, in one while the other does not follow


class LinkState(StrEnum):
    """Whether the other Region confirms in time."""

    FOLLOWING = "FOLLOWING"  # it does, or nothing has shown yet that it does not
    AWAY = "AWAY"  # a call waited for it in vain, and it has not caught up since


class Admission(StrEnum):
    """What becomes of a call."""

    ACKNOWLEDGE = "acknowledge"  # as soon as it is durable here
    WAIT = "wait"  # until it is durable there
    REFUSE = "refuse"  # ServiceUnavailableException


WAIT_SECONDS_MAX: Final = {Mode.SYNC: 3.0, Mode.SYNC_OR_ASYNC: 1.0}
"""How long a call waits. Below the 5 seconds after which a request is sent to the other Region."""

FRESH_SECONDS: Final = 1.0
"""How old the end of a stream may be that a question has to cover for the link to be mended."""

ADMISSIONS: Final = {
    (Mode.ASYNC, LinkState.FOLLOWING): Admission.ACKNOWLEDGE,
    (Mode.ASYNC, LinkState.AWAY): Admission.ACKNOWLEDGE,
    (Mode.SYNC, LinkState.FOLLOWING): Admission.WAIT,
    (Mode.SYNC, LinkState.AWAY): Admission.REFUSE,
    (Mode.SYNC_OR_ASYNC, LinkState.FOLLOWING): Admission.WAIT,
    (Mode.SYNC_OR_ASYNC, LinkState.AWAY): Admission.ACKNOWLEDGE,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Link:
    """One stream's other Region, as its questions show it.

    `confirmed` is the last sequence that it has for certain; 0 until it asks. `since` is when the
    state was entered. `mark` is an end of the stream, seen at `marked_at`, that a question has to
    cover before the link is FOLLOWING again.
    """

    state: LinkState = LinkState.FOLLOWING
    since: float = 0.0
    confirmed: int = 0
    mark: int = 0
    marked_at: float = -math.inf


def asked(link: Link, *, after: int, end: int, now: float) -> Link:
    """Return the link after a question for what follows `after`; the stream ends at `end`."""
    link = replace(link, confirmed=after)
    if link.state is LinkState.FOLLOWING:
        return link
    is_fresh = now - link.marked_at <= FRESH_SECONDS
    if after >= end or (is_fresh and after >= link.mark):
        return Link(since=now, confirmed=after)
    return link if is_fresh else replace(link, mark=end, marked_at=now)


def waited_in_vain(link: Link, now: float) -> Link:
    """Return the link after a call waited for as long as its mode lets it."""
    if link.state is LinkState.AWAY:
        return link
    return Link(state=LinkState.AWAY, since=now, confirmed=link.confirmed)


def admission(mode: Mode, link: Link) -> Admission:
    """Return what becomes of a call now."""
    return ADMISSIONS[mode, link.state]
