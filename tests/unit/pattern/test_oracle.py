"""Twenty thousand patterns and events at random: the language is what the oracle says it is.

`pytest tests/unit/pattern/test_oracle.py --pairs 1000000 --pairs-seed 7` tries more, and others. A
failure names the round, its pattern and its event; the round's seed makes the same ones again.
"""

from __future__ import annotations

from collections import Counter
from random import Random

import oracle
import pytest
from pairs import Source

from farspan.pattern import Matcher, compile_pattern

PATTERNS, EVENTS = 8, 5
"""In one round; each pattern meets each event."""
ROUNDS_MAX = 125
"""In one test, which is 5,000 pairs."""
SHOWN = {
    *("text", "number", "true", "false", "null", "exactly", "prefix", "prefix folded", "suffix"),
    *("suffix folded", "equals-ignore-case", "wildcard", "numeric", "cidr", "exists true"),
    *("exists false", "anything-but text", "anything-but number", "anything-but prefix"),
    *("anything-but suffix", "anything-but wildcard", "anything-but equals-ignore-case"),
    *("$or", "dotted key"),
}
"""What has to be seen in patterns that match and in patterns that do not."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Split the pairs asked for into tests of at most 5,000."""
    if "rounds" in metafunc.fixturenames:
        count = -(-metafunc.config.getoption("pairs") // (PATTERNS * EVENTS))
        seed = metafunc.config.getoption("pairs_seed")
        metafunc.parametrize(
            "rounds",
            [
                [f"{seed}:{number}" for number in range(start, min(start + ROUNDS_MAX, count))]
                for start in range(0, count, ROUNDS_MAX)
            ],
            ids=lambda rounds: rounds[0],
        )


def play(seed: str) -> tuple[Counter[str], Counter[str]]:
    """Play one round; return how often each kind of pattern matched, and how often not."""
    source = Source(Random(seed))
    first = source.event()
    events = [first, *(source.variant(first) for _ in range(EVENTS - 1))]
    patterns = [source.pattern(source.random.choice(events)) for _ in range(PATTERNS)]
    compiled = [compile_pattern(pattern.text) for pattern in patterns]
    matcher: Matcher[int] = Matcher()
    matched: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    present: list[int] = []  # as in the matcher: oldest first
    for event in map(source.render, events):
        for key in source.random.sample(range(PATTERNS), PATTERNS // 2):
            if key in present:
                present.remove(key)
                matcher.remove(key)
            else:
                present.append(key)
                matcher.add(key, compiled[key])
        expected = [oracle.matches(pattern.text, event) for pattern in patterns]
        for pattern, one, says in zip(patterns, compiled, expected, strict=True):
            (matched if says else missed).update({"pairs", *pattern.operators})

            assert says is one.matches(event.encode()), f"{seed}\n{pattern.text}\n{event}"

        rules = {key: patterns[key].text for key in present}

        assert [key for key in present if expected[key]] == matcher.match(event.encode()), (
            f"{seed}\n{rules}\n{event}"
        )
    return matched, missed


def test_pattern_and_matcher_agree_with_the_oracle(rounds: list[str]) -> None:
    """On its own and among rules that come and go, a pattern matches as the oracle says.

    The pairs are worth trying: some of each kind match and some do not.
    """
    matched: Counter[str] = Counter()
    missed: Counter[str] = Counter()
    for seed in rounds:
        for total, added in zip((matched, missed), play(seed), strict=True):
            total.update(added)
    share = matched["pairs"] / (matched["pairs"] + missed["pairs"])

    assert 0.2 <= share <= 0.8
    if len(rounds) == ROUNDS_MAX:
        assert {kind for kind in SHOWN if matched[kind] >= 10} == SHOWN
        assert {kind for kind in SHOWN if missed[kind] >= 10} == SHOWN
