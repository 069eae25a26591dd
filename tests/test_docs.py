"""The documents say what the code does, and the code keeps what the documents promise."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import click
import pytest

from farspan.cli import main

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
