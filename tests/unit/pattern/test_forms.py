"""The pattern language comes as Python and, in compiled wheels, as machine code as well."""

from __future__ import annotations

import os
import subprocess
import sys
import types

import pytest

from farspan import pattern

FORM = "import farspan.pattern as p; print(p.COMPILED, p.match.__file__)"


def _form(environment: dict[str, str]) -> tuple[str, str]:
    done = subprocess.run(
        [sys.executable, "-c", FORM],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    compiled, path = done.stdout.split()
    return compiled, path


def test_the_pure_form_can_be_asked_for() -> None:
    """With FARSPAN_PURE set the Python modules are loaded, whatever else is there."""
    compiled, path = _form({"FARSPAN_PURE": "1"})

    assert ("False", True) == (compiled, path.endswith(".py"))


def test_the_form_that_is_loaded_is_told() -> None:
    """COMPILED says whether the matcher is machine code, whose methods are not Python functions."""
    assert pattern.COMPILED is not isinstance(pattern.Matcher.match, types.FunctionType)


@pytest.mark.skipif(
    "FARSPAN_FORM" not in os.environ, reason="`make unit-compiled` names the form to be tested"
)
def test_the_form_under_test_is_the_one_that_was_meant() -> None:
    """The run that is to test machine code does."""
    assert ("compiled" if pattern.COMPILED else "pure") == os.environ["FARSPAN_FORM"]
