"""Many rules at once: each rule's answer is its own, whatever else is in the matcher."""

from __future__ import annotations

import json
from typing import Any

import oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.errors import InvalidEventPatternException
from farspan.pattern import Matcher, compile_pattern

Json = Any


# --- what is generated: few names and values, so that much coincides --------------------------

NAMES = st.sampled_from(["a", "b", "c", "a.b", "b.c"])
TEXTS = st.sampled_from(["", "x", "y", "xy", "yx", "XY", "xyx"])
ADDRESSES = st.sampled_from(["10.0.0.1", "10.0.1.1", "11.0.0.1"])
NUMBERS = st.sampled_from([-1, 0, 1, 2, 2.5, 3])
SCALARS = TEXTS | ADDRESSES | NUMBERS | st.booleans() | st.none()
EVENTS = st.dictionaries(
    NAMES,
    st.recursive(
        SCALARS,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(NAMES, below, max_size=3),
        max_leaves=12,
    ),
    max_size=4,
)
WILDCARDS = st.sampled_from(["*", "x*", "*x", "x*x", "*y*", "xy"])
NONEMPTY = TEXTS.filter(bool)
FOLDED = st.fixed_dictionaries({"equals-ignore-case": TEXTS})
EXCLUDED = st.one_of(
    TEXTS,
    NUMBERS,
    st.lists(TEXTS, min_size=1, max_size=3),
    st.lists(NUMBERS, min_size=1, max_size=3),
    *(
        st.fixed_dictionaries({name: texts | st.lists(texts, min_size=1, max_size=2)})
        for name, texts in (
            ("prefix", NONEMPTY),
            ("suffix", NONEMPTY),
            ("equals-ignore-case", TEXTS),
            ("wildcard", WILDCARDS),
        )
    ),
)
RANGES = st.sampled_from(
    [["=", 2], ["<", 2], ["<=", 2], [">", 0], [">=", 1], [">", 0, "<=", 2.5], [">=", -1, "<", 1]]
)
ALTERNATIVES = st.lists(
    st.one_of(
        SCALARS,
        st.fixed_dictionaries({"prefix": TEXTS | FOLDED}),
        st.fixed_dictionaries({"suffix": TEXTS | FOLDED}),
        FOLDED,
        st.fixed_dictionaries({"wildcard": WILDCARDS}),
        st.fixed_dictionaries({"exists": st.booleans()}),
        st.fixed_dictionaries({"numeric": RANGES}),
        st.fixed_dictionaries({"cidr": st.sampled_from(["10.0.0.0/24", "10.0.0.0/8"])}),
        st.fixed_dictionaries({"anything-but": EXCLUDED}),
    ),
    min_size=1,
    max_size=3,
)


def objects(fields: Json) -> Json:
    """Return a strategy for small pattern objects over `fields`, with a `$or` now and then."""
    plain = st.dictionaries(NAMES, fields, min_size=1, max_size=2)
    either = st.fixed_dictionaries({"$or": st.lists(plain, min_size=2, max_size=2)})
    return plain | either | st.tuples(plain, either).map(lambda pair: {**pair[0], **pair[1]})


PATTERNS = objects(ALTERNATIVES | objects(ALTERNATIVES))
BROKEN_OFF = st.tuples(PATTERNS.map(json.dumps), st.integers(0, 200)).map(
    lambda pair: pair[0][: pair[1]]
)


def wanted(pattern: Json, event: Json) -> bool:
    """Tell what the oracle says."""
    return oracle.matches(json.dumps(pattern), json.dumps(event))


@settings(deadline=None)
@given(st.lists(PATTERNS, min_size=1, max_size=6), st.lists(EVENTS, min_size=1, max_size=4))
def test_matcher_agrees_with_the_oracle(patterns: list[Json], events: list[Json]) -> None:
    """Rule by rule, the matcher and a single pattern answer as the naive reading does."""
    compiled = [compile_pattern(json.dumps(pattern)) for pattern in patterns]
    matcher: Matcher[int] = Matcher()
    for key, pattern in enumerate(compiled):
        matcher.add(key, pattern)
    for event in events:
        expected = [key for key, pattern in enumerate(patterns) if wanted(pattern, event)]
        encoded = json.dumps(event).encode()

        assert expected == matcher.match(encoded)
        assert expected == [key for key, pattern in enumerate(compiled) if pattern.matches(encoded)]


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 3), st.none() | PATTERNS), max_size=12),
    EVENTS,
)
def test_a_history_of_changes_leaves_no_trace(history: list[tuple[int, Json]], event: Json) -> None:
    """After adds, replacements and removals only the present rules count, and nothing is left."""
    matcher: Matcher[int] = Matcher()
    present: dict[int, Json] = {}
    for key, pattern in history:
        present.pop(key, None)
        if pattern is None:
            matcher.remove(key)
        else:
            matcher.add(key, compile_pattern(json.dumps(pattern)))
            present[key] = pattern
    expected = [key for key, pattern in present.items() if wanted(pattern, event)]

    assert expected == matcher.match(json.dumps(event).encode())
    assert len(present) == len(matcher)

    for key in present:
        matcher.remove(key)

    assert matcher._root is None
    assert not matcher._criteria
    assert not matcher._projection.paths


@settings(deadline=None)
@given(st.text(max_size=60) | BROKEN_OFF)
def test_any_text_compiles_or_is_refused(text: str) -> None:
    """Garbage and broken-off patterns end in a pattern or in the documented error."""
    try:
        kept = compile_pattern(text).text
    except InvalidEventPatternException:
        kept = text

    assert text == kept


@pytest.mark.parametrize(
    ("pattern", "event"),
    [
        ({"source": ["s007"], "kind": ["k"]}, {"source": "s007", "kind": "k"}),
        ({"detail": {"id": ["i007"]}}, {"detail": {"id": "i007"}}),
        ({"a": [{"prefix": "p007/"}]}, {"a": "p007/x"}),
        ({"a": [{"suffix": "/007"}]}, {"a": "x/007"}),
        ({"a": [{"equals-ignore-case": "K007"}]}, {"a": "k007"}),
        ({"a": [{"prefix": {"equals-ignore-case": "P007/"}}]}, {"a": "p007/x"}),
        ({"a": [{"suffix": {"equals-ignore-case": "/X007"}}]}, {"a": "p/x007"}),
        ({"a": [{"wildcard": "*/dir-007/*.png"}]}, {"a": "x/dir-007/y.png"}),
        ({"a": [{"cidr": "10.0.007.0/24"}]}, {"a": "10.0.7.9"}),
        ({"a": [{"numeric": [">=", 1007, "<", 1007.5]}]}, {"a": 1007.2}),
        ({"a": ["007", {"prefix": "p007"}]}, {"a": ["p007", "007"]}),
        ({"a": [{"exists": True}], "b": ["v007"]}, {"a": 1, "b": "v007"}),
        ({"items": {"sku": ["s007"], "n": [1]}}, {"items": [{"sku": "s007", "n": 1}]}),
    ],
    ids=json.dumps,
)
def test_only_rules_that_wait_for_a_value_are_tried(pattern: Json, event: Json) -> None:
    """Cost does not grow with rules that wait for other values."""
    matcher: Matcher[int] = Matcher()
    for number in range(250):
        text = json.dumps(pattern).replace("007", f"{number:03}")
        matcher.add(number, compile_pattern(text))
    visit = matcher._visit(json.dumps(event).encode())

    assert visit is not None
    assert visit.work <= 12
    assert [sub_rule.key for sub_rule in dict.fromkeys(visit.found)] == [7]


def test_a_wide_condition_does_not_hide_a_narrow_one() -> None:
    """Rules that begin with a wide condition are told apart by what else they ask."""
    matcher: Matcher[int] = Matcher()
    for number in range(1_000):
        wide = [{"numeric": [">", number % 7]}, {"exists": False}]
        pattern = {"a": wide, "b": [{"anything-but": "x"}], "c": [f"v{number % 500}"]}
        matcher.add(number, compile_pattern(json.dumps(pattern)))
    visit = matcher._visit(b'{"a": 10, "b": "y", "c": "v7"}')

    assert visit is not None
    assert visit.work <= 4
    assert [sub_rule.key for sub_rule in visit.found] == [7, 507]


def test_an_event_that_is_too_much_work_is_counted() -> None:
    """Beyond the budget of one event nothing more is matched, and the matcher says so."""
    matcher: Matcher[int] = Matcher(work_max=100)
    for number in range(200):
        matcher.add(number, compile_pattern('{"a": [{"anything-but": "x"}]}'))

    assert len(matcher.match(b'{"a": "y"}')) == 100
    assert matcher.over_budget_count == 1


def test_removing_an_unknown_key_is_no_error() -> None:
    """Removal is idempotent."""
    matcher: Matcher[str] = Matcher()
    matcher.remove("nobody")

    assert len(matcher) == 0


def test_a_replaced_rule_counts_as_the_newest() -> None:
    """Keys come oldest first, and adding a key again makes it new."""
    matcher: Matcher[str] = Matcher()
    anything = compile_pattern('{"a": [{"exists": true}]}')
    for key in ("x", "y", "x"):
        matcher.add(key, anything)

    assert matcher.match(b'{"a": 1}') == ["y", "x"]


def test_a_matcher_answers_nothing_to_what_is_no_object() -> None:
    """An event that is no JSON object matches no rule."""
    matcher: Matcher[str] = Matcher()
    matcher.add("x", compile_pattern('{"a": [{"exists": false}]}'))

    assert matcher.match(b"[]") == []
