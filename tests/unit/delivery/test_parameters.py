"""JSON paths in the parameters of targets."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.delivery.event_values import Value
from farspan.delivery.parameters import paths_in, resolve

EVENT = Value(
    b'{"source":"shop","detail":{"id":"a\\"b","n":1.10,"list":[1, "x"],"none":null,"t":"\\n"}}'
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$.source", "shop"),
        ("$.detail.id", 'a"b'),
        ("$.detail.n", "1.10"),
        ("$.detail.list", '[1,"x"]'),
        ("$.detail.list[1]", "x"),
        ("$.detail.none", "null"),
        ("$.detail.gone", ""),
        ("$.detail.t", "\n"),
        ("at $.source", "at $.source"),
        ("$5", "$5"),
        ("", ""),
    ],
)
def test_what_a_path_becomes(text: str, expected: str) -> None:
    """A text that is a path as a whole is replaced: a string by its text, the rest by JSON."""
    assert {"a": expected} == resolve({"a": text}, EVENT)


def test_paths_anywhere() -> None:
    """Paths are replaced in lists and maps; names and other values stay."""
    parameters: dict[str, Any] = {
        "HttpParameters": {
            "PathParameterValues": ["$.source", "x"],
            "HeaderParameters": {"$.source": "$.source"},
        },
        "EcsParameters": {"TaskCount": 2, "EnableExecuteCommand": True},
    }

    assert {
        "HttpParameters": {
            "PathParameterValues": ["shop", "x"],
            "HeaderParameters": {"$.source": "shop"},
        },
        "EcsParameters": {"TaskCount": 2, "EnableExecuteCommand": True},
    } == resolve(parameters, EVENT)
    assert ["$.source", "$.source"] == list(paths_in(parameters))


@given(st.binary(max_size=30), st.text(max_size=20))
def test_any_event_is_survived(event: bytes, rest: str) -> None:
    """Whatever the event's bytes and the path, there is a text."""
    assert isinstance(resolve({"a": f"$.{rest}"}, Value(event))["a"], str)
