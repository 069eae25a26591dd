"""Assertions about a drill: `METRIC OP VALUE[unit]`, such as `rto<=5s` and `lost=0`. Pure.

They are read before the fault is made, so that a word that is off costs nothing.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from farspan.drill.metrics import METRICS, Figures, Metric, Unit, value_text

FORM: Final = re.compile(
    r"\s*(?P<metric>[a-z][a-z0-9_]*)\s*(?P<op><=|>=|!=|==|=|<|>)\s*"
    r"(?P<value>\d{1,9}(?:\.\d{1,9})?)\s*(?P<unit>[a-z]*)\s*",
    re.ASCII,
)
OPERATORS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "==": operator.eq,
    "!=": operator.ne,
}
SECONDS: Final = {"": 1.0, "s": 1.0, "ms": 0.001, "m": 60.0}
"""What a duration's units are in seconds; a bare number is seconds."""

DEFAULTS: Final = ("lost=0", "failed_calls=0")
"""What is asserted where nothing is: a drill that loses events does not pass in silence."""


class BadAssertion(Exception):
    """An assertion cannot be read. The message says why, and which metrics there are."""


@dataclass(frozen=True, slots=True)
class Assertion:
    """One assertion; `value` is in seconds for durations."""

    text: str
    metric: Metric
    op: str
    value: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """An assertion and what came of it."""

    text: str
    passed: bool
    found: str


def parse_assertion(text: str) -> Assertion:
    """Return an assertion. Raises BadAssertion."""
    form = FORM.fullmatch(text)
    if form is None:
        raise BadAssertion(
            f"`{text}` is no assertion: it takes METRIC OP VALUE, such as rto<=5s or lost=0, with "
            f"one of {' '.join(OPERATORS)}."
        )
    metric = METRICS.get(form["metric"])
    if metric is None:
        raise BadAssertion(
            f"`{text}`: there is no metric `{form['metric']}`. "
            f"The metrics are {', '.join(sorted(METRICS))}."
        )
    factor = SECONDS.get(form["unit"]) if metric.unit is Unit.SECONDS else 1.0
    if factor is None or (metric.unit is Unit.COUNT and form["unit"]):
        takes = "ms, s or m" if metric.unit is Unit.SECONDS else "no unit: it is a count"
        raise BadAssertion(f"`{text}`: {metric.name} takes {takes}.")
    return Assertion(text.strip(), metric, form["op"], float(form["value"]) * factor)


def judge(assertion: Assertion, figures: Figures) -> Verdict:
    """Return whether an assertion holds. A figure that there is none of fails it."""
    value = figures[assertion.metric.name]
    passed = value is not None and OPERATORS[assertion.op](value, assertion.value)
    return Verdict(assertion.text, passed, value_text(assertion.metric.unit, value))
