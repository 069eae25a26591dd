"""Yes, no, and cannot tell: the logic of conditions, so that the unknown never opens a door.

`None` stands for what cannot be told: an unknown operator or key, a value of the wrong form. It is
Kleene's logic: no matter what the unknown may be, no-and-unknown is no, yes-or-unknown is yes. At
the very end an Allow needs a yes, and a Deny is content with anything but a no.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Verdict = bool | None


def all_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return whether all hold: a no decides, otherwise an unknown does."""
    outcome: Verdict = True
    for verdict in verdicts:
        if verdict is False:
            return False
        if verdict is None:
            outcome = None
    return outcome


def any_of(verdicts: Iterable[Verdict]) -> Verdict:
    """Return whether one holds: a yes decides, otherwise an unknown does."""
    outcome: Verdict = False
    for verdict in verdicts:
        if verdict:
            return True
        if verdict is None:
            outcome = None
    return outcome


def negation_of(verdict: Verdict) -> Verdict:
    """Return the opposite; that of an unknown is unknown."""
    return None if verdict is None else not verdict
