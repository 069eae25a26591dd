"""What the command line says to the tests."""

from __future__ import annotations

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    """Register how much is generated, and from which seed."""
    generated = parser.getgroup("generated")
    generated.addoption(
        "--pairs",
        type=int,
        default=20_000,
        help="pairs of an event pattern and an event to try against the oracle",
    )
    generated.addoption("--pairs-seed", type=int, default=1, help="the seed they follow from")
