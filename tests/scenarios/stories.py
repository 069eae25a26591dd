"""Replays stories: above each rule what happens, below it where everything stands then."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

RULE = "\n----"


def replay(text: str, run: Callable[[str], None], tell: Callable[[], str]) -> str:
    """Return a story with the lower half of each step as it comes out now."""
    told = []
    for block in text.strip().split("\n\n"):
        story, rule, _ = block.partition(RULE)
        assert rule, f"a step without {RULE!r}: {block}"
        for line in story.splitlines():
            if not line.startswith("#"):
                run(line)
        told.append(f"{story}{RULE}\n{tell()}")
    return "\n".join(told)


def assert_told(scenario: Path, run: Callable[[str], None], tell: Callable[[], str]) -> None:
    """Fail unless a file tells what comes out now; write it anew where that is wanted."""
    text = scenario.read_text()
    replayed = replay(text, run, tell)
    if os.environ.get("SCENARIOS_REWRITE") == "1":
        scenario.write_text(replayed)
        pytest.fail("The scenario was rewritten. Read the difference, and run again without.")

    assert replayed == text
