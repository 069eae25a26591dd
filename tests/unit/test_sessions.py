"""Session tokens: what is sealed opens everywhere in the cluster, and nothing else opens."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from farspan.clock import SeededIds
from farspan.sessions import SessionClaims, SessionTokens, TokenUnreadable

CLAIMS = SessionClaims(
    access_key_id="ASIAEXAMPLE",
    secret_access_key="hush-hush",
    account="000000000000",
    issued_at=1.0,
    expires_at=901.0,
    principal="arn:aws:sts::000000000000:assumed-role/r/s",
    policies=('{"Version":"2012-10-17"}',),
)
TOKENS = SessionTokens("cluster", SeededIds(1).token)
TOKEN = TOKENS.seal(CLAIMS)


def test_another_node_opens_it() -> None:
    """The key follows from the cluster's secret alone."""
    assert CLAIMS == SessionTokens("cluster", SeededIds(2).token).open(TOKEN)


def test_another_cluster_does_not() -> None:
    """Another secret opens nothing, and neither does a random key where there is none."""
    for stranger in ("other", ""):
        with pytest.raises(TokenUnreadable):
            SessionTokens(stranger, SeededIds(2).token).open(TOKEN)


def test_two_tokens_are_never_alike() -> None:
    """Each is sealed with a nonce of its own."""
    assert TOKENS.seal(CLAIMS) != TOKENS.seal(CLAIMS)


def test_no_secret_is_shown() -> None:
    """Neither in a repr nor, without the key, in the token."""
    assert "hush" not in repr(CLAIMS)
    assert "hush" not in str(list(CLAIMS.__rich_repr__()))
    assert b"hush" not in base64.b64decode(TOKEN)


@given(st.data())
def test_any_change_of_a_token_is_noticed(data: st.DataObject) -> None:
    """One bit anywhere, or an end cut off."""
    sealed = bytearray(base64.b64decode(TOKEN))
    place = data.draw(st.integers(0, len(sealed) - 1))
    if data.draw(st.booleans()):
        sealed[place] ^= 1 << data.draw(st.integers(0, 7))
    else:
        sealed = sealed[:place]
    with pytest.raises(TokenUnreadable):
        TOKENS.open(base64.b64encode(sealed).decode())


@given(st.one_of(st.text(), st.binary().map(lambda raw: base64.b64encode(raw).decode())))
def test_garbage_opens_as_nothing(text: str) -> None:
    """Whatever the text, there is one answer."""
    with pytest.raises(TokenUnreadable):
        TOKENS.open(text)


def test_a_text_that_is_too_long() -> None:
    """It is not even decoded."""
    with pytest.raises(TokenUnreadable):
        TOKENS.open("A" * 16_388)


def test_ids_look_like_aws_ids() -> None:
    """A prefix, then capital letters and digits."""
    made = TOKENS.new_id("AROA", 17)

    assert 21 == len(made)
    assert made.isalnum()
    assert made.upper() == made
    assert 40 == len(TOKENS.new_secret())
