"""Durations on the command line, such as 30s, 500ms or 1h30m."""

from __future__ import annotations

import re
from typing import Any, Final

import click

SECONDS_OF: Final = {"ms": 0.001, "s": 1, "m": 60, "h": 3_600, "d": 86_400}
PART: Final = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ms|[smhd])", re.ASCII)
WHOLE: Final = re.compile(rf"(?:{PART.pattern})+", re.ASCII)


class Duration(click.ParamType[float]):
    """A duration within limits, as seconds."""

    name = "duration"

    def __init__(self, least: float = 0.0, most: float = float("inf")) -> None:
        self._least = least
        self._most = most

    def convert(self, value: Any, param: Any, context: Any) -> float:  # noqa: ANN401 - as click's
        """Return the seconds."""
        text = str(value)
        if not WHOLE.fullmatch(text):
            self.fail(f"`{text}` is no duration such as 90s, 10m or 1h30m.", param, context)
        seconds = sum(float(number) * SECONDS_OF[unit] for number, unit in PART.findall(text))
        if not self._least <= seconds <= self._most:
            limits = f"{self._least:g} to {self._most:g} seconds"
            self.fail(f"`{text}`: it takes {limits}.", param, context)
        return seconds
