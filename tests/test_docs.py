"""The documents say what the code does, and the code keeps what the documents promise."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest

from farspan.cli import SCENARIOS, main
from farspan.cli.faults import Scenario
from farspan.drill.metrics import METRICS
from farspan.pattern import compile_pattern

ROOT = Path(__file__).parent.parent
TEST_NAMES = re.compile(r"def (test_\w+)")


def test_the_compatibility_page_is_not_stale() -> None:
    """docs/compatibility.md lists the operations as they are registered (renew: make docs)."""
    location = importlib.util.spec_from_file_location("render", ROOT / "docs" / "render.py")
    assert location is not None
    assert location.loader is not None
    render = importlib.util.module_from_spec(location)
    location.loader.exec_module(render)

    assert render.rendered_page() == (ROOT / "docs" / "compatibility.md").read_text()


def _guarantees() -> list[str]:
    return re.findall(r"^\| (G\d+) \|", (ROOT / "docs" / "guarantees.md").read_text(), re.MULTILINE)


@pytest.mark.parametrize("guarantee", _guarantees())
def test_every_guarantee_has_a_test(guarantee: str) -> None:
    """Each numbered guarantee has at least one test that carries its number."""
    names = [
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in TEST_NAMES.findall(path.read_text())
    ]

    assert [name for name in names if name.startswith(f"test_{guarantee.lower()}_")]


def test_every_path_that_the_architecture_names_exists() -> None:
    """ARCHITECTURE.md points to nothing that is gone."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:[a-z_]+/)+[a-z_]*(?:\.[a-z]+)?)`", text))
    roots = (ROOT, ROOT / "src" / "farspan")

    missing = [path for path in named if not any((root / path).exists() for root in roots)]
    assert not missing


def test_every_part_is_in_the_code_map() -> None:
    """Each package and module right under src/farspan stands in ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    parts = [
        f"{path.name}/" if path.is_dir() else path.name
        for path in (ROOT / "src" / "farspan").iterdir()
        if not path.name.startswith("__") and path.suffix in ("", ".py")
    ]

    assert [part for part in parts if f"`{part}`" not in text] == []


def test_every_dependency_says_why_it_is_there() -> None:
    """Each dependency of pyproject.toml has a line in ARCHITECTURE.md."""
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = re.findall(r'^ *"([a-z0-9-]+)[>=]', (ROOT / "pyproject.toml").read_text(), re.MULTILINE)

    assert named
    assert [name for name in named if f"`{name}`" not in text] == []


def test_every_command_is_in_the_readme() -> None:
    """Each command of the command line is shown in the README."""
    text = (ROOT / "README.md").read_text()
    assert isinstance(main, click.Group)

    assert [name for name in main.commands if f"farspan {name}" not in text] == []


PATTERNS_PAGE = (ROOT / "docs" / "patterns.md").read_text()


@pytest.mark.parametrize(
    ("alternative", "matching", "other"),
    re.findall(
        r"^\|[^|`]*(?:`[^`]*`[^|`]*)*\| `(.+)` \| `(.+)` \| `(.+)` \|$", PATTERNS_PAGE, re.MULTILINE
    ),
)
def test_the_examples_of_patterns_are_true(alternative: str, matching: str, other: str) -> None:
    """Each row of the page on patterns matches and does not match what it says."""
    pattern = compile_pattern(f'{{"v": [{alternative}]}}')

    assert pattern.matches(f'{{"v": {matching}}}'.encode())
    assert not pattern.matches(f'{{"v": {other}}}'.encode())


@pytest.mark.parametrize("block", re.findall(r"```python\n(.+?)```", PATTERNS_PAGE, re.DOTALL))
def test_the_programs_on_patterns_run(block: str) -> None:
    """Each piece of Python on the page runs, and its tests pass."""
    names: dict[str, object] = {}
    exec(block, names)
    tests = [value for name, value in names.items() if name.startswith("test_")]

    assert "explain" in names
    assert [None for _ in tests] == [test() for test in tests if callable(test)]


def test_every_hint_is_on_the_page_on_patterns() -> None:
    """Each code of a hint stands on the page."""
    sources = "\n".join(p.read_text() for p in (ROOT / "src/farspan/pattern").glob("*.py"))
    codes = set(re.findall(r'Hint\(\s*"([a-z-]+)"', sources))

    assert codes
    assert {code for code in codes if f"`{code}`" not in PATTERNS_PAGE} == set()


def test_the_page_on_drills_has_every_scenario_and_figure() -> None:
    """Each scenario, and each metric with its definition, stands in docs/drills.md."""
    page = (ROOT / "docs" / "drills.md").read_text()
    rows = [f"| `{m.name}` | {m.title}: {m.definition} |" for m in METRICS.values()]

    assert [row for row in rows if row not in page] == []
    assert [scenario for scenario in Scenario if f"`{scenario}`" not in page] == []
    assert tuple(Scenario) == SCENARIOS
