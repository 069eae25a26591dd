"""An invocation of an API destination: the request, and what its answer comes to. Pure.

The request is made of three layers, each above the former: what the target gives (HttpParameters),
what the connection gives (InvocationHttpParameters), and what EventBridge sends itself (the user
guide, "API destinations"). Secrets pass through and are kept nowhere.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, quote, urlencode, urlsplit, urlunsplit

import msgspec

from farspan.model.api_destination import ApiDestination
from farspan.model.connection import AuthorizationType, HttpParameter, HttpParameters, Secret
from farspan.model.delivery import DELIVERED, Outcome, Verdict
from farspan.targets.base import (
    ERROR_FROM_TARGET,
    NO_PERMISSIONS,
    SDK_CLIENT_ERROR,
    THROTTLING,
)
from farspan.targets.call import Answer, Call

SECONDS_MAX: Final = 5.0
"""How long an invocation may take (user guide, "API destinations")."""

RETRIED_STATUSES: Final = frozenset({401, 407, 409, 429})
"""What is tried again besides 5xx (user guide, "Retry behavior and API destinations")."""

NAMES: Final = {"ApiDestination": "API destination", "ApiGateway": "API"}
"""What dead letters call a target's other side."""

CODES: Final = {401: NO_PERMISSIONS, 407: NO_PERMISSIONS, 429: THROTTLING}
UNAUTHORIZED_STATUSES: Final = frozenset({401, 407})
BODILESS_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})

_FIXED: Final = {
    "User-Agent": "Amazon/EventBridge/ApiDestinations",
    "Range": "bytes=0-1048575",
    "Accept-Encoding": "gzip,deflate",
}
_REMOVED: Final = frozenset(
    {
        "a-im",
        "accept-charset",
        "accept-datetime",
        "accept-encoding",
        "cache-control",
        "connection",
        "content-encoding",
        "content-length",
        "content-md5",
        "date",
        "expect",
        "forwarded",
        "from",
        "host",
        "http2-settings",
        "max-forwards",
        "origin",
        "pragma",
        "proxy-authorization",
        "range",
        "referer",
        "te",
        "trailer",
        "transfer-encoding",
        "user-agent",
        "upgrade",
        "via",
        "warning",
    }
)
"""Headers that are silently left out, whoever gives them, `If-*` too (user guide, "Headers")."""

_decode_object = msgspec.json.Decoder(dict[str, msgspec.Raw]).decode
_NONE: Final = HttpParameters()


class InvocationInvalid(Exception):
    """The target's parameters do not make a request; the message says why."""


class Headers:
    """Headers whose names are told apart without regard to case; what is set later stands."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, str]] = {}

    def set(self, name: str, value: str) -> None:
        """Set a header, over one of the same name."""
        self._held[name.lower()] = (name, value)

    def give(self, pairs: Iterable[tuple[str, str]]) -> None:
        """Set what a user gives, without what no user may set."""
        for name, value in pairs:
            lower = name.lower()
            if lower not in _REMOVED and not lower.startswith("if-"):
                self.set(name, value)

    def all(self) -> dict[str, str]:
        """Return the headers under their names as given."""
        return dict(self._held.values())


def invocation(
    destination: ApiDestination,
    kind: AuthorizationType,
    secret: Secret,
    token: str | None,
    parameters: Mapping[str, Any],
    payload: bytes,
    trace_header: str | None = None,
) -> Call:
    """Return the request of one invocation. Raises InvocationInvalid.

    `parameters` are the target's HttpParameters as PutTargets has them; `token` is OAuth's.
    """
    own = secret.invocation_http_parameters or _NONE
    headers = Headers()
    if trace_header is not None:
        headers.set("X-Amzn-Trace-Id", trace_header)
    headers.set("Content-Type", "application/json; charset=utf-8")
    headers.give((parameters.get("HeaderParameters") or {}).items())
    headers.give(pairs(own.header_parameters))
    headers.give([_authorization(kind, secret, token)])
    for name, value in _FIXED.items():
        headers.set(name, value)
    return Call(
        account=destination.account,
        method=destination.http_method,
        url=url_with(destination.invocation_endpoint, parameters, own.query_string_parameters),
        headers=headers.all(),
        body=b""
        if destination.http_method in BODILESS_METHODS
        else with_body_parameters(payload, own.body_parameters),
        seconds=SECONDS_MAX,
    )


def _authorization(kind: AuthorizationType, secret: Secret, token: str | None) -> tuple[str, str]:
    if kind is AuthorizationType.BASIC:
        pair = f"{secret.username}:{secret.password}".encode()
        return "Authorization", f"Basic {base64.b64encode(pair).decode()}"
    if kind is AuthorizationType.API_KEY:
        return secret.api_key_name or "", secret.api_key_value or ""
    assert token is not None, "OAuth has a token before there is an invocation"
    return "Authorization", f"Bearer {token}"


def pairs(parameters: Iterable[HttpParameter]) -> list[tuple[str, str]]:
    """Return a connection's parameters as names and values."""
    return [(parameter.key, parameter.value or "") for parameter in parameters]


def url_with(text: str, parameters: Mapping[str, Any], own: Iterable[HttpParameter] = ()) -> str:
    """Return a URL with the path parameters of a target in place of its wildcards, and its query.

    Raises InvocationInvalid.
    """
    parts = urlsplit(text)
    values = parameters.get("PathParameterValues") or []
    pieces = parts.path.split("*")
    if len(values) != len(pieces) - 1:
        raise InvocationInvalid(
            f"The path of the target's URL has {len(pieces) - 1} wildcards, the target gives "
            f"{len(values)} PathParameterValues."
        )
    path = pieces[0] + "".join(
        _segment(value) + piece for value, piece in zip(values, pieces[1:], strict=True)
    )
    query = dict(parse_qsl(parts.query, keep_blank_values=True))
    query.update(parameters.get("QueryStringParameters") or {})
    query.update(pairs(own))
    return urlunsplit((parts.scheme, parts.netloc, path or "/", encoded_query(query), ""))


def encoded_query(query: Mapping[str, str]) -> str:
    """Return names and values as a query string."""
    return urlencode(query, quote_via=quote, safe="")


def _segment(value: str) -> str:
    """Return a value as part of a path, and of nothing else: it leads to no other path."""
    if value in (".", ".."):
        raise InvocationInvalid(f"`{value}` cannot stand in the path of a URL.")
    return quote(value, safe="")


def with_body_parameters(payload: bytes, parameters: Iterable[HttpParameter]) -> bytes:
    """Return the payload with the parameters as members, if it is a JSON object.

    The other members keep their bytes. What is no object is left as it is.
    """
    added = pairs(parameters)
    if not added:
        return payload
    try:
        members = _decode_object(payload)
    except (msgspec.DecodeError, RecursionError):
        return payload
    members.update({name: msgspec.Raw(msgspec.json.encode(value)) for name, value in added})
    return msgspec.json.encode(members)


def outcome_of(answer: Answer, now: float, kind: str = "ApiDestination") -> Outcome:
    """Return what an answer comes to. `now` is in epoch seconds, for a Retry-After that is a date.

    `kind` is what dead letters call the target. The answer's body stays out of it: a dead letter
    is read by others than the target's owner.
    """
    status = answer.status
    if status // 100 == 2:  # noqa: PLR2004 - the class of success
        return DELIVERED
    what = NAMES.get(kind, kind)
    message = f"Unable to invoke {kind} endpoint: {what} returned HTTP status {status}."
    has_failed = status // 100 == 5  # noqa: PLR2004 - the class of the server's errors
    code = CODES.get(status, ERROR_FROM_TARGET if has_failed else SDK_CLIENT_ERROR)
    pause = _retry_after(answer.headers.get("retry-after"), now)
    if not (has_failed or status in RETRIED_STATUSES) or pause < 0:
        return Outcome(verdict=Verdict.PERMANENT, error_code=code, error_message=message)
    return Outcome(
        verdict=Verdict.RETRYABLE,
        error_code=code,
        error_message=message,
        retry_after_seconds=pause,
    )


def _retry_after(text: str | None, now: float) -> float:
    """Return the seconds of a Retry-After, 0 where it says nothing; below 0 there is no retry."""
    if text is None:
        return 0.0
    stripped = text.strip()
    digits = stripped.removeprefix("-")
    if digits.isascii() and digits.isdigit() and len(digits) < 10:  # noqa: PLR2004 - 31 years
        return float(stripped)
    try:
        date = parsedate_to_datetime(stripped)
    except ValueError:
        return 0.0
    # A date that is past asks for nothing: only a number can be meant to be negative.
    return max(0.0, date.replace(tzinfo=date.tzinfo or UTC).timestamp() - now)
