"""The repository watches itself: sizes, names, docstrings, dead modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SOURCE = ROOT / "src" / "farspan"
MODULE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
BANNED = {
    "manager",
    "handler",
    "helper",
    "helpers",
    "util",
    "utils",
    "common",
    "misc",
    "processor",
    "provider",
    "info",
    "job",
    "backend",
    "driver",
}
"""Words that say nothing (design/style: vocabulary). Names from other libraries are not ours."""

PATHS = sorted(SOURCE.rglob("*.py"))
IDS = [str(path.relative_to(SOURCE)) for path in PATHS]
every_module = pytest.mark.parametrize("path", PATHS, ids=IDS)


def _definitions(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node


def _words(name: str) -> set[str]:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)
    return {word.lower() for word in spaced.split("_")}


@every_module
def test_modules_are_short_enough_to_read(path: Path) -> None:
    """No module has more than 600 lines."""
    assert len(path.read_text().splitlines()) <= MODULE_LINES_MAX


@every_module
def test_functions_fit_on_a_screen(path: Path) -> None:
    """No function has more than 70 lines."""
    long = [
        node.name
        for node in _definitions(path)
        if not isinstance(node, ast.ClassDef)
        and (node.end_lineno or 0) - node.lineno >= FUNCTION_LINES_MAX
    ]

    assert long == []


@every_module
def test_names_say_something(path: Path) -> None:
    """No class, function or module is named with a word that fits everything."""
    names = [path.stem, *(node.name for node in _definitions(path))]

    assert [name for name in names if _words(name) & BANNED] == []


@every_module
def test_modules_open_with_what_they_are_for(path: Path) -> None:
    """Each module has a docstring."""
    assert ast.get_docstring(ast.parse(path.read_text()))


def test_no_module_is_dead() -> None:
    """Each module is imported by another, or is an entry point."""
    texts = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    dead = []
    for path in PATHS:
        if path.name.startswith("__"):
            continue
        dotted = "farspan." + ".".join(path.relative_to(SOURCE).with_suffix("").parts)
        package, _, name = dotted.rpartition(".")
        direct = f"from {dotted} import" in texts or f"import {dotted}" in texts
        listed = re.search(rf"from {re.escape(package)} import \(?[^)]*\b{name}\b", texts)
        if not direct and not listed:
            dead.append(dotted)

    assert dead == ["farspan.store.memory"]  # the engine of the tests, and of the in-process bus


def test_packages_are_one_level_deep() -> None:
    """The top-level folders are the architecture: there is no second level of packages."""
    assert [p for p in SOURCE.rglob("__init__.py") if len(p.relative_to(SOURCE).parts) > 2] == []


def test_tests_have_a_sentence_each() -> None:
    """Each test function has a docstring that states the behaviour."""
    bare = [
        f"{path.name}::{node.name}"
        for path in (ROOT / "tests").rglob("test_*.py")
        for node in _definitions(path)
        if node.name.startswith("test_") and not ast.get_docstring(node)
    ]

    assert bare == []
