"""`METRIC OP VALUE[unit]`: what is taken, what is refused, and what holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.drill.assertions import DEFAULTS, OPERATORS, BadAssertion, judge, parse_assertion
from farspan.drill.metrics import METRICS, Figures, Unit

NONE: Figures = dict.fromkeys(METRICS)


@pytest.mark.parametrize(
    ("text", "value", "holds"),
    [
        ("rto<=5s", 5.0, True),
        ("rto<=5s", 5.1, False),
        ("rto < 500ms", 0.499, True),
        ("rto<=5", 5.0, True),
        ("failback<=2m", 120.0, True),
        ("lost=0", 0, True),
        ("lost==0", 1, False),
        ("lost!=0", 1, True),
        ("events>=100", 100, True),
        ("events>100", 100, False),
        ("lag_p99<=0.25s", 0.2, True),
    ],
)
def test_what_holds(text: str, value: float, holds: bool) -> None:
    """Durations have units and are seconds without one; counts are numbers."""
    assertion = parse_assertion(text)

    assert holds is judge(assertion, {**NONE, assertion.metric.name: value}).passed


def test_a_figure_that_there_is_none_of_holds_nothing() -> None:
    """A failback that did not come is not below any limit."""
    verdict = judge(parse_assertion("failback<=100m"), NONE)

    assert (False, "none") == (verdict.passed, verdict.found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "takes METRIC OP VALUE"),
        ("rto", "takes METRIC OP VALUE"),
        ("rto<=", "takes METRIC OP VALUE"),
        ("rto<=-1s", "takes METRIC OP VALUE"),
        ("rto<=5s or lost=0", "takes METRIC OP VALUE"),
        ("rto<=\N{ARABIC-INDIC DIGIT FIVE}s", "takes METRIC OP VALUE"),
        ("speed<=5s", "there is no metric `speed`. The metrics are catch_up, "),
        ("rto<=5h", "rto takes ms, s or m"),
        ("lost<=5s", "lost takes no unit"),
    ],
)
def test_what_is_refused(text: str, said: str) -> None:
    """The sentence has the assertion and what there is instead."""
    with pytest.raises(BadAssertion) as caught:
        parse_assertion(text)

    assert f"`{text}`" in str(caught.value)
    assert said in str(caught.value)


def test_what_is_asserted_by_default() -> None:
    """A drill that loses events, or fails calls, does not pass in silence."""
    names = {parse_assertion(text).metric.name for text in DEFAULTS}

    assert {"lost", "failed_calls"} == names


@given(
    st.sampled_from(sorted(METRICS)),
    st.sampled_from(sorted(OPERATORS)),
    st.integers(0, 10**6),
    st.sampled_from(["", " "]),
)
def test_every_metric_takes_every_operator(name: str, op: str, value: int, space: str) -> None:
    """What is written is what is compared, with spaces or without."""
    unit = "s" if METRICS[name].unit is Unit.SECONDS else ""
    assertion = parse_assertion(f"{name}{space}{op}{space}{value}{unit}")

    assert (name, op, value) == (assertion.metric.name, assertion.op, assertion.value)


@given(st.text().filter(lambda text: not any(name in text for name in METRICS)))
def test_any_other_text_is_refused_in_a_sentence(text: str) -> None:
    """Nothing but BadAssertion comes of what cannot be read."""
    with pytest.raises(BadAssertion) as caught:
        parse_assertion(text)

    assert text in str(caught.value)
