"""Whatever a request claims of itself, access answers with a caller or an `AwsError`."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from farspan.clock import SeededIds, SystemClock
from farspan.config import Credential
from farspan.control.plane import Caller
from farspan.errors import AwsError
from farspan.sessions import SessionClaims, SessionTokens
from farspan.wire.access import Access
from farspan.wire.http import Request
from farspan.wire.sigv4 import V4, V4A, sign

NOW = 1_790_000_000.0
TOKENS = SessionTokens("cluster", SeededIds(1).token)
CLAIMS = SessionClaims(
    access_key_id="ASIAFUZZ",
    secret_access_key="secret",
    account="000000000000",
    issued_at=NOW,
    expires_at=NOW + 900,
    source_key="test",
)
TOKEN = TOKENS.seal(CLAIMS)


class StillClock(SystemClock):
    """A clock that stands."""

    def now(self) -> float:
        """See `Clock.now`."""
        return NOW


ON, OFF = (
    Access(
        credentials=(Credential(),),
        cluster_secret="cluster",
        auth=auth,
        clock=StillClock(),
        sessions=TOKENS,
    )
    for auth in (True, False)
)

ANY = st.text(max_size=40)
SCOPES = st.lists(
    st.one_of(ANY, st.sampled_from(["test", "ASIAFUZZ", "20260921", "us-east-1", "events"])),
    max_size=6,
).map("/".join)
HEADERS = st.builds(
    lambda scheme, key, scope, names, signature, glue: (
        f"{scheme} Credential={key}/{scope}{glue}SignedHeaders={names}{glue}Signature={signature}"
    ),
    st.one_of(ANY, st.sampled_from([V4, V4A])),
    st.sampled_from(["test", "ASIAFUZZ", "x", ""]),
    st.one_of(
        SCOPES,
        st.sampled_from(["20260921/us-east-1/events/aws4_request", "20260921/events/aws4_request"]),
    ),
    st.one_of(ANY, st.sampled_from(["host;x-amz-date", "host;x-amz-date;x-amz-security-token"])),
    st.one_of(ANY, st.sampled_from(["0" * 64, "30" * 40])),
    st.sampled_from([", ", ",", ";", ""]),
)
TOKEN_TEXTS = st.one_of(st.none(), ANY, st.just(TOKEN), st.just(TOKEN[:-4]))


def session_request(**changes: str) -> Request:
    """Return a request that the session signed, with headers changed after."""
    bare = Request(method="POST", path="/", headers={"host": "h"}, body=b"{}")
    headers = sign(
        bare,
        access_key_id=CLAIMS.access_key_id,
        secret_access_key=CLAIMS.secret_access_key,
        region="us-east-1",
        service="events",
        now=NOW,
        session_token=TOKEN,
    )
    return Request(
        method="POST", path="/", headers={**bare.headers, **headers, **changes}, body=b"{}"
    )


def test_a_session_is_its_source() -> None:
    """The unchanged request is the key's own account, under the session's id."""
    caller = ON.caller(session_request(), service="events", region="us-east-1")

    assert Caller("000000000000", "ASIAFUZZ", is_session=True, issued_at=NOW) == caller


@given(st.one_of(ANY, HEADERS), TOKEN_TEXTS, st.one_of(ANY, st.just("20260921T135320Z")))
def test_an_authorization_header_that_anyone_wrote(
    header: str, token: str | None, date: str
) -> None:
    """Nobody is let in, and nothing but an `AwsError` comes out; with authentication off, too."""
    headers = {"host": "h", "authorization": header, "x-amz-date": date}
    if token is not None:
        headers["x-amz-security-token"] = token
    request = Request(method="POST", path="/", headers=headers, body=b"{}")
    refused = False
    try:
        ON.caller(request, service="events", region="us-east-1")
    except AwsError:
        refused = True

    assert refused
    assert isinstance(OFF.caller(request, service="events", region="us-east-1"), Caller)
    assert isinstance(OFF.claimed_account(request), str)
    assert ON.claimed_account(request) in {None, "000000000000"}


@given(ANY)
def test_a_token_that_anyone_wrote(token: str) -> None:
    """The signature is a session's, the token is not."""
    refused = False
    try:
        ON.caller(
            session_request(**{"x-amz-security-token": token}),
            service="events",
            region="us-east-1",
        )
    except AwsError:
        refused = True

    assert refused


SIGNED = session_request()
EDITS = st.tuples(
    st.sampled_from(["authorization", "x-amz-date", "x-amz-security-token"]),
    st.floats(0, 1, exclude_max=True),
    st.integers(0, 3),
    st.text(max_size=3),
)


@given(st.lists(EDITS, min_size=1, max_size=3))
def test_a_signature_that_somebody_edited(edits: list[tuple[str, float, int, str]]) -> None:
    """A few characters cut out, put in or changed: refused, or it still says the same."""
    headers = dict(SIGNED.headers)
    for name, place, size, new in edits:
        start = int(place * (len(headers[name]) + 1))
        headers[name] = headers[name][:start] + new + headers[name][start + size :]
    request = Request(method="POST", path="/", headers=headers, body=SIGNED.body)
    status = 200
    try:
        ON.caller(request, service="events", region="us-east-1")
    except AwsError as error:
        status = error.status

    assert status < 500
    if status == 200:
        meant = [{k: v.replace(" ", "") for k, v in h.items()} for h in (headers, SIGNED.headers)]
        assert meant[0] == meant[1]


@given(st.lists(st.sampled_from(["authorization", "x-amz-date", "host"]), unique=True), ANY)
def test_headers_that_are_missing_or_empty(names: list[str], text: str) -> None:
    """Each alone and together, taken away or replaced: never anything but an `AwsError`."""
    outcomes = []
    for changed in (
        {name: value for name, value in SIGNED.headers.items() if name not in names},
        SIGNED.headers | dict.fromkeys(names, text),
    ):
        request = Request(method="POST", path="/", headers=changed, body=SIGNED.body)
        try:
            outcomes.append(ON.caller(request, service="events", region="us-east-1"))
        except AwsError:
            outcomes.append(None)

    assert bool(names) == (outcomes == [None, None])
