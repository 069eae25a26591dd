"""Time and ids: the only module that reads a clock or invents an identifier.

Everything else takes `now` as an argument, or one of these two as a collaborator, so that a test
can put 24 hours into a millisecond and a seed can replay a run.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from typing import Protocol


class Clock(Protocol):
    """Reads time and waits."""

    def now(self) -> float:
        """Return wall-clock time in seconds since the epoch. It may jump: for stamps only."""

    def monotonic(self) -> float:
        """Return seconds that never go back. Use it for detection, time-outs and pauses."""

    async def sleep(self, seconds: float) -> None:
        """Return after `seconds` by the monotonic clock."""


class SystemClock:
    """The machine's clocks."""

    def now(self) -> float:
        """See `Clock.now`."""
        return time.time()

    def monotonic(self) -> float:
        """See `Clock.monotonic`."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """See `Clock.sleep`."""
        await asyncio.sleep(seconds)


class SteadyTime:
    """Wall-clock time that never jumps: by the monotonic clock, from where the wall clock stood.

    Use it for what is due in a while: a clock that is set while this process runs neither hides it
    nor brings it early. Stamps that others read are the wall clock's.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._offset = clock.now() - clock.monotonic()

    def now(self) -> float:
        """Return seconds since the epoch as this process counts them."""
        return self._clock.monotonic() + self._offset


class IdSource(Protocol):
    """Invents identifiers and rolls dice."""

    def token(self, byte_count: int) -> bytes:
        """Return `byte_count` unpredictable bytes."""

    def uuid(self) -> str:
        """Return a UUID of version 4 in lower-case text form."""

    def fraction(self) -> float:
        """Return a number in [0, 1), for jitter."""


class SystemIds:
    """Identifiers from the operating system's random source."""

    def token(self, byte_count: int) -> bytes:
        """See `IdSource.token`."""
        return os.urandom(byte_count)

    def uuid(self) -> str:
        """See `IdSource.uuid`."""
        return format_uuid4(os.urandom(16))

    def fraction(self) -> float:
        """See `IdSource.fraction`."""
        return random.random()  # noqa: S311 - jitter, not a secret


class SeededIds:
    """Identifiers that a seed determines, for simulation and tests."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - replaying is the purpose

    def token(self, byte_count: int) -> bytes:
        """See `IdSource.token`."""
        return self._random.randbytes(byte_count)

    def uuid(self) -> str:
        """See `IdSource.uuid`."""
        return format_uuid4(self._random.randbytes(16))

    def fraction(self) -> float:
        """See `IdSource.fraction`."""
        return self._random.random()


def format_uuid4(raw: bytes) -> str:
    """Return 16 bytes as a UUID of version 4, variant 1 (RFC 9562), in lower-case text form."""
    text = raw.hex()
    variant = "89ab"[raw[8] >> 4 & 0x3]
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-{variant}{text[17:20]}-{text[20:]}"
