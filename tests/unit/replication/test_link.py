"""When a call through a synchronous endpoint is acknowledged: each mode, state and question."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.replication.link import (
    ADMISSIONS,
    FRESH_SECONDS,
    WAIT_SECONDS_MAX,
    Admission,
    Link,
    LinkState,
    Mode,
    admission,
    asked,
    waited_in_vain,
)

AWAY = Link(state=LinkState.AWAY, since=50.0, confirmed=10)


def test_every_mode_decides_every_state() -> None:
    """No pair of mode and state is left open."""
    assert set(ADMISSIONS) == {(mode, state) for mode in Mode for state in LinkState}


@pytest.mark.parametrize(
    ("mode", "state", "verdict"),
    [
        (Mode.ASYNC, LinkState.FOLLOWING, Admission.ACKNOWLEDGE),
        (Mode.ASYNC, LinkState.AWAY, Admission.ACKNOWLEDGE),
        (Mode.SYNC, LinkState.FOLLOWING, Admission.WAIT),
        (Mode.SYNC, LinkState.AWAY, Admission.REFUSE),
        (Mode.SYNC_OR_ASYNC, LinkState.FOLLOWING, Admission.WAIT),
        (Mode.SYNC_OR_ASYNC, LinkState.AWAY, Admission.ACKNOWLEDGE),
    ],
)
def test_what_becomes_of_a_call(mode: Mode, state: LinkState, verdict: Admission) -> None:
    """Only `sync` refuses, and only `async` never waits."""
    assert admission(mode, Link(state=state)) is verdict


def test_every_mode_that_waits_has_a_limit() -> None:
    """No call waits for ever, nor longer than a request is parked."""
    waiting = {mode for (mode, _), verdict in ADMISSIONS.items() if verdict is Admission.WAIT}

    assert waiting == set(WAIT_SECONDS_MAX)
    assert max(WAIT_SECONDS_MAX.values()) < 5.0


def test_a_new_link_follows() -> None:
    """After a start nothing speaks against the other Region: calls wait for it."""
    assert Link().state is LinkState.FOLLOWING
    assert Link().confirmed == 0


def test_a_question_confirms_what_lies_before_it() -> None:
    """The cursor that a Region asks with is durable there; a lost disk sets it back."""
    link = asked(Link(since=1.0), after=7, end=9, now=2.0)

    assert link == Link(since=1.0, confirmed=7)
    assert asked(link, after=0, end=9, now=3.0).confirmed == 0


def test_a_call_that_waited_in_vain_makes_the_link_away() -> None:
    """From then on the state's age counts; the second such call changes nothing."""
    link = waited_in_vain(Link(since=1.0, confirmed=7), 5.0)

    assert link == Link(state=LinkState.AWAY, since=5.0, confirmed=7)
    assert waited_in_vain(link, 6.0) is link


def test_a_question_for_more_than_there_is_mends_the_link() -> None:
    """Who has the whole stream follows it."""
    assert asked(AWAY, after=20, end=20, now=60.0) == Link(since=60.0, confirmed=20)


def test_a_backlog_keeps_a_link_away() -> None:
    """Being heard is not enough: a new call would wait behind what is left."""
    link = asked(AWAY, after=20, end=500, now=60.0)

    assert link.state is LinkState.AWAY
    assert (link.mark, link.marked_at, link.confirmed) == (500, 60.0, 20)


def test_covering_a_recent_end_mends_the_link_under_load() -> None:
    """With writers at work the end is never reached, but what it was a moment ago is."""
    link = asked(AWAY, after=20, end=500, now=60.0)
    link = asked(link, after=300, end=550, now=60.2)
    assert link.state is LinkState.AWAY
    link = asked(link, after=500, end=600, now=60.4)

    assert link.state is LinkState.FOLLOWING


def test_covering_an_old_end_does_not() -> None:
    """What the stream's end was a while ago says that the copy is as far behind."""
    link = asked(AWAY, after=20, end=500, now=60.0)
    link = asked(link, after=500, end=900, now=60.1 + FRESH_SECONDS)

    assert link.state is LinkState.AWAY
    assert link.mark == 900


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("asked"), st.integers(0, 50), st.integers(0, 50)),
            st.tuples(st.just("vain"), st.just(0), st.just(0)),
        ),
        max_size=20,
    )
)
def test_confirmed_is_what_was_last_asked_for(inputs: list[tuple[str, int, int]]) -> None:
    """Whatever happens, nothing but a question moves what counts as confirmed."""
    link, confirmed = Link(), 0
    for now, (kind, after, more) in enumerate(inputs):
        if kind == "asked":
            link, confirmed = asked(link, after=after, end=after + more, now=now / 4), after
        else:
            link = waited_in_vain(link, now / 4)
        assert link.confirmed == confirmed
