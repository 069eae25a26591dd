"""Credentials: whose a request is, with authentication on and off."""

from __future__ import annotations

import pytest

from farspan.clock import SystemClock
from farspan.config import NODE_ACCESS_KEY_ID, Credential
from farspan.control.plane import Caller
from farspan.errors import (
    IncompleteSignatureException,
    InvalidSignatureException,
    MissingAuthenticationTokenException,
    UnrecognizedClientException,
)
from farspan.wire.access import PEER_SERVICE, Access
from farspan.wire.http import Request
from farspan.wire.sigv4 import sign

NOW = 1_790_000_000.0
CREDENTIALS = (
    Credential(),
    Credential(access_key_id="other", secret_access_key="s", account_id="111111111111"),
)


class StillClock(SystemClock):
    """A clock that stands."""

    def now(self) -> float:
        """See `Clock.now`."""
        return NOW


def access(*, auth: bool = True, cluster_secret: str = "cluster") -> Access:
    """Return a deployment's access."""
    return Access(
        credentials=CREDENTIALS, cluster_secret=cluster_secret, auth=auth, clock=StillClock()
    )


def signed(
    key: str = "test", secret: str = "test", *, service: str = "events", region: str = "us-east-1"
) -> Request:
    """Return a signed request."""
    bare = Request(method="POST", path="/", headers={"host": "h"}, body=b"{}")
    headers = sign(
        bare,
        access_key_id=key,
        secret_access_key=secret,
        region=region,
        service=service,
        now=NOW,
    )
    return Request(method="POST", path="/", headers={**bare.headers, **headers}, body=b"{}")


UNSIGNED = Request(method="POST", path="/", headers={"host": "h"}, body=b"{}")


def test_a_signature_is_its_accounts() -> None:
    """The caller has the key's account."""
    caller = access().caller(signed("other", "s"), service="events", region="us-east-1")

    assert Caller("111111111111", "other") == caller


@pytest.mark.parametrize(
    ("service", "region"), [("events", None), (None, "us-east-1"), (None, None)]
)
def test_none_accepts_any(service: str | None, region: str | None) -> None:
    """Global services do not look at the Region, the status page not at the service."""
    assert "test" == access().caller(signed(), service=service, region=region).access_key_id


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (UNSIGNED, MissingAuthenticationTokenException),
        (signed("nobody"), UnrecognizedClientException),
        (signed(secret="guess"), InvalidSignatureException),
        (signed(region="us-west-2"), InvalidSignatureException),
        (signed(service="sqs"), InvalidSignatureException),
        (signed(NODE_ACCESS_KEY_ID, "cluster"), UnrecognizedClientException),
    ],
    ids=["unsigned", "unknown-key", "wrong-secret", "other-region", "other-service", "node-key"],
)
def test_who_is_refused(request_: Request, error: type[Exception]) -> None:
    """Each for its own reason."""
    with pytest.raises(error):
        access().caller(request_, service="events", region="us-east-1")


@pytest.mark.parametrize(
    ("request_", "caller"),
    [
        (UNSIGNED, Caller("000000000000", "test")),
        (signed("other", "guess"), Caller("111111111111", "other")),
        (signed("333333333333"), Caller("333333333333", "333333333333")),
        (signed("nobody"), Caller("000000000000", "nobody")),
        (signed(region="eu-west-1", service="s3"), Caller("000000000000", "test")),
    ],
    ids=["unsigned", "known-key", "twelve-digits", "unknown-key", "any-scope"],
)
def test_with_authentication_off_everyone_is_someone(request_: Request, caller: Caller) -> None:
    """The key alone says who."""
    found = access(auth=False).caller(request_, service="events", region="us-east-1")

    assert caller == found


def test_what_is_claimed() -> None:
    """With authentication on a missing signature is an error, with it off it is nothing."""
    assert "us-east-1" == access().claimed(signed()).region  # type: ignore[union-attr]
    assert access(auth=False).claimed(UNSIGNED) is None
    with pytest.raises(MissingAuthenticationTokenException):
        access().claimed(UNSIGNED)


class TestPeers:
    """What nodes sign for each other."""

    @pytest.mark.parametrize("auth", [True, False])
    def test_a_node_is_known(self, auth: bool) -> None:
        """By the cluster's secret, whatever callers may do."""
        request = signed(NODE_ACCESS_KEY_ID, "cluster", service=PEER_SERVICE)

        access(auth=auth).check_peer(request)
        access(auth=auth).observer(request)

    @pytest.mark.parametrize("auth", [True, False])
    @pytest.mark.parametrize(
        ("request_", "error"),
        [
            (UNSIGNED, MissingAuthenticationTokenException),
            (signed(), UnrecognizedClientException),
            (signed(service=PEER_SERVICE), UnrecognizedClientException),
            (signed(NODE_ACCESS_KEY_ID, "guess", service=PEER_SERVICE), InvalidSignatureException),
            (signed(NODE_ACCESS_KEY_ID, "cluster"), InvalidSignatureException),
            (
                Request(method="POST", path="/", headers={"authorization": "Basic x"}),
                IncompleteSignatureException,
            ),
        ],
        ids=["unsigned", "user", "user-for-peers", "wrong-secret", "other-service", "basic"],
    )
    def test_nobody_else_is(self, auth: bool, request_: Request, error: type[Exception]) -> None:
        """Users are no peers, and a node's key is good for one service alone."""
        with pytest.raises(error):
            access(auth=auth).check_peer(request_)

    def test_an_empty_secret_opens_nothing(self) -> None:
        """A node alone has no cluster secret: an empty one must not be a key."""
        with pytest.raises(UnrecognizedClientException):
            access(cluster_secret="").check_peer(
                signed(NODE_ACCESS_KEY_ID, "", service=PEER_SERVICE)
            )


def test_observers() -> None:
    """Anyone with a key may read a node's status; with authentication off, everyone."""
    known = access().observer(signed("other", "s", service="anything", region="anywhere"))

    assert known is not None
    assert "111111111111" == known.account
    assert access(auth=False).observer(UNSIGNED) is None
    with pytest.raises(MissingAuthenticationTokenException):
        access().observer(UNSIGNED)
