"""The report as data, as a page, as a plot and as JUnit: the same figures, well formed."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from farspan.drill.assertions import parse_assertion
from farspan.drill.findings import Course
from farspan.drill.junit import junit_of
from farspan.drill.ledger import Call, Ledger, Receipt
from farspan.drill.metrics import METRICS, Unit, value_text
from farspan.drill.page import page_of
from farspan.drill.plot import nice_step, plot_of
from farspan.drill.report import BIN_COUNT_MAX, DrillReport, Mark, MarkKind, Setting, report_of

EAST, WEST = "us-east-1", "us-west-2"
COURSE = Course(region=EAST, other=WEST, fault_at=3.0, made_at=3.0, heal_at=6.0)
NASTY = "<script>alert('&\"')</script>\x07"


def report(
    *assertions: str, error: str | None = None, seconds: float = 9.0, notes: tuple[str, ...] = ()
) -> DrillReport:
    """Return the report of a call every half second: by East, by West in the fault, by East."""
    ledger = Ledger()
    for number in range(int(seconds * 2)):
        at = number / 2
        region = WEST if 3.0 <= at < 6.0 else EAST
        event_id = f"id-{number}"
        ledger.enter(
            Call(
                began_at=at,
                ended_at=at + 0.1,
                region=region,
                event_ids=(event_id,),
                expected_ids=(event_id,),
            )
        )
        for place in (EAST, WEST):
            ledger.receive(Receipt(place, event_id, f"{place}-{number}", at + 0.2))
    if error is not None:
        ledger.enter(Call(began_at=4.0, ended_at=5.0, error=error))
    setting = Setting(
        scenario="region-down",
        means="The process gets SIGKILL.",
        started_at="2026-11-25T06:00:00+00:00",
        rate=2.0,
        environment={"farspan": "0.1.0"},
        notes=list(notes),
    )
    marks = [
        Mark(at=6.0, kind=MarkKind.HEAL, text="started again"),
        Mark(at=3.0, kind=MarkKind.FAULT, text="SIGKILL"),
        Mark(at=3.4, kind=MarkKind.ROUTE, text=f"SECONDARY: {NASTY}"),
    ]
    return report_of(
        ledger,
        COURSE,
        setting,
        marks=marks,
        assertions=[parse_assertion(text) for text in assertions or ("lost=0",)],
    )


class _Tags(HTMLParser):
    """Collects a page's tags and what they refer to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.references: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.references += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]


def test_the_json_has_every_finding_with_its_definition() -> None:
    """What a program reads: name, value, unit, and what it means; and it reads back."""
    made = report("lost=0", "rto<=1ms")
    encoded = msgspec.json.encode(made)
    content = msgspec.json.decode(encoded)

    assert made == msgspec.json.decode(encoded, type=DrillReport)
    assert METRICS.keys() == content["findings"].keys()
    assert content["findings"]["lost"]["value"] == 0
    assert content["findings"]["rto"]["unit"] == "s"
    assert content["findings"]["rto"]["definition"] == METRICS["rto"].definition
    assert [True, False] == [judged["passed"] for judged in content["assertions"]]
    assert ["fault", "route", "heal"] == [mark["kind"] for mark in content["marks"]]


def test_a_drill_passes_if_every_assertion_holds_about_something() -> None:
    """One that does not hold fails it; and so does a drill in which nothing was acknowledged."""
    empty = report_of(
        Ledger(),
        COURSE,
        Setting(scenario="x", means="", started_at="", rate=1.0, environment={}, notes=[]),
        marks=[],
        assertions=[parse_assertion("lost=0")],
    )

    assert report("lost=0").passed
    assert not report("lost=0", "rto<=1ms").passed
    assert not empty.passed
    assert "<svg" in page_of(empty)


def test_the_series_adds_up_to_the_totals() -> None:
    """Each acknowledged event and each failure is in one interval of the plot."""
    made = report(error="it failed")

    assert made.acknowledged_by_region == {
        region: sum(values) for region, values in made.series.acknowledged.items()
    }
    assert 1 == sum(made.series.failed)


def test_a_long_drill_has_wider_intervals() -> None:
    """The plot has no more columns than can be told apart."""
    made = report(seconds=900.0)

    assert len(made.series.failed) <= BIN_COUNT_MAX
    assert made.series.bin_seconds == 5.0


def test_the_page_needs_nothing_from_elsewhere() -> None:
    """One file: no script, no link, no image, no import, and no address at all."""
    page = page_of(report(notes=("a note",)))
    tags = _Tags(page)

    assert [] == tags.references
    assert not tags.names & {"script", "link", "img", "iframe", "object", "embed"}
    assert not re.search(r"https?:|url\(|@import|//", page)


def test_what_stands_in_errors_and_notes_is_text() -> None:
    """A Region's answer cannot put markup into the page or the plot."""
    page = page_of(report(error=NASTY, notes=(NASTY,)))

    assert "script" not in _Tags(page).names
    assert page.count("&lt;script&gt;") >= 3


def test_the_page_has_every_figure_its_definition_and_both_schemes() -> None:
    """Whoever gets the file alone knows what was measured, on a light screen or a dark one."""
    made = report("rto<=1ms")
    page = page_of(made)

    assert all(finding.text in page for finding in made.findings.values())
    assert page.count('class="definition"') == len(METRICS)
    assert "prefers-color-scheme: dark" in page
    assert "does not hold" in page
    assert "failed" in page


def test_the_plot_is_well_formed_and_marks_what_happened() -> None:
    """The fault is shaded in each panel; fault, heal and routes are marked and named."""
    svg = ET.fromstring(plot_of(report(error="it failed")))
    classes = [element.get("class") for element in svg.iter()]
    texts = [(element.text or "").strip() for element in svg.iter("text")]

    assert 3 == classes.count("shade")
    assert {"mark fault", "mark heal", "mark route"} <= set(classes)
    assert {"fill region", "fill other", "fill failed"} <= set(classes)
    assert {"SIGKILL", "started again", "SECONDARY"} <= set(texts)


@pytest.mark.parametrize("form", [page_of, junit_of, plot_of])
@settings(max_examples=30)
@given(
    error=st.text(),
    fault_at=st.floats(0.0, 20.0),
    marks=st.lists(st.tuples(st.floats(0.0, 30.0), st.text()), max_size=6),
)
def test_any_report_has_every_form(
    form: object, error: str, fault_at: float, marks: list[tuple[float, str]]
) -> None:
    """Whatever calls raise and routes say, and whenever: each form is made, XML well formed."""
    course = replace(COURSE, fault_at=fault_at, made_at=fault_at, heal_at=fault_at + 1)
    ledger = Ledger(calls=[Call(began_at=1.0, ended_at=2.0, error=error)])
    setting = Setting(
        scenario="s", means=error, started_at="", rate=1.0, environment={error: error}, notes=[]
    )
    made = report_of(
        ledger,
        course,
        setting,
        marks=[Mark(at=at, kind=MarkKind.ROUTE, text=text) for at, text in marks],
        assertions=[parse_assertion("lost=0"), parse_assertion("rto<=1ms")],
    )
    text = form(made)  # type: ignore[operator]
    if form is junit_of:
        root = ET.fromstring(text.encode())
        assert root.find("testsuite") is not None
    else:
        assert "</svg>" in text


def test_junit_has_a_case_for_each_assertion() -> None:
    """A failing one says what it is instead; counts and properties are there."""
    root = ET.fromstring(junit_of(report("lost=0", "rto<=1ms", error=NASTY)).encode())
    suite = root.find("testsuite")
    assert suite is not None
    cases = suite.findall("testcase")

    assert ("2", "1", "0") == (suite.get("tests"), suite.get("failures"), suite.get("errors"))
    assert ["lost=0", "rto<=1ms"] == [case.get("name") for case in cases]
    failure = cases[1].find("failure")
    assert failure is not None
    assert "rto<=1ms does not hold: it is" in (failure.get("message") or "")
    assert cases[0].find("failure") is None
    assert {"means", "farspan"} == {p.get("name") for p in suite.iter("property")}


@pytest.mark.parametrize(
    ("unit", "value", "text"),
    [
        (Unit.COUNT, 3, "3"),
        (Unit.SECONDS, 0.0, "0 s"),
        (Unit.SECONDS, 0.0423, "42 ms"),
        (Unit.SECONDS, 2.345, "2.35 s"),
        (Unit.SECONDS, 61.23, "61.2 s"),
        (Unit.COUNT, None, "none"),
    ],
)
def test_values_as_people_read_them(unit: Unit, value: float | None, text: str) -> None:
    """Three digits, and the unit that suits."""
    assert text == value_text(unit, value)


@given(st.floats(1e-6, 1e9), st.integers(1, 10))
def test_steps_of_an_axis_are_round_and_enough(largest: float, count: int) -> None:
    """So many steps reach the largest value, and each is 1, 2, 2.5 or 5 times a power of ten."""
    step = nice_step(largest, count)

    assert step * count >= largest * 0.999
    assert float(f"{step:.6e}".partition("e")[0]) in (1.0, 2.0, 2.5, 5.0)
