"""Log lines: one for each thing, which no caller's text can forge."""

from __future__ import annotations

import io
import logging
import re

import pytest

from farspan.telemetry import MESSAGE_LENGTH_MAX, LineFormatter, log_to_stderr

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (INFO|ERROR) farspan\.test .*")
FORGED = "2026-01-01T00:00:00.000Z INFO farspan.test all is well"


def record(message: str, *arguments: object, level: int = logging.INFO) -> logging.LogRecord:
    """Return a record of the moment 0.25 s after the epoch."""
    made = logging.LogRecord("farspan.test", level, "file", 1, message, arguments, None)
    made.created, made.msecs = 0.25, 250.0
    return made


def test_a_line_has_time_level_name_and_message() -> None:
    """The fields stand in a fixed order, the time in UTC with milliseconds."""
    line = LineFormatter().format(record("delivered event=%s", "e"))

    assert line == "1970-01-01T00:00:00.250Z INFO farspan.test delivered event=e"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (f"x\n{FORGED}", rf"x\n{FORGED}"),
        (f"x\r{FORGED}", rf"x\r{FORGED}"),
        ("\x1b[2J", r"\x1b[2J"),
        ("\x00\x7f\x9b", r"\x00\x7f\x9b"),
        ("a\u2028b\u2029c\x85d\x0be", r"a\u2028b\u2029c\x85d\x0be"),
        ("\u202eevil", r"\u202eevil"),
        ("\ud800", r"\ud800"),
        ("tab\there", r"tab\there"),
        ("grüß 日本 😀", "grüß 日本 😀"),
    ],
    ids=ascii,
)
def test_control_characters_cannot_forge_a_line(text: str, shown: str) -> None:
    """A caller's text stays within its line, and does nothing to a terminal."""
    line = LineFormatter().format(record("message=%s", text))

    assert line.endswith(f" message={shown}")
    assert len(line.splitlines()) == 1


def test_a_long_message_is_cut() -> None:
    """No text makes a line longer than a reader can bear."""
    line = LineFormatter().format(record("x" * (MESSAGE_LENGTH_MAX * 2)))

    assert len(line) < MESSAGE_LENGTH_MAX + 100


def fail(text: str) -> None:
    """Raise an exception with a text."""
    raise ValueError(text)


def test_a_traceback_cannot_forge_a_line() -> None:
    """An exception's text is indented with its traceback: no forged line begins a line."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(LineFormatter())
    logger = logging.getLogger("farspan.test")
    logger.addHandler(handler)
    try:
        fail(f"bad\n{FORGED}\r{FORGED}\x1b[2J")
    except ValueError:
        logger.exception("it failed")
    finally:
        logger.removeHandler(handler)

    first, *rest = stream.getvalue().split("\n")[:-1]

    assert LINE.fullmatch(first)
    assert any(FORGED in line for line in rest)
    assert all(line.startswith("    ") for line in rest)
    assert not {"\r", "\x1b"} & set(stream.getvalue())


def test_everything_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output stays free for what a command prints."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    try:
        root.handlers.clear()
        log_to_stderr()
        logging.getLogger("farspan.test").info("up")
        logging.getLogger("farspan.test").debug("not shown")
    finally:
        root.handlers[:] = handlers
        root.setLevel(level)
    out, err = capsys.readouterr()

    assert out == ""
    assert [bool(LINE.fullmatch(line)) for line in err.splitlines()] == [True]
