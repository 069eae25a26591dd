"""How often a target may be invoked: a token bucket, told as the time when its turn comes. Pure.

A bucket holds one second's invocations. Who takes one that is not there yet is told how long to
wait for it, and has it: turns are given in order, and none is given twice.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class TokenBucket:
    """Lets `per_second` invocations through in each second. Times are monotonic seconds."""

    per_second: int
    _next_at: float = float("-inf")
    """When the bucket is full again, were nothing taken any more, less one second."""

    def take(self, now: float) -> float:
        """Take one invocation; return the seconds to wait before it may be made."""
        pause = self.pause(now)
        self._next_at = self._turn(now)
        return pause

    def pause(self, now: float) -> float:
        """Return the seconds that `take` would say, without taking."""
        return max(0.0, self._turn(now) - now)

    def _turn(self, now: float) -> float:
        return max(self._next_at, now - 1.0) + 1.0 / self.per_second
