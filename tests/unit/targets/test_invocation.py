"""What EventBridge sends to an API destination, and what the answers come to."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.model.api_destination import ApiDestination
from farspan.model.connection import AuthorizationType, HttpParameter, HttpParameters, Secret
from farspan.model.delivery import DELIVERED, Verdict
from farspan.targets.call import Answer, Call
from farspan.targets.invocation import InvocationInvalid, invocation, outcome_of

NOW = 1_790_230_488.0
BASIC = Secret(username="ann", password="pass")
EVENT = b'{"detail":{"n":1.10}}'


def invoke(
    *,
    url: str = "https://api.example/v1",
    method: str = "POST",
    kind: AuthorizationType = AuthorizationType.BASIC,
    secret: Secret = BASIC,
    token: str | None = None,
    payload: bytes = EVENT,
    **parameters: Any,
) -> Call:
    """Return the call of an invocation; `parameters` are the target's HttpParameters."""
    destination = ApiDestination(
        region="us-east-1",
        account="000000000000",
        name="hook",
        uuid="u",
        connection_arn="arn",
        invocation_endpoint=url,
        http_method=method,
    )
    return invocation(destination, kind, secret, token, parameters, payload)


def own(**lists: dict[str, str]) -> Secret:
    """Return a secret whose connection has invocation parameters of its own."""
    return Secret(
        username="ann",
        password="pass",
        invocation_http_parameters=HttpParameters(
            **{
                name: tuple(HttpParameter(key=key, value=value) for key, value in given.items())
                for name, given in lists.items()
            }
        ),
    )


def test_what_eventbridge_sends_itself() -> None:
    """The headers are EventBridge's, the body is the payload, five seconds are given."""
    call = invoke()

    assert call.headers == {
        "Content-Type": "application/json; charset=utf-8",
        "Authorization": "Basic YW5uOnBhc3M=",
        "User-Agent": "Amazon/EventBridge/ApiDestinations",
        "Range": "bytes=0-1048575",
        "Accept-Encoding": "gzip,deflate",
    }
    assert ("POST", "https://api.example/v1", EVENT) == (call.method, call.url, call.body)
    assert 5.0 == call.seconds


def test_an_api_key() -> None:
    """An API key is a header of the name and value that the connection has."""
    secret = Secret(api_key_name="X-Key", api_key_value="k")

    headers = invoke(kind=AuthorizationType.API_KEY, secret=secret).headers
    assert "k" == headers["X-Key"]
    assert "Authorization" not in headers


def test_a_token() -> None:
    """An OAuth token is a bearer token."""
    call = invoke(kind=AuthorizationType.OAUTH_CLIENT_CREDENTIALS, secret=Secret(), token="t0")

    assert "Bearer t0" == call.headers["Authorization"]


def test_the_connection_is_above_the_target() -> None:
    """Of headers and query parameters of one name the connection's stands, in any case."""
    call = invoke(
        url="https://api.example/v1?a=url&d=url",
        secret=own(
            header_parameters={"x-one": "connection"},
            query_string_parameters={"a": "connection"},
        ),
        HeaderParameters={"X-One": "target", "X-Two": "target"},
        QueryStringParameters={"a": "target", "b": "a b&c"},
    )

    assert "connection" == call.headers["x-one"]
    assert "X-One" not in call.headers
    assert "target" == call.headers["X-Two"]
    assert "https://api.example/v1?a=connection&d=url&b=a%20b%26c" == call.url


def test_what_may_be_overridden() -> None:
    """Content-Type may be, User-Agent, Range and what authorises may not."""
    headers = invoke(
        HeaderParameters={
            "content-type": "text/plain",
            "user-agent": "me",
            "range": "bytes=0-1",
            "authorization": "mine",
        }
    ).headers

    assert {
        "content-type": "text/plain",
        "Authorization": "Basic YW5uOnBhc3M=",
        "User-Agent": "Amazon/EventBridge/ApiDestinations",
        "Range": "bytes=0-1048575",
        "Accept-Encoding": "gzip,deflate",
    } == headers


REMOVED = (
    "A-IM Accept-Charset Accept-Datetime Cache-Control Connection Content-Encoding Content-Length "
    "Content-MD5 Date Expect Forwarded From Host HTTP2-Settings If-Match If-None-Match "
    "If-Modified-Since If-Unmodified-Since If-Range Max-Forwards Origin Pragma "
    "Proxy-Authorization Referer TE Trailer Transfer-Encoding Upgrade Via Warning"
)


@pytest.mark.parametrize("name", REMOVED.split())
def test_headers_that_are_removed(name: str) -> None:
    """What belongs to the connection or the sender is silently left out, whoever gives it."""
    call = invoke(secret=own(header_parameters={name: "x"}), HeaderParameters={name.lower(): "x"})

    assert name.lower() not in {header.lower() for header in call.headers}


def test_path_parameters() -> None:
    """Each wildcard of the path takes the value of its place, encoded as one segment."""
    call = invoke(
        url="https://api.example/users/*/orders/*?q=*", PathParameterValues=["a/b ü", "7"]
    )

    assert "https://api.example/users/a%2Fb%20%C3%BC/orders/7?q=%2A" == call.url


@pytest.mark.parametrize("values", [[], ["a", "b"], [".."], ["."]])
def test_path_parameters_that_do_not_fit(values: list[str]) -> None:
    """Too few, too many, or one that leads out of its place: nothing is sent."""
    with pytest.raises(InvocationInvalid):
        invoke(url="https://api.example/users/*/", PathParameterValues=values)


@given(st.text(max_size=20))
def test_a_path_parameter_stays_in_its_place(value: str) -> None:
    """No value of a path parameter reaches the host, the query or another segment."""
    try:
        url = invoke(url="https://api.example/a/*/b", PathParameterValues=[value]).url
    except (InvocationInvalid, UnicodeEncodeError):
        return
    inner = url.removeprefix("https://api.example/a/").removesuffix("/b")

    assert f"https://api.example/a/{inner}/b" == url
    assert not set(inner) & set("/?#@ \r\n")


def test_body_parameters() -> None:
    """A connection's body parameters become members of a JSON object; the others stay as they are.

    Numbers keep every digit.
    """
    call = invoke(
        payload=b'{"a": 1.10, "big": 123456789012345678901234567890, "key": "event"}',
        secret=own(body_parameters={"key": "connection", "more": "x"}),
    )

    assert (
        b'{"a":1.10,"big":123456789012345678901234567890,"key":"connection","more":"x"}'
        == call.body.replace(b": ", b":")
    )


@pytest.mark.parametrize("payload", [b'"text"', b"[1]", b"null", b"", b"not json", b"{" * 9])
def test_bodies_that_are_no_objects(payload: bytes) -> None:
    """Body parameters leave what is no JSON object alone."""
    assert payload == invoke(payload=payload, secret=own(body_parameters={"a": "b"})).body


@given(st.dictionaries(st.text(), st.integers() | st.text() | st.none()))
def test_merging_keeps_every_member(members: dict[str, object]) -> None:
    """Whatever an object holds is there after the merge, and the parameter over it."""
    merged = invoke(
        payload=json.dumps(members).encode(), secret=own(body_parameters={"key": "v"})
    ).body

    assert {**members, "key": "v"} == json.loads(merged)


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_methods_without_a_body(method: str) -> None:
    """GET, HEAD and OPTIONS carry the event in nothing but their parameters."""
    assert b"" == invoke(method=method).body


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_success(status: int) -> None:
    """Every 2xx is a delivery."""
    assert DELIVERED == outcome_of(Answer(status, {}, b""), NOW)


@pytest.mark.parametrize(
    ("status", "verdict", "code"),
    [
        (301, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (304, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (400, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (401, Verdict.RETRYABLE, "NO_PERMISSIONS"),
        (403, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (404, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (407, Verdict.RETRYABLE, "NO_PERMISSIONS"),
        (408, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (409, Verdict.RETRYABLE, "SDK_CLIENT_ERROR"),
        (410, Verdict.PERMANENT, "SDK_CLIENT_ERROR"),
        (429, Verdict.RETRYABLE, "THROTTLING"),
        (500, Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (503, Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
        (599, Verdict.RETRYABLE, "ERROR_FROM_TARGET"),
    ],
)
def test_failures(status: int, verdict: Verdict, code: str) -> None:
    """401, 407, 409, 429 and 5xx are tried again, every other answer is final."""
    outcome = outcome_of(Answer(status, {}, b"secret"), NOW)

    assert (verdict, code) == (outcome.verdict, outcome.error_code)
    assert f"HTTP status {status}" in (outcome.error_message or "")
    assert "secret" not in (outcome.error_message or "")


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120.0),
        (" 0 ", 0.0),
        ("Thu, 24 Sep 2026 06:16:48 GMT", 120.0),
        ("Thu, 24 Sep 2026 06:00:00 GMT", 0.0),
        ("soon", 0.0),
        ("1.5", 0.0),
        ("", 0.0),
        ("9" * 400, 0.0),
        ("Thu, 99 Sep 2026 06:16:48 GMT", 0.0),
    ],
)
def test_retry_after(text: str, seconds: float) -> None:
    """Retry-After is seconds or a date; what is neither says nothing."""
    outcome = outcome_of(Answer(429, {"retry-after": text}, b""), NOW)

    assert (Verdict.RETRYABLE, seconds) == (outcome.verdict, outcome.retry_after_seconds)


def test_a_negative_retry_after() -> None:
    """A negative Retry-After ends the retries."""
    assert Verdict.PERMANENT is outcome_of(Answer(503, {"retry-after": "-1"}, b""), NOW).verdict


@given(st.text(max_size=40))
def test_any_retry_after_is_survived(text: str) -> None:
    """No Retry-After, however odd, breaks the attempt."""
    assert 0 <= outcome_of(Answer(503, {"retry-after": text}, b""), NOW).retry_after_seconds
