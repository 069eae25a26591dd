"""Wildcards: the one-pass matcher against a naive one, and its cost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.policy.comparisons import is_resource
from farspan.policy.conditions import resolve
from farspan.policy.glob import Glob
from farspan.policy.template import fill, read_template


def compiled(pattern: str) -> Glob:
    """Compile a pattern without variables."""
    return Glob.of(fill(read_template(pattern, variables=False), {}) or ())


def naive(pattern: str, value: str) -> bool:
    """Match by trying everything."""
    if not pattern:
        return not value
    if pattern[0] == "*":
        return naive(pattern[1:], value) or (bool(value) and naive(pattern, value[1:]))
    return bool(value) and pattern[0] in {"?", value[0]} and naive(pattern[1:], value[1:])


@given(st.text("ab*?", max_size=8), st.text("abc", max_size=8))
def test_the_matcher_agrees_with_the_naive_one(pattern: str, value: str) -> None:
    """On short texts both give the same answer."""
    assert naive(pattern, value) is compiled(pattern).matches(value)


@pytest.mark.parametrize("pattern", ["*a" * 5_000 + "b", "a?" * 5_000 + "*b", "?" * 9_999 + "*c"])
def test_a_hostile_pattern_costs_no_more_than_its_length(pattern: str) -> None:
    """Neither the longest pattern nor a long value makes the matcher try twice."""
    assert not compiled(pattern).matches("a" * 20_000)


RESOURCES = [
    ("*", "arn:aws:events:r:1:event-bus/b", True),
    ("*", "*", True),
    ("arn:aws:events:*:*:event-bus/*", "arn:aws:events:r:1:event-bus/b", True),
    ("arn:aws:events:*", "arn:aws:events:r:1:event-bus/b", True),
    ("arn:aws:events:*:event-bus/b", "arn:aws:events:r:1:event-bus/b", False),
    ("arn:aws:events:r:1:EVENT-BUS/b", "arn:aws:events:r:1:event-bus/b", False),
    ("arn:aws:sqs:r:1:q*", "arn:aws:sqs:r:1:q:x", True),
    ("arn:aws:sqs:r:1:q", "*", False),
]


@pytest.mark.parametrize(("pattern", "resource", "expected"), RESOURCES)
def test_resources_are_compared_segment_by_segment(
    pattern: str, resource: str, *, expected: bool
) -> None:
    """No wildcard reaches over a colon of the first five; segments that are missing are `*`."""
    segments = resolve(pattern, {}, variables=True, splits_arns=True)

    assert segments is not None
    assert is_resource(resource, segments) is expected
