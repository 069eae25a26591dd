"""The status of a check that is calculated from others: how many of them are healthy.

Theory of operation. Nobody observes such a check and nobody votes on it. Every node has the votes
on its children, so every node has the children's verdicts, and from these follows its own. A child
whose verdict is UNKNOWN may be either, so that the answer is UNKNOWN as long as it hangs on one:

| healthy children                               | verdict   |
|------------------------------------------------|-----------|
| as many as the threshold, or more              | HEALTHY   |
| too few, even with all those that are UNKNOWN  | UNHEALTHY |
| too few, but not with those that are UNKNOWN   | UNKNOWN   |

A threshold of 0 is met by none, one above the number of children never (AWS API Reference,
"HealthCheckConfig"). A child counts as it says itself: inverted where it is inverted, and healthy
where it is disabled.

Pure. It must never ask for more than the children: a calculated check has no calculated children.
"""

from __future__ import annotations

from collections.abc import Collection

from farspan.health.votes import Verdict


def measured(threshold: int, children: Collection[Verdict]) -> Verdict:
    """Return what the children's verdicts make of a check, before its own settings."""
    counts = dict.fromkeys(Verdict, 0)
    for child in children:
        counts[child] += 1
    if counts[Verdict.HEALTHY] >= threshold:
        return Verdict.HEALTHY
    if counts[Verdict.HEALTHY] + counts[Verdict.UNKNOWN] < threshold:
        return Verdict.UNHEALTHY
    return Verdict.UNKNOWN
