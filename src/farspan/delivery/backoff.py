"""How long to wait before the next attempt. Pure.

EventBridge documents exponential back-off with jitter, 185 retries within 24 hours. Doubling from
one second up to 934 seconds with full jitter waits 467 seconds on average at the cap, which places
185 attempts in 24 hours (86,400 / 185 = 467). The cap is our choice; AWS does not publish its own.
"""

from __future__ import annotations

PAUSE_SECONDS_MAX = 934.0
_DOUBLINGS_MAX = 10  # 2 ** 10 is above the cap; beyond it the power would only grow


def pause_seconds(attempt_count: int, fraction: float) -> float:
    """Return the pause after `attempt_count` attempts (from 1), with `fraction` in [0, 1)."""
    ceiling = min(PAUSE_SECONDS_MAX, 2.0 ** min(attempt_count - 1, _DOUBLINGS_MAX))
    return ceiling * fraction
