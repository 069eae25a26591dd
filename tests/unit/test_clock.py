"""Ids that a seed replays, ids of the right form, and clocks that go on."""

from __future__ import annotations

import uuid

import pytest

from farspan.clock import IdSource, SeededIds, SystemClock, SystemIds, format_uuid4

SOURCES = pytest.mark.parametrize("ids", [SeededIds(1), SystemIds()], ids=["seeded", "system"])


def draw(ids: IdSource) -> list[object]:
    """Return some of everything that a source invents."""
    return [ids.token(8), ids.uuid(), ids.fraction(), ids.token(8), ids.fraction()]


def test_a_seed_replays() -> None:
    """The same seed gives the same ids and dice, another seed gives others."""
    assert draw(SeededIds(5)) == draw(SeededIds(5))
    assert draw(SeededIds(5)) != draw(SeededIds(6))


@SOURCES
def test_uuids_are_of_version_4(ids: IdSource) -> None:
    """A UUID is lower-case text of version 4 and variant 1 (RFC 9562)."""
    text = ids.uuid()
    parsed = uuid.UUID(text)

    assert str(parsed) == text
    assert (parsed.version, parsed.variant) == (4, uuid.RFC_4122)


@SOURCES
def test_tokens_have_their_length(ids: IdSource) -> None:
    """A token has as many bytes as were asked for, and is not the same twice."""
    assert [len(ids.token(count)) for count in (0, 1, 14)] == [0, 1, 14]
    assert ids.token(14) != ids.token(14)


@SOURCES
def test_fractions_are_below_one(ids: IdSource) -> None:
    """Jitter is at least 0 and less than 1."""
    assert all(0 <= ids.fraction() < 1 for _ in range(100))


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (bytes(16), "00000000-0000-4000-8000-000000000000"),
        (b"\xff" * 16, "ffffffff-ffff-4fff-bfff-ffffffffffff"),
    ],
)
def test_version_and_variant_are_set(raw: bytes, text: str) -> None:
    """Whatever the random bytes, six bits say what kind of UUID it is."""
    assert format_uuid4(raw) == text


async def test_the_machines_clock_goes_on() -> None:
    """Time passes by both clocks and a pause of nothing returns."""
    clock = SystemClock()
    before = clock.monotonic()
    await clock.sleep(0)

    assert clock.monotonic() >= before
    assert clock.now() > 1_600_000_000
