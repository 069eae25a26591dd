"""Pages of a list, with tokens that are bound to the request's filter."""

from __future__ import annotations

import base64
import binascii
import hashlib
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
) -> tuple[Sequence[T], str | None]:
    """Return one page of resources in order of `key`, and the token of the next, None at the end.

    `filter_text` is what the request filters by; a token of another filter is refused, as
    EventBridge does. Raises ValidationException for a token that is not ours.
    """
    bound_to = hashlib.sha256(filter_text.encode()).hexdigest()[:BOUND_CHARACTERS]
    after = "" if token is None else _read(token, bound_to)
    ordered = sorted((r for r in resources if key(r) > after), key=key)
    size = min(limit or PAGE_SIZE, PAGE_SIZE)
    shown = ordered[:size]
    if len(ordered) <= size:
        return shown, None
    body = msgspec.json.encode([bound_to, key(shown[-1])])
    return shown, base64.urlsafe_b64encode(body).decode()


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
