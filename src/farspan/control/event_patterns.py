"""What a resource that is stored with an event pattern has to see to before it is.

What patterns mean, and AWS's refusals of them, is in `pattern`; here is what depends on the Region.
"""

from __future__ import annotations

from farspan.control.plane import ControlPlane
from farspan.errors import LimitExceededException
from farspan.pattern import compile_pattern


def check_event_pattern(plane: ControlPlane, text: str) -> None:
    """Return if `text` is a valid event pattern of no more than the quota's length.

    Raises InvalidEventPatternException or LimitExceededException. The API's model has refused what
    is longer than 4,096 characters before.
    """
    quota = plane.quotas.event_pattern_characters
    if len(text) > quota:
        raise LimitExceededException(
            f"The event pattern has {len(text)} characters; the quota is {quota}."
        )
    compile_pattern(text)
