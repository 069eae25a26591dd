"""Log lines: one for each thing that happened, with fixed fields, safe to read in a terminal."""

from __future__ import annotations

import logging
import time

MESSAGE_LENGTH_MAX = 4_000
"""Longer messages are cut: a log line is for reading, and callers' text can be in it."""


class LineFormatter(logging.Formatter):
    """One line: time in UTC, level, logger, message. Control characters are escaped."""

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s")
        self.datefmt = "%Y-%m-%dT%H:%M:%S"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, so that no caller's text can pretend to be another line."""
        record.message = "".join(
            character if character.isprintable() else repr(character)[1:-1]
            for character in record.message[:MESSAGE_LENGTH_MAX]
        )
        return super().formatMessage(record)


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send every log line to standard error."""
    stream = logging.StreamHandler()
    stream.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
