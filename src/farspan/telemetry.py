"""Log lines: one for each thing that happened, with fixed fields, safe to read in a terminal."""

from __future__ import annotations

import logging
import time
from types import TracebackType

MESSAGE_LENGTH_MAX = 4_000
"""Longer messages are cut: a log line is for reading, and callers' text can be in it."""


class LineFormatter(logging.Formatter):
    """One line: time in UTC, level, logger, message. Control characters are escaped.

    A traceback follows on lines of its own, which begin with spaces, as no other line does.
    """

    converter = staticmethod(time.gmtime)

    def __init__(self) -> None:
        super().__init__("%(asctime)s.%(msecs)03dZ %(levelname)s %(name)s %(message)s")
        self.datefmt = "%Y-%m-%dT%H:%M:%S"

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 - logging's name
        """Return the line, so that no caller's text can pretend to be another line."""
        record.message = _printable(record.message[:MESSAGE_LENGTH_MAX])
        return super().formatMessage(record)

    def formatException(  # noqa: N802 - logging's name
        self,
        ei: tuple[type[BaseException], BaseException, TracebackType | None]
        | tuple[None, None, None],
    ) -> str:
        """Return the traceback, indented: an exception's text can be a caller's as well."""
        lines = super().formatException(ei).split("\n")
        return "\n".join(f"    {_printable(line)}" for line in lines)


def _printable(text: str) -> str:
    if text.isprintable():  # nearly every line; looking at each character costs a storm dearly
        return text
    return "".join(
        character if character.isprintable() else repr(character)[1:-1] for character in text
    )


def log_to_stderr(level: int = logging.INFO) -> None:
    """Send every log line to standard error."""
    stream = logging.StreamHandler()
    stream.setFormatter(LineFormatter())
    logging.basicConfig(level=level, handlers=[stream], force=True)
