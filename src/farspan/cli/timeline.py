"""A drill's live table: a line for each second, with what happened in between.

On a terminal the lines form a table that grows; elsewhere each line is printed as it comes.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

from rich.console import Console
from rich.text import Text

LINE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Line:
    """What was seen at one moment: totals, and what each Region's queue gave (None: no answer).

    `lags` are of what was replicated since the last line, None where nothing was.
    """

    acknowledged: int
    failed: int
    route: str
    routing: str
    lags: dict[str, float | None]
    received: dict[str, int | None]


class Timeline:
    """Prints a line each second while it is entered; `say` prints between the lines."""

    def __init__(self, console: Console, look: Callable[[], Line]) -> None:
        self._console = console
        self._look = look
        self._began = 0.0
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._work, name="timeline", daemon=True)
        self._former: Line | None = None

    def __enter__(self) -> Self:
        self._began = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopping.set()
        self._thread.join()

    def wait(self, seconds: float) -> None:
        """Let time pass."""
        time.sleep(seconds)

    def say(self, text: str) -> None:
        """Print what happened, with the time."""
        self._print(Text(f"{self._elapsed():5.1f} s  -- {text}", style="bold yellow"))

    def _print(self, text: Text) -> None:
        self._console.print(text, no_wrap=True, overflow="ignore", crop=False)

    def _elapsed(self) -> float:
        return time.monotonic() - self._began

    def _work(self) -> None:
        due = self._began
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            line = self._look()
            if self._former is None:
                self._print(Text(_header(line), style="dim"))
            self._print(self._render(line))
            self._former = line
            due = max(due + LINE_SECONDS, time.monotonic())

    def _render(self, line: Line) -> Text:
        former = self._former.acknowledged if self._former else 0
        new = line.acknowledged - former
        text = Text(f"{self._elapsed():5.1f} s {line.acknowledged:>6} {new:>5}")
        text.append(f" {line.failed:>6}", style="bold red" if line.failed else "")
        on_primary = line.routing in ("PRIMARY", "SUSPECT")
        text.append(f"  {line.route:<10}", style="green" if on_primary else "yellow")
        text.append(f" {line.routing:<16}")
        for region in line.received:
            text.append(f" {_cell(line, region):>17}", style="" if _up(line, region) else "red")
        return text


def _header(line: Line) -> str:
    regions = "".join(f" {region:>17}" for region in line.received)
    titles = f"{'time':>7} {'acked':>6} {'new':>5} {'failed':>6}  {'route':<10} {'state':<16}"
    under = "".join(f" {'received, lag':>17}" for _ in line.received)
    return f"{titles}{regions}\n{'':{len(titles)}}{under}"


def _up(line: Line, region: str) -> bool:
    return line.received[region] is not None


def _cell(line: Line, region: str) -> str:
    received, lag = line.received[region], line.lags[region]
    if received is None:
        return "down"
    return f"{received}, {'-' if lag is None else f'{lag * 1_000:.0f} ms'}"
