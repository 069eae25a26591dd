"""`farspan serve` whose wall clock has run faster than others' since a moment.

Usage: fast_serve.py SPEED MOMENT WORDS...
"""

from __future__ import annotations

import sys
import time

from farspan.cli import main
from farspan.clock import SystemClock

SPEED, MOMENT = float(sys.argv[1]), float(sys.argv[2])


def now(_: SystemClock) -> float:
    """Return the time as this process has it."""
    return MOMENT + (time.time() - MOMENT) * SPEED


SystemClock.now = now  # type: ignore[method-assign]
main(sys.argv[3:])
