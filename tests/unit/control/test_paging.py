"""Pages of a list: order, size, and tokens that are bound to what was asked."""

from __future__ import annotations

import pytest

from farspan.control.paging import PAGE_SIZE, page
from farspan.errors import ValidationException


def pages(resources: list[str], limit: int | None) -> list[list[str]]:
    """Return all pages of a list."""
    found, token = [], None
    while True:
        shown, token = page(resources, str, filter_text="f", token=token, limit=limit)
        found.append(list(shown))
        if token is None:
            return found


@pytest.mark.parametrize(
    ("limit", "wanted"),
    [
        (1, [["a"], ["b"], ["c"]]),
        (2, [["a", "b"], ["c"]]),
        (3, [["a", "b", "c"]]),
        (None, [["a", "b", "c"]]),
    ],
)
def test_the_pages_are_the_list_in_order(limit: int | None, wanted: list[list[str]]) -> None:
    """Whatever the size, each once; the last page has no token."""
    assert wanted == pages(["c", "a", "b"], limit)


def test_an_empty_list_is_one_page() -> None:
    """Without a token."""
    assert [[]] == pages([], 1)


def test_a_page_has_a_hundred_at_most() -> None:
    """Where no limit is given, and where a larger one is."""
    many = [f"{number:03}" for number in range(PAGE_SIZE + 1)]

    assert [PAGE_SIZE, 1] == [len(shown) for shown in pages(many, None)]
    assert [PAGE_SIZE, 1] == [len(shown) for shown in pages(many, 1_000)]


def test_what_changes_between_pages_is_no_trouble() -> None:
    """A page begins after the last name shown, whether that is still there or not."""
    _, token = page(["a", "b", "c"], str, filter_text="f", token=None, limit=2)
    shown, _ = page(["a", "bb", "c"], str, filter_text="f", token=token, limit=2)

    assert ["bb", "c"] == list(shown)


@pytest.mark.parametrize(
    "token",
    ["", "!", "nonsense", "e30=", "WyJmIl0=", "WyJmIiwxXQ==", "é", "WyJmIiwiYSJd"],
    ids=["empty", "sign", "word", "object", "one-part", "number", "not-ascii", "without-a-digest"],
)
def test_a_token_that_is_none(token: str) -> None:
    """One sentence for all of them."""
    with pytest.raises(ValidationException) as caught:
        page(["a"], str, filter_text="f", token=token, limit=1)

    assert "Parameter NextToken is not valid. Reason: Token invalid." == caught.value.message
