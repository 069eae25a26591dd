"""Pages of a list, with tokens that are bound to the request's filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Callable, Sequence
from typing import TypeVar

import msgspec

from farspan.errors import ValidationException

T = TypeVar("T")

PAGE_SIZE = 100

BOUND_CHARACTERS = 16
"""Of the filter's digest in a token: filters may be as long as a token is allowed to be, 2,048."""


def page(
    resources: Sequence[T],
    key: Callable[[T], str],
    *,
    filter_text: str,
    token: str | None,
    limit: int | None,
    size_max: int = PAGE_SIZE,
) -> tuple[Sequence[T], str | None]:
    """Return one page of resources in order of `key`, and the token of the next, None at the end.

    `filter_text` is what the request filters by; a token of another filter is refused, as
    EventBridge does. `size_max` is how many a page has at most. Raises ValidationException for a
    token that is not ours.
    """
    bound_to = _bound(filter_text)
    after = "" if token is None else _read(token, bound_to)
    ordered = sorted((r for r in resources if key(r) > after), key=key)
    size = min(limit or size_max, size_max)
    shown = ordered[:size]
    if len(ordered) <= size:
        return shown, None
    return shown, _write(key(shown[-1]), bound_to)


def write_offset(offset: int, filter_text: str) -> str:
    """Return the token of a page that begins after so many."""
    return _write(str(offset), _bound(filter_text))


def read_offset(token: str | None, filter_text: str) -> int:
    """Return how many come before the page of a token.

    Raises ValidationException for a token that is not ours, or of another filter.
    """
    if token is None:
        return 0
    after = _read(token, _bound(filter_text))
    if not re.fullmatch(r"[0-9]{1,12}", after):
        raise _invalid()
    return int(after)


def _bound(filter_text: str) -> str:
    return hashlib.sha256(filter_text.encode()).hexdigest()[:BOUND_CHARACTERS]


def _write(after: str, bound_to: str) -> str:
    body = msgspec.json.encode([bound_to, after])
    return base64.urlsafe_b64encode(body).decode()


def _read(token: str, bound_to: str) -> str:
    try:
        given, after = msgspec.json.decode(base64.urlsafe_b64decode(token), type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError) as error:
        raise _invalid() from error
    if given != bound_to:
        raise _invalid()
    return after


def _invalid() -> ValidationException:
    return ValidationException("Parameter NextToken is not valid. Reason: Token invalid.")
