"""Lists with groups in the SQLite engine: whose timers of one group come one after the other.

The first timer of a group is due as it was put. Every later one is *parked*, due never, until it
is the first or is claimed together with those before it. So the first timers of all groups that
have something to claim are one range of the index by due time, however long the groups are, and a
claim costs what it takes. Parked timers were never claimed; `claimed_due` keeps when they will be
due. This module runs on the writer thread inside the writer's transactions, and must never begin
or end one.
"""

from __future__ import annotations

from typing import Any, cast

import apsw

from farspan.store.base import AckInGroup, ClaimGroups, ExpireTimers, PutInGroup, Timer
from farspan.store.schema import Sql


class Groups:
    """Applies the changes of lists with groups."""

    def __init__(self, connection: apsw.Connection) -> None:
        self._execute = connection.execute

    def put(self, change: PutInGroup) -> bytes:
        """See `base.PutInGroup`."""
        timers, token = change.timers, change.token
        if token is not None:
            note = self._execute(Sql.HELD_NOTE, (timers, token, change.now)).get
            if note is not None:
                return cast("bytes", note)
            # Two for each one put: however many there were, in the end only the held ones are left.
            self._execute(Sql.FORGET, (timers, timers, change.now))
            self._execute(Sql.HOLD, (timers, token, change.token_until, change.note))
        self._execute(Sql.PUT_IN_GROUP, (timers, change.group, change.key, change.due, change.body))
        return change.note

    def claim(self, change: ClaimGroups) -> list[Timer]:
        """See `base.ClaimGroups`."""
        timers, now = change.timers, change.now
        claimed: list[Timer] = []
        groups = self._execute(Sql.OPEN_GROUPS, (timers, now, change.limit)).fetchall()
        for (group,) in groups:
            left = change.limit - len(claimed)
            if not left:
                break
            first: list[Any] = self._execute(Sql.FIRST_OF_GROUP, (timers, group, left)).fetchall()
            for put_order, ready in first:
                if ready > now:
                    break
                values = (ready, change.until, now, put_order)
                rows: list[Any] = self._execute(Sql.CLAIM_ONE, values).fetchall()
                claimed += [Timer(*row) for row in rows]
        return claimed

    def expire(self, change: ExpireTimers) -> int:
        """See `base.ExpireTimers`. Lists without groups have none that would have to go on."""
        timers, removed = change.timers, 0
        while removed < change.limit:
            values = (timers, change.before, change.limit - removed)
            rows = self._execute(Sql.OLDEST_DUE, values).fetchall()
            for put_order, group in rows:
                self._execute(Sql.REMOVE_TIMER, (put_order,))
                if group is not None:
                    self._execute(Sql.OPEN_FIRST, (timers, group))
            if not rows:
                break
            removed += len(rows)
        return removed

    def ack(self, change: AckInGroup) -> bool:
        """See `base.AckInGroup`."""
        values = (change.timers, change.key, change.claim, change.claim)
        removed = self._execute(Sql.ACK_IN_GROUP, values).fetchall()
        for (group,) in removed:
            self._execute(Sql.OPEN_FIRST, (change.timers, group))
        return bool(removed)
